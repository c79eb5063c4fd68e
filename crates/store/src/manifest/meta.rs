//! What the catalogue says, as values.

use super::Cooling;
use super::head::Sums;
use crate::code::{Code, choice, record};
use crate::cold::{self, Upload};
use crate::ledger::Ledger;
use crate::table::Table;
use bus::Cursor;
use model::{Channel, Date, Event, Flags, InstrumentId, SourceName, Ts};
use query::{Bound, Span};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The rows of one instrument from one source in a file; they follow one another, in the order of the bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub source: SourceName,
    pub instrument: InstrumentId,
    /// The first row.
    pub start: u64,
    pub rows: u64,
    pub first: Cursor,
    pub last: Cursor,
    /// The earliest and the latest time at which something in it happened.
    pub from: Ts,
    pub to: Ts,
    /// The channels it came by: the bit of each place in [`Channel::ALL`]; beside them [`TOLD`] and [`FILLED`].
    pub channels: u32,
}

impl Run {
    /// Whether it may hold rows of a channel.
    pub fn has(&self, channel: Channel) -> bool {
        self.channels & channel_bit(channel) != 0
    }

    /// Whether it holds rows that were filled in later, or that were not.
    pub const fn has_filled(&self, filled: bool) -> bool {
        self.channels & (if filled { FILLED } else { TOLD }) != 0
    }

    /// Whether all rows came by one channel.
    pub const fn is_of_one_channel(&self) -> bool {
        (self.channels & !(TOLD | FILLED)).is_power_of_two()
    }
}

/// Rows that were told when they happened.
const TOLD: u32 = 1 << 30;
/// Rows that were filled in later.
const FILLED: u32 = 1 << 31;
const _: () = assert!(Channel::ALL.len() <= 30, "a bit for each channel");

/// The bits of an event in [`Run::channels`].
pub(crate) fn channel_bits(event: &Event) -> u32 {
    channel_bit(event.channel) | if event.flags.has(Flags::REPAIRED) { FILLED } else { TOLD }
}

/// The bit that stands for a channel.
fn channel_bit(channel: Channel) -> u32 {
    Channel::ALL.iter().position(|of| *of == channel).map_or(0, |place| 1 << place)
}

/// A file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileMeta {
    pub id: u64,
    pub table: Table,
    pub day: Date,
    /// How often its rows were merged.
    pub level: u8,
    /// The newest time of publication when it was sealed; of a merged file, of the newest that went into it.
    pub made: Ts,
    /// Below the store's folder.
    pub path: Box<str>,
    pub rows: u64,
    pub bytes: u64,
    /// A CRC-32 of each 64 KiB.
    pub chunks: Vec<u32>,
    /// The least and the greatest of its times, and of the texts that all tables have.
    pub spans: Vec<Span>,
    /// By exchange, product, symbol and source, as the rows are.
    pub runs: Vec<Run>,
}

/// Up to where the log stands in files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sealed {
    /// The number of the last segment.
    pub segment: u64,
    /// The last cursor in it.
    pub cursor: Option<Cursor>,
    /// The newest time of publication.
    pub at: Ts,
}

/// Something that became of what was kept, and that is not to be forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// When.
    pub at: Ts,
    /// What, in a word: `dropped`, `damaged`, `lost`, `rebuilt`, `repaired`, `filled`.
    pub what: Box<str>,
    /// Of which table; empty where of all.
    pub table: Box<str>,
    /// How many rows or events.
    pub count: u64,
    /// In words: which and why.
    pub why: Box<str>,
}

record! {
    Run { source, instrument, start, rows, first, last, from, to, channels }
    FileMeta { id, table, day, level, made, path, rows, bytes, chunks, spans, runs }
    Span { column, min, max }
    Sealed { segment, cursor, at }
    Note { at, what, table, count, why }
}

choice! {
    Bound {
        1 => Time(at),
        2 => Text(text),
    }
}

impl Code for Table {
    fn put(&self, out: &mut Vec<u8>) {
        self.name().put(out);
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        Self::parse(&Box::<str>::take(bytes)?)
    }
}

impl Code for Date {
    fn put(&self, out: &mut Vec<u8>) {
        self.number().put(out);
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        Self::from_number(u32::take(bytes)?)
    }
}

/// What a transaction changes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Change {
    pub add: Vec<FileMeta>,
    pub remove: Vec<u64>,
    pub sealed: Option<Sealed>,
    pub notes: Vec<Note>,
    /// Up to where events of a table were deleted.
    pub dropped: Vec<(Table, Cursor)>,
    /// The ledger after what was sealed; what is final in it is taken out.
    pub ledger: Option<Ledger>,
    pub cooling: Cooling,
}

/// What the catalogue says at one instant.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    pub files: BTreeMap<u64, Arc<FileMeta>>,
    pub sealed: Sealed,
    /// Up to where, of each table, events may be missing because they were deleted.
    pub dropped: BTreeMap<Table, Cursor>,
    /// The next file's number.
    pub next: u64,
    /// The files that the cold tier has; perhaps they stand here too.
    pub cold: BTreeSet<u64>,
    /// The cold tier, where one was ever named.
    pub place: Option<Arc<cold::Config>>,
    /// Objects that are being uploaded, or that are to go, by name, and how far they came.
    pub uploads: BTreeMap<Box<str>, Upload>,
    /// How many changes there were.
    pub generation: u64,
    /// By which its rows are held against it.
    pub sums: Sums,
}

impl State {
    /// How many bytes all files have.
    pub fn bytes(&self) -> u64 {
        self.files.values().map(|file| file.bytes).sum()
    }
}
