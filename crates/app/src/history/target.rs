//! Where events of the past go.

use super::Output;
use super::import::Done;
use crate::error::{Error, Result};
use hashbrown::HashSet;
use model::{Event, Instrument};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use store::{Config, Filled, Filler, Store};

/// Where events of the past go.
pub enum Target {
    /// To a file of lines for each that is read.
    Lines {
        /// Where these are.
        folder: PathBuf,
        /// What other files of this run were written to.
        written: HashSet<PathBuf>,
        /// The one in hand.
        output: Option<Output>,
    },
    /// To a store.
    Store(Box<Filler>),
}

/// Opens a store to fill in its past.
///
/// # Errors
/// Where a platform uses it, in words of what to do, or it cannot be opened.
pub fn filler(dir: &Path) -> Result<Filler> {
    match Store::open(Config { dir: dir.to_owned(), ..Config::default() }) {
        Ok((store, opened)) => Ok(Filler::new(store, opened.newest, feed::clock::now())),
        Err(store::Error::InUse { path }) => Err(Error::History(format!(
            "`{}` is in use: stop the platform that keeps its events there, do this again, and start it",
            path.display()
        ))),
        Err(other) => Err(other.into()),
    }
}

impl Target {
    /// Files of lines in a folder.
    pub fn lines(folder: &Path) -> Self {
        Self::Lines { folder: folder.to_owned(), written: HashSet::new(), output: None }
    }

    /// The store in a folder.
    ///
    /// # Errors
    /// As [`filler`].
    pub fn store(dir: &Path) -> Result<Self> {
        Ok(Self::Store(Box::new(filler(dir)?)))
    }

    /// What is known there.
    ///
    /// # Errors
    /// Where the store does not read.
    pub fn instruments(&self) -> Result<Vec<Arc<Instrument>>> {
        match self {
            Self::Lines { .. } => Ok(Vec::new()),
            Self::Store(filler) => Ok(filler.reader().instruments()?),
        }
    }

    /// Takes an event of the file in hand.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn put(&mut self, event: Event, done: &mut Done) -> io::Result<()> {
        let ts = store::when(&event);
        let (first, last) = done.span.unwrap_or((ts, ts));
        done.span = Some((first.min(ts), last.max(ts)));
        match self {
            Self::Store(filler) => filler.put(event).map_err(io::Error::other),
            Self::Lines { folder, written, output } => {
                let output = match output {
                    Some(output) => output,
                    none => none.insert(create(folder, written, &event, done)?),
                };
                done.events += 1;
                output.put(event).map_err(io::Error::other)
            }
        }
    }

    /// The file in hand ends; what it gave is safe.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn end(&mut self, done: &mut Done) -> io::Result<()> {
        match self {
            Self::Store(filler) => {
                let Filled { taken, known, late } = filler.file().map_err(io::Error::other)?;
                (done.events, done.known, done.late) = (taken, known, late);
                Ok(())
            }
            Self::Lines { output, .. } => {
                output.take().map_or(Ok(()), |mut output| output.sync()).map_err(io::Error::other)
            }
        }
    }

    /// Everything is read.
    ///
    /// # Errors
    /// Where the store refuses.
    pub fn finish(self) -> Result<()> {
        match self {
            Self::Store(filler) => Ok(filler.finish()?),
            Self::Lines { .. } => Ok(()),
        }
    }
}

/// Where the events of a file go: spot and futures may have files of one name.
fn create(
    folder: &Path,
    written: &mut HashSet<PathBuf>,
    first: &Event,
    done: &mut Done,
) -> io::Result<Output> {
    let stem = source::archive::stem(&done.file);
    let folder = folder.join(first.source).join(&*first.instrument.product);
    let path = folder.join(format!("{stem}.jsonl"));
    if !written.insert(path.clone()) {
        let words = format!("another file of the same name was already written to {}", path.display());
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, words));
    }
    done.out = Some(path.display().to_string());
    Output::open(&path, 0).map_err(io::Error::other)
}
