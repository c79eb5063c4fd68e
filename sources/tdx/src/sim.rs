//! The venue's end of the wire: the synthetic market of [`source::ashare`] behind the commands of 7709, with the manners of
//! servers that have been met.

mod answers;
mod company;
mod series;

use crate::codec::frame::{ANSWER_HEAD, AnswerFrame, RequestFrame};
use crate::codec::{Answer, Query};
use crate::listing::query;
use model::Ts;
use source::ashare::{Clock, Market};
use source::{Peer, Sim, SimAction, SimBook, SimControl, SimInput, SimSetup};
use std::collections::BTreeMap;

/// Bodies above so many bytes are compressed, where that makes them shorter.
const PACK_FROM: usize = 200;
/// A connection on which nothing came for so long is closed.
const IDLE_MS: i64 = 60_000;
/// How often idle connections are looked for, in ms.
const LOOK_MS: u64 = 5_000;
/// A round of snapshots of the exchange, in ns.
const SLOT_NS: i64 = 3_000_000_000;

/// How a server behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Manner {
    /// As it should.
    #[default]
    Good,
    /// Bars are empty.
    NoBars,
    /// Bars are empty where fewer than 100 are asked for.
    FewNoBars,
    /// Quotes come for the first 60 codes alone.
    Sixty,
    /// Everything lags by so many seconds.
    Lags(u32),
    /// It tells what was when it was started, and goes on telling it.
    Frozen,
    /// Accepts and never answers.
    Silent,
    /// Every so many answers it ends in the middle of one.
    Breaks(u32),
    /// Quotes have four numbers after their levels that are zero elsewhere, as in 2018.
    Of2018,
    /// All but the greeting and quotes is answered by a stub of two bytes, as in September 2026.
    Stubs,
}

#[derive(Clone, Copy, Debug)]
struct Client {
    heard: Ts,
    answers: u32,
}

/// The venue.
pub struct TdxSim {
    market: Market,
    clock: Clock,
    manner: Manner,
    peers: BTreeMap<Peer, Client>,
    /// Where the market's time stands still.
    paused: Option<Ts>,
    /// How many slots late quotes are.
    late: u32,
    /// How many of the next requests get no answer.
    mute: u32,
    /// How many of the next requests cost their connection.
    limit: u32,
    /// Stands in front of a recording: nothing is told.
    tape: bool,
}

impl TdxSim {
    /// Opens it.
    pub fn new(setup: &SimSetup, manner: Manner) -> Self {
        let (market, clock) = Market::of(setup);
        Self {
            market,
            clock,
            manner,
            peers: BTreeMap::new(),
            paused: None,
            late: 0,
            mute: 0,
            limit: 0,
            tape: setup.tape,
        }
    }

    /// The market behind it, at the time that it tells: what clients should hold.
    pub fn market(&self) -> &Market {
        &self.market
    }

    /// The time that it tells.
    fn time(&self, now: Ts) -> Ts {
        let time = self.paused.unwrap_or_else(|| self.clock.market(now));
        let behind = match self.manner {
            Manner::Lags(seconds) => i64::from(seconds) * 1_000_000_000,
            Manner::Frozen => i64::MAX,
            _ => i64::from(self.late) * SLOT_NS,
        };
        Ts(time.0.saturating_sub(behind).max(self.clock.start().0))
    }

    /// The frame that answers another; `None` where the venue says nothing.
    fn answer(&mut self, request: &[u8], now: Ts) -> Option<Vec<u8>> {
        let frame = RequestFrame::read(request).ok()?;
        let asked = Query::read(frame.command, frame.payload).ok()?;
        if self.mute > 0 || self.manner == Manner::Silent {
            self.mute = self.mute.saturating_sub(1);
            return None;
        }
        if self.tape && !matches!(asked, Query::Hello(_) | Query::Heartbeat) {
            return None;
        }
        self.market.advance(self.time(now));
        let body = match (self.manner, &asked) {
            (
                Manner::Stubs,
                Query::Hello(_) | Query::Heartbeat | Query::Login(_) | Query::Quotes(_) | Query::List(..),
            ) => None,
            (Manner::Stubs, _) => Some(vec![1, 0]),
            _ => None,
        };
        let body = match body {
            Some(stub) => stub,
            None => self.told(&asked)?.body(&asked).ok()?,
        };
        AnswerFrame { seq: frame.seq, command: frame.command, body }.bytes(PACK_FROM).ok()
    }

    fn told(&mut self, asked: &Query) -> Option<Answer> {
        match (self.manner, asked) {
            (Manner::NoBars, Query::Bars(_) | Query::BarsPlain(_)) => Some(Answer::Bars(Vec::new())),
            (Manner::FewNoBars, Query::Bars(bars)) if bars.count < 100 => Some(Answer::Bars(Vec::new())),
            (Manner::Sixty, Query::Quotes(codes)) => {
                let first = codes.get(..codes.len().min(60)).unwrap_or_default().to_vec();
                answers::answer(&mut self.market, &Query::Quotes(first), false)
            }
            _ => answers::answer(&mut self.market, asked, self.manner == Manner::Of2018),
        }
    }

    fn heard(&mut self, peer: Peer, bytes: &[u8], now: Ts, out: &mut Vec<SimAction>) {
        let Some(client) = self.peers.get_mut(&peer) else { return };
        client.heard = now;
        client.answers += 1;
        let answers = client.answers;
        if self.limit > 0 {
            self.limit -= 1;
            self.close(peer, out);
            return;
        }
        let Some(mut frame) = self.answer(bytes, now) else { return };
        let broken = matches!(self.manner, Manner::Breaks(every) if answers.is_multiple_of(every.max(1)));
        if broken {
            frame.truncate(ANSWER_HEAD + (frame.len() - ANSWER_HEAD) / 2);
        }
        out.push(SimAction::Send { peer, bytes: frame, binary: true });
        if broken {
            self.close(peer, out);
        }
    }

    fn close(&mut self, peer: Peer, out: &mut Vec<SimAction>) {
        self.peers.remove(&peer);
        out.push(SimAction::Close { peer, code: 0, reason: String::new() });
    }
}

impl Sim for TdxSim {
    fn on(&mut self, input: SimInput<'_>, now: Ts, out: &mut Vec<SimAction>) {
        match input {
            SimInput::Open { peer, .. } => {
                self.peers.insert(peer, Client { heard: now, answers: 0 });
            }
            SimInput::Frame { peer, bytes } => self.heard(peer, bytes, now, out),
            SimInput::Closed { peer } => {
                self.peers.remove(&peer);
            }
            SimInput::Request { request, path, .. } => {
                let asked = query(path).and_then(|asked| asked.frame(1).ok());
                let limited = self.limit > 0;
                self.limit = self.limit.saturating_sub(1);
                let frame = asked.filter(|_| !limited).and_then(|asked| self.answer(&asked, now));
                // Over a socket a request that is not answered runs into its time; here that is told at once.
                let status = if frame.is_some() { 200 } else { 504 };
                out.push(SimAction::Reply {
                    request,
                    status,
                    headers: Vec::new(),
                    body: frame.unwrap_or_default(),
                });
            }
            SimInput::Wake => {
                let idle = |client: &Client| now.ms_since(client.heard) >= IDLE_MS;
                let gone: Vec<Peer> =
                    self.peers.iter().filter(|(_, c)| idle(c)).map(|(peer, _)| *peer).collect();
                for peer in gone {
                    self.close(peer, out);
                }
            }
            SimInput::Pong { .. } => {}
        }
        out.push(SimAction::WakeAt(now.plus_ms(LOOK_MS)));
    }

    fn control(&mut self, control: SimControl, now: Ts, out: &mut Vec<SimAction>) {
        match control {
            SimControl::Pause(true) => self.paused = Some(self.time(now)),
            SimControl::Pause(false) => self.paused = None,
            SimControl::LateSnapshots(slots) => self.late = slots,
            SimControl::RefuseSubscriptions(times) => self.mute = times,
            SimControl::RateLimit(times) => self.limit = times,
            SimControl::CloseAll => {
                let all: Vec<Peer> = self.peers.keys().copied().collect();
                for peer in all {
                    self.close(peer, out);
                }
            }
        }
        out.push(SimAction::WakeAt(now.plus_ms(LOOK_MS)));
    }

    /// None: the venue tells the best five levels whole, and no book that is kept.
    fn books(&self) -> Vec<SimBook> {
        Vec::new()
    }
}
