//! What every source must hold, over this one.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panic")]

use bitget::Bitget;
use model::Channel;
use source::conformance::{self, Conversation};

fn each(check: impl Fn(&Conversation)) {
    for seed in 1..6 {
        println!("seed {seed}");
        check(&conformance::converse(&Bitget, seed, 10_000));
    }
}

#[test]
fn the_spec_is_complete() {
    conformance::spec_is_complete(&Bitget);
}

#[test]
fn every_channel_is_fed_and_every_book_is_the_simulators() {
    each(|talk| {
        conformance::every_channel_is_fed(&Bitget, talk, &[Channel::Liquidations, Channel::Instruments]);
        conformance::books_equal_the_simulators(talk);
    });
}

#[test]
fn the_same_inputs_give_the_same_actions() {
    each(|talk| conformance::the_same_inputs_give_the_same_actions(&Bitget, talk));
}

#[test]
fn damaged_frames_never_panic_and_unknown_keys_harm_nothing() {
    each(|talk| {
        conformance::damaged_frames_never_panic(&Bitget, talk, 7, 20_000);
        conformance::an_unknown_key_is_noticed_and_harms_nothing(&Bitget, talk);
    });
}

#[test]
fn what_another_connection_told_is_passed_over_as_if_it_had_been_read() {
    conformance::copies_are_passed_over(&Bitget, &[Channel::Trades, Channel::Book]);
}
