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

/// The questions of a connection.
#[derive(Debug, Default)]
pub(super) struct Line {
    waiting: VecDeque<Asked>,
    flying: VecDeque<Asked>,
    seq: u32,
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

    /// Sends what may be sent.
    pub fn send(&mut self, now: Ts, out: &mut Vec<Action>) {
        while self.flying.len() < FLYING_MAX {
            let Some(mut asked) = self.waiting.pop_front() else { return };
            self.seq = self.seq.wrapping_add(1);
            (asked.seq, asked.at) = (self.seq, now);
            // A question that is too long for a frame is none: rounds are cut so that there is no such.
            if let Ok(frame) = asked.query.frame(asked.seq) {
                out.push(Action::Send(frame));
                self.flying.push_back(asked);
            }
        }
    }

    /// The question that is answered; `None` where another one is due.
    pub fn answered(&mut self, seq: u32, command: u16) -> Option<Asked> {
        let due = self.flying.front()?;
        if due.seq != seq || due.query.command() != command {
            return None;
        }
        self.flying.pop_front()
    }

    /// The question whose answer is overdue, and for how long it was waited for, in ms.
    pub fn overdue(&self, now: Ts) -> Option<(&Query, i64)> {
        let due = self.flying.front()?;
        let waited = now.ms_since(due.at);
        (waited >= ANSWER_MS.cast_signed()).then_some((&due.query, waited))
    }

    /// When the next answer will be overdue.
    pub fn overdue_at(&self) -> Option<Ts> {
        self.flying.front().map(|due| due.at.plus_ms(ANSWER_MS))
    }
}
