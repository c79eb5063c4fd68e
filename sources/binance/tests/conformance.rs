//! The suite that every source passes, for this one alone.

use binance::Binance;
use model::Channel;
use source::conformance::{self, Conversation};

/// Forced orders are rare; definitions come by the listing.
const RARE: &[Channel] = &[Channel::Liquidations, Channel::Instruments];

fn each(check: impl Fn(&Conversation)) {
    for seed in 1..4 {
        println!("seed {seed}");
        check(&conformance::converse(&Binance, seed, 30_000));
    }
}

#[test]
fn the_spec_is_complete() {
    conformance::spec_is_complete(&Binance);
}

#[test]
fn every_channel_is_fed_and_every_book_is_the_simulators() {
    each(|talk| {
        conformance::every_channel_is_fed(&Binance, talk, RARE);
        conformance::books_equal_the_simulators(talk);
    });
}

#[test]
fn the_same_inputs_give_the_same_actions() {
    each(|talk| conformance::the_same_inputs_give_the_same_actions(&Binance, talk));
}

#[test]
fn damaged_frames_never_panic() {
    each(|talk| conformance::damaged_frames_never_panic(&Binance, talk, 7, 20_000));
}

#[test]
fn an_unknown_key_is_noticed_and_harms_nothing() {
    each(|talk| conformance::an_unknown_key_is_noticed_and_harms_nothing(&Binance, talk));
}

#[test]
fn what_another_connection_told_is_passed_over_as_if_it_had_been_read() {
    conformance::copies_are_passed_over(&Binance, &[Channel::Trades, Channel::AggTrades, Channel::Book]);
}
