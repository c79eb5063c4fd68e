//! Backups of a folder in use, and folders made of them again.

use crate::files::{EPOCH, all, compact, everything, files_of, made, parquet, read, run, small};
use bus::{Cursor, Published};
use model::Ts;
use std::fs;
use std::path::{Path, PathBuf};
use store::ledger::Wanted;
use store::{Error, Reader, Store, Table, backup, restore};

fn quiet(_: u64, _: u64) {}

fn bytes_of(dir: &Path) -> u64 {
    files_of(dir).iter().map(|path| fs::metadata(path).unwrap().len()).sum()
}

fn until(events: &[Published], at: Ts) -> Vec<Published> {
    events.iter().filter(|published| published.ts_pub <= at).cloned().collect()
}

/// What a folder holds, by a reader and, after that, by the store that goes on in it.
fn held(dir: &Path) -> Vec<Published> {
    let told = read(&Reader::open(dir).unwrap(), everything());
    let (store, opened) = Store::open(small(dir)).unwrap();
    assert_eq!(opened.orphans, [""; 0].map(PathBuf::from));
    assert_eq!(opened.newest, told.last().map(|published| published.cursor));
    assert_eq!(read(&store.reader(), everything()), told, "as the store reads it");
    assert!(store.reader().check().iter().all(|file| file.fault.is_none()));
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_a_folder_in_use_is_a_beginning_of_it_without_a_hole() {
    const BACKUPS: usize = 6;
    let root = tempfile::tempdir().unwrap();
    let (dir, to) = (root.path().join("live"), root.path().join("kept"));
    let (reader, running, bus) = run(&small(&dir), EPOCH, 1_000).await;
    let (from, into) = (dir.clone(), to.clone());
    let copying = tokio::task::spawn_blocking(move || -> Vec<_> {
        (0..BACKUPS).map(|_| backup(&from, &into, quiet).unwrap()).collect()
    });
    let mut count = 1_000;
    while !copying.is_finished() {
        for number in count + 1..=count + 100 {
            let published = made(Cursor { epoch: EPOCH, number });
            bus.ready().await;
            bus.publish(published.event, published.ts_pub);
        }
        count += 100;
        let last = Some(Cursor { epoch: EPOCH, number: count });
        running.acked().wait_for(|acked| acked.cursor == last).await.unwrap();
    }
    let reports = copying.await.unwrap();
    running.stop().await;
    drop(reader);
    let all = all(EPOCH, count);
    let ends: Vec<u64> = reports.iter().map(|report| report.newest.unwrap().number).collect();
    assert!(ends.is_sorted() && ends[0] >= 1_000 && ends[BACKUPS - 1] > ends[0], "{ends:?}");
    for (place, made) in reports.into_iter().enumerate() {
        assert!(made.damaged.is_empty());
        let back = root.path().join(format!("back-{place}"));
        let report = restore(&to, &back, Some(made.at), quiet).unwrap();
        assert_eq!((report.at, report.newest, report.events_after), (made.at, made.newest, 0));
        assert_eq!(held(&back), until(&all, made.at), "{made:?}");
    }
    println!("{BACKUPS} backups that ended at {ends:?} while {count} events were kept");
}

#[tokio::test]
async fn a_second_backup_copies_only_what_is_new_and_both_restore() {
    let root = tempfile::tempdir().unwrap();
    let (dir, to) = (root.path().join("live"), root.path().join("kept"));
    let config = small(&dir);
    let (_, running, _bus) = run(&config, EPOCH, 3_000).await;
    running.stop().await;
    compact(&config);
    let first = backup(&dir, &to, quiet).unwrap();
    assert_eq!(first.copied_bytes, first.bytes);
    let before = bytes_of(&to);
    let again = backup(&dir, &to, quiet).unwrap();
    assert_eq!((again.copied_files, again.copied_bytes, again.bytes), (0, 0, first.bytes));
    assert_eq!(bytes_of(&to), before);

    let later = EPOCH + 1_000_000;
    let (_, running, _bus) = run(&config, later, 1_000).await;
    running.stop().await;
    let second = backup(&dir, &to, quiet).unwrap();
    let manifest = fs::metadata(&second.manifest).unwrap().len();
    assert_eq!(bytes_of(&to), before + second.copied_bytes + manifest);
    assert!(second.copied_bytes > 0 && second.copied_bytes < second.bytes / 2, "{second:?}");

    let both = [all(EPOCH, 3_000), all(later, 1_000)].concat();
    let mut told = Vec::new();
    let restored = restore(&to, &root.path().join("new"), None, |done, of| told.push((done, of))).unwrap();
    assert_eq!(told.last(), Some(&(second.bytes, second.bytes)));
    assert_eq!((restored.manifest, restored.newest), (Some(second.manifest), second.newest));
    assert_eq!(held(&root.path().join("new")), both);
    restore(&to, &root.path().join("old"), Some(first.at), quiet).unwrap();
    assert_eq!(held(&root.path().join("old")), both[..3_000]);

    // The ledger is that of the folder, too.
    let coverage = |dir: &Path| {
        Reader::open(dir).unwrap().coverage(&Wanted::default(), Ts(i64::MIN), Ts(i64::MAX)).unwrap()
    };
    assert_eq!(coverage(&root.path().join("new")), coverage(&dir));
    // It goes on where it ended.
    let (reader, running, _bus) = run(&small(&root.path().join("old")), later, 500).await;
    running.stop().await;
    assert_eq!(read(&reader, everything()), both[..3_500]);
}

#[tokio::test]
async fn a_folder_is_restored_as_it_was_known_at_any_instant() {
    let root = tempfile::tempdir().unwrap();
    let (dir, to) = (root.path().join("live"), root.path().join("kept"));
    let config = small(&dir);
    let mut events = Vec::new();
    for (epoch, count) in [(EPOCH, 3_000), (EPOCH + 1_000_000, 2_000), (EPOCH + 2_000_000, 2_500)] {
        let (_, running, _bus) = run(&config, epoch, count).await;
        running.stop().await;
        if epoch != EPOCH {
            // The rows after the first backup stand in merged files, together with those before.
            compact(&config);
        }
        events.extend(all(epoch, count));
        backup(&dir, &to, quiet).unwrap();
    }
    let mut luck = fastrand::Rng::with_seed(5);
    let mut between = 0;
    for place in 0..7 {
        let mut at = events[luck.usize(..events.len())].ts_pub;
        at.0 += luck.i64(-1..2);
        let back = root.path().join(format!("back-{place}"));
        let report = restore(&to, &back, Some(at), quiet).unwrap();
        between += usize::from(report.events_after > 0 && report.manifest.is_some());
        let wanted = until(&events, at);
        assert_eq!(held(&back), wanted, "{at:?}");
        assert_eq!(report.newest, wanted.last().map(|published| published.cursor));
        assert_eq!(report.at, wanted.last().unwrap().ts_pub);
        compact(&small(&back));
        assert_eq!(read(&Reader::open(&back).unwrap(), everything()), wanted, "{at:?}, merged");
    }
    assert!(between > 1, "{between}");
    let late = restore(&to, &root.path().join("late"), Some(Ts(i64::MAX)), quiet).unwrap();
    assert_eq!(late.at, events.last().unwrap().ts_pub, "the newest is what there is");
    let early = Ts(events[0].ts_pub.0 - 1);
    let Err(error) = restore(&to, &root.path().join("early"), Some(early), quiet) else { panic!() };
    assert!(error.to_string().contains("so early"), "{error}");
    assert!(!root.path().join("early").exists());
}

#[tokio::test]
async fn a_flipped_byte_or_a_missing_file_of_a_backup_is_named_and_nothing_is_restored() {
    let root = tempfile::tempdir().unwrap();
    let (dir, to, back) = (root.path().join("live"), root.path().join("kept"), root.path().join("back"));
    let config = small(&dir);
    let (_, running, _bus) = run(&config, EPOCH, 2_000).await;
    running.stop().await;
    compact(&config);
    let (_, running, _bus) = run(&config, EPOCH + 1_000_000, 200).await;
    running.stop().await;
    backup(&dir, &to, quiet).unwrap();
    let mut luck = fastrand::Rng::with_seed(2);
    let names = |error: &Error, path: &Path| {
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(matches!(error, Error::Damaged { .. }) && error.to_string().contains(name), "{error}");
    };
    let mut tried = 0;
    for path in files_of(&to).into_iter().filter(|path| !path.ends_with("LOCK")) {
        let whole = fs::read(&path).unwrap();
        let mut bytes = whole.clone();
        bytes[luck.usize(..whole.len())] ^= 1 << luck.u8(0..8);
        for bad in [&*bytes, &whole[..whole.len() / 2]] {
            fs::write(&path, bad).unwrap();
            names(&restore(&to, &back, None, quiet).unwrap_err(), &path);
            assert!(
                !back.exists()
                    && files_of(root.path()).iter().all(|it| it.starts_with(&dir) || it.starts_with(&to))
            );
        }
        if path.extension().is_some_and(|it| it != "manifest") {
            fs::remove_file(&path).unwrap();
            names(&restore(&to, &back, None, quiet).unwrap_err(), &path);
        }
        fs::write(&path, &whole).unwrap();
        tried += 1;
    }
    assert!(tried > 5);
    restore(&to, &back, None, quiet).unwrap();
    assert_eq!(held(&back).len(), 2_200);
    let Err(Error::Backup { why, .. }) = restore(&to, &back, None, quiet) else { panic!() };
    assert!(why.contains("not empty"), "{why}");
}

#[tokio::test]
async fn a_backup_that_was_cut_leaves_the_one_before_whole() {
    let root = tempfile::tempdir().unwrap();
    let (dir, to, back) = (root.path().join("live"), root.path().join("kept"), root.path().join("back"));
    let config = small(&dir);
    let (_, running, _bus) = run(&config, EPOCH, 2_000).await;
    running.stop().await;
    backup(&dir, &to, quiet).unwrap();
    let (_, running, _bus) = run(&config, EPOCH + 1_000_000, 1_000).await;
    running.stop().await;
    compact(&config);
    // A kill while files are copied: the manifest is written after them.
    let cut = std::panic::catch_unwind(|| backup(&dir, &to, |done, of| assert!(done < of / 2)));
    assert!(cut.is_err());
    restore(&to, &back, None, quiet).unwrap();
    assert_eq!(held(&back), all(EPOCH, 2_000));
    // A folder that was half restored has another name, and goes.
    let half = root.path().join("again.restoring");
    fs::create_dir(&half).unwrap();
    fs::write(half.join("0000000001.events"), b"half").unwrap();
    let report = backup(&dir, &to, quiet).unwrap();
    assert!(report.copied_bytes < report.bytes, "what was copied before the kill is there");
    restore(&to, &root.path().join("again"), None, quiet).unwrap();
    assert_eq!(held(&root.path().join("again")).len(), 3_000);
    assert!(!half.exists());
}

#[tokio::test]
async fn files_that_are_merged_while_they_are_copied_are_found_in_their_new_place() {
    let root = tempfile::tempdir().unwrap();
    let (dir, to, back) = (root.path().join("live"), root.path().join("kept"), root.path().join("back"));
    let config = small(&dir);
    for epoch in [EPOCH, EPOCH + 1_000_000] {
        let (_, running, _bus) = run(&config, epoch, 1_500).await;
        running.control().seal().await;
        running.stop().await;
    }
    let before = parquet(&dir);
    let mut merged = false;
    backup(&dir, &to, |_, _| {
        if !std::mem::replace(&mut merged, true) {
            compact(&config);
        }
    })
    .unwrap();
    assert!(before.iter().any(|path| !path.exists()));
    restore(&to, &back, None, quiet).unwrap();
    assert_eq!(held(&back), [all(EPOCH, 1_500), all(EPOCH + 1_000_000, 1_500)].concat());
}

#[tokio::test]
async fn a_file_that_is_damaged_where_it_comes_from_is_told_and_the_rest_is_kept() {
    let root = tempfile::tempdir().unwrap();
    let (dir, to, back) = (root.path().join("live"), root.path().join("kept"), root.path().join("back"));
    let config = small(&dir);
    let (_, running, _bus) = run(&config, EPOCH, 2_000).await;
    running.stop().await;
    compact(&config);
    let trades = parquet(&dir).into_iter().find(|path| path.to_str().unwrap().contains("/trades/")).unwrap();
    let mut bytes = fs::read(&trades).unwrap();
    bytes[100] ^= 1;
    fs::write(&trades, bytes).unwrap();
    let report = backup(&dir, &to, quiet).unwrap();
    let name = trades.file_name().unwrap().to_str().unwrap();
    assert!(matches!(&*report.damaged, [what] if what.contains(name)), "{:?}", report.damaged);
    fs::remove_file(&trades).unwrap();
    assert!(backup(&dir, &to, quiet).unwrap().damaged[0].ends_with("the file is missing"));
    restore(&to, &back, None, quiet).unwrap();
    let rest: Vec<Published> =
        all(EPOCH, 2_000).into_iter().filter(|p| Table::of(&p.event.body) != Table::Trades).collect();
    assert_eq!(read(&Reader::open(&back).unwrap(), everything()), rest);
    let Err(Error::Backup { .. }) = backup(&dir, &dir.join("inside"), quiet) else { panic!() };
}
