//! What is asked of the process that answers one SQL query, `qingxi-sql`, and what it says. One process, one query.
//!
//! # The question, on its standard input
//!
//! One line of JSON, a [`Request`], ended by `\n`. Then, for each table in its order, as many bytes as its `hot_bytes` says:
//! an Arrow IPC stream of the rows that are in no file yet. After that come only answers to [`Want`], and **the input stays
//! open**: when it ends before the answer has, the asker is gone, and the process ends at once.
//!
//! # The answer, on its standard output
//!
//! ```text
//! {"ok":true,"columns":[{"name":"price","type":"Float64","nullable":true}]}\n     the first line: Said<Head>
//! 1234\n<1234 bytes>                                                          any number of chunks, see `length`
//! 0\n
//! {"rows":17,"cut":false}\n                                                   the last line: Said<End>
//! ```
//!
//! In the place of each of these lines a line may stand first that is no part of the answer: `{"want":"/a.parquet"}`, a
//! [`Want`] of a file that is [`Away`]. The asker brings the file to its path, keeps it there as long as the query runs, and
//! says so in a line on the standard input, `{"want":"/a.parquet","why_not":null}`: a [`Brought`].
//!
//! The chunks, one after the other, are the rows in the [`Format`] that was asked for. Both lines may be
//! `{"error":{"kind":"memory","message":"…","position":null}}` instead; where the first one is, nothing follows it. An answer
//! without a last line is none: the process died. [`EXIT_TIME`] and [`OUT_OF_MEMORY`] tell the two ways to die that are meant.
//!
//! # Which tables a query needs
//!
//! `qingxi-sql --tables` reads the text of a query on its standard input up to the end, says one line, `Said<Needs>`, and ends.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// How the process ends when its time was over and nobody took the bytes before the last line: then that is all it can say.
pub const EXIT_TIME: i32 = 4;
/// How its standard error begins where the system refused it memory that the engine does not count.
pub const OUT_OF_MEMORY: &str = "memory allocation of ";
/// The longest request line, in bytes.
pub const REQUEST_BYTES_MAX: usize = 64 << 20;
/// The longest SQL text, in bytes.
pub const SQL_BYTES_MAX: usize = 1 << 20;

/// A query and all that it may read.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// One query. It may end with `AS KNOWN AT '2026-11-21T10:00:00Z'`.
    pub sql: String,
    /// How the rows are written.
    #[serde(default)]
    pub format: Format,
    /// What the query may take.
    #[serde(default)]
    pub limits: Limits,
    /// Every table the query may name.
    #[serde(default)]
    pub tables: Vec<Table>,
    /// Only rows that were published until then are there, as RFC 3339; UTC where it names no zone. `None`: all.
    #[serde(default)]
    pub as_known_at: Option<String>,
}

/// How rows are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// An Arrow IPC stream.
    Arrow,
    /// RFC 4180 with a line of names; a null is an empty cell.
    Csv,
    /// `{"columns":[…],"rows":[{…}],"count":1,"cut":false}`; every column stands in every row, also where it is null.
    #[default]
    Json,
    /// One Parquet file, zstd.
    Parquet,
    /// Text with frames, for people.
    Table,
}

/// What one query may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Memory for rows in the making; beyond it the query writes to disk where it can. Default 536,870,912 (512 MiB).
    pub memory_bytes: u64,
    /// Rows that are given; the answer is cut there, and says so. Default 100,000.
    pub rows: u64,
    /// Seconds from the request to the last row. Default 30.
    pub seconds: u64,
    /// Bytes on disk for what does not fit into memory. Default 4,294,967,296 (4 GiB).
    pub temp_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { memory_bytes: 512 << 20, rows: 100_000, seconds: 30, temp_bytes: 4 << 30 }
    }
}

/// One table: rows in files, and rows that are in none yet. No row may be in both.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// As the query calls it.
    pub name: String,
    /// Parquet files.
    #[serde(default)]
    pub files: Vec<File>,
    /// The length of the Arrow IPC stream that follows for this table; 0 for none. One of both must be there, if only to say
    /// which columns there are.
    #[serde(default)]
    pub hot_bytes: u64,
}

/// One Parquet file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(untagged)]
pub enum File {
    /// The path alone: of what was changed in the file only that is noticed which Parquet itself notices.
    Plain(PathBuf),
    /// With checksums: every byte that a query reads is held against them.
    Summed(Summed),
}

impl File {
    /// Where it is.
    pub fn path(&self) -> &std::path::Path {
        match self {
            Self::Plain(path) | Self::Summed(Summed { path, .. }) => path,
        }
    }
}

/// A file and what its bytes must be.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Summed {
    /// Where it is.
    pub path: PathBuf,
    /// Its length.
    pub bytes: u64,
    /// The length of a block; the last one may be shorter. 65,536 costs a narrow query little.
    pub block_bytes: u64,
    /// CRC-32 (IEEE 802.3) of each block.
    pub crc32: Vec<u32>,
    /// Where it may not be there yet: what is known of it until it is wanted. `None`: it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub away: Option<Away>,
}

/// What is known of a file that is brought when a query reads from it, and not before.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Away {
    /// How many rows it has.
    pub rows: u64,
    /// The least and the greatest values of some of its columns.
    pub spans: Vec<Span>,
}

/// The least and the greatest value of a column; its nulls count for nothing.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Span {
    /// The column.
    pub column: Box<str>,
    /// The least.
    pub min: Bound,
    /// The greatest.
    pub max: Bound,
}

/// A value that others are compared with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(untagged)]
pub enum Bound {
    /// An instant: nanoseconds since 1970, UTC.
    Time(i64),
    /// A text, by its bytes.
    Text(Box<str>),
}

/// A file is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Want {
    /// The path that it was named by.
    pub want: PathBuf,
}

/// A file was wanted, and is there now or cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Brought {
    /// The path that it was named by.
    pub want: PathBuf,
    /// Why it cannot be had; `None`: it is there.
    pub why_not: Option<String>,
}

/// A line of the answer: what was asked for, or why it cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(untagged)]
pub enum Said<T> {
    /// It failed.
    Failed {
        /// Why.
        error: Problem,
    },
    /// It did not.
    Told(T),
}

/// Before the rows.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Head {
    /// Always true.
    pub ok: bool,
    /// The columns in their order.
    pub columns: Vec<Column>,
}

/// A column of the answer.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Column {
    /// Its name, not always one of its own.
    pub name: String,
    /// Its type as Arrow calls it.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether it may be null.
    pub nullable: bool,
}

/// After the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct End {
    /// How many rows were given.
    pub rows: u64,
    /// Whether there were more.
    pub cut: bool,
}

/// The tables that a query names, without those that it makes itself (`WITH`).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Needs {
    /// In alphabetical order. A view, as `bars_1m`, stands here as the table it is made of.
    pub tables: Vec<String>,
}

/// Why there is no answer, or no whole one.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Problem {
    /// What kind of reason.
    pub kind: Kind,
    /// In words.
    pub message: String,
    /// Where in the text, if that is known.
    pub position: Option<Position>,
}

/// A place in the text of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Position {
    /// From 1.
    pub line: u64,
    /// In characters, from 1.
    pub column: u64,
}

/// Reasons for which there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The request, or what came with it, is not what this protocol says.
    Request,
    /// A statement that does more than read.
    Refused,
    /// It is no SQL.
    Syntax,
    /// It is SQL that makes no sense here: a table or column that is not there, types that do not fit.
    Plan,
    /// The rows do not allow what is asked: a division by zero, a text that is no number.
    Execution,
    /// It needs more memory than it may have.
    Memory,
    /// It needs more room on disk than it may have.
    Temp,
    /// It took longer than it may.
    Time,
    /// A file is damaged or not there.
    File,
    /// A fault of the process itself.
    Internal,
}

/// The line before a chunk of so many bytes; of 0: before the last line.
pub fn length(bytes: usize) -> String {
    format!("{bytes}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortest_request_has_the_default_limits() {
        let request: Request = serde_json::from_str(r#"{"sql":"SELECT 1"}"#).unwrap();
        assert_eq!((request.limits, request.format), (Limits::default(), Format::Json));
    }

    #[test]
    fn a_file_is_a_path_alone_or_with_its_checksums() {
        let text = r#"["/a.parquet",{"path":"/b.parquet","bytes":3,"block_bytes":2,"crc32":[1,2]}]"#;
        let files: Vec<File> = serde_json::from_str(text).unwrap();
        assert_eq!(files[0].path(), std::path::Path::new("/a.parquet"));
        assert!(matches!(&files[1], File::Summed(summed) if summed.crc32 == [1, 2]));
        assert_eq!(serde_json::to_string(&files).unwrap(), text);
    }

    #[test]
    fn a_want_is_taken_for_no_line_of_an_answer() {
        let want = Want { want: "/a.parquet".into() };
        let line = serde_json::to_string(&want).unwrap();
        assert_eq!(line, r#"{"want":"/a.parquet"}"#);
        assert!(serde_json::from_str::<Said<Head>>(&line).is_err());
        assert!(serde_json::from_str::<Said<End>>(&line).is_err());
        for other in
            [length(7), r#"{"rows":1,"cut":false}"#.to_owned(), r#"{"ok":true,"columns":[]}"#.to_owned()]
        {
            assert!(serde_json::from_str::<Want>(&other).is_err(), "{other}");
        }
    }

    #[test]
    fn an_error_is_never_taken_for_an_end() {
        let text = r#"{"error":{"kind":"time","message":"over","position":null}}"#;
        let said: Said<End> = serde_json::from_str(text).unwrap();
        assert!(matches!(said, Said::Failed { error } if error.kind == Kind::Time));
        assert!(serde_json::from_str::<Said<End>>(r#"{"rows":1}"#).is_err());
    }
}
