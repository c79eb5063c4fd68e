//! Logs of an exchange's messages, as they are recorded and handed on where the exchange sells its wire.

use crate::Session;
use model::SourceName;

/// A form of log whose lines become events. Nobody can connect to it: there is no endpoint, nothing to subscribe to and no
/// simulator, and so it is no [`Source`](crate::Source).
pub trait Log: Sync {
    /// The folder's name, as events carry it.
    fn name(&self) -> SourceName;

    /// Whether a line is of this form.
    fn recognises(&self, line: &[u8]) -> bool;

    /// Reads the lines of files, each as a text frame; `now` is the line's own time, with the day of the recording.
    fn session(&self) -> Box<dyn Session>;
}
