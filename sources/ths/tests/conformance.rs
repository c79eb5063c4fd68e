//! What every source must hold, over this one.
#![allow(clippy::panic, reason = "a test fails by panic")]

use source::conformance::{self, Conversation};
use ths::Ths;

fn each(check: impl Fn(&Conversation)) {
    for seed in 1..4 {
        println!("seed {seed}");
        // A question a second: a whole round of them takes longer than a minute.
        check(&conformance::converse(&Ths, seed, 150_000));
    }
}

#[test]
fn the_spec_is_complete() {
    conformance::spec_is_complete(&Ths);
}

#[test]
fn every_channel_is_fed_and_the_same_inputs_give_the_same_actions() {
    each(|talk| {
        conformance::every_channel_is_fed(&Ths, talk, &[]);
        conformance::the_same_inputs_give_the_same_actions(&Ths, talk);
    });
}

#[test]
fn damaged_frames_never_panic_and_unknown_keys_harm_nothing() {
    each(|talk| {
        conformance::damaged_frames_never_panic(&Ths, talk, 7, 5_000);
        conformance::an_unknown_key_is_noticed_and_harms_nothing(&Ths, talk);
    });
}
