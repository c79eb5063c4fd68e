//! What the venue answers to requests.

use super::KrakenSession;
use super::lanes::Standing;
use crate::parse::Result;
use crate::subscribe::{Answer, Done, Notice, read};
use model::{Channel, LaneFact, Ts};
use source::Action;

/// How soon a subscription that the venue holds already is made anew.
const AGAIN_MS: u64 = 1_000;

impl KrakenSession {
    /// An answer of the spot stream.
    pub(super) fn answer(&mut self, bytes: &[u8], now: Ts, out: &mut Vec<Action>) -> Result<()> {
        let answer: Answer<'_> = read(bytes)?;
        match &*answer.method {
            "subscribe" => {
                out.push(Action::Control("subscribe"));
                match (&answer.result, answer.success) {
                    (Some(done), Some(true) | None) => self.done(&answer, done, now, out),
                    _ => self.not_done(&answer, now, out),
                }
            }
            "unsubscribe" => out.push(Action::Control("unsubscribe")),
            "pong" => out.push(Action::Control("pong")),
            other => self.notes.unknown(b"method", other.as_bytes(), out),
        }
        Ok(())
    }

    fn done(&mut self, answer: &Answer<'_>, done: &Done<'_>, now: Ts, out: &mut Vec<Action>) {
        let symbol = done.symbol.as_deref().unwrap_or_default();
        if let Some(depth) = done.depth.filter(|_| done.channel == "book")
            && let Some(listed) = self.table.place(symbol.as_bytes()).and_then(|at| self.table.get_mut(at))
        {
            listed.book.depth = Some(depth);
        }
        let Some(sub) = self.lanes.named(crate::SPOT, &done.channel, symbol) else { return };
        // An answer to an earlier request says nothing about the last one.
        if answer.req_id.is_none_or(|id| id >= sub.request) {
            self.acked(crate::SPOT, &done.channel, symbol, now, out);
        }
    }

    /// A subscription is acknowledged.
    fn acked(&mut self, endpoint: usize, word: &str, symbol: &str, now: Ts, out: &mut Vec<Action>) {
        let Some(sub) = self.lanes.named(endpoint, word, symbol) else { return };
        let news = sub.standing != Standing::Acked;
        (sub.standing, sub.held, sub.complaint) = (Standing::Acked, true, None);
        if !sub.topic.feed.is_book() {
            (sub.due, sub.tries) = (None, 0);
        }
        for (at, channel) in &sub.lanes {
            let Some(listed) = self.table.get_mut(*at).filter(|_| news) else { continue };
            listed.fact(*channel, LaneFact::Acked, now, out);
            if *channel == Channel::Book && !listed.book.chain.is_live() {
                listed.fact(*channel, LaneFact::Syncing("waiting for a snapshot".into()), now, out);
            }
        }
    }

    /// The venue did not do what was asked: of one symbol, or of all in the request.
    fn not_done(&mut self, answer: &Answer<'_>, now: Ts, out: &mut Vec<Action>) {
        let words = answer.error.as_deref().unwrap_or("refused without a reason");
        let symbol = answer.symbol.as_deref();
        let open =
            |s: &super::lanes::Sub| s.standing == Standing::Asked && s.topic.feed.endpoint() == crate::SPOT;
        let which: Vec<usize> = (0..self.lanes.subs.len())
            .filter(|i| {
                self.lanes.subs.get(*i).is_some_and(|s| {
                    let named = symbol.is_none_or(|symbol| *s.topic.symbol == *symbol);
                    open(s) && named && self.lanes.carried(s, answer.req_id)
                })
            })
            .collect();
        for i in which {
            if words.to_ascii_lowercase().contains("already subscribed") {
                // It goes on under the earlier subscription; a book needs a new one for its snapshot.
                if let Some(sub) = self.lanes.subs.get_mut(i) {
                    (sub.held, sub.due) = (true, Some(now.plus_ms(AGAIN_MS)));
                    self.lanes.pending = true;
                }
            } else {
                self.refuse(i, words, now, out);
            }
        }
    }

    /// A notice of the derivatives or of the retired stream.
    pub(super) fn notice(
        &mut self,
        event: &[u8],
        bytes: &[u8],
        now: Ts,
        out: &mut Vec<Action>,
    ) -> Result<()> {
        let known = match event {
            b"subscribed" => "subscribed",
            b"unsubscribed" => "unsubscribed",
            b"subscribed_failed" => "subscribed_failed",
            b"unsubscribed_failed" => "unsubscribed_failed",
            b"error" => "error",
            b"alert" => "alert",
            b"info" => "info",
            b"pong" => "pong",
            b"heartbeat" => "heartbeat",
            b"systemStatus" => "systemStatus",
            b"subscriptionStatus" => "subscriptionStatus",
            b"challenge" => "challenge",
            other => {
                self.notes.unknown(b"event", other, out);
                return Ok(());
            }
        };
        out.push(Action::Control(known));
        if !matches!(known, "subscribed" | "subscribed_failed" | "error" | "alert") {
            return Ok(());
        }
        let notice: Notice<'_> = read(bytes)?;
        let words = notice.message.as_deref().unwrap_or(known);
        if known == "subscribed" {
            let Some(feed) = &notice.feed else { return Ok(()) };
            for product in &notice.product_ids {
                self.acked(crate::FUTURES, feed, product, now, out);
            }
        } else if known == "subscribed_failed"
            && let Some(feed) = &notice.feed
        {
            for product in &notice.product_ids {
                let same = |s: &super::lanes::Sub| {
                    s.topic.feed.endpoint() == crate::FUTURES
                        && s.topic.feed.word() == *feed
                        && *s.topic.symbol == **product
                };
                if let Some(i) = self.lanes.subs.iter().position(same) {
                    self.refuse(i, words, now, out);
                }
            }
        } else {
            // It names nobody. Whoever is not acknowledged when its time is up was meant.
            for sub in self.lanes.subs.iter_mut().filter(|s| s.standing == Standing::Asked) {
                sub.complaint = Some(words.into());
            }
        }
        Ok(())
    }
}
