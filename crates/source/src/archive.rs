//! The public archive files of venues: CSV whose rows become events. Who opens and unpacks the files is not told here.

use crate::{Field, Malformed, What};
use model::{Channel, Date, Decimal, Instrument, NumError, Px, Qty, Scale, Side, Ts, parse_mantissa};
use std::borrow::Cow;

type Result<T> = std::result::Result<T, Malformed>;

/// What an archive file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archive {
    /// As in [`Instrument::product`]; `None` where that is open.
    pub product: Option<String>,
    /// The venue's spelling; empty where each row names its own.
    pub symbol: String,
    /// What its rows are; some files have rows of several channels, then the first.
    pub channel: Channel,
    /// The interval of bars: `1m`. Empty of all else.
    pub interval: String,
}

/// How an archive file that is not CSV is cut into rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Records {
    /// Binary rows of `size` bytes each, after `head` bytes that are none.
    Fixed {
        /// Bytes before the first row.
        head: usize,
        /// Bytes of a row.
        size: usize,
    },
    /// Lines of text in an encoding of the source's, without their ends.
    Lines,
}

/// A row of an archive file: its fields, by the names of their columns.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    header: Option<&'a [String]>,
    columns: &'static [&'static str],
    fields: &'a [Cow<'a, str>],
}

impl<'a> Row<'a> {
    /// A row of a file that begins with `header`, or has no header line.
    pub const fn new(header: Option<&'a [String]>, fields: &'a [Cow<'a, str>]) -> Self {
        Self { header, columns: &[], fields }
    }

    /// The columns that a line names, where it is a header line: words, and no number. What follows a slash is the name
    /// in another language, perhaps in another encoding.
    pub fn header(fields: &[Cow<'_, str>]) -> Option<Vec<String>> {
        let first = fields.first()?.trim_start_matches('\u{feff}');
        let word = first.starts_with(|c: char| c.is_alphabetic());
        let number = |field: &Cow<'_, str>| field.starts_with(|c: char| c.is_ascii_digit() || c == '-');
        if !word || fields.iter().any(number) {
            return None;
        }
        let name = |field: &str| field.split('/').next().unwrap_or_default().trim().to_owned();
        Some(std::iter::once(first).chain(fields.iter().skip(1).map(AsRef::as_ref)).map(name).collect())
    }

    /// The same row, whose columns are these where the file has no header line; the last of them may be missing.
    ///
    /// # Errors
    /// Where it has more fields.
    pub fn or_columns(self, columns: &'static [&'static str]) -> Result<Self> {
        if self.header.is_none() && self.fields.len() > columns.len() {
            return Err(Malformed { at: 0, what: What::Rule("more columns than such a file has") });
        }
        Ok(Self { columns, ..self })
    }

    fn place(&self, name: &str) -> Option<usize> {
        match self.header {
            Some(header) => header.iter().position(|column| column == name),
            None => self.columns.iter().position(|column| *column == name),
        }
    }

    /// A fault in a column; its offset counts from the beginning of the row.
    pub fn fault(&self, name: &str, what: What) -> Malformed {
        let before = self.fields.iter().take(self.place(name).unwrap_or(0));
        Malformed { at: before.map(|field| field.len() + 1).sum(), what }
    }

    /// A field; `None` where there is no such column, or nothing in it.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.fields.get(self.place(name)?).map(|field| field.trim()).filter(|field| !field.is_empty())
    }

    /// A field.
    ///
    /// # Errors
    /// Where it is missing.
    pub fn text(&self, name: &'static str) -> Result<&'a str> {
        self.get(name).ok_or(Malformed { at: 0, what: What::Missing(name) })
    }

    /// A price or quantity as a mantissa, where it fits.
    fn mantissa(&self, name: &'static str, scale: Scale, field: Field) -> Result<i64> {
        let text = self.text(name)?.as_bytes();
        parse_mantissa(text, scale).map_err(|error| {
            let what = match (error, Decimal::parse(text)) {
                (NumError::NotANumber, _) | (_, Err(_)) => What::Number(error),
                (_, Ok(number)) => What::Scale(field, number),
            };
            self.fault(name, what)
        })
    }

    /// A price.
    ///
    /// # Errors
    /// Where it is missing, no number, or does not fit the definition.
    pub fn px(&self, name: &'static str, instrument: &Instrument) -> Result<Px> {
        self.mantissa(name, instrument.px_scale, Field::Px).map(Px)
    }

    /// A quantity.
    ///
    /// # Errors
    /// Where it is missing, no number, negative, or does not fit the definition.
    pub fn qty(&self, name: &'static str, instrument: &Instrument) -> Result<Qty> {
        let qty = self.mantissa(name, instrument.qty_scale, Field::Qty)?;
        if qty < 0 {
            return Err(self.fault(name, What::Rule("a quantity is negative")));
        }
        Ok(Qty(qty))
    }

    /// A number.
    ///
    /// # Errors
    /// Where it is missing or no number.
    pub fn decimal(&self, name: &'static str) -> Result<Decimal> {
        Decimal::parse(self.text(name)?.as_bytes()).map_err(|error| self.fault(name, What::Number(error)))
    }

    /// A number; `None` where there is nothing.
    ///
    /// # Errors
    /// Where something else is there.
    pub fn decimal_opt(&self, name: &'static str) -> Result<Option<Decimal>> {
        self.get(name).map(|_| self.decimal(name)).transpose()
    }

    /// A whole number that is not negative.
    ///
    /// # Errors
    /// Where it is missing or something else.
    pub fn u64(&self, name: &'static str) -> Result<u64> {
        let wrong = |_| self.fault(name, What::Expected("a whole number"));
        self.text(name)?.parse().map_err(wrong)
    }

    /// A time since 1970, perhaps with a fraction, in a unit of 10^`digits` ns: 9 of seconds, 6 of milliseconds, 3 of
    /// microseconds.
    ///
    /// # Errors
    /// Where it is missing or no time after 1970.
    pub fn time(&self, name: &'static str, digits: Scale) -> Result<Ts> {
        let ns = parse_mantissa(self.text(name)?.as_bytes(), digits).ok().filter(|ns| *ns > 0);
        ns.map(Ts).ok_or(self.fault(name, What::Expected("a time")))
    }

    /// A date with a time of day: `2026-01-01 00:05:00`, `2020.01.01 00:05`.
    ///
    /// # Errors
    /// Where it is missing or none.
    pub fn civil(&self, name: &'static str) -> Result<Ts> {
        civil(self.text(name)?).ok_or(self.fault(name, What::Expected("a date and a time of day")))
    }

    /// Which side `buy` or `sell` means, in whatever case.
    ///
    /// # Errors
    /// Where it is missing or another word.
    pub fn side(&self, name: &'static str) -> Result<Side> {
        let text = self.text(name)?;
        if text.eq_ignore_ascii_case("buy") {
            Ok(Side::Bid)
        } else if text.eq_ignore_ascii_case("sell") {
            Ok(Side::Ask)
        } else {
            Err(self.fault(name, What::Expected("buy or sell")))
        }
    }
}

/// The instant of a date with a time of day.
fn civil(text: &str) -> Option<Ts> {
    let mut parts = text.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u16>);
    let mut next = |range: std::ops::RangeInclusive<u16>| parts.next()?.ok().filter(|n| range.contains(n));
    let (year, month, day) = (next(1970..=2262)?, next(1..=12)?, next(1..=31)?);
    let (hour, minute) = (next(0..=23)?, next(0..=59)?);
    let second = if text.len() > 16 { next(0..=60)? } else { 0 };
    let date = Date::new(i32::from(year), u8::try_from(month).ok()?, u8::try_from(day).ok()?)?;
    let seconds = (i64::from(hour) * 60 + i64::from(minute)) * 60 + i64::from(second);
    (date.days() * 86_400 + seconds).checked_mul(1_000_000_000).map(Ts)
}

/// The name of a file without folders and endings: `BTCUSDT-1m-2024-08` of `klines/BTCUSDT-1m-2024-08.csv.gz`.
pub fn stem(path: &str) -> &str {
    let name = path.rsplit(['/', '\\']).next().unwrap_or_default();
    let packed = name.strip_suffix(".gz").or_else(|| name.strip_suffix(".zip")).unwrap_or(name);
    packed.strip_suffix(".csv").unwrap_or(packed)
}

/// What stands before a day (`2024-08-09`) or a month (`2024-08`) at the end of a name, and whether it is a day.
pub fn dated(stem: &str) -> Option<(&str, bool)> {
    let ends = |form: &str| {
        let (before, date) = stem.split_at_checked(stem.len().checked_sub(form.len())?)?;
        let fits = |(c, f): (u8, u8)| if f == b'-' { c == b'-' } else { c.is_ascii_digit() };
        date.bytes().zip(form.bytes()).all(fits).then_some(before)
    };
    ends("0000-00-00").map(|before| (before, true)).or_else(|| ends("0000-00").map(|before| (before, false)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::InstrumentKind;

    fn fields(line: &str) -> Vec<Cow<'_, str>> {
        line.split(',').map(Cow::Borrowed).collect()
    }

    #[test]
    fn a_line_of_words_is_a_header_and_a_line_with_a_number_is_a_row() {
        let names = |line: &str| Row::header(&fields(line));
        let expected = Some(vec!["trade_id".to_owned(), "side".to_owned()]);
        assert_eq!(names("\u{feff}trade_id/\u{fffd}\u{fffd}id, side/方向"), expected);
        for row in ["1,2.5,true", "BTC-USDT,7,buy", "币安人生USDT,-1", "", ",a"] {
            assert_eq!(names(row), None, "{row}");
        }
    }

    #[test]
    fn fields_are_found_by_the_header_or_else_by_their_place() {
        let header = vec!["qty".to_owned(), "new".to_owned(), "px".to_owned()];
        let (named, placed) = (fields("2,x,1.5"), fields("1.5,2"));
        let instrument = Instrument::provisional("v", "", "A", InstrumentKind::Spot);
        for row in [
            Row::new(Some(&header), &named).or_columns(&["px", "qty"]),
            Row::new(None, &placed).or_columns(&["px", "qty", "time"]),
        ] {
            let row = row.unwrap();
            assert_eq!(row.px("px", &instrument), Ok(Px(150_000_000)));
            assert_eq!(row.qty("qty", &instrument), Ok(Qty(200_000_000)));
            assert_eq!(row.time("time", 6).unwrap_err().what, What::Missing("time"));
        }
        assert!(Row::new(None, &placed).or_columns(&["px"]).is_err());
    }

    #[test]
    fn what_cannot_be_read_says_where_and_what_would_be_needed() {
        let row = fields("1.5,-2,0.1234567891,Hold,0,2026-13-01 00:00:00");
        let row = Row::new(None, &row).or_columns(&["a", "b", "c", "side", "time", "civil"]).unwrap();
        let instrument = Instrument::provisional("v", "", "A", InstrumentKind::Spot);
        assert_eq!(row.qty("b", &instrument).unwrap_err().at, 4);
        let fine = Decimal::new(1_234_567_891, 10);
        assert_eq!(row.px("c", &instrument).unwrap_err().what, What::Scale(Field::Px, fine));
        assert_eq!(row.side("side").unwrap_err(), row.fault("side", What::Expected("buy or sell")));
        assert!(row.time("time", 6).is_err() && row.civil("civil").is_err() && row.u64("a").is_err());
        assert_eq!(row.decimal_opt("none"), Ok(None));
        assert!(row.decimal_opt("side").is_err());
    }

    #[test]
    fn times_of_every_unit_are_exact() {
        let row =
            fields("1700000000.1234,1700000000123,1700000000123456,2023-11-14 22:13:20,2024.02.29 23:59");
        let row = Row::new(None, &row).or_columns(&["s", "ms", "us", "a", "b"]).unwrap();
        assert_eq!(row.time("s", 9), Ok(Ts(1_700_000_000_123_400_000)));
        assert_eq!(row.time("ms", 6), Ok(Ts(1_700_000_000_123_000_000)));
        assert_eq!(row.time("us", 3), Ok(Ts(1_700_000_000_123_456_000)));
        assert_eq!(row.civil("a"), Ok(Ts(1_700_000_000_000_000_000)));
        assert_eq!(row.civil("b"), Ok(Ts(1_709_251_140_000_000_000)));
    }

    #[test]
    fn a_name_ends_with_its_date() {
        for (path, expected) in [
            ("a/BTCUSDT-1m-2024-08.zip", Some(("BTCUSDT-1m-", false))),
            ("BTCUSDT2024-08-09.csv.gz", Some(("BTCUSDT", true))),
            (r"c:\币2024-08-09.csv", Some(("币", true))),
            ("2024.csv", None),
            ("币", None),
        ] {
            assert_eq!(dated(stem(path)), expected, "{path}");
        }
    }
}
