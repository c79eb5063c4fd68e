//! REST over the simulator.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panic")]

use htx::Htx;
use model::{Body, Channel, Ts};
use source::pair::{Pair, START};
use source::{Options, Past, SimSetup, Source};

fn pair() -> Pair {
    let setup = SimSetup { seed: 3, start: START, moves_per_s: 100, ..SimSetup::default() };
    Pair::new(&Htx, &setup, &[Channel::Trades, Channel::Bars], &Options::default())
}

#[test]
fn clock_and_turnovers_are_the_venues() {
    let mut pair = pair();
    pair.run_ms(20_000);
    let time = Htx.rest().time().unwrap();
    let answer = pair.request(time.endpoint, &time.path);
    assert_eq!(Htx.rest().read_time(&answer.body), Ok(START.plus_ms(20_000)));
    let mut found = 0;
    for request in Htx.rest().turnovers() {
        let answer = pair.request(request.endpoint, &request.path);
        for row in Htx.rest().read_turnovers(&request.path, &answer.body).unwrap() {
            let known = |i: &&std::sync::Arc<model::Instrument>| {
                *i.symbol == *row.symbol && *i.product == *row.product
            };
            assert!(pair.instruments.iter().any(|i| known(&i)), "{row:?}");
            found += 1;
        }
    }
    assert_eq!(found, pair.instruments.len());
}

#[test]
fn history_holds_the_trades_and_bars_that_were_pushed() {
    let mut pair = pair();
    pair.seen.keep = true;
    pair.run_ms(200_000);
    let mut compared = (0, 0);
    for channel in [Channel::Trades, Channel::Bars] {
        for instrument in pair.instruments.clone() {
            // All lanes were fed by then, and bars before the last are over.
            let (from, to) = (START.plus_ms(160_000), START.plus_ms(199_000));
            let (from, to) = if channel == Channel::Bars { (START.plus_ms(20_000), to) } else { (from, to) };
            let told: Vec<Body> = pair
                .seen
                .kept
                .iter()
                .filter(|e| e.channel == channel && e.instrument.id == instrument.id)
                .filter(|e| match &e.body {
                    Body::Bar(bar) => bar.closed && bar.start >= from && bar.start < to,
                    Body::Trade(_) => e.stamp.ts_event.is_some_and(|ts| ts >= from && ts < to),
                    _ => false,
                })
                .map(|e| e.body.clone())
                .collect();
            let past = Past {
                source: "htx",
                instrument: instrument.clone(),
                channel,
                interval: "1m".to_owned(),
                from,
                to,
                ids: None,
            };
            let mut history = Htx.rest().history(past).unwrap();
            let mut bodies = Vec::new();
            while let Some(request) = history.request() {
                let answer = pair.request(request.endpoint, &request.path);
                bodies.extend(history.take(&answer.body, pair.now).unwrap().into_iter().map(|e| e.body));
            }
            assert_eq!(history.reached(), to);
            if channel == Channel::Trades {
                // The venue's history lists the trades of spot and contracts by the same ids.
                assert_eq!(bodies, told, "{}", instrument.name);
                compared.0 += told.len();
            } else {
                let starts = |all: &[Body]| -> Vec<Ts> {
                    let start = |b: &Body| match b {
                        Body::Bar(bar) if bar.closed => Some(bar.start),
                        _ => None,
                    };
                    all.iter().filter_map(start).collect()
                };
                assert_eq!(starts(&bodies), starts(&told), "{}", instrument.name);
                compared.1 += told.len();
            }
        }
    }
    assert!(compared.0 > 100 && compared.1 > 10, "{compared:?}");
}

#[test]
fn what_does_not_exist_has_no_history() {
    let pair = pair();
    let instrument = pair.instruments[0].clone();
    let past = |channel, interval: &str| Past {
        source: "htx",
        instrument: instrument.clone(),
        channel,
        interval: interval.to_owned(),
        from: Ts(0),
        to: Ts(1),
        ids: None,
    };
    assert!(Htx.rest().history(past(Channel::Book, "1m")).is_none());
    assert!(Htx.rest().history(past(Channel::Bars, "7m")).is_none());
    assert!(Htx.rest().book(&instrument).is_none());
}
