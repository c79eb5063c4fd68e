//! Hours of a venue through the whole store, in virtual time.

use app::soak::day;
use app::sources::SOURCES;
use indicatif::ProgressBar;

#[test]
fn hours_of_a_venue_are_kept_within_the_budget_and_coverage_tells_all_of_them() {
    let source = SOURCES.iter().find(|source| !source.listings().is_empty()).expect("a venue with listings");
    let dir = tempfile::tempdir().expect("a folder");
    let report = day::keep(*source, 1, 3, dir.path(), &ProgressBar::hidden()).expect("the folder takes it");
    assert_eq!(report.faults, [""; 0], "{report:?}");
    assert_eq!(report.hours.len(), 3);
    assert!(report.gaps > 0 && report.hours.iter().all(|hour| hour.events > 0), "{report:?}");
}
