//! Eastmoney (东方财富): quotes, bars, flows of money and boards of Chinese stocks by the API behind its web pages.
//!
//! What it offers, its limits and its quirks stand in the README of this folder.

mod asks;
mod fields;
mod lines;
mod listing;
mod names;
mod quotes;
mod rest;

use asks::EastmoneyAsks;
use model::{Channel, Instrument, Proof, SourceName};
use source::poll::{Manners, Rounds};
use source::{
    ChannelSpec, Endpoint, Malformed, Options, Rate, Request, Rest, Session, Shard, Sim, SimSetup, Source,
    Spec, Want, web,
};

/// The folder's name, also the venue of boards.
pub(crate) const NAME: SourceName = "eastmoney";
/// How many rows a page of a list has at most, whatever is asked for.
pub(crate) const PAGE_ROWS: u64 = 100;
/// Quotes and lists.
const PUSH: usize = 0;
/// The past: bars and minutes.
pub(crate) const HISTORY: usize = 1;

/// The source.
#[derive(Clone, Copy, Debug, Default)]
pub struct Eastmoney;

const fn offers(channel: Channel) -> ChannelSpec {
    ChannelSpec { channel, proof: Proof::None, quiet_ms: None }
}

/// What is said about it nowhere is what clients have found to be let through: one request at a time, a second apart.
const fn endpoint(name: &'static str, ws: &'static str, rest: &'static str) -> Endpoint {
    Endpoint {
        name,
        ws,
        rest,
        connects: Rate { max: 1, per_ms: 1_000 },
        sends: Rate { max: 1, per_ms: 1_000 },
        weight: Rate { max: 1, per_ms: 1_000 },
        heartbeat_ms: 30_000,
        lifetime_ms: None,
    }
}

/// Names, addresses and limits.
pub static SPEC: Spec = Spec {
    name: NAME,
    docs: "https://quote.eastmoney.com/",
    endpoints: &[
        endpoint("push", "wss://push2.eastmoney.com", "https://push2.eastmoney.com"),
        endpoint("history", "wss://push2his.eastmoney.com", "https://push2his.eastmoney.com"),
    ],
    channels: &[
        offers(Channel::DayStats),
        offers(Channel::BookTop),
        offers(Channel::Status),
        offers(Channel::CapitalFlow),
        offers(Channel::Bars),
        offers(Channel::MinuteLine),
        offers(Channel::Sectors),
    ],
    frame_bytes_max: 4 * 1024 * 1024,
};

/// Refusals last two to four minutes, and nothing helps meanwhile.
const MANNERS: Manners = Manners {
    apart_ms: 1_000,
    idle_ms: 60_000,
    retry_ms: 2_000,
    refused_ms: 180_000,
    patience_ms: 15_000,
    moves: web::stocks_move,
};

/// Where a channel of an instrument is asked for; `None` where there is no such.
fn endpoint_of(want: &Want) -> Option<usize> {
    let board = *want.instrument.venue == *NAME;
    names::secid(&want.instrument)?;
    match want.channel {
        Channel::DayStats | Channel::CapitalFlow => Some(PUSH),
        Channel::BookTop | Channel::Status if !board => Some(PUSH),
        Channel::Sectors if board => Some(PUSH),
        Channel::Bars | Channel::MinuteLine => Some(HISTORY),
        _ => None,
    }
}

impl Source for Eastmoney {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn listings(&self) -> Vec<Request> {
        listing::requests()
    }

    fn define(&self, path: &str, body: &[u8]) -> Option<Result<Vec<Instrument>, Malformed>> {
        listing::is_listing(path).then(|| listing::read(body))
    }

    fn shards(&self, wants: &[Want], options: &Options) -> Vec<Shard> {
        let shard = |endpoint| {
            let wants = wants.iter().filter(|want| endpoint_of(want) == Some(endpoint)).cloned().collect();
            Shard { endpoint, path: None, wants, options: options.clone() }
        };
        [PUSH, HISTORY].into_iter().map(shard).filter(|shard| !shard.wants.is_empty()).collect()
    }

    fn session(&self, shard: &Shard) -> Box<dyn Session> {
        Box::new(Rounds::new(Box::new(EastmoneyAsks::default()), MANNERS, SPEC.channels, shard))
    }

    fn sim(&self, _setup: &SimSetup) -> Box<dyn Sim> {
        unimplemented!()
    }

    fn headers(&self, _endpoint: usize) -> &'static [(&'static str, &'static str)] {
        &[("Referer", "https://quote.eastmoney.com/"), ("User-Agent", "Mozilla/5.0")]
    }

    fn recognises(&self, url: Option<&str>, frame: &[u8]) -> bool {
        let has = |key: &[u8]| frame.windows(key.len()).any(|part| part == key);
        url.map_or_else(
            || (has(b"\"f12\":") || has(b"\"f57\":")) && fields::envelope(frame).is_ok(),
            |url| url.contains("eastmoney.com/"),
        )
    }

    fn rest(&self) -> &dyn Rest {
        &rest::EastmoneyRest
    }
}
