//! Sessions and the simulated venue in memory.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use eastmoney::{Eastmoney, SPEC};
use model::ashare::Board;
use model::{Body, Channel, Event};
use source::pair::{Pair, START};
use source::poll::check;
use source::{Options, Past, Peer, SimAction, SimControl, SimInput, SimSetup, Source};
use std::collections::BTreeSet;

fn setup(seed: u64) -> SimSetup {
    SimSetup { seed, start: START, instruments: 8, ..SimSetup::default() }
}

fn all() -> Vec<Channel> {
    SPEC.channels.iter().map(|spec| spec.channel).collect()
}

fn of(events: &[Event], channel: Channel) -> usize {
    let names: BTreeSet<_> = events
        .iter()
        .filter(|e| e.channel == channel && !matches!(e.body, Body::Lane(_)))
        .map(|e| &e.instrument.name)
        .collect();
    names.len()
}

#[test]
fn every_channel_is_fed_and_every_quote_is_the_markets() {
    for seed in 1..6 {
        let events = check::quotes_are_the_markets(&Eastmoney, &setup(seed), &all(), (120_000, Board::lot));
        for channel in all() {
            assert!(of(&events, channel) >= 8, "seed {seed}: {channel:?} of {}", of(&events, channel));
        }
        let flow = events.iter().find_map(|e| match &e.body {
            Body::CapitalFlow(flow) if flow.main.is_some_and(|main| !main.is_zero()) => Some(flow.clone()),
            _ => None,
        });
        let flow = flow.unwrap();
        let sum = |parts: &[Option<model::Decimal>]| -> i64 {
            parts.iter().map(|part| part.unwrap().mantissa_at(4).unwrap()).sum()
        };
        assert_eq!(sum(&[flow.very_large, flow.large]), sum(&[flow.main]));
        assert_eq!(sum(&[flow.very_large, flow.large, flow.medium, flow.small]), 0);
    }
}

#[test]
fn quotes_asked_for_in_rounds_are_those_that_are_heard() {
    // More levels than are heard one by one: all are asked for, and tell the numbers of the day too.
    let many = SimSetup { instruments: 80, ..setup(3) };
    let channels = [Channel::DayStats, Channel::BookTop, Channel::CapitalFlow];
    let events = check::quotes_are_the_markets(&Eastmoney, &many, &channels, (150_000, Board::lot));
    for channel in channels {
        // Of what is suspended no flow is told.
        assert!(of(&events, channel) >= 75, "{channel:?} of {}", of(&events, channel));
    }
    let pair = Pair::new(&Eastmoney, &many, &[], &Options::default());
    let heard = |channels: &[Channel]| {
        let shards = Eastmoney.shards(&pair.wants(channels), &Options::default());
        shards.iter().filter(|shard| shard.path.is_some()).count()
    };
    assert_eq!(heard(&[Channel::BookTop]), 0);
    assert!((2..=4).contains(&heard(&[Channel::DayStats])), "some dozen on each connection");
}

#[test]
fn refusals_make_the_questions_rare_and_books_a_gap_and_then_all_goes_on() {
    let mut pair = Pair::new(&Eastmoney, &setup(2), &[Channel::Bars, Channel::BookTop], &Options::default());
    pair.run_ms(30_000);
    let (bars, asked) = (pair.seen.count(Channel::Bars), pair.fetched.len());
    assert!(bars >= 8 && asked >= 20);
    pair.control(SimControl::RateLimit(1_000));
    pair.run_ms(600_000);
    // Pauses double, up to three minutes.
    assert!(pair.fetched.len() - asked <= 8, "{}", pair.fetched.len() - asked);
    pair.control(SimControl::RateLimit(0));
    pair.run_ms(200_000);
    assert!(pair.seen.count(Channel::Bars) > bars, "bars come again");
    let gaps = pair.seen.gaps.values().sum::<usize>();
    pair.control(SimControl::CloseAll);
    pair.run_ms(10_000);
    let books = pair.instruments.iter().filter(|i| &*i.venue != "eastmoney").count();
    assert!(pair.seen.gaps.values().sum::<usize>() - gaps <= books);
    assert!(pair.seen.gaps.contains_key("disconnected"), "{:?}", pair.seen.gaps);
}

#[test]
fn the_past_of_bars_is_read_and_is_what_the_venue_has() {
    let mut pair = Pair::new(&Eastmoney, &setup(4), &[], &Options::default());
    let instrument = pair.instruments.iter().find(|i| &*i.venue == "sse").unwrap().clone();
    for (interval, days, least) in
        [("1d", 60, 30), ("1m", 14, 400), ("1h", 14, 8), ("1w", 60, 6), ("1M", 120, 3)]
    {
        let from = model::Ts(START.0 - days * 86_400_000_000_000);
        let past = Past {
            source: "eastmoney",
            instrument: instrument.clone(),
            channel: Channel::Bars,
            interval: interval.to_owned(),
            from,
            to: START,
            ids: None,
        };
        let mut history = Eastmoney.rest().history(past).unwrap();
        let mut bars = Vec::new();
        while let Some(request) = history.request() {
            let answer = pair.request(request.endpoint, &request.path);
            bars.extend(history.take(&answer.body, START).unwrap());
        }
        let starts: Vec<_> = bars
            .iter()
            .map(|event| match &event.body {
                Body::Bar(bar) => bar.start,
                other => panic!("{other:?}"),
            })
            .collect();
        assert!(bars.len() >= least, "{interval}: {}", bars.len());
        assert!(starts.windows(2).all(|pair| pair[0] < pair[1]), "{interval}");
        assert!(starts.iter().all(|start| (from..START).contains(start)));
        assert_eq!(history.reached(), START);
    }
}

#[test]
fn every_stream_of_a_market_that_stands_still_shows_signs_of_life() {
    let (mut sim, mut out) = (Eastmoney.sim(&setup(1)), Vec::new());
    let pair = Pair::new(&Eastmoney, &setup(1), &[], &Options::default());
    let shards = Eastmoney.shards(&pair.wants(&[Channel::BookTop]), &Options::default());
    sim.control(SimControl::Pause(true), START, &mut out);
    for (n, shard) in shards.iter().enumerate() {
        let path = shard.path.as_deref().unwrap();
        sim.on(SimInput::Open { peer: Peer(n as u64), endpoint: shard.endpoint, path }, START, &mut out);
    }
    out.clear();
    for second in 1..=20 {
        sim.on(SimInput::Wake, START.plus_ms(second * 1_000), &mut out);
    }
    for n in 0..shards.len() as u64 {
        let told = out.iter().filter(|a| matches!(a, SimAction::Send { peer, .. } if *peer == Peer(n)));
        assert_eq!(told.count(), 4, "stream {n}");
    }
}
