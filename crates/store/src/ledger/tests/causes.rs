//! What each kind of evidence makes of a lane.

use super::*;

#[test]
fn trades_whose_numbers_count_by_one_are_complete_from_the_first_to_the_last_sign_of_life() {
    let mut world = counted();
    assert_eq!(
        world.short(Channel::Trades),
        ["gap(starting) 1100-1100", "unprovable 1100-1200", "complete(sequence) 1200-1300 10..11"]
    );
    world.at(9_000).alive(8_000);
    assert_eq!(world.short(Channel::Trades)[2], "complete(sequence) 1200-8000 10..11");
}

#[test]
fn missing_numbers_are_a_gap_once_also_when_it_is_told_later_and_end_as_repaired() {
    let mut world = counted();
    world.at(1_400).trade(15);
    let gap = "gap(told) 1300-1400 11..15".replace("told", "sequence");
    assert_eq!(world.short(Channel::Trades)[3], gap);
    world.at(1_500).trade(13);
    assert_eq!(
        world.short(Channel::Trades)[3..5],
        [gap.replace("..15", "..13"), gap.replace("1300-1400 11..15", "1400-1400 13..15")]
    );
    world.at(3_400).gap(Channel::Trades, GapCause::Sequence, Some(11), Some(13));
    world.gap(Channel::Trades, GapCause::Sequence, Some(13), Some(15));
    world.trade(16);
    assert_eq!(world.rows(Channel::Trades).iter().filter(|row| row.state == "gap").count(), 3);
    // Long after they are final, and were drained.
    world.at(60_000).trade(17);
    let drained = world.ledger.drain();
    assert_eq!(drained.iter().filter(|i| i.state.is_gap() && i.from_seq.is_some()).count(), 2);
    let fact = |events| LaneFact::Repaired { from_seq: Some(11), to_seq: Some(13), events };
    world.fact(Channel::Trades, fact(1));
    world.fact(Channel::Trades, fact(2));
    let why = "gone".into();
    world.fact(Channel::Trades, LaneFact::Unrepaired { from_seq: Some(13), to_seq: Some(15), why });
    let again = world.ledger.drain();
    let numbers: Vec<u64> = again.iter().map(|i| i.number).collect();
    let before: Vec<u64> =
        drained.iter().filter(|i| i.from_seq.is_some() && i.state.is_gap()).map(|i| i.number).collect();
    assert_eq!(numbers, before, "the same intervals, changed");
    let words: Vec<String> = again.iter().map(|i| short(&Row::new(i, false))).collect();
    assert_eq!(
        words,
        ["gap(sequence) 1300-1400 11..13 repaired 1", "gap(sequence) 1400-1400 13..15 lost: gone",]
    );
}

#[test]
fn numbers_that_come_late_or_from_history_are_told_apart() {
    let mut world = counted();
    world.at(1_400).trade(13);
    world.at(1_450).trade(12);
    assert_eq!(world.short(Channel::Trades)[2..], ["complete(sequence) 1200-1450 10..13"]);
    world.at(1_500).trade(15);
    let filled = Trade { id: TradeId::Num(14), px: Px(1), qty: Qty(1), aggressor: None, count: 1 };
    world.at(2_000).publish(Channel::Trades, Flags::REPAIRED, Body::Trade(filled));
    assert_eq!(world.short(Channel::Trades)[3], "gap(sequence) 1450-1500 13..15");
}

#[test]
fn numbers_that_begin_again_leave_a_stretch_that_nothing_proves() {
    let mut world = counted();
    world.at(1_400).trade(5_000_000);
    world.at(1_500).trade(7);
    assert_eq!(
        world.short(Channel::Trades)[4..],
        [
            "complete(sequence) 1400-1400 5000000..5000000",
            "unprovable 1400-1500",
            "complete(sequence) 1500-1500 7..7",
        ]
    );
}

#[test]
fn a_lost_connection_is_a_gap_without_being_told_and_none_where_the_numbers_go_on() {
    let lost = |next: u64| {
        let mut world = counted();
        world.ask(Channel::Quote, Proof::None);
        world.at(2_000).quote();
        world.at(5_000).alive(4_500);
        world.at(30_000).down();
        world.at(30_500).up();
        world.at(30_600).ask(Channel::Trades, Proof::Sequence);
        world.ask(Channel::Quote, Proof::None);
        world.at(31_000).trade(next);
        world
    };
    let world = lost(14);
    assert_eq!(
        world.short(Channel::Quote),
        [
            "gap(starting) 1300-1300",
            "unprovable 1300-4500",
            "gap(disconnected) 4500-30600",
            "unprovable 30600-31000"
        ]
    );
    assert_eq!(
        world.short(Channel::Trades)[2..],
        [
            "complete(sequence) 1200-4500 10..11",
            "gap(disconnected) 4500-31000 11..14",
            "complete(sequence) 31000-31000 14..14",
        ]
    );
    assert_eq!(lost(12).short(Channel::Trades)[2..], ["complete(sequence) 1200-31000 10..12"]);
}

#[test]
fn a_book_is_complete_from_its_snapshot_and_a_gap_until_the_next_one() {
    let mut world = World::new();
    world.up();
    world.at(1_100).ask(Channel::Book, Proof::Sequence);
    world.at(1_200).snapshot(Some(5));
    world.at(1_300).delta(5, 8);
    world.at(1_400).gap(Channel::Book, GapCause::Sequence, Some(8), Some(12));
    world.at(1_500).down();
    world.at(1_600).snapshot(Some(20));
    world.at(1_700).delta(20, 21);
    world.gap(Channel::Book, GapCause::Disconnected, Some(21), None);
    world.down();
    world.at(1_900).snapshot(Some(30));
    assert_eq!(
        world.short(Channel::Book),
        [
            "gap(starting) 1100-1200 ..5",
            "complete(sequence) 1200-1300 5..8",
            "gap(sequence) 1300-1600 8..12",
            "complete(sequence) 1600-1700 20..21",
            "gap(disconnected) 1700-1900 21..30",
            "complete(sequence) 1900-1900 30..30",
        ]
    );
    assert_eq!(world.rows(Channel::Book)[2].end_ts, Some(Ts::from_ms(1_600)));
}

#[test]
fn a_book_that_was_crossed_is_a_gap_from_before_it_was() {
    let mut world = World::new();
    world.ask(Channel::Book, Proof::Sequence);
    world.snapshot(Some(1));
    for ms in 2..5_i64 {
        let (seq, levels) = (ms.unsigned_abs(), Levels::default());
        let delta = Delta { prev_seq: Some(seq - 1), seq: Some(seq), levels, checksum: None, epoch: 0 };
        let flags = if ms > 2 { Flags::SUSPECT } else { Flags::NONE };
        world.at(ms * 1_000).publish(Channel::Book, flags, Body::Delta(delta));
    }
    world.at(6_000).gap(Channel::Book, GapCause::Crossed, Some(4), Some(5));
    assert_eq!(
        world.short(Channel::Book)[1..],
        ["complete(sequence) 1000-2000 1..4", "gap(crossed) 2000-6000 4..5"]
    );
}

#[test]
fn a_snapshot_amid_a_book_that_lives_leaves_the_changes_before_it_unproved() {
    let mut world = World::new();
    world.ask(Channel::Book, Proof::Sequence);
    world.snapshot(Some(1));
    world.at(2_000).snapshot(Some(1));
    world.at(3_000).snapshot(Some(9));
    assert_eq!(
        world.short(Channel::Book)[1..],
        ["complete(sequence) 1000-2000 1..1", "unprovable 2000-3000", "complete(sequence) 3000-3000 9..9"]
    );
}

#[test]
fn a_checksum_proves_its_book_since_the_snapshot_and_no_checksum_proves_nothing() {
    let sum = Some(model::Checksum { kind: model::ChecksumKind::Crc32Interleaved25, value: 1 });
    for (checksum, first) in [(sum, "complete(checksum) 1000-1500"), (None, "unprovable 1000-1500")] {
        let mut world = World::new();
        world.ask(Channel::Book, Proof::Checksum);
        world.snapshot(None);
        let levels = Levels::default();
        let delta = Delta { prev_seq: None, seq: None, levels, checksum, epoch: 0 };
        world.at(1_500).tell(Channel::Book, Body::Delta(delta));
        assert_eq!(world.short(Channel::Book)[1..], [first]);
    }
}
