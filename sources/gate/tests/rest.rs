//! REST over the simulator.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panic")]

use gate::Gate;
use model::{Body, Channel, Event, Instrument, Ts};
use source::pair::{Pair, START};
use source::{Options, Past, SimControl, SimSetup, Source};
use std::sync::Arc;

fn pair(seed: u64, moves_per_s: u32) -> Pair {
    let setup = SimSetup { seed, start: START, instruments: 2, moves_per_s, ..SimSetup::default() };
    let mut pair = Pair::new(&Gate, &setup, &[Channel::Trades], &Options::default());
    pair.seen.keep = true;
    pair
}

fn past(instrument: &Arc<Instrument>, channel: Channel, from: Ts, to: Ts) -> Past {
    let (instrument, interval) = (Arc::clone(instrument), "1m".to_owned());
    Past { source: "gate", instrument, channel, interval, from, to, ids: None }
}

fn read(pair: &mut Pair, past: Past) -> (Vec<Event>, usize) {
    let mut history = Gate.rest().history(past).unwrap();
    let (mut all, mut pages) = (Vec::new(), 0);
    while let Some(request) = history.request() {
        let answer = pair.request(request.endpoint, &request.path);
        assert_eq!(answer.status, 200, "{}", request.path);
        all.extend(history.take(&answer.body, pair.now).unwrap());
        pages += 1;
    }
    (all, pages)
}

#[test]
fn the_clock_and_the_turnovers_are_read() {
    let mut pair = pair(1, 100);
    pair.run_ms(20_000);
    let rest = Gate.rest();
    let answer = pair.request(0, &rest.time().unwrap().path);
    assert_eq!(rest.read_time(&answer.body).unwrap().as_ms(), pair.now.as_ms());
    assert!(rest.read_time(b"{}").is_err());
    let mut found = 0;
    for request in rest.turnovers() {
        let answer = pair.request(request.endpoint, &request.path);
        for row in rest.read_turnovers(&request.path, &answer.body).unwrap() {
            let known = |i: &&Arc<Instrument>| *i.symbol == *row.symbol && *i.product == *row.product;
            assert_eq!(pair.instruments.iter().filter(known).count(), 1);
            found += usize::from(!row.turnover.is_zero());
        }
    }
    assert!(found > 4, "{found}");
}

#[test]
fn a_whole_book_has_the_number_of_the_lane() {
    let mut pair = pair(3, 100);
    pair.run_ms(5_000);
    pair.control(SimControl::Pause(true));
    for truth in pair.sim.books() {
        let request = Gate.rest().book(&truth.instrument).unwrap();
        let answer = pair.request(request.endpoint, &request.path);
        let book = Gate.rest().read_book(&truth.instrument, &answer.body).unwrap();
        assert_eq!((book.seq, book.levels.bids()), (truth.seq, truth.bids.as_slice()));
        assert_eq!(book.levels.asks(), truth.asks);
    }
}

#[test]
fn the_past_of_trades_is_what_was_pushed_each_once_and_in_order() {
    let mut pair = pair(2, 2_000);
    pair.run_ms(30_000);
    let mut pages_max = 0;
    for instrument in pair.instruments.clone() {
        if &*instrument.product == "delivery" {
            continue;
        }
        let (from, to) = (START.plus_ms(3_333), START.plus_ms(25_001));
        let (told, pages) = read(&mut pair, past(&instrument, Channel::Trades, from, to));
        pages_max = pages_max.max(pages);
        let bodies = |all: &[Event]| {
            all.iter().map(|e| (e.stamp.ts_event.map(Ts::as_ms), e.body.clone())).collect::<Vec<_>>()
        };
        let live: Vec<Event> = pair
            .seen
            .kept
            .iter()
            .filter(|e| matches!(e.body, Body::Trade(_)) && e.instrument.id == instrument.id)
            .filter(|e| e.stamp.ts_event.is_some_and(|ts| ts >= from && ts < to))
            .cloned()
            .collect();
        assert!(live.len() > 100, "{}", live.len());
        assert_eq!(bodies(&told), bodies(&live), "{}", instrument.name);
    }
    assert!(pages_max > 1, "a window of more than a page is read page by page");
}

#[test]
fn the_past_of_bars_has_every_interval_once_and_says_which_are_over() {
    let mut pair = pair(2, 50);
    pair.run_ms(300_000);
    let to = pair.now.plus_ms(60_000);
    for instrument in pair.instruments.clone() {
        let from = Ts::from_ms(START.as_ms() - 1_000 * 60_000);
        let (told, pages) = read(&mut pair, past(&instrument, Channel::Bars, from, to));
        assert_eq!(pages, 2);
        let bars: Vec<_> = told
            .iter()
            .map(|e| match &e.body {
                Body::Bar(bar) => bar.clone(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert!(bars.windows(2).all(|two| two[1].start.ms_since(two[0].start) == 60_000));
        assert!(bars.len() > 1_000, "{}", bars.len());
        assert!(bars.iter().rev().skip(1).all(|b| b.closed) && !bars.last().unwrap().closed);
        assert!(bars.iter().any(|b| !b.volume.is_zero()));
    }
}

#[test]
fn what_cannot_be_read_is_an_error_and_may_be_asked_again() {
    let pair = pair(1, 10);
    for channel in [Channel::Trades, Channel::Bars] {
        let mut history =
            Gate.rest().history(past(&pair.instruments[0], channel, START, START.plus_ms(1))).unwrap();
        let request = history.request().unwrap();
        assert!(history.take(br#"{"label":"TOO_BUSY","message":"x"}"#, START).is_err());
        assert!(history.take(b"[[", START).is_err());
        assert_eq!(history.request().unwrap(), request);
    }
}
