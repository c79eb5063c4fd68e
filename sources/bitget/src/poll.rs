//! What the venue tells only by REST, asked for from time to time: how longs stand to shorts, and whether instruments
//! trade.

use crate::emit::{Notes, Sink, event};
use crate::listing;
use crate::product::{PRODUCTS, Product};
use crate::rows;
use model::{Body, Channel, Instrument, LaneFact, Status, Ts};
use source::{Action, Input, Malformed, Session, Shard, Want};
use std::sync::Arc;

/// How often a ratio is asked for; the venue counts over five minutes.
const RATIO_MS: u64 = 300_000;
/// What a ratio costs: the venue answers one such request a second.
const RATIO_WEIGHT: u32 = 18;
/// How often a listing is asked for.
const LISTING_MS: u64 = 60_000;
/// The first pause after a request that failed; it doubles each time.
const RETRY_MS: u64 = 5_000;
/// How often it doubles.
const DOUBLINGS_MAX: u32 = 6;

/// The only timer.
const TIMER: u64 = 0;
/// Tags of listings begin here; below are places of instruments.
const LISTINGS: u64 = 1 << 32;

/// Something that is asked for again and again.
#[derive(Clone, Copy, Debug, Default)]
struct Chore {
    due: Option<Ts>,
    tries: u32,
    /// A request is on its way.
    asked: bool,
}

impl Chore {
    /// An answer came; the next request is due.
    fn done(&mut self, fine: bool, every_ms: u64, retry_ms: u64, now: Ts) {
        self.asked = false;
        let pause = if fine {
            self.tries = 0;
            every_ms
        } else {
            self.tries += 1;
            (RETRY_MS << (self.tries - 1).min(DOUBLINGS_MAX)).max(retry_ms)
        };
        self.due = Some(now.plus_ms(pause));
    }
}

struct Polled {
    product: &'static Product,
    instrument: Arc<Instrument>,
    wants: Vec<Channel>,
    ratio: Chore,
    /// The status told last.
    status: Option<Status>,
}

impl Polled {
    fn fact(&self, channel: Channel, fact: LaneFact, now: Ts, out: &mut Vec<Action>) {
        out.push(Action::Emit(event(&self.instrument, channel, None, now, Body::Lane(fact))));
    }

    fn listed(&self) -> bool {
        self.wants.iter().any(|c| matches!(c, Channel::Status | Channel::Instruments))
    }
}

/// A session that only asks by REST.
pub struct PollSession {
    open: bool,
    all: Vec<Polled>,
    listings: [Chore; PRODUCTS.len()],
    notes: Notes,
    armed: Option<Ts>,
}

impl PollSession {
    /// A session for a shard without a path.
    pub fn new(shard: &Shard) -> Self {
        let mut session = Self {
            open: false,
            all: Vec::new(),
            listings: [Chore::default(); PRODUCTS.len()],
            notes: Notes::default(),
            armed: None,
        };
        for want in &shard.wants {
            session.add(want);
        }
        session
    }

    /// Notes a want; its place where it is new.
    fn add(&mut self, want: &Want) -> Option<usize> {
        let product = Product::named(&want.instrument.product)?;
        let at = self.all.iter().position(|p| p.instrument.id == want.instrument.id).unwrap_or_else(|| {
            self.all.push(Polled {
                product,
                instrument: Arc::clone(&want.instrument),
                wants: Vec::new(),
                ratio: Chore::default(),
                status: None,
            });
            self.all.len() - 1
        });
        let polled = self.all.get_mut(at)?;
        if !crate::subscribe::polled(want.channel) || polled.wants.contains(&want.channel) {
            return None;
        }
        polled.wants.push(want.channel);
        Some(at)
    }

    /// Begins to ask for a channel of an instrument.
    fn begin(&mut self, at: usize, channel: Channel, now: Ts, out: &mut Vec<Action>) {
        let Some(polled) = self.all.get_mut(at) else { return };
        if channel == Channel::LongShortRatio {
            polled.ratio = Chore { due: Some(now), ..Chore::default() };
        } else if let Some(listing) = self.listings.get_mut(polled.product.at) {
            listing.due = Some(now);
            polled.status = None;
        }
        if let Some(spec) = crate::SPEC.channel(channel) {
            polled.fact(channel, LaneFact::Asked { proof: spec.proof, quiet_ms: spec.quiet_ms }, now, out);
        }
    }

    fn chores(&mut self, now: Ts, out: &mut Vec<Action>) {
        let due = |chore: &Chore| !chore.asked && chore.due.is_some_and(|at| at <= now);
        for (at, product) in PRODUCTS.iter().enumerate() {
            let wanted = self.all.iter().any(|p| p.product.at == at && p.listed());
            let Some(chore) = self.listings.get_mut(at).filter(|c| wanted && due(c)) else { continue };
            chore.asked = true;
            out.push(Action::Fetch { tag: LISTINGS + at as u64, path: listing::path(product), weight: 1 });
        }
        for (at, polled) in self.all.iter_mut().enumerate() {
            if polled.wants.contains(&Channel::LongShortRatio) && due(&polled.ratio) {
                polled.ratio.asked = true;
                let (symbol, period) = (&polled.instrument.symbol, rows::RATIO_INTERVAL);
                let path = format!("/api/v2/mix/market/account-long-short?symbol={symbol}&period={period}");
                out.push(Action::Fetch { tag: at as u64, path, weight: RATIO_WEIGHT });
            }
        }
        let chores = self.all.iter().map(|p| &p.ratio).chain(&self.listings);
        let next = chores.filter(|c| !c.asked).filter_map(|c| c.due).filter(|at| *at > now).min();
        if let Some(at) = next.filter(|at| self.armed.is_none_or(|armed| *at < armed)) {
            self.armed = Some(at);
            out.push(Action::WakeAt { timer: TIMER, at });
        }
    }

    fn answered(&mut self, tag: u64, answer: Answer<'_>, now: Ts, out: &mut Vec<Action>) {
        let mut fault = None;
        if let Some(at) = tag.checked_sub(LISTINGS) {
            let at = at as usize;
            let Some(product) = PRODUCTS.get(at) else { return };
            let read = answer.body().map(|body| listing::read(&listing::path(product), body));
            let fine = matches!(read, Some(Ok(_)));
            match read {
                Some(Ok(all)) => all.into_iter().for_each(|made| self.listed(product, made, now, out)),
                Some(Err(what)) => fault = Some(what),
                None => {}
            }
            if let Some(chore) = self.listings.get_mut(at) {
                chore.done(fine, LISTING_MS, answer.retry_ms, now);
            }
        } else if let Some(polled) = self.all.get_mut(tag as usize) {
            let mut sink = Sink { now, out, notes: &mut self.notes };
            let read = answer.body().map(|body| rows::ratio(body, &mut sink));
            polled.ratio.done(matches!(read, Some(Ok(_))), RATIO_MS, answer.retry_ms, now);
            let wanted = polled.wants.contains(&Channel::LongShortRatio);
            match read {
                Some(Ok(Some((ratio, ts)))) if wanted => {
                    let body = Body::LongShortRatio(Box::new(ratio));
                    sink.emit(&polled.instrument, Channel::LongShortRatio, ts, body);
                }
                Some(Err(what)) => fault = Some(what),
                _ => {}
            }
        }
        out.extend(fault.map(Action::Malformed));
        if !answer.fine() {
            out.push(Action::Control("request refused"));
        }
    }

    /// A row of a listing: its definition where it changed, its status where that did.
    fn listed(&mut self, product: &Product, made: Instrument, now: Ts, out: &mut Vec<Action>) {
        let ours = |p: &&mut Polled| p.product == product && p.instrument.symbol == made.symbol;
        let Some(polled) = self.all.iter_mut().find(ours) else { return };
        if *polled.instrument != made {
            polled.instrument = Arc::new(made);
            if polled.wants.contains(&Channel::Instruments) {
                let told = event(&polled.instrument, Channel::Instruments, None, now, Body::Instrument);
                out.push(Action::Emit(told));
            }
        }
        let status = &polled.instrument.status;
        if polled.wants.contains(&Channel::Status) && polled.status.as_ref() != Some(status) {
            polled.status = Some(status.clone());
            let body = Body::Status(status.clone());
            out.push(Action::Emit(event(&polled.instrument, Channel::Status, None, now, body)));
        }
    }

    fn subscribe(&mut self, wants: &[Want], now: Ts, out: &mut Vec<Action>) {
        for want in wants {
            if let Some(at) = self.add(want).filter(|_| self.open) {
                self.begin(at, want.channel, now, out);
            }
        }
    }

    fn unsubscribe(&mut self, wants: &[Want], now: Ts, out: &mut Vec<Action>) {
        for want in wants {
            let ours = |p: &&mut Polled| p.instrument.id == want.instrument.id;
            let Some(polled) = self.all.iter_mut().find(ours) else { continue };
            if !polled.wants.contains(&want.channel) {
                continue;
            }
            polled.wants.retain(|channel| *channel != want.channel);
            if want.channel == Channel::LongShortRatio {
                polled.ratio.due = None;
            }
            polled.fact(want.channel, LaneFact::Dropped, now, out);
        }
        for (at, listing) in self.listings.iter_mut().enumerate() {
            if !self.all.iter().any(|p| p.product.at == at && p.listed()) {
                listing.due = None;
            }
        }
    }
}

/// What came back for a request.
#[derive(Clone, Copy)]
struct Answer<'a> {
    status: u16,
    retry_ms: u64,
    body: &'a [u8],
}

impl<'a> Answer<'a> {
    fn fine(&self) -> bool {
        self.status == 200
    }

    fn body(&self) -> Option<&'a [u8]> {
        self.fine().then_some(self.body)
    }
}

impl Session for PollSession {
    fn on(&mut self, input: Input<'_>, now: Ts, out: &mut Vec<Action>) {
        match input {
            Input::Open => {
                (self.open, self.armed) = (true, None);
                for at in 0..self.all.len() {
                    let wants = self.all.get(at).map(|p| p.wants.clone()).unwrap_or_default();
                    for channel in wants {
                        self.begin(at, channel, now, out);
                    }
                }
                for listing in &mut self.listings {
                    listing.asked = false;
                }
            }
            Input::Reply { tag: Some(tag), status, retry_ms, body, .. } => {
                let answer = Answer { status, retry_ms: retry_ms.unwrap_or(0), body };
                self.answered(tag, answer, now, out);
            }
            Input::Wake { .. } => self.armed = None,
            Input::Subscribe(wants) => self.subscribe(wants, now, out),
            Input::Unsubscribe(wants) => self.unsubscribe(wants, now, out),
            Input::Define(instrument) => {
                if let Some(polled) = self.all.iter_mut().find(|p| p.instrument.id == instrument.id) {
                    polled.instrument = Arc::clone(instrument);
                }
            }
            Input::Closed => self.open = false,
            Input::Frame { .. } => {
                let what = source::What::Rule("a session that polls hears no frames");
                out.push(Action::Malformed(Malformed { at: 0, what }));
            }
            Input::Resync { .. } | Input::Reply { tag: None, .. } => {}
        }
        if self.open {
            self.chores(now, out);
        }
    }
}
