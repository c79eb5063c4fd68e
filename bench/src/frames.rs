//! The frames that are measured: recordings where there are some, else what the simulators send.

use app::sources::SOURCES;
use model::Ts;
use source::{Peer, SimAction, SimInput, SimSetup, Source};
use std::path::{Path, PathBuf};
use tape::{Kind, Reader};

/// The frames of one file, in order, with the answers that books start from.
pub struct Set {
    /// The file's folder and name.
    pub name: String,
    /// Who sent them.
    pub source: &'static dyn Source,
    /// What came, in order.
    pub inputs: Vec<(Ts, Input)>,
    /// How many frames.
    pub frames: usize,
    /// Bytes of all frames.
    pub bytes: usize,
}

/// A frame or an answer.
pub enum Input {
    /// A frame.
    Frame(Vec<u8>, bool),
    /// An answer, with its URL where it is known.
    Reply(String, Vec<u8>),
}

/// All files under `$QINGXI_RECORDINGS` that a source knows; without it, frames of the simulators.
pub fn load() -> Vec<Set> {
    let Some(root) = std::env::var_os("QINGXI_RECORDINGS").map(PathBuf::from) else {
        println!("QINGXI_RECORDINGS is not set: frames come from the simulators");
        return SOURCES.iter().map(|s| simulated(*s)).collect();
    };
    let mut paths = Vec::new();
    walk(&root, &mut paths);
    paths.sort();
    paths.iter().filter_map(|path| recorded(&root, path)).collect()
}

fn walk(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path()) {
        if entry.is_dir() {
            walk(&entry, out);
        } else if entry.extension().is_some_and(|e| e == "gz" || e == "zst") {
            out.push(entry);
        }
    }
}

fn recorded(root: &Path, path: &Path) -> Option<Set> {
    let name = path.strip_prefix(root).ok()?.display().to_string();
    if ["samples", "bench", "tdx", "ashare"].iter().any(|other| name.starts_with(other)) {
        return None;
    }
    let mut source = None;
    let mut inputs = Vec::new();
    for record in Reader::open(path).ok()?.flatten() {
        let recognised =
            |url: Option<&str>, frame: &[u8]| SOURCES.iter().copied().find(|s| s.recognises(url, frame));
        match record.kind {
            Kind::Connect { url } => source = source.or_else(|| recognised(Some(&url), &[])),
            Kind::Frame { bytes, binary } => {
                source = source.or_else(|| recognised(None, &bytes));
                source?;
                inputs.push((record.ts, Input::Frame(bytes, binary)));
            }
            Kind::Reply { url, body, .. } => {
                inputs.push((record.ts, Input::Reply(url.unwrap_or_default(), body)));
            }
            Kind::Header { .. } | Kind::Sent(_) | Kind::Closed { .. } => {}
        }
    }
    Some(Set::new(name, source?, inputs))
}

/// Half a minute of a simulator: what a client that subscribes to everything is sent.
fn simulated(source: &'static dyn Source) -> Set {
    let start = Ts::from_ms(1_760_000_000_000);
    let setup = SimSetup { start, moves_per_s: 4_000, ..SimSetup::default() };
    let mut sim = source.sim(&setup);
    let mut actions = Vec::new();
    let wants = listed(source, sim.as_mut(), start);
    let mut inputs = Vec::new();
    for (n, shard) in source.shards(&wants, &source::Options::default()).into_iter().enumerate() {
        let Some(path) = shard.path.clone() else { continue };
        let peer = Peer(n as u64);
        sim.on(SimInput::Open { peer, endpoint: shard.endpoint, path: &path }, start, &mut actions);
        let mut session = source.session(&shard);
        let mut out = Vec::new();
        session.on(source::Input::Open, start, &mut out);
        for action in out {
            if let source::Action::Send(bytes) = action {
                sim.on(SimInput::Frame { peer, bytes: &bytes }, start, &mut actions);
            }
        }
    }
    for ms in 0..30_000_u64 {
        let now = start.plus_ms(ms);
        sim.on(SimInput::Wake, now, &mut actions);
        for action in actions.drain(..) {
            if let SimAction::Send { bytes, binary, .. } = action {
                inputs.push((now, Input::Frame(bytes, binary)));
            }
        }
    }
    Set::new(format!("{} simulator", source.spec().name), source, inputs)
}

fn listed(source: &'static dyn Source, sim: &mut dyn source::Sim, now: Ts) -> Vec<source::Want> {
    let mut wants = Vec::new();
    for (n, request) in source.listings().into_iter().enumerate() {
        let mut actions = Vec::new();
        let ask = SimInput::Request { request: n as u64, endpoint: request.endpoint, path: &request.path };
        sim.on(ask, now, &mut actions);
        for action in actions {
            let SimAction::Reply { body, .. } = action else { continue };
            for instrument in source.define(&request.path, &body).and_then(Result::ok).into_iter().flatten() {
                let instrument = std::sync::Arc::new(instrument);
                for channel in source.spec().channels {
                    wants.push(source::Want { instrument: instrument.clone(), channel: channel.channel });
                }
            }
        }
    }
    wants
}

impl Set {
    fn new(name: String, source: &'static dyn Source, inputs: Vec<(Ts, Input)>) -> Self {
        let sizes = inputs.iter().filter_map(|(_, input)| match input {
            Input::Frame(bytes, _) => Some(bytes.len()),
            Input::Reply(..) => None,
        });
        let (frames, bytes) = sizes.fold((0, 0), |(n, sum), len| (n + 1, sum + len));
        Self { name, source, inputs, frames, bytes }
    }
}
