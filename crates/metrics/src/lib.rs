//! Every metric of the platform, declared in one place: name, help, labels.
//!
//! Labels are bounded: source, channel, cause, state, level, route, status; never an instrument. Counters only grow and end in
//! `_total`; a gauge that has to be computed is set when the text is asked for.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Metric, Registry};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// A gauge of a number that is not whole.
pub type GaugeF64 = Gauge<f64, AtomicU64>;

/// All metrics.
pub struct Metrics {
    /// Connections to sources and what they carry.
    pub feed: Feed,
    /// Checks on books.
    pub engine: Engine,
    /// Fan-out inside the process.
    pub bus: Bus,
    /// Events on disk.
    pub store: Store,
    /// What is served to programs and people.
    pub serve: Serve,
    /// The process itself.
    pub process: Process,
    registry: Registry,
}

/// Connections to sources and what they carry.
#[derive(Clone, Default)]
pub struct Feed {
    /// Frames read from sockets, and bodies of replies.
    pub frames: Family<Source, Counter>,
    /// Bytes of these frames.
    pub bytes: Family<Source, Counter>,
    /// Frames that could not be read.
    pub malformed: Family<Source, Counter>,
    /// Unknown fields and values, each counted once a connection.
    pub unknown: Family<Source, Counter>,
    /// Frames that carry no data: acknowledgements, pings, pongs.
    pub controls: Family<Source, Counter>,
    /// Connections that were lost and opened again.
    pub reconnects: Family<Source, Counter>,
    /// Connections that are open.
    pub links_up: Family<Source, Gauge>,
    /// Events by source and channel.
    pub events: Family<SourceChannel, Counter>,
    /// Gaps by source and cause.
    pub gaps: Family<SourceCause, Counter>,
    /// Events that came first by one of several connections that carry the same.
    pub first: Family<SourceSide, Counter>,
    /// Copies that came after another connection's.
    pub late: Family<SourceSide, Counter>,
    /// By how much these came later, summed.
    pub late_seconds: Family<SourceSide, Counter<f64, AtomicU64>>,
    /// Books that went on by a connection after another had lost them.
    pub healed: Family<SourceSide, Counter>,
    /// Live books held against the venue's REST books, by what came of it.
    pub referee: Family<SourceVerdict, Counter>,
}

/// Checks on books.
#[derive(Clone, Default)]
pub struct Engine {
    /// Venue checksums that matched the book.
    pub checksums_right: Family<Source, Counter>,
    /// Venue checksums that did not.
    pub checksums_wrong: Family<Source, Counter>,
    /// Book changes after which the bid was above the ask.
    pub crossed: Family<Source, Counter>,
    /// Book changes after which bid and ask were equal.
    pub locked: Family<Source, Counter>,
    /// Levels dropped because a book reached its cap.
    pub trimmed_levels: Family<Source, Counter>,
}

/// Fan-out inside the process.
#[derive(Clone, Default)]
pub struct Bus {
    /// Events published.
    pub published: Counter,
    /// The newest number.
    pub number: Gauge,
    /// Readers.
    pub readers: Gauge,
    /// Lanes by source and state.
    pub lanes: Family<SourceState, Gauge>,
    /// Books that are live, by source.
    pub books_live: Family<Source, Gauge>,
}

/// Events on disk.
#[derive(Clone, Default)]
pub struct Store {
    /// Events that are acknowledged: they outlive a loss of power.
    pub events: Counter,
    /// Events that were not kept because the disk was slow or refused.
    pub lost: Counter,
    /// Bytes written for events.
    pub bytes: Counter,
    /// Commits.
    pub commits: Counter,
    /// How long commits took, in seconds, summed.
    pub commit_seconds: Counter<f64, AtomicU64>,
    /// Commits that the disk refused.
    pub failures: Counter,
    /// 1 while the disk refuses.
    pub failing: Gauge,
    /// Events that wait for a commit.
    pub waiting: Gauge,
    /// The number of the newest event that is acknowledged.
    pub number: Gauge,
    /// Bytes of the log.
    pub disk_bytes: Gauge,
    /// Bytes of memory of events that are safe and not yet in Parquet files.
    pub hot_bytes: Gauge,
    /// Parquet files.
    pub files: Gauge,
    /// Bytes of the Parquet files.
    pub file_bytes: Gauge,
    /// Events that were written to Parquet files.
    pub sealed: Counter,
    /// Bytes of Parquet files that merging read.
    pub merged_bytes: Counter,
    /// Rows that were deleted by age or because the budget was reached.
    pub dropped_rows: Counter,
    /// Times that sealing, merging or deleting failed.
    pub file_failures: Counter,
    /// 1 while sealing, merging or deleting fails.
    pub file_failing: Gauge,
    /// Times that a file was asked for, by where it was found.
    pub file_reads: Family<Level, Counter>,
    /// Bytes fetched from the cold tier.
    pub cold_fetched_bytes: Counter,
    /// Bytes that the cold tier was given and that hold there.
    pub cold_sent_bytes: Counter,
    /// Files that stand in the cold tier.
    pub cold_files: Gauge,
    /// Bytes of these.
    pub cold_bytes: Gauge,
    /// Bytes of those of them that stand here too.
    pub cold_cached_bytes: Gauge,
    /// Times that the cold tier refused, or could not be reached.
    pub cold_failures: Counter,
    /// 1 while it does.
    pub cold_failing: Gauge,
}

/// What is served to programs and people.
#[derive(Clone, Default)]
pub struct Serve {
    /// HTTP requests by route and status.
    pub requests: Family<RouteStatus, Counter>,
    /// WebSocket clients connected.
    pub clients: Gauge,
    /// WebSocket clients turned away because the limit was reached.
    pub refused_clients: Counter,
    /// Records that other programs brought and that were refused.
    pub refused_records: Counter,
    /// Messages sent to WebSocket clients.
    pub messages: Counter,
    /// Bytes of these messages.
    pub message_bytes: Counter,
    /// Requests of WebSocket clients that were answered with an error.
    pub bad_requests: Counter,
    /// Events that reached a client only as part of a newer one.
    pub conflated: Counter,
    /// Events that a client was told it would not get, where the number is known.
    pub skipped: Counter,
    /// Clients closed because they did not keep up.
    pub slow_closes: Counter,
    /// Time since a source last brought data, in seconds; absent before its first event.
    pub data_age: Family<Source, GaugeF64>,
}

/// The process itself.
#[derive(Clone, Default)]
pub struct Process {
    /// Memory in use, in bytes.
    pub resident: Gauge,
    /// Seconds since the start.
    pub uptime: Gauge,
}

/// Who told us.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Source {
    /// The source's name.
    pub source: &'static str,
}

/// Who told us what kind of thing.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct SourceChannel {
    /// The source's name.
    pub source: &'static str,
    /// The channel's name.
    pub channel: &'static str,
}

/// Who told us, and by which of the connections that carry the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct SourceSide {
    /// The source's name.
    pub source: &'static str,
    /// Counted from 0.
    pub side: u32,
}

/// Whose book, and what the venue's REST book says of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct SourceVerdict {
    /// The source's name.
    pub source: &'static str,
    /// `equal`, `different` or `undecided`.
    pub verdict: &'static str,
}

/// Whose gap, and why.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct SourceCause {
    /// The source's name.
    pub source: &'static str,
    /// The cause's name.
    pub cause: &'static str,
}

/// Whose lanes, in which state.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct SourceState {
    /// The source's name.
    pub source: &'static str,
    /// The state's name.
    pub state: &'static str,
}

/// Where a file was found.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Level {
    /// `memory`: it was open; `disk`: it was opened; `network`: it was fetched first.
    pub level: &'static str,
}

/// Which route answered with which status.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RouteStatus {
    /// The route's pattern, `none` where no route matched.
    pub route: &'static str,
    /// The HTTP status.
    pub status: u16,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metrics {
    /// All metrics at zero.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("qingxi");
        let feed = Feed::default();
        feed.register(&mut Part::new(&mut registry, "feed"));
        let engine = Engine::default();
        engine.register(&mut Part::new(&mut registry, "engine"));
        let bus = Bus::default();
        bus.register(&mut Part::new(&mut registry, "bus"));
        let store = Store::default();
        store.register(&mut Part::new(&mut registry, "store"));
        let serve = Serve::default();
        serve.register(&mut Part::new(&mut registry, "serve"));
        let process = Process::default();
        process.register(&mut Part::new(&mut registry, "process"));
        Self { feed, engine, bus, store, serve, process, registry }
    }

    /// All metrics as text, as Prometheus reads them.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        // Writing into a `String` does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

/// Raises a counter to a total that is kept elsewhere; it never goes down.
pub fn raise(counter: &Counter, total: u64) {
    counter.inner().fetch_max(total, Ordering::Relaxed);
}

/// The metrics of one part of the platform, by its name.
struct Part<'a>(&'a mut Registry);

impl<'a> Part<'a> {
    fn new(registry: &'a mut Registry, name: &str) -> Self {
        Self(registry.sub_registry_with_prefix(name))
    }

    fn add<M: Metric + Clone>(&mut self, name: &str, help: &str, metric: &M) {
        self.0.register(name, help, metric.clone());
    }
}

impl Feed {
    fn register(&self, part: &mut Part<'_>) {
        part.add("frames", "Frames and reply bodies read from sources", &self.frames);
        part.add("bytes", "Bytes of frames and reply bodies read from sources", &self.bytes);
        part.add("malformed_frames", "Frames that could not be read", &self.malformed);
        part.add("unknown_fields", "Unknown fields and values, each once a connection", &self.unknown);
        part.add("control_frames", "Frames without data: acknowledgements, pings, pongs", &self.controls);
        part.add("reconnects", "Connections lost and opened again", &self.reconnects);
        part.add("links_up", "Connections that are open", &self.links_up);
        part.add("events", "Events by source and channel", &self.events);
        part.add("gaps", "Gaps by source and cause", &self.gaps);
        part.add("first_events", "Events that came first by a connection of several", &self.first);
        part.add("late_events", "Copies that came after another connection's", &self.late);
        part.add("late_seconds", "By how much copies came later, summed", &self.late_seconds);
        part.add("healed_books", "Books that went on by another connection", &self.healed);
        part.add("referee_books", "Live books held against the venue's REST books", &self.referee);
    }
}

impl Engine {
    fn register(&self, part: &mut Part<'_>) {
        part.add("checksums_right", "Venue checksums that matched the book", &self.checksums_right);
        part.add("checksums_wrong", "Venue checksums that did not match the book", &self.checksums_wrong);
        part.add("crossed_changes", "Book changes that left the bid above the ask", &self.crossed);
        part.add("locked_changes", "Book changes that left bid and ask equal", &self.locked);
        part.add("trimmed_levels", "Levels dropped because a book reached its cap", &self.trimmed_levels);
    }
}

impl Bus {
    fn register(&self, part: &mut Part<'_>) {
        part.add("events", "Events published", &self.published);
        part.add("number", "The number of the newest event", &self.number);
        part.add("readers", "Readers of the bus", &self.readers);
        part.add("lanes", "Lanes by source and state", &self.lanes);
        part.add("books_live", "Books that are live", &self.books_live);
    }
}

impl Store {
    fn register(&self, part: &mut Part<'_>) {
        part.add("events", "Events that outlive a loss of power", &self.events);
        part.add("lost_events", "Events that were not kept: the disk was slow or refused", &self.lost);
        part.add("bytes", "Bytes written for events", &self.bytes);
        part.add("commits", "Commits of the log", &self.commits);
        part.add("commit_seconds", "How long commits took, summed", &self.commit_seconds);
        part.add("failed_commits", "Commits that the disk refused", &self.failures);
        part.add("failing", "1 while the disk refuses", &self.failing);
        part.add("waiting_events", "Events that wait for a commit", &self.waiting);
        part.add("number", "The number of the newest event that is acknowledged", &self.number);
        part.add("disk_bytes", "Bytes of the log", &self.disk_bytes);
        part.add("hot_bytes", "Bytes of memory of events not yet in files", &self.hot_bytes);
        part.add("files", "Parquet files", &self.files);
        part.add("file_bytes", "Bytes of the Parquet files", &self.file_bytes);
        part.add("sealed_events", "Events written to Parquet files", &self.sealed);
        part.add("merged_bytes", "Bytes of Parquet files that merging read", &self.merged_bytes);
        part.add("dropped_rows", "Rows deleted by age or budget", &self.dropped_rows);
        part.add("file_failures", "Times that sealing, merging or deleting failed", &self.file_failures);
        part.add("file_failing", "1 while sealing, merging or deleting fails", &self.file_failing);
        part.add("file_reads", "Files asked for, by where they were found", &self.file_reads);
        part.add("cold_fetched_bytes", "Bytes fetched from the cold tier", &self.cold_fetched_bytes);
        part.add(
            "cold_sent_bytes",
            "Bytes that hold in the cold tier since they were sent",
            &self.cold_sent_bytes,
        );
        part.add("cold_files", "Files in the cold tier", &self.cold_files);
        part.add("cold_bytes", "Bytes of the files in the cold tier", &self.cold_bytes);
        part.add("cold_cached_bytes", "Bytes of these files that stand here too", &self.cold_cached_bytes);
        part.add("cold_failures", "Times that the cold tier refused or was not reached", &self.cold_failures);
        part.add("cold_failing", "1 while the cold tier refuses or is not reached", &self.cold_failing);
    }
}

impl Serve {
    fn register(&self, part: &mut Part<'_>) {
        part.add("requests", "HTTP requests by route and status", &self.requests);
        part.add("clients", "WebSocket clients connected", &self.clients);
        part.add("refused_records", "Records of other programs that were refused", &self.refused_records);
        part.add("refused_clients", "WebSocket clients turned away at the limit", &self.refused_clients);
        part.add("messages", "Messages sent to WebSocket clients", &self.messages);
        part.add("message_bytes", "Bytes of messages sent to WebSocket clients", &self.message_bytes);
        part.add("bad_requests", "WebSocket requests answered with an error", &self.bad_requests);
        part.add("conflated_events", "Events that reached a client inside a newer one", &self.conflated);
        part.add("skipped_events", "Events that a client was told it would not get", &self.skipped);
        part.add("slow_closes", "Clients closed because they did not keep up", &self.slow_closes);
        part.add("data_age_seconds", "Time since a source last brought data", &self.data_age);
    }
}

impl Process {
    fn register(&self, part: &mut Part<'_>) {
        part.add("resident_bytes", "Memory in use", &self.resident);
        part.add("uptime_seconds", "Time since the start", &self.uptime);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_found_in_the_text_by_its_full_name() {
        let metrics = Metrics::new();
        metrics.feed.frames.get_or_create(&Source { source: "okx" }).inc_by(3);
        raise(&metrics.bus.published, 7);
        raise(&metrics.bus.published, 5);
        let route = RouteStatus { route: "/api/v1/health", status: 200 };
        metrics.serve.requests.get_or_create(&route).inc();
        let text = metrics.encode();
        for line in [
            "qingxi_feed_frames_total{source=\"okx\"} 3",
            "qingxi_bus_events_total 7",
            "qingxi_serve_requests_total{route=\"/api/v1/health\",status=\"200\"} 1",
            "qingxi_process_uptime_seconds 0",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} in {text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn every_name_has_the_prefix_and_a_help_text() {
        let text = Metrics::new().encode();
        let helps: Vec<&str> = text.lines().filter_map(|l| l.strip_prefix("# HELP ")).collect();
        assert!(helps.len() > 10, "families without a member are left out");
        for help in helps {
            let (name, words) = help.split_once(' ').unwrap();
            assert!(name.starts_with("qingxi_") && words.len() > 8, "{help}");
        }
    }
}
