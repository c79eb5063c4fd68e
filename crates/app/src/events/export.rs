//! `qingxi export`: events of a folder as JSON lines.

use super::part::Part;
use crate::error::{Error, Result};
use crate::replay::{RIGHT, WRONG};
use crate::term::paint;
use bus::Cursor;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use store::{Note, Reader};

/// Writes events as JSON lines, in their order. What is lost or missing is told on standard error; exit code 1 where
/// something is lost, damaged or missing.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The folder, as in `store.dir`. It may be in use.
    dir: PathBuf,
    /// Only events of this source.
    #[arg(long)]
    source: Option<String>,
    #[command(flatten)]
    part: Part,
    /// At most so many events.
    #[arg(long)]
    limit: Option<u64>,
    /// The file to write; `-` for standard output.
    #[arg(long, default_value = "-")]
    out: PathBuf,
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
    for published in reader.range(args.part.query(&reader, args.source.as_deref())?)? {
        let published = match published {
            Ok(published) => published,
            Err(error) => {
                eprintln!("{}: {error}", paint("not read", "31"));
                code = WRONG;
                continue;
            }
        };
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
