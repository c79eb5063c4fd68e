//! What was kept, published again as if it were live, at any speed.

use bus::{Bus, Published};
use model::{Body, Event, Flags, Snapshot, Stamp, Ts};
use std::sync::Arc;
use std::time::Duration;
use store::{BookAt, BookAtState, Query, Reader, Result};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

/// How many events are read ahead of those that are due.
const AHEAD: usize = 4_096;
/// Events that are due within this are published together: a timer is no finer.
const TOGETHER: Duration = Duration::from_millis(1);

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
    Event(Result<Arc<Published>>),
}

/// Publishes the events of a query on a bus of its own, with the flag `replayed`: first the books of its instruments as they
/// stood at the start, then everything in the order in which it was published, with the pauses it had divided by `speed` (0:
/// without pauses). It waits for lossless readers.
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
        let published = match next {
            Due::Begin(event) => {
                bus.ready().await;
                bus.publish(event, begin_at);
                continue;
            }
            Due::Event(Ok(published)) => published,
            Due::Event(Err(error)) => {
                tracing::error!(%error, "a part of what was kept does not read");
                played.faults += 1;
                continue;
            }
        };
        let (begun, first) = *start.get_or_insert_with(|| (Instant::now(), published.ts_pub));
        if speed > 0.0 {
            let since = published.ts_pub.0.saturating_sub(first.0).max(0) as f64 / speed;
            let at = begun + Duration::from_nanos(since as u64);
            if at > Instant::now() + TOGETHER {
                sleep_until(at).await;
            }
        }
        bus.ready().await;
        let Published { ts_pub, event, .. } = Arc::unwrap_or_clone(published);
        bus.publish(Event { flags: event.flags | Flags::REPLAYED, ..event }, ts_pub);
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
    for instrument in &query.instruments {
        let before = Ts(query.from.0.saturating_sub(1));
        let Some(book) = reader.book_at(query.source.as_deref(), *instrument, before, usize::MAX)? else {
            continue;
        };
        if book.state == BookAtState::Live && told.blocking_send(Due::Begin(snapshot(book))).is_err() {
            return Ok(());
        }
    }
    for published in reader.range(query)? {
        if told.blocking_send(Due::Event(published)).is_err() {
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
