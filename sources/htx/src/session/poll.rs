//! What the venue tells only by REST, asked from time to time.

use super::HtxSession;
use crate::emit::event;
use crate::listing;
use crate::parse::Result;
use crate::product::{PRODUCTS, Product};
use crate::rows;
use crate::subscribe::polled;
use crate::topic::Kind;
use model::{Body, Channel, LaneFact, Ts};
use source::{Action, Cursor, Malformed, Want, What};

/// How often open interest is asked for, all contracts of a section at once.
const INTEREST_MS: u64 = 15_000;
/// How often ratios are asked for: the venue computes them each five minutes.
const RATIO_MS: u64 = 300_000;
/// How long after one question the next is asked.
const SPACING_MS: u64 = 200;
/// How long an answer may take.
const ANSWER_MS: u64 = 30_000;
/// The first pause after a failure; it doubles each time.
const PAUSE_MS: u64 = 2_000;
const DOUBLINGS_MAX: u32 = 7;

/// An answer to a question.
pub(super) struct Answer<'a> {
    pub tag: Option<u64>,
    pub path: &'a str,
    pub status: u16,
    pub retry_ms: Option<u64>,
    pub body: &'a [u8],
}

/// A question that is asked again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ask {
    /// `swap_open_interest` of a section.
    Interest(Product),
    /// `swap_elite_account_ratio` of the instrument at this place.
    Accounts(usize),
    /// `swap_elite_position_ratio` of the instrument at this place.
    Positions(usize),
}

struct Task {
    ask: Ask,
    /// When to ask next; `None` where it is no longer wanted.
    due: Option<Ts>,
    tries: u32,
    acked: bool,
}

/// All questions of a session.
#[derive(Default)]
pub(super) struct Polls {
    tasks: Vec<Task>,
    asked: Vec<(usize, Channel)>,
}

impl Polls {
    /// Everything is asked now, one after the other.
    pub fn open(&mut self, now: Ts) {
        for (n, task) in self.tasks.iter_mut().enumerate() {
            task.due = Some(now.plus_ms(n as u64 * SPACING_MS));
            (task.tries, task.acked) = (0, false);
        }
        self.asked.clear();
    }

    /// When the next question is due.
    pub fn due(&self) -> Option<Ts> {
        self.tasks.iter().filter_map(|t| t.due).min()
    }

    fn put(&mut self, ask: Ask, now: Ts) {
        match self.tasks.iter_mut().find(|t| t.ask == ask) {
            Some(task) if task.due.is_none() => (task.due, task.acked) = (Some(now), false),
            Some(_) => {}
            None => self.tasks.push(Task { ask, due: Some(now), tries: 0, acked: false }),
        }
    }
}

impl HtxSession {
    /// This is wanted too.
    pub(super) fn poll_too(&mut self, want: &Want, now: Ts, out: &mut Vec<Action>) {
        let Some(product) = polled(want) else { return };
        let at = self.table.put(want.instrument.clone(), product);
        if self.table.get(at).is_some_and(|listed| listed.wants(want.channel)) {
            return;
        }
        self.table.want(at, want.channel, true);
        let asks = match want.channel {
            Channel::OpenInterest => vec![Ask::Interest(product)],
            _ => vec![Ask::Accounts(at), Ask::Positions(at)],
        };
        for ask in asks {
            self.polls.put(ask, now);
        }
        if self.open {
            self.tell_asked(now, out);
            self.lanes.pending = true;
        }
    }

    /// Questions whose lanes are gone are not asked any more.
    pub(super) fn forget_polls(&mut self) {
        let table = &self.table;
        for task in &mut self.polls.tasks {
            let of = |at: usize, channel| table.get(at).is_some_and(|l| l.wants(channel));
            let wanted = match task.ask {
                Ask::Interest(product) => (0..table.len()).any(|at| {
                    table.get(at).is_some_and(|l| l.product == product) && of(at, Channel::OpenInterest)
                }),
                Ask::Accounts(at) | Ask::Positions(at) => of(at, Channel::LongShortRatio),
            };
            if !wanted {
                task.due = None;
            }
        }
        self.polls.asked.retain(|(at, channel)| table.get(*at).is_some_and(|l| l.wants(*channel)));
    }

    fn tell_asked(&mut self, now: Ts, out: &mut Vec<Action>) {
        for at in 0..self.table.len() {
            for channel in [Channel::OpenInterest, Channel::LongShortRatio] {
                let Some(listed) = self.table.get(at).filter(|l| l.wants(channel)) else { continue };
                if self.polls.asked.contains(&(at, channel)) {
                    continue;
                }
                self.polls.asked.push((at, channel));
                if let Some(spec) = crate::SPEC.channel(channel) {
                    let fact = LaneFact::Asked { proof: spec.proof, quiet_ms: spec.quiet_ms };
                    listed.fact(channel, fact, now, out);
                }
            }
        }
    }

    /// Asks what is due.
    pub(super) fn poll(&mut self, now: Ts, out: &mut Vec<Action>) {
        if !self.polling {
            return;
        }
        self.tell_asked(now, out);
        for (n, task) in self.polls.tasks.iter_mut().enumerate() {
            if task.due.is_none_or(|due| due > now) {
                continue;
            }
            task.due = Some(now.plus_ms(ANSWER_MS));
            let path = match task.ask {
                Ask::Interest(Product::Inverse) => "/swap-api/v1/swap_open_interest".to_owned(),
                Ask::Interest(_) => "/linear-swap-api/v1/swap_open_interest?business_type=all".to_owned(),
                Ask::Accounts(at) | Ask::Positions(at) => {
                    let Some(listed) = self.table.get(at) else { continue };
                    let of = if matches!(task.ask, Ask::Accounts(_)) { "account" } else { "position" };
                    let (api, symbol) = (listed.product.api(), &listed.instrument.symbol);
                    format!("{api}/swap_elite_{of}_ratio?contract_code={symbol}&period=5min")
                }
            };
            out.push(Action::Fetch { tag: n as u64, path, weight: 1 });
        }
    }

    /// An answer came.
    pub(super) fn reply(&mut self, answer: &Answer<'_>, now: Ts, out: &mut Vec<Action>) {
        if let Some(product) = listing::listed_by(answer.path) {
            match listing::read(product, answer.body) {
                Ok(all) => all.into_iter().for_each(|made| self.install(made, now, out)),
                Err(fault) => out.push(Action::Malformed(fault)),
            }
            return;
        }
        let task = answer.tag.filter(|_| self.polling).and_then(|tag| usize::try_from(tag).ok());
        let ask = match task {
            Some(n) => self.polls.tasks.get(n).filter(|t| t.due.is_some()).map(|t| t.ask),
            None => self.recorded(answer.path),
        };
        let Some(ask) = ask else {
            out.push(Action::Control("answer to a question that nobody asked"));
            return;
        };
        let failed = task.is_some() && answer.status != 200;
        let read = if failed { Ok(Err(String::new())) } else { self.answer(ask, answer.body, now, out) };
        let fine = match read {
            Ok(Ok(())) => true,
            Ok(Err(words)) => {
                out.push(Action::Control("question without an answer"));
                self.deny(ask, &words, now, out);
                false
            }
            Err(fault) => {
                out.push(Action::Malformed(fault));
                false
            }
        };
        if let Some(n) = task {
            self.again(n, fine, answer.retry_ms, now, out);
        }
    }

    /// What a recorded answer is about.
    fn recorded(&mut self, path: &str) -> Option<Ask> {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let code = query.split('&').find_map(|pair| pair.strip_prefix("contract_code="));
        let place = |session: &mut Self| code.and_then(|code| session.table.place(code.as_bytes()));
        if path.ends_with("/swap_open_interest") {
            PRODUCTS.into_iter().find(|p| !p.spot() && path.contains(p.api())).map(Ask::Interest)
        } else if path.ends_with("/swap_elite_account_ratio") {
            place(self).map(Ask::Accounts)
        } else if path.ends_with("/swap_elite_position_ratio") {
            place(self).map(Ask::Positions)
        } else {
            None
        }
    }

    /// Reads an answer; the venue's words where it refused.
    fn answer(
        &mut self,
        ask: Ask,
        body: &[u8],
        now: Ts,
        out: &mut Vec<Action>,
    ) -> Result<std::result::Result<(), String>> {
        let (mut fine, mut words, mut data, mut ts) = (false, String::new(), None, None);
        let mut c = Cursor::new(body);
        c.object(|c, key| {
            match key {
                b"status" => fine = c.str()? == b"ok",
                b"err_msg" | b"err-msg" => c.utf8()?.clone_into(&mut words),
                b"data" => {
                    data = Some(c.clone());
                    c.skip()?;
                }
                b"ts" => ts = crate::number::ms(c)?,
                _ => {
                    c.skip()?;
                }
            }
            Ok(())
        })?;
        c.end()?;
        if !fine {
            return Ok(Err(words));
        }
        let mut at_data = data.ok_or(Malformed { at: 0, what: What::Missing("data") })?;
        let mark = out.len();
        match ask {
            Ask::Interest(_) => self.notices(Kind::OpenInterest, &mut at_data, now, out)?,
            Ask::Accounts(at) | Ask::Positions(at) => {
                let accounts = matches!(ask, Ask::Accounts(_));
                let of = if accounts { "top_accounts" } else { "top_positions" };
                if let (Some((ts, row)), Some(listed)) = (rows::ratio(&mut at_data, of)?, self.table.get(at))
                {
                    let body = Body::LongShortRatio(Box::new(row));
                    let told = event(&listed.instrument, Channel::LongShortRatio, ts, now, body);
                    out.push(Action::Emit(told));
                }
            }
        }
        if let (Some(ts), Some(ours)) = (ts, out.get_mut(mark..)) {
            super::data::stamp(ours, ts);
        }
        Ok(Ok(()))
    }

    fn lanes_of(&self, ask: Ask) -> Vec<(usize, Channel)> {
        match ask {
            Ask::Interest(product) => (0..self.table.len())
                .filter(|at| {
                    let wants =
                        |l: &super::table::Listed| l.product == product && l.wants(Channel::OpenInterest);
                    self.table.get(*at).is_some_and(wants)
                })
                .map(|at| (at, Channel::OpenInterest))
                .collect(),
            Ask::Accounts(at) | Ask::Positions(at) => vec![(at, Channel::LongShortRatio)],
        }
    }

    fn deny(&self, ask: Ask, words: &str, now: Ts, out: &mut Vec<Action>) {
        if words.is_empty() || !self.polling {
            return;
        }
        for (at, channel) in self.lanes_of(ask) {
            if let Some(listed) = self.table.get(at) {
                listed.fact(channel, LaneFact::Refused(words.into()), now, out);
            }
        }
    }

    /// When a question is asked again.
    fn again(&mut self, n: usize, fine: bool, retry_ms: Option<u64>, now: Ts, out: &mut Vec<Action>) {
        let Some(task) = self.polls.tasks.get_mut(n) else { return };
        let usual = if matches!(task.ask, Ask::Interest(_)) { INTEREST_MS } else { RATIO_MS };
        let pause = if fine { usual } else { PAUSE_MS << task.tries.min(DOUBLINGS_MAX) };
        task.tries = if fine { 0 } else { task.tries + 1 };
        task.due = Some(now.plus_ms(pause.max(retry_ms.unwrap_or(0))));
        let first = fine && !task.acked;
        task.acked |= fine;
        let ask = task.ask;
        self.lanes.pending = true;
        // Two questions feed one lane of ratios; the first answer says that it is fed.
        if first && !matches!(ask, Ask::Positions(_)) {
            for (at, channel) in self.lanes_of(ask) {
                if let Some(listed) = self.table.get(at) {
                    listed.fact(channel, LaneFact::Acked, now, out);
                }
            }
        }
    }
}
