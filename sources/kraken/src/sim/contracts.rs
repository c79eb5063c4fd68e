//! The stream of contracts: requests, acknowledgements, what is pushed.

use super::{KrakenSim, encode};
use crate::listing;
use model::Ts;
use serde_json::Value;
use source::market::Move;
use source::{Peer, SimAction};
use std::sync::Arc;

/// How many trades a snapshot holds.
const TRADES: usize = 100;
/// Feeds of products.
const FEEDS: [&str; 4] = ["book", "trade", "ticker", "ticker_lite"];

impl KrakenSim {
    pub(super) fn contract_request(
        &mut self,
        peer: Peer,
        request: Option<&Value>,
        now: Ts,
        out: &mut Vec<SimAction>,
    ) {
        let text = |key: &str| request.and_then(|r| r.get(key)).and_then(Value::as_str);
        let (event, feed) = (text("event"), text("feed"));
        let known = |feed: &str| FEEDS.contains(&feed) || feed == "heartbeat";
        let fault = match (event, feed) {
            (Some("subscribe" | "unsubscribe"), Some(feed)) if known(feed) => None,
            (Some("subscribe" | "unsubscribe"), _) => Some("Invalid feed"),
            (Some("ping"), _) => return self.peers.send(peer, r#"{"event":"pong"}"#.to_owned(), now, out),
            (Some(_), _) => Some("Invalid event"),
            (None, _) => Some("Json Error"),
        };
        if let Some(words) = fault {
            return self.complain(peer, words, now, out);
        }
        let (begins, feed) = (event == Some("subscribe"), feed.unwrap_or_default());
        let done = if begins { "subscribed" } else { "unsubscribed" };
        if feed == "heartbeat" {
            self.peers.heartbeat(peer, begins);
            let frame = format!(r#"{{"event":"{done}","feed":"heartbeat"}}"#);
            return self.peers.send(peer, frame, now, out);
        }
        let products = request.and_then(|r| r.get("product_ids")).and_then(Value::as_array);
        let Some(products) = products.filter(|all| !all.is_empty()) else {
            return self.complain(peer, "Invalid product id", now, out);
        };
        for product in products.iter().filter_map(Value::as_str) {
            self.contract_subscription(peer, begins, feed, &product.to_uppercase(), now, out);
        }
    }

    fn complain(&mut self, peer: Peer, words: &str, now: Ts, out: &mut Vec<SimAction>) {
        self.peers.send(peer, format!(r#"{{"event":"error","message":"{words}"}}"#), now, out);
    }

    fn contract_subscription(
        &mut self,
        peer: Peer,
        begins: bool,
        feed: &str,
        product: &str,
        now: Ts,
        out: &mut Vec<SimAction>,
    ) {
        let known = if self.tape {
            listing::provisional(product.as_bytes()).is_some()
        } else {
            self.futures.place(product).is_some()
        };
        if !known || (begins && self.refuses()) {
            return self.complain(peer, "Invalid product id", now, out);
        }
        let topic = (feed.to_owned(), product.to_owned());
        let done = if begins { "subscribed" } else { "unsubscribed" };
        let had = self.peers.holds(peer, &topic);
        if begins {
            self.peers.join(peer, &topic, 0);
        } else {
            self.peers.leave(peer, &topic);
        }
        let frame = format!(r#"{{"event":"{done}","feed":"{feed}","product_ids":["{product}"]}}"#);
        self.peers.send(peer, frame, now, out);
        if self.tape {
            let key = super::tape::key(feed, product);
            if begins && !had {
                out.push(SimAction::Joined { peer, key });
            } else if !begins {
                out.push(SimAction::Left { peer, key });
            }
        } else if begins {
            self.contract_snapshot(peer, feed, product, now, out);
        }
    }

    fn contract_snapshot(
        &mut self,
        peer: Peer,
        feed: &str,
        product: &str,
        now: Ts,
        out: &mut Vec<SimAction>,
    ) {
        let Some(at) = self.futures.place(product) else { return };
        let (Some(one), Some(state)) = (self.futures.listed(at), self.futures.states.get(at)) else { return };
        let frame = match feed {
            "book" => {
                let view = self.futures.view(at, usize::MAX);
                encode::book_snapshot(&one.instrument, &view, state.seq, now)
            }
            "trade" => {
                let some: Vec<_> = state.trades.iter().rev().take(TRADES).copied().collect();
                encode::prints(&one.instrument, &some)
            }
            _ => encode::statistics(one, feed == "ticker_lite", now),
        };
        self.peers.send(peer, frame, now, out);
    }

    /// One move of a contract at its time: a frame for each level, and one for a trade.
    pub(super) fn contract_moved(&mut self, now: Ts, out: &mut Vec<SimAction>) {
        let Some(step) = self.futures.step(now) else { return };
        let Some(instrument) = self.futures.instrument(step.at).map(Arc::clone) else { return };
        let symbol = &*instrument.symbol;
        for change in &step.moves {
            if let Move::Level(side, level) = *change {
                let Some(state) = self.futures.states.get_mut(step.at) else { return };
                state.seq += 1;
                let seq = state.seq;
                let frame = || encode::change(&instrument, side, level, seq, now);
                self.peers.push((true, "book", symbol), frame, now, out);
            }
        }
        if let Some(print) = step.print {
            let frame = || encode::print(&instrument, &print);
            self.peers.push((true, "trade", symbol), frame, now, out);
        }
    }

    /// Tickers of all contracts, each second.
    pub(super) fn tell_statistics(&mut self, now: Ts, out: &mut Vec<SimAction>) {
        for at in 0..self.futures.states.len() {
            let Some(one) = self.futures.listed(at) else { continue };
            for (feed, lite) in [("ticker", false), ("ticker_lite", true)] {
                let frame = || encode::statistics(one, lite, now);
                self.peers.push((true, feed, &one.instrument.symbol), frame, now, out);
            }
        }
    }
}
