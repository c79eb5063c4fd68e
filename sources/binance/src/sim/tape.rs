//! In front of a recording: under which subscription a recorded frame was sent.

use crate::product::{PRODUCTS, Product};
use crate::session::Look;
use source::{Cursor, Topic};

/// The name under which a stream is joined. Speeds of one stream are one: a recording has it at a single speed.
pub(super) fn key(stream: &str) -> String {
    let Some((symbol, kind)) = stream.split_once('@') else { return stream.to_owned() };
    let kind = kind.split('@').next().unwrap_or_default();
    format!("{symbol}@{kind}")
}

/// The subscription of a frame at an endpoint; `None` for answers, notices, what cannot be read, and what shows that it is
/// of another section: sections share symbols.
pub(super) fn topic(endpoint: usize, frame: &[u8]) -> Option<Topic> {
    let whole = Cursor::new(frame);
    let (mut stream, mut data, mut interval) = (None, None, "");
    let read = whole.clone().object(|c, key| {
        match key {
            b"stream" => stream = Some(c.utf8()?),
            b"data" => {
                data = Some(c.clone());
                c.skip()?;
            }
            [b'k'] if c.peek() == Some(b'{') => c.object(|c, key| {
                if key == b"i" {
                    interval = c.utf8()?;
                } else {
                    c.skip()?;
                }
                Ok(())
            })?,
            _ => _ = c.skip()?,
        }
        Ok(())
    });
    read.ok()?;
    let look = Look::at(&data.unwrap_or(whole));
    let name = match stream {
        Some("!serverShutdown") => return None,
        Some(stream) => (stream.contains('@') || stream.starts_with('!')).then(|| stream.to_owned())?,
        None => bare(&look, interval)?,
    };
    let symbol = name.split('@').next().unwrap_or_default().to_uppercase();
    // A stream of all instruments carries several sections.
    if !symbol.starts_with('!') && !fits(endpoint, symbol.as_bytes(), &look) {
        return None;
    }
    let key = key(&name);
    let fresh = !key.ends_with("@depth") && !key.ends_with("@rpiDepth");
    Some(Topic { key, fresh })
}

/// The stream of a payload that names none.
fn bare(look: &Look<'_>, interval: &str) -> Option<String> {
    if look.has.control || look.symbol.is_empty() {
        return None;
    }
    let suffix = match look.kind {
        b"" if look.has.sizes => "bookTicker",
        b"trade" | b"aggTrade" | b"bookTicker" | b"forceOrder" => std::str::from_utf8(look.kind).ok()?,
        b"depthUpdate" => "depth",
        b"24hrTicker" => "ticker",
        b"24hrMiniTicker" => "miniTicker",
        b"markPriceUpdate" => "markPrice",
        b"kline" => &format!("kline_{interval}"),
        b"contractInfo" => return Some("!contractInfo".to_owned()),
        _ => return None,
    };
    Some(format!("{}@{suffix}", std::str::from_utf8(look.symbol).ok()?.to_lowercase()))
}

/// Whether a payload may have been sent at an endpoint.
fn fits(endpoint: usize, symbol: &[u8], look: &Look<'_>) -> bool {
    match PRODUCTS.get(endpoint) {
        Some(product) if product.futures => {
            // Bars tell spot by their digits alone, which a future may have too.
            let spot = look.futures() == Some(false) && look.kind != b"kline";
            !spot && Product::of_futures(symbol, look.has.section) == product
        }
        Some(_) => look.futures() != Some(true) && look.has.section.is_none() && !symbol.contains(&b'_'),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::BinanceSim;
    use model::Ts;
    use source::{Peer, Sim, SimAction, SimInput, SimSetup};

    /// Every data frame of the fixtures of a section.
    fn frames(section: &str) -> Vec<String> {
        let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures");
        let mut all = Vec::new();
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let odd =
                ["malformed", "control", "answers", "listing", "interest", "unknown", "repeated", "not_used"];
            if name.starts_with(section) && name.contains(".jsonl") && !odd.iter().any(|o| name.contains(o)) {
                let text = std::fs::read_to_string(path).unwrap();
                all.extend(text.lines().filter(|l| l.starts_with('{')).map(str::to_owned));
            }
        }
        all
    }

    /// What the venue says to a subscription in front of a recording.
    fn say(sim: &mut BinanceSim, method: &str, stream: &str) -> Vec<SimAction> {
        let request = format!(r#"{{"method":"{method}","params":["{stream}"],"id":1}}"#);
        let mut out = Vec::new();
        let now = Ts::from_ms(1_000);
        sim.on(SimInput::Frame { peer: Peer(1), bytes: request.as_bytes() }, now, &mut out);
        out.retain(|action| !matches!(action, SimAction::WakeAt(_)));
        out
    }

    #[test]
    fn each_recorded_frame_has_the_key_that_a_subscription_to_it_gives() {
        let mut seen = 0;
        for (endpoint, section) in ["spot", "usdm", "coinm"].into_iter().enumerate() {
            for frame in frames(section) {
                let value: serde_json::Value = serde_json::from_str(&frame).unwrap();
                let Some(stream) = value["stream"].as_str().filter(|s| !s.is_empty()) else { continue };
                let market = ["@aggTrade", "@kline", "@ticker", "@markPrice", "@forceOrder"];
                let all = stream.starts_with('!') && stream != "!bookTicker";
                let market = all || market.iter().any(|kind| stream.contains(kind));
                let path = match (section, market) {
                    ("usdm", true) => "/market/stream",
                    ("usdm", false) => "/public/stream",
                    _ => "/stream",
                };
                let mut sim = BinanceSim::new(&SimSetup { tape: true, ..SimSetup::default() });
                let mut out = Vec::new();
                sim.on(SimInput::Open { peer: Peer(1), endpoint, path }, Ts(0), &mut out);
                let topic = sim.topic(endpoint, frame.as_bytes()).unwrap_or_else(|| panic!("{frame}"));
                let said = say(&mut sim, "SUBSCRIBE", stream);
                let joined = SimAction::Joined { peer: Peer(1), key: topic.key.clone() };
                assert_eq!((said.len(), &said[1]), (2, &joined), "acknowledged, then joined: {frame}");
                let left = SimAction::Left { peer: Peer(1), key: topic.key.clone() };
                assert_eq!(say(&mut sim, "UNSUBSCRIBE", stream)[1], left);
                assert_eq!(
                    topic.fresh,
                    !stream.contains("@depth@") && !stream.ends_with("@depth"),
                    "{stream}"
                );
                if !stream.starts_with('!')
                    && !["5", "10", "20"].iter().any(|n| stream.contains(&format!("@depth{n}")))
                {
                    let bare = sim.topic(endpoint, value["data"].to_string().as_bytes());
                    assert_eq!(bare.as_ref(), Some(&topic), "{frame}");
                }
                seen += 1;
            }
        }
        assert!(seen > 30, "{seen}");
        for other in [r#"{"result":null,"id":1}"#, r#"{"stream":"!serverShutdown","data":{}}"#, "{", ""] {
            assert_eq!(topic(0, other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn a_frame_is_none_of_another_section_although_they_share_symbols() {
        let mut seen = [0; 3];
        for (endpoint, section) in ["spot", "usdm", "coinm"].into_iter().enumerate() {
            for frame in frames(section) {
                let value: serde_json::Value = serde_json::from_str(&frame).unwrap();
                let stream = value["stream"].as_str().unwrap_or_default();
                if topic(endpoint, frame.as_bytes()).is_none() {
                    continue;
                }
                let at = (0..3).filter(|at| topic(*at, frame.as_bytes()).is_some()).collect::<Vec<_>>();
                let expected = match section {
                    _ if stream.starts_with('!') || frame.contains("contractInfo") => vec![0, 1, 2],
                    // Their eight digits are a future's too, if a rare one.
                    "spot" if stream.contains("@kline") => vec![0, 1],
                    _ => vec![endpoint],
                };
                assert_eq!(at, expected, "{frame}");
                seen[endpoint] += 1;
            }
        }
        assert!(seen.iter().all(|seen| *seen > 10), "{seen:?}");
        assert_eq!(topic(3, br#"{"e":"trade","s":"BTCUSDT"}"#), None, "there is no such endpoint");
    }

    #[test]
    fn in_front_of_a_recording_any_symbol_is_taken_and_no_data_are_sent() {
        let mut sim = BinanceSim::new(&SimSetup { tape: true, ..SimSetup::default() });
        let mut out = Vec::new();
        let path = "/stream?streams=whateverusdt@trade/btcusdt@depth@100ms";
        sim.on(SimInput::Open { peer: Peer(1), endpoint: 0, path }, Ts(0), &mut out);
        let joined = out.iter().filter(|a| matches!(a, SimAction::Joined { .. })).count();
        assert_eq!(joined, 2);
        for second in 1..60 {
            sim.on(SimInput::Wake, Ts::from_ms(second * 1_000), &mut out);
        }
        assert!(!out.iter().any(|a| matches!(a, SimAction::Send { .. })), "{out:?}");
        assert!(out.iter().any(|a| matches!(a, SimAction::Ping { .. })));
    }
}
