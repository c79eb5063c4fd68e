//! Prices across ex-dates: what the corporate actions of the wire make of bars, by the exchanges' rule.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use model::ashare::{Adjust, Adjuster, Code, instant, instrument};
use model::{Bar, Body, Channel, CorporateAction, Decimal, Event, Instrument, Ts};
use source::pair::START;
use source::{Past, Sim, SimAction, SimInput, SimSetup, Source};
use std::sync::Arc;
use tdx::Tdx;
use tdx::codec::frame::AnswerFrame;
use tdx::codec::{self, Answer, Query};
use tdx::sim::{Manner, TdxSim};

const E8: i128 = 100_000_000;

fn past(instrument: &Arc<Instrument>, channel: Channel, to: Ts) -> Past {
    let (source, interval, ids) = (tdx::NAME, "1d".to_owned(), None);
    Past { source, instrument: Arc::clone(instrument), channel, interval, from: Ts(0), to, ids }
}

fn actions(events: Vec<Event>) -> Vec<CorporateAction> {
    let action = |event: Event| match event.body {
        Body::CorporateAction(action) => *action,
        other => panic!("{other:?}"),
    };
    events.into_iter().map(action).collect()
}

/// A number of the wire at 8 digits, by its shortest text.
fn e8(wire: f32) -> i128 {
    i128::from(Decimal::parse(wire.to_string().as_bytes()).unwrap().mantissa_at(8).unwrap())
}

#[test]
fn each_recorded_ex_date_of_600000_gives_the_reference_price_of_the_exchange() {
    let Some(root) = std::env::var_os("QINGXI_RECORDINGS") else {
        println!("skipped: QINGXI_RECORDINGS names no folder of recordings");
        return;
    };
    let hex = std::fs::read_to_string(std::path::Path::new(&root).join("tdx/xmtdx/xdxr_info.hex")).unwrap();
    let body: Vec<u8> = hex
        .trim()
        .as_bytes()
        .chunks(2)
        .map(|p| u8::from_str_radix(std::str::from_utf8(p).unwrap(), 16).unwrap())
        .collect();
    let query = Query::Actions(vec![codec::Code::of(1, "600000").unwrap()]);
    let Answer::Actions(wire) = Answer::read(&query, &body).whole().unwrap() else { panic!() };
    let wire: Vec<_> = wire[0].all.iter().filter(|one| one.category == 1).collect();

    let share = Arc::new(instrument(Code::parse("600000.SH").unwrap(), ""));
    let mut history = Tdx.rest().history(past(&share, Channel::CorporateActions, Ts(i64::MAX))).unwrap();
    assert!(history.request().is_some());
    let frame = AnswerFrame { seq: 1, command: query.command(), body }.bytes(200).unwrap();
    let all = actions(history.take(&frame, START).unwrap());
    assert!(history.request().is_none() && all.len() == 87, "{}", all.len());

    let ex: Vec<&CorporateAction> = all.iter().filter(|one| &*one.what == "ex_rights").collect();
    assert!(ex.len() == wire.len() && ex.len() > 20, "{} and {}", ex.len(), wire.len());
    let ten = Decimal::parse(b"10").unwrap();
    for (action, one) in ex.iter().zip(&wire) {
        // (close × 10 − c1 + c2 × c4) ÷ (10 + c3 + c4), of a close of 10 yuan, half up at the eighth digit.
        let [c1, c2, c3, c4] = one.numbers.map(e8);
        let (above, below) = ((100 * E8 - c1) * E8 + c2 * c4, 10 * E8 + c3 + c4);
        let reference = (above + below / 2).div_euclid(below);
        let before = Ts(action.at.0 - 1);
        let single = Adjuster::new([*action]);
        assert!(single.moves(action));
        let seen = single.px(ten, before, Adjust::Forward).unwrap();
        assert_eq!(i128::from(seen.mantissa_at(8).unwrap()), reference, "{}", one.date);
        assert_eq!(single.px(ten, action.at, Adjust::Forward), Some(Decimal::new(10 * E8, 8)));
    }

    // The last recorded bars (April 2026) stand as they are in the one view, and 26 years higher in the other.
    let adjuster = Adjuster::new(&all);
    let (close, april) =
        (Decimal::parse(b"9.89").unwrap(), instant(model::Date::new(2026, 4, 10).unwrap(), 0));
    assert_eq!(adjuster.px(close, april, Adjust::Forward), Some(Decimal::new(989_000_000, 8)));
    let up = wire.iter().rev().fold(989_000_000_i128, |px, one| {
        let [c1, c2, c3, c4] = one.numbers.map(e8);
        (px * (10 * E8 + c3 + c4) / E8 + c1 - c2 * c4 / E8) / 10
    });
    let seen = i128::from(adjuster.px(close, april, Adjust::Backward).unwrap().mantissa_at(8).unwrap());
    assert!((seen - up).abs() < 1_000 && seen > 50 * E8, "{seen} and {up}");
}

/// What the venue tells of the past.
fn told(sim: &mut TdxSim, instrument: &Arc<Instrument>, channel: Channel) -> Vec<Event> {
    let mut history = Tdx.rest().history(past(instrument, channel, START)).unwrap();
    let mut events = Vec::new();
    while let Some(request) = history.request() {
        let mut out = Vec::new();
        sim.on(SimInput::Request { request: 1, endpoint: 0, path: &request.path }, START, &mut out);
        let [SimAction::Reply { body, .. }, ..] = &out[..] else { panic!("{out:?}") };
        events.extend(history.take(body, START).unwrap());
    }
    events
}

#[test]
fn bars_before_an_ex_date_end_at_the_reference_price_of_the_market() {
    let mut sim = TdxSim::new(
        &SimSetup { seed: 5, start: START, instruments: 40, ..SimSetup::default() },
        Manner::Good,
    );
    let market = sim.market().clone();
    let mut compared = 0;
    for (at, one) in market.listed().iter().enumerate() {
        let truth = market.ex_rights(at);
        let all = actions(told(&mut sim, &one.instrument, Channel::CorporateActions));
        assert_eq!(all.len(), truth.len(), "{:?}", one.code);
        let bars: Vec<Bar> = told(&mut sim, &one.instrument, Channel::Bars)
            .into_iter()
            .filter_map(|event| if let Body::Bar(bar) = event.body { Some(*bar) } else { None })
            .collect();
        for (ex, action) in truth.iter().zip(&all) {
            assert_eq!(action.at, instant(ex.date, 0));
            let Some(before) = bars.iter().rfind(|bar| bar.start < action.at) else { continue };
            let seen = Adjuster::new([action]).bar(before, Adjust::Forward).unwrap();
            let tick = i64::from(10_u8).pow(8 - u32::from(one.instrument.px_scale));
            let close = seen.close.mantissa_at(8).unwrap();
            assert_eq!((close + tick / 2) / tick, ex.reference.0, "{:?} {}", one.code, ex.date);
            assert_eq!(
                (seen.turnover, seen.start, seen.closed),
                (before.turnover, before.start, before.closed)
            );
            compared += 1;
        }
    }
    assert!(compared > 10, "{compared}");
}
