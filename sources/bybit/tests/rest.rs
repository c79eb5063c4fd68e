//! REST against the simulator.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panic")]

use bybit::Bybit;
use model::{Body, Channel, Ts};
use source::pair::{Pair, START};
use source::{Options, Past, SimControl, SimSetup, Source};

fn pair() -> Pair {
    let setup = SimSetup { seed: 3, start: START, instruments: 3, moves_per_s: 100, ..SimSetup::default() };
    Pair::new(&Bybit, &setup, &[Channel::Trades], &Options::default())
}

#[test]
fn the_venues_clock_is_virtual_time() {
    let mut pair = pair();
    pair.run_ms(12_345);
    let request = Bybit.rest().time().unwrap();
    let body = pair.request(request.endpoint, &request.path).body;
    assert_eq!(Bybit.rest().read_time(&body), Ok(pair.now));
}

#[test]
fn turnovers_name_every_instrument() {
    let mut pair = pair();
    pair.run_ms(5_000);
    let mut all = Vec::new();
    for request in Bybit.rest().turnovers() {
        let body = pair.request(request.endpoint, &request.path).body;
        all.extend(Bybit.rest().read_turnovers(&request.path, &body).unwrap());
    }
    assert_eq!(all.len(), pair.instruments.len());
    for instrument in &pair.instruments {
        assert!(all.iter().any(|t| t.product == &*instrument.product && t.symbol == instrument.symbol));
    }
    assert!(all.iter().any(|t| !t.turnover.is_zero()));
}

/// All bars that a history tells, and how many requests it took.
fn read(pair: &mut Pair, past: &Past) -> (Vec<(Ts, bool)>, usize) {
    let mut history = Bybit.rest().history(past.clone()).unwrap();
    let (mut bars, mut requests) = (Vec::new(), 0);
    while let Some(request) = history.request() {
        requests += 1;
        let answer = pair.request(request.endpoint, &request.path);
        if answer.status == 429 {
            assert!(history.take(&answer.body, pair.now).is_err(), "a limit is no page");
            pair.run_ms(1_000);
            continue;
        }
        for event in history.take(&answer.body, pair.now).unwrap() {
            let Body::Bar(bar) = &event.body else { panic!("{event:?}") };
            bars.push((bar.start, bar.closed));
        }
        assert!(history.reached() > past.from);
    }
    assert_eq!(history.reached(), past.to);
    (bars, requests)
}

#[test]
fn bars_of_the_past_come_page_by_page_none_twice_and_none_left_out() {
    let mut pair = pair();
    pair.run_ms(150_000);
    pair.control(SimControl::RateLimit(2));
    for product in ["spot", "linear", "inverse"] {
        let instrument = pair.instruments.iter().find(|i| *i.product == *product).unwrap().clone();
        for (interval, minutes, days) in [("1m", 1_i64, 2_i64), ("1h", 60, 60), ("1w", 10_080, 700)] {
            let to = Ts::from_ms(START.as_ms() + 120_000);
            let from = Ts::from_ms(START.as_ms() - days * 86_400_000);
            let past = Past {
                source: "bybit",
                instrument: instrument.clone(),
                channel: Channel::Bars,
                interval: interval.to_owned(),
                from,
                to,
                ids: None,
            };
            let (bars, requests) = read(&mut pair, &past);
            assert!(bars.windows(2).all(|w| w[1].0.ms_since(w[0].0) == minutes * 60_000), "{interval}");
            let first = bars[0].0.ms_since(from);
            assert!((0..minutes * 60_000).contains(&first), "{interval} {first}");
            assert!(to.ms_since(bars.last().unwrap().0) <= minutes * 60_000);
            assert!(interval != "1m" || requests >= 3, "{requests}");
            // What is over is closed, and made anew from where it ended it goes on.
            let over = bars.iter().filter(|(start, _)| start.plus_ms(minutes as u64 * 60_000) <= pair.now);
            assert_eq!(bars.iter().filter(|(_, closed)| *closed).count(), over.count());
            let middle = bars[bars.len() / 2].0;
            let (rest, _) = read(&mut pair, &Past { from: middle, ..past });
            assert_eq!(rest, bars[bars.len() / 2..]);
        }
    }
}
