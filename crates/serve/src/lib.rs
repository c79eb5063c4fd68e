//! What programs and people see of the platform: REST, the WebSocket stream, the page, metrics and probes.
//!
//! Everything is read from the bus. A slow client costs a bounded queue and never slows the bus.

mod config;
mod health;
mod http;
mod listen;
mod names;
mod page;
mod probe;
mod rates;
mod rest;
mod site;
mod stream;

pub use config::Config;
pub use listen::{Addrs, Running};

use bus::Bus;
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

/// Binds the three ports, then serves until `shutdown` turns true or its sender is dropped. `sources` are those that are
/// meant to bring data: one that never does is unhealthy. `clock` tells the time.
///
/// # Errors
/// [`Error::Bind`] where a port cannot be had; then nothing is served.
pub async fn run(
    config: Config,
    bus: Arc<Bus>,
    metrics: Arc<Metrics>,
    sources: &'static [SourceName],
    clock: fn() -> Ts,
    shutdown: watch::Receiver<bool>,
) -> Result<Running> {
    let bound = listen::bind(&config).await?;
    let site = Arc::new(Site::new(config, bus, metrics, sources, clock, shutdown));
    Ok(listen::serve(&site, bound))
}
