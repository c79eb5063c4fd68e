//! What the simulated venue pushes, and when.

use super::world::Print;
use super::{OkxSim, TICK_MS, bars, encode};
use crate::listing;
use crate::parse::Kind;
use model::{InstrumentKind, Level, Ts};
use source::market::{Change, Listed};
use source::{Peer, SimAction};
use std::sync::Arc;

/// The shortest time between two pushes of `bbo-tbt`.
const BEST_MS: i64 = 10;
/// A channel of books that said nothing for so long says that it is alive.
const KEEP_ALIVE_MS: i64 = 60_000;

impl OkxSim {
    /// One move of the market at its time.
    pub(super) fn moved(&mut self, now: Ts, out: &mut Vec<SimAction>) {
        let Some((at, prints)) = self.world.step(now) else { return };
        for print in &prints {
            self.bars.on(at, print);
            self.trade(at, print, now, out);
        }
        let ready = self.world.states.get(at).is_some_and(|s| now.ms_since(s.best.0) >= BEST_MS);
        if ready {
            self.best(at, now, out);
        }
    }

    fn trade(&mut self, at: usize, print: &Print, now: Ts, out: &mut Vec<SimAction>) {
        let Some(instrument) = self.world.instrument(at).cloned() else { return };
        let symbol = &*instrument.symbol;
        if self.peers.heard("trades", symbol) {
            let frame = encode::push("trades", symbol, &encode::trade_row(&instrument, print));
            self.peers.push("trades", symbol, &frame, now, out);
        }
        let product = listing::inst_type(instrument.kind);
        let forced = print.id.is_multiple_of(20) && instrument.kind != InstrumentKind::Spot;
        if forced && self.peers.heard("liquidation-orders", product) {
            let row = encode::liquidation_row(&instrument, print);
            let frame = encode::push_by("instType", "liquidation-orders", product, &row);
            self.peers.push("liquidation-orders", product, &frame, now, out);
        }
    }

    /// `bbo-tbt`, where the best levels changed or were told long ago.
    fn best(&mut self, at: usize, now: Ts, out: &mut Vec<SimAction>) {
        let Some(one) = self.world.market.listed().get(at) else { return };
        let (bid, ask) = best(one);
        let instrument = Arc::clone(&one.instrument);
        let Some(state) = self.world.states.get_mut(at) else { return };
        let same = (state.best.1, state.best.2) == (bid, ask);
        if same && now.ms_since(state.best.0) < KEEP_ALIVE_MS {
            return;
        }
        state.best = (now, bid, ask);
        let (seq, symbol) = (state.seq, &*instrument.symbol);
        if self.peers.heard("bbo-tbt", symbol) {
            let (bids, asks) = (Vec::from_iter(bid), Vec::from_iter(ask));
            let row = encode::top_row(&instrument, &bids, &asks, (seq, now), false);
            self.peers.push("bbo-tbt", symbol, &encode::push("bbo-tbt", symbol, &row), now, out);
        }
    }

    /// Each 100 ms: for each instrument best, book and five levels in the venue's order, then the rest.
    pub(super) fn tick(&mut self, now: Ts, out: &mut Vec<SimAction>) {
        self.flush_all(now, out);
        self.change(now, out);
        for at in (0..self.world.states.len()).filter(|at| self.world.is_listed(*at)).collect::<Vec<_>>() {
            self.statistics(at, now, out);
        }
        if self.ticks.is_multiple_of(10) {
            for family in self.world.families() {
                self.tell("opt-summary", &family, None, now, out);
            }
        }
        self.bars(now, out);
        self.age(now, out);
    }

    /// Changes an instrument where it is time; not while the market stands still.
    fn change(&mut self, now: Ts, out: &mut Vec<SimAction>) {
        let due = Change::at(self.ticks * TICK_MS).filter(|_| !self.pulse.is_paused());
        if let Some((product, row)) = due.and_then(|change| self.world.change(change, now)) {
            let frame = encode::push_by("instType", "instruments", product, &row);
            self.peers.push("instruments", product, &frame, now, out);
        }
    }

    /// Pushes what changed in the books.
    pub(super) fn flush_all(&mut self, now: Ts, out: &mut Vec<SimAction>) {
        for at in (0..self.world.states.len()).filter(|at| self.world.is_listed(*at)).collect::<Vec<_>>() {
            self.best(at, now, out);
            self.book(at, now, out);
            self.five(at, now, out);
        }
    }

    fn book(&mut self, at: usize, now: Ts, out: &mut Vec<SimAction>) {
        let Some(instrument) = self.world.instrument(at).cloned() else { return };
        let update = if self.world.dirty(at) { self.world.flush(at, now) } else { None };
        let Some(state) = self.world.states.get_mut(at) else { return };
        let frame = match update {
            Some(update) if self.peers.heard("books", &instrument.symbol) => {
                encode::update(&instrument, &update)
            }
            None if now.ms_since(state.pushed) >= KEEP_ALIVE_MS => {
                state.pushed = now;
                encode::keep_alive(&instrument, &state.shown, now)
            }
            _ => return,
        };
        self.peers.push("books", &instrument.symbol, &frame, now, out);
    }

    fn five(&mut self, at: usize, now: Ts, out: &mut Vec<SimAction>) {
        let Some(instrument) = self.world.instrument(at).cloned() else { return };
        let Some(state) = self.world.states.get_mut(at) else { return };
        let (bids, asks) = (state.shown.best_bids(5), state.shown.best_asks(5));
        let same = state.top.1 == bids && state.top.2 == asks;
        if same && now.ms_since(state.top.0) < KEEP_ALIVE_MS {
            return;
        }
        let row = encode::top_row(&instrument, &bids, &asks, (state.shown.seq, now), true);
        state.top = (now, bids, asks);
        let symbol = &*instrument.symbol;
        self.peers.push("books5", symbol, &encode::push("books5", symbol, &row), now, out);
    }

    /// Statistics, mark price, index price, funding and open interest.
    fn statistics(&mut self, at: usize, now: Ts, out: &mut Vec<SimAction>) {
        let Some(one) = self.world.market.listed().get(at) else { return };
        let instrument = Arc::clone(&one.instrument);
        let (symbol, last, trades) = (&*instrument.symbol, one.last.0.0, one.trades as i64);
        let Some(state) = self.world.states.get_mut(at) else { return };
        let spot = instrument.kind == InstrumentKind::Spot;
        let mut due = |slot: usize, value: i64, every_ms: i64, quiet_ms: i64| {
            let (Some(told), Some(when)) = (state.told.get_mut(slot), state.told_at.get_mut(slot)) else {
                return false;
            };
            let since = now.ms_since(*when);
            let is = (*told != value && since >= every_ms) || since >= quiet_ms;
            if is {
                (*told, *when) = (value, now);
            }
            is
        };
        let (stats, mark, index) =
            (due(0, trades, 100, i64::MAX), due(1, last, 200, 10_000), due(2, last, 100, 60_000));
        let mut channels = Vec::new();
        if stats {
            channels.push("tickers");
        }
        if mark && !spot {
            channels.push("mark-price");
        }
        if !spot && self.ticks.is_multiple_of(30) {
            channels.push("open-interest");
        }
        if instrument.kind == InstrumentKind::Perpetual && self.ticks.is_multiple_of(300) {
            channels.push("funding-rate");
        }
        for channel in channels {
            self.tell(channel, symbol, None, now, out);
        }
        let name = listing::index_of(symbol);
        if index && (spot || self.world.place(name).is_none()) {
            self.tell("index-tickers", name, None, now, out);
        }
    }

    fn bars(&mut self, now: Ts, out: &mut Vec<SimAction>) {
        let mut pushes = Vec::new();
        let (world, peers) = (&self.world, &self.peers);
        let mut push = |at: usize, word: &str, bar: &bars::Bar, closed: bool| {
            let Some(instrument) = world.instrument(at) else { return };
            let channel = format!("candle{word}");
            if peers.heard(&channel, &instrument.symbol) {
                let row = bars::row(instrument, bar, closed);
                let frame = encode::push(&channel, &instrument.symbol, &row);
                pushes.push((channel, instrument.symbol.clone(), frame));
            }
        };
        self.bars.roll(now, |at, word, bar| push(at, word, bar, true));
        if self.ticks.is_multiple_of(5) {
            for ((at, word), series) in &mut self.bars.all {
                if std::mem::take(&mut series.dirty) {
                    push(*at, word, &series.current, false);
                }
            }
        }
        for (channel, symbol, frame) in pushes {
            self.peers.push(&channel, &symbol, &frame, now, out);
        }
    }

    /// The newest of a channel, to one client or to all who hear it.
    fn tell(&mut self, channel: &str, of: &str, to: Option<Peer>, now: Ts, out: &mut Vec<SimAction>) {
        if to.is_none() && !self.peers.heard(channel, of) {
            return;
        }
        let (mut field, index) = ("instId", self.world.index(of));
        let row = if channel == "index-tickers" {
            index.map(|px| encode::index_row(of, px, now))
        } else if channel == "opt-summary" {
            field = "instFamily";
            let row = |one| encode::greeks_row(one, index?, now);
            let rows: Vec<String> = self.world.options(of).into_iter().filter_map(row).collect();
            Some(rows.join(","))
        } else {
            let at = self.world.place(of);
            let one = at.and_then(|at| self.world.market.listed().get(at));
            let interest =
                at.and_then(|at| self.world.states.get(at)).map_or(0, |s| s.open_interest + s.seq % 1_000);
            one.map(|one| match channel {
                "tickers" => encode::ticker_row(one, now),
                "mark-price" => encode::mark_row(one, now),
                "funding-rate" => encode::funding_row(one, now),
                _ => encode::interest_row(one, interest, now),
            })
        };
        let Some(row) = row else { return };
        let frame = encode::push_by(field, channel, of, &row);
        match to {
            Some(peer) => self.peers.send(peer, frame, now, out),
            None => self.peers.push(channel, of, &frame, now, out),
        }
    }

    /// What a client gets right after its subscription.
    pub(super) fn first(&mut self, peer: Peer, channel: &str, of: &str, now: Ts, out: &mut Vec<SimAction>) {
        let kind = Kind::of(channel.as_bytes());
        if kind == Kind::Instruments {
            let places = self.world.of_type(of);
            let rows: Vec<&str> =
                places.iter().filter_map(|at| self.world.rows.get(*at)).map(String::as_str).collect();
            let frame = encode::push_by("instType", channel, of, &rows.join(","));
            return self.peers.send(peer, frame, now, out);
        }
        if matches!(
            kind,
            Kind::DayStats
                | Kind::MarkPrice
                | Kind::IndexPrice
                | Kind::Funding
                | Kind::OpenInterest
                | Kind::Greeks
        ) {
            return self.tell(channel, of, Some(peer), now, out);
        }
        let Some(at) = self.world.place(of) else { return };
        let Some(instrument) = self.world.instrument(at).cloned() else { return };
        match kind {
            Kind::Book(_) if !self.quirks.no_snapshot => {
                let Some((shown, since)) = self.world.shown(at, self.late) else { return };
                self.peers.send(peer, encode::snapshot(&instrument, &shown, now), now, out);
                for update in &since {
                    self.peers.send(peer, encode::update(&instrument, update), now, out);
                }
            }
            Kind::BookTop | Kind::Quote => {
                let (Some(state), Some(one)) =
                    (self.world.states.get(at), self.world.market.listed().get(at))
                else {
                    return;
                };
                let (bids, asks, seq) = if kind == Kind::BookTop {
                    (state.shown.best_bids(5), state.shown.best_asks(5), state.shown.seq)
                } else {
                    let (bid, ask) = best(one);
                    (Vec::from_iter(bid), Vec::from_iter(ask), state.seq)
                };
                let row = encode::top_row(&instrument, &bids, &asks, (seq, now), kind == Kind::BookTop);
                self.peers.send(peer, encode::push(channel, of, &row), now, out);
            }
            Kind::Bars => {
                let word = channel.strip_prefix("candle").unwrap_or_default();
                let last = self.world.market.listed().get(at).map(|l| l.last.0).unwrap_or_default();
                if let Some(state) = self.world.states.get(at) {
                    self.bars.want(at, word, last, &state.prints, now);
                }
                if let Some(series) = self.bars.all.get(&(at, word.to_owned())) {
                    let row = bars::row(&instrument, &series.current, false);
                    self.peers.send(peer, encode::push(channel, of, &row), now, out);
                }
            }
            _ => {}
        }
    }
}

/// The best level of each side.
fn best(one: &Listed) -> (Option<Level>, Option<Level>) {
    let level = |(px, qty): (&_, &_)| Level { px: *px, qty: *qty };
    (one.bids.last_key_value().map(level), one.asks.first_key_value().map(level))
}
