//! `qingxi coverage`: whether what is kept is complete.

use crate::error::Result;
use crate::history::{instant, shown};
use crate::replay::{RIGHT, WRONG};
use crate::term::{Cell, Table};
use model::{Channel, Ts};
use serde_json::json;
use std::path::PathBuf;
use store::Reader;
use store::ledger::{Row, Wanted};

/// How many stretches are shown where nobody asks for all.
const SHOWN_MAX: usize = 200;

/// Tells of each lane what is complete (and how that is shown), what is missing and why, what nothing can show, and when the
/// market was closed. Exit code 1 where something is missing.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The folder, as in `store.dir`. It may be in use.
    dir: PathBuf,
    /// Only of this source.
    #[arg(long)]
    source: Option<String>,
    /// Only of this exchange.
    #[arg(long)]
    exchange: Option<String>,
    /// Only of this instrument, by its canonical name or the venue's symbol.
    #[arg(long)]
    instrument: Option<String>,
    /// Only of this channel: `trades`, `book`, ...
    #[arg(long, value_parser = channel)]
    channel: Option<Channel>,
    /// Only in this state: `complete`, `unprovable`, `gap` or `closed`.
    #[arg(long, value_parser = ["complete", "unprovable", "gap", "closed"])]
    state: Option<String>,
    /// Only from this instant on: `2026-11-20`, `2026-11-20T12:00:00Z`, or milliseconds since 1970.
    #[arg(long, value_parser = instant)]
    from: Option<Ts>,
    /// Only before this instant.
    #[arg(long, value_parser = instant)]
    to: Option<Ts>,
    /// Prints every stretch as a line of JSON.
    #[arg(long)]
    json: bool,
}

fn channel(name: &str) -> std::result::Result<Channel, String> {
    let names: Vec<&str> = Channel::ALL.iter().map(|channel| channel.name()).collect();
    Channel::parse(name).ok_or_else(|| format!("there are {}", names.join(", ")))
}

/// Runs the command and gives its exit code.
///
/// # Errors
/// Where the folder does not read.
pub fn run(args: &Args) -> Result<u8> {
    let wanted = Wanted {
        source: args.source.as_deref().map(Into::into),
        exchange: args.exchange.as_deref().map(Into::into),
        instrument: args.instrument.as_deref().map(Into::into),
        channel: args.channel,
    };
    let (from, to) = (args.from.unwrap_or(Ts(i64::MIN)), args.to.unwrap_or(Ts(i64::MAX)));
    let mut rows = Reader::open(&args.dir)?.coverage(&wanted, from, to)?;
    rows.retain(|row| args.state.as_deref().is_none_or(|state| row.state == state));
    // Every lane begins by being asked for, which is no loss.
    let lost =
        |row: &&Row| row.state == "gap" && row.cause != Some("starting") && row.end != Some("repaired");
    let missing = rows.iter().any(|row| lost(&row));
    if args.json {
        rows.iter().for_each(print_json);
    } else {
        print(&rows);
    }
    Ok(if missing { WRONG } else { RIGHT })
}

fn print_json(row: &Row) {
    let line = json!({
        "source": row.source, "exchange": row.exchange, "product": row.product, "symbol": row.symbol,
        "instrument": row.instrument, "channel": row.channel, "state": row.state, "proof": row.proof,
        "cause": row.cause, "from_ts": row.from_ts.0, "to_ts": row.to_ts.0,
        "from_number": [row.from_cursor.epoch, row.from_cursor.number],
        "to_number": [row.to_cursor.epoch, row.to_cursor.number],
        "from_seq": row.from_seq, "to_seq": row.to_seq, "end": row.end, "end_ts": row.end_ts.map(|ts| ts.0),
        "events": row.events, "why": row.why, "open": row.open,
    });
    println!("{line}");
}

fn print(rows: &[Row]) {
    let mut table = Table::new(&["source", "instrument", "channel", "from", "to", "state", "by", "numbers"]);
    for row in rows.iter().take(SHOWN_MAX) {
        let state = match row.state {
            "complete" => Cell::left(row.state).coloured("32"),
            "gap" if row.end == Some("repaired") => Cell::left("repaired").coloured("33"),
            "gap" => Cell::left(row.state).coloured("31"),
            state => Cell::left(state),
        };
        let number = |seq: Option<u64>| seq.map_or("-".to_owned(), |seq| seq.to_string());
        table.row(vec![
            Cell::left(row.source),
            Cell::left(&row.instrument),
            Cell::left(row.channel),
            Cell::left(&shown(row.from_ts)),
            Cell::left(&shown(row.to_ts)),
            state,
            Cell::left(row.proof.or(row.cause).unwrap_or("-")),
            Cell::left(&format!("{} to {}", number(row.from_seq), number(row.to_seq))),
        ]);
    }
    table.print();
    if rows.len() > SHOWN_MAX {
        println!(
            "{} more; narrow it by --instrument, --channel or --state, or use --json",
            rows.len() - SHOWN_MAX
        );
    }
}
