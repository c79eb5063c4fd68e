//! Gate: spot, perpetuals settled in USDT and in BTC, and delivery contracts by the v4 API.
//!
//! What it offers, its limits, its sequence rules and its quirks stand in the README of this folder.

mod emit;
mod listing;
mod parse;
mod product;
mod rest;
mod rows;
mod session;
mod sim;
mod subscribe;
mod sync;

use model::{Channel, Instrument, Proof, SourceName};
use source::{
    ChannelSpec, Cursor, Endpoint, Malformed, Options, Rate, Request, Rest, Session, Shard, Sim, SimSetup,
    Source, Spec, Want,
};

/// The folder's name, also the venue's.
pub(crate) const NAME: SourceName = "gate";

/// The source.
#[derive(Clone, Copy, Debug, Default)]
pub struct Gate;

const fn offers(channel: Channel, proof: Proof, quiet_ms: Option<u32>) -> ChannelSpec {
    ChannelSpec { channel, proof, quiet_ms }
}

const fn endpoint(name: &'static str, ws: &'static str) -> Endpoint {
    Endpoint {
        name,
        ws,
        rest: "https://api.gateio.ws",
        connects: Rate { max: 5, per_ms: 1_000 },
        sends: Rate { max: 20, per_ms: 1_000 },
        weight: Rate { max: 150, per_ms: 10_000 },
        heartbeat_ms: 30_000,
        lifetime_ms: None,
    }
}

/// Names, addresses and limits.
pub static SPEC: Spec = Spec {
    name: NAME,
    docs: "https://www.gate.com/docs/developers/apiv4/ws/en/",
    endpoints: &[endpoint("spot", "wss://api.gateio.ws"), endpoint("futures", "wss://fx-ws.gateio.ws")],
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
    ],
    frame_bytes_max: 16 * 1024 * 1024,
};

impl Source for Gate {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    // Without it sizes of contracts are whole numbers, rounded down.
    fn headers(&self, endpoint: usize) -> &'static [(&'static str, &'static str)] {
        let futures = SPEC.endpoints.get(endpoint).is_some_and(|e| e.name == "futures");
        if futures { &[("X-Gate-Size-Decimal", "1")] } else { &[] }
    }

    fn listings(&self) -> Vec<Request> {
        let request = |p: &product::Product| Request {
            endpoint: p.endpoint(),
            path: p.listing().to_owned(),
            weight: 1,
        };
        product::ALL.iter().map(request).collect()
    }

    fn define(&self, path: &str, body: &[u8]) -> Option<Result<Vec<Instrument>, Malformed>> {
        listing::product_of(path).map(|product| listing::read(product, body))
    }

    fn shards(&self, wants: &[Want], options: &Options) -> Vec<Shard> {
        subscribe::shards(wants, options)
    }

    fn session(&self, shard: &Shard) -> Box<dyn Session> {
        Box::new(session::GateSession::new(shard))
    }

    fn sim(&self, setup: &SimSetup) -> Box<dyn Sim> {
        Box::new(sim::GateSim::new(setup))
    }

    fn recognises(&self, url: Option<&str>, frame: &[u8]) -> bool {
        match url {
            Some(url) => {
                ["gateio.ws", "gate.com", "gate.io", "gateio."].iter().any(|part| url.contains(part))
            }
            None => looks_like_ours(frame),
        }
    }

    fn rest(&self) -> &dyn Rest {
        &rest::GateRest
    }
}

/// Whether a frame has the look of this venue: a `channel` of `spot.` or `futures.` with a result or an event.
fn looks_like_ours(frame: &[u8]) -> bool {
    let (mut named, mut body) = (false, false);
    let read = Cursor::new(frame).object(|c, key| {
        match key {
            b"channel" if c.peek() == Some(b'"') => named = parse::Kind::of(c.str()?).is_some(),
            b"event" | b"result" | b"error" => {
                body = true;
                c.skip()?;
            }
            _ => {
                c.skip()?;
            }
        }
        Ok(())
    });
    read.is_ok() && named && body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_frames_are_recognised_and_others_not() {
        let ours = br#"{"time":1760000000,"channel":"spot.trades","event":"update","result":{}}"#;
        assert!(Gate.recognises(None, ours));
        assert!(Gate.recognises(None, br#"{"channel":"futures.obu","result":{}}"#));
        assert!(Gate.recognises(Some("wss://fx-ws.gateio.ws/v4/ws/usdt"), b""));
        assert!(!Gate.recognises(Some("wss://ws.okx.com:8443/ws/v5/public"), ours));
        for other in [
            &br#"{"stream":"btcusdt@trade","data":{"e":"trade"}}"#[..],
            br#"{"channel":"trade","type":"update","data":[]}"#,
            br#"{"channel":"l2_data","events":[]}"#,
            br#"{"arg":{"channel":"books","instId":"BTC-USDT"},"data":[]}"#,
            br#"{"channel":"spot.trades"}"#,
            br#"{"channel":{"spot.trades":1},"event":1}"#,
            b"garbage",
            b"",
        ] {
            assert!(!Gate.recognises(None, other), "{}", String::from_utf8_lossy(other));
        }
    }

    #[test]
    fn listings_cover_all_products() {
        let paths: Vec<_> = Gate.listings().into_iter().map(|r| r.path).collect();
        assert_eq!(paths.len(), 4);
        assert!(paths.iter().all(|path| listing::product_of(path).is_some()));
        assert!(Gate.define("/api/v4/spot/order_book?currency_pair=BTC_USDT", b"{}").is_none());
    }
}
