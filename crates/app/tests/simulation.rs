//! Every source against its simulator in memory, under faults, by seed. `make soak` runs as many seeds as asked.

#![allow(clippy::panic, reason = "a test fails by panic")]

use app::sources::SOURCES;
use sim::{Faults, Plan};

/// The sources that tell whole books.
fn with_books() -> impl Iterator<Item = &'static dyn source::Source> {
    SOURCES.iter().copied().filter(|source| source.spec().channel(model::Channel::Book).is_some())
}

/// Seeds of each source; enough that each fault strikes many times, few enough for every run of the tests.
const SEEDS: u64 = 30;

#[test]
fn after_every_mix_of_faults_every_book_equals_its_simulators() {
    let mut injected = std::collections::BTreeMap::new();
    let mut judged = Vec::new();
    for source in with_books() {
        let name = source.spec().name;
        let (mut events, mut gaps, mut equal) = (0, 0, 0);
        for seed in 1..=SEEDS {
            let outcome = sim::run(source, Plan { seed, ..Plan::default() });
            assert!(
                outcome.differences.is_empty(),
                "{:?}; again: qingxi soak --source {name} --from {seed} --seeds 1",
                outcome.differences
            );
            assert!(outcome.books > 0);
            assert_eq!(outcome.referee.1, 0, "{name} seed {seed}: a live book was not the venue's");
            equal += outcome.referee.0;
            (events, gaps) = (events + outcome.events, gaps + outcome.gaps);
            for (kind, count) in outcome.injected {
                *injected.entry(kind).or_insert(0_u64) += count;
            }
        }
        println!("{name}: {SEEDS} seeds, {events} events, {gaps} gaps told, {equal} books equal to REST");
        judged.extend((equal > 0).then_some(name));
        assert!(gaps > SEEDS, "{name}: the faults were hardly noticed");
    }
    println!("injected: {injected:?}; held against REST: {judged:?}");
    assert_eq!(injected.len(), 12, "every kind of fault strikes: {injected:?}");
}

#[test]
fn without_faults_no_gap_is_told() {
    for source in SOURCES {
        for seed in 1..=10 {
            let outcome = sim::run(*source, Plan { seed, faults: Faults::None, ..Plan::default() });
            assert_eq!(
                (outcome.gaps, outcome.differences.len()),
                (0, 0),
                "{} seed {seed}",
                source.spec().name
            );
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_events() {
    for source in SOURCES {
        let run = |seed| sim::run(*source, Plan { seed, ..Plan::default() }).digest;
        for seed in 1..=5 {
            assert_eq!(run(seed), run(seed), "{} seed {seed}", source.spec().name);
        }
        assert_ne!(run(1), run(2));
    }
}

#[test]
fn with_two_connections_faults_on_one_of_them_are_no_gap_and_nothing_is_told_twice() {
    for source in with_books() {
        let name = source.spec().name;
        let mut healed = 0;
        for seed in 1..=SEEDS / 3 {
            let outcome =
                sim::run(source, Plan { seed, connections: 2, faults: Faults::OneSide, ..Plan::default() });
            assert_eq!(
                (&outcome.gap_words, &outcome.differences),
                (&Vec::new(), &Vec::new()),
                "{name}; again: qingxi soak --source {name} --from {seed} --seeds 1 --connections 2"
            );
            healed += outcome.healed;
        }
        println!("{name}: {healed} books went on by the other connection");
        assert!(healed > 0, "{name}: nothing had to be healed");
    }
}
