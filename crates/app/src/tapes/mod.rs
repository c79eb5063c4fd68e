//! Tapes held against themselves and against each other.

pub mod diff;
pub mod verify;

use crate::error::Result;
use std::path::{Path, PathBuf};
use tape::{Chain, Hash};

/// The files that a path means: itself, or all tapes of a folder, by source and time.
fn files(path: &Path) -> Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let all = tape::all(path)?;
    if all.is_empty() {
        return Err(tape::Error::NoTapes { path: path.to_owned() }.into());
    }
    Ok(all.into_iter().map(|tape| tape.path).collect())
}

/// Whether a path is a tape, or a folder with tapes.
pub(crate) fn are_at(path: &Path) -> bool {
    if path.is_dir() { tape::all(path).is_ok_and(|all| !all.is_empty()) } else { path.is_file() }
}

/// A hash as people compare it.
fn hex(hash: &Hash) -> String {
    hash.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// The first part of a hash.
fn short(hash: &Hash) -> String {
    hex(hash).chars().take(16).collect()
}

/// Where a tape does not continue the one before of its source, in words: wrong, or worth a word.
fn seams(chains: &[Chain]) -> Vec<(bool, String)> {
    let mut seams = Vec::new();
    for pair in chains.windows(2) {
        let [before, after] = pair else { continue };
        let source = |chain: &Chain| chain.about.as_ref().map(|about| about.source.clone());
        if source(before) != source(after) || source(after).is_none() {
            continue;
        }
        let (before_is, after_is) = (before.path.display(), after.path.display());
        match after.follows(before) {
            Some(true) => {}
            Some(false) => {
                let words = format!(
                    "`{after_is}` follows another tape than `{before_is}`: one is missing or changed"
                );
                seams.push((true, words));
            }
            None => seams.push((false, format!("nothing ties `{after_is}` to `{before_is}`"))),
        }
    }
    seams
}

/// What is wrong inside of tapes, with its causes.
fn faults(chains: &[Chain]) -> Vec<String> {
    chains.iter().filter_map(|chain| chain.fault.as_ref()).map(words).collect()
}

fn words(error: &tape::Error) -> String {
    let mut words = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        words = format!("{words}: {error}");
        cause = error.source();
    }
    words
}
