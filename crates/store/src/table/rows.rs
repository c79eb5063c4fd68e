//! What events hold, field by field, as rows. A field that is added to the model does not compile until it stands here.

use super::cell::{Column, Eye, Pen};
use super::record::{Cell, Record};
use model::{
    Bar, CapitalFlow, Channel, Checksum, CorporateAction, DayStats, Decimal, Finding, Fundamentals, Funding,
    Gap, Greeks, Instrument, InstrumentKind, LaneFact, LinkFact, LinkId, Liquidation, LongShortRatio, Minute,
    OpenInterest, Order, Proof, Px, Qty, Quote, RankRow, Ranking, Right, Sector, Status, Trade, Ts,
};

/// The columns of the field that a function reads.
fn columns_of<S, T: Cell>(_: impl Fn(&S) -> &T, name: &str, out: &mut Vec<Column>) {
    T::columns(name, out);
}

macro_rules! record {
    ($($name:ident { $($field:ident $(= $column:literal)?),+ })+) => {$(
        impl Record for $name {
            fn columns(out: &mut Vec<Column>) {
                $(columns_of(|it: &Self| &it.$field, record!(@name $field $($column)?), out);)+
            }

            fn put(&self, pen: &mut Pen<'_>) {
                let Self { $($field),+ } = self;
                $($field.put(pen);)+
            }

            fn take(eye: &mut Eye<'_>) -> Option<Self> {
                $(let $field = Cell::take(eye);)+
                Some(Self { $($field: $field?),+ })
            }
        }
    )+};
    (@name $field:ident) => { stringify!($field) };
    (@name $field:ident $column:literal) => { $column };
}

record! {
    Trade { id, px = "price", qty = "quantity", aggressor, count }
    BookHead { prev_seq, seq, checksum, epoch = "book_epoch" }
    BookRow { side, px = "price", qty = "quantity" }
    Gap { cause, from_seq, to_seq }
    Quote { bid, ask, seq }
    Bar { interval, start, open, high, low, close, volume, turnover, trades, closed }
    DayStats {
        open, high, low, last, last_qty = "last_quantity", volume, turnover, trades, prev_close, limit_up, limit_down,
        buy_volume, sell_volume
    }
    Price { px = "price" }
    Funding { rate, at = "paid_at", next_rate }
    OpenInterest { qty = "quantity", value }
    Liquidation { side, px = "price", qty = "quantity", avg_px = "average_price" }
    LongShortRatio { of, interval, ratio, long, short }
    Greeks { delta, gamma, vega, theta, rho, mark_iv, bid_iv, ask_iv, underlying }
    StatusRow { status }
    Order { id, side, px = "price", qty = "quantity", action, seq }
    Minute { start, px = "price", volume, avg_px = "average_price" }
    CapitalFlow { main, very_large, large, medium, small }
    ActionHead { what, at = "in_force_at", cash, bonus, rights, rights_px = "rights_price" }
    FactsHead { updated }
    Fact { name = "fact", value }
    RankHead { list }
    RankRow { name = "ranked", title, value, rise }
    SectorHead { of, title }
    Text { text }
    FindingHead { check, channel = "about", what }
    InstrumentRow {
        title, kind, base, quote, settle, expiry, option, px_scale = "price_scale", qty_scale = "quantity_scale",
        tick = "price_tick", lot = "quantity_step", contract_size, status, provisional
    }
    LaneRow { fact, proof, quiet_ms, link, why, from_seq, to_seq, events }
    LinkRow { fact, link, text, last_frame, last_ping, retry_ms, offset_ns, error_ns }
}

/// What stands beside the levels of a snapshot or a delta.
pub(super) struct BookHead {
    pub prev_seq: Option<u64>,
    pub seq: Option<u64>,
    pub checksum: Option<Checksum>,
    pub epoch: u32,
}

/// A side of the book, which is not who began a trade.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum BookSide {
    Bid,
    Ask,
}

/// A level with its side.
pub(super) struct BookRow {
    pub side: BookSide,
    pub px: Px,
    pub qty: Qty,
}

pub(super) struct Price {
    pub px: Decimal,
}

pub(super) struct StatusRow {
    pub status: Status,
}

pub(super) struct ActionHead {
    pub what: Box<str>,
    pub at: Ts,
    pub cash: Option<Decimal>,
    pub bonus: Option<Decimal>,
    pub rights: Option<Decimal>,
    pub rights_px: Option<Decimal>,
}

pub(super) struct FactsHead {
    pub updated: Option<Ts>,
}

pub(super) struct Fact {
    pub name: &'static str,
    pub value: Decimal,
}

pub(super) struct RankHead {
    pub list: Box<str>,
}

pub(super) struct SectorHead {
    pub of: Box<str>,
    pub title: Box<str>,
}

/// A member of a sector, a sample of a finding.
pub(super) struct Text {
    pub text: Box<str>,
}

pub(super) struct FindingHead {
    pub check: Box<str>,
    pub channel: Channel,
    pub what: Box<str>,
}

/// A definition, for those who look at the table; it is read from the file's own list.
pub(super) struct InstrumentRow {
    title: Box<str>,
    kind: InstrumentKind,
    base: Box<str>,
    quote: Box<str>,
    settle: Box<str>,
    expiry: Option<Ts>,
    option: Option<(Decimal, Right)>,
    px_scale: u32,
    qty_scale: u32,
    tick: Option<Decimal>,
    lot: Option<Decimal>,
    contract_size: Option<Decimal>,
    status: Status,
    provisional: bool,
}

impl From<&Instrument> for InstrumentRow {
    fn from(it: &Instrument) -> Self {
        Self {
            title: it.title.clone(),
            kind: it.kind,
            base: it.base.clone(),
            quote: it.quote.clone(),
            settle: it.settle.clone(),
            expiry: it.expiry,
            option: it.option,
            px_scale: it.px_scale.into(),
            qty_scale: it.qty_scale.into(),
            tick: it.tick,
            lot: it.lot,
            contract_size: it.contract_size,
            status: it.status.clone(),
            provisional: it.provisional,
        }
    }
}

/// What became of a lane: the word for it, and what that word comes with.
#[derive(Default)]
pub(super) struct LaneRow {
    fact: Box<str>,
    proof: Option<Proof>,
    quiet_ms: Option<u32>,
    link: Option<LinkId>,
    why: Option<Box<str>>,
    from_seq: Option<u64>,
    to_seq: Option<u64>,
    events: Option<u64>,
}

impl From<&LaneFact> for LaneRow {
    fn from(fact: &LaneFact) -> Self {
        let of = |fact: &str| Self { fact: fact.into(), ..Self::default() };
        match fact {
            LaneFact::Asked { proof, quiet_ms } => {
                Self { proof: Some(*proof), quiet_ms: *quiet_ms, ..of("asked") }
            }
            LaneFact::Carried(link) => Self { link: Some(*link), ..of("carried") },
            LaneFact::Acked => of("acked"),
            LaneFact::Refused(why) => Self { why: Some(why.clone()), ..of("refused") },
            LaneFact::Syncing(why) => Self { why: Some(why.clone()), ..of("syncing") },
            LaneFact::Repaired { from_seq, to_seq, events } => {
                Self { from_seq: *from_seq, to_seq: *to_seq, events: Some(*events), ..of("repaired") }
            }
            LaneFact::Unrepaired { from_seq, to_seq, why } => {
                Self { from_seq: *from_seq, to_seq: *to_seq, why: Some(why.clone()), ..of("unrepaired") }
            }
            LaneFact::Dropped => of("dropped"),
        }
    }
}

impl LaneRow {
    pub fn fact(self) -> Option<LaneFact> {
        let (from_seq, to_seq) = (self.from_seq, self.to_seq);
        Some(match &*self.fact {
            "asked" => LaneFact::Asked { proof: self.proof?, quiet_ms: self.quiet_ms },
            "carried" => LaneFact::Carried(self.link?),
            "acked" => LaneFact::Acked,
            "refused" => LaneFact::Refused(self.why?),
            "syncing" => LaneFact::Syncing(self.why?),
            "repaired" => LaneFact::Repaired { from_seq, to_seq, events: self.events? },
            "unrepaired" => LaneFact::Unrepaired { from_seq, to_seq, why: self.why? },
            "dropped" => LaneFact::Dropped,
            _ => return None,
        })
    }
}

/// What became of a connection.
#[derive(Default)]
pub(super) struct LinkRow {
    fact: Box<str>,
    link: LinkId,
    text: Option<Box<str>>,
    last_frame: Option<Ts>,
    last_ping: Option<Ts>,
    retry_ms: Option<u64>,
    offset_ns: Option<i64>,
    error_ns: Option<u64>,
}

impl From<&LinkFact> for LinkRow {
    fn from(fact: &LinkFact) -> Self {
        let of = |fact: &str, link: &LinkId| Self { fact: fact.into(), link: *link, ..Self::default() };
        let with = |fact: &str, link: &LinkId, text: &str| Self { text: Some(text.into()), ..of(fact, link) };
        match fact {
            LinkFact::Connecting { link, url } => with("connecting", link, url),
            LinkFact::Up { link } => of("up", link),
            LinkFact::Alive { link, last_frame, last_ping } => {
                Self { last_frame: *last_frame, last_ping: *last_ping, ..of("alive", link) }
            }
            LinkFact::Down { link, why, retry_ms } => Self { retry_ms: *retry_ms, ..with("down", link, why) },
            LinkFact::Clock { link, offset_ns, error_ns } => {
                Self { offset_ns: Some(*offset_ns), error_ns: Some(*error_ns), ..of("clock", link) }
            }
            LinkFact::Malformed { link, what } => with("malformed", link, what),
            LinkFact::Unknown { link, what } => with("unknown", link, what),
        }
    }
}

impl LinkRow {
    pub fn fact(self) -> Option<LinkFact> {
        let link = self.link;
        Some(match &*self.fact {
            "connecting" => LinkFact::Connecting { link, url: self.text? },
            "up" => LinkFact::Up { link },
            "alive" => LinkFact::Alive { link, last_frame: self.last_frame, last_ping: self.last_ping },
            "down" => LinkFact::Down { link, why: self.text?, retry_ms: self.retry_ms },
            "clock" => LinkFact::Clock { link, offset_ns: self.offset_ns?, error_ns: self.error_ns? },
            "malformed" => LinkFact::Malformed { link, what: self.text? },
            "unknown" => LinkFact::Unknown { link, what: self.text? },
            _ => return None,
        })
    }
}

// The lists themselves are rows: the heads of these hold the rest.
impl From<&CorporateAction> for ActionHead {
    fn from(it: &CorporateAction) -> Self {
        let CorporateAction { what, at, cash, bonus, rights, rights_px, facts: _ } = it;
        Self {
            what: what.clone(),
            at: *at,
            cash: *cash,
            bonus: *bonus,
            rights: *rights,
            rights_px: *rights_px,
        }
    }
}

impl From<&Fundamentals> for FactsHead {
    fn from(it: &Fundamentals) -> Self {
        let Fundamentals { updated, facts: _ } = it;
        Self { updated: *updated }
    }
}

impl From<&Ranking> for RankHead {
    fn from(it: &Ranking) -> Self {
        let Ranking { list, rows: _ } = it;
        Self { list: list.clone() }
    }
}

impl From<&Sector> for SectorHead {
    fn from(it: &Sector) -> Self {
        let Sector { of, title, members: _ } = it;
        Self { of: of.clone(), title: title.clone() }
    }
}

impl From<&Finding> for FindingHead {
    fn from(it: &Finding) -> Self {
        let Finding { check, channel, what, samples: _ } = it;
        Self { check: check.clone(), channel: *channel, what: what.clone() }
    }
}
