//! Which container holds a book best, by the deltas of the recordings: the book of the platform, a sorted map, and a
//! sorted vector with the best level at its end in one piece. And what the checks cost over the book, taken for good or so
//! that they can be taken back.

use crate::frames::{Input, Set};
use engine::Engine;
use model::{Body, Channel, Delta, Event, Level, Side, Snapshot, Ts};
use source::{Action, Shard};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::hint::black_box;
use std::time::Instant;

/// A container for one book.
trait Container: Default {
    fn clear(&mut self);
    fn set(&mut self, side: Side, level: Level);
    fn best(&self) -> (Option<i64>, Option<i64>);
}

#[derive(Default)]
struct Maps {
    bids: BTreeMap<i64, i64>,
    asks: BTreeMap<i64, i64>,
}

impl Container for Maps {
    fn clear(&mut self) {
        self.bids.clear();
        self.asks.clear();
    }

    fn set(&mut self, side: Side, level: Level) {
        let map = if side == Side::Bid { &mut self.bids } else { &mut self.asks };
        if level.qty.0 == 0 {
            map.remove(&level.px.0);
        } else {
            map.insert(level.px.0, level.qty.0);
        }
    }

    fn best(&self) -> (Option<i64>, Option<i64>) {
        (self.bids.last_key_value().map(|(px, _)| *px), self.asks.first_key_value().map(|(px, _)| *px))
    }
}

/// Price and quantity side by side in one sorted vector, found by halving.
#[derive(Default)]
struct Pairs {
    bids: Vec<(i64, i64)>,
    asks: Vec<(i64, i64)>,
}

impl Container for Pairs {
    fn clear(&mut self) {
        self.bids.clear();
        self.asks.clear();
    }

    fn set(&mut self, side: Side, level: Level) {
        let (levels, key) =
            if side == Side::Bid { (&mut self.bids, level.px.0) } else { (&mut self.asks, -level.px.0) };
        match levels.binary_search_by_key(&key, |(k, _)| *k) {
            Ok(at) if level.qty.0 == 0 => {
                levels.remove(at);
            }
            Ok(at) => {
                if let Some(found) = levels.get_mut(at) {
                    found.1 = level.qty.0;
                }
            }
            Err(_) if level.qty.0 == 0 => {}
            Err(at) => levels.insert(at, (key, level.qty.0)),
        }
    }

    fn best(&self) -> (Option<i64>, Option<i64>) {
        (self.bids.last().map(|(k, _)| *k), self.asks.last().map(|(k, _)| -*k))
    }
}

/// Measures every set that has a book and gives the table.
pub fn table(sets: &[Set]) -> String {
    let mut out =
        String::from("\n## Container of a book: ns a changed level, best read after each delta\n\n");
    out.push_str("| file | levels changed | platform's book | sorted maps | sorted pairs | engine | engine, undoable |\n|---|---:|---:|---:|---:|---:|---:|\n");
    for set in sets {
        let events = changes(set);
        let levels: usize = events.iter().filter_map(delta).map(|d| d.levels.len()).sum();
        if levels < 10_000 {
            continue;
        }
        let mut ns = [const { Vec::new() }; 5];
        for _ in 0..7 {
            for (which, sample) in ns.iter_mut().enumerate() {
                let start = Instant::now();
                match which {
                    0 => ours(&events),
                    1 => other::<Maps>(&events),
                    2 => other::<Pairs>(&events),
                    3 => checked(&events, |engine, event, out| _ = black_box(engine.on(event, out))),
                    _ => checked(&events, |engine, event, out| drop(black_box(engine.attempt(event, out)))),
                }
                sample.push(start.elapsed().as_nanos() as f64 / levels as f64);
            }
        }
        let cells = ns.map(|mut values| {
            values.sort_by(f64::total_cmp);
            values.get(3).map_or(String::new(), |v| format!("{v:.1}"))
        });
        let row = format!("| {} | {levels} | {} |", set.name, cells.join(" | "));
        println!("{row}");
        let _ = writeln!(out, "{row}");
    }
    out
}

fn delta(event: &Event) -> Option<&Delta> {
    if let Body::Delta(delta) = &event.body { Some(delta) } else { None }
}

/// The book events of a set.
fn changes(set: &Set) -> Vec<Event> {
    let mut session = set.source.session(&Shard::default());
    let (mut out, mut events) = (Vec::new(), Vec::new());
    session.on(source::Input::Open, Ts(0), &mut out);
    for (now, input) in &set.inputs {
        let input = match input {
            Input::Frame(bytes, binary) => source::Input::Frame { bytes, binary: *binary },
            Input::Reply(path, body) => {
                source::Input::Reply { tag: None, path, status: 200, retry_ms: None, body }
            }
        };
        session.on(input, *now, &mut out);
        events.extend(out.drain(..).filter_map(|action| match action {
            Action::Emit(event) if event.channel == Channel::Book => Some(event),
            _ => None,
        }));
    }
    events
}

fn ours(events: &[Event]) {
    let mut books: HashMap<u64, book::Book> = HashMap::new();
    for event in events {
        let book = books.entry(event.instrument.id.0).or_default();
        match &event.body {
            Body::Snapshot(snapshot) => book.reset(snapshot),
            Body::Delta(delta) => {
                let _ = black_box(book.apply(delta));
            }
            _ => book.clear(),
        }
        black_box(book.quote());
    }
}

/// The same through the engine, with a copy of each event.
fn checked(events: &[Event], take: impl Fn(&mut Engine, Event, &mut Vec<Event>)) {
    let mut engine = Engine::new(engine::Config::default());
    let mut out = Vec::new();
    for event in events {
        take(&mut engine, event.clone(), &mut out);
        out.clear();
    }
}

fn other<C: Container>(events: &[Event]) {
    let mut books: HashMap<u64, C> = HashMap::new();
    for event in events {
        let book = books.entry(event.instrument.id.0).or_default();
        let levels = match &event.body {
            Body::Snapshot(Snapshot { levels, .. }) => {
                book.clear();
                levels
            }
            Body::Delta(Delta { levels, .. }) => levels,
            _ => continue,
        };
        for level in levels.bids() {
            book.set(Side::Bid, *level);
        }
        for level in levels.asks() {
            book.set(Side::Ask, *level);
        }
        black_box(book.best());
    }
}
