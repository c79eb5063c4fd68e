//! Many small files into few large ones, and of a day that is over a file for each instrument that has enough.
//!
//! Inputs are read once, in step: their rows are sorted alike, so the rows of an instrument are those of the first input,
//! then those of the second. Nothing is decoded to events; only the places of definitions change.

use crate::Result;
use crate::file::{Batches, Opened, QUICK, THOROUGH, UTMOST, Writer, Written};
use crate::manifest::{Change, FileMeta, Manifest, Run};
use crate::seal::{BATCH_ROWS, Key, path};
use crate::table::{COMMON, Definitions, Table};
use crate::{Config, Error};
use arrow_array::cast::AsArray as _;
use arrow_array::types::{UInt32Type, UInt64Type};
use arrow_array::{ArrayRef, RecordBatch, UInt32Array};
use hashbrown::HashMap;
use model::{Date, InstrumentId, Ts};

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// So many files of one table, day and level become one of the next level.
const FAN_IN: usize = 8;
/// So many rows are few: some seconds of work.
const FEW_ROWS: u64 = 1 << 20;
/// The level of the files of a day that is over.
pub(crate) const LEVEL_DAY: u8 = u8::MAX;
/// An instrument with so many rows of a day gets a file of its own.
const OWN_ROWS: u64 = 50_000;

/// What merging did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MergeReport {
    /// How many files were read.
    pub read: u64,
    /// How many files were written in their place.
    pub written: u64,
    /// How many bytes the files read had.
    pub bytes_read: u64,
    /// How many bytes the files written have.
    pub bytes_written: u64,
}

/// Files to be merged.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    files: Vec<Arc<FileMeta>>,
    level: u8,
    /// At which level of zstd.
    zstd: i32,
}

impl Plan {
    /// How many bytes the files have.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// Where nothing waits to be sealed meanwhile: few rows of a day that is over are compressed as hard as can be.
    pub fn at_rest(self) -> Self {
        let rows: u64 = self.files.iter().map(|file| file.rows).sum();
        if self.level == LEVEL_DAY && rows <= FEW_ROWS { Self { zstd: UTMOST, ..self } } else { self }
    }
}

/// What is to be merged next, of at most so many bytes; `over` says whether nothing more is awaited of a day whose newest file
/// was made then. What stands in the cold tier stays as it is.
pub(crate) fn plan(manifest: &Manifest, bytes_max: u64, over: impl Fn(Date, Ts) -> bool) -> Option<Plan> {
    let state = manifest.state();
    let mut by: BTreeMap<(Table, Date), Vec<&Arc<FileMeta>>> = BTreeMap::new();
    for file in state.files.values().filter(|file| !state.cold.contains(&file.id)) {
        by.entry((file.table, file.day)).or_default().push(file);
    }
    for ((_, day), files) in by {
        let fresh = files.iter().filter(|file| file.level != LEVEL_DAY).map(|file| file.made).max();
        let fits = |files: &[&Arc<FileMeta>]| files.iter().map(|file| file.bytes).sum::<u64>() <= bytes_max;
        if fresh.is_some_and(|made| over(day, made)) && fits(&files) {
            return Some(Plan {
                files: files.into_iter().cloned().collect(),
                level: LEVEL_DAY,
                zstd: THOROUGH,
            });
        }
        for level in 0..LEVEL_DAY - 1 {
            let of = files.iter().copied().filter(|file| file.level == level);
            let of: Vec<_> = of.take(FAN_IN).collect();
            if of.len() == FAN_IN && fits(&of) {
                let files = of.into_iter().cloned().collect();
                return Some(Plan { files, level: level + 1, zstd: QUICK });
            }
        }
    }
    None
}

/// Merges files and names the result in the catalogue; the files read stay until they are swept.
///
/// # Errors
/// [`Error`]; whether it is merged the catalogue knows when it was opened anew.
pub(crate) fn merge(
    manifest: &Manifest,
    config: &Config,
    plan: Plan,
) -> Result<(MergeReport, Vec<Arc<FileMeta>>)> {
    let Plan { mut files, level, zstd } = plan;
    // In the order of the bus, so that rows of an instrument stay in it.
    files.sort_by_key(|file| file.runs.iter().map(|run| run.first).min());
    let Some(first) = files.first() else { return Ok(<_>::default()) };
    let (table, day) = (first.table, first.day);
    let made = files.iter().map(|file| file.made).max().unwrap_or_default();
    let mut inputs = files.iter().map(|file| Input::open(manifest, file)).collect::<Result<Vec<_>>>()?;
    let mut of: BTreeMap<Key, Vec<(usize, Run)>> = BTreeMap::new();
    for (place, file) in files.iter().enumerate() {
        for run in &file.runs {
            let Some(input) = inputs.get(place) else { continue };
            of.entry(input.key(run)?).or_default().push((place, run.clone()));
        }
    }
    let next = manifest.state().next;
    let mut out = Out {
        manifest,
        table,
        day,
        level,
        made,
        next,
        zstd,
        bytes_max: config.file_bytes,
        open: None,
        done: Vec::new(),
    };
    for (key, runs) in of {
        let rows: u64 = runs.iter().map(|(_, run)| run.rows).sum();
        let name = (level == LEVEL_DAY && rows >= OWN_ROWS)
            .then(|| format!("{}-{}-{}", key.exchange, key.symbol, key.source));
        out.begin(name.as_deref())?;
        for (place, run) in runs {
            out.run(&run);
            let Some(input) = inputs.get_mut(place) else { continue };
            let mut left = run.rows;
            while left > 0 {
                let batch = input.take(left)?;
                left -= batch.num_rows() as u64;
                out.put(&batch, input, &run, name.as_deref())?;
            }
        }
    }
    out.end()?;
    let mut report =
        MergeReport { read: files.len() as u64, written: out.done.len() as u64, ..<_>::default() };
    report.bytes_read = files.iter().map(|file| file.bytes).sum();
    report.bytes_written = out.done.iter().map(|file| file.bytes).sum();
    let remove = files.iter().map(|file| file.id).collect();
    manifest.commit(Change { add: out.done, remove, ..Change::default() })?;
    Ok((report, files))
}

/// A file that is read from its first row to its last.
struct Input {
    path: PathBuf,
    definitions: Arc<Definitions>,
    rows: Batches,
    left: Option<RecordBatch>,
    /// Exchange, product and symbol.
    keys: HashMap<InstrumentId, [Box<str>; 3]>,
}

impl Input {
    fn open(manifest: &Manifest, file: &FileMeta) -> Result<Self> {
        let opened = open(manifest, file)?;
        let path = manifest.dir().join(&*file.path);
        let rows = opened.rows(std::iter::once(0..file.rows), BATCH_ROWS);
        let rows = rows.map_err(|e| Error::Damaged { path: path.clone(), what: e.to_string() })?;
        let definitions = opened.definitions;
        let names =
            definitions.iter().map(|it| (it.id, [it.venue.clone(), it.product.clone(), it.symbol.clone()]));
        let keys = names.collect();
        Ok(Self { path, definitions, rows, left: None, keys })
    }

    fn key(&self, run: &Run) -> Result<Key> {
        let named = self.keys.get(&run.instrument).cloned();
        let [exchange, product, symbol] = named.ok_or_else(|| self.damaged("a run has no definition"))?;
        Ok(Key { exchange, product, symbol, source: run.source })
    }

    /// The next rows, at most so many.
    fn take(&mut self, rows: u64) -> Result<RecordBatch> {
        let batch = match self.left.take() {
            Some(batch) => batch,
            None => match self.rows.next() {
                Some(Ok(batch)) => batch,
                Some(Err(error)) => return Err(self.damaged(&error.to_string())),
                None => return Err(self.damaged("rows are missing")),
            },
        };
        let count = usize::try_from(rows).unwrap_or(usize::MAX).min(batch.num_rows());
        if count < batch.num_rows() {
            self.left = Some(batch.slice(count, batch.num_rows() - count));
        }
        Ok(batch.slice(0, count))
    }

    fn damaged(&self, what: &str) -> Error {
        Error::Damaged { path: self.path.clone(), what: what.to_owned() }
    }
}

/// Opens a file that the catalogue names.
pub(crate) fn open(manifest: &Manifest, file: &FileMeta) -> Result<Opened> {
    Opened::open(file.table, &manifest.dir().join(&*file.path), file.bytes, file.chunks.clone())
}

/// The files that are written.
struct Out<'a> {
    manifest: &'a Manifest,
    table: Table,
    day: Date,
    level: u8,
    made: Ts,
    next: u64,
    /// At which level it is compressed.
    zstd: i32,
    bytes_max: u64,
    open: Option<OpenFile>,
    done: Vec<FileMeta>,
}

struct OpenFile {
    writer: Writer,
    path: Box<str>,
    own: bool,
    definitions: Definitions,
    runs: Vec<Run>,
    /// Epoch and number of the last row.
    last: Option<(u64, u64)>,
}

impl Out<'_> {
    /// Makes sure that a file is open for the next instrument; with a name it has one of its own.
    fn begin(&mut self, name: Option<&str>) -> Result<()> {
        let bytes_max = self.bytes_max;
        if self
            .open
            .as_ref()
            .is_some_and(|open| !open.own && name.is_none() && open.writer.bytes() < bytes_max)
        {
            return Ok(());
        }
        self.end()?;
        let path = path(self.table, self.day, self.next, name);
        let writer = Writer::create(self.manifest, self.table, self.zstd, &path)?;
        let (definitions, runs) = (Definitions::default(), Vec::new());
        self.open = Some(OpenFile { writer, path, own: name.is_some(), definitions, runs, last: None });
        self.next += 1;
        Ok(())
    }

    /// Begins the rows of a run, which may follow those of another one of the same instrument.
    fn run(&mut self, run: &Run) {
        let Some(open) = &mut self.open else { return };
        match open.runs.last_mut() {
            Some(last) if last.instrument == run.instrument && last.source == run.source => {
                last.last = run.last;
                last.from = last.from.min(run.from);
                last.to = last.to.max(run.to);
                last.channels |= run.channels;
            }
            _ => open.runs.push(Run { start: open.writer.rows(), rows: 0, ..run.clone() }),
        }
    }

    fn put(&mut self, batch: &RecordBatch, from: &Input, run: &Run, name: Option<&str>) -> Result<()> {
        let first = place(batch, 0);
        // A file that is full ends between two events.
        if self.open.as_ref().is_some_and(|open| open.writer.bytes() >= self.bytes_max && open.last != first)
        {
            self.end()?;
            self.begin(name)?;
            self.run(run);
        }
        let Some(open) = &mut self.open else { return Ok(()) };
        let batch = moved(batch, &from.definitions, &mut open.definitions);
        let batch = batch.ok_or_else(|| from.damaged("a row has no definition"))?;
        open.last = place(&batch, batch.num_rows().saturating_sub(1));
        if let Some(last) = open.runs.last_mut() {
            last.rows += batch.num_rows() as u64;
        }
        open.writer.put(&batch)
    }

    fn end(&mut self) -> Result<()> {
        let Some(OpenFile { writer, path, definitions, runs, .. }) = self.open.take() else { return Ok(()) };
        let (id, table, day, level, made) = (self.next - 1, self.table, self.day, self.level, self.made);
        let Written { rows, bytes, chunks, spans } = writer.finish(&definitions)?;
        self.done.push(FileMeta { id, table, day, level, made, path, rows, bytes, chunks, spans, runs });
        Ok(())
    }
}

/// Epoch and number of a row.
fn place(batch: &RecordBatch, row: usize) -> Option<(u64, u64)> {
    let value = |column: usize| {
        let values = batch.columns().get(column)?.as_primitive_opt::<UInt64Type>()?;
        (row < batch.num_rows()).then(|| values.value(row))
    };
    Some((value(0)?, value(1)?))
}

/// The same rows with the places that the definitions have in another list; `None` where one has no definition.
fn moved(batch: &RecordBatch, from: &Definitions, to: &mut Definitions) -> Option<RecordBatch> {
    let mut columns = batch.columns().to_vec();
    let column = columns.get_mut(COMMON.len() - 1)?;
    let mut known: Option<(u32, u32)> = None;
    let mut new = Vec::with_capacity(batch.num_rows());
    for old in column.as_primitive_opt::<UInt32Type>()?.values() {
        let place = match known {
            Some((before, place)) if before == *old => place,
            _ => to.place(from.get(*old)?),
        };
        known = Some((*old, place));
        new.push(place);
    }
    let new: ArrayRef = Arc::new(UInt32Array::from(new));
    *column = new;
    RecordBatch::try_new(batch.schema(), columns).ok()
}
