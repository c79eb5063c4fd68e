//! Session and simulator joined in memory: whatever happens on the way, every book ends as the venue's.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panic")]

use deribit::Deribit;
use model::{Body, Channel, LaneFact};
use source::pair::{Fate, Pair, START};
use source::{Fault, Login, Options, SimControl, SimSetup, Source, Want, conformance};

fn setup(seed: u64) -> SimSetup {
    SimSetup { seed, start: START, moves_per_s: 200, ..SimSetup::default() }
}

fn login(secret: &str) -> Options {
    let login = Login { key: "key".to_owned(), secret: secret.to_owned() };
    Options { login: Some(login), ..Options::default() }
}

fn pair_with(setup: &SimSetup, channels: &[Channel], options: &Options) -> Pair {
    Pair::new(&Deribit, setup, channels, options)
}

fn pair(setup: &SimSetup, channels: &[Channel]) -> Pair {
    pair_with(setup, channels, &Options::default())
}

/// Lets everything settle, then compares.
fn settle(pair: &mut Pair, ms: u64) {
    pair.fate = Box::new(|_| Fate::Arrive);
    pair.run_ms(ms);
    pair.control(SimControl::Pause(true));
    pair.run_ms(4_000);
    pair.assert_books();
}

fn is_change(bytes: &[u8]) -> bool {
    String::from_utf8_lossy(bytes).contains(r#""type":"change""#)
}

/// How many trades came with each number one more than the one before.
fn assert_trades_count_by_one(pair: &Pair) {
    for (_, ids) in pair.seen.numbers() {
        assert!(ids.windows(2).all(|w| w[1] == w[0] + 1), "{ids:?}");
    }
}

#[test]
fn an_undisturbed_half_minute_gives_the_venues_books_without_a_gap() {
    for seed in [0, 1, 2, 3, 5, 9] {
        println!("seed {seed}");
        let setup = SimSetup { instruments: 4, ..setup(seed) };
        let mut pair = pair(&setup, &Channel::ALL);
        pair.run_ms(61_000);
        settle(&mut pair, 0);
        let seen = &pair.seen;
        assert!(seen.gaps.is_empty(), "{:?}", seen.gaps);
        assert_eq!((seen.malformed, &seen.unknown, &seen.closes), (0, &Vec::new(), &Vec::new()));
        assert_eq!(seen.asked, seen.acked);
        assert_eq!(seen.refused, Vec::<String>::new());
        for channel in Channel::ALL {
            // Definitions are told where they change.
            let offered = Deribit.spec().channel(channel).is_some();
            let fed = offered && channel != Channel::Instruments;
            assert_eq!(seen.count(channel) > 0, fed, "{}", channel.name());
        }
        assert_trades_count_by_one(&pair);
    }
}

#[test]
fn every_pace_gives_the_venues_books() {
    let slow = Options { book_ms: 500, ..Options::default() };
    for (options, pace) in [(Options::default(), "100ms"), (slow, "agg2"), (login("secret"), "raw")] {
        let mut pair = pair_with(&setup(4), &[Channel::Book, Channel::Trades], &options);
        pair.run_ms(20_000);
        settle(&mut pair, 0);
        assert!(pair.seen.gaps.is_empty(), "{pace}: {:?}", pair.seen.gaps);
        assert_eq!(pair.seen.asked, pair.seen.acked, "{pace}");
        assert!(pair.seen.books.deltas > 100, "{pace}");
        let asked = pair.sent.iter().any(|s| s.contains(&format!("book.BTC-PERPETUAL.{pace}\"")));
        assert!(asked, "{pace}: {:?}", pair.sent);
        assert_trades_count_by_one(&pair);
    }
}

#[test]
fn a_refused_login_goes_on_with_what_needs_none() {
    let mut pair = pair_with(&setup(4), &[Channel::Book], &login("wrong"));
    pair.run_ms(5_000);
    settle(&mut pair, 0);
    assert!(pair.sent.iter().all(|s| !s.contains(".raw")), "{:?}", pair.sent);
    assert!(pair.seen.refused.is_empty() && pair.seen.books.deltas > 0);
}

#[test]
fn an_unanswered_login_is_waited_for_ten_seconds() {
    let mut pair = pair_with(&setup(4), &[Channel::Book], &login("secret"));
    pair.fate = Box::new(|bytes| {
        if String::from_utf8_lossy(bytes).contains("refresh_token") { Fate::Lose } else { Fate::Arrive }
    });
    pair.run_ms(9_000);
    assert_eq!(pair.seen.asked, 0);
    settle(&mut pair, 3_000);
    assert!(pair.sent.iter().any(|s| s.contains(".100ms")));
}

#[test]
fn a_login_is_made_anew_before_it_ends() {
    let mut pair = pair_with(&setup(4), &[Channel::Trades], &login("secret"));
    pair.run_ms(1_500_000);
    let logins: Vec<&String> = pair.sent.iter().filter(|s| s.contains("public/auth")).collect();
    assert_eq!(logins.len(), 3, "{logins:?}");
    assert!(logins[0].contains("client_credentials") && logins[2].contains(r#""refresh_token":"refresh."#));
    assert!(pair.seen.closes.is_empty(), "{:?}", pair.seen.closes);
}

#[test]
fn a_lost_repeated_swapped_or_cut_change_is_a_gap_and_heals() {
    for (n, fate) in [Fate::Lose, Fate::Repeat, Fate::Late, Fate::Cut].into_iter().enumerate() {
        for seed in 0..8 {
            println!("seed {seed}, {fate:?}");
            let mut pair = pair(&setup(seed), &[Channel::Book, Channel::Trades]);
            pair.run_ms(5_000);
            let before = pair.sent.len();
            let mut count = 0;
            pair.fate = Box::new(move |bytes| {
                count += u32::from(is_change(bytes));
                if is_change(bytes) && count == 5 + n as u32 { fate } else { Fate::Arrive }
            });
            pair.run_ms(2_000);
            settle(&mut pair, 15_000);
            let gaps: usize = pair.seen.gaps.values().sum();
            // A swap across two books does no harm.
            assert!(gaps == 1 || (fate == Fate::Late && gaps == 0), "{:?}", pair.seen.gaps);
            assert_eq!(pair.seen.malformed, usize::from(fate == Fate::Cut));
            let calls: Vec<&String> =
                pair.sent.iter().skip(before).filter(|s| s.contains("channels")).collect();
            assert_eq!(calls.len(), gaps * 2, "{calls:?}");
            assert!(calls.iter().all(|call| call.matches("book.").count() == 1), "{calls:?}");
        }
    }
}

#[test]
fn steady_loss_makes_no_storm_of_requests() {
    let mut pair = pair(&setup(3), &[Channel::Book]);
    let mut count = 0_u32;
    pair.fate = Box::new(move |bytes| {
        count += u32::from(is_change(bytes));
        if is_change(bytes) && count.is_multiple_of(10) { Fate::Lose } else { Fate::Arrive }
    });
    pair.run_ms(300_000);
    println!("{} requests, {:?}", pair.sent.len(), pair.seen.gaps);
    assert!(pair.sent.len() < 450);
    settle(&mut pair, 400_000);
}

#[test]
fn a_silent_venue_is_asked_then_left() {
    let mut pair = pair(&setup(2), &[Channel::Book]);
    pair.run_ms(5_000);
    pair.fate = Box::new(|_| Fate::Lose);
    pair.run_ms(17_500);
    assert_eq!(pair.seen.closes.len(), 1, "{:?}", pair.seen.closes);
    assert_eq!(pair.seen.closes[0].0, Fault::Stale);
    assert_eq!(pair.seen.gaps.get("disconnected"), Some(&pair.sim.books().len()));
    settle(&mut pair, 20_000);
}

#[test]
fn a_quiet_market_stays_connected_by_heartbeats() {
    let mut pair = pair(&setup(2), &[Channel::Trades]);
    pair.control(SimControl::Pause(true));
    pair.run_ms(300_000);
    assert_eq!(pair.seen.closes, Vec::new());
    assert!(pair.sent.iter().filter(|s| s.contains("public/test")).count() >= 25);
}

#[test]
fn the_end_of_a_connection_is_a_gap_and_books_come_back() {
    let mut pair =
        pair(&SimSetup { lifetime_ms: Some(40_000), ..setup(6) }, &[Channel::Book, Channel::Status]);
    pair.run_ms(41_000);
    assert_eq!(pair.seen.closes, [(Fault::Protocol, "venue: 1001 maintenance".to_owned())]);
    pair.run_ms(3_000);
    pair.control(SimControl::CloseAll);
    pair.run_ms(3_000);
    assert_eq!(pair.seen.gaps.get("disconnected"), Some(&(2 * pair.sim.books().len())));
    settle(&mut pair, 5_000);
}

#[test]
fn refused_lanes_are_asked_for_again_later() {
    let mut pair = pair(&setup(4), &[Channel::Book, Channel::Trades]);
    pair.control(SimControl::RefuseSubscriptions(5));
    pair.run_ms(20_000);
    assert_eq!(pair.seen.refused.len(), 5);
    assert!(pair.seen.refused[0].starts_with("left out"), "{:?}", pair.seen.refused);
    assert!(pair.seen.acked > 0);
    settle(&mut pair, 60_000);
    assert_eq!(pair.seen.asked, pair.seen.acked + 5);
}

#[test]
fn late_snapshots_are_followed_by_what_changed_since() {
    for seed in [2, 7] {
        let mut pair = pair(&setup(seed), &[Channel::Book]);
        pair.run_ms(5_000);
        pair.control(SimControl::LateSnapshots(10));
        pair.control(SimControl::CloseAll);
        settle(&mut pair, 30_000);
        let gaps = pair.seen.gaps.clone();
        assert_eq!(gaps.get("disconnected"), Some(&pair.sim.books().len()), "{gaps:?}");
    }
}

#[test]
fn the_engine_may_order_a_new_start() {
    let mut pair = pair(&setup(9), &[Channel::Book]);
    pair.run_ms(5_000);
    let before = pair.sent.len();
    let id = pair.sim.books()[0].instrument.id;
    pair.engine_resync(id);
    settle(&mut pair, 2_000);
    assert!(pair.seen.gaps.is_empty());
    let calls: Vec<&String> = pair.sent.iter().skip(before).filter(|s| s.contains("channels")).collect();
    assert_eq!(calls.len(), 2, "{calls:?}");
}

#[test]
fn wants_come_and_go_while_the_rest_is_undisturbed() {
    let mut pair = pair(&setup(5), &[Channel::Book]);
    pair.seen.keep = true;
    pair.run_ms(5_000);
    let instrument = pair.instruments[0].clone();
    let want = |channel| Want { instrument: instrument.clone(), channel };
    let before = pair.sent.len();
    pair.subscribe(&[want(Channel::MarkPrice), want(Channel::OpenInterest), want(Channel::Status)]);
    pair.run_ms(5_000);
    let calls = |pair: &Pair, from: usize| -> Vec<String> {
        pair.sent.iter().skip(from).filter(|s| s.contains("channels")).cloned().collect()
    };
    // One ticker feeds all three; each is asked for once.
    assert_eq!(calls(&pair, before).concat().matches("ticker.").count(), 1);
    for channel in [Channel::MarkPrice, Channel::OpenInterest, Channel::Status] {
        assert!(pair.seen.count(channel) > 0, "{}", channel.name());
    }
    let before = pair.sent.len();
    pair.unsubscribe(&[want(Channel::MarkPrice)]);
    assert_eq!(calls(&pair, before), Vec::<String>::new(), "the ticker is still needed");
    let marks = pair.seen.count(Channel::MarkPrice);
    pair.run_ms(3_000);
    assert_eq!(pair.seen.count(Channel::MarkPrice), marks);
    pair.unsubscribe(&[want(Channel::OpenInterest), want(Channel::Status), want(Channel::Book)]);
    let last = calls(&pair, before).concat();
    assert!(
        last.contains("public/unsubscribe") && last.contains("ticker.") && last.contains("book."),
        "{last}"
    );
    assert_eq!(pair.seen.dropped, 4);
    pair.subscribe(&[want(Channel::Book)]);
    settle(&mut pair, 3_000);
    assert!(pair.seen.gaps.is_empty(), "{:?}", pair.seen.gaps);
    let snapshots = |e: &&model::Event| matches!(e.body, Body::Snapshot(_)) && e.channel == Channel::Book;
    let of = |e: &&model::Event| e.instrument.id == instrument.id;
    assert_eq!(pair.seen.kept.iter().filter(snapshots).filter(of).count(), 2);
    let others = pair.seen.kept.iter().filter(snapshots).count() - 2;
    assert_eq!(others, pair.instruments.len() - 1, "nothing else began again");
    assert!(pair.seen.kept.iter().any(|e| e.body == Body::Lane(LaneFact::Dropped)));
}

#[test]
fn any_mix_of_faults_ends_with_the_venues_books() {
    for seed in [11, 13, 777, 42] {
        println!("seed {seed}");
        let options = if seed == 13 { login("secret") } else { Options::default() };
        let channels = [Channel::Book, Channel::Trades, Channel::Quote, Channel::Status];
        let mut pair = pair_with(&setup(seed), &channels, &options);
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        pair.fate = Box::new(move |_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            match state % 400 {
                0 => Fate::Lose,
                1 => Fate::Repeat,
                2 => Fate::Cut,
                3 => Fate::Late,
                _ => Fate::Arrive,
            }
        });
        for step in 0..6 {
            pair.run_ms(5_000);
            match (seed + step) % 7 {
                0 => pair.control(SimControl::LateSnapshots(step as u32 * 3)),
                1 => pair.control(SimControl::RefuseSubscriptions(4)),
                2 => pair.control(SimControl::RateLimit(3)),
                3 => pair.control(SimControl::CloseAll),
                _ => {}
            }
        }
        pair.control(SimControl::LateSnapshots(0));
        pair.control(SimControl::RefuseSubscriptions(0));
        settle(&mut pair, 200_000);
    }
}

#[test]
fn what_another_connection_told_is_passed_over_as_if_it_had_been_read() {
    conformance::copies_are_passed_over(&Deribit, &[Channel::Trades, Channel::Book]);
}
