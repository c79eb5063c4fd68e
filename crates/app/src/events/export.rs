//! `qingxi export`: events of a log as JSON lines.

use super::{cursor, reader};
use crate::error::{Error, Result};
use crate::history::instant;
use crate::replay::{RIGHT, WRONG};
use bus::{Cursor, Published};
use model::Ts;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use store::log::{Entry, Found, Lost};

/// Writes events of a log as JSON lines, in their order. What is lost or missing is told on standard error; exit code 1
/// where something is damaged or missing.
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
    #[arg(long)]
    kind: Vec<String>,
    /// Only what was received at this instant or later: `2026-11-20`, `2026-11-20T12:00:00Z`, or milliseconds since 1970.
    #[arg(long, value_parser = instant)]
    from: Option<Ts>,
    /// Only what was received before this instant.
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
    fn wants(&self, published: &Published) -> bool {
        let event = &published.event;
        let at = event.stamp.ts_recv;
        let named = |name: &String| {
            event.instrument.name.eq_ignore_ascii_case(name)
                || event.instrument.symbol.eq_ignore_ascii_case(name)
        };
        self.from.is_none_or(|from| at >= from)
            && self.to.is_none_or(|to| at < to)
            && self.source.as_ref().is_none_or(|source| event.source == source)
            && self.instrument.as_ref().is_none_or(named)
            && (self.kind.is_empty() || self.kind.iter().any(|kind| kind == wire::kind(&event.body)))
    }
}

/// Runs the command and gives its exit code.
///
/// # Errors
/// Where a file cannot be read or written.
pub fn run(args: &Args) -> Result<u8> {
    let failed = |source| Error::Write { path: args.out.clone(), source };
    let mut out = BufWriter::with_capacity(1 << 20, create(&args.out).map_err(failed)?);
    let reader = reader(&args.dir)?;
    let (mut line, mut written, mut code) = (Vec::new(), 0, RIGHT);
    for found in reader {
        match found? {
            Found::Entry(Entry::Event(published)) if args.wants(&published) => {
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
            Found::Entry(Entry::Lost(Lost { epoch, from, to, why })) => {
                eprintln!("lost: {} to {to}: {why}", cursor(Cursor { epoch, number: from }));
            }
            Found::Hole { epoch, from, to } => {
                eprintln!("missing: {} to {to}", cursor(Cursor { epoch, number: from }));
                code = WRONG;
            }
            Found::Damage { file, byte, bytes, what } => {
                eprintln!("damaged: {file} at byte {byte}, {bytes} bytes: {what}");
                code = WRONG;
            }
            Found::Entry(Entry::Event(_)) | Found::Torn(_) | Found::Closed(_) => {}
        }
    }
    out.flush().map_err(failed)?;
    Ok(code)
}

fn create(path: &Path) -> io::Result<Box<dyn Write>> {
    Ok(if path.as_os_str() == "-" { Box::new(io::stdout()) } else { Box::new(File::create(path)?) })
}
