//! A first look at a payload, for what must be known before it can be read.

use crate::parse::Result;
use source::{Cursor, What};

/// What the keys of an object tell before it is read.
#[derive(Default)]
pub(crate) struct Look<'a> {
    pub kind: &'a [u8],
    pub symbol: &'a [u8],
    /// The first key.
    pub first: &'a [u8],
    pub has: Has,
    /// How many digits stand behind the point of the first price found.
    digits: Option<usize>,
}

/// Which keys are there.
#[derive(Default)]
pub(crate) struct Has {
    pub stream: bool,
    pub data: bool,
    pub control: bool,
    pub before: bool,
    pub spot: bool,
    pub futures: bool,
    pub sizes: bool,
    pub last: bool,
    pub section: Option<u64>,
}

impl<'a> Look<'a> {
    /// Looks as far as the object can be read.
    pub fn at(c: &Cursor<'a>) -> Self {
        let mut look = Self::default();
        let _ = c.clone().object(|c, key| {
            if look.first.is_empty() {
                look.first = key;
            }
            match key {
                [b'e'] if c.peek() == Some(b'"') => look.kind = c.str()?,
                [b's'] | b"symbol" if c.peek() == Some(b'"') => look.symbol = c.str()?,
                [b'o' | b'k'] if c.peek() == Some(b'{') => look.inner(c)?,
                b"st" => look.has.section = c.u64().ok(),
                _ => {
                    look.has.key(key);
                    c.skip()?;
                }
            }
            Ok(())
        });
        look
    }

    /// The symbol of a forced order, the price of a bar.
    fn inner(&mut self, c: &mut Cursor<'a>) -> Result<()> {
        c.object(|c, key| {
            match key {
                [b's'] => self.symbol = c.str()?,
                [b'c'] => {
                    let price = c.number()?;
                    let point = price.iter().position(|b| *b == b'.');
                    self.digits = Some(point.map_or(0, |at| price.len() - at - 1));
                }
                _ => c.skip().map(drop)?,
            }
            Ok(())
        })
    }

    /// Whether it is whole and of a kind that has no `e` and changes no book: best levels and quotes of spot.
    pub fn is_no_change(&self, c: &Cursor<'_>) -> bool {
        self.kind.is_empty() && (self.has.last || self.has.sizes) && c.clone().skip().is_ok()
    }

    /// Whether its keys are those of futures; `None` where both have the same.
    pub fn futures(&self) -> Option<bool> {
        match self.kind {
            b"depthUpdate" => Some(self.has.before || self.has.futures),
            b"trade" | b"aggTrade" | b"24hrTicker" => Some(!self.has.spot),
            b"24hrMiniTicker" => Some(self.has.section.is_some()),
            b"bookTicker" | b"markPriceUpdate" | b"forceOrder" | b"contractInfo" => Some(true),
            b"" => Some(false),
            // Spot writes eight digits behind the point, always.
            _ => self.digits.map(|digits| digits != 8),
        }
    }
}

impl Has {
    fn key(&mut self, key: &[u8]) {
        match key {
            b"stream" => self.stream = true,
            b"data" => self.data = true,
            b"result" | b"code" | b"error" => self.control = true,
            b"pu" => self.before = true,
            [b'T'] => self.futures = true,
            [b'M' | b'x'] => self.spot = true,
            [b'B'] => self.sizes = true,
            b"lastUpdateId" => self.last = true,
            _ => {}
        }
    }
}

/// The stream that a frame names, where it can be read that far.
pub(super) fn stream_of<'a>(c: &Cursor<'a>) -> Option<&'a [u8]> {
    let mut name = None;
    let _ = c.clone().object(|c, key| {
        if key == b"stream" {
            name = Some(c.str()?);
            return Err(c.fault(What::Eof));
        }
        c.skip().map(drop)
    });
    name
}

/// What a frame that cannot be read carries, whatever stands around it: from its `data` on, or all of it.
pub(super) fn payload_of(bytes: &[u8]) -> Cursor<'_> {
    const DATA: &[u8] = b"\"data\":";
    let at = bytes.windows(DATA.len()).position(|part| part == DATA);
    Cursor::new(at.and_then(|at| bytes.get(at + DATA.len()..)).unwrap_or(bytes))
}

/// Events that the venue is known to have and that are no channel of ours.
pub(super) fn is_known_event(name: &[u8]) -> bool {
    matches!(
        name,
        b"1hTicker"
            | b"4hTicker"
            | b"1dTicker"
            | b"avgPrice"
            | b"referencePrice"
            | b"blockTrade"
            | b"continuous_kline"
            | b"indexPrice_kline"
            | b"markPrice_kline"
            | b"compositeIndex"
            | b"assetIndexUpdate"
            | b"indexPriceUpdate"
            | b"tradingSession"
    )
}
