//! Events on disk: keeping them, holding them against themselves, and reading them again.

pub mod backup;
pub mod compact;
pub mod coverage;
pub mod export;
pub mod part;
pub mod verify;

use crate::error::Result;
use bus::{Cursor, Published};
use model::Event;
use std::path::Path;
use std::sync::Arc;
use store::disk::Host;
use store::log::{self, Entry, Log};
use store::{Config, OpenedStore, Store};

/// How many events of a replay are committed at once.
const COMMIT_EVENTS: usize = 4_096;

/// Opens the store where the config names a folder, and says what was found and done.
///
/// # Errors
/// Where another process writes there, the disk refuses, or the catalogue is damaged.
pub fn open(config: &Config) -> Result<Option<(Store, OpenedStore)>> {
    if config.dir.as_os_str().is_empty() {
        return Ok(None);
    }
    let (store, opened) = Store::open(config.clone())?;
    let OpenedStore { log, files, file_bytes, newest, orphans } = &opened;
    let (dir, segments, bytes) = (config.dir.display().to_string(), log.segments, log.bytes);
    let newest = newest.map_or("none".to_owned(), cursor);
    tracing::info!(dir, segments, bytes, files, file_bytes, newest, "events are kept");
    for torn in &log.torn {
        let (file, byte, bytes) = (&torn.file, torn.byte, torn.bytes);
        tracing::warn!(file, byte, bytes, "cut off what was never acknowledged");
    }
    for path in orphans {
        tracing::warn!(path = %path.display(), "deleted a file that was never finished; its events are elsewhere");
    }
    Ok(Some((store, opened)))
}

/// A place as people read it.
fn cursor(at: Cursor) -> String {
    format!("{}/{}", at.epoch, at.number)
}

fn log_reader(dir: &Path) -> Result<log::Reader> {
    Ok(log::Reader::open(Box::new(Host::new(dir)))?)
}

/// Keeps the events of a replay as if a bus had numbered them.
pub struct Keeper {
    log: Log,
    epoch: u64,
    number: u64,
    waiting: Vec<Entry>,
}

impl Keeper {
    /// Begins a new epoch of the log in `dir`.
    ///
    /// # Errors
    /// As [`open`].
    pub fn new(dir: &Path) -> Result<Self> {
        let (store, opened) = Store::open(Config { dir: dir.to_owned(), ..Config::default() })?;
        let epoch = opened.newest.map_or(1, |newest| newest.epoch + 1);
        Ok(Self { log: store.into_log(), epoch, number: 0, waiting: Vec::new() })
    }

    /// Takes an event; its time of publication is that of its receipt.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub fn put(&mut self, event: &Event) -> Result<()> {
        self.number += 1;
        let cursor = Cursor { epoch: self.epoch, number: self.number };
        let published = Published { cursor, ts_pub: event.stamp.ts_recv, event: event.clone() };
        self.waiting.push(Entry::Event(Arc::new(published)));
        if self.waiting.len() < COMMIT_EVENTS {
            return Ok(());
        }
        self.commit()
    }

    fn commit(&mut self) -> Result<()> {
        self.log.commit(&self.waiting)?;
        self.waiting.clear();
        Ok(())
    }

    /// Commits the rest and closes the log.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub fn finish(mut self) -> Result<()> {
        self.commit()?;
        Ok(self.log.close()?)
    }
}
