//! Tardis CSV (docs.tardis.dev, "Downloadable CSV files"): the columns are told by the header, times are microseconds.

use hashbrown::HashMap;
use model::{
    Body, Channel, Decimal, Delta, Event, Flags, Funding, Instrument, InstrumentKind, Level, Levels,
    Liquidation, OpenInterest, Px, Qty, Quote, Side, Snapshot, SourceName, Stamp, Trade, TradeId, Ts,
};
use source::{Field, Malformed, What};
use std::sync::Arc;

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Trades,
    Liquidations,
    Quotes,
    Book,
    Ticker,
}

/// Reads the rows of one file.
pub struct Tardis {
    source: SourceName,
    product: String,
    kind: Kind,
    columns: HashMap<String, usize>,
    instruments: HashMap<String, Arc<Instrument>>,
    /// Rows of a book that belong to one message: they share their times.
    open: Option<Message>,
}

struct Message {
    instrument: Arc<Instrument>,
    stamp: Stamp,
    snapshot: bool,
    bids: Vec<Level>,
    asks: Vec<Level>,
}

impl Tardis {
    /// A reader, where the first line is a header of such a file. Forced orders have the columns of trades; that a file
    /// holds them must be said.
    pub fn of(source: SourceName, product: &str, header: &[&str], forced: bool) -> Option<Self> {
        let columns: HashMap<String, usize> =
            header.iter().enumerate().map(|(at, name)| ((*name).to_owned(), at)).collect();
        let has = |names: &[&str]| names.iter().all(|name| columns.contains_key(*name));
        if !has(&["exchange", "symbol", "timestamp", "local_timestamp"]) {
            return None;
        }
        let kind = if has(&["is_snapshot", "side", "price", "amount"]) {
            Kind::Book
        } else if has(&["bid_price", "bid_amount", "ask_price", "ask_amount"]) {
            Kind::Quotes
        } else if has(&["mark_price", "index_price", "open_interest"]) {
            Kind::Ticker
        } else if has(&["id", "side", "price", "amount"]) {
            if forced { Kind::Liquidations } else { Kind::Trades }
        } else {
            return None;
        };
        let (product, instruments) = (product.to_owned(), HashMap::new());
        Some(Self { source, product, kind, columns, instruments, open: None })
    }

    /// Reads a row; a message of a book comes with the row after it.
    ///
    /// # Errors
    /// What is wrong with the row.
    pub fn read(&mut self, row: &[&str], out: &mut Vec<Event>) -> Result<(), String> {
        for _ in 0..3 {
            match self.row(row, out) {
                Ok(()) => return Ok(()),
                Err(Fault::Words(words)) => return Err(words),
                Err(Fault::Fits(symbol, fault)) => {
                    let known = self.instruments.get(&symbol).ok_or("no definition")?;
                    let wider = source::refit(known, &fault).ok_or_else(|| fault.to_string())?;
                    self.instruments.insert(symbol, wider);
                }
            }
        }
        Err("a number fits no definition".to_owned())
    }

    /// The message of a book that is still open.
    pub fn end(&mut self, out: &mut Vec<Event>) {
        if let Some(message) = self.open.take() {
            out.push(message.event(self.source));
        }
    }

    #[expect(clippy::too_many_lines, reason = "one row is one of five kinds, each a few lines")]
    fn row(&mut self, row: &[&str], out: &mut Vec<Event>) -> Result<(), Fault> {
        let text = |name: &str| self.columns.get(name).and_then(|at| row.get(*at)).copied().unwrap_or("");
        let time = |name: &str| -> Result<Ts, Fault> {
            let us: i64 = text(name).parse().map_err(|_| wrong(name, text(name)))?;
            Ok(Ts(us.saturating_mul(1_000)))
        };
        let stamp = Stamp { ts_event: Some(time("timestamp")?), ts_recv: time("local_timestamp")? };
        let symbol = text("symbol").to_owned();
        if symbol.is_empty() {
            return Err(wrong("symbol", ""));
        }
        let instrument = self.instruments.entry(symbol.clone()).or_insert_with(|| {
            let kind = InstrumentKind::Spot;
            Arc::new(Instrument::provisional(self.source, &self.product, &symbol, kind))
        });
        let instrument = Arc::clone(instrument);
        let number = |name: &str, field: Field| mantissa(&instrument, &symbol, name, text(name), field);
        let level = |px: &str, qty: &str| -> Result<Option<Level>, Fault> {
            if text(px).is_empty() {
                return Ok(None);
            }
            Ok(Some(Level { px: Px(number(px, Field::Px)?), qty: Qty(number(qty, Field::Qty)?) }))
        };
        let decimal = |name: &str| -> Result<Option<Decimal>, Fault> {
            match text(name) {
                "" => Ok(None),
                value => Decimal::parse(value.as_bytes()).map(Some).map_err(|_| wrong(name, value)),
            }
        };
        let source = self.source;
        let mut tell = |channel, body| {
            let instrument = Arc::clone(&instrument);
            out.push(Event { source, instrument, channel, flags: Flags::NONE, stamp, body });
        };
        match self.kind {
            Kind::Trades | Kind::Liquidations => {
                let aggressor = match text("side") {
                    "buy" => Some(Side::Bid),
                    "sell" => Some(Side::Ask),
                    "unknown" => None,
                    other => return Err(wrong("side", other)),
                };
                let (px, qty) = (Px(number("price", Field::Px)?), Qty(number("amount", Field::Qty)?));
                if self.kind == Kind::Liquidations {
                    let side = aggressor.ok_or_else(|| wrong("side", text("side")))?;
                    let px = Decimal::new(px.0.into(), instrument.px_scale);
                    let qty = Decimal::new(qty.0.into(), instrument.qty_scale);
                    let body = Liquidation { side, px, qty, avg_px: None };
                    tell(Channel::Liquidations, Body::Liquidation(Box::new(body)));
                } else {
                    let id = TradeId::from_text(text("id"));
                    tell(Channel::Trades, Body::Trade(Trade { id, px, qty, aggressor, count: 1 }));
                }
            }
            Kind::Quotes => {
                let (bid, ask) = (level("bid_price", "bid_amount")?, level("ask_price", "ask_amount")?);
                tell(Channel::Quote, Body::Quote(Quote { bid, ask, seq: None }));
            }
            Kind::Ticker => {
                if let Some(px) = decimal("mark_price")? {
                    tell(Channel::MarkPrice, Body::MarkPrice(px));
                }
                if let Some(px) = decimal("index_price")? {
                    tell(Channel::IndexPrice, Body::IndexPrice(px));
                }
                if let Some(qty) = decimal("open_interest")? {
                    tell(Channel::OpenInterest, Body::OpenInterest(OpenInterest { qty, value: None }));
                }
                if let Some(rate) = decimal("funding_rate")? {
                    let at = time("funding_timestamp").ok();
                    let next_rate = decimal("predicted_funding_rate")?;
                    tell(Channel::Funding, Body::Funding(Box::new(Funding { rate, at, next_rate })));
                }
            }
            Kind::Book => {
                let snapshot = match text("is_snapshot") {
                    "true" => true,
                    "false" => false,
                    other => return Err(wrong("is_snapshot", other)),
                };
                let level = level("price", "amount")?.ok_or_else(|| wrong("price", ""))?;
                let bid = match text("side") {
                    "bid" => true,
                    "ask" => false,
                    other => return Err(wrong("side", other)),
                };
                let same =
                    |m: &Message| m.instrument == instrument && m.stamp == stamp && m.snapshot == snapshot;
                if !self.open.as_ref().is_some_and(same) {
                    let (bids, asks) = (Vec::new(), Vec::new());
                    let new = Message { instrument: Arc::clone(&instrument), stamp, snapshot, bids, asks };
                    out.extend(self.open.replace(new).map(|message| message.event(source)));
                }
                if let Some(message) = &mut self.open {
                    if bid { message.bids.push(level) } else { message.asks.push(level) }
                }
            }
        }
        Ok(())
    }
}

/// Why a row cannot be read.
enum Fault {
    Words(String),
    /// A number of this symbol needs a wider definition.
    Fits(String, Malformed),
}

fn wrong(column: &str, text: &str) -> Fault {
    Fault::Words(format!("column `{column}`: `{text}` cannot be read"))
}

fn mantissa(
    instrument: &Instrument,
    symbol: &str,
    column: &str,
    text: &str,
    field: Field,
) -> Result<i64, Fault> {
    let scale = if field == Field::Px { instrument.px_scale } else { instrument.qty_scale };
    let number = Decimal::parse(text.as_bytes()).map_err(|_| wrong(column, text))?;
    let too_fine = || Fault::Fits(symbol.to_owned(), Malformed { at: 0, what: What::Scale(field, number) });
    number.mantissa_at(scale).ok_or_else(too_fine)
}

impl Message {
    fn event(self, source: SourceName) -> Event {
        let levels = Levels::from_sides(&self.bids, &self.asks);
        let body = if self.snapshot {
            Body::Snapshot(Snapshot { seq: None, levels, checksum: None, epoch: 0 })
        } else {
            Body::Delta(Delta { prev_seq: None, seq: None, levels, checksum: None, epoch: 0 })
        };
        let (instrument, stamp) = (self.instrument, self.stamp);
        Event { source, instrument, channel: Channel::Book, flags: Flags::NONE, stamp, body }
    }
}
