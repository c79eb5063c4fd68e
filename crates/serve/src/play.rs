//! What was kept, published again as if it were live, at any speed.

use bus::{Bus, Published};
use model::{Body, Channel, Event, Flags, Instrument, Snapshot, Stamp, Ts};
use std::sync::Arc;
use std::time::Duration;
use store::{BookAt, BookAtState, Query, Reader, Result, Table};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

/// The fastest that pauses are kept.
const SPEED_MAX: f64 = 1_000_000.0;

/// How many events are read ahead of those that are due.
const AHEAD: usize = 4_096;
/// Events that are due within this are published together: a timer is no finer.
const TOGETHER: Duration = Duration::from_millis(1);

/// Reads how fast a replay is to be: 0.001 to 1,000,000, or `max`, which is 0 for [`play`].
///
/// # Errors
/// What would be understood.
pub fn speed(text: &str) -> std::result::Result<f64, String> {
    if text == "max" {
        return Ok(0.0);
    }
    let speed = text.parse().ok().filter(|speed| (0.001..=SPEED_MAX).contains(speed));
    speed.ok_or_else(|| format!("a speed is 0.001 to {SPEED_MAX}, or `max`, not `{text}`"))
}

/// The definition of an instrument, to be published before anything of it is replayed, so that it can be named.
pub fn definition(instrument: &Arc<Instrument>) -> Event {
    Event {
        source: "replay",
        instrument: Arc::clone(instrument),
        channel: Channel::Instruments,
        flags: Flags::REPLAYED,
        stamp: Stamp::default(),
        body: Body::Instrument,
    }
}

/// How a replay went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Played {
    /// How many events were published, books at the start not counted.
    pub events: u64,
    /// How many could not be read; what is missing is told by the log.
    pub faults: u64,
}

/// What comes next.
enum Due {
    /// A book as it stood at the start, or the definition that goes with it.
    Begin(Event),
    Event(Result<(Ts, Arc<Published>)>),
}

/// Publishes the events of a query on a bus of its own, with the flag `replayed`: first the books of its instruments as they
/// stood at the start, then everything in the order in which it was published, what was filled in later where it happened,
/// with the pauses it had divided by `speed` (0: without pauses). It waits for lossless readers.
///
/// # Errors
/// Where the store does not read at all. A file that does not read is passed over and counted.
pub async fn play(reader: Reader, query: Query, speed: f64, bus: &Bus) -> Result<Played> {
    let (told, mut due) = mpsc::channel(AHEAD);
    let begin_at = query.from;
    let reading = tokio::task::spawn_blocking(move || read(&reader, query, &told));
    let mut played = Played::default();
    let mut start: Option<(Instant, Ts)> = None;
    while let Some(next) = due.recv().await {
        let (at, published) = match next {
            Due::Begin(event) => {
                bus.ready().await;
                bus.publish(event, begin_at);
                continue;
            }
            Due::Event(Ok(timed)) => timed,
            Due::Event(Err(error)) => {
                tracing::error!(%error, "a part of what was kept does not read");
                played.faults += 1;
                continue;
            }
        };
        let (begun, first) = *start.get_or_insert_with(|| (Instant::now(), at));
        if speed > 0.0 {
            let since = at.0.saturating_sub(first.0).max(0) as f64 / speed;
            let due = begun + Duration::from_nanos(since as u64);
            if due > Instant::now() + TOGETHER {
                sleep_until(due).await;
            }
        }
        bus.ready().await;
        let Published { event, .. } = Arc::unwrap_or_clone(published);
        bus.publish(Event { flags: event.flags | Flags::REPLAYED, ..event }, at);
        played.events += 1;
    }
    match reading.await {
        Ok(done) => done?,
        Err(ended) => std::panic::resume_unwind(ended.into_panic()),
    }
    bus.ready().await;
    Ok(played)
}

/// Reads until the end, or until nobody takes any more.
fn read(reader: &Reader, query: Query, told: &mpsc::Sender<Due>) -> Result<()> {
    let books = query.tables.iter().any(|table| matches!(table, Table::BookSnapshots | Table::BookDeltas));
    if books && query.from > Ts(i64::MIN) {
        let before = Ts(query.from.0 - 1);
        let books = reader.books_at(query.source.as_deref(), &query.instruments, before, usize::MAX)?;
        for book in books.into_iter().filter(|book| book.state == BookAtState::Live) {
            if told.blocking_send(Due::Begin(snapshot(book))).is_err() {
                return Ok(());
            }
        }
    }
    for timed in reader.timeline(query)? {
        if told.blocking_send(Due::Event(timed)).is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// A book as it stood, as a snapshot that comes late.
fn snapshot(book: BookAt) -> Event {
    let BookAt { instrument, source, channel, epoch, seq, ts, levels, .. } = book;
    let stamp = Stamp { ts_event: Some(ts), ts_recv: ts };
    let body = Body::Snapshot(Snapshot { seq, levels, checksum: None, epoch });
    Event { source, instrument, channel, flags: Flags::LAST_VALUE | Flags::REPLAYED, stamp, body }
}
