//! What is wanted while the connection goes on: lanes that begin and lanes that end.

use super::BinanceSession;
use crate::product::Product;
use crate::route::{Kind, Route};
use crate::table::{Book, Listed, Waiting};
use crate::{SPEC, subscribe};
use model::{Channel, LaneFact, Ts};
use source::{Action, Want};

impl BinanceSession {
    /// Notes a lane; gives its place where the source has it.
    pub(super) fn want(&mut self, want: &Want) -> Option<usize> {
        let product = Product::named(&want.instrument.product)?;
        // A definition in use may have been widened since the catalogue was read.
        let used = self.table.by_id(want.instrument.id);
        let used = used.filter(|at| self.table.get(*at).is_some_and(Listed::is_wanted));
        let at = used.unwrap_or_else(|| self.table.put(product, &want.instrument));
        self.table.get_mut(at)?.want(want.channel);
        let Some(name) = subscribe::stream(product, &want.instrument, want.channel, &self.shard.options)
        else {
            return Some(at);
        };
        if let Some(kind) = Kind::of_stream(name.as_bytes()) {
            self.table.set_route(name.as_bytes(), Route { kind, at });
        }
        self.streams.add(name, (at, want.channel));
        Some(at)
    }

    /// A lane begins on an open connection.
    pub(super) fn begin(&mut self, at: usize, channel: Channel, now: Ts, out: &mut Vec<Action>) {
        let polled = self.poll_begins(at, channel);
        let acked = self.streams.is_acked((at, channel));
        let (Some(listed), Some(spec)) = (self.table.get_mut(at), SPEC.channel(channel)) else { return };
        let quiet_ms = polled.or(spec.quiet_ms);
        listed.fact(channel, LaneFact::Asked { proof: spec.proof, quiet_ms }, now, out);
        if acked {
            listed.acked(channel, now, out);
        }
        if channel == Channel::Book {
            listed.book = Book::Waiting(Waiting::default());
            listed.syncing("waits for the first change", now, out);
        }
    }

    /// These are wanted too.
    pub(super) fn wanted_too(&mut self, wants: &[Want], now: Ts, out: &mut Vec<Action>) {
        for want in wants {
            let place = self.table.by_id(want.instrument.id).and_then(|at| self.table.get(at));
            if place.is_some_and(|listed| listed.wants(want.channel)) {
                continue;
            }
            let Some(at) = self.want(want) else { continue };
            self.wanting = true;
            self.shard.wants.push(want.clone());
            if self.open {
                self.begin(at, want.channel, now, out);
            }
        }
        if self.shard.path.is_some() {
            return self.subscribe(now, out);
        }
        self.poll_all(now, out);
        if wants.iter().any(|want| subscribe::is_listed(want.channel)) {
            self.ask_listing(now, out);
        }
    }

    /// These are wanted no longer.
    pub(super) fn wanted_no_longer(&mut self, wants: &[Want], now: Ts, out: &mut Vec<Action>) {
        for want in wants {
            let same = |w: &Want| w.instrument.id == want.instrument.id && w.channel == want.channel;
            self.shard.wants.retain(|w| !same(w));
            let Some(at) = self.table.by_id(want.instrument.id) else { continue };
            if want.channel == Channel::Book {
                self.forget_book(at);
            }
            let Some(listed) = self.table.get_mut(at).filter(|l| l.wants(want.channel)) else { continue };
            listed.unwant(want.channel);
            listed.fact(want.channel, LaneFact::Dropped, now, out);
            if let Some(name) = self.streams.remove((at, want.channel)) {
                self.table.drop_route(name.as_bytes());
            }
        }
        if self.open && self.shard.path.is_some() {
            self.subscribe(now, out);
        }
    }
}
