//! REST beside the sessions, answered by the simulator.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panic")]

use deribit::Deribit;
use model::{Body, Channel, Event, Instrument, TradeId, Ts};
use source::pair::{Pair, START};
use source::{Options, Past, Request, SimControl, SimSetup, Source};
use std::sync::Arc;

fn pair(moves_per_s: u32, ms: u64) -> Pair {
    let setup = SimSetup { seed: 3, start: START, instruments: 2, moves_per_s, ..SimSetup::default() };
    let mut pair = Pair::new(&Deribit, &setup, &[Channel::Trades, Channel::Book], &Options::default());
    pair.run_ms(ms);
    pair
}

fn listed(pair: &Pair, symbol: &str) -> Arc<Instrument> {
    pair.instruments.iter().find(|i| &*i.symbol == symbol).unwrap().clone()
}

fn past(instrument: &Arc<Instrument>, channel: Channel, from: Ts, to: Ts) -> Past {
    let (source, instrument) = ("deribit", Arc::clone(instrument));
    Past { source, instrument, channel, interval: "1m".to_owned(), from, to, ids: None }
}

/// Reads a part of the past to its end.
fn read(pair: &mut Pair, past: &Past) -> (Vec<Event>, usize) {
    let mut history = Deribit.rest().history(past.clone()).unwrap();
    let (mut all, mut requests) = (Vec::new(), 0);
    while let Some(request) = history.request() {
        pair.run_ms(100);
        let answer = pair.request(request.endpoint, &request.path);
        assert_eq!(answer.status, 200, "{}", request.path);
        assert!(history.take(b"{\"damaged", pair.now).is_err());
        assert_eq!(history.request(), Some(request), "the same request is made again");
        let reached = history.reached();
        all.extend(history.take(&answer.body, pair.now).unwrap());
        assert!(history.reached() >= reached);
        requests += 1;
        assert!(requests < 100, "it never ends");
    }
    (all, requests)
}

fn ids(events: &[Event]) -> Vec<u64> {
    let id = |e: &Event| match &e.body {
        Body::Trade(trade) => match trade.id {
            TradeId::Num(id) => id,
            TradeId::Text(_) => panic!("{trade:?}"),
        },
        other => panic!("{other:?}"),
    };
    events.iter().map(id).collect()
}

fn seen(pair: &Pair, instrument: &Instrument) -> Vec<u64> {
    pair.seen.numbers().find(|((id, _), _)| *id == instrument.id).unwrap().1
}

#[test]
fn the_clock_is_read() {
    let mut pair = pair(10, 1_234);
    let request = Deribit.rest().time().unwrap();
    let answer = pair.request(request.endpoint, &request.path);
    assert_eq!(Deribit.rest().read_time(&answer.body).unwrap(), START.plus_ms(1_234));
    pair.control(SimControl::RateLimit(1));
    let answer = pair.request(request.endpoint, &request.path);
    assert_eq!((answer.status, answer.retry_ms), (429, Some(1_000)));
    assert!(Deribit.rest().read_time(&answer.body).is_err());
}

#[test]
fn turnovers_of_everything_listed_are_read() {
    let mut pair = pair(400, 20_000);
    let mut all = Vec::new();
    for Request { endpoint, path, .. } in Deribit.rest().turnovers() {
        let answer = pair.request(endpoint, &path);
        let read = Deribit.rest().read_turnovers(&path, &answer.body).unwrap();
        assert!(Deribit.rest().read_turnovers(&path, &answer.body[..answer.body.len() / 2]).is_err());
        all.extend(read);
    }
    let mut symbols: Vec<&str> = all.iter().map(|t| &*t.symbol).collect();
    symbols.sort_unstable();
    let mut listed: Vec<&str> = pair.instruments.iter().map(|i| &*i.symbol).collect();
    listed.sort_unstable();
    assert_eq!(symbols, listed);
    let btc = all.iter().find(|t| &*t.symbol == "BTC-PERPETUAL").unwrap();
    assert!(!btc.turnover.is_zero() && btc.product.is_empty());
}

#[test]
fn a_book_by_rest_is_the_one_of_its_number() {
    let mut pair = pair(200, 20_000);
    pair.control(SimControl::Pause(true));
    pair.run_ms(1_000);
    for instrument in pair.instruments.clone() {
        let request = Deribit.rest().book(&instrument).unwrap();
        pair.run_ms(100);
        let answer = pair.request(request.endpoint, &request.path);
        let snapshot = Deribit.rest().read_book(&instrument, &answer.body).unwrap();
        let held = &pair.seen.books.live[&instrument.id];
        assert_eq!(snapshot.seq, held.seq);
        assert_eq!(snapshot.levels.bids().len(), held.bids.len());
        assert_eq!(snapshot.levels.bids().first().copied(), held.best().0);
        assert_eq!(snapshot.levels.asks().first().copied(), held.best().1);
    }
}

#[test]
fn missing_trades_are_found_by_their_numbers() {
    let mut pair = pair(400, 60_000);
    let instrument = listed(&pair, "BTC-PERPETUAL");
    let all = seen(&pair, &instrument);
    let (first, last) = (all[all.len() / 3], all[all.len() / 2]);
    let mut past = past(&instrument, Channel::Trades, START, START);
    past.ids = Some((first, last));
    let (events, requests) = read(&mut pair, &past);
    assert_eq!((ids(&events), requests), ((first..=last).collect(), 1));
    assert!(events.iter().all(|e| e.stamp.ts_event.is_some() && e.stamp.ts_recv == pair.now));
}

#[test]
fn trades_of_a_time_are_read_whole_page_by_page() {
    let mut pair = pair(2_000, 60_000);
    let instrument = listed(&pair, "BTC-PERPETUAL");
    let (from, to) = (START.plus_ms(2_000), START.plus_ms(50_000));
    let (events, requests) = read(&mut pair, &past(&instrument, Channel::Trades, from, to));
    let got = ids(&events);
    assert!(got.len() > 1_500 && requests > 1, "{} trades by {requests} requests", got.len());
    assert!(got.windows(2).all(|w| w[1] == w[0] + 1));
    let inside = |e: &Event| e.stamp.ts_event.is_some_and(|ts| ts >= from && ts < to);
    assert!(events.iter().all(inside));
    // One more on each side is outside.
    for (n, out) in [(got[0] - 1, from), (got[got.len() - 1] + 1, to)] {
        let mut one = past(&instrument, Channel::Trades, START, START);
        one.ids = Some((n, n));
        let (events, _) = read(&mut pair, &one);
        let ts = events[0].stamp.ts_event.unwrap();
        assert!(if out == from { ts < from } else { ts >= to }, "{n} at {ts:?}");
    }
    let nothing = past(&instrument, Channel::Trades, to, to);
    assert_eq!(read(&mut pair, &nothing), (Vec::new(), 0));
}

#[test]
fn bars_of_a_time_are_read_page_by_page_and_the_last_is_open() {
    let mut pair = pair(20, 1_000);
    let instrument = listed(&pair, "ETH_USDC");
    // Bars are kept from the first request on.
    let first = past(&instrument, Channel::Bars, START, START.plus_ms(1));
    read(&mut pair, &first);
    pair.run_ms(600_000);
    let to = pair.now.plus_ms(60_000);
    let (events, requests) = read(&mut pair, &past(&instrument, Channel::Bars, START.plus_ms(60_000), to));
    assert_eq!(requests, 1);
    let bars: Vec<_> = events
        .iter()
        .map(|e| match &e.body {
            Body::Bar(bar) => bar.clone(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(bars.len() >= 9, "{}", bars.len());
    assert!(bars.windows(2).all(|w| w[1].start == w[0].start.plus_ms(60_000)));
    assert!(bars.iter().rev().skip(1).all(|b| b.closed) && !bars[bars.len() - 1].closed);
    assert!(bars.iter().all(|b| &*b.interval == "1m" && b.low <= b.high));
    let wide = past(&instrument, Channel::Bars, Ts(0), Ts(0).plus_ms(60_000 * 2_500));
    assert_eq!(read(&mut pair, &wide).1, 3, "a thousand bars at once");
    let odd = Past { interval: "7m".to_owned(), ..wide };
    assert!(Deribit.rest().history(odd).is_none());
}
