//! REST of the simulated venue.

mod contracts;
mod pairs;

use super::KrakenSim;
use super::world::{World, asset};
use model::Ts;

pub use pairs::assets;

/// How many requests an address may make in ten seconds at each endpoint.
const REQUESTS_MAX: [usize; 2] = [30, 300];
const REQUESTS_MS: i64 = 10_000;

/// An answer.
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

impl Answer {
    fn ok(body: String) -> Self {
        Self { status: 200, headers: Vec::new(), body }
    }

    /// As the spot market says no.
    fn error(words: &str) -> Self {
        Self::ok(format!(r#"{{"error":["{words}"]}}"#))
    }
}

/// The value of a query's field.
pub fn field<'q>(query: &'q str, name: &str) -> Option<&'q str> {
    query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

/// Undoes `%2F` and the like.
fn plain(text: &str) -> String {
    text.replace("%2F", "/").replace("%2f", "/").replace("%3A", ":").replace("%3a", ":").replace("%2C", ",")
}

impl KrakenSim {
    pub(super) fn answer(&mut self, endpoint: usize, path: &str, now: Ts) -> Answer {
        let busy = self.asked.get_mut(endpoint).is_some_and(|asked| {
            asked.retain(|at| now.ms_since(*at) < REQUESTS_MS);
            asked.push(now);
            REQUESTS_MAX.get(endpoint).is_some_and(|max| asked.len() > *max)
        });
        if self.rate_limit > 0 || busy {
            self.rate_limit = self.rate_limit.saturating_sub(1);
            let headers = vec![("Retry-After", "2".to_owned())];
            return Answer {
                status: 429,
                headers,
                body: r#"{"error":["EAPI:Rate limit exceeded"]}"#.to_owned(),
            };
        }
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let query = plain(query);
        let found = match endpoint {
            crate::SPOT => {
                path.strip_prefix("/0/public/").and_then(|what| self.pair_answer(what, &query, now))
            }
            crate::FUTURES => self.contract_answer(path, &query, now),
            _ => None,
        };
        found.unwrap_or(Answer {
            status: 404,
            headers: Vec::new(),
            body: r#"{"error":["EGeneral:Unknown method"]}"#.to_owned(),
        })
    }
}

/// The places of the pairs that a query names: all where it names none; `None` where one is unknown.
fn named(world: &World, query: &str) -> Option<Vec<usize>> {
    let Some(pairs) = field(query, "pair") else { return Some((0..world.states.len()).collect()) };
    let place = |name: &str| {
        let symbol = crate::names::symbol_of_key(name)?;
        world.place(&symbol)
    };
    pairs.split(',').map(place).collect()
}

/// The key of a listed pair.
fn key(world: &World, at: usize) -> String {
    world.instrument(at).map(|i| super::world::key(&i.base)).unwrap_or_default()
}
