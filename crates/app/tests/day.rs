//! Hours of a venue through the whole store, in virtual time.

use app::soak::day::{self, Report};
use app::sources::SOURCES;
use indicatif::ProgressBar;
use std::path::Path;
use std::process::Command;

fn keep(hours: u64, dir: &Path) -> Report {
    let source = SOURCES.iter().find(|source| !source.listings().is_empty()).expect("a venue with listings");
    day::keep(*source, 1, hours, dir, &ProgressBar::hidden()).expect("the folder takes it")
}

#[test]
fn hours_of_a_venue_are_kept_within_the_budget_and_coverage_tells_all_of_them() {
    let dir = tempfile::tempdir().expect("a folder");
    let report = keep(2, dir.path());
    assert_eq!(report.faults, [""; 0], "{report:?}");
    assert_eq!(report.hours.len(), 2);
    assert!(report.gaps > 0 && report.hours.iter().all(|hour| hour.events > 0), "{report:?}");
}

#[test]
fn a_damaged_catalogue_is_refused_with_what_to_run_and_is_made_again_by_it() {
    let dir = tempfile::tempdir().expect("a folder");
    keep(1, dir.path());
    let qingxi = |args: &[&str]| {
        let done = Command::new(env!("CARGO_BIN_EXE_qingxi")).args(args).arg(dir.path()).output();
        let done = done.expect("the program starts");
        let said = [done.stdout, done.stderr].concat();
        (done.status.code(), String::from_utf8(said).expect("text"))
    };
    assert_eq!(qingxi(&["verify"]).0, Some(0));
    let coverage = qingxi(&["coverage", "--json"]);
    let catalogue = dir.path().join("manifest.redb");
    let mut bytes = std::fs::read(&catalogue).expect("the catalogue");
    let half = bytes.len() / 2;
    bytes.truncate(half);
    std::fs::write(&catalogue, bytes).expect("a shorter catalogue");
    let (code, said) = qingxi(&["compact"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("is damaged") && said.contains("`qingxi compact --rebuild`"), "{said}");
    let (code, said) = qingxi(&["compact", "--rebuild"]);
    assert!(code == Some(0) && said.contains("manifest.redb.damaged-1"), "{said}");
    assert_eq!(qingxi(&["verify"]).0, Some(0));
    assert_eq!(qingxi(&["coverage", "--json"]), coverage);
}
