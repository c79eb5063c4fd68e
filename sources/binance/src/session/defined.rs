//! What the venue says of instruments while they trade: of contracts by a stream, of spot by its listing, read again.

use super::{Answer, BinanceSession, TAG_LISTING, TIMER_LISTING, head};
use crate::listing;
use crate::product::Product;
use crate::subscribe::is_listed;
use model::{Channel, Instrument, InstrumentKind, LaneFact, Status, Ts};
use source::{Action, Want};
use std::collections::HashSet;
use std::sync::Arc;

/// How often the listing is read, in ms.
const LISTING_MS: u64 = 60_000;

impl BinanceSession {
    /// A definition came from outside.
    pub(super) fn define(&mut self, instrument: &Arc<Instrument>, now: Ts, out: &mut Vec<Action>) {
        let Some(at) = self.table.defined(instrument) else { return };
        let Some(listed) = self.table.get_mut(at) else { return };
        // Who sent it has told it.
        listed.redefine(instrument, None, now, &mut Vec::new());
        if listed.told.status.is_some() {
            listed.tell_status(None, now, out);
        }
    }

    /// Puts in force and tells what the frame at hand says of contracts.
    pub(super) fn contracts_told(&mut self, now: Ts, out: &mut Vec<Action>) {
        for (at, contract, ts) in self.contracts.drain(..) {
            let Some(listed) = self.table.get_mut(at) else { continue };
            let mut made = (*listed.instrument).clone();
            made.status = contract.status;
            if made.kind == InstrumentKind::Future && contract.delivery != made.expiry {
                made.expiry = contract.delivery;
                let [base, quote, settle] = [&made.base, &made.quote, &made.settle].map(Clone::clone);
                made = made.named(&base, &quote, &settle);
            }
            listed.redefine(&made, ts, now, out);
            listed.tell_status(ts, now, out);
        }
    }

    /// Asks for the listing where somebody wants what it alone tells, and sees that it is asked for again.
    pub(super) fn ask_listing(&mut self, now: Ts, out: &mut Vec<Action>) {
        let wanted = self.shard.wants.iter().any(|want| is_listed(want.channel));
        let Some(product) = self.product.filter(|p| self.open && wanted && !p.futures) else { return };
        out.push(Action::Fetch {
            tag: TAG_LISTING,
            path: listing_path(product),
            weight: product.listing_weight,
        });
        out.push(Action::WakeAt { timer: TIMER_LISTING, at: now.plus_ms(LISTING_MS) });
    }

    /// The listing: what is on it no longer will not trade again.
    pub(super) fn listing_answer(&mut self, answer: Answer<'_>, now: Ts, out: &mut Vec<Action>) {
        let Some(product) = self.product else { return };
        let wants: Vec<Want> = self.shard.wants.iter().filter(|w| is_listed(w.channel)).cloned().collect();
        if answer.status != 200 {
            let words = format!("status {} {}", answer.status, head(answer.body));
            for want in &wants {
                if let Some(listed) = self.table.by_id(want.instrument.id).and_then(|at| self.table.get(at)) {
                    listed.fact(want.channel, LaneFact::Syncing(words.as_str().into()), now, out);
                }
            }
            let at = now.plus_ms(answer.retry_ms.unwrap_or(LISTING_MS));
            return out.push(Action::WakeAt { timer: TIMER_LISTING, at });
        }
        let all = match listing::read(product, answer.body) {
            Ok(all) => all,
            Err(fault) => return out.push(Action::Malformed(fault)),
        };
        let mut seen = HashSet::new();
        for made in &all {
            seen.insert(made.id);
            if let Some(listed) =
                self.table.place(product, made.symbol.as_bytes()).and_then(|at| self.table.get_mut(at))
            {
                listed.redefine(made, None, now, out);
            }
        }
        for want in &wants {
            let at = self.table.by_id(want.instrument.id);
            let Some(listed) = at.and_then(|at| self.table.get_mut(at)) else { continue };
            let lane = usize::from(want.channel == Channel::Instruments);
            if let Some(acked) = listed.told.acked.get_mut(lane)
                && !std::mem::replace(acked, true)
            {
                listed.fact(want.channel, LaneFact::Acked, now, out);
            }
            if !seen.contains(&want.instrument.id) {
                let closed = Instrument { status: Status::Closed, ..(*listed.instrument).clone() };
                listed.redefine(&closed, None, now, out);
            }
            if want.channel == Channel::Status {
                listed.tell_status(None, now, out);
            }
        }
    }
}

/// The request for a listing, without what an account may trade, which is the most of it.
fn listing_path(product: &Product) -> String {
    format!("{}/exchangeInfo?showPermissionSets=false", product.rest)
}
