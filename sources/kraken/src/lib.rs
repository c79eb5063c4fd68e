//! Kraken: pairs by the stream v2, perpetuals and dated futures by the derivatives' stream, and recordings of the retired
//! stream v1.
//!
//! What it offers, its limits, its sequence rules and its quirks stand in the README of this folder.

mod emit;
mod futures;
mod ladders;
mod listing;
mod names;
mod parse;
mod rest;
mod rows;
mod session;
mod sim;
mod subscribe;
mod sync;
mod time;
mod v1;

use model::{Channel, Instrument, Proof, SourceName};
use source::{
    ChannelSpec, Endpoint, Malformed, Options, Rate, Request, Rest, Session, Shard, Sim, SimSetup, Source,
    Spec, Want,
};

/// The folder's name, also the venue's.
pub(crate) const NAME: SourceName = "kraken";
/// Index of the spot market's endpoint.
pub(crate) const SPOT: usize = 0;
/// Index of the derivatives' endpoint.
pub(crate) const FUTURES: usize = 1;

/// The source.
#[derive(Clone, Copy, Debug, Default)]
pub struct Kraken;

const fn offers(channel: Channel, proof: Proof, quiet_ms: Option<u32>) -> ChannelSpec {
    ChannelSpec { channel, proof, quiet_ms }
}

/// Names, addresses and limits.
pub static SPEC: Spec = Spec {
    name: NAME,
    docs: "https://docs.kraken.com/api/",
    endpoints: &[
        Endpoint {
            name: "spot",
            ws: "wss://ws.kraken.com",
            rest: "https://api.kraken.com",
            connects: Rate { max: 140, per_ms: 600_000 },
            sends: Rate { max: 20, per_ms: 1_000 },
            weight: Rate { max: 10, per_ms: 10_000 },
            heartbeat_ms: 30_000,
            lifetime_ms: None,
        },
        Endpoint {
            name: "futures",
            ws: "wss://futures.kraken.com",
            rest: "https://futures.kraken.com",
            connects: Rate { max: 100, per_ms: 600_000 },
            sends: Rate { max: 20, per_ms: 1_000 },
            weight: Rate { max: 50, per_ms: 10_000 },
            heartbeat_ms: 30_000,
            lifetime_ms: None,
        },
    ],
    channels: &[
        offers(Channel::Trades, Proof::Sequence, None),
        offers(Channel::Book, Proof::Checksum, None),
        offers(Channel::Quote, Proof::None, None),
        offers(Channel::DayStats, Proof::None, None),
        offers(Channel::Bars, Proof::None, None),
        offers(Channel::MarkPrice, Proof::None, Some(10_000)),
        offers(Channel::IndexPrice, Proof::None, Some(10_000)),
        offers(Channel::Funding, Proof::None, None),
        offers(Channel::OpenInterest, Proof::None, None),
        offers(Channel::Liquidations, Proof::None, None),
        offers(Channel::Status, Proof::None, None),
        offers(Channel::Instruments, Proof::None, None),
    ],
    frame_bytes_max: 16 * 1024 * 1024,
};

impl Source for Kraken {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn listings(&self) -> Vec<Request> {
        let request = |endpoint, path: &str| Request { endpoint, path: path.to_owned(), weight: 1 };
        vec![request(SPOT, listing::SPOT), request(FUTURES, listing::FUTURES)]
    }

    fn define(&self, path: &str, body: &[u8]) -> Option<Result<Vec<Instrument>, Malformed>> {
        listing::is_listing(path).then(|| listing::read(path, body))
    }

    fn shards(&self, wants: &[Want], options: &Options) -> Vec<Shard> {
        subscribe::shards(wants, options)
    }

    fn session(&self, shard: &Shard) -> Box<dyn Session> {
        Box::new(session::KrakenSession::new(shard))
    }

    fn sim(&self, setup: &SimSetup) -> Box<dyn Sim> {
        Box::new(sim::KrakenSim::new(setup))
    }

    fn recognises(&self, url: Option<&str>, frame: &[u8]) -> bool {
        match url {
            Some(url) => {
                ["kraken.com", "cryptofacilities.com", "kraken."].iter().any(|part| url.contains(part))
            }
            None => looks_like_ours(frame),
        }
    }

    fn rest(&self) -> &dyn Rest {
        &rest::KrakenRest
    }
}

/// Whether a frame has the look of one of this venue's protocols.
fn looks_like_ours(bytes: &[u8]) -> bool {
    let found = |part: &[u8]| bytes.windows(part.len()).any(|w| w == part);
    if bytes.first() == Some(&b'[') {
        return v1::frame(bytes).is_ok_and(|f| {
            let name = f.channel.split('-').next().unwrap_or_default();
            ["book", "trade", "ticker", "spread", "ohlc"].contains(&name) && names::symbol(f.pair).is_some()
        });
    }
    let (f, read) = parse::frame(bytes, |_, _| Ok(false));
    if read.is_err() {
        return false;
    }
    if f.method {
        return found(b"\"time_in\"");
    }
    match (f.kind, f.feed, f.event) {
        (Some(parse::Kind::Heartbeat), ..) => bytes.len() < 40,
        (Some(kind), ..) => {
            let typed = matches!(f.word, Some(b"snapshot" | b"update")) && f.data.is_some();
            let of_all = matches!(kind, parse::Kind::Instrument | parse::Kind::Status);
            typed && kind != parse::Kind::Other && (of_all || found(b"\"symbol\""))
        }
        (None, Some(feed), _) => {
            let known =
                [&b"book"[..], b"book_snapshot", b"trade", b"trade_snapshot", b"ticker", b"ticker_lite"];
            let named = f.product.is_some_and(|p| listing::provisional(p).is_some());
            (known.contains(&feed) && named) || feed == b"heartbeat" || f.event.is_some()
        }
        (None, None, Some(event)) => matches!(event, b"systemStatus" | b"subscriptionStatus"),
        (None, None, None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_frames_are_recognised_and_others_not() {
        for ours in [
            &br#"{"channel":"book","type":"update","data":[{"symbol":"BTC/USD","bids":[],"asks":[],"checksum":1}]}"#[..],
            br#"{"channel":"heartbeat"}"#,
            br#"{"channel":"status","type":"update","data":[{"system":"online"}]}"#,
            br#"[321,[["57126.70000","0.02063928","1616333924.737428","b","m",""]],"trade","XBT/USD"]"#,
            br#"{"feed":"book","product_id":"PF_XBTUSD","side":"sell","seq":501,"price":1.0,"qty":0,"timestamp":1}"#,
            br#"{"event":"subscribed","feed":"book","product_ids":["PF_XBTUSD"]}"#,
            br#"{"connectionID":1,"event":"systemStatus","status":"online","version":"1.8.3"}"#,
            br#"{"method":"pong","req_id":1,"time_in":"a","time_out":"b"}"#,
        ] {
            assert!(Kraken.recognises(None, ours), "{}", String::from_utf8_lossy(ours));
        }
        assert!(Kraken.recognises(Some("wss://futures.kraken.com/ws/v1"), b""));
        for other in [
            &br#"{"stream":"btcusdt@trade","data":{"e":"trade"}}"#[..],
            br#"{"arg":{"channel":"books","instId":"BTC-USDT"},"action":"update","data":[]}"#,
            br#"{"channel":"ticker","client_id":"","timestamp":"2023-02-09T20:30:37Z","sequence_num":0,"events":[]}"#,
            br#"{"time":1760000000,"channel":"spot.trades","event":"update","result":{"id":1}}"#,
            br#"{"topic":"publicTrade.BTCUSDT","type":"snapshot","ts":1,"data":[{"s":"BTCUSDT"}]}"#,
            br#"{"jsonrpc":"2.0","method":"subscription","params":{"channel":"book.BTC-PERPETUAL.100ms","data":{}}}"#,
            br#"{"event":"info","version":2,"serverId":"x","platform":{"status":1}}"#,
            br#"{"event":"heartbeat"}"#,
            b"[17082,[[401597393,1574694475039,0.005,7244.9]]]",
            b"garbage",
            b"",
        ] {
            assert!(!Kraken.recognises(None, other), "{}", String::from_utf8_lossy(other));
        }
        assert!(!Kraken.recognises(Some("wss://stream.binance.com/ws"), br#"{"channel":"heartbeat"}"#));
    }

    #[test]
    fn listings_cover_both_markets() {
        for request in Kraken.listings() {
            assert!(listing::is_listing(&request.path));
        }
        assert!(Kraken.define("/0/public/Time", b"{}").is_none());
    }
}
