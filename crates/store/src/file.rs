//! Tables as Parquet files: written so that they are small, and read so that no changed byte passes.
//!
//! Columns have plain types, so a file opens in other programs as it is. Beside them the file carries the definitions that
//! its rows lean on (`qingxi.definitions`: base64 of zstd of our binary form) and the version of all that
//! (`qingxi.version`). Parquet has no checksum that is always there, so the manifest keeps a CRC-32 of each 64 KiB of a
//! file; what is read of a file is held against it first.

mod batches;
mod checked;
mod columns;

use crate::code::Code as _;
use crate::disk::{Files, Handle};
use crate::manifest::Manifest;
use crate::table::{COMMON, Definitions, Table};
use crate::{Error, Result};
use arrow_array::{ArrayRef, RecordBatch};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
pub(crate) use batches::Batches;
use batches::constant;
use checked::Checked;
pub(crate) use columns::{QUICK, THOROUGH, UTMOST, properties};
use columns::{SAMPLE_ROWS, measured, spans};
use model::Ts;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection,
};
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::arrow::{ArrowWriter, ProjectionMask};
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, PageIndexPolicy};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use query::Span;
use std::fs::File;
use std::io::{self, Read, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

/// The version of the rows and of what is beside them.
const VERSION: &str = "1";
const KEY_VERSION: &str = "qingxi.version";
const KEY_DEFINITIONS: &str = "qingxi.definitions";
/// How many bytes one checksum is of.
pub(crate) const CHUNK: u64 = 64 << 10;
/// Definitions of more bytes than this are not unpacked.
const DEFINITIONS_MAX: u64 = 256 << 20;

/// What a file that was written is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    pub rows: u64,
    pub bytes: u64,
    /// A CRC-32 of each 64 KiB.
    pub chunks: Vec<u32>,
    /// The least and the greatest of its times and of the texts of [`COMMON`].
    pub spans: Vec<Span>,
}

/// Writes a file of one table. It has its name only when it is whole.
pub(crate) struct Writer {
    table: Table,
    level: i32,
    rows: u64,
    /// Until it is known how its rows are best written, these are all of them.
    begun: Option<(Tally, Vec<RecordBatch>)>,
    /// From then on; not there either where beginning failed.
    arrow: Option<ArrowWriter<Tally>>,
    files: Arc<dyn Files>,
    path: PathBuf,
    part: PathBuf,
}

impl Writer {
    /// Begins a file at `path` below the store's folder, compressed at that level of zstd; its own folder is made where it is
    /// not there.
    ///
    /// # Errors
    /// [`Error::Disk`].
    pub fn create(manifest: &Manifest, table: Table, level: i32, path: &str) -> Result<Self> {
        let (files, path) = (manifest.files(), manifest.dir().join(path));
        let part = path.with_extension("part");
        let failed = |source| Error::Disk { doing: "create", path: part.clone(), source };
        if let Some(dir) = path.parent() {
            manifest.make_folder(dir).map_err(failed)?;
        }
        let file = files.create(&part).inspect_err(|_| manifest.forget_folders()).map_err(failed)?;
        let begun = Some((Tally::new(file), Vec::new()));
        Ok(Self { table, level, rows: 0, begun, arrow: None, files, path, part })
    }

    /// Appends rows.
    ///
    /// # Errors
    /// [`Error::Disk`].
    pub fn put(&mut self, batch: &RecordBatch) -> Result<()> {
        self.rows += batch.num_rows() as u64;
        if let Some((_, rows)) = &mut self.begun {
            rows.push(batch.clone());
            if self.level > QUICK && self.rows < SAMPLE_ROWS {
                return Ok(());
            }
            return self.arrow().map(|_| ());
        }
        self.arrow()?.write(batch).map_err(|e| self.failed("write", e))
    }

    /// What writes, with all that was put.
    fn arrow(&mut self) -> Result<&mut ArrowWriter<Tally>> {
        if let Some((file, rows)) = self.begun.take() {
            let (table, level) = (self.table, self.level);
            let properties =
                if level > QUICK { measured(table, level, &rows) } else { properties(table, level) };
            let arrow = properties.and_then(|properties| {
                let options =
                    ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
                let mut arrow = ArrowWriter::try_new_with_options(file, table.schema(), options)?;
                rows.iter().try_for_each(|batch| arrow.write(batch))?;
                Ok(arrow)
            });
            self.arrow = Some(arrow.map_err(|e| self.failed("write", e))?);
        }
        let part = &self.part;
        self.arrow.as_mut().ok_or_else(|| {
            let source = io::Error::other("it could not be begun");
            Error::Disk { doing: "write", path: part.clone(), source }
        })
    }

    /// How many rows it has.
    pub const fn rows(&self) -> u64 {
        self.rows
    }

    /// About how many bytes it has; 0 while it has few rows.
    pub fn bytes(&self) -> u64 {
        self.arrow.as_ref().map_or(0, |arrow| (arrow.bytes_written() + arrow.in_progress_size()) as u64)
    }

    /// Ends the file; when it returns the file outlives a loss of power, by its name too.
    ///
    /// # Errors
    /// [`Error::Disk`].
    pub fn finish(mut self, definitions: &Definitions) -> Result<Written> {
        let mut plain = Vec::new();
        definitions.put(&mut plain);
        self.arrow()?;
        let Self { table, arrow, rows, files, path, part, .. } = self;
        let failed = |doing, source| Error::Disk { doing, path: part.clone(), source };
        let packed = zstd::encode_all(plain.as_slice(), QUICK).map_err(|e| failed("write", e))?;
        let mut arrow = arrow.ok_or_else(|| failed("write", io::ErrorKind::BrokenPipe.into()))?;
        for (key, value) in [(KEY_VERSION, VERSION.to_owned()), (KEY_DEFINITIONS, BASE64.encode(packed))] {
            arrow.append_key_value_metadata(KeyValue::new(key.to_owned(), value));
        }
        arrow.flush().map_err(|e| failed("write", to_io(e)))?;
        let spans = spans(table, arrow.flushed_row_groups());
        let (mut file, bytes, chunks) = arrow.into_inner().map_err(|e| failed("write", to_io(e)))?.finish();
        file.sync().map_err(|e| failed("write", e))?;
        drop(file);
        files.rename(&part, &path).map_err(|e| failed("rename", e))?;
        if let Some(dir) = path.parent() {
            files.sync_names(dir).map_err(|e| failed("rename", e))?;
        }
        Ok(Written { rows, bytes, chunks, spans })
    }

    fn failed(&self, doing: &'static str, error: ParquetError) -> Error {
        Error::Disk { doing, path: self.part.clone(), source: to_io(error) }
    }
}

/// Returns when the names in a folder, and the folder's own, outlive a loss of power.
///
/// # Errors
/// [`Error::Disk`].
pub(crate) fn sync_dir(dir: &Path) -> Result<()> {
    for dir in [Some(dir), dir.parent()].into_iter().flatten() {
        let synced = File::open(dir).and_then(|dir| dir.sync_all());
        synced.map_err(|source| Error::Disk { doing: "write", path: dir.to_owned(), source })?;
    }
    Ok(())
}

fn to_io(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(source) => match source.downcast::<io::Error>() {
            Ok(source) => *source,
            Err(source) => io::Error::other(source),
        },
        error => io::Error::other(error),
    }
}

/// Counts and sums up what is written through it.
struct Tally {
    file: Box<dyn Handle>,
    bytes: u64,
    chunks: Vec<u32>,
    hasher: crc32fast::Hasher,
}

impl Tally {
    fn new(file: Box<dyn Handle>) -> Self {
        Self { file, bytes: 0, chunks: Vec::new(), hasher: crc32fast::Hasher::new() }
    }

    fn finish(mut self) -> (Box<dyn Handle>, u64, Vec<u32>) {
        if !self.bytes.is_multiple_of(CHUNK) {
            self.chunks.push(self.hasher.finalize());
        }
        (self.file, self.bytes, self.chunks)
    }
}

impl Write for Tally {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let left = usize::try_from(CHUNK - self.bytes % CHUNK).unwrap_or(usize::MAX);
        let piece = bytes.get(..left).unwrap_or(bytes);
        self.file.append(piece)?;
        self.hasher.update(piece);
        self.bytes += piece.len() as u64;
        if !piece.is_empty() && self.bytes.is_multiple_of(CHUNK) {
            self.chunks.push(std::mem::take(&mut self.hasher).finalize());
        }
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A file that is open: its footer was read.
#[derive(Clone)]
pub(crate) struct Opened {
    file: Checked,
    metadata: ArrowReaderMetadata,
    pub definitions: Arc<Definitions>,
}

impl Opened {
    /// Opens a file of a table, of so many bytes with these CRC-32s of each 64 KiB.
    ///
    /// # Errors
    /// [`Error::Disk`] where the disk refuses, [`Error::Damaged`] where the file is not what was written.
    pub fn open(table: Table, path: &Path, written: u64, chunks: Vec<u32>) -> Result<Self> {
        static NO_INDEX: LazyLock<ArrowReaderOptions> = LazyLock::new(ArrowReaderOptions::new);
        let failed = |source| Error::Disk { doing: "read", path: path.to_owned(), source };
        let file = File::open(path).map_err(failed)?;
        let bytes = file.metadata().map_err(failed)?.len();
        if bytes != written {
            let what = format!("it has {bytes} bytes, not {written}");
            return Err(Error::Damaged { path: path.to_owned(), what });
        }
        let file = Checked::new(file, bytes, chunks);
        let options = NO_INDEX
            .clone()
            .with_schema(table.schema())
            .with_offset_index_policy(PageIndexPolicy::Optional)
            .with_column_index_policy(PageIndexPolicy::Optional);
        let damaged = |what: String| Error::Damaged { path: path.to_owned(), what };
        let metadata = ArrowReaderMetadata::load(&file, options).map_err(|e| damaged(e.to_string()))?;
        let pairs = metadata.metadata().file_metadata().key_value_metadata();
        let value = |key: &str| pairs?.iter().find(|pair| pair.key == key)?.value.as_deref();
        match value(KEY_VERSION) {
            Some(VERSION) => {}
            other => return Err(damaged(format!("its version is {}", other.unwrap_or("not said")))),
        }
        let definitions = value(KEY_DEFINITIONS).and_then(definitions);
        let definitions = definitions.ok_or_else(|| damaged("its definitions do not read".to_owned()))?;
        Ok(Self { file, metadata, definitions: Arc::new(definitions) })
    }

    /// Reads rows of it, in batches of at most so many.
    ///
    /// # Errors
    /// As [`Opened::open`], without the path.
    pub fn rows(
        &self,
        ranges: impl IntoIterator<Item = Range<u64>>,
        batch_rows: usize,
    ) -> Result<Batches, ParquetError> {
        self.cells(ranges, batch_rows, None)
    }

    /// Reads some columns, by their places in the table, of rows.
    ///
    /// # Errors
    /// As [`Opened::rows`].
    pub fn cells(
        &self,
        ranges: impl IntoIterator<Item = Range<u64>>,
        batch_rows: usize,
        columns: Option<&[usize]>,
    ) -> Result<Batches, ParquetError> {
        // A group that is passed over costs two contexts of zstd a column, so none is given to the reader.
        let ranges: Vec<Range<u64>> = ranges.into_iter().collect();
        let (mut groups, mut wanted) = (Vec::new(), Vec::new());
        let (mut start, mut skipped) = (0, 0);
        for (place, group) in self.metadata.metadata().row_groups().iter().enumerate() {
            let end = start + group.num_rows().unsigned_abs();
            let before = wanted.len();
            let inside = ranges.iter().map(|range| range.start.max(start)..range.end.min(end));
            wanted.extend(
                inside
                    .filter(|range| !range.is_empty())
                    .map(|range| range.start - skipped..range.end - skipped),
            );
            if wanted.len() > before {
                groups.push(place);
            } else {
                skipped += end - start;
            }
            start = end;
        }
        let place = |row: u64| usize::try_from(row).unwrap_or(usize::MAX);
        let wanted = wanted.into_iter().map(|range| place(range.start)..place(range.end));
        let selection = RowSelection::from_consecutive_ranges(wanted, place(start - skipped));
        let all = self.metadata.schema();
        let columns: Vec<usize> =
            columns.map_or_else(|| (0..all.fields().len()).collect(), <[usize]>::to_vec);
        let constants: Vec<_> = columns.iter().map(|column| self.constant(*column, &groups)).collect();
        let reader =
            ParquetRecordBatchReaderBuilder::new_with_metadata(self.file.clone(), self.metadata.clone());
        let read = columns.iter().zip(&constants).filter(|(_, one)| one.is_none()).map(|(column, _)| *column);
        let mask = ProjectionMask::roots(reader.parquet_schema(), read);
        let reader = reader
            .with_batch_size(batch_rows)
            .with_row_groups(groups)
            .with_row_selection(selection)
            .with_projection(mask);
        Ok(Batches::new(reader.build()?, all.project(&columns)?.into(), constants))
    }

    /// The only value of a column in some row groups, where the statistics say that there is one.
    fn constant(&self, column: usize, groups: &[usize]) -> Option<ArrayRef> {
        let of = self.metadata.schema().fields().get(column)?.data_type();
        let mut values = groups.iter().map(|group| {
            let group = self.metadata.metadata().row_groups().get(*group)?;
            constant(group.column(column).statistics()?, group.num_rows().unsigned_abs(), of)
        });
        let first = values.next()??;
        values.all(|value| value.as_ref() == Some(&first)).then_some(first)
    }

    /// Those of the rows that may have happened in a time, by what the index says of each page.
    pub fn rows_between(&self, rows: Range<u64>, from: Ts, to: Ts) -> Vec<Range<u64>> {
        let mut all: Vec<Range<u64>> = Vec::new();
        let mut start = 0;
        for (place, group) in self.metadata.metadata().row_groups().iter().enumerate() {
            let end = start + group.num_rows().unsigned_abs();
            if start < rows.end && end > rows.start {
                for range in self.pages_between(place, start..end, from, to) {
                    let range = range.start.max(rows.start)..range.end.min(rows.end);
                    match all.last_mut() {
                        _ if range.is_empty() => {}
                        Some(last) if last.end >= range.start => last.end = last.end.max(range.end),
                        _ => all.push(range),
                    }
                }
            }
            start = end;
        }
        all
    }

    /// The pages of a row group that may hold a time; where the index does not say, the whole group.
    fn pages_between(&self, group: usize, rows: Range<u64>, from: Ts, to: Ts) -> Vec<Range<u64>> {
        let index = self.metadata.metadata().page_index_for_row_group(group);
        let pages = |name: &str| {
            let column = COMMON.iter().position(|(column, _)| *column == name)?;
            let ColumnIndexMetaData::INT64(index) = index.column_index(column)?.clone() else { return None };
            let starts = self.metadata.metadata().page_index_for_row_group(group);
            let starts: Vec<u64> = starts
                .page_locations(column)?
                .iter()
                .map(|page| rows.start + page.first_row_index.unsigned_abs())
                .collect();
            let ends = starts.iter().skip(1).copied().chain([rows.end]);
            let pages = starts.iter().zip(ends).enumerate().map(|(at, (start, end))| {
                let outside = index
                    .min_value(at)
                    .zip(index.max_value(at))
                    .is_some_and(|(min, max)| *max < from.0 || *min >= to.0);
                (*start..end, !index.is_null_page(at) && !outside)
            });
            Some(pages.collect::<Vec<_>>())
        };
        let Some((told, ours)) = pages("ts_event").zip(pages("ts_recv")) else { return vec![rows] };
        // A row without the venue's time, or with an absurd one, counts by ours.
        let wanted = told.into_iter().chain(ours).filter(|(_, inside)| *inside);
        let mut wanted: Vec<Range<u64>> = wanted.map(|(page, _)| page).collect();
        wanted.sort_by_key(|page| page.start);
        wanted
    }

    /// Whether somebody else has it open too.
    pub fn in_use(&self) -> bool {
        self.file.in_use()
    }

    /// Holds every byte against its checksum.
    ///
    /// # Errors
    /// What does not hold, or why it cannot be read.
    pub fn check(&self) -> io::Result<()> {
        self.file.check()
    }
}

fn definitions(text: &str) -> Option<Definitions> {
    let packed = BASE64.decode(text).ok()?;
    let mut plain = Vec::new();
    let decoder = zstd::Decoder::new(packed.as_slice()).ok()?;
    decoder.take(DEFINITIONS_MAX).read_to_end(&mut plain).ok()?;
    Definitions::take(&mut plain.as_slice())
}
