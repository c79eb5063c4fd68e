//! One TOML file, checked whole: every fault is told at once, with the path of its key.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// The reference: every key with its meaning and default.
pub const REFERENCE: &str = include_str!("../../../config/reference.toml");

const DEFAULT: &str = include_str!("../../../config/default.toml");

/// Everything that can be configured.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What is logged, and how.
    pub log: LogConfig,
    /// What the platform does besides serving.
    pub run: RunConfig,
    /// The HTTP, WebSocket, metrics and probe servers.
    pub serve: serve::Config,
    /// Fan-out inside the process.
    pub bus: bus::Config,
    /// Books and checks.
    pub engine: engine::Config,
    /// The log of raw frames, where `run.record` is true.
    pub tape: tape::Config,
    /// Every event on disk, where `store.dir` names a folder.
    pub store: store::Config,
    /// SQL queries over that, by `qingxi-sql`.
    pub sql: store::sql::Config,
    /// Which sources are read, and what of them.
    pub sources: Vec<feed::SourceConfig>,
}

/// What is logged, and how.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// Level, or a filter such as `info,feed=debug`. `RUST_LOG` overrides it. Default `info`.
    pub filter: String,
    /// One JSON object a line instead of text. Default false.
    pub json: bool,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { filter: "info".to_owned(), json: false }
    }
}

/// What the platform does besides serving.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct RunConfig {
    /// Whether raw frames are kept as a tape. Default false.
    pub record: bool,
    /// Where subscriptions that were made while running are kept; empty for nowhere. Default
    /// `qingxi-data/subscriptions.json`.
    pub subscriptions: PathBuf,
    /// A file with closed weekdays of the Chinese stock exchanges by year, beside those that are built in: lines of
    /// `2027: 01-01 02-05..02-12`. Default none.
    pub calendar: PathBuf,
}

impl Default for RunConfig {
    fn default() -> Self {
        Self {
            record: false,
            subscriptions: "qingxi-data/subscriptions.json".into(),
            calendar: PathBuf::new(),
        }
    }
}

/// The part of `config/default.toml`: which sources are read where nobody says otherwise.
#[derive(Deserialize)]
struct DefaultSources {
    sources: Vec<feed::SourceConfig>,
}

impl Default for Config {
    fn default() -> Self {
        let DefaultSources { sources } = toml::from_str(DEFAULT).expect("a test reads config/default.toml");
        Self {
            log: LogConfig::default(),
            run: RunConfig::default(),
            serve: serve::Config::default(),
            bus: bus::Config::default(),
            engine: engine::Config::default(),
            tape: tape::Config::default(),
            store: store::Config::default(),
            sql: store::sql::Config::default(),
            sources,
        }
    }
}

/// Reads the file, or the defaults where there is none, lays `QINGXI__SECTION__KEY` variables over it and checks it all. A
/// source of the file is found by its name: `QINGXI__SOURCES__<NAME>__LOGIN_KEY`.
///
/// # Errors
/// [`Error::Config`] with every fault, or [`Error::Read`].
pub fn load(path: Option<&Path>) -> Result<Config> {
    let text = match path {
        Some(path) => {
            std::fs::read_to_string(path).map_err(|source| Error::Read { path: path.to_owned(), source })?
        }
        None => String::new(),
    };
    let env = std::env::vars()
        .filter_map(|(key, value)| Some((key.strip_prefix("QINGXI__")?.to_lowercase(), value)));
    parse(&text, env).map_err(Error::Config)
}

/// As [`load`], from texts.
///
/// # Errors
/// Every fault as a line: the key's path and what is wrong with it.
pub fn parse(
    text: &str,
    env: impl Iterator<Item = (String, String)>,
) -> std::result::Result<Config, Vec<String>> {
    let mut table: Table = toml::from_str(text).map_err(|e| vec![unreadable(text, &e)])?;
    for (key, value) in env {
        overlay(&mut table, &key.split("__").collect::<Vec<_>>(), &value);
    }
    let mut faults = Vec::new();
    let schema = Table::try_from(Config::default()).map_err(|e| vec![e.to_string()])?;
    compare(&table, &schema, "", &mut faults);
    if !faults.is_empty() {
        return Err(faults);
    }
    let config: Config =
        Value::Table(table).try_into().map_err(|e: toml::de::Error| vec![e.message().to_owned()])?;
    validate(&config, &mut faults);
    if faults.is_empty() { Ok(config) } else { Err(faults) }
}

/// What is wrong with a text, with its line, unless that may hold a secret.
fn unreadable(text: &str, error: &toml::de::Error) -> String {
    let told = error.to_string();
    if !told.contains("login_") {
        return told.trim_end().replace('\n', "\n    ");
    }
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    format!("line {}, which is not shown: {}", before.matches('\n').count() + 1, error.message())
}

fn overlay(table: &mut Table, path: &[&str], value: &str) {
    match path {
        [] => {}
        [key] => {
            // A key or a token is a text, also where it is all digits.
            let parsed: Option<Table> =
                if key.starts_with("login_") { None } else { toml::from_str(&format!("v = {value}")).ok() };
            let value =
                parsed.and_then(|mut t| t.remove("v")).unwrap_or_else(|| Value::String(value.to_owned()));
            table.insert((*key).to_owned(), value);
        }
        [section, rest @ ..] => {
            let below = table.entry(*section).or_insert_with(|| Value::Table(Table::new()));
            match (below, rest) {
                (Value::Table(below), _) => overlay(below, rest, value),
                (Value::Array(items), [name, rest @ ..]) => {
                    let is = |item: &&mut Value| item.get("name").and_then(Value::as_str) == Some(*name);
                    if let Some(Value::Table(item)) = items.iter_mut().find(is) {
                        overlay(item, rest, value);
                    }
                }
                _ => {}
            }
        }
    }
}

/// Holds a table against the defaults: unknown keys and wrong types, each with its path.
fn compare(given: &Table, schema: &Table, path: &str, faults: &mut Vec<String>) {
    for (key, value) in given {
        let here = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        let Some(wanted) = schema.get(key) else {
            if !path.ends_with("hosts") {
                faults.push(format!("{here}: unknown key{}", suggestion(key, schema)));
            }
            continue;
        };
        match (value, wanted) {
            (Value::Table(given), Value::Table(schema)) => compare(given, schema, &here, faults),
            (Value::Array(items), Value::Array(schemas)) => {
                for (at, item) in items.iter().enumerate() {
                    compare_item(item, schemas.first(), &format!("{here}[{at}]"), faults);
                }
            }
            (given, wanted) if given.type_str() != wanted.type_str() => {
                faults.push(format!("{here}: expected {}, found {}", wanted.type_str(), given.type_str()));
            }
            _ => {}
        }
    }
}

fn compare_item(item: &Value, schema: Option<&Value>, path: &str, faults: &mut Vec<String>) {
    match (item, schema) {
        (Value::Table(given), Some(Value::Table(schema))) => compare(given, schema, path, faults),
        (item, Some(schema)) if item.type_str() != schema.type_str() => {
            faults.push(format!("{path}: expected {}, found {}", schema.type_str(), item.type_str()));
        }
        _ => {}
    }
}

/// The known key that is spelled most like the unknown one.
fn suggestion(key: &str, schema: &Table) -> String {
    let nearest = schema.keys().map(|known| (distance(key, known), known)).min();
    match nearest {
        Some((far, known)) if far <= 3 => format!(", did you mean `{known}`?"),
        _ => format!("; known here: {}", schema.keys().cloned().collect::<Vec<_>>().join(", ")),
    }
}

/// How many letters must be changed, added or removed (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut corner = std::mem::replace(row.first_mut().unwrap_or(&mut 0), i + 1);
        let mut left = i + 1;
        for (y, cell) in b.chars().zip(row.iter_mut().skip(1)) {
            let here = (corner + usize::from(x != y)).min(left + 1).min(*cell + 1);
            corner = std::mem::replace(cell, here);
            left = here;
        }
    }
    row.last().copied().unwrap_or(0)
}

/// What types cannot say.
fn validate(config: &Config, faults: &mut Vec<String>) {
    for (at, wanted) in config.sources.iter().enumerate() {
        let path = format!("sources[{at}]");
        let Some(source) = crate::sources::named(&wanted.name) else {
            let names: Vec<&str> = crate::sources::SOURCES.iter().map(|s| s.spec().name).collect();
            faults.push(format!(
                "{path}.name: no source is called `{}`; there are: {}",
                wanted.name,
                names.join(", ")
            ));
            continue;
        };
        let spec = source.spec();
        for (n, channel) in wanted.channels.iter().enumerate() {
            if model::Channel::parse(channel).and_then(|c| spec.channel(c)).is_none() {
                let known: Vec<&str> = spec.channels.iter().map(|c| c.channel.name()).collect();
                faults.push(format!(
                    "{path}.channels[{n}]: `{channel}` is not offered; there are: {}",
                    known.join(", ")
                ));
            }
        }
        for host in wanted.hosts.keys() {
            if !spec.endpoints.iter().any(|e| e.name == host) {
                let known: Vec<&str> = spec.endpoints.iter().map(|e| e.name).collect();
                faults
                    .push(format!("{path}.hosts.{host}: unknown endpoint; there are: {}", known.join(", ")));
            }
        }
    }
    faults.extend(config.store.faults().into_iter().map(|fault| format!("store.{fault}")));
    faults.extend(config.sql.faults().into_iter().map(|fault| format!("sql.{fault}")));
    for (key, value) in [("bus.window", config.bus.window), ("engine.levels_max", config.engine.levels_max)] {
        if value == 0 {
            faults.push(format!("{key}: must be at least 1"));
        }
    }
}

#[cfg(test)]
mod tests;
