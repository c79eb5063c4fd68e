//! Sessions and the simulator joined in memory: whatever happens on the way, every book ends as the venue's.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panic")]

use htx::Htx;
use model::{Body, Channel, LaneFact};
use source::pair::{Fate, Pair, START};
use source::{Options, SimControl, SimSetup, Want};
use std::io::Read;

fn setup(seed: u64) -> SimSetup {
    SimSetup { seed, start: START, moves_per_s: 200, ..SimSetup::default() }
}

fn pair(seed: u64, channels: &[Channel]) -> Pair {
    Pair::new(&Htx, &setup(seed), channels, &Options::default())
}

fn text(bytes: &[u8]) -> String {
    let mut text = String::new();
    flate2::read::GzDecoder::new(bytes).read_to_string(&mut text).unwrap();
    text
}

/// Lets everything settle, then compares.
fn settle(pair: &mut Pair, ms: u64) {
    pair.fate = Box::new(|_| Fate::Arrive);
    pair.run_ms(ms.min(20_000));
    pair.control(SimControl::Pause(true));
    pair.run_ms(ms.saturating_sub(20_000) + 1_000);
    pair.assert_books();
}

fn is_change(bytes: &[u8], symbol: &str) -> bool {
    let text = text(bytes);
    text.contains("prevSeqNum") && text.contains(&format!(".{symbol}."))
        || text.contains(r#""event":"update""#) && text.contains(&format!(".{symbol}."))
}

fn count(pair: &Pair, word: &str) -> usize {
    pair.sent.iter().filter(|s| s.contains(word)).count()
}

#[test]
fn an_undisturbed_half_minute_gives_the_venues_books_without_a_gap() {
    for seed in 0..8 {
        println!("seed {seed}");
        let mut pair = pair(seed, &Channel::ALL);
        pair.run_ms(30_000);
        settle(&mut pair, 0);
        let seen = &pair.seen;
        assert!(seen.gaps.is_empty(), "{:?}", seen.gaps);
        assert_eq!((seen.malformed, &seen.unknown, &seen.closes), (0, &Vec::new(), &Vec::new()));
        assert_eq!((seen.acked, &seen.refused), (seen.asked, &Vec::new()));
        for spec in source::Source::spec(&Htx).channels {
            let rare = matches!(spec.channel, Channel::Instruments | Channel::Liquidations);
            assert!(rare || seen.count(spec.channel) > 0, "{}", spec.channel.name());
        }
        assert!(!seen.trades.is_empty());
        for (lane, ids) in seen.numbers() {
            assert_eq!(ids.len(), seen.trades[&lane].len());
            assert!(ids.windows(2).all(|w| w[1] > w[0]), "trades come in order, none twice");
        }
        // Whoever answers pings is kept.
        assert!(count(&pair, "pong") > 20);
    }
}

#[test]
fn forced_orders_are_told() {
    let mut pair = pair(3, &[Channel::Liquidations]);
    pair.run_ms(60_000);
    assert!(pair.seen.count(Channel::Liquidations) > 0);
}

#[test]
fn a_fast_spot_book_of_twenty_levels_is_the_best_of_the_venues() {
    let options = Options { book_ms: 10, ..Options::default() };
    let mut pair = Pair::new(&Htx, &setup(4), &[Channel::Book], &options);
    pair.run_ms(20_000);
    pair.control(SimControl::Pause(true));
    pair.run_ms(1_000);
    assert!(
        pair.sent.iter().any(|s| s.contains("mbp.20")) && !pair.sent.iter().any(|s| s.contains("mbp.150"))
    );
    assert!(pair.seen.gaps.is_empty(), "{:?}", pair.seen.gaps);
    for truth in pair.sim.books().iter().filter(|t| &*t.instrument.product == "spot") {
        let held = &pair.seen.books.live[&truth.instrument.id];
        let bids: Vec<_> = truth.bids.iter().take(20).map(|l| (l.px, l.qty)).collect();
        let asks: Vec<_> = truth.asks.iter().take(20).map(|l| (l.px, l.qty)).collect();
        assert_eq!(held.bids.iter().rev().map(|(p, q)| (*p, *q)).collect::<Vec<_>>(), bids);
        assert_eq!(held.asks.iter().map(|(p, q)| (*p, *q)).collect::<Vec<_>>(), asks);
    }
}

#[test]
fn a_lost_repeated_late_or_cut_change_is_a_gap_of_that_book_alone_and_heals() {
    for (symbol, cause) in [("btcusdt", "req"), ("BTC-USDT", "data_type")] {
        for fate in [Fate::Lose, Fate::Repeat, Fate::Late] {
            for seed in 0..4 {
                println!("{symbol} seed {seed}, {fate:?}");
                let mut pair = pair(seed, &[Channel::Book, Channel::Trades]);
                pair.run_ms(6_000);
                let (before, mut n) = (count(&pair, cause), 0);
                pair.fate = Box::new(move |bytes| {
                    let is = is_change(bytes, symbol);
                    n += u32::from(is);
                    if is && n == 5 { fate } else { Fate::Arrive }
                });
                pair.run_ms(2_000);
                settle(&mut pair, 15_000);
                let gaps: usize = pair.seen.gaps.values().sum();
                // A swap across two books does no harm.
                assert!(gaps == 1 || fate == Fate::Late && gaps < 3, "{:?}", pair.seen.gaps);
                assert_eq!(pair.seen.malformed, 0);
                assert!(pair.seen.closes.is_empty(), "the connection goes on");
                assert!(count(&pair, cause) - before <= 2 * gaps + 1, "{:?}", pair.sent);
                assert!(pair.seen.books.gaps.iter().all(|(name, _)| name.starts_with("BTC/")));
            }
        }
    }
}

#[test]
fn a_frame_that_cannot_be_unpacked_may_have_been_any_books_and_all_heal() {
    for seed in 0..4 {
        let mut pair = pair(seed, &[Channel::Book]);
        pair.run_ms(6_000);
        let mut n = 0;
        pair.fate = Box::new(move |bytes| {
            let is = is_change(bytes, "BTC-USD");
            n += u32::from(is);
            if is && n == 5 { Fate::Cut } else { Fate::Arrive }
        });
        pair.run_ms(2_000);
        // Of the connection of inverse contracts: three books.
        assert_eq!(pair.seen.gaps.get("malformed"), Some(&3));
        assert_eq!(pair.seen.malformed, 1);
        settle(&mut pair, 15_000);
    }
}

#[test]
fn steady_loss_makes_no_storm_of_requests() {
    let mut pair = pair(3, &[Channel::Book]);
    let mut n = 0_u32;
    pair.fate = Box::new(move |bytes| {
        let is = text(bytes).contains("prevSeqNum") || text(bytes).contains(r#""update""#);
        n += u32::from(is);
        if is && n.is_multiple_of(10) { Fate::Lose } else { Fate::Arrive }
    });
    pair.run_ms(600_000);
    let asked = count(&pair, r#""req""#) + count(&pair, r#""sub""#);
    println!("{asked} requests, {:?}", pair.seen.gaps);
    // Ten books, ten minutes.
    assert!(asked < 600, "{asked}");
    assert!(pair.seen.closes.is_empty() && pair.seen.refused.is_empty());
    settle(&mut pair, 400_000);
}

#[test]
fn books_heal_after_every_fault_of_the_venue() {
    for seed in 0..6 {
        println!("seed {seed}");
        let mut pair = pair(seed, &[Channel::Book, Channel::OpenInterest, Channel::Status]);
        pair.control(SimControl::RefuseSubscriptions(6));
        pair.control(SimControl::LateSnapshots(4));
        pair.control(SimControl::RateLimit(2));
        pair.run_ms(20_000);
        pair.control(SimControl::LateSnapshots(0));
        pair.control(SimControl::CloseAll);
        pair.run_ms(10_000);
        pair.cut_all();
        settle(&mut pair, 120_000);
        assert!(!pair.seen.refused.is_empty());
        assert!(pair.seen.count(Channel::OpenInterest) > 0 && pair.seen.count(Channel::Status) > 0);
    }
}

#[test]
fn a_late_answer_is_asked_for_again_and_no_gap() {
    for seed in 0..4 {
        let mut pair = pair(seed, &[Channel::Book]);
        pair.run_ms(8_000);
        pair.control(SimControl::LateSnapshots(20));
        pair.cut_all();
        let before = count(&pair, r#""req""#);
        pair.run_ms(4_000);
        pair.control(SimControl::LateSnapshots(0));
        settle(&mut pair, 20_000);
        assert_eq!(pair.seen.gaps.keys().copied().collect::<Vec<_>>(), ["disconnected"]);
        // Three spot books.
        assert!(count(&pair, r#""req""#) > before + 3, "{:?}", pair.sent);
    }
}

#[test]
fn the_engine_may_have_a_book_started_again() {
    for seed in 0..4 {
        let mut pair = pair(seed, &[Channel::Book]);
        pair.run_ms(8_000);
        for instrument in pair.instruments.clone() {
            pair.engine_resync(instrument.id);
        }
        settle(&mut pair, 15_000);
        assert!(pair.seen.closes.is_empty());
    }
}

#[test]
fn whoever_does_not_answer_pings_is_left() {
    let mut pair = pair(2, &[Channel::Book]);
    pair.fate = Box::new(|bytes| if text(bytes).contains("ping") { Fate::Lose } else { Fate::Arrive });
    pair.run_ms(16_000);
    assert!(pair.seen.closes.iter().any(|(_, why)| why.contains("1003")), "{:?}", pair.seen.closes);
    settle(&mut pair, 20_000);
}

#[test]
fn subscriptions_come_and_go_while_the_connection_lives() {
    let mut pair = pair(6, &[Channel::Book, Channel::Quote]);
    pair.run_ms(6_000);
    let btc = |channel: Channel, pair: &Pair| -> Vec<Want> {
        pair.wants(&[channel]).into_iter().filter(|w| &*w.instrument.base == "BTC").collect()
    };
    let books = btc(Channel::Book, &pair);
    pair.seen.keep = true;
    pair.unsubscribe(&books);
    pair.run_ms(3_000);
    assert_eq!(pair.seen.dropped, books.len());
    let late: Vec<_> = pair
        .seen
        .kept
        .iter()
        .filter(|e| e.channel == Channel::Book && &*e.instrument.base == "BTC")
        .filter(|e| !matches!(e.body, Body::Lane(LaneFact::Dropped)))
        .collect();
    assert!(late.is_empty(), "{late:?}");
    for want in &books {
        pair.seen.books.live.remove(&want.instrument.id);
    }
    pair.subscribe(&books);
    let status = pair.wants(&[Channel::Status, Channel::Instruments]);
    pair.subscribe(&status);
    settle(&mut pair, 10_000);
    assert!(pair.seen.gaps.is_empty() && pair.seen.closes.is_empty(), "{:?}", pair.seen.gaps);
    assert!(pair.seen.count(Channel::Status) >= 7);
}
