//! Any bytes as an answer: to the listings of every source, and to whatever a session may have asked.
#![no_main]

use libfuzzer_sys::fuzz_target;
use model::Ts;
use source::{Input, Shard};

fuzz_target!(|data: &[u8]| {
    let Some((&first, body)) = data.split_first() else { return };
    let sources = app::sources::SOURCES;
    let source = sources[usize::from(first) % sources.len()];
    for request in source.listings() {
        let _ = source.define(&request.path, body);
    }
    let (mut session, mut out) = (source.session(&Shard::default()), Vec::new());
    session.on(Input::Open, Ts(0), &mut out);
    session.on(Input::Reply { tag: None, path: "", status: 200, retry_ms: None, body }, Ts(1), &mut out);
});
