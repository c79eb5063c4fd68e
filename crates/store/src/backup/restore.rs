//! A folder made of a backup, as it was known at an instant.

use super::{Point, absolute, state};
use crate::books::Books;
use crate::copy::{land, lasting_name};
use crate::disk::{Host, HostFiles};
use crate::file::sync_dir;
use crate::library::Library;
use crate::log::{self, Entry, Found, Log, Lost, segment_name};
use crate::manifest::{Manifest, State};
use crate::reader::{Query, Range, Reader};
use crate::seal::seal;
use crate::table::Table;
use crate::{Config, Error, Result};
use bus::{Cursor, Published};
use model::Ts;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How many events are committed at once.
const COMMIT_EVENTS: usize = 4_096;
/// So many ended segments are written as files at once.
const SEAL_SEGMENTS: usize = 4;
/// Where the log of the later backup stands while it is read.
const LATER: &str = "later";
/// Why events are not there.
const LEFT_OUT: &str = "not in the backup, or published after the instant that was asked for";

/// What restoring did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RestoreReport {
    /// The manifest that was restored whole; `None` where all of them are later than what was asked for.
    pub manifest: Option<PathBuf>,
    /// How many files and segments of it were copied, and held against their checksums.
    pub files: u64,
    /// How many bytes they have.
    pub bytes: u64,
    /// How many events that were published after it, and not after what was asked for, came from the next backup.
    pub events_after: u64,
    /// The newest time of publication of an event that is there now.
    pub at: Ts,
    /// The newest cursor.
    pub newest: Option<Cursor>,
}

/// Makes a folder out of a backup: the newest, or what was known at an instant, which is every event that was published
/// at it or before, and none after. What the newest backup before the instant holds is restored as it was, its ledger and
/// its deleted rows included; the events between come from the next backup, where there is one.
///
/// The folder has its name only when it is whole and every byte was held against its checksum: until then it is called
/// `<name>.restoring`, and one that was left so is deleted. `progress` is told how many bytes are there, and of how many.
///
/// # Errors
/// [`Error::Backup`] where the folder is not empty or no backup reaches so far back, [`Error::Damaged`] with the file of
/// the backup that does not hold; then nothing is there.
pub fn restore(
    from: &Path,
    to: &Path,
    at: Option<Ts>,
    mut progress: impl FnMut(u64, u64),
) -> Result<RestoreReport> {
    let refused = |path: &Path, why: &str| Error::Backup { path: path.to_owned(), why: why.to_owned() };
    let disk = |doing, path: &Path| {
        let path = path.to_owned();
        move |source| Error::Disk { doing, path, source }
    };
    let to = &absolute(to)?;
    if fs::read_dir(to).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(refused(to, "the folder is not empty"));
    }
    let at = at.unwrap_or(Ts(i64::MAX));
    let points = Point::list(from)?;
    let after = points.partition_point(|(point, _)| *point <= at);
    let base = after.checked_sub(1).and_then(|place| points.get(place));
    let next = points.get(after);
    if base.is_none() && next.is_none() {
        return Err(refused(from, "there is no backup"));
    }
    let mut report = RestoreReport { manifest: base.map(|(_, path)| path.clone()), ..<_>::default() };
    let part = to.with_added_extension("restoring");
    if part.exists() {
        fs::remove_dir_all(&part).map_err(disk("delete", &part))?;
    }
    fs::create_dir_all(&part).map_err(disk("create", &part))?;
    let done =
        whole(from, &part, base.map(|(_, path)| &**path), &mut report, &mut progress).and_then(
            |()| match next {
                Some((_, path)) if base.is_none_or(|(point, _)| *point < at) => {
                    later(from, &part, &Point::read(path)?, at, &mut report)
                }
                _ => Ok(()),
            },
        );
    let done = match done {
        Ok(()) if report.newest.is_none() && base.is_none() => {
            Err(refused(from, "nothing in it was published so early"))
        }
        done => done,
    };
    if let Err(error) = done {
        // It has not the name of a folder that is whole.
        let _ = fs::remove_dir_all(&part);
        return Err(error);
    }
    fs::rename(&part, to).map_err(disk("rename", &part))?;
    sync_dir(to)?;
    Ok(report)
}

/// Copies a point in time as it is.
fn whole(
    from: &Path,
    part: &Path,
    manifest: Option<&Path>,
    report: &mut RestoreReport,
    progress: &mut impl FnMut(u64, u64),
) -> Result<()> {
    let point = manifest.map_or_else(|| Ok(Point::default()), Point::read)?;
    let state = state(&point.image, from)?;
    // A folder of files has a catalogue from its beginning.
    let manifest = Manifest::open(part, Arc::new(HostFiles))?;
    let total = state.bytes() + point.segments.iter().map(|segment| segment.bytes).sum::<u64>();
    let mut told = |more| {
        report.bytes += more;
        progress(report.bytes, total);
    };
    for file in state.files.values() {
        let to = part.join(&*file.path);
        take(from, &lasting_name(file), &to, (file.bytes, &file.chunks), &mut told)?;
    }
    segments(from, part, &point, &mut told)?;
    let mut folders: Vec<PathBuf> =
        state.files.values().filter_map(|file| Some(part.join(Path::new(&*file.path).parent()?))).collect();
    folders.dedup();
    folders.iter().try_for_each(|folder| sync_dir(folder))?;
    manifest.lay(&point.image)?;
    sync_dir(part)?;
    report.files = (state.files.len() + point.segments.len()) as u64;
    (report.at, report.newest) = (point.at, point.newest);
    Ok(())
}

fn segments(from: &Path, to: &Path, point: &Point, told: &mut impl FnMut(u64)) -> Result<()> {
    for segment in &point.segments {
        let to = to.join(segment_name(segment.number));
        take(from, &segment.place(), &to, (segment.bytes, &segment.chunks), told)?;
    }
    Ok(())
}

/// Copies a file of a backup.
fn take(from: &Path, place: &str, to: &Path, sums: (u64, &[u32]), told: &mut impl FnMut(u64)) -> Result<()> {
    let path = from.join(place);
    match File::open(&path) {
        Ok(file) => land(file, &path, to, sums, told),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(Error::Damaged { path, what: "the file is missing".to_owned() })
        }
        Err(source) => Err(Error::Disk { doing: "read", path, source }),
    }
}

/// Keeps what a later backup has after what is there, up to an instant, as the platform keeps events: in the log, and from
/// there in files.
fn later(from: &Path, part: &Path, point: &Point, at: Ts, report: &mut RestoreReport) -> Result<()> {
    let scratch = part.join(LATER);
    let failed = |source| Error::Disk { doing: "create", path: scratch.clone(), source };
    fs::create_dir_all(&scratch).map_err(failed)?;
    segments(from, &scratch, point, &mut |_| {})?;
    let State { files, sealed, .. } = state(&point.image, from)?;
    let after = report.newest;
    let wanted = |published: &Published| Some(published.cursor) > after && published.ts_pub <= at;
    let mut fresh = Vec::new();
    let mut reader = log::Reader::open(Box::new(Host::new(&scratch)))?;
    reader.after(sealed.segment, u64::MAX, sealed.cursor);
    for found in reader {
        if let Found::Entry(Entry::Event(published)) = found?
            && Some(published.cursor) > sealed.cursor
            && wanted(&published)
        {
            fresh.push(published);
        }
    }
    // The files are read where they stand.
    let files = files.into_iter().map(|(id, file)| {
        let mut file = Arc::unwrap_or_clone(file);
        file.path = lasting_name(&file).into();
        (id, Arc::new(file))
    });
    let state = State { files: files.collect(), ..State::default() };
    let query = Query { known_at: Some(at), after, ..Query::of(&Table::ALL) };
    let none = Arc::new(Manifest::none(from));
    let reader = Reader::new(Arc::clone(&none), None, Arc::new(Library::new(none)));
    let mut tail = Tail::open(part, after)?;
    for published in Range::new(reader, query, &state, fresh) {
        let published = published?;
        report.at = report.at.max(published.ts_pub);
        report.newest = Some(published.cursor);
        report.events_after += 1;
        tail.put(published)?;
    }
    tail.finish()?;
    fs::remove_dir_all(&scratch).map_err(|source| Error::Disk { doing: "delete", path: scratch, source })
}

/// Writes events behind those that a folder holds.
struct Tail {
    log: Log,
    manifest: Arc<Manifest>,
    books: Books,
    waiting: Vec<Entry>,
    last: Option<Cursor>,
    ended: usize,
}

impl Tail {
    fn open(dir: &Path, last: Option<Cursor>) -> Result<Self> {
        let config = Config { dir: dir.to_owned(), total_bytes_max: u64::MAX, ..Config::default() };
        let (mut log, _) = Log::open(Box::new(Host::new(dir)), config)?;
        let manifest = Arc::new(Manifest::open(dir, Arc::new(HostFiles))?);
        log.begin_after(manifest.state().sealed.segment);
        Ok(Self { log, manifest, books: Books::default(), waiting: Vec::new(), last, ended: 0 })
    }

    fn put(&mut self, published: Arc<Published>) -> Result<()> {
        let Cursor { epoch, number } = published.cursor;
        let from = self.last.filter(|last| last.epoch == epoch).map_or(1, |last| last.number + 1);
        if self.waiting.len() >= COMMIT_EVENTS || self.last.is_some_and(|last| last.epoch != epoch) {
            self.commit()?;
        }
        if from < number {
            let to = number - 1;
            self.waiting.push(Entry::Lost(Lost { epoch, from, to, why: LEFT_OUT.into() }));
        }
        self.last = Some(published.cursor);
        self.waiting.push(Entry::Event(published));
        Ok(())
    }

    fn commit(&mut self) -> Result<()> {
        self.log.commit(&self.waiting)?;
        self.waiting.clear();
        self.ended += self.log.retired().len();
        if self.ended >= SEAL_SEGMENTS {
            self.ended = 0;
            seal(&self.manifest, &mut self.books, self.log.newest_ended())?;
            self.log.release(self.manifest.state().sealed.segment)?;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<()> {
        self.commit()?;
        self.log.close()
    }
}
