//! How the venue spells instruments: `1.600519`, `0.000001`, `90.BK0475`.

use crate::NAME;
use crate::fields::{Fields, Result};
use model::ashare::{self, Code, CodeError};
use model::{Decimal, Instrument, InstrumentId, InstrumentKind};
use source::{Malformed, What};

/// The section of boards.
const BOARDS: i64 = 90;

/// What a row, or an answer, is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key<'a> {
    /// A stock, fund, bond or index.
    Code(Code),
    /// A board: an industry, a concept or a region.
    Board(&'a str),
}

impl Key<'_> {
    /// The instrument's id. Of a board it is that of a definition without a product.
    pub fn id(self) -> InstrumentId {
        match self {
            Self::Code(code) => InstrumentId::of(code.market.venue(), "", code.digits()),
            Self::Board(code) => InstrumentId::of(NAME, "", code),
        }
    }

    /// How many shares are one 手, the venue's unit of volumes, as a power of ten.
    pub fn lot(self) -> i8 {
        match self {
            Self::Code(code) if code.section().board.lot() == 10 => 1,
            Self::Code(_) | Self::Board(_) => 2,
        }
    }

    /// Its definition.
    pub fn define(self, title: &str) -> Instrument {
        match self {
            Self::Code(code) => ashare::instrument(code, title),
            Self::Board(code) => {
                let made = Instrument::provisional(NAME, "", code, InstrumentKind::Index);
                Instrument { title: title.into(), quote: "CNY".into(), px_scale: 2, qty_scale: 0, ..made }
            }
        }
    }
}

/// What a section and a code mean: 1 is Shanghai, 0 Shenzhen or Beijing, 90 boards. Where the section is not told, a code
/// that two exchanges know is the share.
///
/// # Errors
/// Where there is no code, or one of another market.
pub fn key(section: Option<Decimal>, code: &str) -> Result<Key<'_>> {
    let fault = |what| Malformed { at: 0, what };
    if code.is_empty() {
        return Err(fault(What::Missing("a code (f12, f57)")));
    }
    let section = section.and_then(|n| n.mantissa_at(0));
    if section == Some(BOARDS) || section.is_none() && code.starts_with("BK") {
        return Ok(Key::Board(code));
    }
    let read = section.map_or_else(|| Code::parse(code), |section| Code::parse(&format!("{section}.{code}")));
    match read {
        Ok(code) => Ok(Key::Code(code)),
        Err(CodeError::Ambiguous(both)) => {
            let share = both.into_iter().find(|code| code.section().board.is_a_share());
            share.map(Key::Code).ok_or_else(|| fault(What::Rule("two exchanges know this code")))
        }
        Err(CodeError::Unreadable) => Err(fault(What::Rule("a code that belongs to no Chinese exchange"))),
    }
}

/// What a row of a list is about.
///
/// # Errors
/// As [`key`].
pub fn of_row(row: &Fields) -> Result<Key<'_>> {
    key(row.number(13)?, row.text(12))
}

/// The venue's spelling of an instrument; `None` where it is not the venue's.
pub fn secid(instrument: &Instrument) -> Option<String> {
    let section = match &*instrument.venue {
        "sse" => 1,
        "szse" | "bse" => 0,
        NAME => BOARDS,
        _ => return None,
    };
    Some(format!("{section}.{}", instrument.symbol))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(section: i128, code: &str) -> String {
        key(Some(Decimal::new(section, 0)), code).unwrap().define("").name.to_string()
    }

    #[test]
    fn sections_and_codes_name_instruments_and_back() {
        for (section, code, name) in [
            (1, "600519", "600519.SH"),
            (0, "000001", "000001.SZ"),
            (1, "000001", "000001.SH"),
            (0, "920118", "920118.BJ"),
            (90, "BK0475", "BK0475@eastmoney"),
        ] {
            assert_eq!(of(section, code), name);
            let made = key(Some(Decimal::new(section, 0)), code).unwrap();
            assert_eq!(secid(&made.define("")), Some(format!("{section}.{code}")));
            assert_eq!(made.define("").id, made.id());
        }
    }

    #[test]
    fn a_bare_code_is_the_share_and_foreign_ones_are_refused() {
        assert_eq!(key(None, "000001").unwrap().define("").name.as_ref(), "000001.SZ");
        for (section, code) in [(None, ""), (Some(116), "00700"), (Some(1), "60051"), (None, "777777")] {
            assert!(key(section.map(|n| Decimal::new(n, 0)), code).is_err(), "{code}");
        }
    }
}
