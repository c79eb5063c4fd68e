//! A session, and the state of the connection that it has.

mod act;

use super::backoff::{Backoff, FORGIVEN_MS};
use super::common::Common;
use super::port::{Conn, Io, Out};
use super::timers::Timers;
use crate::limits::Limiter;
use model::{LinkFact, LinkId, Ts};
use source::{Fault, Input, Session};
use std::collections::VecDeque;

/// How often a living connection is told of, in ms.
const ALIVE_MS: u64 = 5_000;
/// How many due timers are fired at once.
const WAKES_MAX: usize = 1_024;

/// Why a connection is given up.
#[derive(Debug)]
pub(super) struct Halt {
    pub fault: Fault,
    pub why: String,
    /// Whether the connection is gone already.
    pub gone: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Not begun.
    Idle,
    /// Waits for the next try.
    Waiting(Ts),
    Connecting,
    Open,
}

/// See the module.
pub(super) struct Half {
    pub session: Box<dyn Session>,
    link: LinkId,
    /// The venue said that the connection will end.
    pub ending: bool,
    attempt: u32,
    state: State,
    /// Without a connection of its own: it only asks by REST.
    polls: bool,
    /// For one that polls: whether the last request was answered.
    up: bool,
    timers: Timers,
    backoff: Backoff,
    pace: Limiter,
    outbox: VecDeque<Vec<u8>>,
    send_at: Option<Ts>,
    opened: Ts,
    heard: Ts,
    last_frame: Option<Ts>,
    last_ping: Option<Ts>,
    alive_at: Ts,
    ends_at: Option<Ts>,
    heartbeat_ms: u64,
}

impl Half {
    pub fn new(session: Box<dyn Session>, link: LinkId, polls: bool, common: &Common) -> Self {
        Self {
            session,
            link,
            ending: false,
            attempt: 0,
            state: State::Idle,
            polls,
            up: false,
            timers: Timers::default(),
            backoff: Backoff::default(),
            pace: Limiter::new(common.endpoint.sends),
            outbox: VecDeque::new(),
            send_at: None,
            opened: Ts::default(),
            heard: Ts::default(),
            last_frame: None,
            last_ping: None,
            alive_at: Ts::default(),
            ends_at: None,
            heartbeat_ms: common.endpoint.heartbeat_ms,
        }
    }

    /// Puts a new session in the old one's place, to be opened at once.
    pub fn renew(&mut self, session: Box<dyn Session>, now: Ts, common: &Common) {
        self.session = session;
        self.ending = false;
        self.timers = Timers::default();
        self.backoff = Backoff::default();
        self.pace = Limiter::new(common.endpoint.sends);
        self.state = State::Waiting(now);
    }

    pub fn has_begun(&self) -> bool {
        self.state != State::Idle
    }

    pub fn is_open(&self) -> bool {
        self.state == State::Open
    }

    pub fn opened_at(&self) -> Ts {
        self.opened
    }

    /// When its connection had better be replaced.
    pub fn ends_at(&self) -> Option<Ts> {
        self.ends_at
    }

    pub const fn link(&self) -> LinkId {
        self.link
    }

    pub fn conn(&self) -> Conn {
        Conn { link: self.link, attempt: self.attempt }
    }

    /// Whether a connection is open or being opened.
    pub fn has_conn(&self) -> bool {
        !self.polls && matches!(self.state, State::Open | State::Connecting)
    }

    /// Whether `conn` is the attempt in hand.
    #[inline]
    pub fn holds(&self, conn: Conn) -> bool {
        matches!(self.state, State::Open | State::Connecting) && self.conn() == conn
    }

    pub fn start(&mut self, now: Ts, common: &mut Common, out: &mut Out) {
        if self.state == State::Idle {
            self.state = State::Waiting(now);
            self.begin_if_due(now, common, out);
        }
    }

    /// Opens the connection where its time has come.
    pub fn begin_if_due(&mut self, now: Ts, common: &mut Common, out: &mut Out) {
        match self.state {
            State::Waiting(at) if at <= now => {}
            _ => return,
        }
        self.attempt += 1;
        self.state = State::Connecting;
        let fact = LinkFact::Connecting { link: self.link(), url: common.url.clone() };
        common.link(fact, now, out);
        match common.shard.path.clone() {
            Some(path) => out.io.push(Io::Open { conn: self.conn(), endpoint: common.shard.endpoint, path }),
            // One that polls has nothing to wait for; it cannot be refused here.
            None => _ = self.opened(now, common, out),
        }
    }

    pub fn opened(&mut self, now: Ts, common: &mut Common, out: &mut Out) -> Option<Halt> {
        if self.state != State::Connecting {
            return None;
        }
        self.state = State::Open;
        common.counters.opened += u64::from(!self.polls);
        (self.opened, self.heard) = (now, now);
        (self.last_frame, self.last_ping) = (None, None);
        self.pace = Limiter::new(common.endpoint.sends);
        self.alive_at = now.plus_ms(ALIVE_MS);
        self.ends_at = common.lifetime_ms.filter(|_| !self.polls).map(|life| {
            let margin = (life / 20).clamp(5_000, 600_000).min(life / 2);
            now.plus_ms(life - margin - common.rng.u64(0..=margin / 4))
        });
        if !self.polls {
            common.link(LinkFact::Up { link: self.link() }, now, out);
        }
        common.merge.join(self.link, now);
        if common.merge.speaker() == Some(self.link) {
            common.carried(self.link, now, out);
        }
        self.tell(Input::Open, now, common, out)
    }

    #[inline]
    pub fn frame(
        &mut self,
        bytes: &[u8],
        binary: bool,
        now: Ts,
        common: &mut Common,
        out: &mut Out,
    ) -> Option<Halt> {
        if self.state != State::Open {
            return None;
        }
        self.heard = now;
        self.last_frame = Some(now);
        common.counters.frames += 1;
        common.counters.bytes += bytes.len() as u64;
        if common.merge.has_copies() {
            let (link, merge) = (self.link, &mut common.merge);
            if self.session.pass_over(bytes, binary, now, &mut |mark| merge.was_told(link, &mark, now)) {
                return None;
            }
        }
        self.tell(Input::Frame { bytes, binary }, now, common, out)
    }

    pub fn ping(&mut self, now: Ts) {
        self.heard = now;
        self.last_ping = Some(now);
        // The pong that answers it counts as sent.
        self.pace.note(1, now);
    }

    /// The answer to a request. One that polls has its connection judged by it.
    pub fn reply(&mut self, reply: Input<'_>, now: Ts, common: &mut Common, out: &mut Out) -> Option<Halt> {
        if let Input::Reply { path, status, retry_ms, body, .. } = reply {
            common.counters.frames += 1;
            common.counters.bytes += body.len() as u64;
            let reached = !matches!(status, 0 | 403 | 418 | 429 | 451 | 500..);
            if self.polls && reached {
                self.last_frame = Some(now);
                if !self.up {
                    common.link(LinkFact::Up { link: self.link() }, now, out);
                }
            } else if self.polls {
                let begin = body.get(..200).unwrap_or(body).escape_ascii();
                let why = format!("{path}: status {status}: {begin}").into();
                common.link(LinkFact::Down { link: self.link(), why, retry_ms }, now, out);
            }
            self.up = reached;
        }
        self.tell(reply, now, common, out)
    }

    /// The connection is given up or gone: every live book is a gap, and a next try is set.
    pub fn lose(&mut self, halt: &Halt, now: Ts, common: &mut Common, out: &mut Out) {
        if !matches!(self.state, State::Open | State::Connecting) {
            return;
        }
        if self.has_conn() && !halt.gone {
            out.io.push(Io::Close { conn: self.conn() });
        }
        let was_open = self.state == State::Open;
        if was_open && now.ms_since(self.opened) >= FORGIVEN_MS {
            self.backoff.forgive();
        }
        let wait_ms = self.backoff.wait_ms(halt.fault, &mut common.rng);
        self.state = State::Waiting(now.plus_ms(wait_ms));
        self.outbox.clear();
        (self.send_at, self.ends_at, self.up, self.ending) = (None, None, false, false);
        common.counters.losses += 1;
        if was_open {
            // What it asks for now has no connection to go to; that it gives up again says nothing new.
            let _ = self.tell(Input::Closed, now, common, out);
            self.part(now, common, out);
        }
        let why = halt.why.as_str().into();
        let fact = LinkFact::Down { link: self.link(), why, retry_ms: Some(wait_ms) };
        common.link(fact, now, out);
    }

    /// What it carried goes on by others, or is lost.
    pub fn part(&self, now: Ts, common: &mut Common, out: &mut Out) {
        let before = common.merge.speaker();
        let mark = out.events.len();
        common.merge.leave(self.link, now, &mut out.events, common.source);
        for event in out.events.get(mark..).unwrap_or_default() {
            common.counters.event(event);
        }
        if let Some(speaker) = common.merge.speaker().filter(|_| before == Some(self.link)) {
            common.carried(speaker, now, out);
        }
    }

    /// Timers, silence, pacing and the next try.
    pub fn tick(&mut self, now: Ts, common: &mut Common, out: &mut Out) -> Option<Halt> {
        self.begin_if_due(now, common, out);
        if self.is_open() {
            let silent = now.ms_since(self.heard);
            if !self.polls && silent >= self.heartbeat_ms as i64 {
                let why = format!("nothing came for {silent} ms, no ping either");
                return Some(Halt { fault: Fault::Stale, why, gone: false });
            }
            if self.alive_at <= now {
                self.alive(now, common, out);
            }
            if self.send_at.is_some_and(|at| at <= now) {
                self.flush(now, common, out);
            }
        }
        let mut halt = None;
        let due: Vec<u64> = std::iter::from_fn(|| self.timers.pop(now)).take(WAKES_MAX).collect();
        for timer in due {
            let wants = self.tell(Input::Wake { timer }, now, common, out);
            halt = halt.or(wants);
        }
        halt
    }

    fn alive(&mut self, now: Ts, common: &mut Common, out: &mut Out) {
        self.alive_at = now.plus_ms(ALIVE_MS);
        if now.ms_since(self.opened) >= FORGIVEN_MS {
            self.backoff.forgive();
        }
        common.sum_up(self.link(), now, out);
        if !self.polls || self.up {
            let (last_frame, last_ping) = (self.last_frame, self.last_ping);
            common.link(LinkFact::Alive { link: self.link(), last_frame, last_ping }, now, out);
        }
    }

    /// When [`Self::tick`] has something to do.
    pub fn next_wake(&self) -> Option<Ts> {
        let state = match self.state {
            State::Waiting(at) => Some(at),
            State::Open if self.polls => Some(self.alive_at),
            State::Open => Some(self.alive_at.min(self.heard.plus_ms(self.heartbeat_ms))),
            State::Idle | State::Connecting => None,
        };
        [state, self.send_at, self.timers.next()].into_iter().flatten().min()
    }
}
