//! The quick way of reading frames and the general one say the same.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use binance::Binance;
use model::{Body, Ts};
use source::conformance::{self, Said};
use source::{Action, Input, Source};

/// What matters of what a session does: places in a frame differ between the two.
fn told(out: &[Action]) -> Vec<String> {
    let word = |action: &Action| match action {
        Action::Malformed(fault) => format!("{:?}", std::mem::discriminant(&fault.what)),
        Action::Emit(event) => match &event.body {
            Body::Lane(_) => format!("{} {:?}", event.channel.name(), event.instrument.name),
            _ => format!("{event:?}"),
        },
        other => format!("{other:?}"),
    };
    out.iter().map(word).collect()
}

/// The same frame in a form that only the general reader takes.
fn spaced(frame: &[u8]) -> Vec<u8> {
    [b" ", frame].concat()
}

#[test]
fn both_ways_say_the_same_of_whole_and_of_damaged_frames() {
    let mut rng = fastrand::Rng::with_seed(5);
    let talk = conformance::converse(&Binance, 5, 20_000);
    for damage in [false, true] {
        for heard in &talk.heard {
            let (mut quick, mut general) = (Binance.session(&heard.shard), Binance.session(&heard.shard));
            for (n, (now, said)) in heard.inputs.iter().enumerate() {
                let (mut a, mut b) = (Vec::new(), Vec::new());
                let mut tell = |input: Input<'_>, now: Ts| {
                    quick.on(input, now, &mut a);
                    general.on(input, now, &mut b);
                };
                match said {
                    Said::Open => tell(Input::Open, *now),
                    Said::Wake(timer) => tell(Input::Wake { timer: *timer }, *now),
                    Said::Reply(tag, path, status, body) => {
                        let input =
                            Input::Reply { tag: Some(*tag), path, status: *status, retry_ms: None, body };
                        tell(input, *now);
                    }
                    Said::Frame(frame, _) => {
                        let mut frame = frame.clone();
                        if damage && rng.u8(0..10) == 0 {
                            let at = rng.usize(0..frame.len());
                            frame[at] = b"0123456789.\"{}[],:eE-ax"[rng.usize(0..23)];
                        }
                        quick.on(Input::Frame { bytes: &frame, binary: false }, *now, &mut a);
                        general.on(Input::Frame { bytes: &spaced(&frame), binary: false }, *now, &mut b);
                        assert_eq!(told(&a), told(&b), "{n}: {}", String::from_utf8_lossy(&frame));
                        continue;
                    }
                }
                assert_eq!(told(&a), told(&b), "{n}");
            }
        }
    }
}
