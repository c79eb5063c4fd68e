use super::*;
use model::ashare::{self, Code as Share};
use model::{Delta, Instrument, InstrumentKind, Levels, Px, Qty, Quote, Snapshot, Stamp, Trade};
use proptest::prelude::*;
use std::sync::Arc;

/// Builds what the bus would publish.
struct World {
    ledger: Ledger,
    epoch: u64,
    number: u64,
    ms: i64,
    instrument: Arc<Instrument>,
}

const LINK: LinkId = LinkId(1);
const ALL: (Ts, Ts) = (Ts(0), Ts(i64::MAX));

impl World {
    fn new() -> Self {
        let instrument = Arc::new(Instrument::provisional("v", "", "X", InstrumentKind::Spot));
        Self { ledger: Ledger::default(), epoch: 1_000, number: 0, ms: 1_000, instrument }
    }

    fn publish(&mut self, channel: Channel, flags: Flags, body: Body) {
        self.number += 1;
        let event = Event {
            source: "v",
            instrument: Arc::clone(&self.instrument),
            channel,
            flags,
            stamp: Stamp { ts_event: None, ts_recv: Ts::from_ms(self.ms) },
            body,
        };
        let cursor = Cursor { epoch: self.epoch, number: self.number };
        self.ledger.on(&Published { cursor, ts_pub: event.stamp.ts_recv, event });
    }

    fn at(&mut self, ms: i64) -> &mut Self {
        self.ms = ms;
        self
    }

    fn tell(&mut self, channel: Channel, body: Body) {
        self.publish(channel, Flags::NONE, body);
    }

    fn fact(&mut self, channel: Channel, fact: LaneFact) {
        self.tell(channel, Body::Lane(fact));
    }

    fn link(&mut self, fact: LinkFact) {
        self.tell(Channel::Link, Body::Link(fact));
    }

    fn up(&mut self) {
        self.link(LinkFact::Up { link: LINK });
    }

    fn down(&mut self) {
        self.link(LinkFact::Down { link: LINK, why: "lost".into(), retry_ms: Some(1) });
    }

    fn alive(&mut self, heard_ms: i64) {
        let last_frame = Some(Ts::from_ms(heard_ms));
        self.link(LinkFact::Alive { link: LINK, last_frame, last_ping: None });
    }

    fn ask(&mut self, channel: Channel, proof: Proof) {
        self.fact(channel, LaneFact::Carried(LINK));
        self.fact(channel, LaneFact::Asked { proof, quiet_ms: None });
        self.fact(channel, LaneFact::Acked);
    }

    fn trade(&mut self, id: u64) {
        let trade = Trade { id: TradeId::Num(id), px: Px(1), qty: Qty(1), aggressor: None, count: 1 };
        self.tell(Channel::Trades, Body::Trade(trade));
    }

    fn quote(&mut self) {
        self.tell(Channel::Quote, Body::Quote(Quote { bid: None, ask: None, seq: None }));
    }

    fn snapshot(&mut self, seq: Option<u64>) {
        let levels = Levels::default();
        self.tell(Channel::Book, Body::Snapshot(Snapshot { seq, levels, checksum: None, epoch: 0 }));
    }

    fn delta(&mut self, prev_seq: u64, seq: u64) {
        let (prev_seq, seq, levels) = (Some(prev_seq), Some(seq), Levels::default());
        self.tell(Channel::Book, Body::Delta(Delta { prev_seq, seq, levels, checksum: None, epoch: 0 }));
    }

    fn gap(&mut self, channel: Channel, cause: GapCause, from_seq: Option<u64>, to_seq: Option<u64>) {
        self.tell(channel, Body::Gap(Gap { cause, from_seq, to_seq }));
    }

    fn again(&mut self, ms: i64) {
        (self.epoch, self.number, self.ms) = (ms.unsigned_abs(), 0, ms);
    }

    fn lose(&mut self, events: u64) {
        self.number += events;
        let lost = crate::log::Lost { epoch: self.epoch, from: 1, to: self.number, why: "slow".into() };
        self.ledger.found(&Found::Entry(Entry::Lost(lost)));
    }

    fn rows(&self, channel: Channel) -> Vec<Row> {
        let wanted = Wanted { channel: Some(channel), ..Wanted::default() };
        self.ledger.rows(&wanted, ALL.0, ALL.1)
    }

    /// The intervals of a lane, short: `gap(sequence) 1000-2000 10..13`.
    fn short(&self, channel: Channel) -> Vec<String> {
        self.rows(channel).iter().map(short).collect()
    }
}

fn short(row: &Row) -> String {
    let of = row.cause.or(row.proof).map_or(String::new(), |of| format!("({of})"));
    let seq = |seq: Option<u64>| seq.map_or(String::new(), |seq| seq.to_string());
    let seqs = match (row.from_seq, row.to_seq) {
        (None, None) => String::new(),
        (from, to) => format!(" {}..{}", seq(from), seq(to)),
    };
    let end = match row.end {
        Some("repaired") => format!(" repaired {}", row.events.unwrap_or_default()),
        Some("lost") => format!(" lost: {}", row.why.as_deref().unwrap_or_default()),
        _ => String::new(),
    };
    format!("{}{of} {}-{}{seqs}{end}", row.state, row.from_ts.as_ms(), row.to_ts.as_ms())
}

/// Trades 10 and 11 of a lane that counts, at 1,200 and 1,300 ms.
fn counted() -> World {
    let mut world = World::new();
    world.up();
    world.at(1_100).ask(Channel::Trades, Proof::Sequence);
    world.at(1_200).trade(10);
    world.at(1_300).trade(11);
    world
}

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

/// What may happen to a source with three lanes.
#[derive(Clone, Debug)]
enum Act {
    /// So many trades come after so many that do not.
    Trades {
        skip: u64,
        come: u64,
    },
    /// The trade before the last one comes late.
    Late,
    Delta,
    Quote,
    BookGap(GapCause),
    Resnap,
    Down,
    Up,
    Lose(u64),
    Restart,
    Pass(i64),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        6 => (0..3_u64, 1..4_u64).prop_map(|(skip, come)| Act::Trades { skip: skip.saturating_sub(1), come }),
        2 => Just(Act::Late),
        4 => Just(Act::Delta),
        3 => Just(Act::Quote),
        1 => prop_oneof![Just(GapCause::Sequence), Just(GapCause::Checksum), Just(GapCause::Referee)].prop_map(Act::BookGap),
        2 => Just(Act::Resnap),
        1 => Just(Act::Down),
        2 => Just(Act::Up),
        1 => (1..4_u64).prop_map(Act::Lose),
        1 => Just(Act::Restart),
        5 => (0..4_000_i64).prop_map(Act::Pass),
    ];
    prop::collection::vec(act, 1..80)
}

/// What was done, for comparison.
#[derive(Default)]
struct Truth {
    /// The newest trade, and the numbers below it that did not come.
    last: u64,
    missing: Vec<u64>,
    /// The number that may still come, and when it was left out.
    late: Option<u64>,
    /// No trade has come since the platform began: what comes late then is not told.
    fresh: bool,
    book: Option<u64>,
    gaps: Vec<(&'static str, Option<u64>)>,
}

fn ask(world: &mut World) {
    world.up();
    for (channel, proof) in
        [(Channel::Trades, Proof::Sequence), (Channel::Book, Proof::Sequence), (Channel::Quote, Proof::None)]
    {
        world.ask(channel, proof);
    }
}

fn act(world: &mut World, truth: &mut Truth, act: &Act) {
    world.ms += 10;
    match act {
        Act::Trades { skip, come } => {
            let from = truth.last + 1;
            // The first trade of all has none before it.
            if truth.last > 0 {
                truth.missing.extend(from..from + skip);
                truth.late = (*skip > 0 && !truth.fresh).then_some(from + skip - 1);
            }
            truth.fresh = false;
            for id in from + skip..from + skip + come {
                world.trade(id);
                truth.last = id;
            }
        }
        Act::Late => {
            if let Some(id) = truth.late.take() {
                truth.missing.retain(|missing| *missing != id);
                world.trade(id);
            }
        }
        Act::Delta => {
            if let Some(seq) = truth.book {
                world.delta(seq, seq + 3);
                truth.book = Some(seq + 3);
            }
        }
        Act::Quote => world.quote(),
        Act::BookGap(cause) => {
            if let Some(seq) = truth.book.take() {
                world.gap(Channel::Book, *cause, Some(seq), Some(seq + 100));
                truth.gaps.push((cause.name(), Some(seq)));
            }
        }
        Act::Resnap => {
            if truth.book.is_none() {
                let seq = u64::try_from(world.ms).unwrap() * 10;
                world.snapshot(Some(seq));
                truth.book = Some(seq);
            }
        }
        Act::Down => {
            if let Some(seq) = truth.book.take() {
                world.gap(Channel::Book, GapCause::Disconnected, Some(seq), None);
                truth.gaps.push(("disconnected", Some(seq)));
            }
            world.down();
        }
        Act::Up => ask(world),
        Act::Lose(count) => {
            world.lose(*count);
            // Trades of the lane were among them, and a change of the book, which only a snapshot heals.
            truth.missing.extend((truth.last > 0).then_some(truth.last + 1));
            truth.last += u64::from(truth.last > 0);
            truth.late = None;
            if let Some(seq) = truth.book.take() {
                truth.gaps.push(("store", Some(seq)));
            }
        }
        Act::Restart => {
            world.again(world.ms + 500);
            ask(world);
            (truth.late, truth.fresh) = (None, true);
            if let Some(seq) = truth.book.take() {
                truth.gaps.push(("not_running", Some(seq)));
            }
        }
        Act::Pass(ms) => {
            world.ms += ms;
            truth.late = truth.late.filter(|_| *ms < 2_000);
            world.alive(world.ms - ms / 2);
        }
    }
}

/// Every interval that was given out or is held, as rows by lane.
fn everything(drained: &[Interval], ledger: &Ledger, channel: Channel) -> Vec<Row> {
    let of = drained.iter().filter(|interval| interval.lane.channel == channel);
    let wanted = Wanted { channel: Some(channel), ..Wanted::default() };
    of.map(|interval| Row::new(interval, false)).chain(ledger.rows(&wanted, ALL.0, ALL.1)).collect()
}

fn check(rows: &[Row], begun: Ts) {
    assert_eq!(rows[0].from_ts, begun);
    for pair in rows.windows(2) {
        assert_eq!((pair[0].to_ts, pair[0].to_cursor), (pair[1].from_ts, pair[1].from_cursor), "{rows:#?}");
        assert!(pair[0].from_ts <= pair[0].to_ts && !pair[0].open);
    }
    assert!(rows.last().unwrap().open);
}

/// The numbers that gaps leave out, where the one before and the one after are known.
fn left_out(rows: &[Row]) -> Vec<u64> {
    let (mut numbers, mut from) = (Vec::new(), None);
    for row in rows.iter().filter(|row| row.state != "closed") {
        if row.state != "gap" {
            from = None;
            continue;
        }
        from = row.from_seq.or(from);
        if let (Some(from), Some(to)) = (from, row.to_seq) {
            numbers.extend(from + 1..to);
        }
    }
    numbers
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn intervals_tile_the_time_and_every_gap_is_there_once_with_its_numbers(acts in acts(), cut in any::<prop::sample::Index>()) {
        let mut world = World::new();
        let mut truth = Truth::default();
        let (mut once, mut drained) = (Ledger::default(), Vec::new());
        ask(&mut world);
        let cut = cut.index(acts.len());
        for (at, one) in acts.iter().enumerate() {
            if at == cut {
                // Another process takes over; what was given out before stays given out.
                once = world.ledger.clone();
                let bytes = world.ledger.to_bytes();
                for end in 0..bytes.len().min(200) {
                    prop_assert!(Ledger::from_bytes(&bytes[..end]).is_none());
                }
                world.ledger = Ledger::from_bytes(&bytes).unwrap();
            }
            act(&mut world, &mut truth, one);
            if at > cut && at % 7 == 0 {
                drained.extend(world.ledger.drain());
            }
        }
        // All that is open comes to an end by numbers.
        world.ms += 20_000;
        let end = Act::Trades { skip: 0, come: 1 };
        act(&mut world, &mut truth, &end);
        for channel in [Channel::Trades, Channel::Book, Channel::Quote] {
            check(&everything(&drained, &world.ledger, channel), Ts::from_ms(1_000));
        }
        let mut left = left_out(&everything(&drained, &world.ledger, Channel::Trades));
        left.sort_unstable();
        truth.missing.sort_unstable();
        prop_assert_eq!(left, truth.missing);
        let told = everything(&drained, &world.ledger, Channel::Book);
        let told: Vec<_> = told.iter().filter(|row| row.state == "gap" && row.cause != Some("starting"))
            .filter(|row| row.from_seq.is_some()).map(|row| (row.cause.unwrap(), row.from_seq)).collect();
        prop_assert_eq!(told, truth.gaps);
        prop_assert!(once.cursor() <= world.ledger.cursor());
    }

    #[test]
    fn a_ledger_that_is_taken_up_anywhere_is_the_same_as_one_that_never_stopped(acts in acts(), every in 1..9_usize) {
        let (mut one, mut other) = (World::new(), World::new());
        let (mut truth, mut same) = (Truth::default(), Truth::default());
        let (mut drained, mut again) = (Vec::new(), Vec::new());
        ask(&mut one);
        ask(&mut other);
        for (at, what) in acts.iter().enumerate() {
            act(&mut one, &mut truth, what);
            act(&mut other, &mut same, what);
            if at % every == 0 {
                again.extend(other.ledger.drain());
                other.ledger = Ledger::from_bytes(&other.ledger.to_bytes()).unwrap();
            }
        }
        drained.extend(one.ledger.drain());
        again.extend(other.ledger.drain());
        prop_assert_eq!(drained, again);
        let rows = |world: &World| world.ledger.rows(&Wanted::default(), ALL.0, ALL.1);
        prop_assert_eq!(rows(&one), rows(&other));
    }
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
