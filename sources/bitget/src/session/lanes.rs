//! Subscriptions of a session: asked, acknowledged, refused, asked again, ended.

use super::table::Table;
use super::{BitgetSession, TIMER_CHORES};
use crate::parse::Kind;
use crate::product::Product;
use crate::subscribe::{Control, Topic, frames, topic};
use model::{Channel, GapCause, LaneFact, Ts};
use source::{Action, Options, Shard, Want};

/// The first pause before something is asked for again; it doubles each time.
const RETRY_MS: u64 = 10_000;
/// The first pause after a refusal; it doubles each time.
const REFUSED_MS: u64 = 30_000;
/// How often a pause doubles.
const DOUBLINGS_MAX: u32 = 7;
/// A book that was well for so long starts with the first pause again.
const WELL_MS: i64 = 60_000;
/// How long nothing is sent after the venue found requests too frequent.
const TOO_FREQUENT_MS: u64 = 60_000;
/// How long what becomes due after a request waits for company; the venue takes 10 frames a second.
const TOGETHER_MS: u64 = 300;
/// How many topics we subscribe to in an hour on a connection; the venue takes 240.
const ASKED_MAX: usize = 220;
const HOUR_MS: i64 = 3_600_000;

/// How a subscription stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Asked,
    Acked,
    Refused,
}

/// One topic and the lanes that it feeds.
struct Sub {
    topic: Topic,
    lanes: Vec<(usize, Channel)>,
    standing: Standing,
    /// The venue may hold it on this connection, so that it must be ended before it is asked for again.
    known: bool,
    /// Something of it came since it was asked for.
    heard: bool,
    /// When to ask again, unless what is waited for comes.
    due: Option<Ts>,
    /// How often it was asked for without getting what is waited for.
    tries: u32,
    /// How often its book started again lately.
    restarts: u32,
    /// No new start of its book before this.
    not_before: Ts,
    /// When its last snapshot came.
    healed: Option<Ts>,
    /// The acknowledgement was told.
    told: bool,
}

impl Sub {
    fn new(topic: Topic, lane: (usize, Channel)) -> Self {
        Self {
            topic,
            lanes: vec![lane],
            standing: Standing::Asked,
            known: false,
            heard: true,
            due: None,
            tries: 0,
            restarts: 0,
            not_before: Ts(i64::MIN),
            healed: None,
            told: false,
        }
    }

    /// The venue pushes something right after the acknowledgement; of forced orders it does not.
    fn answers(&self) -> bool {
        self.topic.kind() != Kind::Liquidations
    }
}

/// All subscriptions of a session.
pub(super) struct Lanes {
    subs: Vec<Sub>,
    options: Options,
    /// Something has become due or changed when something will.
    pub pending: bool,
    armed: Option<Ts>,
    hour: (Ts, usize),
    hold_until: Ts,
}

impl Lanes {
    pub fn new(shard: &Shard, table: &mut Table) -> Self {
        let zero = Ts(i64::MIN);
        let options = shard.options.clone();
        let mut lanes = Self {
            subs: Vec::new(),
            options,
            pending: false,
            armed: None,
            hour: (zero, 0),
            hold_until: zero,
        };
        for want in &shard.wants {
            lanes.add(want, table);
        }
        lanes
    }

    /// Notes a want. Gives its place, and whether its topic is new; nothing where it is there already or cannot be served.
    fn add(&mut self, want: &Want, table: &mut Table) -> Option<(usize, bool)> {
        let product = Product::named(&want.instrument.product)?;
        let topic = topic(want, &self.options)?;
        let at = table.put(product, want.instrument.clone());
        if table.get(at).is_some_and(|listed| listed.wants(want.channel)) {
            return None;
        }
        table.want(at, want.channel, true);
        let lane = (at, want.channel);
        if let Some(n) = self.subs.iter().position(|s| s.topic == topic) {
            if let Some(sub) = self.subs.get_mut(n) {
                sub.lanes.push(lane);
            }
            return Some((n, false));
        }
        self.subs.push(Sub::new(topic, lane));
        Some((self.subs.len() - 1, true))
    }

    /// The connection is gone, and what was due with it.
    pub fn reset(&mut self) {
        for sub in &mut self.subs {
            (sub.standing, sub.known, sub.heard, sub.due) = (Standing::Asked, false, true, None);
            (sub.not_before, sub.tries, sub.restarts, sub.healed) = (Ts(i64::MIN), 0, 0, None);
            sub.told = false;
        }
        (self.pending, self.armed) = (false, None);
        (self.hour, self.hold_until) = ((Ts(i64::MIN), 0), Ts(i64::MIN));
    }

    /// The timer came.
    pub fn woken(&mut self) {
        self.armed = None;
        self.pending = true;
    }

    /// How many of so many topics may be asked for now; where none, until when to wait.
    fn allowed(&mut self, wanted: usize, now: Ts) -> Result<usize, Ts> {
        if self.hour.0 == Ts(i64::MIN) || now.ms_since(self.hour.0) >= HOUR_MS {
            self.hour = (now, 0);
        }
        if now < self.hold_until {
            return Err(self.hold_until);
        }
        let allowed = wanted.min(ASKED_MAX - self.hour.1.min(ASKED_MAX));
        self.hour.1 += allowed;
        if allowed == 0 { Err(self.hour.0.plus_ms(HOUR_MS.unsigned_abs())) } else { Ok(allowed) }
    }
}

fn pause(first_ms: u64, tries: u32) -> u64 {
    first_ms << tries.saturating_sub(1).min(DOUBLINGS_MAX)
}

impl BitgetSession {
    /// Asks for everything that the shard wants.
    pub(super) fn subscribe_all(&mut self, now: Ts) {
        self.lanes.reset();
        for sub in &mut self.lanes.subs {
            sub.due = Some(now);
        }
        self.lanes.pending = true;
    }

    /// These are wanted too.
    pub(super) fn subscribe(&mut self, wants: &[Want], now: Ts, out: &mut Vec<Action>) {
        self.wanting = true;
        for want in wants {
            let Some((n, new)) = self.lanes.add(want, &mut self.table) else { continue };
            let Some(sub) = self.lanes.subs.get_mut(n).filter(|_| self.open) else { continue };
            if new {
                sub.due = Some(now);
                self.lanes.pending = true;
                continue;
            }
            // The topic is carried already: the new lane stands as it does.
            let Some(&(at, channel)) = sub.lanes.last() else { continue };
            let (Some(listed), Some(spec)) = (self.table.get(at), crate::SPEC.channel(channel)) else {
                continue;
            };
            let fact = LaneFact::Asked { proof: spec.proof, quiet_ms: spec.quiet_ms };
            listed.fact(channel, fact, now, out);
            if sub.standing == Standing::Acked {
                listed.fact(channel, LaneFact::Acked, now, out);
            }
        }
    }

    /// These are wanted no longer. A topic is ended with the last lane that it feeds.
    pub(super) fn unsubscribe(&mut self, wants: &[Want], now: Ts, out: &mut Vec<Action>) {
        let mut ended = Vec::new();
        for want in wants {
            let Some(at) = self.table.by_id(want.instrument.id) else { continue };
            if !self.table.get(at).is_some_and(|listed| listed.wants(want.channel)) {
                continue;
            }
            self.table.want(at, want.channel, false);
            let lane = (at, want.channel);
            if let Some(sub) = self.lanes.subs.iter_mut().find(|s| s.lanes.contains(&lane)) {
                sub.lanes.retain(|l| *l != lane);
            }
            let Some(listed) = self.table.get_mut(at) else { continue };
            match want.channel {
                Channel::Book => listed.book.reset(),
                Channel::Bars => listed.bar = None,
                _ => {}
            }
            listed.fact(want.channel, LaneFact::Dropped, now, out);
        }
        for sub in self.lanes.subs.extract_if(.., |s| s.lanes.is_empty()) {
            ended.extend((sub.known && self.open).then_some(sub.topic));
        }
        self.count_unheard();
        out.extend(frames("unsubscribe", &ended).into_iter().map(Action::Send));
    }

    /// Does what is due and asks to be woken for the rest.
    pub(super) fn chores(&mut self, now: Ts, out: &mut Vec<Action>) {
        self.lanes.pending = false;
        let subs = self.lanes.subs.iter().enumerate();
        let mut due: Vec<usize> =
            subs.filter(|(_, s)| s.due.is_some_and(|at| at <= now)).map(|(n, _)| n).collect();
        if !due.is_empty() {
            let (allowed, later) = match self.lanes.allowed(due.len(), now) {
                Ok(allowed) => {
                    self.lanes.hold_until = now.plus_ms(TOGETHER_MS);
                    (allowed, now.plus_ms(RETRY_MS))
                }
                Err(later) => (0, later),
            };
            for n in due.split_off(allowed) {
                if let Some(sub) = self.lanes.subs.get_mut(n) {
                    sub.due = Some(later);
                }
            }
            self.ask(&due, now, out);
        }
        self.arm(out);
    }

    fn arm(&mut self, out: &mut Vec<Action>) {
        let Some(next) = self.lanes.subs.iter().filter_map(|s| s.due).min() else { return };
        if self.lanes.armed.is_none_or(|armed| next < armed) {
            self.lanes.armed = Some(next);
            out.push(Action::WakeAt { timer: TIMER_CHORES, at: next });
        }
    }

    /// Sends subscriptions; those that the venue may hold already are ended first.
    fn ask(&mut self, which: &[usize], now: Ts, out: &mut Vec<Action>) {
        let (mut ended, mut begun) = (Vec::new(), Vec::new());
        for n in which {
            let Some(sub) = self.lanes.subs.get_mut(*n) else { continue };
            begun.push(sub.topic.clone());
            let again = sub.known || sub.tries > 0;
            if sub.known {
                ended.push(sub.topic.clone());
                sub.restarts += 1;
                sub.not_before = now.plus_ms(pause(RETRY_MS, sub.restarts));
            }
            sub.tries += 1;
            sub.due = Some(now.plus_ms(pause(RETRY_MS, sub.tries)));
            let told = again && sub.standing != Standing::Refused;
            (sub.standing, sub.known, sub.heard, sub.healed) = (Standing::Asked, true, !sub.answers(), None);
            for (at, channel) in &sub.lanes {
                let Some(listed) = self.table.get_mut(*at) else { continue };
                if *channel == Channel::Book {
                    listed.book.asked();
                }
                if let (false, Some(spec)) = (told, crate::SPEC.channel(*channel)) {
                    let fact = LaneFact::Asked { proof: spec.proof, quiet_ms: spec.quiet_ms };
                    listed.fact(*channel, fact, now, out);
                }
            }
        }
        self.count_unheard();
        out.extend(frames("unsubscribe", &ended).into_iter().map(Action::Send));
        out.extend(frames("subscribe", &begun).into_iter().map(Action::Send));
    }

    /// Counts anew, of each instrument, the subscriptions that were not heard of.
    fn count_unheard(&mut self) {
        for listed in self.table.all_mut() {
            listed.unheard = 0;
        }
        for sub in self.lanes.subs.iter().filter(|s| !s.heard) {
            if let Some(listed) = sub.lanes.first().and_then(|(at, _)| self.table.get_mut(*at)) {
                listed.unheard = listed.unheard.saturating_add(1);
            }
        }
    }

    /// A book must start again; not at once where it did so lately.
    pub(super) fn restart(&mut self, at: usize, now: Ts) {
        let lane = (at, Channel::Book);
        let Some(sub) = self.lanes.subs.iter_mut().find(|s| s.lanes.contains(&lane)) else { return };
        if sub.healed.is_some_and(|healed| now.ms_since(healed) >= WELL_MS) {
            sub.restarts = 0;
        }
        sub.due = Some(sub.not_before.max(now));
        self.lanes.pending = true;
    }

    /// Something of a topic came: of a book its snapshot, of others anything. Nothing of it is due any more.
    #[inline]
    pub(super) fn heard(&mut self, at: usize, kind: Kind, now: Ts) {
        if self.table.get(at).is_some_and(|l| l.unheard > 0) {
            self.first_heard(at, kind, now);
        }
    }

    /// As [`Self::heard`], also where a new start is due though something was heard before.
    #[cold]
    pub(super) fn first_heard(&mut self, at: usize, kind: Kind, now: Ts) {
        let ours = |s: &&mut Sub| s.topic.kind() == kind && s.lanes.iter().any(|(a, _)| *a == at);
        let Some(sub) = self.lanes.subs.iter_mut().find(ours) else { return };
        if sub.standing != Standing::Refused {
            (sub.due, sub.tries) = (None, 0);
        }
        sub.healed = sub.healed.or(Some(now));
        if std::mem::replace(&mut sub.heard, true) {
            return;
        }
        if let Some(listed) = self.table.get_mut(at) {
            listed.unheard = listed.unheard.saturating_sub(1);
        }
    }

    /// A frame with an `event`.
    pub(super) fn control(&mut self, control: &Control<'_>, now: Ts, out: &mut Vec<Action>) {
        match &*control.event {
            "subscribe" => {
                out.push(Action::Control("subscribe"));
                self.acked(control, now, out);
            }
            "unsubscribe" => out.push(Action::Control("unsubscribe")),
            "error" => {
                out.push(Action::Control("error"));
                if control.op.as_deref() != Some("unsubscribe") {
                    self.refused(control, now, out);
                }
            }
            other => self.notes.unknown(b"event", other.as_bytes(), out),
        }
    }

    fn acked(&mut self, control: &Control<'_>, now: Ts, out: &mut Vec<Action>) {
        let Some(sub) = self.lanes.subs.iter_mut().find(|s| control.names(&s.topic)) else { return };
        if sub.standing == Standing::Acked {
            return;
        }
        sub.standing = Standing::Acked;
        let again = std::mem::replace(&mut sub.told, true);
        if sub.heard && !sub.answers() {
            (sub.due, sub.tries) = (None, 0);
        }
        for (at, channel) in &sub.lanes {
            let Some(listed) = self.table.get(*at).filter(|_| !again) else { continue };
            listed.fact(*channel, LaneFact::Acked, now, out);
            if *channel == Channel::Book && !listed.book.chain.live() {
                listed.fact(*channel, LaneFact::Syncing("waiting for a snapshot".into()), now, out);
            }
        }
    }

    /// An error names a topic by its argument or its words.
    fn refused(&mut self, control: &Control<'_>, now: Ts, out: &mut Vec<Action>) {
        let code = control.code();
        if matches!(code.as_str(), "30006" | "30007") {
            self.lanes.hold_until = now.plus_ms(TOO_FREQUENT_MS);
        }
        let words = format!("{code}: {}", control.words());
        let ours = |s: &&mut Sub| s.standing == Standing::Asked && s.known && control.names(&s.topic);
        for sub in self.lanes.subs.iter_mut().filter(|s| ours(s)) {
            (sub.standing, sub.known, sub.heard) = (Standing::Refused, false, true);
            sub.told = false;
            sub.due = Some(now.plus_ms(pause(REFUSED_MS, sub.tries)));
            for (at, channel) in &sub.lanes {
                let Some(listed) = self.table.get_mut(*at) else { continue };
                if *channel == Channel::Book {
                    listed.gap(GapCause::VenueReset, now, out);
                    listed.book.reset();
                }
                listed.fact(*channel, LaneFact::Refused(words.as_str().into()), now, out);
            }
        }
        self.count_unheard();
        self.lanes.pending = true;
    }
}
