//! Events of many files and of memory as one sequence in the order of the bus.

use super::{Query, Reader};
use crate::file::{Batches, Opened};
use crate::manifest::{FileMeta, Run, State};
use crate::table::Reading;
use crate::{Error, Result};
use arrow_array::RecordBatch;
use bus::{Cursor, Published};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::vec::IntoIter;

/// How many rows all streams together read ahead.
const AHEAD_ROWS: usize = 1 << 19;
const BATCH_ROWS_MIN: usize = 256;
const BATCH_ROWS_MAX: usize = 8_192;

/// Events in the order of the bus. After an error it goes on without the file that does not read.
pub struct Range {
    reader: Reader,
    query: Query,
    streams: Vec<Stream>,
    /// The next cursor of each stream, or for one that was not begun a cursor that is not after it.
    next: BinaryHeap<Reverse<(Cursor, usize)>>,
    batch_rows: usize,
}

/// The events of one instrument in one table from one source, or those of memory.
struct Stream {
    head: Option<Arc<Published>>,
    rest: Rest,
}

enum Rest {
    Memory(IntoIter<Arc<Published>>),
    Files { chain: VecDeque<(Arc<FileMeta>, Run)>, open: Option<Box<RunReader>> },
}

impl Range {
    pub(crate) fn new(reader: Reader, query: Query, state: &State, fresh: Vec<Arc<Published>>) -> Self {
        let mut chains: BTreeMap<_, Vec<(Arc<FileMeta>, Run)>> = BTreeMap::new();
        let wanted = |file: &&Arc<FileMeta>| file.table.is_of_events() && query.tables.contains(&file.table);
        for file in state.files.values().filter(wanted) {
            for run in file.runs.iter().filter(|run| query.wants_run(run)) {
                let chain = chains.entry((file.table, run.instrument, run.source)).or_default();
                chain.push((Arc::clone(file), run.clone()));
            }
        }
        let mut streams = vec![Stream { head: None, rest: Rest::Memory(fresh.into_iter()) }];
        let mut next = BinaryHeap::new();
        next.push(Reverse((Cursor { epoch: 0, number: 0 }, 0)));
        for mut runs in chains.into_values() {
            runs.sort_by_key(|(_, run)| run.first);
            // Around the end of a day events of both days come in turns: then their files are read side by side.
            let mut chains: Vec<VecDeque<(Arc<FileMeta>, Run)>> = Vec::new();
            for (file, run) in runs {
                let ended = |chain: &&mut VecDeque<(_, Run)>| {
                    chain.back().is_some_and(|(_, before)| before.last < run.first)
                };
                match chains.iter_mut().find(ended) {
                    Some(chain) => chain.push_back((file, run)),
                    None => chains.push(VecDeque::from([(file, run)])),
                }
            }
            for chain in chains {
                next.extend(chain.front().map(|(_, run)| Reverse((run.first, streams.len()))));
                streams.push(Stream { head: None, rest: Rest::Files { chain, open: None } });
            }
        }
        let batch_rows = (AHEAD_ROWS / streams.len()).clamp(BATCH_ROWS_MIN, BATCH_ROWS_MAX);
        Self { reader, query, streams, next, batch_rows }
    }

    /// Brings a stream to its next event and puts it back in the order.
    fn advance(&mut self, place: usize) -> Result<()> {
        let Some(stream) = self.streams.get_mut(place) else { return Ok(()) };
        let head = match &mut stream.rest {
            Rest::Memory(rest) => Ok(rest.next()),
            Rest::Files { chain, open } => {
                from_files(&self.reader, &self.query, self.batch_rows, chain, open)
            }
        };
        match head {
            Ok(head) => {
                if let Some(head) = &head {
                    self.next.push(Reverse((head.cursor, place)));
                }
                stream.head = head;
                Ok(())
            }
            Err(error) => {
                // The rest of the chain is still to be read.
                if let Rest::Files { chain, open } = &mut stream.rest {
                    *open = None;
                    if let Some((_, run)) = chain.front() {
                        self.next.push(Reverse((run.first, place)));
                    }
                }
                Err(error)
            }
        }
    }
}

fn from_files(
    reader: &Reader,
    query: &Query,
    batch_rows: usize,
    chain: &mut VecDeque<(Arc<FileMeta>, Run)>,
    open: &mut Option<Box<RunReader>>,
) -> Result<Option<Arc<Published>>> {
    loop {
        let run = match open {
            Some(run) => run,
            None => match chain.pop_front() {
                Some((file, run)) => {
                    open.insert(Box::new(RunReader::open(reader, query, &file, &run, batch_rows)?))
                }
                None => return Ok(None),
            },
        };
        match run.next()? {
            Some(published) if query.wants(&published) => return Ok(Some(Arc::new(published))),
            Some(_) => {}
            None => *open = None,
        }
    }
}

impl Iterator for Range {
    type Item = Result<Arc<Published>>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Reverse((_, place)) = self.next.pop()?;
            let head = self.streams.get_mut(place)?.head.take();
            if let Err(error) = self.advance(place) {
                // What was read before it is still given, in its place.
                if let (Some(head), Some(stream)) = (head, self.streams.get_mut(place)) {
                    self.next.push(Reverse((head.cursor, place)));
                    stream.head = Some(head);
                }
                return Some(Err(error));
            }
            if let Some(head) = head {
                return Some(Ok(head));
            }
        }
    }
}

/// Reads the events of a run.
pub(super) struct RunReader {
    path: PathBuf,
    file: Arc<FileMeta>,
    definitions: Arc<crate::table::Definitions>,
    rows: Batches,
    batch: Option<RecordBatch>,
    reading: Option<Reading>,
    row: usize,
    /// Whether there are more batches.
    more: bool,
}

impl RunReader {
    fn open(
        reader: &Reader,
        query: &Query,
        file: &Arc<FileMeta>,
        run: &Run,
        batch_rows: usize,
    ) -> Result<Self> {
        let opened = reader.file(file)?;
        let rows = opened.rows_between(run.start..run.start + run.rows, query.from, query.to);
        Self::with(reader, file, &opened, &rows, batch_rows)
    }

    /// Reads some rows of a run.
    pub fn over(
        reader: &Reader,
        file: &Arc<FileMeta>,
        opened: &Opened,
        rows: &[std::ops::Range<u64>],
    ) -> Result<Self> {
        Self::with(reader, file, opened, rows, BATCH_ROWS_MAX)
    }

    fn with(
        reader: &Reader,
        file: &Arc<FileMeta>,
        opened: &Opened,
        rows: &[std::ops::Range<u64>],
        batch_rows: usize,
    ) -> Result<Self> {
        let path = reader.manifest.dir().join(&*file.path);
        let rows = opened.rows(rows.iter().cloned(), batch_rows);
        let rows = rows.map_err(|e| Error::Damaged { path: path.clone(), what: e.to_string() })?;
        let (definitions, file) = (Arc::clone(&opened.definitions), Arc::clone(file));
        Ok(Self { path, file, definitions, rows, batch: None, reading: None, row: 0, more: true })
    }

    fn damaged(&self, what: String) -> Error {
        Error::Damaged { path: self.path.clone(), what }
    }

    /// Takes the next batch behind what is left of the one before.
    fn load(&mut self) -> Result<()> {
        let Some(next) = self.rows.next() else {
            self.more = false;
            return Ok(());
        };
        let next = next.map_err(|e| self.damaged(e.to_string()))?;
        let left = self.batch.take().filter(|batch| self.row < batch.num_rows());
        let batch = match left {
            Some(left) => {
                let left = left.slice(self.row, left.num_rows() - self.row);
                arrow_select::concat::concat_batches(&next.schema(), [&left, &next])
                    .map_err(|e| self.damaged(e.to_string()))?
            }
            None => next,
        };
        self.row = 0;
        let reading = Reading::new(self.file.table, &batch, Arc::clone(&self.definitions));
        self.reading = Some(reading.ok_or_else(|| self.damaged("its columns are others".to_owned()))?);
        self.batch = Some(batch);
        Ok(())
    }

    pub fn next(&mut self) -> Result<Option<Published>> {
        loop {
            if let Some(reading) = self.reading.as_ref().filter(|reading| self.row < reading.len()) {
                let end = reading.end(self.row);
                // The last event of a batch may go on in the next one.
                if end < reading.len() || !self.more {
                    let event = reading.event(self.row, end);
                    self.row = end;
                    let event = event.map_err(|e| self.damaged(format!("row {} does not read", e.row)))?;
                    return Ok(Some(event));
                }
            } else if !self.more {
                return Ok(None);
            }
            self.load()?;
        }
    }
}
