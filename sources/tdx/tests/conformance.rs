//! The conformance suite, and what the sessions hold against what the market behind the simulator is.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod talk;

use model::ashare::local;
use model::{Body, Channel, Event, LaneFact};
use source::ashare::{Kind, Market};
use source::conformance::{self, Conversation};
use source::{Input, Want};
use std::collections::BTreeMap;
use std::sync::Arc;
use talk::Talk;
use tdx::Tdx;
use tdx::sim::Manner;

#[test]
fn the_source_holds_what_every_source_must() {
    conformance::spec_is_complete(&Tdx);
    for seed in 1..4 {
        let talk: Conversation = conformance::converse(&Tdx, seed, 30_000);
        conformance::every_channel_is_fed(&Tdx, &talk, &[Channel::Instruments]);
        conformance::books_equal_the_simulators(&talk);
        conformance::the_same_inputs_give_the_same_actions(&Tdx, &talk);
        conformance::damaged_frames_never_panic(&Tdx, &talk, 7, 2_000);
        conformance::an_unknown_key_is_noticed_and_harms_nothing(&Tdx, &talk);
    }
}

/// Lots of what is traded in hundreds.
fn lots(market: &Market, at: usize, qty: i64) -> i64 {
    let lot = i64::from(market.listed()[at].section.board.lot());
    qty / lot * lot
}

#[test]
fn the_last_quotes_are_the_markets_in_shares_and_yuan() {
    let mut talk = Talk::new(Manner::Good, &[Channel::DayStats, Channel::BookTop], 130);
    talk.run_ms(10_000);
    assert!(talk.words.is_empty() && talk.closed.is_empty(), "{:?} {:?}", talk.words, talk.closed);
    let mut last: BTreeMap<(usize, Channel), &Event> = BTreeMap::new();
    for event in talk.events.iter().filter(|e| !matches!(e.body, Body::Lane(_))) {
        last.insert((talk.place(event), event.channel), event);
    }
    let mut market = talk.sim.market().clone();
    let count = market.listed().len();
    assert!(count > 130);
    for at in 0..count {
        let view = market.view(at).unwrap();
        let scale = market.listed()[at].instrument.px_scale;
        let Body::DayStats(stats) = &last[&(at, Channel::DayStats)].body else { panic!("statistics") };
        let px = |px: model::Px| model::Decimal::new(i128::from(px.0), scale);
        let traded =
            |px: Option<model::Px>| px.map(px_of(scale)).filter(|_| lots(&market, at, view.volume) > 0);
        assert_eq!((stats.prev_close, stats.last), (Some(px(view.prev_close)), traded(view.last)), "{at}");
        assert_eq!(
            (stats.open, stats.high, stats.low),
            (traded(view.open), traded(view.high), traded(view.low))
        );
        assert_eq!(stats.volume.unwrap().mantissa_at(0), Some(lots(&market, at, view.volume)));
        let Body::Snapshot(top) = &last[&(at, Channel::BookTop)].body else { panic!("levels") };
        let told: Vec<(i64, i64)> = top.levels.bids().iter().map(|level| (level.px.0, level.qty.0)).collect();
        let level = |level: &model::Level| (level.px.0, lots(&market, at, level.qty.0));
        let truth: Vec<(i64, i64)> =
            view.bids.iter().take(5).map(level).filter(|level| level.1 > 0).collect();
        assert_eq!(told, truth, "{at}");
    }
    let twice = talk.facts(|fact| matches!(fact, LaneFact::Acked));
    assert_eq!(twice, count * 2, "each lane is acknowledged once");
}

fn px_of(scale: u8) -> impl Fn(model::Px) -> model::Decimal {
    move |px| model::Decimal::new(i128::from(px.0), scale)
}

fn told_trades(talk: &Talk, at: usize) -> Vec<(i64, i64, i64)> {
    let ours = talk.of(Channel::Trades).filter(|event| talk.place(event) == at);
    ours.map(|event| {
        let Body::Trade(trade) = &event.body else { panic!("a trade") };
        let minute = local(event.stamp.ts_event.unwrap()).1 / 60_000;
        (minute, trade.px.0, trade.qty.0)
    })
    .collect()
}

fn true_trades(talk: &Talk, at: usize) -> Vec<(i64, i64, i64)> {
    let market = talk.sim.market();
    let prints = market.prints(at, market.date());
    let row =
        |print: &source::ashare::Print| (local(print.ts).1 / 60_000, print.px.0, lots(market, at, print.qty));
    prints.iter().map(row).filter(|row| row.2 > 0).collect()
}

#[test]
fn trades_of_today_are_told_once_each_however_often_the_connection_is_lost() {
    for manner in [Manner::Good, Manner::Breaks(40)] {
        let mut talk = Talk::new(manner, &[Channel::Trades], 2);
        talk.run_ms(60_000);
        let all = talk.sim.market().listed().len();
        let mut trades = 0;
        for at in 0..all {
            let (told, truth) = (told_trades(&talk, at), true_trades(&talk, at));
            // What the market did after the last round is not told yet.
            assert_eq!(told[..], truth[..told.len()], "{at}");
            assert!(truth.len() - told.len() <= 8, "{at}: {} of {}", told.len(), truth.len());
            trades += told.len();
        }
        let mut ids: Vec<_> =
            talk.of(Channel::Trades).map(|e| format!("{} {:?}", e.instrument.name, e.body)).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), trades, "none is told twice");
        assert!(trades > 1_000 && talk.words.is_empty(), "{trades} {:?}", talk.words);
    }
}

#[test]
fn bars_and_the_minute_line_are_the_markets() {
    let mut talk = Talk::new(Manner::Good, &[Channel::Bars, Channel::MinuteLine], 3);
    talk.run_ms(130_000);
    let market = talk.sim.market();
    let mut closed = 0;
    for event in talk.of(Channel::Bars) {
        let Body::Bar(bar) = &event.body else { panic!("a bar") };
        let at = talk.place(event);
        let truth = market.minutes(at, market.date());
        let truth = truth.iter().find(|one| one.start == bar.start).unwrap();
        let px = px_of(market.listed()[at].instrument.px_scale);
        if bar.closed {
            closed += 1;
            let prices = (bar.open, bar.high, bar.low, bar.close);
            assert_eq!(
                prices,
                (px(truth.open), px(truth.high), px(truth.low), px(truth.close)),
                "{}",
                event.instrument.name
            );
        }
    }
    assert!(closed >= market.listed().len() * 3, "{closed}");
    let lines = talk.of(Channel::MinuteLine).count();
    assert!(lines > 30 * market.listed().len(), "{lines}");
    assert!(talk.words.is_empty(), "{:?}", talk.words);
}

#[test]
fn a_server_that_answers_sixty_codes_is_asked_for_the_rest() {
    let mut talk = Talk::new(Manner::Sixty, &[Channel::DayStats], 130);
    talk.run_ms(4_000);
    assert_eq!(talk.facts(|fact| matches!(fact, LaneFact::Acked)), talk.wants.len());
    assert_eq!(talk.facts(|fact| matches!(fact, LaneFact::Refused(_))), 0);
}

#[test]
fn quotes_of_2018_are_read() {
    let mut talk = Talk::new(Manner::Of2018, &[Channel::DayStats], 20);
    talk.run_ms(4_000);
    assert_eq!(talk.facts(|fact| matches!(fact, LaneFact::Acked)), talk.wants.len());
    assert!(talk.words.is_empty(), "{:?}", talk.words);
}

#[test]
fn a_server_that_does_not_answer_is_given_up_and_named() {
    let mut talk = Talk::new(Manner::Silent, &[Channel::DayStats], 2);
    talk.run_ms(12_000);
    assert!(talk.closed[0].contains("does not answer the greeting"), "{:?}", talk.closed);
}

#[test]
fn a_server_without_bars_is_named_on_its_lanes() {
    let mut talk = Talk::new(Manner::NoBars, &[Channel::DayStats, Channel::Bars], 3);
    talk.run_ms(40_000);
    let refused = talk.facts(|fact| matches!(fact, LaneFact::Refused(_)));
    assert!(refused > 0 && talk.of(Channel::Bars).count() == 0, "{refused}");
}

#[test]
fn nothing_is_asked_in_vain_after_the_close() {
    // The clock of the server tells when: the market begins at 10:00 and closes five and a half hours later.
    let mut talk = Talk::new(Manner::Good, &[Channel::DayStats, Channel::Trades], 2);
    talk.run_ms(10_000);
    talk.now = talk.now.plus_ms(5 * 3_600_000 + 35 * 60_000);
    talk.run_ms(60_000);
    let before = talk.sent;
    talk.run_ms(10 * 60_000);
    assert!(talk.sent - before <= 21, "{} questions in ten minutes", talk.sent - before);
    let market = talk.sim.market();
    for at in 0..market.listed().len() {
        let late =
            market.prints(at, market.date()).iter().filter(|print| print.kind == Kind::AfterHours).count();
        assert_eq!(told_trades(&talk, at).len(), true_trades(&talk, at).len(), "{at}, {late} after hours");
    }
}

#[test]
fn wants_come_and_go_while_the_connection_goes_on() {
    let mut talk = Talk::new(Manner::Good, &[Channel::DayStats], 2);
    talk.run_ms(4_000);
    let instrument = Arc::clone(&talk.wants[0].instrument);
    let more = [Want { instrument: Arc::clone(&instrument), channel: Channel::Trades }];
    talk.tell(Input::Subscribe(&more));
    talk.run_ms(4_000);
    let before = talk.of(Channel::Trades).count();
    assert!(before > 0);
    talk.tell(Input::Unsubscribe(&more));
    talk.run_ms(10_000);
    assert_eq!(talk.of(Channel::Trades).count(), before);
    assert_eq!(talk.facts(|fact| matches!(fact, LaneFact::Dropped)), 1);
    assert!(talk.closed.is_empty());
}
