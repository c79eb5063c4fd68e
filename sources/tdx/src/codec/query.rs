//! What can be asked.

use super::frame::{LOGIN_MARK, MARK, RequestFrame};
use super::text::Text;
use super::walk::{Reader, Result, Walk, Writer};
use source::{Malformed, What};
use std::fmt;

/// A market and a code in it: what an instrument is called on the wire.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code {
    /// 0 Shenzhen, 1 Shanghai, 2 Beijing.
    pub market: u8,
    /// Six digits.
    pub digits: [u8; 6],
}

impl Code {
    /// A market and a code of six digits.
    pub fn of(market: u8, code: &str) -> Option<Self> {
        let digits: [u8; 6] = code.as_bytes().try_into().ok()?;
        digits.iter().all(u8::is_ascii_digit).then_some(Self { market, digits })
    }

    /// The digits.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.digits).unwrap_or_default()
    }

    /// With the market in one byte.
    ///
    /// # Errors
    /// Where the body ends, or there are no six digits: what is read is not where it is taken to be.
    pub fn walk(&mut self, walk: &mut impl Walk) -> Result {
        walk.u8(&mut self.market)?;
        self.digits(walk)
    }

    /// With the market in two bytes.
    ///
    /// # Errors
    /// As [`Code::walk`].
    pub fn walk_wide(&mut self, walk: &mut impl Walk) -> Result {
        let mut market = u16::from(self.market);
        walk.u16(&mut market)?;
        self.market = u8::try_from(market).map_err(|_| walk.fault(What::Rule("no such market")))?;
        self.digits(walk)
    }

    /// With the market in one byte in which Shenzhen is 1 and Shanghai 0, as only the request of `0530` has it.
    fn walk_swapped(&mut self, walk: &mut impl Walk) -> Result {
        let mut swapped = 1_u8.wrapping_sub(self.market);
        walk.u8(&mut swapped)?;
        self.market = 1_u8.wrapping_sub(swapped);
        self.digits(walk)
    }

    fn digits(&mut self, walk: &mut impl Walk) -> Result {
        let at = walk.at();
        walk.raw(&mut self.digits)?;
        if self.market > 2 {
            return Err(Malformed { at, what: What::Rule("no such market") });
        }
        if !self.digits.iter().all(u8::is_ascii_digit) {
            return Err(Malformed { at, what: What::Expected("a code of six digits") });
        }
        Ok(())
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.market, self.text())
    }
}

/// Which bars: `052d`, `0523`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BarsQuery {
    /// Of what.
    pub code: Code,
    /// The interval, as in [`super::bars::interval`].
    pub category: u16,
    /// Of how many units an interval is made, in the categories 8 and 13; else 1.
    pub multiplier: u16,
    /// How many of the newest are left out.
    pub start: u16,
    /// How many, at most 800.
    pub count: u16,
    /// 0: prices as they were traded. Whether a server adjusts them is not agreed, so nothing else is asked.
    pub adjust: u16,
    /// Not understood; 0.
    pub reserved: [u8; 8],
}

/// How many of the newest trades are left out, and how many are asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// How many of the newest are left out.
    pub start: u16,
    /// How many, at most 1800.
    pub count: u16,
}

impl Page {
    fn walk(&mut self, code: &mut Code, walk: &mut impl Walk) -> Result {
        code.walk_wide(walk)?;
        walk.u16(&mut self.start)?;
        walk.u16(&mut self.count)
    }
}

/// Something to ask, with the command that asks it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Query {
    /// `000d`: begin; the step, 1 or 2.
    Hello(u8),
    /// `0fdb`: the third step, a block of bytes that names a terminal: [`super::session::LEVEL`].
    Login(Vec<u8>),
    /// `0004`: still here.
    Heartbeat,
    /// `044e`: how many a market lists; a date, YYYYMMDD.
    Count(u8, u32),
    /// `0450`: the list of Shenzhen or Shanghai from this place on.
    ListOld(u8, u16),
    /// `044d`: the list of any market: from where on, and how many, at most 1600.
    List(u8, u32, u32),
    /// `053e`: prices with five levels, of at most 80.
    Quotes(Vec<Code>),
    /// `0530`: prices of one, of Shenzhen or Shanghai.
    Quote(Code),
    /// `054c`: prices with one level, of at most 80.
    Tops(Vec<Code>),
    /// `0547`: what has changed since the number beside a code, of at most 100; from number 0 everything.
    Refresh(Vec<(Code, u32)>),
    /// `052d`: bars with prices as differences.
    Bars(BarsQuery),
    /// `0523`: bars with prices as they are.
    BarsPlain(BarsQuery),
    /// `0537`: the minutes of today.
    Minutes(Code),
    /// `051d`: the minutes of today, in two layouts by the age of the server.
    MinutesOld(Code),
    /// `0fb4`: the minutes of a date, YYYYMMDD.
    MinutesOf(u32, Code),
    /// `0feb`: the minutes of a date not long ago, YYYYMMDD.
    MinutesRecent(u32, Code),
    /// `0fc5`: trades of today.
    Trades(Code, Page),
    /// `0fb5`: trades of a date, YYYYMMDD.
    TradesOf(u32, Code, Page),
    /// `0fc6`: trades of a date, YYYYMMDD, with how many were merged into each.
    TradesCounted(u32, Code, Page),
    /// `056a`: the call auction of today: from where on, and how many, at most 500.
    Auction(Code, u32, u32),
    /// `000f`: dividends and changes of shares, of at most 200.
    Actions(Vec<Code>),
    /// `0010`: figures of the company; one code, though the wire counts them.
    Finance(Vec<Code>),
    /// `02c5`: size and MD5 of a file.
    FileMeta(Text<40>),
    /// `06b9`: a part of a file: from where on, how many bytes, and its name. The name's field has 100 bytes, or 300.
    FilePart(u32, u32, Vec<u8>),
    /// `02cf`: the titles of what is told of a company.
    Company(Code),
    /// `02d0`: a part of what is told: the file, from where on, how many bytes.
    CompanyText(Code, Text<80>, u32, u32),
}

impl Query {
    /// The number of the command.
    pub const fn command(&self) -> u16 {
        match self {
            Self::Hello(..) => 0x000d,
            Self::Login(..) => 0x0fdb,
            Self::Heartbeat => 0x0004,
            Self::Count(..) => 0x044e,
            Self::ListOld(..) => 0x0450,
            Self::List(..) => 0x044d,
            Self::Quotes(..) => 0x053e,
            Self::Quote(..) => 0x0530,
            Self::Tops(..) => 0x054c,
            Self::Refresh(..) => 0x0547,
            Self::Bars(..) => 0x052d,
            Self::BarsPlain(..) => 0x0523,
            Self::Minutes(..) => 0x0537,
            Self::MinutesOld(..) => 0x051d,
            Self::MinutesOf(..) => 0x0fb4,
            Self::MinutesRecent(..) => 0x0feb,
            Self::Trades(..) => 0x0fc5,
            Self::TradesOf(..) => 0x0fb5,
            Self::TradesCounted(..) => 0x0fc6,
            Self::Auction(..) => 0x056a,
            Self::Actions(..) => 0x000f,
            Self::Finance(..) => 0x0010,
            Self::FileMeta(..) => 0x02c5,
            Self::FilePart(..) => 0x06b9,
            Self::Company(..) => 0x02cf,
            Self::CompanyText(..) => 0x02d0,
        }
    }

    /// The number that its request carries where the server looks at it.
    pub const fn mark(&self) -> u32 {
        if matches!(self, Self::Login(_)) { LOGIN_MARK } else { MARK }
    }

    /// The query of a command, with nothing in it.
    fn blank(command: u16) -> Option<Self> {
        let (code, page, bars) = (Code::default(), Page::default(), BarsQuery::default());
        Some(match command {
            0x000d => Self::Hello(0),
            0x0fdb => Self::Login(Vec::new()),
            0x0004 => Self::Heartbeat,
            0x044e => Self::Count(0, 0),
            0x0450 => Self::ListOld(0, 0),
            0x044d => Self::List(0, 0, 0),
            0x053e => Self::Quotes(Vec::new()),
            0x0530 => Self::Quote(code),
            0x054c => Self::Tops(Vec::new()),
            0x0547 => Self::Refresh(Vec::new()),
            0x052d => Self::Bars(bars),
            0x0523 => Self::BarsPlain(bars),
            0x0537 => Self::Minutes(code),
            0x051d => Self::MinutesOld(code),
            0x0fb4 => Self::MinutesOf(0, code),
            0x0feb => Self::MinutesRecent(0, code),
            0x0fc5 => Self::Trades(code, page),
            0x0fb5 => Self::TradesOf(0, code, page),
            0x0fc6 => Self::TradesCounted(0, code, page),
            0x056a => Self::Auction(code, 0, 0),
            0x000f => Self::Actions(Vec::new()),
            0x0010 => Self::Finance(Vec::new()),
            0x02c5 => Self::FileMeta(Text::default()),
            0x06b9 => Self::FilePart(0, 0, Vec::new()),
            0x02cf => Self::Company(code),
            0x02d0 => Self::CompanyText(code, Text::default(), 0, 0),
            _ => return None,
        })
    }

    fn walk(&mut self, walk: &mut impl Walk) -> Result {
        match self {
            Self::Hello(step) => walk.u8(step),
            Self::Login(bytes) => {
                walk.rest(bytes);
                Ok(())
            }
            Self::Heartbeat => Ok(()),
            Self::Count(market, date) => {
                wide(walk, market)?;
                walk.u32(date)
            }
            Self::ListOld(market, start) => {
                wide(walk, market)?;
                walk.u16(start)
            }
            Self::List(market, start, count) => {
                wide(walk, market)?;
                walk.u32(start)?;
                walk.u32(count)?;
                walk.u32(&mut 0)
            }
            Self::Quotes(codes) | Self::Tops(codes) => {
                walk.u16(&mut 5)?;
                walk.raw(&mut [0; 6])?;
                walk.counted(codes, |walk, code| code.walk(walk))
            }
            Self::Refresh(codes) => walk.counted(codes, |walk, (code, since)| {
                code.walk(walk)?;
                walk.u32(since)
            }),
            Self::Actions(codes) | Self::Finance(codes) => walk.counted(codes, |walk, code| code.walk(walk)),
            Self::FileMeta(name) => name.walk(walk),
            Self::FilePart(start, size, name) => {
                walk.u32(start)?;
                walk.u32(size)?;
                walk.rest(name);
                Ok(())
            }
            _ => self.walk_one(walk),
        }
    }

    /// Of the queries about one code.
    fn walk_one(&mut self, walk: &mut impl Walk) -> Result {
        match self {
            Self::Bars(bars) | Self::BarsPlain(bars) => bars.walk(walk),
            Self::Quote(code) => {
                walk.u8(&mut 1)?;
                code.walk_swapped(walk)
            }
            Self::Minutes(code) => {
                code.walk_wide(walk)?;
                walk.u16(&mut 0)?;
                walk.u16(&mut 0xba00)
            }
            Self::MinutesOld(code) | Self::Company(code) => {
                code.walk_wide(walk)?;
                walk.u32(&mut 0)
            }
            Self::MinutesOf(date, code) => {
                walk.u32(date)?;
                code.walk(walk)
            }
            Self::MinutesRecent(date, code) => {
                let mut negated = date.wrapping_neg();
                walk.u32(&mut negated)?;
                *date = negated.wrapping_neg();
                code.walk(walk)
            }
            Self::Trades(code, page) => page.walk(code, walk),
            Self::TradesOf(date, code, page) | Self::TradesCounted(date, code, page) => {
                walk.u32(date)?;
                page.walk(code, walk)
            }
            Self::Auction(code, start, count) => {
                code.walk_wide(walk)?;
                walk.u32(&mut 0)?;
                walk.u32(&mut 3)?;
                walk.u32(&mut 0)?;
                walk.u32(start)?;
                walk.u32(count)
            }
            Self::CompanyText(code, file, start, size) => {
                code.walk_wide(walk)?;
                walk.u16(&mut 0)?;
                file.walk(walk)?;
                walk.u32(start)?;
                walk.u32(size)?;
                walk.u32(&mut 0)
            }
            _ => Ok(()),
        }
    }

    /// Reads what a client asks.
    ///
    /// # Errors
    /// Where the command is not known, or its payload is shorter or longer than it has to be.
    pub fn read(command: u16, payload: &[u8]) -> Result<Self> {
        let unknown = Malformed { at: 10, what: What::Rule("a command that is not known") };
        let mut query = Self::blank(command).ok_or(unknown)?;
        let mut reader = Reader::new(payload);
        query.walk(&mut reader)?;
        if !reader.remaining().is_empty() {
            return Err(reader.fault(What::Rule("bytes follow the end of the request")));
        }
        Ok(query)
    }

    /// The frame that asks it.
    ///
    /// # Errors
    /// Where it is longer than a frame can be.
    pub fn frame(&self, seq: u32) -> Result<Vec<u8>> {
        let mut writer = Writer::default();
        self.clone().walk(&mut writer)?;
        RequestFrame { seq, command: self.command(), payload: &writer.0 }.bytes()
    }

    /// The part of a file, its name in a field of 100 bytes.
    pub fn file_part(name: &str, start: u32, size: u32) -> Self {
        Self::FilePart(start, size, Text::<100>::of(name).0.to_vec())
    }
}

impl BarsQuery {
    fn walk(&mut self, walk: &mut impl Walk) -> Result {
        self.code.walk_wide(walk)?;
        walk.u16(&mut self.category)?;
        walk.u16(&mut self.multiplier)?;
        walk.u16(&mut self.start)?;
        walk.u16(&mut self.count)?;
        walk.u16(&mut self.adjust)?;
        walk.raw(&mut self.reserved)
    }
}

/// A market in two bytes.
fn wide(walk: &mut impl Walk, market: &mut u8) -> Result {
    let mut wide = u16::from(*market);
    walk.u16(&mut wide)?;
    *market = u8::try_from(wide).map_err(|_| walk.fault(What::Rule("no such market")))?;
    Ok(())
}
