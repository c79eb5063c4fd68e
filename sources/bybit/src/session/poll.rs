//! What is asked for by REST from time to time: ratios of longs to shorts, and definitions for their status.

use super::BybitSession;
use crate::listing;
use crate::product::Product;
use model::{Body, Channel, Decimal, Instrument, LaneFact, LongShortRatio, Ts};
use serde::Deserialize;
use source::{Action, Malformed, What};
use std::borrow::Cow;

/// How often a ratio is asked for; the venue counts one every 5 minutes.
const RATIO_MS: u64 = 60_000;
/// How often definitions are asked for.
const LISTING_MS: u64 = 300_000;
/// How long an answer may take before the question is asked again.
const ANSWER_MS: u64 = 30_000;
/// How far apart the first questions are.
const APART_MS: u64 = 50;
/// How long to wait after an error that the venue did not say more about.
const ERROR_MS: u64 = 20_000;

/// What a question is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum About {
    Ratio,
    Listing,
}

struct Poll {
    about: About,
    path: Box<str>,
    lanes: Vec<(usize, Channel)>,
    due: Option<Ts>,
    tag: u64,
    /// The lanes that were told that they were asked for, and that they are answered.
    asked: Vec<(usize, Channel)>,
    acked: Vec<(usize, Channel)>,
    /// The newest answer was of this time.
    newest: Option<Ts>,
}

/// All questions of a session.
#[derive(Default)]
pub(super) struct Polls {
    all: Vec<Poll>,
    tags: u64,
}

impl Polls {
    pub fn add(&mut self, at: usize, channel: Channel, instrument: &Instrument) {
        let product = &instrument.product;
        let (about, path) = if channel == Channel::LongShortRatio {
            let symbol = &instrument.symbol;
            let query = format!("category={product}&symbol={symbol}&period=5min&limit=1");
            (About::Ratio, format!("/v5/market/account-ratio?{query}"))
        } else if Product::of(instrument) == Some(Product::Option) {
            (About::Listing, crate::listing_path(Product::Option, instrument.symbol.split('-').next()))
        } else {
            (About::Listing, crate::listing_path(Product::of(instrument).unwrap_or(Product::Spot), None))
        };
        let lane = (at, channel);
        if let Some(poll) = self.all.iter_mut().find(|p| *p.path == *path) {
            poll.lanes.push(lane);
            return;
        }
        self.all.push(Poll {
            about,
            path: path.into(),
            lanes: vec![lane],
            due: None,
            tag: 0,
            asked: Vec::new(),
            acked: Vec::new(),
            newest: None,
        });
    }

    pub fn remove(&mut self, lane: (usize, Channel)) {
        for poll in &mut self.all {
            for lanes in [&mut poll.lanes, &mut poll.asked, &mut poll.acked] {
                lanes.retain(|l| *l != lane);
            }
        }
        self.all.retain(|poll| !poll.lanes.is_empty());
    }

    pub fn reset(&mut self) {
        for poll in &mut self.all {
            (poll.due, poll.newest) = (None, None);
            poll.asked.clear();
            poll.acked.clear();
        }
    }

    /// Makes due what is not, and what has a lane that was never asked for.
    pub fn begin(&mut self, now: Ts) {
        let mut at = now;
        for poll in &mut self.all {
            if poll.due.is_none() || poll.asked.len() < poll.lanes.len() {
                poll.due = Some(at);
                // A lane that came later is told what the others know.
                poll.newest = None;
                at = at.plus_ms(APART_MS);
            }
        }
    }

    pub fn next(&self) -> Option<Ts> {
        self.all.iter().filter_map(|p| p.due).min()
    }
}

/// What came back for a request.
#[derive(Clone, Copy)]
pub(super) struct Answer<'a> {
    pub status: u16,
    pub retry_ms: Option<u64>,
    pub body: &'a [u8],
}

/// `{"list":[{"symbol":"BTCUSDT","buyRatio":"0.5777","sellRatio":"0.4223","timestamp":"1760000000000"}],"nextPageCursor":""}`
#[derive(Deserialize)]
struct Ratios<'a> {
    #[serde(borrow)]
    list: Vec<Ratio<'a>>,
}

#[derive(Deserialize)]
struct Ratio<'a> {
    #[serde(borrow)]
    symbol: Cow<'a, str>,
    #[serde(borrow, rename = "buyRatio")]
    buy: Cow<'a, str>,
    #[serde(borrow, rename = "sellRatio")]
    sell: Cow<'a, str>,
    #[serde(borrow)]
    timestamp: Cow<'a, str>,
}

/// Symbol, time and ratio of the rows of an answer, newest first.
fn ratios(body: &[u8]) -> Result<Vec<(String, Ts, LongShortRatio)>, Malformed> {
    let read: Ratios<'_> = listing::result(body)?;
    let wrong = Malformed { at: 0, what: What::Expected("a ratio") };
    let row = |row: &Ratio<'_>| {
        let share = |text: &str| Decimal::parse(text.as_bytes()).ok();
        let ratio = LongShortRatio {
            of: "accounts".into(),
            interval: "5m".into(),
            ratio: None,
            long: Some(share(&row.buy)?),
            short: Some(share(&row.sell)?),
        };
        Some((row.symbol.to_string(), Ts::from_ms(row.timestamp.parse().ok()?), ratio))
    };
    read.list.iter().map(row).collect::<Option<Vec<_>>>().ok_or(wrong)
}

impl BybitSession {
    /// Asks for what is due.
    pub(super) fn poll(&mut self, now: Ts, out: &mut Vec<Action>) {
        let polls = &mut self.lanes.polls;
        for poll in polls.all.iter_mut().filter(|p| p.due.is_some_and(|due| due <= now)) {
            polls.tags += 1;
            poll.tag = polls.tags;
            poll.due = Some(now.plus_ms(ANSWER_MS));
            for lane in &poll.lanes {
                if poll.asked.contains(lane) {
                    continue;
                }
                poll.asked.push(*lane);
                if let (Some(listed), Some(spec)) = (self.table.get(lane.0), crate::SPEC.channel(lane.1)) {
                    let fact = LaneFact::Asked { proof: spec.proof, quiet_ms: spec.quiet_ms };
                    listed.fact(lane.1, fact, now, out);
                }
            }
            out.push(Action::Fetch { tag: poll.tag, path: poll.path.to_string(), weight: 1 });
        }
    }

    /// An answer came, in a recording without a tag.
    pub(super) fn reply(
        &mut self,
        tag: Option<u64>,
        path: &str,
        answer: Answer<'_>,
        now: Ts,
        out: &mut Vec<Action>,
    ) {
        let place = tag.and_then(|tag| self.lanes.polls.all.iter().position(|p| p.tag == tag));
        let about = match place.and_then(|place| self.lanes.polls.all.get(place)) {
            Some(poll) => poll.about,
            None if tag.is_none() && listing::is_listing(path) => About::Listing,
            None if tag.is_none() && path.contains("/v5/market/account-ratio") => About::Ratio,
            None => {
                out.push(Action::Control("an answer that nobody waits for"));
                return;
            }
        };
        if tag.is_some() && answer.status != 200 {
            self.wait(place, answer.retry_ms.unwrap_or(0).max(ERROR_MS), now);
            out.push(Action::Control("a question that was not answered"));
            return;
        }
        let read = match about {
            About::Ratio => self.ratio(place, path, answer.body, now, out),
            About::Listing => self.definitions(place, answer.body, now, out),
        };
        if let Err(fault) = read {
            out.push(Action::Malformed(fault));
            self.wait(place, ERROR_MS, now);
        }
    }

    fn wait(&mut self, place: Option<usize>, ms: u64, now: Ts) {
        if let Some(poll) = place.and_then(|place| self.lanes.polls.all.get_mut(place)) {
            poll.due = Some(now.plus_ms(ms));
            self.lanes.pending = true;
        }
    }

    /// Says of the lanes of a question that they are answered.
    fn answered(&mut self, place: Option<usize>, ms: u64, now: Ts, out: &mut Vec<Action>) {
        self.wait(place, ms, now);
        let Some(poll) = place.and_then(|place| self.lanes.polls.all.get_mut(place)) else { return };
        for lane in &poll.lanes {
            if poll.asked.contains(lane) && !poll.acked.contains(lane) {
                poll.acked.push(*lane);
                if let Some(listed) = self.table.get(lane.0) {
                    listed.fact(lane.1, LaneFact::Acked, now, out);
                }
            }
        }
    }

    fn ratio(
        &mut self,
        place: Option<usize>,
        path: &str,
        body: &[u8],
        now: Ts,
        out: &mut Vec<Action>,
    ) -> Result<(), Malformed> {
        let mut rows = ratios(body)?;
        rows.reverse();
        self.answered(place, RATIO_MS, now, out);
        let product = self.product.or_else(|| {
            let word = path.split(['?', '&']).find_map(|part| part.strip_prefix("category="));
            word.and_then(Product::named)
        });
        for (symbol, ts, ratio) in rows {
            let product =
                crate::parse::product_of(product, symbol.as_bytes(), &crate::parse::Head::default());
            let Some(at) = self.table.place(product, symbol.as_bytes()) else { continue };
            if let Some(poll) = place.and_then(|place| self.lanes.polls.all.get_mut(place)) {
                if poll.newest.is_some_and(|newest| newest >= ts) {
                    continue;
                }
                poll.newest = Some(ts);
            }
            let Some(listed) = self.table.get(at).filter(|l| l.wants(Channel::LongShortRatio)) else {
                continue;
            };
            let body = Body::LongShortRatio(Box::new(ratio));
            listed.emit(Channel::LongShortRatio, Some(ts), now, body, out);
        }
        Ok(())
    }

    fn definitions(
        &mut self,
        place: Option<usize>,
        body: &[u8],
        now: Ts,
        out: &mut Vec<Action>,
    ) -> Result<(), Malformed> {
        let all = listing::read(body)?;
        self.answered(place, LISTING_MS, now, out);
        let first = place.and_then(|place| self.lanes.polls.all.get_mut(place)).is_some_and(|poll| {
            let first = poll.newest.is_none();
            poll.newest = Some(now);
            first
        });
        for made in all {
            let Some(product) = Product::of(&made) else { continue };
            let Some(at) = self.table.place(product, made.symbol.as_bytes()) else { continue };
            let Some(listed) = self.table.get_mut(at) else { continue };
            let news = *listed.instrument != made;
            let status = listed.instrument.status != made.status;
            if news {
                listed.redefine(made.into());
                if listed.wants(Channel::Instruments) {
                    listed.emit(Channel::Instruments, None, now, Body::Instrument, out);
                }
            }
            if (first || status) && listed.wants(Channel::Status) {
                let body = Body::Status(listed.instrument.status.clone());
                listed.emit(Channel::Status, None, now, body, out);
            }
        }
        Ok(())
    }
}
