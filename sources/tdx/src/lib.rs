//! 通达信: the A-share market by the servers of its terminals, a binary protocol on port 7709.
//!
//! What it offers, its limits, its units and its quirks stand in the README of this folder.

pub mod codec;
pub mod disk;
mod emit;
mod listing;
pub mod number;
mod rest;
mod session;
pub mod sim;
pub mod time;

use codec::Query;
use codec::frame::{AnswerFrame, RequestFrame};
use model::{Channel, Instrument, Proof, SourceName};
use source::{
    ChannelSpec, End, Endpoint, Malformed, Options, Rate, Request, Rest, Session, Shard, Sim, SimSetup,
    Source, Spec, Want,
};

/// The name of the source.
pub const NAME: SourceName = "tdx";

/// The source.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tdx;

const fn offers(channel: Channel) -> ChannelSpec {
    ChannelSpec { channel, proof: Proof::None, quiet_ms: None }
}

/// Servers that have been public for years, from the lists of `pytdx` and `injoyai/tdx`.
const SERVERS: &str = "tcp://115.238.56.198:7709,tcp://115.238.90.165:7709,tcp://180.153.18.170:7709,\
    tcp://180.153.18.171:7709,tcp://60.191.117.167:7709,tcp://218.75.126.9:7709,tcp://124.71.187.122:7709";

/// Names, addresses and limits. Nobody has published limits: 50 requests in a second is what a client of long standing keeps
/// to (`tdxrs`).
pub static SPEC: Spec = Spec {
    name: NAME,
    docs: "https://github.com/rainx/pytdx",
    endpoints: &[Endpoint {
        name: "hq",
        ws: SERVERS,
        rest: SERVERS,
        connects: Rate { max: 2, per_ms: 1_000 },
        sends: Rate { max: 50, per_ms: 1_000 },
        weight: Rate { max: 20, per_ms: 1_000 },
        heartbeat_ms: 45_000,
        lifetime_ms: None,
    }],
    channels: &[
        offers(Channel::Trades),
        offers(Channel::BookTop),
        offers(Channel::DayStats),
        offers(Channel::Bars),
        offers(Channel::MinuteLine),
        offers(Channel::CorporateActions),
        offers(Channel::Fundamentals),
    ],
    frame_bytes_max: 16 + 65_535,
};

impl Source for Tdx {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn listings(&self) -> Vec<Request> {
        listing::first()
    }

    fn more(&self, request: &Request, body: &[u8]) -> Option<Request> {
        listing::more(request, body)
    }

    fn define(&self, path: &str, body: &[u8]) -> Option<Result<Vec<Instrument>, Malformed>> {
        listing::define(path, body)
    }

    fn shards(&self, wants: &[Want], options: &Options) -> Vec<Shard> {
        session::shards(wants, options)
    }

    fn session(&self, shard: &Shard) -> Box<dyn Session> {
        Box::new(session::TdxSession::new(shard))
    }

    fn sim(&self, setup: &SimSetup) -> Box<dyn Sim> {
        Box::new(sim::TdxSim::new(setup, sim::Manner::default()))
    }

    fn cut(&self, _endpoint: usize, from: End, bytes: &[u8]) -> Result<Option<usize>, Malformed> {
        match from {
            End::Client => RequestFrame::cut(bytes),
            End::Venue => AnswerFrame::cut(bytes),
        }
    }

    /// Since September 2026 most servers answer nothing to who has not greeted them.
    fn greeting(&self, _endpoint: usize) -> Vec<Vec<u8>> {
        Query::Hello(1).frame(1).into_iter().collect()
    }

    fn recognises(&self, url: Option<&str>, frame: &[u8]) -> bool {
        match url {
            Some(url) => url.starts_with("tcp://") && url.contains(":7709"),
            None => AnswerFrame::names(frame).is_some() && AnswerFrame::cut(frame) == Ok(Some(frame.len())),
        }
    }

    fn rest(&self) -> &dyn Rest {
        &rest::TdxRest
    }
}
