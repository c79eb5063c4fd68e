//! What every source must hold, checked by letting its sessions talk to its simulator in memory, without a runner.
//!
//! Each check panics with a sentence where the source fails it; they are called in a loop over the registry.

mod copies;

pub use copies::{
    Passed, copies_are_passed_over, damaged_frames_may_be_passed_over, what_is_passed_over_is_as_if_read,
    what_was_heard_may_be_passed_over,
};

use crate::{
    Action, Input, Options, Peer, Session, Shard, Sim, SimAction, SimControl, SimInput, SimSetup, Source,
    Want,
};
use model::{Body, Channel, Delta, Event, Instrument, InstrumentId, Px, Qty, Snapshot, Ts};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// When conversations begin.
const START: Ts = Ts::from_ms(1_760_000_000_000);
/// How often both sides are looked after, in ms.
const STEP_MS: u64 = 5;

/// What one session heard, in order, so that it can be told again.
pub struct Heard {
    /// What the session was made for.
    pub shard: Shard,
    /// When, and what.
    pub inputs: Vec<(Ts, Said)>,
}

/// Something that a session heard.
#[derive(Clone, Debug)]
pub enum Said {
    /// The connection opened.
    Open,
    /// A frame.
    Frame(Vec<u8>, bool),
    /// An answer: tag, path, status, body.
    Reply(u64, String, u16, Vec<u8>),
    /// A wake-up.
    Wake(u64),
}

/// All that was said between a source's sessions and its simulator.
pub struct Conversation {
    /// By session.
    pub heard: Vec<Heard>,
    /// What the sessions emitted, in order.
    pub events: Vec<Event>,
    /// What they could not read or did not know.
    pub complaints: Vec<String>,
    /// The simulator, for its books.
    pub sim: Box<dyn Sim>,
}

struct Line {
    session: Box<dyn Session>,
    heard: Heard,
    timers: BTreeMap<u64, Ts>,
}

/// Lets a source's sessions talk to its simulator for `virtual_ms`, then lets the market stand still so that both sides
/// come to rest.
pub fn converse(source: &dyn Source, seed: u64, virtual_ms: u64) -> Conversation {
    let setup = SimSetup { seed, start: START, instruments: 2, moves_per_s: 200, ..SimSetup::default() };
    let mut sim = source.sim(&setup);
    let wants = wants(source, sim.as_mut());
    let listless = source.listings().is_empty();
    assert!(!wants.is_empty() || listless, "the simulator lists nothing that the source can define");
    let options = Options { login: sim.login(), ..Options::default() };
    let mut talk = Conversation { heard: Vec::new(), events: Vec::new(), complaints: Vec::new(), sim };
    let shards = source.shards(&wants, &options);
    let mut lines: Vec<Line> = shards.into_iter().map(|shard| Line::new(source, shard)).collect();
    let mut said = Vec::new();
    for (n, line) in lines.iter_mut().enumerate() {
        if let Some(path) = line.heard.shard.path.clone() {
            let endpoint = line.heard.shard.endpoint;
            talk.sim.on(SimInput::Open { peer: Peer(n as u64), endpoint, path: &path }, START, &mut said);
        }
        line.hear(n, Said::Open, START, &mut talk, &mut said);
    }
    let mut now = START;
    for step in 0..(virtual_ms + 3_000) / STEP_MS {
        now = START.plus_ms(step * STEP_MS);
        if step == virtual_ms / STEP_MS {
            talk.sim.control(SimControl::Pause(true), now, &mut said);
        }
        talk.sim.on(SimInput::Wake, now, &mut said);
        settle(&mut lines, &mut talk, &mut said, now);
        for (n, line) in lines.iter_mut().enumerate() {
            for timer in line.due(now) {
                line.hear(n, Said::Wake(timer), now, &mut talk, &mut said);
            }
        }
    }
    settle(&mut lines, &mut talk, &mut said, now);
    talk.heard = lines.into_iter().map(|line| line.heard).collect();
    talk
}

/// Everything that the simulator lists, on every channel.
fn wants(source: &dyn Source, sim: &mut dyn Sim) -> Vec<Want> {
    let mut wants = Vec::new();
    for (n, request) in source.listings().into_iter().enumerate() {
        let mut said = Vec::new();
        let ask = SimInput::Request { request: n as u64, endpoint: request.endpoint, path: &request.path };
        sim.on(ask, START, &mut said);
        let body = said.into_iter().find_map(|s| match s {
            SimAction::Reply { body, .. } => Some(body),
            _ => None,
        });
        let defined = body.and_then(|body| source.define(&request.path, &body));
        let defined: Vec<Instrument> = match defined {
            Some(Ok(all)) => all,
            Some(Err(fault)) => panic!("the listing `{}` cannot be read: {fault}", request.path),
            None => panic!("`{}` is no listing to the source that asks for it", request.path),
        };
        for instrument in defined.into_iter().map(Arc::new) {
            let all = source.spec().channels.iter().map(|c| c.channel);
            wants.extend(all.map(|channel| Want { instrument: Arc::clone(&instrument), channel }));
        }
    }
    wants
}

/// Carries what the simulator said to the sessions until nobody has anything to say.
fn settle(lines: &mut [Line], talk: &mut Conversation, said: &mut Vec<SimAction>, now: Ts) {
    while !said.is_empty() {
        for action in std::mem::take(said) {
            let (n, heard) = match action {
                SimAction::Send { peer, bytes, binary } => (peer.0 as usize, Said::Frame(bytes, binary)),
                SimAction::Reply { request, status, body, .. } => {
                    let (n, tag) = ((request >> 32) as usize, request & 0xffff_ffff);
                    (n, Said::Reply(tag, String::new(), status, body))
                }
                SimAction::Ping { peer, payload } => {
                    talk.sim.on(SimInput::Pong { peer, payload: &payload }, now, said);
                    continue;
                }
                SimAction::Close { peer, code, reason } => {
                    panic!("the simulator closed {peer:?}: {code} {reason}")
                }
                SimAction::WakeAt(_) | SimAction::Joined { .. } | SimAction::Left { .. } => continue,
            };
            if let Some(line) = lines.get_mut(n) {
                line.hear(n, heard, now, talk, said);
            }
        }
    }
}

impl Line {
    fn new(source: &dyn Source, shard: Shard) -> Self {
        let session = source.session(&shard);
        Self { session, heard: Heard { shard, inputs: Vec::new() }, timers: BTreeMap::new() }
    }

    fn due(&mut self, now: Ts) -> Vec<u64> {
        let due: Vec<u64> =
            self.timers.iter().filter(|(_, at)| **at <= now).map(|(timer, _)| *timer).collect();
        for timer in &due {
            self.timers.remove(timer);
        }
        due
    }

    fn hear(&mut self, n: usize, said: Said, now: Ts, talk: &mut Conversation, out: &mut Vec<SimAction>) {
        let mut actions = Vec::new();
        tell(self.session.as_mut(), &said, now, &mut actions);
        self.heard.inputs.push((now, said));
        for action in actions {
            match action {
                Action::Send(bytes) => {
                    talk.sim.on(SimInput::Frame { peer: Peer(n as u64), bytes: &bytes }, now, out);
                }
                Action::Fetch { tag, path, .. } => {
                    let endpoint = self.heard.shard.endpoint;
                    let request = (n as u64) << 32 | tag & 0xffff_ffff;
                    let before = out.len();
                    talk.sim.on(SimInput::Request { request, endpoint, path: &path }, now, out);
                    self.answer(n, tag, &path, before, now, talk, out);
                }
                Action::WakeAt { timer, at } => {
                    self.timers.insert(timer, at);
                }
                Action::Emit(event) => talk.events.push(event),
                Action::Malformed(fault) => talk.complaints.push(fault.to_string()),
                Action::Unknown(what) => talk.complaints.push(format!("unknown {what}")),
                Action::Close { why, .. } => panic!("the session gave up: {why}"),
                Action::Control(_) => {}
            }
        }
    }

    /// Hands a request's answer to the session under the path that it asked.
    #[allow(clippy::too_many_arguments)]
    fn answer(
        &mut self,
        n: usize,
        tag: u64,
        path: &str,
        before: usize,
        now: Ts,
        talk: &mut Conversation,
        out: &mut Vec<SimAction>,
    ) {
        let at =
            out.iter().skip(before).position(|a| matches!(a, SimAction::Reply { .. })).map(|at| before + at);
        if let Some(SimAction::Reply { status, body, .. }) = at.map(|at| out.remove(at)) {
            self.hear(n, Said::Reply(tag, path.to_owned(), status, body), now, talk, out);
        }
    }
}

fn tell(session: &mut dyn Session, said: &Said, now: Ts, out: &mut Vec<Action>) {
    session.on(said.input(), now, out);
}

/// Its spec is complete: a name, addresses, limits, channels.
pub fn spec_is_complete(source: &dyn Source) {
    let spec = source.spec();
    assert!(!spec.name.is_empty() && spec.docs.starts_with("https://"), "name and documentation");
    assert!(
        !spec.endpoints.is_empty() && !spec.channels.is_empty() && spec.frame_bytes_max > 0,
        "endpoints, channels"
    );
    for endpoint in spec.endpoints {
        for rate in [endpoint.connects, endpoint.sends, endpoint.weight] {
            assert!(rate.max > 0 && rate.per_ms > 0, "`{}` has a limit of nothing", endpoint.name);
        }
        assert!(endpoint.heartbeat_ms > 0, "`{}` has no heartbeat", endpoint.name);
    }
    let learns = !source.listings().is_empty() || !source.shards(&[], &Options::default()).is_empty();
    assert!(learns, "there is no way to learn its instruments");
}

/// Its simulator feeds every channel that it offers (`rare` ones excepted), and its sessions read all of it.
pub fn every_channel_is_fed(source: &dyn Source, talk: &Conversation, rare: &[Channel]) {
    assert!(talk.complaints.is_empty(), "frames of its own simulator: {:?}", talk.complaints);
    let fed: BTreeSet<Channel> =
        talk.events.iter().filter(|e| !matches!(e.body, Body::Lane(_))).map(|e| e.channel).collect();
    for spec in source.spec().channels {
        let missing = !fed.contains(&spec.channel) && !rare.contains(&spec.channel);
        assert!(!missing, "`{}` was never fed", spec.channel.name());
    }
}

type Side = BTreeMap<Px, Qty>;

/// Its books are a snapshot and deltas without a hole, and end equal to the simulator's.
pub fn books_equal_the_simulators(talk: &Conversation) {
    let mut books: BTreeMap<InstrumentId, (Option<u64>, Side, Side)> = BTreeMap::new();
    for event in talk.events.iter().filter(|e| e.channel == Channel::Book) {
        match &event.body {
            Body::Snapshot(snapshot) => {
                books.insert(event.instrument.id, reset(snapshot));
            }
            Body::Delta(delta) => {
                let name = &event.instrument.name;
                let book = books.get_mut(&event.instrument.id);
                apply(book.unwrap_or_else(|| panic!("a delta of {name} before any snapshot")), delta, name);
            }
            Body::Gap(gap) => panic!("a gap without a fault: {gap:?}"),
            _ => {}
        }
    }
    for truth in talk.sim.books() {
        let name = &truth.instrument.name;
        let (seq, bids, asks) =
            books.get(&truth.instrument.id).unwrap_or_else(|| panic!("no book of {name}"));
        assert_eq!(*seq, truth.seq, "seq of {name}");
        let side = |levels: &[model::Level]| levels.iter().map(|l| (l.px, l.qty)).collect::<Side>();
        assert_eq!((bids, asks), (&side(&truth.bids), &side(&truth.asks)), "levels of {name}");
    }
}

fn reset(snapshot: &Snapshot) -> (Option<u64>, Side, Side) {
    let side = |levels: &[model::Level]| levels.iter().map(|l| (l.px, l.qty)).collect();
    (snapshot.seq, side(snapshot.levels.bids()), side(snapshot.levels.asks()))
}

fn apply((seq, bids, asks): &mut (Option<u64>, Side, Side), delta: &Delta, name: &str) {
    assert_eq!(*seq, delta.prev_seq, "a hole in {name}");
    *seq = delta.seq;
    for (side, levels) in [(bids, delta.levels.bids()), (asks, delta.levels.asks())] {
        for level in levels {
            if level.qty == Qty(0) {
                side.remove(&level.px);
            } else {
                side.insert(level.px, level.qty);
            }
        }
    }
}

/// Told the same twice, two sessions do the same.
pub fn the_same_inputs_give_the_same_actions(source: &dyn Source, talk: &Conversation) {
    for heard in &talk.heard {
        let run = || {
            let (mut session, mut out) = (source.session(&heard.shard), Vec::new());
            for (now, said) in &heard.inputs {
                tell(session.as_mut(), said, *now, &mut out);
            }
            out
        };
        assert!(run() == run(), "a session has a memory of its own");
    }
}

/// Frames cut anywhere, frames with bytes changed, and noise are complained about or ignored, and never panic.
pub fn damaged_frames_never_panic(source: &dyn Source, talk: &Conversation, seed: u64, tries: usize) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let frames: Vec<(Ts, &[u8], bool)> =
        talk.heard.iter().flat_map(|h| &h.inputs).filter_map(frame).collect();
    let (mut recorded, mut out) = (source.session(&Shard::default()), Vec::new());
    let mut live: Vec<Box<dyn Session>> = talk.heard.iter().map(|h| source.session(&h.shard)).collect();
    for session in &mut live {
        session.on(Input::Open, START, &mut out);
    }
    for _ in 0..tries {
        let Some((now, bytes, binary)) = frames.get(rng.usize(0..frames.len().max(1))).copied() else {
            return;
        };
        let damaged = damage(bytes, &mut rng);
        recorded.on(Input::Frame { bytes: &damaged, binary }, now, &mut out);
        let at = rng.usize(0..live.len());
        if let Some(session) = live.get_mut(at) {
            session.on(Input::Frame { bytes: &damaged, binary: rng.u8(0..20) == 0 }, now, &mut out);
            let body = Input::Reply {
                tag: Some(rng.u64(0..4)),
                path: "/",
                status: 200,
                retry_ms: None,
                body: &damaged,
            };
            session.on(body, now, &mut out);
        }
        out.clear();
    }
}

fn frame((now, said): &(Ts, Said)) -> Option<(Ts, &[u8], bool)> {
    match said {
        Said::Frame(bytes, binary) => Some((*now, bytes, *binary)),
        Said::Open | Said::Reply(..) | Said::Wake(_) => None,
    }
}

fn damage(bytes: &[u8], rng: &mut fastrand::Rng) -> Vec<u8> {
    let mut damaged = bytes.to_vec();
    match rng.u8(0..5) {
        0 => damaged.truncate(rng.usize(0..=bytes.len())),
        1 => damaged = (0..rng.usize(0..200)).map(|_| rng.u8(..)).collect(),
        2 => damaged.extend_from_slice(bytes),
        _ => {
            for _ in 0..rng.usize(1..6) {
                let at = rng.usize(0..damaged.len().max(1));
                let interesting = b"{}[]\",:0-9eE.\\x\xff\0null";
                let byte = interesting.get(rng.usize(0..interesting.len())).copied().unwrap_or_default();
                if let Some(place) = damaged.get_mut(at) {
                    *place = byte;
                }
            }
        }
    }
    damaged
}

/// A key that nobody knows, in every frame, changes no event and is complained about. Packed frames stay as they are; a
/// source that has no others is held to it over the frames unpacked, in its own tests.
pub fn an_unknown_key_is_noticed_and_harms_nothing(source: &dyn Source, talk: &Conversation) {
    let (mut noticed, mut added) = (false, false);
    for heard in &talk.heard {
        added |= heard.inputs.iter().any(|(_, said)| matches!(said, Said::Frame(_, false)));
        let run = |add: bool| {
            let (mut session, mut out) = (source.session(&heard.shard), Vec::new());
            for (now, said) in &heard.inputs {
                let said = match said {
                    Said::Frame(bytes, false) if add && bytes.starts_with(b"{") && bytes.len() > 2 => {
                        let rest = bytes.get(1..).unwrap_or_default();
                        Said::Frame([b"{\"zzz\":[1,{\"y\":null}],".as_slice(), rest].concat(), false)
                    }
                    other => other.clone(),
                };
                tell(session.as_mut(), &said, *now, &mut out);
            }
            out
        };
        let (plain, odd) = (run(false), run(true));
        let events =
            |out: &[Action]| out.iter().filter(|a| matches!(a, Action::Emit(_))).cloned().collect::<Vec<_>>();
        assert!(events(&plain) == events(&odd), "an unknown key changed an event");
        noticed |= odd.iter().any(|a| matches!(a, Action::Unknown(what) if what.contains("zzz")));
    }
    assert!(noticed || !added, "nobody noticed an unknown key");
}
