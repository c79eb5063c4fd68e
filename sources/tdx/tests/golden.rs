//! Fixtures give the events that stand in `golden/`. `UPDATE=1` writes them anew, the fixtures too: they are answers of the
//! simulator, a frame a line.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panic")]

use model::ashare::local;
use model::{Channel, Event, Ts};
use source::{Action, History, Input, Past, Peer, Shard, Sim, SimAction, SimInput, SimSetup, Source};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use tdx::Tdx;
use tdx::codec::{Code, Query};
use tdx::sim::{Manner, TdxSim};

const START: Ts = Ts::from_ms(1_760_000_000_000);

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn setup() -> SimSetup {
    SimSetup { seed: 11, start: START, instruments: 6, ..SimSetup::default() }
}

/// What the simulator answers when it is asked for quotes a few times.
fn recorded() -> String {
    let mut sim = TdxSim::new(&setup(), Manner::Good);
    let code = |code: &model::ashare::Code| Code::of(code.market.byte(), code.digits()).unwrap();
    let codes: Vec<Code> = sim.market().listed().iter().map(|one| code(&one.code)).collect();
    let mut out = Vec::new();
    sim.on(SimInput::Open { peer: Peer(1), endpoint: 0, path: "" }, START, &mut out);
    for (seq, round) in (1..).zip(0..3) {
        let frame = Query::Quotes(codes.clone()).frame(seq).unwrap();
        sim.on(SimInput::Frame { peer: Peer(1), bytes: &frame }, START.plus_ms(round * 6_000), &mut out);
    }
    let frames = out
        .into_iter()
        .filter_map(|said| if let SimAction::Send { bytes, .. } = said { Some(bytes) } else { None });
    frames.fold(String::new(), |mut text, frame| {
        for byte in frame {
            write!(text, "{byte:02x}").unwrap();
        }
        text.push('\n');
        text
    })
}

fn unhex(line: &str) -> Vec<u8> {
    let digit = |byte: &u8| u8::try_from(char::from(*byte).to_digit(16).unwrap()).unwrap();
    line.as_bytes().chunks(2).map(|pair| pair.iter().fold(0, |sum, byte| sum * 16 + digit(byte))).collect()
}

#[test]
fn the_fixture_gives_its_golden_events() {
    let update = std::env::var_os("UPDATE").is_some();
    let (fixture, golden) = (folder("fixtures/quotes.hex"), folder("golden/quotes.txt"));
    if update {
        std::fs::write(&fixture, recorded()).unwrap();
    }
    let frames = std::fs::read_to_string(&fixture).unwrap();
    let mut session = Tdx.session(&Shard::default());
    let mut text = String::new();
    for line in frames.lines() {
        let mut out = Vec::new();
        let bytes = unhex(line);
        assert!(Tdx.recognises(None, &bytes));
        session.on(Input::Frame { bytes: &bytes, binary: true }, START, &mut out);
        for action in out {
            match action {
                Action::Emit(Event { instrument, channel, body, .. }) => {
                    writeln!(text, "{} {} {body:?}", channel.name(), instrument.name).unwrap();
                }
                other => writeln!(text, "{other:?}").unwrap(),
            }
        }
        text.push_str("--\n");
    }
    if update {
        std::fs::write(&golden, &text).unwrap();
    }
    assert!(text == std::fs::read_to_string(&golden).unwrap_or_default(), "it is now:\n{text}");
}

/// All that a history gives, and how many questions it took.
fn read(sim: &mut TdxSim, mut history: Box<dyn History>, now: Ts) -> (Vec<Event>, usize) {
    let (mut all, mut asked) = (Vec::new(), 0);
    while let Some(request) = history.request() {
        let mut out = Vec::new();
        sim.on(SimInput::Request { request: 1, endpoint: 0, path: &request.path }, now, &mut out);
        let body = out
            .into_iter()
            .find_map(|said| if let SimAction::Reply { body, .. } = said { Some(body) } else { None });
        all.extend(history.take(&body.unwrap(), now).unwrap());
        asked += 1;
        assert!(asked < 100, "it ends");
    }
    (all, asked)
}

#[test]
fn the_past_of_bars_and_trades_is_the_markets_none_twice_and_none_left_out() {
    let mut sim = TdxSim::new(&setup(), Manner::Good);
    let days = sim.market().trading_days(6);
    let (from, to) = (model::ashare::instant(days[1], 0), model::ashare::instant(days[5], 0));
    let share = sim.market().listed().iter().position(|one| one.code.digits().starts_with('6')).unwrap();
    let instrument = std::sync::Arc::clone(&sim.market().listed()[share].instrument);
    let past = |channel, interval: &str| Past {
        source: "tdx",
        instrument: std::sync::Arc::clone(&instrument),
        channel,
        interval: interval.to_owned(),
        from,
        to,
        ids: None,
    };
    let (minutes, asked) = read(&mut sim, Tdx.rest().history(past(Channel::Bars, "1m")).unwrap(), START);
    let starts: Vec<Ts> = minutes
        .iter()
        .map(|event| if let model::Body::Bar(bar) = &event.body { bar.start } else { panic!("a bar") })
        .collect();
    assert!(starts.is_sorted_by(|a, b| a < b), "oldest first, none twice");
    let truth: usize = days[1..5].iter().map(|day| sim.market().minutes(share, *day).len()).sum();
    assert_eq!((starts.len(), asked > 1), (truth, true));
    let (daily, _) = read(&mut sim, Tdx.rest().history(past(Channel::Bars, "1d")).unwrap(), START);
    assert_eq!(
        daily.len(),
        days[1..5].iter().filter(|day| !sim.market().prints(share, **day).is_empty()).count()
    );
    let (trades, _) = read(&mut sim, Tdx.rest().history(past(Channel::Trades, "")).unwrap(), START);
    let told: Vec<i64> = trades.iter().map(|event| local(event.stamp.ts_event.unwrap()).1).collect();
    let prints: usize = days[1..5]
        .iter()
        .map(|day| sim.market().prints(share, *day).iter().filter(|p| p.qty >= 100).count())
        .sum();
    assert_eq!(told.len(), prints);
    assert!(prints > 100);
    assert!(Tdx.rest().history(past(Channel::Book, "")).is_none());
    assert!(Tdx.rest().history(past(Channel::Bars, "7m")).is_none());
}
