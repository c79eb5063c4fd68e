//! The Parquet files of a query: opened once, held open, every byte that is read held against its checksum where there is one.
//!
//! A file that is merged away or deleted while a query runs stays readable for it. One that is away is brought when the query
//! first reads from it.

use crate::wants::Wants;
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
use query::{Away, Kind, Problem, Summed};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use tokio::sync::OnceCell;

/// One file.
#[derive(Debug)]
pub struct Opened {
    path: PathBuf,
    bytes: u64,
    sums: Option<Summed>,
    wants: Arc<Wants>,
    here: OnceCell<Here>,
    /// Whether the query read from it.
    touched: AtomicBool,
    /// The first thing that was wrong with it.
    damage: OnceLock<String>,
}

/// A file that is here.
#[derive(Debug)]
struct Here {
    file: File,
    footer: Arc<ParquetMetaData>,
}

/// What is known of a file before it is read.
pub enum Known<'a> {
    /// What stands in its footer.
    Footer(&'a ParquetMetaData),
    /// What the asker told of it.
    Told(&'a Away),
}

impl Opened {
    /// Opens a file and reads its footer, where it is not away.
    pub fn open(file: &query::File, wants: &Arc<Wants>) -> std::result::Result<Self, Problem> {
        let path = file.path().to_owned();
        let told = |why: &dyn std::fmt::Display| damaged(&path, &why.to_string());
        let sums = match file {
            query::File::Plain(_) => None,
            query::File::Summed(sums) => Some(fitting(sums).map_err(|why| told(&why))?),
        };
        let (here, bytes) = match &sums {
            Some(sums) if sums.away.is_some() => (OnceCell::new(), sums.bytes),
            _ => {
                let (here, bytes) = Here::open(&path, sums.as_ref()).map_err(|e| told(&e))?;
                (OnceCell::new_with(Some(here)), bytes)
            }
        };
        let (touched, damage) = (AtomicBool::new(false), OnceLock::new());
        Ok(Self { path, bytes, sums, wants: Arc::clone(wants), here, touched, damage })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its length.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What is known of it; `None` where nothing is.
    pub fn known(&self) -> Option<Known<'_>> {
        let away = || self.sums.as_ref()?.away.as_ref();
        let footer = self.here.get().map(|here| Known::Footer(&here.footer));
        footer.or_else(|| away().map(Known::Told))
    }

    /// What is wrong with it, if anything is: what was found when it was read, else what is found by reading all of it.
    /// Only of a file from which the query read.
    pub fn damage(&self) -> Option<Problem> {
        if !self.touched.load(Ordering::Relaxed) {
            return None;
        }
        let found = || self.here.get()?.all().err().map(|e| e.to_string());
        self.damage.get().cloned().or_else(found).map(|why| damaged(&self.path, &why))
    }

    /// The file, brought here where it was away.
    async fn here(&self) -> Result<&Here> {
        self.touched.store(true, Ordering::Relaxed);
        let bring = || async {
            self.wants.bring(&self.path).await.map_err(ParquetError::General)?;
            Here::open(&self.path, self.sums.as_ref()).map(|(here, _)| here)
        };
        self.noted(self.here.get_or_try_init(bring).await)
    }

    async fn read(&self, range: Range<u64>) -> Result<Bytes> {
        let here = self.here().await?;
        self.noted(checked(&here.file, self.bytes, self.sums.as_ref(), &range))
    }

    fn noted<T>(&self, done: Result<T>) -> Result<T> {
        if let Err(error) = &done {
            let words = match error {
                ParquetError::General(words) => words.clone(),
                error => error.to_string(),
            };
            let _ = self.damage.set(words);
        }
        done
    }
}

impl Here {
    /// Opens a file and reads its footer; gives its length too.
    fn open(path: &Path, sums: Option<&Summed>) -> Result<(Self, u64)> {
        let file = File::open(path)?;
        let bytes = file.metadata()?.len();
        if let Some(sums) = sums.filter(|sums| sums.bytes != bytes) {
            return Err(ParquetError::General(format!(
                "it has {bytes} bytes and should have {}",
                sums.bytes
            )));
        }
        let footer = Arc::new(footer(&file, bytes, sums)?);
        Ok((Self { file, footer }, bytes))
    }

    fn all(&self) -> Result<()> {
        let rows = ParquetRecordBatchReaderBuilder::try_new(self.file.try_clone()?)?.build()?;
        for batch in rows {
            batch?;
        }
        Ok(())
    }
}

fn damaged(path: &Path, why: &str) -> Problem {
    crate::fault::problem(Kind::File, format!("file `{}` cannot be read: {why}", path.display()))
}

/// Checksums that fit the length.
fn fitting(sums: &Summed) -> std::result::Result<Summed, String> {
    let block = sums.block_bytes;
    if block == 0 || sums.bytes.div_ceil(block) != sums.crc32.len() as u64 {
        let (blocks, bytes) = (sums.crc32.len(), sums.bytes);
        return Err(format!("{blocks} checksums of {block} bytes do not make {bytes} bytes"));
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
        self.opened.read(range).boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        _options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>>> {
        async { self.opened.here().await.map(|here| Arc::clone(&here.footer)) }.boxed()
    }
}
