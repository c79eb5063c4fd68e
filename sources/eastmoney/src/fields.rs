//! Answers and their numbered fields: `{"rc":0,…,"data":{"f2":14.02,"f12":"000001",…}}`.

use model::Decimal;
use source::web::{self, payload, scaled};
use source::{Cursor, Malformed, What};
use std::collections::BTreeMap;

pub type Result<T> = std::result::Result<T, Malformed>;

/// An answer around its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// Whether `data` is whole; of a stream false where it holds only what has changed.
    pub full: bool,
    /// JSON; `None` for `null`: there is nothing, or nothing has changed.
    pub data: Option<&'a [u8]>,
}

/// Reads an answer, bare or in a call.
///
/// # Errors
/// Where it is no JSON object with `data`, or names an error (`rc` that is neither 0 nor 102, which means "no data").
pub fn envelope(body: &[u8]) -> Result<Envelope<'_>> {
    let mut c = Cursor::new(payload(body)?);
    let (mut rc, mut full, mut data) = (0, true, None);
    c.object(|c, key| {
        match key {
            b"rc" => rc = c.i64()?,
            b"full" => full = c.i64()? != 0,
            b"data" => data = Some(if c.null() { None } else { Some(c.skip()?) }),
            _ => _ = c.skip()?,
        }
        Ok(())
    })?;
    c.end()?;
    match (rc, data) {
        (0 | 102, Some(data)) => Ok(Envelope { full, data }),
        (0, None) => Err(c.fault(What::Missing("data"))),
        (102, None) => Ok(Envelope { full, data: None }),
        _ => Err(c.fault(What::Rule("the answer names an error (rc)"))),
    }
}

/// What stands in a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// `"-"`: there is none. Not the same as 0.
    Missing,
    /// A number, exact.
    Number(Decimal),
    /// Anything else.
    Text(Box<str>),
}

/// The numbered fields of one row. What a number means differs between lists and single stocks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    all: BTreeMap<u16, Value>,
    /// Whether prices are integers at the row's own scale (`fltt=1`).
    raw: bool,
}

impl Fields {
    /// Reads a row. Keys that are no field, and values that are neither number nor text, are passed over.
    ///
    /// # Errors
    /// Where it is no JSON object.
    pub fn read(row: &[u8], raw: bool) -> Result<Self> {
        let mut c = Cursor::new(row);
        let mut all = BTreeMap::new();
        c.object(|c, key| {
            let number = key.strip_prefix(b"f").and_then(|n| std::str::from_utf8(n).ok()?.parse().ok());
            let value = match c.peek() {
                Some(b'"') => match &*web::text(c)? {
                    "-" | "" => Value::Missing,
                    text => Value::Text(text.into()),
                },
                Some(b'{' | b'[' | b't' | b'f') => {
                    c.skip()?;
                    return Ok(());
                }
                _ => c.decimal_opt()?.map_or(Value::Missing, Value::Number),
            };
            all.extend(number.map(|n: u16| (n, value)));
            Ok(())
        })?;
        c.end()?;
        Ok(Self { all, raw })
    }

    /// Takes over what has changed.
    pub fn merge(&mut self, news: Self) {
        self.all.extend(news.all);
    }

    /// The value of a field; `None` where it was not told.
    pub fn get(&self, field: u16) -> Option<&Value> {
        self.all.get(&field)
    }

    /// A text; empty where there is none.
    pub fn text(&self, field: u16) -> &str {
        match self.get(field) {
            Some(Value::Text(text)) => text,
            _ => "",
        }
    }

    /// A number as it stands.
    ///
    /// # Errors
    /// [`What::Number`] where a text stands that is none.
    pub fn number(&self, field: u16) -> Result<Option<Decimal>> {
        match self.get(field) {
            Some(Value::Number(number)) => Ok(Some(*number)),
            Some(Value::Text(text)) => web::number(text.as_bytes()),
            Some(Value::Missing) | None => Ok(None),
        }
    }

    /// A number with its point moved to the right by `tens` (手 to shares: 2).
    ///
    /// # Errors
    /// As [`Self::number`].
    pub fn times(&self, field: u16, tens: i8) -> Result<Option<Decimal>> {
        self.number(field)?.map(|n| moved(n, tens)).transpose()
    }

    /// A price; 0 means that there is none. `scale` is the field that tells how many decimals integers have.
    ///
    /// # Errors
    /// As [`Self::number`], and where integers come without their scale.
    pub fn price(&self, field: u16, scale: u16) -> Result<Option<Decimal>> {
        let Some(number) = self.number(field)?.filter(|n| !n.is_zero()) else { return Ok(None) };
        if !self.raw {
            return Ok(Some(number));
        }
        let decimals = self.number(scale)?.and_then(|n| n.mantissa_at(0)).and_then(|n| i8::try_from(n).ok());
        let decimals = decimals
            .filter(|n| (0..=8).contains(n))
            .ok_or(Malformed { at: 0, what: What::Missing("the number of decimals (f1, f59)") })?;
        moved(number, -decimals).map(Some)
    }
}

fn moved(number: Decimal, tens: i8) -> Result<Decimal> {
    scaled(number, tens).ok_or(Malformed { at: 0, what: What::Number(model::NumError::TooLarge) })
}

/// The rows of a list.
#[derive(Debug)]
pub struct Page {
    /// How many rows there are on all pages.
    pub total: u64,
    /// The rows of this page, each with its key where rows are keyed (`"0"`, `"1"`, …), else its place. One that cannot be
    /// read harms no other.
    pub rows: Vec<(usize, Result<Fields>)>,
}

/// Reads the data of a list: `{"total":5133,"diff":[{…},…]}` or, without `np=1`, `"diff":{"0":{…},…}`.
///
/// # Errors
/// Where it is no such object.
pub fn page(data: &[u8], raw: bool) -> Result<Page> {
    let mut page = Page { total: 0, rows: Vec::new() };
    let mut c = Cursor::new(data);
    c.object(|c, key| {
        match key {
            b"total" => page.total = c.u64()?,
            b"diff" if c.peek() == Some(b'{') => c.object(|c, key| {
                let at = std::str::from_utf8(key).ok().and_then(|k| k.parse().ok());
                let at = at.ok_or_else(|| c.fault(What::Expected("the number of a row")))?;
                page.rows.push((at, Fields::read(c.skip()?, raw)));
                Ok(())
            })?,
            b"diff" => c.array(|c| {
                page.rows.push((page.rows.len(), Fields::read(c.skip()?, raw)));
                Ok(())
            })?,
            _ => _ = c.skip()?,
        }
        Ok(())
    })?;
    c.end()?;
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Decimal {
        Decimal::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_missing_number_is_not_zero() {
        let row =
            Fields::read(br#"{"f2":"-","f5":0,"f6":null,"f12":"000003","f18":2.71,"x":1,"f80":[1]}"#, false);
        let row = row.unwrap();
        assert_eq!((row.get(2), row.get(6)), (Some(&Value::Missing), Some(&Value::Missing)));
        assert_eq!(row.number(5), Ok(Some(of("0"))));
        assert_eq!(row.get(80), None);
        assert_eq!(row.text(12), "000003");
        assert_eq!(row.price(18, 1), Ok(Some(of("2.71"))));
    }

    #[test]
    fn integers_and_decimals_give_the_same_price() {
        let raw = Fields::read(br#"{"f1":2,"f2":187,"f18":190}"#, true).unwrap();
        let plain = Fields::read(br#"{"f2":1.87,"f18":1.90}"#, false).unwrap();
        for field in [2, 18] {
            assert_eq!(raw.price(field, 1), plain.price(field, 1));
        }
        let unscaled = Fields::read(br#"{"f2":187}"#, true).unwrap();
        assert!(unscaled.price(2, 1).is_err());
    }

    #[test]
    fn an_envelope_is_read_bare_and_in_a_call_and_null_is_nothing() {
        for body in [&br#"{"rc":0,"rt":6,"full":1,"data":{"a":1}}"#[..], br#"cb_1({"data":{"a":1},"rc":0});"#]
        {
            assert_eq!(envelope(body), Ok(Envelope { full: true, data: Some(br#"{"a":1}"#) }));
        }
        for body in [&br#"{"rc":0,"rt":2,"data":null}"#[..], br#"{"rc":102,"rt":4,"full":0}"#] {
            assert_eq!(envelope(body).unwrap().data, None);
        }
        assert!(envelope(br#"{"rc":1,"data":{}}"#).is_err());
        assert!(envelope(br#"{"rc":0}"#).is_err());
        assert_eq!(envelope(b"<html>verify").unwrap_err().what, web::PAGE);
    }

    #[test]
    fn one_row_that_cannot_be_read_spoils_no_other() {
        let data = br#"{"total":3,"diff":[{"f2":1},{"f2":1x},{"f2":3}]}"#;
        assert!(page(data, false).is_err(), "no JSON at all");
        let data = br#"{"total":3,"diff":[{"f2":1},7,{"f2":3}]}"#;
        let read = page(data, false).unwrap();
        assert_eq!(read.total, 3);
        assert_eq!(
            read.rows.iter().map(|(at, row)| (*at, row.is_ok())).collect::<Vec<_>>(),
            [(0, true), (1, false), (2, true)]
        );
        let keyed = page(br#"{"total":4,"diff":{"2":{"f2":921},"0":{"f2":1}}}"#, true).unwrap();
        assert_eq!(keyed.rows.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [2, 0]);
    }
}
