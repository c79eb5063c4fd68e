//! Sources that only answer: what is wanted is asked for again and again, one request at a time.
//!
//! A source says which [`Question`]s its wants make and reads the answers ([`Asks`]); [`Rounds`] is the session: when to
//! ask, how slowly, and what to do where the source is silent or refuses.

#[allow(clippy::panic, reason = "a check fails by panic, as a test does")]
pub mod check;
mod rounds;
mod sim;
#[cfg(test)]
mod tests;
mod told;

pub use rounds::{Manners, Rounds};
pub use sim::{AnswerSim, Answers, Served};
pub use told::{Quoted, Side, Told};

use crate::{Malformed, Options, Want, What};
use model::SourceName;

/// One thing to ask for again and again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Path and query.
    pub path: String,
    /// What it costs of the endpoint's weight.
    pub weight: u32,
    /// How often it is asked while the data move, in ms.
    pub every_ms: u64,
}

/// A source's part of a session that polls.
pub trait Asks: Send {
    /// Who asks.
    fn source(&self) -> SourceName;

    /// What to ask for these wants, in this order. Equal wants give equal questions. Where the shard has a path nothing needs
    /// to be asked; the wants are told all the same.
    fn questions(&mut self, wants: &[Want], options: &Options) -> Vec<Question>;

    /// Reads an answer, also one found in a recording; `path` is the path or the URL that was asked. Gives the path of the
    /// next page where the answer goes on.
    ///
    /// # Errors
    /// Where the answer as a whole cannot be read. What is wrong with a part of it goes to [`Told::bad`].
    fn read(&mut self, path: &str, body: &[u8], told: &mut Told<'_>) -> Result<Option<String>, Malformed>;

    /// Reads a frame of an answer that goes on, where the shard has a path. `first` is the first one of a connection.
    ///
    /// # Errors
    /// Where it cannot be read.
    fn frame(&mut self, _bytes: &[u8], _first: bool, _told: &mut Told<'_>) -> Result<(), Malformed> {
        Err(Malformed { at: 0, what: What::Rule("a session that polls hears no frames") })
    }
}
