//! From what people write to instruments, and from what does not exist to what may have been meant.

use crate::http::Fail;
use axum::http::StatusCode;
use bus::Bus;
use hashbrown::HashSet;
use model::ashare::{Code, Market};
use model::{Instrument, Lookup};
use std::sync::Arc;

/// How many names are suggested.
const SUGGESTED_MAX: usize = 5;
/// Longer texts name nothing.
const TEXT_MAX: usize = 120;

/// Why a text names no instrument.
#[derive(Debug)]
pub(crate) enum NoInstrument {
    /// No instrument of that exchange is known.
    Exchange { exchange: String, near: Vec<String> },
    /// The exchange has no such instrument.
    Unknown { text: String, near: Vec<String> },
    /// It names several.
    Ambiguous { text: String, names: Vec<String> },
}

impl NoInstrument {
    /// The word for programs.
    pub(crate) const fn code(&self) -> &'static str {
        match self {
            Self::Exchange { .. } => "unknown_exchange",
            Self::Unknown { .. } => "unknown_instrument",
            Self::Ambiguous { .. } => "ambiguous_instrument",
        }
    }

    /// The sentence for people.
    pub(crate) fn message(&self) -> String {
        match self {
            Self::Exchange { exchange, near } if near.is_empty() => {
                format!("no instrument of `{exchange}` is known, nor of any other exchange yet")
            }
            Self::Exchange { exchange, near } => {
                format!("no instrument of `{exchange}` is known; exchanges: {}", near.join(", "))
            }
            Self::Unknown { text, near } if near.is_empty() => format!("`{text}` names no instrument"),
            Self::Unknown { text, near } => {
                format!("`{text}` names no instrument; near: {}", near.join(", "))
            }
            Self::Ambiguous { text, names } => {
                format!("`{text}` names several instruments: {}", names.join(", "))
            }
        }
    }
}

impl From<NoInstrument> for Fail {
    fn from(why: NoInstrument) -> Self {
        let (code, message) = (why.code(), why.message());
        let (status, names) = match why {
            NoInstrument::Exchange { near, .. } | NoInstrument::Unknown { near, .. } => {
                (StatusCode::NOT_FOUND, near)
            }
            NoInstrument::Ambiguous { names, .. } => (StatusCode::CONFLICT, names),
        };
        Self::new(status, code, message).suggesting(names)
    }
}

/// The instrument that `symbol` names at `exchange`.
pub(crate) fn at(bus: &Bus, exchange: &str, symbol: &str) -> Result<Arc<Instrument>, NoInstrument> {
    let symbol = symbol.get(..TEXT_MAX).unwrap_or(symbol);
    let exchange = Market::parse(exchange).map_or(exchange, |market| market.venue());
    let code = Code::parse(symbol).ok().filter(|code| code.market.venue().eq_ignore_ascii_case(exchange));
    match bus.find(exchange, code.as_ref().map_or(symbol, Code::digits)) {
        Lookup::Found(instrument) => Ok(instrument),
        Lookup::Ambiguous(names) => Err(ambiguous(symbol, names)),
        Lookup::Unknown => {
            let exchanges = exchanges(bus);
            if exchanges.iter().any(|e| e.eq_ignore_ascii_case(exchange)) {
                let near = near(bus, Some(exchange), symbol);
                Err(NoInstrument::Unknown { text: format!("{exchange}/{symbol}"), near })
            } else {
                Err(NoInstrument::Exchange { exchange: exchange.to_owned(), near: exchanges })
            }
        }
    }
}

/// The instrument that a single text names: `BTC/USDT@binance`, `okx:BTC-USDT-SWAP`, `600519.SH`, `SH600519`, or a
/// spelling that only one exchange has. The six digits of a stock may be those of another thing at another exchange.
pub(crate) fn find(bus: &Bus, text: &str) -> Result<Arc<Instrument>, NoInstrument> {
    let short = text.get(..TEXT_MAX).unwrap_or(text);
    if let Some((symbol, exchange)) = short.rsplit_once('@') {
        return at(bus, exchange, symbol);
    }
    let parsed = Code::parse(short);
    let is_bare = short.len() == 6 && short.bytes().all(|b| b.is_ascii_digit());
    if is_bare {
        let listed = |market: &Market| matches!(bus.find(market.venue(), short), Lookup::Found(_));
        match (Market::ALL.into_iter().filter(listed).collect::<Vec<_>>().as_slice(), parsed) {
            ([], _) => {}
            ([market], _) => return at(bus, market.venue(), short),
            ([_, ..], Ok(code)) => return at(bus, code.market.venue(), short),
            (several, Err(_)) => {
                let names = several.iter().map(|m| format!("{short}.{}", m.letters()).into()).collect();
                return Err(ambiguous(short, names));
            }
        }
    } else if let Ok(code) = parsed {
        return at(bus, code.market.venue(), code.digits());
    }
    let exchanges = exchanges(bus);
    if let Some((prefix, symbol)) = short.split_once(':')
        && exchanges.iter().any(|e| e.eq_ignore_ascii_case(prefix))
    {
        return at(bus, prefix, symbol);
    }
    let mut found = Vec::new();
    for exchange in &exchanges {
        match bus.find(exchange, short) {
            Lookup::Found(instrument) => found.push(instrument),
            Lookup::Ambiguous(names) => return Err(ambiguous(short, names)),
            Lookup::Unknown => {}
        }
    }
    match (found.pop(), found.is_empty()) {
        (Some(one), true) => Ok(one),
        (None, _) => Err(NoInstrument::Unknown { text: short.to_owned(), near: near(bus, None, short) }),
        (Some(last), false) => {
            let names = found.iter().chain([&last]).map(|i| i.name.clone()).collect();
            Err(ambiguous(short, names))
        }
    }
}

fn ambiguous(text: &str, names: Vec<Box<str>>) -> NoInstrument {
    let names = names.into_iter().take(50).map(String::from).collect();
    NoInstrument::Ambiguous { text: text.to_owned(), names }
}

/// The exchanges of which an instrument is known, sorted.
pub(crate) fn exchanges(bus: &Bus) -> Vec<String> {
    let mut all: Vec<String> = bus.with_catalogue(|catalogue| {
        let distinct: HashSet<&str> = catalogue.iter().map(|i| &*i.venue).collect();
        distinct.into_iter().map(str::to_owned).collect()
    });
    all.sort_unstable();
    all
}

/// Whether a text, which may be part of the name or symbol, means an instrument.
pub(crate) fn means(text: &str, instrument: &Instrument) -> bool {
    let text = text.to_lowercase();
    instrument.name.to_lowercase().contains(&text)
        || instrument.symbol.to_lowercase().contains(&text)
        || Code::parse(&text).is_ok_and(|code| code.to_string() == *instrument.name)
}

/// All instruments of an exchange, or of all, whose name, symbol or name for people contains `search`; sorted by name.
pub(crate) fn instruments(bus: &Bus, exchange: Option<&str>, search: Option<&str>) -> Vec<Arc<Instrument>> {
    let mut all: Vec<Arc<Instrument>> = bus.with_catalogue(|c| c.iter().map(Arc::clone).collect());
    if let Some(exchange) = exchange {
        all.retain(|i| i.venue.eq_ignore_ascii_case(exchange));
    }
    if let Some(search) = search.map(loose) {
        all.retain(|i| [&i.name, &i.symbol, &i.title].into_iter().any(|text| loose(text).contains(&search)));
    }
    all.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    all
}

/// The names nearest to a spelling, the nearest first.
fn near(bus: &Bus, exchange: Option<&str>, text: &str) -> Vec<String> {
    let wanted = loose(text);
    let limit = wanted.len() / 4 + 1;
    let mut scored: Vec<(usize, Box<str>)> = instruments(bus, exchange, None)
        .iter()
        .filter_map(|i| {
            let name = loose(i.name.split('@').next().unwrap_or_default());
            let score = distance(&wanted, &name).min(distance(&wanted, &loose(&i.symbol)));
            let part = !wanted.is_empty() && name.contains(&wanted);
            (score <= limit || part).then(|| (score, i.name.clone()))
        })
        .collect();
    scored.sort_unstable();
    scored.into_iter().take(SUGGESTED_MAX).map(|(_, name)| name.into()).collect()
}

fn loose(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_uppercase).collect()
}

/// How many letters have to be put in, taken out or replaced to get from one text to the other.
fn distance(a: &str, b: &str) -> usize {
    if a.len().abs_diff(b.len()) > 4 {
        return usize::MAX;
    }
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut next = Vec::with_capacity(row.len());
        next.push(i + 1);
        for ((y, pair), j) in b.iter().zip(row.windows(2)).zip(0..) {
            let (&[diagonal, above], Some(&left)) = (pair, next.get(j)) else { continue };
            next.push((diagonal + usize::from(x != *y)).min(above + 1).min(left + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_counts_changes() {
        for (a, b, want) in [("BTCUSDT", "BTCUSDT", 0), ("BTCUSD", "BTCUSDT", 1), ("BCTUSDT", "BTCUSDT", 2)] {
            assert_eq!(distance(a, b), want, "{a} {b}");
        }
        assert_eq!(distance("A", "ABCDEFGH"), usize::MAX);
    }
}
