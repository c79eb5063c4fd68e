//! Anything in any order.

use super::*;
use proptest::prelude::*;

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

impl Truth {
    fn lose_book(&mut self, cause: &'static str) {
        let seq = self.book.take();
        self.gaps.extend(seq.map(|seq| (cause, Some(seq))));
    }
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
            truth.lose_book("store");
        }
        Act::Restart => {
            world.again(world.ms + 500);
            ask(world);
            (truth.late, truth.fresh) = (None, true);
            truth.lose_book("not_running");
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
