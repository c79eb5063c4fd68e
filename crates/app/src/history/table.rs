//! Rows of our own exports, and of tables of others in the layout of `docs/importing.md`, to events.

use super::instant;
use crate::sources::named;
use hashbrown::HashMap;
use model::{
    Bar, Body, Channel, Decimal, Event, Flags, Instrument, InstrumentKind, Level, Quote, Stamp, Trade,
    TradeId, Ts,
};
use source::{Malformed, Row, What};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Who told of what a table brings without saying so.
const SOURCE: &str = "imported";
/// Times before 2000 are in another unit.
const MS_MIN: i64 = 946_684_800_000;
/// How far a clock may be ahead of ours.
const AHEAD_MS: u64 = 60_000;
/// How many instruments the tables of one run may name.
const INSTRUMENTS_MAX: usize = 100_000;
/// How often a definition may be widened for one row.
const WIDENED_MAX: usize = 4;
/// Names that columns also have.
const ALIASES: [(&str, &str); 8] = [
    ("px", "price"),
    ("qty", "quantity"),
    ("size", "quantity"),
    ("amount", "quantity"),
    ("trade_id", "id"),
    ("aggressor", "side"),
    ("venue", "exchange"),
    ("open_time", "start"),
];

type Result<T> = std::result::Result<T, Malformed>;

/// Exchange, product, symbol.
type Name = (String, String, String);

/// Reads rows by the names of their columns.
pub struct Tables {
    /// What is known in the folder that is filled, for rows that give a canonical name only.
    kept: Vec<Arc<Instrument>>,
    /// The product of rows that do not tell theirs.
    product: Option<String>,
    channel: Option<Channel>,
    interval: Option<String>,
    now: Ts,
    known: HashMap<Name, Arc<Instrument>>,
}

/// What a row is.
#[derive(Clone, Copy)]
enum Kind {
    Trade,
    Quote,
    Bar,
}

fn rule<T>(what: &'static str) -> Result<T> {
    Err(Malformed { at: 0, what: What::Rule(what) })
}

/// The names of columns, each as it is called here.
pub fn header(names: impl Iterator<Item = String>) -> Vec<String> {
    let own = |name: String| {
        let name = name.trim_start_matches('\u{feff}').trim().to_ascii_lowercase();
        let alias = ALIASES.iter().find(|(other, _)| *other == name);
        alias.map_or(name, |(_, own)| (*own).to_owned())
    };
    names.map(own).collect()
}

impl Tables {
    /// A reader of tables; `now` is the end of the past.
    pub fn new(kept: Vec<Arc<Instrument>>, given: &super::rows::Given, now: Ts) -> Self {
        let super::rows::Given { product, channel, interval, symbol: _ } = given;
        let (product, channel, interval) = (product.clone(), *channel, interval.clone());
        Self { kept, product, channel, interval, now, known: HashMap::new() }
    }

    /// Reads a row of the columns that `header` names.
    ///
    /// # Errors
    /// What is wrong with it; then nothing of it was taken.
    pub fn read(&mut self, header: &[String], fields: &[Cow<'_, str>]) -> Result<Event> {
        let (header, fields) = spread(header, fields);
        let row = Row::new(Some(&header), &fields);
        let kind = self.kind(&row)?;
        let flags = flags(&row)?;
        let name = self.name(&row)?;
        let mut instrument = self.instrument(&name)?;
        let body = 'fit: {
            for _ in 0..WIDENED_MAX {
                match self.body(kind, &row, &instrument) {
                    Ok(body) => break 'fit body,
                    Err(fault) => instrument = source::refit(&instrument, &fault).ok_or(fault)?,
                }
            }
            return rule("no definition fits all numbers of the row");
        };
        let (ts_event, ts_recv) = (self.time(&row, "ts_event")?, self.time(&row, "ts_recv")?);
        let (ts_event, ts_recv) = match (ts_event, ts_recv, &body) {
            (None, None, Body::Bar(bar)) => (Some(bar.start), bar.start),
            (None, None, _) => return Err(Malformed { at: 0, what: What::Missing("ts_event") }),
            (told, ours, _) => (told, ours.or(told).unwrap_or_default()),
        };
        self.known.insert(name, Arc::clone(&instrument));
        let source = match row.get("source") {
            Some(source) => {
                named(source).map(|source| source.spec().name).or_else(|| store::source_name(source))
            }
            None => Some(SOURCE),
        };
        let Some(source) = source else { return rule("too many names of sources") };
        let channel = match kind {
            Kind::Trade => {
                row.get("channel").and_then(Channel::parse).or(self.channel).unwrap_or(Channel::Trades)
            }
            Kind::Quote => Channel::Quote,
            Kind::Bar => Channel::Bars,
        };
        Ok(Event { source, instrument, channel, flags, stamp: Stamp { ts_event, ts_recv }, body })
    }

    fn kind(&self, row: &Row<'_>) -> Result<Kind> {
        let has = |name| row.get(name).is_some();
        match (row.get("kind"), self.channel) {
            (Some("trade"), _) | (None, Some(Channel::Trades | Channel::AggTrades)) => Ok(Kind::Trade),
            (Some("quote"), _) | (None, Some(Channel::Quote)) => Ok(Kind::Quote),
            (Some("bar"), _) | (None, Some(Channel::Bars)) => Ok(Kind::Bar),
            (Some(_), _) | (None, Some(_)) => rule("of tables only trades, quotes and bars are read"),
            (None, None) if has("bid_price") || has("ask_price") => Ok(Kind::Quote),
            (None, None) if has("open") && has("close") => Ok(Kind::Bar),
            (None, None) if has("price") && has("quantity") && !has("book_epoch") => Ok(Kind::Trade),
            (None, None) => rule("its columns are neither those of a trade, nor of a quote, nor of a bar"),
        }
    }

    /// Where it trades, in what section, and how it is spelled there.
    fn name(&self, row: &Row<'_>) -> Result<Name> {
        let symbol = row.text("symbol")?;
        let canonical = row.get("instrument");
        let exchange = row.get("exchange").or_else(|| canonical?.rsplit_once('@').map(|(_, venue)| venue));
        let exchange = exchange.ok_or(Malformed { at: 0, what: What::Missing("exchange") })?;
        let of = |product: &str| (exchange.to_owned(), product.to_owned(), symbol.to_owned());
        if let Some(product) = row.get("product").or(self.product.as_deref()) {
            return Ok(of(product));
        }
        let is = |i: &&Arc<Instrument>| *i.venue == *exchange && *i.symbol == *symbol;
        let mut fitting =
            self.kept.iter().filter(is).filter(|i| canonical.is_none_or(|name| *i.name == *name));
        if let (Some(one), None) = (fitting.next(), fitting.next()) {
            return Ok(of(&one.product));
        }
        // A venue all of whose symbols are unique has no sections.
        let sections = row.get("source").and_then(named).or_else(|| named(exchange));
        if sections.is_some_and(|source| source.rest().provisional("", symbol).is_none()) {
            return rule("its product is not told and not known: give --product");
        }
        Ok(of(""))
    }

    fn instrument(&self, name: &Name) -> Result<Arc<Instrument>> {
        if let Some(known) = self.known.get(name) {
            return Ok(Arc::clone(known));
        }
        if self.known.len() >= INSTRUMENTS_MAX {
            return rule("too many instruments");
        }
        let (exchange, product, symbol) = name;
        let kept = |i: &&Arc<Instrument>| {
            (&*i.venue, &*i.product, &*i.symbol) == (exchange.as_str(), product.as_str(), symbol.as_str())
        };
        if let Some(kept) = self.kept.iter().find(kept) {
            return Ok(Arc::clone(kept));
        }
        let made = named(exchange).and_then(|source| source.rest().provisional(product, symbol));
        let made = made.filter(|made| *made.venue == **exchange);
        let plain = || Instrument::provisional(exchange, product, symbol, InstrumentKind::Spot);
        Ok(Arc::new(made.unwrap_or_else(plain)))
    }

    fn body(&self, kind: Kind, row: &Row<'_>, instrument: &Instrument) -> Result<Body> {
        Ok(match kind {
            Kind::Trade => Body::Trade(Trade {
                id: TradeId::from_text(row.get("id").or_else(|| row.get("id_text")).unwrap_or_default()),
                px: row.px("price", instrument)?,
                qty: row.qty("quantity", instrument)?,
                aggressor: match row.get("side") {
                    None | Some("unknown") => None,
                    Some("bid") => Some(model::Side::Bid),
                    Some("ask") => Some(model::Side::Ask),
                    Some(_) => Some(row.side("side")?),
                },
                count: match row.get("count") {
                    None => 1,
                    Some(_) => u32::try_from(row.u64("count")?)
                        .map_err(|_| row.fault("count", What::Rule("a count is too large")))?,
                },
            }),
            Kind::Quote => {
                let bid = level(row, instrument, "bid_price", "bid_quantity")?;
                let ask = level(row, instrument, "ask_price", "ask_quantity")?;
                if bid.is_none() && ask.is_none() {
                    return rule("a quote has a bid or an ask");
                }
                Body::Quote(Quote { bid, ask, seq: row.get("seq").map(|_| row.u64("seq")).transpose()? })
            }
            Kind::Bar => Body::Bar(Box::new(self.bar(row)?)),
        })
    }

    fn bar(&self, row: &Row<'_>) -> Result<Bar> {
        let interval = row.get("interval").or(self.interval.as_deref());
        let interval = interval.ok_or(Malformed { at: 0, what: What::Missing("interval") })?;
        let start = self.time(row, "start")?.ok_or(Malformed { at: 0, what: What::Missing("start") })?;
        let (open, high) = (row.decimal("open")?, row.decimal("high")?);
        let (low, close) = (row.decimal("low")?, row.decimal("close")?);
        let within = |px: Decimal| px >= low && px <= high;
        if !within(open) || !within(close) {
            return rule("open and close lie between low and high");
        }
        Ok(Bar {
            interval: interval.into(),
            start,
            open,
            high,
            low,
            close,
            volume: row.decimal("volume")?,
            turnover: row.decimal_opt("turnover")?,
            trades: row.get("trades").map(|_| row.u64("trades")).transpose()?,
            closed: row.get("closed").is_none_or(|closed| closed != "false"),
        })
    }

    /// A time in ns, or as people write it; where there is no `ts_event` the time in ms of `timestamp`.
    fn time(&self, row: &Row<'_>, column: &'static str) -> Result<Option<Ts>> {
        let (column, text, ms) = match (row.get(column), row.get("timestamp")) {
            (Some(text), _) => (column, text, false),
            (None, Some(text)) if column == "ts_event" => ("timestamp", text, true),
            _ => return Ok(None),
        };
        let told = match text.strip_suffix("ns").unwrap_or(text).parse::<i64>() {
            Ok(number) if ms && !text.ends_with("ns") => Some(Ts::from_ms(number)),
            Ok(number) => Some(Ts(number)),
            Err(_) => instant(text).ok(),
        };
        let Some(at) = told else { return Err(row.fault(column, What::Expected("a time"))) };
        if at.as_ms() < MS_MIN {
            return Err(row.fault(column, What::Rule("a time before 2000: is it in another unit?")));
        }
        if at > self.now.plus_ms(AHEAD_MS) {
            return Err(row.fault(column, What::Rule("a time in the future: is it in another unit?")));
        }
        Ok(Some(at))
    }
}

fn level(row: &Row<'_>, of: &Instrument, px: &'static str, qty: &'static str) -> Result<Option<Level>> {
    if row.get(px).is_none() && row.get(qty).is_none() {
        return Ok(None);
    }
    Ok(Some(Level { px: row.px(px, of)?, qty: row.qty(qty, of)? }))
}

/// What our own export says of an event, but for what is only true of the one that is exported.
fn flags(row: &Row<'_>) -> Result<Flags> {
    let Some(text) = row.get("flags") else { return Ok(Flags::NONE) };
    let all = if let Ok(bits) = text.parse() {
        Flags::from_bits(bits)
    } else {
        let names: Vec<String> = serde_json::from_str(text)
            .map_err(|_| row.fault("flags", What::Expected("a number or a list of names")))?;
        let of = |name: &String| Flags::NAMES.iter().find(|(_, known)| known == name).map(|(flag, _)| *flag);
        names.iter().filter_map(of).fold(Flags::NONE, |all, flag| all | flag)
    };
    let again = Flags::LAST_VALUE | Flags::REPLAYED;
    Ok(Flags::from_bits(all.bits() & !again.bits()))
}

/// A row with what stands in one field of our exports as fields: levels, and numbers that no double gives.
fn spread<'a>(header: &[String], fields: &[Cow<'a, str>]) -> (Vec<String>, Vec<Cow<'a, str>>) {
    let (mut names, mut texts) = (Vec::with_capacity(header.len()), Vec::with_capacity(header.len()));
    for (name, text) in header.iter().zip(fields) {
        let is_level = matches!(name.as_str(), "bid" | "ask");
        if let Some(level) = serde_json::from_str::<Vec<String>>(text).ok().filter(|_| is_level) {
            for (part, text) in ["price", "quantity"].into_iter().zip(level) {
                names.push(format!("{name}_{part}"));
                texts.push(Cow::Owned(text));
            }
        } else {
            names.push(name.clone());
            texts.push(text.clone());
        }
    }
    let exact = header.iter().position(|name| name == "exact").and_then(|at| fields.get(at));
    let exact = exact.and_then(|text| serde_json::from_str::<BTreeMap<String, String>>(text).ok());
    for (name, text) in exact.into_iter().flatten() {
        if let Some(place) = names.iter().position(|known| *known == name).and_then(|at| texts.get_mut(at)) {
            *place = Cow::Owned(text);
        }
    }
    (names, texts)
}
