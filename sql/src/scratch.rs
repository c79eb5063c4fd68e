//! The folder for rows that do not fit into memory.
//!
//! A process that is killed leaves its folder. The lock on a file in it ends with the process, so the next query sees that
//! nobody is in it any more and removes it.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

const PREFIX: &str = "qingxi-sql-";
const LOCK: &str = "LOCK";

/// A folder of this process.
#[derive(Debug)]
pub struct Scratch {
    dir: PathBuf,
    _lock: File,
}

impl Scratch {
    /// Removes what dead processes left in the folder for temporary files, and makes a folder of its own there.
    pub fn new() -> io::Result<Self> {
        Self::inside(&std::env::temp_dir())
    }

    fn inside(parent: &Path) -> io::Result<Self> {
        for entry in fs::read_dir(parent)?.flatten() {
            if entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX)) {
                sweep(&entry.path());
            }
        }
        // Locked before it has the name by which others look for it.
        let dir = tempfile::Builder::new().prefix(".qingxi-sql-").tempdir_in(parent)?.keep();
        let lock = File::create_new(dir.join(LOCK))?;
        lock.lock()?;
        let named =
            parent.join(dir.file_name().and_then(|n| n.to_str()).unwrap_or_default().trim_start_matches('.'));
        fs::rename(&dir, &named)?;
        Ok(Self { dir: named, _lock: lock })
    }

    /// Where it is.
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays is swept by the next query.
        let _ = fs::remove_dir_all(&self.dir);
    }
}

fn sweep(dir: &Path) {
    if File::open(dir.join(LOCK)).is_ok_and(|lock| lock.try_lock().is_ok()) {
        let _ = fs::remove_dir_all(dir);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_dead_process_left_is_removed_and_what_a_living_one_uses_is_not() {
        let parent = tempfile::tempdir().unwrap();
        let dead = parent.path().join("qingxi-sql-dead");
        fs::create_dir(&dead).unwrap();
        fs::write(dead.join(LOCK), "").unwrap();
        fs::write(dead.join("rows"), "1").unwrap();
        let foreign = parent.path().join("other");
        fs::create_dir(&foreign).unwrap();
        let living = Scratch::inside(parent.path()).unwrap();
        let second = Scratch::inside(parent.path()).unwrap();
        assert!(!dead.exists() && foreign.exists() && living.dir().exists() && second.dir().exists());
        let gone = second.dir().to_owned();
        drop(second);
        assert!(!gone.exists() && living.dir().exists());
    }
}
