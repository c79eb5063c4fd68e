//! Files of rows with names: CSV, JSON lines and Parquet.

use super::import::{Count, File, nothing};
use super::table::{Tables, header};
use super::unpack::{ROW_BYTES_MAX, texts};
use indicatif::ProgressBar;
use serde_json::{Map, Value};
use source::{Malformed, What};
use std::borrow::Cow;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use store::Foreign;

/// What a file's name says that it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Csv,
    Lines,
    Parquet,
}

/// By the end of a name, before `.gz`.
fn form(path: &Path) -> Option<Form> {
    let end = |path: &Path| path.extension().map(|end| end.to_string_lossy().to_ascii_lowercase());
    let inner = if end(path).as_deref() == Some("gz") { end(&path.with_extension("")) } else { end(path) };
    match inner.as_deref() {
        Some("csv" | "zip") => Some(Form::Csv),
        Some("jsonl") => Some(Form::Lines),
        Some("parquet") => Some(Form::Parquet),
        _ => None,
    }
}

/// Whether a file is a table, by its name and for JSON lines by how it begins; else it may be a tape.
pub fn is_one(path: &Path) -> bool {
    let mut begins = false;
    let look = |_: &str, text: &mut dyn Read| {
        let mut line = Vec::new();
        BufReader::new(text).take(ROW_BYTES_MAX as u64).read_until(b'\n', &mut line)?;
        let first = serde_json::from_slice::<Map<String, Value>>(&line);
        begins = first.is_ok_and(|row| row.contains_key("symbol"));
        Ok(())
    };
    match form(path) {
        // What cannot be read is told by who reads it.
        Some(Form::Lines) => texts(path, &ProgressBar::hidden(), look).is_ok() && begins,
        other => other.is_some(),
    }
}

/// Reads a table.
///
/// # Errors
/// Where it cannot be read to its end, or is no table.
pub fn read(file: &mut File<'_>, tables: &mut Tables, bar: &ProgressBar) -> io::Result<()> {
    let path = file.path;
    match form(path) {
        Some(Form::Parquet) => parquet(file, tables, bar),
        Some(Form::Lines) => texts(path, bar, |_, text| json(file, tables, text)),
        _ => texts(path, bar, |_, text| csv(file, tables, text)),
    }
}

fn csv(file: &mut File<'_>, tables: &mut Tables, text: &mut dyn Read) -> io::Result<()> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text);
    let (mut record, mut count, mut names) = (csv::ByteRecord::new(), Count::default(), None);
    while reader.read_byte_record(&mut record)? {
        let fields: Vec<Cow<'_, str>> = record.iter().map(String::from_utf8_lossy).collect();
        let Some(names) = &names else {
            names = Some(header(fields.iter().map(ToString::to_string)));
            continue;
        };
        let line = record.position().map_or(0, csv::Position::line);
        let read = if fields.len() > names.len() {
            Err(Malformed { at: 0, what: What::Rule("it has more fields than the first line") })
        } else {
            tables.read(names, &fields)
        };
        file.row(&mut count, read, &format_args!("line {line}"))?;
    }
    if names.is_none() { Err(nothing()) } else { Ok(()) }
}

fn json(file: &mut File<'_>, tables: &mut Tables, text: &mut dyn Read) -> io::Result<()> {
    let mut text = BufReader::new(text);
    let (mut line, mut count) = (Vec::new(), Count::default());
    loop {
        line.clear();
        let read = (&mut text).take(ROW_BYTES_MAX as u64).read_until(b'\n', &mut line)?;
        if read == 0 {
            return if count.rows == 0 { Err(nothing()) } else { Ok(()) };
        }
        if read == ROW_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a line is longer than 64 KiB"));
        }
        let place = count.rows + 1;
        let read = match serde_json::from_slice::<Map<String, Value>>(&line) {
            Ok(row) => {
                let texts: Vec<Cow<'_, str>> = row.values().map(text_of).collect();
                tables.read(&header(row.keys().cloned()), &texts)
            }
            Err(_) => Err(Malformed { at: 0, what: What::Expected("a JSON object") }),
        };
        file.row(&mut count, read, &format_args!("line {place}"))?;
    }
}

/// A text without its quotes, nothing for null, anything else as it is in JSON.
fn text_of(value: &Value) -> Cow<'_, str> {
    match value {
        Value::Null => Cow::Borrowed(""),
        Value::String(text) => Cow::Borrowed(text),
        other => Cow::Owned(other.to_string()),
    }
}

fn parquet(file: &mut File<'_>, tables: &mut Tables, bar: &ProgressBar) -> io::Result<()> {
    let foreign = Foreign::open(file.path)?;
    let names = header(foreign.header.iter().cloned());
    bar.set_length(foreign.rows);
    let mut count = Count::default();
    for batch in foreign {
        for row in batch? {
            let fields: Vec<Cow<'_, str>> = row.into_iter().map(Cow::Owned).collect();
            let place = count.rows + 1;
            file.row(&mut count, tables.read(&names, &fields), &format_args!("row {place}"))?;
        }
        bar.set_position(count.rows);
    }
    if count.rows == 0 { Err(nothing()) } else { Ok(()) }
}
