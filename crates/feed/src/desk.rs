//! What is wanted of the sources, changed while they run.

use crate::config::SourceConfig;
use crate::select::Selector;
use model::{Channel, SourceName};
use serde::{Deserialize, Serialize};
use source::Spec;
use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Something that is wanted of a source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// Names it.
    pub id: u64,
    /// Of which source.
    pub source: String,
    /// Selectors, see [`Selector`].
    pub instruments: Vec<String>,
    /// Channels that are wanted of each instrument; those that an instrument has not are left out.
    pub channels: Vec<String>,
    /// `config` or `api`.
    pub origin: String,
    /// How many instruments that means now.
    #[serde(default)]
    pub resolved: usize,
    /// How many lanes.
    #[serde(default)]
    pub lanes: usize,
    /// What in it names nothing, in words.
    #[serde(default)]
    pub problems: Vec<String>,
}

/// Why a wish was not taken.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The source is not read.
    #[error("no source `{wanted}` is running; running: {}", running.join(", "))]
    NoSource {
        /// What was named.
        wanted: String,
        /// What runs.
        running: Vec<String>,
    },
    /// The wish itself is wrong.
    #[error("{0}")]
    Wrong(String),
    /// There is no subscription of that number.
    #[error("there is no subscription {0}")]
    Unknown(u64),
    /// It was taken, but will not survive a restart.
    #[error("failed to keep the subscriptions in {}", path.display())]
    Keep {
        /// Where.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// What is wanted of all sources. Wishes that came by the API are kept in a file, where one is given.
#[derive(Debug)]
pub struct Desk {
    inner: Mutex<Inner>,
    /// Grows with each change.
    version: watch::Sender<u64>,
    file: Option<PathBuf>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Of the sources that may be read: facts, and the configs in force.
    offers: Vec<(&'static Spec, watch::Sender<SourceConfig>)>,
    running: Vec<&'static Spec>,
    all: Vec<Subscription>,
    last_id: u64,
}

impl Desk {
    /// A desk with the wishes that are kept in `file`, where there are any.
    ///
    /// # Errors
    /// Where the file is there and cannot be read.
    pub fn open(file: Option<PathBuf>) -> io::Result<Self> {
        let text = match file.as_ref().map(std::fs::read_to_string) {
            Some(Ok(text)) => text,
            Some(Err(error)) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => "[]".to_owned(),
        };
        let all: Vec<Subscription> = serde_json::from_str(&text)?;
        let last_id = all.iter().map(|s| s.id).max().unwrap_or(0);
        let inner = Inner { all, last_id, ..Inner::default() };
        Ok(Self { inner: Mutex::new(inner), version: watch::Sender::new(0), file })
    }

    /// All wishes, in the order of their numbers.
    pub fn list(&self) -> Vec<Subscription> {
        self.lock().all.clone()
    }

    /// Wants something of a source that runs.
    ///
    /// # Errors
    /// [`Refusal`]; nothing is changed, but for [`Refusal::Keep`].
    pub fn add(
        &self,
        source: &str,
        instruments: Vec<String>,
        channels: Vec<String>,
    ) -> Result<Subscription, Refusal> {
        let mut inner = self.lock();
        let Some(spec) = inner.running.iter().find(|spec| spec.name == source).copied() else {
            let running = inner.running.iter().map(|spec| spec.name.to_owned()).collect();
            return Err(Refusal::NoSource { wanted: source.to_owned(), running });
        };
        if instruments.is_empty() {
            return Err(Refusal::Wrong("`instruments` names nothing".to_owned()));
        }
        for text in &instruments {
            Selector::parse(text).map_err(Refusal::Wrong)?;
        }
        let channels = if channels.is_empty() { SourceConfig::default().channels } else { channels };
        for name in &channels {
            if Channel::parse(name).and_then(|channel| spec.channel(channel)).is_none() {
                let known: Vec<&str> = spec.channels.iter().map(|c| c.channel.name()).collect();
                let words = format!("`{name}` is not offered by {source}; there are: {}", known.join(", "));
                return Err(Refusal::Wrong(words));
            }
        }
        let made = inner.put(source, instruments, channels, "api");
        self.changed(&inner)?;
        Ok(made)
    }

    /// Wants something no longer.
    ///
    /// # Errors
    /// [`Refusal::Unknown`], or [`Refusal::Keep`].
    pub fn remove(&self, id: u64) -> Result<Subscription, Refusal> {
        let mut inner = self.lock();
        let at = inner.all.iter().position(|s| s.id == id).ok_or(Refusal::Unknown(id))?;
        let gone = inner.all.remove(at);
        self.changed(&inner)?;
        Ok(gone)
    }

    /// A source may be read by this config. Who reads it follows what is returned, where each change shows.
    pub fn offer(&self, spec: &'static Spec, config: SourceConfig) -> watch::Receiver<SourceConfig> {
        let (sender, receiver) = watch::channel(config);
        self.lock().offers.push((spec, sender));
        receiver
    }

    /// The config of a source that may be read.
    pub fn config(&self, source: &str) -> Option<SourceConfig> {
        self.lock().offer(source).map(|(_, config)| config.borrow().clone())
    }

    /// Name and address of the first endpoint of a source that may be read.
    pub fn endpoint(&self, source: &str) -> Option<(&'static str, &'static str)> {
        let inner = self.lock();
        let (spec, _) = inner.offer(source)?;
        spec.endpoints.first().map(|endpoint| (endpoint.name, endpoint.ws))
    }

    /// Changes how a source is read, until the process ends.
    ///
    /// # Errors
    /// [`Refusal::NoSource`].
    pub fn configure(
        &self,
        source: &str,
        change: impl FnOnce(&mut SourceConfig),
    ) -> Result<SourceConfig, Refusal> {
        let inner = self.lock();
        let Some((_, config)) = inner.offer(source) else {
            let running = inner.offers.iter().map(|(spec, _)| spec.name.to_owned()).collect();
            return Err(Refusal::NoSource { wanted: source.to_owned(), running });
        };
        let mut new = config.borrow().clone();
        change(&mut new);
        config.send_if_modified(|old| {
            let differs = *old != new;
            old.clone_from(&new);
            differs
        });
        Ok(new)
    }

    /// A source runs now, with what its config wants.
    pub(crate) fn join(&self, spec: &'static Spec, config: &SourceConfig) -> watch::Receiver<u64> {
        let mut inner = self.lock();
        if !inner.running.iter().any(|known| known.name == spec.name) {
            inner.running.push(spec);
            if !config.instruments.is_empty() {
                inner.put(spec.name, config.instruments.clone(), config.channels.clone(), "config");
            }
        }
        self.version.subscribe()
    }

    /// The wishes of a source.
    pub(crate) fn of(&self, source: SourceName) -> Vec<Subscription> {
        self.lock().all.iter().filter(|s| s.source == source).cloned().collect()
    }

    /// What a wish means now.
    pub(crate) fn resolved(&self, id: u64, instruments: usize, lanes: usize, problems: Vec<String>) {
        if let Some(one) = self.lock().all.iter_mut().find(|s| s.id == id) {
            (one.resolved, one.lanes, one.problems) = (instruments, lanes, problems);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed(&self, inner: &Inner) -> Result<(), Refusal> {
        self.version.send_modify(|version| *version += 1);
        let Some(path) = &self.file else { return Ok(()) };
        let kept: Vec<&Subscription> = inner.all.iter().filter(|s| s.origin == "api").collect();
        let text = serde_json::to_string_pretty(&kept).unwrap_or_default();
        let beside = path.with_extension("new");
        let folder = path.parent().map_or(Ok(()), std::fs::create_dir_all);
        let written =
            folder.and_then(|()| std::fs::write(&beside, text)).and_then(|()| std::fs::rename(&beside, path));
        written.map_err(|source| Refusal::Keep { path: path.clone(), source })
    }
}

impl Inner {
    fn offer(&self, source: &str) -> Option<&(&'static Spec, watch::Sender<SourceConfig>)> {
        self.offers.iter().find(|(spec, _)| spec.name == source)
    }

    fn put(
        &mut self,
        source: &str,
        instruments: Vec<String>,
        channels: Vec<String>,
        origin: &str,
    ) -> Subscription {
        self.last_id += 1;
        let made = Subscription {
            id: self.last_id,
            source: source.to_owned(),
            instruments,
            channels,
            origin: origin.to_owned(),
            resolved: 0,
            lanes: 0,
            problems: Vec::new(),
        };
        self.all.push(made.clone());
        made
    }
}
