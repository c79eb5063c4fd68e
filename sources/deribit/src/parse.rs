//! The envelope of a frame and the names of channels. What stands in it is read by [`book`](crate::book),
//! [`trades`](crate::trades), [`ticker`](crate::ticker) and [`rows`](crate::rows).

use model::{Decimal, Ts};
use source::{Cursor, Malformed, What};

/// What was read, or why not.
pub type Result<T> = std::result::Result<T, Malformed>;

/// How often a channel is pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// At each change; needs a login.
    Raw,
    /// Each 100 ms.
    Ms100,
    /// About twice a second.
    Agg2,
}

impl Pace {
    /// As it stands at the end of a channel's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Ms100 => "100ms",
            Self::Agg2 => "agg2",
        }
    }

    fn of(name: &[u8]) -> Option<Self> {
        [Self::Raw, Self::Ms100, Self::Agg2].into_iter().find(|p| p.name().as_bytes() == name)
    }
}

/// A channel of the venue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `book.BTC-PERPETUAL.100ms`: snapshot and changes.
    Book(Pace),
    /// `book.BTC-PERPETUAL.none.20.100ms`: the best levels, whole each time.
    BookTop,
    /// `quote.BTC-PERPETUAL`
    Quote,
    /// `trades.BTC-PERPETUAL.100ms`
    Trades,
    /// `trades.option.any.100ms`: of all instruments of a kind.
    AllTrades,
    /// `ticker.BTC-PERPETUAL.100ms`
    Ticker,
    /// `incremental_ticker.BTC-PERPETUAL`: a ticker whose unchanged keys are left out.
    TickerPart,
    /// `chart.trades.BTC-PERPETUAL.1`
    Bars,
    /// `perpetual.BTC-PERPETUAL.100ms`
    Perpetual,
    /// `deribit_price_index.btc_usd`
    PriceIndex,
    /// `deribit_volatility_index.btc_usd`
    VolatilityIndex,
    /// `markprice.options.btc_usd`
    MarkPrices,
    /// `instrument.state.any.any`
    InstrumentState,
    /// `platform_state`
    PlatformState,
    /// Any other.
    Other,
}

/// A channel's name taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Topic<'a> {
    /// Which channel.
    pub kind: Kind,
    /// The instrument or index; empty for channels of many.
    pub of: &'a [u8],
    /// The resolution of bars; else empty.
    pub detail: &'a [u8],
    /// As the venue spells it.
    pub name: &'a [u8],
}

impl<'a> Topic<'a> {
    /// Takes a name apart.
    #[inline]
    pub fn read(name: &'a [u8]) -> Self {
        let mut parts = name.split(|b| *b == b'.');
        let family = parts.next().unwrap_or_default();
        let rest = (parts.next(), parts.next(), parts.next(), parts.next(), parts.next());
        let (kind, of, detail): (_, &[u8], &[u8]) = match (family, rest) {
            (b"book", (Some(of), Some(pace), None, ..)) => {
                (Pace::of(pace).map_or(Kind::Other, Kind::Book), of, b"")
            }
            (b"book", (Some(of), Some(_), Some(_), Some(_), None)) => (Kind::BookTop, of, b""),
            (b"trades", (Some(of), Some(_), None, ..)) => (Kind::Trades, of, b""),
            (b"trades", (Some(_), Some(_), Some(_), None, _)) => (Kind::AllTrades, b"", b""),
            (b"ticker", (Some(of), Some(_), None, ..)) => (Kind::Ticker, of, b""),
            (b"quote", (Some(of), None, ..)) => (Kind::Quote, of, b""),
            (b"incremental_ticker", (Some(of), None, ..)) => (Kind::TickerPart, of, b""),
            (b"chart", (Some(b"trades"), Some(of), Some(detail), None, _)) => (Kind::Bars, of, detail),
            (b"perpetual", (Some(of), Some(_), None, ..)) => (Kind::Perpetual, of, b""),
            (b"deribit_price_index", (Some(of), None, ..)) => (Kind::PriceIndex, of, b""),
            (b"deribit_volatility_index", (Some(of), None, ..)) => (Kind::VolatilityIndex, of, b""),
            (b"markprice", (Some(b"options"), Some(_), None, ..)) => (Kind::MarkPrices, b"", b""),
            (b"instrument", (Some(b"state"), Some(_), Some(_), None, _)) => (Kind::InstrumentState, b"", b""),
            (b"platform_state", (None, ..)) => (Kind::PlatformState, b"", b""),
            _ => (Kind::Other, b"", b""),
        };
        Self { kind, of, detail, name }
    }
}

/// What stands around the data of a frame.
#[derive(Clone, Copy, Debug, Default)]
pub struct Head<'a> {
    /// What it is about; `None` where it is no push, or that could not be read.
    pub topic: Option<Topic<'a>>,
    /// `subscription`, `heartbeat`.
    pub method: Option<&'a [u8]>,
    /// Of a heartbeat: `heartbeat`, `test_request`.
    pub beat: Option<&'a [u8]>,
    /// The number of the request that it answers.
    pub id: Option<u64>,
    /// What was answered.
    pub result: Option<&'a [u8]>,
    /// Why it was refused.
    pub error: Option<&'a [u8]>,
    /// A key that we do not know.
    pub unknown: Option<&'a [u8]>,
}

impl Head<'_> {
    /// Whether it is an answer.
    pub fn answer(&self) -> bool {
        self.id.is_some() || self.result.is_some() || self.error.is_some()
    }
}

/// Reads the envelope and calls `data` at the value of its `data`, in whatever order the keys come.
///
/// `{"jsonrpc":"2.0","method":"subscription","params":{"channel":"book.BTC-PERPETUAL.100ms","data":…}}`
#[inline]
pub fn frame<'a>(
    bytes: &'a [u8],
    mut data: impl FnMut(&Topic<'a>, &mut Cursor<'a>) -> Result<()>,
) -> (Head<'a>, Result<()>) {
    let mut head = Head::default();
    let mut c = Cursor::new(bytes);
    let read = c.object(|c, key| {
        match key {
            b"jsonrpc" => {
                c.str()?;
            }
            b"method" => head.method = Some(c.str()?),
            b"params" => params(c, &mut head, &mut data)?,
            b"id" => head.id = id(c)?,
            b"result" => head.result = Some(c.skip()?),
            b"error" => head.error = Some(c.skip()?),
            b"usIn" | b"usOut" | b"usDiff" | b"testnet" => {
                c.skip()?;
            }
            other => {
                head.unknown = Some(other);
                c.skip()?;
            }
        }
        Ok(())
    });
    let read = read.and_then(|()| c.end());
    let read = read.and_then(|()| match (head.topic, head.method, head.answer()) {
        (Some(_), Some(b"subscription"), _) | (None, _, true) => Ok(()),
        (_, Some(b"subscription"), _) => Err(c.fault(What::Missing("channel"))),
        (_, Some(_), _) => Ok(()),
        (_, None, _) => Err(c.fault(What::Missing("method"))),
    });
    (head, read)
}

#[inline]
fn params<'a>(
    c: &mut Cursor<'a>,
    head: &mut Head<'a>,
    data: &mut impl FnMut(&Topic<'a>, &mut Cursor<'a>) -> Result<()>,
) -> Result<()> {
    let mut later = None;
    let mut seen = false;
    c.object(|c, key| {
        match key {
            b"channel" => head.topic = Some(Topic::read(c.str()?)),
            b"data" => {
                seen = true;
                if let Some(topic) = &head.topic {
                    return data(topic, c);
                }
                later = Some(c.clone());
                c.skip()?;
            }
            b"type" => head.beat = Some(c.str()?),
            other => {
                head.unknown = Some(other);
                c.skip()?;
            }
        }
        Ok(())
    })?;
    match (&head.topic, later) {
        (Some(topic), Some(mut at)) => data(topic, &mut at),
        (Some(_), None) if !seen => Err(c.fault(What::Missing("data"))),
        _ => Ok(()),
    }
}

/// An id that is a number; a text or `null` is none of ours.
fn id(c: &mut Cursor<'_>) -> Result<Option<u64>> {
    let bytes = c.skip()?;
    Ok(std::str::from_utf8(bytes).ok().and_then(|t| t.parse().ok()))
}

/// A time in milliseconds.
#[inline]
pub fn ms(c: &mut Cursor<'_>) -> Result<Option<Ts>> {
    if c.null() { Ok(None) } else { c.i64().map(|ms| Some(Ts::from_ms(ms))) }
}

/// The `instrument_name` of the object that comes next, which is not consumed.
pub fn name_ahead<'a>(c: &Cursor<'a>) -> Result<&'a [u8]> {
    let mut ahead = c.clone();
    let mut name = None;
    ahead.object(|c, key| {
        if key == b"instrument_name" {
            name = Some(c.str()?);
            return Ok(());
        }
        c.skip().map(|_| ())
    })?;
    name.ok_or_else(|| c.fault(What::Missing("instrument_name")))
}

/// A number, or none where it is `null` or stands as words: `"expired"`.
pub fn decimal(c: &mut Cursor<'_>) -> Result<Option<Decimal>> {
    if c.peek() == Some(b'"') {
        return Ok(Decimal::parse(c.str()?).ok());
    }
    c.decimal_opt()
}

#[cfg(test)]
mod tests;
