//! What programs and people see of the platform: REST, the WebSocket stream, the page, metrics and probes.
//!
//! Everything is read from the bus. A slow client costs a bounded queue and never slows the bus.

mod config;
mod health;
mod http;
mod listen;
mod names;
mod one;
mod page;
mod play;
mod probe;
mod rates;
mod realtime;
mod rest;
mod site;
mod stream;

pub use config::Config;
pub use listen::{Addrs, Running};
pub use play::{Played, definition, play, speed};
pub use rates::resident_bytes;

use bus::Bus;
use feed::Desk;
use metrics::Metrics;
use model::{SourceName, Ts};
use site::Site;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::watch;

/// Why nothing could be served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address cannot be had.
    #[error(
        "failed to listen on {address} for {what}: stop what uses it, or set `serve.{key}` to another port"
    )]
    Bind {
        /// Where.
        address: SocketAddr,
        /// For what.
        what: &'static str,
        /// The key of the port in the config.
        key: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// What this crate gives back.
pub type Result<T> = std::result::Result<T, Error>;

/// What is served, and what with.
pub struct Parts {
    /// Where everything is read.
    pub bus: Arc<Bus>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Those that are meant to bring data: one that never does is unhealthy.
    pub sources: &'static [SourceName],
    /// What is wanted of the sources.
    pub desk: Arc<Desk>,
    /// What is kept on disk, where anything is.
    pub store: Option<store::Reader>,
    /// To ask for what is done to it.
    pub control: Option<store::Control>,
    /// Who answers SQL queries over it.
    pub sql: Option<store::sql::Sql>,
    /// Tells the time.
    pub clock: fn() -> Ts,
    /// Turns true when it is time to stop; dropping its sender does too.
    pub shutdown: watch::Receiver<bool>,
}

/// Binds the three ports, then serves until the shutdown.
///
/// # Errors
/// [`Error::Bind`] where a port cannot be had; then nothing is served.
pub async fn run(config: Config, parts: Parts) -> Result<Running> {
    let bound = listen::bind(&config).await?;
    let site = Arc::new(Site::new(config, parts));
    Ok(listen::serve(&site, bound))
}
