//! Which part of what is kept a command is about.

use crate::error::{Error, Result};
use crate::history::instant;
use model::{Instrument, Ts};
use std::sync::Arc;
use store::{Query, Reader, Table};

/// What is asked for; what is not said is all.
#[derive(clap::Args, Debug, Default)]
pub struct Part {
    /// Only of this instrument, by its canonical name or the venue's symbol; several by repeating it.
    #[arg(long)]
    instrument: Vec<String>,
    /// Only of this kind: `trade`, `snapshot`, `delta`, ...; several by repeating it.
    #[arg(long, value_parser = table)]
    kind: Vec<Table>,
    /// Only what happened at this instant or later, by the venue's clock: `2026-11-20`, `2026-11-20T12:00:00Z`, or milliseconds since 1970.
    #[arg(long, value_parser = instant)]
    from: Option<Ts>,
    /// Only what happened before this instant.
    #[arg(long, value_parser = instant)]
    to: Option<Ts>,
}

/// The table of a kind, by its own name or the table's.
fn table(name: &str) -> std::result::Result<Table, String> {
    let mut all = Table::ALL.into_iter().zip(wire::KINDS);
    let found = all.find(|(table, kind)| name == *kind || name == table.name());
    found.map(|(table, _)| table).ok_or_else(|| format!("there are {}", wire::KINDS.join(", ")))
}

impl Part {
    /// Whether it is all.
    pub fn is_all(&self) -> bool {
        self.instrument.is_empty() && self.kind.is_empty() && self.from.is_none() && self.to.is_none()
    }

    /// As a question to the store; `source` narrows it to what that one told.
    ///
    /// # Errors
    /// Where an instrument is not kept, or the folder does not read.
    pub fn query(&self, reader: &Reader, source: Option<&str>) -> Result<Query> {
        let all = if self.kind.is_empty() { Query::of(&Table::ALL) } else { Query::of(&self.kind) };
        let kept = if self.instrument.is_empty() { Vec::new() } else { reader.instruments()? };
        let mut instruments = Vec::new();
        for name in &self.instrument {
            let is = |text: &str| text.eq_ignore_ascii_case(name);
            let named = kept.iter().filter(|i: &&Arc<Instrument>| is(&i.name) || is(&i.symbol));
            let before = instruments.len();
            instruments.extend(named.map(|instrument| instrument.id));
            if instruments.len() == before {
                return Err(Error::History(format!("nothing is kept of `{name}`")));
            }
        }
        Ok(Query {
            source: source.map(Into::into),
            instruments,
            from: self.from.unwrap_or(all.from),
            to: self.to.unwrap_or(all.to),
            ..all
        })
    }
}
