//! What the frame costs that comes second: every frame of a recording comes by two connections of one pump, one right
//! behind the other. What two cost more than one is the copy's, read whole or known by its key.

use crate::frames::{Input, Set};
use feed::pump::{Conn, In, Io, Out, Pump, Setup};
use model::{Instrument, LinkId, Ts};
use source::{Action, Malformed, Mark, Options, Request, Session, Shard, Sim, SimSetup, Source, Spec, Want};
use std::fmt::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

const ROUNDS: usize = 7;
/// How many frames were passed over in a run.
static PASSED: AtomicUsize = AtomicUsize::new(0);

/// A source whose answers come from a recording, and whose sessions may be kept from knowing copies by their keys.
struct Recorded {
    source: &'static dyn Source,
    keys: bool,
}

struct Reader {
    session: Box<dyn Session>,
    keys: bool,
}

impl Session for Reader {
    fn on(&mut self, input: source::Input<'_>, now: Ts, out: &mut Vec<Action>) {
        let input = match input {
            source::Input::Reply { path, status, retry_ms, body, .. } => {
                source::Input::Reply { tag: None, path, status, retry_ms, body }
            }
            other => other,
        };
        self.session.on(input, now, out);
    }

    fn pass_over(&mut self, frame: &[u8], binary: bool, now: Ts, told: &mut dyn FnMut(Mark) -> bool) -> bool {
        let passed = self.keys && self.session.pass_over(frame, binary, now, told);
        PASSED.fetch_add(usize::from(passed), Ordering::Relaxed);
        passed
    }
}

impl Source for Recorded {
    fn spec(&self) -> &'static Spec {
        self.source.spec()
    }
    fn listings(&self) -> Vec<Request> {
        Vec::new()
    }
    fn define(&self, _: &str, _: &[u8]) -> Option<Result<Vec<Instrument>, Malformed>> {
        None
    }
    fn shards(&self, _: &[Want], _: &Options) -> Vec<Shard> {
        Vec::new()
    }
    fn session(&self, shard: &Shard) -> Box<dyn Session> {
        Box::new(Reader { session: self.source.session(shard), keys: self.keys })
    }
    fn sim(&self, setup: &SimSetup) -> Box<dyn Sim> {
        self.source.sim(setup)
    }
    fn recognises(&self, url: Option<&str>, frame: &[u8]) -> bool {
        self.source.recognises(url, frame)
    }
}

/// Measures every set of a source that knows copies by their keys, and gives the table.
pub fn table(sets: &[Set]) -> String {
    crate::machine::pin();
    let mut out = String::from("\n## The frame that comes second, one core, ns a frame\n\n");
    out.push_str(
        "| file | one connection | copy read whole | copy by its key | key / whole | known by key |\n",
    );
    out.push_str("|---|---:|---:|---:|---:|---:|\n");
    for set in sets {
        PASSED.store(0, Ordering::Relaxed);
        run(set, 2, true);
        let passed = PASSED.load(Ordering::Relaxed) as f64 / set.frames as f64;
        if passed < 0.01 {
            continue;
        }
        let mut ns = [Vec::new(), Vec::new(), Vec::new()];
        for _ in 0..ROUNDS {
            for ((width, keys), sample) in [(1, false), (2, false), (2, true)].into_iter().zip(&mut ns) {
                let start = Instant::now();
                run(set, width, keys);
                sample.push(start.elapsed().as_nanos() as f64 / set.frames as f64);
            }
        }
        let [one, whole, key] = ns.map(|mut values| {
            values.sort_by(f64::total_cmp);
            values.get(ROUNDS / 2).copied().unwrap_or(f64::NAN)
        });
        let row = format!(
            "| {} | {one:.0} | {:.0} | {:.0} | {:.2} | {:.0} % |",
            set.name,
            whole - one,
            key - one,
            (key - one) / (whole - one),
            passed * 100.0
        );
        println!("{row}");
        let _ = writeln!(out, "{row}");
    }
    out.push_str(
        "\nThe time of a copy is what two connections cost more than one; it holds the look for a key in the \
         frame that comes first. Medians of seven interleaved rounds; session, merge, book and checks, without the bus.\n",
    );
    out
}

/// A pump that hears the set by so many connections, a millisecond a frame.
fn run(set: &Set, width: u32, keys: bool) {
    let source = Recorded { source: set.source, keys };
    let shard = Shard { path: Some("/".to_owned()), ..set.shard.clone() };
    let (links, engine) = ((0..=width).map(LinkId).collect(), engine::Config::default());
    let (referee_ms, seed, host, lifetime_ms) = (0, 1, None, Some(u64::MAX >> 24));
    let setup = Setup { source: &source, shard, links, engine, referee_ms, seed, host, lifetime_ms };
    let Some(mut pump) = Pump::new(setup) else { return };
    let mut now = Ts::from_ms(1_760_000_000_000);
    let mut out = Out::default();
    pump.on(In::Start, now, &mut out);
    let opens = |io: &Io| if let Io::Open { conn, .. } = io { Some(*conn) } else { None };
    let conns: Vec<Conn> = out.io.iter().filter_map(opens).collect();
    for conn in &conns {
        pump.on(In::Opened { conn: *conn }, now, &mut out);
    }
    for (_, input) in &set.inputs {
        now = now.plus_ms(1);
        for conn in conns.iter().copied() {
            let input = match input {
                Input::Frame(bytes, binary) => In::Frame { conn, bytes, binary: *binary },
                Input::Reply(path, body) => {
                    In::Reply { conn, tag: 0, path, status: 200, retry_ms: None, body }
                }
            };
            pump.on(input, now, &mut out);
            out.events.clear();
            out.io.clear();
        }
    }
}
