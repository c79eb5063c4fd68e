//! The venue's public archive, <https://public.bybit.com>: trades of contracts (`trading/`), trades of spot (`spot/`), and
//! bars of linear contracts (`kline_for_metatrader4/`).

use crate::emit::event;
use crate::product::Product;
use crate::rows::INTERVALS;
use model::{Bar, Body, Channel, Event, Instrument, Trade, TradeId, Ts};
use source::archive::{dated, stem};
use source::{Archive, Malformed, Row, What};
use std::sync::Arc;

type Result<T> = std::result::Result<T, Malformed>;

/// `1784851200.0547,BTCUSDT,Buy,0.038,65065.80,ZeroPlusTick,d6b9a5ac-3439-5cea-b590-fd245e5b3992,2.4725004e+11,0.038,2472.5004,0`:
/// the time in seconds. Of inverse contracts the size is in dollars.
const CONTRACT_TRADES: &[&str] = &[
    "timestamp",
    "symbol",
    "side",
    "size",
    "price",
    "tickDirection",
    "trdMatchID",
    "grossValue",
    "homeNotional",
    "foreignNotional",
    "RPI",
];

/// `1,1784937600662,64142.5,0.00016,buy,0`: the time in milliseconds; the id counts the rows of a file.
const SPOT_TRADES: &[&str] = &["id", "timestamp", "price", "volume", "side", "rpi"];

/// `2020.01.01 03:00,7189.43,7190.52,7170.15,7171.55,2449.049`: the start, in UTC+3, the time of that terminal.
const BARS: &[&str] = &["time", "open", "high", "low", "close", "volume"];

/// How far the clock of bars is ahead of UTC.
const BARS_AHEAD_NS: i64 = 3 * 3_600_000_000_000;

/// `BTCUSDT2024-08-09.csv.gz` has trades of a contract, `BTCUSDT_2024-08-09.csv.gz` and `BTCUSDT-2022-11.csv.gz` of spot,
/// `BTCUSDT_1_2020-01-01_2020-01-31.csv.gz` has bars.
pub fn named(path: &str) -> Option<Archive> {
    let (name, day) = dated(stem(path))?;
    let of = |product: Product, symbol: &str, channel, interval: &str| Archive {
        product: Some(product.name().to_owned()),
        symbol: symbol.to_owned(),
        channel,
        interval: interval.to_owned(),
    };
    if !day {
        return name.strip_suffix('-').map(|symbol| of(Product::Spot, symbol, Channel::Trades, ""));
    }
    let Some(name) = name.strip_suffix('_') else {
        let symbol = (!name.ends_with('-') && !name.is_empty()).then_some(name)?;
        return Some(of(Product::guess(symbol.as_bytes(), false), symbol, Channel::Trades, ""));
    };
    let Some((name, true)) = dated(name) else { return Some(of(Product::Spot, name, Channel::Trades, "")) };
    let (symbol, minutes) = name.strip_suffix('_')?.rsplit_once('_')?;
    let interval = INTERVALS.iter().find(|(_, theirs, _)| *theirs == minutes)?.0;
    let linear = Product::guess(symbol.as_bytes(), false) == Product::Linear;
    linear.then(|| of(Product::Linear, symbol, Channel::Bars, interval))
}

/// Appends the event of a row.
pub fn row(of: &Archive, instrument: &Arc<Instrument>, row: &Row<'_>, out: &mut Vec<Event>) -> Result<()> {
    let told = match (of.channel, Product::of(instrument)) {
        (Channel::Trades, Some(Product::Spot)) => {
            let row = row.or_columns(SPOT_TRADES)?;
            let trade = trade(row, instrument, ["id", "price", "volume"])?;
            printed(instrument, row.time("timestamp", 6)?, trade)
        }
        (Channel::Trades, Some(Product::Linear | Product::Inverse)) => {
            let row = row.or_columns(CONTRACT_TRADES)?;
            let trade = trade(row, instrument, ["trdMatchID", "price", "size"])?;
            printed(instrument, row.time("timestamp", 9)?, trade)
        }
        (Channel::Bars, Some(Product::Linear)) => bar(row.or_columns(BARS)?, instrument, &of.interval)?,
        _ => {
            let rule = "the venue has archive files of trades, and of bars of linear contracts, alone";
            return Err(Malformed { at: 0, what: What::Rule(rule) });
        }
    };
    out.push(told);
    Ok(())
}

fn trade(row: Row<'_>, instrument: &Instrument, [id, px, qty]: [&'static str; 3]) -> Result<Trade> {
    Ok(Trade {
        id: TradeId::from_text(row.text(id)?),
        px: row.px(px, instrument)?,
        qty: row.qty(qty, instrument)?,
        aggressor: Some(row.side("side")?),
        count: 1,
    })
}

fn printed(instrument: &Arc<Instrument>, ts: Ts, trade: Trade) -> Event {
    event(instrument, Channel::Trades, Some(ts), ts, Body::Trade(trade))
}

fn bar(row: Row<'_>, instrument: &Arc<Instrument>, interval: &str) -> Result<Event> {
    let length = INTERVALS.iter().find(|(name, ..)| *name == interval).map(|(_, _, minutes)| *minutes);
    let Some(minutes) = length.filter(|minutes| *minutes > 0) else {
        return Err(Malformed { at: 0, what: What::Rule("an interval of bars that is not known") });
    };
    let start = Ts(row.civil("time")?.0 - BARS_AHEAD_NS);
    let bar = Bar {
        interval: interval.into(),
        start,
        open: row.decimal("open")?,
        high: row.decimal("high")?,
        low: row.decimal("low")?,
        close: row.decimal("close")?,
        volume: row.decimal("volume")?,
        turnover: None,
        trades: None,
        closed: true,
    };
    let over = start.plus_ms(u64::from(minutes) * 60_000);
    Ok(event(instrument, Channel::Bars, None, over, Body::Bar(Box::new(bar))))
}

#[cfg(test)]
mod tests;
