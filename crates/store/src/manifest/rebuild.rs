//! A catalogue made again of its journal.

use super::{Base, Change, Manifest, NAME, Note, PART, builder, disk, failed, journal};
use crate::disk::{Disk as _, Files as _, Host, HostFiles};
use crate::log::segment_number;
use crate::reader::Reader;
use crate::{Error, Result};
use bus::Cursor;
use model::Ts;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// What making a catalogue again did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RebuildReport {
    /// Where the old catalogue stands now; `None` where there was none.
    pub set_aside: Option<PathBuf>,
    /// How many files the new one names.
    pub files: usize,
    /// How many rows they have.
    pub rows: u64,
    /// The newest cursor in files; what comes after it is in the log.
    pub sealed: Option<Cursor>,
    /// Files that are missing or damaged, in words. The catalogue names them still, so that what they held is not taken for
    /// complete.
    pub damaged: Vec<String>,
}

/// Makes the catalogue of a folder again, of its journal, where it is damaged or missing. All that it said is kept: files,
/// ledger, notes, what was deleted. A change that the journal does not have was not relied on: its files are deleted at the
/// next start, and its events are still in the log or in the files before. The old catalogue is set aside as
/// `manifest.redb.damaged-<number>`, and a note `rebuilt` says so. It blocks for as long as it takes to read all files.
///
/// # Errors
/// [`Error::InUse`] where another process writes there; [`Error::Damaged`] where the journal does not hold either, and only
/// a backup helps; then nothing has changed.
pub fn rebuild(dir: &Path) -> Result<RebuildReport> {
    if !dir.is_dir() {
        return Err(disk("open", dir)(std::io::ErrorKind::NotFound.into()));
    }
    let mut lock = Host::new(dir);
    if !lock.lock().map_err(disk("lock", dir))? {
        return Err(Error::InUse { path: dir.to_owned() });
    }
    let names = lock.list().map_err(disk("list", dir))?;
    let set_aside = names.iter().any(|name| name == NAME).then(|| {
        let number =
            (1..=names.len() + 1).find(|number| !names.contains(&aside(*number))).unwrap_or_default();
        dir.join(aside(number))
    });
    let (part, path) = (dir.join(PART), dir.join(NAME));
    if part.exists() {
        HostFiles.remove(&part).map_err(disk("delete", &part))?;
    }
    replay(dir, &names, set_aside.as_deref())?;
    if let Some(aside) = &set_aside {
        HostFiles.rename(&path, aside).map_err(disk("rename", &path))?;
    }
    let named = HostFiles.rename(&part, &path).and_then(|()| HostFiles.sync_names(dir));
    named.map_err(disk("rename", &part))?;
    let reader = Reader::open(dir)?;
    let files = reader.check();
    let damaged = files.iter().filter_map(|file| Some(format!("{}: {}", file.path, file.fault.as_ref()?)));
    Ok(RebuildReport {
        set_aside,
        files: files.len(),
        rows: files.iter().map(|file| file.rows).sum(),
        sealed: reader.sealed(),
        damaged: damaged.collect(),
    })
}

fn aside(number: usize) -> String {
    format!("{NAME}.damaged-{number}")
}

/// Makes a catalogue that has not its name yet say what the journal says.
fn replay(dir: &Path, names: &[String], set_aside: Option<&Path>) -> Result<()> {
    let path = dir.join(journal::NAME);
    let damaged = |what: &str| {
        let what = format!("{what}; the catalogue cannot be made again of it, only a backup helps");
        Error::Damaged { path: path.clone(), what }
    };
    let journaled = journal::journaled(dir).map_err(disk("read", &path))?;
    let journaled = journaled.ok_or_else(|| damaged("it is missing, or its beginning does not hold"))?;
    let base =
        HostFiles.database(&builder(), &dir.join(PART)).map_err(|e| failed(dir, "create", &e.into()))?;
    let manifest = Manifest { base: Mutex::new(Base::Write(base, None)), ..Manifest::none(dir) };
    manifest.lay_rows(&journaled.image)?;
    for change in journaled.changes {
        manifest.commit(change)?;
    }
    let state = manifest.state();
    let sealed = state.sealed;
    // What the journal lacks at its end was not relied on: the log and the files before it are still there.
    let after =
        names.iter().filter_map(|name| segment_number(name)).filter(|number| *number > sealed.segment);
    let is_gone = after.min().is_some_and(|first| first > sealed.segment + 1)
        || state.files.values().any(|file| !state.cold.contains(&file.id) && !dir.join(&*file.path).exists());
    if journaled.torn > 0 && is_gone {
        return Err(damaged("its end does not hold"));
    }
    let was = set_aside.map_or_else(
        || "it was missing".to_owned(),
        |aside| format!("the old one is {}", aside.file_name().unwrap_or_default().display()),
    );
    let note = Note {
        at: sealed.at.max(Ts::default()),
        what: "rebuilt".into(),
        table: "".into(),
        count: 0,
        why: format!("the catalogue was made again of its journal; {was}").into(),
    };
    manifest.commit(Change { notes: vec![note], ..Change::default() })
}
