//! One shard's connections as a pure state machine: no socket, no clock, no task.
//!
//! The pump holds one or several connections that carry the same, each with a session of its own. It fires the sessions'
//! timers, paces what is sent, notices silence, and reconnects with back-off. What the sessions bring becomes one stream
//! in `merge`. Before a planned end one more connection is opened; once it is in step, the one that ends is closed, and
//! nothing of the stream is lost or told twice. Holes in trades are filled from the venue's history (`repair`), and
//! live books are held against the venue's REST books (`referee`).
//!
//! A clock that goes back by more than [`JUMP_MS`] starts everything again, because sessions hold times of their own.

mod backoff;
mod common;
mod half;
mod merge;
mod port;
mod prints;
mod referee;
mod repair;
#[cfg(test)]
mod tests;
mod timers;

pub use common::{Counters, pseudo};
pub use merge::SideCount;
pub use port::{Conn, In, Io, OUTBOX_MAX, Out, Setup};
pub use referee::Verdicts;

use common::Common;
use engine::Engine;
use half::{Half, Halt};
use model::{LinkFact, LinkId, Ts};
use referee::Referee;
use repair::Repairs;
use source::{Fault, Input, Source, Want};
use std::sync::Arc;

/// How far the clock may go back, in ms, before everything starts again.
pub const JUMP_MS: i64 = 2_000;
/// How often it is looked whether a new connection is in step, in ms.
const CHECK_MS: u64 = 100;
/// How long a new connection waits for the venue's answers before it may lead without them, in ms.
const ANSWERS_MS: i64 = 10_000;
/// How long the next connection is not opened after one that was to follow failed to, in ms.
const FOLLOW_AGAIN_MS: u64 = 1_000;
/// How often sessions are sent back within one input.
const RESYNCS_MAX: usize = 64;

/// One shard's connections.
pub struct Pump<'a> {
    source: &'a dyn Source,
    common: Common,
    /// Those that are to be open, and at most one more that is to replace one of them (the last).
    halves: Vec<Half>,
    /// How many are to be open.
    width: usize,
    links: Vec<LinkId>,
    repairs: Repairs,
    referee: Referee,
    /// When to look after replacements, or for whether there should be one.
    check_at: Ts,
    seen: Option<Ts>,
}

impl<'a> Pump<'a> {
    /// A pump that does nothing before [`In::Start`]. `None` where the shard names an endpoint that the source has not.
    pub fn new(setup: Setup<'a>) -> Option<Self> {
        let Setup { source, shard, links, engine, referee_ms, seed, host, lifetime_ms } = setup;
        let polls = shard.path.is_none();
        let common = Common::new(source.spec(), shard, seed, host, lifetime_ms, Engine::new(engine))?;
        let width = if polls { 1 } else { links.len().saturating_sub(1).max(1) };
        let halves = links.iter().take(width).map(|link| {
            let session = source.session(&common.shard);
            Half::new(session, *link, polls, &common)
        });
        Some(Self {
            source,
            halves: halves.collect(),
            common,
            width,
            links,
            repairs: Repairs::default(),
            referee: Referee::new(referee_ms),
            check_at: Ts::default(),
            seen: None,
        })
    }

    /// Takes one input at the time `now` and appends what follows.
    pub fn on(&mut self, input: In<'_>, now: Ts, out: &mut Out) {
        let back = self.seen.map_or(0, |seen| seen.ms_since(now));
        self.seen = Some(now);
        let mark = out.events.len();
        if back > JUMP_MS && self.halves.iter().any(Half::has_begun) {
            self.start_again(back, now, out);
        }
        match input {
            In::Frame { conn, bytes, binary } => {
                self.with(conn, now, out, |half, common, out| half.frame(bytes, binary, now, common, out));
            }
            In::Start => {
                for half in &mut self.halves {
                    half.start(now, &mut self.common, out);
                }
            }
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
            In::Reply { tag, status, retry_ms, body, .. } if tag & repair::TAG != 0 => {
                self.repairs.reply(tag, (status, retry_ms, body), now, &mut self.common, out);
            }
            In::Reply { tag, status, body, .. } if tag & referee::TAG != 0 => {
                self.referee.reply(self.source, tag, status, body);
            }
            In::Reply { conn, tag, path, status, retry_ms, body } => {
                let reply = Input::Reply { tag: Some(tag), path, status, retry_ms, body };
                self.with(conn, now, out, |half, common, out| half.reply(reply, now, common, out));
            }
            In::Define(instrument) => {
                if self.common.redefine(instrument) {
                    self.tell_all(Input::Define(instrument), None, now, out);
                }
            }
            In::Subscribe(wants) => self.subscribe(wants, now, out),
            In::Unsubscribe(wants) => self.unsubscribe(wants, now, out),
            In::Tick => {}
        }
        self.tick(now, out);
        self.settle(now, out);
        self.judge(mark, now, out);
    }

    /// When [`In::Tick`] is due, if nothing happens before; `None` before the start. Never later than a second where the
    /// clock may jump: the caller sees to that.
    pub fn next_wake(&self) -> Option<Ts> {
        let check = self.halves.iter().any(Half::is_open).then_some(self.check_at);
        let repair = self.repairs.next_wake().filter(|_| check.is_some());
        let referee = self.referee.next_wake().filter(|_| check.is_some());
        let prints = self.common.merge.prints.next_wake();
        let halves = self.halves.iter().filter_map(Half::next_wake).min();
        [halves, check, repair, referee, prints].into_iter().flatten().min()
    }

    /// What was counted so far.
    pub const fn counters(&self) -> &Counters {
        &self.common.counters
    }

    /// What the checks found so far.
    pub const fn checks(&self) -> engine::Counters {
        self.common.merge.engine.counters()
    }

    /// What each connection has brought while there were others, by its place among the names.
    pub fn sides(&self) -> impl Iterator<Item = (usize, SideCount)> {
        let place = |link: &LinkId| self.links.iter().position(|name| name == link).unwrap_or_default();
        self.common.merge.counts().iter().map(move |(link, count)| (place(link), *count))
    }

    /// What came of holding books against the venue's.
    pub const fn verdicts(&self) -> Verdicts {
        self.referee.verdicts
    }

    /// How many connections are open.
    pub fn links_up(&self) -> usize {
        self.halves.iter().filter(|half| half.is_open()).count()
    }

    /// Lets the half that holds `conn` take something, and sees to what became of it.
    #[inline]
    fn with(
        &mut self,
        conn: Conn,
        now: Ts,
        out: &mut Out,
        take: impl FnOnce(&mut Half, &mut Common, &mut Out) -> Option<Halt>,
    ) {
        let Some(at) = self.halves.iter().position(|half| half.holds(conn)) else {
            self.common.counters.late += 1;
            return;
        };
        let Some(half) = self.halves.get_mut(at) else { return };
        if let Some(halt) = take(half, &mut self.common, out) {
            self.halts(at, &halt, now, out);
        }
    }

    /// A half gives up its connection. One that the venue will end stays until another is in step.
    fn halts(&mut self, at: usize, halt: &Halt, now: Ts, out: &mut Out) {
        let Some(half) = self.halves.get_mut(at) else { return };
        if halt.fault == Fault::Planned && !halt.gone && half.is_open() {
            half.ending = true;
            self.check_at = now;
            return;
        }
        let ended = half.ending;
        half.lose(halt, now, &mut self.common, out);
        if self.halves.len() <= self.width {
            return;
        }
        // There is one more than need be. What was to be replaced is gone by itself, or the replacement is not needed.
        if ended || at + 1 == self.halves.len() {
            self.remove(at, now, out);
        } else if let Some(last) = self.halves.last()
            && !last.has_conn()
        {
            self.remove(self.halves.len() - 1, now, out);
        }
    }

    /// Closes a connection for good, without a word to its session: what it carried lives on.
    fn remove(&mut self, at: usize, now: Ts, out: &mut Out) {
        let half = self.halves.remove(at);
        if half.has_conn() {
            out.io.push(Io::Close { conn: half.conn() });
        }
        if half.is_open() {
            half.part(now, &mut self.common, out);
        }
        self.common.link(
            LinkFact::Down { link: half.link(), why: "replaced".into(), retry_ms: None },
            now,
            out,
        );
        self.check_at = now.plus_ms(FOLLOW_AGAIN_MS);
    }

    /// Timers, silence, pacing, reconnecting, replacements, and what waits in the stream.
    fn tick(&mut self, now: Ts, out: &mut Out) {
        let mut at = 0;
        while let Some(half) = self.halves.get_mut(at) {
            let link = half.link();
            if half.next_wake().is_some_and(|wake| wake <= now)
                && let Some(halt) = half.tick(now, &mut self.common, out)
            {
                self.halts(at, &halt, now, out);
                // Where the first try is at once, it is now.
                if let Some(half) = self.halves.get_mut(at).filter(|half| half.link() == link) {
                    half.begin_if_due(now, &mut self.common, out);
                }
            }
            at += usize::from(self.halves.get(at).is_some_and(|half| half.link() == link));
        }
        if self.common.merge.prints.next_wake().is_some_and(|wake| wake <= now) {
            let mut missing = Vec::new();
            let mark = out.events.len();
            self.common.merge.tick(now, &mut out.events, &mut missing);
            for event in out.events.get(mark..).unwrap_or_default() {
                self.common.counters.event(event);
            }
            for missing in missing {
                self.repairs.add(missing, now, &mut self.common, out);
            }
        }
        let Some(conn) = self.halves.iter().find(|half| half.is_open()).map(Half::conn) else { return };
        if self.repairs.next_wake().is_some_and(|wake| wake <= now) {
            self.repairs.step(self.source, conn, now, &mut self.common, out);
        }
        if self.referee.next_wake().is_some_and(|wake| wake <= now) {
            self.referee.step(self.source, conn, now, &mut self.common, out);
        }
        if self.check_at <= now {
            self.check(now, out);
        }
    }

    /// Opens a connection where the end of one is near, and closes that one once the new one is in step.
    fn check(&mut self, now: Ts, out: &mut Out) {
        let near =
            |half: &Half| half.is_open() && (half.ending || half.ends_at().is_some_and(|at| at <= now));
        let ending = self.halves.iter().position(near);
        let extra = self.halves.len() > self.width;
        self.check_at = now.plus_ms(CHECK_MS);
        match (ending, self.halves.last()) {
            (Some(at), Some(new)) if extra && at + 1 < self.halves.len() => {
                let late = now.ms_since(new.opened_at()) >= ANSWERS_MS;
                if new.is_open() && self.common.merge.in_step(new.link(), &self.common.shard.wants, late) {
                    self.common.counters.promotions += 1;
                    self.remove(at, now, out);
                }
            }
            (Some(_), _) if !extra => {
                let used: Vec<LinkId> = self.halves.iter().map(Half::link).collect();
                let Some(link) = self.links.iter().copied().find(|link| !used.contains(link)) else { return };
                let session = self.source.session(&self.common.shard);
                let mut half = Half::new(session, link, false, &self.common);
                half.start(now, &mut self.common, out);
                self.halves.push(half);
            }
            _ => {
                // Nothing to replace.
                let ends = self.halves.iter().filter_map(Half::ends_at).min();
                self.check_at = ends.unwrap_or(Ts(i64::MAX)).max(now.plus_ms(CHECK_MS));
            }
        }
    }

    /// Sends sessions back to books that were found wrong, and tells the others what one has defined.
    fn settle(&mut self, now: Ts, out: &mut Out) {
        for round in 0.. {
            if let Some((from, instrument)) = self.common.defined.pop() {
                self.tell_all(Input::Define(&instrument), Some(from), now, out);
                continue;
            }
            let Some((link, resync)) = self.common.merge.resyncs.pop() else { return };
            let Some(at) = self.halves.iter().position(|half| half.link() == link) else { continue };
            let Some(half) = self.halves.get_mut(at) else { continue };
            if round > RESYNCS_MAX {
                self.common.merge.resyncs.clear();
                let why = "books break as soon as they start".to_owned();
                return self.halts(at, &Halt { fault: Fault::Protocol, why, gone: false }, now, out);
            }
            self.common.counters.resyncs += 1;
            let engine::Resync { instrument, channel, .. } = resync;
            if half.is_open()
                && let Some(halt) =
                    half.tell(Input::Resync { instrument, channel }, now, &mut self.common, out)
            {
                self.halts(at, &halt, now, out);
            }
        }
    }

    /// Lets the referee see what was told, and carries out its verdict.
    fn judge(&mut self, mark: usize, now: Ts, out: &mut Out) {
        if !self.referee.has_case() {
            return;
        }
        for event in out.events.get(mark..).unwrap_or_default() {
            self.referee.sees(event);
        }
        let Some(finding) = self.referee.decide(self.common.source, now) else { return };
        let instrument = Arc::clone(&finding.instrument);
        self.common.counters.event(&finding);
        out.events.push(finding);
        let mark = out.events.len();
        self.common.merge.refute(&instrument, now, &mut out.events, self.common.source);
        for event in out.events.get(mark..).unwrap_or_default() {
            self.common.counters.event(event);
        }
        self.settle(now, out);
    }

    fn subscribe(&mut self, wants: &[Want], now: Ts, out: &mut Out) {
        self.common.shard.wants.extend_from_slice(wants);
        if let Some(link) = self.common.merge.speaker() {
            self.common.carried_of(link, wants, now, out);
        }
        self.tell_all(Input::Subscribe(wants), None, now, out);
    }

    fn unsubscribe(&mut self, wants: &[Want], now: Ts, out: &mut Out) {
        let same = |a: &Want, b: &Want| a.instrument.id == b.instrument.id && a.channel == b.channel;
        self.common.shard.wants.retain(|want| !wants.iter().any(|gone| same(gone, want)));
        self.tell_all(Input::Unsubscribe(wants), None, now, out);
        for want in wants {
            self.common.merge.forget((want.instrument.id, want.channel));
        }
    }

    /// Tells every session but one.
    fn tell_all(&mut self, input: Input<'_>, but: Option<LinkId>, now: Ts, out: &mut Out) {
        let links: Vec<LinkId> = self.halves.iter().map(Half::link).filter(|l| Some(*l) != but).collect();
        for link in links {
            let Some(at) = self.halves.iter().position(|half| half.link() == link) else { continue };
            let Some(half) = self.halves.get_mut(at) else { continue };
            if let Some(halt) = half.tell(input, now, &mut self.common, out) {
                self.halts(at, &halt, now, out);
            }
        }
    }

    /// The clock went back: every time that a session or a timer holds is wrong now.
    fn start_again(&mut self, back: i64, now: Ts, out: &mut Out) {
        while self.halves.len() > self.width {
            self.remove(self.halves.len() - 1, now, out);
        }
        let why = format!("the clock went back by {back} ms");
        for half in &mut self.halves {
            let halt = Halt { fault: Fault::Planned, why: why.clone(), gone: false };
            half.lose(&halt, now, &mut self.common, out);
            let session = self.source.session(&self.common.shard);
            half.renew(session, now, &self.common);
        }
        self.repairs.start_again();
        self.referee.start_again();
        self.check_at = now;
    }
}
