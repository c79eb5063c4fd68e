//! The venue's end of the wire: one market by a seed, and the answers that the pages would get.

use crate::RANKS;
use crate::lines::{INTERVALS, Interval};
use crate::names::{self, LISTS, List};
use model::ashare::{Market as Exchange, local};
use model::{Date, Level, Px};
use source::SimSetup;
use source::ashare::{Bar, Market};
use source::poll::{Answers, Served};
use source::web::fixed;

/// How many bars `last` has.
const LAST_BARS: usize = 140;
/// How many days of bars there are at most.
const DAYS_MAX: usize = 600;
/// How many rows a hot list has at most.
const HOT_MAX: usize = 100;
/// The number of the first concept.
const GROUPS_FROM: usize = 885_300;

/// The venue.
pub struct ThsSim {
    seed: u64,
    refusals: u64,
}

impl ThsSim {
    /// Opens it.
    pub fn new(setup: &SimSetup) -> Self {
        Self { seed: setup.seed, refusals: 0 }
    }
}

fn missing() -> Served {
    Served { status: 404, body: b"<html><h1>404 Not Found</h1></html>".to_vec() }
}

impl Answers for ThsSim {
    fn answer(&mut self, market: &mut Market, endpoint: usize, path: &str) -> Served {
        if endpoint == RANKS {
            return names::list_of(path).map_or_else(missing, |list| {
                Served::fine(if list.stocks { hot(market, list) } else { groups(market, list) })
            });
        }
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let json = match parts.as_slice() {
            ["v6" | "v2", "realhead", stock, "last.js"] => realhead(market, stock, path),
            ["v2", "fiverange", stock, "last.js"] => fiverange(market, stock, path),
            ["v6", "line", stock, digits, part] => line(market, stock, digits, part, path),
            ["v6", "time", stock, "last.js"] => time(market, stock, path),
            ["v2", "blockrank", code, _, _] => blockrank(market, code, path),
            _ => None,
        };
        json.map_or_else(missing, Served::fine)
    }

    /// Over-use is answered by a text of the server; some seeds meet 403, half an answer, or an error of the lists.
    fn refuse(&mut self) -> Served {
        self.refusals += 1;
        match (self.seed + self.refusals) % 4 {
            0 => Served::fine("<h1>Nginx forbidden.</h1>"),
            1 => Served { status: 403, body: b"<html>403 Forbidden</html>".to_vec() },
            2 => Served::fine("quotebridge_v6_realhead_hs_600000_last({\"items\":{\"10\":\"9."),
            _ => Served::fine(r#"{"status_code":-1,"status_msg":"too many requests","data":null}"#),
        }
    }
}

/// The call around an answer is made from the path: `/v6/line/hs_600580/01/last.js` →
/// `quotebridge_v6_line_hs_600580_01_last`.
fn call(path: &str, json: &str) -> String {
    let name = path.trim_start_matches('/').trim_end_matches(".js").replace('/', "_");
    format!("quotebridge_{name}({json})")
}

/// As the venue writes what is no ASCII: `\u5367`.
fn escaped(text: &str) -> String {
    text.encode_utf16()
        .map(|unit| match u8::try_from(unit) {
            Ok(byte) if byte.is_ascii() => char::from(byte).to_string(),
            _ => format!("\\u{unit:04x}"),
        })
        .collect()
}

/// The place of `hs_600580`: shares and funds of Shanghai and Shenzhen, by bare codes.
fn place(market: &Market, stock: &str) -> Option<usize> {
    let code = names::stock(stock.strip_prefix("hs_")?)?;
    (code.market != Exchange::Bj).then(|| market.find(code))?
}

fn items(fields: &[(&str, String)]) -> String {
    let pairs: Vec<String> = fields.iter().map(|(key, value)| format!("\"{key}\":\"{value}\"")).collect();
    format!(r#"{{"items":{{{}}}}}"#, pairs.join(","))
}

fn realhead(market: &mut Market, stock: &str, path: &str) -> Option<String> {
    let at = place(market, stock)?;
    let (view, title) = (market.view(at)?, market.title(at)?);
    let one = market.listed().get(at)?;
    let scale = one.instrument.px_scale;
    let px = |px: Option<Px>| px.map_or(String::new(), |px| fixed(px.0, scale));
    let shares = |qty: i64| format!("{qty}.00");
    let mut fields = vec![
        ("5", one.code.digits().to_owned()),
        ("6", px(Some(view.prev_close))),
        ("7", px(view.open)),
        ("8", px(view.high)),
        ("9", px(view.low)),
        ("13", shares(view.volume)),
        ("19", fixed(view.amount, scale)),
        ("14", shares(view.bought)),
        ("15", shares(view.sold)),
        ("69", px(view.limits.map(|(_, up)| up))),
        ("70", px(view.limits.map(|(down, _)| down))),
        ("51", String::new()),
        ("name", escaped(&title)),
    ];
    // What has no last price has no such item at all.
    fields.extend(view.last.map(|last| ("10", px(Some(last)))));
    fields.extend(view.last_print.map(|print| ("49", shares(print.qty))));
    Some(call(path, &items(&fields)))
}

fn fiverange(market: &mut Market, stock: &str, path: &str) -> Option<String> {
    let at = place(market, stock)?;
    let view = market.view(at)?;
    let scale = market.listed().get(at)?.instrument.px_scale;
    let mut fields = Vec::new();
    let mut side = |levels: &[Level], names: [(&'static str, &'static str); 5]| {
        for (n, (px, qty)) in names.into_iter().enumerate() {
            let level = levels.get(n);
            fields.push((px, level.map_or(String::new(), |level| fixed(level.px.0, scale))));
            fields.push((qty, level.map_or(String::new(), |level| format!("{}.00", level.qty.0))));
        }
    };
    side(&view.bids, [("24", "25"), ("26", "27"), ("28", "29"), ("150", "151"), ("154", "155")]);
    side(&view.asks, [("30", "31"), ("32", "33"), ("34", "35"), ("152", "153"), ("156", "157")]);
    Some(call(path, &items(&fields)))
}

/// The bars of an interval, each with the day or minute that it is stamped with.
fn bars(market: &Market, at: usize, interval: &Interval) -> Vec<(String, Bar)> {
    let days = market.day_bars(at, DAYS_MAX);
    let date = |bar: &Bar| local(bar.start).0;
    if interval.minutes > 0 {
        let step = usize::try_from(interval.minutes).unwrap_or(1);
        let of_day = |date: Date| -> Vec<(String, Bar)> {
            let minutes = market.minutes(at, date);
            let part = |part: &[Bar]| Some((stamp(part.last()?.start.plus_ms(60_000)), sum(part)?));
            minutes.chunks(step).filter_map(part).collect()
        };
        // Minutes are made anew for each day that is looked at: only as many as are needed.
        let days_needed = LAST_BARS * step / 240 + 2;
        let skipped = days.len().saturating_sub(days_needed);
        return days.iter().skip(skipped).map(date).flat_map(of_day).collect();
    }
    let key = |bar: &Bar| match interval.name {
        "1w" => date(bar).plus_days(-i64::from(date(bar).weekday())).number(),
        "1M" => date(bar).number() / 100,
        _ => date(bar).number(),
    };
    let groups = days.chunk_by(|a, b| key(a) == key(b));
    groups.filter_map(|part| Some((date(part.last()?).number().to_string(), sum(part)?))).collect()
}

/// `202609181500`.
fn stamp(at: model::Ts) -> String {
    let (date, ms) = local(at);
    let minute = ms / 60_000;
    format!("{}{:02}{:02}", date.number(), minute / 60, minute % 60)
}

/// Several bars as one.
fn sum(bars: &[Bar]) -> Option<Bar> {
    let (first, last) = (bars.first()?, bars.last()?);
    Some(Bar {
        close: last.close,
        high: bars.iter().map(|bar| bar.high).max()?,
        low: bars.iter().map(|bar| bar.low).min()?,
        volume: bars.iter().map(|bar| bar.volume).sum(),
        amount: bars.iter().map(|bar| bar.amount).sum(),
        ..*first
    })
}

fn line(market: &Market, stock: &str, digits: &str, part: &str, path: &str) -> Option<String> {
    let at = place(market, stock)?;
    let interval = INTERVALS.iter().find(|interval| interval.digits == digits)?;
    let part = part.strip_suffix(".js")?;
    let scale = market.listed().get(at)?.instrument.px_scale;
    let mut all = bars(market, at, interval);
    if part == "last" {
        all.drain(..all.len().saturating_sub(LAST_BARS));
    } else {
        all.retain(|(stamp, _)| stamp.starts_with(part));
    }
    let px = |px: Px| fixed(px.0, scale);
    let row = |(stamp, bar): &(String, Bar)| {
        let (open, high, low, close) = (px(bar.open), px(bar.high), px(bar.low), px(bar.close));
        format!(
            "{stamp},{open},{high},{low},{close},{},{},0.100,,0.00,0",
            bar.volume,
            fixed(bar.amount, scale)
        )
    };
    let rows: Vec<String> = all.iter().map(row).collect();
    Some(call(path, &format!(r#"{{"total":"{}","data":"{}"}}"#, rows.len(), rows.join(";"))))
}

fn time(market: &Market, stock: &str, path: &str) -> Option<String> {
    let at = place(market, stock)?;
    let one = market.listed().get(at)?;
    let scale = one.instrument.px_scale;
    let (mut volume, mut amount) = (0, 0);
    let row = |bar: &Bar| {
        (volume, amount) = (volume + bar.volume, amount + bar.amount);
        let average = if volume > 0 { amount / volume } else { bar.close.0 };
        let stamp = stamp(bar.start.plus_ms(60_000));
        let time = stamp.get(8..).unwrap_or_default().to_owned();
        format!(
            "{time},{},{},{},{}",
            fixed(bar.close.0, scale),
            fixed(bar.amount, scale),
            fixed(average, scale),
            bar.volume
        )
    };
    let rows: Vec<String> = market.minutes(at, market.date()).iter().map(row).collect();
    let (name, date) = (escaped(&one.instrument.title), market.date().number());
    let json = format!(
        r#"{{"{stock}":{{"name":"{name}","rt":"0930-1130,1300-1500","date":"{date}","data":"{}","dotsCount":{}}}}}"#,
        rows.join(";"),
        rows.len()
    );
    Some(call(path, &json))
}

/// The hottest shares; each list has them in an order of its own. Some rows lack what may be missing.
fn hot(market: &Market, list: &List) -> String {
    let shift = LISTS.iter().position(|one| one == list).unwrap_or(0);
    let hot = market.hot(HOT_MAX);
    let all = hot.iter().cycle().skip(shift).take(hot.len());
    let row = |(n, hot): (usize, &source::ashare::Hot)| {
        let one = market.listed().get(hot.index)?;
        let number = match one.code.market {
            Exchange::Sh => 17,
            Exchange::Sz => 33,
            Exchange::Bj => 151,
        };
        let rate = if n % 10 == 9 { "null".to_owned() } else { format!("\"{}.0\"", hot.heat) };
        let tag = if n % 7 == 6 {
            ""
        } else {
            r#","tag":{"concept_tag":["人工智能"],"popularity_tag":"持续上榜"}"#
        };
        let (code, name) = (one.code.digits(), &one.instrument.title);
        Some(format!(
            r#"{{"market":{number},"code":"{code}","rate":{rate},"rise_and_fall":1.0251,"name":"{name}","hot_rank_chg":{},"order":{}{tag}}}"#,
            hot.rise,
            n + 1
        ))
    };
    let rows: Vec<String> = all.enumerate().filter_map(row).collect();
    format!(r#"{{"status_code":0,"data":{{"stock_list":[{}]}},"status_msg":"success"}}"#, rows.join(","))
}

/// Concepts or industries, the ones with most members first.
fn groups(market: &Market, list: &List) -> String {
    use source::ashare::SectorKind;
    let kind = if list.symbol == "hot_concept" { SectorKind::Concept } else { SectorKind::Industry };
    let mut all: Vec<(usize, &source::ashare::Sector)> =
        market.sectors().iter().enumerate().filter(|(_, sector)| sector.kind == kind).collect();
    all.sort_by_key(|(_, sector)| std::cmp::Reverse(sector.members.len()));
    let row = |(n, (at, sector)): (usize, &(usize, &source::ashare::Sector))| {
        let (code, heat) = (GROUPS_FROM + at, sector.members.len() * 1_000);
        let name = sector.name;
        format!(
            r#"{{"order":{},"code":"{code}","name":"{name}","rate":"{heat}.0","rise_and_fall":0.52,"hot_rank_chg":0}}"#,
            n + 1
        )
    };
    let rows: Vec<String> = all.iter().enumerate().map(row).collect();
    format!(r#"{{"status_code":0,"data":{{"plate_list":[{}]}},"status_msg":"success"}}"#, rows.join(","))
}

fn blockrank(market: &Market, code: &str, path: &str) -> Option<String> {
    let at = code.parse::<usize>().ok()?.checked_sub(GROUPS_FROM)?;
    let sector = market.sectors().get(at)?;
    let row = |at: &usize| {
        let one = market.listed().get(*at)?;
        Some(format!(r#"{{"5":"{}","55":"{}"}}"#, one.code.digits(), escaped(&one.instrument.title)))
    };
    let rows: Vec<String> = sector.members.iter().filter_map(row).collect();
    let json = format!(
        r#"{{"block":{{"name":"{}","subcodeCount":{}}},"items":[{}]}}"#,
        escaped(sector.name),
        rows.len(),
        rows.join(",")
    );
    Some(call(path, &json))
}
