//! What the venue tells only by REST, asked for an instrument after the other: open interest, and how longs stand to shorts.

use super::{Answer, BinanceSession, TAG_POLL, TIMER_POLL, head};
use crate::cold::Told;
use crate::odd::Odd;
use crate::parse::Result;
use crate::product::Product;
use crate::{cold, listing};
use model::{Channel, LaneFact, Ts};
use source::{Action, Want};
use std::collections::BTreeMap;

/// What is asked for again and again.
struct Question {
    channel: Channel,
    /// The request for a symbol.
    path: fn(&Product, &str) -> String,
    /// What all addresses of such requests hold, in recordings too.
    marks: &'static [&'static str],
    /// Reads an answer, oldest first.
    read: fn(&[u8], &mut Odd) -> Result<Vec<Told>>,
    /// How often an instrument is asked for at most, in ms.
    every_ms: u64,
    /// The shortest time between two questions, in ms.
    step_ms: u64,
    /// How often the venue counts anew, in ms; its older values are passed over. `None` where each answer is news.
    news_ms: Option<u64>,
}

/// Their timers begin at [`TIMER_POLL`], their tags at [`TAG_POLL`].
const QUESTIONS: [Question; 2] = [
    Question {
        channel: Channel::OpenInterest,
        path: |product, symbol| format!("{}/openInterest?symbol={}", product.rest, listing::encoded(symbol)),
        marks: &["/openInterest?"],
        read: |body, odd| cold::open_interest(body, odd).map(|(seen, body)| vec![(seen.ts, body)]),
        every_ms: 15_000,
        // A quarter of the weight.
        step_ms: 120,
        news_ms: None,
    },
    Question {
        channel: Channel::LongShortRatio,
        path: |product, symbol| {
            let (key, name) = match symbol.split_once('_') {
                Some((pair, _)) if product.inverse => ("pair", pair),
                _ => ("symbol", symbol),
            };
            let name = listing::encoded(name);
            format!("/futures/data/globalLongShortAccountRatio?{key}={name}&period=5m&limit=1")
        },
        marks: &["/globalLongShortAccountRatio?", "period=5m"],
        read: cold::ratios,
        every_ms: 60_000,
        // USD-M answers 1000 such requests in 5 minutes.
        step_ms: 400,
        news_ms: Some(300_000),
    },
];

/// How far the questions are.
#[derive(Default)]
pub(super) struct Polls {
    /// Whose turn it is, by question; `None` while nobody wants any and no timer runs.
    turns: [Option<usize>; QUESTIONS.len()],
    /// The newest time told, by the place of the instrument; of values that the venue counts from time to time.
    newest: BTreeMap<usize, Ts>,
}

impl BinanceSession {
    /// Asks what is wanted and not asked yet.
    pub(super) fn poll_all(&mut self, now: Ts, out: &mut Vec<Action>) {
        for which in 0..QUESTIONS.len() {
            if self.polls.turns.get(which) == Some(&None) {
                self.poll(which, now, out);
            }
        }
    }

    /// Asks for the next instrument.
    pub(super) fn poll(&mut self, which: usize, now: Ts, out: &mut Vec<Action>) {
        let (Some(question), Some(turn)) = (QUESTIONS.get(which), self.polls.turns.get_mut(which)) else {
            return;
        };
        let wants = self.shard.wants.iter().filter(|want| want.channel == question.channel);
        let number = wants.clone().count();
        if !self.open || number == 0 {
            *turn = None;
            return;
        }
        let next = turn.unwrap_or(0) % number;
        *turn = Some(next + 1);
        let at = wants.clone().nth(next).and_then(|want| self.table.by_id(want.instrument.id));
        if let Some((at, listed)) = at.and_then(|at| Some((at, self.table.get(at)?))) {
            let path = (question.path)(listed.product, &listed.instrument.symbol);
            out.push(Action::Fetch { tag: TAG_POLL << which | at as u64, path, weight: 1 });
        }
        let at = now.plus_ms(question.pause_ms(number));
        out.push(Action::WakeAt { timer: TIMER_POLL + which as u64, at });
    }

    /// A lane begins: gives how long it may be quiet, in ms, where it is asked for by REST, and forgets what it told.
    pub(super) fn poll_begins(&mut self, at: usize, channel: Channel) -> Option<u32> {
        let question = QUESTIONS.iter().find(|question| question.channel == channel)?;
        if question.news_ms.is_some() {
            self.polls.newest.remove(&at);
        }
        let number = self.shard.wants.iter().filter(|want: &&Want| want.channel == channel).count();
        let round_ms = question.pause_ms(number) * number as u64;
        // One in two may fail.
        u32::try_from((question.news_ms.unwrap_or(0) + round_ms) * 2).ok()
    }

    /// The answer to a question of that tag; false where it is to none.
    pub(super) fn poll_reply(
        &mut self,
        tag: u64,
        answer: Answer<'_>,
        now: Ts,
        out: &mut Vec<Action>,
    ) -> bool {
        let which = (0..QUESTIONS.len()).find(|which| tag & (TAG_POLL << which) != 0);
        if let Some(which) = which {
            self.poll_told(which, (tag & (TAG_POLL - 1)) as usize, answer, now, out);
        }
        which.is_some()
    }

    /// A recorded answer; false where it is to no question of ours.
    pub(super) fn poll_found(
        &mut self,
        url: &str,
        answer: Answer<'_>,
        now: Ts,
        out: &mut Vec<Action>,
    ) -> bool {
        let which = QUESTIONS.iter().position(|q| q.marks.iter().all(|mark| url.contains(mark)));
        if let Some(which) = which
            && let Some(at) = self.place_of(url)
        {
            self.poll_told(which, at, answer, now, out);
        }
        which.is_some()
    }

    fn poll_told(&mut self, which: usize, at: usize, answer: Answer<'_>, now: Ts, out: &mut Vec<Action>) {
        let (Some(question), Some(listed)) = (QUESTIONS.get(which), self.table.get(at)) else { return };
        let channel = question.channel;
        if !listed.wants(channel) {
            return out.push(Action::Control("answer_not_used"));
        }
        if answer.status != 200 {
            let words = format!("status {} {}", answer.status, head(answer.body)).into();
            let fact = if answer.status == 400 { LaneFact::Refused(words) } else { LaneFact::Syncing(words) };
            listed.fact(channel, fact, now, out);
            let pause = answer.retry_ms.unwrap_or(if answer.status == 400 { 0 } else { question.every_ms });
            if self.wanting && pause > 0 {
                out.push(Action::WakeAt { timer: TIMER_POLL + which as u64, at: now.plus_ms(pause) });
            }
            return;
        }
        let told = match (question.read)(answer.body, &mut self.odd) {
            Ok(told) => told,
            Err(fault) => return out.push(Action::Malformed(fault)),
        };
        if self.wanting {
            listed.fact(channel, LaneFact::Acked, now, out);
        }
        for (ts, body) in told {
            if question.news_ms.is_some() {
                let newest = self.polls.newest.entry(at).or_insert(Ts(i64::MIN));
                match ts {
                    Some(ts) if ts > *newest => *newest = ts,
                    _ => continue,
                }
            }
            listed.emit(channel, ts, now, body, out);
        }
    }
}

impl Question {
    /// The time between two questions where so many instruments are wanted, in ms.
    fn pause_ms(&self, number: usize) -> u64 {
        (self.every_ms / number.max(1) as u64).max(self.step_ms)
    }
}
