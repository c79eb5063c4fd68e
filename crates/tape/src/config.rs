//! Where tapes are kept and how large they may grow.

use serde::Deserialize;
use std::path::PathBuf;

/// How tapes are written.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The folder of the tapes; made where it does not exist. Default `data/tape`.
    pub dir: PathBuf,
    /// A new file is begun when the one in hand has so many bytes. At most half of `total_bytes_max` is used. Default
    /// 268,435,456 (256 MiB).
    pub rotate_bytes: u64,
    /// A new file is begun when the one in hand is so old, in ms. Default 3,600,000 (an hour).
    pub rotate_ms: u64,
    /// The tapes of one source together have at most so many bytes, and one block more; the oldest are deleted.
    /// Default 10,737,418,240 (10 GiB).
    pub total_bytes_max: u64,
    /// Records are compressed when so many bytes of them have come; what a kill can lose. Default 131,072 (128 KiB).
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
            block_bytes: 128 << 10,
            level: 1,
        }
    }
}
