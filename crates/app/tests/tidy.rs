//! Laws of the tree: who may import whom, how long a file may be, where the name of a source may stand.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panic")]

use std::fs;
use std::path::{Path, PathBuf};

/// The layers, lowest first; a crate may import only from layers below its own. Sources stand with engine and bus.
const LAYERS: &[&[&str]] = &[
    &["model", "metrics"],
    &["book", "source", "wire", "lane", "tape", "drift", "composite", "query"],
    &["engine", "bus"],
    &["feed", "store"],
    &["serve", "sim"],
    &["app", "bench"],
];
const SOURCE_LAYER: usize = 2;
/// Crates that import no async runtime, read no clock and open nothing.
const PURE: &[&str] = &["model", "book", "source", "wire", "lane", "drift", "engine", "composite", "query"];
const IMPURE: &[&str] = &["tokio", "reqwest", "tokio-tungstenite", "hyper", "axum", "rand", "chrono"];
const LINES_MAX: usize = 500;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn folders(below: &str) -> Vec<PathBuf> {
    let all = fs::read_dir(root().join(below)).unwrap().map(|e| e.unwrap().path());
    let mut all: Vec<PathBuf> = all.filter(|p| p.join("Cargo.toml").is_file()).collect();
    all.sort();
    all
}

fn name(folder: &Path) -> String {
    folder.file_name().unwrap().to_str().unwrap().to_owned()
}

fn dependencies(folder: &Path) -> Vec<String> {
    let manifest: toml::Table =
        toml::from_str(&fs::read_to_string(folder.join("Cargo.toml")).unwrap()).unwrap();
    manifest["dependencies"].as_table().unwrap().keys().cloned().collect()
}

fn files(folder: &Path, endings: &[&str], out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()) {
        let skipped = ["target", ".git", "node_modules", "fixtures", "golden"];
        if entry.is_dir() {
            if !skipped.contains(&name(&entry).as_str()) {
                files(&entry, endings, out);
            }
        } else if entry.extension().is_some_and(|e| endings.iter().any(|w| e == *w)) {
            out.push(entry);
        }
    }
}

#[test]
fn imports_point_down_only() {
    let sources: Vec<String> = folders("sources").iter().map(|f| name(f)).collect();
    let layer = |krate: &str| {
        if sources.iter().any(|s| s == krate) {
            return Some(SOURCE_LAYER);
        }
        LAYERS.iter().position(|l| l.contains(&krate))
    };
    let mut wrong = Vec::new();
    for folder in folders("crates").into_iter().chain(folders("sources")) {
        let me = name(&folder);
        let mine = layer(&me).unwrap_or_else(|| panic!("crate `{me}` stands in no layer of this test"));
        for other in dependencies(&folder) {
            if layer(&other).is_some_and(|l| l >= mine) {
                wrong.push(format!("{me} imports {other}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn pure_crates_and_sources_import_nothing_that_does_io() {
    let pure = folders("crates").into_iter().filter(|f| PURE.contains(&name(f).as_str()));
    for folder in pure.chain(folders("sources")) {
        for dependency in dependencies(&folder) {
            assert!(!IMPURE.contains(&dependency.as_str()), "{} imports {dependency}", name(&folder));
        }
        let mut code = Vec::new();
        files(&folder.join("src"), &["rs"], &mut code);
        for file in code {
            let text = fs::read_to_string(&file).unwrap();
            let text = text.split("#[cfg(test)]").next().unwrap();
            let is_test = file.file_name().is_some_and(|f| f == "tests.rs")
                || file.components().any(|c| c.as_os_str() == "tests");
            for word in ["std::fs", "std::net", "std::env::", "SystemTime", "Instant::now", "thread::spawn"] {
                assert!(is_test || !text.contains(word), "{} says {word}", file.display());
            }
        }
    }
}

/// Whether a line says a word, in any case: not where it goes on before it, as `paths` does before `ths`.
fn says(line: &str, word: &str) -> bool {
    let lower = line.to_ascii_lowercase();
    lower.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let camel = || line[at..].starts_with(|c: char| c.is_ascii_uppercase());
        before.is_none_or(|c| !c.is_ascii_alphabetic() || c.is_ascii_lowercase() && camel())
    })
}

/// Names of sources that are words of the language too: these are looked for in quotes and in paths.
const EVERYDAY: &[&str] = &["push"];

#[test]
fn the_name_of_a_source_stands_only_in_its_folder_the_registry_config_and_docs() {
    let root = root();
    let mut all = Vec::new();
    for below in ["crates", "sources", "bench"] {
        files(&root.join(below), &["rs", "html", "js"], &mut all);
    }
    for source in folders("sources") {
        let word = name(&source);
        for file in &all {
            let inside = file.starts_with(&source);
            let registry = file.ends_with("crates/app/src/sources.rs");
            let peers = file.starts_with(root.join("bench/peers"));
            let test = file.components().any(|c| c.as_os_str() == "tests") || file.ends_with("tests.rs");
            if inside || registry || peers || test {
                continue;
            }
            let text = fs::read_to_string(file).unwrap();
            // Documentation and the tests at a file's foot may name a source as an example.
            let code = text.split("#[cfg(test)]").next().unwrap();
            for (n, line) in code.lines().enumerate().filter(|(_, l)| !l.trim_start().starts_with("//")) {
                let code = line.split(" //").next().unwrap();
                let named = if EVERYDAY.contains(&word.as_str()) {
                    code.contains(&format!("\"{word}\"")) || code.contains(&format!("{word}::"))
                } else {
                    says(code, &word)
                };
                assert!(!named, "{}:{} names `{word}`: {line}", file.display(), n + 1);
            }
        }
    }
}

#[test]
fn no_file_is_too_long_to_hold_one_idea() {
    let mut all = Vec::new();
    for below in ["crates", "sources", "bench"] {
        files(&root().join(below), &["rs"], &mut all);
    }
    for file in all {
        let lines = fs::read_to_string(&file).unwrap().lines().count();
        assert!(lines <= LINES_MAX, "{} has {lines} lines; at most {LINES_MAX}", file.display());
    }
}

#[test]
fn nothing_is_left_unfinished() {
    let mut all = Vec::new();
    for below in ["crates", "sources", "bench", "sql/src", "sql/tests"] {
        files(&root().join(below), &["rs"], &mut all);
    }
    for file in all.iter().filter(|f| !f.ends_with("tidy.rs")) {
        let text = fs::read_to_string(file).unwrap();
        for mark in ["todo!(", "unimplemented!(", "FIXME", "TODO", "dbg!("] {
            assert!(!text.contains(mark), "{} says {mark}", file.display());
        }
    }
}
