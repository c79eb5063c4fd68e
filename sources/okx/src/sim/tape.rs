//! In front of a recording: under which subscription a recorded frame was sent.

use crate::parse;
use source::Topic;

/// The name under which a channel is joined.
pub(super) fn key(channel: &str, of: &str) -> String {
    format!("{channel}:{of}")
}

/// The subscription of a frame; `None` for answers, notices and what cannot be read.
pub(super) fn topic(frame: &[u8]) -> Option<Topic> {
    let (head, read) = parse::frame(frame, |_, c| c.skip().map(|_| ()));
    read.ok()?;
    let arg = head.arg.filter(|_| head.data && !head.control && !head.legacy)?;
    let of = [arg.inst, arg.inst_type, arg.family].into_iter().find(|of| !of.is_empty())?;
    let text = |bytes| std::str::from_utf8(bytes).ok();
    let fresh = head.action != Some(b"update");
    Some(Topic { key: key(text(arg.channel)?, text(of)?), fresh })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::OkxSim;
    use crate::subscribe::{BUSINESS, PUBLIC};
    use model::Ts;
    use source::{Peer, Sim, SimAction, SimInput, SimSetup};

    #[test]
    fn each_recorded_frame_has_the_key_that_a_subscription_to_it_gives() {
        let mut seen = 0;
        let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures");
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let odd = ["malformed", "control", "v3", "unknown", "rest"];
            if !name.contains(".jsonl") || odd.iter().any(|o| name.starts_with(o)) {
                continue;
            }
            for frame in std::fs::read_to_string(path).unwrap().lines().filter(|l| l.starts_with('{')) {
                let value: serde_json::Value = serde_json::from_str(frame).unwrap();
                let arg = &value["arg"];
                // Books for members are refused without a login.
                if arg["channel"].as_str().is_some_and(|c| c.ends_with("l2-tbt")) {
                    continue;
                }
                let candle =
                    arg["channel"].as_str().is_some_and(|c| c.starts_with("candle") || c == "trades-all");
                let mut sim = OkxSim::new(&SimSetup { tape: true, ..SimSetup::default() });
                let (mut out, peer) = (Vec::new(), Peer(1));
                let path = if candle { BUSINESS } else { PUBLIC };
                sim.on(SimInput::Open { peer, endpoint: 0, path }, Ts(0), &mut out);
                let topic = sim.topic(0, frame.as_bytes()).expect(frame);
                assert_eq!(topic.fresh, value["action"] != "update");
                for (op, action) in [
                    ("subscribe", SimAction::Joined { peer, key: topic.key.clone() }),
                    ("unsubscribe", SimAction::Left { peer, key: topic.key.clone() }),
                ] {
                    out.clear();
                    let request = format!(r#"{{"id":"1","op":"{op}","args":[{arg}]}}"#);
                    sim.on(SimInput::Frame { peer, bytes: request.as_bytes() }, Ts(1), &mut out);
                    out.retain(|action| !matches!(action, SimAction::WakeAt(_)));
                    assert_eq!(out.get(1), Some(&action), "acknowledged first: {frame} {out:?}");
                }
                seen += 1;
            }
        }
        assert!(seen > 15, "{seen}");
        for other in [r#"{"event":"subscribe","arg":{"channel":"books","instId":"A-B"}}"#, "pong", "{", ""] {
            assert_eq!(topic(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn in_front_of_a_recording_no_data_are_sent_and_the_recordings_silence_is_not_ours() {
        let mut sim = OkxSim::new(&SimSetup { tape: true, ..SimSetup::default() });
        let (mut out, peer) = (Vec::new(), Peer(1));
        sim.on(SimInput::Open { peer, endpoint: 0, path: PUBLIC }, Ts(0), &mut out);
        let request = br#"{"op":"subscribe","args":[{"channel":"books","instId":"WHATEVER-USDT"}]}"#;
        sim.on(SimInput::Frame { peer, bytes: request }, Ts(1), &mut out);
        for second in 1..120 {
            sim.on(SimInput::Wake, Ts::from_ms(second * 1_000), &mut out);
        }
        assert_eq!(out.iter().filter(|a| matches!(a, SimAction::Send { .. })).count(), 1);
        assert!(!out.iter().any(|a| matches!(a, SimAction::Close { .. })));
    }
}
