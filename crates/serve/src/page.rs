//! What is at `/`: the page for people, the list of routes for programs.

use crate::rest;
use crate::site::Site;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{Html, IntoResponse, Response};
use serde::Serialize;
use std::sync::Arc;

/// The page: one file with its script and style, nothing loaded from elsewhere.
const PAGE: &str = include_str!("page.html");

#[derive(Serialize)]
struct Listing {
    name: &'static str,
    version: &'static str,
    sources: Vec<&'static str>,
    routes: Vec<Route>,
}

#[derive(Serialize)]
struct Route {
    method: &'static str,
    path: String,
    what: &'static str,
}

pub(crate) async fn root(State(site): State<Arc<Site>>, headers: HeaderMap) -> Response {
    let accepts = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let vary = [(header::VARY, "accept")];
    if accepts.contains("text/html") {
        return (vary, [(header::CACHE_CONTROL, "no-cache")], Html(PAGE)).into_response();
    }
    // The star is the router's own sign for a part that may contain slashes.
    let route =
        |(path, what): &(&str, &'static str)| Route { method: "GET", path: path.replace('*', ""), what };
    let routes = rest::routes().map(route);
    let listing = Listing {
        name: "Qingxi",
        version: env!("CARGO_PKG_VERSION"),
        sources: site.sources.to_vec(),
        routes: routes.collect(),
    };
    (vary, Json(listing)).into_response()
}
