//! The lines of a file, each with its place.

use crate::RECORD_BYTES_MAX;
use crate::error::{Damage, Place};
use crate::input::Input;
use std::io::{BufRead, Read};

/// Reads lines one at a time into one buffer.
pub(crate) struct Lines {
    input: Input,
    line: Vec<u8>,
    number: u64,
    /// Where the line in the buffer begins, and where the next one does.
    start: u64,
    end: u64,
}

impl Lines {
    pub fn new(input: Input) -> Self {
        Self { input, line: Vec::new(), number: 0, start: 0, end: 0 }
    }

    /// Moves to the next line that is not blank; false at the end of the file.
    pub fn advance(&mut self) -> Result<bool, Damage> {
        loop {
            self.line.clear();
            self.number += 1;
            self.start = self.end;
            let limit = RECORD_BYTES_MAX as u64 + 1;
            let read = self.input.by_ref().take(limit).read_until(b'\n', &mut self.line);
            if let Err(error) = read {
                return Err(Damage { source: Some(error), ..self.damage("the file cannot be read on") });
            }
            self.end += self.line.len() as u64;
            if self.line.is_empty() {
                return Ok(false);
            }
            if self.line.pop_if(|b| *b == b'\n').is_none() {
                return self.unended();
            }
            self.line.pop_if(|b| *b == b'\r');
            if !self.line.trim_ascii().is_empty() {
                return Ok(true);
            }
        }
    }

    /// The last line may lack its line feed, but then it must look whole.
    fn unended(&self) -> Result<bool, Damage> {
        if self.line.len() > RECORD_BYTES_MAX {
            return Err(self.damage("the line is longer than 64 MiB"));
        }
        match self.line.trim_ascii_end().last() {
            None => Ok(false),
            Some(b'}' | b']' | b'\'' | b'"') => Ok(true),
            Some(_) => Err(self.damage("the last line is cut short")),
        }
    }

    /// The line, without its line feed.
    pub fn line(&self) -> &[u8] {
        &self.line
    }

    /// Its number, from 1.
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// What is wrong with the line.
    pub fn damage(&self, what: impl Into<String>) -> Damage {
        let place = Place { byte: self.start, compressed: self.input.compressed(), line: Some(self.number) };
        Damage { place, what: what.into(), source: None }
    }
}
