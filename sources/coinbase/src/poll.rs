//! What the venue tells only by REST: bars of most intervals, and the figures of futures. Asked again and again.

use crate::emit::event;
use crate::listing::{self, FUTURES, PERPETUALS, Product, Products, text};
use crate::parse::Result;
use crate::rest::{Candle, bars_path, candles, seconds};
use crate::subscribe::{Route, interval, route};
use crate::{Feed, SPEC, time};
use model::{Body, Channel, Decimal, Funding, Instrument, LaneFact, OpenInterest, Ts};
use source::{Action, Input, Malformed, Options, Session, Shard, Want};
use std::sync::Arc;

/// How often the figures of futures are asked for.
const FIGURES_MS: u64 = 15_000;
/// How often bars are asked for at most,
const BARS_MS: u64 = 10_000;
/// and how much longer for each instrument that has some.
const BARS_EACH_MS: u64 = 500;
/// How long an answer may take before it is asked for again.
const PATIENCE_MS: u64 = 30_000;
/// How long after its end a bar may still change.
const SETTLE_S: i64 = 2;
/// The longest pause after a failure.
const PAUSE_MAX_MS: u64 = 120_000;

/// What one request asks for; its place is its tag and its timer.
enum Poll {
    /// Funding, open interest and index price of all futures that a listing has.
    Figures(&'static str),
    /// The bars of one instrument.
    Bars(Arc<Instrument>, Option<(Candle, bool)>),
}

struct Lane {
    instrument: Arc<Instrument>,
    channel: Channel,
    answered: bool,
    refused: bool,
}

/// A session that only polls.
pub struct PollSession {
    feed: Feed,
    options: Options,
    open: bool,
    lanes: Vec<Lane>,
    polls: Vec<Option<(Poll, u32)>>,
}

impl PollSession {
    /// For a shard without a path.
    pub fn new(shard: &Shard) -> Self {
        let feed = if shard.endpoint == Feed::Exchange.endpoint() { Feed::Exchange } else { Feed::Advanced };
        let options = shard.options.clone();
        let mut made = Self { feed, options, open: false, lanes: Vec::new(), polls: Vec::new() };
        for want in &shard.wants {
            made.add(want);
        }
        made
    }

    /// Adds a want; false where it is there already or cannot be met.
    fn add(&mut self, want: &Want) -> bool {
        let (instrument, channel) = (&want.instrument, want.channel);
        let polled = route(want, &self.options) == Some(Route::Polled) && Feed::of(instrument) == self.feed;
        let known = self.lanes.iter().any(|l| l.instrument.id == instrument.id && l.channel == channel);
        if !polled || known {
            return false;
        }
        let lane = Lane { instrument: Arc::clone(instrument), channel, answered: false, refused: false };
        self.lanes.push(lane);
        let poll = match channel {
            Channel::Bars => Poll::Bars(Arc::clone(instrument), None),
            _ => Poll::Figures(listing_of(instrument)),
        };
        if !self.polls.iter().flatten().any(|(known, _)| known.is(&poll)) {
            match self.polls.iter_mut().find(|p| p.is_none()) {
                Some(free) => *free = Some((poll, 0)),
                None => self.polls.push(Some((poll, 0))),
            }
        }
        true
    }

    fn ask(&mut self, n: usize, now: Ts, out: &mut Vec<Action>) {
        let Some(Some((poll, _))) = self.polls.get(n) else { return };
        let path = match poll {
            Poll::Figures(path) => (*path).to_owned(),
            Poll::Bars(instrument, _) => {
                let Some((length, word)) = interval(self.feed, &self.options.bar_interval) else { return };
                let (length, second) = (length.cast_signed(), seconds(now));
                // The bar before is asked for too: its end may not have been told.
                let from = second.div_euclid(length) * length - length;
                bars_path(self.feed, instrument, &word, from, second)
            }
        };
        out.push(Action::WakeAt { timer: n as u64, at: now.plus_ms(PATIENCE_MS) });
        out.push(Action::Fetch { tag: n as u64, path, weight: 1 });
    }

    /// When to ask again.
    fn period(&self, n: usize) -> u64 {
        let bars = |p: &&(Poll, u32)| matches!(p.0, Poll::Bars(..));
        match self.polls.get(n) {
            Some(Some((Poll::Bars(..), _))) => {
                let count = self.polls.iter().flatten().filter(bars).count() as u64;
                BARS_MS.max(count * BARS_EACH_MS)
            }
            _ => FIGURES_MS,
        }
    }

    fn told(lane: &Lane, fact: LaneFact, now: Ts) -> Action {
        Action::Emit(event(&lane.instrument, lane.channel, None, now, Body::Lane(fact)))
    }

    fn begin(&mut self, now: Ts, out: &mut Vec<Action>) {
        for lane in &mut self.lanes {
            (lane.answered, lane.refused) = (false, false);
        }
        for lane in &self.lanes {
            out.extend(asked(lane.channel).map(|fact| Self::told(lane, fact, now)));
        }
        // Spread over the period, so that the weight is never spent at once.
        for n in 0..self.polls.len() {
            let at = now.plus_ms(n as u64 * 100);
            out.push(Action::WakeAt { timer: n as u64, at });
        }
    }

    fn reply(
        &mut self,
        n: usize,
        status: u16,
        retry_ms: Option<u64>,
        body: &[u8],
        now: Ts,
        out: &mut Vec<Action>,
    ) {
        let period = self.period(n);
        let Some(Some((poll, failed))) = self.polls.get_mut(n) else { return };
        let fine = status == 200;
        let read = match (poll, fine) {
            (_, false) => Ok(()),
            (Poll::Figures(path), true) => figures(&mut self.lanes, path, body, now, out),
            (Poll::Bars(instrument, last), true) => {
                let name = &self.options.bar_interval;
                let length = interval(self.feed, name).map_or(60, |(length, _)| length.cast_signed());
                bars(self.feed, (name, length), instrument, last, body, now, out)
            }
        };
        *failed = if fine && read.is_ok() { 0 } else { *failed + 1 };
        let pause = (period << (*failed).min(4)).min(PAUSE_MAX_MS.max(period)).max(retry_ms.unwrap_or(0));
        match read {
            Ok(()) if fine => self.answered(n, None, now, out),
            Ok(()) if matches!(status, 400..=428 | 430..=499) => {
                let words = format!("{status}: {}", String::from_utf8_lossy(body.get(..200).unwrap_or(body)));
                self.answered(n, Some(&words), now, out);
            }
            Ok(()) => {}
            Err(fault) => out.push(Action::Malformed(fault)),
        }
        out.push(Action::WakeAt { timer: n as u64, at: now.plus_ms(pause) });
    }

    /// Says of the lanes of a poll that the venue answered, or refused in these words, where that is news.
    fn answered(&mut self, n: usize, refused: Option<&str>, now: Ts, out: &mut Vec<Action>) {
        let Some(Some((poll, _))) = self.polls.get(n) else { return };
        let mut facts = Vec::new();
        for lane in self.lanes.iter_mut().filter(|l| poll.feeds(l)) {
            let news = match refused {
                None => !lane.answered,
                Some(_) => !lane.refused,
            };
            (lane.answered, lane.refused) = (refused.is_none(), refused.is_some());
            if news {
                let fact = refused.map_or(LaneFact::Acked, |words| LaneFact::Refused(words.into()));
                facts.push(event(&lane.instrument, lane.channel, None, now, Body::Lane(fact)));
            }
        }
        out.extend(facts.into_iter().map(Action::Emit));
    }

    fn subscribe(&mut self, wants: &[Want], now: Ts, out: &mut Vec<Action>) {
        let before: Vec<bool> = self.polls.iter().map(Option::is_some).collect();
        for want in wants {
            if self.add(want) && self.open {
                let fact = asked(want.channel);
                out.extend(self.lanes.last().zip(fact).map(|(lane, fact)| Self::told(lane, fact, now)));
            }
        }
        let fresh = (0..self.polls.len()).filter(|n| !before.get(*n).copied().unwrap_or(false));
        if self.open {
            out.extend(fresh.map(|n| Action::WakeAt { timer: n as u64, at: now }));
        }
    }

    fn unsubscribe(&mut self, wants: &[Want], now: Ts, out: &mut Vec<Action>) {
        for want in wants {
            let is = |l: &Lane| l.instrument.id == want.instrument.id && l.channel == want.channel;
            if let Some(at) = self.lanes.iter().position(is) {
                let lane = self.lanes.remove(at);
                out.push(Self::told(&lane, LaneFact::Dropped, now));
            }
        }
        let lanes = &self.lanes;
        for place in &mut self.polls {
            if place.as_ref().is_some_and(|(poll, _)| !lanes.iter().any(|l| poll.feeds(l))) {
                *place = None;
            }
        }
    }
}

impl Session for PollSession {
    fn on(&mut self, input: Input<'_>, now: Ts, out: &mut Vec<Action>) {
        match input {
            Input::Open => {
                self.open = true;
                self.begin(now, out);
            }
            Input::Wake { timer } if self.open => {
                if let Ok(n) = usize::try_from(timer) {
                    self.ask(n, now, out);
                }
            }
            Input::Reply { tag: Some(tag), status, retry_ms, body, .. } if self.open => {
                if let Ok(n) = usize::try_from(tag) {
                    self.reply(n, status, retry_ms, body, now, out);
                }
            }
            Input::Define(instrument) => {
                for lane in self.lanes.iter_mut().filter(|l| l.instrument.id == instrument.id) {
                    lane.instrument = Arc::clone(instrument);
                }
            }
            Input::Subscribe(wants) => self.subscribe(wants, now, out),
            Input::Unsubscribe(wants) => self.unsubscribe(wants, now, out),
            Input::Closed => self.open = false,
            Input::Frame { .. } | Input::Reply { .. } | Input::Resync { .. } | Input::Wake { .. } => {}
        }
    }
}

impl Poll {
    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Figures(a), Self::Figures(b)) => a == b,
            (Self::Bars(a, _), Self::Bars(b, _)) => a.id == b.id,
            _ => false,
        }
    }

    fn feeds(&self, lane: &Lane) -> bool {
        match self {
            Self::Figures(path) => lane.channel != Channel::Bars && listing_of(&lane.instrument) == *path,
            Self::Bars(instrument, _) => lane.channel == Channel::Bars && instrument.id == lane.instrument.id,
        }
    }
}

fn asked(channel: Channel) -> Option<LaneFact> {
    SPEC.channel(channel).map(|spec| LaneFact::Asked { proof: spec.proof, quiet_ms: spec.quiet_ms })
}

/// The listing that has the figures of a future.
fn listing_of(instrument: &Instrument) -> &'static str {
    if instrument.symbol.contains("-PERP") { PERPETUALS } else { FUTURES }
}

/// Tells the figures of the futures that are wanted.
fn figures(lanes: &mut [Lane], path: &str, body: &[u8], now: Ts, out: &mut Vec<Action>) -> Result<()> {
    let all: Products<'_> = serde_json::from_slice(body).map_err(|e| listing::fault(body, &e))?;
    for product in &all.products {
        let symbol = text(&product.id);
        for lane in
            lanes.iter().filter(|l| *l.instrument.symbol == *symbol && listing_of(&l.instrument) == path)
        {
            if let Some(body) = figure(product, lane.channel) {
                out.push(Action::Emit(event(&lane.instrument, lane.channel, None, now, body)));
            }
        }
    }
    Ok(())
}

/// One figure of a future, where the venue says it.
fn figure(product: &Product<'_>, channel: Channel) -> Option<Body> {
    let future = product.future_product_details.as_ref()?;
    let inner = future.perpetual_details.as_ref();
    let number = |outer: &str, inner: Option<&str>| {
        let words = if outer.is_empty() { inner.unwrap_or_default() } else { outer };
        Decimal::parse(words.as_bytes()).ok()
    };
    match channel {
        Channel::OpenInterest => {
            let qty = number(text(&future.open_interest), inner.map(|p| text(&p.open_interest)))?;
            Some(Body::OpenInterest(OpenInterest { qty, value: None }))
        }
        Channel::Funding => {
            let rate = number(text(&future.funding_rate), inner.map(|p| text(&p.funding_rate)))?;
            let at = [Some(text(&future.funding_time)), inner.map(|p| text(&p.funding_time))];
            let at = at.into_iter().flatten().find_map(|words| time::parse(words.as_bytes()));
            Some(Body::Funding(Box::new(Funding { rate, at, next_rate: None })))
        }
        Channel::IndexPrice => number(text(&future.index_price), None).map(Body::IndexPrice),
        _ => None,
    }
}

/// Tells what is new in the bars of an answer.
fn bars(
    feed: Feed,
    (name, length): (&str, i64),
    instrument: &Arc<Instrument>,
    last: &mut Option<(Candle, bool)>,
    body: &[u8],
    now: Ts,
    out: &mut Vec<Action>,
) -> std::result::Result<(), Malformed> {
    for candle in candles(feed, body)? {
        let closed = candle.start + length + SETTLE_S <= seconds(now);
        let news = last.is_none_or(|(told, over)| {
            candle.start > told.start || (candle.start == told.start && (candle != told || closed != over))
        });
        if news {
            *last = Some((candle, closed));
            let body = Body::Bar(Box::new(candle.bar(name, closed)));
            out.push(Action::Emit(event(instrument, Channel::Bars, None, now, body)));
        }
    }
    Ok(())
}
