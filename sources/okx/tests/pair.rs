//! Session and simulator joined in memory: whatever happens on the way, every book ends as the venue's.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use model::{Body, Channel, Decimal, Status};
use okx::Okx;
use source::pair::{Fate, Pair, START};
use source::{Fault, Options, SimControl, SimSetup, Source, conformance};
use std::collections::BTreeMap;

fn setup(seed: u64) -> SimSetup {
    SimSetup { seed, start: START, moves_per_s: 200, ..SimSetup::default() }
}

fn pair(setup: &SimSetup, channels: &[Channel]) -> Pair {
    let mut pair = Pair::new(&Okx, setup, channels, &Options::default());
    pair.seen.verify = Some(common::verify);
    pair
}

/// Lets everything settle, then compares.
fn settle(pair: &mut Pair, ms: u64) {
    pair.fate = Box::new(|_| Fate::Arrive);
    pair.run_ms(ms);
    pair.control(SimControl::Pause(true));
    pair.run_ms(500);
    pair.assert_books();
}

fn is_update(bytes: &[u8]) -> bool {
    String::from_utf8_lossy(bytes).contains(r#""action":"update""#)
}

#[test]
fn an_undisturbed_half_minute_gives_the_venues_books_without_a_gap() {
    for seed in [0, 1, 2, 3, 5, 9, 777, 1_777] {
        println!("seed {seed}");
        let mut pair = pair(&setup(seed), &Channel::ALL);
        pair.run_ms(30_000);
        settle(&mut pair, 0);
        let seen = &pair.seen;
        assert!(seen.gaps.is_empty(), "{:?}", seen.gaps);
        assert_eq!((seen.malformed, &seen.unknown, &seen.closes), (0, &Vec::new(), &Vec::new()));
        assert_eq!(seen.asked, seen.acked);
        assert_eq!(seen.refused, Vec::<String>::new());
        assert_eq!(seen.checksums > 0, seed % 4 == 1);
        let books = pair.fetched.iter().filter(|(_, path)| path.contains("/market/books")).count();
        assert_eq!(books > 0, seed % 1_000 == 777);
        for channel in Channel::ALL {
            let offered = Okx.spec().channel(channel).is_some();
            assert_eq!(seen.count(channel) > 0, offered, "{}", channel.name());
        }
        for (_, ids) in seen.numbers() {
            assert!(ids.windows(2).all(|w| w[1] == w[0] + 1));
        }
    }
}

#[test]
fn a_lost_repeated_swapped_or_cut_update_is_a_gap_and_heals() {
    for (n, fate) in [Fate::Lose, Fate::Repeat, Fate::Late, Fate::Cut].into_iter().enumerate() {
        for seed in 0..8 {
            println!("seed {seed}, {fate:?}");
            let mut pair = pair(&setup(seed), &[Channel::Book, Channel::Trades]);
            pair.run_ms(3_000);
            let mut count = 0;
            pair.fate = Box::new(move |bytes| {
                count += u32::from(is_update(bytes));
                if is_update(bytes) && count == 5 + n as u32 { fate } else { Fate::Arrive }
            });
            pair.run_ms(2_000);
            settle(&mut pair, 15_000);
            let gaps: usize = pair.seen.gaps.values().sum();
            // A swap across two books does no harm.
            assert!(gaps >= 1 || fate == Fate::Late, "{:?}", pair.seen.gaps);
            assert_eq!(pair.seen.malformed, usize::from(fate == Fate::Cut));
            assert!(pair.sent.len() < 10, "{:?}", pair.sent);
        }
    }
}

#[test]
fn steady_loss_makes_no_storm_of_requests() {
    let mut pair = pair(&setup(3), &[Channel::Book]);
    let mut count = 0_u32;
    pair.fate = Box::new(move |bytes| {
        count += u32::from(is_update(bytes));
        if is_update(bytes) && count.is_multiple_of(10) { Fate::Lose } else { Fate::Arrive }
    });
    pair.run_ms(300_000);
    println!("{} requests, {:?}", pair.sent.len(), pair.seen.gaps);
    assert!(pair.sent.len() < 200);
    settle(&mut pair, 400_000);
}

#[test]
fn ratios_are_told_once_in_five_minutes_also_where_the_venue_limits_questions() {
    let mut pair = pair(&setup(8), &[Channel::LongShortRatio]);
    pair.control(SimControl::RateLimit(2));
    pair.run_ms(60_000);
    let heard = |pair: &Pair| pair.seen.count(Channel::LongShortRatio);
    let lanes = heard(&pair);
    assert_eq!((lanes, pair.seen.acked), (5, 5), "three swaps, two futures");
    pair.run_ms(840_000);
    assert_eq!(heard(&pair), lanes * 4, "three periods ended");
    assert!(pair.fetched.len() > 7 * lanes, "the venue is asked more often than it has news");
    assert_eq!((pair.seen.malformed, pair.sent.len()), (0, 0));
}

#[test]
fn a_status_is_told_at_the_beginning_and_where_it_changes() {
    let mut pair = Pair::new(&Okx, &setup(2), &[], &Options::default());
    pair.seen.keep = true;
    let wants = pair.wants(&[Channel::Status]);
    pair.subscribe(&wants);
    pair.run_ms(190_000);
    let mut told: BTreeMap<String, Vec<Status>> = BTreeMap::new();
    for event in &pair.seen.kept {
        if let Body::Status(status) = &event.body {
            told.entry(event.instrument.symbol.to_string()).or_default().push(status.clone());
        }
    }
    let option = told.remove("ETH-USD-261225-100000-P");
    let (on, off) = (Status::Trading, Status::Halted);
    assert_eq!(option, Some(vec![on.clone(), off.clone(), on.clone(), off, on.clone()]));
    assert_eq!(told.len(), pair.instruments.len() - 1);
    assert!(told.values().all(|told| *told == [on.clone()]), "{told:?}");
}

#[test]
fn a_silent_venue_is_pinged_then_left() {
    let mut pair = pair(&setup(2), &[Channel::Book]);
    pair.run_ms(3_000);
    pair.fate = Box::new(|_| Fate::Lose);
    pair.run_ms(27_000);
    assert!(pair.sent.iter().any(|s| s == "ping"));
    assert_eq!(pair.seen.closes.len(), 1);
    assert_eq!(pair.seen.closes[0].0, Fault::Stale);
    assert_eq!(pair.seen.gaps.get("disconnected"), Some(&pair.sim.books().len()));
    settle(&mut pair, 20_000);
}

#[test]
fn a_quiet_market_stays_connected_by_pings() {
    let mut pair = pair(&setup(2), &[Channel::Trades]);
    pair.control(SimControl::Pause(true));
    pair.run_ms(300_000);
    assert_eq!(pair.seen.closes, Vec::new());
    assert!(pair.sent.iter().filter(|s| *s == "ping").count() >= 10);
}

#[test]
fn a_quiet_book_is_kept_alive_without_a_gap() {
    let mut pair = pair(&setup(5), &[Channel::Book]);
    pair.run_ms(2_000);
    pair.control(SimControl::Pause(true));
    pair.run_ms(200_000);
    pair.control(SimControl::Pause(false));
    settle(&mut pair, 5_000);
    assert!(pair.seen.gaps.is_empty());
}

#[test]
fn the_end_of_a_connection_is_planned_and_books_come_back() {
    let mut pair = pair(&SimSetup { lifetime_ms: Some(40_000), ..setup(6) }, &[Channel::Book]);
    pair.run_ms(30_000);
    assert_eq!(pair.seen.closes.len(), 1);
    assert_eq!(pair.seen.closes[0].0, Fault::Planned);
    pair.control(SimControl::CloseAll);
    assert_eq!(pair.seen.closes.len(), 2);
    settle(&mut pair, 5_000);
}

#[test]
fn refused_lanes_are_asked_for_again_later() {
    let mut pair = pair(&setup(4), &[Channel::Book, Channel::Trades]);
    pair.control(SimControl::RefuseSubscriptions(5));
    pair.run_ms(20_000);
    assert_eq!(pair.seen.refused.len(), 5);
    assert!(pair.seen.refused[0].starts_with("60018: "));
    assert!(pair.seen.acked > 0);
    settle(&mut pair, 60_000);
    assert_eq!(pair.seen.asked, pair.seen.acked + 5);
}

#[test]
fn late_snapshots_and_limited_rest_only_delay_the_start() {
    for seed in [2, 777, 2_777] {
        println!("seed {seed}");
        let mut pair = pair(&setup(seed), &[Channel::Book]);
        pair.run_ms(5_000);
        pair.control(SimControl::LateSnapshots(10));
        pair.control(SimControl::RateLimit(3));
        let books = pair.sim.books().len();
        pair.control(SimControl::CloseAll);
        settle(&mut pair, 90_000);
        let gaps = pair.seen.gaps.clone();
        assert_eq!(gaps.get("disconnected"), Some(&books), "{gaps:?}");
    }
}

#[test]
fn the_engine_may_order_a_new_start() {
    let mut pair = pair(&setup(9), &[Channel::Book]);
    pair.run_ms(3_000);
    let id = pair.sim.books()[0].instrument.id;
    pair.engine_resync(id);
    settle(&mut pair, 2_000);
    assert!(pair.seen.gaps.is_empty());
    assert_eq!(pair.sent.len(), 3);
}

#[test]
fn any_mix_of_faults_ends_with_the_venues_books() {
    for seed in [11, 13, 777, 42] {
        println!("seed {seed}");
        let mut pair = pair(&setup(seed), &[Channel::Book, Channel::Trades, Channel::Quote]);
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        pair.fate = Box::new(move |bytes| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            match state % 400 {
                _ if bytes == b"pong" => Fate::Arrive,
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

/// Everything until the markets stand still holds, and they move again.
fn compare(pair: &mut Pair) {
    settle(pair, 1_000);
    pair.control(SimControl::Pause(false));
}

#[test]
fn a_tick_that_gets_finer_is_told_and_the_book_goes_on() {
    for seed in 0..4 {
        let mut pair = pair(&setup(seed), &[Channel::Book, Channel::Trades, Channel::Instruments]);
        pair.seen.keep = true;
        pair.run_ms(60_000);
        compare(&mut pair);
        assert!(pair.seen.gaps.is_empty(), "seed {seed}: {:?}", pair.seen.gaps);
        let told = pair.seen.kept.iter().filter(|e| matches!(e.body, Body::Instrument));
        let mut ticks = told.filter(|e| *e.instrument.symbol == *"BTC-USDT-SWAP").map(|e| e.instrument.tick);
        assert_eq!(ticks.next(), Some(Some(Decimal::new(1, 3))), "seed {seed}");
        let news = pair.relist();
        assert!(news.iter().any(|i| *i.symbol == *"BTC-USDT-SWAP" && i.px_scale == 3));
        pair.run_ms(2_000);
        compare(&mut pair);
        assert!(pair.seen.gaps.is_empty(), "seed {seed}: {:?}", pair.seen.gaps);
    }
}

#[test]
fn a_tick_that_gets_finer_unheard_widens_the_definition_and_the_book_goes_on() {
    for seed in 0..4 {
        let mut pair = pair(&setup(seed), &[Channel::Book]);
        pair.run_ms(60_000);
        compare(&mut pair);
        assert!(pair.seen.gaps.is_empty(), "seed {seed}: {:?}", pair.seen.gaps);
    }
}

#[test]
fn what_is_listed_while_trading_can_be_wanted_and_what_is_delisted_is_closed() {
    let mut pair = pair(&setup(6), &[Channel::Book, Channel::Status]);
    pair.seen.keep = true;
    pair.run_ms(71_000);
    let new: Vec<_> = pair.relist().into_iter().filter(|i| *i.symbol == *"XRP-USDT").collect();
    assert_eq!((new.len(), &new[0].status), (1, &Status::PreOpen));
    let mut wants = pair.wants(&[Channel::Book, Channel::Status]);
    wants.retain(|want| want.instrument.id == new[0].id);
    pair.subscribe(&wants);
    pair.run_ms(20_000);
    compare(&mut pair);
    let books = pair.sim.books().len();
    assert_eq!(pair.right_books(), books);
    pair.run_ms(60_000);
    compare(&mut pair);
    let told = pair.seen.kept.iter().filter(|e| e.instrument.id == new[0].id);
    let status = |event: &model::Event| match &event.body {
        Body::Status(status) => Some(status.clone()),
        _ => None,
    };
    let told: Vec<_> = told.filter_map(status).collect();
    assert_eq!(told, [Status::PreOpen, Status::Trading, Status::Closed]);
    assert_eq!(pair.sim.books().len(), books - 1, "the venue has its book no longer");
    assert!(pair.relist().iter().any(|i| i.id == new[0].id && i.status == Status::Closed));
}

#[test]
fn what_another_connection_told_is_passed_over_as_if_it_had_been_read() {
    conformance::copies_are_passed_over(&Okx, &[Channel::Trades, Channel::Book]);
}
