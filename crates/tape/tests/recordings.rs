//! Opens every crypto recording of the folder in `QINGXI_RECORDINGS` and counts its frames.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use tape::{Config, Entry, Kind, Reader, Record, Writer};

const FOLDERS: [&str; 11] = [
    "okx",
    "samples",
    "binance-coinm",
    "binance-spot",
    "binance-usdm",
    "bybit",
    "coinbase",
    "deribit",
    "htx",
    "kraken",
    "kraken-futures",
];

fn recordings() -> Option<PathBuf> {
    let dir = std::env::var_os("QINGXI_RECORDINGS").map(PathBuf::from);
    if dir.is_none() {
        println!("skipped: QINGXI_RECORDINGS is not set");
    }
    dir
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    frames: usize,
    replies: usize,
    connects: usize,
}

fn count(path: &Path) -> Counts {
    let mut counts = Counts::default();
    let mut last = i64::MIN;
    for record in Reader::open(path).unwrap() {
        let record = record.unwrap();
        assert!(record.ts.0 > 0, "{}", path.display());
        if path.to_string_lossy().contains("jsonl") {
            assert!(record.ts.0 >= last, "{}", path.display());
            last = record.ts.0;
        }
        match record.kind {
            Kind::Frame { .. } => counts.frames += 1,
            Kind::Reply { .. } => counts.replies += 1,
            Kind::Connect { .. } => counts.connects += 1,
            Kind::Header { .. } | Kind::Sent(_) | Kind::Line { .. } | Kind::Closed { .. } => {}
        }
    }
    counts
}

#[test]
fn every_recording_has_the_frames_of_the_manifest() {
    let Some(dir) = recordings() else { return };
    let manifest = std::fs::read_to_string(dir.join("MANIFEST.tsv")).unwrap();
    let mut checked = 0;
    for row in manifest.lines().skip(1) {
        let mut fields = row.split('\t');
        let (file, format, frames) = (fields.next().unwrap(), fields.nth(2).unwrap(), fields.next().unwrap());
        let folder = file.split('/').next().unwrap();
        let packed = Path::new(file).extension().is_some_and(|e| e == "gz" || e == "zst");
        if !packed || !FOLDERS.contains(&folder) {
            continue;
        }
        let counts = count(&dir.join(file));
        let frames: usize = frames.parse().unwrap();
        // A line of the hft format is counted in the manifest whether it is a frame or a REST answer.
        let counted = if format.starts_with("hft") { counts.frames + counts.replies } else { counts.frames };
        assert_eq!(counted, frames, "{file}: {counts:?}");
        checked += 1;
    }
    assert!(checked >= 25, "{checked} recordings were checked");
}

#[test]
fn a_recording_copied_to_a_tape_is_the_same() {
    let Some(dir) = recordings() else { return };
    for file in ["okx/cryptofeed_20210417_v3api_deflate.txt.zst", "htx/cryptofeed_20210417_spot.jsonl.zst"] {
        let records: Vec<Record> = Reader::open(dir.join(file)).unwrap().map(Result::unwrap).collect();
        let out = tempfile::tempdir().unwrap();
        let config = Config { dir: out.path().to_owned(), ..Config::default() };
        let mut writer = Writer::new(config, "demo", &[]).unwrap();
        for record in &records {
            let entry = match &record.kind {
                Kind::Header { .. } | Kind::Line { .. } => continue,
                Kind::Connect { url } => Entry::Connect { url },
                Kind::Sent(bytes) => Entry::Sent(bytes),
                Kind::Frame { bytes, binary } => Entry::Frame { bytes, binary: *binary },
                Kind::Reply { url, status, body } => {
                    Entry::Reply { url: url.as_deref(), status: *status, body }
                }
                Kind::Closed { why } => Entry::Closed { why },
            };
            writer.append(record.ts, record.conn, entry).unwrap();
        }
        writer.flush().unwrap();
        let no_header = |r: &Record| !matches!(r.kind, Kind::Header { .. });
        let copied = Reader::open(writer.file().unwrap()).unwrap().map(Result::unwrap).filter(no_header);
        assert!(copied.eq(records.into_iter().filter(no_header)), "{file}");
    }
}
