//! The paths and messages of the push feed's services, for programs that were written against them. The data are those of
//! the best source; only `start`, `stop` and `config` are about one source.

// Fields have the names that they have in JSON.
#![allow(clippy::struct_field_names)]

mod control;
mod record;
mod ws;

use crate::http::{Fail, Params};
use crate::listen::stopped;
use crate::one::{Changed, market, no_quote, stock};
use crate::site::Site;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, Uri, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use composite::Quote;
use futures_util::stream::{Stream, unfold};
use model::ashare::Market;
use model::{Decimal, Instrument};
use record::{Number, Point, Stock, seconds};
use serde::Serialize;
use serde_json::{Value, json};
use std::cmp::Reverse;
use std::convert::Infallible;
use std::sync::Arc;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

/// Stocks of each list in a summary.
const SUMMARY: usize = 20;
const COUNT_DEFAULT: usize = 50;
const COUNT_MAX: usize = 200;
/// Points after which a stream ends, at most, where a number is given.
const POINTS_MAX: usize = 1_000;

/// The routes, each with what it is for.
pub(crate) const ROUTES: [(&str, &str); 9] = [
    ("/api/realtime/status", "whether data come, from whom, to how many clients"),
    (
        "/api/realtime/config",
        "where the source of `serve.realtime_source` is, without its token; POST {host, port, token} replaces it",
    ),
    ("/api/realtime/start", "POST {host, port, token}: reads that source"),
    ("/api/realtime/stop", "POST: reads it no longer"),
    ("/api/realtime/stock/{code}", "a stock as a record"),
    ("/api/realtime/stock/{code}/stream", "its changes as server-sent events; ?count="),
    ("/api/realtime/market/{market}/summary", "the stocks with most volume and amount"),
    ("/api/realtime/market/{market}/top", "the stocks with most of one; ?metric= &count="),
    ("/api/realtime/ws", "WebSocket: subscribe_stock, subscribe_market"),
];

pub(crate) fn routes(router: Router<Arc<Site>>) -> Router<Arc<Site>> {
    router
        .route("/api/realtime/status", get(control::status))
        .route("/api/realtime/config", get(control::config).post(control::configure))
        .route("/api/realtime/start", post(control::start))
        .route("/api/realtime/stop", post(control::stop))
        .route("/api/realtime/stock/{code}", get(one_stock))
        .route("/api/realtime/stock/{code}/stream", get(stream))
        .route("/api/realtime/market/{market}/summary", get(summary))
        .route("/api/realtime/market/{market}/top", get(top))
        .route("/api/realtime/ws", get(ws::open))
}

/// A failure as this family tells it: the words stand in `detail`.
pub(super) struct Detail(Fail);

impl<T: Into<Fail>> From<T> for Detail {
    fn from(fail: T) -> Self {
        Self(fail.into())
    }
}

impl IntoResponse for Detail {
    fn into_response(self) -> Response {
        let (status, message) = (self.0.status(), self.0.message().to_owned());
        let mut body = serde_json::to_value(self.0).unwrap_or_default();
        if let Value::Object(fields) = &mut body {
            fields.insert("success".to_owned(), Value::from(false));
            fields.insert("detail".to_owned(), Value::from(message));
        }
        (status, Json(body)).into_response()
    }
}

#[derive(Serialize)]
struct Answer<T> {
    success: bool,
    data: T,
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<usize>,
}

async fn one_stock(
    State(site): State<Arc<Site>>,
    Path(code): Path<String>,
    uri: Uri,
) -> Result<Json<Answer<Stock>>, Detail> {
    Params::of(&uri, &[])?;
    let instrument = stock(&site, &code)?;
    let data = quoted(&site, &instrument, Stock::new)?;
    Ok(Json(Answer { success: true, data, count: None }))
}

fn quoted<T>(site: &Site, instrument: &Instrument, of: impl Fn(&Quote<'_>) -> T) -> Result<T, Fail> {
    let one = site.one.lock();
    one.quote(instrument.id, None, site.now()).map(|q| of(&q)).ok_or_else(|| no_quote(instrument, None))
}

/// The state of a stream of one stock.
struct Points {
    site: Arc<Site>,
    instrument: Arc<Instrument>,
    changed: Receiver<Changed>,
    left: Option<usize>,
    first: bool,
}

async fn stream(
    State(site): State<Arc<Site>>,
    Path(code): Path<String>,
    uri: Uri,
) -> Result<Response, Detail> {
    let params = Params::of(&uri, &["count"])?;
    let left = params.text("count").map(|_| params.number("count", 1, POINTS_MAX)).transpose()?;
    let instrument = stock(&site, &code)?;
    let changed = site.one.listen();
    quoted(&site, &instrument, |_| ())?;
    let sse = Sse::new(points(Points { site, instrument, changed, left, first: true }));
    let mut response = sse.keep_alive(KeepAlive::default()).into_response();
    // A proxy that gathers would hold events back.
    response
        .headers_mut()
        .insert(header::HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    Ok(response)
}

/// The quote as it is, then each change; the newest where changes come faster than they are read.
fn points(of: Points) -> impl Stream<Item = Result<Event, Infallible>> {
    unfold(of, |mut of| async move {
        if of.left == Some(0) {
            return None;
        }
        let mut stop = of.site.shutdown.clone();
        while !std::mem::take(&mut of.first) {
            let change = tokio::select! {
                change = of.changed.recv() => change,
                () = stopped(&mut stop) => return None,
            };
            match change {
                Ok(ids) if ids.contains(&of.instrument.id) => break,
                Err(RecvError::Lagged(_)) => break,
                Ok(_) => {}
                Err(RecvError::Closed) => return None,
            }
        }
        of.first = false;
        let point = quoted(&of.site, &of.instrument, Point::new).ok()?;
        of.left = of.left.map(|left| left - 1);
        let event = Event::default().json_data(point).ok()?;
        Some((Ok(event), of))
    })
}

/// What a list goes by.
#[derive(Clone, Copy)]
enum Metric {
    Volume,
    Amount,
}

/// The stocks of a market with the most of something, falling; indices are left out.
fn most(site: &Site, market: Market, metric: Metric, count: usize) -> Vec<Stock> {
    let one = site.one.lock();
    let value = |q: &Quote<'_>| match metric {
        Metric::Volume => q.stats.volume,
        Metric::Amount => q.stats.turnover,
    };
    let here = |q: &Quote<'_>| q.code.market == market && q.instrument.kind != model::InstrumentKind::Index;
    let with = |q: Quote<'_>| Some((value(&q).filter(|v| !v.is_zero())?, q.code));
    let mut all: Vec<(Decimal, _)> = one.quotes(site.now()).filter(here).filter_map(with).collect();
    all.sort_unstable_by_key(|(value, code)| (Reverse(*value), *code));
    let quote = |code: model::ashare::Code| {
        let id = model::InstrumentId::of(code.market.venue(), "", code.digits());
        one.quote(id, None, site.now()).map(|q| Stock::new(&q))
    };
    all.into_iter().take(count).filter_map(|(_, code)| quote(code)).collect()
}

#[derive(Serialize)]
struct Summary {
    market: &'static str,
    top_volume: Vec<Stock>,
    top_amount: Vec<Stock>,
    timestamp: Number,
}

async fn summary(
    State(site): State<Arc<Site>>,
    Path(name): Path<String>,
    uri: Uri,
) -> Result<Json<Answer<Summary>>, Detail> {
    Params::of(&uri, &[])?;
    let market = market(&name)?;
    let top_volume = most(&site, market, Metric::Volume, SUMMARY);
    let top_amount = most(&site, market, Metric::Amount, SUMMARY);
    let data = Summary { market: market.letters(), top_volume, top_amount, timestamp: seconds(site.now()) };
    Ok(Json(Answer { success: true, data, count: None }))
}

async fn top(
    State(site): State<Arc<Site>>,
    Path(name): Path<String>,
    uri: Uri,
) -> Result<Json<Answer<Vec<Stock>>>, Detail> {
    let params = Params::of(&uri, &["metric", "count"])?;
    let metric = match params.text("metric").unwrap_or("volume") {
        "volume" => Metric::Volume,
        "amount" => Metric::Amount,
        other => {
            return Err(
                Fail::bad_parameter(format!("`metric` must be volume or amount, not `{other}`")).into()
            );
        }
    };
    let count = params.number("count", COUNT_DEFAULT, COUNT_MAX)?;
    let data = most(&site, market(&name)?, metric, count);
    Ok(Json(Answer { success: true, count: Some(data.len()), data }))
}

/// A plain object in the shape of this family.
fn done(message: &str, config: Option<Value>) -> Json<Value> {
    let mut body = json!({ "success": true, "message": message });
    if let (Value::Object(fields), Some(config)) = (&mut body, config) {
        fields.insert("config".to_owned(), config);
    }
    Json(body)
}
