//! Writes tapes.

/// A record to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry<'a> {
    /// The connection was opened.
    Connect {
        /// To where.
        url: &'a str,
    },
    /// We sent a frame.
    Sent(&'a [u8]),
    /// A frame came.
    Frame {
        /// The payload as it was on the wire.
        bytes: &'a [u8],
        /// Whether it was a binary frame.
        binary: bool,
    },
    /// A REST answer came.
    Reply {
        /// What was asked.
        url: Option<&'a str>,
        /// The HTTP status.
        status: u16,
        /// The body.
        body: &'a [u8],
    },
    /// The connection ended.
    Closed {
        /// Why, in words.
        why: &'a str,
    },
}
