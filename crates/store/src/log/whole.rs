//! What of a segment holds, for who copies it while it is written.

use super::block::{Decoder, Piece};
use super::format::{SEGMENT_HEAD, SegmentHead, Step, Walk};
use bus::Cursor;
use model::Ts;

/// A segment up to its last block that holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Whole {
    /// So many bytes; 0 where not even the head is there.
    pub bytes: usize,
    /// The last number in it.
    pub last: Option<Cursor>,
    /// The newest time of publication.
    pub at: Ts,
}

impl Whole {
    /// Looks at the bytes of a segment.
    pub fn of(bytes: &[u8], sequence: u64) -> Self {
        let mut whole = Self::default();
        if SegmentHead::read(bytes, sequence).is_some() {
            whole.bytes = SEGMENT_HEAD;
        }
        let mut decoder = Decoder::default();
        let mut walk = Walk::new(bytes, sequence);
        while let Some((_, step)) = walk.step() {
            let Step::Block(head, payload) = step else { continue };
            whole.bytes = walk.at;
            whole.last = whole.last.max(Some(Cursor { epoch: head.epoch, number: head.last }));
            for piece in decoder.read(&head, payload).unwrap_or_default() {
                if let Piece::Entry(super::Entry::Event(published)) = piece {
                    whole.at = whole.at.max(published.ts_pub);
                }
            }
        }
        whole
    }
}
