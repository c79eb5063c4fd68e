//! The conformance suite over the registry.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panic")]

use app::sources::SOURCES;
use model::Channel;
use source::conformance::{self, Conversation};

/// Forced orders are rare on any venue, and where each share and group is a question of its own, one a second, a round of
/// them takes longer: nothing of them can be asked of half a minute.
const RARE: &[Channel] =
    &[Channel::Liquidations, Channel::Instruments, Channel::MinuteLine, Channel::Sectors];

fn each(check: impl Fn(&dyn source::Source, &Conversation)) {
    for source in SOURCES {
        for seed in 1..4 {
            println!("{} seed {seed}", source.spec().name);
            check(*source, &conformance::converse(*source, seed, 30_000));
        }
    }
}

#[test]
fn every_spec_is_complete() {
    for source in SOURCES {
        conformance::spec_is_complete(*source);
    }
}

#[test]
fn every_channel_of_every_source_is_fed_and_read() {
    each(|source, talk| conformance::every_channel_is_fed(source, talk, RARE));
}

#[test]
fn every_book_equals_its_simulators() {
    each(|source, talk| {
        // Some sources tell no whole books.
        if source.spec().channel(Channel::Book).is_some() {
            conformance::books_equal_the_simulators(talk);
        }
    });
}

#[test]
fn the_same_inputs_give_the_same_actions() {
    each(conformance::the_same_inputs_give_the_same_actions);
}

#[test]
fn damaged_frames_never_panic() {
    each(|source, talk| conformance::damaged_frames_never_panic(source, talk, 7, 20_000));
}

#[test]
fn an_unknown_key_is_noticed_and_harms_nothing() {
    each(conformance::an_unknown_key_is_noticed_and_harms_nothing);
}

#[test]
fn what_another_connection_told_may_be_passed_over_as_if_it_had_been_read() {
    for source in SOURCES {
        let mut passed_over = conformance::Passed::new();
        for seed in 1..4 {
            let talk = conformance::converse(*source, seed, 30_000);
            for heard in &talk.heard {
                for (channel, count) in conformance::what_was_heard_may_be_passed_over(*source, heard, seed) {
                    *passed_over.entry(channel).or_default() += count;
                }
                conformance::damaged_frames_may_be_passed_over(*source, heard, seed, 5_000);
            }
        }
        println!("{}: passed over {passed_over:?}", source.spec().name);
    }
}
