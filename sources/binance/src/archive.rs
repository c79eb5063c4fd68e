//! The venue's public archive, <https://data.binance.vision>. Columns of trades, merged trades and bars are told by
//! <https://github.com/binance/binance-public-data>; files of futures have a header line, which comes first where there is
//! one, files of spot and old files of futures have none.

use crate::listing;
use crate::product::{PRODUCTS, Product};
use crate::table::event;
use model::{
    Bar, Body, Channel, Event, Funding, Instrument, Level, Liquidation, LongShortRatio, OpenInterest, Px,
    Qty, Quote, Side, Trade, TradeId, Ts,
};
use source::archive::{dated, stem};
use source::{Archive, Malformed, Row, What};
use std::sync::Arc;

type Result<T> = std::result::Result<T, Malformed>;

/// `28457,4.00000100,12.00000000,48.00,1499865549590,true`; the last is of spot alone.
const TRADES: &[&str] = &["id", "price", "qty", "quote_qty", "time", "is_buyer_maker", "is_best_match"];

/// `26129,0.01633102,4.70443515,27781,27781,1498793709153,true`; the last is of spot alone.
const AGG_TRADES: &[&str] = &[
    "agg_trade_id",
    "price",
    "quantity",
    "first_trade_id",
    "last_trade_id",
    "transact_time",
    "is_buyer_maker",
    "is_best_match",
];

/// `1591258320000,9640.7,9642.4,9640.6,9642.0,206,1591258379999,2.13660389,48,119,1.23424865,0`; of COIN-M the turnover is
/// in base coins.
const BARS: &[&str] = &[
    "open_time",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "close_time",
    "quote_volume",
    "count",
    "taker_buy_volume",
    "taker_buy_quote_volume",
    "ignore",
];

/// `700000123,64000.00,1.200,64000.10,0.800,1760000000121,1760000000123`
const QUOTES: &[&str] = &[
    "update_id",
    "best_bid_price",
    "best_bid_qty",
    "best_ask_price",
    "best_ask_qty",
    "transaction_time",
    "event_time",
];

/// `1704067200000,8,0.00037409`
const FUNDING: &[&str] = &["calc_time", "funding_interval_hours", "last_funding_rate"];

/// Whose ratios `metrics` has, and in which columns.
const RATIOS: [(&str, &str); 4] = [
    ("top_accounts", "count_toptrader_long_short_ratio"),
    ("top_positions", "sum_toptrader_long_short_ratio"),
    ("accounts", "count_long_short_ratio"),
    ("takers", "sum_taker_long_short_vol_ratio"),
];

/// The venue's names of intervals; `1mo` stands for `1M`, because there are file systems without capital letters.
const INTERVALS: [&str; 16] =
    ["1s", "1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w", "1mo"];

/// `futures/um/daily/trades/BTCUSDT/BTCUSDT-trades-2024-08-09.zip`, or its name alone: spot and USD-M share names of
/// trades and bars, so that the product is then open.
pub fn named(path: &str) -> Option<Archive> {
    let (name, _) = dated(stem(path))?;
    let (symbol, kind) = name.strip_suffix('-')?.split_once('-')?;
    let channel = match kind {
        "trades" => Channel::Trades,
        "aggTrades" => Channel::AggTrades,
        "bookTicker" => Channel::Quote,
        "fundingRate" => Channel::Funding,
        "liquidationSnapshot" => Channel::Liquidations,
        "metrics" => Channel::OpenInterest,
        interval if INTERVALS.contains(&interval) => Channel::Bars,
        _ => return None,
    };
    let [spot, usdm, _] = &PRODUCTS;
    let shared = matches!(channel, Channel::Trades | Channel::AggTrades | Channel::Bars);
    let product = if path.contains("futures/um/") {
        Some(usdm)
    } else if path.contains("data/spot/") {
        Some(spot)
    } else {
        (symbol.contains('_') || !shared).then(|| Product::of_futures(symbol.as_bytes(), None))
    };
    let interval = match (channel, kind) {
        (Channel::Bars, "1mo") => "1M",
        (Channel::Bars, interval) => interval,
        _ => "",
    };
    Some(Archive {
        product: product.map(|product| product.name.to_owned()),
        symbol: symbol.to_owned(),
        channel,
        interval: interval.to_owned(),
    })
}

/// A definition made up from a symbol.
pub fn provisional(product: &str, symbol: &str) -> Option<Instrument> {
    Product::named(product).filter(|_| !symbol.is_empty()).map(|p| listing::provisional(p, symbol))
}

/// Appends what a row tells.
pub fn row(
    archive: &Archive,
    instrument: &Arc<Instrument>,
    row: &Row<'_>,
    out: &mut Vec<Event>,
) -> Result<()> {
    let inverse = Product::named(&instrument.product).is_some_and(|product| product.inverse);
    let (ts, body) = match archive.channel {
        Channel::Trades => trade(row.or_columns(TRADES)?, instrument)?,
        Channel::AggTrades => agg_trade(row.or_columns(AGG_TRADES)?, instrument)?,
        Channel::Bars => bar(row.or_columns(BARS)?, &archive.interval, inverse)?,
        Channel::Quote => quote(row.or_columns(QUOTES)?, instrument)?,
        Channel::Funding => {
            let row = row.or_columns(FUNDING)?;
            let at = time(row, "calc_time")?;
            let rate = row.decimal("last_funding_rate")?;
            (at, Body::Funding(Box::new(Funding { rate, at: Some(at), next_rate: None })))
        }
        Channel::Liquidations => liquidation(*row)?,
        Channel::OpenInterest => return metrics(*row, inverse, instrument, out),
        _ => {
            return Err(Malformed {
                at: 0,
                what: What::Rule("the venue has no archive files of this channel"),
            });
        }
    };
    out.push(event(instrument, archive.channel, Some(ts), ts, body));
    Ok(())
}

/// Milliseconds; in files of spot microseconds from 2025 on, which have 16 digits.
fn time(row: Row<'_>, name: &'static str) -> Result<Ts> {
    row.time(name, if row.text(name)?.len() >= 16 { 3 } else { 6 })
}

/// The side that crossed: the seller, where the buyer waited.
fn aggressor(row: Row<'_>) -> Result<Option<Side>> {
    let name = "is_buyer_maker";
    let text = row.text(name)?;
    if text.eq_ignore_ascii_case("true") {
        Ok(Some(Side::Ask))
    } else if text.eq_ignore_ascii_case("false") {
        Ok(Some(Side::Bid))
    } else {
        Err(row.fault(name, What::Expected("true or false")))
    }
}

fn trade(row: Row<'_>, instrument: &Instrument) -> Result<(Ts, Body)> {
    let trade = Trade {
        id: TradeId::Num(row.u64("id")?),
        px: row.px("price", instrument)?,
        qty: row.qty("qty", instrument)?,
        aggressor: aggressor(row)?,
        count: 1,
    };
    Ok((time(row, "time")?, Body::Trade(trade)))
}

fn agg_trade(row: Row<'_>, instrument: &Instrument) -> Result<(Ts, Body)> {
    let (first, last) = (row.u64("first_trade_id")?, row.u64("last_trade_id")?);
    let trade = Trade {
        id: TradeId::Num(row.u64("agg_trade_id")?),
        px: row.px("price", instrument)?,
        qty: row.qty("quantity", instrument)?,
        aggressor: aggressor(row)?,
        count: u32::try_from(last.saturating_sub(first).saturating_add(1)).unwrap_or(u32::MAX),
    };
    Ok((time(row, "transact_time")?, Body::Trade(trade)))
}

fn bar(row: Row<'_>, interval: &str, inverse: bool) -> Result<(Ts, Body)> {
    let (volume, trades) = (row.decimal("volume")?, row.u64("count")?);
    if volume.is_zero() && trades > 0 {
        // Files of such prices have the same names and columns as those of bars.
        return Err(row.fault("volume", What::Rule("a bar of mark, index or premium prices, not of trades")));
    }
    let bar = Bar {
        interval: interval.into(),
        start: time(row, "open_time")?,
        open: row.decimal("open")?,
        high: row.decimal("high")?,
        low: row.decimal("low")?,
        close: row.decimal("close")?,
        volume,
        turnover: row.decimal_opt("quote_volume")?.filter(|_| !inverse),
        trades: Some(trades),
        closed: true,
    };
    Ok((time(row, "close_time")?, Body::Bar(Box::new(bar))))
}

fn quote(row: Row<'_>, instrument: &Instrument) -> Result<(Ts, Body)> {
    // A side without orders has no quantity.
    let level = |px: Px, qty: Qty| (qty != Qty(0)).then_some(Level { px, qty });
    let bid = level(row.px("best_bid_price", instrument)?, row.qty("best_bid_qty", instrument)?);
    let ask = level(row.px("best_ask_price", instrument)?, row.qty("best_ask_qty", instrument)?);
    let quote = Quote { bid, ask, seq: Some(row.u64("update_id")?) };
    Ok((time(row, "transaction_time")?, Body::Quote(quote)))
}

/// `time,side,order_type,time_in_force,original_quantity,price,average_price,order_status,last_fill_quantity,accumulated_fill_quantity`
fn liquidation(row: Row<'_>) -> Result<(Ts, Body)> {
    let order = Liquidation {
        side: row.side("side")?,
        px: row.decimal("price")?,
        qty: row.decimal("original_quantity")?,
        avg_px: row.decimal_opt("average_price")?.filter(|px| !px.is_zero()),
    };
    Ok((time(row, "time")?, Body::Liquidation(Box::new(order))))
}

/// `create_time,symbol,sum_open_interest,sum_open_interest_value,count_toptrader_long_short_ratio,…`: open interest and up
/// to four ratios, each 5 minutes. What the venue did not count is empty. Of COIN-M the value is in base coins.
fn metrics(row: Row<'_>, inverse: bool, instrument: &Arc<Instrument>, out: &mut Vec<Event>) -> Result<()> {
    let ts = row.civil("create_time")?;
    let value = row.decimal_opt("sum_open_interest_value")?.filter(|_| !inverse);
    let open = row.decimal_opt("sum_open_interest")?.map(|qty| OpenInterest { qty, value });
    let mut ratios = Vec::new();
    for (of, column) in RATIOS {
        if let Some(ratio) = row.decimal_opt(column)? {
            let interval = "5m".into();
            ratios.push(LongShortRatio {
                of: of.into(),
                interval,
                ratio: Some(ratio),
                long: None,
                short: None,
            });
        }
    }
    if open.is_none() && ratios.is_empty() {
        return Err(Malformed { at: 0, what: What::Missing("sum_open_interest") });
    }
    let told = |channel, body| event(instrument, channel, Some(ts), ts, body);
    out.extend(open.map(|open| told(Channel::OpenInterest, Body::OpenInterest(open))));
    let ratios = ratios.into_iter().map(|r| told(Channel::LongShortRatio, Body::LongShortRatio(Box::new(r))));
    out.extend(ratios);
    Ok(())
}
