//! Events as rows of tables, one table for each kind, and rows as events again: exact both ways.
//!
//! Every table begins with the columns of [`COMMON`], then has its own, and ends with `exact`. A decimal stands as the
//! double whose shortest text it is; where it has too many digits for that, `exact` holds a JSON object of column and text.
//! Times are nanoseconds since 1970, UTC. An event with a list (levels of a book, rows of a ranking) is a row an item, and
//! one row without an item where the list is empty. `definition` is the place of the instrument's definition in the list
//! that the file carries, so that a file says on its own what its numbers were scaled by.

mod batch;
mod cell;
mod number;
mod record;
mod rows;
#[cfg(test)]
mod tests;

pub(crate) use batch::{InRows, Reading, Rows};
pub(crate) use cell::{Column, Type};
pub(crate) use number::mantissas;

use crate::code::Code;
use arrow_schema::{Field, Schema, SchemaRef};
use hashbrown::HashMap;
use model::{
    Bar, Body, CapitalFlow, CorporateAction, DayStats, Delta, Event, Finding, Fundamentals, Funding, Gap,
    Greeks, Instrument, InstrumentId, Level, Levels, Liquidation, LongShortRatio, Minute, OpenInterest,
    Order, Quote, RankRow, Ranking, Sector, Snapshot, Trade,
};
use record::Record;
use rows::{
    ActionHead, BookHead, BookRow, BookSide, Fact, FactsHead, FindingHead, InstrumentRow, LaneRow, LinkRow,
    Price, RankHead, SectorHead, StatusRow, Text,
};
use std::sync::{Arc, LazyLock};

/// What every table begins with.
pub(crate) const COMMON: [(&str, Type); 13] = [
    ("epoch", Type::U64),
    ("number", Type::U64),
    ("source", Type::Text),
    ("exchange", Type::Text),
    ("product", Type::Text),
    ("symbol", Type::Text),
    ("instrument", Type::Text),
    ("channel", Type::Text),
    ("flags", Type::U16),
    ("ts_event", Type::Time),
    ("ts_recv", Type::Time),
    ("ts_pub", Type::Time),
    ("definition", Type::U32),
];
/// What every table ends with.
const EXACT: &str = "exact";
/// The columns of [`COMMON`] that may have nulls.
const NULLABLE: &str = "ts_event";

/// A kind of event as rows: its fields, and the items of its list.
trait Form: Sized {
    type Head: Record;
    type Item: Record;
    fn split(&self, instrument: &Instrument) -> (Self::Head, Vec<Self::Item>);
    fn join(head: Self::Head, items: Vec<Self::Item>) -> Option<Self>;
}

/// Kinds whose fields are cells, without a list.
macro_rules! plain {
    ($($name:ident)+) => {$(
        impl Form for $name {
            type Head = Self;
            type Item = ();
            fn split(&self, _: &Instrument) -> (Self, Vec<()>) {
                (self.clone(), Vec::new())
            }
            fn join(head: Self, _: Vec<()>) -> Option<Self> {
                Some(head)
            }
        }
    )+};
}

plain! {
    Trade Gap Quote Bar DayStats Funding OpenInterest Liquidation LongShortRatio Greeks Order Minute CapitalFlow
}

/// Kinds that are turned into rows by functions.
macro_rules! formed {
    ($($name:ty: $head:ty, $item:ty, |$it:ident| $split:expr, |$h:ident, $items:ident| $join:expr;)+) => {$(
        impl Form for $name {
            type Head = $head;
            type Item = $item;
            fn split(&self, _: &Instrument) -> ($head, Vec<$item>) {
                let $it = self;
                $split
            }
            fn join($h: $head, $items: Vec<$item>) -> Option<Self> {
                $join
            }
        }
    )+};
}

formed! {
    Snapshot: BookHead, BookRow,
        |it| (BookHead { prev_seq: None, seq: it.seq, checksum: it.checksum, epoch: it.epoch }, book_rows(&it.levels)),
        |h, items| Some(Self { seq: h.seq, levels: levels(items)?, checksum: h.checksum, epoch: h.epoch });
    Delta: BookHead, BookRow,
        |it| (
            BookHead { prev_seq: it.prev_seq, seq: it.seq, checksum: it.checksum, epoch: it.epoch },
            book_rows(&it.levels),
        ),
        |h, items| Some(Self {
            prev_seq: h.prev_seq, seq: h.seq, levels: levels(items)?, checksum: h.checksum, epoch: h.epoch,
        });
    model::Decimal: Price, (), |it| (Price { px: *it }, Vec::new()), |h, _items| Some(h.px);
    model::Status: StatusRow, (), |it| (StatusRow { status: it.clone() }, Vec::new()), |h, _items| Some(h.status);
    CorporateAction: ActionHead, Fact, |it| (it.into(), facts(&it.facts)), |h, items| Some(Self {
        what: h.what, at: h.at, cash: h.cash, bonus: h.bonus, rights: h.rights, rights_px: h.rights_px,
        facts: items.into_iter().map(|fact| (fact.name, fact.value)).collect(),
    });
    Fundamentals: FactsHead, Fact, |it| (it.into(), facts(&it.facts)), |h, items| Some(Self {
        updated: h.updated, facts: items.into_iter().map(|fact| (fact.name, fact.value)).collect(),
    });
    Ranking: RankHead, RankRow, |it| (it.into(), it.rows.clone()), |h, items| Some(Self { list: h.list, rows: items });
    Sector: SectorHead, Text, |it| (it.into(), texts(&it.members)), |h, items| Some(Self {
        of: h.of, title: h.title, members: items.into_iter().map(|item| item.text).collect(),
    });
    Finding: FindingHead, Text, |it| (it.into(), texts(&it.samples)), |h, items| Some(Self {
        check: h.check, channel: h.channel, what: h.what, samples: items.into_iter().map(|item| item.text).collect(),
    });
    model::LaneFact: LaneRow, (), |it| (it.into(), Vec::new()), |h, _items| h.fact();
    model::LinkFact: LinkRow, (), |it| (it.into(), Vec::new()), |h, _items| h.fact();
}

/// The definition itself, which stands beside every event.
struct Definition;

impl Form for Definition {
    type Head = InstrumentRow;
    type Item = ();
    fn split(&self, instrument: &Instrument) -> (InstrumentRow, Vec<()>) {
        (instrument.into(), Vec::new())
    }
    fn join(_: InstrumentRow, _: Vec<()>) -> Option<Self> {
        Some(Self)
    }
}

fn book_rows(levels: &Levels) -> Vec<BookRow> {
    let row = |side| move |level: &Level| BookRow { side, px: level.px, qty: level.qty };
    let bids = levels.bids().iter().map(row(BookSide::Bid));
    bids.chain(levels.asks().iter().map(row(BookSide::Ask))).collect()
}

/// `None` where a bid comes after an ask.
fn levels(rows: Vec<BookRow>) -> Option<Levels> {
    let bids = rows.iter().take_while(|row| row.side == BookSide::Bid).count();
    let whole = rows.iter().skip(bids).all(|row| row.side == BookSide::Ask);
    let all = rows.into_iter().map(|row| Level { px: row.px, qty: row.qty }).collect();
    whole.then(|| Levels::new(all, bids))
}

fn facts(facts: &[(&'static str, model::Decimal)]) -> Vec<Fact> {
    facts.iter().map(|(name, value)| Fact { name, value: *value }).collect()
}

fn texts(texts: &[Box<str>]) -> Vec<Text> {
    texts.iter().map(|text| Text { text: text.clone() }).collect()
}

/// A table's own columns, and how many of them belong to the items.
struct Layout {
    columns: Vec<Column>,
    items: usize,
    schema: SchemaRef,
}

impl Layout {
    fn of<F: Form>() -> Self {
        let mut columns: Vec<Column> =
            COMMON.iter().map(|(name, of)| Column { name: (*name).to_owned(), of: *of }).collect();
        F::Head::columns(&mut columns);
        let heads = columns.len();
        F::Item::columns(&mut columns);
        let items = columns.len() - heads;
        columns.push(Column { name: EXACT.to_owned(), of: Type::Text });
        let fields: Vec<Field> = columns
            .iter()
            .enumerate()
            .map(|(at, column)| {
                let nullable = at >= COMMON.len() || column.name == NULLABLE;
                Field::new(&column.name, column.of.arrow(), nullable)
            })
            .collect();
        Self { columns, items, schema: Arc::new(Schema::new(fields)) }
    }
}

macro_rules! tables {
    (
        $($table:ident $name:literal $form:ty, $body:pat => $it:expr, |$made:ident| $make:expr;)+
        + $($extra:ident $extra_name:literal as $like:ident;)+
    ) => {
        /// A table.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Table {
            $(#[doc = concat!("`", $name, "`")] $table,)+
            $(#[doc = concat!("`", $extra_name, "`: no events, but what is computed from them when they are sealed")] $extra),+
        }

        impl Table {
            /// Every table of events; each kind of event has one.
            pub const ALL: [Self; [$($name),+].len()] = [$(Self::$table),+];

            /// The tables of what is computed from events.
            pub const COMPUTED: [Self; [$($extra_name),+].len()] = [$(Self::$extra),+];

            /// Its name in SQL, in paths and in messages.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$table => $name,)+
                    $(Self::$extra => $extra_name),+
                }
            }

            /// The table of an event.
            pub const fn of(body: &Body) -> Self {
                #[allow(unused_variables)]
                match body { $($body => Self::$table,)+ }
            }

            fn layout(self) -> &'static Layout {
                match self {
                    $(Self::$table => {
                        static LAYOUT: LazyLock<Layout> = LazyLock::new(Layout::of::<$form>);
                        &LAYOUT
                    })+
                    $(Self::$extra => Self::$like.layout()),+
                }
            }
        }

        fn put_body(event: &Event, rows: &mut Rows) {
            match &event.body { $($body => rows.put($it, event),)+ }
        }

        fn take_body(table: Table, reading: &Reading, from: usize, to: usize, scales: &Instrument) -> Option<Body> {
            match table {
                $(Table::$table => {
                    let $made: $form = reading.take(from, to, scales)?;
                    Some($make)
                })+
                $(Table::$extra => take_body(Table::$like, reading, from, to, scales)),+
            }
        }
    };
}

tables! {
    Trades "trades" Trade, Body::Trade(it) => it, |it| Body::Trade(it);
    BookSnapshots "book_snapshots" Snapshot, Body::Snapshot(it) => it, |it| Body::Snapshot(it);
    BookDeltas "book_deltas" Delta, Body::Delta(it) => it, |it| Body::Delta(it);
    Gaps "gaps" Gap, Body::Gap(it) => it, |it| Body::Gap(it);
    Quotes "quotes" Quote, Body::Quote(it) => it, |it| Body::Quote(it);
    Bars "bars" Bar, Body::Bar(it) => &**it, |it| Body::Bar(Box::new(it));
    DayStats "day_stats" DayStats, Body::DayStats(it) => &**it, |it| Body::DayStats(Box::new(it));
    MarkPrices "mark_prices" model::Decimal, Body::MarkPrice(it) => it, |it| Body::MarkPrice(it);
    IndexPrices "index_prices" model::Decimal, Body::IndexPrice(it) => it, |it| Body::IndexPrice(it);
    FundingRates "funding_rates" Funding, Body::Funding(it) => &**it, |it| Body::Funding(Box::new(it));
    OpenInterest "open_interest" OpenInterest, Body::OpenInterest(it) => it, |it| Body::OpenInterest(it);
    Liquidations "liquidations" Liquidation, Body::Liquidation(it) => &**it, |it| Body::Liquidation(Box::new(it));
    VolatilityIndexes "volatility_indexes" model::Decimal, Body::VolatilityIndex(it) => it, |it| Body::VolatilityIndex(it);
    LongShortRatios "long_short_ratios" LongShortRatio, Body::LongShortRatio(it) => &**it, |it| Body::LongShortRatio(Box::new(it));
    Greeks "greeks" Greeks, Body::Greeks(it) => &**it, |it| Body::Greeks(Box::new(it));
    Statuses "statuses" model::Status, Body::Status(it) => it, |it| Body::Status(it);
    Orders "orders" Order, Body::Order(it) => it, |it| Body::Order(it);
    Minutes "minutes" Minute, Body::Minute(it) => &**it, |it| Body::Minute(Box::new(it));
    CapitalFlows "capital_flows" CapitalFlow, Body::CapitalFlow(it) => &**it, |it| Body::CapitalFlow(Box::new(it));
    CorporateActions "corporate_actions" CorporateAction, Body::CorporateAction(it) => &**it, |it| Body::CorporateAction(Box::new(it));
    Fundamentals "fundamentals" Fundamentals, Body::Fundamentals(it) => &**it, |it| Body::Fundamentals(Box::new(it));
    Rankings "rankings" Ranking, Body::Ranking(it) => &**it, |it| Body::Ranking(Box::new(it));
    Sectors "sectors" Sector, Body::Sector(it) => &**it, |it| Body::Sector(Box::new(it));
    Findings "findings" Finding, Body::Finding(it) => &**it, |it| Body::Finding(Box::new(it));
    Instruments "instruments" Definition, Body::Instrument => &Definition, |_it| Body::Instrument;
    Lanes "lanes" model::LaneFact, Body::Lane(it) => it, |it| Body::Lane(it);
    Links "links" model::LinkFact, Body::Link(it) => it, |it| Body::Link(it);
    +
    BookCheckpoints "book_checkpoints" as BookSnapshots;
}

impl Table {
    /// The table of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().chain(Self::COMPUTED).find(|table| table.name() == name)
    }

    /// Whether its rows are events.
    pub fn is_of_events(self) -> bool {
        !Self::COMPUTED.contains(&self)
    }

    /// Its columns as Arrow calls them.
    pub fn schema(self) -> SchemaRef {
        Arc::clone(&self.layout().schema)
    }

    /// The place of a column.
    pub(crate) fn place(self, name: &str) -> Option<usize> {
        self.columns().iter().position(|column| column.name == name)
    }

    pub(crate) fn columns(self) -> &'static [Column] {
        &self.layout().columns
    }
}

/// The definitions that the rows of a file lean on; a row names one by its place.
#[derive(Clone, Debug, Default)]
pub(crate) struct Definitions {
    list: Vec<Arc<Instrument>>,
    newest: HashMap<InstrumentId, u32>,
}

impl Definitions {
    /// The place of a definition; it is added where it is not the newest of its instrument.
    pub fn place(&mut self, instrument: &Arc<Instrument>) -> u32 {
        if let Some(place) = self.newest.get(&instrument.id)
            && self.get(*place).is_some_and(|known| Arc::ptr_eq(known, instrument) || known == instrument)
        {
            return *place;
        }
        let place = u32::try_from(self.list.len()).unwrap_or(u32::MAX);
        self.list.push(Arc::clone(instrument));
        self.newest.insert(instrument.id, place);
        place
    }

    pub fn get(&self, place: u32) -> Option<&Arc<Instrument>> {
        self.list.get(usize::try_from(place).ok()?)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<Instrument>> {
        self.list.iter()
    }
}

impl Code for Definitions {
    fn put(&self, out: &mut Vec<u8>) {
        self.list.len().put(out);
        for instrument in &self.list {
            (**instrument).put(out);
        }
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        let list: Vec<Instrument> = Code::take(bytes)?;
        let mut all = Self::default();
        for instrument in list {
            let instrument = Arc::new(instrument);
            let place = u32::try_from(all.list.len()).ok()?;
            all.newest.insert(instrument.id, place);
            all.list.push(instrument);
        }
        Some(all)
    }
}
