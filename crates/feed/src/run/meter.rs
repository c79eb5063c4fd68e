//! Brings what a pump has counted into the metrics.

use crate::pump::{Counters, Pump, SideCount, Verdicts};
use metrics::{Metrics, Source, SourceCause, SourceChannel, SourceSide, SourceVerdict};
use model::{Channel, GapCause};

const CAUSES: [GapCause; 9] = [
    GapCause::Sequence,
    GapCause::Checksum,
    GapCause::Crossed,
    GapCause::Disconnected,
    GapCause::Malformed,
    GapCause::Scale,
    GapCause::Overflow,
    GapCause::VenueReset,
    GapCause::Referee,
];

/// What the metrics know of one pump.
#[derive(Default)]
pub struct Meter {
    counted: Counters,
    checked: engine::Counters,
    links_up: i64,
    sides: Vec<SideCount>,
    verdicts: Verdicts,
}

impl Meter {
    /// Adds what is new.
    pub fn read(&mut self, source: &'static str, pump: &Pump<'_>, metrics: &Metrics) {
        let (new, old) = (pump.counters(), &self.counted);
        let label = Source { source };
        let feed = &metrics.feed;
        feed.frames.get_or_create(&label).inc_by(new.frames - old.frames);
        feed.bytes.get_or_create(&label).inc_by(new.bytes - old.bytes);
        feed.malformed.get_or_create(&label).inc_by(new.malformed - old.malformed);
        feed.unknown.get_or_create(&label).inc_by(new.unknown - old.unknown);
        feed.controls.get_or_create(&label).inc_by(new.controls - old.controls);
        feed.reconnects.get_or_create(&label).inc_by(new.losses - old.losses);
        for (channel, (new, old)) in Channel::ALL.iter().zip(new.events.iter().zip(old.events)) {
            if *new > old {
                let label = SourceChannel { source, channel: channel.name() };
                feed.events.get_or_create(&label).inc_by(new - old);
            }
        }
        for (cause, (new, old)) in CAUSES.iter().zip(new.gaps.iter().zip(old.gaps)) {
            if *new > old {
                feed.gaps.get_or_create(&SourceCause { source, cause: cause.name() }).inc_by(new - old);
            }
        }
        let (new, old) = (pump.checks(), self.checked);
        let engine = &metrics.engine;
        engine.checksums_right.get_or_create(&label).inc_by(new.checksums_right - old.checksums_right);
        engine.checksums_wrong.get_or_create(&label).inc_by(new.checksums_wrong - old.checksums_wrong);
        engine.crossed.get_or_create(&label).inc_by(new.crossed - old.crossed);
        engine.locked.get_or_create(&label).inc_by(new.locked - old.locked);
        engine.trimmed_levels.get_or_create(&label).inc_by(new.trimmed - old.trimmed);
        self.compared(source, pump, metrics);
        self.links(source, pump.links_up() as i64, metrics);
        self.counted = pump.counters().clone();
        self.checked = new;
    }

    /// What several connections brought, and what the venue's REST books say.
    fn compared(&mut self, source: &'static str, pump: &Pump<'_>, metrics: &Metrics) {
        let feed = &metrics.feed;
        for (place, new) in pump.sides() {
            if self.sides.len() <= place {
                self.sides.resize(place + 1, SideCount::default());
            }
            let Some(old) = self.sides.get_mut(place) else { continue };
            let label = SourceSide { source, side: place as u32 };
            feed.first.get_or_create(&label).inc_by(new.first - old.first);
            feed.late.get_or_create(&label).inc_by(new.late - old.late);
            feed.late_seconds.get_or_create(&label).inc_by((new.late_ns - old.late_ns) as f64 / 1e9);
            feed.healed.get_or_create(&label).inc_by(new.healed - old.healed);
            *old = new;
        }
        let (new, old) = (pump.verdicts(), self.verdicts);
        for (verdict, count) in [
            ("equal", new.equal - old.equal),
            ("different", new.different - old.different),
            ("undecided", new.undecided - old.undecided),
        ] {
            feed.referee.get_or_create(&SourceVerdict { source, verdict }).inc_by(count);
        }
        self.verdicts = new;
    }

    /// The pump is gone.
    pub fn end(&mut self, source: &'static str, metrics: &Metrics) {
        self.links(source, 0, metrics);
    }

    fn links(&mut self, source: &'static str, up: i64, metrics: &Metrics) {
        metrics.feed.links_up.get_or_create(&Source { source }).inc_by(up - self.links_up);
        self.links_up = up;
    }
}
