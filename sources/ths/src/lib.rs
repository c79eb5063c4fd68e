//! THS (同花顺, 10jqka): hot lists, concepts and their members, quotes and bars of Chinese stocks by its web interfaces.
//!
//! What it offers, its limits and its quirks stand in the README of this folder.

mod asks;
mod items;
mod lines;
mod lists;
mod names;
mod rest;
mod sim;

use asks::ThsAsks;
use model::{Channel, Instrument, Proof, SourceName};
use source::poll::{AnswerSim, Manners, Rounds};
use source::{
    ChannelSpec, Endpoint, Malformed, Options, Rate, Request, Rest, Session, Shard, Sim, SimSetup, Source,
    Spec, Want, web,
};

/// The folder's name, also the venue of lists and concepts.
pub(crate) const NAME: SourceName = "ths";
/// Quotes, bars and members.
pub(crate) const QUOTES: usize = 0;
/// Hot lists.
pub(crate) const RANKS: usize = 1;

/// The source.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ths;

const fn offers(channel: Channel) -> ChannelSpec {
    ChannelSpec { channel, proof: Proof::None, quiet_ms: None }
}

const fn endpoint(name: &'static str, rest: &'static str) -> Endpoint {
    Endpoint {
        name,
        ws: rest,
        rest,
        connects: Rate { max: 1, per_ms: 1_000 },
        sends: Rate { max: 1, per_ms: 1_000 },
        weight: Rate { max: 2, per_ms: 1_000 },
        heartbeat_ms: 30_000,
        lifetime_ms: None,
    }
}

/// Names, addresses and limits. No limit is told anywhere; over-use blocks the address.
pub static SPEC: Spec = Spec {
    name: NAME,
    docs: "https://stockpage.10jqka.com.cn/",
    endpoints: &[
        endpoint("quotes", "https://d.10jqka.com.cn"),
        endpoint("ranks", "https://dq.10jqka.com.cn"),
    ],
    channels: &[
        offers(Channel::Rankings),
        offers(Channel::Sectors),
        offers(Channel::DayStats),
        offers(Channel::BookTop),
        offers(Channel::Bars),
        offers(Channel::MinuteLine),
    ],
    frame_bytes_max: 4 * 1024 * 1024,
};

const MANNERS: Manners = Manners {
    apart_ms: 500,
    idle_ms: 60_000,
    retry_ms: 2_000,
    refused_ms: 300_000,
    patience_ms: 15_000,
    moves: web::stocks_move,
};

/// Where a want is asked for; `None` where there is no such.
fn endpoint_of(want: &Want) -> Option<usize> {
    let stock = names::spelled(&want.instrument).is_some();
    let list = names::list(&want.instrument).is_some();
    match want.channel {
        Channel::Rankings if list => Some(RANKS),
        Channel::Sectors if *want.instrument.venue == *NAME && !list => Some(QUOTES),
        Channel::DayStats | Channel::BookTop | Channel::Bars | Channel::MinuteLine if stock => Some(QUOTES),
        _ => None,
    }
}

impl Source for Ths {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    /// The hot lists, and the lists of concepts and industries: what they name can be wanted, and they themselves.
    fn listings(&self) -> Vec<Request> {
        names::LISTS.iter().map(|list| Request { endpoint: RANKS, path: list.path(), weight: 1 }).collect()
    }

    fn define(&self, path: &str, body: &[u8]) -> Option<Result<Vec<Instrument>, Malformed>> {
        names::list_of(path).map(|list| lists::define(list, body))
    }

    fn shards(&self, wants: &[Want], options: &Options) -> Vec<Shard> {
        let shard = |endpoint| {
            let wants = wants.iter().filter(|want| endpoint_of(want) == Some(endpoint)).cloned().collect();
            Shard { endpoint, path: None, wants, options: options.clone() }
        };
        [QUOTES, RANKS].into_iter().map(shard).filter(|shard| !shard.wants.is_empty()).collect()
    }

    fn session(&self, shard: &Shard) -> Box<dyn Session> {
        Box::new(Rounds::new(Box::new(ThsAsks), MANNERS, SPEC.channels, shard))
    }

    fn sim(&self, setup: &SimSetup) -> Box<dyn Sim> {
        Box::new(AnswerSim::new(setup, sim::ThsSim::new(setup)))
    }

    /// Without it every answer is 403.
    fn headers(&self, _endpoint: usize) -> &'static [(&'static str, &'static str)] {
        &[("Referer", "https://stockpage.10jqka.com.cn/"), ("User-Agent", "Mozilla/5.0")]
    }

    fn recognises(&self, url: Option<&str>, frame: &[u8]) -> bool {
        url.map_or_else(|| frame.starts_with(b"quotebridge_"), |url| url.contains("10jqka.com.cn/"))
    }

    fn rest(&self) -> &dyn Rest {
        &rest::ThsRest
    }
}
