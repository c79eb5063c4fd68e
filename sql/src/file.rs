//! The Parquet files of a query: opened once, held open, every byte that is read held against its checksum where there is one.
//!
//! A file that is merged away or deleted while a query runs stays readable for it.

use bytes::Bytes;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::ParquetFileReaderFactory;
use datafusion::datasource::physical_plan::parquet::ParquetFileMetrics;
use datafusion::error::{DataFusionError, Result as Planned};
use datafusion::parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use datafusion::parquet::arrow::async_reader::AsyncFileReader;
use datafusion::parquet::errors::{ParquetError, Result};
use datafusion::parquet::file::FOOTER_SIZE;
use datafusion::parquet::file::metadata::{FooterTail, ParquetMetaData, ParquetMetaDataReader};
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use query::{Kind, Problem, Summed};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// One file.
#[derive(Debug)]
pub struct Opened {
    path: PathBuf,
    file: File,
    bytes: u64,
    sums: Option<Summed>,
    footer: Arc<ParquetMetaData>,
    /// Whether the query read from it.
    touched: AtomicBool,
    /// The first thing that was wrong with it.
    damage: OnceLock<String>,
}

impl Opened {
    /// Opens a file and reads its footer.
    pub fn open(file: &query::File) -> std::result::Result<Self, Problem> {
        let path = file.path().to_owned();
        let told = |why: &dyn std::fmt::Display| damaged(&path, &why.to_string());
        let opened = File::open(&path).map_err(|e| told(&e))?;
        let bytes = opened.metadata().map_err(|e| told(&e))?.len();
        let sums = match file {
            query::File::Plain(_) => None,
            query::File::Summed(sums) => Some(fitting(sums, bytes).map_err(|why| told(&why))?),
        };
        let footer = footer(&opened, bytes, sums.as_ref()).map_err(|e| told(&e))?;
        let (touched, damage) = (AtomicBool::new(false), OnceLock::new());
        Ok(Self { path, file: opened, bytes, sums, footer: Arc::new(footer), touched, damage })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its length.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What stands in its footer.
    pub fn footer(&self) -> &ParquetMetaData {
        &self.footer
    }

    /// What is wrong with it, if anything is: what was found when it was read, else what is found by reading all of it.
    /// Only of a file from which the query read.
    pub fn damage(&self) -> Option<Problem> {
        if !self.touched.load(Ordering::Relaxed) {
            return None;
        }
        let found = self.damage.get().cloned().or_else(|| self.all().err().map(|e| e.to_string()));
        found.map(|why| damaged(&self.path, &why))
    }

    fn all(&self) -> Result<()> {
        let rows = ParquetRecordBatchReaderBuilder::try_new(self.file.try_clone()?)?.build()?;
        for batch in rows {
            batch?;
        }
        Ok(())
    }

    fn read(&self, range: &Range<u64>) -> Result<Bytes> {
        self.touched.store(true, Ordering::Relaxed);
        let read = checked(&self.file, self.bytes, self.sums.as_ref(), range);
        if let Err(error) = &read {
            let _ = self.damage.set(error.to_string());
        }
        read
    }
}

fn damaged(path: &Path, why: &str) -> Problem {
    crate::fault::problem(Kind::File, format!("file `{}` cannot be read: {why}", path.display()))
}

/// Checksums that fit a file of so many bytes.
fn fitting(sums: &Summed, bytes: u64) -> std::result::Result<Summed, String> {
    if sums.bytes != bytes {
        return Err(format!("it has {bytes} bytes and should have {}", sums.bytes));
    }
    let block = sums.block_bytes;
    if block == 0 || bytes.div_ceil(block) != sums.crc32.len() as u64 {
        return Err(format!("{} checksums of {block} bytes do not make {bytes} bytes", sums.crc32.len()));
    }
    Ok(sums.clone())
}

fn footer(file: &File, bytes: u64, sums: Option<&Summed>) -> Result<ParquetMetaData> {
    let short = || ParquetError::General("it ends before its footer".to_owned());
    let tail_at = bytes.checked_sub(FOOTER_SIZE as u64).ok_or_else(short)?;
    let tail = checked(file, bytes, sums, &(tail_at..bytes))?;
    let tail = FooterTail::try_from(tail.as_ref())?;
    let length = tail.metadata_length() as u64;
    let at = tail_at.checked_sub(length).ok_or_else(short)?;
    ParquetMetaDataReader::decode_metadata(&checked(file, bytes, sums, &(at..tail_at))?)
}

/// Reads a range; with checksums by whole blocks.
fn checked(file: &File, bytes: u64, sums: Option<&Summed>, range: &Range<u64>) -> Result<Bytes> {
    if range.start > range.end || range.end > bytes {
        return Err(ParquetError::EOF(format!(
            "it has {bytes} bytes and speaks of bytes {} to {}",
            range.start, range.end
        )));
    }
    let Some(sums) = sums else { return Ok(exactly(file, range)?.into()) };
    let block = sums.block_bytes;
    let first = range.start / block;
    let start = first * block;
    let end = range.end.div_ceil(block).saturating_mul(block).min(bytes);
    let read: Bytes = exactly(file, &(start..end))?.into();
    let blocks = read.chunks(sums.block_bytes as usize);
    for ((found, is), at) in
        blocks.map(crc32fast::hash).zip(sums.crc32.iter().skip(first as usize)).zip(first..)
    {
        if found != *is {
            let at = at * block;
            return Err(ParquetError::General(format!(
                "checksum of the block at byte {at} is {found:08x}, not {is:08x}"
            )));
        }
    }
    Ok(read.slice((range.start - start) as usize..(range.end - start) as usize))
}

fn exactly(file: &File, range: &Range<u64>) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; (range.end - range.start) as usize];
    file.read_exact_at(&mut bytes, range.start)?;
    Ok(bytes)
}

/// Gives the scan readers of files that are open.
#[derive(Debug)]
pub struct Readers;

impl ParquetFileReaderFactory for Readers {
    fn create_reader(
        &self,
        partition: usize,
        file: PartitionedFile,
        _footer_hint: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> Planned<Box<dyn AsyncFileReader + Send>> {
        let opened = file.extension::<Arc<Opened>>().cloned();
        let opened =
            opened.ok_or_else(|| DataFusionError::Internal(format!("{} is not open", file.path())))?;
        let metrics = ParquetFileMetrics::new(partition, file.path().as_ref(), metrics);
        Ok(Box::new(Reader { opened, metrics }))
    }
}

struct Reader {
    opened: Arc<Opened>,
    metrics: ParquetFileMetrics,
}

impl AsyncFileReader for Reader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes>> {
        self.metrics.bytes_scanned.add(range.end.saturating_sub(range.start) as usize);
        std::future::ready(self.opened.read(&range)).boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        _options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>>> {
        std::future::ready(Ok(Arc::clone(&self.opened.footer))).boxed()
    }
}
