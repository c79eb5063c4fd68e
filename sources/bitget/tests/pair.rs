//! Sessions and the simulator joined in memory: whatever happens on the way, every book ends as the venue's.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panic")]

use bitget::Bitget;
use model::{Channel, Checksum, Instrument, write_mantissa};
use source::pair::{Fate, Held, Pair, START};
use source::{Fault, Options, SimControl, SimSetup, Want};

fn setup(seed: u64) -> SimSetup {
    SimSetup { seed, start: START, moves_per_s: 200, ..SimSetup::default() }
}

fn pair(seed: u64, channels: &[Channel]) -> Pair {
    let mut pair = Pair::new(&Bitget, &setup(seed), channels, &Options::default());
    pair.seen.verify = Some(verify);
    pair
}

/// CRC-32 over the best 25 levels, bid and ask in turn.
fn verify(held: &Held, instrument: &Instrument, checksum: Checksum) -> bool {
    let mut text = Vec::new();
    let (mut bids, mut asks) = (held.bids.iter().rev(), held.asks.iter());
    for _ in 0..25 {
        for (px, qty) in [bids.next(), asks.next()].into_iter().flatten() {
            if !text.is_empty() {
                text.push(b':');
            }
            write_mantissa(px.0, instrument.px_scale, &mut text);
            text.push(b':');
            write_mantissa(qty.0, instrument.qty_scale, &mut text);
        }
    }
    crc32fast::hash(&text) == checksum.value
}

/// Lets everything settle, then compares.
fn settle(pair: &mut Pair, ms: u64) {
    pair.fate = Box::new(|_| Fate::Arrive);
    // Of a long while the market moves only at the beginning.
    pair.run_ms(ms.min(20_000));
    pair.control(SimControl::Pause(true));
    pair.run_ms(ms.saturating_sub(20_000) + 500);
    pair.assert_books();
}

fn is_update(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    text.contains(r#""action":"update""#) && text.contains(r#""books""#)
}

fn subscribes(pair: &Pair) -> usize {
    pair.sent.iter().filter(|s| s.contains("instType")).count()
}

#[test]
fn an_undisturbed_half_minute_gives_the_venues_books_without_a_gap() {
    for seed in [0, 1, 2, 3, 4, 5, 9, 14] {
        println!("seed {seed}");
        let mut pair = pair(seed, &Channel::ALL);
        pair.run_ms(30_000);
        settle(&mut pair, 0);
        let seen = &pair.seen;
        assert!(seen.gaps.is_empty(), "{:?}", seen.gaps);
        assert_eq!((seen.malformed, &seen.unknown, &seen.closes), (0, &Vec::new(), &Vec::new()));
        // What is polled is asked for and told, and never acknowledged.
        assert!(seen.acked > 0 && seen.acked < seen.asked, "{} of {}", seen.acked, seen.asked);
        assert_eq!(seen.refused, Vec::<String>::new());
        // Zeros at the end of numbers are not kept, so that such checksums are not handed on.
        assert_eq!(seen.checksums > 0, seed % 4 == 1 && seed % 8 != 5);
        for spec in source::Source::spec(&Bitget).channels {
            let rare = matches!(spec.channel, Channel::Instruments);
            assert!(rare || seen.count(spec.channel) > 0, "{}", spec.channel.name());
        }
        assert!(!seen.trades.is_empty());
        for (lane, ids) in seen.numbers() {
            assert_eq!(ids.len(), seen.trades[&lane].len());
            assert!(ids.windows(2).all(|w| w[1] > w[0]), "trades come in order, none twice");
        }
    }
}

#[test]
fn a_fast_book_comes_by_v3_and_is_the_venues() {
    for seed in [1, 3, 4] {
        let options = Options { book_ms: 20, bar_interval: "5m".to_owned(), ..Options::default() };
        let mut pair = Pair::new(&Bitget, &setup(seed), &Channel::ALL, &options);
        pair.seen.verify = Some(verify);
        pair.run_ms(10_000);
        assert!(pair.sent.iter().any(|s| s.contains(r#""topic":"books""#)));
        assert!(!pair.sent.iter().any(|s| s.contains(r#""channel":"books""#)));
        settle(&mut pair, 0);
        assert!(pair.seen.gaps.is_empty() && pair.seen.unknown.is_empty());
    }
}

#[test]
fn a_lost_repeated_or_cut_update_is_a_gap_of_that_book_alone_and_heals() {
    for fate in [Fate::Lose, Fate::Repeat, Fate::Late, Fate::Cut] {
        for seed in 0..8 {
            println!("seed {seed}, {fate:?}");
            let mut pair = pair(seed, &[Channel::Book, Channel::Trades]);
            pair.run_ms(3_000);
            let (before, mut count) = (subscribes(&pair), 0);
            pair.fate = Box::new(move |bytes| {
                count += u32::from(is_update(bytes));
                if is_update(bytes) && count == 5 { fate } else { Fate::Arrive }
            });
            pair.run_ms(2_000);
            settle(&mut pair, 15_000);
            let gaps: usize = pair.seen.gaps.values().sum();
            // A swap across two books does no harm.
            assert!(gaps == 1 || fate == Fate::Late, "{:?}", pair.seen.gaps);
            assert_eq!(pair.seen.malformed, usize::from(fate == Fate::Cut));
            assert_eq!(subscribes(&pair), before + 2 * gaps, "{:?}", pair.sent);
        }
    }
}

#[test]
fn steady_loss_makes_no_storm_of_requests() {
    let mut pair = pair(3, &[Channel::Book]);
    let mut count = 0_u32;
    pair.fate = Box::new(move |bytes| {
        count += u32::from(is_update(bytes));
        if is_update(bytes) && count.is_multiple_of(10) { Fate::Lose } else { Fate::Arrive }
    });
    pair.run_ms(600_000);
    println!("{} requests, {:?}", subscribes(&pair), pair.seen.gaps);
    assert!(subscribes(&pair) < 300);
    assert!(pair.seen.closes.is_empty() && pair.seen.refused.is_empty());
    settle(&mut pair, 1_500_000);
}

#[test]
fn a_silent_venue_is_pinged_then_left() {
    let mut pair = pair(2, &[Channel::Book]);
    pair.run_ms(3_000);
    pair.fate = Box::new(|_| Fate::Lose);
    pair.run_ms(34_000);
    assert!(pair.sent.iter().any(|s| s == "ping"));
    assert_eq!(pair.seen.closes.len(), 1);
    assert_eq!(pair.seen.closes[0].0, Fault::Stale);
    assert_eq!(pair.seen.gaps.get("disconnected"), Some(&pair.sim.books().len()));
    settle(&mut pair, 20_000);
}

#[test]
fn pings_keep_a_connection_for_an_hour() {
    let mut pair = pair(2, &[Channel::Trades]);
    pair.control(SimControl::Pause(true));
    pair.run_ms(3_600_000);
    assert_eq!(pair.seen.closes, Vec::new());
    assert!(pair.sent.iter().filter(|s| *s == "ping").count() >= 100);
}

#[test]
fn the_end_of_a_connection_loses_no_book_for_good() {
    let lived = SimSetup { lifetime_ms: Some(20_000), ..setup(6) };
    let mut pair = Pair::new(&Bitget, &lived, &[Channel::Book], &Options::default());
    pair.run_ms(30_000);
    assert_eq!(pair.seen.closes.len(), 1);
    pair.control(SimControl::CloseAll);
    assert_eq!(pair.seen.closes.len(), 2);
    settle(&mut pair, 5_000);
    pair.cut_all();
    pair.control(SimControl::Pause(false));
    settle(&mut pair, 5_000);
}

#[test]
fn refused_and_silent_lanes_are_asked_for_again_later() {
    let mut pair = pair(4, &[Channel::Book, Channel::Trades]);
    pair.control(SimControl::RefuseSubscriptions(6));
    pair.run_ms(9_000);
    assert_eq!(pair.seen.refused.len(), 3);
    assert!(pair.seen.refused[0].starts_with("30001: instType:"), "{:?}", pair.seen.refused);
    assert!(pair.seen.books.live.len() < pair.sim.books().len());
    settle(&mut pair, 60_000);
    assert!(pair.seen.gaps.is_empty(), "{:?}", pair.seen.gaps);
}

#[test]
fn a_venue_that_starts_its_books_again_is_followed() {
    let mut pair = pair(7_777, &[Channel::Book]);
    pair.run_ms(60_000);
    assert!(pair.seen.gaps.get("venue_reset").is_some_and(|gaps| *gaps > 0), "{:?}", pair.seen.gaps);
    pair.control(SimControl::Pause(true));
    pair.run_ms(400_000);
    pair.assert_books();
}

#[test]
fn the_engine_may_order_a_new_start_of_one_book() {
    let mut pair = pair(9, &[Channel::Book]);
    pair.run_ms(3_000);
    let (id, before) = (pair.sim.books()[0].instrument.id, subscribes(&pair));
    pair.engine_resync(id);
    settle(&mut pair, 2_000);
    assert!(pair.seen.gaps.is_empty());
    assert_eq!(subscribes(&pair), before + 2);
}

#[test]
fn what_is_wanted_later_comes_and_what_is_not_wanted_any_more_goes_while_the_rest_runs_on() {
    let mut pair = pair(3, &[Channel::Book, Channel::MarkPrice]);
    pair.run_ms(3_000);
    let more = pair.wants(&[Channel::Trades, Channel::IndexPrice]);
    let before = pair.sent.len();
    pair.subscribe(&more);
    pair.run_ms(5_000);
    // Index prices share the topic of mark prices, which is subscribed to already.
    assert!(pair.seen.count(Channel::Trades) > 0 && pair.seen.count(Channel::IndexPrice) > 0);
    assert!(!pair.sent[before..].iter().any(|s| s.contains("ticker")), "{:?}", &pair.sent[before..]);
    let before = pair.sent.len();
    let marks = pair.wants(&[Channel::MarkPrice]);
    pair.unsubscribe(&marks);
    let marked = pair.seen.count(Channel::MarkPrice);
    pair.run_ms(5_000);
    assert_eq!(pair.seen.count(Channel::MarkPrice), marked);
    assert!(!pair.sent[before..].iter().any(|s| s.contains("ticker")));
    let mut gone = pair.wants(&[Channel::IndexPrice]);
    let book: Want = pair.wants(&[Channel::Book]).remove(0);
    gone.push(book.clone());
    pair.unsubscribe(&gone);
    let told = pair.seen.count(Channel::IndexPrice);
    assert!(pair.sent.iter().any(|s| s.contains("unsubscribe") && s.contains("ticker")));
    assert!(pair.seen.dropped > 0);
    settle(&mut pair, 5_000);
    assert_eq!(pair.seen.count(Channel::IndexPrice), told);
    pair.control(SimControl::Pause(false));
    pair.subscribe(&[book]);
    settle(&mut pair, 3_000);
    assert!(pair.seen.gaps.is_empty(), "{:?}", pair.seen.gaps);
}

#[test]
fn late_snapshots_only_delay_the_start() {
    for seed in [2, 7] {
        let mut pair = pair(seed, &[Channel::Book]);
        pair.run_ms(5_000);
        pair.control(SimControl::LateSnapshots(10));
        pair.control(SimControl::CloseAll);
        settle(&mut pair, 10_000);
        assert_eq!(pair.seen.gaps.get("disconnected"), Some(&pair.sim.books().len()));
    }
}

#[test]
fn limited_rest_delays_polling_and_no_more() {
    let mut pair = pair(2, &[Channel::LongShortRatio, Channel::Status]);
    pair.control(SimControl::RateLimit(7));
    pair.run_ms(4_000);
    assert_eq!(pair.seen.count(Channel::LongShortRatio), 0);
    pair.run_ms(60_000);
    let ratios = pair.seen.count(Channel::LongShortRatio);
    assert!(ratios > 0);
    assert_eq!(pair.seen.count(Channel::Status), pair.instruments.len());
    pair.run_ms(600_000);
    assert_eq!(pair.seen.count(Channel::LongShortRatio), 3 * ratios);
    assert_eq!(pair.seen.count(Channel::Status), pair.instruments.len());
}

#[test]
fn any_mix_of_faults_ends_with_the_venues_books() {
    for seed in [11, 13, 21, 42] {
        println!("seed {seed}");
        let mut pair = pair(seed, &[Channel::Book, Channel::Trades, Channel::Quote]);
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        pair.fate = Box::new(move |bytes| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            match state % 800 {
                _ if bytes == b"pong" => Fate::Arrive,
                0 => Fate::Lose,
                1 => Fate::Repeat,
                2 => Fate::Cut,
                3 => Fate::Late,
                _ => Fate::Arrive,
            }
        });
        for step in 0..6 {
            pair.run_ms(5_000);
            match (seed + step) % 7 {
                0 => pair.control(SimControl::LateSnapshots(step as u32 * 3)),
                1 => pair.control(SimControl::RefuseSubscriptions(4)),
                2 => pair.control(SimControl::RateLimit(3)),
                3 => pair.control(SimControl::CloseAll),
                _ => {}
            }
        }
        pair.control(SimControl::LateSnapshots(0));
        pair.control(SimControl::RefuseSubscriptions(0));
        settle(&mut pair, 400_000);
    }
}
