//! The venue's end of the wire: one market by a seed, and the texts that the pages would get.

use crate::LIST;
use crate::listing::PAGE_ROWS;
use model::ashare::{Board, Code, Market as Exchange, local};
use model::{Level, Px, Ts};
use source::SimSetup;
use source::ashare::{Listed, Market, View};
use source::poll::{Answers, Served};
use source::web::{fixed, to_gbk};
use std::fmt::Write;

/// How many fields a quote of a share has.
const FIELDS: usize = 88;

/// The venue.
pub struct TencentSim {
    seed: u64,
    refusals: u64,
}

impl TencentSim {
    /// Opens it.
    pub fn new(setup: &SimSetup) -> Self {
        Self { seed: setup.seed, refusals: 0 }
    }
}

impl Answers for TencentSim {
    fn answer(&mut self, market: &mut Market, endpoint: usize, path: &str) -> Served {
        if endpoint == LIST {
            return Served::fine(list(market, path));
        }
        let Some(codes) = path.strip_prefix("/q=") else {
            return Served { status: 404, body: b"<html>404 Not Found</html>".to_vec() };
        };
        // Not in the order that was asked for.
        let mut places: Vec<usize> =
            codes.split(',').filter_map(|code| market.find(Code::parse(code).ok()?)).collect();
        places.sort_unstable();
        let mut body = Vec::new();
        for at in places {
            body.extend(line(market, at).unwrap_or_default());
        }
        Served::fine(if body.is_empty() { b"v_pv_none_match=\"1\";\n".to_vec() } else { body })
    }

    /// These hosts have answered 501 for days.
    fn refuse(&mut self) -> Served {
        self.refusals += 1;
        match (self.seed + self.refusals) % 3 {
            0 => Served { status: 501, body: b"<html>501 Not Implemented</html>".to_vec() },
            1 => Served::fine("<!DOCTYPE html><html><body>verify</body></html>"),
            _ => Served::fine("v_sh600519=\"1~"),
        }
    }
}

fn list(market: &Market, path: &str) -> String {
    let number = |name: &str| -> usize {
        let found = path.split(['?', '&']).find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        found.and_then(|value| value.parse().ok()).unwrap_or(0)
    };
    let all: Vec<&Listed> = market.listed().iter().filter(|one| one.is_share()).collect();
    let size = number("count").min(PAGE_ROWS as usize);
    let row = |one: &&Listed| {
        let (code, name) = (one.code, &one.instrument.title);
        format!(
            r#"{{"code":"{}{}","name":"{name}","stock_type":"GP-A"}}"#,
            code.market.prefix(),
            code.digits()
        )
    };
    let rows: Vec<String> = all.iter().skip(number("offset")).take(size).map(row).collect();
    let total = all.len();
    format!(r#"{{"code":0,"msg":"ok","data":{{"rank_list":[{}],"total":{total}}}}}"#, rows.join(","))
}

/// `20261120100003`.
fn stamp(ts: Ts) -> String {
    let (date, ms) = local(ts);
    let seconds = ms / 1_000;
    format!("{}{:02}{:02}{:02}", date.number(), seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

/// One assignment, in GBK.
fn line(market: &mut Market, at: usize) -> Option<Vec<u8>> {
    let (view, title) = (market.view(at)?, market.title(at)?);
    let one = market.listed().get(at)?;
    let mut fields = vec![String::new(); if one.is_share() { FIELDS } else { 50 }];
    fill(&mut fields, one, &view);
    let (prefix, digits) = (one.code.market.prefix(), one.code.digits());
    let market_number = match one.code.market {
        Exchange::Sh => 1,
        Exchange::Sz => 51,
        Exchange::Bj => 62,
    };
    let mut text = format!("v_{prefix}{digits}=\"{market_number}~");
    let mut bytes = std::mem::take(&mut text).into_bytes();
    let mut name = to_gbk(&title);
    // Names are cut to eight bytes, in the middle of a character where it comes so.
    name.truncate(8);
    bytes.extend(name);
    let _ = write!(text, "~{digits}");
    for field in fields.iter().skip(3) {
        let _ = write!(text, "~{field}");
    }
    bytes.extend(text.into_bytes());
    bytes.extend(b"\";\n");
    Some(bytes)
}

fn fill(fields: &mut [String], one: &Listed, view: &View) {
    let scale = one.instrument.px_scale;
    let px = |px: Option<Px>| px.map_or(fixed(0, scale), |px| fixed(px.0, scale));
    let star = one.section.board == Board::Star;
    let lots = |qty: i64| (if star { qty } else { qty / i64::from(one.section.board.lot()) }).to_string();
    let mut set = |at: usize, text: String| {
        if let Some(field) = fields.get_mut(at) {
            *field = text;
        }
    };
    let last = view.last.or(view.auction.map(|auction| auction.px)).unwrap_or(view.prev_close);
    for (at, value) in [(3, Some(last)), (4, Some(view.prev_close)), (5, view.open)] {
        set(at, px(value));
    }
    for (at, qty) in [(6, view.volume), (7, view.bought), (8, view.sold), (36, view.volume)] {
        set(at, lots(qty));
    }
    for (at, value) in [(33, view.high), (34, view.low), (41, view.high), (42, view.low)] {
        set(at, px(value));
    }
    let unmatched = view.auction.map_or(0, |auction| auction.unmatched);
    let mut side = |first: usize, levels: &[Level], rest: i64| {
        for n in 0..5 {
            let level = levels.get(n);
            let left = if n == 1 && level.is_none() { rest.max(0) } else { 0 };
            set(first + 2 * n, px(level.map(|level| level.px)));
            set(first + 2 * n + 1, lots(level.map_or(left, |level| level.qty.0)));
        }
    };
    side(9, &view.bids, unmatched);
    side(19, &view.asks, -unmatched);
    set(30, stamp(view.ts));
    let money = fixed(view.amount, scale);
    set(35, format!("{}/{}/{money}", px(Some(last)), lots(view.volume)));
    set(40, if view.halted { "S".to_owned() } else { String::new() });
    let limit = |limit: Option<Px>| limit.map_or("-1".to_owned(), |limit| fixed(limit.0, scale));
    set(47, limit(view.limits.map(|(_, up)| up)));
    set(48, limit(view.limits.map(|(down, _)| down)));
    // A line end stands here on the wire.
    set(60, "\n".to_owned());
    set(61, if one.is_share() { "GP-A" } else { "ETF" }.to_owned());
    set(82, "CNY".to_owned());
}
