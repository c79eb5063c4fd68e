//! Files that the catalogue does not name: those that were merged or dropped, which are deleted when nobody can still read
//! them, and those that a step left which did not come to its end.

use crate::manifest::Manifest;
use crate::seal::FOLDER;
use crate::{Error, Result};
use std::collections::{HashSet, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Files to be deleted, in the order in which they lost their names.
#[derive(Default)]
pub(crate) struct Sweep(VecDeque<Going>);

struct Going {
    since: Instant,
    path: PathBuf,
    bytes: u64,
}

impl Sweep {
    /// Files that were named until now, with what they count for in [`Sweep::bytes`].
    pub fn add(&mut self, files: impl Iterator<Item = (PathBuf, u64)>) {
        let since = Instant::now();
        self.0.extend(files.map(|(path, bytes)| Going { since, path, bytes }));
    }

    /// What those that are still there count for.
    pub fn bytes(&self) -> u64 {
        self.0.iter().map(|going| going.bytes).sum()
    }

    /// Adds the files that have no name in the catalogue.
    ///
    /// # Errors
    /// [`Error::Disk`].
    pub fn find(&mut self, manifest: &Manifest) -> Result<()> {
        let mut known = named(manifest);
        known.extend(self.0.iter().map(|going| going.path.clone()));
        let found = ours(manifest.dir())?;
        self.add(found.into_iter().filter(|path| !known.contains(path)).map(|path| (path, 0)));
        Ok(())
    }

    /// Deletes the files that lost their names so long ago.
    pub fn due(&mut self, manifest: &Manifest, after: Duration) {
        let due = |going: &mut Going| going.since.elapsed() >= after;
        if !self.0.front_mut().is_some_and(due) {
            return;
        }
        let named = named(manifest);
        while let Some(Going { path, .. }) = self.0.pop_front_if(due) {
            if let Err(error) = delete(manifest, &named, &path) {
                // It is deleted at the next start.
                tracing::warn!(path = %path.display(), %error, "a file that is no longer needed was not deleted");
            }
        }
    }

    /// Deletes all of them, for a folder that nobody reads from, and tells which.
    ///
    /// # Errors
    /// [`Error::Disk`]; what was not deleted is tried again.
    pub fn all(&mut self, manifest: &Manifest) -> Result<Vec<PathBuf>> {
        let named = named(manifest);
        let mut deleted = Vec::new();
        while let Some(Going { path, .. }) = self.0.front() {
            let failed = |source| Error::Disk { doing: "delete", path: path.clone(), source };
            if delete(manifest, &named, path).map_err(failed)? {
                deleted.push(path.clone());
            }
            self.0.pop_front();
        }
        Ok(deleted)
    }
}

/// Deletes a file that has no name; a step that is taken again may have given it one.
fn delete(manifest: &Manifest, named: &HashSet<PathBuf>, path: &Path) -> std::io::Result<bool> {
    if named.contains(path) {
        return Ok(false);
    }
    match manifest.files().remove(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        removed => removed?,
    }
    if let Some(folder) = path.parent() {
        manifest.remove_folder(folder);
    }
    Ok(true)
}

/// The files that the catalogue names.
fn named(manifest: &Manifest) -> HashSet<PathBuf> {
    manifest.state().files.values().map(|file| manifest.dir().join(&*file.path)).collect()
}

/// The files in a store's folder that have a name as ours have, so that what a user put there is left alone.
pub(crate) fn ours(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![dir.join(FOLDER)];
    while let Some(folder) = folders.pop() {
        let failed = |source| Error::Disk { doing: "list", path: folder.clone(), source };
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            entries => entries.map_err(failed)?,
        };
        for entry in entries {
            let path = entry.map_err(failed)?.path();
            if path.is_dir() {
                folders.push(path);
            } else if is_ours(&path) {
                files.push(path);
            }
        }
    }
    Ok(files)
}

fn is_ours(path: &Path) -> bool {
    let ending = path.extension().is_some_and(|ending| ending == "parquet" || ending == "part");
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    ending
        && name
            .split_once('-')
            .is_some_and(|(id, _)| id.len() >= 10 && id.bytes().all(|b| b.is_ascii_digit()))
}
