//! What is asked by REST, over the simulator: clock, turnovers, the past.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panic")]

use bitget::Bitget;
use model::{Body, Channel, Event, Instrument, TradeId, Ts};
use source::pair::{Pair, START};
use source::{Options, Past, SimSetup, Source};
use std::sync::Arc;

fn pair(moves_per_s: u32) -> Pair {
    let setup = SimSetup { seed: 3, start: START, moves_per_s, instruments: 1, ..SimSetup::default() };
    let mut pair = Pair::new(&Bitget, &setup, &[Channel::Trades, Channel::Bars], &Options::default());
    pair.seen.keep = true;
    pair
}

fn past(instrument: &Arc<Instrument>, channel: Channel, from: Ts, to: Ts) -> Past {
    let (source, interval) = ("bitget", "1m".to_owned());
    Past { source, instrument: Arc::clone(instrument), channel, interval, from, to, ids: None }
}

fn read(pair: &mut Pair, past: Past) -> (Vec<Event>, usize) {
    let (mut all, mut pages) = (Vec::new(), 0);
    let mut history = Bitget.rest().history(past).unwrap();
    let mut reached = history.reached();
    while let Some(request) = history.request() {
        let mut answer = pair.request(request.endpoint, &request.path);
        if answer.status == 429 {
            pair.run_ms(answer.retry_ms.unwrap());
            answer = pair.request(request.endpoint, &request.path);
        }
        assert_eq!(answer.status, 200, "{}", request.path);
        all.extend(history.take(&answer.body, pair.now).unwrap());
        assert!(history.reached() >= reached);
        reached = history.reached();
        pages += 1;
    }
    (all, pages)
}

#[test]
fn the_clock_is_the_venues() {
    let mut pair = pair(0);
    let request = Bitget.rest().time().unwrap();
    let answer = pair.request(request.endpoint, &request.path);
    assert_eq!(Bitget.rest().read_time(&answer.body).unwrap(), pair.now);
    assert!(Bitget.rest().read_time(br#"{"code":"00000","data":{"serverTime":"x"}}"#).is_err());
    assert!(Bitget.rest().read_time(br#"{"code":"40034","msg":"x","data":null}"#).is_err());
}

#[test]
fn turnovers_are_of_everything_listed() {
    let mut pair = pair(200);
    pair.run_ms(10_000);
    let mut all = Vec::new();
    for request in Bitget.rest().turnovers() {
        let answer = pair.request(request.endpoint, &request.path);
        all.extend(Bitget.rest().read_turnovers(&request.path, &answer.body).unwrap());
    }
    assert_eq!(all.len(), pair.instruments.len());
    for instrument in &pair.instruments {
        let found = all.iter().find(|t| *t.product == *instrument.product && t.symbol == instrument.symbol);
        assert!(!found.unwrap().turnover.is_zero(), "{}", instrument.name);
    }
}

#[test]
fn trades_of_the_past_are_those_that_were_told_none_twice_and_none_left_out() {
    let mut pair = pair(150);
    let from = pair.now;
    pair.run_ms(1_300_000);
    let to = pair.now;
    let mut kept = std::mem::take(&mut pair.seen.kept);
    kept.retain(|e| matches!(e.body, Body::Trade(_)));
    let mut paged = 0;
    for instrument in pair.instruments.clone() {
        let of = |e: &&Event| e.instrument.id == instrument.id;
        let live: Vec<(Option<Ts>, Body)> =
            kept.iter().filter(of).map(|e| (e.stamp.ts_event, e.body.clone())).collect();
        let (told, pages) = read(&mut pair, past(&instrument, Channel::Trades, from, to));
        let told: Vec<(Option<Ts>, Body)> = told.into_iter().map(|e| (e.stamp.ts_event, e.body)).collect();
        assert!(told.len() > 100);
        assert_eq!(told.len(), live.len(), "{}", instrument.name);
        assert!(told == live, "{}", instrument.name);
        paged = paged.max(pages);
    }
    assert!(paged > 5, "a window of more than one page was read: {paged}");
}

#[test]
fn a_part_of_the_past_begins_and_ends_where_it_was_cut() {
    let mut pair = pair(200);
    pair.run_ms(30_000);
    let instrument = Arc::clone(&pair.instruments[0]);
    let (a, b, c) = (START, START.plus_ms(12_345), START.plus_ms(30_000));
    let whole = read(&mut pair, past(&instrument, Channel::Trades, a, c)).0;
    let first = read(&mut pair, past(&instrument, Channel::Trades, a, b)).0;
    let second = read(&mut pair, past(&instrument, Channel::Trades, b, c)).0;
    assert!(!first.is_empty() && !second.is_empty());
    assert!([first, second].concat() == whole);
    let Body::Trade(trade) = &whole[3].body else { panic!("no trade") };
    let TradeId::Num(id) = trade.id else { panic!("no number") };
    let one = Past { ids: Some((id, id)), ..past(&instrument, Channel::Trades, a, c) };
    assert_eq!(read(&mut pair, one).0, [whole[3].clone()]);
}

#[test]
fn bars_of_the_past_are_whole_and_in_order_and_the_last_one_is_open() {
    let mut pair = pair(20);
    pair.run_ms(2 * 3_600_000);
    for instrument in pair.instruments.clone() {
        for (interval, length) in [("1m", 60_000), ("5m", 300_000), ("1h", 3_600_000)] {
            let whole = past(&instrument, Channel::Bars, START, pair.now);
            let (told, _) = read(&mut pair, Past { interval: interval.to_owned(), ..whole });
            let bars: Vec<_> = told
                .iter()
                .map(|e| match &e.body {
                    Body::Bar(bar) => bar,
                    other => panic!("{other:?}"),
                })
                .collect();
            assert!(bars.windows(2).all(|w| w[1].start == w[0].start.plus_ms(length)));
            assert!(bars.iter().all(|bar| bar.closed == (bar.start.plus_ms(length) <= pair.now)));
            assert!(bars.iter().all(|bar| bar.start >= START && bar.start < pair.now));
            assert!(bars.len() as u64 >= 2 * 3_600_000 / length - 1, "{interval}: {}", bars.len());
        }
    }
}

#[test]
fn bars_that_were_pushed_are_those_of_the_past() {
    let mut pair = pair(100);
    pair.run_ms(400_000);
    let kept = std::mem::take(&mut pair.seen.kept);
    let instrument = Arc::clone(&pair.instruments[0]);
    let whole = past(&instrument, Channel::Bars, START, pair.now);
    let (told, _) = read(&mut pair, whole);
    let closed: Vec<&Event> = kept
        .iter()
        .filter(|e| e.instrument.id == instrument.id && matches!(&e.body, Body::Bar(bar) if bar.closed))
        .collect();
    assert!(closed.len() >= 5);
    for event in closed.iter().filter(|e| matches!(&e.body, Body::Bar(bar) if bar.start >= START)) {
        assert!(told.iter().any(|t| t.body == event.body), "{:?}", event.body);
    }
}

#[test]
fn books_by_rest_have_no_number_and_are_not_offered() {
    let pair = pair(0);
    assert_eq!(Bitget.rest().book(&pair.instruments[0]), None);
}
