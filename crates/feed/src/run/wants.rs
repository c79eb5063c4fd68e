//! From wishes to what each connection carries: what is wanted now, less what is carried already.

use super::Shared;
use super::shard::{Line, Order};
use crate::clock;
use crate::select::Selector;
use model::{Body, Catalogue, Channel, Decimal, Instrument, InstrumentId, InstrumentKind, LaneFact};
use source::{Options, Shard, Source, Want};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

type Key = (InstrumentId, Channel);

/// What is wanted of a source, as far as it can be found.
#[derive(Default)]
pub struct Wanted {
    /// By lane.
    pub lanes: BTreeMap<Key, Want>,
    /// All that a source tells which lists nothing and has no subscriptions.
    pub whole: bool,
}

/// What is wanted now.
#[derive(Default)]
pub struct Wants {
    /// Names of which readers were told that they mean nothing.
    told: HashSet<String>,
}

impl Wants {
    /// Whether a wish needs turnovers.
    pub fn need_turnovers(shared: &Shared) -> bool {
        let wishes = shared.context.desk.of(shared.source.spec().name);
        let mut texts = wishes.iter().flat_map(|wish| &wish.instruments);
        texts.any(|text| matches!(Selector::parse(text), Ok(Selector::Top { .. })))
    }

    /// Everything that is wanted. Where the source lists nothing, a name is taken at its word and a pattern means all that
    /// comes. Names that mean nothing although every list was read are told to readers once;
    /// they may be listed later.
    pub fn resolve(
        &mut self,
        catalogue: &Catalogue,
        turnovers: &HashMap<InstrumentId, Decimal>,
        complete: bool,
        shared: &Shared,
    ) -> Wanted {
        let spec = shared.source.spec();
        let listless = shared.source.listings().is_empty();
        let mut all = Wanted::default();
        for wish in shared.context.desk.of(spec.name) {
            let channels: Vec<Channel> =
                wish.channels.iter().filter_map(|name| Channel::parse(name)).collect();
            let mut problems = Vec::new();
            let mut found: BTreeMap<InstrumentId, Arc<Instrument>> = BTreeMap::new();
            for text in &wish.instruments {
                let meant = Selector::parse(text).and_then(|selector| match selector {
                    Selector::Glob(_) if listless => {
                        all.whole = true;
                        Ok(Vec::new())
                    }
                    Selector::Name(name) if listless => {
                        let made = shared.source.rest().provisional("", &name);
                        made.map(|i| vec![Arc::new(i)])
                            .ok_or_else(|| format!("`{name}`: no code of an instrument"))
                    }
                    _ => selector.resolve(catalogue, turnovers),
                });
                match meant {
                    Ok(instruments) => found.extend(instruments.into_iter().map(|i| (i.id, i))),
                    Err(words) => {
                        if complete && self.told.insert(text.clone()) {
                            refuse(text, &words, &channels, shared);
                        }
                        problems.push(words);
                    }
                }
            }
            shared.context.desk.resolved(wish.id, found.len(), found.len() * channels.len(), problems);
            for instrument in found.values() {
                for channel in &channels {
                    let want = Want { instrument: Arc::clone(instrument), channel: *channel };
                    all.lanes.insert((instrument.id, *channel), want);
                }
            }
        }
        all
    }
}

fn refuse(spelling: &str, words: &str, channels: &[Channel], shared: &Shared) {
    let source = shared.source.spec().name;
    tracing::warn!(source, instrument = spelling, words, "an instrument cannot be read");
    let made = Arc::new(Instrument::provisional(source, "", spelling, InstrumentKind::Spot));
    for channel in channels {
        shared.tell(&made, *channel, Body::Lane(LaneFact::Refused(words.into())), clock::now());
    }
}

/// Takes what is carried and no longer wanted off its connections.
pub fn drop_unwanted(lines: &mut [Line], wanted: &BTreeMap<Key, Want>) {
    for line in lines {
        let unwanted = |w: &&Want| !wanted.contains_key(&(w.instrument.id, w.channel));
        let gone: Vec<Want> = line.plan.shard.wants.iter().filter(unwanted).cloned().collect();
        if gone.is_empty() {
            continue;
        }
        // A full queue is a connection that hangs; it is told at the next look.
        if line.orders.try_send(Order::Unsubscribe(gone)).is_ok() {
            line.plan.shard.wants.retain(|w| wanted.contains_key(&(w.instrument.id, w.channel)));
        }
    }
}

/// What is wanted and not carried yet.
pub fn news(lines: &[Line], wanted: &BTreeMap<Key, Want>) -> Vec<Want> {
    let carried: HashSet<Key> =
        lines.iter().flat_map(|line| &line.plan.shard.wants).map(|w| (w.instrument.id, w.channel)).collect();
    wanted.iter().filter(|(key, _)| !carried.contains(key)).map(|(_, want)| want.clone()).collect()
}

/// Puts onto connections that are there what they have room for, and gives back what needs new ones.
pub fn fill(lines: &mut [Line], source: &dyn Source, mut new: Vec<Shard>, options: &Options) -> Vec<Shard> {
    for shard in &mut new {
        for line in lines.iter_mut() {
            if !line.is_like(shard) {
                continue;
            }
            // The longest beginning that fits, by halving.
            let (mut fits, mut over) = (0, shard.wants.len() + 1);
            while over - fits > 1 {
                let middle = usize::midpoint(fits, over);
                let more = shard.wants.get(..middle).unwrap_or_default();
                let all = [line.plan.shard.wants.as_slice(), more].concat();
                let cut = source.shards(&all, options);
                let whole = cut.iter().map(|s| s.wants.len()).sum::<usize>() == all.len();
                if whole && matches!(cut.as_slice(), [one] if line.is_like(one)) {
                    fits = middle;
                } else {
                    over = middle;
                }
            }
            let more: Vec<Want> = shard.wants.get(..fits).unwrap_or_default().to_vec();
            if fits > 0 && line.orders.try_send(Order::Subscribe(more.clone())).is_ok() {
                line.plan.shard.wants.extend(more);
                shard.wants.drain(..fits);
            }
        }
    }
    new.retain(|shard| !shard.wants.is_empty());
    new
}
