//! Deribit: perpetuals, dated futures, options and spot by JSON-RPC over WebSocket.
//!
//! What it offers, its limits, its sequence rules and its quirks stand in the README of this folder.

mod book;
mod emit;
mod listing;
mod parse;
mod rest;
mod rows;
mod session;
mod sim;
mod subscribe;
mod sync;
mod ticker;
mod trades;

use model::{Channel, Instrument, Proof, SourceName};
use source::{
    ChannelSpec, Endpoint, Malformed, Options, Rate, Request, Rest, Session, Shard, Sim, SimSetup, Source,
    Spec, Want,
};

/// The folder's name, also the venue's.
pub(crate) const NAME: SourceName = "deribit";

/// The source.
#[derive(Clone, Copy, Debug, Default)]
pub struct Deribit;

const fn offers(channel: Channel, proof: Proof) -> ChannelSpec {
    ChannelSpec { channel, proof, quiet_ms: None }
}

/// Names, addresses and limits. An option may be silent for hours, so that no channel of an instrument has a cadence.
pub static SPEC: Spec = Spec {
    name: NAME,
    docs: "https://docs.deribit.com/",
    endpoints: &[Endpoint {
        name: "main",
        ws: "wss://www.deribit.com",
        rest: "https://www.deribit.com",
        connects: Rate { max: 5, per_ms: 1_000 },
        sends: Rate { max: 9, per_ms: 3_000 },
        weight: Rate { max: 20, per_ms: 1_000 },
        heartbeat_ms: 30_000,
        lifetime_ms: None,
    }],
    channels: &[
        offers(Channel::Trades, Proof::Sequence),
        offers(Channel::Book, Proof::Sequence),
        offers(Channel::BookTop, Proof::None),
        offers(Channel::Quote, Proof::None),
        offers(Channel::DayStats, Proof::None),
        offers(Channel::Bars, Proof::None),
        offers(Channel::MarkPrice, Proof::None),
        offers(Channel::IndexPrice, Proof::None),
        offers(Channel::Funding, Proof::None),
        offers(Channel::OpenInterest, Proof::None),
        offers(Channel::Liquidations, Proof::None),
        offers(Channel::VolatilityIndex, Proof::None),
        offers(Channel::Greeks, Proof::None),
        offers(Channel::Status, Proof::None),
        offers(Channel::Instruments, Proof::None),
    ],
    frame_bytes_max: 32 * 1024 * 1024,
};

impl Source for Deribit {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn listings(&self) -> Vec<Request> {
        let path = "/api/v2/public/get_instruments?currency=any&expired=false".to_owned();
        vec![Request { endpoint: 0, path, weight: 20 }]
    }

    fn define(&self, path: &str, body: &[u8]) -> Option<Result<Vec<Instrument>, Malformed>> {
        listing::is_listing(path).then(|| listing::read(body))
    }

    fn shards(&self, wants: &[Want], options: &Options) -> Vec<Shard> {
        subscribe::shards(wants, options)
    }

    fn session(&self, shard: &Shard) -> Box<dyn Session> {
        Box::new(session::DeribitSession::new(shard))
    }

    fn sim(&self, setup: &SimSetup) -> Box<dyn Sim> {
        Box::new(sim::DeribitSim::new(setup))
    }

    fn recognises(&self, url: Option<&str>, frame: &[u8]) -> bool {
        match url {
            Some(url) => url.contains("deribit."),
            None => looks_like_ours(frame),
        }
    }

    fn rest(&self) -> &dyn Rest {
        &rest::DeribitRest
    }
}

/// Whether a frame has the look of this venue: JSON-RPC with one of its channels, its clock or its heartbeat.
fn looks_like_ours(frame: &[u8]) -> bool {
    let (mut rpc, mut clock) = (false, false);
    let mut c = source::Cursor::new(frame);
    let walked = c.object(|c, key| {
        match key {
            b"jsonrpc" => rpc = c.str()? == b"2.0",
            b"usIn" | b"usOut" | b"testnet" => {
                clock = true;
                c.skip()?;
            }
            _ => {
                c.skip()?;
            }
        }
        Ok(())
    });
    if walked.is_err() || !rpc {
        return false;
    }
    let (head, read) = parse::frame(frame, |_, c| c.skip().map(|_| ()));
    let ours = match (head.topic, head.method) {
        (Some(topic), _) => topic.kind != parse::Kind::Other,
        (None, Some(b"heartbeat")) => true,
        (None, _) => clock,
    };
    read.is_ok() && ours
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_frames_are_recognised_and_others_not() {
        for ours in [
            &br#"{"jsonrpc":"2.0","method":"subscription","params":{"channel":"book.BTC-PERPETUAL.raw","data":{}}}"#[..],
            br#"{"jsonrpc":"2.0","method":"heartbeat","params":{"type":"test_request"}}"#,
            br#"{"jsonrpc":"2.0","id":1,"result":["quote.BTC-PERPETUAL"],"usIn":1,"usOut":2,"usDiff":1,"testnet":false}"#,
        ] {
            assert!(Deribit.recognises(None, ours), "{}", String::from_utf8_lossy(ours));
        }
        assert!(Deribit.recognises(Some("wss://streams.deribit.com/ws/api/v2"), b""));
        for other in [
            &br#"{"stream":"btcusdt@trade","data":{"e":"trade"}}"#[..],
            br#"{"ch":"market.btcusdt.trade.detail","tick":{}}"#,
            br#"{"jsonrpc":"2.0","method":"subscription","params":{"channel":"orderbook.BTC","data":{}}}"#,
            br#"{"jsonrpc":"2.0","id":1,"result":[]}"#,
            br#"{"method":"subscription","params":{"channel":"book.BTC-PERPETUAL.raw","data":{}}}"#,
            br#"{"channel":"book","type":"snapshot","data":[]}"#,
            b"garbage",
            b"",
        ] {
            assert!(!Deribit.recognises(None, other), "{}", String::from_utf8_lossy(other));
        }
        let ours = br#"{"jsonrpc":"2.0","method":"heartbeat","params":{"type":"test_request"}}"#;
        assert!(!Deribit.recognises(Some("wss://stream.bybit.com/v5/public/linear"), ours));
    }

    #[test]
    fn one_listing_covers_all_products() {
        let paths: Vec<_> = Deribit.listings().into_iter().map(|r| r.path).collect();
        assert_eq!(paths, ["/api/v2/public/get_instruments?currency=any&expired=false"]);
        assert!(Deribit.define("/api/v2/public/get_order_book", b"{}").is_none());
    }
}
