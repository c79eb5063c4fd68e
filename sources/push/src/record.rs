//! A record of either form: `$`-separated for Shanghai and Shenzhen, JSON for Beijing.

use crate::layout::{LEVELS, Layout, Price, Slot, Unit};
use model::ashare::{Board, Code, CodeError, Market};
use model::{Decimal, Ts};
use source::{Cursor, Malformed, What};

/// A limit from here on means that there is none, in yuan.
const NO_LIMIT: Decimal = Decimal::new(100_000, 0);

/// What one record says. A number is `None` where the record says nothing; a price of zero says nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Of what.
    pub code: Code,
    /// Whether it came in Beijing's form.
    pub beijing: bool,
    /// The name for people.
    pub title: Option<&'a str>,
    /// The venue's time.
    pub ts: Option<Ts>,
    /// The first price of the day, in yuan, as all prices here.
    pub open: Option<Decimal>,
    /// The highest.
    pub high: Option<Decimal>,
    /// The lowest.
    pub low: Option<Decimal>,
    /// The last.
    pub last: Option<Decimal>,
    /// The close of the day before.
    pub prev_close: Option<Decimal>,
    /// The highest that is allowed.
    pub limit_up: Option<Decimal>,
    /// The lowest that is allowed.
    pub limit_down: Option<Decimal>,
    /// Shares of the day so far.
    pub shares: Option<i64>,
    /// Yuan of the day so far.
    pub amount: Option<Decimal>,
    /// Sellers, best first.
    pub asks: [Waiting; LEVELS],
    /// Buyers, best first.
    pub bids: [Waiting; LEVELS],
    /// Percent of the free float traded.
    pub turnover_pct: Option<Decimal>,
    /// Percent of change from the close before.
    pub change_pct: Option<Decimal>,
}

/// A level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Yuan.
    pub px: Option<Decimal>,
    /// Shares.
    pub qty: Option<i64>,
    /// Whether the record speaks of the level at all, be it by a zero.
    pub told: bool,
}

impl Record<'_> {
    fn new(code: Code, beijing: bool) -> Self {
        Self {
            code,
            beijing,
            title: None,
            ts: None,
            open: None,
            high: None,
            low: None,
            last: None,
            prev_close: None,
            limit_up: None,
            limit_down: None,
            shares: None,
            amount: None,
            asks: [Waiting::default(); LEVELS],
            bids: [Waiting::default(); LEVELS],
            turnover_pct: None,
            change_pct: None,
        }
    }

    fn price(&mut self, price: Price) -> &mut Option<Decimal> {
        match price {
            Price::Open => &mut self.open,
            Price::High => &mut self.high,
            Price::Low => &mut self.low,
            Price::Last => &mut self.last,
            Price::PrevClose => &mut self.prev_close,
            Price::LimitUp => &mut self.limit_up,
            Price::LimitDown => &mut self.limit_down,
        }
    }

    /// What vendors write where there is no limit becomes `None`.
    fn normalise(mut self) -> Self {
        self.limit_up = self.limit_up.filter(|px| *px < NO_LIMIT);
        if self.limit_up.is_none() {
            self.limit_down = None;
        }
        self
    }
}

/// Reads a `$`-separated record. Fields after those of the layout are not read; true where there are some.
///
/// # Errors
/// Where fields are missing or cannot be read; `at` is the byte of the field.
pub fn dollar<'a>(line: &'a [u8], layout: &Layout) -> Result<(Record<'a>, bool), Malformed> {
    let fault = |at, what| Malformed { at, what };
    let code_at = layout.slots.iter().position(|slot| *slot == Slot::Code).unwrap_or_default();
    let mut fields = line.split(|byte| *byte == b'$');
    let code = fields.clone().nth(code_at).ok_or_else(|| fault(line.len(), What::Eof))?;
    let mut record = Record::new(code_of(code)?, false);
    let lot = record.code.section().board.lot();
    let mut at = 0;
    for slot in &layout.slots {
        let field =
            fields.next().ok_or_else(|| fault(line.len(), What::Rule("fewer fields than the layout has")))?;
        let wrong = |what| fault(at, what);
        let text = field.trim_ascii();
        match *slot {
            Slot::Code | Slot::Skip => {}
            Slot::Name => record.title = Some(utf8(text).map_err(wrong)?).filter(|name| !name.is_empty()),
            Slot::Time => record.ts = time(text, 1_000).map_err(wrong)?,
            Slot::Price(price) => *record.price(price) = px(text).map_err(wrong)?,
            Slot::Volume(unit) => record.shares = qty(text, unit, lot).map_err(wrong)?,
            Slot::Amount => record.amount = positive(text).map_err(wrong)?,
            Slot::TurnoverPct => record.turnover_pct = number(text).map_err(wrong)?,
            Slot::ChangePct => record.change_pct = number(text).map_err(wrong)?,
            Slot::AskPx(n) => waiting(&mut record.asks, n, |level| level.px(text)).map_err(wrong)?,
            Slot::BidPx(n) => waiting(&mut record.bids, n, |level| level.px(text)).map_err(wrong)?,
            Slot::AskQty(n, unit) => {
                waiting(&mut record.asks, n, |level| level.qty(text, unit, lot)).map_err(wrong)?;
            }
            Slot::BidQty(n, unit) => {
                waiting(&mut record.bids, n, |level| level.qty(text, unit, lot)).map_err(wrong)?;
            }
        }
        at += field.len() + 1;
    }
    Ok((record.normalise(), fields.next().is_some()))
}

/// Reads a record of Beijing. Arrays may be short or missing. Keys that nobody knows go to `unknown`.
///
/// # Errors
/// Where it cannot be read.
pub fn json<'a>(
    text: &'a [u8],
    unit: Unit,
    unknown: &mut dyn FnMut(&'a [u8]),
) -> Result<Record<'a>, Malformed> {
    let mut cursor = Cursor::new(text);
    let mut code = None;
    cursor.clone().object(|c, key| {
        match key {
            b"stock_code" => code = Some(beijing_code(c.str()?)?),
            _ => {
                c.skip()?;
            }
        }
        Ok(())
    })?;
    let code = code.ok_or(Malformed { at: 0, what: What::Missing("stock_code") })?;
    let mut record = Record::new(code, true);
    let lot = code.section().board.lot();
    // The same volume uncut by 手, and only where the two agree.
    let mut whole = None;
    cursor.object(|c, key| {
        let at = c.position();
        let wrong = |what| Malformed { at, what };
        match key {
            b"time" => record.ts = time(c.number()?, 1).map_err(wrong)?,
            b"lastPrice" => record.last = px(c.number()?).map_err(wrong)?,
            b"open" => record.open = px(c.number()?).map_err(wrong)?,
            b"high" => record.high = px(c.number()?).map_err(wrong)?,
            b"low" => record.low = px(c.number()?).map_err(wrong)?,
            b"lastClose" => record.prev_close = px(c.number()?).map_err(wrong)?,
            b"volume" => record.shares = qty(c.number()?, unit, lot).map_err(wrong)?,
            b"pvolume" => whole = qty(c.number()?, Unit::Shares, lot).map_err(wrong)?,
            b"amount" => record.amount = positive(c.number()?).map_err(wrong)?,
            b"askPrice" => levels(c, &mut record.asks, Waiting::px)?,
            b"bidPrice" => levels(c, &mut record.bids, Waiting::px)?,
            b"askVol" => levels(c, &mut record.asks, |level, text| level.qty(text, unit, lot))?,
            b"bidVol" => levels(c, &mut record.bids, |level, text| level.qty(text, unit, lot))?,
            b"stock_name" => {
                record.title = Some(c.utf8()?.trim()).filter(|name| !name.is_empty() && !name.contains('\\'));
            }
            b"stock_code"
            | b"timetag"
            | b"stime"
            | b"pe"
            | b"stockStatus"
            | b"openInt"
            | b"transactionNum"
            | b"settlementPrice"
            | b"lastSettlementPrice" => {
                c.skip()?;
            }
            _ => {
                unknown(key);
                c.skip()?;
            }
        }
        Ok(())
    })?;
    cursor.end()?;
    if let (Some(cut), Some(whole)) = (record.shares, whole)
        && whole.checked_sub(cut).is_some_and(|rest| (0..i64::from(lot)).contains(&rest))
    {
        record.shares = Some(whole);
    }
    Ok(record.normalise())
}

impl Waiting {
    fn px(&mut self, text: &[u8]) -> Result<(), What> {
        self.told |= !text.is_empty();
        self.px = px(text)?;
        Ok(())
    }

    fn qty(&mut self, text: &[u8], unit: Unit, lot: u32) -> Result<(), What> {
        self.told |= !text.is_empty();
        self.qty = qty(text, unit, lot)?;
        Ok(())
    }
}

fn waiting(
    side: &mut [Waiting; LEVELS],
    n: usize,
    put: impl FnOnce(&mut Waiting) -> Result<(), What>,
) -> Result<(), What> {
    side.get_mut(n).map_or(Ok(()), put)
}

/// As many as come; what comes after the fifth is not read.
fn levels(
    c: &mut Cursor<'_>,
    side: &mut [Waiting; LEVELS],
    put: impl Fn(&mut Waiting, &[u8]) -> Result<(), What>,
) -> Result<(), Malformed> {
    if c.null() {
        return Ok(());
    }
    let mut n = 0;
    c.array(|c| {
        let at = c.position();
        let text = c.number()?;
        let read = waiting(side, n, |level| put(level, text));
        n += 1;
        read.map_err(|what| Malformed { at, what })
    })
}

fn code_of(field: &[u8]) -> Result<Code, Malformed> {
    let fault = |what| Malformed { at: 0, what };
    let text = utf8(field).map_err(fault)?;
    Code::parse(text).map_err(|error| match error {
        CodeError::Unreadable => fault(What::Expected("a code")),
        CodeError::Ambiguous(_) => fault(What::Rule("a code that two markets know, without its market")),
    })
}

/// With its suffix or without.
fn beijing_code(text: &[u8]) -> Result<Code, Malformed> {
    match std::str::from_utf8(text).ok().and_then(|digits| Code::new(Market::Bj, digits)) {
        Some(code) => Ok(code),
        None => code_of(text),
    }
}

fn utf8(text: &[u8]) -> Result<&str, What> {
    std::str::from_utf8(text).map(str::trim).map_err(|_| What::Encoding)
}

/// `None` where the field is empty.
fn number(text: &[u8]) -> Result<Option<Decimal>, What> {
    if text.is_empty() { Ok(None) } else { Decimal::parse(text).map(Some).map_err(What::Number) }
}

fn positive(text: &[u8]) -> Result<Option<Decimal>, What> {
    match number(text)? {
        Some(number) if number < Decimal::new(0, 0) => Err(What::Expected("a number of zero or more")),
        number => Ok(number),
    }
}

/// Vendors write 0 or -1 for a price that there is not.
fn px(text: &[u8]) -> Result<Option<Decimal>, What> {
    Ok(number(text)?.filter(|px| *px > Decimal::new(0, 0)))
}

/// In shares. Volumes may come as `123.0`.
fn qty(text: &[u8], unit: Unit, lot: u32) -> Result<Option<i64>, What> {
    let Some(number) = positive(text)? else { return Ok(None) };
    let shares = match unit {
        Unit::Shares => number.mantissa_at(0),
        Unit::Lots if lot == 10 => number.mantissa_at(1),
        Unit::Lots => number.mantissa_at(2),
    };
    shares.map(Some).ok_or(What::Expected("a whole number of shares"))
}

/// `unit_ms` milliseconds are one; 0 is no time.
fn time(text: &[u8], unit_ms: i64) -> Result<Option<Ts>, What> {
    let Some(number) = positive(text)? else { return Ok(None) };
    let whole = number.mantissa_at(0).ok_or(What::Expected("a whole number"))?;
    Ok((whole > 0).then(|| Ts::from_ms(whole.saturating_mul(unit_ms))))
}

/// Whether a thing has a book at all.
pub fn has_book(code: Code) -> bool {
    code.section().board != Board::Index
}

/// Whether a payload is a record of this feed.
pub fn looks_like_ours(payload: &[u8]) -> bool {
    if payload.starts_with(b"{") {
        let head = payload.get(..24).unwrap_or(payload);
        return head.windows(12).any(|part| part == b"\"stock_code\"");
    }
    let mut fields = payload.split(|byte| *byte == b'$');
    fields.next().is_some_and(|code| code_of(code).is_ok()) && fields.count() >= 32
}
