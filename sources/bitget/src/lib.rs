//! Bitget: spot and futures settled in USDT, USDC and coins, by the v2 API; forced orders and fast books by v3.
//!
//! What it offers, its limits, its sequence rules and its quirks stand in the README of this folder.

mod emit;
mod listing;
mod parse;
mod poll;
mod product;
mod rest;
mod rows;
mod session;
mod sim;
mod subscribe;
mod sync;

use model::{Channel, Instrument, Proof, SourceName};
use product::PRODUCTS;
use source::{
    ChannelSpec, Endpoint, Malformed, Options, Rate, Request, Rest, Session, Shard, Sim, SimSetup, Source,
    Spec, Want,
};

/// The folder's name, also the venue's.
pub(crate) const NAME: SourceName = "bitget";

/// The source.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bitget;

const fn offers(channel: Channel, proof: Proof, quiet_ms: Option<u32>) -> ChannelSpec {
    ChannelSpec { channel, proof, quiet_ms }
}

/// Names, addresses and limits.
pub static SPEC: Spec = Spec {
    name: NAME,
    docs: "https://www.bitget.com/api-doc/common/intro",
    endpoints: &[Endpoint {
        name: "main",
        ws: "wss://ws.bitget.com",
        rest: "https://api.bitget.com",
        connects: Rate { max: 10, per_ms: 10_000 },
        sends: Rate { max: 8, per_ms: 1_000 },
        weight: Rate { max: 18, per_ms: 1_000 },
        heartbeat_ms: 45_000,
        lifetime_ms: Some(86_400_000),
    }],
    channels: &[
        offers(Channel::Trades, Proof::None, None),
        offers(Channel::Book, Proof::Sequence, None),
        offers(Channel::BookTop, Proof::None, None),
        offers(Channel::Quote, Proof::None, None),
        offers(Channel::DayStats, Proof::None, None),
        offers(Channel::Bars, Proof::None, None),
        offers(Channel::MarkPrice, Proof::None, None),
        offers(Channel::IndexPrice, Proof::None, None),
        offers(Channel::Funding, Proof::None, None),
        offers(Channel::OpenInterest, Proof::None, None),
        offers(Channel::Liquidations, Proof::None, None),
        offers(Channel::LongShortRatio, Proof::None, None),
        offers(Channel::Status, Proof::None, None),
        offers(Channel::Instruments, Proof::None, None),
    ],
    frame_bytes_max: 16 * 1024 * 1024,
};

impl Source for Bitget {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn listings(&self) -> Vec<Request> {
        PRODUCTS.iter().map(|p| Request { endpoint: 0, path: listing::path(p), weight: 1 }).collect()
    }

    fn define(&self, path: &str, body: &[u8]) -> Option<Result<Vec<Instrument>, Malformed>> {
        listing::is_listing(path).then(|| listing::read(path, body))
    }

    fn shards(&self, wants: &[Want], options: &Options) -> Vec<Shard> {
        subscribe::shards(wants, options)
    }

    fn session(&self, shard: &Shard) -> Box<dyn Session> {
        if shard.path.is_none() && !shard.wants.is_empty() {
            Box::new(poll::PollSession::new(shard))
        } else {
            Box::new(session::BitgetSession::new(shard))
        }
    }

    fn sim(&self, setup: &SimSetup) -> Box<dyn Sim> {
        Box::new(sim::BitgetSim::new(setup))
    }

    fn recognises(&self, url: Option<&str>, frame: &[u8]) -> bool {
        match url {
            Some(url) => url.contains("bitget.com"),
            None => looks_like_ours(frame),
        }
    }

    fn rest(&self) -> &dyn Rest {
        &rest::BitgetRest
    }
}

/// Whether a frame has the look of this venue: an `arg` that names product and channel at once, with an `action` or an
/// `event`. Another venue has the same envelope, but names either product or instrument.
fn looks_like_ours(frame: &[u8]) -> bool {
    let (head, read) = parse::frame(frame, |_, c| c.skip().map(|_| ()));
    let named = head.arg.is_some_and(|arg| {
        product::Product::of(arg.inst_type, arg.symbol).is_some()
            && arg.kind != parse::Kind::Other
            && (!arg.symbol.is_empty() || arg.kind == parse::Kind::Liquidations)
    });
    read.is_ok() && named && (head.control || (head.data && head.action.is_some()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_frames_are_recognised_and_others_not() {
        for ours in [
            &br#"{"action":"snapshot","arg":{"instType":"SPOT","channel":"books","instId":"BTCUSDT"},"data":[]}"#[..],
            br#"{"action":"update","arg":{"instType":"usdt-futures","topic":"publicTrade","symbol":"BTCUSDT"},"data":[]}"#,
            br#"{"action":"update","arg":{"instType":"mc","channel":"trade","instId":"BTCUSDT"},"data":[]}"#,
            br#"{"action":"update","arg":{"instType":"usdt-futures","topic":"liquidation"},"data":[]}"#,
            br#"{"event":"subscribe","arg":{"instType":"SPOT","channel":"books","instId":"BTCUSDT"}}"#,
        ] {
            assert!(Bitget.recognises(None, ours), "{}", String::from_utf8_lossy(ours));
            assert!(!Bitget.recognises(Some("wss://ws.okx.com:8443/ws/v5/public"), ours));
        }
        assert!(Bitget.recognises(Some("wss://ws.bitget.com/v2/ws/public"), b""));
        for other in [
            &br#"{"arg":{"channel":"books","instId":"BTC-USDT"},"action":"update","data":[]}"#[..],
            br#"{"arg":{"channel":"instruments","instType":"SPOT"},"data":[]}"#,
            br#"{"event":"subscribe","arg":{"channel":"liquidation-orders","instType":"SWAP"}}"#,
            br#"{"topic":"orderbook.50.BTCUSDT","type":"snapshot","ts":1,"data":{}}"#,
            br#"{"stream":"btcusdt@trade","data":{"e":"trade"}}"#,
            br#"{"ch":"market.btcusdt.trade.detail","tick":{}}"#,
            br#"{"time":1,"channel":"spot.trades","event":"update","result":{}}"#,
            b"pong",
            b"garbage",
            b"",
        ] {
            assert!(!Bitget.recognises(None, other), "{}", String::from_utf8_lossy(other));
        }
    }

    #[test]
    fn listings_cover_all_products() {
        let paths: Vec<_> = Bitget.listings().into_iter().map(|r| r.path).collect();
        assert_eq!(paths.len(), 4);
        assert!(paths.iter().all(|path| listing::is_listing(path)));
        assert!(Bitget.define("/api/v2/spot/market/tickers", b"{}").is_none());
    }
}
