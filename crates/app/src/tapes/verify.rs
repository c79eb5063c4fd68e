//! `qingxi verify` of tapes: every byte against its checksum and its place in the chain.

use super::{faults, files, hex, seams, short};
use crate::error::Result;
use crate::replay::{RIGHT, WRONG};
use crate::term::{Cell, Table, paint};
use serde_json::{Value, json};
use std::path::Path;
use tape::Chain;

/// Reads the tapes at a path and gives the exit code.
///
/// # Errors
/// Where the folder or a file cannot be read, or a file is no recording.
pub fn run(path: &Path, as_json: bool) -> Result<u8> {
    let chains: Vec<Chain> =
        files(path)?.iter().map(|file| Chain::read(file)).collect::<tape::Result<_>>()?;
    let (faults, seams) = (faults(&chains), seams(&chains));
    let right = faults.is_empty() && !seams.iter().any(|(wrong, _)| *wrong);
    if as_json {
        let broken: Vec<&String> = seams.iter().filter(|(wrong, _)| *wrong).map(|(_, words)| words).collect();
        let files: Vec<Value> = chains.iter().map(file).collect();
        println!("{}", json!({ "files": files, "right": right, "faults": faults, "broken": broken }));
    } else {
        print(&chains);
        for (wrong, words) in &seams {
            println!(
                "{} {words}",
                paint(if *wrong { "broken:" } else { "note:" }, if *wrong { "31" } else { "33" })
            );
        }
        for fault in &faults {
            println!("{} {fault}", paint("damaged:", "31"));
        }
        let unchained = chains.iter().filter(|chain| chain.end.is_none()).count();
        if unchained > 0 {
            println!("{unchained} files have no chain: only their checksums were held against them");
        }
        if right {
            println!("{}", paint("every block is as it was written and in its place", "32"));
        }
    }
    Ok(if right { RIGHT } else { WRONG })
}

/// A file and its days as JSON.
pub(super) fn file(chain: &Chain) -> Value {
    let days: Vec<Value> = chain
        .days
        .iter()
        .map(|(date, day)| {
            json!({ "day": date.to_string(), "records": day.records, "end": day.end.as_ref().map(hex) })
        })
        .collect();
    json!({
        "path": chain.path.display().to_string(), "source": chain.about.as_ref().map(|about| &about.source),
        "version": chain.version, "end": chain.end.as_ref().map(hex), "days": days,
        "fault": chain.fault.as_ref().map(super::words),
    })
}

fn print(chains: &[Chain]) {
    let mut table = Table::new(&["tape", "source", "day", "records", "end of the day's chain"]);
    for chain in chains {
        let name =
            chain.path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let source = chain.about.as_ref().map_or("-", |about| about.source.as_str());
        for (date, day) in &chain.days {
            table.row(vec![
                Cell::left(&name),
                Cell::left(source),
                Cell::left(&date.to_string()),
                Cell::right(day.records),
                Cell::left(&day.end.as_ref().map_or("no chain".to_owned(), short)),
            ]);
        }
    }
    table.print();
}
