//! All that the catalogue says, as bytes that can be laid down elsewhere.

use super::{FACTS, FILES, FileMeta, INTERVALS, Manifest, NEXT, NOTES, SEALED, Sealed, State, failed};
use crate::Result;
use crate::code::{Code, record};
use redb::{ReadTransaction, TableDefinition, TableError};
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
        let mut state = State::default();
        for (id, bytes) in &self.files {
            let file = FileMeta::take(&mut bytes.as_slice()).filter(|file| file.id == *id)?;
            state.files.insert(*id, Arc::new(file));
        }
        let fact = |key: &str| self.facts.iter().find(|(name, _)| &**name == key).map(|(_, bytes)| &**bytes);
        if let Some(mut sealed) = fact(SEALED) {
            state.sealed = Sealed::take(&mut sealed)?;
        }
        if let Some(mut next) = fact(NEXT) {
            state.next = u64::take(&mut next)?;
        }
        Some(state)
    }

    /// Leaves out a file.
    pub fn forget(&mut self, file: u64) {
        self.files.retain(|(id, _)| *id != file);
    }
}

impl Manifest {
    /// All that it says, read in one transaction.
    ///
    /// # Errors
    /// As [`Manifest::open`].
    pub fn image(&self) -> Result<Image> {
        let image = self.transaction(|read| {
            Ok(Image {
                files: rows(&read, FILES, |id| id)?,
                facts: rows(&read, FACTS, |name| name.into())?,
                notes: rows(&read, NOTES, |number| number)?,
                intervals: rows(&read, INTERVALS, <[u8]>::to_vec)?,
            })
        });
        image.map_err(|error| failed(self.dir(), "read", &error))
    }

    /// Makes a catalogue that says nothing yet say all of this, for good when this returns.
    ///
    /// # Errors
    /// As [`Manifest::commit`].
    pub fn lay(&self, image: &Image) -> Result<()> {
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

/// The rows of a table; none where it was never made.
fn rows<K: redb::Key + 'static, T>(
    read: &ReadTransaction,
    table: TableDefinition<'_, K, &'static [u8]>,
    key: impl for<'a> Fn(K::SelfType<'a>) -> T,
) -> std::result::Result<Vec<(T, Vec<u8>)>, redb::Error> {
    use redb::ReadableTable as _;
    let table = match read.open_table(table) {
        Err(TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
        table => table?,
    };
    let rows = table.iter()?.map(|row| {
        let (id, bytes) = row?;
        Ok((key(id.value()), bytes.value().to_vec()))
    });
    rows.collect()
}
