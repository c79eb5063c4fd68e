//! The three ports: binding them, taking connections, ending.

use crate::site::Site;
use crate::{Config, Error, Result, one, probe, rates, rest};
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tracing::{info, warn};

/// How long answers that are under way may take after the shutdown.
const GRACE: Duration = Duration::from_secs(2);
/// How long the head of a request may take, which bounds idle connections too.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest head of a request, in bytes.
const HEAD_BYTES_MAX: usize = 16 * 1_024;
/// How long to wait when the system can give no more connections.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Where things are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addrs {
    /// REST, the stream and the page.
    pub http: SocketAddr,
    /// Metrics.
    pub metrics: SocketAddr,
    /// Probes.
    pub probe: SocketAddr,
}

/// What serves. Dropping it does not end it; the shutdown does.
#[derive(Debug)]
pub struct Running {
    /// Where.
    pub addrs: Addrs,
    tasks: JoinSet<()>,
}

impl Running {
    /// Returns when all is ended after the shutdown.
    ///
    /// # Cancel safety
    /// Cancelling it ends everything at once.
    pub async fn ended(mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}

pub(crate) struct Bound {
    http: TcpListener,
    metrics: TcpListener,
    probe: TcpListener,
    addrs: Addrs,
}

pub(crate) async fn bind(config: &Config) -> Result<Bound> {
    let (http, http_at) = listener(config, config.http_port, "REST and the stream", "http_port").await?;
    let (metrics, metrics_at) = listener(config, config.metrics_port, "metrics", "metrics_port").await?;
    let (probe, probe_at) = listener(config, config.probe_port, "probes", "probe_port").await?;
    let addrs = Addrs { http: http_at, metrics: metrics_at, probe: probe_at };
    Ok(Bound { http, metrics, probe, addrs })
}

async fn listener(
    config: &Config,
    port: u16,
    what: &'static str,
    key: &'static str,
) -> Result<(TcpListener, SocketAddr)> {
    let address = SocketAddr::new(config.bind, port);
    let failed = |source| Error::Bind { address, what, key, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

pub(crate) fn serve(site: &Arc<Site>, bound: Bound) -> Running {
    let mut tasks = JoinSet::new();
    let max = site.config.http_connections_max;
    let stop = &site.shutdown;
    tasks.spawn(accept(bound.http, rest::router(site), max, stop.clone()));
    tasks.spawn(accept(bound.metrics, probe::metrics_router(site), max, stop.clone()));
    tasks.spawn(accept(bound.probe, probe::router(site), max, stop.clone()));
    tasks.spawn(rates::measure(Arc::clone(site)));
    tasks.spawn(one::follow(Arc::clone(site)));
    tasks.spawn(clients_gone(Arc::clone(site)));
    let Addrs { http, metrics, probe } = bound.addrs;
    info!(%http, %metrics, %probe, "serving");
    if !http.ip().is_loopback() {
        warn!(%http, "whoever reaches this address is served: there are no keys and no TLS");
    }
    // Their ends are awaited by `ended`; where nobody awaits it they go on until the shutdown.
    Running { addrs: bound.addrs, tasks }
}

/// Returns once the shutdown has come, also where its sender is gone.
pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Waits until WebSocket clients have left after the shutdown, but not for ever.
async fn clients_gone(site: Arc<Site>) {
    stopped(&mut site.shutdown.clone()).await;
    let mut every = tokio::time::interval(Duration::from_millis(10));
    let left = async {
        while site.clients.load(Ordering::Acquire) > 0 {
            every.tick().await;
        }
    };
    let _ = tokio::time::timeout(GRACE, left).await;
}

async fn accept(listener: TcpListener, router: Router, max: usize, mut stop: watch::Receiver<bool>) {
    let permits = Arc::new(Semaphore::new(max.max(1)));
    let mut connections = JoinSet::new();
    loop {
        let next = async {
            // The semaphore is never closed.
            let permit = Arc::clone(&permits).acquire_owned().await.ok();
            (listener.accept().await, permit)
        };
        tokio::select! {
            (accepted, permit) = next => match accepted {
                Ok((stream, _)) => {
                    let router = router.clone();
                    let stop = stop.clone();
                    connections.spawn(async move {
                        connection(stream, router, stop).await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    warn!(%error, "failed to take a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
            () = stopped(&mut stop) => break,
        }
    }
    drop(listener);
    let left = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(GRACE, left).await;
}

async fn connection(stream: TcpStream, router: Router, mut stop: watch::Receiver<bool>) {
    let _ = stream.set_nodelay(true);
    let service = TowerToHyperService::new(router);
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut served = std::pin::pin!(served);
    tokio::select! {
        _ = served.as_mut() => {}
        () = stopped(&mut stop) => {
            served.as_mut().graceful_shutdown();
            let _ = served.await;
        }
    }
}
