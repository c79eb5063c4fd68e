//! Our end of a connection.

use crate::check::Check;
use crate::emit::{day, definition, event, top};
use crate::frame::{payload, refusal};
use crate::layout::Layout;
use crate::notes::Notes;
use crate::record::{self, Record};
use crate::{SPEC, hours};
use hashbrown::{HashMap, HashSet};
use model::ashare::Code;
use model::{Body, Channel, Instrument, InstrumentId, LaneFact, Ts};
use source::{Action, Fault, Input, Malformed, Session, Shard, Want, What};
use std::sync::Arc;

/// How many records are kept back until they are believed.
const HELD_MAX: u32 = 64;
/// How long they are kept back where fewer come, in ms.
const HELD_MS: u64 = 3_000;
/// The longest silence within trading hours, in ms.
const SILENT_MS: i64 = 30_000;
/// How often silence is looked for, in ms.
const LOOK_MS: u64 = 5_000;

/// Wakes for what is kept back.
const JUDGE: u64 = 1;
/// Wakes for silence.
const LOOK: u64 = 2;

/// The channels, in the order of [`Known::told`].
const CHANNELS: [Channel; 2] = [Channel::DayStats, Channel::BookTop];

/// An instrument that was met.
struct Known {
    instrument: Arc<Instrument>,
    /// Of which channels this connection has said that it carries them.
    told: [bool; CHANNELS.len()],
}

/// Whether what comes is believed.
enum Trust {
    /// Not yet: since when what came is kept back, and that.
    Held(Option<Ts>, Vec<Action>),
    /// As far as the records so far go.
    Given,
    /// No, and the connection is being given up.
    Denied,
}

/// See the module.
pub struct PushSession {
    /// What is wanted; everything where there is nothing.
    wants: Option<HashSet<(InstrumentId, Channel)>>,
    /// The token; `None` in a recording.
    token: Option<Vec<u8>>,
    layout: Result<Layout, Malformed>,
    known: HashMap<Code, Known, foldhash::fast::FixedState>,
    check: Check,
    trust: Trust,
    notes: Notes,
    /// Since when nothing has come; `None` while closed.
    heard: Option<Ts>,
}

impl PushSession {
    /// For a shard: all of the market where it wants nothing by name.
    pub fn new(shard: &Shard) -> Self {
        let live = shard.path.is_some();
        let token = shard.options.login.as_ref().map_or(Vec::new(), |login| login.key.trim().into());
        let mut all = Self {
            wants: (!shard.wants.is_empty()).then(HashSet::new),
            token: live.then_some(token),
            layout: Layout::parse(&shard.options.layout),
            known: HashMap::default(),
            check: Check::default(),
            trust: Trust::Held(None, Vec::new()),
            notes: Notes::default(),
            heard: None,
        };
        all.want(&shard.wants);
        all
    }

    fn want(&mut self, more: &[Want]) {
        for Want { instrument, channel } in more {
            if let Some(wants) = &mut self.wants {
                wants.insert((instrument.id, *channel));
            }
            self.define(instrument);
        }
    }

    fn define(&mut self, instrument: &Arc<Instrument>) {
        if let Some(code) = model::ashare::code(instrument) {
            let known = || Known { instrument: Arc::clone(instrument), told: [false; CHANNELS.len()] };
            self.known.entry(code).or_insert_with(known).instrument = Arc::clone(instrument);
        }
    }

    fn is_wanted(&self, instrument: InstrumentId, channel: Channel) -> bool {
        self.wants.as_ref().is_none_or(|wants| wants.contains(&(instrument, channel)))
    }

    fn open(&mut self, now: Ts, out: &mut Vec<Action>) {
        self.check = Check::default();
        self.trust = Trust::Held(None, Vec::new());
        self.heard = Some(now);
        self.known.values_mut().for_each(|known| known.told = Default::default());
        match (&self.token, &self.layout) {
            (_, Err(fault)) => {
                let why = format!("the configured layout cannot be read: {fault}");
                return out.push(Action::Close { fault: Fault::Refused, why });
            }
            (Some(token), _) if token.is_empty() => {
                let why = "no token is configured (login_key)".to_owned();
                return out.push(Action::Close { fault: Fault::Refused, why });
            }
            (Some(token), _) => out.push(Action::Send(token.clone())),
            (None, _) => {}
        }
        out.push(Action::WakeAt { timer: LOOK, at: now.plus_ms(LOOK_MS) });
        // Nothing is subscribed to; that the venue is there at all is its answer.
        let wanted = self.known.values().flat_map(|known| CHANNELS.map(|channel| (known, channel)));
        for (known, channel) in wanted {
            if self.wants.is_some() && self.is_wanted(known.instrument.id, channel) {
                out.push(asked(&known.instrument, channel, now));
            }
        }
    }

    fn frame(&mut self, frame: &[u8], now: Ts, out: &mut Vec<Action>) {
        self.heard = Some(now);
        let payload = payload(frame);
        if payload.is_empty() {
            let what = What::Rule("a frame of length 0");
            return out.push(Action::Malformed(Malformed { at: 0, what }));
        }
        if let Some(words) = refusal(payload) {
            return out
                .push(Action::Close { fault: Fault::Refused, why: format!("the venue refused: {words}") });
        }
        // One record a frame is what is known; several on lines of their own would be read too.
        for line in payload.split(|byte| *byte == b'\n') {
            let line = line.trim_ascii();
            if !line.is_empty()
                && let Err(fault) = self.line(line, now, out)
            {
                out.push(Action::Malformed(fault));
            }
        }
    }

    fn line(&mut self, line: &[u8], now: Ts, out: &mut Vec<Action>) -> Result<(), Malformed> {
        let Self { layout, notes, .. } = self;
        let Ok(layout) = layout.as_ref() else { return Ok(()) };
        if let Err(fault) = std::str::from_utf8(line) {
            return Err(Malformed { at: fault.valid_up_to(), what: What::Encoding });
        }
        let record = if line.starts_with(b"{") {
            record::json(line, layout.beijing, &mut |key| notes.key(key, out))?
        } else if line.contains(&b'$') {
            let (record, more) = record::dollar(line, layout)?;
            if more {
                notes.tail(layout.slots.len(), out);
            }
            record
        } else {
            return Err(Malformed { at: 0, what: What::Expected("`{` or fields between `$`") });
        };
        if !self.check.is_over() {
            self.check.on(&record, layout);
        }
        let mut trust = std::mem::replace(&mut self.trust, Trust::Given);
        let told = match &mut trust {
            Trust::Held(since, held) => {
                if since.is_none() {
                    *since = Some(now);
                    out.push(Action::WakeAt { timer: JUDGE, at: now.plus_ms(HELD_MS) });
                }
                self.tell(&record, now, held)
            }
            Trust::Given => self.tell(&record, now, out),
            Trust::Denied => Ok(()),
        };
        self.trust = trust;
        self.judge(now, out);
        told
    }

    /// Believes what was kept back, or gives up, where it is time to.
    fn judge(&mut self, now: Ts, out: &mut Vec<Action>) {
        let due = match &self.trust {
            Trust::Held(since, _) => {
                let waited = since.is_some_and(|since| now.ms_since(since).unsigned_abs() >= HELD_MS);
                waited || self.check.records() >= HELD_MAX
            }
            Trust::Given => !self.check.is_over(),
            Trust::Denied => false,
        };
        if due {
            self.decide(out);
        }
    }

    fn decide(&mut self, out: &mut Vec<Action>) {
        let Ok(layout) = &self.layout else { return };
        if let Some(why) = self.check.contradiction(layout) {
            self.trust = Trust::Denied;
            out.push(Action::Close { fault: Fault::Refused, why });
        } else if let Trust::Held(_, held) = std::mem::replace(&mut self.trust, Trust::Given) {
            out.extend(held);
        }
    }

    /// Appends what a record says, as far as it is wanted.
    fn tell(&mut self, record: &Record<'_>, now: Ts, out: &mut Vec<Action>) -> Result<(), Malformed> {
        let known = self.known.get(&record.code);
        if known.is_none() && self.wants.is_some() {
            return Ok(());
        }
        let before = known.map(|known| &known.instrument);
        let instrument = definition(record, before)?;
        let new = before.is_none_or(|before| !Arc::ptr_eq(before, &instrument));
        let mut told = known.map_or([false; CHANNELS.len()], |known| known.told);
        if new {
            out.push(Action::Emit(event(&instrument, Channel::Instruments, None, now, Body::Instrument)));
        }
        let bodies = [Some(day(record)), top(record, instrument.px_scale)];
        for ((channel, body), told) in CHANNELS.into_iter().zip(bodies).zip(&mut told) {
            let Some(body) = body.filter(|_| self.is_wanted(instrument.id, channel)) else { continue };
            if !*told {
                *told = true;
                if self.wants.is_none() {
                    out.push(asked(&instrument, channel, now));
                }
                out.push(fact(&instrument, channel, LaneFact::Acked, now));
            }
            out.push(Action::Emit(event(&instrument, channel, record.ts, now, body)));
        }
        self.known.insert(record.code, Known { instrument, told });
        Ok(())
    }

    /// Silence within trading hours is the end of a connection; outside of them it says nothing.
    fn look(&mut self, now: Ts, out: &mut Vec<Action>) {
        let Some(heard) = &mut self.heard else { return };
        if !hours::are_open(now) {
            *heard = now;
        }
        let silent = now.ms_since(*heard);
        if silent > SILENT_MS {
            let why = format!("nothing came for {silent} ms of trading hours");
            return out.push(Action::Close { fault: Fault::Stale, why });
        }
        out.push(Action::WakeAt { timer: LOOK, at: now.plus_ms(LOOK_MS) });
    }

    fn forget(&mut self, gone: &[Want], now: Ts, out: &mut Vec<Action>) {
        for Want { instrument, channel } in gone {
            if self.wants.as_mut().is_some_and(|wants| wants.remove(&(instrument.id, *channel))) {
                out.push(fact(instrument, *channel, LaneFact::Dropped, now));
            }
        }
    }
}

impl Session for PushSession {
    fn on(&mut self, input: Input<'_>, now: Ts, out: &mut Vec<Action>) {
        match input {
            Input::Open => self.open(now, out),
            Input::Frame { bytes, .. } => self.frame(bytes, now, out),
            Input::Wake { timer: JUDGE } => self.judge(now, out),
            Input::Wake { .. } => self.look(now, out),
            Input::Define(instrument) => self.define(instrument),
            Input::Subscribe(wants) => {
                self.want(wants);
                if self.heard.is_some() {
                    let new = wants.iter().filter(|want| CHANNELS.contains(&want.channel));
                    out.extend(new.map(|want| asked(&want.instrument, want.channel, now)));
                }
            }
            Input::Unsubscribe(wants) => self.forget(wants, now, out),
            Input::Closed => {
                // The records that came may be fewer than it takes to be sure; they are what there is.
                if let Trust::Held(Some(_), _) = self.trust {
                    let mut last = Vec::new();
                    self.decide(&mut last);
                    out.extend(last.into_iter().filter(|action| matches!(action, Action::Emit(_))));
                }
                self.heard = None;
            }
            // It asks for nothing by REST, and each record is whole: there is nothing to start again.
            Input::Reply { .. } | Input::Resync { .. } => {}
        }
    }
}

fn asked(instrument: &Arc<Instrument>, channel: Channel, now: Ts) -> Action {
    let spec = SPEC.channel(channel);
    let (proof, quiet_ms) = spec.map_or((model::Proof::None, None), |spec| (spec.proof, spec.quiet_ms));
    fact(instrument, channel, LaneFact::Asked { proof, quiet_ms }, now)
}

fn fact(instrument: &Arc<Instrument>, channel: Channel, fact: LaneFact, now: Ts) -> Action {
    Action::Emit(event(instrument, channel, None, now, Body::Lane(fact)))
}

#[cfg(test)]
mod tests;
