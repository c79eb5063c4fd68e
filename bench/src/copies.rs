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
/// How many frames were passed over.
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

/// What the frames of one run cost that are known by their keys, in ns a frame.
#[derive(Clone, Copy, Default)]
struct Cost {
    first: f64,
    second: f64,
}

/// Measures every set of a source that knows copies by their keys, and gives the table.
pub fn table(sets: &[Set]) -> String {
    crate::machine::pin();
    let mut out = String::from("\n## The frame that comes second, one core, ns a frame\n\n");
    out.push_str("| file | known by key | read whole | by its key | key / whole | look at the first |\n");
    out.push_str("|---|---:|---:|---:|---:|---:|\n");
    for set in sets {
        let known: Vec<bool> = run(set, true).into_iter().map(|frame| frame.passed).collect();
        let count = known.iter().filter(|known| **known).count() as f64;
        if count < 0.01 * set.frames as f64 {
            continue;
        }
        let mut rounds = [Vec::new(), Vec::new()];
        for _ in 0..ROUNDS {
            for (keys, round) in [false, true].into_iter().zip(&mut rounds) {
                let mut cost = Cost::default();
                for (frame, _) in run(set, keys).iter().zip(&known).filter(|(_, known)| **known) {
                    cost.first += frame.ns[0] / count;
                    cost.second += frame.ns[1] / count;
                }
                round.push(cost);
            }
        }
        let median = |round: &[Cost], of: fn(&Cost) -> f64| {
            let mut values: Vec<f64> = round.iter().map(of).collect();
            values.sort_by(f64::total_cmp);
            values.get(ROUNDS / 2).copied().unwrap_or(f64::NAN)
        };
        let [whole, key] = rounds;
        let look = median(&key, |cost| cost.first) - median(&whole, |cost| cost.first);
        let (whole, key) = (median(&whole, |cost| cost.second), median(&key, |cost| cost.second));
        let share = 100.0 * count / set.frames as f64;
        let row = format!(
            "| {} | {share:.0} % | {whole:.0} | {key:.0} | {:.2} | {look:.0} |",
            set.name,
            key / whole
        );
        println!("{row}");
        let _ = writeln!(out, "{row}");
    }
    out.push_str(
        "\nOf the frames that are known by their keys alone: what the second one costs read whole and passed over, and what \
         the look costs the first one. Medians of seven interleaved rounds; session, merge, book and checks, without the \
         bus; each with the reading of a clock.\n",
    );
    out
}

/// What became of one frame.
struct Frame {
    /// What it cost where it came first, and second.
    ns: [f64; 2],
    /// The second was passed over.
    passed: bool,
}

/// A pump that hears the set by two connections, a millisecond a frame.
fn run(set: &Set, keys: bool) -> Vec<Frame> {
    let mut frames = Vec::with_capacity(set.frames);
    let source = Recorded { source: set.source, keys };
    let shard = Shard { path: Some("/".to_owned()), ..set.shard.clone() };
    let (links, engine) = ((0..3).map(LinkId).collect(), engine::Config::default());
    let (referee_ms, seed, host, lifetime_ms) = (0, 1, None, Some(u64::MAX >> 24));
    let setup = Setup { source: &source, shard, links, engine, referee_ms, seed, host, lifetime_ms };
    let Some(mut pump) = Pump::new(setup) else { return frames };
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
        let passed = PASSED.load(Ordering::Relaxed);
        let mut frame = Frame { ns: [0.0; 2], passed: false };
        for (conn, ns) in conns.iter().copied().zip(&mut frame.ns) {
            let input = match input {
                Input::Frame(bytes, binary) => In::Frame { conn, bytes, binary: *binary },
                Input::Reply(path, body) => {
                    In::Reply { conn, tag: 0, path, status: 200, retry_ms: None, body }
                }
            };
            let start = Instant::now();
            pump.on(input, now, &mut out);
            *ns = start.elapsed().as_nanos() as f64;
            out.events.clear();
            out.io.clear();
        }
        frame.passed = PASSED.load(Ordering::Relaxed) > passed;
        if matches!(input, Input::Frame(..)) {
            frames.push(frame);
        }
    }
    frames
}
