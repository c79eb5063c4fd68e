//! What a client has subscribed to, and how it changes that.

use crate::names;
use crate::stream::client::Client;
use crate::stream::encode::Reply;
use crate::stream::lanes;
use crate::stream::request::{self, Fault, Op, Pace, Subscribe};
use axum::extract::ws::Utf8Bytes;
use bus::{Cursor, Filter, Policy, Reader};
use model::{Channel, Instrument};
use serde_json::{Value, json};
use std::sync::Arc;

/// The channels that depth is about.
const BOOKS: [Channel; 2] = [Channel::Book, Channel::BookTop];

impl Client {
    pub(super) fn answer(&mut self, op: Op, id: Option<&Value>) -> Result<Utf8Bytes, Fault> {
        match op {
            Op::Subscribe(wanted) => self.subscribe(&wanted, id),
            Op::Unsubscribe { instruments, channels } => self.unsubscribe(&instruments, channels, id),
            Op::List => Ok(self.list(id)),
            Op::Ping => Ok(Reply::Pong { id, ts: self.site.now().0 }.text()),
        }
    }

    fn filter(&self) -> Filter {
        self.reader.as_ref().map_or_else(Filter::none, Reader::filter)
    }

    fn subscribe(&mut self, wanted: &Subscribe, id: Option<&Value>) -> Result<Utf8Bytes, Fault> {
        let max = self.site.config.ws_subscriptions_max;
        let count = wanted.instruments.len() * wanted.channels.len();
        if count > max {
            return Err(lanes::too_many(count, max));
        }
        self.check_first(wanted)?;
        let instruments = lanes::resolve(&self.site, &wanted.instruments)?;
        let filter = lanes::add(&self.filter(), &instruments, &wanted.channels, max)?;
        if wanted.channels.iter().any(|c| BOOKS.contains(c)) {
            self.set_depth(&instruments, wanted.depth)?;
        }
        let cursor = self.read(filter, wanted);
        let lanes = lanes::now(&self.site, &instruments, |_, c| wanted.channels.contains(&c), &self.depths);
        Ok(Reply::Subscribed { id, epoch: cursor.epoch, number: cursor.number, lanes }.text())
    }

    /// Sets how the books of these instruments are sent. A book cannot change that midway: what has been sent of it
    /// would not go together with what follows.
    fn set_depth(&mut self, instruments: &[Arc<Instrument>], depth: Option<usize>) -> Result<(), Fault> {
        let filter = self.filter();
        let differs = |i: &&Arc<Instrument>| {
            BOOKS.iter().any(|c| filter.wants(i.id, *c)) && self.depths.get(&i.id) != depth.as_ref()
        };
        if let Some(instrument) = instruments.iter().find(differs) {
            let name = &instrument.name;
            let message =
                format!("the book of {name} is subscribed with another depth; unsubscribe it first");
            return Err(Fault::new("bad_depth", message));
        }
        for instrument in instruments {
            match depth {
                Some(depth) => self.depths.insert(instrument.id, depth),
                None => self.depths.remove(&instrument.id),
            };
        }
        Ok(())
    }

    /// Reads by this filter, as of the cursor that is returned; makes the contract where there is none yet.
    fn read(&mut self, filter: Filter, wanted: &Subscribe) -> Cursor {
        if let Some(reader) = &self.reader {
            return reader.set_filter(filter);
        }
        let queue_max = self.site.config.ws_queue_max;
        self.pace = wanted.pace.unwrap_or(Pace::Conflate);
        let policy = match self.pace {
            // Nobody waits for a replay but its client.
            _ if self.site.is_replay() => Policy::Lossless { queue_max },
            Pace::Conflate => Policy::Conflate { queue_max },
            Pace::Sample(every_ms) => Policy::Sample { every_ms, queue_max },
        };
        let cursor = self.site.bus.cursor();
        self.reader = Some(self.site.bus.subscribe(filter, policy, wanted.from));
        self.site.begin();
        cursor
    }

    /// The contract of a connection is made by its first subscription.
    fn check_first(&self, wanted: &Subscribe) -> Result<(), Fault> {
        if self.reader.is_none() {
            return Ok(());
        }
        if wanted.from.is_some() {
            let message = "`from` is taken in the first subscribe of a connection only";
            return Err(Fault::new("bad_cursor", message));
        }
        if wanted.pace.is_some_and(|pace| pace != self.pace) {
            let message = "`policy` is that of the first subscribe; open another connection for another";
            return Err(Fault::new("bad_policy", message));
        }
        Ok(())
    }

    fn unsubscribe(
        &mut self,
        texts: &[String],
        channels: Option<Vec<Channel>>,
        id: Option<&Value>,
    ) -> Result<Utf8Bytes, Fault> {
        let instruments = lanes::resolve(&self.site, texts)?;
        let channels = channels.unwrap_or_else(|| request::known_channels().collect());
        let mut filter = self.filter();
        for instrument in &instruments {
            for channel in &channels {
                filter.remove(instrument.id, *channel);
            }
            if !BOOKS.iter().any(|c| filter.wants(instrument.id, *c)) {
                self.depths.remove(&instrument.id);
            }
        }
        let left = filter.len();
        let cursor = match &self.reader {
            Some(reader) => reader.set_filter(filter),
            None => self.site.bus.cursor(),
        };
        Ok(Reply::Unsubscribed { id, epoch: cursor.epoch, number: cursor.number, left }.text())
    }

    fn list(&self, id: Option<&Value>) -> Utf8Bytes {
        let filter = self.filter();
        let wants = |id, channel| filter.wants(id, channel);
        let mut instruments = names::instruments(&self.site.bus, None, None);
        instruments.retain(|i| request::known_channels().any(|c| wants(i.id, c)));
        let lanes = lanes::now(&self.site, &instruments, wants, &self.depths);
        let policy = match self.pace {
            Pace::Conflate => json!("conflate"),
            Pace::Sample(ms) => json!({ "sample": ms }),
        };
        Reply::List { id, policy, count: filter.len(), lanes }.text()
    }
}
