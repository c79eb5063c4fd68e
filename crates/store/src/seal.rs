//! From the log into files: what was logged is sorted by table, day and instrument, written, and named in the catalogue in
//! one transaction, which also says up to where the log is no longer needed.

use crate::books::{BookLane, Books, Fold};
use crate::disk::Host;
use crate::file::{QUICK, Writer};
use crate::library::Library;
use crate::log::{Entry, Found, Lost, Reader};
use crate::manifest::{Change, FileMeta, Manifest, Note, Run, Sealed, channel_bits};
use crate::table::{Definitions, Rows, Table};
use crate::{Result, when};
use bus::Published;
use hashbrown::HashMap;
use model::{Date, InstrumentId, SourceName, Ts};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How many rows are handed to a writer at once.
pub(crate) const BATCH_ROWS: usize = 8_192;
/// The folder of the files in the store's folder.
pub(crate) const FOLDER: &str = "parquet";

/// By what rows of a file are sorted before their place on the bus.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub exchange: Box<str>,
    pub product: Box<str>,
    pub symbol: Box<str>,
    pub source: SourceName,
}

impl Key {
    fn of(published: &Published) -> Self {
        let instrument = &published.event.instrument;
        Self {
            exchange: instrument.venue.clone(),
            product: instrument.product.clone(),
            symbol: instrument.symbol.clone(),
            source: published.event.source,
        }
    }
}

/// The events of one file, by instrument and source.
type Groups = HashMap<(InstrumentId, SourceName), Vec<Arc<Published>>>;

/// What sealing did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SealReport {
    /// How many events now stand in files.
    pub events: u64,
    /// How many files were written.
    pub files: u64,
    /// How many bytes they have.
    pub bytes: u64,
    /// What of the log could not be read, in words.
    pub faults: Vec<String>,
}

/// Writes the segments after those that are sealed, up to `to`, as files; it blocks for as long as that takes.
///
/// # Errors
/// [`crate::Error`]; then nothing is sealed, or all of it where the disk refused after that: the catalogue knows when it was
/// opened anew.
pub(crate) fn seal(manifest: &Arc<Manifest>, books: &mut Books, to: u64) -> Result<SealReport> {
    let report = seal_with(manifest, books, to);
    if report.is_err() {
        books.forget();
    }
    report
}

fn seal_with(manifest: &Arc<Manifest>, books: &mut Books, to: u64) -> Result<SealReport> {
    let sealed = manifest.state().sealed;
    let mut report = SealReport::default();
    if to <= sealed.segment {
        return Ok(report);
    }
    let mut reader = Reader::open(Box::new(Host::new(manifest.dir())))?;
    reader.after(sealed.segment, to, sealed.cursor);
    let mut parts: BTreeMap<(Table, Date), Groups> = BTreeMap::new();
    let mut sealed = Sealed { segment: to, ..sealed };
    let mut notes = Vec::new();
    let mut ledger = manifest.ledger()?;
    let before = manifest.state();
    let here = Arc::new(Library::here(Arc::clone(manifest)));
    let files = crate::Reader::new(Arc::clone(manifest), None, here);
    let load = |lane: &BookLane| {
        files.book_in_files(&before, *lane).unwrap_or_else(|error| {
            tracing::warn!(source = lane.source, %error, "a book has no checkpoints until its next snapshot");
            Fold::default()
        })
    };
    for found in reader {
        let found = found?;
        ledger.found(&found);
        let note = fault(&found, sealed.at);
        if let Found::Entry(Entry::Event(published)) = found {
            report.events += 1;
            sealed.cursor = Some(published.cursor);
            sealed.at = sealed.at.max(published.ts_pub);
            let checkpoint = books.on(&published, load);
            let rows =
                [(Table::of(&published.event.body), Some(published)), (Table::BookCheckpoints, checkpoint)];
            for (table, published) in rows {
                let Some(published) = published else { continue };
                let event = &published.event;
                let group = (event.instrument.id, event.source);
                let part = parts.entry((table, Date::of(when(event)))).or_default();
                part.entry(group).or_default().push(published);
            }
        } else if let Some(note) = note {
            books.hole();
            report.faults.push(format!("{}: {}", note.what, note.why));
            notes.push(note);
        }
    }
    let mut change = Change { sealed: Some(sealed), notes, ledger: Some(ledger), ..Change::default() };
    let ids = manifest.state().next..;
    for (id, ((table, day), groups)) in ids.zip(parts) {
        let file = write(manifest, (table, day), (id, sealed.at), groups)?;
        report.files += 1;
        report.bytes += file.bytes;
        change.add.push(file);
    }
    manifest.commit(change)?;
    Ok(report)
}

/// What of the log is not as it was given, in words.
pub(crate) fn fault(found: &Found, at: Ts) -> Option<Note> {
    let (what, count, why) = match found {
        Found::Entry(Entry::Lost(Lost { epoch, from, to, why })) => {
            ("lost", to - from + 1, format!("{epoch}/{from} to {to}: {why}"))
        }
        Found::Hole { epoch, from, to } => {
            ("missing", to - from + 1, format!("{epoch}/{from} to {to} are not in the log"))
        }
        Found::Damage { file, byte, bytes, what } => {
            ("damaged", 0, format!("{bytes} bytes of {file} from byte {byte}: {what}"))
        }
        Found::Entry(Entry::Event(_)) | Found::Torn(_) | Found::Closed(_) => return None,
    };
    Some(Note { at, what: what.into(), table: "".into(), count, why: why.into() })
}

fn write(
    manifest: &Manifest,
    (table, day): (Table, Date),
    (id, made): (u64, Ts),
    groups: Groups,
) -> Result<FileMeta> {
    let mut groups: Vec<(Key, Vec<Arc<Published>>)> =
        groups.into_values().filter_map(|events| Some((Key::of(events.first()?), events))).collect();
    groups.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    let path = path(table, day, id, None);
    let mut writer = Writer::create(manifest, table, QUICK, &path)?;
    let (mut definitions, mut rows) = (Definitions::default(), Rows::new(table));
    let mut runs = Vec::with_capacity(groups.len());
    for (key, events) in groups {
        let start = writer.rows() + rows.len() as u64;
        for published in &events {
            rows.push(published, &mut definitions);
            if rows.len() >= BATCH_ROWS {
                writer.put(&std::mem::replace(&mut rows, Rows::new(table)).finish())?;
            }
        }
        let times = || events.iter().map(|published| when(&published.event));
        if let ([first, ..], [.., last]) = (&*events, &*events) {
            runs.push(Run {
                source: key.source,
                instrument: first.event.instrument.id,
                start,
                rows: writer.rows() + rows.len() as u64 - start,
                first: first.cursor,
                last: last.cursor,
                from: times().min().unwrap_or_default(),
                to: times().max().unwrap_or_default(),
                channels: events.iter().fold(0, |all, published| all | channel_bits(&published.event)),
            });
        }
    }
    writer.put(&rows.finish())?;
    let written = writer.finish(&definitions)?;
    Ok(FileMeta {
        id,
        table,
        day,
        level: 0,
        made,
        path,
        rows: written.rows,
        bytes: written.bytes,
        chunks: written.chunks,
        spans: written.spans,
        runs,
    })
}

/// Where a file stands below the store's folder; with a name where it is of one instrument.
pub(crate) fn path(table: Table, day: Date, id: u64, name: Option<&str>) -> Box<str> {
    let name: String = name.map_or_else(
        || "all".to_owned(),
        |name| name.chars().map(|c| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '_' }).collect(),
    );
    format!("{FOLDER}/{}/{day}/{id:010}-{name}.parquet", table.name()).into()
}
