//! The venue's frames.

use super::Quirks;
use super::world::{Print, Shown, State, Update};
use crate::product::Product;
use model::{Decimal, Instrument, InstrumentKind, Level, Px, Qty, Side, Ts, write_mantissa};
use source::market::Listed;
use std::fmt::Write;

/// How the venue writes numbers of an instrument.
#[derive(Clone, Copy)]
pub(super) struct Words<'i> {
    pub instrument: &'i Instrument,
    pub quirks: Quirks,
}

impl Words<'_> {
    pub fn px(&self, px: Px) -> String {
        self.text(px.0, self.instrument.px_scale)
    }

    pub fn qty(&self, qty: Qty) -> String {
        self.text(qty.0, self.instrument.qty_scale)
    }

    /// Without zeros at the end, or with all of them.
    fn text(&self, mantissa: i64, scale: u8) -> String {
        let mut out = Vec::new();
        write_mantissa(mantissa, scale, &mut out);
        let mut text = String::from_utf8(out).unwrap_or_default();
        if self.quirks.padded && scale > 0 && mantissa != 0 {
            let digits = text.split_once('.').map(|(_, digits)| digits.len());
            if digits.is_none() {
                text.push('.');
            }
            text.extend(std::iter::repeat_n('0', usize::from(scale) - digits.unwrap_or(0)));
        }
        text
    }

    /// `[["64010.1","1.1"]]`
    fn levels(&self, levels: &[Level]) -> String {
        let level = |l: &Level| format!(r#"["{}","{}"]"#, self.px(l.px), self.qty(l.qty));
        format!("[{}]", levels.iter().map(level).collect::<Vec<_>>().join(","))
    }

    fn seq(&self, seq: u64) -> String {
        if self.quirks.seq_text { format!("\"{seq}\"") } else { seq.to_string() }
    }

    /// A row of any book channel.
    fn book(&self, third: bool, sides: (&[Level], &[Level]), numbers: (u64, u64, i32), ts: Ts) -> String {
        let (bids, asks) = (self.levels(sides.0), self.levels(sides.1));
        let (prev, seq, checksum) = numbers;
        let (prev, seq) = (self.seq(prev), self.seq(seq));
        let mut row = if third {
            format!(r#"{{"a":{asks},"b":{bids},"seq":{seq},"pseq":{prev}"#)
        } else {
            format!(r#"{{"asks":{asks},"bids":{bids},"seq":{seq},"pseq":{prev}"#)
        };
        if self.quirks.checksum || self.quirks.zero_checksum {
            let _ = write!(row, r#","checksum":{checksum}"#);
        }
        let _ = write!(row, r#","ts":"{}"}}"#, ts.as_ms());
        row
    }

    /// The first row of `books`.
    pub fn snapshot(&self, third: bool, shown: &Shown, ts: Ts) -> String {
        let depth = if third { 1_000 } else { 500 };
        let (bids, asks) = (shown.best_bids(depth), shown.best_asks(depth));
        self.book(third, (&bids, &asks), (0, shown.seq, shown.checksum), ts)
    }

    /// A later row of `books`.
    pub fn update(&self, third: bool, update: &Update) -> String {
        let numbers = (update.prev, update.seq, update.checksum);
        self.book(third, (&update.bids, &update.asks), numbers, update.ts)
    }

    /// A row of `books1` and its like.
    pub fn top(&self, third: bool, bids: &[Level], asks: &[Level], seq: u64, ts: Ts) -> String {
        self.book(third, (bids, asks), (0, seq, 0), ts)
    }

    /// A row of `trade`, or `publicTrade`.
    pub fn trade(&self, third: bool, print: &Print) -> String {
        let (ms, id, px, qty) = (print.ts.as_ms(), print.id, self.px(print.px), self.qty(print.qty));
        let side = side(print.aggressor);
        if third {
            return format!(
                r#"{{"i":"{id}","p":"{px}","v":"{qty}","S":"{side}","T":"{ms}","L":"{}","isRPI":"no"}}"#,
                id + 1
            );
        }
        format!(r#"{{"ts":"{ms}","price":"{px}","size":"{qty}","side":"{side}","tradeId":"{id}"}}"#)
    }

    /// A row of trades by REST.
    pub fn fill(&self, print: &Print) -> String {
        let (ms, id, px, qty) = (print.ts.as_ms(), print.id, self.px(print.px), self.qty(print.qty));
        let (symbol, side) = (&self.instrument.symbol, side(print.aggressor));
        format!(
            r#"{{"symbol":"{symbol}","tradeId":"{id}","side":"{side}","price":"{px}","size":"{qty}","ts":"{ms}"}}"#
        )
    }

    /// A row of `liquidation`: the order that a trade came from.
    pub fn liquidation(&self, print: &Print) -> String {
        let (symbol, side, ms) = (&self.instrument.symbol, side(print.aggressor), print.ts.as_ms());
        format!(
            r#"{{"symbol":"{symbol}","side":"{side}","price":"{}","amount":"{}","ts":"{ms}"}}"#,
            self.px(print.px),
            self.qty(print.qty)
        )
    }

    /// A row of `ticker`; by REST names differ a little (`rest`).
    pub fn ticker(&self, one: &Listed, state: &State, now: Ts, rest: bool) -> String {
        let (open, high, low) = one.range;
        let (bid, ask) = (one.bids.last_key_value(), one.asks.first_key_value());
        let px = |level: Option<(&Px, &Qty)>| level.map_or("0".to_owned(), |(px, _)| self.px(*px));
        let qty = |level: Option<(&Px, &Qty)>| level.map_or("0".to_owned(), |(_, qty)| self.qty(*qty));
        let i = self.instrument;
        let volume = Decimal::new(one.volume, i.qty_scale);
        let turnover = Decimal::new(one.turnover, i.px_scale + i.qty_scale);
        let (last, symbol, spot) = (self.px(one.last.0), &i.symbol, i.kind == InstrumentKind::Spot);
        let name = if rest { "symbol" } else { "instId" };
        let open_name = if rest && spot { "open" } else { "open24h" };
        let mut row = format!(
            r#"{{"{name}":"{symbol}","lastPr":"{last}","{open_name}":"{}","high24h":"{}","low24h":"{}","change24h":"0.00123","bidPr":"{}","askPr":"{}","bidSz":"{}","askSz":"{}","baseVolume":"{volume}","quoteVolume":"{turnover}","openUtc":"{}","changeUtc24h":"0.001","ts":"{}""#,
            self.px(open),
            self.px(high),
            self.px(low),
            px(bid),
            px(ask),
            qty(bid),
            qty(ask),
            self.px(open),
            now.as_ms()
        );
        if rest {
            let _ = write!(row, r#","usdtVolume":"{turnover}""#);
        }
        if !spot {
            let interest = Decimal::new(i128::from(state.open_interest) + i128::from(one.trades % 1_000), 2);
            let due = (now.as_ms() / 28_800_000 + 1) * 28_800_000;
            let perpetual = i.kind == InstrumentKind::Perpetual;
            let (rate, due, kind) =
                if perpetual { ("0.0001", due.to_string(), 1) } else { ("0", "0".to_owned(), 2) };
            let _ = write!(
                row,
                r#","fundingRate":"{rate}","markPrice":"{last}","indexPrice":"{last}","holdingAmount":"{interest}""#
            );
            if !rest {
                let _ = write!(
                    row,
                    r#","nextFundingTime":"{due}","symbolType":"{kind}","symbol":"{symbol}","deliveryPrice":"0""#
                );
            }
        }
        row.push('}');
        row
    }

    /// A row of `ticker` in v3.
    pub fn ticker_third(&self, one: &Listed, state: &State, now: Ts) -> String {
        let (open, high, low) = one.range;
        let level = |level: Option<(&Px, &Qty)>| {
            level.map_or(Default::default(), |(px, qty)| (self.px(*px), self.qty(*qty)))
        };
        let (bid, ask) = (level(one.bids.last_key_value()), level(one.asks.first_key_value()));
        let i = self.instrument;
        let volume = Decimal::new(one.volume, i.qty_scale);
        let turnover = Decimal::new(one.turnover, i.px_scale + i.qty_scale);
        let last = self.px(one.last.0);
        let mut row = format!(
            r#"{{"highPrice24h":"{}","lowPrice24h":"{}","openPrice24h":"{}","lastPrice":"{last}","turnover24h":"{turnover}","volume24h":"{volume}","bid1Price":"{}","ask1Price":"{}","bid1Size":"{}","ask1Size":"{}","price24hPcnt":"0.00123""#,
            self.px(high),
            self.px(low),
            self.px(open),
            bid.0,
            ask.0,
            bid.1,
            ask.1
        );
        if i.kind != InstrumentKind::Spot {
            let interest = Decimal::new(i128::from(state.open_interest) + i128::from(one.trades % 1_000), 2);
            let due = (now.as_ms() / 28_800_000 + 1) * 28_800_000;
            let perpetual = i.kind == InstrumentKind::Perpetual;
            let (rate, due) = if perpetual { ("0.0001", due.to_string()) } else { ("", String::new()) };
            let _ = write!(
                row,
                r#","indexPrice":"{last}","markPrice":"{last}","fundingRate":"{rate}","openInterest":"{interest}","deliveryTime":"","deliveryStartTime":"","deliveryStatus":"","nextFundingTime":"{due}""#
            );
        }
        row.push('}');
        row
    }
}

fn side(side: Side) -> &'static str {
    if side == Side::Bid { "buy" } else { "sell" }
}

/// One unit of the last digit: `0.001`.
pub(super) fn step(scale: u8) -> String {
    Decimal::new(1, scale).to_string()
}

/// Under which subscription something is pushed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Name<'n> {
    pub third: bool,
    pub product: &'static Product,
    pub channel: &'n str,
    pub symbol: &'n str,
    pub interval: &'n str,
}

impl Name<'_> {
    /// One text for each subscription; those of v1 and v2 are the same.
    pub fn key(&self) -> String {
        let Self { third, product, channel, symbol, interval } = self;
        let (api, name) = (if *third { "v3/" } else { "" }, product.name);
        let mut key = format!("{api}{name}/{channel}/{symbol}");
        if !interval.is_empty() {
            key.push('/');
            key.push_str(interval);
        }
        key
    }

    fn arg(&self) -> String {
        let Self { third, product, channel, symbol, interval } = self;
        if !third {
            let product = product.inst_type;
            return format!(r#"{{"instType":"{product}","channel":"{channel}","instId":"{symbol}"}}"#);
        }
        let mut arg = format!(r#"{{"instType":"{}","topic":"{channel}""#, product.name);
        for (key, value) in [("symbol", symbol), ("interval", interval)] {
            if !value.is_empty() {
                let _ = write!(arg, r#","{key}":"{value}""#);
            }
        }
        arg.push('}');
        arg
    }

    /// A push: `{"action":"update","arg":{…},"data":[…],"ts":1760000000251}`
    pub fn push(&self, action: &str, rows: &str, now: Ts) -> Vec<u8> {
        let (arg, ms) = (self.arg(), now.as_ms());
        format!(r#"{{"action":"{action}","arg":{arg},"data":[{rows}],"ts":{ms}}}"#).into_bytes()
    }

    /// A push whose single row stands without an array around it.
    pub fn push_bare(&self, action: &str, row: &str, now: Ts) -> Vec<u8> {
        let (arg, ms) = (self.arg(), now.as_ms());
        format!(r#"{{"action":"{action}","arg":{arg},"data":{row},"ts":{ms}}}"#).into_bytes()
    }
}
