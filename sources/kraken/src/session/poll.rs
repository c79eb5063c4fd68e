//! Bars of the derivatives, which only REST has.

use super::KrakenSession;
use super::data::tell_bar;
use super::lanes::{Standing, pause};
use crate::rest;
use crate::subscribe::{Feed, resolution};
use model::{Channel, LaneFact, Proof, Ts};
use source::Action;

/// How often bars of a minute are asked for; longer ones a quarter as often as they begin, at most.
const POLL_MS: u64 = 15_000;
const POLL_MAX_MS: u64 = 60_000;
/// How long an answer may take.
const ANSWER_MS: u64 = 30_000;
/// The first pause after a failure; it doubles each time.
const FAILED_MS: u64 = 5_000;
/// How many intervals are asked for.
const BARS: i64 = 3;

/// What came back for a request.
#[derive(Clone, Copy)]
pub(super) struct Answer<'a> {
    pub status: u16,
    pub retry_ms: Option<u64>,
    pub body: &'a [u8],
}

impl KrakenSession {
    /// Asks for the newest bars of an instrument.
    pub(super) fn poll(&mut self, i: usize, now: Ts, out: &mut Vec<Action>) {
        let Some(sub) = self.lanes.subs.get_mut(i) else { return };
        let Feed::Candles(minutes) = sub.topic.feed else { return };
        let Some(word) = resolution(minutes) else { return };
        self.lanes.requests += 1;
        sub.request = self.lanes.requests;
        sub.due = Some(now.plus_ms(ANSWER_MS));
        if sub.standing == Standing::New {
            sub.standing = Standing::Asked;
            for (at, channel) in &sub.lanes {
                let Some(listed) = self.table.get(*at) else { continue };
                let fact = LaneFact::Asked { proof: Proof::None, quiet_ms: None };
                listed.fact(*channel, fact, now, out);
            }
        }
        let seconds = now.as_ms() / 1_000;
        let from = seconds - BARS * i64::try_from(minutes * 60).unwrap_or(0);
        let path = rest::candles_path(&sub.topic.symbol, word, from, seconds);
        out.push(Action::Fetch { tag: sub.request, path, weight: 1 });
    }

    /// The answer to a request for bars.
    pub(super) fn polled(&mut self, tag: u64, answer: Answer<'_>, now: Ts, out: &mut Vec<Action>) {
        let found = self.lanes.subs.iter_mut().find(|s| s.topic.feed.is_polled() && s.request == tag);
        let Some(sub) = found else {
            out.push(Action::Control("answer to a request that nobody waits for"));
            return;
        };
        let Feed::Candles(minutes) = sub.topic.feed else { return };
        self.lanes.pending = true;
        if answer.status != 200 {
            sub.tries += 1;
            let wait = pause(FAILED_MS, sub.tries).max(answer.retry_ms.unwrap_or(0));
            sub.due = Some(now.plus_ms(wait));
            out.push(Action::Control("a request failed"));
            return;
        }
        let bars = match rest::candles(answer.body, minutes, now) {
            Ok((bars, _)) => bars,
            Err(fault) => {
                sub.tries += 1;
                sub.due = Some(now.plus_ms(pause(FAILED_MS, sub.tries)));
                out.push(Action::Malformed(fault));
                return;
            }
        };
        (sub.tries, sub.due) = (0, Some(now.plus_ms((minutes * POLL_MS).min(POLL_MAX_MS))));
        let news = sub.standing != Standing::Acked;
        sub.standing = Standing::Acked;
        for (at, channel) in &sub.lanes {
            let Some(listed) = self.table.get_mut(*at) else { continue };
            if news {
                listed.fact(*channel, LaneFact::Acked, now, out);
            }
            for bar in &bars {
                let old = listed.last.closed_bar.is_some_and(|closed| bar.start <= closed);
                let known = listed.last.bar.as_ref() == Some(bar);
                if listed.wants(Channel::Bars) && !old && !known {
                    if bar.closed {
                        // What the venue says of its end is better than what was told last.
                        listed.last.bar = None;
                    }
                    tell_bar(listed, bar.clone(), None, now, out);
                }
            }
        }
    }
}
