//! The venue's lists of instruments.

use super::Shared;
use crate::client::read_listings;
use crate::clock;
use model::{Catalogue, Decimal, Instrument, InstrumentId, LinkFact, LinkId, Status};
use source::{Request, Source};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// The name under which listings are shown among a source's connections.
pub const LINK: LinkId = LinkId(0);

/// All instruments of a source as it last listed them.
pub struct Listings {
    /// The first request; `None` where the source lists nothing.
    first: Option<Request>,
    catalogue: Catalogue,
    up: bool,
}

/// What a reading brought.
#[derive(Debug, Default)]
pub struct Found {
    /// Definitions that are new or have changed.
    pub changed: Vec<Arc<Instrument>>,
    /// Whether every list was read.
    pub complete: bool,
}

impl Listings {
    pub fn new(source: &'static dyn Source) -> Self {
        Self { first: source.listings().into_iter().next(), catalogue: Catalogue::default(), up: false }
    }

    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// Asks for every list. What fails is shown, with how long until the next try.
    pub async fn read(&mut self, shared: &Shared, retry_ms: u64) -> Found {
        let mut found = Found { complete: true, ..Found::default() };
        let mut seen = HashSet::new();
        let Some(first) = &self.first else { return found };
        if !self.up {
            let url = shared.client.net.rest(first.endpoint).into();
            shared.link(LinkFact::Connecting { link: LINK, url }, clock::now());
        }
        let source = shared.source;
        let fetch = |r: Request| async move { shared.fetch(LINK, r.endpoint, &r.path, r.weight).await };
        let take = |instrument: Arc<Instrument>| {
            seen.insert(instrument.id);
            if self.catalogue.put(&instrument) {
                found.changed.push(instrument);
            }
        };
        let faults = read_listings(source, fetch, take).await;
        if faults.is_empty() {
            self.close_missing(&seen, &mut found.changed);
        }
        self.show(shared, &faults, retry_ms);
        found.complete = faults.is_empty();
        found
    }

    /// What is on no list any more will not trade again.
    fn close_missing(&mut self, seen: &HashSet<InstrumentId>, changed: &mut Vec<Arc<Instrument>>) {
        let gone = |i: &&Arc<Instrument>| !seen.contains(&i.id) && i.status != Status::Closed;
        let gone: Vec<Arc<Instrument>> = self.catalogue.iter().filter(gone).cloned().collect();
        for instrument in gone {
            let closed = Arc::new(Instrument { status: Status::Closed, ..(*instrument).clone() });
            self.catalogue.put(&closed);
            changed.push(closed);
        }
    }

    fn show(&mut self, shared: &Shared, faults: &[String], retry_ms: u64) {
        let source = shared.source.spec().name;
        let now = clock::now();
        if let Some(first) = faults.first() {
            tracing::warn!(
                source,
                failed = faults.len(),
                why = first,
                retry_ms,
                "listings could not be read"
            );
            let why = format!("listings could not be read: {first}").into();
            shared.link(LinkFact::Down { link: LINK, why, retry_ms: Some(retry_ms) }, now);
            self.up = false;
        } else {
            if !self.up {
                tracing::info!(source, instruments = self.catalogue.len(), "listings read");
                shared.link(LinkFact::Up { link: LINK }, now);
            }
            self.up = true;
            shared.link(LinkFact::Alive { link: LINK, last_frame: Some(now), last_ping: None }, now);
        }
    }
}

/// The turnover of everything listed, as far as it can be had.
pub async fn turnovers(shared: &Shared, catalogue: &Catalogue) -> HashMap<InstrumentId, Decimal> {
    let rest = shared.source.rest();
    let name = shared.source.spec().name;
    let mut all = HashMap::new();
    for Request { endpoint, path, weight } in rest.turnovers() {
        let answer = shared.fetch(LINK, endpoint, &path, weight).await;
        let read = match answer.status {
            200 => rest.read_turnovers(&path, &answer.body).map_err(|fault| fault.to_string()),
            status => Err(format!("status {status}")),
        };
        match read {
            Ok(rows) => all.extend(
                rows.into_iter().map(|row| (InstrumentId::of(name, row.product, &row.symbol), row.turnover)),
            ),
            Err(why) => tracing::warn!(source = name, path, why, "turnovers could not be read"),
        }
    }
    all.retain(|id, _| catalogue.get(*id).is_some());
    all
}
