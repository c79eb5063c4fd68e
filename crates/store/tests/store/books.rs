//! Books at an instant, from wherever their events stand.

use book::Book;
use bus::{Bus, Cursor, Published};
use metrics::Metrics;
use model::{
    Body, Channel, Delta, Event, Flags, Gap, GapCause, Instrument, InstrumentId, InstrumentKind, LaneFact,
    Level, Levels, Px, Qty, Snapshot, Stamp, Ts,
};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use store::{BookAt, BookAtState, BookLoss, Config, Query, Reader, Running, Store, Table, when};

const EPOCH: u64 = 1_700_000_000_000;
const SOURCES: [&str; 2] = ["alpha", "beta"];

fn config(dir: &Path) -> Config {
    Config { dir: dir.to_owned(), segment_bytes: 256 << 10, commit_ms: 1, seal_ms: 40, ..Config::default() }
}

/// What one lane tells, with what its next change follows.
struct Told {
    instrument: Instrument,
    source: &'static str,
    channel: Channel,
    seq: u64,
    numbered: bool,
}

/// A world of lanes whose books begin, change, break and are written at other scales.
struct World {
    luck: fastrand::Rng,
    lanes: Vec<Told>,
    cursor: Cursor,
}

impl World {
    fn new(seed: u64, epoch: u64) -> Self {
        let mut lanes = Vec::new();
        for (place, source) in SOURCES.into_iter().enumerate() {
            for symbol in ["A", "B", "C"] {
                let mut instrument = Instrument::provisional("venue", "", symbol, InstrumentKind::Spot);
                (instrument.px_scale, instrument.qty_scale) = (2, 3);
                for channel in [Channel::Book, Channel::BookTop] {
                    if channel == Channel::Book || symbol == "A" {
                        let (instrument, numbered) = (instrument.clone(), place == 0 || symbol != "B");
                        lanes.push(Told { instrument, source, channel, seq: 0, numbered });
                    }
                }
            }
        }
        Self { luck: fastrand::Rng::with_seed(seed), lanes, cursor: Cursor { epoch, number: 0 } }
    }

    fn levels(luck: &mut fastrand::Rng, count: usize) -> Levels {
        // Tens, so that a scale less holds them now and then.
        let mut level = |_| Level { px: Px(luck.i64(1..400) * 10), qty: Qty(luck.i64(0..6) * 10) };
        let all: Vec<Level> = (0..count).map(&mut level).collect();
        let bids = luck.usize(0..=all.len());
        Levels::new(all, bids)
    }

    fn next(&mut self) -> Published {
        self.cursor.number += 1;
        let Self { luck, lanes, cursor } = self;
        let lane = luck.usize(0..lanes.len());
        let lane = &mut lanes[lane];
        // One instrument is told of once and then only changes.
        let quiet = &*lane.instrument.symbol == "C";
        if !quiet && luck.u16(0..300) == 0 {
            lane.instrument.px_scale = luck.u8(1..5);
        }
        let body = match luck.u16(0..1_000) {
            _ if lane.seq == 0 || lane.channel == Channel::BookTop => Self::snapshot(luck, lane),
            0..3 if !quiet => Self::snapshot(luck, lane),
            3..6 if !quiet => Body::Gap(Gap { cause: GapCause::Disconnected, from_seq: None, to_seq: None }),
            6 if !quiet => Body::Lane(LaneFact::Dropped),
            7..20 => Body::Lane(LaneFact::Acked),
            pick => {
                let missed = u64::from(pick == 20 && !quiet);
                let (prev_seq, seq) = (lane.seq + missed, lane.seq + 1 + missed);
                lane.seq = seq;
                let count = luck.usize(0..60);
                let numbered = |seq| lane.numbered.then_some(seq);
                let levels = Self::levels(luck, count);
                let (prev_seq, seq) = (numbered(prev_seq), numbered(seq));
                Body::Delta(Delta { prev_seq, seq, levels, checksum: None, epoch: 1 })
            }
        };
        let ts_pub = Ts::from_ms(cursor.epoch as i64).plus_ms(cursor.number);
        let ts_recv = Ts(ts_pub.0 - luck.i64(0..1_000_000));
        let ts_event = luck.bool().then(|| Ts(ts_recv.0 + luck.i64(-400_000_000..20_000_000)));
        let flags = if luck.u8(0..40) == 0 { Flags::BAD_TIME } else { Flags::NONE };
        let event = Event {
            source: lane.source,
            instrument: Arc::new(lane.instrument.clone()),
            channel: lane.channel,
            flags,
            stamp: Stamp { ts_event, ts_recv },
            body,
        };
        Published { cursor: *cursor, ts_pub, event }
    }

    fn snapshot(luck: &mut fastrand::Rng, lane: &mut Told) -> Body {
        lane.seq += 1;
        let (seq, count) = (lane.numbered.then_some(lane.seq), luck.usize(0..80));
        let levels = Self::levels(luck, count);
        Body::Snapshot(Snapshot { seq, levels, checksum: None, epoch: luck.u32(1..9) })
    }

    fn take(&mut self, count: usize) -> Vec<Published> {
        (0..count).map(|_| self.next()).collect()
    }
}

async fn run(config: &Config, events: &[Published]) -> (Reader, Running, Arc<Bus>) {
    let (store, _) = Store::open(config.clone()).unwrap();
    let bus = Arc::new(Bus::new(bus::Config::default(), Ts::from_ms(events[0].cursor.epoch as i64)));
    let reader = store.reader();
    let running = store.start(&bus, Arc::new(Metrics::new()));
    for published in events {
        bus.ready().await;
        assert_eq!(bus.publish(published.event.clone(), published.ts_pub), published.cursor);
        tokio::task::yield_now().await;
    }
    let last = events.last().map(|published| published.cursor);
    running.acked().wait_for(|acked| acked.cursor == last).await.unwrap();
    (reader, running, bus)
}

fn compact(config: &Config) {
    let (store, _) = Store::open(config.clone()).unwrap();
    store.compact(|_| {}).unwrap();
}

/// What a walk over all events of a lane says: the state, the event that made it so, and the book.
type Walked = (BookAtState, Published, Option<Book>, u32);

fn walk<'a>(events: impl Iterator<Item = &'a Published>) -> Option<Walked> {
    let mut known: Option<Walked> = None;
    for published in events {
        let gap =
            |why| Some((BookAtState::Gap { since: when(&published.event), why }, published.clone(), None, 0));
        let live = known.as_ref().filter(|(state, ..)| *state == BookAtState::Live).cloned();
        let broken = matches!(known, Some((BookAtState::Gap { .. }, ..)));
        match (&published.event.body, live) {
            (Body::Snapshot(snapshot), _) => {
                let mut book = Book::default();
                book.reset(snapshot);
                known = Some((BookAtState::Live, published.clone(), Some(book), snapshot.epoch));
            }
            (Body::Gap(it), _) if !broken => known = gap(BookLoss::Gap(it.cause)),
            (Body::Lane(LaneFact::Dropped), Some(_)) => known = gap(BookLoss::Dropped),
            (Body::Delta(delta), Some((state, before, Some(mut book), epoch))) => {
                known = if before.cursor.epoch != published.cursor.epoch {
                    gap(BookLoss::Restart)
                } else if !book.redefine(&before.event.instrument, &published.event.instrument) {
                    gap(BookLoss::Gap(GapCause::Scale))
                } else if book.apply(delta).is_err() {
                    gap(BookLoss::Gap(GapCause::Sequence))
                } else {
                    Some((state, published.clone(), Some(book), epoch))
                };
            }
            _ => {}
        }
    }
    known
}

fn walked(
    all: &[Published],
    source: Option<&str>,
    instrument: InstrumentId,
    at: Ts,
) -> Option<(&'static str, Channel, Walked)> {
    let mut lanes: BTreeMap<(&'static str, Channel), Vec<&Published>> = BTreeMap::new();
    for published in all.iter().filter(|p| p.event.instrument.id == instrument) {
        if source.is_none_or(|source| source == published.event.source) {
            lanes.entry((published.event.source, published.event.channel)).or_default().push(published);
        }
    }
    let books = lanes.into_iter().filter_map(|((source, channel), events)| {
        let last = events.iter().rposition(|p| when(&p.event) <= at)?;
        Some((source, channel, walk(events[..=last].iter().copied())?))
    });
    books.max_by_key(|(_, channel, (state, published, ..))| {
        (*state == BookAtState::Live, *channel == Channel::Book, published.cursor)
    })
}

fn check(reader: &Reader, all: &[Published], luck: &mut fastrand::Rng, pass: &str) -> BTreeMap<String, u32> {
    let mut met = BTreeMap::new();
    for _ in 0..120 {
        let some = &all[luck.usize(..all.len())].event;
        let early = luck.u8(0..12) == 0;
        let near = if early { &all[0].event } else { some };
        let at = Ts(when(near).0 + luck.i64(-3_000_000..3_000_000));
        let (source, instrument) = (luck.bool().then_some(some.source), some.instrument.id);
        let depth = if luck.bool() { usize::MAX } else { luck.usize(0..5) };
        let told = reader.book_at(source, instrument, at, depth).unwrap();
        let wanted = walked(all, source, instrument, at).map(|(source, channel, walked)| {
            let (state, published, book, epoch) = walked;
            let rows_read = told.as_ref().map_or(0, |told| told.rows_read);
            BookAt {
                source,
                channel,
                state,
                epoch,
                seq: book.as_ref().and_then(Book::seq),
                cursor: published.cursor,
                ts: when(&published.event),
                levels: book.map(|book| book.levels(depth)).unwrap_or_default(),
                instrument: published.event.instrument,
                rows_read,
            }
        });
        let word = match &wanted {
            None => "nothing".to_owned(),
            Some(BookAt { state: BookAtState::Live, .. }) => "live".to_owned(),
            Some(BookAt { state: BookAtState::Gap { why, .. }, .. }) => format!("{why:?}"),
        };
        *met.entry(word).or_default() += 1;
        assert_eq!(told, wanted, "{pass}: {source:?} {} at {at:?}", some.instrument.symbol);
    }
    met
}

fn rows(reader: &Reader, table: Table) -> u64 {
    reader.check().iter().filter(|file| file.table == table).map(|file| file.rows).sum()
}

#[tokio::test]
async fn a_book_at_any_instant_is_what_a_walk_over_all_events_gives() {
    let seed = 5;
    println!("seed {seed}");
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path());
    let mut luck = fastrand::Rng::with_seed(seed);
    let mut all = World::new(seed, EPOCH).take(9_000);
    let (reader, running, _bus) = run(&config, &all).await;
    let mut met = check(&reader, &all, &mut luck, "while it is written and sealed");
    running.stop().await;
    drop(reader);
    // The next life begins with changes where one would expect a snapshot.
    let mut world = World::new(seed + 1, EPOCH + 1_000_000);
    world.lanes.iter_mut().for_each(|lane| lane.seq = u64::from(lane.source == "alpha"));
    let next = world.take(6_000);
    all.extend(next.iter().cloned());
    let (reader, running, _bus) = run(&config, &next).await;
    met.extend(check(&reader, &all, &mut luck, "after a start"));
    running.stop().await;
    drop(reader);
    for pass in ["sealed in part", "merged"] {
        let reader = Reader::open(dir.path()).unwrap();
        met.extend(check(&reader, &all, &mut luck, pass));
        drop(reader);
        compact(&config);
    }
    let place = tempfile::tempdir().unwrap();
    compact(&crate::cold::into(&config, place.path()));
    let reader = Reader::open(dir.path()).unwrap();
    assert!(reader.cold().files > 0 && reader.cold().cached_files == 0, "{:?}", reader.cold());
    met.extend(check(&reader, &all, &mut luck, "fetched from the cold tier"));
    assert!(rows(&reader, Table::BookCheckpoints) > 0);
    assert!(rows(&reader, Table::BookCheckpoints) * 4 <= rows(&reader, Table::BookDeltas));
    for word in ["live", "Gap(Sequence)", "Gap(Scale)", "Dropped", "Restart"] {
        assert!(met.contains_key(word), "never met: {word}: {met:?}");
    }
    let mut tables = Table::ALL.to_vec();
    tables.extend(Table::COMPUTED);
    let told = reader.range(Query::of(&tables)).unwrap();
    let told: Vec<Published> = told.map(|published| Arc::unwrap_or_clone(published.unwrap())).collect();
    assert!(told == all, "checkpoints are no events");
}

#[tokio::test]
async fn rows_read_are_bounded_however_long_ago_the_only_snapshot_was() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path());
    // Segments end by their size, so that the last one is still to be sealed after the stop.
    (config.segment_bytes, config.seal_ms) = (1 << 20, 3_600_000);
    let mut world = World::new(3, EPOCH);
    world.lanes.retain(|lane| lane.source == "alpha" && &*lane.instrument.symbol == "C");
    let mut all = world.take(12_000);
    all.retain(|published| !matches!(published.event.body, Body::Lane(_)));
    for (number, published) in (1..).zip(&mut all) {
        published.cursor.number = number;
        published.event.stamp.ts_event = None;
    }
    let (reader, running, _bus) = run(&config, &all).await;
    running.stop().await;
    drop(reader);
    compact(&config);
    let reader = Reader::open(dir.path()).unwrap();
    let deltas = rows(&reader, Table::BookDeltas);
    assert!(deltas > 300_000, "{deltas}");
    let checkpoints = rows(&reader, Table::BookCheckpoints);
    assert!(checkpoints > 0 && checkpoints * 4 <= deltas, "{checkpoints} of {deltas}");
    let mut most = 0;
    for published in all.iter().step_by(500).chain(all.last()) {
        let book = reader.book_at(None, published.event.instrument.id, when(&published.event), 1).unwrap();
        let book = book.unwrap();
        assert_eq!((book.cursor, book.state), (published.cursor, BookAtState::Live));
        most = most.max(book.rows_read);
    }
    // What changed since the checkpoint, its levels, and the places that were looked into, at most 8,192 rows each.
    let levels = 4 * 800;
    let bound = 20_000 + levels + 100 + 10 * 8_192;
    assert!(most <= bound, "{most} of {deltas}");
}
