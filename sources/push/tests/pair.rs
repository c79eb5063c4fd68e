//! Session and simulator joined by a stream of bytes in memory: what is told is what stands in the market.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panic")]

use model::ashare::Code;
use model::{Body, Channel, Decimal, Event, Level, Qty, Ts};
use push::Push;
use push::sim::{Habits, PushSim, TOKEN};
use source::ashare::Market;
use source::{
    Action, End, Fault, Input, Login, Malformed, Options, Peer, Shard, Sim, SimAction, SimControl, SimInput,
    SimSetup, Source,
};
use std::collections::BTreeMap;

/// 2026-11-18 in Beijing, 10:30, a Wednesday.
const START: Ts = Ts::from_ms(1_794_969_000_000);
const PEER: Peer = Peer(1);

struct Test {
    sim: PushSim,
    session: Box<dyn source::Session>,
    now: Ts,
    setup: SimSetup,
    /// What came and is no whole frame yet.
    bytes: Vec<u8>,
    events: Vec<Event>,
    malformed: Vec<Malformed>,
    /// Why our end gave up, or what the stream began with that is no frame.
    over: Option<(Fault, String)>,
    /// Whether the venue has closed.
    closed: bool,
}

fn connected(habits: Habits, token: &str) -> Test {
    let setup = SimSetup { seed: 5, start: START, instruments: 200, ..SimSetup::default() };
    let login = Some(Login { key: token.to_owned(), secret: String::new() });
    let options = Options { login, layout: habits.layout.to_owned(), ..Options::default() };
    let shard = Shard { endpoint: 0, path: Some(String::new()), wants: Vec::new(), options };
    let mut test = Test {
        sim: PushSim::with(&setup, habits),
        session: Push.session(&shard),
        now: START,
        setup,
        bytes: Vec::new(),
        events: Vec::new(),
        malformed: Vec::new(),
        over: None,
        closed: false,
    };
    let mut said = Vec::new();
    test.sim.on(SimInput::Open { peer: PEER, endpoint: 0, path: "" }, START, &mut said);
    test.hear(Input::Open, &mut said);
    test.carry(said);
    test
}

impl Test {
    fn hear(&mut self, input: Input<'_>, said: &mut Vec<SimAction>) {
        let mut out = Vec::new();
        self.session.on(input, self.now, &mut out);
        for action in out {
            match action {
                Action::Send(bytes) => {
                    self.sim.on(SimInput::Frame { peer: PEER, bytes: &bytes }, self.now, said);
                }
                Action::Emit(event) => self.events.push(event),
                Action::Malformed(fault) => self.malformed.push(fault),
                Action::Close { fault, why } => self.over = Some((fault, why)),
                Action::Unknown(what) => panic!("the simulator says what nobody knows: {what}"),
                Action::WakeAt { .. } | Action::Control(_) | Action::Fetch { .. } => {}
            }
        }
    }

    /// Carries bytes in pieces of a few hundred, as they come.
    fn carry(&mut self, said: Vec<SimAction>) {
        for action in said {
            match action {
                SimAction::Send { bytes, .. } => self.bytes.extend(bytes),
                SimAction::Close { .. } => self.closed = true,
                _ => {}
            }
            while self.over.is_none() && !self.bytes.is_empty() {
                match Push.cut(0, End::Venue, &self.bytes) {
                    Ok(Some(length)) => {
                        let rest = self.bytes.split_off(length);
                        let frame = std::mem::replace(&mut self.bytes, rest);
                        self.hear(Input::Frame { bytes: &frame, binary: true }, &mut Vec::new());
                    }
                    Ok(None) => break,
                    Err(fault) => self.over = Some((Fault::Protocol, fault.to_string())),
                }
            }
        }
    }

    fn run_ms(&mut self, ms: u64) {
        let until = self.now.plus_ms(ms);
        while self.now < until {
            self.now = self.now.plus_ms(20);
            let mut said = Vec::new();
            self.sim.on(SimInput::Wake, self.now, &mut said);
            self.carry(said);
        }
    }

    fn pause(&mut self) {
        let mut said = Vec::new();
        self.sim.control(SimControl::Pause(true), self.now, &mut said);
        self.carry(said);
    }

    /// The newest of each lane.
    fn newest(&self) -> BTreeMap<(String, Channel), &Event> {
        let data = self.events.iter().filter(|e| matches!(e.body, Body::DayStats(_) | Body::Snapshot(_)));
        data.map(|e| ((e.instrument.name.to_string(), e.channel), e)).collect()
    }
}

/// A quantity as the wire has it, in whole lots but for Beijing's volume.
fn cut(shares: i64, lot: i64) -> i64 {
    shares / lot * lot
}

fn levels(side: &[Level], lot: i64) -> Vec<Level> {
    let five = side.iter().take(5).map(|l| Level { px: l.px, qty: Qty(cut(l.qty.0, lot)) });
    five.filter(|level| level.qty.0 > 0).collect()
}

#[test]
fn everything_that_is_listed_is_told_as_it_stands_in_the_market() {
    let own = "code time last lots amount prev_close open low high - bid_px*5 bid_shares*5 ask_shares*5 ask_px*5 beijing_shares";
    for (layout, burst) in [("A", false), ("A", true), ("B", false), (own, true)] {
        let mut test = connected(Habits { layout, burst, ..Habits::default() }, TOKEN);
        test.run_ms(20_000);
        test.pause();
        assert_eq!((test.malformed.len(), &test.over), (0, &None), "{layout}");
        let (mut market, clock) = Market::of(&test.setup);
        market.advance(clock.market(test.now));
        let newest = test.newest();
        let beijing = newest.values().filter(|event| &*event.instrument.venue == "bse").count();
        assert!(beijing > 10 && newest.contains_key(&("000001.SH".to_owned(), Channel::DayStats)));
        for index in 0..market.listed().len() {
            let view = market.view(index).unwrap();
            let one = &market.listed()[index];
            let (name, lot) = (one.instrument.name.to_string(), i64::from(one.section.board.lot()));
            let told = newest[&(name.clone(), Channel::DayStats)];
            let Body::DayStats(day) = &told.body else { panic!("{name}") };
            let px = |px: model::Px| Decimal::new(i128::from(px.0), one.instrument.px_scale);
            assert_eq!(told.stamp.ts_event, Some(view.ts), "{name}");
            assert_eq!(
                (day.last, day.high, day.low),
                (view.last.map(px), view.high.map(px), view.low.map(px)),
                "{name}"
            );
            assert_eq!(day.turnover, Some(px(model::Px(view.amount))), "{name}");
            let exact = &*one.instrument.venue == "bse";
            let volume = if exact { view.volume } else { cut(view.volume, lot) };
            assert_eq!(day.volume, Some(Decimal::new(i128::from(volume), 0)), "{name}");
            if layout == "A" && !exact {
                assert_eq!(
                    (day.limit_down, day.limit_up),
                    view.limits.map(|(d, u)| (px(d), px(u))).unzip(),
                    "{name}"
                );
            }
            let lot = if layout == own { 1 } else { lot };
            match newest.get(&(name.clone(), Channel::BookTop)).map(|event| &event.body) {
                Some(Body::Snapshot(book)) => {
                    assert_eq!(book.levels.bids(), levels(&view.bids, lot), "{name}");
                    assert_eq!(book.levels.asks(), levels(&view.asks, lot), "{name}");
                }
                _ => {
                    assert!(
                        one.is_index() || exact && view.bids.is_empty() && view.asks.is_empty(),
                        "{name}"
                    );
                }
            }
            assert_eq!(model::ashare::code(&told.instrument), Some::<Code>(one.code));
        }
    }
}

#[test]
fn a_wrong_token_is_refused_framed_or_raw_and_the_right_one_not() {
    for framed_refusal in [true, false] {
        let mut test = connected(Habits { framed_refusal, ..Habits::default() }, "QT_wrong");
        test.run_ms(5_000);
        let (fault, why) = test.over.unwrap();
        assert_eq!(
            (fault, why.as_str(), test.closed),
            (Fault::Refused, "the venue refused: Token鉴权失败", true)
        );
        assert!(test.events.is_empty());
    }
    let mut test = connected(Habits::default(), TOKEN);
    test.run_ms(5_000);
    assert!(test.over.is_none() && !test.events.is_empty());
}

#[test]
fn a_venue_that_speaks_the_other_layout_is_not_believed() {
    let setup = |layout| Habits { layout, ..Habits::default() };
    for (spoken, expected) in [("B", "A"), ("A", "B")] {
        let mut test = connected(setup(expected), TOKEN);
        test.sim = PushSim::with(&test.setup, setup(spoken));
        let mut said = Vec::new();
        test.sim.on(SimInput::Open { peer: PEER, endpoint: 0, path: "" }, START, &mut said);
        test.sim.on(SimInput::Frame { peer: PEER, bytes: TOKEN.as_bytes() }, START, &mut said);
        test.run_ms(20_000);
        let (fault, why) = test.over.clone().unwrap();
        assert!(fault == Fault::Refused && why.contains(&format!("layout `{expected}`")), "{why}");
        assert!(test.newest().is_empty());
    }
}

#[test]
fn a_frame_of_nothing_harms_nothing_and_a_length_that_lies_ends_the_connection() {
    let mut test = connected(Habits { noise: vec![0; 4], ..Habits::default() }, TOKEN);
    test.run_ms(20_000);
    assert_eq!((test.malformed.len(), &test.over), (1, &None));
    for length in [2_000_000_u32, 0x7fff_ffff, u32::MAX] {
        let mut test = connected(Habits { noise: length.to_le_bytes().to_vec(), ..Habits::default() }, TOKEN);
        test.run_ms(20_000);
        let (fault, why) = test.over.unwrap();
        assert!(fault == Fault::Protocol && why.contains("longer than 1 MiB"), "{why}");
    }
}

#[test]
fn clients_that_come_and_go_disturb_nobody() {
    let mut test = connected(Habits::default(), TOKEN);
    let mut said = Vec::new();
    for n in 2..500 {
        let peer = Peer(n);
        test.sim.on(SimInput::Open { peer, endpoint: 0, path: "" }, test.now, &mut said);
        test.sim.on(SimInput::Frame { peer, bytes: TOKEN.as_bytes() }, test.now, &mut said);
        test.sim.on(SimInput::Closed { peer }, test.now, &mut said);
    }
    test.run_ms(10_000);
    assert_eq!((test.malformed.len(), &test.over), (0, &None));
    assert_eq!(test.newest().len(), connected_lanes());
    test.sim.control(SimControl::CloseAll, test.now, &mut said);
    assert!(said.iter().any(|action| matches!(action, SimAction::Close { peer: PEER, .. })));
}

/// How many lanes one quiet client gets.
fn connected_lanes() -> usize {
    let mut test = connected(Habits::default(), TOKEN);
    test.run_ms(10_000);
    test.newest().len()
}
