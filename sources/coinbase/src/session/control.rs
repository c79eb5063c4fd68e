//! What the venue says about subscriptions and products.

use super::{Blame, CoinbaseSession};
use crate::parse::Result;
use crate::{Feed, listing};
use model::{Body, Channel, Instrument, Ts};
use serde::Deserialize;
use source::Action;
use std::borrow::Cow;
use std::sync::Arc;

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow, default)]
    products: Vec<Row<'a>>,
}

/// A product in a `status` frame of either feed.
#[derive(Deserialize)]
struct Row<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow, default)]
    status: Option<Cow<'a, str>>,
}

impl CoinbaseSession {
    /// `[{"type":"snapshot","products":[{"product_type":"SPOT","id":"BTC-USD","status":"online",…}]}]`
    pub(super) fn statuses_advanced(
        &mut self,
        events: &[u8],
        ts: Option<Ts>,
        now: Ts,
        out: &mut Vec<Action>,
    ) -> Result<()> {
        let events: Vec<Event<'_>> =
            serde_json::from_slice(events).map_err(|e| listing::fault(events, &e))?;
        for event in &events {
            self.statuses(Feed::Advanced, &event.products, ts, now, out);
        }
        Ok(())
    }

    /// `[{"id":"BTC-USD","status":"online","status_message":null,…}]`
    pub(super) fn statuses_exchange(
        &mut self,
        rows: &[u8],
        ts: Option<Ts>,
        now: Ts,
        out: &mut Vec<Action>,
    ) -> Result<()> {
        self.blame = Blame::Nobody;
        let rows: Vec<Row<'_>> = serde_json::from_slice(rows).map_err(|e| listing::fault(rows, &e))?;
        self.statuses(Feed::Exchange, &rows, ts, now, out);
        Ok(())
    }

    fn statuses(&mut self, feed: Feed, rows: &[Row<'_>], ts: Option<Ts>, now: Ts, out: &mut Vec<Action>) {
        out.push(Action::Control("status"));
        for row in rows {
            // All products are told, whoever is interested in one.
            let Some(at) = self.table.place(feed, row.id.as_bytes()) else { continue };
            let status = listing::status(listing::text(&row.status), false);
            let (told, defined) = (self.wants(at, Channel::Status), self.wants(at, Channel::Instruments));
            let Some(listed) = self.table.get_mut(at) else { continue };
            if listed.instrument.status != status {
                let before = &listed.instrument;
                listed.instrument = Arc::new(Instrument { status: status.clone(), ..(**before).clone() });
                if defined {
                    listed.emit(Channel::Instruments, ts, now, Body::Instrument, out);
                }
            }
            if told {
                listed.emit(Channel::Status, ts, now, Body::Status(status), out);
            }
        }
    }
}
