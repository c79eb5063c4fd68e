//! Frames of a source's simulators, for a source that there are no recordings of.

use crate::frames::{Input, Set};
use model::Ts;
use source::{Action, Options, Peer, Session, Shard, Sim, SimAction, SimInput, SimSetup, Source, Want};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// When the market opens.
const START: Ts = Ts::from_ms(1_760_000_000_000);
/// How long it is listened to, in ms.
const LASTS_MS: u64 = 30_000;

/// A venue, and a session on each connection that it takes to hear everything.
struct Run {
    sim: Box<dyn Sim>,
    links: Vec<(Shard, Box<dyn Session>)>,
    /// What was heard, by endpoint.
    heard: BTreeMap<usize, Vec<(Ts, Input)>>,
}

/// Half a minute of the simulators, an endpoint each: what a client that subscribes to everything is sent.
pub fn simulated(source: &'static dyn Source) -> Vec<Set> {
    let setup = SimSetup { start: START, moves_per_s: 4_000, ..SimSetup::default() };
    let mut sim = source.sim(&setup);
    let wants = listed(source, sim.as_mut());
    let shards = source.shards(&wants, &Options { login: sim.login(), ..Options::default() });
    let links = shards.into_iter().map(|shard| (shard.clone(), source.session(&shard))).collect();
    let mut run = Run { sim, links, heard: BTreeMap::new() };
    for link in 0..run.links.len() {
        run.open(link);
    }
    for ms in 0..LASTS_MS {
        let now = START.plus_ms(ms);
        let mut out = Vec::new();
        run.sim.on(SimInput::Wake, now, &mut out);
        run.follow(out.into(), now);
    }
    let set = |(endpoint, inputs): (usize, Vec<(Ts, Input)>)| {
        let spec = source.spec();
        let name = spec.endpoints.get(endpoint).map_or("", |e| e.name);
        let set = Set::new(format!("{} simulator, {name}", spec.name), source, inputs);
        Set { shard: Shard { endpoint, ..Shard::default() }, ..set }
    };
    run.heard.into_iter().map(set).collect()
}

impl Run {
    fn open(&mut self, link: usize) {
        let Some((Shard { endpoint, path: Some(path), .. }, session)) = self.links.get_mut(link) else {
            return;
        };
        let (mut did, mut out) = (Vec::new(), Vec::new());
        let peer = Peer(link as u64);
        self.sim.on(SimInput::Open { peer, endpoint: *endpoint, path: path.as_str() }, START, &mut did);
        session.on(source::Input::Open, START, &mut out);
        let asked = self.ask(link, out, START);
        self.follow(did.into_iter().chain(asked).collect(), START);
    }

    /// Passes on what a session does; gives what the venue does then.
    fn ask(&mut self, link: usize, did: Vec<Action>, now: Ts) -> Vec<SimAction> {
        let Some((Shard { endpoint, .. }, _)) = self.links.get(link) else { return Vec::new() };
        let (endpoint, peer) = (*endpoint, Peer(link as u64));
        let mut out = Vec::new();
        for action in did {
            match action {
                Action::Send(bytes) => self.sim.on(SimInput::Frame { peer, bytes: &bytes }, now, &mut out),
                Action::Fetch { tag, path, .. } => {
                    let mut replies = Vec::new();
                    self.sim.on(SimInput::Request { request: tag, endpoint, path: &path }, now, &mut replies);
                    out.extend(self.answer(link, tag, &path, replies, now));
                }
                _ => {}
            }
        }
        out
    }

    fn answer(&mut self, link: usize, tag: u64, path: &str, did: Vec<SimAction>, now: Ts) -> Vec<SimAction> {
        let mut out = Vec::new();
        for action in did {
            let SimAction::Reply { status, body, .. } = action else {
                out.push(action);
                continue;
            };
            let mut then = Vec::new();
            if let Some((shard, session)) = self.links.get_mut(link) {
                let input =
                    source::Input::Reply { tag: Some(tag), path, status, retry_ms: None, body: &body };
                session.on(input, now, &mut then);
                self.heard
                    .entry(shard.endpoint)
                    .or_default()
                    .push((now, Input::Reply(path.to_owned(), body)));
            }
            out.extend(self.ask(link, then, now));
        }
        out
    }

    fn follow(&mut self, mut did: VecDeque<SimAction>, now: Ts) {
        while let Some(action) = did.pop_front() {
            let SimAction::Send { peer: Peer(peer), bytes, binary } = action else { continue };
            let Some(link) = usize::try_from(peer).ok() else { continue };
            let Some((shard, session)) = self.links.get_mut(link) else { continue };
            let mut out = Vec::new();
            session.on(source::Input::Frame { bytes: &bytes, binary }, now, &mut out);
            self.heard.entry(shard.endpoint).or_default().push((now, Input::Frame(bytes, binary)));
            did.extend(self.ask(link, out, now));
        }
    }
}

/// Every channel of everything that the venue lists.
fn listed(source: &'static dyn Source, sim: &mut dyn Sim) -> Vec<Want> {
    let mut wants = Vec::new();
    for (n, request) in source.listings().into_iter().enumerate() {
        let mut actions = Vec::new();
        let ask = SimInput::Request { request: n as u64, endpoint: request.endpoint, path: &request.path };
        sim.on(ask, START, &mut actions);
        for action in actions {
            let SimAction::Reply { body, .. } = action else { continue };
            for instrument in source.define(&request.path, &body).and_then(Result::ok).into_iter().flatten() {
                let instrument = Arc::new(instrument);
                for channel in source.spec().channels {
                    wants.push(Want { instrument: instrument.clone(), channel: channel.channel });
                }
            }
        }
    }
    wants
}
