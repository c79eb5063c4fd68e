//! Any bytes as a recording: records, then at most one error.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::io::Write;

fuzz_target!(|data: &[u8]| {
    let Ok(mut file) = tempfile::NamedTempFile::new() else { return };
    if file.write_all(data).is_err() {
        return;
    }
    let Ok(reader) = tape::Reader::open(file.path()) else { return };
    let records: Vec<_> = reader.take(10_000).collect();
    assert!(records.iter().rev().skip(1).all(Result::is_ok));
});
