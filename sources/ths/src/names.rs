//! How the venue spells things: bare codes of stocks, concepts by numbers of their own, and its lists.

use crate::NAME;
use model::ashare::{self, Board, Code, CodeError, Market};
use model::{Instrument, InstrumentId, InstrumentKind};

/// One of the venue's lists.
#[derive(Debug, PartialEq, Eq)]
pub struct List {
    /// The symbol of the instrument that stands for it.
    pub symbol: &'static str,
    /// For people.
    pub title: &'static str,
    /// Of stocks, or of concepts and industries.
    pub stocks: bool,
    query: &'static str,
}

const fn known(symbol: &'static str, title: &'static str, stocks: bool, query: &'static str) -> List {
    List { symbol, title, stocks, query }
}

/// The five hot lists of stocks, and the lists of concepts and industries. The last three of the stocks are of the day.
pub const LISTS: [List; 7] = [
    known("hot_normal", "热股榜", true, "stock_type=a&type=hour&list_type=normal"),
    known("hot_skyrocket", "飙升榜", true, "stock_type=a&type=hour&list_type=skyrocket"),
    known("hot_tech", "技术交易派", true, "stock_type=a&type=day&list_type=tech"),
    known("hot_value", "价值投资派", true, "stock_type=a&type=day&list_type=value"),
    known("hot_trend", "趋势投资派", true, "stock_type=a&type=day&list_type=trend"),
    known("hot_concept", "概念热度", false, "type=concept"),
    known("hot_industry", "行业热度", false, "type=industry"),
];

impl List {
    /// The path that asks for it.
    pub fn path(&self) -> String {
        let what = if self.stocks { "stock" } else { "plate" };
        format!("/fuyao/hot_list_data/out/hot_list/v1/{what}?{}", self.query)
    }

    /// The instrument that stands for it.
    pub fn define(&self) -> Instrument {
        group(self.symbol, self.title)
    }
}

/// The list that a path, or a recorded URL, asks for.
pub fn list_of(path: &str) -> Option<&'static List> {
    LISTS.iter().find(|list| path.ends_with(&list.path()))
}

/// The list that an instrument stands for.
pub fn list(instrument: &Instrument) -> Option<&'static List> {
    LISTS.iter().find(|list| *instrument.venue == *NAME && *list.symbol == *instrument.symbol)
}

/// The definition of a list, a concept or an industry.
pub fn group(symbol: &str, title: &str) -> Instrument {
    let made = Instrument::provisional(NAME, "", symbol, InstrumentKind::Index);
    Instrument { title: title.into(), quote: "CNY".into(), px_scale: 2, qty_scale: 0, ..made }
}

/// The id of a list, a concept or an industry.
pub fn group_id(symbol: &str) -> InstrumentId {
    InstrumentId::of(NAME, "", symbol)
}

/// The id of a stock.
pub fn id(code: Code) -> InstrumentId {
    InstrumentId::of(code.market.venue(), "", code.digits())
}

/// The stock or fund that a bare code means: where two exchanges know it, the share.
pub fn stock(code: &str) -> Option<Code> {
    let code = match Code::parse(code) {
        Ok(code) => code,
        Err(CodeError::Ambiguous(both)) => both.into_iter().find(|code| code.section().board.is_a_share())?,
        Err(CodeError::Unreadable) => return None,
    };
    (code.section().board != Board::Index).then_some(code)
}

/// How the venue spells an instrument; `None` where it has none: Beijing is not told, and indices have other codes.
pub fn spelled(instrument: &Instrument) -> Option<String> {
    let code = ashare::code(instrument)?;
    (code.market != Market::Bj && stock(code.digits()) == Some(code)).then(|| format!("hs_{}", code.digits()))
}

/// The market of a row: 17 Shanghai, 33 Shenzhen; else by the code.
pub fn of_market(market: Option<i64>, code: &str) -> Option<Code> {
    match market {
        Some(17) => Code::new(Market::Sh, code),
        Some(33) => Code::new(Market::Sz, code),
        _ => stock(code),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bare_codes_mean_shares_and_funds_and_what_the_venue_has_not_is_not_asked() {
        let spelled = |code: &str| spelled(&ashare::instrument(Code::parse(code).unwrap(), ""));
        assert_eq!(spelled("SZ000001"), Some("hs_000001".to_owned()));
        assert_eq!(spelled("512880"), Some("hs_512880".to_owned()));
        for other in ["SH000001", "920118", "399006"] {
            assert_eq!(spelled(other), None, "{other}");
        }
        for list in &LISTS {
            assert_eq!(list_of(&list.path()), Some(list));
            assert_eq!(super::list(&list.define()), Some(list));
        }
    }
}
