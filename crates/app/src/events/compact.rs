//! `qingxi compact`: everything into Parquet files, and few of them.

use crate::config;
use crate::error::Result;
use serde_json::json;
use std::path::PathBuf;
use store::{MergeReport, Note, RebuildReport, SealReport, Step, Store};

/// Writes what is only in the log as Parquet files, merges the files of each day, deletes what is older than it is to be
/// kept, and brings what is due to the cold tier. For a folder that no platform uses; a running one does this by itself.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The folder, as in `store.dir`.
    dir: PathBuf,
    /// The config whose `[store]` says how long and how much is kept; without it the defaults.
    #[arg(short, long, env = "QINGXI_CONFIG")]
    config: Option<PathBuf>,
    /// First makes the catalogue of files again, of its journal, where it is damaged or missing; the old one is set aside.
    #[arg(long)]
    rebuild: bool,
    /// Prints each step as a line of JSON.
    #[arg(long)]
    json: bool,
}

/// Runs the command and gives its exit code.
///
/// # Errors
/// Where the folder is in use, the disk refuses, or something is damaged.
pub fn run(args: &Args) -> Result<u8> {
    let config = config::load(args.config.as_deref())?.store;
    if args.rebuild {
        told(&store::rebuild(&args.dir)?, args.json);
    }
    let (store, _) = Store::open(store::Config { dir: args.dir.clone(), ..config })?;
    let mut nothing = true;
    store.compact(|step| {
        nothing = false;
        if args.json { println!("{}", step_json(step)) } else { print(step) }
    })?;
    if nothing && !args.json {
        println!("there was nothing to do");
    }
    Ok(0)
}

/// Says what making the catalogue again did.
fn told(report: &RebuildReport, json: bool) {
    let RebuildReport { set_aside, files, rows, sealed, damaged } = report;
    if json {
        let sealed = sealed.map(|cursor| format!("{}-{}", cursor.epoch, cursor.number));
        println!(
            "{}",
            json!({ "step": "rebuilt", "set_aside": set_aside, "files": files, "rows": rows, "sealed": sealed,
                "damaged": damaged })
        );
        return;
    }
    println!("rebuilt: the catalogue names {files} files with {rows} rows");
    if let Some(old) = set_aside {
        println!("  the old one is {}", old.display());
    }
    for file in damaged {
        println!("  {file}");
    }
}

fn step_json(step: &Step) -> serde_json::Value {
    match step {
        Step::Sealed(SealReport { events, files, bytes, faults }) => {
            json!({ "step": "sealed", "events": events, "files": files, "bytes": bytes, "faults": faults })
        }
        Step::Merged(MergeReport { read, written, bytes_read, bytes_written }) => json!({
            "step": "merged", "read": read, "written": written, "bytes_read": bytes_read, "bytes_written": bytes_written,
        }),
        Step::Dropped(notes) => {
            let rows: u64 = notes.iter().map(|note| note.count).sum();
            json!({ "step": "dropped", "files": notes.len(), "rows": rows })
        }
        Step::Cold(step) => json!({ "step": "cold", "done": step.to_string() }),
    }
}

fn print(step: &Step) {
    match step {
        Step::Sealed(SealReport { events, files, bytes, faults }) => {
            println!("sealed: {events} events into {files} files of {bytes} bytes");
            for fault in faults {
                println!("  {fault}");
            }
        }
        Step::Merged(MergeReport { read, written, bytes_read, bytes_written }) => {
            println!("merged: {read} files of {bytes_read} bytes into {written} of {bytes_written}");
        }
        Step::Dropped(notes) => {
            for Note { table, count, why, .. } in notes {
                println!("deleted: {count} rows of {table}: {why}");
            }
        }
        Step::Cold(step) => println!("cold tier: {step}"),
    }
}
