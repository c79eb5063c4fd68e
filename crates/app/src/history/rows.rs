//! Rows of an archive file, the venue's own or one of Tardis, to events.

use super::tardis::Tardis;
use hashbrown::HashMap;
use model::{Channel, Event, Instrument, InstrumentKind};
use source::{Archive, Malformed, Records, Row, Source, What};
use std::borrow::Cow;
use std::sync::Arc;

/// How many instruments one file may name.
const SYMBOLS_MAX: usize = 100_000;
/// How often a definition may be widened for one row.
const WIDENED_MAX: usize = 4;

/// What the files are, as far as the user says; that goes before what their names tell.
#[derive(Debug, Default)]
pub struct Given {
    /// As in [`Archive::product`].
    pub product: Option<String>,
    /// The venue's spelling.
    pub symbol: Option<String>,
    /// What the rows are.
    pub channel: Option<Channel>,
    /// The interval of bars.
    pub interval: Option<String>,
}

/// Reads the rows of one text.
pub struct Rows {
    source: &'static dyn Source,
    kind: Kind,
    header: Option<Vec<String>>,
    known: HashMap<String, Arc<Instrument>>,
}

enum Kind {
    Tardis(Tardis, String),
    Venue(Archive),
}

impl Rows {
    /// From the names of the file and of the text in it, and from its first line, how a text is read.
    ///
    /// # Errors
    /// In words, where it does not tell what it is.
    pub fn begin(
        source: &'static dyn Source,
        given: &Given,
        names: [&str; 2],
        first: &[Cow<'_, str>],
    ) -> Result<Self, String> {
        let (rest, name) = (source.rest(), source.spec().name);
        let header = Row::header(first);
        let known = HashMap::new();
        let liquidations = || names.iter().any(|name| name.contains("liquidations"));
        let forced = given.channel.map_or_else(liquidations, |channel| channel == Channel::Liquidations);
        if let Some(tardis) = header.as_ref().and_then(|header| Tardis::of(name, header, forced)) {
            let kind = Kind::Tardis(tardis, given.product.clone().unwrap_or_default());
            return Ok(Self { source, kind, header, known });
        }
        let told = names.iter().find_map(|name| rest.archive(name));
        let unknown = |what| format!("its name does not tell its {what}: give --{what}");
        let named = header.iter().flatten().any(|column| column == rest.archive_symbol());
        let symbol = given.symbol.clone().or_else(|| told.as_ref().map(|told| told.symbol.clone()));
        let symbol = symbol.or_else(|| named.then(String::new)).ok_or_else(|| unknown("symbol"))?;
        let channel = given.channel.or(told.as_ref().map(|told| told.channel));
        let channel = channel.ok_or_else(|| unknown("channel"))?;
        let product = given.product.clone().or_else(|| told.as_ref().and_then(|told| told.product.clone()));
        let unique = || rest.provisional("", &symbol).map(|_| String::new());
        let product = product.or_else(unique).ok_or_else(|| unknown("product"))?;
        if !symbol.is_empty() && rest.provisional(&product, &symbol).is_none() {
            return Err(format!(
                "{name} has no `{symbol}` in product `{product}`, or no archive that is known"
            ));
        }
        let interval = given.interval.clone().or(told.map(|told| told.interval));
        let interval = match (channel, interval.unwrap_or_default()) {
            (Channel::Bars, none) if none.is_empty() => return Err(unknown("interval")),
            (_, interval) => interval,
        };
        let kind = Kind::Venue(Archive { product: Some(product), symbol, channel, interval });
        Ok(Self { source, kind, header, known })
    }

    /// Whether the first line names columns, and is no row.
    pub fn has_header(&self) -> bool {
        self.header.is_some()
    }

    /// Reads a row; a message of several rows comes with the row after them.
    ///
    /// # Errors
    /// What is wrong with the row.
    pub fn read(&mut self, fields: &[Cow<'_, str>], out: &mut Vec<Event>) -> Result<(), Malformed> {
        let row = Row::new(self.header.as_deref(), fields);
        let (source, rest) = (self.source, self.source.rest());
        match &mut self.kind {
            Kind::Tardis(tardis, product) => {
                let made = |symbol: &str| {
                    let other = || {
                        let kind = InstrumentKind::Spot;
                        Instrument::provisional(source.spec().name, product, symbol, kind)
                    };
                    Some(rest.provisional(product, symbol).unwrap_or_else(other))
                };
                let symbol = row.text("symbol")?;
                with(&mut self.known, symbol, made, |instrument| tardis.row(instrument, &row, out))
            }
            Kind::Venue(archive) => {
                let own = row.get(rest.archive_symbol());
                if !archive.symbol.is_empty() && own.is_some_and(|own| own != archive.symbol) {
                    return Err(row.fault(rest.archive_symbol(), What::Rule("a row of another instrument")));
                }
                let symbol = own.unwrap_or(&archive.symbol);
                let product = archive.product.as_deref().unwrap_or_default();
                let made = |symbol: &str| rest.provisional(product, symbol);
                with(&mut self.known, symbol, made, |instrument| {
                    rest.archive_row(archive, instrument, &row, out)
                })
            }
        }
    }

    /// Reads a row of a file that is not CSV.
    ///
    /// # Errors
    /// What is wrong with the row.
    pub fn record(&mut self, records: Records, record: &[u8], out: &mut Vec<Event>) -> Result<(), Malformed> {
        let rest = self.source.rest();
        let Kind::Venue(archive) = &self.kind else {
            return Err(Malformed { at: 0, what: What::Rule("a file of Tardis is CSV") });
        };
        let product = archive.product.as_deref().unwrap_or_default();
        let made = |symbol: &str| rest.provisional(product, symbol);
        with(&mut self.known, &archive.symbol, made, |instrument| {
            rest.archive_record(archive, instrument, records, record, out)
        })
    }

    /// What is still open at the end of the text.
    pub fn end(&mut self, out: &mut Vec<Event>) {
        if let Kind::Tardis(tardis, _) = &mut self.kind {
            tardis.end(out);
        }
    }
}

/// Reads with the definition of a symbol, and again with a wider one where a number does not fit.
fn with(
    known: &mut HashMap<String, Arc<Instrument>>,
    symbol: &str,
    made: impl Fn(&str) -> Option<Instrument>,
    mut read: impl FnMut(&Arc<Instrument>) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    let rule = |rule| Malformed { at: 0, what: What::Rule(rule) };
    if !known.contains_key(symbol) {
        if known.len() >= SYMBOLS_MAX {
            return Err(rule("too many instruments in one file"));
        }
        let made = made(symbol).ok_or(rule("no symbol of this product"))?;
        known.insert(symbol.to_owned(), Arc::new(made));
    }
    let Some(known) = known.get_mut(symbol) else { return Err(rule("no definition")) };
    for _ in 0..WIDENED_MAX {
        let Err(fault) = read(known) else { return Ok(()) };
        *known = source::refit(known, &fault).ok_or(fault)?;
    }
    Err(rule("no definition fits all numbers of the row"))
}
