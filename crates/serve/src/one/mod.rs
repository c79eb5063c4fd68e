//! Many sources of Chinese stocks as one: what follows the bus and keeps the choice, and what can be asked of it.

// Fields have the names that they have in JSON.
#![allow(clippy::struct_field_names)]

mod lists;
mod market;
mod quotes;
mod record;

pub(crate) use lists::{concepts, hot_stocks, market};
pub(crate) use market::market_status;
pub(crate) use quotes::{compare, post_quotes, quotes, sources};
pub(crate) use record::{change, change_pct, sides};

use crate::http::Fail;
use crate::listen::stopped;
use crate::names;
use crate::site::Site;
use axum::http::StatusCode;
use bus::{Filter, Item, Policy};
use composite::{Composite, Rules};
use model::ashare;
use model::{Channel, Event, Instrument, InstrumentId, Ts};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::broadcast;
use tokio::time::{MissedTickBehavior, interval};

/// How often breakers and the choice look at the time.
const TICK: Duration = Duration::from_millis(250);
/// Entries that may wait: all stocks of all sources, day and levels, with room to spare.
const QUEUE_MAX: usize = 262_144;
/// How many events are taken in under one lock.
const BATCH_MAX: usize = 1_024;
/// How many batches a listener may be behind before it looks at all that it follows.
const BATCHES_MAX: usize = 1_024;

/// The instruments whose quotes may have changed.
pub(crate) type Changed = Arc<[InstrumentId]>;

/// The choice, and who wants to hear of changes.
pub(crate) struct One {
    composite: Mutex<Composite>,
    changed: broadcast::Sender<Changed>,
}

impl One {
    pub(crate) fn new(now: Ts) -> Self {
        let composite = Composite::new(Rules::default(), ashare::calendar().clone(), now);
        Self { composite: Mutex::new(composite), changed: broadcast::Sender::new(BATCHES_MAX) }
    }

    /// The choice; keep it short.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Composite> {
        self.composite.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells from now on what has changed.
    pub(crate) fn listen(&self) -> broadcast::Receiver<Changed> {
        self.changed.subscribe()
    }

    fn take(&self, items: &mut Vec<Item>, now: Ts) {
        let mut told = BTreeSet::new();
        let mut composite = self.lock();
        for item in items.drain(..) {
            // After a `Skipped` the last values of everything follow.
            let Item::Event { published, .. } = item else { continue };
            composite.on(&published.event, now);
            if published.event.channel != Channel::Link {
                told.insert((published.event.instrument.id, published.event.source));
            }
        }
        // What is not served changes nothing for anybody.
        told.retain(|(id, source)| {
            let quote = composite.quote(*id, None, now);
            quote.is_some_and(|q| q.source == *source || q.levels.is_some_and(|(by, _, _)| by == *source))
        });
        drop(composite);
        let mut ids: Vec<InstrumentId> = told.into_iter().map(|(id, _)| id).collect();
        ids.dedup();
        if !ids.is_empty() {
            // Nobody may be listening.
            let _ = self.changed.send(ids.into());
        }
    }

    fn tick(&self, now: Ts) -> Vec<Event> {
        let mut found = Vec::new();
        self.lock().tick(now, &mut found);
        found
    }
}

/// Follows the bus from now until the shutdown. What the choice has to say goes to the bus as findings.
pub(crate) fn follow(site: Arc<Site>) -> impl Future<Output = ()> {
    let filter = Filter::channels(&[Channel::DayStats, Channel::BookTop, Channel::Link]);
    let mut reader = site.bus.subscribe(filter, Policy::Conflate { queue_max: QUEUE_MAX }, None);
    async move {
        let mut every = interval(TICK);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut stop = site.shutdown.clone();
        let mut items = Vec::new();
        loop {
            tokio::select! {
                () = reader.read(&mut items, BATCH_MAX) => site.one.take(&mut items, site.now()),
                _ = every.tick() => {
                    for event in site.one.tick(site.now()) {
                        let now = event.stamp.ts_recv;
                        site.bus.publish(event, now);
                    }
                }
                () = stopped(&mut stop) => return,
            }
        }
    }
}

/// The source that a request names; `None` for the best one.
pub(crate) fn wished<'a>(site: &Site, source: Option<&'a str>) -> Result<Option<&'a str>, Fail> {
    let Some(name) = source.filter(|name| *name != "auto") else { return Ok(None) };
    let mut known: Vec<&str> = site.one.lock().sources(site.now()).iter().map(|s| s.source).collect();
    known.extend(site.sources);
    if known.contains(&name) {
        return Ok(Some(name));
    }
    known.sort_unstable();
    known.dedup();
    known.insert(0, "auto");
    let suggestions: Vec<String> = known.iter().map(|s| (*s).to_owned()).collect();
    let message = format!("no source `{name}` is running; there are: {}", known.join(", "));
    Err(Fail::new(StatusCode::NOT_FOUND, "unknown_source", message).suggesting(suggestions))
}

/// The stock that a text names.
pub(crate) fn stock(site: &Site, text: &str) -> Result<Arc<Instrument>, Fail> {
    Ok(names::find(&site.bus, text)?)
}

/// The stock is known, but nobody says what it costs.
pub(crate) fn no_quote(instrument: &Instrument, source: Option<&str>) -> Fail {
    let by = source.map(|s| format!(" by {s}")).unwrap_or_default();
    let message = format!("{} is known, but no quote of it was told{by}", instrument.name);
    Fail::new(StatusCode::NOT_FOUND, "not_collected", message)
}
