//! Events that follow from their cursor: whoever reads one knows what it must be.

use bus::{Cursor, Published};
use model::{
    Body, Channel, Decimal, Delta, Event, Fundamentals, Gap, GapCause, Instrument, InstrumentKind, Level,
    Levels, LinkFact, LinkId, Px, Qty, Side, Snapshot, Stamp, Trade, TradeId, Ts,
};
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use store::disk::Disk;
use store::log::{Entry, Found, Lost, Reader};

const SOURCES: [&str; 2] = ["alpha", "beta"];

thread_local! {
    /// Each event is made once.
    static MADE: RefCell<HashMap<Cursor, Arc<Published>>> = RefCell::default();
}

/// The event of that place.
pub fn published(cursor: Cursor) -> Arc<Published> {
    let make = || Arc::new(Published { cursor, ts_pub: ts_pub(cursor), event: event(cursor) });
    MADE.with_borrow_mut(|made| made.entry(cursor).or_insert_with(make).clone())
}

pub fn ts_pub(cursor: Cursor) -> Ts {
    Ts::from_ms(i64::try_from(cursor.epoch).unwrap()).plus_ms(cursor.number)
}

pub fn event(cursor: Cursor) -> Event {
    let mut luck =
        fastrand::Rng::with_seed(cursor.epoch.wrapping_mul(0x9e37_79b9).wrapping_add(cursor.number));
    let symbol = luck.u8(0..20);
    let mut instrument = Instrument::provisional("venue", "", &format!("S{symbol}"), InstrumentKind::Spot)
        .named("S", "USD", "");
    // Definitions change now and then.
    instrument.px_scale = u8::try_from(cursor.number / 300 % 9).unwrap();
    let ts_recv = Ts(ts_pub(cursor).0 - luck.i64(0..1_000_000));
    Event {
        source: SOURCES[usize::from(symbol % 2)],
        instrument: Arc::new(instrument),
        channel: Channel::Trades,
        flags: model::Flags::from_bits(luck.u16(..)),
        stamp: Stamp { ts_event: luck.bool().then(|| Ts(luck.i64(..))), ts_recv },
        body: body(&mut luck),
    }
}

fn body(luck: &mut fastrand::Rng) -> Body {
    match luck.u8(0..12) {
        0 => Body::Snapshot(Snapshot {
            seq: Some(luck.u64(..)),
            levels: levels(luck, 40),
            checksum: None,
            epoch: 3,
        }),
        1 => Body::Gap(Gap { cause: GapCause::Sequence, from_seq: None, to_seq: Some(luck.u64(..)) }),
        2 => {
            Body::Link(LinkFact::Down { link: LinkId(luck.u32(..)), why: "it broke".into(), retry_ms: None })
        }
        3 => Body::Fundamentals(Box::new(Fundamentals {
            updated: None,
            facts: vec![("eps", Decimal::new(i128::from(luck.i64(..)) << 20, luck.u8(0..30)))],
        })),
        4 => Body::Instrument,
        5..8 => Body::Delta(Delta {
            prev_seq: Some(luck.u64(0..9)),
            seq: None,
            levels: levels(luck, 4),
            checksum: None,
            epoch: 3,
        }),
        _ => Body::Trade(Trade {
            id: TradeId::Num(luck.u64(..)),
            px: Px(luck.i64(..)),
            qty: Qty(luck.i64(0..1_000)),
            aggressor: Some(Side::Ask),
            count: 1,
        }),
    }
}

fn levels(luck: &mut fastrand::Rng, max: usize) -> Levels {
    let all: Vec<Level> = (0..luck.usize(0..max))
        .map(|_| Level { px: Px(luck.i64(0..9_999)), qty: Qty(luck.i64(..)) })
        .collect();
    let bids = luck.usize(0..=all.len());
    Levels::new(all, bids)
}

/// The events of an epoch, `from` and `to` included.
pub fn entries(epoch: u64, from: u64, to: u64) -> Vec<Entry> {
    (from..=to).map(|number| Entry::Event(published(Cursor { epoch, number }))).collect()
}

/// What a log says.
#[derive(Debug, Default)]
pub struct Told {
    /// The numbers that were read, by epoch, each once and in order.
    pub read: BTreeMap<u64, Vec<u64>>,
    pub lost: Vec<Lost>,
    /// Everything that is wrong.
    pub wrong: Vec<Found>,
    pub torn: u64,
    pub closed: Option<Cursor>,
}

impl Told {
    /// Reads a log. What is read must be what the world has at its place, in the order of cursors.
    pub fn by(disk: Box<dyn Disk>) -> Self {
        let reader = Reader::open(disk).unwrap();
        let mut told = Self::default();
        let mut last = None;
        for found in reader {
            match found.unwrap() {
                Found::Entry(entry) => {
                    assert!(last < Some(entry.first()), "{last:?} comes before {:?}", entry.first());
                    last = Some(entry.last());
                    match entry {
                        Entry::Event(event) => {
                            assert_eq!(event, published(event.cursor));
                            told.read.entry(event.cursor.epoch).or_default().push(event.cursor.number);
                        }
                        Entry::Lost(lost) => told.lost.push(lost),
                    }
                }
                Found::Torn(torn) => told.torn += torn.bytes,
                Found::Closed(cursor) => told.closed = Some(cursor),
                wrong => told.wrong.push(wrong),
            }
        }
        told
    }

    /// Whether a number was read, or told as lost or missing.
    pub fn knows(&self, cursor: Cursor) -> bool {
        let Cursor { epoch, number } = cursor;
        self.read.get(&epoch).is_some_and(|all| all.binary_search(&number).is_ok())
            || self.lost.iter().any(|l| l.epoch == epoch && (l.from..=l.to).contains(&number))
            || self.wrong.iter().any(|wrong| {
                matches!(wrong, Found::Hole { epoch: e, from, to } if *e == epoch && (*from..=*to).contains(&number))
            })
    }
}
