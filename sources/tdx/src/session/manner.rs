//! What is done where a server does not answer as it did until July 2026.
//!
//! What is known, and from where, stands in the README of this folder. In short: the greeting is that of always; some servers
//! refuse commands, by silence or by a stub of two bytes, until a login that they know; and some answer quotes by another
//! command.

use super::TdxSession;
use super::rounds::Kind;
use crate::codec::Query;
use crate::codec::session::LEVEL;
use model::{Channel, LaneFact, Ts};
use source::{Action, Fault};

/// In which way a server is asked, of all its commands.
#[derive(Debug, Default)]
pub(super) struct Manner {
    /// Whether the login of September 2026 was sent, and requests carry its mark.
    pub changed: bool,
    /// Whether quotes are asked for by `0530`, one by one.
    pub single: bool,
    /// What the server said to the login.
    pub tip: String,
    /// How many questions in a row were not answered in their time.
    pub silences: u8,
    /// What is refused, and in which words.
    refused: Vec<(Kind, String)>,
}

/// How a question was not answered.
#[derive(Clone, Copy, Debug)]
pub(super) enum How {
    /// Not in this time, in ms.
    Late(i64),
    /// Not before the answer to a later one.
    Passed,
    /// By these two bytes.
    Stub([u8; 2]),
}

impl std::fmt::Display for How {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Late(ms) => write!(f, "was not answered for {ms} ms"),
            Self::Passed => f.write_str("is passed over"),
            Self::Stub([a, b]) => write!(f, "is answered by the two bytes {a:02x}{b:02x}"),
        }
    }
}

impl TdxSession {
    /// A question that was not answered: the server is asked in another way, or its lanes are refused, or it is given up.
    pub(super) fn unanswered(&mut self, query: &Query, how: How, now: Ts, out: &mut Vec<Action>) {
        let Some(kind) = Kind::of(query) else { return self.mute(query, how, out) };
        // What was answered before is not refused: the server has a bad time.
        if matches!(how, How::Late(_)) && self.rounds.answered(kind) {
            return self.stale(query, how, out);
        }
        if !self.manner.changed {
            self.line.mark();
            self.rounds.anew();
            self.manner.changed = true;
            self.line.ask(Query::Login(LEVEL.to_vec()), None);
            out.push(Action::Control("a command is refused: the login of September 2026"));
            return;
        }
        if matches!(how, How::Late(_)) {
            self.manner.silences += 1;
            if self.manner.silences > 1 {
                return self.stale(query, how, out);
            }
        }
        self.line.forget(kind);
        if matches!(query, Query::Quotes(_)) && !self.manner.single {
            self.manner.single = true;
            self.rounds.anew_of(kind);
            out.push(Action::Control("053e is refused: quotes by 0530"));
            for stock in self.stocks.iter_mut().filter(|stock| stock.wire.market > 1) {
                for channel in kind.channels() {
                    stock.refuse(
                        *channel,
                        "the server refuses 053e, and how 0530 names Beijing is not known",
                        now,
                        out,
                    );
                }
            }
            return;
        }
        self.refuse(kind, query, how, now, out);
    }

    /// The lanes of a kind are told that the server refuses them.
    fn refuse(&mut self, kind: Kind, query: &Query, how: How, now: Ts, out: &mut Vec<Action>) {
        if !self.rounds.refuse(kind) {
            return;
        }
        let words = format!(
            "{} command {:04x} {how}, before the login of September 2026 and after it{}: another server may \
             answer it (`hosts`)",
            self.called(),
            query.command(),
            self.tip()
        );
        for stock in &self.stocks {
            for channel in kind.channels().iter().filter(|channel| stock.channels.contains(channel)) {
                stock.fact(*channel, LaneFact::Refused(words.as_str().into()), now, out);
            }
        }
        self.manner.refused.push((kind, words));
    }

    /// The words in which a channel is refused on this connection.
    pub(super) fn refusal(&self, channel: Channel) -> Option<LaneFact> {
        let refused = self.manner.refused.iter().find(|(kind, _)| kind.channels().contains(&channel));
        refused.map(|(_, words)| LaneFact::Refused(words.as_str().into()))
    }

    /// One of the session's own questions was not answered.
    fn mute(&mut self, query: &Query, how: How, out: &mut Vec<Action>) {
        let why = match query {
            Query::Hello(_) => format!(
                "the server does not answer the greeting 000d, which servers of all known protocols answer: it {how}; \
                 give another one (`hosts`)"
            ),
            Query::Login(_) => format!(
                "{} refuses commands as they were asked until July 2026, and the login of September 2026 {how}: it \
                 speaks neither of the known protocols; give another one (`hosts`)",
                self.called()
            ),
            _ => format!("command {:04x} {how}", query.command()),
        };
        // Silence takes its time; what is refused at once is not asked again at once.
        let fault = if matches!(how, How::Late(_)) { Fault::Stale } else { Fault::Refused };
        self.close(fault, why, out);
    }

    fn stale(&mut self, query: &Query, how: How, out: &mut Vec<Action>) {
        let why = if self.rounds.answered_any() {
            format!("command {:04x} {how}", query.command())
        } else {
            format!(
                "{} answers the greeting{} and nothing else: command {:04x} {how}; give another one (`hosts`)",
                self.called(),
                self.tip(),
                query.command()
            )
        };
        self.close(Fault::Stale, why, out);
    }

    /// What the server answers is nothing that is known.
    pub(super) fn give_up(&mut self, came: &str, out: &mut Vec<Action>) {
        let why = format!(
            "the server answers the greeting 000d by {came}, which is none of the known protocols; give another \
             one (`hosts`)"
        );
        self.close(Fault::Refused, why, out);
    }

    pub(super) fn close(&mut self, fault: Fault, why: String, out: &mut Vec<Action>) {
        self.open = false;
        out.push(Action::Close { fault, why });
    }

    fn called(&self) -> String {
        if self.server.is_empty() { "the server".to_owned() } else { format!("the server {}", self.server) }
    }

    fn tip(&self) -> String {
        let tip = &self.manner.tip;
        if tip.is_empty() { String::new() } else { format!(" (to which it said {tip:?})") }
    }
}
