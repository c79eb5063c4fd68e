//! Where events are kept, how soon they are safe, and how much they may take.

use crate::{Table, cold};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The least that a segment, and what waits in memory, may have.
const BYTES_MIN: u64 = 64 << 10;
/// The largest segment: one is read whole.
const SEGMENT_BYTES_MAX: u64 = 1 << 30;

/// How events are kept.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The folder of the log of events; made where it does not exist. Empty: nothing is kept. Default empty.
    pub dir: PathBuf,
    /// Events are brought to the disk, and acknowledged, this long after the first of them came, in ms; what a loss of
    /// power can take. Default 5.
    pub commit_ms: u64,
    /// They are brought to the disk before that when about so many bytes of them wait. Default 1,048,576 (1 MiB).
    pub commit_bytes: u64,
    /// A new segment is begun when the one in hand has so many bytes, at most 1,073,741,824. Default 16,777,216
    /// (16 MiB).
    pub segment_bytes: u64,
    /// Log and files together have at most so many bytes on this disk, those of `sweep_ms` that were merged among them: first
    /// copies of what the cold tier has go, then the oldest files are deleted, which is said. The catalogue comes on top: a few
    /// hundred bytes for each stretch of a lane. Default 10,737,418,240 (10 GiB).
    pub total_bytes_max: u64,
    /// While the disk is slow or refuses, so many bytes of events wait in memory. What comes beyond is lost, the oldest
    /// first; the exact range is kept in the log when the disk takes events again. Default 67,108,864 (64 MiB).
    pub waiting_bytes_max: u64,
    /// Events are in memory and in the log for so long before they are written as Parquet files, in ms; less where
    /// `hot_bytes_max` or `segment_bytes` is reached. Default 60,000.
    pub seal_ms: u64,
    /// Events that are not yet in files take at most about so many bytes of memory. What does not fit is read from the log.
    /// Default 268,435,456 (256 MiB).
    pub hot_bytes_max: u64,
    /// A Parquet file has about so many bytes at most. Default 268,435,456 (256 MiB).
    pub file_bytes: u64,
    /// For how many hours the rows of a table are kept, by the table's name (`book_deltas`); of tables that are not named,
    /// under `default`. A file goes when its newest row is older. Default empty: until `total_bytes_max` is reached.
    pub keep_hours: BTreeMap<String, u32>,
    /// A file that was merged into another, or deleted, stays on the disk for so long, for those who read it, in ms. Default
    /// 60,000.
    pub sweep_ms: u64,
    /// After the disk has refused it is tried again after so long, in ms. Default 1,000.
    pub retry_ms: u64,
    /// Where files of days that are over go.
    pub cold: cold::Config,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            dir: PathBuf::new(),
            commit_ms: 5,
            commit_bytes: 1 << 20,
            segment_bytes: 16 << 20,
            total_bytes_max: 10 << 30,
            waiting_bytes_max: 64 << 20,
            seal_ms: 60_000,
            hot_bytes_max: 256 << 20,
            file_bytes: 256 << 20,
            keep_hours: BTreeMap::new(),
            sweep_ms: 60_000,
            retry_ms: 1_000,
            cold: cold::Config::default(),
        }
    }
}

impl Config {
    /// What is wrong with the values, each as `key: why`.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.commit_bytes == 0 || self.commit_bytes > self.waiting_bytes_max {
            faults.push("commit_bytes: must be above 0 and at most waiting_bytes_max".to_owned());
        }
        if !(BYTES_MIN..=SEGMENT_BYTES_MAX).contains(&self.segment_bytes) {
            faults.push(format!("segment_bytes: must be {BYTES_MIN} to {SEGMENT_BYTES_MAX}"));
        }
        if self.total_bytes_max < self.segment_bytes.saturating_mul(2) {
            faults.push("total_bytes_max: must be at least twice segment_bytes".to_owned());
        }
        if self.waiting_bytes_max < BYTES_MIN {
            faults.push(format!("waiting_bytes_max: must be at least {BYTES_MIN}"));
        }
        if self.hot_bytes_max < BYTES_MIN || self.file_bytes < BYTES_MIN {
            faults.push(format!("hot_bytes_max, file_bytes: must be at least {BYTES_MIN}"));
        }
        for name in self.keep_hours.keys().filter(|name| *name != "default" && Table::parse(name).is_none()) {
            let tables = Table::ALL.iter().chain(&Table::COMPUTED);
            let names: Vec<&str> = tables.map(|table| table.name()).collect();
            faults.push(format!("keep_hours.{name}: no table has that name; there are {}", names.join(", ")));
        }
        if self.retry_ms == 0 {
            faults.push("retry_ms: must be above 0".to_owned());
        }
        faults.extend(self.cold.faults().into_iter().map(|fault| format!("cold.{fault}")));
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_have_no_faults_and_each_bad_value_is_named() {
        assert_eq!(Config::default().faults(), [""; 0]);
        let bad = Config {
            commit_bytes: 0,
            segment_bytes: 1,
            total_bytes_max: 1,
            waiting_bytes_max: 1,
            retry_ms: 0,
            ..Config::default()
        };
        assert_eq!(bad.faults().len(), 5);
    }
}
