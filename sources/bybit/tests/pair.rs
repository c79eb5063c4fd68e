//! Sessions against the simulator, under faults of frames, connections and subscriptions.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panic")]

use bybit::Bybit;
use model::{Body, Channel, LaneFact, TradeId};
use source::pair::{Fate, Pair, START};
use source::{Fault, Options, SimControl, SimSetup, Source, Want, conformance};
use std::collections::BTreeSet;

fn setup(seed: u64) -> SimSetup {
    SimSetup { seed, start: START, instruments: 3, moves_per_s: 200, ..SimSetup::default() }
}

fn pair(seed: u64, channels: &[Channel]) -> Pair {
    Pair::new(&Bybit, &setup(seed), channels, &Options::default())
}

fn all() -> Vec<Channel> {
    Bybit.spec().channels.iter().map(|c| c.channel).collect()
}

fn is_change(frame: &[u8]) -> bool {
    let text = String::from_utf8_lossy(frame);
    text.contains("orderbook.") && text.contains(r#""type":"delta""#)
}

/// Lets everything settle, then compares.
fn settle(pair: &mut Pair, ms: u64) {
    pair.fate = Box::new(|_| Fate::Arrive);
    pair.run_ms(ms);
    pair.control(SimControl::Pause(true));
    pair.run_ms(1_000);
    pair.assert_books();
}

#[test]
fn it_conforms() {
    conformance::spec_is_complete(&Bybit);
    for seed in 1..4 {
        let talk = conformance::converse(&Bybit, seed, 30_000);
        conformance::every_channel_is_fed(&Bybit, &talk, &[Channel::Liquidations, Channel::Instruments]);
        conformance::books_equal_the_simulators(&talk);
        conformance::the_same_inputs_give_the_same_actions(&Bybit, &talk);
        conformance::damaged_frames_never_panic(&Bybit, &talk, 7, 20_000);
        conformance::an_unknown_key_is_noticed_and_harms_nothing(&Bybit, &talk);
    }
}

#[test]
fn without_faults_everything_is_told_and_every_book_is_the_venues() {
    for seed in 1..6 {
        let mut pair = pair(seed, &all());
        pair.run_ms(60_000);
        settle(&mut pair, 0);
        let seen = &pair.seen;
        assert_eq!((seen.gaps.len(), seen.malformed), (0, 0), "{:?}", seen.gaps);
        assert_eq!(seen.unknown, Vec::<String>::new());
        assert_eq!(seen.refused, Vec::<String>::new());
        assert_eq!(seen.closes, []);
        assert_eq!(seen.asked, seen.acked);
        for channel in all().into_iter().filter(|c| *c != Channel::Instruments) {
            assert!(seen.count(channel) > 0, "{}", channel.name());
        }
        assert!(pair.sent.len() < 60, "{}", pair.sent.len());
    }
}

#[test]
fn every_speed_of_a_book_gives_the_venues_best_levels() {
    for (ms, depth) in [(20, 50), (100, 200), (200, 1_000)] {
        let options = Options { book_ms: ms, ..Options::default() };
        let mut pair = Pair::new(&Bybit, &setup(4), &[Channel::Book], &options);
        pair.run_ms(20_000);
        pair.control(SimControl::Pause(true));
        pair.run_ms(1_000);
        assert!(pair.sent.iter().any(|s| s.contains(&format!("orderbook.{depth}.BTCUSDT"))));
        assert!(pair.seen.gaps.is_empty());
        for truth in pair.sim.books() {
            let held = &pair.seen.books.live[&truth.instrument.id];
            let bids: Vec<_> = truth.bids.iter().take(depth).map(|l| (l.px, l.qty)).collect();
            let asks: Vec<_> = truth.asks.iter().take(depth).map(|l| (l.px, l.qty)).collect();
            assert_eq!(held.bids.iter().rev().map(|(p, q)| (*p, *q)).collect::<Vec<_>>(), bids);
            assert_eq!(held.asks.iter().map(|(p, q)| (*p, *q)).collect::<Vec<_>>(), asks);
        }
    }
}

#[test]
fn quotes_are_the_best_levels_of_the_books() {
    let mut pair = pair(3, &[Channel::Book, Channel::Quote]);
    pair.seen.keep = true;
    pair.run_ms(20_000);
    settle(&mut pair, 0);
    for truth in pair.sim.books() {
        let mut last = None;
        for event in &pair.seen.kept {
            if let (true, Body::Quote(quote)) = (event.instrument.id == truth.instrument.id, &event.body) {
                assert_eq!(quote.seq, None, "numbers of the best level are not those of the book");
                last = Some(*quote);
            }
        }
        let last = last.unwrap();
        assert_eq!((last.bid, last.ask), (truth.bids.first().copied(), truth.asks.first().copied()));
    }
}

#[test]
fn trades_come_each_once_and_in_order() {
    let mut pair = pair(5, &[Channel::Trades]);
    pair.run_ms(60_000);
    let spot: Vec<_> = pair.instruments.iter().filter(|i| *i.product == *"spot").map(|i| i.id).collect();
    let mut lanes = 0;
    for ((id, _), ids) in &pair.seen.trades {
        assert_eq!(ids.iter().map(|id| format!("{id:?}")).collect::<BTreeSet<_>>().len(), ids.len());
        let numbers = ids.iter().all(|id| matches!(id, TradeId::Num(_)));
        assert_eq!(numbers, spot.contains(id));
        lanes += 1;
    }
    assert!(lanes > 8, "{lanes}");
}

#[test]
fn a_lost_repeated_late_or_cut_change_touches_its_book_alone_and_heals() {
    for (n, fate) in [Fate::Lose, Fate::Repeat, Fate::Late, Fate::Cut].into_iter().enumerate() {
        for seed in 1..8 {
            let mut pair = pair(seed, &[Channel::Book]);
            pair.run_ms(3_000);
            let sent = pair.sent.len();
            let mut count = 0;
            pair.fate = Box::new(move |bytes| {
                count += u32::from(is_change(bytes));
                if is_change(bytes) && count == 5 + n as u32 { fate } else { Fate::Arrive }
            });
            pair.run_ms(2_000);
            settle(&mut pair, 15_000);
            let gaps: usize = pair.seen.gaps.values().sum();
            let harmless = matches!(fate, Fate::Repeat | Fate::Late);
            assert!(gaps == 1 || (gaps == 0 && harmless), "seed {seed} {fate:?} {:?}", pair.seen.gaps);
            assert!(fate != Fate::Repeat || gaps == 0);
            let more: Vec<&String> = pair.sent[sent..].iter().filter(|s| !s.contains("ping")).collect();
            assert_eq!(more.len(), 2 * gaps, "{more:?}");
        }
    }
}

#[test]
fn steady_loss_makes_no_storm_of_requests() {
    let mut pair = pair(3, &[Channel::Book]);
    let mut count = 0_u32;
    pair.fate = Box::new(move |bytes| {
        count += u32::from(is_change(bytes));
        if is_change(bytes) && count.is_multiple_of(10) { Fate::Lose } else { Fate::Arrive }
    });
    pair.run_ms(300_000);
    let asked = pair.sent.iter().filter(|s| s.contains("subscribe")).count();
    assert!(asked < 400, "{asked} requests, {:?}", pair.seen.gaps);
    settle(&mut pair, 400_000);
}

#[test]
fn a_silent_venue_is_left_and_books_come_back() {
    let mut pair = pair(2, &[Channel::Book]);
    pair.run_ms(3_000);
    pair.fate = Box::new(|_| Fate::Lose);
    pair.run_ms(30_000);
    assert!(pair.seen.closes.len() >= 4, "{:?}", pair.seen.closes);
    assert!(pair.seen.closes.iter().all(|(fault, _)| *fault == Fault::Stale));
    assert_eq!(pair.seen.gaps.get("disconnected"), Some(&pair.sim.books().len()));
    settle(&mut pair, 30_000);
}

#[test]
fn a_quiet_market_stays_connected_by_pings() {
    let mut pair = pair(2, &[Channel::Trades]);
    pair.control(SimControl::Pause(true));
    pair.run_ms(1_300_000);
    assert_eq!(pair.seen.closes, []);
    assert!(pair.sent.iter().filter(|s| s.contains(r#""op":"ping""#)).count() >= 4 * 60);
}

#[test]
fn the_end_of_connections_is_a_gap_of_each_book_and_all_come_back() {
    let mut pair = Pair::new(
        &Bybit,
        &SimSetup { lifetime_ms: Some(40_000), ..setup(6) },
        &[Channel::Book, Channel::DayStats],
        &Options::default(),
    );
    pair.run_ms(45_000);
    assert_eq!(pair.seen.closes.len(), 4);
    pair.control(SimControl::CloseAll);
    assert_eq!(pair.seen.gaps.get("disconnected"), Some(&(2 * pair.sim.books().len())));
    settle(&mut pair, 5_000);
}

#[test]
fn one_refused_topic_does_not_keep_the_others_of_its_request() {
    for seed in [1, 2, 3] {
        let mut pair = pair(seed, &[Channel::Book, Channel::Trades]);
        pair.control(SimControl::RefuseSubscriptions(4));
        pair.run_ms(20_000);
        assert!((1..=6).contains(&pair.seen.refused.len()), "{:?}", pair.seen.refused);
        assert!(pair.right_books() + 4 >= pair.sim.books().len());
        settle(&mut pair, 60_000);
        assert!(pair.seen.acked > 0);
    }
}

#[test]
fn late_books_and_limited_rest_only_delay() {
    for seed in [1, 2, 3] {
        let mut pair = pair(seed, &[Channel::Book, Channel::LongShortRatio]);
        pair.run_ms(5_000);
        pair.control(SimControl::LateSnapshots(10));
        pair.control(SimControl::RateLimit(3));
        pair.cut_all();
        settle(&mut pair, 90_000);
        assert_eq!(pair.seen.gaps.get("disconnected"), Some(&pair.sim.books().len()));
        assert!(pair.seen.count(Channel::LongShortRatio) > 0);
    }
}

#[test]
fn the_engine_may_order_a_new_start() {
    let mut pair = pair(9, &[Channel::Book]);
    pair.run_ms(3_000);
    let sent = pair.sent.len();
    let id = pair.sim.books()[0].instrument.id;
    pair.engine_resync(id);
    settle(&mut pair, 2_000);
    assert!(pair.seen.gaps.is_empty());
    assert_eq!(pair.sent.len(), sent + 2, "{:?}", &pair.sent[sent..]);
}

#[test]
fn wishes_change_while_the_connection_goes_on() {
    let mut pair = pair(9, &[Channel::Book, Channel::MarkPrice, Channel::LongShortRatio]);
    pair.seen.keep = true;
    pair.run_ms(3_000);
    let sent = pair.sent.len();
    let linear = |w: &&Want| *w.instrument.product == *"linear" && *w.instrument.symbol == *"BTCUSDT";
    let wants = |pair: &Pair, channels: &[Channel]| -> Vec<Want> {
        pair.wants(channels).iter().filter(linear).cloned().collect()
    };
    // The ticker is had already: nothing is asked, and what is known is told at once.
    let funding = wants(&pair, &[Channel::Funding]);
    pair.control(SimControl::Pause(true));
    pair.subscribe(&funding);
    assert_eq!(pair.sent.len(), sent);
    assert_eq!(pair.seen.count(Channel::Funding), 1);
    pair.control(SimControl::Pause(false));
    // Its last lane ends the topic, not one before.
    let mark = wants(&pair, &[Channel::MarkPrice]);
    pair.unsubscribe(&mark);
    assert_eq!((pair.sent.len(), pair.seen.dropped), (sent, 1));
    pair.unsubscribe(&funding);
    assert_eq!(pair.sent.len(), sent + 1);
    assert!(pair.sent[sent].contains(r#""op":"unsubscribe","args":["tickers.BTCUSDT"]"#));
    // Books go and come; others are not disturbed.
    let book = wants(&pair, &[Channel::Book]);
    let ratio = wants(&pair, &[Channel::LongShortRatio]);
    pair.unsubscribe(&[book.clone(), ratio.clone()].concat());
    pair.run_ms(5_000);
    let (snapshots, fetched) = (pair.seen.books.snapshots, pair.fetched.len());
    pair.subscribe(&[book, ratio].concat());
    pair.run_ms(2_000);
    assert!(pair.seen.books.snapshots > snapshots);
    assert!(pair.fetched.len() > fetched);
    settle(&mut pair, 1_000);
    assert!(pair.seen.gaps.is_empty());
    let facts = pair.seen.kept.iter().filter(|e| matches!(e.body, Body::Lane(LaneFact::Dropped)));
    assert_eq!(facts.count(), 4);
}

#[test]
fn any_mix_of_faults_ends_with_the_venues_books() {
    for seed in 1..9 {
        let mut pair = pair(seed, &all());
        let mut rng = fastrand::Rng::with_seed(seed);
        pair.fate = Box::new(move |_| match rng.u16(0..1_000) {
            0..3 => Fate::Lose,
            3..6 => Fate::Repeat,
            6..9 => Fate::Cut,
            9..12 => Fate::Late,
            _ => Fate::Arrive,
        });
        for step in 0..6 {
            pair.run_ms(5_000);
            match (seed + step) % 6 {
                0 => pair.control(SimControl::LateSnapshots(step as u32 * 3)),
                1 => pair.control(SimControl::RefuseSubscriptions(4)),
                2 => pair.control(SimControl::RateLimit(3)),
                3 => pair.control(SimControl::CloseAll),
                _ => pair.cut_all(),
            }
        }
        pair.control(SimControl::LateSnapshots(0));
        pair.control(SimControl::RefuseSubscriptions(0));
        settle(&mut pair, 400_000);
    }
}

#[test]
fn what_another_connection_told_is_passed_over_as_if_it_had_been_read() {
    conformance::copies_are_passed_over(&Bybit, &[Channel::Trades, Channel::Book]);
}
