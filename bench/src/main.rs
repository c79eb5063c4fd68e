//! What the platform costs, measured by one command and written down with the machine named.
//!
//! Each row is a recorded file, or a simulator's endpoint where there is none. The stages run interleaved, seven times over, pinned to one core; the median counts.
//! Ratios are to decoding of the same frames in the same run, so that they mean the same on another machine.

mod books;
mod copies;
mod frames;
mod kept;
mod latency;
mod machine;
mod market;
mod simulated;
mod stages;
mod yardstick;

use std::fmt::Write;
use std::path::Path;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let only: Vec<String> = std::env::args().skip(1).collect();
    let wanted = |what: &str| only.is_empty() || only.iter().any(|o| o == what);
    let mut report = String::new();
    let _ = writeln!(report, "# Benchmarks\n\n{}\n", machine::description());
    if ["stages", "books", "copies", "store"].into_iter().any(wanted) {
        let sets = frames::load();
        if wanted("stages") {
            report.push_str(&stages::table(&sets));
        }
        if wanted("books") {
            report.push_str(&books::table(&sets));
        }
        if wanted("copies") {
            report.push_str(&copies::table(&sets));
        }
        if wanted("store") {
            report.push_str(&kept::table(&sets));
        }
    }
    if wanted("latency") {
        report.push_str(&latency::table());
    }
    if wanted("market") {
        report.push_str(&market::table());
    }
    let _ = writeln!(report, "\nResident memory at the end: {} MiB.", machine::resident_mib());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("results");
    let path = folder.join("latest.md");
    match std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&path, &report)) {
        Ok(()) => println!("written to {}", path.display()),
        Err(error) => eprintln!("failed to write {}: {error}", path.display()),
    }
}
