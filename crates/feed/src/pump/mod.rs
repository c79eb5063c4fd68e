//! One shard's connection as a pure state machine: no socket, no clock, no task.
//!
//! The pump owns a session, its engine and the state of its connection (the leader). It fires the session's timers,
//! paces what is sent, notices silence, and reconnects with back-off. Before a planned end it starts a second session on
//! a second connection (the follower), whose events stay in its shadow until it is in step; then it takes the leader's
//! place: each book goes on by a snapshot without a gap, or by nothing where both stand at the same number, and trades
//! that the leader had not brought are told. Where the leader dies first there is a gap as ever, and the follower takes
//! over what it has. Of other channels the seam may lose or repeat what came within the latency of the two connections.
//!
//! A clock that goes back by more than [`JUMP_MS`] starts everything again, because sessions hold times of their own.

mod backoff;
mod common;
mod half;
mod port;
mod prints;
mod shadow;
#[cfg(test)]
mod tests;
mod timers;

pub use common::{Counters, pseudo};
pub use port::{Conn, In, Io, OUTBOX_MAX, Out, Setup};

use common::Common;
use engine::Engine;
use half::{Half, Halt};
use hashbrown::HashSet;
use model::{Body, Instrument, LaneFact, LinkFact, Snapshot, Ts};
use shadow::Shadow;
use source::{Fault, Input, Source};
use std::sync::Arc;

/// How far the clock may go back, in ms, before everything starts again.
pub const JUMP_MS: i64 = 2_000;
/// How often it is looked whether the follower is in step, in ms.
const CHECK_MS: u64 = 100;
/// How long the follower waits for the venue's answers before it may lead without them, in ms.
const ANSWERS_MS: i64 = 10_000;
/// How long the next connection is not opened after one that was to follow failed to, in ms.
const FOLLOW_AGAIN_MS: u64 = 1_000;

/// One shard's connection.
pub struct Pump<'a> {
    source: &'a dyn Source,
    engine: engine::Config,
    common: Common,
    leader: Half,
    follower: Option<Half>,
    /// The venue said that the leader's connection will end.
    ending: bool,
    /// When to look after the follower, or for whether there should be one.
    check_at: Ts,
    seen: Option<Ts>,
}

impl<'a> Pump<'a> {
    /// A pump that does nothing before [`In::Start`]. `None` where the shard names an endpoint that the source has not.
    pub fn new(setup: Setup<'a>) -> Option<Self> {
        let Setup { source, shard, links, engine, seed, host, lifetime_ms } = setup;
        let session = source.session(&shard);
        let polls = shard.path.is_none();
        let common = Common::new(source.spec(), shard, seed, host, lifetime_ms)?;
        let leader = Half::new(session, Engine::new(engine.clone()), links, polls, &common);
        let check_at = Ts::default();
        Some(Self { source, engine, common, leader, follower: None, ending: false, check_at, seen: None })
    }

    /// Takes one input at the time `now` and appends what follows.
    pub fn on(&mut self, input: In<'_>, now: Ts, out: &mut Out) {
        let back = self.seen.map_or(0, |seen| seen.ms_since(now));
        self.seen = Some(now);
        if back > JUMP_MS && self.leader.has_begun() {
            self.start_again(back, now, out);
        }
        match input {
            In::Frame { conn, bytes, binary } => {
                self.with(conn, now, out, |half, common, out| half.frame(bytes, binary, now, common, out));
            }
            In::Start => self.leader.start(now, &mut self.common, out),
            In::Opened { conn } => {
                self.check_at = now;
                self.with(conn, now, out, |half, common, out| half.opened(now, common, out));
            }
            In::OpenFailed { conn, fault, why } => {
                self.with(conn, now, out, |_, _, _| Some(Halt { fault, why: why.to_owned(), gone: true }));
            }
            In::Closed { conn, why } => {
                let halt = Halt { fault: Fault::Protocol, why: why.to_owned(), gone: true };
                self.with(conn, now, out, |_, _, _| Some(halt));
            }
            In::Ping { conn } => self.with(conn, now, out, |half, _, _| {
                half.ping(now);
                None
            }),
            In::Reply { conn, tag, path, status, retry_ms, body } => {
                let reply = Input::Reply { tag: Some(tag), path, status, retry_ms, body };
                self.with(conn, now, out, |half, common, out| half.reply(reply, now, common, out));
            }
            In::Define(instrument) => self.define(instrument, now, out),
            In::Tick => {}
        }
        self.tick(now, out);
    }

    /// When [`In::Tick`] is due, if nothing happens before; `None` before the start. Never later than a second where the
    /// clock may jump: the caller sees to that.
    pub fn next_wake(&self) -> Option<Ts> {
        let check = (self.follower.is_some() || self.leader.is_open()).then_some(self.check_at);
        let follower = self.follower.as_ref().and_then(Half::next_wake);
        [self.leader.next_wake(), follower, check].into_iter().flatten().min()
    }

    /// What was counted so far.
    pub const fn counters(&self) -> &Counters {
        &self.common.counters
    }

    /// What the checks found so far.
    pub const fn checks(&self) -> engine::Counters {
        self.leader.engine.counters()
    }

    /// What the books that are live hold.
    pub const fn books(&self) -> &Engine {
        &self.leader.engine
    }

    /// How many connections are open.
    pub fn links_up(&self) -> usize {
        usize::from(self.leader.is_open()) + usize::from(self.follower.as_ref().is_some_and(Half::is_open))
    }

    /// Lets the half that holds `conn` take something, and sees to what became of it.
    fn with(
        &mut self,
        conn: Conn,
        now: Ts,
        out: &mut Out,
        take: impl FnOnce(&mut Half, &mut Common, &mut Out) -> Option<Halt>,
    ) {
        if self.leader.holds(conn) {
            if let Some(halt) = take(&mut self.leader, &mut self.common, out) {
                self.leader_halts(&halt, now, out);
            }
        } else if let Some(follower) = self.follower.as_mut().filter(|f| f.holds(conn)) {
            if let Some(halt) = take(follower, &mut self.common, out) {
                follower.lose(&halt, now, &mut self.common, out);
            }
        } else {
            self.common.counters.late += 1;
        }
    }

    fn leader_halts(&mut self, halt: &Halt, now: Ts, out: &mut Out) {
        if halt.fault == Fault::Planned && !halt.gone && self.leader.has_conn() {
            self.ending = true;
            self.check_at = now;
            return;
        }
        self.leader.lose(halt, now, &mut self.common, out);
        self.ending = false;
        match self.follower.take_if(|f| f.has_conn()) {
            Some(follower) => {
                self.retire(now, out);
                self.take_over(follower, now, out);
            }
            None => self.dismiss("the connection it was to replace is lost", now, out),
        }
    }

    /// Timers, silence, pacing, reconnecting, and the follower.
    fn tick(&mut self, now: Ts, out: &mut Out) {
        if self.leader.next_wake().is_some_and(|at| at <= now)
            && let Some(halt) = self.leader.tick(now, &mut self.common, out)
        {
            self.leader_halts(&halt, now, out);
            // Where the first try is at once, it is now.
            self.leader.begin_if_due(now, &mut self.common, out);
        }
        if let Some(follower) = self.follower.as_mut()
            && follower.next_wake().is_some_and(|at| at <= now)
            && let Some(halt) = follower.tick(now, &mut self.common, out)
        {
            follower.lose(&halt, now, &mut self.common, out);
        }
        if self.check_at <= now && self.leader.is_open() {
            self.check(now, out);
        }
    }

    /// Starts a follower where the leader's end is near, and lets it lead once it is in step.
    fn check(&mut self, now: Ts, out: &mut Out) {
        match &self.follower {
            Some(_) if self.in_step(now) => {
                if let Some(follower) = self.follower.take() {
                    self.common.counters.promotions += 1;
                    self.retire(now, out);
                    self.take_over(follower, now, out);
                }
                self.check_at = now.plus_ms(FOLLOW_AGAIN_MS);
            }
            Some(_) => self.check_at = now.plus_ms(CHECK_MS),
            None if self.ending || self.leader.ends_at().is_some_and(|at| at <= now) => {
                let session = self.source.session(&self.common.shard);
                let links = [self.leader.other_link(), self.leader.link()];
                let engine = Engine::new(self.engine.clone());
                let mut follower = Half::new(session, engine, links, false, &self.common);
                follower.shadow = Some(Box::new(Shadow::new()));
                follower.start(now, &mut self.common, out);
                self.follower = Some(follower);
                self.check_at = now.plus_ms(CHECK_MS);
            }
            None => self.check_at = self.leader.ends_at().unwrap_or(Ts(i64::MAX)),
        }
    }

    /// Whether the follower has each book that the leader has, and the venue's answers.
    fn in_step(&self, now: Ts) -> bool {
        let Some(follower) = self.follower.as_ref().filter(|f| f.is_open()) else { return false };
        let Some(shadow) = follower.shadow.as_ref() else { return false };
        let answered = shadow.answered(&self.common.shard.wants);
        if !answered && now.ms_since(follower.opened_at()) < ANSWERS_MS {
            return false;
        }
        let has: HashSet<_> = follower.engine.books().map(|(i, channel, _)| (i.id, channel)).collect();
        self.leader.engine.books().all(|(i, channel, _)| has.contains(&(i.id, channel)))
    }

    /// Closes the leader's connection for good, without a word to its session: its books live on.
    fn retire(&mut self, now: Ts, out: &mut Out) {
        if self.leader.has_conn() {
            out.io.push(Io::Close { conn: self.leader.conn() });
        }
        let link = self.leader.link();
        self.common.link(LinkFact::Down { link, why: "replaced".into(), retry_ms: None }, now, out);
    }

    /// Puts the follower in the leader's place. The leader's engine stays, so that epochs and checks go on.
    fn take_over(&mut self, mut follower: Half, now: Ts, out: &mut Out) {
        self.ending = false;
        let Some(shadow) = follower.shadow.take() else { return };
        std::mem::swap(&mut follower.engine, &mut self.leader.engine);
        let theirs = std::mem::replace(&mut self.leader, follower);
        drop(theirs.session);
        let shadowed = theirs.engine;
        let Shadow { trades, defined, facts, .. } = *shadow;
        for event in defined {
            self.leader.emit(event, &mut self.common, out);
        }
        if self.leader.is_open() {
            self.leader.carried(now, &mut self.common, out);
        }
        for event in facts {
            self.leader.emit(event, &mut self.common, out);
        }
        let held: Vec<_> = self.leader.engine.books().map(|(i, c, b)| ((i.id, c), b.seq())).collect();
        // In an order that does not hang on luck.
        let mut books: Vec<_> = shadowed.books().collect();
        books.sort_unstable_by_key(|(instrument, channel, _)| (instrument.id, *channel));
        for (instrument, channel, book) in books {
            let ours = held.iter().find(|(key, _)| *key == (instrument.id, channel));
            if book.seq().is_some() && ours.is_some_and(|(_, seq)| *seq == book.seq()) {
                continue;
            }
            let snapshot =
                Snapshot { seq: book.seq(), levels: book.levels(usize::MAX), checksum: None, epoch: 0 };
            let event = self.common.event(instrument, channel, Body::Snapshot(snapshot), now);
            self.leader.emit(event, &mut self.common, out);
        }
        self.common.prints.guard(now);
        for event in trades {
            self.leader.emit(event, &mut self.common, out);
        }
        if let Some(halt) = self.leader.settle(None, now, &mut self.common, out) {
            self.leader_halts(&halt, now, out);
        }
        self.check_at = now.plus_ms(FOLLOW_AGAIN_MS);
    }

    /// Gives up the follower.
    fn dismiss(&mut self, why: &str, now: Ts, out: &mut Out) {
        let Some(follower) = self.follower.take() else { return };
        if follower.has_conn() {
            out.io.push(Io::Close { conn: follower.conn() });
        }
        let fact = LinkFact::Down { link: follower.link(), why: why.into(), retry_ms: None };
        self.common.link(fact, now, out);
    }

    fn define(&mut self, instrument: &Arc<Instrument>, now: Ts, out: &mut Out) {
        if !self.common.redefine(instrument) {
            return;
        }
        if let Some(halt) = self.leader.tell(Input::Define(instrument), now, &mut self.common, out) {
            self.leader_halts(&halt, now, out);
        }
        if let Some(follower) = self.follower.as_mut() {
            let halt = follower.tell(Input::Define(instrument), now, &mut self.common, out);
            if let Some(halt) = halt {
                follower.lose(&halt, now, &mut self.common, out);
            }
        }
    }

    /// The clock went back: every time that a session or a timer holds is wrong now.
    fn start_again(&mut self, back: i64, now: Ts, out: &mut Out) {
        let why = format!("the clock went back by {back} ms");
        self.dismiss(&why, now, out);
        self.ending = false;
        let halt = Halt { fault: Fault::Planned, why, gone: false };
        self.leader.lose(&halt, now, &mut self.common, out);
        let session = self.source.session(&self.common.shard);
        self.leader.renew(session, now, &self.common);
        self.check_at = now;
    }
}

/// That a connection carries a lane.
fn carried(link: model::LinkId) -> Body {
    Body::Lane(LaneFact::Carried(link))
}
