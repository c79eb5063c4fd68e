//! What could not be published yet, of a connection that must be read all the same: the newest of each lane.

use hashbrown::HashMap;
use model::{Body, Channel, Event, Gap, GapCause, InstrumentId, LaneFact, LinkId};
use std::collections::BTreeMap;
use std::mem::{Discriminant, discriminant};

/// What replaces each other.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    instrument: InstrumentId,
    channel: Channel,
    body: Discriminant<Body>,
    /// Facts of different kinds stand beside each other.
    fact: Option<Discriminant<LaneFact>>,
    link: Option<(Discriminant<model::LinkFact>, LinkId)>,
}

impl Key {
    fn of(event: &Event) -> Self {
        let (fact, link) = match &event.body {
            Body::Lane(fact) => (Some(discriminant(fact)), None),
            Body::Link(fact) => (None, Some((discriminant(fact), lane::link_of(fact)))),
            _ => (None, None),
        };
        let Event { channel, body, .. } = event;
        Self { instrument: event.instrument.id, channel: *channel, body: discriminant(body), fact, link }
    }
}

/// One that waits, and how many were before it that nobody saw.
struct Waiting {
    place: u64,
    event: Event,
    lost: u64,
}

/// See the module. Holds as many events as there are lanes and kinds of facts, however long it takes.
#[derive(Default)]
pub struct Held {
    waiting: HashMap<Key, Waiting>,
    /// The order in which they came.
    order: BTreeMap<u64, Key>,
    next: u64,
}

impl Held {
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Keeps an event in place of the one before it.
    pub fn put(&mut self, event: Event) {
        let key = Key::of(&event);
        let place = self.next;
        self.next += 1;
        let before = self.waiting.remove(&key);
        if let Some(before) = &before {
            self.order.remove(&before.place);
        }
        let lost = before.map_or(0, |before| before.lost + 1);
        self.order.insert(place, key);
        self.waiting.insert(key, Waiting { place, event, lost });
    }

    /// Takes the oldest out, with a gap before it where others of its lane were lost. True where there was such a gap.
    pub fn pop(&mut self, out: &mut Vec<Event>) -> bool {
        let Some((_, key)) = self.order.pop_first() else { return false };
        let Some(Waiting { event, lost, .. }) = self.waiting.remove(&key) else { return false };
        // Of definitions and facts the newest is all there is to know.
        let told = lost > 0 && !matches!(event.body, Body::Lane(_) | Body::Link(_) | Body::Instrument);
        if told {
            let of = |body| Event { body, ..event.clone() };
            out.push(of(Body::Gap(Gap { cause: GapCause::Overflow, from_seq: None, to_seq: None })));
            // A snapshot ends the hole by itself.
            if !matches!(event.body, Body::Snapshot(_)) {
                let why = format!("{lost} older states were not published, as a reader was full").into();
                out.push(of(Body::Lane(LaneFact::Unrepaired { from_seq: None, to_seq: None, why })));
            }
        }
        out.push(event);
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pump::pseudo;
    use model::{DayStats, Decimal, Flags, Levels, LinkFact, Snapshot, Stamp};

    fn event(channel: Channel, body: Body) -> Event {
        Event {
            source: "v",
            instrument: pseudo("v"),
            channel,
            flags: Flags::NONE,
            stamp: Stamp::default(),
            body,
        }
    }

    fn day(last: i128) -> Event {
        let last = Some(Decimal::new(last, 0));
        event(Channel::DayStats, Body::DayStats(Box::new(DayStats { last, ..DayStats::default() })))
    }

    fn all(mut held: Held) -> Vec<Body> {
        let mut out = Vec::new();
        while !held.is_empty() {
            held.pop(&mut out);
        }
        out.into_iter().map(|event| event.body).collect()
    }

    #[test]
    fn a_million_states_of_a_lane_take_the_room_of_one_and_each_loss_is_told() {
        let mut held = Held::default();
        for n in 0..1_000_000 {
            held.put(day(n));
        }
        assert_eq!((held.waiting.len(), held.order.len()), (1, 1));
        let bodies = all(held);
        assert!(matches!(&bodies[0], Body::Gap(Gap { cause: GapCause::Overflow, .. })));
        assert!(
            matches!(&bodies[1], Body::Lane(LaneFact::Unrepaired { why, .. }) if why.starts_with("999999 "))
        );
        assert_eq!(bodies[2..], [day(999_999).body]);
    }

    #[test]
    fn what_was_not_replaced_comes_out_as_it_went_in() {
        let mut held = Held::default();
        let book = Snapshot { seq: None, levels: Levels::default(), checksum: None, epoch: 0 };
        let events = [
            event(Channel::Instruments, Body::Instrument),
            event(Channel::DayStats, Body::Lane(LaneFact::Acked)),
            day(1),
            event(Channel::BookTop, Body::Snapshot(book)),
        ];
        for event in &events {
            held.put(event.clone());
        }
        assert_eq!(all(held), events.map(|event| event.body));
    }

    #[test]
    fn facts_about_a_connection_end_in_the_newest() {
        let link = LinkId(1);
        let (up, down) = (LinkFact::Up { link }, LinkFact::Down { link, why: "lost".into(), retry_ms: None });
        let mut held = Held::default();
        for fact in [&up, &down, &up] {
            held.put(event(Channel::Link, Body::Link(fact.clone())));
        }
        assert_eq!(all(held), [Body::Link(down), Body::Link(up)]);
    }
}
