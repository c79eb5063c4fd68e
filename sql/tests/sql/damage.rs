//! A file that is damaged is named, and no answer is made from it.

use crate::ask::ask;
use crate::data::{BLOCK, parquet, summed, trades};
use query::{File, Kind};
use std::fs;
use std::path::PathBuf;
use tempfile::tempdir;

/// Every number of every row goes into it.
const ALL: &str = "SELECT count(*) AS n, sum(number) AS a, sum(price) AS b, max(id_number) AS c, min(symbol) AS d, \
                   count(aggressor) AS e, sum(CAST(ts_event AS BIGINT) % 1000000007) AS f FROM trades";

fn written() -> (tempfile::TempDir, Vec<PathBuf>) {
    let dir = tempdir().unwrap();
    let files = vec![
        parquet(dir.path(), "whole.parquet", &[trades("BTCUSDT", 0, 4_000)]),
        parquet(dir.path(), "hurt.parquet", &[trades("ETHUSDT", 0, 4_000)]),
    ];
    (dir, files)
}

#[test]
fn a_file_that_is_cut_empty_or_gone_is_named() {
    let (_dir, files) = written();
    let whole = fs::read(&files[1]).unwrap();
    for cut in [0, 3, 8, whole.len() / 2, whole.len() - 1] {
        fs::write(&files[1], &whole[..cut]).unwrap();
        let problem = ask(ALL).table("trades", &files, &[]).refused();
        assert_eq!(problem.kind, Kind::File, "{cut}: {}", problem.message);
        assert!(problem.message.contains("hurt.parquet"), "{cut}: {}", problem.message);
    }
    fs::remove_file(&files[1]).unwrap();
    let problem = ask(ALL).table("trades", &files, &[]).refused();
    assert!(problem.kind == Kind::File && problem.message.contains("hurt.parquet"), "{}", problem.message);
}

#[test]
fn without_checksums_a_page_that_cannot_be_decoded_is_told_with_its_file() {
    let (_dir, files) = written();
    let mut bytes = fs::read(&files[1]).unwrap();
    bytes[4..2_000].fill(0xff);
    fs::write(&files[1], &bytes).unwrap();
    let problem = ask("SELECT sum(epoch), sum(number) FROM trades").table("trades", &files, &[]).refused();
    assert!(problem.kind == Kind::File && problem.message.contains("hurt.parquet"), "{problem:?}");
}

#[test]
fn with_checksums_every_flipped_byte_is_named_or_was_not_needed() {
    let (_dir, files) = written();
    let sums: Vec<File> = files.iter().map(|path| File::Summed(summed(path))).collect();
    let asked = |sums: &[File]| ask(ALL).files("trades", sums.to_vec(), &[]).outcome().0;
    let right = asked(&sums).unwrap().bytes;
    let whole = fs::read(&files[1]).unwrap();
    let (mut named, mut unneeded) = (0, 0);
    // Every block of the file, its footer and its very ends.
    let places = (0..whole.len()).step_by(BLOCK - 1).chain([0, whole.len() - 5, whole.len() - 1]);
    for at in places {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        fs::write(&files[1], &bytes).unwrap();
        match asked(&sums) {
            Err(problem) => {
                assert!(
                    problem.kind == Kind::File && problem.message.contains("hurt.parquet"),
                    "{at}: {problem:?}"
                );
                named += 1;
            }
            Ok(told) => {
                assert_eq!(told.bytes, right, "byte {at}");
                unneeded += 1;
            }
        }
    }
    println!("{named} flipped bytes were named, {unneeded} were not needed");
    assert!(named > unneeded, "{named} named, {unneeded} not needed");
}

#[test]
fn a_file_of_another_length_than_its_checksums_is_named() {
    let (_dir, files) = written();
    let sums = vec![File::Summed(summed(&files[1]))];
    let mut longer = fs::read(&files[1]).unwrap();
    longer.push(0);
    fs::write(&files[1], longer).unwrap();
    let problem = ask("SELECT 1").files("trades", sums, &[]).refused();
    assert!(problem.kind == Kind::File && problem.message.contains("should have"), "{}", problem.message);
}
