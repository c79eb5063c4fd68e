//! The same questions to other programs, in the same run.

use super::world::{BUSY, START};
use super::{ROUNDS, Result};
use model::Ts;
use serde::Deserialize;
use std::fmt::Write;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

/// The questions, in words.
const QUESTIONS: [(&str, &str); 6] = [
    ("bars", "1-minute bars of all trades of an instrument"),
    ("asof", "as-of join of its trades and quotes"),
    ("scan", "6 h of its trades, all columns"),
    ("events", "the same as events of the model"),
    ("latest", "its newest trade"),
    ("book", "its book at an instant"),
];
/// Sums of doubles differ by the order in which they are added.
const NEAR: f64 = 1e-9;

/// What one program said to a question, and how long it took.
#[derive(Clone, Debug, Deserialize)]
pub struct Answer {
    what: String,
    by: String,
    /// The median.
    seconds: f64,
    /// Of the last time that it was asked.
    numbers: Vec<f64>,
}

/// Our answers.
#[derive(Default)]
pub struct Answers(Vec<(Answer, f64)>);

impl Answers {
    /// Asks a question with each of some arguments.
    pub fn ask<T>(
        &mut self,
        what: &str,
        arguments: &[T],
        ask: impl Fn(&T) -> Result<Vec<f64>>,
    ) -> Result<()> {
        let (mut times, mut numbers) = (Vec::new(), Vec::new());
        for argument in arguments {
            let begun = Instant::now();
            numbers = ask(argument)?;
            times.push(begun.elapsed().as_secs_f64());
        }
        times.sort_by(f64::total_cmp);
        let at = |share: usize| times.get(times.len() * share / 100).copied().unwrap_or(f64::NAN);
        self.0.push((
            Answer { what: what.to_owned(), by: "Qingxi".to_owned(), seconds: at(50), numbers },
            at(99),
        ));
        Ok(())
    }

    /// Ours beside theirs.
    pub fn table(&self, theirs: &[Answer], out: &mut String) -> Result<()> {
        let mut names: Vec<&str> = theirs.iter().map(|answer| &*answer.by).collect();
        names.dedup();
        names.truncate(2);
        let heads: Vec<String> = names.iter().map(|name| format!("{name} ms | ")).collect();
        let heads = heads.concat();
        writeln!(out, "| question | Qingxi ms | p99 ms | {heads}ours / the better | answers |")?;
        writeln!(out, "|---|---:|---:|{}---:|---|", "---:|".repeat(names.len()))?;
        for (ours, p99) in &self.0 {
            let what = QUESTIONS.iter().find(|(what, _)| *what == ours.what).map_or("", |(_, words)| words);
            let of: Vec<&Answer> = theirs.iter().filter(|answer| answer.what == ours.what).collect();
            write!(out, "| {what} | {:.2} | {:.2} | ", ours.seconds * 1e3, p99 * 1e3)?;
            if of.is_empty() {
                writeln!(out, "{}- | - |", "- | ".repeat(names.len()))?;
                continue;
            }
            let cells = of.iter().map(|answer| format!("{:.2} | ", answer.seconds * 1e3));
            let best = of.iter().map(|answer| answer.seconds).fold(f64::NAN, f64::min);
            let equal = of.iter().all(|answer| near(&answer.numbers, &ours.numbers));
            let equal = if equal { "equal" } else { "differ" };
            writeln!(out, "{}{:.2} | {equal} |", cells.collect::<String>(), ours.seconds / best)?;
        }
        writeln!(out, "\nMedians of {ROUNDS} rounds; of the last two questions of 100, the others' of 10.")?;
        Ok(())
    }
}

fn near(theirs: &[f64], ours: &[f64]) -> bool {
    theirs.iter().zip(ours).all(|(a, b)| (a - b).abs() <= NEAR * a.abs().max(1.0))
}

/// Asks DuckDB and polars.
pub fn ask(dir: &Path, instants: &[Ts]) -> Result<Vec<Answer>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let python = Command::new(root.join("scripts/files/python")).output()?;
    if !python.status.success() {
        return Err("they cannot be had here".into());
    }
    let asked = Command::new(String::from_utf8(python.stdout)?.trim())
        .arg(root.join("bench/src/kept/peers.py"))
        .arg(dir)
        .args([BUSY, &START.0.to_string(), &ROUNDS.to_string()])
        // The last one is asked of all.
        .args(instants.iter().rev().take(10).rev().map(|at| at.0.to_string()))
        .output()?;
    if !asked.status.success() {
        return Err(String::from_utf8_lossy(&asked.stderr).into_owned().into());
    }
    let lines = String::from_utf8(asked.stdout)?;
    lines.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}
