//! A session and a server of some manner, joined in memory, under a time that is told.

#![allow(dead_code, reason = "each test file uses a part of it")]

use model::ashare::code;
use model::{Body, Channel, Event, LaneFact, Ts};
use source::pair::START;
use source::{Action, Input, Options, Peer, Sim, SimAction, SimInput, SimSetup, Source, Want};
use std::collections::BTreeMap;
use std::sync::Arc;
use tdx::Tdx;
use tdx::sim::{Manner, TdxSim};

/// A session and a server of some manner, joined in memory.
pub struct Talk {
    pub sim: TdxSim,
    pub session: Box<dyn source::Session>,
    pub wants: Vec<Want>,
    pub events: Vec<Event>,
    pub words: Vec<String>,
    pub closed: Vec<String>,
    pub open: bool,
    pub timers: BTreeMap<u64, Ts>,
    pub now: Ts,
    pub sent: usize,
    /// What the server has said and the session has not heard yet.
    pub coming: Vec<SimAction>,
    pub controls: Vec<&'static str>,
    /// The next connection's number.
    pub peer: u64,
}

impl Talk {
    pub fn new(manner: Manner, channels: &[Channel], shares: usize) -> Self {
        let options = Options::default();
        let setup = SimSetup { seed: 5, start: START, instruments: shares, ..SimSetup::default() };
        let sim = TdxSim::new(&setup, manner);
        let all = sim.market().listed().iter().map(|one| Arc::clone(&one.instrument));
        let want = |i: &Arc<_>| {
            channels.iter().map(|c| Want { instrument: Arc::clone(i), channel: *c }).collect::<Vec<_>>()
        };
        let wants: Vec<Want> = all.flat_map(|i| want(&i)).collect();
        let shards = Tdx.shards(&wants, &options);
        let [shard] = &shards[..] else { panic!("one connection") };
        let session = Tdx.session(shard);
        let (events, words, closed) = (Vec::new(), Vec::new(), Vec::new());
        let coming = Vec::new();
        let mut this = Self {
            sim,
            session,
            wants,
            events,
            words,
            closed,
            open: false,
            timers: BTreeMap::new(),
            now: START,
            sent: 0,
            coming,
            controls: Vec::new(),
            peer: 0,
        };
        this.connect();
        this
    }

    pub fn connect(&mut self) {
        self.open = true;
        self.peer += 1;
        let mut out = Vec::new();
        self.sim.on(SimInput::Open { peer: Peer(self.peer), endpoint: 0, path: "" }, self.now, &mut out);
        self.tell(Input::Open);
    }

    pub fn tell(&mut self, input: Input<'_>) {
        let mut out = Vec::new();
        self.session.on(input, self.now, &mut out);
        self.follow(out);
        while !self.coming.is_empty() {
            match self.coming.remove(0) {
                // What is cut short never becomes a frame.
                SimAction::Send { bytes, .. }
                    if self.open && Tdx.cut(0, source::End::Venue, &bytes) == Ok(Some(bytes.len())) =>
                {
                    let mut out = Vec::new();
                    self.session.on(Input::Frame { bytes: &bytes, binary: true }, self.now, &mut out);
                    self.follow(out);
                }
                SimAction::Close { .. } => self.leave(),
                _ => {}
            }
        }
    }

    pub fn follow(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Send(bytes) => {
                    self.sent += 1;
                    let frame = SimInput::Frame { peer: Peer(self.peer), bytes: &bytes };
                    self.sim.on(frame, self.now, &mut self.coming);
                }
                Action::WakeAt { timer, at } => {
                    self.timers.insert(timer, at);
                }
                Action::Emit(event) => self.events.push(event),
                Action::Malformed(fault) => self.words.push(fault.to_string()),
                Action::Unknown(what) => self.words.push(what),
                Action::Close { why, .. } => {
                    self.closed.push(why);
                    self.leave();
                }
                Action::Control(what) => self.controls.push(what),
                Action::Fetch { .. } => {}
            }
        }
    }

    pub fn leave(&mut self) {
        if std::mem::replace(&mut self.open, false) {
            self.timers.clear();
            self.coming.clear();
            let mut out = Vec::new();
            self.session.on(Input::Closed, self.now, &mut out);
            self.follow(out);
        }
    }

    pub fn run_ms(&mut self, ms: u64) {
        let end = self.now.plus_ms(ms);
        loop {
            if !self.open {
                self.connect();
            }
            let next = self.timers.values().min().copied().filter(|at| *at <= end);
            let Some(next) = next else { break };
            self.now = self.now.max(next);
            let due: Vec<u64> =
                self.timers.iter().filter(|(_, at)| **at <= self.now).map(|(timer, _)| *timer).collect();
            for timer in due {
                self.timers.remove(&timer);
                self.tell(Input::Wake { timer });
            }
        }
        self.now = end;
    }

    pub fn of(&self, channel: Channel) -> impl Iterator<Item = &Event> {
        self.events.iter().filter(move |e| e.channel == channel && !matches!(e.body, Body::Lane(_)))
    }

    pub fn facts(&self, fact: impl Fn(&LaneFact) -> bool) -> usize {
        self.events.iter().filter(|e| matches!(&e.body, Body::Lane(f) if fact(f))).count()
    }

    pub fn place(&self, event: &Event) -> usize {
        self.sim.market().find(code(&event.instrument).unwrap()).unwrap()
    }
}
