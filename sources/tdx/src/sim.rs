//! The venue's end of the wire: the synthetic market of [`source::ashare`] behind the commands of 7709, with the manners of
//! servers that have been met.

mod answers;
mod company;
mod series;

use crate::codec::frame::{ANSWER_HEAD, AnswerFrame, MARK, RequestFrame};
use crate::codec::session::LEVEL;
use crate::codec::text::Text;
use crate::codec::{Answer, Query};
use crate::listing::frame_of;
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
    /// Bars, minutes, trades and actions are answered by a stub of two bytes, whatever the login.
    Stubs,
    /// As servers since September 2026: lists and companies are for all; prices, bars and trades want the login of
    /// [`LEVEL`], and bars the mark of their requests. What is refused is answered by a stub, or
    /// not at all.
    Changed {
        /// Whether by a stub.
        stubs: bool,
    },
    /// Quotes come by `0530` alone: `053e` and `054c` are not answered.
    Single,
    /// Prices, bars, trades and actions are not answered, whatever the login.
    Hollow,
    /// Every second connection meets a server as [`Manner::Changed`] with stubs, as where several stand behind one address.
    Mixed,
}

impl Manner {
    /// What a connection meets.
    fn of(self, peer: Peer) -> Self {
        match self {
            Self::Mixed if peer.0.is_multiple_of(2) => Self::Changed { stubs: true },
            Self::Mixed => Self::Good,
            _ => self,
        }
    }
}

/// What a stub says: 800 records, and none, as recorded on 2026-09-19.
const STUB: [u8; 2] = [0x20, 0x03];
/// What is said to the login of another terminal, as recorded in July 2026.
const NO_FIT: &str = "客户端与行情主站不匹配,不能使用!";

#[derive(Clone, Copy, Debug)]
struct Client {
    heard: Ts,
    answers: u32,
    /// Whether it has logged in as [`LEVEL`].
    level: bool,
}

/// The venue.
pub struct TdxSim {
    market: Market,
    clock: Clock,
    manner: Manner,
    peers: BTreeMap<Peer, Client>,
    /// Whether those who ask by requests have logged in.
    level: bool,
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
            level: false,
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

    /// The frame that answers another; `None` where the venue says nothing. `level` is whether that client has logged in.
    fn answer(&mut self, request: &[u8], manner: Manner, level: &mut bool, now: Ts) -> Option<Vec<u8>> {
        let frame = RequestFrame::read(request).ok()?;
        let asked = Query::read(frame.command, frame.payload).ok()?;
        if self.mute > 0 || manner == Manner::Silent {
            self.mute = self.mute.saturating_sub(1);
            return None;
        }
        if self.tape && !matches!(asked, Query::Hello(_) | Query::Heartbeat) {
            return None;
        }
        self.market.advance(self.time(now));
        let refused = refused(manner, &asked, frame.seq, *level);
        if refused == Some(false) {
            return None;
        }
        let body = match &asked {
            _ if refused.is_some() => STUB.to_vec(),
            Query::Login(block) if matches!(manner, Manner::Changed { .. }) => {
                *level = block == &LEVEL;
                let tip = Text::<50>::of(if *level { "" } else { NO_FIT });
                [&[0; 3][..], &tip.0, &[0; 126]].concat()
            }
            _ => self.told(&asked)?.body(&asked).ok()?,
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
        let (answers, mut level) = (client.answers, client.level);
        if self.limit > 0 {
            self.limit -= 1;
            self.close(peer, out);
            return;
        }
        let answer = self.answer(bytes, self.manner.of(peer), &mut level, now);
        if let Some(client) = self.peers.get_mut(&peer) {
            client.level = level;
        }
        let Some(mut frame) = answer else { return };
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

/// Whether a server of this manner refuses a command, and then whether by a stub.
fn refused(manner: Manner, asked: &Query, seq: u32, level: bool) -> Option<bool> {
    let always = matches!(
        asked,
        Query::Hello(_)
            | Query::Heartbeat
            | Query::Login(_)
            | Query::Count(..)
            | Query::ListOld(..)
            | Query::List(..)
            | Query::Finance(_)
            | Query::FileMeta(_)
            | Query::FilePart(..)
            | Query::Company(_)
            | Query::CompanyText(..)
    );
    match manner {
        _ if always => None,
        Manner::Stubs => (!matches!(asked, Query::Quotes(_))).then_some(true),
        Manner::Hollow => Some(false),
        Manner::Single => matches!(asked, Query::Quotes(_) | Query::Tops(_)).then_some(false),
        Manner::Changed { stubs } => {
            let marked = seq == MARK || !matches!(asked, Query::Bars(_) | Query::BarsPlain(_));
            (!level || !marked).then_some(stubs)
        }
        _ => None,
    }
}

impl Sim for TdxSim {
    fn on(&mut self, input: SimInput<'_>, now: Ts, out: &mut Vec<SimAction>) {
        match input {
            SimInput::Open { peer, .. } => {
                self.peers.insert(peer, Client { heard: now, answers: 0, level: false });
            }
            SimInput::Frame { peer, bytes } => self.heard(peer, bytes, now, out),
            SimInput::Closed { peer } => {
                self.peers.remove(&peer);
            }
            SimInput::Request { request, path, .. } => {
                let asked = frame_of(path);
                let limited = self.limit > 0;
                self.limit = self.limit.saturating_sub(1);
                let mut level = self.level;
                let frame = asked
                    .filter(|_| !limited)
                    .and_then(|asked| self.answer(&asked, self.manner, &mut level, now));
                self.level = level;
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
