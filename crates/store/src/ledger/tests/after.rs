//! What the store, the platform, the market and repairs make of lanes.

use super::*;
use model::ashare::{self, Code as Share};

#[test]
fn what_the_store_lost_is_a_gap_of_every_lane_unless_numbers_go_on() {
    let mut world = counted();
    world.ask(Channel::Quote, Proof::None);
    world.ask(Channel::Book, Proof::Sequence);
    world.at(1_400).quote();
    world.snapshot(Some(5));
    let lost = |mut world: World, book: u64, trade: u64| {
        world.lose(10);
        world.at(2_000).quote();
        world.delta(book, 9);
        world.trade(trade);
        world
    };
    let whole = lost(world, 5, 12);
    assert_eq!(
        whole.short(Channel::Quote)[1..],
        ["unprovable 1300-1400", "gap(store) 1400-2000", "unprovable 2000-2000"]
    );
    assert_eq!(whole.short(Channel::Book)[1..], ["complete(sequence) 1400-2000 5..9"]);
    assert_eq!(whole.short(Channel::Trades)[2..], ["complete(sequence) 1200-2000 10..12"]);
    let holed = lost(whole, 7, 20);
    assert_eq!(holed.short(Channel::Book)[2..], ["gap(store) 2000-2000 9.."], "until a snapshot");
    assert_eq!(
        holed.short(Channel::Trades)[3..],
        ["gap(store) 2000-2000 12..20", "complete(sequence) 2000-2000 20..20"]
    );
    // Bytes that do not read are another cause.
    let mut damaged = holed;
    damaged.number += 3;
    damaged.ledger.found(&Found::Hole { epoch: damaged.epoch, from: 1, to: damaged.number });
    damaged.at(3_000).alive(2_900);
    assert_eq!(damaged.short(Channel::Quote).last().unwrap(), "unprovable 3000-3000");
    assert!(damaged.short(Channel::Quote).contains(&"gap(damage) 2000-3000".to_owned()));
}

#[test]
fn a_platform_that_did_not_run_is_a_gap_between_its_lives() {
    let mut world = counted();
    world.at(2_000).alive(1_900);
    world.again(10_000);
    world.up();
    world.at(10_100).ask(Channel::Trades, Proof::Sequence);
    assert_eq!(
        world.short(Channel::Trades)[2..],
        [
            "complete(sequence) 1200-1900 10..11",
            "gap(not_running) 1900-10000 11..",
            "gap(starting) 10000-10100",
        ]
    );
    let mut lucky =
        World { ledger: world.ledger.clone(), instrument: Arc::clone(&world.instrument), ..world };
    world.at(10_200).trade(30);
    assert_eq!(
        world.short(Channel::Trades)[3..],
        [
            "gap(not_running) 1900-10000 11..",
            "gap(starting) 10000-10200 ..30",
            "complete(sequence) 10200-10200 30..30"
        ]
    );
    lucky.at(10_200).trade(12);
    assert_eq!(lucky.short(Channel::Trades)[2..], ["complete(sequence) 1200-10200 10..12"]);
}

#[test]
fn what_nobody_wants_and_what_does_not_trade_is_closed() {
    let mut world = counted();
    world.at(2_000).tell(Channel::Status, Body::Status(Status::Halted));
    world.at(3_000).tell(Channel::Status, Body::Status(Status::Trading));
    world.at(3_500).trade(12);
    world.at(4_000).fact(Channel::Trades, LaneFact::Dropped);
    world.at(5_000).ask(Channel::Trades, Proof::Sequence);
    world.at(5_500).trade(90);
    world.at(6_000).fact(Channel::Trades, LaneFact::Refused("no".into()));
    assert_eq!(
        world.short(Channel::Trades)[2..],
        [
            "complete(sequence) 1200-2000 10..11",
            "closed(not_trading) 2000-3000",
            "complete(sequence) 3000-4000 ..12",
            "closed(dropped) 4000-5000",
            "gap(starting) 5000-5000",
            "unprovable 5000-5500",
            "complete(sequence) 5500-6000 90..90",
            "gap(refused) 6000-6000 90..",
        ]
    );
}

#[test]
fn a_closed_market_is_no_gap_and_a_connection_lost_in_it_is_one_when_it_opens() {
    let mut world = World::new();
    world.instrument = Arc::new(ashare::instrument(Share::parse("600519.SH").unwrap(), ""));
    let day = ashare::instant(model::Date::parse("2026-11-20").unwrap(), 0).as_ms();
    let minute = |hour: i64, minute: i64| day + (hour * 60 + minute) * 60_000;
    world.at(minute(11, 0)).up();
    world.ask(Channel::Quote, Proof::None);
    world.at(minute(11, 20)).quote();
    world.at(minute(11, 40)).alive(minute(11, 40));
    world.at(minute(12, 30)).down();
    world.at(minute(13, 10)).quote();
    world.at(minute(15, 40)).quote();
    let rows: Vec<_> = world
        .rows(Channel::Quote)
        .iter()
        .map(|row| {
            (row.state, row.cause, (row.from_ts.as_ms() - day) / 60_000, (row.to_ts.as_ms() - day) / 60_000)
        })
        .collect();
    let at = |hour: i64, minute: i64| hour * 60 + minute;
    assert_eq!(
        rows,
        [
            ("gap", Some("starting"), at(11, 0), at(11, 0)),
            ("unprovable", None, at(11, 0), at(11, 30)),
            ("closed", Some("market"), at(11, 30), at(13, 0)),
            ("gap", Some("disconnected"), at(13, 0), at(13, 10)),
            ("unprovable", None, at(13, 10), at(15, 0)),
            ("closed", Some("market"), at(15, 0), at(15, 5)),
            ("unprovable", None, at(15, 5), at(15, 30)),
            ("closed", Some("market"), at(15, 30), at(15, 40)),
        ]
    );
}

#[test]
fn a_gap_that_is_told_while_nothing_trades_is_a_gap_from_then_on() {
    let mut world = World::new();
    world.ask(Channel::Book, Proof::Sequence);
    world.snapshot(Some(1));
    world.at(2_000).tell(Channel::Status, Body::Status(Status::Halted));
    world.at(3_000).gap(Channel::Book, GapCause::Disconnected, Some(1), None);
    world.at(4_000).tell(Channel::Status, Body::Status(Status::Trading));
    world.at(5_000).snapshot(Some(9));
    assert_eq!(
        world.short(Channel::Book)[2..],
        [
            "closed(not_trading) 2000-3000",
            "complete(sequence) 3000-3000 ..1",
            "gap(disconnected) 3000-5000 1..9",
            "complete(sequence) 5000-5000 9..9"
        ]
    );
}

#[test]
fn a_repair_splits_a_gap_into_what_is_filled_in_and_what_is_not() {
    let mut world = counted();
    world.at(5_000).trade(40);
    world.at(60_000).trade(41);
    let gap = world.ledger.drain().into_iter().find(|i| i.from_seq == Some(11)).unwrap();
    let parts = |from, to| {
        let parts = gap.repaired(Ts::from_ms(from), Ts::from_ms(to), Ts::from_ms(70_000), 7);
        parts.iter().map(|part| short(&Row::new(part, false))).collect::<Vec<_>>()
    };
    assert_eq!(parts(0, 9_000), ["gap(sequence) 1300-5000 11..40 repaired 7"]);
    assert_eq!(
        parts(2_000, 3_000),
        [
            "gap(sequence) 1300-2000 11..",
            "gap(sequence) 2000-3000 repaired 7",
            "gap(sequence) 3000-5000 ..40"
        ]
    );
    assert_eq!(parts(9_000, 10_000), ["gap(sequence) 1300-5000 11..40"]);
    let (lane, times) = (Arc::clone(&gap.lane), (Ts::from_ms(1_200), Ts::from_ms(3_000)));
    assert!(world.ledger.repaired(&lane, times.0, times.1, Ts::from_ms(70_000), 7));
    assert!(!world.ledger.repaired(&lane, times.0, times.1, Ts::from_ms(70_000), 7));
    let again = world.ledger.drain();
    assert_eq!(again.len(), 2);
    assert!(again.iter().all(|part| part.number == gap.number));
    assert_eq!(Interval::from_bytes(&gap.to_bytes()), Some(gap));
}

#[test]
fn a_log_that_is_read_again_changes_nothing() {
    let mut world = counted();
    let before = world.ledger.to_bytes();
    world.number = 0;
    world.at(9_000).trade(50);
    world.lose(1);
    assert_eq!(world.ledger.to_bytes(), before);
}

#[test]
fn what_an_earlier_version_wrote_is_in_the_life_of_its_last_event() {
    let world = counted();
    let bytes = world.ledger.to_bytes();
    let mut life = Vec::new();
    world.ledger.life.put(&mut life);
    let mut old = bytes[..bytes.len() - life.len()].to_vec();
    old[0] = 1;
    let read = Ledger::from_bytes(&old).unwrap();
    assert_eq!((read.life, read.to_bytes()), (Some(world.epoch), bytes));
    old[0] = 3;
    assert!(Ledger::from_bytes(&old).is_none());
}
