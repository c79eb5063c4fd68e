//! OKX: spot, perpetual swaps, dated futures and options by the v5 API.
//!
//! What it offers, its limits, its sequence rules and its quirks stand in the README of this folder.

mod archive;
mod emit;
mod keys;
mod kind;
mod listing;
mod parse;
mod poll;
mod rest;
mod rows;
mod session;
mod sim;
mod subscribe;
mod sync;
mod v3;

use model::{Channel, Instrument, Proof, SourceName};
use source::{
    ChannelSpec, Endpoint, Malformed, Options, Rate, Request, Rest, Session, Shard, Sim, SimSetup, Source,
    Spec, Want,
};

/// The folder's name, also the venue's.
pub(crate) const NAME: SourceName = "okx";

/// The source.
#[derive(Clone, Copy, Debug, Default)]
pub struct Okx;

const fn offers(channel: Channel, proof: Proof, quiet_ms: Option<u32>) -> ChannelSpec {
    ChannelSpec { channel, proof, quiet_ms }
}

/// Names, addresses and limits.
pub static SPEC: Spec = Spec {
    name: NAME,
    docs: "https://www.okx.com/docs-v5/en/",
    endpoints: &[Endpoint {
        name: "main",
        ws: "wss://ws.okx.com:8443",
        rest: "https://www.okx.com",
        connects: Rate { max: 3, per_ms: 1_000 },
        sends: Rate { max: 480, per_ms: 3_600_000 },
        weight: Rate { max: 20, per_ms: 2_000 },
        heartbeat_ms: 30_000,
        lifetime_ms: None,
    }],
    channels: &[
        offers(Channel::Trades, Proof::None, None),
        offers(Channel::Book, Proof::Sequence, Some(65_000)),
        offers(Channel::BookTop, Proof::None, Some(65_000)),
        offers(Channel::Quote, Proof::None, Some(65_000)),
        offers(Channel::DayStats, Proof::None, None),
        offers(Channel::Bars, Proof::None, None),
        offers(Channel::MarkPrice, Proof::None, Some(11_000)),
        offers(Channel::IndexPrice, Proof::None, Some(61_000)),
        offers(Channel::Funding, Proof::None, Some(95_000)),
        offers(Channel::OpenInterest, Proof::None, None),
        offers(Channel::Liquidations, Proof::None, None),
        offers(Channel::LongShortRatio, Proof::None, Some(660_000)),
        offers(Channel::Greeks, Proof::None, None),
        offers(Channel::Status, Proof::None, None),
        offers(Channel::Instruments, Proof::None, None),
    ],
    frame_bytes_max: 16 * 1024 * 1024,
};

/// Queries of the listings.
const LISTINGS: [&str; 5] = [
    "instType=SPOT",
    "instType=SWAP",
    "instType=FUTURES",
    "instType=OPTION&instFamily=BTC-USD",
    "instType=OPTION&instFamily=ETH-USD",
];

impl Source for Okx {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn listings(&self) -> Vec<Request> {
        let request = |query: &&str| Request {
            endpoint: 0,
            path: format!("/api/v5/public/instruments?{query}"),
            weight: 1,
        };
        LISTINGS.iter().map(request).collect()
    }

    fn define(&self, path: &str, body: &[u8]) -> Option<Result<Vec<Instrument>, Malformed>> {
        listing::is_listing(path).then(|| listing::read(body))
    }

    fn shards(&self, wants: &[Want], options: &Options) -> Vec<Shard> {
        subscribe::shards(wants, options)
    }

    fn session(&self, shard: &Shard) -> Box<dyn Session> {
        if shard.path.is_none() && !shard.wants.is_empty() {
            Box::new(poll::PollSession::new(shard))
        } else {
            Box::new(session::OkxSession::new(shard))
        }
    }

    fn sim(&self, setup: &SimSetup) -> Box<dyn Sim> {
        Box::new(sim::OkxSim::new(setup))
    }

    fn rest(&self) -> &dyn Rest {
        &rest::OkxRest
    }

    fn recognises(&self, url: Option<&str>, frame: &[u8]) -> bool {
        match url {
            Some(url) => ["okx.com", "okex.com", "okx.", "/ws/v5/"].iter().any(|part| url.contains(part)),
            None => looks_like_ours(frame),
        }
    }
}

/// Whether a frame has the look of this venue: an `arg` with a `channel`, or a `table` of the retired API.
fn looks_like_ours(frame: &[u8]) -> bool {
    let mut inflater = v3::Inflater::default();
    let text = match frame.first() {
        Some(b'{') => frame,
        Some(_) => inflater.inflate(frame).unwrap_or_default(),
        None => return false,
    };
    let (head, read) = parse::frame(text, |_, c| c.skip().map(|_| ()));
    if head.legacy {
        return v3::frame(text, |row, c| {
            if row.table == v3::Table::Other {
                Err(c.fault(source::What::Missing("a known table")))
            } else {
                c.skip().map(|_| ())
            }
        })
        .is_ok();
    }
    // Another venue has the same envelope; its ids have no dash, and it names product and instrument at once.
    let named = head.arg.is_some_and(|arg| match (arg.inst, arg.inst_type) {
        (b"", b"") => !arg.family.is_empty() && arg.kind != parse::Kind::Other,
        (b"", _) => arg.kind != parse::Kind::Other,
        (inst, product) => product.is_empty() && !arg.channel.is_empty() && inst.contains(&b'-'),
    });
    read.is_ok() && named && (head.data || head.control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_frames_are_recognised_and_others_not() {
        let ours = br#"{"arg":{"channel":"books","instId":"BTC-USDT"},"action":"update","data":[]}"#;
        assert!(Okx.recognises(None, ours));
        let family = br#"{"arg":{"channel":"opt-summary","instFamily":"BTC-USD"},"data":[]}"#;
        assert!(Okx.recognises(None, family));
        assert!(Okx.recognises(Some("wss://ws.okx.com:8443/ws/v5/public"), b""));
        assert!(!Okx.recognises(Some("wss://fstream.binance.com/stream"), ours));
        for other in [
            &br#"{"stream":"btcusdt@trade","data":{"e":"trade"}}"#[..],
            br#"{"ch":"market.btcusdt.trade.detail","tick":{}}"#,
            br#"{"action":"snapshot","arg":{"instType":"SPOT","channel":"books","instId":"BTCUSDT"},"data":[]}"#,
            br#"{"table":"orderBookL2","action":"partial","data":[{"symbol":"XBTUSD"}]}"#,
            b"garbage",
            b"",
        ] {
            assert!(!Okx.recognises(None, other), "{}", String::from_utf8_lossy(other));
        }
    }

    #[test]
    fn listings_cover_all_products() {
        let paths: Vec<_> = Okx.listings().into_iter().map(|r| r.path).collect();
        assert_eq!(paths.len(), 5);
        assert!(paths.iter().all(|path| listing::is_listing(path)));
        assert!(Okx.define("/api/v5/market/books?instId=BTC-USDT", b"{}").is_none());
    }
}
