//! What a source answers by REST besides its listings. Pure: requests go out, bodies come in.
//!
//! All of it may be asked while sessions run; who asks keeps to the endpoint's weight.

use crate::{Archive, Malformed, Records, Request, Row, What};
use model::{Channel, Event, Instrument, Snapshot, SourceName, Ts};
use std::sync::Arc;

const NOT_OFFERED: Malformed = Malformed { at: 0, what: What::Rule("the venue offers no such answer") };

/// REST beside the sessions. A source leaves out what its venue does not have.
pub trait Rest: Sync {
    /// Asks for the venue's clock.
    fn time(&self) -> Option<Request> {
        None
    }

    /// Reads the answer to [`Rest::time`].
    ///
    /// # Errors
    /// Where it cannot be read.
    fn read_time(&self, _body: &[u8]) -> Result<Ts, Malformed> {
        Err(NOT_OFFERED)
    }

    /// Asks for the turnover of everything listed.
    fn turnovers(&self) -> Vec<Request> {
        Vec::new()
    }

    /// Reads an answer to one of [`Rest::turnovers`].
    ///
    /// # Errors
    /// Where it cannot be read.
    fn read_turnovers(&self, _path: &str, _body: &[u8]) -> Result<Vec<Turnover>, Malformed> {
        Err(NOT_OFFERED)
    }

    /// Asks for the whole book of an instrument, where the answer tells its state by the same number as the lane's `seq`.
    fn book(&self, _instrument: &Instrument) -> Option<Request> {
        None
    }

    /// Reads the answer to [`Rest::book`]. It may hold fewer levels than the lane's book.
    ///
    /// # Errors
    /// Where it cannot be read.
    fn read_book(&self, _instrument: &Arc<Instrument>, _body: &[u8]) -> Result<Snapshot, Malformed> {
        Err(NOT_OFFERED)
    }

    /// What one of the venue's public archive files holds, told by its name and by the venue's folders above it. `None`
    /// where the venue calls no file so.
    fn archive(&self, _path: &str) -> Option<Archive> {
        None
    }

    /// How one of its archive files is cut into rows, where it is not CSV.
    fn archive_records(&self, _path: &str) -> Option<Records> {
        None
    }

    /// As [`Rest::archive_row`], of a row that [`Rest::archive_records`] cuts.
    ///
    /// # Errors
    /// As [`Rest::archive_row`].
    fn archive_record(
        &self,
        _archive: &Archive,
        _instrument: &Arc<Instrument>,
        _records: Records,
        _record: &[u8],
        _out: &mut Vec<Event>,
    ) -> Result<(), Malformed> {
        Err(NOT_OFFERED)
    }

    /// The column that names the instrument of a row, in archive files that have one.
    fn archive_symbol(&self) -> &'static str {
        "symbol"
    }

    /// Reads a row of an archive file and appends what it tells: nothing, an event, or several. `ts_recv` is the venue's
    /// time, as nobody heard it then; of a bar, when it was over.
    ///
    /// # Errors
    /// Where it cannot be read, or is no row of such a file; nothing was appended.
    fn archive_row(
        &self,
        _archive: &Archive,
        _instrument: &Arc<Instrument>,
        _row: &Row<'_>,
        _out: &mut Vec<Event>,
    ) -> Result<(), Malformed> {
        Err(NOT_OFFERED)
    }

    /// A definition made up from a symbol; `None` where there is no such product, or that is no symbol.
    fn provisional(&self, _product: &str, _symbol: &str) -> Option<Instrument> {
        None
    }

    /// Reads a part of the past; `None` where the venue does not keep it.
    fn history(&self, _past: Past) -> Option<Box<dyn History>> {
        None
    }
}

/// Nothing.
#[derive(Clone, Copy, Debug)]
pub struct NoRest;

impl Rest for NoRest {}

/// How much was traded lately.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turnover {
    /// As in [`Instrument::product`].
    pub product: &'static str,
    /// The venue's spelling.
    pub symbol: Box<str>,
    /// Summed price × quantity of 24 hours in quote currency (of an inverse contract: in what the venue says).
    pub turnover: model::Decimal,
}

/// A part of the past of a lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Past {
    /// Who will have told it.
    pub source: SourceName,
    /// Of what.
    pub instrument: Arc<Instrument>,
    /// `Trades`, `AggTrades` or `Bars`.
    pub channel: Channel,
    /// The interval of bars: `1m`.
    pub interval: String,
    /// From here on.
    pub from: Ts,
    /// To before here.
    pub to: Ts,
    /// Of trades with numbers that count by one: only these, both included.
    pub ids: Option<(u64, u64)>,
}

/// Reads a part of the past page by page. Made anew from a later `from` it goes on where another one ended.
pub trait History: Send {
    /// The next request; `None` when all is read.
    fn request(&mut self) -> Option<Request>;

    /// Takes the answer to the last request: events within the part asked for, oldest first, none twice, none left out;
    /// `ts_recv` is `now`, flags are empty.
    ///
    /// # Errors
    /// Where it cannot be read; the same request may be made again.
    fn take(&mut self, body: &[u8], now: Ts) -> Result<Vec<Event>, Malformed>;

    /// Up to when everything has been handed out, for progress and for going on later.
    fn reached(&self) -> Ts;
}
