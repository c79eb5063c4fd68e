//! Lanes that begin and end while the connection goes on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use model::Channel;
use okx::Okx;
use source::pair::{Pair, START};
use source::{Options, SimControl, SimSetup};

#[test]
fn lanes_that_come_and_go_disturb_no_other() {
    for seed in [0, 1, 2, 777] {
        println!("seed {seed}");
        let setup = SimSetup { seed, start: START, moves_per_s: 200, ..SimSetup::default() };
        let base = [Channel::Book, Channel::Trades];
        let mut pair = Pair::new(&Okx, &setup, &base, &Options::default());
        pair.run_ms(5_000);
        let before = pair.seen.books.snapshots;
        let more = pair.wants(&[Channel::Quote, Channel::MarkPrice, Channel::IndexPrice, Channel::Bars]);
        pair.subscribe(&more);
        pair.run_ms(20_000);
        assert_eq!(pair.seen.books.snapshots, before, "no book begins again");
        assert!(pair.seen.count(Channel::Quote) > 0 && pair.seen.count(Channel::IndexPrice) > 0);
        pair.unsubscribe(&more);
        let books = pair.wants(&[Channel::Book]);
        pair.unsubscribe(&books[..4]);
        pair.run_ms(5_000);
        let told = |pair: &Pair| (pair.seen.count(Channel::Quote), pair.seen.count(Channel::IndexPrice));
        let then = told(&pair);
        pair.run_ms(20_000);
        assert_eq!(told(&pair), then);
        assert_eq!(pair.seen.books.live.len(), books.len() - 4);
        pair.subscribe(&books[..4]);
        pair.run_ms(8_000);
        pair.control(SimControl::Pause(true));
        pair.run_ms(500);
        pair.assert_books();
        assert_eq!(pair.seen.books.live.len(), books.len());
        assert!(pair.seen.gaps.is_empty() && pair.seen.closes.is_empty(), "{:?}", pair.seen.closes);
        for (_, ids) in pair.seen.numbers() {
            assert!(ids.windows(2).all(|w| w[1] == w[0] + 1));
        }
    }
}
