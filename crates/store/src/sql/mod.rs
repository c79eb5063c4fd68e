//! SQL over what is kept, answered by a process of its own for each query: [`query`] says how they speak.
//!
//! A query can starve or crash only itself. It reads what it is handed: the files of the tables that it names, with their
//! checksums, and the rows that stand in no file yet. A file of the cold tier is brought when the query reads from it.

mod config;
mod frames;

pub use crate::library::{Cold, Held};
pub use config::Config;
pub use query::{Column, End, Format, Kind, Position, Problem};

use crate::archive::words;
use frames::Frames;
use hashbrown::HashMap;
use query::{Brought, EXIT_TIME, File, Head, Needs, OUT_OF_MEMORY, Request, Table, Want};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStderr, ChildStdin, Command};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};

/// How much of what a dying process says is kept.
const SAID_BYTES_MAX: u64 = 2_048;
/// A process that has not ended by itself so long after its time is killed.
const OVERDUE: Duration = Duration::from_secs(5);

/// A table that is handed to a query.
#[derive(Default)]
pub struct Input {
    /// As the query calls it.
    pub name: String,
    /// Its files.
    pub files: Vec<File>,
    /// Its rows that are in no file, as an Arrow IPC stream; without rows where all are in files.
    pub hot: Vec<u8>,
    /// Those of its files that are brought when they are wanted, by their paths.
    pub cold: HashMap<PathBuf, Cold>,
    /// How many bytes of such files a query may want.
    pub room: u64,
}

/// Who has the tables.
pub trait Inputs: Send + Sync {
    /// The tables of these names. It may block.
    ///
    /// # Errors
    /// [`Error::Failed`] where there is no such table, [`Error::Store`] where one cannot be read.
    fn tables(&self, names: &[String]) -> Result<Vec<Input>, Error>;
}

/// Why a query has no answer, or no whole one.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The query failed; the words are for the one who asked.
    #[error("{}", .0.message)]
    Failed(Problem),
    /// Other queries run.
    #[error("{running} queries run and none ended within {waited_ms} ms")]
    Busy {
        /// How many may run at once.
        running: usize,
        /// How long this one waited.
        waited_ms: u64,
    },
    /// The program was not built.
    #[error("`qingxi-sql` is not there: build it with `make sql`, or set `sql.program` (looked for {})", list(.looked))]
    NoProgram {
        /// Where it was looked for.
        looked: Vec<PathBuf>,
    },
    /// It cannot be started or spoken to.
    #[error("failed to run `{program}`")]
    Run {
        /// Which.
        program: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It ended in the midst of its answer.
    #[error("`qingxi-sql` ended without an answer ({status}): {said}")]
    Died {
        /// How.
        status: ExitStatus,
        /// The beginning of what it said.
        said: String,
    },
    /// What is kept does not read.
    #[error(transparent)]
    Store(#[from] crate::Error),
}

fn list(places: &[PathBuf]) -> String {
    let places: Vec<String> = places.iter().map(|place| format!("`{}`", place.display())).collect();
    places.join(", ")
}

/// What is asked.
#[derive(Clone, Debug)]
pub struct Ask {
    /// One query.
    pub sql: String,
    /// How the rows are written.
    pub format: Format,
    /// How many rows at most; `None`: as many as any query may give.
    pub rows: Option<u64>,
    /// Only what was published until then, as RFC 3339; `None`: all.
    pub as_known_at: Option<String>,
}

/// Answers queries over the tables that somebody has.
pub struct Sql {
    config: Config,
    inputs: Arc<dyn Inputs>,
    turns: Arc<Semaphore>,
}

impl Sql {
    /// Queries over these tables.
    pub fn new(config: Config, inputs: Arc<dyn Inputs>) -> Self {
        let turns = Arc::new(Semaphore::new(config.queries_max));
        Self { config, inputs, turns }
    }

    /// How long it may be until the first rows of an answer are there.
    pub fn longest(&self) -> Duration {
        Duration::from_millis(self.config.wait_ms) + Duration::from_secs(self.config.seconds) + OVERDUE
    }

    /// Runs a query. The answer comes when its first rows are there.
    ///
    /// # Errors
    /// [`Error`].
    ///
    /// # Cancel safety
    /// Dropping it ends the query, as dropping the answer does.
    pub async fn run(&self, ask: Ask) -> Result<Answer, Error> {
        let turn = Arc::clone(&self.turns).acquire_owned();
        let turn = timeout(Duration::from_millis(self.config.wait_ms), turn).await.ok().and_then(Result::ok);
        let busy = Error::Busy { running: self.config.queries_max, waited_ms: self.config.wait_ms };
        let turn = turn.ok_or(busy)?;
        let program = self.config.find().map_err(|looked| Error::NoProgram { looked })?;
        let deadline = Instant::now() + Duration::from_secs(self.config.seconds) + OVERDUE;
        let names = self.needs(&program, &ask.sql, deadline).await?;
        let inputs = self.inputs(names).await?;
        let mut fetches = Fetches::default();
        let (tables, hot): (Vec<Table>, Vec<Vec<u8>>) = inputs
            .into_iter()
            .map(|Input { name, files, hot, cold, room }| {
                fetches.cold.extend(cold);
                fetches.room = fetches.room.max(room);
                (Table { name, files, hot_bytes: hot.len() as u64 }, hot)
            })
            .unzip();
        let limits = self.config.limits(ask.rows);
        let Ask { sql, format, as_known_at, .. } = ask;
        let request = Request { sql, format, limits, tables, as_known_at };
        let mut process = Process::start(&program, &[], &self.config.temp_dir, deadline)?;
        process.fetches = fetches;
        let line = process.written(&request)?;
        process.tell(std::iter::once(line).chain(hot)).await?;
        let head = process.line::<Head>().await?;
        Ok(Answer { columns: head.columns, process, _turn: turn })
    }

    /// The tables that a query names.
    async fn needs(&self, program: &Path, sql: &str, deadline: Instant) -> Result<Vec<String>, Error> {
        let mut process = Process::start(program, &["--tables"], &self.config.temp_dir, deadline)?;
        process.tell(std::iter::once(sql.as_bytes().to_vec())).await?;
        // The text ends where the input does.
        process.input = None;
        Ok(process.line::<Needs>().await?.tables)
    }

    async fn inputs(&self, names: Vec<String>) -> Result<Vec<Input>, Error> {
        let inputs = Arc::clone(&self.inputs);
        let read = tokio::task::spawn_blocking(move || inputs.tables(&names)).await;
        read.unwrap_or_else(|e| {
            let message = format!("the tables could not be read: {e}");
            Err(Error::Failed(Problem { kind: Kind::Internal, message, position: None }))
        })
    }
}

/// A part of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// The next bytes of the rows in the form that was asked for.
    Rows(Vec<u8>),
    /// There are no more.
    End(End),
}

/// An answer under way; dropping it ends the query.
pub struct Answer {
    columns: Vec<Column>,
    process: Process,
    _turn: OwnedSemaphorePermit,
}

impl Answer {
    /// The columns of the rows.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The next part; nothing comes after the end.
    ///
    /// # Errors
    /// [`Error`]; then what came before is not a whole answer.
    pub async fn next(&mut self) -> Result<Part, Error> {
        let length = self.process.said().await?;
        let chunk = timeout_at(self.process.deadline, self.process.frames.chunk(&length)).await;
        match chunk.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok(Some(bytes)) => Ok(Part::Rows(bytes)),
            Ok(None) => self.process.line::<End>().await.map(Part::End),
            Err(error) => Err(self.process.died(error).await),
        }
    }
}

/// A process and what it says.
struct Process {
    program: PathBuf,
    child: Child,
    /// Open as long as somebody waits for the answer.
    input: Option<ChildStdin>,
    frames: Frames,
    said: Option<ChildStderr>,
    deadline: Instant,
    fetches: Fetches,
}

/// Files of the cold tier that a query may want, and those that it wanted.
#[derive(Default)]
struct Fetches {
    cold: HashMap<PathBuf, Cold>,
    room: u64,
    held: Vec<Held>,
    held_bytes: u64,
}

impl Fetches {
    /// Brings a file, and keeps it here; otherwise why not, in words.
    async fn bring(&mut self, path: &Path) -> Result<(), String> {
        let cold = self.cold.remove(path).ok_or("it is none of the cold tier, or was wanted twice")?;
        self.held_bytes += cold.bytes();
        if self.held_bytes > self.room {
            return Err(format!(
                "the query reads {} bytes of the cold tier or more, and `store.cold.cache_bytes` is {}",
                self.held_bytes, self.room
            ));
        }
        let brought = tokio::task::spawn_blocking(move || cold.bring()).await;
        let held = brought.map_err(|e| e.to_string())?;
        self.held.push(held.map_err(|e| words(&e))?);
        Ok(())
    }
}

impl Process {
    fn start(program: &Path, args: &[&str], temp: &Path, deadline: Instant) -> Result<Self, Error> {
        let mut command = Command::new(program);
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.env("RUST_BACKTRACE", "0").kill_on_drop(true);
        if !temp.as_os_str().is_empty() {
            command.env("TMPDIR", temp);
        }
        let failed = |source| Error::Run { program: program.to_owned(), source };
        let mut child = command.spawn().map_err(failed)?;
        let (input, said) = (child.stdin.take(), child.stderr.take());
        let out = child.stdout.take().ok_or_else(|| failed(io::ErrorKind::BrokenPipe.into()))?;
        Ok(Self {
            program: program.to_owned(),
            child,
            input,
            frames: Frames::new(out),
            said,
            deadline,
            fetches: Fetches::default(),
        })
    }

    fn failed(&self, source: io::Error) -> Error {
        Error::Run { program: self.program.clone(), source }
    }

    /// Tells it something. Where it refuses before it has read all, its answer says why.
    async fn tell(&mut self, all: impl Iterator<Item = Vec<u8>>) -> Result<(), Error> {
        let Some(input) = &mut self.input else { return Ok(()) };
        let write = async {
            for bytes in all {
                input.write_all(&bytes).await?;
            }
            io::Result::Ok(())
        };
        let told = timeout_at(self.deadline, write).await;
        match told.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            told => told.map_err(|e| self.failed(e)),
        }
    }

    /// Something as a line.
    fn written(&self, it: &impl Serialize) -> Result<Vec<u8>, Error> {
        let mut line = serde_json::to_vec(it).map_err(|e| self.failed(e.into()))?;
        line.push(b'\n');
        Ok(line)
    }

    /// The next line of the answer; files that are wanted before it are brought.
    async fn said(&mut self) -> Result<Vec<u8>, Error> {
        loop {
            let text = timeout_at(self.deadline, self.frames.text()).await;
            let text = match text.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
                Ok(text) => text,
                Err(error) => return Err(self.died(error).await),
            };
            let Ok(Want { want }) = serde_json::from_slice(&text) else { return Ok(text) };
            let brought = timeout_at(self.deadline, self.fetches.bring(&want)).await;
            let why_not = brought.unwrap_or_else(|_| Err("the time of the query is over".to_owned())).err();
            let line = self.written(&Brought { want, why_not })?;
            self.tell(std::iter::once(line)).await?;
        }
    }

    /// A line that says what was asked for, or why it cannot be had.
    async fn line<T: DeserializeOwned>(&mut self) -> Result<T, Error> {
        let said = self.said().await?;
        match serde_json::from_slice(&said) {
            Ok(query::Said::Told(said)) => Ok(said),
            Ok(query::Said::Failed { error }) => Err(Error::Failed(error)),
            Err(error) => Err(self.failed(error.into())),
        }
    }

    /// Why it broke off.
    async fn died(&mut self, error: io::Error) -> Error {
        if error.kind() != io::ErrorKind::UnexpectedEof {
            return self.failed(error);
        }
        let mut said = Vec::new();
        if let Some(from) = self.said.take() {
            // What it says helps; that it says nothing is no other failure.
            let _ = timeout(OVERDUE, from.take(SAID_BYTES_MAX).read_to_end(&mut said)).await;
        }
        let said = String::from_utf8_lossy(&said).trim().to_owned();
        let status = match timeout(OVERDUE, self.child.wait()).await {
            Ok(Ok(status)) => status,
            Ok(Err(source)) => return self.failed(source),
            Err(_) => return self.failed(io::ErrorKind::TimedOut.into()),
        };
        let problem = |kind, message: &str| {
            Error::Failed(Problem { kind, message: message.to_owned(), position: None })
        };
        if status.code() == Some(EXIT_TIME) {
            problem(Kind::Time, "it took longer than `seconds`, with the time in which its rows were read")
        } else if said.starts_with(OUT_OF_MEMORY) {
            problem(Kind::Memory, "it needs far more memory than `memory_bytes`")
        } else {
            Error::Died { status, said }
        }
    }
}
