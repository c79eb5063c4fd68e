//! What other programs bring: trades, quotes and books, published as if a source had told them.
//!
//! A record is taken whole or not at all, and what is wrong with it is named.

use super::storage::{body, table_of};
use crate::http::Fail;
use crate::names;
use crate::site::Site;
use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use hashbrown::HashSet;
use model::{
    Body, Channel, Event, Flags, Instrument, Level, Levels, NumError, Px, Qty, Quote, Scale, Side, Snapshot,
    Stamp, Trade, TradeId, Ts, parse_mantissa,
};
use serde::{Deserialize, Serialize};
use serde_json::Number;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use store::Table;

/// Who told us.
const SOURCE: &str = "posted";
/// How far a clock may be ahead of ours.
const AHEAD_MS: i64 = 60_000;
/// Times before 2000 are in another unit than ms.
const MS_MIN: i64 = 946_684_800_000;
/// How many records are remembered, so that one that comes again is known.
const REMEMBERED: usize = 65_536;

/// Keys of the records that came.
#[derive(Default)]
pub(crate) struct Posted(Mutex<(HashSet<String>, VecDeque<String>)>);

impl Posted {
    /// Whether a key is new; it is remembered.
    fn is_new(&self, key: String) -> bool {
        let (known, order) = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.insert(key.clone()) {
            return false;
        }
        order.push_back(key);
        if order.len() > REMEMBERED
            && let Some(oldest) = order.pop_front()
        {
            known.remove(&oldest);
        }
        true
    }
}

/// A number as text, or as JSON has it.
#[derive(Deserialize, Clone)]
#[serde(untagged)]
enum Decimal {
    Text(String),
    Number(Number),
}

impl Decimal {
    fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(number) => number.to_string(),
        }
    }
}

/// A record, as earlier systems sent it; fields that do not belong to its kind are refused.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    exchange: String,
    symbol: String,
    /// In ms since 1970.
    timestamp: i64,
    trade_id: Option<Decimal>,
    price: Option<Decimal>,
    quantity: Option<Decimal>,
    side: Option<String>,
    bid_price: Option<Decimal>,
    bid_quantity: Option<Decimal>,
    ask_price: Option<Decimal>,
    ask_quantity: Option<Decimal>,
    bids: Option<Vec<(Decimal, Decimal)>>,
    asks: Option<Vec<(Decimal, Decimal)>>,
    last_update_id: Option<u64>,
}

#[derive(Serialize)]
pub(crate) struct Taken {
    status: &'static str,
    epoch: u64,
    number: u64,
    timestamp: i64,
}

pub(crate) async fn post(
    State(site): State<Arc<Site>>,
    path: Result<Path<String>, PathRejection>,
    record: Result<Json<Record>, JsonRejection>,
) -> Result<(StatusCode, Json<Taken>), Fail> {
    let Path(what) = path.map_err(|_| Fail::bad_parameter("the path is not valid UTF-8"))?;
    let table = table_of(&what)?;
    let example = "{\"exchange\":\"EXCHANGE\",\"symbol\":\"BTCUSDT\",\"timestamp\":1795241674062,\"price\":\"64000.1\",…}";
    let taken = take(&site, table, &body(record, example)?.0);
    if taken.is_err() {
        site.metrics.serve.refused_records.inc();
    }
    taken.map(|taken| (StatusCode::CREATED, Json(taken)))
}

fn take(site: &Site, table: Table, record: &Record) -> Result<Taken, Fail> {
    let instrument = names::at(&site.bus, &record.exchange, &record.symbol)?;
    let now = site.now();
    let ts_event = time(record.timestamp, now)?;
    let (channel, body) = match table {
        Table::Quotes => quote(&instrument, record)?,
        Table::BookSnapshots => book(&instrument, record)?,
        _ => trade(&instrument, record)?,
    };
    let stamp = Stamp { ts_event: Some(ts_event), ts_recv: now };
    let event = Event { source: SOURCE, instrument, channel, flags: Flags::NONE, stamp, body };
    let name = &event.instrument.name;
    let key = store::identity(&event).key;
    if !site.posted.is_new(format!("{} {name} {key}", table.name())) {
        let message = format!("the same record of {name} came before: {key}");
        return Err(Fail::new(StatusCode::CONFLICT, "duplicate", message));
    }
    let cursor = site.bus.publish(event, now);
    Ok(Taken { status: "success", epoch: cursor.epoch, number: cursor.number, timestamp: now.as_ms() })
}

fn time(ms: i64, now: Ts) -> Result<Ts, Fail> {
    let wrong = |message: String| Err(Fail::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_time", message));
    if ms < MS_MIN {
        return wrong(format!(
            "`timestamp` is in ms since 1970; {ms} would be before 2000: are these seconds?"
        ));
    }
    if ms > now.as_ms().saturating_mul(100) {
        return wrong(format!("`timestamp` is in ms since 1970; {ms} is far too large: are these us or ns?"));
    }
    if ms > now.as_ms() + AHEAD_MS {
        return wrong(format!("`timestamp` lies {} ms in the future", ms - now.as_ms()));
    }
    Ok(Ts::from_ms(ms))
}

fn trade(instrument: &Instrument, record: &Record) -> Result<(Channel, Body), Fail> {
    refuse(record.bids.is_some() || record.asks.is_some() || record.bid_price.is_some(), "a trade")?;
    let Some(id) = &record.trade_id else { return Err(missing("trade_id")) };
    let aggressor = match record.side.as_deref() {
        None => None,
        Some("buy" | "BUY") => Some(Side::Bid),
        Some("sell" | "SELL") => Some(Side::Ask),
        Some(other) => {
            return Err(Fail::bad_parameter(format!("`side` is `buy` or `sell`, not `{other}`")));
        }
    };
    let level = level(instrument, ("price", &record.price), ("quantity", &record.quantity))?;
    let level = level.ok_or_else(|| missing("price"))?;
    let id = TradeId::from_text(&id.text());
    let trade = Trade { id, px: level.px, qty: level.qty, aggressor, count: 1 };
    Ok((Channel::Trades, Body::Trade(trade)))
}

fn quote(instrument: &Instrument, record: &Record) -> Result<(Channel, Body), Fail> {
    refuse(record.bids.is_some() || record.asks.is_some() || record.price.is_some(), "a ticker")?;
    let bid = level(instrument, ("bid_price", &record.bid_price), ("bid_quantity", &record.bid_quantity))?;
    let ask = level(instrument, ("ask_price", &record.ask_price), ("ask_quantity", &record.ask_quantity))?;
    if bid.is_none() && ask.is_none() {
        return Err(missing("bid_price"));
    }
    Ok((Channel::Quote, Body::Quote(Quote { bid, ask, seq: record.last_update_id })))
}

fn book(instrument: &Instrument, record: &Record) -> Result<(Channel, Body), Fail> {
    refuse(record.price.is_some() || record.bid_price.is_some(), "an order book")?;
    let side = |name: &'static str, levels: &Option<Vec<(Decimal, Decimal)>>| {
        let Some(levels) = levels else { return Err(missing(name)) };
        let levels = levels.iter().map(|(px, qty)| {
            let (px, qty) = (Some(px.clone()), Some(qty.clone()));
            level(instrument, (name, &px), (name, &qty))?.ok_or_else(|| missing(name))
        });
        levels.collect::<Result<Vec<Level>, Fail>>()
    };
    let (bids, asks) = (side("bids", &record.bids)?, side("asks", &record.asks)?);
    let levels = Levels::from_sides(&bids, &asks);
    let body = Snapshot { seq: record.last_update_id, levels, checksum: None, epoch: 0 };
    Ok((Channel::Book, Body::Snapshot(body)))
}

fn refuse(foreign: bool, what: &str) -> Result<(), Fail> {
    if foreign {
        let message = format!("the record has fields that {what} does not have");
        return Err(Fail::new(StatusCode::BAD_REQUEST, "bad_body", message));
    }
    Ok(())
}

fn missing(name: &str) -> Fail {
    Fail::new(StatusCode::BAD_REQUEST, "bad_body", format!("`{name}` is missing"))
}

/// Price and quantity, exact; `None` where both are missing.
fn level(
    instrument: &Instrument,
    (px_name, px): (&str, &Option<Decimal>),
    (qty_name, qty): (&str, &Option<Decimal>),
) -> Result<Option<Level>, Fail> {
    match (px, qty) {
        (None, None) => Ok(None),
        (Some(px), Some(qty)) => {
            let px = mantissa(px, instrument.px_scale, px_name)?;
            let qty = mantissa(qty, instrument.qty_scale, qty_name)?;
            Ok(Some(Level { px: Px(px), qty: Qty(qty) }))
        }
        (Some(_), None) => Err(missing(qty_name)),
        (None, Some(_)) => Err(missing(px_name)),
    }
}

fn mantissa(number: &Decimal, scale: Scale, name: &str) -> Result<i64, Fail> {
    let text = number.text();
    let why = match parse_mantissa(text.as_bytes(), scale) {
        Ok(mantissa) if mantissa >= 0 => return Ok(mantissa),
        Ok(_) => "is below zero".to_owned(),
        Err(NumError::NotANumber) => "is not a decimal number".to_owned(),
        Err(NumError::TooFine(digits)) => {
            format!("has {digits} digits after the point, the instrument {scale}")
        }
        Err(NumError::TooLarge) => "is too large".to_owned(),
    };
    Err(Fail::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_number", format!("`{name}` {text} {why}")))
}
