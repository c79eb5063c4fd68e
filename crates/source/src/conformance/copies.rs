//! A session that passes over what another connection has brought must stand where one stands that reads everything.

use super::{Heard, Said, frame};
use crate::{Action, Input, Mark, Named, Shard, Source};
use model::{Body, Channel, Event, Ts};
use std::collections::BTreeMap;

/// How many frames were passed over, by what they told.
pub type Passed = BTreeMap<Channel, usize>;

/// Fewer frames of a channel than this show little.
const SHOWS: usize = 50;

/// A session that passes over frames here and there, by luck from a seed, says of all others what a session says that
/// reads every frame, and at the end loses the same books; and what it passes over tells what its mark says. Unknown
/// names are left out: each is told once, by whoever reads it first.
pub fn what_is_passed_over_is_as_if_read<'a>(
    source: &dyn Source,
    shard: &Shard,
    inputs: impl IntoIterator<Item = (Ts, Input<'a>)>,
    seed: u64,
) -> Passed {
    let mut rng = fastrand::Rng::with_seed(seed);
    let (mut whole, mut quick) = (source.session(shard), source.session(shard));
    let (mut said, mut passed_over, mut last) = (Vec::new(), Passed::new(), Ts::default());
    for (now, input) in inputs {
        last = now;
        said.clear();
        whole.on(input, now, &mut said);
        said.retain(|action| !matches!(action, Action::Unknown(_)));
        if let Input::Frame { bytes, binary } = input {
            let (known, mut marks) = (rng.bool(), Vec::new());
            let passed = quick.pass_over(bytes, binary, now, &mut |mark| {
                marks.push(mark);
                known
            });
            assert!(marks.len() <= 1, "asked {} times about a frame", marks.len());
            assert_eq!(passed, known && !marks.is_empty(), "{}", bytes.escape_ascii());
            if let Some(mark) = marks.first() {
                assert!(tells(&said, mark), "{mark:?} is not {said:?}");
            }
            if let Some(mark) = marks.first().filter(|_| passed) {
                *passed_over.entry(mark.channel).or_default() += 1;
                // A definition that the other connection widened is told by the runner.
                for event in said.iter().filter_map(defined) {
                    quick.on(Input::Define(&event.instrument), now, &mut Vec::new());
                }
                continue;
            }
        }
        let mut ours = Vec::new();
        quick.on(input, now, &mut ours);
        ours.retain(|action| !matches!(action, Action::Unknown(_)));
        assert_eq!(ours, said, "after frames that were passed over: {passed_over:?}");
    }
    let [whole, quick] = [whole, quick].map(|mut session| {
        let mut out = Vec::new();
        session.on(Input::Closed, last, &mut out);
        out
    });
    assert_eq!(quick, whole, "at the end");
    passed_over
}

/// As [`what_is_passed_over_is_as_if_read`], for what a session heard from its simulator.
pub fn what_was_heard_may_be_passed_over(source: &dyn Source, heard: &Heard, seed: u64) -> Passed {
    let inputs = heard.inputs.iter().map(|(now, said)| (*now, said.input()));
    what_is_passed_over_is_as_if_read(source, &heard.shard, inputs, seed)
}

/// Of what a source's sessions hear in three conversations just these channels may be passed over, and each is.
pub fn copies_are_passed_over(source: &dyn Source, of: &[Channel]) {
    let mut all = Passed::new();
    for seed in 1..4 {
        for heard in &super::converse(source, seed, 30_000).heard {
            damaged_frames_may_be_passed_over(source, heard, seed, 5_000);
            for (channel, count) in what_was_heard_may_be_passed_over(source, heard, seed) {
                *all.entry(channel).or_default() += count;
            }
        }
    }
    let shown: Vec<_> =
        all.iter().filter(|(_, count)| **count > SHOWS).map(|(channel, _)| *channel).collect();
    assert!(shown == of && all.len() == of.len(), "passed over: {all:?}");
}

/// Among damaged frames nothing panics, and one that is passed over was asked about.
pub fn damaged_frames_may_be_passed_over(source: &dyn Source, heard: &Heard, seed: u64, tries: usize) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut session = source.session(&heard.shard);
    let mut out = Vec::new();
    for (now, said) in &heard.inputs {
        session.on(said.input(), *now, &mut out);
        out.clear();
    }
    let frames: Vec<_> = heard.inputs.iter().filter_map(frame).collect();
    for _ in 0..tries {
        let Some((now, bytes, binary)) = frames.get(rng.usize(0..frames.len().max(1))).copied() else {
            return;
        };
        let (damaged, mut asked) = (super::damage(bytes, &mut rng), false);
        let passed = session.pass_over(&damaged, binary, now, &mut |_| {
            asked = true;
            true
        });
        assert_eq!(passed, asked);
    }
}

/// Whether what follows from a frame is what its mark says; of a trade that the venue repeats, nothing.
fn tells(said: &[Action], mark: &Mark) -> bool {
    let is = |action: &Action| match action {
        Action::Emit(event) => {
            let named = match &event.body {
                Body::Delta(delta) => {
                    delta.prev_seq.zip(delta.seq).map(|(prev_seq, seq)| Named::Delta { prev_seq, seq })
                }
                Body::Trade(trade) => Some(Named::Trade(trade.id.clone())),
                _ => None,
            };
            event.instrument.id == mark.instrument
                && event.channel == mark.channel
                && named.as_ref() == Some(&mark.of)
        }
        Action::Control(_) => matches!(mark.of, Named::Trade(_)),
        _ => false,
    };
    let news = || said.iter().filter(|action| defined(action).is_none());
    news().count() <= 1 && news().all(is)
}

fn defined(action: &Action) -> Option<&Event> {
    match action {
        Action::Emit(event) if matches!(event.body, Body::Instrument) => Some(event),
        _ => None,
    }
}

impl Said {
    pub(super) fn input(&self) -> Input<'_> {
        match self {
            Self::Open => Input::Open,
            Self::Frame(bytes, binary) => Input::Frame { bytes, binary: *binary },
            Self::Reply(tag, path, status, body) => {
                Input::Reply { tag: Some(*tag), path, status: *status, retry_ms: None, body }
            }
            Self::Wake(timer) => Input::Wake { timer: *timer },
        }
    }
}
