//! From names in a config to wants.

use super::Shared;
use crate::clock;
use crate::config::SourceConfig;
use model::{Body, Catalogue, Channel, Instrument, InstrumentId, InstrumentKind, LaneFact, Lookup};
use source::{Spec, Want};
use std::collections::HashSet;
use std::sync::Arc;

/// Names that are not resolved yet, and what was.
pub struct Wants {
    venue: &'static str,
    pending: Vec<Name>,
    channels: Vec<Channel>,
    wanted: HashSet<(InstrumentId, Channel)>,
}

struct Name {
    spelling: String,
    /// Whether readers were told that it names nothing.
    told: bool,
}

impl Wants {
    pub fn new(config: &SourceConfig, spec: &'static Spec) -> Self {
        let mut channels = Vec::new();
        for name in &config.channels {
            match Channel::parse(name).filter(|c| spec.channel(*c).is_some()) {
                Some(channel) if channels.contains(&channel) => {}
                Some(channel) => channels.push(channel),
                None => tracing::warn!(source = spec.name, channel = name, "no such channel is offered"),
            }
        }
        let name = |spelling: &String| Name { spelling: spelling.clone(), told: false };
        let pending = config.instruments.iter().map(name).collect();
        Self { venue: spec.name, pending, channels, wanted: HashSet::new() }
    }

    /// What has come to be known of the names that were not. Those that stay unknown although every list was read are
    /// told to readers once; they may be listed later.
    pub fn resolve(&mut self, catalogue: &Catalogue, complete: bool, shared: &Shared) -> Vec<Want> {
        let mut found = Vec::new();
        let Self { venue, pending, channels, wanted } = self;
        pending.retain_mut(|name| match catalogue.find(venue, &name.spelling) {
            Lookup::Found(instrument) => {
                for channel in channels.iter().filter(|c| wanted.insert((instrument.id, **c))) {
                    found.push(Want { instrument: Arc::clone(&instrument), channel: *channel });
                }
                false
            }
            Lookup::Unknown if !complete => true,
            Lookup::Unknown => {
                name.refuse(venue, "no instrument of this name is listed", channels, shared);
                true
            }
            Lookup::Ambiguous(names) => {
                let words = format!("the name may mean {}", names.join(", "));
                name.refuse(venue, &words, channels, shared);
                true
            }
        });
        found
    }
}

impl Name {
    fn refuse(&mut self, venue: &str, words: &str, channels: &[Channel], shared: &Shared) {
        if std::mem::replace(&mut self.told, true) {
            return;
        }
        let source = shared.source.spec().name;
        tracing::warn!(source, instrument = self.spelling, words, "an instrument cannot be read");
        let made = Instrument::provisional(venue, "", &self.spelling, InstrumentKind::Spot);
        let made = Arc::new(made);
        for channel in channels {
            shared.tell(&made, *channel, Body::Lane(LaneFact::Refused(words.into())), clock::now());
        }
    }
}
