//! Where the program is and what queries may take.

use query::Limits;
use serde::{Deserialize, Serialize};
use std::env;
use std::path::{Path, PathBuf};

/// The name of the program.
const PROGRAM: &str = "qingxi-sql";
/// Where `make sql` puts it, below the folder of the project.
const BUILT: &str = "sql/target/release";

/// What SQL queries may take.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The program `qingxi-sql`. Default empty: beside this program, then in `sql/target/release`, where `make sql` puts
    /// it, then in `PATH`.
    pub program: PathBuf,
    /// So many queries run at once. Default 2.
    pub queries_max: usize,
    /// A query waits for its turn for so long, in ms; then it is told that others run. Default 5,000.
    pub wait_ms: u64,
    /// One query has so much memory for rows in the making; its process at most twice that and 512 MiB. Default 536,870,912
    /// (512 MiB).
    pub memory_bytes: u64,
    /// One query gives so many rows at most, and so many where it does not say how many. Default 100,000.
    pub rows_max: u64,
    /// One query takes so many seconds at most, with the time in which its rows are read. Default 30.
    pub seconds: u64,
    /// What does not fit into memory takes so many bytes on disk. Default 4,294,967,296 (4 GiB).
    pub temp_bytes: u64,
    /// The folder for that; it must be there. Default empty: that of the system.
    pub temp_dir: PathBuf,
}

impl Default for Config {
    fn default() -> Self {
        let Limits { memory_bytes, rows, seconds, temp_bytes } = Limits::default();
        Self {
            program: PathBuf::new(),
            queries_max: 2,
            wait_ms: 5_000,
            memory_bytes,
            rows_max: rows,
            seconds,
            temp_bytes,
            temp_dir: PathBuf::new(),
        }
    }
}

impl Config {
    /// What is wrong with the values, each as `key: why`.
    pub fn faults(&self) -> Vec<String> {
        let numbers = [
            ("queries_max", self.queries_max as u64),
            ("memory_bytes", self.memory_bytes),
            ("rows_max", self.rows_max),
            ("seconds", self.seconds),
        ];
        let none = numbers.into_iter().filter(|(_, value)| *value == 0);
        none.map(|(key, _)| format!("{key}: must be above 0")).collect()
    }

    /// What one query may take that asks for so many rows.
    pub(super) fn limits(&self, rows: Option<u64>) -> Limits {
        Limits {
            memory_bytes: self.memory_bytes,
            rows: rows.unwrap_or(self.rows_max).min(self.rows_max),
            seconds: self.seconds,
            temp_bytes: self.temp_bytes,
        }
    }

    /// The program, or where it was looked for.
    pub(super) fn find(&self) -> Result<PathBuf, Vec<PathBuf>> {
        let mut places = Vec::new();
        if self.program.as_os_str().is_empty() {
            let beside = env::current_exe().ok().and_then(|own| own.parent().map(Path::to_owned));
            places.extend(beside);
            places.push(BUILT.into());
            places.extend(env::var_os("PATH").iter().flat_map(env::split_paths));
            for place in &mut places {
                place.push(PROGRAM);
            }
        } else {
            places.push(self.program.clone());
        }
        places.iter().find(|place| place.is_file()).cloned().ok_or(places)
    }
}
