//! Fixtures give the events that stand in `golden/`. `UPDATE=1` writes them anew.
#![allow(clippy::unwrap_used, clippy::panic)]

use source::poll::check;
use std::path::{Path, PathBuf};
use ths::Ths;

fn fixtures() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let mut all: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    all.sort();
    all
}

#[test]
fn every_fixture_gives_its_golden_events() {
    for path in fixtures() {
        let text = check::told(&Ths, &std::fs::read(&path).unwrap());
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(path.file_name().unwrap());
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&golden, &text).unwrap();
        }
        let expected = std::fs::read_to_string(&golden).unwrap_or_default();
        assert!(text == expected, "{} differs; it is now:\n{text}", golden.display());
    }
}

#[test]
fn damaged_fixtures_never_panic() {
    for path in fixtures() {
        check::damaged_answers_never_panic(&Ths, &std::fs::read(&path).unwrap());
    }
}
