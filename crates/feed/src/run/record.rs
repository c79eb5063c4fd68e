//! Keeps raw frames of a source, both ways.

use crate::error::Result;
use crate::net::Net;
use model::{LinkId, Ts};
use source::Spec;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tape::{Config, Entry, Writer};

/// Keeps raw frames of a source, both ways. What cannot be written is logged, and reading goes on.
pub struct Recorder {
    source: &'static str,
    writer: Mutex<Writer>,
}

impl Recorder {
    /// Makes the folder.
    ///
    /// # Errors
    /// As [`Writer::new`].
    pub fn new(config: Config, spec: &'static Spec, net: &Net) -> Result<Self> {
        let hosts: Vec<String> = (0..spec.endpoints.len()).flat_map(|e| [net.ws(e), net.rest(e)]).collect();
        let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
        Ok(Self { source: spec.name, writer: Mutex::new(Writer::new(config, spec.name, &hosts)?) })
    }

    /// Appends a record.
    pub fn put(&self, ts: Ts, link: LinkId, entry: Entry<'_>) {
        let result = self.writer().append(ts, link.0, entry);
        self.told(result.map(|_| ()));
    }

    /// Hands what is in memory to the operating system.
    pub fn flush(&self) {
        let result = self.writer().flush();
        self.told(result.map(|_| ()));
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn told(&self, result: tape::Result<()>) {
        if let Err(error) = result {
            let error = crate::error::words(&error);
            tracing::error!(source = self.source, error, "raw frames were not kept");
        }
    }
}
