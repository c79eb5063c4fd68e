//! Rows of the channels that are no books.

use crate::parse::{Result, time, time_of};
use model::{
    Bar, DayStats, Decimal, Instrument, Level, Liquidation, Px, Qty, Quote, Side, Trade, TradeId, Ts,
};
use source::{Cursor, What};

/// Our names of intervals and the venue's, with their length in seconds.
pub const INTERVALS: [(&str, &str, i64); 11] = [
    ("10s", "10s", 10),
    ("1m", "1m", 60),
    ("5m", "5m", 300),
    ("15m", "15m", 900),
    ("30m", "30m", 1_800),
    ("1h", "1h", 3_600),
    ("4h", "4h", 14_400),
    ("8h", "8h", 28_800),
    ("1d", "1d", 86_400),
    ("1w", "7d", 604_800),
    ("30d", "30d", 2_592_000),
];

/// A trade, its numbers still as texts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Print<'a> {
    /// `currency_pair` or `contract`.
    pub symbol: &'a [u8],
    /// The venue's time.
    pub ts: Option<Ts>,
    /// Taken over by the insurance fund or by deleveraging, at a price off the market.
    pub internal: bool,
    id: &'a [u8],
    px: &'a [u8],
    qty: &'a [u8],
    side: &'a [u8],
    range: &'a [u8],
}

impl<'a> Print<'a> {
    /// Reads a trade of spot or futures, pushed or from REST.
    ///
    /// `{"id":310000001,"id_market":2400001,"create_time":1760000000,"create_time_ms":"1760000000213.2504","side":"sell","currency_pair":"BTC_USDT","amount":"0.0164700000","price":"64010.1","range":"2400001-2400001"}`
    ///
    /// `{"size":"-108","id":28000001,"create_time":1760000000,"create_time_ms":1760000000120,"price":"64010.1","contract":"BTC_USDT","is_internal":false}`
    #[inline]
    pub fn read(c: &mut Cursor<'a>, mut unknown: impl FnMut(&'a [u8])) -> Result<Self> {
        let mut p = Self::default();
        let mut seconds = None;
        c.object(|c, key| {
            match key {
                b"id" => p.id = c.number()?,
                b"price" => p.px = c.number()?,
                b"size" | b"amount" => p.qty = c.number()?,
                b"side" => p.side = c.str()?,
                b"contract" | b"currency_pair" => p.symbol = c.str()?,
                b"create_time_ms" => p.ts = Some(time_ms(c)?),
                b"create_time" => seconds = Some(time(c, 9)?),
                b"is_internal" => p.internal = c.bool()?,
                b"range" => p.range = c.str()?,
                b"id_market" | b"sequence_id" | b"role" | b"text" => {
                    c.skip()?;
                }
                other => {
                    unknown(other);
                    c.skip()?;
                }
            }
            Ok(())
        })?;
        p.ts = p.ts.or(seconds);
        for (text, name) in [(p.id, "id"), (p.px, "price"), (p.qty, "size or amount")] {
            if text.is_empty() {
                return Err(c.fault(What::Missing(name)));
            }
        }
        Ok(p)
    }

    /// The trade at the scales of a definition.
    #[inline]
    pub fn trade(&self, instrument: &Instrument) -> Result<Trade> {
        let (qty, negative) = self.qty.strip_prefix(b"-").map_or((self.qty, false), |qty| (qty, true));
        let px = Cursor::new(self.px).px(instrument.px_scale)?;
        let qty = Cursor::new(qty).qty(instrument.qty_scale)?;
        let aggressor = match self.side {
            b"buy" => Some(Side::Bid),
            b"sell" => Some(Side::Ask),
            // Futures tell the taker's side by the sign of the size.
            b"" => Some(if negative { Side::Ask } else { Side::Bid }),
            _ => None,
        };
        let id = std::str::from_utf8(self.id).map_or(TradeId::Num(0), TradeId::from_text);
        Ok(Trade { id, px, qty, aggressor, count: count(self.range) })
    }

    /// A word for the side that we do not know.
    pub fn odd_side(&self) -> Option<&'a [u8]> {
        (!matches!(self.side, b"" | b"buy" | b"sell")).then_some(self.side)
    }
}

/// A time in ms. REST of futures writes seconds with a fraction under the same name.
#[inline]
fn time_ms(c: &mut Cursor<'_>) -> Result<Ts> {
    let text = c.number()?;
    let whole = text.iter().position(|b| *b == b'.').unwrap_or(text.len());
    let digits = if whole > 11 { 6 } else { 9 };
    time_of(text, digits).ok_or_else(|| c.fault(What::Expected("a time")))
}

/// How many prints `2400001-2400003` covers.
fn count(range: &[u8]) -> u32 {
    let text = std::str::from_utf8(range).unwrap_or_default();
    let ends = text.split_once('-').and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
    let more = ends.map_or(0, |(a, b): (u64, u64)| b.saturating_sub(a));
    u32::try_from(more).map_or(1, |more| more.saturating_add(1))
}

/// All that a ticker says.
#[derive(Clone, Debug, Default)]
pub struct Ticker<'a> {
    /// `currency_pair` or `contract`.
    pub symbol: &'a [u8],
    /// Statistics of 24 hours.
    pub stats: DayStats,
    /// Mark price.
    pub mark: Option<Decimal>,
    /// Index price.
    pub index: Option<Decimal>,
    /// Funding rate of this period.
    pub rate: Option<Decimal>,
    /// Funding rate of the next.
    pub next_rate: Option<Decimal>,
    /// Open contracts.
    pub open: Option<Decimal>,
}

impl<'a> Ticker<'a> {
    /// Reads a ticker of spot or futures.
    pub fn read(c: &mut Cursor<'a>, mut unknown: impl FnMut(&'a [u8])) -> Result<Self> {
        let mut t = Self::default();
        c.object(|c, key| {
            match key {
                b"contract" | b"currency_pair" => t.symbol = c.str()?,
                b"last" => t.stats.last = c.decimal_opt()?,
                b"high_24h" => t.stats.high = c.decimal_opt()?,
                b"low_24h" => t.stats.low = c.decimal_opt()?,
                b"base_volume" | b"volume_24h" => t.stats.volume = c.decimal_opt()?,
                b"quote_volume" | b"volume_24h_quote" => t.stats.turnover = c.decimal_opt()?,
                b"mark_price" => t.mark = c.decimal_opt()?,
                b"index_price" => t.index = c.decimal_opt()?,
                b"funding_rate" => t.rate = c.decimal_opt()?,
                b"funding_rate_indicative" => t.next_rate = c.decimal_opt()?,
                b"total_size" => t.open = c.decimal_opt()?,
                b"lowest_ask"
                | b"highest_bid"
                | b"change_percentage"
                | b"volume_24h_btc"
                | b"volume_24h_usd"
                | b"volume_24h_settle"
                | b"volume_24h_base"
                | b"quanto_base_rate"
                | b"change_price"
                | b"change_utc0"
                | b"change_utc8"
                | b"change_utc0_price"
                | b"change_utc8_price"
                | b"price_type"
                | b"basis_rate"
                | b"basis_value"
                | b"settle_price"
                | b"lowest_size"
                | b"highest_size"
                | b"etf_net_value"
                | b"etf_pre_net_value"
                | b"etf_pre_timestamp"
                | b"etf_leverage"
                | b"funding_cap_ratio"
                | b"funding_impact_value"
                | b"funding_next_apply" => {
                    c.skip()?;
                }
                other => {
                    unknown(other);
                    c.skip()?;
                }
            }
            Ok(())
        })?;
        if t.symbol.is_empty() {
            return Err(c.fault(What::Missing("contract or currency_pair")));
        }
        Ok(t)
    }
}

/// Reads a quote; an empty side has a price of `""` or nothing on it.
///
/// `{"t":1760000000120,"u":2600000076,"s":"BTC_USDT","b":"64010.1","B":"37000","a":"","A":0}`
#[inline]
pub fn quote<'a>(
    c: &mut Cursor<'a>,
    instrument: &Instrument,
    mut unknown: impl FnMut(&'a [u8]),
) -> Result<(Quote, Option<Ts>)> {
    let (mut ts, mut seq) = (None, None);
    let (mut px, mut qty): ([Option<Px>; 2], [Qty; 2]) = ([None; 2], [Qty(0); 2]);
    let [bid_px, ask_px] = &mut px;
    let [bid_qty, ask_qty] = &mut qty;
    c.object(|c, key| {
        match key {
            b"t" => ts = Some(time(c, 6)?),
            b"u" => seq = Some(c.u64()?),
            b"b" => *bid_px = px_opt(c, instrument)?,
            b"a" => *ask_px = px_opt(c, instrument)?,
            b"B" => *bid_qty = qty_opt(c, instrument)?,
            b"A" => *ask_qty = qty_opt(c, instrument)?,
            b"s" => {
                c.skip()?;
            }
            other => {
                unknown(other);
                c.skip()?;
            }
        }
        Ok(())
    })?;
    let level = |px: Option<Px>, qty: Qty| px.filter(|_| qty.0 > 0).map(|px| Level { px, qty });
    Ok((Quote { bid: level(*bid_px, *bid_qty), ask: level(*ask_px, *ask_qty), seq }, ts))
}

#[inline]
fn px_opt(c: &mut Cursor<'_>, instrument: &Instrument) -> Result<Option<Px>> {
    if c.clone().number()?.is_empty() {
        c.number().map(|_| None)
    } else {
        c.px(instrument.px_scale).map(Some)
    }
}

#[inline]
fn qty_opt(c: &mut Cursor<'_>, instrument: &Instrument) -> Result<Qty> {
    if c.clone().number()?.is_empty() { c.number().map(|_| Qty(0)) } else { c.qty(instrument.qty_scale) }
}

/// Reads a bar: the venue's name of interval and instrument (`1m_BTC_USDT`), and the bar without its interval.
///
/// Spot: `{"t":"1759999980","v":"800100.5","c":"64010.1","h":"64012","l":"63999","o":"64000","n":"1m_BTC_USDT","a":"12.5","w":false}`;
/// `v` is turnover and `a` is volume. Futures: `v` is volume in contracts and `a` is turnover.
pub fn bar<'a>(c: &mut Cursor<'a>, spot: bool, mut unknown: impl FnMut(&'a [u8])) -> Result<(&'a [u8], Bar)> {
    let zero = Decimal::new(0, 0);
    let mut name: &[u8] = b"";
    let (mut start, mut prices) = (None, [None; 4]);
    let [open, high, low, close] = &mut prices;
    let (mut v, mut a, mut closed) = (None, None, false);
    c.object(|c, key| {
        match key {
            b"t" => start = Some(time(c, 9)?),
            b"o" => *open = Some(c.decimal()?),
            b"h" => *high = Some(c.decimal()?),
            b"l" => *low = Some(c.decimal()?),
            b"c" => *close = Some(c.decimal()?),
            b"v" => v = c.decimal_opt()?,
            b"a" | b"sum" => a = c.decimal_opt()?,
            b"n" => name = c.str()?,
            b"w" => closed = c.bool()?,
            other => {
                unknown(other);
                c.skip()?;
            }
        }
        Ok(())
    })?;
    let (Some(start), [Some(open), Some(high), Some(low), Some(close)]) = (start, prices) else {
        return Err(c.fault(What::Missing("a field of a bar")));
    };
    let (volume, turnover) = if spot { (a, v) } else { (v, a) };
    let volume = volume.unwrap_or(zero);
    let interval = "".into();
    Ok((name, Bar { interval, start, open, high, low, close, volume, turnover, trades: None, closed }))
}

/// Reads a forced order: its contract, itself and its time. A positive size closed a short.
///
/// `{"price":63500.1,"size":"-124","time_ms":1760000000100,"contract":"BTC_USDT"}`
pub fn liquidation<'a>(
    c: &mut Cursor<'a>,
    mut unknown: impl FnMut(&'a [u8]),
) -> Result<(&'a [u8], Liquidation, Option<Ts>)> {
    let (mut symbol, mut ts): (&[u8], Option<Ts>) = (b"", None);
    let (mut px, mut size, mut fill) = (None, None, None);
    c.object(|c, key| {
        match key {
            b"contract" => symbol = c.str()?,
            b"price" | b"order_price" => px = c.decimal_opt()?,
            b"fill_price" => fill = c.decimal_opt()?,
            b"size" => size = Some(c.number()?),
            b"time_ms" => ts = Some(time(c, 6)?),
            b"time" => {
                let at = time(c, 9)?;
                ts = ts.or(Some(at));
            }
            b"entry_price" | b"left" | b"leverage" | b"liq_price" | b"margin" | b"mark_price"
            | b"order_id" | b"user" => {
                c.skip()?;
            }
            other => {
                unknown(other);
                c.skip()?;
            }
        }
        Ok(())
    })?;
    let (Some(px), Some(size)) = (px, size) else { return Err(c.fault(What::Missing("price or size"))) };
    let (text, side) = size.strip_prefix(b"-").map_or((size, Side::Bid), |text| (text, Side::Ask));
    let qty = Decimal::parse(text).map_err(|fault| c.fault(What::Number(fault)))?;
    Ok((symbol, Liquidation { side, px, qty, avg_px: fill }, ts))
}

/// How longs stand to shorts, of whom.
pub const RATIOS: [(&[u8], &str); 4] = [
    (b"lsr_taker", "takers"),
    (b"lsr_account", "accounts"),
    (b"top_lsr_account", "top_accounts"),
    (b"top_lsr_size", "top_positions"),
];

/// A row of `contract_stats`.
#[derive(Clone, Debug, Default)]
pub struct Stats<'a> {
    /// `contract`.
    pub symbol: &'a [u8],
    /// The venue's time.
    pub ts: Option<Ts>,
    /// In the order of [`RATIOS`].
    pub ratios: [Option<Decimal>; 4],
}

impl<'a> Stats<'a> {
    /// Reads a row.
    ///
    /// `{"time":1760000000,"contract":"BTC_USDT","lsr_taker":1.1,"lsr_account":0.5,"open_interest":"7364800","top_lsr_size":1.02,"top_lsr_account":1.5}`
    pub fn read(c: &mut Cursor<'a>, mut unknown: impl FnMut(&'a [u8])) -> Result<Self> {
        let mut stats = Self::default();
        c.object(|c, key| {
            match key {
                b"contract" => stats.symbol = c.str()?,
                b"time" => stats.ts = Some(time(c, 9)?),
                b"open_interest" | b"open_interest_usd" | b"mark_price" | b"long_liq_size"
                | b"short_liq_size" | b"long_liq_usd" | b"short_liq_usd" | b"long_liq_amount"
                | b"short_liq_amount" | b"long_users" | b"short_users" | b"long_taker_size"
                | b"short_taker_size" => {
                    c.skip()?;
                }
                other => {
                    let at = RATIOS.iter().position(|(name, _)| *name == other);
                    if let Some(ratio) = at.and_then(|at| stats.ratios.get_mut(at)) {
                        *ratio = c.decimal_opt()?;
                    } else {
                        unknown(other);
                        c.skip()?;
                    }
                }
            }
            Ok(())
        })?;
        Ok(stats)
    }
}
