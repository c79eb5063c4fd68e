//! The venue's end of the wire: one market by a seed, pushed whole in every slot of three seconds.

mod encode;

use crate::frame::{REFUSAL, framed};
use crate::layout::{Layout, Unit};
use model::Ts;
use source::ashare::{Clock, Market};
use source::{Login, Peer, Sim, SimAction, SimBook, SimControl, SimInput, SimSetup, Topic};
use std::collections::BTreeMap;

/// A token that the simulator knows, as it knows every one of this form: `QT_` and sixteen letters or digits.
pub const TOKEN: &str = "QT_simulated0000000";
/// More than this unsent, and the venue lets a client go.
const BACKLOG_MAX: usize = 100_000_000;
/// Into how many parts a smooth slot is cut.
const PARTS: usize = 50;
/// How long the venue is never left alone, in ms of real time.
const IDLE_MS: u64 = 1_000;
/// The one subscription that there is, in front of a recording.
const ALL: &str = "all";

/// How the venue behaves, where its documentation leaves that open.
#[derive(Clone, Debug)]
pub struct Habits {
    /// Whether the records of a slot are sent all at once, or evenly over the slot.
    pub burst: bool,
    /// As the config spells it.
    pub layout: &'static str,
    /// Whether the words of a refusal have a length before them.
    pub framed_refusal: bool,
    /// Fields after those of the layout.
    pub tail: &'static str,
    /// How many bytes may wait for a client.
    pub backlog_bytes_max: usize,
    /// Bytes that are sent, as they are, to each client right after its first records.
    pub noise: Vec<u8>,
}

impl Default for Habits {
    fn default() -> Self {
        Self {
            burst: false,
            layout: "A",
            framed_refusal: true,
            tail: "",
            backlog_bytes_max: BACKLOG_MAX,
            noise: Vec::new(),
        }
    }
}

/// A client.
struct Client {
    /// When it came.
    since: Ts,
    /// Whether its token was accepted.
    known: bool,
    /// Bytes that are still to be put among its records.
    noise: Vec<u8>,
}

/// The venue.
pub struct PushSim {
    market: Market,
    clock: Clock,
    layout: Layout,
    habits: Habits,
    clients: BTreeMap<Peer, Client>,
    /// The records of the slot under way, framed; those before `sent` are out.
    slot: Vec<Vec<u8>>,
    sent: usize,
    /// When the slot under way began and when the next one does, in real time.
    began: Ts,
    next: Ts,
    paused: bool,
    /// How many of the next tokens are refused.
    refuse: u32,
    lifetime_ms: Option<u64>,
    tape: bool,
}

impl PushSim {
    /// Opens it with the usual habits.
    pub fn new(setup: &SimSetup) -> Self {
        Self::with(setup, Habits::default())
    }

    /// Opens it.
    pub fn with(setup: &SimSetup, habits: Habits) -> Self {
        let (mut market, _) = Market::of(setup);
        let clock = Clock::of(setup.start, setup.speed.max(1));
        market.advance(clock.market(setup.start));
        let nothing = |_| Layout { name: "none", slots: Vec::new(), beijing: Unit::Lots };
        Self {
            next: clock.real(market.next_slot()),
            layout: Layout::parse(habits.layout).unwrap_or_else(nothing),
            market,
            clock,
            habits,
            clients: BTreeMap::new(),
            slot: Vec::new(),
            sent: 0,
            began: setup.start,
            paused: false,
            refuse: 0,
            lifetime_ms: setup.lifetime_ms,
            tape: setup.tape,
        }
    }

    /// Sends what is due by `now`.
    fn advance(&mut self, now: Ts, out: &mut Vec<SimAction>) {
        if self.paused || self.tape {
            return;
        }
        if now >= self.next {
            // What was not sent of the slot before is old now, but a client must not miss it.
            self.send(usize::MAX, out);
            // Slots that nobody was awake for are passed over, as the exchange does not send them again.
            self.market.advance(self.clock.market(now));
            (self.began, self.next) = (self.next, self.clock.real(self.market.next_slot()));
            self.slot = (0..self.market.listed().len()).filter_map(|index| self.record(index)).collect();
            self.sent = 0;
        }
        let part = if self.habits.burst {
            PARTS
        } else {
            let (passed, length) = (now.ms_since(self.began).max(0), self.next.ms_since(self.began).max(1));
            // A part of its own for the first moment.
            usize::try_from(passed * PARTS as i64 / length).unwrap_or(PARTS) + 1
        };
        self.send(self.slot.len().saturating_mul(part).div_ceil(PARTS), out);
    }

    fn record(&mut self, index: usize) -> Option<Vec<u8>> {
        let view = self.market.view(index)?;
        let title = self.market.title(index)?;
        let one = self.market.listed().get(index)?;
        Some(framed(&encode::record(one, &title, &view, &self.layout, self.habits.tail)))
    }

    /// Sends records of the slot up to a place.
    fn send(&mut self, upto: usize, out: &mut Vec<SimAction>) {
        let upto = upto.min(self.slot.len());
        let due = self.slot.get(self.sent..upto).unwrap_or_default();
        if due.is_empty() {
            return;
        }
        for (peer, client) in self.clients.iter_mut().filter(|(_, client)| client.known) {
            let noise = std::mem::take(&mut client.noise);
            let noise = Some(noise).filter(|bytes| !bytes.is_empty());
            let parts = due.iter().cloned().chain(noise);
            out.extend(parts.map(|bytes| SimAction::Send { peer: *peer, bytes, binary: true }));
        }
        self.sent = self.sent.max(upto);
    }

    /// Whatever a client writes first is its token; nothing after it is answered.
    fn heard(&mut self, peer: Peer, bytes: &[u8], out: &mut Vec<SimAction>) {
        let Some(client) = self.clients.get_mut(&peer).filter(|client| !client.known) else { return };
        let refused = self.refuse > 0;
        self.refuse = self.refuse.saturating_sub(1);
        if !refused && is_token(bytes) {
            client.known = true;
            if self.tape {
                out.push(SimAction::Joined { peer, key: ALL.to_owned() });
            }
            return;
        }
        let words = REFUSAL.as_bytes();
        let bytes = if self.habits.framed_refusal { framed(words) } else { words.to_vec() };
        out.push(SimAction::Send { peer, bytes, binary: true });
        self.close(peer, out);
    }

    fn close(&mut self, peer: Peer, out: &mut Vec<SimAction>) {
        if self.clients.remove(&peer).is_some() {
            out.push(SimAction::Close { peer, code: 0, reason: String::new() });
        }
    }

    fn close_old(&mut self, now: Ts, out: &mut Vec<SimAction>) {
        let Some(lifetime) = self.lifetime_ms else { return };
        let old = |client: &Client| now >= client.since.plus_ms(lifetime);
        let old: Vec<Peer> = self.clients.iter().filter(|(_, c)| old(c)).map(|(peer, _)| *peer).collect();
        for peer in old {
            self.close(peer, out);
        }
    }

    fn wake(&self, now: Ts, out: &mut Vec<SimAction>) {
        let part = self.next.ms_since(self.began).unsigned_abs() / PARTS as u64;
        let next = if self.sent < self.slot.len() { now.plus_ms(part.max(1)) } else { self.next };
        let next = if self.paused { now.plus_ms(IDLE_MS) } else { next.min(now.plus_ms(IDLE_MS)) };
        out.push(SimAction::WakeAt(next));
    }
}

/// `QT_` and sixteen letters or digits.
fn is_token(bytes: &[u8]) -> bool {
    let rest = bytes.strip_prefix(b"QT_").unwrap_or_default();
    rest.len() == 16 && rest.iter().all(u8::is_ascii_alphanumeric)
}

impl Sim for PushSim {
    fn on(&mut self, input: SimInput<'_>, now: Ts, out: &mut Vec<SimAction>) {
        self.advance(now, out);
        self.close_old(now, out);
        match input {
            SimInput::Open { peer, .. } => {
                let noise = self.habits.noise.clone();
                self.clients.insert(peer, Client { since: now, known: false, noise });
            }
            SimInput::Frame { peer, bytes } => self.heard(peer, bytes, out),
            SimInput::Closed { peer } => _ = self.clients.remove(&peer),
            SimInput::Request { request, .. } => {
                out.push(SimAction::Reply { request, status: 404, headers: Vec::new(), body: Vec::new() });
            }
            SimInput::Pong { .. } | SimInput::Wake => {}
        }
        self.wake(now, out);
    }

    fn control(&mut self, control: SimControl, now: Ts, out: &mut Vec<SimAction>) {
        self.advance(now, out);
        match control {
            SimControl::Pause(paused) => {
                if paused {
                    self.send(usize::MAX, out);
                }
                self.paused = paused;
            }
            SimControl::RefuseSubscriptions(times) => self.refuse = times,
            SimControl::CloseAll => {
                let all: Vec<Peer> = self.clients.keys().copied().collect();
                for peer in all {
                    self.close(peer, out);
                }
            }
            // It has no snapshots and no requests.
            SimControl::LateSnapshots(_) | SimControl::RateLimit(_) => {}
        }
        self.wake(now, out);
    }

    /// None: a book of five levels is told whole each time, and nothing of it is kept.
    fn books(&self) -> Vec<SimBook> {
        Vec::new()
    }

    fn login(&self) -> Option<Login> {
        Some(Login { key: TOKEN.to_owned(), secret: String::new() })
    }

    fn backlog_bytes_max(&self) -> Option<usize> {
        Some(self.habits.backlog_bytes_max)
    }

    fn topic(&self, _endpoint: usize, frame: &[u8]) -> Option<Topic> {
        let record = !frame.is_empty() && crate::frame::refusal(crate::frame::payload(frame)).is_none();
        record.then(|| Topic { key: ALL.to_owned(), fresh: true })
    }
}
