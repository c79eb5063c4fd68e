//! Where tapes are kept and how large they may grow.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

pub(crate) const BLOCK_BYTES_MIN: usize = 1 << 10;
pub(crate) const BLOCK_BYTES_MAX: usize = 16 << 20;

/// How tapes are written.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The folder of the tapes; made where it does not exist. Default `data/tape`.
    pub dir: PathBuf,
    /// A new file is begun when the one in hand has so many bytes. At most half of `total_bytes_max` is used. Default
    /// 268,435,456 (256 MiB).
    pub rotate_bytes: u64,
    /// A new file is begun when the one in hand is so old, in ms. Default 3,600,000 (an hour).
    pub rotate_ms: u64,
    /// The tapes of one source together have at most so many bytes: the oldest are deleted before a block is written.
    /// Default 10,737,418,240 (10 GiB).
    pub total_bytes_max: u64,
    /// Records are compressed and written when so many bytes of them have come, 1,024 to 16,777,216; what a kill can
    /// lose. Default 65,536 (64 KiB).
    pub block_bytes: usize,
    /// The level of zstd, -7 to 19. Default 1.
    pub level: i32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            dir: PathBuf::from("data/tape"),
            rotate_bytes: 256 << 20,
            rotate_ms: 3_600_000,
            total_bytes_max: 10 << 30,
            block_bytes: 64 << 10,
            level: 1,
        }
    }
}

impl Config {
    /// What is wrong with the values, each as `key: why`.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.dir.as_os_str().is_empty() {
            faults.push("dir: is empty".to_owned());
        }
        if self.rotate_bytes == 0 {
            faults.push("rotate_bytes: must be above 0".to_owned());
        }
        if self.rotate_ms == 0 {
            faults.push("rotate_ms: must be above 0".to_owned());
        }
        if !(BLOCK_BYTES_MIN..=BLOCK_BYTES_MAX).contains(&self.block_bytes) {
            faults.push("block_bytes: must be 1024 to 16777216".to_owned());
        }
        if self.total_bytes_max < 4 * self.block_bytes as u64 {
            faults.push("total_bytes_max: must be at least four times block_bytes".to_owned());
        }
        if !(-7..=19).contains(&self.level) {
            faults.push("level: must be -7 to 19".to_owned());
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_have_no_faults_and_each_bad_value_is_named() {
        assert_eq!(Config::default().faults(), [""; 0]);
        let bad = Config { rotate_bytes: 0, rotate_ms: 0, level: 40, block_bytes: 1, ..Config::default() };
        assert_eq!(bad.faults().len(), 4);
    }

    #[test]
    fn unknown_keys_are_refused() {
        assert!(serde_json::from_str::<Config>(r#"{"level":3}"#).is_ok_and(|c| c.level == 3));
        assert!(serde_json::from_str::<Config>(r#"{"levle":3}"#).is_err());
    }
}
