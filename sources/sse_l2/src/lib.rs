//! Level-2 of the Shanghai stock exchange from logs: single orders, trades and ten-level snapshots.
//!
//! The form of the log and the meaning of its fields are told by the `AXOrderBook` project (`doc/msgTypes.md`,
//! `doc/SE.md`); what the exchange publishes, by its Level-2 interface specification 2.0.8. See README.md.

mod fields;
mod message;
mod session;

use model::SourceName;
use source::{Log, Session};

/// The folder's name.
const NAME: SourceName = "sse_l2";

/// The log.
#[derive(Debug)]
pub struct SseLevel2;

impl Log for SseLevel2 {
    fn name(&self) -> SourceName {
        NAME
    }

    fn recognises(&self, line: &[u8]) -> bool {
        line.starts_with(b"//SecurityIDSource=101 ")
    }

    fn session(&self) -> Box<dyn Session> {
        Box::new(session::LogSession::default())
    }
}
