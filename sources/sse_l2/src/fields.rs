//! A line of the log as its fields.

use model::{Decimal, Instrument, Px, Qty, Scale, Ts, ashare};
use source::{Field, Malformed, What};

type Result<T> = std::result::Result<T, Malformed>;

/// Digits after the point of prices and quantities, which stand as whole numbers: 1795000 is 1,795.
const SCALE: Scale = 3;

/// The fields of a line in its order.
#[derive(Debug)]
pub(crate) struct Fields<'a>(Vec<One<'a>>);

#[derive(Clone, Copy, Debug)]
struct One<'a> {
    key: &'a str,
    value: &'a str,
    /// Where the value stands in the line.
    at: usize,
}

impl<'a> Fields<'a> {
    pub(crate) fn read(line: &'a [u8]) -> Result<Self> {
        let rule = |at, what| Malformed { at, what };
        let text = str::from_utf8(line).map_err(|e| rule(e.valid_up_to(), What::Encoding))?;
        let mut at = text.strip_prefix("//").map(|_| 2).ok_or(rule(0, What::Expected("`//`")))?;
        let mut all = Vec::with_capacity(64);
        for word in text.get(at..).unwrap_or_default().split([' ', '\t']) {
            if !word.is_empty() {
                let (key, value) = word.split_once('=').ok_or(rule(at, What::Expected("`Key=value`")))?;
                all.push(One { key, value, at: at + key.len() + 1 });
            }
            at += word.len() + 1;
        }
        Ok(Self(all))
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &'a str> + '_ {
        self.0.iter().map(|one| one.key)
    }

    fn one(&self, key: &'static str) -> Result<One<'a>> {
        let found = self.0.iter().find(|one| one.key == key).copied();
        found.ok_or(Malformed { at: 0, what: What::Missing(key) })
    }

    pub(crate) fn text(&self, key: &'static str) -> Result<&'a str> {
        self.one(key).map(|one| one.value)
    }

    /// A fault in the value of a field.
    pub(crate) fn fault(&self, key: &'static str, what: What) -> Malformed {
        Malformed { at: self.one(key).map_or(0, |one| one.at), what }
    }

    /// A whole number that is not negative.
    pub(crate) fn number(&self, key: &'static str) -> Result<u64> {
        let one = self.one(key)?;
        let wrong = |_| Malformed { at: one.at, what: What::Expected("a whole number") };
        one.value.parse().map_err(wrong)
    }

    /// A whole number as a decimal of `scale` digits after the point.
    pub(crate) fn decimal(&self, key: &'static str, scale: Scale) -> Result<Decimal> {
        Ok(Decimal::new(self.number(key)?.into(), scale))
    }

    /// A price or a quantity, as they stand.
    pub(crate) fn milli(&self, key: &'static str) -> Result<Decimal> {
        self.decimal(key, SCALE)
    }

    fn mantissa(&self, key: &'static str, scale: Scale, field: Field) -> Result<i64> {
        let number = self.milli(key)?;
        number.mantissa_at(scale).ok_or_else(|| self.fault(key, What::Scale(field, number)))
    }

    pub(crate) fn px(&self, key: &'static str, instrument: &Instrument) -> Result<Px> {
        self.mantissa(key, instrument.px_scale, Field::Px).map(Px)
    }

    pub(crate) fn qty(&self, key: &'static str, instrument: &Instrument) -> Result<Qty> {
        self.mantissa(key, instrument.qty_scale, Field::Qty).map(Qty)
    }

    /// A quantity of which something is traded or asked for.
    pub(crate) fn some_qty(&self, key: &'static str, instrument: &Instrument) -> Result<Qty> {
        let qty = self.qty(key, instrument)?;
        if qty.0 == 0 {
            return Err(self.fault(key, What::Rule("a quantity is zero")));
        }
        Ok(qty)
    }

    /// A time of day in units of 10^-`digits` seconds, on the day (in Beijing) of `now`: with 2 digits 14302506 is
    /// 14:30:25.06.
    pub(crate) fn time(&self, key: &'static str, digits: u32, now: Ts) -> Result<Ts> {
        let number = self.number(key)?;
        let unit = 10_u64.pow(digits);
        let (clock, part) = (number / unit, number % unit);
        let (hour, minute, second) = (clock / 10_000, clock / 100 % 100, clock % 100);
        if hour >= 24 || minute >= 60 || second >= 60 {
            return Err(self.fault(key, What::Expected("a time of day")));
        }
        let ms = ((hour * 60 + minute) * 60 + second) * 1_000 + part * 1_000 / unit;
        Ok(ashare::instant(ashare::local(now).0, i64::try_from(ms).unwrap_or_default()))
    }
}
