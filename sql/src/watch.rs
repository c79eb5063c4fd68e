//! What ends a query from outside of it: its time, its asker, the memory of the process.

use crate::fault;
use crate::out::Out;
use crate::scratch::Scratch;
use crate::wants::Wants;
use query::{EXIT_TIME, Kind, Limits, Problem};
use rlimit::Resource;
use std::io::{self, BufRead};
use std::path::PathBuf;
use std::process;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// What the process may have besides the rows in the making: code of the engine, buffers that it does not count.
const BESIDES_BYTES: u64 = 512 << 20;
/// How long a query whose time is over waits for a reader to take the bytes before the last line.
const LAST_WORD: Duration = Duration::from_secs(1);
/// How the process ends when nobody listens.
const EXIT_ALONE: i32 = 3;

/// What all threads of the process share.
#[derive(Clone)]
pub struct Shared(Arc<(Mutex<Out>, Mutex<Option<Scratch>>)>);

impl Shared {
    /// An answer, and no folder yet.
    pub fn new(out: Out) -> Self {
        Self(Arc::new((Mutex::new(out), Mutex::new(None))))
    }

    /// Says something. Where nobody hears it, the process ends.
    pub fn out(&self, say: impl FnOnce(&mut Out) -> io::Result<()>) {
        if say(&mut held(&self.0.0)).is_err() {
            self.die(EXIT_ALONE);
        }
    }

    /// Keeps the folder as long as the process is there; gives its path.
    pub fn keep(&self, scratch: Scratch) -> PathBuf {
        let dir = scratch.dir().to_owned();
        *held(&self.0.1) = Some(scratch);
        dir
    }

    /// Removes the folder.
    pub fn leave(&self) {
        held(&self.0.1).take();
    }

    fn die(&self, code: i32) -> ! {
        self.leave();
        process::exit(code)
    }
}

fn held<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lets the system refuse memory to the whole process beyond twice what the engine counts: a wall behind the limit of the
/// engine, which sees rows in the making but not every buffer. And lets it open as many files as it may.
pub fn wall(limits: &Limits) -> Result<(), Problem> {
    let bytes = limits.memory_bytes.saturating_mul(2).saturating_add(BESIDES_BYTES);
    let hard = Resource::DATA.get().map_or(rlimit::INFINITY, |(_, hard)| hard);
    let wrong = |e: io::Error| fault::problem(Kind::Internal, format!("no limit of memory can be set: {e}"));
    Resource::DATA.set(bytes.min(hard), bytes.min(hard)).map_err(wrong)?;
    // Where it cannot be raised, opening a file says so.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    Ok(())
}

/// Ends the query when its time is over.
pub fn deadline(shared: &Shared, limits: &Limits) {
    let (shared, seconds) = (shared.clone(), limits.seconds);
    thread::spawn(move || {
        thread::sleep(Duration::from_secs(seconds));
        let last = shared.clone();
        thread::spawn(move || {
            thread::sleep(LAST_WORD);
            last.die(EXIT_TIME);
        });
        let message = format!("it took longer than `seconds` = {seconds}");
        shared.out(|out| out.fail(fault::problem(Kind::Time, message)));
        shared.die(EXIT_TIME);
    });
}

/// Hears what the asker brings, and ends the query when it is gone.
pub fn asker(shared: &Shared, wants: &Arc<Wants>, input: impl BufRead + Send + 'static) {
    let (shared, wants) = (shared.clone(), Arc::clone(wants));
    thread::spawn(move || {
        for line in input.lines() {
            match line.map(|line| serde_json::from_str(&line)) {
                Ok(Ok(brought)) => wants.brought(brought),
                _ => break,
            }
        }
        shared.die(EXIT_ALONE);
    });
}
