//! Hands samples of frames to the drift sentinel, off the way of the frames.

use super::Shared;
use crate::clock;
use drift::{Sample, Sentinel};
use model::{Body, Channel, Event, Instrument, Ts};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::mpsc;

/// How many samples may wait; more are not taken.
const WAITING_MAX: usize = 256;
/// How often a channel is sampled on each connection, in ms.
const EVERY_MS: u64 = 100;

/// A frame that is to be looked at.
pub struct Taken {
    instrument: Arc<Instrument>,
    channel: Channel,
    bytes: Vec<u8>,
    frames: u64,
    at: Ts,
}

/// Takes samples on one connection's way.
pub struct Taker {
    to: mpsc::Sender<Taken>,
    channels: [(u64, Ts); Channel::ALL.len()],
}

impl Taker {
    pub fn new(to: mpsc::Sender<Taken>) -> Self {
        Self { to, channels: [(0, Ts::default()); Channel::ALL.len()] }
    }

    /// Counts a frame by its first event, and takes it now and then.
    #[inline]
    pub fn on(&mut self, first: &Event, bytes: &[u8], now: Ts) {
        // An answer of the protocol has another shape than data.
        if matches!(first.body, Body::Lane(_) | Body::Link(_) | Body::Gap(_) | Body::Instrument) {
            return;
        }
        let Some((frames, next)) = self.channels.get_mut(first.channel as usize) else { return };
        *frames += 1;
        if *next > now {
            return;
        }
        *next = now.plus_ms(EVERY_MS);
        let (instrument, channel) = (Arc::clone(&first.instrument), first.channel);
        let taken = Taken { instrument, channel, bytes: bytes.to_vec(), frames: *frames, at: now };
        // Where the sentinel is behind, this one is not looked at; its count goes with the next.
        if self.to.try_send(taken).is_ok() {
            *frames = 0;
        }
    }
}

/// Starts the sentinel of a source; it ends when nobody is left who takes samples.
pub fn start(shared: &Arc<Shared>) -> mpsc::Sender<Taken> {
    let (to, mut taken) = mpsc::channel::<Taken>(WAITING_MAX);
    let shared = Arc::clone(shared);
    tokio::spawn(async move {
        // The products of a venue speak wires of their own, and may share symbols.
        let mut sentinels: BTreeMap<Box<str>, Sentinel> = BTreeMap::new();
        let mut found = Vec::new();
        while let Some(Taken { instrument, channel, bytes, frames, at }) = taken.recv().await {
            let sentinel = sentinels.entry(instrument.product.clone()).or_default();
            sentinel
                .on(Sample { channel, symbol: &instrument.symbol, bytes: &bytes, frames, at }, &mut found);
            for mut finding in found.drain(..) {
                if !instrument.product.is_empty() {
                    finding.what = format!("{}: {}", instrument.product, finding.what).into();
                }
                let source = shared.source.spec().name;
                let channel = channel.name();
                tracing::warn!(source, channel, check = %finding.check, what = %finding.what, "the venue's wire has changed");
                let star = Arc::clone(&shared.star);
                shared.tell(&star, Channel::Findings, Body::Finding(Box::new(finding)), clock::now());
            }
        }
    });
    to
}
