//! Copies of a folder while a platform writes to it, and folders made of them again.
//!
//! A backup is what the catalogue says at one instant, the files that it names, also those that stand only in the cold
//! tier, and the log after them up to its last whole block. Many points in time share one folder: files stand in it by name and checksum, so what is there already is
//! not copied again, and a small `backup-<nanoseconds>.manifest` names what belongs to each. The time is that of the
//! newest event in it. A manifest is written last, in one step: a backup that was cut leaves those before it as they were.
//!
//! ```text
//! parquet/<table>/<day>/0000000012-all.1f0c2a77.parquet    a file, its checksum in its name
//! log/0000000040.9be1d200.events                           a segment of the log, or its beginning
//! backup-01763759700000000000.manifest                     a point in time
//! ```

mod restore;

pub use restore::{RestoreReport, restore};

use crate::code::{Code, record};
use crate::cold::fetching;
use crate::copy::{chunks, land, lasting_name, sum};
use crate::disk::{Disk as _, Host};
use crate::file::sync_dir;
use crate::library::Library;
use crate::log::{Whole, segment_name, segment_number};
use crate::manifest::{FileMeta, Image, Manifest};
use crate::{Error, Result};
use bus::Cursor;
use model::Ts;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const MAGIC: &[u8; 8] = b"QXBACKUP";
const VERSION: u32 = 1;
/// Magic, version, CRC-32 of the rest.
const HEAD: usize = 16;
/// A manifest of more bytes than this is not unpacked.
const MANIFEST_MAX: u64 = 1 << 30;
/// Files that were merged while they were copied are asked for anew so often.
const TRIES_MAX: usize = 8;

/// What a backup did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BackupReport {
    /// Its manifest.
    pub manifest: PathBuf,
    /// The newest time of publication of an event in it.
    pub at: Ts,
    /// The newest cursor in it.
    pub newest: Option<Cursor>,
    /// How many files and segments belong to it.
    pub files: u64,
    /// How many bytes they have.
    pub bytes: u64,
    /// How many of them were not there yet.
    pub copied_files: u64,
    /// How many bytes these have.
    pub copied_bytes: u64,
    /// Files that are damaged where they come from, in words; they are left out.
    pub damaged: Vec<String>,
}

/// A part of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Segment {
    number: u64,
    bytes: u64,
    chunks: Vec<u32>,
}

/// A point in time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Point {
    at: Ts,
    newest: Option<Cursor>,
    image: Image,
    segments: Vec<Segment>,
}

record! {
    Segment { number, bytes, chunks }
    Point { at, newest, image, segments }
}

impl Segment {
    /// Where it stands below the backup's folder.
    fn place(&self) -> String {
        let name = segment_name(self.number);
        let (number, ending) = name.split_once('.').unwrap_or((&name, ""));
        format!("log/{number}.{}.{ending}", sum(self.bytes, &self.chunks))
    }
}

impl Point {
    fn name(&self) -> String {
        format!("backup-{:020}.manifest", self.at.0)
    }

    /// The points in time of a folder, oldest first.
    fn list(dir: &Path) -> Result<Vec<(Ts, PathBuf)>> {
        let failed = |source| Error::Disk { doing: "list", path: dir.to_owned(), source };
        let mut all = Vec::new();
        for entry in fs::read_dir(dir).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let digits = name.strip_prefix("backup-").and_then(|name| name.strip_suffix(".manifest"));
            if let Some(at) = digits.and_then(|digits| digits.parse().ok()) {
                all.push((Ts(at), path));
            }
        }
        all.sort();
        Ok(all)
    }

    fn read(path: &Path) -> Result<Self> {
        let bytes =
            fs::read(path).map_err(|source| Error::Disk { doing: "read", path: path.to_owned(), source })?;
        let damaged = |what: &str| Error::Damaged { path: path.to_owned(), what: what.to_owned() };
        let (head, packed) = bytes.split_at_checked(HEAD).ok_or_else(|| damaged("it is too short"))?;
        if !head.starts_with(MAGIC) || !head.ends_with(&crc32fast::hash(packed).to_le_bytes()) {
            return Err(damaged("its checksum does not hold"));
        }
        if head.get(MAGIC.len()..HEAD - 4) != Some(&VERSION.to_le_bytes()) {
            return Err(damaged("it was written by another version of Qingxi"));
        }
        let mut plain = Vec::new();
        let unpacked =
            zstd::Decoder::new(packed).and_then(|it| it.take(MANIFEST_MAX).read_to_end(&mut plain));
        let mut rest = plain.as_slice();
        let point = unpacked.ok().and_then(|_| Self::take(&mut rest)).filter(|_| rest.is_empty());
        point.ok_or_else(|| damaged("it does not read"))
    }

    /// Writes it, in one step.
    fn write(&self, dir: &Path) -> Result<PathBuf> {
        let path = dir.join(self.name());
        let failed = |source| Error::Disk { doing: "write", path: path.clone(), source };
        let mut plain = Vec::new();
        self.put(&mut plain);
        let packed = zstd::encode_all(plain.as_slice(), 3).map_err(failed)?;
        let mut bytes =
            [MAGIC.as_slice(), &VERSION.to_le_bytes(), &crc32fast::hash(&packed).to_le_bytes()].concat();
        bytes.extend(packed);
        land(&*bytes, &path, &path, (bytes.len() as u64, &chunks(&bytes)), |_| {})?;
        sync_dir(dir)?;
        Ok(path)
    }
}

/// Copies a folder, which may be in use by another process, into a folder of backups. It blocks for as long as that takes;
/// `progress` is told how many bytes are there, and of how many.
///
/// # Errors
/// [`Error`]; then no point in time was added.
pub fn backup(dir: &Path, to: &Path, mut progress: impl FnMut(u64, u64)) -> Result<BackupReport> {
    let refused = |path: &Path, why: &str| Error::Backup { path: path.to_owned(), why: why.to_owned() };
    if !dir.is_dir() {
        return Err(refused(dir, "there is no such folder"));
    }
    let to = &absolute(to)?;
    if to.starts_with(absolute(dir)?) {
        return Err(refused(to, "a backup does not stand in the folder that it is of"));
    }
    let mut lock = Host::new(to);
    let locked = lock.lock().map_err(|source| Error::Disk { doing: "lock", path: to.to_owned(), source })?;
    if !locked {
        return Err(refused(to, "another process makes a backup there"));
    }
    for _ in 0..TRIES_MAX {
        if let Some(report) = attempt(dir, to, &mut progress)? {
            return Ok(report);
        }
    }
    Err(refused(dir, "its files change quicker than they can be copied"))
}

/// A path that has all its folders, so that each can be synced.
fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|source| Error::Disk { doing: "find", path: path.to_owned(), source })
}

/// `None` where a file went while it was to be copied: it stands in another one then.
fn attempt(dir: &Path, to: &Path, progress: &mut impl FnMut(u64, u64)) -> Result<Option<BackupReport>> {
    let Some((mut image, segments)) = look(dir)? else { return Ok(None) };
    let state = state(&image, dir)?;
    image.forget_cold();
    let mut point = Point { at: state.sealed.at, newest: state.sealed.cursor, image, segments: Vec::new() };
    let mut out = Out {
        dir: to,
        report: BackupReport::default(),
        folders: BTreeSet::new(),
        done: 0,
        total: state.bytes(),
    };
    for (number, mut file) in segments {
        let path = dir.join(segment_name(number));
        let mut bytes = Vec::new();
        let failed = |source| Error::Disk { doing: "read", path: path.clone(), source };
        file.read_to_end(&mut bytes).map_err(failed)?;
        let whole = Whole::of(&bytes, number);
        bytes.truncate(whole.bytes);
        if bytes.is_empty() {
            continue;
        }
        point.at = point.at.max(whole.at);
        point.newest = point.newest.max(whole.last);
        let segment = Segment { number, bytes: bytes.len() as u64, chunks: chunks(&bytes) };
        out.total += segment.bytes;
        out.put(&segment.place(), &path, || Ok(&*bytes), (segment.bytes, &segment.chunks), progress)?;
        point.segments.push(segment);
    }
    let library = Library::new(Arc::new(Manifest::read(dir)?.unwrap_or_else(|| Manifest::none(dir))));
    for file in state.files.values() {
        let path = dir.join(&*file.path);
        let (place, sums) = (lasting_name(file), (file.bytes, &*file.chunks));
        let mut done = out.put(&place, &path, || File::open(&path), sums, progress);
        if done.as_ref().is_err_and(is_missing)
            && let Some((named, object)) = library.object(file)?
        {
            done = out.put(&place, &named, || Ok(object), sums, progress).map_err(|e| fetching(e, &named));
        }
        let what = match done {
            Ok(()) => continue,
            Err(Error::Damaged { what, .. }) => what,
            Err(error) if is_missing(&error) => {
                if moved(dir, file)? {
                    return Ok(None);
                }
                "the file is missing".to_owned()
            }
            Err(error) => return Err(error),
        };
        out.report.damaged.push(format!("{}: {what}", file.path));
        point.image.forget(file.id);
    }
    let Out { mut report, folders, .. } = out;
    for folder in folders {
        sync_dir(&folder)?;
    }
    report.manifest = point.write(to)?;
    (report.at, report.newest) = (point.at, point.newest);
    Ok(Some(report))
}

/// What the catalogue says, and the open segments after what it says is sealed; `None` where it changed meanwhile.
#[expect(clippy::type_complexity, reason = "it is taken apart at once")]
fn look(dir: &Path) -> Result<Option<(Image, Vec<(u64, File)>)>> {
    let image = || Manifest::read(dir)?.map_or_else(|| Ok(Image::default()), |manifest| manifest.image());
    let before = image()?;
    let sealed = state(&before, dir)?.sealed;
    let failed = |source| Error::Disk { doing: "list", path: dir.to_owned(), source };
    let names = Host::new(dir).list().map_err(failed)?;
    let mut numbers: Vec<u64> = names.iter().filter_map(|name| segment_number(name)).collect();
    numbers.retain(|number| *number > sealed.segment);
    numbers.sort_unstable();
    let mut segments = Vec::new();
    for number in numbers {
        match File::open(dir.join(segment_name(number))) {
            // What is open is there, also where it is deleted from now on.
            Ok(file) => segments.push((number, file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(failed(source)),
        }
    }
    // A segment is deleted only after the catalogue says that it stands in files.
    Ok((state(&image()?, dir)?.sealed == sealed).then_some((before, segments)))
}

fn state(image: &Image, dir: &Path) -> Result<crate::manifest::State> {
    let damaged = || Error::Damaged { path: dir.to_owned(), what: "its catalogue does not read".to_owned() };
    image.state().ok_or_else(damaged)
}

fn is_missing(error: &Error) -> bool {
    matches!(error, Error::Disk { source, .. } | Error::Cold { source, .. }
        if source.kind() == io::ErrorKind::NotFound)
}

/// Whether the catalogue names a file no longer.
fn moved(dir: &Path, file: &FileMeta) -> Result<bool> {
    let manifest = Manifest::read(dir)?;
    Ok(manifest.is_none_or(|manifest| !manifest.state().files.contains_key(&file.id)))
}

/// The folder that is written to.
struct Out<'a> {
    dir: &'a Path,
    report: BackupReport,
    folders: BTreeSet<PathBuf>,
    done: u64,
    total: u64,
}

impl Out<'_> {
    /// Makes sure that a file is there.
    fn put<R: io::Read>(
        &mut self,
        place: &str,
        source: &Path,
        open: impl FnOnce() -> io::Result<R>,
        (bytes, chunks): (u64, &[u32]),
        progress: &mut impl FnMut(u64, u64),
    ) -> Result<()> {
        let path = self.dir.join(place);
        let Self { report, done, total, .. } = self;
        if fs::metadata(&path).is_ok_and(|there| there.len() == bytes) {
            *done += bytes;
            progress(*done, *total);
        } else {
            let failed = |e| Error::Disk { doing: "open", path: source.to_owned(), source: e };
            land(open().map_err(failed)?, source, &path, (bytes, chunks), |more| {
                *done += more;
                progress(*done, *total);
            })?;
            report.copied_files += 1;
            report.copied_bytes += bytes;
            self.folders.extend(path.parent().map(Path::to_owned));
        }
        report.files += 1;
        report.bytes += bytes;
        Ok(())
    }
}
