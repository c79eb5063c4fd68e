//! Tencent (腾讯): quotes of Chinese stocks, with five levels, by the text interface behind its web pages.
//!
//! What it offers, its limits and its quirks stand in the README of this folder.

mod asks;
mod listing;
mod quotes;
mod sim;

use asks::TencentAsks;
use model::{Channel, Instrument, Proof, SourceName};
use source::poll::{AnswerSim, Manners, Rounds};
use source::{
    ChannelSpec, Endpoint, Malformed, Options, Rate, Request, Session, Shard, Sim, SimSetup, Source, Spec,
    Want, web,
};

/// The folder's name.
pub(crate) const NAME: SourceName = "tencent";
/// Quotes.
const QUOTES: usize = 0;
/// The list of shares.
pub(crate) const LIST: usize = 1;

/// The source.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tencent;

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
        weight: Rate { max: 4, per_ms: 1_000 },
        heartbeat_ms: 30_000,
        lifetime_ms: None,
    }
}

/// Names, addresses and limits. No limit is told anywhere; eight requests at once have been let through.
pub static SPEC: Spec = Spec {
    name: NAME,
    docs: "https://stockapp.finance.qq.com/",
    endpoints: &[endpoint("quotes", "https://qt.gtimg.cn"), endpoint("list", "https://proxy.finance.qq.com")],
    channels: &[offers(Channel::DayStats), offers(Channel::BookTop), offers(Channel::Status)],
    frame_bytes_max: 4 * 1024 * 1024,
};

const MANNERS: Manners = Manners {
    apart_ms: 250,
    idle_ms: 60_000,
    retry_ms: 2_000,
    refused_ms: 180_000,
    patience_ms: 15_000,
    moves: web::stocks_move,
};

impl Source for Tencent {
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
        Box::new(Rounds::new(Box::new(TencentAsks), MANNERS, SPEC.channels, shard))
    }

    fn sim(&self, setup: &SimSetup) -> Box<dyn Sim> {
        Box::new(AnswerSim::new(setup, sim::TencentSim::new(setup)))
    }

    fn recognises(&self, url: Option<&str>, frame: &[u8]) -> bool {
        let marks = ["v_sh", "v_sz", "v_bj", "v_pv_none"];
        url.map_or_else(
            || marks.iter().any(|mark| frame.starts_with(mark.as_bytes())),
            |url| url.contains("gtimg.cn/") || url.contains("finance.qq.com/"),
        )
    }
}
