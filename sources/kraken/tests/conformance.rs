//! What every source must hold, and what of this venue's simulator a client library relies on.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panic")]

use kraken::Kraken;
use model::{Body, Channel};
use source::conformance::{self, Conversation};

fn talk(seed: u64) -> Conversation {
    conformance::converse(&Kraken, seed, 20_000)
}

#[test]
fn the_spec_is_complete() {
    conformance::spec_is_complete(&Kraken);
}

#[test]
fn sessions_and_simulator_understand_each_other() {
    for seed in 1..=8 {
        println!("seed {seed}");
        let talk = talk(seed);
        conformance::every_channel_is_fed(&Kraken, &talk, &[]);
        conformance::books_equal_the_simulators(&talk);
        let books = talk.events.iter().filter(|e| e.channel == Channel::Book);
        let sums = books.filter(|e| match &e.body {
            Body::Snapshot(s) => s.checksum.is_some(),
            Body::Delta(d) => d.checksum.is_some(),
            _ => false,
        });
        assert!(sums.count() > 100, "pairs have checksums");
    }
}

#[test]
fn the_same_inputs_give_the_same_actions_and_damage_never_panics() {
    let talk = talk(3);
    conformance::the_same_inputs_give_the_same_actions(&Kraken, &talk);
    conformance::an_unknown_key_is_noticed_and_harms_nothing(&Kraken, &talk);
    conformance::damaged_frames_never_panic(&Kraken, &talk, 7, 60_000);
}

#[test]
fn what_another_connection_told_is_passed_over_as_if_it_had_been_read() {
    conformance::copies_are_passed_over(&Kraken, &[Channel::Trades, Channel::Book]);
}
