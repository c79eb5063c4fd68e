//! REST beside the sessions: asked by us, answered by the simulator.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panic")]

use kraken::Kraken;
use model::{Body, Channel, Event, TradeId, Ts};
use source::pair::{Pair, START};
use source::{Options, Past, SimControl, SimSetup, Source};
use std::collections::BTreeMap;

fn pair() -> Pair {
    let setup = SimSetup { seed: 4, start: START, instruments: 4, moves_per_s: 400, ..SimSetup::default() };
    let mut pair = Pair::new(&Kraken, &setup, &[Channel::Trades, Channel::Bars], &Options::default());
    pair.seen.keep = true;
    pair.run_ms(200_000);
    pair
}

fn read(pair: &mut Pair, past: &Past) -> Vec<Event> {
    let mut history = Kraken.rest().history(past.clone()).unwrap();
    let (mut all, mut reached) = (Vec::new(), past.from);
    while let Some(request) = history.request() {
        assert_eq!(history.request(), Some(request.clone()), "the same request may be made again");
        pair.run_ms(1_000);
        let answer = pair.request(request.endpoint, &request.path);
        assert_eq!(answer.status, 200, "{}", request.path);
        let now = pair.now;
        all.extend(history.take(&answer.body, now).unwrap());
        assert!(history.reached() >= reached);
        reached = history.reached();
    }
    assert_eq!(reached, past.to);
    all
}

fn past(pair: &Pair, symbol: &str, channel: Channel, (from, to): (Ts, Ts), ids: Option<(u64, u64)>) -> Past {
    let instrument = pair.instruments.iter().find(|i| &*i.symbol == symbol).unwrap().clone();
    Past { source: "kraken", instrument, channel, interval: "1m".to_owned(), from, to, ids }
}

#[test]
fn the_clock_is_the_venues() {
    let mut pair = pair();
    let request = Kraken.rest().time().unwrap();
    let answer = pair.request(request.endpoint, &request.path);
    let told = Kraken.rest().read_time(&answer.body).unwrap();
    assert_eq!(told.as_ms(), pair.now.as_ms());
}

#[test]
fn turnovers_cover_everything_listed() {
    let mut pair = pair();
    let mut found = BTreeMap::new();
    for request in Kraken.rest().turnovers() {
        let answer = pair.request(request.endpoint, &request.path);
        for turnover in Kraken.rest().read_turnovers(&request.path, &answer.body).unwrap() {
            found.insert(turnover.symbol.to_string(), turnover.turnover);
        }
    }
    for instrument in &pair.instruments {
        let turnover = found.get(&*instrument.symbol).unwrap_or_else(|| panic!("{}", instrument.symbol));
        assert!(!turnover.is_zero(), "{}", instrument.symbol);
    }
}

#[test]
fn trades_of_the_past_are_those_that_were_told() {
    let mut pair = pair();
    pair.control(SimControl::Pause(true));
    for symbol in ["BTC/USD", "ETH/USD", "PF_XBTUSD", "PI_SOLUSD"] {
        let span = (START.plus_ms(20_000), START.plus_ms(150_000));
        let history = past(&pair, symbol, Channel::Trades, span, None);
        let live: Vec<Event> = pair.seen.kept.clone();
        // Contracts' times have milliseconds in both; pairs' microseconds in the stream, a digit more by REST.
        let told =
            live.iter().filter(|e| e.instrument.id == history.instrument.id && e.channel == Channel::Trades);
        let told: Vec<_> = told
            .filter(|e| e.stamp.ts_event.is_some_and(|ts| ts >= span.0 && ts < span.1))
            .map(|e| e.body.clone())
            .collect();
        let read: Vec<Body> = read(&mut pair, &history).into_iter().map(|e| e.body).collect();
        assert!(read.len() > 100, "{symbol}: {}", read.len());
        assert_eq!(read, told, "{symbol}");
    }
}

#[test]
fn a_hole_is_filled_by_its_ids_alone() {
    let mut pair = pair();
    pair.control(SimControl::Pause(true));
    for symbol in ["BTC/USD", "PF_XBTUSD"] {
        let id = pair.instruments.iter().find(|i| &*i.symbol == symbol).unwrap().id;
        let at = |n: u64| {
            let is = |e: &&Event| {
                e.instrument.id == id && matches!(&e.body, Body::Trade(t) if t.id == TradeId::Num(n))
            };
            pair.seen.kept.iter().find(is).unwrap().stamp.ts_event.unwrap()
        };
        // The times of the trades beside the hole, as the platform knows them.
        let (first, last) = (200, 330);
        let span = (at(first - 1), at(last + 1));
        let hole = past(&pair, symbol, Channel::Trades, span, Some((first, last)));
        let read = read(&mut pair, &hole);
        let ids: Vec<u64> = read
            .iter()
            .map(|e| match &e.body {
                Body::Trade(trade) => match trade.id {
                    TradeId::Num(n) => n,
                    TradeId::Text(_) => panic!("an id of a trade is a number"),
                },
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(ids, (first..=last).collect::<Vec<_>>(), "{symbol}");
    }
}

#[test]
fn bars_of_the_past_are_those_that_were_told_as_over() {
    let mut pair = pair();
    pair.control(SimControl::Pause(true));
    let minute = |n: i64| Ts::from_ms((START.as_ms().div_euclid(60_000) + n) * 60_000);
    for symbol in ["BTC/USD", "PF_XBTUSD"] {
        let span = (minute(1), minute(3));
        let history = past(&pair, symbol, Channel::Bars, span, None);
        let id = history.instrument.id;
        let mut told = BTreeMap::new();
        for event in pair.seen.kept.iter().filter(|e| e.instrument.id == id) {
            if let Body::Bar(bar) = &event.body
                && bar.closed
                && bar.start >= span.0
                && bar.start < span.1
            {
                told.insert(bar.start, bar.clone());
            }
        }
        let read: Vec<_> = read(&mut pair, &history)
            .into_iter()
            .map(|e| match e.body {
                Body::Bar(bar) => bar,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(read.len(), 2, "{symbol}");
        assert_eq!(read, told.into_values().collect::<Vec<_>>(), "{symbol}");
    }
}

#[test]
fn answers_that_cannot_be_read_are_faults_and_never_panic() {
    let mut pair = pair();
    let span = (START, START.plus_ms(60_000));
    for (symbol, channel) in [
        ("BTC/USD", Channel::Trades),
        ("PF_XBTUSD", Channel::Trades),
        ("BTC/USD", Channel::Bars),
        ("PF_XBTUSD", Channel::Bars),
    ] {
        let history = past(&pair, symbol, channel, span, None);
        let mut reader = Kraken.rest().history(history).unwrap();
        let request = reader.request().unwrap();
        let body = pair.request(request.endpoint, &request.path).body;
        for cut in (0..body.len()).step_by(7) {
            assert!(reader.take(&body[..cut], START).is_err(), "{symbol} {channel:?} {cut}");
        }
        let mut rng = fastrand::Rng::with_seed(1);
        for _ in 0..300 {
            let mut broken = body.clone();
            let at = rng.usize(0..broken.len());
            broken[at] = rng.u8(..);
            _ = reader.take(&broken, START);
        }
    }
    assert!(Kraken.rest().history(past(&pair, "BTC/USD", Channel::Quote, span, None)).is_none());
}

#[test]
fn what_a_client_library_loads_first_is_there() {
    let mut pair = pair();
    for (endpoint, path, word) in [
        (0, "/0/public/Assets", "\"altname\":\"XBT\""),
        (0, "/0/public/AssetPairs", "\"wsname\":\"XBT/USD\""),
        (0, "/0/public/AssetPairs?pair=XBTUSD", "XXBTZUSD"),
        (0, "/0/public/Time", "unixtime"),
        (0, "/0/public/SystemStatus", "online"),
        (0, "/0/public/Ticker?pair=XBTUSD,ETHUSD", "XETHZUSD"),
        (0, "/0/public/Depth?pair=BTC%2FUSD&count=5", "\"asks\":[["),
        (0, "/0/public/Spread?pair=XBTUSD", "\"last\""),
        (0, "/0/public/OHLC?pair=XBTUSD&interval=5", "\"last\""),
        (0, "/0/public/Trades?pair=XXBTZUSD", "\"last\""),
        (1, "/derivatives/api/v3/instruments", "flexible_futures"),
        (1, "/derivatives/api/v3/instruments/status", "tradeable"),
        (1, "/derivatives/api/v3/tickers", "fundingRate"),
        (1, "/derivatives/api/v3/orderbook?symbol=pf_xbtusd", "orderBook"),
        (1, "/derivatives/api/v3/history?symbol=PF_XBTUSD", "trade_id"),
        (1, "/api/charts/v1/trade/PF_XBTUSD/5m", "candles"),
    ] {
        pair.run_ms(2_000);
        let answer = pair.request(endpoint, path);
        let text = String::from_utf8(answer.body).unwrap();
        assert_eq!(answer.status, 200, "{path}");
        serde_json::from_str::<serde_json::Value>(&text).unwrap();
        assert!(text.contains(word), "{path}: {}", &text[..text.len().min(300)]);
    }
    assert_eq!(pair.request(0, "/0/public/Nothing").status, 404);
    assert!(
        String::from_utf8(pair.request(0, "/0/public/Depth?pair=NOPE").body)
            .unwrap()
            .contains("Unknown asset pair")
    );
    pair.control(SimControl::RateLimit(1));
    let limited = pair.request(1, "/derivatives/api/v3/tickers");
    assert_eq!((limited.status, limited.retry_ms), (429, Some(2_000)));
}

#[test]
fn late_books_of_rest_are_those_of_so_many_events_ago() {
    let mut pair = pair();
    pair.control(SimControl::Pause(true));
    let path = "/derivatives/api/v3/orderbook?symbol=PF_XBTUSD";
    let book = |pair: &mut Pair| {
        let body: serde_json::Value = serde_json::from_slice(&pair.request(1, path).body).unwrap();
        body["orderBook"].clone()
    };
    let now = book(&mut pair);
    pair.control(SimControl::LateSnapshots(8));
    assert_ne!(book(&mut pair), now);
    pair.control(SimControl::LateSnapshots(0));
    assert_eq!(book(&mut pair), now);
}
