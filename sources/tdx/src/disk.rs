//! Files that a terminal leaves on a disk: `.day`, `.lc1`, `.lc5`, `.1`, `.5`, block files, and text exports.
//!
//! Prices of the files are those that were traded; those of a text export may be adjusted, and its first line says so.

use crate::codec::files::{BLOCK_BYTES, BLOCKS_HEAD, Block, block};
use crate::number::{positive, scaled};
use crate::time::{day_bar, minute_bar, minutes_of, packed_day};
use crate::{NAME, codec::walk::Reader, codec::walk::Walk};
use model::ashare::{Board, Code, Market, instrument};
use model::{
    Bar, Body, Channel, Date, Decimal, Event, Flags, Instrument, InstrumentKind, NumError, Sector, Stamp, Ts,
};
use source::{Archive, Malformed, Records, What};
use std::sync::Arc;

type Result<T> = std::result::Result<T, Malformed>;

/// The bytes of a bar.
const BAR_BYTES: usize = 32;

/// Block files by their names, with the kind of their blocks.
const BLOCKS: [(&str, &str); 4] = [
    ("block_zs.dat", "index"),
    ("block_gn.dat", "concept"),
    ("block_fg.dat", "style"),
    ("block.dat", "block"),
];

fn rule<T>(at: usize, rule: &'static str) -> Result<T> {
    Err(Malformed { at, what: What::Rule(rule) })
}

fn name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or_default()
}

/// The kind of the blocks in a file; `None` where it is no block file.
fn blocks(path: &str) -> Option<&'static str> {
    BLOCKS.iter().find(|(known, _)| name(path).eq_ignore_ascii_case(known)).map(|(_, kind)| *kind)
}

/// Whether a word is a kind of blocks.
pub fn is_kind(word: &str) -> bool {
    BLOCKS.iter().any(|(_, kind)| *kind == word)
}

/// The code that a name begins with (`sh000001`, `SH#601003`), and its ending; nothing where it is no such name.
fn coded(path: &str) -> Option<(Code, &str)> {
    let (stem, end) = name(path).rsplit_once('.')?;
    let (letters, rest) = stem.split_at_checked(2)?;
    let rest = rest.strip_prefix('#').unwrap_or(rest);
    let (digits, rest) = rest.split_at_checked(6)?;
    let plain = rest.is_empty() || rest.starts_with('_') && end.eq_ignore_ascii_case("txt");
    Some((Code::new(Market::parse(letters)?, digits)?, end)).filter(|_| plain)
}

/// What a file holds, by its name.
pub fn archive(path: &str) -> Option<Archive> {
    let of = |symbol: String, channel, interval: &str| {
        Some(Archive { product: Some(String::new()), symbol, channel, interval: interval.to_owned() })
    };
    if let Some(kind) = blocks(path) {
        return of(kind.to_owned(), Channel::Sectors, "");
    }
    let (code, end) = coded(path)?;
    let interval = match &*end.to_ascii_lowercase() {
        "day" | "txt" => "1d",
        "lc1" | "1" => "1m",
        "lc5" | "5" => "5m",
        _ => return None,
    };
    of(format!("{}{}", code.market.letters(), code.digits()), Channel::Bars, interval)
}

/// How it is cut into rows.
pub fn records(path: &str) -> Option<Records> {
    if blocks(path).is_some() {
        // The number of blocks, two bytes, follows the head.
        return Some(Records::Fixed { head: BLOCKS_HEAD + 2, size: BLOCK_BYTES });
    }
    let (_, end) = coded(path)?;
    match &*end.to_ascii_lowercase() {
        "txt" => Some(Records::Lines),
        "day" | "lc1" | "lc5" | "1" | "5" => Some(Records::Fixed { head: 0, size: BAR_BYTES }),
        _ => None,
    }
}

/// Reads a row and appends what it tells.
///
/// # Errors
/// Where it cannot be read; nothing was appended.
pub fn record(
    archive: &Archive,
    instrument: &Arc<Instrument>,
    records: Records,
    record: &[u8],
    out: &mut Vec<Event>,
) -> Result<()> {
    let bar = match (archive.channel, records, minutes_of(&archive.interval)) {
        (Channel::Sectors, ..) => {
            out.push(sector_event(&archive.symbol, &block(record)?, Ts(0)));
            return Ok(());
        }
        (Channel::Bars, Records::Lines, _) => line(archive, record)?,
        (Channel::Bars, Records::Fixed { .. }, None) => Some(day(archive, instrument, record)?),
        (Channel::Bars, Records::Fixed { .. }, Some(long)) => {
            Some(minutes(archive, instrument, record, long)?)
        }
        _ => return rule(0, "such files hold bars or blocks alone"),
    };
    out.extend(bar.map(|(bar, end)| Event {
        source: NAME,
        instrument: Arc::clone(instrument),
        channel: Channel::Bars,
        flags: Flags::NONE,
        stamp: Stamp { ts_event: Some(end), ts_recv: end },
        body: Body::Bar(Box::new(bar)),
    }));
    Ok(())
}

/// `.day`: a date, four prices in hundredths (thousandths of funds and bonds), an amount, a volume in shares (of an index in lots).
fn day(archive: &Archive, instrument: &Instrument, record: &[u8]) -> Result<(Bar, Ts)> {
    let mut reader = Reader::new(record);
    let (mut date, mut prices, mut amount, mut volume) = (0, [0; 4], 0.0, 0);
    reader.u32(&mut date)?;
    prices.iter_mut().try_for_each(|price| reader.u32(price))?;
    reader.f32(&mut amount)?;
    reader.u32(&mut volume)?;
    let date = Date::from_number(date).ok_or(Malformed { at: 0, what: What::Expected("a date") })?;
    let digits = if instrument.px_scale == 2 { 2 } else { 3 };
    let bounds = day_bar(date, &archive.interval);
    let prices = prices.map(|price| scaled(i64::from(price), digits));
    bar(archive, instrument, bounds, prices, (positive(amount, 20)?, volume))
}

/// `.lc1`, `.lc5` with prices of binary32, `.1`, `.5` with prices in hundredths.
fn minutes(archive: &Archive, instrument: &Instrument, record: &[u8], long: u16) -> Result<(Bar, Ts)> {
    let mut reader = Reader::new(record);
    let (mut date, mut label, mut prices, mut amount, mut volume) = (0, 0, [0; 4], 0.0, 0);
    reader.u16(&mut date)?;
    reader.u16(&mut label)?;
    prices.iter_mut().try_for_each(|price| reader.u32(price))?;
    reader.f32(&mut amount)?;
    reader.u32(&mut volume)?;
    let date = packed_day(date).ok_or(Malformed { at: 0, what: What::Expected("a day") })?;
    if label >= 24 * 60 {
        return rule(2, "a minute that no day has");
    }
    // A whole number below 2^23 is a binary32 below every price.
    let whole = prices.iter().all(|price| *price < 1 << 23);
    let digits = if instrument.px_scale == 2 { 2 } else { 3 };
    let read = |place: usize, price: u32| {
        if whole {
            Ok(scaled(i64::from(price), digits))
        } else {
            positive(f32::from_bits(price), 4 + 4 * place)
        }
    };
    let [open, high, low, close] = prices;
    let prices = [read(0, open)?, read(1, high)?, read(2, low)?, read(3, close)?];
    bar(archive, instrument, minute_bar(date, label, long), prices, (positive(amount, 20)?, volume))
}

/// A bar of open, high, low, close; amount and volume.
fn bar(
    archive: &Archive,
    instrument: &Instrument,
    (start, end): (Ts, Ts),
    [open, high, low, close]: [Decimal; 4],
    (amount, volume): (Decimal, u32),
) -> Result<(Bar, Ts)> {
    if low > open || low > close || high < open || high < close {
        return rule(4, "a price lies outside of the lowest and the highest");
    }
    let lots = instrument.kind == InstrumentKind::Index;
    let unit = if lots { i128::from(Board::Index.lot()) } else { 1 };
    let bar = Bar {
        interval: archive.interval.as_str().into(),
        start,
        open,
        high,
        low,
        close,
        volume: Decimal::new(i128::from(volume) * unit, 0),
        turnover: Some(amount),
        trades: None,
        closed: true,
    };
    Ok((bar, end))
}

/// A line of an export: `2021/09/23,7.57,7.74,7.35,7.48,17796153,134352208.00`, with the minute (`0935`) after the date where
/// bars are of minutes. Lines of words, which stand at its beginning and end, tell nothing.
fn line(archive: &Archive, line: &[u8]) -> Result<Option<(Bar, Ts)>> {
    let fields: Vec<&[u8]> = line.split(|b| matches!(b, b',' | b'\t')).map(<[u8]>::trim_ascii).collect();
    let date = fields.first().and_then(|field| std::str::from_utf8(field).ok()).and_then(Date::parse);
    let Some(date) = date else {
        // The first line is one field, that of the columns has no numbers, and the last is a word.
        let row =
            fields.len() > 1 && fields.iter().any(|field| field.first().is_some_and(u8::is_ascii_digit));
        return if row { rule(0, "a line without a date") } else { Ok(None) };
    };
    let number = |place: usize| {
        let before = fields.iter().take(place).map(|field| field.len() + 1).sum();
        let text = fields.get(place).copied().unwrap_or_default();
        Decimal::parse(text).map_err(|error| Malformed { at: before, what: What::Number(error) })
    };
    let (first, bounds) = match (fields.len(), minutes_of(&archive.interval)) {
        (7, None) => (1, day_bar(date, &archive.interval)),
        (8, Some(long)) => {
            let label =
                number(1)?.mantissa_at(0).and_then(|label| u16::try_from(label).ok()).filter(|l| *l < 2400);
            let label = label.ok_or(Malformed { at: 11, what: What::Number(NumError::NotANumber) })?;
            (2, minute_bar(date, label / 100 * 60 + label % 100, long))
        }
        (8, None) => return rule(0, "a row of minutes: give --interval"),
        _ => return rule(0, "another number of columns than bars have"),
    };
    let [open, high, low, close] =
        [number(first)?, number(first + 1)?, number(first + 2)?, number(first + 3)?];
    if low > open || low > close || high < open || high < close {
        return rule(11, "a price lies outside of the lowest and the highest");
    }
    let (volume, turnover) = (number(first + 4)?, Some(number(first + 5)?));
    let interval = archive.interval.as_str().into();
    let bar = Bar {
        interval,
        start: bounds.0,
        open,
        high,
        low,
        close,
        volume,
        turnover,
        trades: None,
        closed: true,
    };
    Ok(Some((bar, bounds.1)))
}

/// A block as a sector. Its instrument is named by kind and title, as a block file has no codes for its blocks, and its time
/// is not known from a file.
pub fn sector_event(kind: &str, block: &Block, now: Ts) -> Event {
    let member = |digits: &String| {
        let code = Code::parse(digits)
            .ok()
            .or_else(|| Code::new(if digits.starts_with('6') { Market::Sh } else { Market::Sz }, digits));
        code.map(|code| instrument(code, "").name)
    };
    let mut made =
        Instrument::provisional(NAME, "sector", &format!("{kind}:{}", block.name), InstrumentKind::Index);
    made.title = block.name.as_str().into();
    let sector = Sector {
        of: kind.into(),
        title: block.name.as_str().into(),
        members: block.members.iter().filter_map(member).collect(),
    };
    Event {
        source: NAME,
        instrument: Arc::new(made),
        channel: Channel::Sectors,
        flags: Flags::NONE,
        stamp: Stamp { ts_event: None, ts_recv: now },
        body: Body::Sector(Box::new(sector)),
    }
}
