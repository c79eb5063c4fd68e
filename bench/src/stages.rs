//! A frame's way, stage by stage: bytes, decode, events, book, bus.

use crate::frames::{Input, Set};
use crate::{machine, yardstick};
use bus::{Bus, Filter, Item, Policy};
use engine::Engine;
use model::{Event, Ts};
use source::{Action, Session};
use std::fmt::Write;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

const ROUNDS: usize = 7;
const STAGES: [&str; 5] = ["memcpy", "decode", "parse", "parse + book", "route to a reader"];

/// Measures every set and gives the table.
pub fn table(sets: &[Set]) -> String {
    machine::pin();
    let mut out = String::from("## Frame → exact event → book → reader, one core\n\n");
    let _ = writeln!(
        out,
        "| file | frames | mean B | {} | parse / decode | frames/s, route | MB/s, route |",
        STAGES.join(" | ")
    );
    let _ = writeln!(out, "|---|---:|---:|{}---:|---:|---:|", "---:|".repeat(STAGES.len()));
    for set in sets {
        let ns = measure(set);
        let route = ns.last().copied().unwrap_or(f64::NAN);
        let cells: Vec<String> = ns.iter().map(|ns| format!("{ns:.0}")).collect();
        // Compressed frames are nothing to decode for a JSON library.
        let ratio = ns.get(2).zip(ns.get(1)).filter(|(_, decode)| **decode > 50.0);
        let ratio = ratio.map_or("-".to_owned(), |(parse, decode)| format!("{:.2}", parse / decode));
        let mean = set.bytes as f64 / set.frames as f64;
        let row = format!(
            "| {} | {} | {mean:.0} | {} | {ratio} | {:.2} M | {:.0} |",
            set.name,
            set.frames,
            cells.join(" | "),
            1e3 / route,
            mean * 1e3 / route
        );
        println!("{row}");
        let _ = writeln!(out, "{row}");
    }
    out.push_str("\nStages are in ns a frame, each from the start of the frame; medians of seven interleaved rounds. Decode is by sonic-rs: \
         typed where the yardstick has types for the frames, else its tree of JSON.\n",
    );
    out
}

/// The median time a frame of each stage, in ns.
fn measure(set: &Set) -> Vec<f64> {
    let mut samples: Vec<Vec<f64>> = vec![Vec::new(); STAGES.len()];
    for _ in 0..ROUNDS {
        for (stage, sample) in samples.iter_mut().enumerate() {
            let start = Instant::now();
            match stage {
                0 => copy(set),
                1 => decode(set),
                2 => drop(run(set, |_, event| {
                    black_box(event);
                })),
                3 => with_book(set),
                _ => with_bus(set),
            }
            sample.push(start.elapsed().as_nanos() as f64 / set.frames as f64);
        }
    }
    samples.into_iter().map(median).collect()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn copy(set: &Set) {
    let mut buffer = Vec::with_capacity(1 << 20);
    for (_, input) in &set.inputs {
        if let Input::Frame(bytes, _) = input {
            buffer.clear();
            buffer.extend_from_slice(bytes);
            black_box(&buffer);
        }
    }
}

fn decode(set: &Set) {
    for (_, input) in &set.inputs {
        if let Input::Frame(bytes, false) = input {
            black_box(yardstick::decode(bytes));
        }
    }
}

/// Runs a session over all inputs and hands on what it emits.
pub fn run(set: &Set, mut emit: impl FnMut(Ts, Event)) -> Box<dyn Session> {
    let mut session = set.source.session(&set.shard);
    let mut out = Vec::with_capacity(64);
    session.on(source::Input::Open, Ts(0), &mut out);
    for (now, input) in &set.inputs {
        let input = match input {
            Input::Frame(bytes, binary) => source::Input::Frame { bytes, binary: *binary },
            Input::Reply(path, body) => {
                source::Input::Reply { tag: None, path, status: 200, retry_ms: None, body }
            }
        };
        session.on(input, *now, &mut out);
        for action in out.drain(..) {
            if let Action::Emit(event) = action {
                emit(*now, event);
            }
        }
    }
    session
}

fn with_book(set: &Set) {
    let mut engine = Engine::new(engine::Config::default());
    let mut events = Vec::with_capacity(64);
    run(set, |_, event| {
        black_box(engine.on(event, &mut events));
        events.clear();
    });
}

fn with_bus(set: &Set) {
    let bus = Arc::new(Bus::new(bus::Config::default(), Ts(0)));
    let mut reader = bus.subscribe(Filter::all(), Policy::Lossless { queue_max: 1 << 20 }, None);
    let mut engine = Engine::new(engine::Config::default());
    let mut events = Vec::with_capacity(64);
    let mut items: Vec<Item> = Vec::with_capacity(4_096);
    run(set, |now, event| {
        black_box(engine.on(event, &mut events));
        for event in events.drain(..) {
            bus.publish(event, now);
        }
        if reader.waiting() > 1_024 {
            while reader.try_read(&mut items, 4_096) {
                black_box(&items);
                items.clear();
            }
        }
    });
}
