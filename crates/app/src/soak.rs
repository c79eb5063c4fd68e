//! `qingxi soak`: sessions against simulators under faults, by seed, in virtual time.

pub mod day;

use crate::error::{Error, Result};
use crate::sources::SOURCES;
use crate::term::{Cell, Table, paint};
use indicatif::{ProgressBar, ProgressStyle};
use sim::{Faults, Outcome, Plan};
use source::Source;
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Simulates sessions against simulators under faults.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// How many seeds of each source.
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// How many connections carry the same; with more than one, faults befall only one of them, and each gap is wrong.
    #[arg(long, default_value_t = 1)]
    connections: u32,
    /// Only this source.
    #[arg(long)]
    source: Option<String>,
    /// So many hours of the source, in virtual time, are kept by the whole store in a folder that is deleted afterwards:
    /// what it takes, opens and drops is told by the hour.
    #[arg(long, requires = "source", conflicts_with_all = ["seeds", "connections"])]
    hours: Option<u64>,
    /// Prints the result as JSON.
    #[arg(long)]
    json: bool,
}

/// What the runs of one source came to.
#[derive(Default)]
struct Sum {
    runs: u64,
    events: u64,
    gaps: u64,
    equal: u64,
    healed: u64,
    faults: BTreeMap<&'static str, u64>,
    wrong: Vec<(u64, String)>,
}

/// Runs the command: exit code 1 where any book differs or any promise was broken.
///
/// # Errors
/// Where the source is unknown, or the disk refuses.
pub fn run(args: &Args) -> Result<u8> {
    let mut sums = Vec::new();
    for source in SOURCES.iter().copied() {
        if let Some(hours) = args.hours
            && args.source.as_deref() == Some(source.spec().name)
        {
            return day::run(source, args.from, hours, args.json);
        }
        if args.source.as_deref().is_none_or(|name| name == source.spec().name) {
            sums.push((source.spec().name, seeds(source, args)));
        }
    }
    if let (true, Some(name)) = (sums.is_empty(), &args.source) {
        return Err(Error::UnknownSource { name: name.clone() });
    }
    let wrong: usize = sums.iter().map(|(_, sum)| sum.wrong.len()).sum();
    if args.json {
        let of = |(name, sum): &(&str, Sum)| {
            serde_json::json!({ "source": name, "runs": sum.runs, "events": sum.events, "gaps": sum.gaps,
                "equal_to_rest": sum.equal, "healed": sum.healed,
                "faults": sum.faults, "differences": sum.wrong })
        };
        println!("{}", serde_json::Value::Array(sums.iter().map(of).collect()));
    } else {
        print(&sums);
    }
    Ok(u8::from(wrong > 0))
}

/// All seeds of a source, on all cores.
fn seeds(source: &'static dyn Source, args: &Args) -> Sum {
    let bar = if args.json || !std::io::stderr().is_terminal() {
        ProgressBar::hidden()
    } else {
        ProgressBar::new(args.seeds)
    };
    let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {eta}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.set_message(source.spec().name);
    let next = AtomicU64::new(args.from);
    let end = args.from.saturating_add(args.seeds);
    let sum = Mutex::new(Sum::default());
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end {
                        return;
                    }
                    let faults = if args.connections > 1 { Faults::OneSide } else { Faults::All };
                    let plan = Plan { seed, faults, connections: args.connections, ..Plan::default() };
                    let outcome = sim::run(source, plan);
                    sum.lock().unwrap_or_else(std::sync::PoisonError::into_inner).add(
                        seed,
                        outcome,
                        args.connections > 1,
                    );
                    bar.inc(1);
                }
            });
        }
    });
    bar.finish_and_clear();
    sum.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Sum {
    fn add(&mut self, seed: u64, outcome: Outcome, one_side: bool) {
        self.runs += 1;
        self.events += outcome.events;
        self.gaps += outcome.gaps;
        for (kind, count) in outcome.injected {
            *self.faults.entry(kind).or_default() += count;
        }
        self.equal += outcome.referee.0;
        self.healed += outcome.healed;
        if outcome.referee.1 > 0 {
            self.wrong
                .push((seed, format!("{} live books were not the venue's REST books", outcome.referee.1)));
        }
        if one_side && !outcome.gap_words.is_empty() {
            let words = outcome.gap_words.join(", ");
            self.wrong.push((seed, format!("gaps, though one connection was well: {words}")));
        }
        self.wrong.extend(outcome.differences.into_iter().map(|words| (seed, words)));
    }
}

fn print(sums: &[(&str, Sum)]) {
    let mut table = Table::new(&[
        "source",
        "seeds",
        "events",
        "faults injected",
        "gaps told",
        "healed",
        "equal to REST",
        "differences",
    ]);
    for (name, sum) in sums {
        table.row(vec![
            Cell::left(name),
            Cell::right(sum.runs),
            Cell::right(sum.events),
            Cell::right(sum.faults.values().sum::<u64>()),
            Cell::right(sum.gaps),
            Cell::right(sum.healed),
            Cell::right(sum.equal),
            Cell::count_bad(sum.wrong.len() as u64),
        ]);
    }
    table.print();
    for (name, sum) in sums {
        for (seed, words) in sum.wrong.iter().take(20) {
            println!("{} {name} seed {seed}: {words}", paint("different:", "31"));
            println!("  again: qingxi soak --source {name} --from {seed} --seeds 1");
        }
    }
}
