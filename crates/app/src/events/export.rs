//! `qingxi export`: events of a folder as JSON lines.

use crate::error::{Error, Result};
use crate::history::instant;
use crate::replay::{RIGHT, WRONG};
use crate::term::paint;
use bus::{Cursor, Published};
use model::Ts;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use store::{Note, Query, Reader, Table};

/// Writes events as JSON lines, in their order. What is lost or missing is told on standard error; exit code 1 where
/// something is lost, damaged or missing.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The folder, as in `store.dir`. It may be in use.
    dir: PathBuf,
    /// Only events of this source.
    #[arg(long)]
    source: Option<String>,
    /// Only of this instrument, by its canonical name or the venue's symbol.
    #[arg(long)]
    instrument: Option<String>,
    /// Only of this kind: `trade`, `snapshot`, `delta`, ...; several by repeating it.
    #[arg(long, value_parser = table)]
    kind: Vec<Table>,
    /// Only what happened at this instant or later, by the venue's clock: `2026-11-20`, `2026-11-20T12:00:00Z`, or milliseconds since 1970.
    #[arg(long, value_parser = instant)]
    from: Option<Ts>,
    /// Only what happened before this instant.
    #[arg(long, value_parser = instant)]
    to: Option<Ts>,
    /// At most so many events.
    #[arg(long)]
    limit: Option<u64>,
    /// The file to write; `-` for standard output.
    #[arg(long, default_value = "-")]
    out: PathBuf,
}

impl Args {
    fn query(&self) -> Query {
        let all = if self.kind.is_empty() { Query::of(&Table::ALL) } else { Query::of(&self.kind) };
        Query {
            source: self.source.as_deref().map(Into::into),
            from: self.from.unwrap_or(all.from),
            to: self.to.unwrap_or(all.to),
            ..all
        }
    }

    fn wants(&self, published: &Published) -> bool {
        let event = &published.event;
        let named = |name: &String| {
            event.instrument.name.eq_ignore_ascii_case(name)
                || event.instrument.symbol.eq_ignore_ascii_case(name)
        };
        self.instrument.as_ref().is_none_or(named)
    }
}

/// The table of a kind, by its own name or the table's.
fn table(name: &str) -> std::result::Result<Table, String> {
    let mut all = Table::ALL.into_iter().zip(wire::KINDS);
    let found = all.find(|(table, kind)| name == *kind || name == table.name());
    found.map(|(table, _)| table).ok_or_else(|| format!("there are {}", wire::KINDS.join(", ")))
}

/// Runs the command and gives its exit code.
///
/// # Errors
/// Where a file cannot be read or written.
pub fn run(args: &Args) -> Result<u8> {
    let failed = |source| Error::Write { path: args.out.clone(), source };
    let mut out = BufWriter::with_capacity(1 << 20, create(&args.out).map_err(failed)?);
    let reader = Reader::open(&args.dir)?;
    let (mut line, mut written, mut code) = (Vec::new(), 0, RIGHT);
    for published in reader.range(args.query())? {
        let published = match published {
            Ok(published) => published,
            Err(error) => {
                eprintln!("{}: {error}", paint("not read", "31"));
                code = WRONG;
                continue;
            }
        };
        if !args.wants(&published) {
            continue;
        }
        if args.limit.is_some_and(|limit| written >= limit) {
            break;
        }
        written += 1;
        line.clear();
        let Cursor { epoch, number } = published.cursor;
        wire::event_json(&published.event, Some((epoch, number)), Some(published.ts_pub), &mut line);
        line.push(b'\n');
        out.write_all(&line).map_err(failed)?;
    }
    for Note { what, count, why, .. } in reader.faults()? {
        eprintln!("{what}: {count} events: {why}");
        code = WRONG;
    }
    out.flush().map_err(failed)?;
    Ok(code)
}

fn create(path: &Path) -> io::Result<Box<dyn Write>> {
    Ok(if path.as_os_str() == "-" { Box::new(io::stdout()) } else { Box::new(File::create(path)?) })
}
