//! What all requests have in common: parameters, errors as JSON, limits, counting.

use crate::rest::SQL;
use crate::site::Site;
use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{MatchedPath, Path, Query, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use metrics::RouteStatus;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;

/// An answer that says what was wrong with a request.
#[derive(Debug, Serialize)]
pub(crate) struct Fail {
    /// A word for programs.
    error: &'static str,
    /// A sentence for people.
    message: String,
    /// The HTTP status.
    code: u16,
    /// What may have been meant.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    suggestions: Vec<String>,
}

impl Fail {
    pub(crate) fn new(status: StatusCode, error: &'static str, message: impl Into<String>) -> Self {
        Self { error, message: message.into(), code: status.as_u16(), suggestions: Vec::new() }
    }

    /// The HTTP status.
    pub(crate) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The word for programs.
    pub(crate) const fn word(&self) -> &'static str {
        self.error
    }

    /// The sentence for people.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    pub(crate) fn suggesting(mut self, suggestions: Vec<String>) -> Self {
        self.suggestions = suggestions;
        self
    }

    pub(crate) fn bad_parameter(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_parameter", message)
    }
}

impl IntoResponse for Fail {
    fn into_response(self) -> Response {
        (self.status(), Json(self)).into_response()
    }
}

/// The parameters after the `?`.
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    /// Reads them; one that is not in `known` is a mistake that the caller should hear of.
    pub(crate) fn of(uri: &Uri, known: &[&str]) -> Result<Self, Fail> {
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|_| Fail::bad_parameter("the text after `?` cannot be read"))?;
        if let Some((name, _)) = pairs.iter().find(|(name, _)| !known.contains(&name.as_str())) {
            let message = if known.is_empty() {
                format!("unknown parameter `{name}`; there are none here")
            } else {
                format!("unknown parameter `{name}`; known: {}", known.join(", "))
            };
            return Err(Fail::bad_parameter(message));
        }
        Ok(Self(pairs))
    }

    /// A parameter; an empty one counts as not given.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        let given = self.0.iter().find(|(n, _)| n == name);
        given.map(|(_, value)| value.trim()).filter(|value| !value.is_empty())
    }

    /// A whole number from 1 to `max`.
    pub(crate) fn number(&self, name: &str, default: usize, max: usize) -> Result<usize, Fail> {
        let Some(text) = self.text(name) else { return Ok(default) };
        text.parse().ok().filter(|n| (1..=max).contains(n)).ok_or_else(|| {
            Fail::bad_parameter(format!("`{name}` must be a whole number from 1 to {max}, not `{text}`"))
        })
    }
}

/// Exchange and symbol of a path; the symbol may contain slashes, plain or as `%2F`.
pub(crate) fn pair(path: Result<Path<(String, String)>, PathRejection>) -> Result<(String, String), Fail> {
    let Path(pair) = path.map_err(|_| {
        Fail::new(StatusCode::BAD_REQUEST, "bad_path", "the path is not valid percent-encoded UTF-8")
    })?;
    Ok(pair)
}

/// No such path.
pub(crate) async fn not_found(uri: Uri) -> Fail {
    let message =
        format!("nothing is at `{}`; `/` with `Accept: application/json` lists what there is", uri.path());
    Fail::new(StatusCode::NOT_FOUND, "not_found", message)
}

/// A path that takes other methods.
pub(crate) async fn wrong_method(method: Method, uri: Uri) -> Response {
    let allowed = match uri.path() {
        "/api/v1/subscriptions" | "/api/v1/quotes" => "GET,HEAD,POST",
        path if path.starts_with("/api/v1/subscriptions/") => "DELETE",
        "/api/realtime/config" => "GET,HEAD,POST",
        SQL
        | "/api/realtime/start"
        | "/api/realtime/stop"
        | "/api/v1/storage/cold/archive"
        | "/api/v1/storage/lifecycle/cleanup"
        | "/api/v1/storage/hot/trades"
        | "/api/v1/storage/hot/tickers"
        | "/api/v1/storage/hot/orderbooks" => "POST",
        _ => "GET,HEAD",
    };
    let message = format!("`{}` does not take {method}; use {allowed}", uri.path());
    let fail = Fail::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message);
    ([(header::ALLOW, allowed)], fail).into_response()
}

/// Around each request: limits of size and time, and counting.
pub(crate) async fn guard(State(site): State<Arc<Site>>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or("none", |path| known_route(path.as_str()));
    let limit = Duration::from_millis(site.config.request_timeout_ms);
    let queries = site.sql.as_ref().filter(|_| route == SQL);
    let limit = queries.map_or(limit, |sql| limit.max(sql.longest()));
    let response = if body_too_large(request.headers(), site.config.http_body_bytes_max) {
        let message = format!("a body may have {} bytes", site.config.http_body_bytes_max);
        Fail::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", message).into_response()
    } else {
        tokio::time::timeout(limit, next.run(request)).await.unwrap_or_else(|_| {
            let message = format!("no answer within {} ms", limit.as_millis());
            Fail::new(StatusCode::SERVICE_UNAVAILABLE, "timeout", message).into_response()
        })
    };
    let status = response.status().as_u16();
    site.metrics.serve.requests.get_or_create(&RouteStatus { route, status }).inc();
    response
}

/// A body is short here; one of unknown length is not waited for.
fn body_too_large(headers: &HeaderMap, max: usize) -> bool {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    length.is_some_and(|length| length > max as u64) || headers.contains_key(header::TRANSFER_ENCODING)
}

/// The route's pattern as a label that lives as long as the process.
fn known_route(pattern: &str) -> &'static str {
    let routes = crate::rest::routes().chain(&crate::probe::ROUTES);
    routes.map(|(pattern, _)| *pattern).find(|known| *known == pattern).unwrap_or("none")
}
