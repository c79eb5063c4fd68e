//! From a record to events.

use crate::record::{Record, Waiting, has_book};
use model::ashare::instrument;
use model::{
    Body, Channel, DayStats, Decimal, Event, Flags, Instrument, Level, Levels, Px, Qty, Scale, Snapshot,
    Stamp, Ts,
};
use source::Field;
use source::{Malformed, What, refit};
use std::sync::Arc;

/// An event of this source.
pub fn event(of: &Arc<Instrument>, channel: Channel, ts_event: Option<Ts>, now: Ts, body: Body) -> Event {
    Event {
        source: crate::NAME,
        instrument: Arc::clone(of),
        channel,
        flags: Flags::NONE,
        stamp: Stamp { ts_event, ts_recv: now },
        body,
    }
}

/// The definition that a record is read by: the one before, or a new one where the name or the digits need it.
///
/// # Errors
/// Where no definition can hold its prices.
pub fn definition(
    record: &Record<'_>,
    before: Option<&Arc<Instrument>>,
) -> Result<Arc<Instrument>, Malformed> {
    let mut now = match before {
        Some(known) => Arc::clone(known),
        None => Arc::new(instrument(record.code, record.title.unwrap_or_default())),
    };
    if let Some(title) = record.title.filter(|title| **title != *now.title) {
        now = Arc::new(Instrument { title: title.into(), ..(*now).clone() });
    }
    for px in record.asks.iter().chain(&record.bids).filter_map(|level| level.px) {
        if px.mantissa_at(now.px_scale).is_none() {
            let fault = Malformed { at: 0, what: What::Scale(Field::Px, px) };
            now = refit(&now, &fault).ok_or(fault)?;
        }
    }
    Ok(now)
}

/// Statistics of the day.
pub fn day(record: &Record<'_>) -> Body {
    Body::DayStats(Box::new(DayStats {
        open: record.open,
        high: record.high,
        low: record.low,
        last: record.last,
        volume: record.shares.map(|shares| Decimal::new(i128::from(shares), 0)),
        turnover: record.amount,
        prev_close: record.prev_close,
        limit_up: record.limit_up,
        limit_down: record.limit_down,
        ..DayStats::default()
    }))
}

/// The five levels of each side; `None` where the record does not speak of them. Empty places are left out.
pub fn top(record: &Record<'_>, scale: Scale) -> Option<Body> {
    let told = |side: &[Waiting]| side.iter().any(|level| level.told);
    if !has_book(record.code) || !told(&record.asks) && !told(&record.bids) {
        return None;
    }
    let mut all = Vec::with_capacity(record.asks.len() + record.bids.len());
    let level = |waiting: &Waiting| {
        let (px, qty) = (waiting.px?.mantissa_at(scale)?, waiting.qty?);
        (qty > 0).then_some(Level { px: Px(px), qty: Qty(qty) })
    };
    all.extend(record.bids.iter().filter_map(level));
    let bids = all.len();
    all.extend(record.asks.iter().filter_map(level));
    Some(Body::Snapshot(Snapshot { seq: None, levels: Levels::new(all, bids), checksum: None, epoch: 0 }))
}
