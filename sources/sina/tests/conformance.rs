//! What every source must hold, over this one.
#![allow(clippy::panic, reason = "a test fails by panic")]

use sina::Sina;
use source::conformance::{self, Conversation};

fn each(check: impl Fn(&Conversation)) {
    for seed in 1..4 {
        println!("seed {seed}");
        check(&conformance::converse(&Sina, seed, 30_000));
    }
}

#[test]
fn the_spec_is_complete() {
    conformance::spec_is_complete(&Sina);
}

#[test]
fn every_channel_is_fed_and_the_same_inputs_give_the_same_actions() {
    each(|talk| {
        conformance::every_channel_is_fed(&Sina, talk, &[]);
        conformance::the_same_inputs_give_the_same_actions(&Sina, talk);
    });
}

#[test]
fn damaged_frames_never_panic_and_unknown_keys_harm_nothing() {
    each(|talk| {
        conformance::damaged_frames_never_panic(&Sina, talk, 7, 5_000);
        conformance::an_unknown_key_is_noticed_and_harms_nothing(&Sina, talk);
    });
}
