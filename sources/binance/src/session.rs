//! Our end of one connection: a match over [`Input`].

mod books;
mod copies;
mod defined;
mod frames;
mod look;
mod poll;
mod quiet;
mod resolve;
mod wants;

use crate::cold::Contract;
use crate::odd::Odd;
use crate::parse::Sides;
use crate::product::{PRODUCTS, Product};
use crate::route::by_url;
use crate::subscribe::{self, Subscriptions};
use crate::table::{Request, Table, Told};
use books::{Change, Snapshots};
pub(crate) use look::Look;
use model::{Channel, Event, GapCause, LaneFact, Ts};
use poll::Polls;
pub use quiet::Quiet;
use source::{Action, Input, Malformed, Mark, Session, Shard, What};

/// Subscriptions that are to be tried again.
const TIMER_SUBSCRIBE: u64 = 0;
/// The next question of the first poll; those of the others follow.
const TIMER_POLL: u64 = 1;
/// The listing, where the venue tells of instruments by it alone.
const TIMER_LISTING: u64 = 8;
/// A book: this and the place of the instrument.
const TIMER_BOOK: u64 = 16;
/// Set in the tags of the first poll, the bits above it in those of the others; else a tag is the place of a book's
/// instrument.
const TAG_POLL: u64 = 1 << 31;
/// The tag of requests for the listing.
const TAG_LISTING: u64 = 1 << 48;
/// How long after a refusal the next try is made, in ms; doubled with each.
const REFUSED_MS: u64 = 5_000;
/// The longest wait between two tries, in ms.
const REFUSED_MS_MAX: u64 = 300_000;
/// Our end of one connection.
pub struct BinanceSession {
    shard: Shard,
    /// The section; `None` in a recording whose address does not tell.
    product: Option<&'static Product>,
    /// The section that frames of a recording showed last.
    guess: Option<&'static Product>,
    /// False in a recording: nothing is asked, whatever comes is read.
    wanting: bool,
    open: bool,
    table: Table,
    streams: Subscriptions,
    /// The stream of frames that name none, where the address named one.
    raw_stream: Vec<u8>,
    odd: Odd,
    sides: Sides,
    /// What a frame holds, until its end was read.
    made: Vec<Event>,
    /// What a frame says of contracts, by their places and with its time, until its end was read.
    contracts: Vec<(usize, Contract, Option<Ts>)>,
    /// The change of a book that a frame holds, until its end was read; the levels are in `sides`.
    change: Option<Change>,
    /// The frame at hand says that the connection will end.
    leaving: bool,
    snapshots: Snapshots,
    polls: Polls,
}

/// What came back for a request.
#[derive(Clone, Copy)]
struct Answer<'a> {
    status: u16,
    retry_ms: Option<u64>,
    body: &'a [u8],
}

impl BinanceSession {
    /// A session for a shard; reads whatever comes where the shard wants nothing.
    pub fn new(shard: &Shard) -> Self {
        let wanting = !shard.wants.is_empty();
        let url = shard.path.as_deref().unwrap_or_default();
        let product = if wanting { PRODUCTS.get(shard.endpoint) } else { by_url(url) };
        let raw = url.split_once("/ws/").map_or("", |(_, names)| names.split('?').next().unwrap_or_default());
        let raw_stream = if raw.contains('/') { "" } else { raw };
        let mut session = Self {
            shard: shard.clone(),
            product,
            guess: None,
            wanting,
            open: false,
            table: Table::new(!wanting),
            streams: Subscriptions::default(),
            raw_stream: raw_stream.as_bytes().to_vec(),
            odd: Odd::default(),
            sides: Sides::default(),
            made: Vec::new(),
            contracts: Vec::new(),
            change: None,
            leaving: false,
            snapshots: Snapshots::default(),
            polls: Polls::default(),
        };
        for want in &shard.wants {
            session.want(want);
        }
        session
    }
}

impl Session for BinanceSession {
    fn on(&mut self, input: Input<'_>, now: Ts, out: &mut Vec<Action>) {
        match input {
            Input::Frame { bytes, binary: false } => self.frame(bytes, now, out),
            Input::Frame { bytes, binary: true } => {
                let fault = Malformed { at: 0, what: What::Expected("a text frame") };
                self.unreadable(bytes, fault, now, out);
            }
            Input::Open => self.opened(now, out),
            Input::Reply { tag, path, status, retry_ms, body } => {
                self.reply(tag, path, Answer { status, retry_ms, body }, now, out);
                self.odd.tell(out);
            }
            Input::Wake { timer: TIMER_SUBSCRIBE } => self.subscribe(now, out),
            Input::Wake { timer: TIMER_LISTING } => self.ask_listing(now, out),
            Input::Wake { timer } => match timer.checked_sub(TIMER_BOOK) {
                Some(at) => self.book_timer(at as usize, now, out),
                None => self.poll((timer - TIMER_POLL) as usize, now, out),
            },
            Input::Resync { instrument, channel: Channel::Book } => {
                let wanted = |at: &usize| self.table.get(*at).is_some_and(|l| l.wants(Channel::Book));
                if let Some(at) = self.table.by_id(instrument).filter(wanted) {
                    self.start_over(at, "the book was found wrong and begins anew", now, out);
                }
            }
            Input::Define(instrument) => self.define(instrument, now, out),
            Input::Resync { .. } => {}
            Input::Subscribe(wants) => self.wanted_too(wants, now, out),
            Input::Unsubscribe(wants) => self.wanted_no_longer(wants, now, out),
            Input::Closed => self.closed(now, out),
        }
    }

    fn pass_over(
        &mut self,
        frame: &[u8],
        binary: bool,
        _now: Ts,
        told: &mut dyn FnMut(Mark) -> bool,
    ) -> bool {
        !binary && self.copied(frame, told).is_some()
    }
}

impl BinanceSession {
    fn opened(&mut self, now: Ts, out: &mut Vec<Action>) {
        if self.open {
            self.closed(now, out);
        }
        self.open = true;
        if !self.wanting {
            return;
        }
        for n in 0..self.shard.wants.len() {
            let Some(want) = self.shard.wants.get(n) else { continue };
            let channel = want.channel;
            if let Some(at) = self.table.by_id(want.instrument.id) {
                self.begin(at, channel, now, out);
            }
        }
        if self.shard.path.is_none() {
            self.polls = Polls::default();
            self.poll_all(now, out);
            self.ask_listing(now, out);
        } else {
            self.streams.begin();
            self.subscribe(now, out);
        }
    }

    fn closed(&mut self, now: Ts, out: &mut Vec<Action>) {
        self.open = false;
        self.streams.end();
        self.snapshots = Snapshots::default();
        for listed in self.table.all_mut() {
            listed.gap(GapCause::Disconnected, None, now, out);
            listed.held = None;
            listed.last_ids = [None; 2];
            listed.told = Told::default();
            listed.quiet = Quiet::default();
            listed.request = Request::default();
        }
    }

    /// Asks for what is not subscribed yet.
    fn subscribe(&mut self, now: Ts, out: &mut Vec<Action>) {
        if !self.open {
            return;
        }
        out.extend(self.streams.frames(now).into_iter().map(Action::Send));
        if self.streams.is_waiting() {
            out.push(Action::WakeAt { timer: TIMER_SUBSCRIBE, at: now.plus_ms(subscribe::ANSWER_MS) });
        }
    }

    /// The venue answered a subscription frame: with a code and words where it said no.
    fn answered(&mut self, id: u64, refusal: Option<(i64, &str)>, now: Ts, out: &mut Vec<Action>) {
        let batch = self.streams.answered(id, refusal.is_none());
        for at in &batch {
            let lanes = self.streams.streams().get(*at).map(|s| s.lanes.as_slice()).unwrap_or_default();
            for (place, channel) in lanes {
                let Some(listed) = self.table.get_mut(*place) else { continue };
                match refusal {
                    None => listed.acked(*channel, now, out),
                    Some((code, words)) => {
                        let fact = LaneFact::Refused(format!("{words} (code {code})").into());
                        listed.fact(*channel, fact, now, out);
                    }
                }
                if *channel == Channel::Book && refusal.is_none() && listed.is_untimed() {
                    books::arm(*place, now, out);
                }
            }
        }
        if refusal.is_some() && !batch.is_empty() {
            let wait = REFUSED_MS << self.streams.refusals.min(8);
            self.streams.again(&batch);
            out.push(Action::WakeAt { timer: TIMER_SUBSCRIBE, at: now.plus_ms(wait.min(REFUSED_MS_MAX)) });
        } else if refusal.is_none() {
            self.streams.refusals = 0;
        }
    }

    fn reply(&mut self, tag: Option<u64>, path: &str, answer: Answer<'_>, now: Ts, out: &mut Vec<Action>) {
        match tag {
            Some(TAG_LISTING) => self.listing_answer(answer, now, out),
            Some(tag) if self.poll_reply(tag, answer, now, out) => {}
            Some(tag) => self.snapshot_answer(tag as usize, answer, now, out),
            None if path.is_empty() || path.contains("/depth") => self.found_snapshot(path, answer, now, out),
            None if self.poll_found(path, answer, now, out) => {}
            None => out.push(Action::Control("answer_not_used")),
        }
    }

    /// The place of the symbol in a recorded URL; of a pair it is that of its perpetual.
    fn place_of(&mut self, url: &str) -> Option<usize> {
        let named = |key| url.split(['?', '&']).find_map(|part| part.strip_prefix(key));
        let perpetual = || named("pair=").map(|pair| format!("{pair}_PERP"));
        let symbol = named("symbol=").map(str::to_owned).or_else(perpetual)?;
        let product = by_url(url).or_else(|| PRODUCTS.iter().find(|p| url.contains(p.rest)));
        let futures = || url.contains("/futures/").then(|| Product::of_futures(symbol.as_bytes(), None));
        let product = product.or(self.product).or_else(futures).unwrap_or_else(Product::spot);
        self.table.place(product, symbol.as_bytes())
    }
}

/// The beginning of an answer, for people.
fn head(body: &[u8]) -> String {
    crate::odd::words(body.get(..body.len().min(80)).unwrap_or_default())
}

#[cfg(test)]
mod tests;
