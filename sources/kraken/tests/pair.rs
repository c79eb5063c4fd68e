//! Sessions against the simulator, under faults of frames, connections and subscriptions.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panic")]

use book::{Book, Checksummer};
use kraken::Kraken;
use model::{Channel, Checksum, Instrument, Level, Levels, Snapshot};
use source::pair::{Fate, Held, Pair, START};
use source::{Options, SimControl, SimSetup, Source, Want};

fn setup(seed: u64) -> SimSetup {
    SimSetup { seed, start: START, instruments: 4, moves_per_s: 200, ..SimSetup::default() }
}

fn verify(held: &Held, instrument: &Instrument, sum: Checksum) -> bool {
    let level = |(px, qty): (&model::Px, &model::Qty)| Level { px: *px, qty: *qty };
    let bids: Vec<Level> = held.bids.iter().rev().map(level).collect();
    let asks: Vec<Level> = held.asks.iter().map(level).collect();
    assert!(bids.len() <= 10 && asks.len() <= 10, "cut to the depth");
    let mut book = Book::default();
    let levels = Levels::from_sides(&bids, &asks);
    book.reset(&Snapshot { seq: None, levels, checksum: None, epoch: 0 });
    Checksummer::default().of(&book, sum.kind, instrument.px_scale, instrument.qty_scale) == sum.value
}

fn pair(seed: u64, channels: &[Channel]) -> Pair {
    let mut pair = Pair::new(&Kraken, &setup(seed), channels, &Options::default());
    pair.seen.verify = Some(verify);
    pair
}

fn all() -> Vec<Channel> {
    Kraken.spec().channels.iter().map(|c| c.channel).collect()
}

fn rest(pair: &mut Pair) {
    pair.fate = Box::new(|_| Fate::Arrive);
    pair.run_ms(60_000);
    pair.control(SimControl::Pause(true));
    pair.run_ms(2_000);
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
        let seen = &pair.seen;
        assert_eq!((seen.gaps.len(), seen.malformed, seen.closes.len()), (0, 0, 0));
        assert_eq!((&seen.unknown, &seen.refused), (&Vec::new(), &Vec::new()));
        assert!(seen.asked > 0 && seen.asked == seen.acked);
        assert!(seen.checksums > 1_000);
        for channel in all() {
            assert!(seen.count(channel) > 0, "seed {seed}: {}", channel.name());
        }
        for (lane, ids) in seen.numbers().filter(|((_, channel), _)| *channel == Channel::Trades) {
            assert!(ids.windows(2).all(|w| w[1] == w[0] + 1), "{lane:?}: trades count by one");
        }
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
        pair.run_ms(30_000);
        rest(&mut pair);
        assert!(pair.seen.malformed > 0 && pair.seen.gaps.values().sum::<usize>() > 2);
    }
}

#[test]
fn one_lost_change_is_one_gap_of_that_book_alone() {
    for (symbol, cause) in [("\"ETH/USD\"", "checksum"), ("\"PF_ETHUSD\"", "sequence")] {
        let mut found = 0;
        for seed in 1..7 {
            let mut pair = pair(seed, &[Channel::Book]);
            pair.run_ms(5_000);
            let frames = pair.sent.len();
            let mut lost = false;
            pair.fate = Box::new(move |frame| {
                let change = contains(frame, "\"update\"") || contains(frame, "\"feed\":\"book\"");
                let hit = !lost && change && contains(frame, symbol);
                lost |= hit;
                if hit { Fate::Lose } else { Fate::Arrive }
            });
            pair.run_ms(5_000);
            rest(&mut pair);
            assert_eq!(pair.seen.closes.len(), 0, "the connection goes on");
            let kept = |s: &&String| s.contains("subscribe") && !s.contains("heartbeat");
            let again: Vec<&String> = pair.sent[frames..].iter().filter(kept).collect();
            let gaps: Vec<_> = pair.seen.gaps.iter().collect();
            // The next change of the very same level makes good a lost one that had no number.
            assert!(gaps.is_empty() || gaps == [(&cause, &1)], "{gaps:?}");
            assert_eq!(again.len(), 2 * gaps.len(), "{again:?}");
            assert!(again.iter().all(|s| s.contains(symbol) && !s.contains("BTC") && !s.contains("XBT")));
            found += gaps.len();
        }
        assert!(found >= 4, "{symbol}: {found} of six");
    }
}

#[test]
fn steady_loss_makes_no_storm_of_requests() {
    let mut pair = pair(3, &[Channel::Book]);
    pair.run_ms(1_000);
    let before = pair.sent.len();
    let mut n = 0_u32;
    pair.fate = Box::new(move |frame| {
        n += u32::from(contains(frame, "update") || contains(frame, "\"feed\":\"book\""));
        if n.is_multiple_of(10) { Fate::Lose } else { Fate::Arrive }
    });
    pair.run_ms(300_000);
    let sent = pair.sent.len() - before;
    // Eight books with a pause of up to 64 s between two starts, two frames each, and a sign of life each 25 s.
    assert!(sent < 260, "{sent} frames in five minutes");
    rest(&mut pair);
}

#[test]
fn a_damaged_frame_without_a_name_harms_every_book_of_its_connection_and_no_other() {
    let mut pair = pair(2, &[Channel::Book]);
    pair.run_ms(3_000);
    let mut done = false;
    pair.fate = Box::new(move |frame| {
        let hit = !done && frame.starts_with(b"{\"channel\":\"heartbeat");
        done |= hit;
        if hit { Fate::Cut } else { Fate::Arrive }
    });
    pair.control(SimControl::Pause(true));
    pair.run_ms(5_000);
    pair.control(SimControl::Pause(false));
    rest(&mut pair);
    assert_eq!(pair.seen.malformed, 1);
    assert_eq!(
        pair.seen.gaps.get("malformed"),
        Some(&4),
        "the pairs, not the contracts: {:?}",
        pair.seen.gaps
    );
}

#[test]
fn refusals_are_told_and_asked_again() {
    for seed in 1..4 {
        let mut pair = pair(seed, &all());
        pair.control(SimControl::RefuseSubscriptions(12));
        pair.run_ms(20_000);
        assert!(pair.seen.refused.len() >= 12, "{:?}", pair.seen.refused);
        assert!(pair.seen.refused.iter().any(|w| w == "EService:Unavailable"));
        pair.run_ms(120_000);
        rest(&mut pair);
        for channel in all() {
            assert!(pair.seen.count(channel) > 0, "{}", channel.name());
        }
    }
}

#[test]
fn more_is_wanted_and_less_while_the_connection_goes_on() {
    let mut pair = pair(6, &[Channel::Quote]);
    pair.run_ms(3_000);
    let of = |pair: &Pair, symbol: &str, channel| {
        let found = pair.instruments.iter().find(|i| &*i.symbol == symbol).unwrap();
        Want { instrument: found.clone(), channel }
    };
    let books = [of(&pair, "BTC/USD", Channel::Book), of(&pair, "PF_XBTUSD", Channel::Book)];
    let stats = [of(&pair, "BTC/USD", Channel::DayStats), of(&pair, "PF_XBTUSD", Channel::MarkPrice)];
    let frames = pair.sent.len();
    pair.subscribe(&stats);
    assert_eq!(pair.sent.len(), frames, "the tickers are there already");
    pair.subscribe(&books);
    assert_eq!(pair.sent.len(), frames + 2);
    pair.run_ms(5_000);
    assert!(pair.seen.count(Channel::DayStats) > 0 && pair.seen.count(Channel::MarkPrice) > 0);
    pair.control(SimControl::Pause(true));
    pair.run_ms(100);
    pair.assert_books();
    pair.control(SimControl::Pause(false));
    let frames = pair.sent.len();
    pair.unsubscribe(&stats);
    assert_eq!((pair.sent.len(), pair.seen.dropped), (frames, 2), "the quotes still need the tickers");
    pair.unsubscribe(&books);
    assert_eq!((pair.sent.len(), pair.seen.dropped), (frames + 2, 4));
    pair.run_ms(200);
    let (stats, deltas) = (pair.seen.count(Channel::DayStats), pair.seen.books.deltas);
    pair.run_ms(5_000);
    assert_eq!((pair.seen.count(Channel::DayStats), pair.seen.books.deltas), (stats, deltas));
    pair.assert_books();
    assert_eq!((pair.seen.closes.len(), pair.seen.gaps.len(), pair.seen.refused.len()), (0, 0, 0));
}

#[test]
fn a_lost_connection_is_a_gap_of_each_live_book_and_what_was_dropped_stays_dropped() {
    let mut pair = pair(7, &[Channel::Book, Channel::Trades]);
    pair.run_ms(4_000);
    let gone: Vec<Want> =
        pair.wants(&[Channel::Book]).into_iter().filter(|w| w.instrument.symbol.contains("ETH")).collect();
    assert_eq!(gone.len(), 2);
    pair.unsubscribe(&gone);
    pair.cut_all();
    rest(&mut pair);
    assert_eq!(pair.seen.gaps.get("disconnected"), Some(&6));
}

#[test]
fn a_silent_venue_is_left_and_pings_are_answered() {
    let options = Options::default();
    let setup = SimSetup { ping_ms: Some(5_000), lifetime_ms: Some(90_000), ..setup(8) };
    let mut pair = Pair::new(&Kraken, &setup, &[Channel::Book], &options);
    pair.run_ms(60_000);
    assert!(pair.seen.pings >= 20 && pair.seen.closes.is_empty());
    pair.run_ms(60_000);
    assert!(pair.seen.closes.iter().any(|(_, why)| why.starts_with("venue: 1001")), "{:?}", pair.seen.closes);
    let closes = pair.seen.closes.len();
    pair.fate = Box::new(|_| Fate::Lose);
    pair.run_ms(20_000);
    assert!(pair.seen.closes.len() > closes);
    let stale = pair
        .seen
        .closes
        .iter()
        .any(|(fault, why)| *fault == source::Fault::Stale && why.contains("nothing came"));
    assert!(stale, "{:?}", pair.seen.closes);
}

#[test]
fn the_engine_may_ask_for_a_new_start_of_one_book() {
    let mut pair = pair(9, &[Channel::Book]);
    pair.run_ms(3_000);
    let ids: Vec<_> = pair.instruments.iter().map(|i| i.id).collect();
    let snapshots = pair.seen.books.snapshots;
    for id in ids {
        pair.engine_resync(id);
    }
    rest(&mut pair);
    assert_eq!(pair.seen.books.snapshots, snapshots + 8);
    assert!(pair.seen.gaps.is_empty());
}

/// The key of a subscription, and whether a client that starts there misses nothing.
type Expected = Option<(&'static str, bool)>;

#[test]
fn in_front_of_a_recording_any_symbol_is_acknowledged_and_named() {
    let setup = SimSetup { tape: true, ..setup(1) };
    let mut pair =
        Pair::new(&Kraken, &setup, &[Channel::Book, Channel::Trades, Channel::Bars], &Options::default());
    pair.run_ms(3_000);
    let keys: Vec<&str> = pair.seen.topics.iter().map(|(_, key)| key.as_str()).collect();
    for key in ["book/BTC/USD", "trade/BTC/USD", "ohlc-1/BTC/USD", "book/PF_XBTUSD", "trade/PF_XBTUSD"] {
        assert!(keys.contains(&key), "{keys:?}");
    }
    assert_eq!(pair.seen.books.snapshots, 0, "no data of its own");
    let frames: [(usize, &str, Expected); 9] = [
        (
            0,
            r#"{"channel":"book","type":"update","data":[{"symbol":"BTC/USD","bids":[],"asks":[],"checksum":1}]}"#,
            Some(("book/BTC/USD", false)),
        ),
        (
            0,
            r#"{"channel":"book","type":"snapshot","data":[{"symbol":"BTC/USD"}]}"#,
            Some(("book/BTC/USD", true)),
        ),
        (
            0,
            r#"{"channel":"ohlc","type":"update","data":[{"interval":5,"symbol":"BTC/USD"}]}"#,
            Some(("ohlc-5/BTC/USD", true)),
        ),
        (0, r#"{"channel":"heartbeat"}"#, None),
        (
            0,
            r#"[320,{"as":[["1.0","1.0","1.0"]],"bs":[]},"book-1000","XBT/USD"]"#,
            Some(("book/BTC/USD", true)),
        ),
        (
            0,
            r#"[320,{"b":[["1.0","1.0","1.0"]],"c":"1"},"book-1000","XBT/USD"]"#,
            Some(("book/BTC/USD", false)),
        ),
        (1, r#"{"feed":"book_snapshot","product_id":"PF_XBTUSD","seq":1}"#, Some(("book/PF_XBTUSD", true))),
        (1, r#"{"feed":"book","product_id":"PF_XBTUSD","seq":2}"#, Some(("book/PF_XBTUSD", false))),
        (1, r#"{"event":"subscribed","feed":"book","product_ids":["PF_XBTUSD"]}"#, None),
    ];
    for (endpoint, frame, expected) in frames {
        let found = pair.sim.topic(endpoint, frame.as_bytes());
        let found = found.as_ref().map(|t| (t.key.as_str(), t.fresh));
        assert_eq!(found, expected, "{frame}");
    }
}
