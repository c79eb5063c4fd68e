//! Quotes of stocks from the best source or a named one, sources side by side, and how they are doing.

use super::record::{Row, change, title};
use super::{no_quote, stock, wished};
use crate::http::{Fail, Params};
use crate::site::Site;
use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::{StatusCode, Uri};
use composite::{Breaker, Quote, SourceView};
use model::{Decimal, Instrument, Ts};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Stocks that one request may name.
const SYMBOLS_MAX: usize = 500;

#[derive(Serialize)]
pub(crate) struct Answer<T> {
    success: bool,
    data: Vec<T>,
    count: usize,
    source: String,
    /// Names that gave nothing, each with why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Missing>,
    timestamp: i64,
}

#[derive(Serialize)]
pub(crate) struct Missing {
    symbol: String,
    #[serde(flatten)]
    why: Fail,
}

/// What is asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wish {
    symbols: Vec<String>,
    #[serde(default)]
    source: Option<String>,
}

pub(crate) async fn quotes(State(site): State<Arc<Site>>, uri: Uri) -> Result<Json<Answer<Row>>, Fail> {
    let params = Params::of(&uri, &["symbols", "source"])?;
    answer(&site, &symbols(params.text("symbols"))?, params.text("source"), row).map(Json)
}

pub(crate) async fn post_quotes(
    State(site): State<Arc<Site>>,
    wish: Result<Json<Wish>, JsonRejection>,
) -> Result<Json<Answer<Row>>, Fail> {
    let Json(wish) = wish.map_err(|rejection| {
        let message = format!("{}; wanted is {{\"symbols\":[\"600519.SH\"]}}", rejection.body_text());
        Fail::new(StatusCode::BAD_REQUEST, "bad_body", message)
    })?;
    let symbols = symbols(Some(&wish.symbols.join(",")))?;
    answer(&site, &symbols, wish.source.as_deref(), row).map(Json)
}

fn row(site: &Site, instrument: &Instrument, source: Option<&str>, now: Ts) -> Result<Row, Fail> {
    let one = site.one.lock();
    one.quote(instrument.id, source, now)
        .map(|quote| Row::new(&quote, now))
        .ok_or_else(|| no_quote(instrument, source))
}

/// The names between commas, each once.
fn symbols(text: Option<&str>) -> Result<Vec<String>, Fail> {
    let mut all: Vec<String> = Vec::new();
    for name in text.unwrap_or_default().split(',').map(str::trim).filter(|name| !name.is_empty()) {
        if !all.iter().any(|known| known == name) {
            all.push(name.to_owned());
        }
    }
    if all.is_empty() {
        return Err(Fail::bad_parameter(
            "`symbols` is missing: stocks by their codes, with commas between them",
        ));
    }
    if all.len() > SYMBOLS_MAX {
        let message =
            format!("{} symbols are more than the {SYMBOLS_MAX} that one request may name", all.len());
        return Err(Fail::new(StatusCode::BAD_REQUEST, "too_many_symbols", message));
    }
    Ok(all)
}

/// What `of` says of each name. Where none gives anything the answer is the first one's error.
fn answer<T>(
    site: &Site,
    symbols: &[String],
    source: Option<&str>,
    of: impl Fn(&Site, &Instrument, Option<&str>, Ts) -> Result<T, Fail>,
) -> Result<Answer<T>, Fail> {
    let wish = wished(site, source)?;
    let now = site.now();
    let (mut data, mut errors) = (Vec::new(), Vec::new());
    for symbol in symbols {
        match stock(site, symbol).and_then(|instrument| of(site, &instrument, wish, now)) {
            Ok(one) => data.push(one),
            Err(why) => errors.push(Missing { symbol: symbol.clone(), why }),
        }
    }
    if data.is_empty() {
        return Err(errors.swap_remove(0).why);
    }
    let (count, source) = (data.len(), wish.unwrap_or("auto").to_owned());
    Ok(Answer { success: errors.is_empty(), data, count, source, errors, timestamp: now.as_ms() })
}

/// One stock as all sources see it.
#[derive(Serialize)]
pub(crate) struct Compared {
    symbol: String,
    name: String,
    /// Whom `auto` serves.
    chosen: &'static str,
    /// Whether all that are not late say the same of everything that they say.
    agree: bool,
    /// Of each field the largest less the smallest, among sources that are not late.
    spread: BTreeMap<&'static str, String>,
    sources: Vec<Side>,
}

/// One source's view.
#[derive(Serialize)]
struct Side {
    #[serde(flatten)]
    row: Row,
    /// By how much each field differs from the source that is served; equal ones are left out.
    differences: BTreeMap<&'static str, String>,
}

pub(crate) async fn compare(State(site): State<Arc<Site>>, uri: Uri) -> Result<Json<Answer<Compared>>, Fail> {
    let params = Params::of(&uri, &["symbols"])?;
    answer(&site, &symbols(params.text("symbols"))?, None, compared).map(Json)
}

fn compared(site: &Site, instrument: &Instrument, _: Option<&str>, now: Ts) -> Result<Compared, Fail> {
    let one = site.one.lock();
    let chosen = one.quote(instrument.id, None, now).ok_or_else(|| no_quote(instrument, None))?;
    let all = one.side_by_side(instrument.id, now);
    let mut spread = BTreeMap::new();
    for (n, (name, _)) in fields(&chosen).into_iter().enumerate() {
        let told = all.iter().filter(|q| !q.late).filter_map(|q| fields(q).get(n)?.1);
        if let Some(wide) = change(told.clone().max(), told.min()) {
            spread.insert(name, wide.to_string());
        }
    }
    let side = |quote: &Quote<'_>| {
        let pairs = fields(quote).into_iter().zip(fields(&chosen));
        let differs = pairs.filter_map(|((name, a), (_, b))| Some((name, change(a, b)?)));
        let differences =
            differs.filter(|(_, d)| !d.is_zero()).map(|(name, d)| (name, d.to_string())).collect();
        Side { row: Row::new(quote, now), differences }
    };
    Ok(Compared {
        symbol: chosen.code.to_string(),
        name: title(&chosen),
        chosen: chosen.source,
        agree: spread.values().all(|wide| wide == "0"),
        spread,
        sources: all.iter().map(side).collect(),
    })
}

/// What sources should agree on.
fn fields(quote: &Quote<'_>) -> [(&'static str, Option<Decimal>); 7] {
    let stats = quote.stats;
    [
        ("price", stats.last),
        ("last_close", stats.prev_close),
        ("open", stats.open),
        ("high", stats.high),
        ("low", stats.low),
        ("volume", stats.volume),
        ("turnover", stats.turnover),
    ]
}

#[derive(Serialize)]
pub(crate) struct Source {
    source: &'static str,
    rank: usize,
    breaker: &'static str,
    /// When the breaker last changed, in ms, and why.
    breaker_since: i64,
    breaker_why: String,
    available: bool,
    cost_ms: u64,
    period_ms: u64,
    lag_ms: Option<u64>,
    last_event: Option<i64>,
    age_ms: Option<i64>,
    errors: u64,
    error_rate: String,
    instruments: usize,
    serves: usize,
    words: String,
}

impl Source {
    fn new(view: SourceView, now: Ts) -> Self {
        Self {
            source: view.source,
            rank: view.rank,
            breaker: view.breaker.name(),
            breaker_since: view.since.as_ms(),
            breaker_why: view.why,
            available: view.breaker != Breaker::Open,
            cost_ms: view.cost_ms,
            period_ms: view.period_ms,
            lag_ms: view.lag_ms,
            last_event: view.last.map(|at| at.0),
            age_ms: view.last.map(|at| now.ms_since(at).max(0)),
            errors: view.errors,
            error_rate: Decimal::new(i128::from(view.error_permille), 3).to_string(),
            instruments: view.instruments,
            serves: view.serves,
            words: view.words,
        }
    }
}

pub(crate) async fn sources(State(site): State<Arc<Site>>, uri: Uri) -> Result<Json<Answer<Source>>, Fail> {
    Params::of(&uri, &[])?;
    let now = site.now();
    let data: Vec<Source> = site.one.lock().sources(now).into_iter().map(|s| Source::new(s, now)).collect();
    let (count, source) = (data.len(), "auto".to_owned());
    Ok(Json(Answer { success: true, data, count, source, errors: Vec::new(), timestamp: now.as_ms() }))
}
