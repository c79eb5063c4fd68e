//! The answer on the standard output, in the frames of [`query`].

use query::{Column, End, Head, Problem, Said, Want};
use serde::Serialize;
use std::io::{self, Stdout, Write};

/// Chunks are cut to this length.
const CHUNK_BYTES_MAX: usize = 1 << 20;

/// Where the answer stands.
#[derive(PartialEq, Eq)]
enum At {
    Nothing,
    Rows,
    Ended,
}

/// The answer. Once it has ended, nothing more is said.
pub struct Out {
    to: Stdout,
    at: At,
}

impl Out {
    /// An answer of which nothing was said.
    pub fn new() -> Self {
        Self { to: io::stdout(), at: At::Nothing }
    }

    /// Says the columns.
    pub fn head(&mut self, columns: Vec<Column>) -> io::Result<()> {
        if self.at == At::Nothing {
            self.at = At::Rows;
            self.line(&Said::Told(Head { ok: true, columns }))?;
        }
        Ok(())
    }

    /// Gives rows.
    pub fn rows(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.at == At::Rows {
            for chunk in bytes.chunks(CHUNK_BYTES_MAX) {
                self.to.write_all(query::length(chunk.len()).as_bytes())?;
                self.to.write_all(chunk)?;
            }
            self.to.flush()?;
        }
        Ok(())
    }

    /// Says that a file is wanted.
    pub fn want(&mut self, want: &Want) -> io::Result<()> {
        if self.at == At::Ended { Ok(()) } else { self.line(want) }
    }

    /// Says the last line.
    pub fn end(&mut self, end: End) -> io::Result<()> {
        self.last(&Said::Told(end))
    }

    /// Says why there is no more.
    pub fn fail(&mut self, error: Problem) -> io::Result<()> {
        self.last(&Said::<End>::Failed { error })
    }

    fn last(&mut self, said: &Said<End>) -> io::Result<()> {
        match std::mem::replace(&mut self.at, At::Ended) {
            At::Nothing => {}
            At::Rows => self.to.write_all(query::length(0).as_bytes())?,
            At::Ended => return Ok(()),
        }
        self.line(said)
    }

    fn line(&mut self, said: &impl Serialize) -> io::Result<()> {
        let mut line = serde_json::to_vec(said)?;
        line.push(b'\n');
        self.to.write_all(&line)?;
        self.to.flush()
    }
}
