//! Brings files to the cold tier when they are due, a step at a time, so that a kill or an end between two steps loses and
//! doubles nothing.

use super::{Config, Place, Source, Upload, hold, open};
use crate::archive::words;
use crate::copy::lasting_name;
use crate::library::Library;
use crate::manifest::{Change, Cooling, FileMeta, Manifest, State};
use crate::merge::LEVEL_DAY;
use crate::store::{HOUR_MS, LOOK_EVERY, newest};
use crate::{Error, Result};
use hashbrown::{HashMap, HashSet};
use metrics::Metrics;
use std::fmt;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// An object that no file stands for is still there for so long, for those who read it.
const LEAVE_AFTER: Duration = Duration::from_mins(1);

/// What was done for the cold tier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ColdStep {
    /// The place is named in the catalogue.
    Named {
        /// As the config has it.
        url: String,
    },
    /// A file, or the next part of one, was sent there; it does not count yet.
    Sent {
        /// Below the store's folder.
        path: Box<str>,
    },
    /// A file stands there; every byte was read back and held against its checksum.
    Kept {
        /// Below the store's folder.
        path: Box<str>,
        /// How many bytes it has.
        bytes: u64,
    },
    /// A file is not here as it was written; it stays, and the others go on.
    Ill {
        /// Below the store's folder.
        path: Box<str>,
        /// What does not hold.
        why: String,
    },
    /// Local copies were deleted: the cache was full.
    Evicted {
        /// How many.
        files: u64,
        /// How many bytes they had.
        bytes: u64,
    },
    /// An object was deleted that no file stands for.
    Deleted {
        /// As people name it.
        object: String,
    },
}

impl fmt::Display for ColdStep {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named { url } => write!(out, "files of days that are over go to {url}"),
            Self::Sent { path } => write!(out, "sent {path}, or a part of it"),
            Self::Kept { path, bytes } => write!(out, "{path} stands there: {bytes} bytes hold"),
            Self::Ill { path, why } => write!(out, "{path} stays here: {why}"),
            Self::Evicted { files, bytes } => write!(out, "deleted {files} local copies of {bytes} bytes"),
            Self::Deleted { object } => write!(out, "deleted {object}"),
        }
    }
}

/// Looks after the cold tier of a folder.
pub(crate) struct Tier {
    manifest: Arc<Manifest>,
    library: Arc<Library>,
    config: Config,
    place: Option<(Config, Box<dyn Place>)>,
    stop: Arc<AtomicBool>,
    /// Files that are not here as they were written; their rest of the day is not held up.
    ill: HashSet<u64>,
    /// Objects that are to go, by when that was seen.
    leaving: HashMap<Box<str>, Instant>,
}

impl Tier {
    /// Begins to look after it. Where the config names another place than the catalogue, what stands here too is to be
    /// brought to the new one; what does not was brought there by who named it, or is told when it is asked for.
    ///
    /// # Errors
    /// [`Error::Catalogue`].
    pub fn open(manifest: Arc<Manifest>, library: Arc<Library>, config: Config) -> Result<Self> {
        let state = manifest.state();
        if !config.url.is_empty() && state.place.as_ref().is_some_and(|before| before.url != config.url) {
            let here = |file: &FileMeta| fs::metadata(manifest.dir().join(&*file.path));
            let cached = library.cached(&state).into_iter();
            let whole = cached.filter(|file| here(file).is_ok_and(|here| here.len() == file.bytes));
            let cooling = Cooling { not_there: whole.map(|file| file.id).collect(), ..Cooling::default() };
            manifest.commit(Change { cooling, ..Change::default() })?;
        }
        let (stop, ill, leaving) = <_>::default();
        Ok(Self { manifest, library, config, place: None, stop, ill, leaving })
    }

    /// Does the next thing that is due; `None` where nothing is. Objects that are to go are left for so long.
    ///
    /// # Errors
    /// [`Error`]; everything is as it was then, or further.
    pub fn step(&mut self, leave_after: Duration) -> Result<Option<ColdStep>> {
        let state = self.manifest.state();
        let named = state.place.as_deref();
        let wants = !self.config.url.is_empty();
        let Some(config) = (if wants { Some(&self.config) } else { named }).cloned() else { return Ok(None) };
        let (gone, _) = self.library.shrink(&state, config.cache_bytes);
        if !gone.is_empty() {
            let (files, bytes) = (gone.len() as u64, gone.iter().map(|file| file.bytes).sum());
            return Ok(Some(ColdStep::Evicted { files, bytes }));
        }
        if self.place.as_ref().is_none_or(|(of, _)| *of != config) {
            self.place = Some((config.clone(), open(&config, Arc::clone(&self.stop))?));
        }
        let Some((_, place)) = &self.place else { return Ok(None) };
        if named != Some(&config) {
            let url = config.url.clone();
            if named.is_none_or(|before| before.url != url) {
                place.begin()?;
            }
            self.change(Cooling { place: Some(config), ..Cooling::default() })?;
            return Ok(Some(ColdStep::Named { url }));
        }
        let unwanted = unwanted(&state);
        self.leaving.retain(|key, _| unwanted.iter().any(|(of, _)| **of == **key));
        for (key, upload) in unwanted {
            let since = self.leaving.entry(key.into()).or_insert_with(Instant::now);
            if since.elapsed() >= leave_after {
                place.remove(key, upload)?;
                self.uploading(key, None)?;
                return Ok(Some(ColdStep::Deleted { object: place.name(key) }));
            }
        }
        let Some(file) = self.due(&state).filter(|_| wants) else { return Ok(None) };
        let step = self.advance(&file, &state, &**place);
        let here = self.manifest.dir().join(&*file.path);
        if let Err(error @ (Error::Damaged { path, .. } | Error::Disk { path, .. })) = &step
            && *path == here
        {
            self.ill.insert(file.id);
            return Ok(Some(ColdStep::Ill { path: file.path.clone(), why: words(error) }));
        }
        step.map(Some)
    }

    /// The oldest file that is to go there: of a day of its table that is merged.
    fn due(&self, state: &State) -> Option<Arc<FileMeta>> {
        let fresh = state.files.values().filter(|file| file.level != LEVEL_DAY);
        let fresh: HashSet<_> = fresh.map(|file| (file.table, file.day)).collect();
        let after = u64::from(self.config.after_hours) * HOUR_MS;
        let due = state.files.values().filter(|file| {
            file.level == LEVEL_DAY
                && !fresh.contains(&(file.table, file.day))
                && !state.cold.contains(&file.id)
                && !self.ill.contains(&file.id)
                && newest(file).plus_ms(after) < state.sealed.at
        });
        due.min_by_key(|file| (newest(file), file.id)).cloned()
    }

    fn change(&self, cooling: Cooling) -> Result<()> {
        self.manifest.commit(Change { cooling, ..Change::default() })
    }

    /// Says how far the upload of an object came; `None`: nothing stands under that name.
    fn uploading(&self, key: &str, upload: Option<&Upload>) -> Result<()> {
        self.change(Cooling { upload: Some((key.into(), upload.cloned())), ..Cooling::default() })
    }

    /// Brings a file a step further.
    fn advance(&self, file: &FileMeta, state: &State, place: &dyn Place) -> Result<ColdStep> {
        let key = lasting_name(file);
        let known = state.uploads.get(&*key);
        if known.is_none() {
            self.uploading(&key, Some(&Upload::default()))?;
        }
        let mut upload = known.cloned().unwrap_or_default();
        if upload.id.is_empty() || upload.sent() >= file.bytes {
            match place.size(&key)? {
                Some(bytes) if bytes == file.bytes => return self.keep(file, &key, &upload, place),
                Some(_) => place.remove(&key, &Upload::default())?,
                None => {}
            }
        }
        let before = upload.clone();
        let source = Source { path: self.manifest.dir().join(&*file.path), meta: file };
        let sent = place.send(&key, &source, &mut upload);
        if upload != before {
            self.uploading(&key, Some(&upload))?;
        }
        sent.map(|()| ColdStep::Sent { path: file.path.clone() })
    }

    /// Reads back what came and names it in the catalogue; what is not what was sent goes, and is sent again.
    fn keep(&self, file: &FileMeta, key: &str, upload: &Upload, place: &dyn Place) -> Result<ColdStep> {
        let object = place.read(key, file.bytes)?;
        let held = hold(object, place.name(key).as_ref(), file);
        if let Err(Error::Damaged { .. }) = &held {
            place.remove(key, upload)?;
            self.uploading(key, Some(&Upload::default()))?;
        }
        held?;
        self.change(Cooling { there: vec![file.id], ..Cooling::default() })?;
        Ok(ColdStep::Kept { path: file.path.clone(), bytes: file.bytes })
    }
}

/// The objects that no file stands for: it is deleted, or was merged while it was uploaded.
fn unwanted(state: &State) -> Vec<(&str, &Upload)> {
    if state.uploads.is_empty() {
        return Vec::new();
    }
    let wanted: HashSet<String> = state.files.values().map(|file| lasting_name(file)).collect();
    let unwanted = state.uploads.iter().filter(|(key, _)| !wanted.contains(&***key));
    unwanted.map(|(key, upload)| (&**key, upload)).collect()
}

/// Does what is due until it is stopped.
pub(crate) async fn look_after(mut tier: Tier, metrics: Arc<Metrics>, mut stopped: watch::Receiver<bool>) {
    let (stop, library, manifest) =
        (Arc::clone(&tier.stop), Arc::clone(&tier.library), Arc::clone(&tier.manifest));
    let mut wait = Duration::ZERO;
    loop {
        tokio::select! {
            biased;
            _ = stopped.wait_for(|stop| *stop) => break,
            () = tokio::time::sleep(wait) => {}
        }
        let mut done = tokio::task::spawn_blocking(move || {
            let step = tier.step(LEAVE_AFTER);
            (tier, step)
        });
        let ended = tokio::select! {
            ended = &mut done => Some(ended),
            _ = stopped.wait_for(|stop| *stop) => None,
        };
        let done = if let Some(ended) = ended {
            ended
        } else {
            stop.store(true, Ordering::Relaxed);
            done.await
        };
        let Ok((back, step)) = done else {
            tracing::error!("what looks after the cold tier ended by panic; files stay where they are");
            metrics.store.cold_failing.set(1);
            return;
        };
        tier = back;
        if !*stopped.borrow() {
            wait = if tell(&metrics.store, step) { Duration::ZERO } else { LOOK_EVERY };
        }
        library.tell(&metrics.store, &manifest.state());
    }
    library.tell(&metrics.store, &manifest.state());
}

/// Counts and says what a step did; whether there may be more to do.
fn tell(metrics: &metrics::Store, step: Result<Option<ColdStep>>) -> bool {
    let step = match step {
        Ok(step) => step,
        Err(error) => {
            metrics.cold_failures.inc();
            if metrics.cold_failing.set(1) == 0 {
                tracing::error!(error = words(&error), "files stay here: the cold tier does not take them");
            }
            return false;
        }
    };
    if metrics.cold_failing.set(0) != 0 {
        tracing::warn!("the cold tier takes files again");
    }
    if let Some(ColdStep::Kept { bytes, .. }) = &step {
        metrics.cold_sent_bytes.inc_by(*bytes);
    }
    if let Some(ColdStep::Ill { path, why }) = &step {
        metrics.cold_failures.inc();
        tracing::error!(path, why, "a file does not go to the cold tier");
    } else if let Some(step) = &step {
        tracing::debug!(done = %step, "looked after the cold tier");
    }
    step.is_some()
}
