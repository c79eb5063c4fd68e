//! Questions on their way: few at a time, answered in order.

use super::rounds::Kind;
use crate::codec::Query;
use model::Ts;
use source::Action;
use std::collections::VecDeque;

/// How many questions may be unanswered.
const FLYING_MAX: usize = 8;
/// How long an answer may take, in ms.
const ANSWER_MS: u64 = 10_000;

/// A question.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub query: Query,
    kind: Option<Kind>,
    seq: u32,
    at: Ts,
}

/// What an answer is to the questions.
#[derive(Debug)]
pub(super) enum Heard {
    /// The answer to this question. Those before it got none.
    Answer(Asked, Vec<Asked>),
    /// To a question that nobody waits for any more.
    Late,
    /// To none that was asked.
    Stranger,
}

/// The questions of a connection.
#[derive(Debug, Default)]
pub(super) struct Line {
    waiting: VecDeque<Asked>,
    flying: VecDeque<Asked>,
    /// Numbers and commands of questions that are not waited for any more: never more than [`FLYING_MAX`] and one of each
    /// kind, as what is not answered is not asked again.
    dropped: Vec<(u32, u16)>,
    seq: u32,
    /// Whether all questions carry [`Query::mark`]. As nothing tells them apart then, one at a time is unanswered.
    marked: bool,
}

impl Line {
    /// To be asked in its turn.
    pub fn ask(&mut self, query: Query, kind: Option<Kind>) {
        self.waiting.push_back(Asked { query, kind, seq: 0, at: Ts(0) });
    }

    /// Whether a question of that kind is not answered yet.
    pub fn asks(&self, kind: Kind) -> bool {
        self.waiting.iter().chain(&self.flying).any(|asked| asked.kind == Some(kind))
    }

    /// Questions of a kind that wait are not asked after all.
    pub fn forget(&mut self, kind: Kind) {
        self.waiting.retain(|asked| asked.kind != Some(kind));
    }

    /// All that was asked is forgotten, and from now on questions carry [`Query::mark`].
    pub fn mark(&mut self) {
        self.waiting.clear();
        while let Some(asked) = self.flying.pop_front() {
            self.drop(&asked);
        }
        self.marked = true;
    }

    fn drop(&mut self, asked: &Asked) {
        self.dropped.push((asked.seq, asked.query.command()));
    }

    /// Sends what may be sent.
    pub fn send(&mut self, now: Ts, out: &mut Vec<Action>) {
        while self.flying.len() < if self.marked { 1 } else { FLYING_MAX } {
            let Some(mut asked) = self.waiting.pop_front() else { return };
            self.seq = self.seq.wrapping_add(1);
            (asked.seq, asked.at) = (if self.marked { asked.query.mark() } else { self.seq }, now);
            // A question that is too long for a frame is none: rounds are cut so that there is no such.
            if let Ok(frame) = asked.query.frame(asked.seq) {
                out.push(Action::Send(frame));
                self.flying.push_back(asked);
            }
        }
    }

    /// What is answered.
    pub fn answered(&mut self, seq: u32, command: u16) -> Heard {
        let named = |asked: &Asked| (asked.seq, asked.query.command()) == (seq, command);
        let Some(at) = self.flying.iter().position(named) else {
            let known = self.dropped.iter().position(|dropped| *dropped == (seq, command));
            return known.map_or(Heard::Stranger, |at| {
                self.dropped.swap_remove(at);
                Heard::Late
            });
        };
        let passed = self.flying.drain(..at).collect();
        self.flying.pop_front().map_or(Heard::Stranger, |asked| Heard::Answer(asked, passed))
    }

    /// The question whose answer is overdue, and for how long it was waited for, in ms. It is not waited for any more.
    pub fn overdue(&mut self, now: Ts) -> Option<(Query, i64)> {
        let due = self.flying.front()?;
        let waited = now.ms_since(due.at);
        let due = if waited >= ANSWER_MS.cast_signed() { self.flying.pop_front()? } else { return None };
        self.drop(&due);
        Some((due.query, waited))
    }

    /// When the next answer will be overdue.
    pub fn overdue_at(&self) -> Option<Ts> {
        self.flying.front().map(|due| due.at.plus_ms(ANSWER_MS))
    }
}
