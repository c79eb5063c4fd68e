//! What the simulated venue pushes, and when.

use super::encode::{self, Seen};
use super::world::Print;
use super::{DeribitSim, bars};
use crate::listing;
use crate::parse::{Kind, Pace, Topic};
use model::{Instrument, InstrumentKind, Ts};
use source::{Peer, SimAction};
use std::sync::Arc;

/// How many ticks the slower pace is.
const AGG2_TICKS: u64 = 5;
/// How many ticks are between two values of an index.
const INDEX_TICKS: u64 = 10;
/// Depths of the whole pushes.
const DEPTHS: [usize; 3] = [1, 10, 20];

impl DeribitSim {
    /// One move of the market at its time.
    pub(super) fn moved(&mut self, now: Ts, out: &mut Vec<SimAction>) {
        let Some(at) = self.world.step(now) else { return };
        let Some(instrument) = self.world.instrument(at).cloned() else { return };
        self.book(at, &instrument, Pace::Raw, now, out);
        self.quote(at, &instrument, now, out);
        self.raw_trades(at, &instrument, now, out);
        let channel = format!("ticker.{}.raw", instrument.symbol);
        if self.peers.heard(&channel) {
            self.ticker(at, &channel, None, now, out);
        }
    }

    /// Each 100 ms: books, trades, bars and tickers, and more seldom the rest.
    pub(super) fn tick(&mut self, now: Ts, out: &mut Vec<SimAction>) {
        self.flush_all(now, out);
        self.bars(now, out);
        for at in 0..self.world.states.len() {
            self.tickers(at, now, out);
        }
        if self.ticks.is_multiple_of(INDEX_TICKS) && !self.pulse.is_paused() {
            self.indices(now, out);
        }
        self.age(now, out);
    }

    /// Pushes what changed in the books, and the trades that wait.
    pub(super) fn flush_all(&mut self, now: Ts, out: &mut Vec<SimAction>) {
        let slow = self.ticks.is_multiple_of(AGG2_TICKS) || self.pulse.is_paused();
        for at in 0..self.world.states.len() {
            let Some(instrument) = self.world.instrument(at).cloned() else { continue };
            self.start(at, &instrument, now, out);
            self.book(at, &instrument, Pace::Raw, now, out);
            self.quote(at, &instrument, now, out);
            self.book(at, &instrument, Pace::Ms100, now, out);
            if slow {
                self.book(at, &instrument, Pace::Agg2, now, out);
            }
            self.trades(at, &instrument, now, out);
        }
    }

    /// An instrument begins to trade.
    fn start(&mut self, at: usize, instrument: &Instrument, now: Ts, out: &mut Vec<SimAction>) {
        let Some(state) = self.world.states.get_mut(at) else { return };
        if state.started || state.opens > now {
            return;
        }
        state.started = true;
        let (ts, name) = (now.as_ms(), &instrument.symbol);
        let data = format!(r#"{{"timestamp":{ts},"state":"started","instrument_name":"{name}"}}"#);
        let kind = kind(instrument);
        for (kind, currency) in
            [(kind, currency(instrument)), (kind, "any"), ("any", currency(instrument)), ("any", "any")]
        {
            let channel = format!("instrument.state.{kind}.{currency}");
            self.peers.push(&channel, &data, now, out);
        }
    }

    fn book(
        &mut self,
        at: usize,
        instrument: &Arc<Instrument>,
        pace: Pace,
        now: Ts,
        out: &mut Vec<SimAction>,
    ) {
        let Some(change) = self.world.flush(at, pace, now) else { return };
        let (name, speed) = (&instrument.symbol, pace.name());
        let channel = format!("book.{name}.{speed}");
        if self.peers.heard(&channel) {
            self.peers.send_all(&channel, &encode::change(&channel, instrument, &change), now, out);
        }
        let Some(state) = self.world.states.get(at).filter(|_| pace != Pace::Raw) else { return };
        for depth in DEPTHS {
            let channel = format!("book.{name}.none.{depth}.{speed}");
            if self.peers.heard(&channel) {
                let frame = encode::top(&channel, instrument, state.shown(pace), depth, now);
                self.peers.send_all(&channel, &frame, now, out);
            }
        }
    }

    /// Best bid and offer, where they changed.
    fn quote(&mut self, at: usize, instrument: &Instrument, now: Ts, out: &mut Vec<SimAction>) {
        let best = self.world.best(at);
        let Some(state) = self.world.states.get_mut(at) else { return };
        if state.best == best {
            return;
        }
        state.best = best;
        let channel = format!("quote.{}", instrument.symbol);
        if self.peers.heard(&channel) {
            self.peers.push(&channel, &encode::quote(instrument, best, now), now, out);
        }
    }

    fn raw_trades(&mut self, at: usize, instrument: &Instrument, now: Ts, out: &mut Vec<SimAction>) {
        let Some(state) = self.world.states.get(at) else { return };
        let prints: Vec<Print> = state.untold.iter().filter(|p| p.ts == now).copied().collect();
        for print in &prints {
            self.bars.on(at, print);
        }
        self.tell_trades(at, instrument, Pace::Raw, &prints, now, out);
    }

    fn trades(&mut self, at: usize, instrument: &Instrument, now: Ts, out: &mut Vec<SimAction>) {
        let Some(state) = self.world.states.get_mut(at) else { return };
        let prints = std::mem::take(&mut state.untold);
        for pace in [Pace::Ms100, Pace::Agg2] {
            self.tell_trades(at, instrument, pace, &prints, now, out);
        }
    }

    fn tell_trades(
        &mut self,
        at: usize,
        instrument: &Instrument,
        pace: Pace,
        prints: &[Print],
        now: Ts,
        out: &mut Vec<SimAction>,
    ) {
        if prints.is_empty() {
            return;
        }
        let scale = self.world.index_of(at).map_or(0, |(_, scale)| scale);
        let (kind, currency, pace) = (kind(instrument), currency(instrument), pace.name());
        let channels = [
            format!("trades.{}.{pace}", instrument.symbol),
            format!("trades.{kind}.{currency}.{pace}"),
            format!("trades.{kind}.any.{pace}"),
            format!("trades.any.{currency}.{pace}"),
            format!("trades.any.any.{pace}"),
        ];
        for channel in channels.iter().filter(|c| self.peers.heard(c)).collect::<Vec<_>>() {
            let rows: Vec<String> = prints.iter().map(|p| encode::trade(instrument, p, scale)).collect();
            self.peers.push(channel, &format!("[{}]", rows.join(",")), now, out);
        }
    }

    fn tickers(&mut self, at: usize, now: Ts, out: &mut Vec<SimAction>) {
        let slow = self.ticks.is_multiple_of(AGG2_TICKS);
        let (Some(instrument), Some(state)) =
            (self.world.instrument(at).cloned(), self.world.states.get_mut(at))
        else {
            return;
        };
        let fast = std::mem::take(&mut state.moved.0);
        let slow = slow && std::mem::take(&mut state.moved.1);
        for (is, pace) in [(fast, "100ms"), (slow, "agg2")] {
            let channel = format!("ticker.{}.{pace}", instrument.symbol);
            if is && self.peers.heard(&channel) {
                self.ticker(at, &channel, None, now, out);
            }
        }
        let channel = format!("incremental_ticker.{}", instrument.symbol);
        if fast && self.peers.heard(&channel) {
            self.ticker(at, &channel, None, now, out);
        }
    }

    /// Calls `with` with what a ticker of an instrument is made of.
    pub(super) fn seen<T>(&self, at: usize, with: impl FnOnce(&Seen<'_>) -> T) -> Option<T> {
        let one = self.world.market.listed().get(at)?;
        let state = self.world.states.get(at)?;
        let seen = Seen {
            instrument: &one.instrument,
            state,
            range: one.range,
            last: one.last.0,
            index: self.world.index_of(at).unwrap_or((one.last.0, one.instrument.px_scale)),
            best: self.world.best(at),
        };
        Some(with(&seen))
    }

    /// A ticker, to one client or to all who hear it.
    fn ticker(&mut self, at: usize, channel: &str, to: Option<Peer>, now: Ts, out: &mut Vec<SimAction>) {
        let Some(keys) = self.seen(at, |seen| seen.keys(now)) else { return };
        let data = format!("{{{keys}}}");
        match to {
            Some(peer) => self.peers.send(peer, encode::push(channel, &data), now, out),
            None => self.peers.push(channel, &data, now, out),
        }
    }

    /// Indices, volatility, funding and the marks of options.
    fn indices(&mut self, now: Ts, out: &mut Vec<SimAction>) {
        for channel in self.peers.channels() {
            let topic = Topic::read(channel.as_bytes());
            if matches!(
                topic.kind,
                Kind::PriceIndex | Kind::VolatilityIndex | Kind::Perpetual | Kind::MarkPrices
            ) && let Some(data) = self.value(&channel, now)
            {
                self.peers.push(&channel, &data, now, out);
            }
        }
    }

    /// The data of a channel that is pushed by time.
    fn value(&self, channel: &str, now: Ts) -> Option<String> {
        let topic = Topic::read(channel.as_bytes());
        let of = std::str::from_utf8(topic.of).ok()?;
        match topic.kind {
            Kind::PriceIndex => Some(encode::index(of, self.world.index(of)?, now)),
            Kind::VolatilityIndex => Some(encode::volatility(of, self.world.index(of)?, now)),
            Kind::Perpetual => {
                let at = self.world.place(of)?;
                Some(encode::perpetual(self.world.states.get(at)?.trades, self.world.index_of(at)?, now))
            }
            Kind::MarkPrices => {
                let index = channel.rsplit('.').next().unwrap_or_default();
                let of_index = |l: &&source::market::Listed| {
                    l.instrument.kind == InstrumentKind::Option
                        && listing::index_of(&l.instrument).as_deref() == Some(index)
                };
                let row = |l: &source::market::Listed| {
                    let (name, ts) = (&l.instrument.symbol, now.as_ms());
                    let mark = encode::float(i128::from(l.last.0.0), l.instrument.px_scale);
                    format!(
                        r#"{{"timestamp":{ts},"mark_price":{mark},"iv":0.551,"instrument_name":"{name}"}}"#
                    )
                };
                let rows: Vec<String> = self.world.market.listed().iter().filter(of_index).map(row).collect();
                Some(format!("[{}]", rows.join(",")))
            }
            _ => None,
        }
    }

    fn bars(&mut self, now: Ts, out: &mut Vec<SimAction>) {
        self.bars.roll(now);
        let mut pushes = Vec::new();
        for ((at, word), series) in &mut self.bars.all {
            let late = series.late.take();
            let current = std::mem::take(&mut series.dirty).then_some(series.current);
            let Some(instrument) = self.world.instrument(*at) else { continue };
            let channel = format!("chart.trades.{}.{word}", instrument.symbol);
            if self.peers.heard(&channel) {
                let bars = late.iter().chain(&current);
                pushes.extend(bars.map(|bar| (channel.clone(), bars::row(instrument, bar))));
            }
        }
        for (channel, data) in pushes {
            self.peers.push(&channel, &data, now, out);
        }
    }

    /// What a client gets right after its subscription.
    pub(super) fn first(&mut self, peer: Peer, channel: &str, now: Ts, out: &mut Vec<SimAction>) {
        let topic = Topic::read(channel.as_bytes());
        if let Some(data) = self.value(channel, now) {
            return self.peers.send(peer, encode::push(channel, &data), now, out);
        }
        let of = std::str::from_utf8(topic.of).unwrap_or_default();
        let Some(at) = self.world.place(of) else { return };
        let Some(instrument) = self.world.instrument(at).cloned() else { return };
        let Some(state) = self.world.states.get(at) else { return };
        match topic.kind {
            Kind::Book(pace) => {
                let (shown, since) = state.shown(pace).late(self.late);
                let frame = encode::snapshot(channel, &instrument, &shown);
                self.peers.send(peer, frame, now, out);
                for change in &since {
                    self.peers.send(peer, encode::change(channel, &instrument, change), now, out);
                }
            }
            Kind::BookTop => {
                let mut parts = channel.rsplit('.');
                let pace = if parts.next() == Some("agg2") { Pace::Agg2 } else { Pace::Ms100 };
                let depth = parts.next().and_then(|d| d.parse().ok()).unwrap_or(1);
                let frame = encode::top(channel, &instrument, state.shown(pace), depth, now);
                self.peers.send(peer, frame, now, out);
            }
            Kind::Quote => {
                let frame = encode::push(channel, &encode::quote(&instrument, self.world.best(at), now));
                self.peers.send(peer, frame, now, out);
            }
            Kind::Ticker | Kind::TickerPart => self.ticker(at, channel, Some(peer), now, out),
            Kind::Bars => {
                let word = std::str::from_utf8(topic.detail).unwrap_or_default();
                let last = self.world.market.listed().get(at).map(|l| l.last.0).unwrap_or_default();
                self.bars.want(at, word, last, &state.prints, now);
                if let Some(series) = self.bars.all.get(&(at, word.to_owned())) {
                    let row = bars::row(&instrument, &series.current);
                    self.peers.send(peer, encode::push(channel, &row), now, out);
                }
            }
            _ => {}
        }
    }
}

/// The venue's word for a kind of instrument.
pub(super) fn kind(instrument: &Instrument) -> &'static str {
    match instrument.kind {
        InstrumentKind::Spot | InstrumentKind::Index => "spot",
        InstrumentKind::Perpetual | InstrumentKind::Future => "future",
        InstrumentKind::Option => "option",
    }
}

/// The currency under which the venue lists an instrument.
pub(super) fn currency(instrument: &Instrument) -> &str {
    if &*instrument.quote == "USD" { &instrument.base } else { &instrument.quote }
}
