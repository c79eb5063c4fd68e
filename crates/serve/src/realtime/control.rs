//! Whether data come, and the one source whose address, token and running can be changed by these paths: the one that
//! `serve.realtime_source` names. A token is never told.

use super::{Detail, done};
use crate::http::{Fail, Params};
use crate::site::Site;
use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::{StatusCode, Uri};
use composite::Breaker;
use feed::SourceConfig;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Where the source is to be found, and by which token. What is left out stays as it is.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Reach {
    host: Option<String>,
    port: Option<u16>,
    token: Option<String>,
}

impl Reach {
    fn put(self, endpoint: &str, address: &str, config: &mut SourceConfig) {
        if self.host.is_some() || self.port.is_some() {
            let (host, port) = place(config.hosts.get(endpoint).map_or(address, String::as_str));
            let host = self.host.unwrap_or(host);
            let port = self.port.map_or(port, |port| port.to_string());
            let scheme = if address.starts_with("tcp") { "tcp" } else { "https" };
            let colon = if port.is_empty() { "" } else { ":" };
            config.hosts.insert(endpoint.to_owned(), format!("{scheme}://{host}{colon}{port}"));
        }
        if let Some(token) = self.token {
            config.login_key = token.into();
        }
    }
}

/// Host and port of an address; of several the first.
fn place(urls: &str) -> (String, String) {
    let url = urls.split(',').next().unwrap_or(urls);
    let address = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (host, port) = address.rsplit_once(':').unwrap_or((address, ""));
    (host.to_owned(), port.to_owned())
}

/// What is shown of a config.
fn shown(endpoint: &str, address: &str, config: &SourceConfig) -> Value {
    let (host, port) = place(config.hosts.get(endpoint).map_or(address, String::as_str));
    let token = if config.login_key.bare().is_empty() { "" } else { "***" };
    json!({ "source": config.name, "host": host, "port": port.parse::<u16>().ok(), "token": token, "enabled": config.enabled })
}

/// The source that these paths are about, with the name and the address of its endpoint.
fn source(site: &Site) -> Result<(&str, &'static str, &'static str), Fail> {
    let name = site.config.realtime_source.as_str();
    let fail = |message: String| Fail::new(StatusCode::NOT_FOUND, "no_source", message);
    if name.is_empty() {
        return Err(fail("no source is meant: name one by `serve.realtime_source` in the config".to_owned()));
    }
    let (endpoint, address) = site
        .desk
        .endpoint(name)
        .ok_or_else(|| fail(format!("`{name}`, as `serve.realtime_source` says, is not in the config")))?;
    Ok((name, endpoint, address))
}

pub(super) async fn status(State(site): State<Arc<Site>>, uri: Uri) -> Result<Json<Value>, Detail> {
    Params::of(&uri, &[])?;
    let now = site.now();
    let (sources, stocks) = {
        let one = site.one.lock();
        (one.sources(now), one.quotes(now).count())
    };
    let report = site.report();
    let told = |name: &str| sources.iter().any(|s| s.source == name);
    let is_connected = report.links.iter().any(|link| link.up && told(link.source));
    let available = sources.iter().any(|s| s.breaker != Breaker::Open);
    let is_running = match source(&site) {
        Ok((name, _, _)) => site.desk.config(name).is_some_and(|config| config.enabled),
        Err(_) => !sources.is_empty(),
    };
    let word = |good: bool| if good { "healthy" } else { "unhealthy" };
    let receivers: Vec<Value> = sources
        .iter()
        .map(|s| json!({ "source": s.source, "rank": s.rank, "breaker": s.breaker.name(), "errors": s.errors, "stock_count": s.instruments, "words": s.words }))
        .collect();
    let connection_count = site.clients.load(Ordering::Acquire);
    let health = json!({
        "status": word(available),
        "timestamp": now.as_ms(),
        "components": {
            "receiver": { "status": word(available), "stats": receivers },
            "consumer": { "status": "healthy", "stats": { "connection_count": connection_count } },
        },
    });
    let stats =
        json!({ "stock_count": stocks, "connection_count": connection_count, "uptime_s": site.uptime_s() });
    let data = json!({ "stats": stats, "health": health, "is_running": is_running, "is_connected": is_connected,
        "stock_count": stocks, "connection_count": connection_count, "timestamp": now.as_ms() });
    Ok(Json(json!({ "success": true, "data": data })))
}

pub(super) async fn config(State(site): State<Arc<Site>>, uri: Uri) -> Result<Json<Value>, Detail> {
    Params::of(&uri, &[])?;
    let (name, endpoint, address) = source(&site)?;
    let config = site.desk.config(name).unwrap_or_default();
    Ok(Json(json!({ "success": true, "data": shown(endpoint, address, &config) })))
}

pub(super) async fn configure(
    State(site): State<Arc<Site>>,
    reach: Result<Json<Reach>, JsonRejection>,
) -> Result<Json<Value>, Detail> {
    change(&site, Some(read(reach)?), None, "the source is read anew by this config")
}

pub(super) async fn start(
    State(site): State<Arc<Site>>,
    reach: Result<Json<Reach>, JsonRejection>,
) -> Result<Json<Value>, Detail> {
    let reach = match reach {
        // Without a body it goes on as it was.
        Err(JsonRejection::MissingJsonContentType(_)) => None,
        reach => Some(read(reach)?),
    };
    change(&site, reach, Some(true), "the source is read")
}

pub(super) async fn stop(State(site): State<Arc<Site>>) -> Result<Json<Value>, Detail> {
    change(&site, None, Some(false), "the source is not read any more")
}

/// Reads a body; what was in it is not told again, for it may hold a token.
fn read(reach: Result<Json<Reach>, JsonRejection>) -> Result<Reach, Fail> {
    let fail = |message: &str| Fail::new(StatusCode::BAD_REQUEST, "bad_body", message);
    let wanted = "wanted is a JSON object like {\"host\":\"HOST\",\"port\":6380,\"token\":\"TOKEN\"}, each where it is to change";
    let Json(reach) = reach.map_err(|_| fail(wanted))?;
    let bad_host =
        |host: &String| host.is_empty() || host.contains(|c: char| c.is_whitespace() || "/@:?#".contains(c));
    if reach.host.as_ref().is_some_and(bad_host) {
        return Err(fail("`host` is a name or an address without scheme, port and path"));
    }
    if reach.port == Some(0) {
        return Err(fail("`port` is a number from 1 to 65535"));
    }
    Ok(reach)
}

fn change(
    site: &Site,
    reach: Option<Reach>,
    enabled: Option<bool>,
    message: &str,
) -> Result<Json<Value>, Detail> {
    let (name, endpoint, address) = source(site)?;
    let config = site.desk.configure(name, |config| {
        if let Some(reach) = reach {
            reach.put(endpoint, address, config);
        }
        config.enabled = enabled.unwrap_or(config.enabled);
    });
    let config = config.map_err(Fail::from)?;
    Ok(done(message, Some(shown(endpoint, address, &config))))
}
