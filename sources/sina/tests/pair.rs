//! Sessions and the simulated venue in memory.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use model::{Body, Channel, LaneFact, Status};
use sina::{SPEC, Sina};
use source::pair::{Pair, START};
use source::poll::check;
use source::{Options, SimControl, SimSetup, Source, Want};
use std::sync::Arc;

fn setup(seed: u64) -> SimSetup {
    SimSetup { seed, start: START, instruments: 150, ..SimSetup::default() }
}

fn all() -> Vec<Channel> {
    SPEC.channels.iter().map(|spec| spec.channel).collect()
}

#[test]
fn every_quote_is_the_markets_and_halted_shares_are_told() {
    for seed in 1..4 {
        let events = check::quotes_are_the_markets(&Sina, &setup(seed), &all(), (30_000, |_| 1));
        assert!(events.len() > 1_000);
        let halted = |status: &Body| matches!(status, Body::Status(Status::Halted));
        assert!(events.iter().any(|event| halted(&event.body)), "seed {seed}");
    }
}

#[test]
fn a_code_that_the_source_does_not_know_is_refused_and_harms_no_other() {
    let mut pair = Pair::new(&Sina, &setup(1), &[], &Options::default());
    pair.seen.keep = true;
    let unknown = Arc::new(model::ashare::instrument(model::ashare::Code::parse("601999").unwrap(), ""));
    let want = |instrument: &Arc<_>| Want { instrument: Arc::clone(instrument), channel: Channel::DayStats };
    let known = pair.instruments[0].clone();
    pair.subscribe(&[want(&unknown), want(&known)]);
    pair.run_ms(10_000);
    let told = |symbol: &str, refused: bool| {
        pair.seen.kept.iter().any(|e| {
            *e.instrument.symbol == *symbol && matches!(e.body, Body::Lane(LaneFact::Refused(_))) == refused
        })
    };
    assert_eq!(pair.seen.refused, ["the source does not know this code"]);
    assert!(told(&known.symbol, false));
}

#[test]
fn refusals_make_the_questions_rare_and_then_all_goes_on() {
    for seed in 1..4 {
        let mut pair = Pair::new(&Sina, &setup(seed), &all(), &Options::default());
        pair.run_ms(20_000);
        let (told, asked) = (pair.seen.count(Channel::DayStats), pair.fetched.len());
        pair.control(SimControl::RateLimit(1_000));
        pair.run_ms(600_000);
        assert!(pair.fetched.len() - asked <= 8, "{}", pair.fetched.len() - asked);
        pair.control(SimControl::RateLimit(0));
        pair.run_ms(200_000);
        assert!(pair.seen.count(Channel::DayStats) > told);
        assert!(pair.seen.gaps.contains_key("disconnected"));
    }
}

#[test]
fn the_list_comes_by_pages() {
    let many = SimSetup { instruments: 450, ..setup(1) };
    let mut pair = Pair::new(&Sina, &many, &[], &Options::default());
    let (mut request, mut names) = (Sina.listings().remove(0), Vec::new());
    loop {
        let answer = pair.request(request.endpoint, &request.path);
        let page = Sina.define(&request.path, &answer.body).unwrap().unwrap();
        names.extend(page.into_iter().map(|i| i.name));
        let Some(next) = Sina.more(&request, &answer.body) else { break };
        request = next;
    }
    assert_eq!(names.len(), 450);
}
