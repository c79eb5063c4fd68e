//! Instruments: definitions that the venue lists, and those made up from a symbol before any is known.

use model::{Decimal, Instrument, InstrumentKind, Right, SCALE_MAX, Status, Ts};
use source::{Cursor, Malformed, What};

/// Whether a path or recorded URL is a listing.
pub fn is_listing(path: &str) -> bool {
    path.contains("public/get_instrument")
}

/// One instrument as it is listed.
///
/// `{"instrument_name":"BTC-PERPETUAL","instrument_id":210838,"kind":"future","instrument_type":"reversed","base_currency":"BTC","quote_currency":"USD","counter_currency":"USD","settlement_currency":"BTC","settlement_period":"perpetual","tick_size":0.5,"tick_size_steps":[],"contract_size":10.0,"min_trade_amount":10.0,"is_active":true,"state":"open","expiration_timestamp":32503708800000}`
#[derive(Default)]
struct Row<'a> {
    name: &'a str,
    kind: &'a [u8],
    instrument_type: &'a [u8],
    base: &'a str,
    quote: &'a str,
    counter: &'a str,
    settlement: &'a str,
    period: &'a [u8],
    tick: Option<Decimal>,
    /// The finest of the ticks above some price.
    steps: Option<Decimal>,
    lot: Option<Decimal>,
    active: Option<bool>,
    state: Option<&'a [u8]>,
    expiry: Option<u64>,
    right: &'a [u8],
    strike: Option<Decimal>,
}

/// Reads a listing, or the definition of one instrument. Combinations of instruments are left out.
pub fn read(body: &[u8]) -> Result<Vec<Instrument>, Malformed> {
    let (mut made, mut there) = (Vec::new(), false);
    let mut c = Cursor::new(body);
    c.object(|c, key| {
        if key == b"result" {
            there = true;
            if c.peek() == Some(b'[') {
                return c.array(|c| {
                    made.extend(row(c)?.instrument());
                    Ok(())
                });
            }
            made.extend(row(c)?.instrument());
            return Ok(());
        }
        c.skip().map(|_| ())
    })?;
    c.end()?;
    if there { Ok(made) } else { Err(c.fault(What::Missing("result"))) }
}

fn text<'a>(c: &mut Cursor<'a>) -> Result<&'a str, Malformed> {
    if c.null() { Ok("") } else { c.utf8() }
}

fn row<'a>(c: &mut Cursor<'a>) -> Result<Row<'a>, Malformed> {
    let mut row = Row::default();
    c.object(|c, key| {
        match key {
            b"instrument_name" => row.name = c.utf8()?,
            b"kind" => row.kind = c.str()?,
            b"instrument_type" => row.instrument_type = text(c)?.as_bytes(),
            b"base_currency" => row.base = text(c)?,
            b"quote_currency" => row.quote = text(c)?,
            b"counter_currency" => row.counter = text(c)?,
            b"settlement_currency" => row.settlement = text(c)?,
            b"settlement_period" => row.period = text(c)?.as_bytes(),
            b"tick_size" => row.tick = c.decimal_opt()?,
            b"tick_size_steps" => c.array(|c| {
                c.object(|c, key| {
                    if key == b"tick_size" {
                        let tick = c.decimal()?;
                        row.steps = Some(row.steps.map_or(tick, |t: Decimal| t.min(tick)));
                        return Ok(());
                    }
                    c.skip().map(|_| ())
                })
            })?,
            b"min_trade_amount" => row.lot = c.decimal_opt()?,
            b"is_active" => row.active = Some(c.bool()?),
            b"state" => row.state = Some(text(c)?.as_bytes()),
            b"expiration_timestamp" => row.expiry = Some(c.u64()?),
            b"option_type" => row.right = text(c)?.as_bytes(),
            b"strike" => row.strike = c.decimal_opt()?,
            _ => {
                c.skip()?;
            }
        }
        Ok(())
    })?;
    if row.name.is_empty() || row.kind.is_empty() {
        return Err(c.fault(What::Missing("instrument_name and kind")));
    }
    Ok(row)
}

impl Row<'_> {
    fn instrument(&self) -> Option<Instrument> {
        let kind = match self.kind {
            b"future" if self.period == b"perpetual" => InstrumentKind::Perpetual,
            b"future" => InstrumentKind::Future,
            b"option" => InstrumentKind::Option,
            b"spot" => InstrumentKind::Spot,
            _ => return None,
        };
        let mut made = Instrument::provisional(crate::NAME, "", self.name, kind);
        made.provisional = false;
        if matches!(kind, InstrumentKind::Future | InstrumentKind::Option) {
            made.expiry = self.expiry.and_then(|ms| i64::try_from(ms).ok()).map(Ts::from_ms);
        }
        if kind == InstrumentKind::Option {
            let right = if self.right == b"call" { Right::Call } else { Right::Put };
            made.option = self.strike.map(|strike| (strike, right));
        }
        let fine = |d: &Decimal| !d.is_zero() && d.scale() <= SCALE_MAX;
        made.tick = self.tick.filter(fine);
        made.lot = self.lot.filter(fine);
        let ticks = made.tick.into_iter().chain(self.steps.filter(fine)).map(Decimal::scale);
        made.px_scale = ticks.max().unwrap_or(made.px_scale);
        made.qty_scale = made.lot.map_or(made.qty_scale, Decimal::scale);
        made.status = match (self.state, self.active) {
            (Some(state), _) if !state.is_empty() => status(state),
            (_, Some(false)) => Status::Closed,
            _ => Status::Trading,
        };
        // Options of coins are priced in the coin; what they are on is quoted in dollars.
        let quote = match (self.quote == self.base, self.counter) {
            (true, "") => "USD",
            (true, counter) => counter,
            (false, _) => self.quote,
        };
        let settle = match kind {
            InstrumentKind::Spot | InstrumentKind::Index => "",
            _ if !self.settlement.is_empty() => self.settlement,
            _ if quote == "USD" => self.base,
            _ => quote,
        };
        Some(sized(made.named(self.base, quote, settle)))
    }
}

/// Quantities are amounts, not contracts: in base, but in dollars where futures are settled in the coin.
fn sized(mut made: Instrument) -> Instrument {
    made.contract_size = is_inverse(&made).then(|| Decimal::new(1, 0));
    made
}

/// Whether quantities are in the currency of the price: a future that is settled in its base.
pub fn is_inverse(instrument: &Instrument) -> bool {
    let future = matches!(instrument.kind, InstrumentKind::Perpetual | InstrumentKind::Future);
    future && !instrument.base.is_empty() && instrument.settle == instrument.base
}

/// What the venue's word for the state of an instrument means.
pub fn status(state: &[u8]) -> Status {
    match state {
        b"open" | b"started" | b"active" => Status::Trading,
        b"created" | b"preopen" => Status::PreOpen,
        b"settled" | b"settlement" | b"halted" | b"locked" | b"inactive" => Status::Halted,
        b"closed" | b"terminated" | b"deactivated" | b"archivized" | b"expired" => Status::Closed,
        other => Status::Other(String::from_utf8_lossy(other).into()),
    }
}

/// The index under an instrument: `btc_usd`; `None` where base or quote is unknown.
pub fn index_of(instrument: &Instrument) -> Option<String> {
    let (base, quote) = (&instrument.base, &instrument.quote);
    let known = !base.is_empty() && !quote.is_empty();
    known.then(|| format!("{}_{}", base.to_ascii_lowercase(), quote.to_ascii_lowercase()))
}

/// The volatility index that an instrument's lane shows: of the coin, on its perpetuals and its index.
pub fn volatility_index_of(instrument: &Instrument) -> Option<String> {
    let fits = matches!(instrument.kind, InstrumentKind::Perpetual | InstrumentKind::Index)
        && matches!(&*instrument.base, "BTC" | "ETH");
    fits.then(|| format!("{}_usd", instrument.base.to_ascii_lowercase()))
}

/// A provisional definition whose kind and name come from the form of the symbol, or `None` where that is no symbol.
pub fn provisional(symbol: &[u8]) -> Option<Instrument> {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    if symbol.is_empty() || symbol.len() > 64 || !symbol.iter().all(plain) {
        return None;
    }
    let symbol = std::str::from_utf8(symbol).ok()?;
    let made = |kind| Instrument::provisional(crate::NAME, "", symbol, kind);
    let parts: Vec<&str> = symbol.split('-').collect();
    let named = |made: Instrument, pair: &str| match pair.split_once('_') {
        Some((base, quote)) => sized(made.named(base, quote, quote)),
        None => sized(made.named(pair, "USD", pair)),
    };
    Some(match parts.as_slice() {
        [index] if index.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_') => {
            let mut made = made(InstrumentKind::Index);
            if let Some((base, quote)) = index.split_once('_') {
                made.base = base.to_ascii_uppercase().into();
                made.quote = quote.to_ascii_uppercase().into();
            }
            made
        }
        [pair] => match pair.split_once('_') {
            Some((base, quote)) => made(InstrumentKind::Spot).named(base, quote, ""),
            None => made(InstrumentKind::Spot),
        },
        [pair, "PERPETUAL"] => named(made(InstrumentKind::Perpetual), pair),
        [pair, day] if expiry(day).is_some() => {
            let mut future = made(InstrumentKind::Future);
            future.expiry = expiry(day);
            named(future, pair)
        }
        [pair, day, strike, right @ ("C" | "P")] if expiry(day).is_some() => {
            let mut option = made(InstrumentKind::Option);
            option.expiry = expiry(day);
            let right = if *right == "C" { Right::Call } else { Right::Put };
            let strike = Decimal::parse(strike.replace('d', ".").as_bytes()).ok();
            option.option = strike.map(|strike| (strike, right));
            named(option, pair)
        }
        // Combinations of instruments have names that need the list.
        _ => made(InstrumentKind::Future),
    })
}

const MONTHS: [&str; 12] =
    ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];

/// 08:00 UTC of a day written `6JAN23`.
fn expiry(day: &str) -> Option<Ts> {
    let letters = day.find(|c: char| c.is_ascii_uppercase())?;
    let (date, rest) = day.split_at_checked(letters)?;
    let (month, year) = rest.split_at_checked(3)?;
    let month = i64::try_from(MONTHS.iter().position(|m| *m == month)?).ok()? + 1;
    let digits =
        |t: &str| (!t.is_empty() && t.len() <= 2 && t.bytes().all(|b| b.is_ascii_digit())).then_some(());
    digits(date)?;
    digits(year).filter(|()| year.len() == 2)?;
    let days = days_from_civil(2000 + year.parse::<i64>().ok()?, month, date.parse().ok()?)?;
    Some(Ts::from_ms(days * 86_400_000 + 8 * 3_600_000))
}

/// Days from the UNIX epoch to a date (Howard Hinnant's algorithm).
fn days_from_civil(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year - era * 400;
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    Some(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
}

#[cfg(test)]
mod tests;
