//! All that the catalogue says, as bytes that can be laid down elsewhere.

use super::rows::{FACTS, FILES, HEAD, INTERVALS, NOTES, facts, intervals, numbered};
use super::{FileMeta, Manifest, State, failed};
use crate::Result;
use crate::code::{Code, record};
use std::sync::Arc;

/// The rows of the catalogue's tables as they stood at one instant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Image {
    files: Vec<(u64, Vec<u8>)>,
    facts: Vec<(Box<str>, Vec<u8>)>,
    notes: Vec<(u64, Vec<u8>)>,
    intervals: Vec<(Vec<u8>, Vec<u8>)>,
}

record! {
    Image { files, facts, notes, intervals }
}

impl Image {
    /// What it says of files; `None` where it does not read.
    pub fn state(&self) -> Option<State> {
        let head = self.facts.iter().find(|(name, _)| &**name == HEAD);
        let mut state = head.map_or_else(|| Some(State::default()), |(_, bytes)| State::of_head(bytes))?;
        for (id, bytes) in &self.files {
            let file = FileMeta::take(&mut bytes.as_slice()).filter(|file| file.id == *id)?;
            state.files.insert(*id, Arc::new(file));
        }
        Some(state)
    }

    /// Leaves out a file.
    pub fn forget(&mut self, file: u64) {
        if let Some((id, bytes)) = self.files.iter().find(|(id, _)| *id == file).cloned() {
            self.change(|state| state.sums.files.remove(&id.to_le_bytes(), &bytes));
        }
        self.files.retain(|(id, _)| *id != file);
    }

    /// Leaves out what stands elsewhere: it is another folder's.
    pub fn forget_cold(&mut self) {
        self.change(State::forget_cold);
    }

    fn change(&mut self, change: impl FnOnce(&mut State)) {
        if let Some((_, head)) = self.facts.iter_mut().find(|(name, _)| &**name == HEAD)
            && let Some(mut state) = State::of_head(head)
        {
            change(&mut state);
            *head = state.head();
        }
    }
}

impl Manifest {
    /// All that it says, read in one transaction.
    ///
    /// # Errors
    /// As [`Manifest::open`].
    pub fn image(&self) -> Result<Image> {
        let image = self.transaction(|read| {
            let (State { sums, .. }, facts) = facts(&read)?;
            Ok(Image {
                files: numbered(&read, FILES, sums.files)?,
                facts,
                notes: numbered(&read, NOTES, sums.notes)?,
                intervals: intervals(&read, sums.intervals)?,
            })
        });
        image.map_err(|error| failed(self.dir(), "read", &error))
    }

    /// Makes a catalogue that says nothing yet say all of this, for good when this returns, and begins its journal.
    ///
    /// # Errors
    /// As [`Manifest::commit`].
    pub fn lay(&self, image: &Image) -> Result<()> {
        self.lay_rows(image)?;
        self.begin_journal()
    }

    /// As [`Manifest::lay`], without the journal.
    pub(super) fn lay_rows(&self, image: &Image) -> Result<()> {
        self.written(|base| {
            let transaction = base.begin_write()?;
            {
                let mut files = transaction.open_table(FILES)?;
                for (id, bytes) in &image.files {
                    files.insert(id, &**bytes)?;
                }
                let mut facts = transaction.open_table(FACTS)?;
                for (name, bytes) in &image.facts {
                    facts.insert(&**name, &**bytes)?;
                }
                let mut notes = transaction.open_table(NOTES)?;
                for (number, bytes) in &image.notes {
                    notes.insert(number, &**bytes)?;
                }
                let mut intervals = transaction.open_table(INTERVALS)?;
                for (key, bytes) in &image.intervals {
                    intervals.insert(&**key, &**bytes)?;
                }
            }
            Ok(transaction.commit()?)
        })
        .map_err(|error| failed(self.dir(), "write", &error))?;
        self.refresh()
    }
}
