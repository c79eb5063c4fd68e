//! The venue's end of the wire: one market by a seed, and the answers that the pages would get.

mod encode;
mod lists;
mod past;

use crate::NAME;
use crate::asks::parameter;
use encode::{Fields, jsonp};
use lists::row;
use model::Instrument;
use model::ashare::Code;
use source::SimSetup;
use source::ashare::Market;
use source::poll::{Answers, Served};
use std::collections::BTreeMap;
use std::fmt::Write;

/// After how many looks of a second each without anything new a client is told so.
const HEARTBEAT_LOOKS: usize = 5;
/// Under what a client's looks since it was told something are remembered, a mark each.
const SILENT: &str = "silent";

/// The venue.
pub struct EastmoneySim {
    seed: u64,
    refusals: u64,
}

impl EastmoneySim {
    /// Opens it.
    pub fn new(setup: &SimSetup) -> Self {
        Self { seed: setup.seed, refusals: 0 }
    }
}

/// `{"rc":0,…,"data":…}` around data; `null` is told with the code for no data.
fn envelope(rt: u32, full: u32, data: &str) -> String {
    let rc = if data == "null" && rt != 2 && rt != 6 { 102 } else { 0 };
    format!(r#"{{"rc":{rc},"rt":{rt},"svr":181735163,"lt":1,"full":{full},"dlmkts":"","data":{data}}}"#)
}

/// The place of a `section.code` in the market.
fn place(market: &Market, secid: &str) -> Option<usize> {
    market.find(Code::parse(secid).ok()?)
}

impl Answers for EastmoneySim {
    fn answer(&mut self, market: &mut Market, _endpoint: usize, path: &str) -> Served {
        let plain = path.split_once('?').map_or(path, |(plain, _)| plain);
        let raw = parameter(path, "fltt") == "1";
        let (rt, data) = match plain {
            "/api/qt/clist/get" => (6, lists::clist(market, path, raw)),
            "/api/qt/ulist.np/get" => (11, lists::ulist(market, path, raw)),
            "/api/qt/stock/get" => {
                let found = place(market, parameter(path, "secid"))
                    .and_then(|at| lists::stock(market, at, parameter(path, "fields")));
                (4, found.map_or("null".to_owned(), |fields| fields.json(raw)))
            }
            "/api/qt/stock/kline/get" => (17, past::klines(market, path)),
            "/api/qt/stock/trends2/get" => (10, past::trends(market, path)),
            _ => return Served { status: 404, body: b"<html>404</html>".to_vec() },
        };
        Served::fine(jsonp(path, envelope(rt, 1, &data)))
    }

    /// Mostly the connection is closed without a byte; some seeds meet a page, an error, or half an answer.
    fn refuse(&mut self) -> Served {
        self.refusals += 1;
        match (self.seed + self.refusals) % 5 {
            1 => Served::fine("<!DOCTYPE html><html><body>请完成安全验证</body></html>"),
            2 => Served { status: 403, body: b"Forbidden".to_vec() },
            3 => Served { status: 502, body: b"<html>502</html>".to_vec() },
            4 => Served::fine(r#"{"rc":0,"rt":4,"svr":1817351"#),
            _ => Served { status: 0, body: b"the connection was closed without an answer".to_vec() },
        }
    }

    fn stream(
        &mut self,
        market: &mut Market,
        path: &str,
        told: &mut BTreeMap<String, String>,
    ) -> Option<Vec<u8>> {
        let (first, raw) = (told.is_empty(), parameter(path, "fltt") == "1");
        let full = u32::from(first);
        let data = if path.starts_with("/api/qt/stock/sse") {
            let at = place(market, parameter(path, "secid"))?;
            let fields = lists::stock(market, at, parameter(path, "fields"))?;
            changed("", &fields, raw, told).map(|news| (4, news))
        } else {
            let secids = parameter(path, "secids").split(',');
            let mut rows = String::new();
            for (n, secid) in secids.enumerate() {
                let Some(at) = place(market, secid) else { continue };
                let Some(fields) = row(market, at, parameter(path, "fields")) else { continue };
                if let Some(news) = changed(&format!("{n}."), &fields, raw, told) {
                    let comma = if rows.is_empty() { "" } else { "," };
                    let _ = write!(rows, r#"{comma}"{n}":{news}"#);
                }
            }
            (!rows.is_empty()).then(|| (5, format!(r#"{{"diff":{{{rows}}}}}"#)))
        };
        let silent = told.entry(SILENT.to_owned()).or_default();
        silent.push('.');
        let event = match data {
            Some((rt, data)) => envelope(rt, full, &data),
            None if silent.len() >= HEARTBEAT_LOOKS => envelope(2, 1, "null"),
            None => return None,
        };
        silent.clear();
        Some(format!("data: {event}\n\n").into_bytes())
    }
}

/// The fields that differ from what was told, as an object; `None` where none does.
fn changed(prefix: &str, fields: &Fields, raw: bool, told: &mut BTreeMap<String, String>) -> Option<String> {
    let mut news = String::new();
    for (key, value) in fields.texts(raw) {
        if told.insert(format!("{prefix}{key}"), value.clone()).as_ref() != Some(&value) {
            let comma = if news.is_empty() { "" } else { "," };
            let _ = write!(news, r#"{comma}"{key}":{value}"#);
        }
    }
    (!news.is_empty()).then(|| format!("{{{news}}}"))
}

/// The section of a listed thing: 1 Shanghai, 0 the others.
fn section(instrument: &Instrument) -> u8 {
    debug_assert!(&*instrument.venue != NAME, "boards have rows of their own");
    u8::from(&*instrument.venue == "sse")
}
