//! Groups of shares, and which are looked at most.

use super::listing::{INDUSTRIES, Listed};
use super::luck::Luck;
use model::Ts;

/// What brings the members of a sector together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SectorKind {
    /// What they do; each share is in one.
    Industry,
    /// What is said of them; a share is in some, or in none.
    Concept,
}

/// An industry or a concept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sector {
    /// Which of the two.
    pub kind: SectorKind,
    /// Its name.
    pub name: &'static str,
    /// Places of its members in the market's list.
    pub members: Vec<usize>,
}

const CONCEPTS: [&str; 12] = [
    "低空经济",
    "人工智能",
    "机器人",
    "数据要素",
    "固态电池",
    "智慧农业",
    "冰雪产业",
    "海洋经济",
    "国产芯片",
    "绿色电力",
    "跨境电商",
    "卫星导航",
];

pub(super) fn sectors(seed: u64, listed: &[Listed]) -> Vec<Sector> {
    let of = |kind, name, inside: &dyn Fn(&Listed) -> bool| {
        let members = listed.iter().enumerate().filter(|(_, one)| one.is_share() && inside(one));
        Sector { kind, name, members: members.map(|(at, _)| at).collect() }
    };
    let industries = INDUSTRIES
        .iter()
        .enumerate()
        .map(|(at, (name, _))| of(SectorKind::Industry, *name, &|one| one.industry == Some(at)));
    let concepts = CONCEPTS.iter().zip(0..).map(|(name, at)| {
        of(SectorKind::Concept, *name, &|one| Luck::of([seed, 9, one.key(), at]).permille(90))
    });
    industries.chain(concepts).filter(|sector| !sector.members.is_empty()).collect()
}

/// A place in the ranking by attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hot {
    /// The share's place in the market's list.
    pub index: usize,
    /// How much it is looked at.
    pub heat: i64,
    /// How many places it has risen since the hour before; negative where it fell.
    pub rise: i64,
}

/// The `n` hottest shares of the hour, hottest first.
pub(super) fn hot(seed: u64, listed: &[Listed], now: Ts, n: usize) -> Vec<Hot> {
    let hour = now.0.div_euclid(3_600_000_000_000);
    let ranked = |hour: i64| {
        let shares = listed.iter().enumerate().filter(|(_, one)| one.is_share());
        let mut all: Vec<(i64, usize)> = shares.map(|(at, one)| (heat(seed, one, hour), at)).collect();
        all.sort_unstable_by(|a, b| b.cmp(a));
        all
    };
    let mut before = vec![0_i64; listed.len()];
    for ((_, at), place) in ranked(hour - 1).into_iter().zip(0..) {
        if let Some(slot) = before.get_mut(at) {
            *slot = place;
        }
    }
    let rows = ranked(hour).into_iter().zip(0..).take(n);
    rows.map(|((heat, index), place)| Hot {
        index,
        heat,
        rise: before.get(index).map_or(0, |was| was - place),
    })
    .collect()
}

/// Few are looked at by many: a lasting fame, and the luck of the hour.
fn heat(seed: u64, one: &Listed, hour: i64) -> i64 {
    let fame = Luck::of([seed, 10, one.key(), 0]).below(1_000);
    let today = Luck::of([seed, 11, one.key(), hour.unsigned_abs()]).below(1_000);
    fame * fame * fame / 2_000 * (500 + today) / 1_000 + today
}
