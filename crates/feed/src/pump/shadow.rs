//! What a follower has brought that readers have not been told.

use hashbrown::HashMap;
use model::{Body, Channel, Event, InstrumentId, LaneFact};
use source::Want;
use std::collections::VecDeque;

/// How many trades are kept; the leader has told those before long ago.
const TRADES_MAX: usize = 4_096;
/// How many facts are kept of one lane since it was asked for.
const FACTS_MAX: usize = 8;

/// What a follower has brought that readers have not been told; its books are in its engine.
#[derive(Debug)]
pub struct Shadow {
    /// The newest trades, oldest first.
    pub trades: VecDeque<Event>,
    /// New definitions.
    pub defined: Vec<Event>,
    /// What became of its subscriptions.
    pub facts: Vec<Event>,
    answered: HashMap<(InstrumentId, Channel), bool>,
}

impl Shadow {
    /// Nothing brought yet.
    pub fn new() -> Self {
        Self { trades: VecDeque::new(), defined: Vec::new(), facts: Vec::new(), answered: HashMap::new() }
    }

    /// Takes an event of the follower.
    pub fn on(&mut self, event: Event) {
        let key = (event.instrument.id, event.channel);
        match &event.body {
            Body::Trade(_) => {
                if self.trades.len() >= TRADES_MAX {
                    self.trades.pop_front();
                }
                self.trades.push_back(event);
            }
            Body::Instrument => {
                self.defined.retain(|e| e.instrument.id != event.instrument.id);
                self.defined.push(event);
            }
            Body::Lane(fact) => {
                let same = |e: &Event| (e.instrument.id, e.channel) == key;
                match fact {
                    LaneFact::Asked { .. } => {
                        self.facts.retain(|e| !same(e));
                        self.answered.insert(key, false);
                    }
                    LaneFact::Acked | LaneFact::Refused(_) => {
                        self.answered.insert(key, true);
                    }
                    LaneFact::Carried(_) | LaneFact::Syncing(_) | LaneFact::Dropped => {}
                }
                if self.facts.iter().filter(|e| same(e)).count() < FACTS_MAX {
                    self.facts.push(event);
                }
            }
            // Waiting is over.
            Body::Snapshot(_) => self.facts.retain(|e| {
                (e.instrument.id, e.channel) != key || !matches!(e.body, Body::Lane(LaneFact::Syncing(_)))
            }),
            Body::Delta(_)
            | Body::Gap(_)
            | Body::Quote(_)
            | Body::Bar(_)
            | Body::DayStats(_)
            | Body::MarkPrice(_)
            | Body::IndexPrice(_)
            | Body::Funding(_)
            | Body::OpenInterest(_)
            | Body::Liquidation(_)
            | Body::VolatilityIndex(_)
            | Body::LongShortRatio(_)
            | Body::Greeks(_)
            | Body::Status(_)
            | Body::Finding(_)
            | Body::Link(_) => {}
        }
    }

    /// Whether the venue has answered for every want that was asked for.
    pub fn answered(&self, wants: &[Want]) -> bool {
        wants.iter().all(|w| self.answered.get(&(w.instrument.id, w.channel)).copied().unwrap_or(false))
    }
}
