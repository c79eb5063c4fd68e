//! Lists of hot stocks, and concepts with their members.

use super::record::change_pct;
use super::wished;
use crate::http::{Fail, Params};
use crate::site::Site;
use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use bus::Published;
use model::ashare::{Code, Market};
use model::{Body, Channel, InstrumentId, RankRow};
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;

const COUNT_DEFAULT: usize = 50;
const COUNT_MAX: usize = 5_000;

#[derive(Serialize)]
pub(crate) struct HotStocks {
    success: bool,
    data: Vec<Hot>,
    count: usize,
    source: &'static str,
    list: Box<str>,
    /// What else can be asked for by `list`.
    lists: BTreeSet<Box<str>>,
    age_ms: i64,
    timestamp: i64,
}

#[derive(Serialize)]
struct Hot {
    rank: usize,
    symbol: Box<str>,
    code: String,
    name: String,
    hot_value: Option<String>,
    rise: Option<i32>,
    price: Option<String>,
    change_pct: Option<String>,
    /// The list.
    data_type: Box<str>,
}

/// The newest event of each lane of a channel, of one source where one is named.
fn newest(site: &Site, channel: Channel, source: Option<&str>) -> Vec<Arc<Published>> {
    let lanes = site.bus.evidence(|lane| lane.channel == channel);
    let ids: BTreeSet<InstrumentId> = lanes.iter().map(|lane| lane.instrument.id).collect();
    let all = ids.into_iter().flat_map(|id| site.bus.last(id, channel));
    all.filter(|p| source.is_none_or(|s| s == p.event.source)).collect()
}

/// Nobody tells such lists, or not this one.
fn none(what: &str) -> Fail {
    Fail::new(
        StatusCode::NOT_FOUND,
        "not_collected",
        format!("no {what} was told by any source that is asked for"),
    )
}

pub(crate) async fn hot_stocks(State(site): State<Arc<Site>>, uri: Uri) -> Result<Json<HotStocks>, Fail> {
    let params = Params::of(&uri, &["count", "source", "list"])?;
    let count = params.number("count", COUNT_DEFAULT, COUNT_MAX)?;
    let all = newest(&site, Channel::Rankings, wished(&site, params.text("source"))?);
    let list = |published: &Arc<Published>| match &published.event.body {
        Body::Ranking(ranking) => Some(ranking.list.clone()),
        _ => None,
    };
    let lists: BTreeSet<Box<str>> = all.iter().filter_map(list).collect();
    let wanted = params.text("list");
    let fits = |p: &&Arc<Published>| list(p).is_some_and(|l| wanted.is_none_or(|w| w == &*l));
    // Without a name a list of hot stocks is meant before any other, hot groups of them included; of several the newest.
    let stocks = |p: &Arc<Published>| match &p.event.body {
        Body::Ranking(r) => r.rows.first().is_some_and(|row| Code::parse(&row.name).is_ok()),
        _ => false,
    };
    let hot = |p: &Arc<Published>| list(p).is_some_and(|l| l.starts_with("hot"));
    let best = all.iter().filter(fits).max_by_key(|p| (hot(p), stocks(p), p.event.stamp.ts_recv));
    let published = best.ok_or_else(|| {
        let known: Vec<String> = lists.iter().map(ToString::to_string).collect();
        none(wanted.map_or("ranking".to_owned(), |w| format!("ranking `{w}`")).as_str()).suggesting(known)
    })?;
    let Body::Ranking(ranking) = &published.event.body else { return Err(none("ranking")) };
    let rows = ranking.rows.iter().take(count).enumerate();
    let data: Vec<Hot> = rows.map(|(n, row)| hot_row(&site, n + 1, row, &ranking.list)).collect();
    let now = site.now();
    Ok(Json(HotStocks {
        success: true,
        count: data.len(),
        data,
        source: published.event.source,
        list: ranking.list.clone(),
        lists,
        age_ms: now.ms_since(published.event.stamp.ts_recv).max(0),
        timestamp: now.as_ms(),
    }))
}

fn hot_row(site: &Site, rank: usize, row: &RankRow, list: &str) -> Hot {
    let now = site.now();
    let one = site.one.lock();
    let code = Code::parse(&row.name).ok();
    let id = code.map(|code| InstrumentId::of(code.market.venue(), "", code.digits()));
    let quote = id.and_then(|id| one.quote(id, None, now));
    let stats = quote.as_ref().map(|q| q.stats);
    let title = quote.as_ref().map(|q| q.instrument.title.to_string()).unwrap_or_default();
    Hot {
        rank,
        symbol: row.name.clone(),
        code: code.map_or_else(|| row.name.to_string(), |code| code.digits().to_owned()),
        name: if row.title.is_empty() { title } else { row.title.to_string() },
        hot_value: row.value.map(|v| v.to_string()),
        rise: row.rise,
        price: stats.and_then(|s| s.last).map(|px| px.to_string()),
        change_pct: stats.and_then(|s| change_pct(s.last, s.prev_close)).map(|pct| pct.to_string()),
        data_type: list.into(),
    }
}

#[derive(Serialize)]
pub(crate) struct Concepts {
    success: bool,
    data: Vec<Concept>,
    count: usize,
    total_available: usize,
    timestamp: i64,
}

#[derive(Serialize)]
struct Concept {
    rank: usize,
    code: Box<str>,
    name: Box<str>,
    of: Box<str>,
    source: &'static str,
    count: usize,
    members: Vec<Box<str>>,
}

pub(crate) async fn concepts(State(site): State<Arc<Site>>, uri: Uri) -> Result<Json<Concepts>, Fail> {
    let params = Params::of(&uri, &["count", "source", "of", "search", "member"])?;
    let count = params.number("count", COUNT_DEFAULT, COUNT_MAX)?;
    let of = params.text("of").unwrap_or("concept");
    let member = params.text("member").map(|text| super::stock(&site, text)).transpose()?;
    let mut all: Vec<Concept> = Vec::new();
    for published in newest(&site, Channel::Sectors, wished(&site, params.text("source"))?) {
        let Body::Sector(sector) = &published.event.body else { continue };
        let named = params.text("search").is_none_or(|text| sector.title.contains(text));
        let holds = member.as_ref().is_none_or(|i| sector.members.contains(&i.name));
        if &*sector.of == of && named && holds {
            all.push(Concept {
                rank: 0,
                code: published.event.instrument.symbol.clone(),
                name: sector.title.clone(),
                of: sector.of.clone(),
                source: published.event.source,
                count: sector.members.len(),
                members: sector.members.clone(),
            });
        }
    }
    all.sort_by_key(|c| (Reverse(c.count), c.name.clone(), c.source));
    let total_available = all.len();
    all.truncate(count);
    for (n, concept) in all.iter_mut().enumerate() {
        concept.rank = n + 1;
    }
    let data = all;
    Ok(Json(Concepts {
        success: true,
        count: data.len(),
        data,
        total_available,
        timestamp: site.now().as_ms(),
    }))
}

/// The market that a text names, for paths.
pub(crate) fn market(text: &str) -> Result<Market, Fail> {
    let known = Market::ALL.map(Market::letters).join(", ");
    let message = format!("no market `{text}`; there are: {known}");
    Market::parse(text).ok_or_else(|| Fail::new(StatusCode::BAD_REQUEST, "unknown_market", message))
}
