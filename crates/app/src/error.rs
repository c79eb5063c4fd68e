//! What can go wrong in a command, and the one place that prints it.

use std::io;
use std::path::PathBuf;

/// Why a command could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A recording is damaged or cannot be opened.
    #[error(transparent)]
    Tape(#[from] tape::Error),
    /// An output cannot be written.
    #[error("failed to write `{path}`")]
    Write {
        /// The output.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The config cannot be read.
    #[error("failed to read `{path}`")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The config has faults; all of them are listed.
    #[error("the config has {} fault(s):\n  {}", .0.len(), .0.join("\n  "))]
    Config(Vec<String>),
    /// No source of that name is built in.
    #[error("no source is called `{name}`; there are: {}", crate::sources::SOURCES.iter().map(|s| s.spec().name).collect::<Vec<_>>().join(", "))]
    UnknownSource {
        /// The name.
        name: String,
    },
    /// The runtime cannot start.
    #[error("failed to start the runtime")]
    Runtime(#[source] io::Error),
    /// The server cannot start.
    #[error(transparent)]
    Serve(#[from] serve::Error),
    /// Events cannot be kept or read.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// A query has no answer, by what the platform says.
    #[error("{0}")]
    Query(String),
    /// A query has no answer.
    #[error(transparent)]
    Sql(#[from] store::sql::Error),
    /// A simulator cannot start.
    #[error(transparent)]
    Sim(#[from] sim::Error),
    /// The way to a source cannot be had.
    #[error(transparent)]
    Feed(#[from] feed::Error),
    /// The past cannot be read.
    #[error("{0}")]
    History(String),
    /// A running platform cannot be asked.
    #[error("failed to ask {url}; is the platform running? (`qingxi run` or `qingxi demo`)")]
    Ask {
        /// What was asked.
        url: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
}

/// What the commands give.
pub type Result<T> = std::result::Result<T, Error>;

/// An error with all its causes on one line.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    text
}

/// Prints an error with all its causes to standard error.
pub fn print(error: &(dyn std::error::Error + 'static)) {
    eprintln!("{} {}", crate::term::paint("error:", "31"), chain(error));
}
