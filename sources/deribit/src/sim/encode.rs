//! The venue's frames.

use super::world::{BASE_SCALE, COST_SCALE, Change, Print, Shown, State};
use crate::listing;
use model::{Instrument, InstrumentKind, Level, Px, Side, Ts, write_mantissa};
use std::fmt::Write;

/// A push: `{"jsonrpc":"2.0","method":"subscription","params":{"channel":"…","data":…}}`
pub(super) fn push(channel: &str, data: &str) -> Vec<u8> {
    format!(r#"{{"jsonrpc":"2.0","method":"subscription","params":{{"channel":"{channel}","data":{data}}}}}"#)
        .into_bytes()
}

/// A number as the venue writes floats: always with a point, small ones and round large ones with an exponent.
pub(super) fn float(mantissa: i128, scale: u8) -> String {
    let mut text = Vec::new();
    let sign = if mantissa < 0 { "-" } else { "" };
    let digits = mantissa.unsigned_abs().to_string();
    let exponent = digits.len() as i32 - 1 - i32::from(scale);
    let short = digits.trim_end_matches('0');
    if mantissa != 0 && (exponent <= -4 || (exponent >= 5 && short.len() <= 2)) {
        let (first, rest) = short.split_at(1);
        let rest = if rest.is_empty() { "0" } else { rest };
        return format!("{sign}{first}.{rest}e{exponent}");
    }
    match i64::try_from(mantissa) {
        Ok(small) => write_mantissa(small, scale, &mut text),
        Err(_) => model::Decimal::new(mantissa, scale).write(&mut text),
    }
    let mut text = String::from_utf8(text).unwrap_or_default();
    if !text.contains('.') {
        text.push_str(".0");
    }
    text
}

fn px(px: Px, instrument: &Instrument) -> String {
    float(i128::from(px.0), instrument.px_scale)
}

fn amount(level: Level, instrument: &Instrument) -> String {
    float(i128::from(level.qty.0), instrument.qty_scale)
}

/// `[["new",64010.0,25000.0]]`, or `[[64010.0,25000.0]]` where no action is said.
fn levels<'a>(levels: impl Iterator<Item = (&'a str, Level)>, instrument: &Instrument) -> String {
    let mut out = String::from("[");
    for (action, level) in levels {
        if out.len() > 1 {
            out.push(',');
        }
        let (price, amount) = (px(level.px, instrument), amount(level, instrument));
        let _ = match action {
            "" => write!(out, "[{price},{amount}]"),
            _ => write!(out, r#"["{action}",{price},{amount}]"#),
        };
    }
    out.push(']');
    out
}

/// The first push of a book.
pub(super) fn snapshot(channel: &str, instrument: &Instrument, shown: &Shown) -> Vec<u8> {
    let all = |side: Vec<Level>| levels(side.into_iter().map(|l| ("new", l)), instrument);
    let (bids, asks) = (all(shown.best_bids(usize::MAX)), all(shown.best_asks(usize::MAX)));
    let (ts, name, seq) = (shown.ts.as_ms(), &instrument.symbol, shown.seq);
    push(
        channel,
        &format!(
            r#"{{"type":"snapshot","timestamp":{ts},"instrument_name":"{name}","change_id":{seq},"bids":{bids},"asks":{asks}}}"#
        ),
    )
}

/// A change of a book.
pub(super) fn change(channel: &str, instrument: &Instrument, change: &Change) -> Vec<u8> {
    let (bids, asks) =
        (levels(change.bids.iter().copied(), instrument), levels(change.asks.iter().copied(), instrument));
    let (ts, name, prev, seq) = (change.ts.as_ms(), &instrument.symbol, change.prev, change.seq);
    push(
        channel,
        &format!(
            r#"{{"type":"change","timestamp":{ts},"prev_change_id":{prev},"instrument_name":"{name}","change_id":{seq},"bids":{bids},"asks":{asks}}}"#
        ),
    )
}

/// Both sides without actions: `"bids":[[64010.0,25000.0]],"asks":[]`
pub(super) fn sides(instrument: &Instrument, shown: &Shown, depth: usize) -> String {
    let all = |side: Vec<Level>| levels(side.into_iter().map(|l| ("", l)), instrument);
    let (bids, asks) = (all(shown.best_bids(depth)), all(shown.best_asks(depth)));
    format!(r#""bids":{bids},"asks":{asks}"#)
}

/// The best levels, whole.
pub(super) fn top(channel: &str, instrument: &Instrument, shown: &Shown, depth: usize, now: Ts) -> Vec<u8> {
    let (ts, name, seq) = (now.as_ms(), &instrument.symbol, shown.seq);
    let sides = sides(instrument, shown, depth);
    push(channel, &format!(r#"{{"timestamp":{ts},"instrument_name":"{name}","change_id":{seq},{sides}}}"#))
}

/// `"best_bid_price":64010.0,"best_bid_amount":24000.0,"best_ask_price":64010.8,"best_ask_amount":500.0`; an empty side
/// is 0.0 of 0.0.
fn best(instrument: &Instrument, (bid, ask): (Option<Level>, Option<Level>)) -> String {
    let side = |level: Option<Level>| match level {
        Some(level) => (px(level.px, instrument), amount(level, instrument)),
        None => ("0.0".to_owned(), "0.0".to_owned()),
    };
    let ((bid, bids), (ask, asks)) = (side(bid), side(ask));
    format!(
        r#""best_bid_price":{bid},"best_bid_amount":{bids},"best_ask_price":{ask},"best_ask_amount":{asks}"#
    )
}

pub(super) fn quote(instrument: &Instrument, levels: (Option<Level>, Option<Level>), now: Ts) -> String {
    let (ts, name, best) = (now.as_ms(), &instrument.symbol, best(instrument, levels));
    format!(r#"{{"timestamp":{ts},"instrument_name":"{name}",{best}}}"#)
}

/// One trade.
pub(super) fn trade(instrument: &Instrument, print: &Print, index_scale: u8) -> String {
    let Print { seq, tick, .. } = print;
    let name = &instrument.symbol;
    let id = match name.split(['-', '_']).next() {
        Some("BTC") if listing::is_inverse(instrument) => print.id.to_string(),
        Some(coin) => format!("{coin}-{}", print.id),
        None => print.id.to_string(),
    };
    let direction = if print.aggressor == Side::Bid { "buy" } else { "sell" };
    let price = px(print.px, instrument);
    let amount = float(i128::from(print.qty.0), instrument.qty_scale);
    let index = float(i128::from(print.index.0), index_scale);
    let mut more = String::new();
    if instrument.kind == InstrumentKind::Option {
        more.push_str(r#","iv":55.1"#);
    }
    if let Some(who) = print.forced(instrument) {
        let _ = write!(more, r#","liquidation":"{who}""#);
    }
    if seq.is_multiple_of(50) {
        let _ = write!(more, r#","block_trade_id":"BLOCK-{}","block_trade_leg_count":1"#, print.id);
    }
    if seq.is_multiple_of(33) && instrument.kind == InstrumentKind::Future {
        let coin = &instrument.base;
        let _ = write!(more, r#","combo_id":"{coin}-FS-25DEC26_PERP","combo_trade_id":"{}""#, print.id + 1);
    }
    format!(
        r#"{{"trade_seq":{seq},"trade_id":"{id}","timestamp":{ts},"tick_direction":{tick},"price":{price},"mark_price":{price},"instrument_name":"{name}","index_price":{index},"direction":"{direction}","contracts":{amount},"amount":{amount}{more}}}"#,
        ts = print.ts.as_ms(),
    )
}

/// What a ticker is made of.
pub(super) struct Seen<'a> {
    pub instrument: &'a Instrument,
    pub state: &'a State,
    pub range: (Px, Px, Px),
    pub last: Px,
    pub index: (Px, u8),
    pub best: (Option<Level>, Option<Level>),
}

impl Seen<'_> {
    /// `"volume":…,"volume_usd":…,"volume_notional":…`; of an instrument that never traded nothing is known.
    pub fn volumes(&self) -> String {
        if self.state.trades == 0 {
            return r#""volume":null,"volume_usd":null,"volume_notional":null"#.to_owned();
        }
        let (base, cost) = (float(self.state.base, BASE_SCALE), float(self.state.cost, COST_SCALE));
        format!(r#""volume":{base},"volume_usd":{cost},"volume_notional":{cost}"#)
    }

    fn stats(&self) -> String {
        let (volumes, none) = (self.volumes(), self.state.trades == 0);
        let (high, low) = if none {
            ("null".to_owned(), "null".to_owned())
        } else {
            (px(self.range.1, self.instrument), px(self.range.2, self.instrument))
        };
        let change = if none { "null" } else { "1.2" };
        format!(r#"{{{volumes},"price_change":{change},"low":{low},"high":{high}}}"#)
    }

    fn interest(&self) -> String {
        let interest = self.state.open_interest + self.state.trades as i64 % 1_000;
        float(
            i128::from(interest) * 10_i128.pow(u32::from(self.instrument.qty_scale)),
            self.instrument.qty_scale,
        )
    }

    /// All keys of a ticker.
    pub fn keys(&self, now: Ts) -> String {
        let i = self.instrument;
        let (stats, best) = (self.stats(), best(i, self.best));
        let index = float(i128::from(self.index.0.0), self.index.1);
        let mark = px(Px((self.last.0 - i64::from(self.last.0 > 1)).max(1)), i);
        let last = if self.state.trades == 0 { "null".to_owned() } else { px(self.last, i) };
        let (low, high) = (px(Px(self.last.0 / 2), i), px(Px(self.last.0 * 2), i));
        let interest = self.interest();
        let more = match i.kind {
            InstrumentKind::Option => format!(
                r#","open_interest":{interest},"underlying_price":{index},"underlying_index":"{coin}-25DEC26","interest_rate":0.0,"mark_iv":55.1,"bid_iv":0.0,"ask_iv":60.2,"greeks":{{"delta":0.12,"gamma":1.423e-4,"vega":20.1,"theta":-30.2,"rho":1.1}}"#,
                coin = i.base,
            ),
            InstrumentKind::Perpetual => format!(
                r#","open_interest":{interest},"interest_value":0.01,"current_funding":{funding},"funding_8h":8.0e-5"#,
                funding = funding(self.state.trades),
            ),
            InstrumentKind::Future => format!(r#","open_interest":{interest}"#),
            InstrumentKind::Spot | InstrumentKind::Index => String::new(),
        };
        format!(
            r#""timestamp":{ts},"state":"open","stats":{stats},"instrument_name":"{name}","index_price":{index},"last_price":{last},"settlement_price":{mark},"min_price":{low},"max_price":{high},"mark_price":{mark},{best}{more},"estimated_delivery_price":{index}"#,
            ts = now.as_ms(),
            name = i.symbol,
        )
    }

    /// A row of the summaries.
    pub fn summary(&self, now: Ts) -> String {
        let i = self.instrument;
        let price = |level: Option<Level>| level.map_or("null".to_owned(), |l| px(l.px, i));
        let (bid, ask, last) = (price(self.best.0), price(self.best.1), px(self.last, i));
        let (volumes, interest) = (self.volumes().replace("null", "0.0"), self.interest());
        format!(
            r#"{{"instrument_name":"{name}","base_currency":"{base}","quote_currency":"{quote}","creation_timestamp":{ts},{volumes},"open_interest":{interest},"price_change":null,"high":null,"low":null,"last":{last},"bid_price":{bid},"ask_price":{ask},"mid_price":null,"mark_price":{last},"estimated_delivery_price":{last}}}"#,
            name = i.symbol,
            base = i.base,
            quote = i.quote,
            ts = now.as_ms(),
        )
    }
}

/// The rate of now.
pub(super) fn funding(trades: u64) -> String {
    float(1_000 + i128::from(trades % 500), 8)
}

/// `{"timestamp":1760000001000,"price":64005.1,"index_name":"btc_usd"}`
pub(super) fn index(name: &str, (price, scale): (Px, u8), now: Ts) -> String {
    let price = float(i128::from(price.0), scale);
    format!(r#"{{"timestamp":{},"price":{price},"index_name":"{name}"}}"#, now.as_ms())
}

/// `{"timestamp":1760000001000,"volatility":48.25,"index_name":"btc_usd"}`
pub(super) fn volatility(name: &str, (price, _): (Px, u8), now: Ts) -> String {
    let volatility = float(4_000 + i128::from(price.0 % 1_000), 2);
    format!(r#"{{"timestamp":{},"volatility":{volatility},"index_name":"{name}"}}"#, now.as_ms())
}

/// `{"timestamp":1760000001000,"interest":1.0e-5,"index_price":64005.1}`
pub(super) fn perpetual(trades: u64, (price, scale): (Px, u8), now: Ts) -> String {
    let (rate, price) = (funding(trades), float(i128::from(price.0), scale));
    format!(r#"{{"timestamp":{},"interest":{rate},"index_price":{price}}}"#, now.as_ms())
}
