//! The venue's end of the wire: one market by a seed, and the texts that the pages would get.

use crate::LIST;
use crate::listing::PAGE_ROWS;
use model::ashare::{Code, local};
use model::{Level, Px};
use source::SimSetup;
use source::ashare::{Listed, Market};
use source::poll::{Answers, Served};
use source::web::{fixed, to_gbk};
use std::fmt::Write;

/// The venue.
pub struct SinaSim {
    seed: u64,
    refusals: u64,
}

impl SinaSim {
    /// Opens it.
    pub fn new(setup: &SimSetup) -> Self {
        Self { seed: setup.seed, refusals: 0 }
    }
}

impl Answers for SinaSim {
    fn answer(&mut self, market: &mut Market, endpoint: usize, path: &str) -> Served {
        if endpoint == LIST {
            return Served::fine(to_gbk(&list(market, path)));
        }
        let Some(codes) = path.strip_prefix("/list=") else {
            return Served { status: 404, body: b"<html>404 Not Found</html>".to_vec() };
        };
        let mut body = String::new();
        for code in codes.split(',') {
            let text = Code::parse(code).ok().and_then(|code| quote(market, market.find(code)?));
            let _ = writeln!(body, "var hq_str_{code}=\"{}\";", text.unwrap_or_default());
        }
        Served::fine(to_gbk(&body))
    }

    /// Without a `Referer` it is 403; a simulator sees no headers, so it refuses where it is told to.
    fn refuse(&mut self) -> Served {
        self.refusals += 1;
        match (self.seed + self.refusals) % 3 {
            0 => Served::fine("<html>Kinsoku jikou desu!</html>"),
            1 => Served::fine("var hq_str_sh600519=\""),
            _ => Served { status: 403, body: b"Forbidden".to_vec() },
        }
    }
}

fn list(market: &Market, path: &str) -> String {
    let page = path.split("?page=").nth(1).and_then(|rest| rest.split('&').next()?.parse::<usize>().ok());
    let shares = market.listed().iter().filter(|one| one.is_share());
    let row = |one: &Listed| {
        let (prefix, digits, name) = (one.code.market.prefix(), one.code.digits(), &one.instrument.title);
        format!(r#"{{"symbol":"{prefix}{digits}","code":"{digits}","name":"{name}"}}"#)
    };
    let skipped = (page.unwrap_or(1).max(1) - 1) * PAGE_ROWS;
    let rows: Vec<String> = shares.skip(skipped).take(PAGE_ROWS).map(row).collect();
    format!("[{}]", rows.join(","))
}

/// The text of one quote.
fn quote(market: &mut Market, at: usize) -> Option<String> {
    let (view, title) = (market.view(at)?, market.title(at)?);
    let one = market.listed().get(at)?;
    let scale = one.instrument.px_scale;
    // Three decimals, whatever the tick is.
    let text = |mantissa: i64| {
        let digits = fixed(mantissa, scale);
        if scale < 3 { format!("{digits}{}", "0".repeat(usize::from(3 - scale))) } else { digits }
    };
    let px = |px: Option<Px>| text(px.map_or(0, |px| px.0));
    let best = |levels: &[Level]| px(levels.first().map(|level| level.px));
    let virtual_px = view.auction.map(|auction| auction.px);
    let mut fields = vec![title, px(view.open), px(Some(view.prev_close)), px(view.last.or(virtual_px))];
    fields.extend([px(view.high), px(view.low), best(&view.bids), best(&view.asks)]);
    fields.extend([view.volume.to_string(), text(view.amount)]);
    let unmatched = view.auction.map_or(0, |auction| auction.unmatched);
    for (levels, rest) in [(&view.bids, unmatched), (&view.asks, -unmatched)] {
        for n in 0..5 {
            let level = levels.get(n);
            let left = if n == 1 && level.is_none() { rest.max(0) } else { 0 };
            fields.push(level.map_or(left, |level| level.qty.0).to_string());
            fields.push(px(level.map(|level| level.px)));
        }
    }
    let (date, ms) = local(view.ts);
    let seconds = ms / 1_000;
    fields.push(date.to_string());
    fields.push(format!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60));
    fields.push(if view.halted { "03" } else { "00" }.to_owned());
    let (shares, money) = view.after_hours;
    if shares > 0 {
        fields.push(format!("D|{shares}|{}", fixed(money, scale)));
    }
    Some(fields.join(","))
}
