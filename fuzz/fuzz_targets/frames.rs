//! Any bytes as a frame, to a session of every source that reads a recording. The first byte chooses source and kind.
#![no_main]

use libfuzzer_sys::fuzz_target;
use model::Ts;
use source::{Input, Shard};

fuzz_target!(|data: &[u8]| {
    let Some((&first, frame)) = data.split_first() else { return };
    let sources = app::sources::SOURCES;
    let source = sources[usize::from(first >> 1) % sources.len()];
    let (mut session, mut out) = (source.session(&Shard::default()), Vec::new());
    session.on(Input::Open, Ts(0), &mut out);
    for frame in frame.split(|b| *b == b'\n') {
        session.on(Input::Frame { bytes: frame, binary: first & 1 == 1 }, Ts(1), &mut out);
    }
});
