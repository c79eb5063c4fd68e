//! Files that the asker has elsewhere, asked for when the query reads from them.

use crate::watch::Shared;
use query::{Brought, Want};
use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use tokio::sync::oneshot;

/// What was asked for and is not here yet.
pub struct Wants {
    shared: Shared,
    waiting: Mutex<HashMap<PathBuf, oneshot::Sender<Result<(), String>>>>,
}

impl Wants {
    /// Nothing was asked for.
    pub fn new(shared: Shared) -> Self {
        Self { shared, waiting: Mutex::default() }
    }

    /// Has a file brought to its path; nobody else may want the same one meanwhile. The error is in words.
    pub async fn bring(&self, path: &Path) -> Result<(), String> {
        let (tell, told) = oneshot::channel();
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned(), tell);
        self.shared.out(|out| out.want(&Want { want: path.to_owned() }));
        told.await.unwrap_or_else(|_| Err("it was wanted twice".to_owned()))
    }

    /// What was wanted is here, or why not.
    pub fn brought(&self, brought: Brought) {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&brought.want);
        if let Some(tell) = waiting {
            // Where the query no longer waits, its end is told otherwise.
            let _ = tell.send(brought.why_not.map_or(Ok(()), Err));
        }
    }
}

impl fmt::Debug for Wants {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Wants").finish_non_exhaustive()
    }
}
