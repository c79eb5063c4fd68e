//! Rows of files in pieces, which threads decode.

use super::Reader;
use crate::manifest::{FileMeta, Run};
use crate::table::Definitions;
use crate::{Error, Result};
use arrow_array::RecordBatch;
use model::Ts;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

/// How many rows are decoded at once.
const PIECE_ROWS: u64 = 1 << 17;

/// Rows of a file.
pub(super) struct Piece {
    file: Arc<FileMeta>,
    rows: Range<u64>,
    /// Whether all of them came by one channel.
    pub one_channel: bool,
}

/// Columns of a file.
pub(super) struct Decoded {
    pub path: PathBuf,
    pub batches: Vec<RecordBatch>,
    pub definitions: Arc<Definitions>,
}

impl Piece {
    /// The rows of a run. No file is opened for it.
    pub fn of(file: &Arc<FileMeta>, run: &Run) -> impl Iterator<Item = Self> {
        let (file, end, one_channel) = (Arc::clone(file), run.start + run.rows, run.is_of_one_channel());
        let starts = (run.start..end).step_by(usize::try_from(PIECE_ROWS).unwrap_or(usize::MAX));
        starts.map(move |start| {
            let rows = start..end.min(start + PIECE_ROWS);
            Self { file: Arc::clone(&file), rows, one_channel }
        })
    }

    /// Reads columns, by their places in the table, of those rows that may have happened in a time.
    ///
    /// # Errors
    /// [`Error`] where the file does not read.
    pub fn decode(
        &self,
        reader: &Reader,
        places: &[usize],
        time: impl FnOnce(&Definitions) -> Range<Ts>,
    ) -> Result<Decoded> {
        let opened = reader.file(&self.file)?;
        let path = reader.manifest.dir().join(&*self.file.path);
        let time = time(&opened.definitions);
        let ranges = opened.rows_between(self.rows.clone(), time.start, time.end);
        let rows = usize::try_from(PIECE_ROWS).unwrap_or(usize::MAX);
        let batches = opened.cells(ranges, rows, Some(places));
        match batches.and_then(|batches| Ok(batches.collect::<Result<_, _>>()?)) {
            Ok(batches) => Ok(Decoded { path, batches, definitions: opened.definitions }),
            Err(error) => Err(Error::Damaged { path, what: error.to_string() }),
        }
    }
}
