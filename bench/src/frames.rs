//! The frames that are measured: recordings where there are some, else what the simulators send.

use crate::simulated::simulated;
use app::sources::SOURCES;
use model::Ts;
use source::{Shard, Source};
use std::path::{Path, PathBuf};
use tape::{Kind, Reader};

/// Fewer frames than this are over too soon to be measured.
const FRAMES_MIN: usize = 1_000;

/// The frames of one file, in order, with the answers that books start from.
pub struct Set {
    /// The file's folder and name.
    pub name: String,
    /// Who sent them.
    pub source: &'static dyn Source,
    /// What a session that reads them is made of.
    pub shard: Shard,
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

/// All files under `$QINGXI_RECORDINGS` that a source knows; of a source that none is of, what its simulators send.
pub fn load() -> Vec<Set> {
    let mut sets = Vec::new();
    match std::env::var_os("QINGXI_RECORDINGS").map(PathBuf::from) {
        None => println!("QINGXI_RECORDINGS is not set: frames come from the simulators"),
        Some(root) => {
            let mut paths = Vec::new();
            walk(&root, &mut paths);
            paths.sort();
            sets.extend(paths.iter().filter_map(|path| recorded(&root, path)));
            sets.retain(|set| set.frames >= FRAMES_MIN);
        }
    }
    for source in SOURCES {
        if !sets.iter().any(|set| set.source.spec().name == source.spec().name) {
            sets.extend(simulated(*source));
        }
    }
    sets
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
    if ["samples", "bench", "ashare"].iter().any(|other| name.starts_with(other)) {
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
            Kind::Header { .. } | Kind::Sent(_) | Kind::Line { .. } | Kind::Closed { .. } => {}
        }
    }
    Some(Set::new(name, source?, inputs))
}

impl Set {
    /// A set of these inputs.
    pub fn new(name: String, source: &'static dyn Source, inputs: Vec<(Ts, Input)>) -> Self {
        let sizes = inputs.iter().filter_map(|(_, input)| match input {
            Input::Frame(bytes, _) => Some(bytes.len()),
            Input::Reply(..) => None,
        });
        let (frames, bytes) = sizes.fold((0, 0), |(n, sum), len| (n + 1, sum + len));
        Self { name, source, shard: Shard::default(), inputs, frames, bytes }
    }
}
