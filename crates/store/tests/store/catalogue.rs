//! A catalogue with a flipped byte, cut, or missing.

use crate::fault_disk::{FaultDisk, folder};
use crate::faults::{Given, config, files_hold, goes_on, live};
use crate::files::everything;
use bus::Published;
use model::Ts;
use std::fs;
use std::path::Path;
use store::ledger::{Row, Wanted};
use store::{Note, Reader, Store, rebuild};

/// How many flips are opened to write where not all are taken.
const FEW: usize = 40;

fn kept(dir: &Path) -> Given {
    live(&FaultDisk::new(dir, 0), dir)
}

fn copied(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let place = to.join(entry.file_name());
        if entry.path().is_dir() {
            fs::create_dir(&place).unwrap();
            copied(&entry.path(), &place);
        } else {
            fs::copy(entry.path(), place).unwrap();
        }
    }
}

/// The places of a catalogue that are flipped: those that say something, and some of the others.
fn places(bytes: &[u8], luck: &mut fastrand::Rng, count: usize) -> Vec<usize> {
    let (mut said, mut rest): (Vec<usize>, Vec<usize>) = (0..bytes.len()).partition(|at| bytes[*at] != 0);
    luck.shuffle(&mut said);
    luck.shuffle(&mut rest);
    let mut places: Vec<usize> = (0..320).collect();
    places.extend(said.into_iter().take(count));
    places.extend(rest.into_iter().take(count / 8));
    places
}

#[derive(Debug, PartialEq)]
struct Answers {
    events: Vec<Published>,
    coverage: Vec<Row>,
    notes: Vec<Note>,
}

/// Everything that a reader says; an error where one of it is refused.
fn answers(dir: &Path) -> store::Result<Answers> {
    let reader = Reader::open(dir)?;
    let events = reader.range(everything())?.map(|published| Ok((*published?).clone()));
    Ok(Answers {
        events: events.collect::<store::Result<_>>()?,
        coverage: reader.coverage(&Wanted::default(), Ts(i64::MIN), Ts(i64::MAX))?,
        notes: reader.notes()?,
    })
}

#[test]
fn a_flipped_byte_is_refused_or_harmless_to_who_only_reads() {
    let dir = folder();
    kept(dir.path());
    let path = dir.path().join("manifest.redb");
    let whole = fs::read(&path).unwrap();
    let right = answers(dir.path()).unwrap();
    let mut luck = fastrand::Rng::with_seed(1);
    let all = std::env::var_os("FAULTS").is_some();
    let places = places(&whole, &mut luck, if all { usize::MAX } else { 400 });
    let (mut refused, mut harmless) = (0, 0);
    for at in &places {
        let mut bytes = whole.clone();
        bytes[*at] ^= 1 << luck.u8(0..8);
        fs::write(&path, &bytes).unwrap();
        match answers(dir.path()) {
            Ok(told) => {
                assert!(told == right, "byte {at} gives another answer");
                harmless += 1;
            }
            Err(_) => refused += 1,
        }
    }
    println!("{} of {} bytes: {refused} refused, {harmless} harmless", places.len(), whole.len());
    assert!(refused > 0);
}

#[test]
fn a_flipped_byte_is_refused_or_harmless_to_who_writes_and_it_is_made_again() {
    let dir = folder();
    let given = kept(dir.path());
    let whole = fs::read(dir.path().join("manifest.redb")).unwrap();
    let mut luck = fastrand::Rng::with_seed(2);
    let mut places = places(&whole, &mut luck, 4_000);
    if std::env::var_os("FAULTS").is_none() {
        luck.shuffle(&mut places);
        places.truncate(FEW);
    }
    let (mut refused, mut harmless) = (0, 0);
    for at in places {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << luck.u8(0..8);
        let dir_ = folder();
        copied(dir.path(), dir_.path());
        let dir = dir_.path();
        fs::write(dir.join("manifest.redb"), &bytes).unwrap();
        if Store::open(config(dir)).is_ok() {
            harmless += 1;
        } else {
            let report = rebuild(dir).unwrap();
            assert_eq!(fs::read(report.set_aside.unwrap()).unwrap().len(), bytes.len(), "byte {at}");
            assert_eq!(report.damaged, [""; 0], "byte {at}");
            Store::open(config(dir)).unwrap();
            refused += 1;
        }
        given.hold(dir);
        files_hold(dir);
    }
    println!("{refused} refused, {harmless} harmless");
}

#[test]
fn a_catalogue_that_is_made_again_says_what_the_old_one_said() {
    let dir = folder();
    let given = kept(dir.path());
    let before = answers(dir.path()).unwrap();
    for change in ["missing", "empty", "cut"] {
        let path = dir.path().join("manifest.redb");
        match change {
            "missing" => fs::remove_file(&path).unwrap(),
            "empty" => fs::write(&path, b"").unwrap(),
            _ => {
                let bytes = fs::read(&path).unwrap();
                fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
            }
        }
        let Err(error) = Store::open(config(dir.path())) else { panic!("{change}: it opens") };
        assert!(matches!(error, store::Error::Damaged { .. }), "{change}: {error}");
        assert!(error.to_string().contains("--rebuild"), "{change}: {error}");
        let report = rebuild(dir.path()).unwrap();
        assert_eq!(report.set_aside.is_some(), change != "missing");
        let mut after = answers(dir.path()).unwrap();
        assert_eq!(&*after.notes.pop().unwrap().what, "rebuilt", "{change}");
        after.notes.retain(|note| &*note.what != "rebuilt");
        assert_eq!(after, before, "{change}");
    }
    goes_on(given, dir.path());
}

#[test]
fn a_journal_that_does_not_hold_is_not_taken_for_one() {
    let dir = folder();
    let given = kept(dir.path());
    let path = dir.path().join("manifest.journal");
    let whole = fs::read(&path).unwrap();
    let mut luck = fastrand::Rng::with_seed(3);
    for _ in 0..30 {
        let copy = folder();
        copied(dir.path(), copy.path());
        let dir = copy.path();
        let mut bytes = whole.clone();
        let at = luck.usize(..bytes.len());
        bytes[at] ^= 1 << luck.u8(0..8);
        fs::write(dir.join("manifest.journal"), &bytes).unwrap();
        fs::remove_file(dir.join("manifest.redb")).unwrap();
        match rebuild(dir) {
            // What it lacks was not relied on.
            Ok(_) => given.hold(dir),
            Err(error) => assert!(error.to_string().contains("backup"), "byte {at}: {error}"),
        }
    }
    // A catalogue that holds does not need it.
    fs::write(&path, b"nothing").unwrap();
    goes_on(given, dir.path());
}
