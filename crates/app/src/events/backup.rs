//! `qingxi backup` and `qingxi restore`: copies of a folder of events, and folders made of them again.

use super::cursor;
use crate::error::Result;
use crate::history::{instant, shown};
use crate::replay::{RIGHT, WRONG};
use crate::term::paint;
use indicatif::{ProgressBar, ProgressStyle};
use model::Ts;
use serde_json::json;
use std::path::PathBuf;

/// Copies a folder of events, which may be in use, into a folder of backups. What is there already is not copied again.
/// Exit code 1 where files of it are damaged: they are left out.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The folder, as in `store.dir`.
    dir: PathBuf,
    /// The folder of backups of this one; it is made where it is not there.
    #[arg(long)]
    to: PathBuf,
    /// Prints the report as JSON.
    #[arg(long)]
    json: bool,
}

/// Makes a folder of events out of a backup, every byte held against its checksum.
#[derive(clap::Args, Debug)]
pub struct RestoreArgs {
    /// The folder of backups.
    from: PathBuf,
    /// The folder to make; it is empty or not there.
    #[arg(long)]
    to: PathBuf,
    /// What was known at this instant: every event that was published at it or before, and none after. Without it the newest
    /// backup. `2026-11-20`, `2026-11-20T12:00:00Z`, or milliseconds since 1970.
    #[arg(long, value_parser = instant)]
    at: Option<Ts>,
    /// Prints the report as JSON.
    #[arg(long)]
    json: bool,
}

/// A bar for bytes, where a terminal is.
fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{bytes} of {total_bytes} {bar:30} {bytes_per_sec}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(0).with_style(style)
}

/// Makes a backup and gives the exit code.
///
/// # Errors
/// Where a folder cannot be read or written.
pub fn run(args: &Args) -> Result<u8> {
    let bar = bar();
    let done = store::backup(&args.dir, &args.to, |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    let report = done?;
    let newest = report.newest.map(cursor);
    if args.json {
        println!(
            "{}",
            json!({
                "manifest": report.manifest, "at": report.at.0, "newest": newest, "files": report.files,
                "bytes": report.bytes, "copied_files": report.copied_files,
                "copied_bytes": report.copied_bytes, "damaged": report.damaged,
            })
        );
    } else {
        println!("{} files of {} bytes belong to it", report.files, report.bytes);
        println!("{} files of {} bytes were not there yet", report.copied_files, report.copied_bytes);
        println!("it ends at {} with event {}", shown(report.at), newest.as_deref().unwrap_or("none"));
        for what in &report.damaged {
            println!("{} {what}", paint("damaged, and left out:", "31"));
        }
    }
    Ok(if report.damaged.is_empty() { RIGHT } else { WRONG })
}

/// Restores a backup and gives the exit code.
///
/// # Errors
/// Where a file of the backup does not hold, or the disk refuses; then nothing is restored.
pub fn restore(args: &RestoreArgs) -> Result<u8> {
    let bar = bar();
    let done = store::restore(&args.from, &args.to, args.at, |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    let report = done?;
    let newest = report.newest.map(cursor);
    if args.json {
        println!(
            "{}",
            json!({
                "manifest": report.manifest, "files": report.files, "bytes": report.bytes,
                "events_after": report.events_after, "at": report.at.0, "newest": newest,
            })
        );
    } else {
        println!("{} files of {} bytes were restored", report.files, report.bytes);
        if report.events_after > 0 {
            println!("{} events after them came from the next backup", report.events_after);
        }
        println!("it ends at {} with event {}", shown(report.at), newest.as_deref().unwrap_or("none"));
    }
    Ok(RIGHT)
}
