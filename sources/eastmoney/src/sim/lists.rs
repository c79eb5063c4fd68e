//! Lists, and single stocks.

use super::encode::Fields;
use super::{place, section};
use crate::PAGE_ROWS;
use crate::asks::parameter;
use model::ashare::Board;
use model::{Level, Px};
use source::ashare::{Listed, Market, SectorKind, View};

/// The number of the first board.
const BOARDS_FROM: usize = 400;

/// Quantities are counted in 手, rounded down.
fn lots(one: &Listed, qty: i64) -> i64 {
    qty / i64::from(one.section.board.lot())
}

fn px(px: Option<Px>) -> Option<i64> {
    px.map(|px| px.0)
}

/// A row of a list about what stands at a place.
pub fn row(market: &mut Market, at: usize, asked: &str) -> Option<Fields> {
    let view = market.view(at)?;
    let title = market.title(at)?;
    let one = market.listed().get(at)?;
    let scale = one.instrument.px_scale;
    let traded = view.last.is_some();
    let mut fields = Fields::new(scale);
    fields.number(1, Some(scale.into()));
    fields.px(2, px(view.last));
    fields.number(5, traded.then(|| lots(one, view.volume)));
    fields.money(6, traded.then_some(view.amount));
    fields.text(12, one.code.digits());
    fields.number(13, Some(section(&one.instrument).into()));
    fields.text(14, &title);
    fields.px(15, px(view.high));
    fields.px(16, px(view.low));
    fields.px(17, px(view.open));
    fields.px(18, Some(view.prev_close.0));
    let [main, very_large, large, medium, small] = flow(&view);
    for (field, value) in [(62, main), (66, very_large), (72, large), (78, medium), (84, small)] {
        fields.money(field, (traded && one.is_share()).then_some(value));
    }
    fields.number(124, Some(view.ts.0 / 1_000_000_000));
    Some(fields.only(asked))
}

/// Net money by size of orders: main, very large, large, medium, small. Together the four sizes are nothing: what one
/// bought another sold.
fn flow(view: &View) -> [i64; 5] {
    let shares = i128::from(view.bought - view.sold);
    let net = view.last.map_or(0, |last| i64::try_from(shares * i128::from(last.0)).unwrap_or(0));
    let (very_large, large, medium) = (net / 3, net / 5, -net / 4);
    [very_large + large, very_large, large, medium, -(very_large + large + medium)]
}

/// The data of a single stock.
pub fn stock(market: &mut Market, at: usize, asked: &str) -> Option<Fields> {
    let view = market.view(at)?;
    let title = market.title(at)?;
    let one = market.listed().get(at)?;
    let scale = one.instrument.px_scale;
    let mut fields = Fields::new(scale);
    let limits = view.limits;
    fields.px(43, px(view.last));
    fields.px(44, px(view.high));
    fields.px(45, px(view.low));
    fields.px(46, px(view.open));
    fields.number(47, Some(lots(one, view.volume)));
    fields.money(48, Some(view.amount));
    fields.number(49, Some(lots(one, view.bought)));
    fields.number(161, Some(lots(one, view.sold)));
    fields.px(51, limits.map(|(_, up)| up.0));
    fields.px(52, limits.map(|(down, _)| down.0));
    fields.text(57, one.code.digits());
    fields.text(58, &title);
    fields.number(59, Some(scale.into()));
    fields.px(60, Some(view.prev_close.0));
    fields.number(86, Some(view.ts.0 / 1_000_000_000));
    fields.number(107, Some(section(&one.instrument).into()));
    let state = if view.halted { None } else { Some(state(&view)) };
    fields.number(292, state);
    let mut side = |levels: &[Level], first: [u16; 5], unmatched: i64| {
        for (n, field) in first.into_iter().enumerate() {
            let level = levels.get(n);
            fields.px(field, level.map(|level| level.px.0));
            let rest = (n == 1 && level.is_none() && unmatched > 0).then_some(unmatched);
            fields.number(
                field + 1,
                level.map(|level| lots(one, level.qty.0)).or(rest.map(|qty| lots(one, qty))),
            );
        }
    };
    let unmatched = view.auction.map_or(0, |auction| auction.unmatched);
    side(&view.bids, [19, 17, 15, 13, 11], unmatched);
    side(&view.asks, [39, 37, 35, 33, 31], -unmatched);
    Some(fields.only(asked))
}

fn state(view: &View) -> i64 {
    use model::ashare::Phase;
    match view.phase {
        Phase::Closed if view.last.is_none() => 11,
        Phase::OpeningCall | Phase::OpeningCallFirm => 11,
        Phase::Closed | Phase::Interval => 5,
        Phase::AfterHours => 12,
        _ => 2,
    }
}

/// The rows that a filter of a list means, in the order that was asked for.
fn filtered(market: &mut Market, path: &str) -> Vec<usize> {
    let filter = parameter(path, "fs").replace("%20", "+").replace(' ', "+");
    let listed = market.listed();
    let board = |wanted: &dyn Fn(&Listed) -> bool| -> Vec<usize> {
        listed.iter().enumerate().filter(|(_, one)| wanted(one)).map(|(at, _)| at).collect()
    };
    let mut found = if let Some(code) = filter.strip_prefix("b:BK") {
        let number: usize = code.split('+').next().and_then(|n| n.parse().ok()).unwrap_or_default();
        let sector = number.checked_sub(BOARDS_FROM).and_then(|at| market.sectors().get(at));
        sector.map_or_else(Vec::new, |sector| sector.members.clone())
    } else if filter.starts_with("b:MK0354") {
        board(&|one| one.section.board == Board::Convertible)
    } else if filter.starts_with("b:MK") {
        board(&|one| matches!(one.section.board, Board::Fund | Board::GrowthFund))
    } else if filter.contains("m:1+s:2") {
        board(&Listed::is_index)
    } else {
        board(&Listed::is_share)
    };
    if parameter(path, "fid") == "f12" {
        found.sort_by_key(|at| market.listed().get(*at).map(|one| one.code.number()));
    } else {
        // By price, which moves between pages.
        found.sort_by_key(|at| market.view(*at).and_then(|view| px(view.last)));
    }
    if parameter(path, "po") == "1" {
        found.reverse();
    }
    found
}

/// The boards of a kind as rows.
fn boards(market: &Market, path: &str) -> Vec<Fields> {
    let kind = |kind: SectorKind| match kind {
        SectorKind::Industry => "m:90+t:2",
        SectorKind::Concept => "m:90+t:3",
    };
    let all = market.sectors().iter().enumerate();
    let of_kind = all.filter(|(_, sector)| parameter(path, "fs").starts_with(kind(sector.kind)));
    let row = |(at, sector): (usize, &source::ashare::Sector)| {
        let mut fields = Fields::new(2);
        fields.text(12, &format!("BK{:04}", BOARDS_FROM + at));
        fields.number(13, Some(90));
        fields.text(14, sector.name);
        fields.only(parameter(path, "fields"))
    };
    of_kind.map(row).collect()
}

/// A page of a list: at most so many rows, whatever size is asked for.
pub fn clist(market: &mut Market, path: &str, raw: bool) -> String {
    let number = |name: &str| parameter(path, name).parse::<usize>().unwrap_or(0).max(1);
    let size = number("pz").min(PAGE_ROWS as usize);
    let skipped = (number("pn") - 1) * size;
    let (total, rows): (usize, Vec<Fields>) = if parameter(path, "fs").starts_with("m:90") {
        let all = boards(market, path);
        (all.len(), all.into_iter().skip(skipped).take(size).collect())
    } else {
        let all = filtered(market, path);
        let page: Vec<usize> = all.iter().copied().skip(skipped).take(size).collect();
        (all.len(), page.into_iter().filter_map(|at| row(market, at, parameter(path, "fields"))).collect())
    };
    if rows.is_empty() { "null".to_owned() } else { table(total, &rows, path, raw) }
}

/// The rows of the codes that were asked for, in their order; unknown ones are left out.
pub fn ulist(market: &mut Market, path: &str, raw: bool) -> String {
    let places: Vec<usize> =
        parameter(path, "secids").split(',').filter_map(|id| place(market, id)).collect();
    let rows: Vec<Fields> =
        places.into_iter().filter_map(|at| row(market, at, parameter(path, "fields"))).collect();
    if rows.is_empty() { "null".to_owned() } else { table(rows.len(), &rows, path, raw) }
}

fn table(total: usize, rows: &[Fields], path: &str, raw: bool) -> String {
    let keyed = parameter(path, "np") != "1";
    let texts: Vec<String> = rows
        .iter()
        .enumerate()
        .map(|(n, row)| if keyed { format!("\"{n}\":{}", row.json(raw)) } else { row.json(raw) })
        .collect();
    let (open, close) = if keyed { ('{', '}') } else { ('[', ']') };
    format!(r#"{{"total":{total},"diff":{open}{}{close}}}"#, texts.join(","))
}
