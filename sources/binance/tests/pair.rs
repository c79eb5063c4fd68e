//! Session and simulator joined in memory: whatever happens on the way, every book ends as the venue's.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use binance::Binance;
use model::{Body, Channel, Decimal};
use source::pair::{Fate, Pair, START};
use source::{Fault, Options, SimControl, SimSetup, Source};

const ALL: &[Channel] = &Channel::ALL;
const BOOK: &[Channel] = &[Channel::Book];

fn setup(seed: u64) -> SimSetup {
    SimSetup { seed, start: START, moves_per_s: 200, ..SimSetup::default() }
}

fn pair(seed: u64, channels: &[Channel]) -> Pair {
    Pair::new(&Binance, &setup(seed), channels, &Options::default())
}

/// Lets everything settle, then compares.
fn settle(pair: &mut Pair, ms: u64) {
    pair.fate = Box::new(|_| Fate::Arrive);
    pair.control(SimControl::LateSnapshots(0));
    pair.run_ms(ms);
    pair.control(SimControl::Pause(true));
    pair.run_ms(500);
    pair.assert_books();
}

fn is_delta(bytes: &[u8]) -> bool {
    String::from_utf8_lossy(bytes).contains("@depth@")
}

#[test]
fn an_undisturbed_half_minute_gives_the_venues_books_without_a_gap() {
    for seed in 0..6 {
        let mut pair = pair(seed, ALL);
        pair.run_ms(30_000);
        settle(&mut pair, 0);
        let seen = &pair.seen;
        assert_eq!(seen.gaps.len(), 0, "seed {seed}: {:?}", seen.gaps);
        assert_eq!((seen.malformed, &seen.unknown, &seen.closes), (0, &Vec::new(), &Vec::new()));
        assert_eq!(seen.refused, Vec::<String>::new());
        assert!(seen.pings > 0 && seen.acked >= seen.asked);
        for (product, futures) in [("spot", false), ("usdm", true), ("coinm", true)] {
            for channel in Channel::ALL {
                let derivative = matches!(
                    channel,
                    Channel::MarkPrice
                        | Channel::IndexPrice
                        | Channel::Funding
                        | Channel::OpenInterest
                        | Channel::LongShortRatio
                );
                let rare = matches!(channel, Channel::Liquidations | Channel::Instruments);
                let known = Binance.spec().channel(channel).is_some() && channel != Channel::Instruments;
                let offered = known && (!derivative || futures);
                let fed = seen.events.contains_key(&(product.to_owned(), channel));
                assert!(fed == offered || rare, "seed {seed}: {product} {} {fed}", channel.name());
            }
        }
        for ((_, channel), ids) in seen.numbers() {
            assert!(ids.windows(2).all(|w| w[1] > w[0]), "seed {seed}: {}", channel.name());
        }
    }
}

#[test]
fn each_ratio_that_the_venue_counts_is_told_once_and_as_it_is() {
    let mut pair = pair(3, &[Channel::LongShortRatio]);
    pair.seen.keep = true;
    pair.run_ms(950_000);
    for (endpoint, product, symbol, query) in
        [(1, "usdm", "BTCUSDT", "symbol=BTCUSDT"), (2, "coinm", "BTCUSD_PERP", "pair=BTCUSD")]
    {
        let path = format!("/futures/data/globalLongShortAccountRatio?{query}&period=5m&limit=4");
        let rows: serde_json::Value = serde_json::from_slice(&pair.request(endpoint, &path).body).unwrap();
        let number =
            |row: &serde_json::Value, key: &str| Decimal::parse(row[key].as_str().unwrap().as_bytes()).ok();
        let row = |row: &serde_json::Value| {
            let shares = ["longShortRatio", "longAccount", "shortAccount"].map(|key| number(row, key));
            (row["timestamp"].as_i64().unwrap(), shares)
        };
        let venues: Vec<_> = rows.as_array().unwrap().iter().map(row).collect();
        assert!(venues.windows(2).all(|w| w[1].0 == w[0].0 + 300_000 && w[1].1 != w[0].1), "{venues:?}");
        let told = pair.seen.kept.iter().filter_map(|event| match &event.body {
            Body::LongShortRatio(r) if *event.instrument.symbol == *symbol => {
                assert_eq!((&*event.instrument.product, &*r.of, &*r.interval), (product, "accounts", "5m"));
                Some((event.stamp.ts_event.unwrap().as_ms(), [r.ratio, r.long, r.short]))
            }
            _ => None,
        });
        assert_eq!(told.collect::<Vec<_>>(), venues, "{product}");
    }
    let dated = |i: &model::Instrument| i.expiry.is_some();
    assert!(!pair.seen.kept.iter().any(|e| dated(&e.instrument)), "the pair's ratio is its perpetual's");
}

#[test]
fn every_speed_gives_the_venues_books() {
    for book_ms in [0, 100, 250, 500, 1_000] {
        let options = Options { book_ms, ..Options::default() };
        let mut pair = Pair::new(&Binance, &setup(book_ms.into()), BOOK, &options);
        pair.run_ms(10_000);
        settle(&mut pair, 2_000);
        assert!(pair.seen.gaps.is_empty(), "{book_ms}: {:?}", pair.seen.gaps);
    }
}

#[test]
fn a_lost_repeated_swapped_or_cut_change_heals_on_the_same_connection() {
    for fate in [Fate::Lose, Fate::Repeat, Fate::Late, Fate::Cut] {
        for seed in 0..8 {
            let mut pair = pair(seed, &[Channel::Book, Channel::Trades]);
            pair.run_ms(3_000);
            let sent = pair.sent.len();
            let mut count = 0;
            pair.fate = Box::new(move |bytes| {
                count += u32::from(is_delta(bytes));
                if is_delta(bytes) && count == 5 { fate } else { Fate::Arrive }
            });
            pair.run_ms(2_000);
            settle(&mut pair, 3_000);
            let gaps: usize = pair.seen.gaps.values().sum();
            let expected = match fate {
                Fate::Lose | Fate::Cut => gaps == 1,
                // A swap across two books does no harm.
                Fate::Late => gaps <= 1,
                Fate::Repeat | Fate::Arrive => gaps == 0,
            };
            assert!(expected, "seed {seed}, {fate:?}: {:?}", pair.seen.gaps);
            assert_eq!(pair.seen.malformed, usize::from(fate == Fate::Cut));
            assert_eq!((pair.sent.len(), pair.seen.closes.len()), (sent, 0), "nothing is subscribed again");
        }
    }
}

#[test]
fn late_snapshots_are_asked_for_again_without_a_storm() {
    for seed in 0..4 {
        let mut pair = pair(seed, BOOK);
        pair.run_ms(3_000);
        let before = pair.fetched.len();
        pair.control(SimControl::LateSnapshots(40));
        pair.control(SimControl::CloseAll);
        pair.run_ms(5_000);
        let asked = pair.fetched.len() - before;
        assert!(pair.seen.syncing.iter().any(|w| w.contains("older")), "{:?}", pair.seen.syncing);
        assert!(asked < pair.sim.books().len() * 7, "{asked} requests");
        settle(&mut pair, 35_000);
        assert_eq!(pair.seen.gaps.get("sequence"), None);
    }
}

#[test]
fn a_rate_limit_is_waited_for() {
    let mut pair = pair(3, BOOK);
    pair.control(SimControl::RateLimit(5));
    pair.run_ms(1_000);
    let limited = pair.seen.syncing.iter().filter(|w| w.contains("429")).count();
    assert_eq!(limited, 5, "{:?}", pair.seen.syncing);
    settle(&mut pair, 10_000);
    for (_, path) in &pair.fetched {
        let times: Vec<_> = pair.fetched.iter().filter(|(_, p)| p == path).map(|(at, _)| *at).collect();
        assert!(times.len() == 1 || times[1].ms_since(times[0]) >= 2_000, "{path}: {times:?}");
    }
}

#[test]
fn a_connection_that_is_told_to_go_goes_and_comes_back() {
    let setup = SimSetup { lifetime_ms: Some(60_000), ..setup(5) };
    let mut pair = Pair::new(&Binance, &setup, ALL, &Options::default());
    pair.run_ms(59_000);
    assert!(!pair.seen.closes.is_empty());
    assert!(pair.seen.closes.iter().all(|(fault, _)| *fault == Fault::Planned), "{:?}", pair.seen.closes);
    settle(&mut pair, 10_000);
    let mut pair = Pair::new(&Binance, &setup, BOOK, &Options::default());
    pair.run_ms(5_000);
    pair.control(SimControl::CloseAll);
    settle(&mut pair, 10_000);
    assert_eq!(pair.seen.gaps.get("disconnected"), Some(&pair.sim.books().len()));
}

#[test]
fn a_client_that_answers_no_ping_is_closed() {
    let mut pair = pair(2, &[Channel::Trades]);
    pair.pongs = false;
    pair.run_ms(85_000);
    assert!(pair.seen.closes.iter().any(|(_, why)| why.starts_with("venue: 1008")), "{:?}", pair.seen.closes);
}

#[test]
fn a_refused_subscription_is_told_and_asked_for_again() {
    let mut pair = pair(4, BOOK);
    pair.control(SimControl::RefuseSubscriptions(3));
    pair.run_ms(2_000);
    assert_eq!(pair.seen.refused.len(), pair.sim.books().len(), "{:?}", pair.seen.refused);
    settle(&mut pair, 20_000);
    assert_eq!(pair.seen.acked, pair.sim.books().len());
}

#[test]
fn the_engines_doubt_starts_a_book_again_without_a_second_gap() {
    let mut pair = pair(6, BOOK);
    pair.run_ms(3_000);
    let books = pair.sim.books();
    pair.engine_resync(books[0].instrument.id);
    pair.engine_resync(books[5].instrument.id);
    pair.run_ms(5_000);
    settle(&mut pair, 0);
    assert!(pair.seen.gaps.is_empty());
    assert_eq!(pair.fetched.len(), books.len() + 2);
}

#[test]
fn a_still_market_has_books_after_a_while() {
    let mut pair = pair(7, BOOK);
    pair.control(SimControl::Pause(true));
    pair.run_ms(4_000);
    assert_eq!(pair.right_books(), 0);
    pair.run_ms(4_000);
    pair.assert_books();
    pair.control(SimControl::Pause(false));
    settle(&mut pair, 5_000);
    assert!(pair.seen.gaps.is_empty());
}

#[test]
fn whatever_happens_every_book_ends_as_the_venues() {
    for seed in 0..12 {
        let mut pair = pair(seed, &[Channel::Book, Channel::Quote, Channel::Trades, Channel::DayStats]);
        let mut rng = fastrand::Rng::with_seed(seed);
        pair.fate = Box::new(move |_| match rng.u32(0..400) {
            0 => Fate::Lose,
            1 => Fate::Repeat,
            2 => Fate::Late,
            3 => Fate::Cut,
            _ => Fate::Arrive,
        });
        for control in [
            SimControl::LateSnapshots(30),
            SimControl::RateLimit(4),
            SimControl::CloseAll,
            SimControl::RefuseSubscriptions(2),
            SimControl::LateSnapshots(0),
            SimControl::CloseAll,
        ] {
            pair.run_ms(5_000);
            pair.control(control);
        }
        pair.run_ms(5_000);
        settle(&mut pair, 40_000);
        println!("seed {seed}: {:?}, {} malformed", pair.seen.gaps, pair.seen.malformed);
    }
}
