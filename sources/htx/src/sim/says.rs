//! What topics of the simulated venue say.

use super::HtxSim;
use super::bars::{self, row, sums};
use super::encode::{levels, px, qty, side};
use super::feeds::step_levels;
use super::world::{Print, Stream, Update};
use crate::product::Product;
use crate::topic::{Kind, topic as taken_apart};
use model::{Level, Ts};

impl HtxSim {
    /// `{"ch":"market.btcusdt.trade.detail","ts":1760000001001,"tick":{"id":170000000001,"ts":1760000001000,"data":[…]}}`
    pub(super) fn trades(&self, at: usize, topic: &str, prints: &[Print], now: Ts) -> String {
        let Some((i, p)) = self.known(at) else { return String::new() };
        let rows: Vec<String> = prints
            .iter()
            .map(|print| {
                let (ts, direction) = (print.ts.as_ms(), side(print.aggressor));
                let (amount, price) = (qty(print.qty, i, p), px(print.px, i, p));
                if p.spot() {
                    // More digits than 64 bits hold, and at times not even written out.
                    let id = if print.id.is_multiple_of(9) {
                        format!("1.7{}E26", print.id)
                    } else {
                        format!("17{:09}{:015}", print.id, ts % 1_000_000)
                    };
                    let n = 102_000_000_000 + print.id;
                    return format!(r#"{{"id":{id},"ts":{ts},"tradeId":{n},"amount":{amount},"price":{price},"direction":"{direction}"}}"#);
                }
                let id = (120_000_000_000 + print.id) * 10_000;
                let turnover = if p == Product::Linear { r#""trade_turnover":256.04,"# } else { "" };
                format!(r#"{{"amount":{amount},"quantity":0.0102273366481267780650901795408948579,{turnover}"ts":{ts},"id":{id},"price":{price},"direction":"{direction}"}}"#)
            })
            .collect();
        let last = prints.last().map_or(0, |p| p.id);
        let ts = prints.last().map_or(now, |p| p.ts).as_ms();
        let (rows, ms) = (rows.join(","), now.as_ms());
        format!(
            r#"{{"ch":"{topic}","ts":{ms},"tick":{{"id":{},"ts":{ts},"data":[{rows}]}}}}"#,
            170_000_000_000 + last
        )
    }

    /// `{"ch":"market.btcusdt.bbo","ts":…,"tick":{"seqId":…,"ask":…,"askSize":…,"bid":…,"bidSize":…,"quoteTime":…,"symbol":"btcusdt"}}`
    pub(super) fn quote(&mut self, at: usize, topic: &str, changed: bool, now: Ts) -> Option<String> {
        let one = self.world.listed(at)?;
        let level = |(px, qty): (&model::Px, &model::Qty)| Level { px: *px, qty: *qty };
        let best = (one.bids.last_key_value().map(level), one.asks.first_key_value().map(level));
        let state = self.world.states.get_mut(at)?;
        if changed && state.quoted == best {
            return None;
        }
        state.quoted = best;
        let seq = state.seq;
        let (i, p) = self.known(at)?;
        let ms = now.as_ms();
        let (bid, ask) = (best.0?, best.1?);
        let [bid_px, ask_px] = [bid, ask].map(|l| px(l.px, i, p));
        let [bid_qty, ask_qty] = [bid, ask].map(|l| qty(l.qty, i, p));
        Some(if p.spot() {
            let symbol = &i.symbol;
            format!(
                r#"{{"ch":"{topic}","ts":{ms},"tick":{{"seqId":{seq},"ask":{ask_px},"askSize":{ask_qty},"bid":{bid_px},"bidSize":{bid_qty},"quoteTime":{ms},"symbol":"{symbol}"}}}}"#
            )
        } else {
            let second = ms / 1_000;
            format!(
                r#"{{"ch":"{topic}","ts":{ms},"tick":{{"mrid":{seq},"id":{second},"bid":[{bid_px},{bid_qty}],"ask":[{ask_px},{ask_qty}],"ts":{ms},"version":{seq},"ch":"{topic}"}}}}"#
            )
        })
    }

    /// A change of a book by changes.
    pub(super) fn change(&self, at: usize, topic: &str, update: &Update, now: Ts) -> String {
        let Some((i, p)) = self.known(at) else { return String::new() };
        let (bids, asks) = (levels(&update.bids, i, p), levels(&update.asks, i, p));
        let ms = now.as_ms();
        if !p.spot() {
            return contract_book(topic, "update", (&bids, &asks), update.seq, ms);
        }
        // A side without changes is left out, or sent empty.
        let bids =
            if update.bids.is_empty() && ms % 2 == 0 { String::new() } else { format!(r#","bids":{bids}"#) };
        let asks =
            if update.asks.is_empty() && ms % 2 == 0 { String::new() } else { format!(r#","asks":{asks}"#) };
        let (seq, prev) = (update.seq, update.prev);
        format!(r#"{{"ch":"{topic}","ts":{ms},"tick":{{"seqNum":{seq},"prevSeqNum":{prev}{bids}{asks}}}}}"#)
    }

    /// A contract's book as it was last pushed.
    pub(super) fn snapshot(&mut self, at: usize, depth: usize, topic: &str, now: Ts) -> Option<String> {
        let stream = self.world.stream(at, depth)?.clone();
        let (i, p) = self.known(at)?;
        let (bids, asks) = (levels(&stream.bids(), i, p), levels(&stream.asks(), i, p));
        Some(contract_book(topic, "snapshot", (&bids, &asks), stream.seq, now.as_ms()))
    }

    /// The best levels, whole.
    pub(super) fn whole_levels(&mut self, at: usize, topic: &str, tail: &str, now: Ts) -> Option<String> {
        let one = self.world.listed(at)?;
        let state = self.world.states.get(at)?;
        let refresh = topic.contains(".refresh.");
        let depth = if refresh { tail.parse().ok()? } else { step_levels(tail, state.product)? };
        let level = |(px, qty): (&model::Px, &model::Qty)| Level { px: *px, qty: *qty };
        let bids: Vec<Level> = one.bids.iter().rev().take(depth).map(level).collect();
        let asks: Vec<Level> = one.asks.iter().take(depth).map(level).collect();
        let (i, p) = self.known(at)?;
        let (bids, asks) = (levels(&bids, i, p), levels(&asks, i, p));
        let (seq, ms) = (state.seq, now.as_ms());
        Some(if refresh {
            format!(r#"{{"ch":"{topic}","ts":{ms},"tick":{{"seqNum":{seq},"bids":{bids},"asks":{asks}}}}}"#)
        } else if p.spot() {
            format!(
                r#"{{"ch":"{topic}","ts":{ms},"tick":{{"bids":{bids},"asks":{asks},"version":{seq},"ts":{ms}}}}}"#
            )
        } else {
            let second = ms / 1_000;
            format!(
                r#"{{"ch":"{topic}","ts":{ms},"tick":{{"mrid":{seq},"id":{second},"bids":{bids},"asks":{asks},"ts":{ms},"version":{second},"ch":"{topic}"}}}}"#
            )
        })
    }

    /// A spot book or bars that were asked for, and what is pushed after it.
    pub(super) fn whole(&mut self, topic: &str, now: Ts) -> Option<(String, Vec<(String, String)>)> {
        let apart = taken_apart(topic.as_bytes());
        let (symbol, tail) = (std::str::from_utf8(apart.symbol).ok()?, std::str::from_utf8(apart.tail).ok()?);
        let at = self.world.place(symbol)?;
        if apart.kind == Kind::Bars {
            return Some((format!("[{}]", self.bar_rows(at, tail, now, usize::MAX).join(",")), Vec::new()));
        }
        if apart.kind != Kind::Mbp {
            return None;
        }
        let depth: usize = tail.parse().ok()?;
        // The answer is of the last push, of an earlier one, or newer than any; then what it holds is pushed after it.
        let newer = self.late == 0 && self.world.market.rng().u8(0..3) == 0;
        let mut after = Vec::new();
        if newer && let Some(update) = self.world.flush(at, depth, false) {
            after.push((topic.to_owned(), self.change(at, topic, &update, now)));
        }
        let stream: Stream = self.world.stream(at, depth)?.ago(self.late);
        let (i, p) = self.known(at)?;
        let (bids, asks) = (levels(&stream.bids(), i, p), levels(&stream.asks(), i, p));
        Some((format!(r#"{{"seqNum":{},"bids":{bids},"asks":{asks}}}"#, stream.seq), after))
    }

    /// What `detail` and the lists of tickers say of an instrument, from its prices on.
    pub(super) fn day(&self, at: usize) -> Option<String> {
        let one = self.world.listed(at)?;
        let (i, p) = self.known(at)?;
        let (open, high, low) = one.range;
        let [open, high, low, close] = [open, high, low, one.last.0].map(|v| px(v, i, p));
        let sums = sums(one.volume, one.turnover, i, p);
        Some(format!(
            r#""open":{open},"close":{close},"high":{high},"low":{low},{sums},"count":{}"#,
            one.trades
        ))
    }

    pub(super) fn detail(&self, at: usize, topic: &str, now: Ts) -> Option<String> {
        let (day, state) = (self.day(at)?, self.world.states.get(at)?);
        let (ms, seq) = (now.as_ms(), state.seq);
        let ids = if state.product.spot() {
            format!(r#""id":{seq},"version":{seq}"#)
        } else {
            format!(r#""id":{},"mrid":{seq},"ask":[64010.2,206],"bid":[64010.1,38]"#, ms / 1_000)
        };
        Some(format!(r#"{{"ch":"{topic}","ts":{ms},"tick":{{{ids},{day}}}}}"#))
    }

    pub(super) fn bar(&mut self, at: usize, topic: &str, word: &str, now: Ts) -> Option<String> {
        let last = self.world.listed(at)?.last.0;
        let state = self.world.states.get_mut(at)?;
        state.bars.want(word, last, now);
        state.bars.roll(now);
        let bar = state.bars.all.get(word)?.current;
        let (i, p) = self.known(at)?;
        Some(format!(r#"{{"ch":"{topic}","ts":{},"tick":{}}}"#, now.as_ms(), row(&bar, i, p)))
    }

    /// Bars, the oldest first; the newest so many.
    pub(super) fn bar_rows(&mut self, at: usize, word: &str, now: Ts, most: usize) -> Vec<String> {
        let Some(last) = self.world.listed(at).map(|l| l.last.0) else { return Vec::new() };
        let Some(state) = self.world.states.get_mut(at) else { return Vec::new() };
        state.bars.want(word, last, now);
        state.bars.roll(now);
        let (Some(state), Some((i, p))) = (self.world.states.get(at), self.known(at)) else {
            return Vec::new();
        };
        let Some(series) = state.bars.all.get(word) else { return Vec::new() };
        let newest = std::iter::once(&series.current).chain(&series.closed).take(most);
        let mut all: Vec<String> = newest.map(|bar: &bars::Bar| row(bar, i, p)).collect();
        all.reverse();
        all
    }

    pub(super) fn price(&self, at: usize, topic: &str, kind: Kind, now: Ts) -> Option<String> {
        let (i, _) = self.known(at)?;
        let (value, scale) = match kind {
            Kind::IndexPrice => self.world.index(&i.symbol)?,
            _ => (self.world.listed(at)?.last.0, i.px_scale),
        };
        let mut close = Vec::new();
        model::write_mantissa(value.0, scale, &mut close);
        let (close, ms) = (String::from_utf8_lossy(&close).into_owned(), now.as_ms());
        let id = ms / 60_000 * 60;
        Some(format!(
            r#"{{"ch":"{topic}","ts":{ms},"tick":{{"id":{id},"open":"{close}","close":"{close}","high":"{close}","low":"{close}","amount":"0","vol":"0","count":"0","trade_turnover":"0"}}}}"#
        ))
    }
}

fn contract_book(topic: &str, event: &str, (bids, asks): (&str, &str), version: u64, ms: i64) -> String {
    format!(
        r#"{{"ch":"{topic}","tick":{{"asks":{asks},"bids":{bids},"ch":"{topic}","event":"{event}","id":{version},"mrid":{version},"ts":{ms},"version":{version}}},"ts":{ms}}}"#
    )
}
