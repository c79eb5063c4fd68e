//! What every source must hold, over this one.
#![allow(clippy::panic, reason = "a test fails by panic")]

use eastmoney::Eastmoney;
use source::conformance::{self, Conversation};

fn each(check: impl Fn(&Conversation)) {
    for seed in 1..4 {
        println!("seed {seed}");
        check(&conformance::converse(&Eastmoney, seed, 30_000));
    }
}

#[test]
fn the_spec_is_complete() {
    conformance::spec_is_complete(&Eastmoney);
}

#[test]
fn every_channel_is_fed_and_the_same_inputs_give_the_same_actions() {
    each(|talk| {
        conformance::every_channel_is_fed(&Eastmoney, talk, &[]);
        conformance::the_same_inputs_give_the_same_actions(&Eastmoney, talk);
    });
}

#[test]
fn damaged_frames_never_panic_and_unknown_keys_harm_nothing() {
    each(|talk| {
        conformance::damaged_frames_never_panic(&Eastmoney, talk, 7, 5_000);
        conformance::an_unknown_key_is_noticed_and_harms_nothing(&Eastmoney, talk);
    });
}
