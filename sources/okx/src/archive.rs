//! The venue's public archive, <https://www.okx.com/historical-data>: trades, merged trades, bars of a minute, funding
//! rates. Every file has a header line, which until 2025 named each column twice: `side/交易方向`, in GBK or UTF-8.

use crate::emit::event;
use crate::listing;
use crate::rows::length_ms;
use model::{Bar, Body, Channel, Event, Funding, Instrument, Trade, TradeId, Ts};
use source::archive::{dated, stem};
use source::{Archive, Malformed, Row, What};
use std::sync::Arc;

type Result<T> = std::result::Result<T, Malformed>;

/// The column that names the instrument; files of one instrument had none until 2025.
pub const SYMBOL: &str = "instrument_name";

/// The only interval that is published.
const INTERVAL: &str = "1m";

/// `BTC-USDT-SWAP-trades-2024-08-09.zip`. Files of all instruments of a kind (`allspot-…`), of all futures of a pair
/// (`BTC-USD-futureschain-…`) and of all its options (`BTC-USD-option-…`) name the instrument in each row.
pub fn named(path: &str) -> Option<Archive> {
    let (name, _) = dated(stem(path))?;
    let (symbol, kind) = name.strip_suffix('-')?.rsplit_once('-')?;
    let (channel, interval) = match kind {
        "trades" => (Channel::Trades, ""),
        "aggtrades" => (Channel::AggTrades, ""),
        "candlesticks" => (Channel::Bars, INTERVAL),
        "fundingrates" => (Channel::Funding, ""),
        _ => return None,
    };
    let many = symbol.starts_with("all") || symbol.ends_with("-futureschain") || symbol.ends_with("-option");
    let symbol = if many { "" } else { symbol };
    let (symbol, interval) = (symbol.to_owned(), interval.to_owned());
    Some(Archive { product: Some(String::new()), symbol, channel, interval })
}

/// A definition made up from a symbol.
pub fn provisional(product: &str, symbol: &str) -> Option<Instrument> {
    listing::provisional(symbol.as_bytes()).filter(|_| product.is_empty())
}

/// Appends the event of a row.
pub fn row(of: &Archive, instrument: &Arc<Instrument>, row: &Row<'_>, out: &mut Vec<Event>) -> Result<()> {
    out.push(match of.channel {
        Channel::Trades | Channel::AggTrades => {
            let (ts, body) = (row.time("created_time", 6)?, Body::Trade(trade(row, instrument)?));
            event(instrument, of.channel, Some(ts), ts, body)
        }
        Channel::Bars => bar(row, instrument, &of.interval)?,
        Channel::Funding => funding(row, instrument)?,
        _ => return Err(rule("the venue has no archive files of this channel")),
    });
    Ok(())
}

const fn rule(rule: &'static str) -> Malformed {
    Malformed { at: 0, what: What::Rule(rule) }
}

/// `instrument_name,trade_id,side,price,size,created_time`
///
/// `BTC-USDT-SWAP,1566502282,sell,104503.0,30.14,1748707200008`: the size of derivatives is in contracts. How many were
/// merged into one the file does not tell.
fn trade(row: &Row<'_>, instrument: &Instrument) -> Result<Trade> {
    Ok(Trade {
        id: TradeId::from_text(row.text("trade_id")?),
        px: row.px("price", instrument)?,
        qty: row.qty("size", instrument)?,
        aggressor: Some(row.side("side")?),
        count: 1,
    })
}

/// `instrument_name,open,high,low,close,vol,vol_ccy,vol_quote,open_time,confirm`
///
/// `ETH-USDT-SWAP,3839.44,3843.58,3836.71,3838.16,23503.2,2350.32,9024127.30277,1761148800000,1`: the first volume of
/// derivatives is in contracts. Bars are published when they are over, whatever the last column says.
fn bar(row: &Row<'_>, instrument: &Arc<Instrument>, interval: &str) -> Result<Event> {
    let length = length_ms(interval).ok_or(rule("the venue has archive files of bars of `1m` alone"))?;
    let start = row.time("open_time", 6)?;
    let bar = Bar {
        interval: interval.into(),
        start,
        open: row.decimal("open")?,
        high: row.decimal("high")?,
        low: row.decimal("low")?,
        close: row.decimal("close")?,
        volume: row.decimal("vol")?,
        turnover: row.decimal_opt("vol_quote")?,
        trades: None,
        closed: true,
    };
    let over = Ts::from_ms(start.as_ms() + length);
    Ok(event(instrument, Channel::Bars, None, over, Body::Bar(Box::new(bar))))
}

/// `instrument_name,funding_rate,funding_time`
///
/// `BTC-USDT-SWAP,0.0000744588100483,1788192000000`: what was paid, and when.
fn funding(row: &Row<'_>, instrument: &Arc<Instrument>) -> Result<Event> {
    if row.get("real_funding_rate").is_some() {
        // `allswaprate-swaprate-2021-10-01.zip`: one row a day for several periods.
        return Err(rule("a file of forecasts, whose time is that of the next period"));
    }
    let at = row.time("funding_time", 6)?;
    let funding = Funding { rate: row.decimal("funding_rate")?, at: Some(at), next_rate: None };
    Ok(event(instrument, Channel::Funding, Some(at), at, Body::Funding(Box::new(funding))))
}
