//! What the catalogue says beside its tables, in one row, and by which a row of a table that is changed, missing or too many
//! is known. The database has checksums of its own, but holds itself against them only when it is opened to write.

use super::State;
use crate::code::{Code, cut, record};
use crate::table::Table;
use bus::Cursor;

/// How many rows a table has, and the sum of the CRC-32s of their keys and values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sum {
    rows: u64,
    crcs: u64,
}

impl Sum {
    /// Of these rows.
    pub fn of<K: AsRef<[u8]>, V: AsRef<[u8]>>(rows: impl IntoIterator<Item = (K, V)>) -> Self {
        let mut sum = Self::default();
        rows.into_iter().for_each(|(key, value)| sum.add(key.as_ref(), value.as_ref()));
        sum
    }

    /// A row comes.
    pub fn add(&mut self, key: &[u8], value: &[u8]) {
        self.rows = self.rows.wrapping_add(1);
        self.crcs = self.crcs.wrapping_add(crc(key, value));
    }

    /// A row goes.
    pub fn remove(&mut self, key: &[u8], value: &[u8]) {
        self.rows = self.rows.wrapping_sub(1);
        self.crcs = self.crcs.wrapping_sub(crc(key, value));
    }
}

fn crc(key: &[u8], value: &[u8]) -> u64 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key);
    hasher.update(value);
    hasher.finalize().into()
}

/// Of each table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    pub files: Sum,
    pub notes: Sum,
    pub intervals: Sum,
    pub ledger: Sum,
}

record! {
    Sum { rows, crcs }
    Sums { files, notes, intervals, ledger }
}

impl State {
    /// All but the files as bytes, with their CRC-32 behind them.
    pub fn head(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.generation.put(&mut out);
        self.sealed.put(&mut out);
        self.next.put(&mut out);
        self.dropped.clone().into_iter().collect::<Vec<_>>().put(&mut out);
        self.sums.put(&mut out);
        self.put_cold(&mut out);
        out.extend(crc32fast::hash(&out).to_le_bytes());
        out
    }

    /// Of [`State::head`], without files; `None` where the bytes are none.
    pub fn of_head(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let mut said = cut(&mut rest, bytes.len().checked_sub(4)?)?;
        if rest != crc32fast::hash(said).to_le_bytes() {
            return None;
        }
        let (generation, sealed, next) =
            (u64::take(&mut said)?, Code::take(&mut said)?, u64::take(&mut said)?);
        let dropped = Vec::<(Table, Cursor)>::take(&mut said)?.into_iter().collect();
        let sums = Sums::take(&mut said)?;
        let mut state = Self { sealed, dropped, next, generation, sums, ..Self::default() };
        state.take_cold(&mut said)?;
        said.is_empty().then_some(state)
    }
}
