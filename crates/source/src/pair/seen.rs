//! What a reader of the events saw.

use super::held::{Books, Held};
use crate::Fault;
use model::{Body, Channel, Checksum, Event, Instrument, InstrumentId, LaneFact, TradeId};
use std::collections::BTreeMap;

/// Holds a book against the venue's checksum.
pub type Verify = fn(&Held, &Instrument, Checksum) -> bool;

/// What was seen, counted and kept.
#[derive(Debug, Default)]
pub struct Seen {
    /// The books.
    pub books: Books,
    /// How many data events came, gaps with them, by product and channel.
    pub events: BTreeMap<(String, Channel), usize>,
    /// How many gaps, by cause.
    pub gaps: BTreeMap<&'static str, usize>,
    /// Connections given up, by whom and why; the venue's begin with `venue:` and its code.
    pub closes: Vec<(Fault, String)>,
    /// How many frames could not be read.
    pub malformed: usize,
    /// Names that were not known.
    pub unknown: Vec<String>,
    /// The venue's words for what it refused.
    pub refused: Vec<String>,
    /// What books waited for.
    pub syncing: Vec<String>,
    /// How many lanes were acknowledged.
    pub acked: usize,
    /// How many lanes were asked for.
    pub asked: usize,
    /// How many lanes were dropped.
    pub dropped: usize,
    /// The ids of trades in the order they came.
    pub trades: BTreeMap<(InstrumentId, Channel), Vec<TradeId>>,
    /// How many pings the venue sent.
    pub pings: usize,
    /// Subscriptions that the venue told of in front of a recording, with whether they were begun or ended.
    pub topics: Vec<(bool, String)>,
    /// How checksums are verified; without one they are not.
    pub verify: Option<Verify>,
    /// How many were verified.
    pub checksums: usize,
    /// Whether all events are kept in `kept`.
    pub keep: bool,
    /// All events, where wanted.
    pub kept: Vec<Event>,
}

impl Seen {
    /// The trades' ids that are numbers.
    pub fn numbers(&self) -> impl Iterator<Item = ((InstrumentId, Channel), Vec<u64>)> {
        let number = |id: &TradeId| match id {
            TradeId::Num(number) => Some(*number),
            TradeId::Text(_) => None,
        };
        self.trades.iter().map(move |(lane, ids)| (*lane, ids.iter().filter_map(number).collect()))
    }

    /// How many data events of a channel came, over all products.
    pub fn count(&self, channel: Channel) -> usize {
        self.events.iter().filter(|((_, c), _)| *c == channel).map(|(_, n)| n).sum()
    }

    /// Takes an event.
    pub(super) fn event(&mut self, event: &Event) {
        let id = event.instrument.id;
        match &event.body {
            Body::Lane(LaneFact::Asked { .. }) => self.asked += 1,
            Body::Lane(LaneFact::Acked) => self.acked += 1,
            Body::Lane(LaneFact::Refused(words)) => self.refused.push(words.to_string()),
            Body::Lane(LaneFact::Syncing(words)) => self.syncing.push(words.to_string()),
            Body::Lane(LaneFact::Dropped) => self.dropped += 1,
            body => {
                let lane = (event.instrument.product.to_string(), event.channel);
                *self.events.entry(lane).or_default() += 1;
                if let Body::Gap(gap) = body {
                    *self.gaps.entry(gap.cause.name()).or_default() += 1;
                    let live = event.channel != Channel::Book || self.books.live.contains_key(&id);
                    assert!(live, "{}: a gap of a book that is not live", event.instrument.name);
                }
                if let Body::Trade(trade) = body {
                    self.trades.entry((id, event.channel)).or_default().push(trade.id.clone());
                }
            }
        }
        self.books.on(event);
        self.check(event);
        if self.keep {
            self.kept.push(event.clone());
        }
    }

    fn check(&mut self, event: &Event) {
        let checksum = match &event.body {
            Body::Snapshot(snapshot) => snapshot.checksum,
            Body::Delta(delta) => delta.checksum,
            _ => return,
        };
        if event.channel != Channel::Book {
            return;
        }
        let Some(held) = self.books.live.get(&event.instrument.id) else { return };
        let name = &event.instrument.name;
        assert!(!held.is_crossed(), "{name} is crossed: {:?}", held.best());
        if let (Some(verify), Some(checksum)) = (self.verify, checksum) {
            self.checksums += 1;
            assert!(verify(held, &event.instrument, checksum), "{name}: the checksum is of another book");
        }
    }
}
