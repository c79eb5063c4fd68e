//! Lines in, events out.

use crate::NAME;
use crate::fields::Fields;
use crate::message::{Kind, Told};
use hashbrown::{HashMap, HashSet};
use model::ashare::{self, Code, Market};
use model::{Body, Date, Event, Flags, Instrument, Stamp, Status, Ts};
use source::{Action, Input, Malformed, Session, What, refit};
use std::sync::Arc;

/// How many unknown words are told.
const UNKNOWN_MAX: usize = 256;
/// How many instruments one log may name; the exchange lists some 30,000.
const INSTRUMENTS_MAX: usize = 100_000;
/// How often a definition may be widened for one line.
const WIDENED_MAX: usize = 4;

/// Reads the lines of logs, in order.
#[derive(Default)]
pub(crate) struct LogSession {
    known: HashMap<String, Known>,
    /// What was told as unknown.
    unknown: HashSet<String>,
}

/// An instrument with the status that was told last.
struct Known {
    instrument: Arc<Instrument>,
    status: Option<Status>,
}

impl Session for LogSession {
    fn on(&mut self, input: Input<'_>, now: Ts, out: &mut Vec<Action>) {
        let Input::Frame { bytes, .. } = input else { return };
        if ashare::local(now).0 == Date::of(Ts::default()) {
            self.unknown("the day: no date in the file's name, times count from 1970-01-01", out);
        }
        if let Err(fault) = self.line(bytes, now, out) {
            out.push(Action::Malformed(fault));
        }
    }
}

impl LogSession {
    fn line(&mut self, line: &[u8], now: Ts, out: &mut Vec<Action>) -> Result<(), Malformed> {
        let fields = Fields::read(line)?;
        if fields.number("SecurityIDSource")? != 101 {
            return Err(fields.fault("SecurityIDSource", What::Expected("101 (Shanghai)")));
        }
        let msg_type = fields.number("MsgType")?;
        let Some(kind) = Kind::of(msg_type) else {
            out.push(Action::Unknown(format!("MsgType={msg_type}")));
            return Ok(());
        };
        let symbol = fields.text("SecurityID")?;
        let rule = |rule| fields.fault("SecurityID", What::Rule(rule));
        if !self.known.contains_key(symbol) {
            if self.known.len() >= INSTRUMENTS_MAX {
                return Err(rule("too many instruments in one log"));
            }
            let code = Code::new(Market::Sh, symbol).ok_or(rule("no code of six digits"))?;
            let instrument = Arc::new(ashare::instrument(code, ""));
            self.known.insert(symbol.to_owned(), Known { instrument, status: None });
        }
        let Some(known) = self.known.get_mut(symbol) else { return Err(rule("no definition")) };
        let told = known.read(kind, &fields, now)?;
        known.emit(told, now, out);
        for key in fields.keys().filter(|key| !kind.knows(key)) {
            self.unknown(key, out);
        }
        Ok(())
    }

    /// Tells an unknown word, once.
    fn unknown(&mut self, word: &str, out: &mut Vec<Action>) {
        if self.unknown.len() < UNKNOWN_MAX && !self.unknown.contains(word) {
            self.unknown.insert(word.to_owned());
            out.push(Action::Unknown(word.to_owned()));
        }
    }
}

impl Known {
    /// Reads a message, with a wider definition where a number needs it.
    fn read(&mut self, kind: Kind, fields: &Fields<'_>, now: Ts) -> Result<Told, Malformed> {
        let mut widened = 0;
        loop {
            match kind.read(fields, &self.instrument, now) {
                Err(fault) if widened < WIDENED_MAX => {
                    self.instrument = refit(&self.instrument, &fault).ok_or(fault)?;
                    widened += 1;
                }
                done => return done,
            }
        }
    }

    fn emit(&mut self, told: Told, now: Ts, out: &mut Vec<Action>) {
        for (channel, body) in told.bodies {
            if let Body::Status(status) = &body {
                if self.status.as_ref() == Some(status) {
                    continue;
                }
                self.status = Some(status.clone());
            }
            out.push(Action::Emit(Event {
                source: NAME,
                instrument: Arc::clone(&self.instrument),
                channel,
                flags: Flags::NONE,
                stamp: Stamp { ts_event: Some(told.ts), ts_recv: now },
                body,
            }));
        }
    }
}
