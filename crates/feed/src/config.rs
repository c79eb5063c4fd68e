//! What is read from one source.

use serde::{Deserialize, Serialize, Serializer};
use source::{Login, Options};
use std::collections::BTreeMap;
use std::fmt;

/// What is read from one source.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct SourceConfig {
    /// The source's name. No default.
    pub name: String,
    /// Whether it is read. Default true.
    pub enabled: bool,
    /// Instruments by any common spelling (`BTC/USDT`, `BTC-USDT-SWAP`), by pattern (`*/USDT`), or by rule (`top 50 spot
    /// pairs by turnover quoted in USDT`). Default none.
    pub instruments: Vec<String>,
    /// Channels that are wanted of each instrument; those that an instrument has not are left out. Default trades, book.
    pub channels: Vec<String>,
    /// How often a book is pushed, in ms; the nearest that the venue offers is taken. Default 100.
    pub book_ms: u32,
    /// The interval of bars. Default `1m`.
    pub bar_interval: String,
    /// How the source lays out its records, where that is not one for all; see its README. Default none, the usual way.
    pub layout: String,
    /// Endpoints that are to be found elsewhere, by name: `spot = "http://127.0.0.1:9000"`. WebSocket and REST both go
    /// there. Default none.
    pub hosts: BTreeMap<String, String>,
    /// How many connections carry the same, so that one may fail unnoticed. Default 1.
    pub connections: u32,
    /// How often a live book of each connection is held against the venue's REST book, in ms; never where 0. Default
    /// 10,000 (10 seconds).
    pub referee_ms: u64,
    /// Whether frames are watched for changes of the venue's wire. Default true.
    pub drift: bool,
    /// The public part of a key of the venue, or its token, where channels need a login. Default none.
    pub login_key: Secret,
    /// The secret part. Default none.
    pub login_secret: Secret,
    /// How often the venue's list of instruments is read again, in ms. Default 300,000 (5 minutes).
    pub listing_refresh_ms: u64,
    /// Whether a source of a market with trading hours is read outside of them too. Default false.
    pub all_hours: bool,
}

impl Default for SourceConfig {
    fn default() -> Self {
        let Options { book_ms, bar_interval, layout, login: _, all_hours } = Options::default();
        Self {
            name: String::new(),
            enabled: true,
            instruments: Vec::new(),
            channels: vec!["trades".to_owned(), "book".to_owned()],
            book_ms,
            bar_interval,
            layout,
            hosts: BTreeMap::new(),
            connections: 1,
            referee_ms: 10_000,
            drift: true,
            login_key: Secret::default(),
            login_secret: Secret::default(),
            listing_refresh_ms: 300_000,
            all_hours,
        }
    }
}

impl SourceConfig {
    /// The choices that sessions need.
    pub fn options(&self) -> Options {
        let (key, secret) = (self.login_key.bare().to_owned(), self.login_secret.bare().to_owned());
        let login = (!key.is_empty()).then_some(Login { key, secret });
        let Self { book_ms, bar_interval, layout, all_hours, .. } = self.clone();
        Options { book_ms, bar_interval, layout, login, all_hours }
    }
}

/// A text that is read from the config and never shown.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The text itself, for whom it is meant.
    pub fn bare(&self) -> &str {
        &self.0
    }

    fn shown(&self) -> &'static str {
        if self.0.is_empty() { "" } else { "(hidden)" }
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.shown())
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.shown())
    }
}
