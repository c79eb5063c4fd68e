//! Sessions against the simulator, under faults of frames, connections and subscriptions.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panic")]

use gate::Gate;
use model::Channel;
use source::pair::{Fate, Pair, START};
use source::{Options, SimControl, SimSetup, Source, Want};

fn setup(seed: u64) -> SimSetup {
    SimSetup { seed, start: START, instruments: 3, moves_per_s: 200, ..SimSetup::default() }
}

fn pair(seed: u64, channels: &[Channel]) -> Pair {
    Pair::new(&Gate, &setup(seed), channels, &Options::default())
}

fn all() -> Vec<Channel> {
    Gate.spec().channels.iter().map(|c| c.channel).collect()
}

fn rest(pair: &mut Pair) {
    pair.fate = Box::new(|_| Fate::Arrive);
    pair.control(SimControl::LateSnapshots(0));
    pair.run_ms(60_000);
    pair.control(SimControl::Pause(true));
    pair.run_ms(5_000);
    pair.assert_books();
}

fn contains(frame: &[u8], word: &str) -> bool {
    frame.windows(word.len()).any(|part| part == word.as_bytes())
}

#[test]
fn without_faults_everything_is_told_and_every_book_is_the_venues() {
    for seed in 1..7 {
        let mut pair = pair(seed, &all());
        pair.run_ms(60_000);
        pair.control(SimControl::Pause(true));
        pair.run_ms(1_000);
        pair.assert_books();
        assert_eq!((pair.seen.gaps.len(), pair.seen.malformed), (0, 0));
        assert_eq!(pair.seen.unknown, Vec::<String>::new());
        assert_eq!((&pair.seen.refused, &pair.seen.closes), (&Vec::new(), &Vec::new()));
        assert!(pair.seen.asked > 0 && pair.seen.asked == pair.seen.acked);
        for channel in all() {
            assert!(pair.seen.count(channel) > 0, "seed {seed}: {}", channel.name());
        }
    }
}

#[test]
fn the_fast_books_of_few_levels_hold_what_the_venue_shows() {
    let options = Options { book_ms: 10, ..Options::default() };
    let mut pair = Pair::new(&Gate, &setup(4), &[Channel::Book], &options);
    pair.run_ms(30_000);
    pair.control(SimControl::Pause(true));
    pair.run_ms(3_000);
    assert_eq!(pair.seen.gaps.len(), 0);
    for truth in pair.sim.books() {
        let held = &pair.seen.books.live[&truth.instrument.id];
        let bids: Vec<_> = held.bids.iter().rev().map(|(px, qty)| (*px, *qty)).collect();
        let asks: Vec<_> = held.asks.iter().map(|(px, qty)| (*px, *qty)).collect();
        let best = |all: &[model::Level]| all.iter().take(20).map(|l| (l.px, l.qty)).collect::<Vec<_>>();
        assert_eq!((bids, asks), (best(&truth.bids), best(&truth.asks)), "{}", truth.instrument.name);
    }
}

#[test]
fn lost_repeated_late_and_cut_frames_are_found_and_healed() {
    for seed in 1..9 {
        let mut pair = pair(seed, &all());
        pair.run_ms(5_000);
        let mut rng = fastrand::Rng::with_seed(seed);
        pair.fate = Box::new(move |_| match rng.u16(0..1_000) {
            0..4 => Fate::Lose,
            4..8 => Fate::Repeat,
            8..12 => Fate::Late,
            12..16 => Fate::Cut,
            _ => Fate::Arrive,
        });
        pair.run_ms(60_000);
        assert!(pair.seen.gaps.values().sum::<usize>() > 3, "{:?}", pair.seen.gaps);
        assert!(pair.seen.malformed > 0);
        rest(&mut pair);
    }
}

#[test]
fn a_hole_in_one_book_starts_that_book_again_and_no_other() {
    let mut pair = pair(1, &[Channel::Book]);
    pair.run_ms(5_000);
    let (before, sent) = (pair.fetched.len(), pair.sent.len());
    let mut done = false;
    pair.fate = Box::new(move |frame| {
        let hit = !done && contains(frame, "spot.order_book_update") && contains(frame, "\"s\":\"BTC_USDT\"");
        done |= hit;
        if hit { Fate::Lose } else { Fate::Arrive }
    });
    pair.run_ms(5_000);
    assert_eq!(pair.seen.gaps.values().sum::<usize>(), 1);
    let asked: Vec<&String> = pair.fetched[before..].iter().map(|(_, path)| path).collect();
    assert!(
        !asked.is_empty() && asked.iter().all(|path| path.contains("spot/order_book?currency_pair=BTC_USDT"))
    );
    assert_eq!(pair.sent.len(), sent, "nothing is subscribed again");
    rest(&mut pair);
}

#[test]
fn a_book_that_is_lost_again_and_again_asks_after_growing_whiles() {
    let mut pair = pair(1, &[Channel::Book]);
    pair.run_ms(3_000);
    let before = pair.fetched.len();
    let mut n = 0;
    pair.fate = Box::new(move |frame| {
        if contains(frame, "spot.order_book_update") && contains(frame, "\"s\":\"BTC_USDT\"") {
            n += 1;
            return if n % 3 == 0 { Fate::Lose } else { Fate::Arrive };
        }
        Fate::Arrive
    });
    pair.run_ms(60_000);
    let asked = pair.fetched.len() - before;
    assert!((5..60).contains(&asked), "{asked} snapshots in a minute");
    rest(&mut pair);
}

#[test]
fn late_and_limited_snapshots_are_asked_for_again_until_one_fits() {
    let mut pair = pair(2, &[Channel::Book]);
    pair.run_ms(5_000);
    pair.cut_all();
    pair.control(SimControl::LateSnapshots(20));
    pair.control(SimControl::RateLimit(3));
    pair.run_ms(10_000);
    assert!(pair.seen.syncing.iter().any(|words| words.contains("429")), "{:?}", pair.seen.syncing);
    assert!(pair.seen.syncing.iter().any(|words| words.contains("older")), "{:?}", pair.seen.syncing);
    rest(&mut pair);
    assert!(pair.seen.gaps.keys().all(|cause| *cause == "disconnected"), "{:?}", pair.seen.gaps);
}

#[test]
fn refused_subscriptions_are_told_and_asked_for_again() {
    let mut pair = pair(3, &[Channel::Book, Channel::Trades]);
    pair.control(SimControl::RefuseSubscriptions(4));
    pair.run_ms(2_000);
    assert!(!pair.seen.refused.is_empty());
    rest(&mut pair);
    assert!(pair.seen.count(Channel::Trades) > 0);
}

#[test]
fn connections_that_end_are_opened_again_and_every_book_with_them() {
    let mut pair = pair(5, &all());
    pair.run_ms(10_000);
    pair.control(SimControl::CloseAll);
    pair.run_ms(10_000);
    assert!(!pair.seen.closes.is_empty());
    pair.cut_all();
    pair.run_ms(10_000);
    assert!(pair.seen.gaps.contains_key("disconnected"));
    rest(&mut pair);
}

#[test]
fn a_silent_market_is_asked_whether_it_is_there_and_answers() {
    let mut pair = pair(6, &[Channel::Trades]);
    pair.run_ms(2_000);
    pair.control(SimControl::Pause(true));
    pair.run_ms(120_000);
    assert!(pair.sent.iter().any(|frame| frame.contains(".ping")));
    assert_eq!(pair.seen.closes, []);
}

#[test]
fn wants_come_and_go_while_the_connection_goes_on() {
    let mut pair = pair(1, &[Channel::Trades]);
    pair.run_ms(5_000);
    let of = |pair: &Pair, channel| -> Vec<Want> {
        pair.wants(&[channel]).into_iter().filter(|w| &*w.instrument.product == "usdt").collect()
    };
    let (mark, index, book) =
        (of(&pair, Channel::MarkPrice), of(&pair, Channel::IndexPrice), of(&pair, Channel::Book));
    pair.subscribe(&mark);
    pair.subscribe(&index);
    pair.subscribe(&book);
    pair.run_ms(5_000);
    for channel in [Channel::MarkPrice, Channel::IndexPrice, Channel::Book] {
        assert!(pair.seen.count(channel) > 0, "{}", channel.name());
    }
    let tickers = |pair: &Pair, event: &str| {
        let hits = |f: &&String| f.contains("futures.tickers") && f.contains(&format!("\"{event}\""));
        pair.sent.iter().filter(hits).count()
    };
    assert!(tickers(&pair, "subscribe") > 0);
    pair.unsubscribe(&mark);
    pair.unsubscribe(&book);
    pair.run_ms(1_000);
    assert_eq!(tickers(&pair, "unsubscribe"), 0, "another lane needs it");
    assert_eq!(pair.seen.dropped, mark.len() + book.len());
    let (marks, indices, books) =
        (pair.seen.count(Channel::MarkPrice), pair.seen.count(Channel::IndexPrice), pair.seen.books.deltas);
    pair.run_ms(5_000);
    assert_eq!((pair.seen.count(Channel::MarkPrice), pair.seen.books.deltas), (marks, books));
    assert!(pair.seen.count(Channel::IndexPrice) > indices);
    pair.unsubscribe(&index);
    pair.run_ms(1_000);
    assert_eq!(tickers(&pair, "unsubscribe"), index.len());
    assert_eq!(pair.seen.gaps.len(), 0);
}

#[test]
fn the_engines_word_starts_a_book_again() {
    let mut pair = pair(2, &[Channel::Book]);
    pair.run_ms(5_000);
    let id = pair.instruments[0].id;
    let before = pair.fetched.len();
    pair.engine_resync(id);
    pair.run_ms(5_000);
    assert_eq!(pair.fetched.len(), before + 1);
    rest(&mut pair);
}
