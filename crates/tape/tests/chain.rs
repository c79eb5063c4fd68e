//! What a chain finds, and what two recorders have of the same.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use model::Ts;
use proptest::prelude::*;
use std::path::{Path, PathBuf};
use tape::{Chain, Comparison, Config, Entry, Error, Writer, all, compare, content};

const URL: &str = "wss://a.example/ws?id=";
/// Five seconds before a midnight, in ns.
const BEGIN: i64 = 20_000 * 86_400_000_000_000 - 5_000_000_000;

fn writer(dir: &Path, change: impl FnOnce(&mut Config)) -> Writer {
    let mut config = Config { dir: dir.to_owned(), block_bytes: 1024, ..Config::default() };
    change(&mut config);
    Writer::new(config, "demo", &["a.example"]).unwrap()
}

fn frame(n: u64) -> Vec<u8> {
    format!(r#"{{"trade":{n}}}"#).into_bytes()
}

/// A tape of these frames, one each 10 ms, by a connection each: number and frame.
fn record(dir: &Path, frames: &[(u32, u64)]) -> Vec<PathBuf> {
    let mut writer = writer(dir, |_| {});
    for conn in 0..3 {
        let url = format!("{URL}{conn}");
        writer.append(Ts(BEGIN), conn, Entry::Connect { url: &url }).unwrap();
        writer
            .append(Ts(BEGIN), conn, Entry::Sent(format!("hello from {}", dir.display()).as_bytes()))
            .unwrap();
    }
    for (at, (conn, n)) in (1_i64..).zip(frames) {
        let ts = Ts(BEGIN + at * 10_000_000);
        writer.append(ts, *conn, Entry::Frame { bytes: &frame(*n), binary: false }).unwrap();
    }
    writer.flush().unwrap();
    paths(dir)
}

fn paths(dir: &Path) -> Vec<PathBuf> {
    all(dir).unwrap().into_iter().map(|tape| tape.path).collect()
}

fn fault(path: &Path) -> Option<String> {
    match Chain::read(path) {
        Ok(chain) => chain.fault.map(|fault| fault.to_string()),
        Err(error) => Some(error.to_string()),
    }
}

#[test]
fn every_flipped_byte_of_a_tape_is_found_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let frames: Vec<(u32, u64)> = (0..150).map(|n| (0, n)).collect();
    let path = &record(dir.path(), &frames)[0];
    assert_eq!(fault(path), None);
    let whole = std::fs::read(path).unwrap();
    let changed = dir.path().join("changed");
    for at in 0..whole.len() {
        for bit in [0, 1, 7] {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << bit;
            std::fs::write(&changed, bytes).unwrap();
            let fault = fault(&changed).unwrap_or_else(|| panic!("bit {bit} of byte {at} is not found"));
            assert!(fault.contains("changed"), "{fault}");
        }
    }
    println!("{} bytes, three bits of each", whole.len());
}

#[test]
fn a_block_that_was_forged_with_its_checksum_or_put_elsewhere_breaks_the_chain_at_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let frames: Vec<(u32, u64)> = (0..400).map(|n| (0, n)).collect();
    let path = &record(dir.path(), &frames)[0];
    let whole = std::fs::read(path).unwrap();
    let starts: Vec<usize> = (0..whole.len() - 4).filter(|at| &whole[*at..*at + 4] == b"QXBK").collect();
    assert!(starts.len() > 3);
    let changed = dir.path().join("changed");
    // A whole block is taken out: what is left is valid by itself.
    std::fs::write(&changed, [&whole[..starts[1]], &whole[starts[2]..]].concat()).unwrap();
    let chain = Chain::read(&changed).unwrap();
    let Some(Error::Damaged { place, what, .. }) = chain.fault else { panic!("not found") };
    assert_eq!(place.byte, starts[1] as u64);
    assert!(what.contains("chain is broken"), "{what}");
    // Who reads such a tape without asking for the chain gets all that is there.
    assert!(tape::Reader::open(&changed).unwrap().all(|record| record.is_ok()));
    // Cut at the end of a block: nothing in this file can tell, which is what the ends of days are for.
    std::fs::write(&changed, &whole[..starts[3]]).unwrap();
    let cut = Chain::read(&changed).unwrap();
    assert!(cut.fault.is_none());
    assert_ne!(cut.end, Chain::read(path).unwrap().end);
    // Cut inside of one: found as torn.
    std::fs::write(&changed, &whole[..starts[3] + 30]).unwrap();
    assert!(fault(&changed).unwrap().contains("cut short"));
}

#[test]
fn the_tapes_of_a_source_are_one_chain_over_files_restarts_and_days() {
    let dir = tempfile::tempdir().unwrap();
    for life in 0..3_i64 {
        let mut writer = writer(dir.path(), |config| config.rotate_bytes = 700);
        let begin = BEGIN + life * 4_000_000_000;
        writer.append(Ts(begin), 0, Entry::Connect { url: URL }).unwrap();
        for n in 0..300_u64 {
            let ts = Ts(begin + n as i64 * 10_000_000);
            writer.append(ts, 0, Entry::Frame { bytes: &frame(n * n), binary: true }).unwrap();
        }
        writer.flush().unwrap();
    }
    let chains: Vec<Chain> = paths(dir.path()).iter().map(|path| Chain::read(path).unwrap()).collect();
    assert!(chains.len() > 5, "{}", chains.len());
    assert!(chains.iter().all(|chain| chain.fault.is_none() && chain.version == 2));
    assert_eq!(chains[0].about.as_ref().unwrap().before, None);
    for pair in chains.windows(2) {
        assert_eq!(pair[1].follows(&pair[0]), Some(true));
    }
    assert_eq!(chains[2].follows(&chains[0]), Some(false), "one is missing");
    let days: std::collections::BTreeSet<_> = chains.iter().flat_map(|chain| chain.days.keys()).collect();
    assert_eq!(days.len(), 2);
    let both = chains.iter().find(|chain| chain.days.len() == 2).unwrap();
    let ends: Vec<_> = both.days.values().map(|day| day.end.unwrap()).collect();
    assert_ne!(ends[0], ends[1], "each day has an end of its own");
    // The last file is torn by a kill: what comes after follows what holds of it.
    let last = chains.last().unwrap().path.clone();
    let bytes = std::fs::read(&last).unwrap();
    std::fs::write(&last, &bytes[..bytes.len() - 5]).unwrap();
    let mut writer = writer(dir.path(), |_| {});
    writer.append(Ts(BEGIN + 60_000_000_000), 0, Entry::Frame { bytes: b"on", binary: false }).unwrap();
    writer.flush().unwrap();
    let torn = Chain::read(&last).unwrap();
    assert!(torn.fault.is_some());
    assert_eq!(Chain::read(writer.file().unwrap()).unwrap().follows(&torn), Some(true));
}

#[test]
fn a_tape_of_the_version_before_still_reads_and_has_no_chain() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/version1.tape");
    let chain = Chain::read(&path).unwrap();
    assert!(chain.fault.is_none());
    assert_eq!((chain.version, chain.end), (1, None));
    assert_eq!(chain.days.values().map(|day| day.records).sum::<u64>(), 44);
    let compared = compare([std::slice::from_ref(&path), std::slice::from_ref(&path)], 1_000).unwrap();
    let shares = &compared.streams[&("demo".into(), "wss://a.example/ws".into())];
    assert_eq!((shares.both, shares.only), (40, [0, 0]));
}

fn shares(compared: &Comparison) -> &tape::Shares {
    let stream = ("demo".into(), "wss://a.example/ws".into());
    assert_eq!(compared.streams.keys().collect::<Vec<_>>(), [&stream]);
    &compared.streams[&stream]
}

#[test]
fn the_same_frames_in_another_order_and_by_other_connections_have_the_same_roots() {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let frames: Vec<(u32, u64)> = (0..200).map(|n| (0, n)).collect();
    let mut turned: Vec<(u32, u64)> = frames.iter().map(|(_, n)| (*n as u32 % 3, *n)).collect();
    turned.chunks_mut(7).for_each(<[_]>::reverse);
    let compared = compare([&record(a.path(), &frames), &record(b.path(), &turned)], 1_000).unwrap();
    assert!(compared.is_same());
    let shares = shares(&compared);
    assert_eq!((shares.frames, shares.both), ([200, 200], 200));
    let day = shares.days.values().next().unwrap();
    assert!(day[0].is_some() && day[0] == day[1]);
    assert_ne!(compared.chains[0][0].end, compared.chains[1][0].end, "chains are each recorder's own");
    // The root is what the documents say it is.
    let mut hashes: Vec<_> = (0..200).map(|n| content(&frame(n))).collect();
    hashes.sort_unstable();
    let all: Vec<u8> = hashes.iter().flat_map(|hash| [&hash[..], &1_u64.to_le_bytes()].concat()).collect();
    assert_eq!(day[0].unwrap().hash, content(&all));
}

/// What is done to the second tape.
#[derive(Clone, Debug)]
enum Fate {
    Same,
    Lost,
    Doubled,
    Other,
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![12 => Just(Fate::Same), 1 => Just(Fate::Lost), 1 => Just(Fate::Doubled), 1 => Just(Fate::Other)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn frames_that_were_lost_doubled_and_reordered_are_found_exactly_in_any_memory(
        fates in prop::collection::vec((fate(), 0..3_u32, any::<u16>()), 1..150),
        repeats in 1..4_u64,
        max in prop_oneof![Just(8_usize), Just(64), Just(10_000)],
    ) {
        // Some frames are the same as others of the same tape.
        let frames: Vec<(u32, u64)> = (0..fates.len() as u64).map(|n| (0, n / repeats)).collect();
        let mut second: Vec<(u16, (u32, u64))> = Vec::new();
        for ((_, n), (fate, conn, place)) in frames.iter().zip(&fates) {
            let copies = match fate {
                Fate::Lost => Vec::new(),
                Fate::Same => vec![*n],
                Fate::Doubled => vec![*n, *n],
                Fate::Other => vec![1_000_000 + u64::from(*place)],
            };
            second.extend(copies.into_iter().map(|n| (*place, (*conn, n))));
        }
        second.sort_by_key(|(place, _)| *place);
        let second: Vec<(u32, u64)> = second.into_iter().map(|(_, frame)| frame).collect();
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let compared = compare([&record(a.path(), &frames), &record(b.path(), &second)], max).unwrap();

        // The same by counting.
        let mut counts = std::collections::BTreeMap::<u64, [u64; 2]>::new();
        for (side, frames) in [&frames, &second].into_iter().enumerate() {
            for (_, n) in frames {
                counts.entry(*n).or_default()[side] += 1;
            }
        }
        let shares = shares(&compared);
        let only = |side: usize| counts.values().map(|c| c[side].saturating_sub(c[1 - side])).sum::<u64>();
        let copies = |side: usize| {
            counts.values().filter(|c| c[1 - side] > 0).map(|c| c[side].saturating_sub(c[1 - side])).sum::<u64>()
        };
        prop_assert_eq!(shares.both, counts.values().map(|c| c[0].min(c[1])).sum::<u64>());
        prop_assert_eq!(shares.only, [only(0), only(1)]);
        prop_assert_eq!(shares.copies, [copies(0), copies(1)]);
        prop_assert_eq!(shares.frames, [frames.len() as u64, second.len() as u64]);
        prop_assert_eq!(compared.is_same(), only(0) + only(1) == 0);
        for side in [0, 1] {
            let lacking = counts.iter().filter(|(_, c)| c[side] > c[1 - side]);
            let mut lacking: Vec<String> = lacking.map(|(n, _)| String::from_utf8(frame(*n)).unwrap()).collect();
            let named = &shares.named[side];
            let mut begins: Vec<String> = named.iter().map(|named| named.begin.replace('\\', "")).collect();
            lacking.sort();
            begins.sort();
            if lacking.len() <= tape::NAMED_MAX {
                prop_assert_eq!(begins, lacking);
            } else {
                prop_assert_eq!(begins.len(), tape::NAMED_MAX);
            }
        }
        for day in shares.days.values() {
            // What is in one day is the same where nothing differs: all of these tapes lie before midnight.
            prop_assert_eq!(day[0] == day[1], compared.is_same());
        }
    }
}
