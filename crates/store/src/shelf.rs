//! What the one who logs and the one who seals tell each other.

use crate::hot::Hot;
use crate::manifest::{Note, Sealed};
use bus::Cursor;
use std::sync::{Mutex, OnceLock, PoisonError};
use tokio::sync::{Notify, mpsc, oneshot, watch};

/// Between log and files.
pub(crate) struct Shelf {
    /// What is safe and does not stand in files.
    pub hot: Hot,
    /// The newest segment of the processes before this one.
    before: u64,
    /// The last cursor before this process's own.
    begun: OnceLock<Cursor>,
    ended: watch::Sender<u64>,
    sealed: watch::Sender<Sealed>,
    /// The segment in hand is to end.
    end_wanted: Notify,
    /// For how many hours rows are kept where somebody asked for fewer than the config says, and whom to tell.
    pub cleanups: mpsc::Sender<Cleanup>,
    cleanups_asked: Mutex<Option<mpsc::Receiver<Cleanup>>>,
}

/// Rows older than so many hours are to go.
pub(crate) struct Cleanup {
    pub hours: u32,
    pub told: oneshot::Sender<crate::Result<Vec<Note>>>,
}

impl Shelf {
    pub fn new(sealed: Sealed, ended: u64) -> Self {
        let (cleanups, cleanups_asked) = mpsc::channel(1);
        Self {
            hot: Hot::default(),
            before: ended,
            begun: OnceLock::new(),
            ended: watch::Sender::new(ended),
            sealed: watch::Sender::new(sealed),
            end_wanted: Notify::new(),
            cleanups,
            cleanups_asked: Mutex::new(Some(cleanups_asked)),
        }
    }

    /// What is asked for; there is one who looks after it.
    pub fn cleanups_asked(&self) -> Option<mpsc::Receiver<Cleanup>> {
        self.cleanups_asked.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Wants the segment in hand to end.
    pub fn want_end(&self) {
        self.end_wanted.notify_one();
    }

    /// Returns when the segment in hand is to end.
    pub async fn end_wanted(&self) {
        self.end_wanted.notified().await;
    }

    /// Events after this cursor will come.
    pub fn begin(&self, after: Cursor) {
        // It is begun once.
        let _ = self.begun.set(after);
    }

    /// Up to where events that stand in no file are only in the log; `None` where all others are in memory.
    pub fn only_in_log(&self, sealed: Sealed) -> Option<Cursor> {
        let all = Cursor { epoch: u64::MAX, number: u64::MAX };
        let older = (sealed.segment < self.before).then(|| self.begun.get().copied().unwrap_or(all));
        older.max(self.hot.overflowed()).filter(|cursor| Some(*cursor) > sealed.cursor)
    }

    /// The segments up to this one have ended.
    pub fn ended(&self, segment: u64) {
        self.ended.send_replace(segment);
    }

    /// Tells up to where segments have ended, each time one does.
    pub fn on_ended(&self) -> watch::Receiver<u64> {
        self.ended.subscribe()
    }

    /// The log up to there stands in files.
    pub fn seal(&self, sealed: Sealed) {
        self.sealed.send_replace(sealed);
        if let Some(cursor) = sealed.cursor {
            self.hot.forget(cursor);
        }
    }

    /// Tells up to where the log stands in files, each time that changes.
    pub fn on_sealed(&self) -> watch::Receiver<Sealed> {
        self.sealed.subscribe()
    }

    /// Up to where the log stands in files.
    pub fn sealed(&self) -> Sealed {
        *self.sealed.borrow()
    }
}
