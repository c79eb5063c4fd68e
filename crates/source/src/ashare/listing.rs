//! What is listed: real rules of codes, names made up.

use super::luck::Luck;
use model::Instrument;
use model::ashare::{Board, Code, Market as Exchange, Section, instrument};
use std::sync::Arc;

/// A share, fund, bond or index of the market.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Its code.
    pub code: Code,
    /// Where it is listed.
    pub section: Section,
    /// Its definition; the title is its name without the marks of a day, see `Market::title`.
    pub instrument: Arc<Instrument>,
    /// Whether it is under special treatment (ST).
    pub st: bool,
    /// Which of [`INDUSTRIES`] a share belongs to; `None` for what is no share.
    pub industry: Option<usize>,
    /// Shares in being; of a bond, bonds.
    pub total_shares: i64,
    /// Of these, those that may be traded.
    pub float_shares: i64,
    /// The code that a share of Beijing had before 2025-10-09, for those listed long before.
    pub old_code: Option<Code>,
    /// The number of its day of listing; `None` where that is before the history.
    pub(super) since_day: Option<usize>,
    /// The step of price, as a mantissa. All prices inside the market are counted in it.
    pub(super) tick: i64,
    /// The price it started with and is drawn back to, in ticks.
    pub(super) anchor: i64,
    /// On which day of 243 its company gives something; many never do.
    pub(super) ex_habit: usize,
    /// Its place in the list of shares, by which some get a special fate on the first day.
    pub(super) place: Option<usize>,
}

impl Listed {
    /// Whether it is a share quoted in yuan.
    pub fn is_share(&self) -> bool {
        self.place.is_some()
    }

    /// Whether it is an index: it has no orders, and its volume is that of its members.
    pub fn is_index(&self) -> bool {
        self.section.board == Board::Index
    }

    /// Its number in hashes, the same whatever else is listed.
    pub(super) fn key(&self) -> u64 {
        u64::from(self.code.number()) * 4 + u64::from(self.code.market.byte())
    }

    /// The smallest order to buy.
    pub(super) fn order_min(&self) -> i64 {
        i64::from(self.section.board.order_min().unwrap_or(100))
    }
}

/// The industries, each with the word that ends the names of its shares.
pub const INDUSTRIES: [(&str, &str); 12] = [
    ("计算机设备", "科技"),
    ("综合", "股份"),
    ("半导体", "电子"),
    ("医药制造", "医药"),
    ("电力", "能源"),
    ("化工新材料", "材料"),
    ("通用设备", "机械"),
    ("食品饮料", "食品"),
    ("环保", "环境"),
    ("软件开发", "软件"),
    ("航运港口", "航运"),
    ("零售", "商业"),
];
const FIRST: &str = "清岚沐澄霁昱翊珩钧璟瀚煜晟睿弘笙朔渊泓霖屿棠槿蔚昭映稷麓砚铭";
const SECOND: &str = "溪岳川桥舟原洲湾陵峰渡泽野塘涧池堤岭港坊榆杉枫荷苇岩砾潮鹭汀";

/// Besides the shares: code, name, start in ticks, shares in millions.
const OTHERS: [(&str, &str, i64, i64); 12] = [
    ("SH000001", "上证指数", 390_000, 1_500_000),
    ("SH000300", "沪深300", 460_000, 700_000),
    ("SH000688", "科创50", 140_000, 60_000),
    ("SZ399001", "深证成指", 1_300_000, 1_300_000),
    ("SZ399006", "创业板指", 310_000, 500_000),
    ("BJ899050", "北证50", 150_000, 30_000),
    ("SH510300", "沪深300ETF清溪", 4_700, 40_000),
    ("SH588000", "科创50ETF清溪", 1_400, 50_000),
    ("SZ159915", "创业板ETF清溪", 3_100, 30_000),
    ("SH900901", "清溪B股", 560, 200),
    ("SH113052", "清溪转债", 118_000, 30),
    ("SZ123123", "澄岳转债", 126_000, 20),
];

/// `count` shares, at most [`SHARES_MAX`], spread over the boards as in the real market, then the rest.
pub(super) fn list(seed: u64, count: usize, first_day: usize) -> Vec<Listed> {
    let shares = (0..count.min(SHARES_MAX)).filter_map(|place| share(seed, place, first_day));
    shares.chain(OTHERS.iter().filter_map(|row| other(*row))).collect()
}

/// How many shares the rules of codes used here have room for.
pub const SHARES_MAX: usize = 6_000;

/// Which board the shares of each run of twenty belong to: shares of Shanghai, Shenzhen, `ChiNext`, STAR and Beijing stand
/// as 6 : 6 : 5 : 2 : 1.
const SPREAD: &[u8; 20] = b"hzcthzchzcbhzcthzchz";

fn share(seed: u64, place: usize, first_day: usize) -> Option<Listed> {
    let board = *SPREAD.get(place % 20)?;
    let before = |upto: usize| SPREAD.iter().take(upto).filter(|b| **b == board).count();
    let nth = place / 20 * before(20) + before(place % 20);
    let nth = u32::try_from(nth).ok()?;
    let (market, heads): (Exchange, &[u32]) = match board {
        b'h' => (Exchange::Sh, &[600, 601, 603, 605]),
        b'z' => (Exchange::Sz, &[0, 1, 2, 3]),
        b'c' => (Exchange::Sz, &[300, 301, 302]),
        b't' => (Exchange::Sh, &[688]),
        _ => (Exchange::Bj, &[920]),
    };
    let width = u32::try_from(heads.len()).ok()?;
    let head = heads.get(usize::try_from(nth % width).ok()?)?;
    // With gaps, as real codes have, where there is room for them.
    let number = head * 1000 + nth / width * if width > 3 { 2 } else { 1 } + 1;
    let code = Code::from_number(market, number)?;
    let mut luck = Luck::of([seed, 1, u64::from(number), u64::from(market.byte())]);
    let since_day = match place {
        37 => Some(first_day),
        _ if place % 97 == 13 => Some(first_day - usize::try_from(luck.below(20)).ok()? - 1),
        _ if place % 11 == 3 => Some(usize::try_from(luck.below(first_day as i64 - 100)).ok()?),
        _ => None,
    };
    let old_code = (market == Exchange::Bj && since_day.is_none_or(|at| at + 450 < first_day))
        .then(|| Code::from_number(market, [830_000, 870_000, 430_000].get(place / 20 % 3)? + nth + 1));
    let st = !matches!(board, b't' | b'b') && place % 29 == 7;
    let industry = permuted(place) % INDUSTRIES.len();
    let total = 100_000_000 * (1 + luck.below(9) * luck.below(9));
    // Most shares cost between 4 and 60 yuan.
    let anchor =
        if st { 150 + luck.below(400) } else { 400 + luck.below(2_500) + luck.below(10) * luck.below(400) };
    Some(Listed {
        code,
        section: code.section(),
        instrument: Arc::new(instrument(code, &stem(place, st)?)),
        st,
        industry: Some(industry),
        total_shares: total,
        float_shares: total / 1000 * (300 + luck.below(701)),
        old_code: old_code.flatten(),
        since_day,
        tick: 1,
        anchor,
        ex_habit: usize::try_from(luck.below(2 * 243)).ok()?,
        place: Some(place),
    })
}

/// Mixes the places so that neighbours differ in name and industry; one to one below 30 × 30 × 12.
fn permuted(place: usize) -> usize {
    place * 7_919 % (30 * 30 * INDUSTRIES.len())
}

/// The name without the marks of a day.
fn stem(place: usize, st: bool) -> Option<String> {
    let n = permuted(place);
    let (industry, rest) = (n % INDUSTRIES.len(), n / INDUSTRIES.len());
    let first = FIRST.chars().nth(rest % 30)?;
    let second = SECOND.chars().nth(rest / 30)?;
    let word = INDUSTRIES.get(industry)?.1;
    Some(match (st, place % 2) {
        (false, _) => format!("{first}{second}{word}"),
        (true, 0) => format!("ST{first}{second}"),
        (true, _) => format!("*ST{first}{second}"),
    })
}

fn other((code, name, anchor, millions): (&str, &str, i64, i64)) -> Option<Listed> {
    let code = Code::parse(code).ok()?;
    let made = instrument(code, name);
    let tick = made.tick.and_then(|tick| tick.mantissa_at(made.px_scale)).unwrap_or(1);
    Some(Listed {
        code,
        section: code.section(),
        instrument: Arc::new(made),
        st: false,
        industry: None,
        total_shares: millions * 1_000_000,
        float_shares: millions * 1_000_000,
        old_code: None,
        since_day: None,
        tick,
        anchor,
        ex_habit: usize::MAX,
        place: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn codes_and_names_are_all_different_and_on_their_boards() {
        let all = list(1, SHARES_MAX, 800);
        assert_eq!(all.len(), SHARES_MAX + OTHERS.len());
        assert_eq!(all.iter().map(|one| one.code).collect::<BTreeSet<_>>().len(), all.len());
        let names: BTreeSet<_> = (0..SHARES_MAX).map(|place| stem(place, false).unwrap()).collect();
        assert_eq!(names.len(), SHARES_MAX);
        let on = |board: Board| all.iter().filter(|one| one.section.board == board).count();
        assert_eq!((on(Board::Main), on(Board::ChiNext), on(Board::Star)), (3600, 1500, 600));
        assert_eq!(
            (on(Board::Beijing), on(Board::Index), on(Board::Convertible), on(Board::B)),
            (300, 6, 2, 1)
        );
        assert!(all.iter().all(|one| one.is_share() == one.section.board.is_a_share()));
        let old: BTreeSet<_> = all.iter().filter_map(|one| one.old_code).collect();
        assert!(old.len() > 200 && old.iter().all(|code| code.section().board == Board::Beijing));
        assert!(all.iter().filter(|one| one.st).count() > 100);
    }
}
