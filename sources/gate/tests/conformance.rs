//! The conformance suite for this source alone.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panic")]

use gate::Gate;
use model::Channel;
use source::conformance::{self, Conversation};

fn each(check: impl Fn(&Conversation)) {
    for seed in 1..7 {
        check(&conformance::converse(&Gate, seed, 30_000));
    }
}

#[test]
fn the_spec_is_complete_and_every_channel_is_fed() {
    conformance::spec_is_complete(&Gate);
    each(|talk| conformance::every_channel_is_fed(&Gate, talk, &[Channel::Liquidations]));
}

#[test]
fn every_book_equals_the_simulators() {
    each(conformance::books_equal_the_simulators);
}

#[test]
fn the_same_inputs_give_the_same_actions_and_unknown_keys_harm_nothing() {
    each(|talk| {
        conformance::the_same_inputs_give_the_same_actions(&Gate, talk);
        conformance::an_unknown_key_is_noticed_and_harms_nothing(&Gate, talk);
    });
}

#[test]
fn damaged_frames_never_panic() {
    each(|talk| conformance::damaged_frames_never_panic(&Gate, talk, 7, 20_000));
}

#[test]
fn what_another_connection_told_is_passed_over_as_if_it_had_been_read() {
    conformance::copies_are_passed_over(&Gate, &[Channel::Trades, Channel::Book]);
}
