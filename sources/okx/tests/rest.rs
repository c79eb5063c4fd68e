//! REST beside the sessions, over the simulator.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use model::{Body, Channel, Decimal, Event, Instrument, Side, TradeId, Ts};
use okx::Okx;
use source::pair::{Pair, START};
use source::{History, Options, Past, SimControl, SimSetup, Source};
use std::sync::Arc;

/// A venue that has traded for five minutes, each trade heard; a tick got finer meanwhile.
fn venue(seed: u64) -> Pair {
    let setup = SimSetup { seed, start: START, instruments: 1, moves_per_s: 400, ..SimSetup::default() };
    let channels = [Channel::Trades, Channel::Book];
    let mut pair = Pair::new(&Okx, &setup, &channels, &Options::default());
    pair.seen.keep = true;
    pair.run_ms(300_000);
    pair.control(SimControl::Pause(true));
    pair.run_ms(1_000);
    pair.relist();
    pair
}

fn past(instrument: &Arc<Instrument>, channel: Channel, from: Ts, to: Ts) -> Past {
    let instrument = Arc::clone(instrument);
    Past { source: "okx", instrument, channel, interval: "1m".to_owned(), from, to, ids: None }
}

/// Reads at most so many pages; the venue's limit of weight is waited for.
fn read(pair: &mut Pair, past: Past, pages: usize) -> (Vec<Event>, Box<dyn History>) {
    let mut history = Okx.rest().history(past).unwrap();
    let mut all = Vec::new();
    for _ in 0..pages {
        let Some(request) = history.request() else { break };
        let answer = pair.request(request.endpoint, &request.path);
        if answer.status == 429 {
            pair.run_ms(answer.retry_ms.unwrap());
            continue;
        }
        assert_eq!(answer.status, 200, "{}", request.path);
        assert!(history.take(&answer.body[..answer.body.len() / 2], pair.now).is_err(), "a damaged answer");
        all.extend(history.take(&answer.body, pair.now).unwrap());
    }
    (all, history)
}

fn ids(events: &[Event]) -> Vec<u64> {
    let id = |event: &Event| match &event.body {
        Body::Trade(trade) => match trade.id {
            TradeId::Num(id) => id,
            TradeId::Text(_) => panic!("{trade:?}"),
        },
        other => panic!("{other:?}"),
    };
    events.iter().map(id).collect()
}

/// A trade without the scales of its time.
fn print(event: &Event) -> (&TradeId, Decimal, Decimal, Option<Side>, u32) {
    let Body::Trade(trade) = &event.body else { panic!("{event:?}") };
    let number = |mantissa: i64, scale| Decimal::new(mantissa.into(), scale);
    let px = number(trade.px.0, event.instrument.px_scale);
    (&trade.id, px, number(trade.qty.0, event.instrument.qty_scale), trade.aggressor, trade.count)
}

/// What the sessions heard of a lane.
fn heard(pair: &Pair, instrument: &Arc<Instrument>, channel: Channel, from: Ts, to: Ts) -> Vec<Event> {
    let fits = |event: &&Event| {
        event.instrument.id == instrument.id
            && event.channel == channel
            && matches!(event.body, Body::Trade(_))
            && event.stamp.ts_event.is_some_and(|ts| from <= ts && ts < to)
    };
    pair.seen.kept.iter().filter(fits).cloned().collect()
}

#[test]
fn the_past_of_trades_is_what_was_heard_none_twice_and_none_left_out() {
    let mut pair = venue(1);
    let parts = [(20_000, 280_000), (100_000, 100_001), (0, 400_000), (150_000, 150_000)];
    for instrument in pair.instruments.clone() {
        for channel in [Channel::Trades] {
            for (from, to) in parts {
                let (from, to) = (START.plus_ms(from), START.plus_ms(to));
                let (events, mut history) = read(&mut pair, past(&instrument, channel, from, to), 1_000);
                let expected = heard(&pair, &instrument, channel, from, to);
                let name = format!("{} {} {from:?}", instrument.name, channel.name());
                assert_eq!(ids(&events), ids(&expected), "{name}");
                for (told, heard) in events.iter().zip(&expected) {
                    assert_eq!((print(told), told.stamp.ts_event), (print(heard), heard.stamp.ts_event));
                    assert!(told.flags.is_empty());
                }
                assert_eq!((history.request(), history.reached()), (None, to), "{name}");
            }
        }
    }
}

#[test]
fn reading_goes_on_where_another_one_ended() {
    let mut pair = venue(2);
    let instrument = pair.instruments[0].clone();
    let (from, to) = (START, START.plus_ms(300_000));
    for channel in [Channel::Trades] {
        let expected = ids(&heard(&pair, &instrument, channel, from, to));
        assert!(expected.len() > 2_000, "several pages: {}", expected.len());
        for pages in 1..6 {
            let (first, history) = read(&mut pair, past(&instrument, channel, from, to), pages);
            let next = past(&instrument, channel, history.reached(), to);
            let (rest, _) = read(&mut pair, next, 1_000);
            assert_eq!([ids(&first), ids(&rest)].concat(), expected, "{} after {pages}", channel.name());
        }
    }
}

#[test]
fn trades_are_found_by_their_numbers() {
    let mut pair = venue(3);
    for instrument in pair.instruments.clone() {
        for channel in [Channel::Trades] {
            let all = ids(&heard(&pair, &instrument, channel, START, pair.now));
            for (first, last) in [(10, 12), (5, all.len() - 1), (all.len() - 2, all.len() - 1)] {
                let wanted = Some((all[first], all[last]));
                let by_id = Past { ids: wanted, ..past(&instrument, channel, START, pair.now) };
                let (events, _) = read(&mut pair, by_id, 1_000);
                assert_eq!(ids(&events), all[first..=last]);
            }
        }
    }
}

#[test]
fn bars_of_the_past_follow_each_other_and_hold_every_trade() {
    let mut pair = venue(4);
    for instrument in pair.instruments.clone() {
        let (from, to) = (START.plus_ms(30_000), START.plus_ms(200_000));
        let (events, history) = read(&mut pair, past(&instrument, Channel::Bars, from, to), 100);
        assert_eq!(history.reached(), to);
        let first = from.as_ms().div_euclid(60_000) * 60_000;
        let starts: Vec<i64> = (1..=3).map(|n| first + n * 60_000).filter(|s| *s < to.as_ms()).collect();
        for (event, start) in events.iter().zip(&starts) {
            let Body::Bar(bar) = &event.body else { panic!("{event:?}") };
            assert_eq!((bar.start.as_ms(), bar.closed, &*bar.interval), (*start, true, "1m"));
            let (from, to) = (bar.start, bar.start.plus_ms(60_000));
            let count = heard(&pair, &instrument, Channel::Trades, from, to).len() as u64;
            assert_eq!(bar.volume.is_zero(), count == 0, "{}", instrument.name);
        }
        assert_eq!(events.len(), starts.len());
    }
}

#[test]
fn the_clock_turnovers_and_books_are_read() {
    let mut pair = venue(5);
    let rest = Okx.rest();
    let clock = rest.time().unwrap();
    let answer = pair.request(clock.endpoint, &clock.path);
    assert_eq!(rest.read_time(&answer.body).unwrap().as_ms(), pair.now.as_ms());
    assert!(rest.read_time(b"{}").is_err() && rest.read_time(b"{\"code\":\"0\"").is_err());
    let mut told = Vec::new();
    for request in rest.turnovers() {
        let answer = pair.request(request.endpoint, &request.path);
        told.extend(rest.read_turnovers(&request.path, &answer.body).unwrap());
        assert!(rest.read_turnovers(&request.path, &answer.body[1..]).is_err());
    }
    for instrument in pair.instruments.clone() {
        let one = told.iter().find(|t| t.product == &*instrument.product && t.symbol == instrument.symbol);
        assert!(!one.unwrap().turnover.is_zero(), "{}", instrument.name);
        let request = rest.book(&instrument).unwrap();
        let answer = pair.request(request.endpoint, &request.path);
        let snapshot = rest.read_book(&instrument, &answer.body).unwrap();
        let held = &pair.seen.books.live[&instrument.id];
        assert_eq!(source::pair::Held::new(&instrument, &snapshot.levels, snapshot.seq), *held);
        assert!(rest.read_book(&instrument, &answer.body[..20]).is_err());
    }
    let none = br#"{"code":"51001","msg":"Instrument ID does not exist","data":[]}"#;
    assert!(rest.read_book(&pair.instruments[0].clone(), none).is_err());
}
