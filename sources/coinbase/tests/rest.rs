//! REST beside the sessions, answered by the simulator.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panic")]

use coinbase::Coinbase;
use model::{Body, Channel, Event, Instrument, TradeId, Ts};
use source::pair::{Pair, START};
use source::{Options, Past, SimSetup, Source};
use std::sync::Arc;

fn pair(moves_per_s: u32, ms: u64) -> Pair {
    let setup = SimSetup { seed: 3, start: START, instruments: 2, moves_per_s, ..SimSetup::default() };
    let mut pair = Pair::new(&Coinbase, &setup, &[Channel::Trades], &Options::default());
    pair.run_ms(ms);
    pair
}

fn listed(pair: &Pair, product: &str) -> Arc<Instrument> {
    pair.instruments.iter().find(|i| &*i.product == product && &*i.symbol == "BTC-USD").unwrap().clone()
}

/// Reads a part of the past to its end.
fn read(pair: &mut Pair, past: &Past) -> (Vec<Event>, usize) {
    let mut history = Coinbase.rest().history(past.clone()).unwrap();
    let (mut all, mut requests) = (Vec::new(), 0);
    let mut reached = history.reached();
    while let Some(request) = history.request() {
        // Within the venue's limit.
        pair.run_ms(100);
        let answer = pair.request(request.endpoint, &request.path);
        assert_eq!(answer.status, 200, "{}", request.path);
        assert!(history.take(b"{\"damaged", pair.now).is_err(), "and the same request is made again");
        assert_eq!(history.request(), Some(request.clone()));
        all.extend(history.take(&answer.body, pair.now).unwrap());
        assert!(history.reached() >= reached);
        reached = history.reached();
        requests += 1;
        assert!(requests < 500, "{}", request.path);
    }
    assert_eq!(history.reached(), past.to);
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

fn past(instrument: &Arc<Instrument>, channel: Channel, from: Ts, to: Ts, ids: Option<(u64, u64)>) -> Past {
    let (source, instrument) = ("coinbase", Arc::clone(instrument));
    Past { source, instrument, channel, interval: "1m".to_owned(), from, to, ids }
}

#[test]
fn missing_trades_are_found_by_their_ids() {
    for product in ["", "exchange"] {
        let mut pair = pair(400, 60_000);
        pair.seen.keep = true;
        let instrument = listed(&pair, product);
        let seen: Vec<u64> = pair.seen.numbers().find(|((id, _), _)| *id == instrument.id).unwrap().1;
        let (first, last) = (seen[seen.len() / 3], seen[seen.len() / 2]);
        let (all, _) = read(
            &mut pair,
            &past(&instrument, Channel::Trades, START, START.plus_ms(60_000), Some((first, last))),
        );
        assert_eq!(ids(&all), (first..=last).collect::<Vec<_>>(), "{product}");
        assert!(all.iter().all(|e| e.stamp.ts_event.is_some() && e.instrument.id == instrument.id));
    }
}

#[test]
fn trades_of_a_time_are_read_whole_page_by_page() {
    for product in ["", "exchange"] {
        // Enough that a page of a thousand does not hold a minute.
        let mut pair = pair(2_000, 150_000);
        let instrument = listed(&pair, product);
        let (from, to) = (START.plus_ms(20_500), START.plus_ms(100_250));
        let (all, requests) = read(&mut pair, &past(&instrument, Channel::Trades, from, to, None));
        let numbers = ids(&all);
        assert!(numbers.len() > 5_000 && requests > 5, "{} trades, {requests} requests", numbers.len());
        assert!(numbers.windows(2).all(|two| two[1] == two[0] + 1), "{product}");
        assert!(all.iter().all(|e| (from..to).contains(&e.stamp.ts_event.unwrap())));
        // None at the edges was left out.
        let wider = past(&instrument, Channel::Trades, Ts(from.0 - 2_000_000_000), to.plus_ms(2_000), None);
        let wide = read(&mut pair, &wider).0;
        let within = wide.iter().filter(|e| (from..to).contains(&e.stamp.ts_event.unwrap())).count();
        assert_eq!(within, numbers.len(), "{product}");
    }
}

#[test]
fn both_feeds_tell_the_same_bars_and_trades_make_them() {
    let mut pair = pair(200, 300_000);
    // To the end of a minute.
    let (from, to) = (START, START.plus_ms(280_000));
    let mut told = Vec::new();
    for product in ["", "exchange"] {
        let instrument = listed(&pair, product);
        let (bars, _) = read(&mut pair, &past(&instrument, Channel::Bars, from, to, None));
        let trades = read(&mut pair, &past(&instrument, Channel::Trades, from, to, None)).0;
        let mut all = Vec::new();
        for event in &bars {
            let Body::Bar(bar) = &event.body else { panic!("{event:?}") };
            let of_bar =
                |e: &&Event| (bar.start..bar.start.plus_ms(60_000)).contains(&e.stamp.ts_event.unwrap());
            let sum: i64 = trades
                .iter()
                .filter(of_bar)
                .map(|e| match &e.body {
                    Body::Trade(trade) => trade.qty.0,
                    other => panic!("{other:?}"),
                })
                .sum();
            assert_eq!(bar.volume.mantissa_at(instrument.qty_scale), Some(sum), "{product} {bar:?}");
            all.push(bar.clone());
        }
        assert_eq!(all.len(), 4, "{all:?}");
        told.push(all);
    }
    assert_eq!(told[0], told[1]);
}

#[test]
fn the_clock_and_the_turnovers_are_the_venues() {
    let mut pair = pair(200, 20_000);
    let rest = Coinbase.rest();
    let request = rest.time().unwrap();
    let answer = pair.request(request.endpoint, &request.path);
    assert_eq!(rest.read_time(&answer.body).unwrap(), pair.now);
    let mut all = Vec::new();
    for request in rest.turnovers() {
        let answer = pair.request(request.endpoint, &request.path);
        all.extend(rest.read_turnovers(&request.path, &answer.body).unwrap());
    }
    let known: Vec<_> = pair.instruments.iter().filter(|i| i.product.is_empty()).map(|i| &i.symbol).collect();
    assert_eq!(all.iter().map(|t| &t.symbol).collect::<Vec<_>>(), known);
    assert!(all.iter().all(|t| !t.turnover.is_zero()));
    assert!(rest.book(&listed(&pair, "")).is_none());
}
