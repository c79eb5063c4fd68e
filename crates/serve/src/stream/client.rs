//! One client: what it asks, what it gets, and when it has to go.

use crate::listen::stopped;
use crate::site::Site;
use crate::stream::encode::{self, Limits};
use crate::stream::request::{self, Fault, Pace};
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket};
use bus::{BookState, Item, Published, Reader};
use futures_util::{FutureExt, SinkExt};
use hashbrown::HashMap;
use model::{Body, Channel, InstrumentId, SourceName};
use serde_json::Value;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

/// How many items are taken from the bus at once.
const BATCH_MAX: usize = 128;
/// Room for items that an idle client keeps.
const BATCH_KEPT: usize = 8;
/// How many pings may go unanswered.
const PINGS_MAX: u32 = 3;
/// How long the other side may take to answer a close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// Every how many turns a busy client's requests are looked at.
const FAIR_TURNS: u8 = 16;
/// The end of all.
const SHUT_DOWN: End = End::Close(1001, "the server is shutting down");
/// The end of what was asked to be replayed.
const REPLAYED: End = End::Close(1000, "the end of the replay");
/// The time over which misbehaviour is counted.
const MINUTE: Duration = Duration::from_mins(1);

/// Whose book: several sources may tell of one instrument.
type BookKey = (SourceName, InstrumentId, Channel);

/// Why a connection ends.
enum End {
    /// The other side is gone or has said goodbye.
    Gone,
    /// We close it, with this code and reason.
    Close(u16, &'static str),
    /// It did not keep up.
    Slow(&'static str),
}

pub(super) struct Client {
    pub(super) site: Arc<Site>,
    socket: WebSocket,
    /// `None` before the first subscription.
    pub(super) reader: Option<Reader>,
    /// The contract that the first subscription made.
    pub(super) pace: Pace,
    /// Instruments whose books are sent as snapshots of this many levels.
    pub(super) depths: HashMap<InstrumentId, usize>,
    bad: Tally,
    overruns: Tally,
}

/// How often something happened within the last minute or so.
struct Tally {
    since: Instant,
    count: u32,
}

impl Tally {
    fn new() -> Self {
        Self { since: Instant::now(), count: 0 }
    }

    /// Counts one more; true where that is more than `max` within a minute.
    fn is_over(&mut self, max: u32) -> bool {
        if self.since.elapsed() > MINUTE {
            *self = Self::new();
        }
        self.count += 1;
        self.count > max
    }
}

/// Talks to a client until one side ends it.
pub(crate) async fn serve(socket: WebSocket, site: &Arc<Site>) {
    let mut client = Client {
        site: Arc::clone(site),
        socket,
        reader: None,
        pace: Pace::Conflate,
        depths: HashMap::new(),
        bad: Tally::new(),
        overruns: Tally::new(),
    };
    let end = match client.welcome().await {
        Ok(()) => client.talk().await,
        Err(end) => end,
    };
    client.end(end).await;
}

impl Client {
    async fn welcome(&mut self) -> Result<(), End> {
        let config = &self.site.config;
        let limits = Limits {
            subscriptions_max: config.ws_subscriptions_max,
            message_bytes_max: config.ws_frame_bytes_max,
            queue_max: config.ws_queue_max,
            bad_requests_max: config.ws_bad_requests_max,
        };
        self.send(encode::welcome(self.site.bus.cursor(), self.site.now().0, limits)).await
    }

    async fn talk(&mut self) -> End {
        let every = Duration::from_millis(self.site.config.ws_ping_ms.max(1));
        let mut pings = interval_at(Instant::now() + every, every);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut unanswered = 0;
        let mut stop = self.site.shutdown.clone();
        let mut stop = std::pin::pin!(stopped(&mut stop));
        let mut items = Vec::new();
        let mut turn = 0_u8;
        loop {
            turn = turn.wrapping_add(1);
            if turn.is_multiple_of(FAIR_TURNS)
                && let Err(end) = self.glance().await
            {
                return end;
            }
            let done = tokio::select! {
                biased;
                () = next(&mut self.reader, &mut items) => self.deliver(&mut items).await,
                message = self.socket.recv() => {
                    unanswered = 0;
                    self.on(message).await
                }
                _ = pings.tick() => {
                    unanswered += 1;
                    if unanswered > PINGS_MAX { Err(End::Gone) } else { self.ping().await }
                }
                () = stop.as_mut() => Err(if self.site.is_replay() { REPLAYED } else { SHUT_DOWN }),
            };
            if let Err(end) = done {
                return end;
            }
        }
    }

    /// Looks at what would wait for ever behind a reader that always has something.
    async fn glance(&mut self) -> Result<(), End> {
        // Of a replay everything is delivered before it ends.
        if *self.site.shutdown.borrow() && !self.site.is_replay() {
            return Err(SHUT_DOWN);
        }
        match self.socket.recv().now_or_never() {
            Some(message) => self.on(message).await,
            None => Ok(()),
        }
    }

    async fn on(&mut self, message: Option<Result<Message, axum::Error>>) -> Result<(), End> {
        let max = self.site.config.ws_frame_bytes_max;
        let (length, text) = match &message {
            Some(Ok(Message::Text(text))) => (text.len(), Some(text.as_str())),
            Some(Ok(Message::Binary(bytes))) => (bytes.len(), None),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => return Ok(()),
            Some(Ok(Message::Close(_))) | None => return Err(End::Gone),
            Some(Err(_)) => {
                return Err(End::Close(1002, "not a WebSocket message, or one far over the limit"));
            }
        };
        if length > max {
            let fault =
                Fault::new("message_too_large", format!("{length} bytes are more than the {max} allowed"));
            self.refuse(&fault, None).await?;
            return Err(End::Close(1009, "message too large"));
        }
        let Some(text) = text else {
            return self.refuse(&Fault::new("bad_json", "send JSON as a text message"), None).await;
        };
        match request::parse(text) {
            Err((fault, id)) => self.refuse(&fault, id.as_ref()).await,
            Ok(request) => match self.answer(request.op, request.id.as_ref()) {
                Ok(reply) => self.send(reply).await,
                Err(fault) => self.refuse(&fault, request.id.as_ref()).await,
            },
        }
    }

    /// Tells a mistake, and ends the connection of who makes too many.
    async fn refuse(&mut self, fault: &Fault, id: Option<&Value>) -> Result<(), End> {
        self.site.metrics.serve.bad_requests.inc();
        self.send(encode::error(fault, id)).await?;
        if self.bad.is_over(self.site.config.ws_bad_requests_max) {
            return Err(End::Close(1008, "too many bad requests within a minute"));
        }
        Ok(())
    }

    /// Sends all that was read, in one go.
    async fn deliver(&mut self, items: &mut Vec<Item>) -> Result<(), End> {
        let limit = Duration::from_millis(self.site.config.ws_send_timeout_ms);
        let sent = within(limit, self.feed(items)).await;
        items.clear();
        if items.capacity() > BATCH_KEPT {
            *items = Vec::new();
        }
        match sent {
            Ok(done) => done,
            Err(_) => Err(End::Slow("too slow: a message could not be sent in time")),
        }
    }

    async fn feed(&mut self, items: &mut Vec<Item>) -> Result<(), End> {
        let (mut messages, mut bytes, mut conflated, mut skipped) = (0, 0, 0, None);
        let mut books: Vec<(BookKey, u32)> = Vec::new();
        for item in items.drain(..) {
            let text = match item {
                Item::Event { published, conflated: more } => {
                    conflated += u64::from(more);
                    if self.is_shown_by_depth(&published) {
                        note(&mut books, &published, more);
                        continue;
                    }
                    encode::with_conflated(self.site.encoded.event(&published), more)
                }
                Item::Skipped(hole) => {
                    skipped = Some(hole);
                    encode::skipped(&hole, self.site.bus.cursor().epoch)
                }
            };
            messages += 1;
            bytes += text.len() as u64;
            self.socket.feed(Message::Text(text)).await.map_err(|_| End::Gone)?;
        }
        for (key, more) in books {
            let Some(text) = self.book(key) else { continue };
            conflated += u64::from(more);
            messages += 1;
            bytes += text.len() as u64;
            let text = encode::with_conflated(text, more);
            self.socket.feed(Message::Text(text)).await.map_err(|_| End::Gone)?;
        }
        self.socket.flush().await.map_err(|_| End::Gone)?;
        self.count(messages, bytes, conflated);
        match skipped {
            Some(hole) => self.on_hole(&hole),
            None => Ok(()),
        }
    }

    fn count(&self, messages: u64, bytes: u64, conflated: u64) {
        let metrics = &self.site.metrics.serve;
        metrics.messages.inc_by(messages);
        metrics.message_bytes.inc_by(bytes);
        if conflated > 0 {
            metrics.conflated.inc_by(conflated);
        }
    }

    /// Counts what a client lost, and ends the connection of one that loses again and again.
    fn on_hole(&mut self, hole: &bus::Skipped) -> Result<(), End> {
        self.site.metrics.serve.skipped.inc_by(hole.count.unwrap_or(0));
        if hole.why == "slow" && self.overruns.is_over(self.site.config.ws_overruns_max) {
            return Err(End::Slow("too slow: overrun again and again"));
        }
        Ok(())
    }

    /// Whether an event changes a book that is sent as snapshots of some levels. A gap is sent as it is.
    fn is_shown_by_depth(&self, published: &Published) -> bool {
        let event = &published.event;
        !self.depths.is_empty()
            && matches!(event.body, Body::Snapshot(_) | Body::Delta(_))
            && self.depths.contains_key(&event.instrument.id)
    }

    /// The best levels of a book; `None` where it is lost, which the gap tells.
    fn book(&self, (source, id, channel): BookKey) -> Option<Utf8Bytes> {
        let depth = *self.depths.get(&id)?;
        let view = self.site.bus.book_by(Some(source), id, channel, depth)?;
        let shown = matches!(view.state, BookState::Live | BookState::Crossed);
        shown.then(|| encode::book(view, channel, depth, self.site.now()))
    }

    async fn ping(&mut self) -> Result<(), End> {
        self.write(Message::Ping(axum::body::Bytes::new())).await
    }

    async fn send(&mut self, text: Utf8Bytes) -> Result<(), End> {
        self.write(Message::Text(text)).await
    }

    async fn write(&mut self, message: Message) -> Result<(), End> {
        let limit = Duration::from_millis(self.site.config.ws_send_timeout_ms);
        match timeout(limit, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(End::Gone),
            Err(_) => Err(End::Slow("too slow: a message could not be sent in time")),
        }
    }

    async fn end(mut self, end: End) {
        // What waits is given back at once; closing may take a while.
        self.reader = None;
        let (code, reason) = match end {
            End::Gone => {
                let _ = timeout(CLOSE_TIMEOUT, self.socket.flush()).await;
                return;
            }
            End::Close(code, reason) => (code, reason),
            End::Slow(reason) => {
                self.site.metrics.serve.slow_closes.inc();
                (4008, reason)
            }
        };
        let frame = CloseFrame { code, reason: Utf8Bytes::from_static(reason) };
        let limit = Duration::from_millis(self.site.config.ws_send_timeout_ms);
        let said = timeout(limit, self.socket.send(Message::Close(Some(frame)))).await;
        if matches!(said, Ok(Ok(()))) {
            // Without hearing the other side out, the system would throw away what it has not read yet.
            let rest = async { while let Some(Ok(_)) = self.socket.recv().await {} };
            let _ = timeout(CLOSE_TIMEOUT, rest).await;
        }
    }
}

/// As [`timeout`], without the price of a timer where there is nothing to wait for, as is usual.
async fn within<F: Future>(limit: Duration, future: F) -> Result<F::Output, Elapsed> {
    let mut future = std::pin::pin!(future);
    let first = std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await;
    match first {
        Poll::Ready(output) => Ok(output),
        Poll::Pending => timeout(limit, future).await,
    }
}

/// Waits for something to read; for ever where nothing is subscribed.
async fn next(reader: &mut Option<Reader>, items: &mut Vec<Item>) {
    match reader {
        Some(reader) => reader.read(items, BATCH_MAX).await,
        None => std::future::pending().await,
    }
}

/// Remembers that a book is to be sent, once, whatever changed it.
fn note(books: &mut Vec<(BookKey, u32)>, published: &Published, conflated: u32) {
    let event = &published.event;
    let key = (event.source, event.instrument.id, event.channel);
    match books.iter_mut().find(|(known, _)| *known == key) {
        Some((_, count)) => *count = count.saturating_add(1 + conflated),
        None => books.push((key, conflated)),
    }
}
