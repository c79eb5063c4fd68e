//! HTX (formerly Huobi): spot, and contracts margined in USDT and in coins.
//!
//! What it offers, its limits, its sequence rules and its quirks stand in the README of this folder.

mod emit;
mod gzip;
mod listing;
mod number;
mod parse;
mod product;
mod rest;
mod rows;
mod session;
mod sim;
mod subscribe;
mod sync;
mod topic;

use model::{Channel, Instrument, Proof, SourceName};
use source::{
    ChannelSpec, Endpoint, Malformed, Options, Rate, Request, Rest, Session, Shard, Sim, SimSetup, Source,
    Spec, Want,
};

/// The folder's name, also the venue's.
pub(crate) const NAME: SourceName = "htx";

/// The source.
#[derive(Clone, Copy, Debug, Default)]
pub struct Htx;

const fn offers(channel: Channel, proof: Proof, quiet_ms: Option<u32>) -> ChannelSpec {
    ChannelSpec { channel, proof, quiet_ms }
}

/// Names, addresses and limits.
pub static SPEC: Spec = Spec {
    name: NAME,
    docs: "https://huobiapi.github.io/docs/spot/v1/en/",
    endpoints: &[
        Endpoint {
            name: "spot",
            ws: "wss://api.huobi.pro",
            rest: "https://api.huobi.pro",
            connects: Rate { max: 10, per_ms: 1_000 },
            sends: Rate { max: 40, per_ms: 1_000 },
            weight: Rate { max: 10, per_ms: 1_000 },
            heartbeat_ms: 15_000,
            lifetime_ms: None,
        },
        Endpoint {
            name: "futures",
            ws: "wss://api.hbdm.com",
            rest: "https://api.hbdm.com",
            connects: Rate { max: 10, per_ms: 1_000 },
            sends: Rate { max: 35, per_ms: 1_000 },
            weight: Rate { max: 200, per_ms: 3_000 },
            heartbeat_ms: 15_000,
            lifetime_ms: None,
        },
    ],
    channels: &[
        offers(Channel::Trades, Proof::None, None),
        offers(Channel::Book, Proof::Sequence, None),
        offers(Channel::BookTop, Proof::None, None),
        offers(Channel::Quote, Proof::None, None),
        offers(Channel::DayStats, Proof::None, None),
        offers(Channel::Bars, Proof::None, None),
        offers(Channel::MarkPrice, Proof::None, None),
        offers(Channel::IndexPrice, Proof::None, None),
        offers(Channel::Funding, Proof::None, Some(130_000)),
        offers(Channel::OpenInterest, Proof::None, Some(60_000)),
        offers(Channel::Liquidations, Proof::None, None),
        offers(Channel::LongShortRatio, Proof::None, Some(900_000)),
        offers(Channel::Status, Proof::None, None),
        offers(Channel::Instruments, Proof::None, None),
    ],
    frame_bytes_max: 16 * 1024 * 1024,
};

impl Source for Htx {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn listings(&self) -> Vec<Request> {
        let request =
            |(endpoint, path): (usize, &str)| Request { endpoint, path: path.to_owned(), weight: 1 };
        listing::LISTINGS.into_iter().map(request).collect()
    }

    fn define(&self, path: &str, body: &[u8]) -> Option<Result<Vec<Instrument>, Malformed>> {
        listing::listed_by(path).map(|product| listing::read(product, body))
    }

    fn shards(&self, wants: &[Want], options: &Options) -> Vec<Shard> {
        subscribe::shards(wants, options)
    }

    fn session(&self, shard: &Shard) -> Box<dyn Session> {
        Box::new(session::HtxSession::new(shard))
    }

    fn sim(&self, setup: &SimSetup) -> Box<dyn Sim> {
        Box::new(sim::HtxSim::new(setup))
    }

    fn recognises(&self, url: Option<&str>, frame: &[u8]) -> bool {
        match url {
            Some(url) => {
                let hosts = ["huobi.", "hbdm.", "htx.com"];
                let paths = ["/linear-swap-", "/swap-ws", "/swap-notification", "/ws_index"];
                hosts.iter().chain(&paths).any(|part| url.contains(part))
            }
            None => looks_like_ours(frame),
        }
    }

    fn rest(&self) -> &dyn Rest {
        &rest::HtxRest
    }
}

/// Whether a frame has the look of this venue: a topic of `market.` or `public.`, or a packed ping.
fn looks_like_ours(frame: &[u8]) -> bool {
    let mut inflater = gzip::Inflater::default();
    let packed = gzip::is_member(frame);
    let text = if packed { inflater.member(frame).unwrap_or_default() } else { frame };
    let (head, read) = parse::frame(text, |_, c| c.skip().map(|_| ()));
    let named = head.topic.or(head.acked.map(|(_, topic)| topic));
    let ours = named.is_some_and(|topic| topic.starts_with(b"market.") || topic.starts_with(b"public."));
    let ping = packed && (head.ping.is_some() || head.op == Some(b"ping"));
    read.is_ok() && (ours || ping)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_frames_are_recognised_and_others_not() {
        for ours in [
            r#"{"ch":"market.btcusdt.trade.detail","ts":1,"tick":{}}"#,
            r#"{"id":"1","subbed":"market.ATOM-USD.trade.detail","ts":1,"status":"ok"}"#,
            r#"{"op":"notify","topic":"public.*.funding_rate","ts":1,"data":[]}"#,
            r#"{"id":"1","rep":"market.btcusdt.mbp.150","status":"ok","data":{}}"#,
        ] {
            assert!(Htx.recognises(None, ours.as_bytes()), "{ours}");
        }
        for url in ["wss://api.huobi.pro/ws", "wss://api.hbdm.com/linear-swap-ws", "ws://127.0.0.1:1/swap-ws"]
        {
            assert!(Htx.recognises(Some(url), b""), "{url}");
        }
        assert!(!Htx.recognises(Some("wss://ws.okx.com:8443/ws/v5/public"), b""));
        for other in [
            &br#"{"arg":{"channel":"books","instId":"BTC-USDT"},"action":"update","data":[]}"#[..],
            br#"{"stream":"btcusdt@trade","data":{"e":"trade"}}"#,
            br#"{"topic":"publicTrade.BTCUSDT","type":"snapshot","ts":1,"data":[]}"#,
            br#"{"topic":"orderbook.50.BTCUSDT","type":"delta","data":{}}"#,
            br#"{"ping":1760000005000}"#,
            b"garbage",
            b"",
        ] {
            assert!(!Htx.recognises(None, other), "{}", String::from_utf8_lossy(other));
        }
    }

    #[test]
    fn listings_cover_all_products() {
        let paths: Vec<_> = Htx.listings().into_iter().map(|r| r.path).collect();
        assert_eq!(paths.len(), 3);
        assert!(paths.iter().all(|path| listing::listed_by(path).is_some()));
        assert!(Htx.define("/market/depth?symbol=btcusdt", b"{}").is_none());
    }
}
