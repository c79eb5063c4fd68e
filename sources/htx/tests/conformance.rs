//! What every source must hold, over this one. Frames are also told unpacked, so that they can be changed.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panic")]

use htx::Htx;
use model::Channel;
use source::conformance::{self, Conversation, Said};
use std::io::Read;

fn each(check: impl Fn(&Conversation)) {
    for seed in 1..5 {
        println!("seed {seed}");
        check(&conformance::converse(&Htx, seed, 10_000));
    }
}

fn unpacked(mut talk: Conversation) -> Conversation {
    for (_, said) in talk.heard.iter_mut().flat_map(|h| &mut h.inputs) {
        if let Said::Frame(bytes, true) = said {
            let mut text = Vec::new();
            flate2::read::GzDecoder::new(&**bytes).read_to_end(&mut text).unwrap();
            *said = Said::Frame(text, false);
        }
    }
    talk
}

#[test]
fn the_spec_is_complete() {
    conformance::spec_is_complete(&Htx);
}

#[test]
fn every_channel_is_fed_and_every_book_is_the_simulators() {
    each(|talk| {
        conformance::every_channel_is_fed(&Htx, talk, &[Channel::Liquidations, Channel::Instruments]);
        conformance::books_equal_the_simulators(talk);
    });
}

#[test]
fn the_same_inputs_give_the_same_actions() {
    each(|talk| conformance::the_same_inputs_give_the_same_actions(&Htx, talk));
}

#[test]
fn damaged_frames_never_panic() {
    each(|talk| conformance::damaged_frames_never_panic(&Htx, talk, 7, 10_000));
    let talk = unpacked(conformance::converse(&Htx, 5, 10_000));
    conformance::damaged_frames_never_panic(&Htx, &talk, 7, 40_000);
}

#[test]
fn unknown_keys_are_noticed_and_harm_nothing() {
    let talk = unpacked(conformance::converse(&Htx, 5, 10_000));
    assert!(
        talk.heard.iter().any(|h| h.inputs.iter().any(|(_, said)| matches!(said, Said::Frame(_, false))))
    );
    conformance::an_unknown_key_is_noticed_and_harms_nothing(&Htx, &talk);
}

#[test]
fn what_another_connection_told_is_passed_over_as_if_it_had_been_read() {
    conformance::copies_are_passed_over(&Htx, &[Channel::Trades, Channel::Book]);
}
