//! Definitions that change while they trade: ticks, status, listing, delisting; and the streams of all instruments.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use binance::Binance;
use model::{Body, Channel, Decimal, Event, Status};
use source::pair::{Pair, START};
use source::{Action, Input, Options, Peer, Shard, SimAction, SimControl, SimInput, SimSetup, Source};
use std::collections::{BTreeMap, BTreeSet};

fn setup(seed: u64) -> SimSetup {
    SimSetup { seed, start: START, moves_per_s: 200, ..SimSetup::default() }
}

fn pair(seed: u64, channels: &[Channel]) -> Pair {
    let mut pair = Pair::new(&Binance, &setup(seed), channels, &Options::default());
    pair.seen.keep = true;
    pair
}

fn settle(pair: &mut Pair) {
    pair.control(SimControl::Pause(true));
    pair.run_ms(500);
    pair.assert_books();
    pair.control(SimControl::Pause(false));
}

/// What was told of each instrument's status, with when, in ms since the opening.
fn statuses(pair: &Pair) -> BTreeMap<String, Vec<(i64, Status)>> {
    let mut all: BTreeMap<String, Vec<(i64, Status)>> = BTreeMap::new();
    for event in &pair.seen.kept {
        if let Body::Status(status) = &event.body {
            let told = (event.stamp.ts_recv.ms_since(START), status.clone());
            all.entry(event.instrument.name.to_string()).or_default().push(told);
        }
    }
    all
}

fn words(told: &[(i64, Status)]) -> Vec<Status> {
    told.iter().map(|(_, status)| status.clone()).collect()
}

#[test]
fn a_status_is_told_at_the_beginning_and_where_it_changes() {
    use Status::{Halted, Trading};
    let mut pair = pair(3, &[Channel::Status]);
    pair.run_ms(70_000);
    let told = statuses(&pair);
    assert_eq!((told.len(), pair.seen.acked), (pair.instruments.len(), pair.instruments.len()));
    for suspended in ["BTC/USDT:USDT-261225@binance", "BTC/USD:BTC-261225@binance"] {
        assert_eq!(words(&told[suspended]), [Trading, Halted, Trading], "{suspended}");
        let at: Vec<i64> = told[suspended].iter().map(|(at, _)| *at).collect();
        assert_eq!(at[1..], [20_000, 65_000], "the stream tells it at once");
    }
    // Of spot the listing tells, which is read each minute.
    let (spot, others) = ("SOL/USDT@binance", ["BTC/USDT@binance", "BTC/USDT:USDT@binance"]);
    assert_eq!(words(&told[spot]), [Trading, Halted]);
    assert!(others.iter().all(|name| words(&told[*name]) == [Trading]), "{told:?}");
    pair.run_ms(60_000);
    assert_eq!(words(&statuses(&pair)[spot]), [Trading, Halted, Trading]);
    let asked = pair.fetched.iter().filter(|(_, path)| path.contains("/exchangeInfo")).count();
    assert_eq!((asked, pair.seen.malformed, &pair.seen.unknown), (3, 0, &Vec::new()));
    pair.cut_all();
    pair.run_ms(5_000);
    assert!(statuses(&pair).values().all(|told| told.len() >= 2), "a new connection is told again");
}

#[test]
fn a_listing_that_is_refused_is_asked_for_again() {
    let mut pair = pair(3, &[Channel::Status, Channel::Instruments]);
    pair.control(SimControl::RateLimit(1));
    pair.run_ms(1_000);
    assert!(pair.seen.syncing.iter().all(|words| words.contains("429")), "{:?}", pair.seen.syncing);
    assert_eq!(pair.seen.syncing.len(), 6, "two lanes of three instruments of spot");
    pair.run_ms(3_000);
    assert_eq!(statuses(&pair).len(), pair.instruments.len());
    assert_eq!(pair.seen.acked, pair.seen.asked);
}

#[test]
fn a_tick_that_gets_finer_widens_the_definition_and_the_book_goes_on() {
    for seed in 0..4 {
        let mut pair = pair(seed, &[Channel::Book, Channel::Trades, Channel::Quote]);
        pair.run_ms(60_000);
        settle(&mut pair);
        assert!(pair.seen.gaps.is_empty(), "seed {seed}: {:?}", pair.seen.gaps);
        let refined = ["ETH/USDT@binance", "ETH/USDT:USDT@binance", "ETH/USD:ETH@binance"];
        let defined = |event: &&Event| matches!(event.body, Body::Instrument);
        let told: BTreeSet<_> = pair.seen.kept.iter().filter(defined).map(|e| &*e.instrument.name).collect();
        assert_eq!(told, BTreeSet::from(refined), "seed {seed}");
        // The listing says so too, with the new tick.
        let news = pair.relist();
        let finer: Vec<_> =
            news.iter().filter(|i| refined.contains(&&*i.name)).map(|i| (i.px_scale, i.tick)).collect();
        assert_eq!(finer, [(3, Some(Decimal::new(1, 3))); 3], "seed {seed}");
        pair.run_ms(5_000);
        settle(&mut pair);
        assert!(pair.seen.gaps.is_empty(), "seed {seed}: {:?}", pair.seen.gaps);
        let newest = pair.seen.kept.iter().rfind(|e| *e.instrument.name == *refined[0]).unwrap();
        assert_eq!(newest.instrument.tick, Some(Decimal::new(1, 3)), "sessions use the new definition");
    }
}

#[test]
fn what_is_listed_while_trading_can_be_wanted_and_what_is_delisted_is_closed() {
    let mut pair = pair(5, &[Channel::Book, Channel::Status]);
    pair.run_ms(71_000);
    let new: Vec<_> = pair.relist().into_iter().filter(|i| *i.base == *"XRP").collect();
    assert_eq!(new.len(), 3, "one a section: {new:?}");
    assert!(new.iter().all(|i| i.status == Status::PreOpen));
    pair.assert_books();
    let wants: Vec<_> = pair
        .wants(&[Channel::Book, Channel::Status])
        .into_iter()
        .filter(|w| new.contains(&w.instrument))
        .collect();
    pair.subscribe(&wants);
    pair.run_ms(20_000);
    settle(&mut pair);
    let books = pair.right_books();
    assert_eq!(books, pair.sim.books().len());
    pair.run_ms(130_000);
    settle(&mut pair);
    let told = statuses(&pair);
    for name in ["XRP/USDT@binance", "XRP/USDT:USDT@binance", "XRP/USD:XRP@binance"] {
        let last = told[name].last().map(|(_, status)| status.clone());
        assert_eq!(last, Some(Status::Closed), "{name}: {:?}", told[name]);
    }
    assert_eq!(words(&told["XRP/USDT:USDT@binance"])[..2], [Status::PreOpen, Status::Trading]);
    assert_eq!(pair.sim.books().len(), books - 3, "the venue has its books no longer");
    let closed: Vec<_> = pair.relist().into_iter().filter(|i| i.status == Status::Closed).collect();
    assert_eq!(closed.len(), 3, "the catalogue closes what is on no list");
    assert!(pair.seen.gaps.is_empty(), "{:?}", pair.seen.gaps);
}

/// Reads what the venue sends on streams at an endpoint into a session without wants, for so long.
fn heard(endpoint: usize, path: &str, streams: &str, ms: u64) -> Vec<Action> {
    let mut sim = Binance.sim(&setup(4));
    let url = format!("{}{path}?streams={streams}", Binance.spec().endpoints[endpoint].ws);
    let mut session = Binance.session(&Shard { path: Some(url), ..Shard::default() });
    let (mut said, mut out) = (Vec::new(), Vec::new());
    let path = format!("{path}?streams={streams}");
    sim.on(SimInput::Open { peer: Peer(1), endpoint, path: &path }, START, &mut said);
    sim.on(SimInput::Wake, START.plus_ms(ms), &mut said);
    for action in said {
        if let SimAction::Send { bytes, .. } = action {
            session.on(Input::Frame { bytes: &bytes, binary: false }, START.plus_ms(ms), &mut out);
        }
    }
    out
}

/// The channels that events came on, by product; panics where something was not read.
fn channels(actions: &[Action]) -> BTreeMap<String, BTreeSet<&'static str>> {
    let mut all: BTreeMap<String, BTreeSet<&'static str>> = BTreeMap::new();
    for action in actions {
        match action {
            Action::Emit(event) => {
                all.entry(event.instrument.product.to_string()).or_default().insert(event.channel.name());
            }
            other => panic!("{other:?}"),
        }
    }
    all
}

#[test]
fn streams_of_all_instruments_are_read_and_carry_both_sections_of_futures() {
    let market = "!ticker@arr/!markPrice@arr@1s/!forceOrder@arr/!contractInfo";
    for (endpoint, path, own) in [(1, "/market/stream", "usdm"), (2, "/stream", "coinm")] {
        let all = channels(&heard(endpoint, path, market, 70_000));
        assert_eq!(all.keys().collect::<Vec<_>>(), ["coinm", "usdm"]);
        for (section, fed) in &all {
            let mut expected = BTreeSet::from(["day_stats", "instruments", "liquidations", "status"]);
            if section == own {
                expected.extend(["funding", "index_price", "mark_price"]);
            }
            assert_eq!(*fed, expected, "{section} at {own}");
        }
    }
    for (endpoint, path) in [(1, "/public/stream"), (2, "/stream")] {
        let all = channels(&heard(endpoint, path, "!bookTicker", 20_000));
        let quotes = |name: &str| (name.to_owned(), BTreeSet::from(["quote"]));
        assert_eq!(all, BTreeMap::from([quotes("coinm"), quotes("usdm")]));
    }
    for (endpoint, path, sections) in [
        (0, "/stream", &["spot"][..]),
        (1, "/market/stream", &["coinm", "usdm"]),
        (2, "/stream", &["coinm", "usdm"]),
    ] {
        let all = channels(&heard(endpoint, path, "!miniTicker@arr", 20_000));
        assert!(all.values().all(|fed| *fed == BTreeSet::from(["day_stats"])), "{all:?}");
        assert_eq!(all.keys().collect::<Vec<_>>(), *sections);
    }
    for silent in ["!bookTicker", "!contractInfo", "!ticker@arr", "!markPrice@arr"] {
        assert_eq!(heard(0, "/stream", silent, 70_000), [], "spot has no {silent}");
    }
    assert_eq!(heard(1, "/market/stream", "!bookTicker", 20_000), [], "of the other category");
}

#[test]
fn short_statistics_are_not_used_beside_the_long_ones() {
    let both = heard(1, "/market/stream", "btcusdt@ticker/btcusdt@miniTicker", 10_000);
    let used = |action: &&Action| matches!(action, Action::Emit(_));
    let stats = both.iter().filter(used).count();
    assert_eq!((both.len(), stats), (20, 10), "{both:?}");
    assert!(both.contains(&Action::Control("event_not_used")));
    let alone = heard(1, "/market/stream", "btcusdt@miniTicker", 10_000);
    assert_eq!(alone.iter().filter(used).count(), 10);
}
