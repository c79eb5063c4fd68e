//! The ledger of lanes over simulated sessions: what it says is what was told.

#![allow(clippy::panic, reason = "a test fails by panic")]

use app::sources::SOURCES;
use bus::{Cursor, Published};
use model::{Body, Channel, Event, GapCause, Ts};
use sim::Plan;
use std::collections::BTreeMap;
use store::ledger::{Ledger, Row, Wanted};

/// Seeds of each source.
const SEEDS: u64 = 6;

type Lane = (Box<str>, Channel);
type Gaps = BTreeMap<Lane, Vec<(&'static str, Option<u64>)>>;
/// The last number before a hole and the first after it.
type Hole = (Option<u64>, Option<u64>);

/// What a run told, and what the ledger makes of it.
#[derive(Default)]
struct Seen {
    ledger: Ledger,
    number: u64,
    /// Gaps of books in their order.
    books: Gaps,
    /// Holes in trades by numbers.
    holes: BTreeMap<Lane, Vec<Hole>>,
    begun: BTreeMap<Lane, Ts>,
}

impl Seen {
    fn on(&mut self, event: &Event) {
        self.number += 1;
        let cursor = Cursor { epoch: 1, number: self.number };
        let lane = (event.instrument.name.clone(), event.channel);
        if let Body::Gap(gap) = &event.body {
            let of = |gaps: &mut Gaps| {
                gaps.entry(lane.clone()).or_default().push((gap.cause.name(), gap.from_seq));
            };
            match event.channel {
                Channel::Book => of(&mut self.books),
                Channel::Trades | Channel::AggTrades if gap.cause == GapCause::Sequence => {
                    self.holes.entry(lane.clone()).or_default().push((gap.from_seq, gap.to_seq));
                }
                _ => {}
            }
        }
        self.begun.entry(lane).or_insert(event.stamp.ts_recv);
        self.ledger.on(&Published { cursor, ts_pub: event.stamp.ts_recv, event: event.clone() });
        if self.number.is_multiple_of(5_000) {
            self.ledger = Ledger::from_bytes(&self.ledger.to_bytes()).expect("its own bytes");
        }
    }

    fn rows(&self, (instrument, channel): &Lane) -> Vec<Row> {
        let wanted =
            Wanted { instrument: Some(instrument.clone()), channel: Some(*channel), ..Wanted::default() };
        self.ledger.rows(&wanted, Ts(0), Ts(i64::MAX))
    }
}

#[test]
fn the_ledger_of_a_simulated_session_has_every_gap_that_was_told_once_and_no_time_without_a_state() {
    let (mut gaps, mut holes, mut lanes) = (0, 0, 0);
    for source in SOURCES {
        let name = source.spec().name;
        for seed in 1..=SEEDS {
            let mut seen = Seen::default();
            sim::watch(*source, Plan { seed, ..Plan::default() }, &mut |event| seen.on(event));
            for (lane, told) in &seen.books {
                let rows = seen.rows(lane);
                let of =
                    |row: &Row| (row.state == "gap").then(|| (row.cause.unwrap_or_default(), row.from_seq));
                // A gap goes on after a time in which nothing was to come.
                let goes_on = |at: usize| {
                    let before = at.checked_sub(2).and_then(|before| rows.get(before..at));
                    before.is_some_and(|b| b[1].state == "closed" && of(&b[0]) == of(&rows[at]))
                };
                let own = (0..rows.len()).filter(|at| !goes_on(*at)).filter_map(|at| of(&rows[at]));
                let own: Vec<_> = own.filter(|(cause, _)| !["starting", "refused"].contains(cause)).collect();
                assert_eq!(&own, told, "{name} seed {seed} {lane:?}: {rows:#?}");
                gaps += told.len();
            }
            for (lane, told) in &seen.holes {
                let rows = seen.rows(lane);
                for (from, to) in told {
                    let here = |row: &&Row| row.state == "gap" && (row.from_seq, row.to_seq) == (*from, *to);
                    let count = rows.iter().filter(here).count();
                    assert_eq!(count, 1, "{name} seed {seed} {lane:?} {from:?} {to:?}: {rows:#?}");
                }
                holes += told.len();
            }
            for (lane, begun) in &seen.begun {
                let rows = seen.rows(lane);
                let Some(first) = rows.first() else { continue };
                assert!(first.from_ts >= *begun, "{name} {lane:?}");
                for pair in rows.windows(2) {
                    assert_eq!(pair[0].to_ts, pair[1].from_ts, "{name} seed {seed} {lane:?}: {rows:#?}");
                }
                lanes += 1;
            }
        }
    }
    println!("{lanes} lanes, {gaps} gaps of books, {holes} holes in trades");
    assert!(gaps > 100 && holes > 10, "{gaps} {holes}");
}

#[test]
fn without_faults_nothing_that_can_be_proved_is_missing() {
    let mut complete = 0;
    for source in SOURCES {
        let name = source.spec().name;
        let mut seen = Seen::default();
        let plan = Plan { seed: 3, faults: sim::Faults::None, ..Plan::default() };
        sim::watch(*source, plan, &mut |event| seen.on(event));
        for lane in seen.begun.keys() {
            let rows = seen.rows(lane);
            let wrong = rows.iter().filter(|row| row.state == "gap" && row.cause != Some("starting"));
            assert_eq!(wrong.count(), 0, "{name} {lane:?}: {rows:#?}");
            complete += usize::from(rows.last().is_some_and(|row| row.state == "complete"));
        }
    }
    println!("{complete} lanes complete");
    assert!(complete > 10);
}
