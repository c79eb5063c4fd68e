//! REST: what is asked once. Each noun has a file; shapes and examples are in `docs/protocol.md`.

// Fields have the names that they have in JSON.
#![allow(clippy::struct_field_names)]

mod books;
mod coverage;
mod findings;
mod health;
mod history;
mod lanes;
mod ledger;
mod listing;
pub(crate) mod post;
mod replay;
mod sql;
mod stats;
mod storage;
mod subscriptions;
mod trades;

use crate::http::{guard, not_found, wrong_method};
use crate::site::Site;
use crate::{one, page, realtime, stream};
use axum::routing::{delete, get, post};
use axum::{Router, middleware};
use std::sync::Arc;

/// Its answer may take as long as a query may.
pub(crate) const SQL: &str = "/api/v1/sql";

/// The routes of the HTTP port, each with what it is for.
pub(crate) const ROUTES: [(&str, &str); 33] = [
    ("/", "this page; as JSON, this list"),
    ("/api/v1/health", "status of the sources by the age of their data; 503 when none is healthy"),
    ("/api/v1/health/summary", "the same with numbers of each source"),
    ("/api/v1/exchanges", "exchanges of which instruments are known"),
    ("/api/v1/symbols", "names of instruments; ?exchange= &search= &limit="),
    ("/api/v1/instruments", "definitions of instruments; ?exchange= &search= &limit="),
    ("/api/v1/orderbook/{exchange}/{*symbol}", "an order book; ?depth="),
    ("/api/v1/trades/{exchange}/{*symbol}", "the newest trades; ?limit=&source="),
    (
        "/api/v1/history/{kind}/{exchange}/{*symbol}",
        "events of a kind that were kept; ?from= &to= &known_at= in ns, &source= &limit= &format=json|csv|arrow|parquet",
    ),
    (
        "/api/v1/coverage",
        "whether what was kept is complete, by lane and time; ?source= &exchange= &instrument= &channel= &state= &from= &to=",
    ),
    (
        SQL,
        "POST {sql, format, limit, as_known_at}, or the query as text/plain: SQL over what was kept; ?format=json|csv|arrow|parquet|table &limit= &as_known_at=",
    ),
    ("/api/v1/quote/{exchange}/{*symbol}", "best bid and offer"),
    ("/api/v1/lanes", "every lane with its state and evidence; ?source= &state= &instrument= &channel="),
    ("/api/v1/links", "every connection to a source"),
    (
        "/api/v1/ledger",
        "where lanes are not complete, why, and what became of it; ?source= &instrument= &channel=",
    ),
    ("/api/v1/findings", "what checks of the data have found, with frames that show it; ?source= &check="),
    (
        "/api/v1/subscriptions",
        "what is wanted of the sources; POST {source, instruments, channels} wants more; ?source=",
    ),
    ("/api/v1/subscriptions/{id}", "DELETE: it is wanted no longer"),
    (
        "/api/v1/quotes",
        "Chinese stocks from the best source or a named one; POST {symbols, source}; ?symbols= &source=",
    ),
    ("/api/v1/compare", "what each source says of Chinese stocks, with differences; ?symbols="),
    ("/api/v1/sources", "sources of Chinese stocks: rank, breaker, period, lag, errors"),
    ("/api/v1/hot-stocks", "lists of hot stocks; ?list= &count= &source="),
    ("/api/v1/concepts", "concepts with their members; ?search= &member= &of= &count= &source="),
    ("/api/v1/market-status", "whether the Chinese stock market is open, by board"),
    ("/api/v1/stats", "rates, memory, clients"),
    ("/api/v1/storage/hot/{what}", "POST a record of trades, tickers or orderbooks"),
    (
        "/api/v1/storage/hot/{what}/{exchange}/{*symbol}",
        "the newest that is kept of trades, tickers or orderbooks; ?limit=",
    ),
    (
        "/api/v1/storage/cold/trades/{exchange}/{*symbol}",
        "trades between days; ?start_date= &end_date= &limit=",
    ),
    ("/api/v1/storage/cold/archive", "POST: everything that is kept into files, now"),
    ("/api/v1/storage/lifecycle/cleanup", "POST {retention_hours}: files that are older go"),
    ("/api/v1/storage/stats", "what is kept: memory, log, files by table"),
    ("/api/v1/stream", "the WebSocket stream"),
    (
        "/api/v1/replay",
        "what was kept as a WebSocket stream; ?instruments= &from= &to= in ns, &speed=2 or max, &source=",
    ),
];

/// The routes of the HTTP port of all families.
pub(crate) fn routes() -> impl Iterator<Item = &'static (&'static str, &'static str)> {
    ROUTES.iter().chain(&realtime::ROUTES)
}

pub(crate) fn router(site: &Arc<Site>) -> Router {
    realtime::routes(Router::new())
        .route("/", get(page::root))
        .route("/api/v1/health", get(health::health))
        .route("/api/v1/health/summary", get(health::summary))
        .route("/api/v1/exchanges", get(listing::exchanges))
        .route("/api/v1/symbols", get(listing::symbols))
        .route("/api/v1/instruments", get(listing::instruments))
        .route("/api/v1/orderbook/{exchange}/{*symbol}", get(books::orderbook))
        .route("/api/v1/quote/{exchange}/{*symbol}", get(books::quote))
        .route("/api/v1/trades/{exchange}/{*symbol}", get(trades::trades))
        .route("/api/v1/history/{kind}/{exchange}/{*symbol}", get(history::history))
        .route("/api/v1/coverage", get(coverage::coverage))
        .route(SQL, post(sql::sql))
        .route("/api/v1/lanes", get(lanes::lanes))
        .route("/api/v1/links", get(lanes::links))
        .route("/api/v1/findings", get(findings::findings))
        .route("/api/v1/ledger", get(ledger::ledger))
        .route("/api/v1/subscriptions", get(subscriptions::list).post(subscriptions::add))
        .route("/api/v1/subscriptions/{id}", delete(subscriptions::remove))
        .route("/api/v1/quotes", get(one::quotes).post(one::post_quotes))
        .route("/api/v1/compare", get(one::compare))
        .route("/api/v1/sources", get(one::sources))
        .route("/api/v1/hot-stocks", get(one::hot_stocks))
        .route("/api/v1/concepts", get(one::concepts))
        .route("/api/v1/market-status", get(one::market_status))
        .route("/api/v1/stats", get(stats::stats))
        .route("/api/v1/storage/hot/{what}", post(post::post))
        .route("/api/v1/storage/hot/{what}/{exchange}/{*symbol}", get(storage::hot))
        .route("/api/v1/storage/cold/trades/{exchange}/{*symbol}", get(storage::cold_trades))
        .route("/api/v1/storage/cold/archive", post(storage::archive))
        .route("/api/v1/storage/lifecycle/cleanup", post(storage::cleanup))
        .route("/api/v1/storage/stats", get(storage::stats))
        .route("/api/v1/stream", get(stream::open))
        .route("/api/v1/replay", get(replay::replay))
        .fallback(not_found)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(Arc::clone(site), guard))
        .with_state(Arc::clone(site))
}
