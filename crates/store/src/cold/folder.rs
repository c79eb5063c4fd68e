//! A folder, of this host or of one whose disk is mounted here.

use super::{Place, Source, Upload, failed};
use crate::copy::land;
use crate::file::sync_dir;
use crate::{Error, Result};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::PathBuf;

/// A file that is there from the first on: where it is not, something else stands under that name, as the empty folder of
/// a disk that is not mounted.
const MARK: &str = "qingxi-cold";

/// Objects as files.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub fn new(dir: PathBuf) -> Self {
        Self(dir)
    }

    /// The path of an object, where the folder is the one that was begun.
    fn find(&self, doing: &'static str, key: &str) -> Result<PathBuf> {
        let path = self.0.join(key);
        let mark = self.0.join(MARK);
        if !mark.exists() {
            let why =
                format!("`{}` is not there: is the folder another one, or not mounted?", mark.display());
            return Err(failed(doing, &path.display(), io::Error::other(why)));
        }
        Ok(path)
    }
}

impl Place for Folder {
    fn name(&self, key: &str) -> String {
        self.0.join(key).display().to_string()
    }

    fn begin(&self) -> Result<()> {
        let mark = self.0.join(MARK);
        let made = fs::create_dir_all(&self.0).and_then(|()| File::create(&mark)?.sync_all());
        made.map_err(|source| failed("create", &mark.display(), source))?;
        sync_dir(&self.0)
    }

    fn size(&self, key: &str) -> Result<Option<u64>> {
        let path = self.find("look for", key)?;
        match fs::metadata(&path) {
            Ok(there) => Ok(Some(there.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(failed("look for", &path.display(), source)),
        }
    }

    fn read(&self, key: &str, _: u64) -> Result<Box<dyn Read + Send>> {
        let path = self.find("fetch", key)?;
        match File::open(&path) {
            Ok(file) => Ok(Box::new(file)),
            Err(source) => Err(failed("fetch", &path.display(), source)),
        }
    }

    fn send(&self, key: &str, source: &Source<'_>, _: &mut Upload) -> Result<()> {
        let to = self.find("write", key)?;
        let from = File::open(&source.path);
        let from = from.map_err(|e| Error::Disk { doing: "read", path: source.path.clone(), source: e })?;
        land(from, &source.path, &to, (source.meta.bytes, &source.meta.chunks), |_| {})?;
        // Each name on the way to it was perhaps made now.
        let mut folders = to.ancestors().skip(1).take_while(|dir| dir.starts_with(&self.0));
        folders.try_for_each(sync_dir)
    }

    fn remove(&self, key: &str, _: &Upload) -> Result<()> {
        let path = self.find("delete", key)?;
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed("delete", &path.display(), error));
            }
            _ => {}
        }
        // What a kill left of a copy; and most folders are not empty.
        let _ = fs::remove_file(path.with_added_extension("part"));
        let _ = path.parent().map(fs::remove_dir);
        Ok(())
    }
}
