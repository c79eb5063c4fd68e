//! Tardis CSV (docs.tardis.dev, "Downloadable CSV files"): the columns are told by the header, times are microseconds.

use model::{
    Body, Channel, Delta, Event, Flags, Funding, Instrument, Level, Levels, Liquidation, OpenInterest, Px,
    Qty, Quote, Scale, Snapshot, SourceName, Stamp, Trade, TradeId, rescale,
};
use source::{Malformed, Row, What};
use std::sync::Arc;

type Result<T> = std::result::Result<T, Malformed>;

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
    kind: Kind,
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
    /// A reader, where the header line is one of such a file. Forced orders have the columns of trades; that a file holds
    /// them must be said.
    pub fn of(source: SourceName, header: &[String], forced: bool) -> Option<Self> {
        let has = |names: &[&str]| names.iter().all(|name| header.iter().any(|column| column == name));
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
        Some(Self { source, kind, open: None })
    }

    /// Reads a row; a message of a book comes with the row after it.
    ///
    /// # Errors
    /// What is wrong with the row.
    pub fn row(&mut self, instrument: &Arc<Instrument>, row: &Row<'_>, out: &mut Vec<Event>) -> Result<()> {
        let stamp =
            Stamp { ts_event: Some(row.time("timestamp", 3)?), ts_recv: row.time("local_timestamp", 3)? };
        let source = self.source;
        let mut tell = |channel, body| {
            let instrument = Arc::clone(instrument);
            out.push(Event { source, instrument, channel, flags: Flags::NONE, stamp, body });
        };
        match self.kind {
            Kind::Trades => tell(Channel::Trades, Body::Trade(trade(row, instrument)?)),
            Kind::Liquidations => {
                let (side, px, qty) = (row.side("side")?, row.decimal("price")?, row.decimal("amount")?);
                let body = Liquidation { side, px, qty, avg_px: None };
                tell(Channel::Liquidations, Body::Liquidation(Box::new(body)));
            }
            Kind::Quotes => {
                let bid = level(row, instrument, ["bid_price", "bid_amount"])?;
                let ask = level(row, instrument, ["ask_price", "ask_amount"])?;
                tell(Channel::Quote, Body::Quote(Quote { bid, ask, seq: None }));
            }
            Kind::Ticker => ticker(row)?.into_iter().for_each(|(channel, body)| tell(channel, body)),
            Kind::Book => return self.book(instrument, stamp, row, out),
        }
        Ok(())
    }

    fn book(
        &mut self,
        instrument: &Arc<Instrument>,
        stamp: Stamp,
        row: &Row<'_>,
        out: &mut Vec<Event>,
    ) -> Result<()> {
        let snapshot = match row.text("is_snapshot")? {
            "true" => true,
            "false" => false,
            _ => return Err(row.fault("is_snapshot", What::Expected("true or false"))),
        };
        let bid = match row.text("side")? {
            "bid" => true,
            "ask" => false,
            _ => return Err(row.fault("side", What::Expected("bid or ask"))),
        };
        let level = Level { px: row.px("price", instrument)?, qty: row.qty("amount", instrument)? };
        let same =
            |m: &Message| m.instrument.id == instrument.id && m.stamp == stamp && m.snapshot == snapshot;
        if !self.open.as_ref().is_some_and(same) {
            let (bids, asks) = (Vec::new(), Vec::new());
            let new = Message { instrument: Arc::clone(instrument), stamp, snapshot, bids, asks };
            out.extend(self.open.replace(new).map(|message| message.event(self.source)));
        }
        if let Some(message) = &mut self.open {
            message.widen(instrument)?;
            if bid { message.bids.push(level) } else { message.asks.push(level) }
        }
        Ok(())
    }

    /// The message of a book that is still open.
    pub fn end(&mut self, out: &mut Vec<Event>) {
        if let Some(message) = self.open.take() {
            out.push(message.event(self.source));
        }
    }
}

fn trade(row: &Row<'_>, instrument: &Instrument) -> Result<Trade> {
    Ok(Trade {
        id: TradeId::from_text(row.get("id").unwrap_or_default()),
        px: row.px("price", instrument)?,
        qty: row.qty("amount", instrument)?,
        aggressor: if row.text("side")? == "unknown" { None } else { Some(row.side("side")?) },
        count: 1,
    })
}

/// A side of a quote; `None` where it has no orders.
fn level(row: &Row<'_>, instrument: &Instrument, [px, qty]: [&'static str; 2]) -> Result<Option<Level>> {
    if row.get(px).is_none() {
        return Ok(None);
    }
    Ok(Some(Level { px: row.px(px, instrument)?, qty: row.qty(qty, instrument)? }))
}

/// All that a row of `derivative_ticker` tells.
fn ticker(row: &Row<'_>) -> Result<Vec<(Channel, Body)>> {
    let mark = row.decimal_opt("mark_price")?.map(|px| (Channel::MarkPrice, Body::MarkPrice(px)));
    let index = row.decimal_opt("index_price")?.map(|px| (Channel::IndexPrice, Body::IndexPrice(px)));
    let open = row.decimal_opt("open_interest")?.map(|qty| OpenInterest { qty, value: None });
    let (at, next_rate) = (row.time("funding_timestamp", 3).ok(), row.decimal_opt("predicted_funding_rate")?);
    let funding = row.decimal_opt("funding_rate")?.map(|rate| Funding { rate, at, next_rate });
    let open = open.map(|open| (Channel::OpenInterest, Body::OpenInterest(open)));
    let funding = funding.map(|funding| (Channel::Funding, Body::Funding(Box::new(funding))));
    Ok([mark, index, open, funding].into_iter().flatten().collect())
}

impl Message {
    /// Holds its levels at the scales of another definition of the same instrument.
    fn widen(&mut self, instrument: &Arc<Instrument>) -> Result<()> {
        if *self.instrument == **instrument {
            return Ok(());
        }
        let scales = |i: &Instrument| (i.px_scale, i.qty_scale);
        let (from, to) = (scales(&self.instrument), scales(instrument));
        let none = Malformed { at: 0, what: What::Rule("no definition fits all levels of its message") };
        let wider = |levels: &[Level]| -> Option<Vec<Level>> {
            levels.iter().map(|level| rescaled(*level, from, to)).collect()
        };
        (self.bids, self.asks) = wider(&self.bids).zip(wider(&self.asks)).ok_or(none)?;
        self.instrument = Arc::clone(instrument);
        Ok(())
    }

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

fn rescaled(level: Level, from: (Scale, Scale), to: (Scale, Scale)) -> Option<Level> {
    let px = Px(rescale(level.px.0, from.0, to.0)?);
    Some(Level { px, qty: Qty(rescale(level.qty.0, from.1, to.1)?) })
}
