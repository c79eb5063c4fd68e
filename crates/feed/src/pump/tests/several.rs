//! Several connections that carry the same.

use super::*;

/// Two connections that carry the same, both with the book at 10.
fn two() -> (World, Conn, Conn) {
    let mut world = World::wide(2, None);
    let io = std::mem::take(&mut world.out.io);
    let conns: Vec<Conn> =
        io.iter().filter_map(|io| if let Io::Open { conn, .. } = io { Some(*conn) } else { None }).collect();
    for conn in &conns {
        world.on(In::Opened { conn: *conn });
        world.say(*conn, "ack");
        world.say(*conn, "snap 10");
    }
    assert_eq!(world.told(), ["snap 10 epoch 1"]);
    (world, conns[0], conns[1])
}

#[test]
fn of_two_copies_the_first_is_told_whoever_brings_it() {
    let (mut world, a, b) = two();
    for (conn, frame) in [
        (a, "delta 10 11"),
        (b, "delta 10 11"),
        (b, "delta 11 12"),
        (b, "delta 12 13"),
        (a, "delta 11 12"),
        (a, "delta 12 13"),
        (a, "delta 13 14"),
    ] {
        world.say(conn, frame);
    }
    assert_eq!(
        world.told(),
        ["delta 11 epoch 1", "delta 12 epoch 1", "delta 13 epoch 1", "delta 14 epoch 1"]
    );
    let sides: Vec<_> = world.pump.sides().map(|(_, c)| (c.first, c.late)).collect();
    assert_eq!(sides, [(2, 2), (2, 2)]);
}

#[test]
fn a_book_that_one_connection_loses_goes_on_by_the_other() {
    let (mut world, a, b) = two();
    for (conn, frame) in [(a, "delta 10 11"), (a, "delta 11 12"), (b, "delta 10 11")] {
        world.say(conn, frame);
    }
    world.on(In::Closed { conn: a, why: "cut" });
    // The other is behind: what it brings is known until it stands where the first stood.
    world.say(b, "delta 11 12");
    world.say(b, "delta 12 13");
    assert_eq!(world.told(), ["delta 11 epoch 1", "delta 12 epoch 1", "delta 13 epoch 1"]);
    assert_eq!(world.pump.sides().map(|(_, c)| c.healed).sum::<u64>(), 1);
}

#[test]
fn what_one_connection_has_told_is_not_read_again_by_another() {
    let (mut world, a, b) = two();
    world.facts();
    let read = |world: &mut World, conn, frames: &[&str]| {
        let before = world.pump.counters().unknown;
        for frame in frames {
            world.say(conn, frame);
        }
        world.pump.counters().unknown - before
    };
    let frames = ["delta 10 11 loud", "trade 7 loud", "delta 11 12 loud", "trade 9 loud"];
    assert_eq!(read(&mut world, a, &frames), 4);
    assert_eq!(read(&mut world, b, &frames), 0);
    assert_eq!(read(&mut world, b, &["trade 8 loud", "delta 12 13 loud"]), 2);
    assert_eq!(read(&mut world, a, &["trade 8 loud", "delta 12 13 loud"]), 0);
    let (trades, book) = (["trade 7", "trade 8", "trade 9"], ["delta 11", "delta 12", "delta 13"]);
    let told = world.told();
    let of = |word: &str| told.iter().filter(|t| t.starts_with(word)).cloned().collect::<Vec<_>>();
    assert_eq!(of("trade"), trades);
    assert_eq!(of("delta"), book.map(|text| format!("{text} epoch 1")));
    let late: std::collections::BTreeMap<usize, u64> = world.pump.sides().map(|(n, c)| (n, c.late)).collect();
    assert_eq!(late, [(0, 2), (1, 5)].into(), "the snapshot of the second counts too");
    // One that has lost the book reads all there is, and one that is alone too.
    world.say(b, "delta 20 21 loud");
    assert_eq!(read(&mut world, b, &["delta 13 14 loud"]), 1);
    world.on(In::Closed { conn: b, why: "cut" });
    assert_eq!(read(&mut world, a, &["delta 13 14 loud", "trade 9 loud"]), 2);
}

#[test]
fn a_state_that_does_not_stand_is_waited_for_from_the_other_and_only_its_bringer_starts_again() {
    let (mut world, a, b) = two();
    for (conn, frame) in [(a, "delta 10 11"), (a, "wrong 11 12"), (a, "delta 12 13"), (b, "delta 10 11")] {
        world.say(conn, frame);
    }
    assert_eq!(world.told(), ["delta 11 epoch 1"], "nothing is said of what was wrong");
    for frame in ["delta 11 12", "delta 12 13"] {
        world.say(b, frame);
    }
    assert_eq!(world.told(), ["delta 12 epoch 1", "delta 13 epoch 1"]);
    assert_eq!((world.pump.counters().resyncs, world.pump.checks().checksums_wrong), (1, 1));
    // What both bring wrongly stands nowhere.
    for (conn, frame) in [(a, "snap 13"), (b, "wrong 13 14"), (a, "wrong 13 14")] {
        world.say(conn, frame);
    }
    assert_eq!(world.told(), ["gap checksum"]);
    assert_eq!(world.pump.counters().resyncs, 3);
}

#[test]
fn a_state_that_does_not_stand_is_replaced_by_the_whole_book_of_one_that_stands_elsewhere() {
    let (mut world, a, b) = two();
    for (conn, frame) in [(b, "snap 15"), (b, "delta 15 16"), (a, "wrong 10 11")] {
        world.say(conn, frame);
    }
    assert_eq!(world.told(), ["snap 15 epoch 1", "delta 16 epoch 1"]);
    assert_eq!(world.pump.counters().resyncs, 1);
}

#[test]
fn a_book_that_stays_crossed_is_a_gap_of_all_that_followed_it() {
    let (mut world, a, b) = two();
    for (conn, frame) in [(a, "cross 10 11"), (b, "cross 10 11")] {
        world.say(conn, frame);
    }
    world.told();
    world.pass_ms(3_000);
    world.say(b, "delta 11 12");
    assert_eq!(world.told(), ["gap crossed"]);
    assert_eq!(world.pump.counters().resyncs, 2);
}

#[test]
fn one_that_comes_back_ahead_waits_until_the_book_has_come_to_where_it_stands() {
    let (mut world, a, b) = two();
    world.on(In::Closed { conn: a, why: "cut" });
    world.out.io.clear();
    world.pass_ms(1_000);
    let again = world.open();
    for (conn, frame) in [
        (again, "ack"),
        (again, "snap 12"),
        (again, "delta 12 13"),
        (b, "delta 10 11"),
        (b, "delta 11 12"),
        (again, "delta 13 14"),
        (b, "delta 12 13"),
    ] {
        world.say(conn, frame);
    }
    let told = ["delta 11 epoch 1", "delta 12 epoch 1", "delta 13 epoch 1", "delta 14 epoch 1"];
    assert_eq!(world.told(), told);
}

#[test]
fn where_the_only_one_in_step_is_lost_the_book_goes_on_by_a_snapshot_of_the_other() {
    let (mut world, a, b) = two();
    world.on(In::Closed { conn: b, why: "cut" });
    world.out.io.clear();
    world.pass_ms(1_000);
    let again = world.open();
    for frame in ["ack", "snap 15", "delta 15 16"] {
        world.say(again, frame);
    }
    assert_eq!(world.told(), [""; 0]);
    world.on(In::Closed { conn: a, why: "cut" });
    assert_eq!(world.told(), ["snap 15 epoch 1", "delta 16 epoch 1"]);
    world.on(In::Closed { conn: again, why: "cut" });
    assert_eq!(world.told(), ["gap disconnected"], "with nobody left it is a gap");
}

#[test]
fn trades_of_two_connections_come_in_order_and_once() {
    let (mut world, a, b) = two();
    for (conn, frame) in
        [(a, "trade 1"), (a, "trade 3"), (b, "trade 1"), (b, "trade 2"), (b, "trade 3"), (a, "trade 5")]
    {
        world.say(conn, frame);
    }
    assert_eq!(world.told(), ["trade 1", "trade 2", "trade 3"]);
    world.pass_ms(400);
    assert_eq!(world.told(), ["trade 5"], "it waits, but not for ever");
    world.say(b, "trade 4");
    assert_eq!(world.told(), ["trade 4"]);
}

#[test]
fn one_that_has_not_seen_the_venue_start_its_numbers_again_waits_until_it_has() {
    let (mut world, a, b) = two();
    let again = ["delta 10 12", "delta 12 30", "delta 30 5", "delta 5 12", "delta 12 4", "delta 4 12"];
    for frame in again {
        world.say(a, frame);
    }
    assert_eq!(world.told().len(), again.len());
    // The book stands at 12, and so did this one twice before.
    for frame in again {
        world.say(b, frame);
    }
    assert_eq!(world.told(), [""; 0]);
    world.say(b, "delta 12 13");
    assert_eq!(world.told(), ["delta 13 epoch 1"]);
    assert_eq!(world.pump.counters().resyncs, 0);
    // One that says it started elsewhere holds another book.
    for (conn, frame) in [(a, "delta 12 13"), (a, "delta 13 2"), (b, "delta 13 3"), (b, "delta 2 6")] {
        world.say(conn, frame);
    }
    assert_eq!(world.told(), ["delta 2 epoch 1"]);
    assert_eq!(world.pump.counters().resyncs, 1);
}
