//! Sessions and the simulated venue in memory.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use model::{Body, Channel};
use source::pair::{Pair, START};
use source::poll::check;
use source::{Options, Past, SimControl, SimSetup, Source};
use std::collections::BTreeSet;
use ths::{SPEC, Ths};

fn setup(seed: u64) -> SimSetup {
    SimSetup { seed, start: START, instruments: 12, ..SimSetup::default() }
}

fn all() -> Vec<Channel> {
    SPEC.channels.iter().map(|spec| spec.channel).collect()
}

#[test]
fn every_channel_is_fed_and_every_quote_is_the_markets() {
    for seed in 1..5 {
        let mut pair = Pair::new(&Ths, &setup(seed), &all(), &Options::default());
        pair.seen.keep = true;
        pair.run_ms(60_000);
        for channel in all() {
            let names: BTreeSet<_> =
                pair.seen.kept.iter().filter(|e| e.channel == channel).map(|e| &e.instrument.name).collect();
            assert!(names.len() >= 6, "seed {seed}: {channel:?} {names:?}");
        }
        let members = pair.seen.kept.iter().find_map(|event| match &event.body {
            Body::Sector(sector) => Some(sector.members.clone()),
            _ => None,
        });
        assert!(
            members
                .unwrap()
                .iter()
                .all(|name| name.ends_with(".SH") || name.ends_with(".SZ") || name.ends_with(".BJ"))
        );
        let ranked = pair.seen.kept.iter().find_map(|event| match &event.body {
            Body::Ranking(ranking) if &*ranking.list == "hot_normal" => Some(ranking.rows.clone()),
            _ => None,
        });
        let ranked = ranked.unwrap();
        assert_eq!(ranked.len(), 12);
        assert!(
            ranked
                .windows(2)
                .all(|two| two[0].value >= two[1].value || two.iter().any(|row| row.value.is_none()))
        );
    }
}

#[test]
fn quotes_are_the_markets() {
    // The source gives no time: the answer stands for the instant of the question.
    for seed in 1..6 {
        let channels = [Channel::DayStats, Channel::BookTop];
        let events = check::quotes_are_the_markets(&Ths, &setup(seed), &channels, (60_000, |_| 1));
        assert!(events.len() > 100);
    }
}

#[test]
fn refusals_make_the_questions_rare_and_then_all_goes_on() {
    for seed in 1..5 {
        let mut pair = Pair::new(&Ths, &setup(seed), &[Channel::BookTop], &Options::default());
        pair.run_ms(20_000);
        let (told, asked) = (pair.seen.count(Channel::BookTop), pair.fetched.len());
        pair.control(SimControl::RateLimit(1_000));
        pair.run_ms(900_000);
        assert!(pair.fetched.len() - asked <= 8, "{}", pair.fetched.len() - asked);
        pair.control(SimControl::RateLimit(0));
        pair.run_ms(330_000);
        assert!(pair.seen.count(Channel::BookTop) > told);
        assert!(pair.seen.gaps.contains_key("disconnected"));
    }
}

#[test]
fn the_past_of_bars_is_read_and_is_what_the_venue_has() {
    let mut pair = Pair::new(&Ths, &setup(4), &[], &Options::default());
    let instrument = pair.instruments.iter().find(|i| &*i.venue == "szse").unwrap().clone();
    for (interval, days, least) in
        [("1d", 400, 150), ("1m", 14, 100), ("1h", 60, 60), ("1w", 60, 6), ("1M", 120, 3)]
    {
        let from = model::Ts(START.0 - days * 86_400_000_000_000);
        let past = Past {
            source: "ths",
            instrument: instrument.clone(),
            channel: Channel::Bars,
            interval: interval.to_owned(),
            from,
            to: START,
            ids: None,
        };
        let mut history = Ths.rest().history(past).unwrap();
        let mut starts = Vec::new();
        while let Some(request) = history.request() {
            let answer = pair.request(request.endpoint, &request.path);
            for event in history.take(&answer.body, START).unwrap() {
                match event.body {
                    Body::Bar(bar) => starts.push(bar.start),
                    other => panic!("{other:?}"),
                }
            }
        }
        assert!(starts.len() >= least, "{interval}: {}", starts.len());
        assert!(starts.windows(2).all(|pair| pair[0] < pair[1]), "{interval}");
        assert!(starts.iter().all(|start| (from..START).contains(start)));
        assert_eq!(history.reached(), START);
    }
}
