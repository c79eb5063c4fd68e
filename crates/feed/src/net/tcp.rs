//! Servers that speak a stream of bytes: the nearest is taken, and another when it is lost.

use super::cutter::Cutter;
use super::socket::Raw;
use super::{CONNECT_MS, REST_MS};
use crate::clock;
use crate::error::{Error, Result};
use bytes::Bytes;
use futures_util::stream::FuturesUnordered;
use futures_util::{SinkExt, StreamExt};
use model::Ts;
use source::{End, Source};
use std::collections::HashMap;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::codec::Framed;

/// How long a server that was lost is asked only where no other answers, in ms.
const AVOID_MS: i64 = 60_000;

/// The servers of a source.
pub struct Servers {
    source: &'static dyn Source,
    /// When each was lost.
    lost: Mutex<HashMap<String, Ts>>,
    /// A connection for requests, by endpoint; none while it is used or where there is none.
    idle: Vec<tokio::sync::Mutex<Option<Raw>>>,
}

impl Servers {
    pub fn new(source: &'static dyn Source) -> Self {
        let idle = source.spec().endpoints.iter().map(|_| tokio::sync::Mutex::new(None)).collect();
        Self { source, lost: Mutex::new(HashMap::new()), idle }
    }

    pub fn avoid(&self, server: &str) {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner).insert(server.to_owned(), clock::now());
    }

    /// Connects to all servers of a list at once and keeps the first that answers. Those that were lost lately are tried
    /// only where no other answers.
    pub async fn open(&self, endpoint: usize, list: &str) -> Result<Raw> {
        let now = clock::now();
        let (good, bad): (Vec<&str>, Vec<&str>) = {
            let lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
            let fine = |s: &&str| lost.get(*s).is_none_or(|at| now.ms_since(*at) > AVOID_MS);
            list.split(',').map(|s| s.trim().trim_start_matches("tcp://")).partition(fine)
        };
        let mut why = io::Error::other("the list is empty");
        for servers in [good, bad] {
            let mut racing: FuturesUnordered<_> = servers.into_iter().map(connect).collect();
            while let Some((server, connected)) = racing.next().await {
                match connected {
                    Ok(stream) => {
                        let cutter = Cutter::new(self.source, endpoint, End::Venue);
                        return Ok(Raw { server: server.to_owned(), frames: Framed::new(stream, cutter) });
                    }
                    Err(error) => why = error,
                }
            }
        }
        Err(Error::NoServer { servers: list.to_owned(), source: why })
    }

    /// Sends a frame given in hexadecimal digits and returns the frame that comes back. One request after another goes
    /// over one connection; a server that does not answer is avoided.
    pub async fn ask(&self, endpoint: usize, list: &str, hex: &str) -> Result<Vec<u8>> {
        let bad = || Error::Address { url: hex.to_owned(), why: "it is no frame in hexadecimal digits" };
        let frame = decoded(hex.trim_start_matches('/')).ok_or_else(bad)?;
        let mut idle = self.idle.get(endpoint).ok_or_else(bad)?.lock().await;
        // Bytes that nobody asked for would be taken for the answer; and a connection that stood idle may be closed.
        if let Some(mut raw) = idle.take().filter(|raw| raw.frames.read_buffer().is_empty())
            && let Ok(body) = exchange(&mut raw, frame.clone()).await
        {
            *idle = Some(raw);
            return Ok(body);
        }
        let mut raw = self.open(endpoint, list).await?;
        match greeted(&mut raw, self.source.greeting(endpoint), frame).await {
            Ok(body) => {
                *idle = Some(raw);
                Ok(body)
            }
            Err(source) => {
                self.avoid(&raw.server);
                Err(Error::Stream { server: raw.server, source })
            }
        }
    }
}

async fn connect(server: &str) -> (&str, io::Result<TcpStream>) {
    let limit = Duration::from_millis(CONNECT_MS);
    let connected = timeout(limit, TcpStream::connect(server)).await;
    let connected = connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    (server, connected.and_then(|stream| stream.set_nodelay(true).map(|()| stream)))
}

/// The answer to the first request of a connection.
async fn greeted(raw: &mut Raw, greeting: Vec<Vec<u8>>, frame: Vec<u8>) -> io::Result<Vec<u8>> {
    for frame in greeting {
        exchange(raw, frame).await?;
    }
    exchange(raw, frame).await
}

async fn exchange(raw: &mut Raw, frame: Vec<u8>) -> io::Result<Vec<u8>> {
    let both = async {
        raw.frames.send(Bytes::from(frame)).await?;
        let answer = raw.frames.next().await;
        answer.unwrap_or_else(|| Err(io::ErrorKind::UnexpectedEof.into())).map(|frame| frame.to_vec())
    };
    let limit = Duration::from_millis(REST_MS);
    timeout(limit, both).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

fn decoded(hex: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    let byte = |pair: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    pairs.iter().map(byte).collect::<Option<Vec<u8>>>().filter(|all| rest.is_empty() && !all.is_empty())
}
