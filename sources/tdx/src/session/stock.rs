//! An instrument that is wanted, and what is known of it.

use crate::codec::bars::Bar;
use crate::codec::minutes::Minute;
use crate::codec::quotes::Quote;
use crate::codec::trades::{Trade, side};
use crate::codec::{self};
use crate::emit::{Scale, event};
use model::ashare::Code;
use model::{Body, Channel, Instrument, LaneFact, Ts};
use source::Action;
use std::sync::Arc;

/// How many of the last trades are kept, to join the next ones to.
const TAIL: usize = 400;

/// The trades of the day so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Tape {
    /// The last rows.
    pub tail: Vec<Trade>,
    /// How many rows there are.
    pub rows: usize,
    /// How many of them are trades; the others tell what an auction would match.
    pub trades: u64,
    /// Rows that were read from the newest backwards, while the day is read for the first time.
    pub loading: Vec<Trade>,
    /// Whether the day was read to its beginning.
    pub whole: bool,
}

impl Tape {
    /// Takes the whole day and returns what was not told yet, each with its place among the trades.
    pub fn day(&mut self, all: &[Trade]) -> Vec<(u64, Trade)> {
        let fresh = self.fresh(all, 0);
        self.whole = true;
        self.loading = Vec::new();
        self.rows = all.len();
        self.keep(all);
        fresh
    }

    /// Takes rows that follow those known.
    pub fn more(&mut self, rows: &[Trade]) -> Vec<(u64, Trade)> {
        let fresh = self.fresh(rows, self.trades);
        self.rows += rows.len();
        let all = [&self.tail[..], rows].concat();
        self.keep(&all);
        fresh
    }

    fn fresh(&mut self, rows: &[Trade], before: u64) -> Vec<(u64, Trade)> {
        let trades = rows.iter().filter(|row| row.side != side::AUCTION);
        let placed: Vec<(u64, Trade)> = (before + 1..).zip(trades.copied()).collect();
        let told = self.trades;
        self.trades = told.max(before + placed.len() as u64);
        placed.into_iter().filter(|(place, _)| *place > told).collect()
    }

    fn keep(&mut self, rows: &[Trade]) {
        self.tail = rows.get(rows.len().saturating_sub(TAIL)..).unwrap_or_default().to_vec();
    }
}

/// How many of the first rows of `new` are the last ones of `old`: the most that can be.
pub(super) fn overlap(old: &[Trade], new: &[Trade]) -> usize {
    let most = old.len().min(new.len());
    let fits = |n: &usize| old.get(old.len() - n..) == new.get(..*n);
    (1..=most).rev().find(fits).unwrap_or(0)
}

/// An instrument that is wanted.
#[derive(Clone, Debug)]
pub(super) struct Stock {
    pub instrument: Arc<Instrument>,
    pub code: Code,
    pub wire: codec::Code,
    pub scale: Scale,
    pub channels: Vec<Channel>,
    /// Channels that were answered on this connection.
    acked: Vec<Channel>,
    pub quote: Option<Quote>,
    pub tape: Tape,
    /// The last bars that were told, and whether they were over.
    pub bars: Vec<(Bar, bool)>,
    pub minutes: Vec<Minute>,
}

impl Stock {
    /// `None` where the instrument is none of the three exchanges.
    pub fn new(instrument: &Arc<Instrument>) -> Option<Self> {
        let code = model::ashare::code(instrument)?;
        Some(Self {
            instrument: Arc::clone(instrument),
            code,
            wire: codec::Code::of(code.market.byte(), code.digits())?,
            scale: Scale::of(code, instrument),
            channels: Vec::new(),
            acked: Vec::new(),
            quote: None,
            tape: Tape::default(),
            bars: Vec::new(),
            minutes: Vec::new(),
        })
    }

    /// A new definition. The digits of the wire stay those of the list.
    pub fn define(&mut self, instrument: &Arc<Instrument>) {
        if !instrument.provisional {
            self.scale = Scale::of(self.code, instrument);
        }
        self.instrument = Arc::clone(instrument);
    }

    /// A channel is wanted.
    pub fn add(&mut self, channel: Channel) {
        if !self.wants(channel) {
            self.channels.push(channel);
            self.forget(channel);
        }
    }

    /// A channel is not wanted any more; whether it was.
    pub fn remove(&mut self, channel: Channel) -> bool {
        let wanted = self.wants(channel);
        self.channels.retain(|one| *one != channel);
        self.acked.retain(|one| *one != channel);
        wanted
    }

    pub fn wants(&self, channel: Channel) -> bool {
        self.channels.contains(&channel)
    }

    /// What was told on a channel is told again.
    fn forget(&mut self, channel: Channel) {
        match channel {
            Channel::DayStats | Channel::BookTop => self.quote = None,
            Channel::Bars => self.bars = Vec::new(),
            Channel::MinuteLine => self.minutes = Vec::new(),
            _ => {}
        }
    }

    /// The connection is gone. Trades go on where they were, as each has its place in the day.
    pub fn lost(&mut self) {
        self.acked = Vec::new();
        self.tape.loading = Vec::new();
    }

    /// A trading day begins.
    pub fn new_day(&mut self) {
        (self.quote, self.tape, self.minutes) = (None, Tape::default(), Vec::new());
    }

    pub fn fact(&self, channel: Channel, fact: LaneFact, now: Ts, out: &mut Vec<Action>) {
        out.push(Action::Emit(event(&self.instrument, channel, None, now, Body::Lane(fact))));
    }

    /// The server has answered on a channel.
    pub fn ack(&mut self, channel: Channel, now: Ts, out: &mut Vec<Action>) {
        if self.wants(channel) && !self.acked.contains(&channel) {
            self.acked.push(channel);
            self.fact(channel, LaneFact::Acked, now, out);
        }
    }

    /// The server knows no such code: said once on each connection.
    pub fn unknown(&mut self, channel: Channel, now: Ts, out: &mut Vec<Action>) {
        self.refuse(channel, "the server knows no such code", now, out);
    }

    /// The server does not answer on a channel: said once on each connection.
    pub fn refuse(&mut self, channel: Channel, words: &str, now: Ts, out: &mut Vec<Action>) {
        if self.wants(channel) && !self.acked.contains(&channel) {
            self.acked.push(channel);
            self.fact(channel, LaneFact::Refused(words.into()), now, out);
        }
    }

    pub fn emit(&self, channel: Channel, ts: Option<Ts>, now: Ts, body: Body, out: &mut Vec<Action>) {
        out.push(Action::Emit(event(&self.instrument, channel, ts, now, body)));
    }
}
