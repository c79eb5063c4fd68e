//! A quote: `1~贵州茅台~600519~1355.29~1343.00~…` in GBK.

use model::ashare::{Board, Code};
use model::{DayStats, Decimal, Status};
use source::poll::{Quoted, Side};
use source::web::{self, china_time, gbk, scaled};
use source::{Malformed, What};

type Result<T> = std::result::Result<T, Malformed>;

/// A quote has at least so many fields; those of shares have 88 and more, of others 50 and more.
const FIELDS_MIN: usize = 38;
/// Where the fields begin that follow the code.
const FIRST: usize = 3;

fn fault(what: What) -> Malformed {
    Malformed { at: 0, what }
}

/// The fields from the last price on. The name before the code may end in half a character, which swallows the sign that
/// parts it from the code in a reader that decodes first; so the code is looked for, and all after it is ASCII.
struct Fields<'a>(Vec<&'a [u8]>);

impl<'a> Fields<'a> {
    fn raw(&self, field: usize) -> &'a [u8] {
        field.checked_sub(FIRST).and_then(|at| self.0.get(at)).copied().unwrap_or_default().trim_ascii()
    }

    fn number(&self, field: usize) -> Result<Option<Decimal>> {
        web::number(self.raw(field))
    }

    /// A price; 0 and −1 mean that there is none.
    fn px(&self, field: usize) -> Result<Option<Decimal>> {
        Ok(self.number(field)?.filter(|px| *px > Decimal::default()))
    }

    fn qty(&self, field: usize, unit: i8) -> Result<Option<Decimal>> {
        self.number(field)?.map(|qty| times(qty, unit)).transpose()
    }
}

fn times(qty: Decimal, unit: i8) -> Result<Decimal> {
    scaled(qty, unit).ok_or(fault(What::Number(model::NumError::TooLarge)))
}

/// Reads the value of `v_<name>`.
///
/// # Errors
/// Where the name is no code, the value is about another one, too short, no GBK, or a number is none.
pub fn quote(name: &str, value: &[u8]) -> Result<(Code, Quoted)> {
    let code = Code::parse(name).map_err(|_| fault(What::Expected("a code of a Chinese exchange")))?;
    let mark = format!("~{}~", code.digits());
    let at = value.windows(mark.len()).position(|part| part == mark.as_bytes());
    let at = at.ok_or(fault(What::Rule("the quote is about another code")))?;
    let (head, rest) = value.split_at(at);
    let title = head.splitn(2, |byte| *byte == b'~').nth(1).unwrap_or_default();
    let title = gbk(title)?;
    let fields = Fields(rest.get(mark.len()..).unwrap_or_default().split(|byte| *byte == b'~').collect());
    if fields.0.len() + FIRST < FIELDS_MIN {
        return Err(fault(What::Missing("fields of a quote")));
    }
    read(code, title.trim(), &fields).map(|quote| (code, quote))
}

fn read(code: Code, title: &str, fields: &Fields<'_>) -> Result<Quoted> {
    let (last, volume) = (fields.px(3)?, fields.number(6)?);
    let turnover = fields.raw(35).split(|byte| *byte == b'/').nth(2).map(web::number).transpose()?.flatten();
    let unit = unit(code, (last, volume, turnover));
    let traded = volume.is_some_and(|volume| !volume.is_zero());
    let stats = DayStats {
        open: fields.px(5)?,
        high: fields.px(33)?,
        low: fields.px(34)?,
        // Before the first trade it is the price of the auction, or the one of the day before.
        last: last.filter(|_| traded),
        volume: volume.map(|volume| times(volume, unit)).transpose()?,
        turnover,
        prev_close: fields.px(4)?,
        limit_up: fields.px(47)?,
        limit_down: fields.px(48)?,
        buy_volume: fields.qty(7, unit)?,
        sell_volume: fields.qty(8, unit)?,
        ..DayStats::default()
    };
    let side = |first: usize| -> Result<Side> {
        let mut side = Vec::with_capacity(5);
        for field in (first..first + 10).step_by(2) {
            // In a call auction the rest that finds no other side stands at the second level without a price.
            side.extend(fields.px(field)?.zip(fields.qty(field + 1, unit)?));
        }
        Ok(side)
    };
    let status = match fields.raw(40) {
        b"" => Some(Status::Trading),
        b"S" => Some(Status::Halted),
        b"D" => Some(Status::Closed),
        other => Some(Status::Other(String::from_utf8_lossy(other).into())),
    };
    let ts = china_time(fields.raw(30));
    Ok(Quoted { ts, title: title.into(), stats, levels: Some((side(9)?, side(19)?)), status })
}

/// The power of ten that takes volumes to shares. They are 手, but single shares on STAR: where money tells which, it is
/// asked.
fn unit(code: Code, (last, volume, turnover): (Option<Decimal>, Option<Decimal>, Option<Decimal>)) -> i8 {
    let board = code.section().board;
    let by_board = match (board, board.lot()) {
        (Board::Star, _) => 0,
        (_, 10) => 1,
        _ => 2,
    };
    let whole = |number: Option<Decimal>| number.and_then(|n| n.mantissa_at(4)).map(i128::from);
    let (Some(last), Some(volume), Some(turnover)) = (whole(last), whole(volume), whole(turnover)) else {
        return by_board;
    };
    // The average price is near the last one; units are ten apart at least.
    let (money, at_last) = (turnover * 10_000, last * volume);
    if board == Board::Index || at_last == 0 || money == 0 {
        by_board
    } else {
        i8::from(money > at_last * 3) + i8::from(money > at_last * 30)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use source::web::to_gbk;

    const LINE: &str = "1~贵州茅台~600519~1355.29~1343.00~1338.00~32353~17836~14517~1355.29~8~1355.01~4~1355.00~29~1354.88~3~1354.85~1~1355.30~2~1355.33~1~1355.49~1~1355.50~8~1355.52~1~~20260813161452~12.29~0.92~1359.60~1337.00~1355.29/32353/4376205567~32353~437621~0.26~20.48~~1359.60~1337.00~1.68~16942.23~16942.23~7.28~1477.30~1208.70~0.92~32";

    fn of(text: &str) -> Option<Decimal> {
        web::number(text.as_bytes()).unwrap()
    }

    #[test]
    fn volumes_are_shares_on_every_board() {
        let (_, quote) = quote("sh600519", &to_gbk(LINE)).unwrap();
        assert_eq!((quote.stats.volume, quote.stats.turnover), (of("3235300"), of("4376205567")));
        assert_eq!(quote.levels.unwrap().0[0], (of("1355.29").unwrap(), of("800").unwrap()));
        let star = "1~x~688981~42.30~42.35~42.39~7365200~3000000~4365200~42.29~500~0~0~0~0~0~0~0~0~42.31~700~0~0~0~0~0~0~0~0~~20230223150000~0~0~42.53~42.20~42.30/7365200/311850660~7365200~31185";
        let (_, quote) = super::quote("sh688981", star.as_bytes()).unwrap();
        assert_eq!(quote.stats.volume, of("7365200"));
        // Before anything was traded the board decides.
        let code = |text| Code::parse(text).unwrap();
        assert_eq!(["688981", "600519", "113052"].map(|c| unit(code(c), (None, None, None))), [0, 2, 1]);
    }

    #[test]
    fn half_a_character_at_the_end_of_a_name_moves_no_field() {
        let mut line = to_gbk(LINE);
        // The last byte of the name.
        line.remove(9);
        let (code, quote) = super::quote("sh600519", &line).unwrap();
        assert_eq!((code.to_string().as_str(), &*quote.title), ("600519.SH", "贵州茅"));
        assert_eq!(quote.stats.last, of("1355.29"));
    }

    #[test]
    fn a_quote_of_another_code_a_short_one_and_one_that_is_no_gbk_are_named() {
        let what = |name: &str, value: &[u8]| quote(name, value).unwrap_err().what;
        assert_eq!(what("sz000001", &to_gbk(LINE)), What::Rule("the quote is about another code"));
        assert_eq!(what("sh600519", b"1~x~600519~1355.29~1343.00"), What::Missing("fields of a quote"));
        let mut line = to_gbk(LINE);
        line[2..6].copy_from_slice(b"\xff\xff\xff\xff");
        assert_eq!(what("sh600519", &line), What::Encoding);
        assert!(matches!(what("hk00700", &to_gbk(LINE)), What::Expected(_)));
    }
}
