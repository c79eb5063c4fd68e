//! What the store asks of a disk. Behind traits, so that a disk that fails, or loses its power, can be put under it:
//! [`Disk`] under the log, [`Files`] under all that files and the catalogue change. These are read straight from the host.

use std::fmt::Debug;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// One folder of a disk.
pub trait Disk: Send {
    /// The folder, for messages.
    fn dir(&self) -> &Path;

    /// Makes the folder where it is not there, and keeps every other process out until the disk is dropped. False where
    /// another one is in.
    ///
    /// # Errors
    /// What the system says.
    fn lock(&mut self) -> io::Result<bool>;

    /// The names of the files, in no order.
    ///
    /// # Errors
    /// What the system says.
    fn list(&self) -> io::Result<Vec<String>>;

    /// All bytes of a file, at most `max`.
    ///
    /// # Errors
    /// What the system says.
    fn read(&self, name: &str, max: u64) -> io::Result<Vec<u8>>;

    /// How many bytes a file has.
    ///
    /// # Errors
    /// What the system says.
    fn len(&self, name: &str) -> io::Result<u64>;

    /// Makes a file that is not there yet.
    ///
    /// # Errors
    /// What the system says.
    fn create(&mut self, name: &str) -> io::Result<Box<dyn Handle>>;

    /// Cuts a file to its first `bytes`, for good.
    ///
    /// # Errors
    /// What the system says.
    fn cut(&mut self, name: &str, bytes: u64) -> io::Result<()>;

    /// Deletes a file.
    ///
    /// # Errors
    /// What the system says.
    fn remove(&mut self, name: &str) -> io::Result<()>;

    /// Returns when the names of the folder outlive a loss of power.
    ///
    /// # Errors
    /// What the system says.
    fn sync_names(&mut self) -> io::Result<()>;
}

/// A file that is appended to.
pub trait Handle: Send {
    /// Appends all bytes, or fails having appended some of them.
    ///
    /// # Errors
    /// What the system says.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Returns when what was appended outlives a loss of power.
    ///
    /// # Errors
    /// What the system says. What was appended since the last success may then be there or not, also after a later
    /// success.
    fn sync(&mut self) -> io::Result<()>;
}

/// Where files and the catalogue stand. Each operation is one that a test can make fail.
pub trait Files: Debug + Send + Sync {
    /// Makes a folder that is not there, in one that is.
    ///
    /// # Errors
    /// What the system says.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;

    /// Makes a file, or makes one that is there empty.
    ///
    /// # Errors
    /// What the system says.
    fn create(&self, path: &Path) -> io::Result<Box<dyn Handle>>;

    /// Gives a file another name, in place of what has it.
    ///
    /// # Errors
    /// What the system says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Deletes a file.
    ///
    /// # Errors
    /// What the system says.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Deletes a folder in which nothing is.
    ///
    /// # Errors
    /// What the system says.
    fn remove_dir(&self, dir: &Path) -> io::Result<()>;

    /// Returns when the names in a folder outlive a loss of power.
    ///
    /// # Errors
    /// What the system says.
    fn sync_names(&self, dir: &Path) -> io::Result<()>;

    /// Writes anew all that a file is read to have, and returns when that outlives a loss of power. After a sync that
    /// failed nothing else is enough: what could not be written may be taken for written from then on.
    ///
    /// # Errors
    /// What the system says.
    fn settle(&self, path: &Path) -> io::Result<()>;

    /// Opens the file of a database, which is made where it is not there.
    ///
    /// # Errors
    /// What the database says.
    fn database(&self, builder: &redb::Builder, path: &Path) -> Result<redb::Database, redb::DatabaseError>;
}

/// Makes a folder and those above it that are not there; all of them outlive a loss of power when it returns.
///
/// # Errors
/// What the system says.
pub(crate) fn create_dirs(files: &dyn Files, dir: &Path) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    let Some(parent) = dir.parent() else { return files.create_dir(dir) };
    create_dirs(files, parent)?;
    match files.create_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        made => made?,
    }
    files.sync_names(parent)
}

/// The name of the file that keeps other processes out.
const LOCK: &str = "LOCK";

/// A folder of this host.
#[derive(Debug)]
pub struct Host {
    dir: PathBuf,
    lock: Option<File>,
}

impl Host {
    /// The folder; nothing is touched.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into(), lock: None }
    }
}

impl Disk for Host {
    fn dir(&self) -> &Path {
        &self.dir
    }

    fn lock(&mut self) -> io::Result<bool> {
        create_dirs(&HostFiles, &std::path::absolute(&self.dir)?)?;
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(self.dir.join(LOCK))?;
        match file.try_lock() {
            Ok(()) => self.lock = Some(file),
            Err(fs::TryLockError::WouldBlock) => return Ok(false),
            Err(fs::TryLockError::Error(error)) => return Err(error),
        }
        Ok(true)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let names = fs::read_dir(&self.dir)?.map(|entry| Ok(entry?.file_name().into_string().ok()));
        names.filter_map(io::Result::transpose).collect()
    }

    fn read(&self, name: &str, max: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(self.dir.join(name))?.take(max).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn len(&self, name: &str) -> io::Result<u64> {
        Ok(fs::metadata(self.dir.join(name))?.len())
    }

    fn create(&mut self, name: &str) -> io::Result<Box<dyn Handle>> {
        Ok(Box::new(OpenOptions::new().create_new(true).append(true).open(self.dir.join(name))?))
    }

    fn cut(&mut self, name: &str, bytes: u64) -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(self.dir.join(name))?;
        file.set_len(bytes)?;
        file.sync_all()
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        fs::remove_file(self.dir.join(name))
    }

    fn sync_names(&mut self) -> io::Result<()> {
        File::open(&self.dir)?.sync_all()
    }
}

/// The files of this host.
#[derive(Clone, Copy, Debug)]
pub struct HostFiles;

/// How many bytes are written anew at once.
const SETTLE_BYTES: usize = 1 << 20;

impl Files for HostFiles {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        fs::create_dir(dir)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn Handle>> {
        Ok(Box::new(File::create(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        fs::remove_dir(dir)
    }

    fn sync_names(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    fn settle(&self, path: &Path) -> io::Result<()> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        let mut buffer = vec![0; SETTLE_BYTES];
        let mut at = 0;
        loop {
            let count = file.read_at(&mut buffer, at)?;
            if count == 0 {
                return file.sync_all();
            }
            file.write_all_at(buffer.get(..count).unwrap_or_default(), at)?;
            at += count as u64;
        }
    }

    fn database(&self, builder: &redb::Builder, path: &Path) -> Result<redb::Database, redb::DatabaseError> {
        builder.create(path)
    }
}

impl Handle for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}
