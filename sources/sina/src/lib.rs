//! Sina (新浪): quotes of Chinese stocks, with five levels, by the text interface behind its web pages.
//!
//! What it offers, its limits and its quirks stand in the README of this folder.

mod asks;
mod listing;
mod quotes;
mod sim;

use asks::SinaAsks;
use model::{Channel, Instrument, Proof, SourceName};
use source::poll::{AnswerSim, Manners, Rounds};
use source::{
    ChannelSpec, Endpoint, Malformed, Options, Rate, Request, Session, Shard, Sim, SimSetup, Source, Spec,
    Want, web,
};

/// The folder's name.
pub(crate) const NAME: SourceName = "sina";
/// Quotes.
const QUOTES: usize = 0;
/// The list of shares.
pub(crate) const LIST: usize = 1;

/// The source.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sina;

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

/// Names, addresses and limits. No limit is told anywhere.
pub static SPEC: Spec = Spec {
    name: NAME,
    docs: "https://finance.sina.com.cn/stock/",
    endpoints: &[
        endpoint("quotes", "https://hq.sinajs.cn"),
        endpoint("list", "https://vip.stock.finance.sina.com.cn"),
    ],
    channels: &[offers(Channel::DayStats), offers(Channel::BookTop), offers(Channel::Status)],
    frame_bytes_max: 4 * 1024 * 1024,
};

const MANNERS: Manners = Manners {
    apart_ms: 500,
    idle_ms: 60_000,
    retry_ms: 2_000,
    refused_ms: 180_000,
    patience_ms: 15_000,
    moves: web::stocks_move,
};

impl Source for Sina {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn listings(&self) -> Vec<Request> {
        vec![listing::request()]
    }

    fn more(&self, request: &Request, body: &[u8]) -> Option<Request> {
        listing::more(request, body)
    }

    fn define(&self, path: &str, body: &[u8]) -> Option<Result<Vec<Instrument>, Malformed>> {
        listing::is_listing(path).then(|| listing::read(body).map(|page| page.instruments))
    }

    fn shards(&self, wants: &[Want], options: &Options) -> Vec<Shard> {
        let ours =
            |want: &&Want| SPEC.channel(want.channel).is_some() && asks::spelled(&want.instrument).is_some();
        let wants: Vec<Want> = wants.iter().filter(ours).cloned().collect();
        let shard = Shard { endpoint: QUOTES, path: None, wants, options: options.clone() };
        Vec::from_iter((!shard.wants.is_empty()).then_some(shard))
    }

    fn session(&self, shard: &Shard) -> Box<dyn Session> {
        Box::new(Rounds::new(Box::new(SinaAsks), MANNERS, SPEC.channels, shard))
    }

    fn sim(&self, setup: &SimSetup) -> Box<dyn Sim> {
        Box::new(AnswerSim::new(setup, sim::SinaSim::new(setup)))
    }

    /// Without it every answer is 403.
    fn headers(&self, _endpoint: usize) -> &'static [(&'static str, &'static str)] {
        &[("Referer", "https://finance.sina.com.cn/")]
    }

    fn recognises(&self, url: Option<&str>, frame: &[u8]) -> bool {
        url.map_or_else(
            || frame.starts_with(b"var hq_str_"),
            |url| url.contains("sinajs.cn/") || url.contains("sina.com.cn/"),
        )
    }
}
