//! What has changed, as findings on the bus.

use crate::Composite;
use model::{Body, Channel, Event, Finding, Flags, Instrument, InstrumentKind, SourceName, Stamp, Ts};
use std::sync::Arc;

/// Names of instruments that a finding shows.
const SAMPLES_MAX: usize = 5;

/// Instruments that went from one source to another.
#[derive(Debug, Default)]
pub(crate) struct Moved {
    count: usize,
    samples: Vec<Box<str>>,
}

impl Moved {
    pub(crate) fn add(&mut self, instrument: &Instrument) {
        self.count += 1;
        if self.samples.len() < SAMPLES_MAX {
            self.samples.push(instrument.name.clone());
        }
    }
}

impl Composite {
    /// Says what has changed, once for all instruments that went the same way.
    pub(crate) fn report(&mut self, now: Ts, out: &mut Vec<Event>) {
        let name = |at: usize| self.sources.get(at).map_or("", |s| s.name);
        for at in self.changed.drain(..) {
            let Some(source) = self.sources.get(at) else { continue };
            let what = format!("{}: {}", source.breaker.name(), source.why);
            out.push(finding(source.name, "breaker", what, Vec::new(), now));
        }
        for ((from, to, is_return), Moved { count, samples }) in std::mem::take(&mut self.moves) {
            let of = if count == 1 { "instrument" } else { "instruments" };
            let (check, about, what) = if is_return {
                (
                    "source_return",
                    to,
                    format!(
                        "{count} {of} again from {}, which is well; before from {}",
                        name(to),
                        name(from)
                    ),
                )
            } else {
                (
                    "source_switch",
                    from,
                    format!("{count} {of} now from {} instead of {}", name(to), name(from)),
                )
            };
            out.push(finding(name(about), check, what, samples, now));
        }
    }
}

/// A finding about a source.
fn finding(source: SourceName, check: &str, what: String, samples: Vec<Box<str>>, now: Ts) -> Event {
    let star = Instrument::provisional(source, "", "*", InstrumentKind::Index);
    let body = Finding { check: check.into(), channel: Channel::DayStats, what: what.into(), samples };
    Event {
        source,
        instrument: Arc::new(star),
        channel: Channel::Findings,
        flags: Flags::DERIVED,
        stamp: Stamp { ts_event: None, ts_recv: now },
        body: Body::Finding(Box::new(body)),
    }
}
