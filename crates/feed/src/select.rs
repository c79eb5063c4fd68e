//! Which instruments are meant: by name, by pattern, by rule.

use model::{Catalogue, Decimal, Instrument, InstrumentId, InstrumentKind, Lookup, Status};
use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// The most instruments that a rule may name.
const TOP_MAX: usize = 10_000;
/// Words that make a rule read well and mean nothing.
const FILLERS: [&str; 9] = ["by", "turnover", "pairs", "pair", "quoted", "in", "swaps", "contracts", "the"];

/// Which instruments are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    /// One, by any common spelling: `BTC/USDT`, `BTC-USDT-SWAP`.
    Name(String),
    /// All that trade and whose name or symbol fits: `*/USDT`, `BTC-*`. `*` stands for any text, `?` for one character.
    Glob(String),
    /// Those that trade with the most turnover of 24 hours: `top 50 spot pairs by turnover quoted in USDT`.
    Top {
        /// How many.
        n: usize,
        /// Of which kind; any where `None`.
        kind: Option<InstrumentKind>,
        /// Quoted in what; anything where `None`.
        quote: Option<String>,
    },
}

impl Selector {
    /// Reads a selector.
    ///
    /// # Errors
    /// What is wrong with a rule, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let mut words = text.split_whitespace();
        if !words.next().is_some_and(|word| word.eq_ignore_ascii_case("top")) {
            return match text {
                "" => Err("an empty name".to_owned()),
                _ if text.contains(['*', '?']) => Ok(Self::Glob(text.to_owned())),
                _ => Ok(Self::Name(text.to_owned())),
            };
        }
        let n = words.next().and_then(|word| word.parse().ok()).filter(|n| (1..=TOP_MAX).contains(n));
        let Some(n) = n else {
            return Err(format!("`{text}`: after `top` comes a number from 1 to {TOP_MAX}"));
        };
        let (mut kind, mut quote) = (None, None);
        for word in words {
            let lower = word.to_lowercase();
            if let Some(found) = kind_of(&lower) {
                kind = Some(found);
            } else if !FILLERS.contains(&lower.as_str())
                && let Some(before) = quote.replace(word.to_uppercase())
            {
                return Err(format!(
                    "`{text}`: of `{before}` and `{word}` one is no kind (spot, perpetual, future, option) and no quote"
                ));
            }
        }
        Ok(Self::Top { n, kind, quote })
    }

    /// The instruments of a source's catalogue that are meant now.
    ///
    /// # Errors
    /// Where a name means none or several, or a rule needs turnovers that are not known: in words.
    pub fn resolve(
        &self,
        catalogue: &Catalogue,
        turnovers: &HashMap<InstrumentId, Decimal>,
    ) -> Result<Vec<Arc<Instrument>>, String> {
        let trading = || catalogue.iter().filter(|i| i.status == Status::Trading);
        match self {
            Self::Name(name) => match catalogue.find_where(name, |_| true) {
                Lookup::Found(instrument) => Ok(vec![instrument]),
                Lookup::Unknown => Err(format!("`{name}`: no instrument of this name is listed")),
                Lookup::Ambiguous(names) => Err(format!("`{name}` may mean {}", names.join(", "))),
            },
            Self::Glob(pattern) => {
                let fits = |i: &&Arc<Instrument>| {
                    let name = i.name.split('@').next().unwrap_or_default();
                    glob(pattern, name) || glob(pattern, &i.symbol)
                };
                let mut found: Vec<_> = trading().filter(fits).cloned().collect();
                // A market that the venue tells a second time, as a product, is meant only where that is named.
                let first = |i: &Arc<Instrument>| i.product.is_empty().then(|| i.symbol.clone());
                let told: HashSet<Box<str>> = found.iter().filter_map(first).collect();
                found.retain(|i| {
                    i.product.is_empty() || !told.contains(&i.symbol) || pattern.starts_with(&*i.product)
                });
                found.sort_unstable_by(|a, b| a.name.cmp(&b.name));
                if found.is_empty() {
                    Err(format!("`{pattern}` fits nothing that trades"))
                } else {
                    Ok(found)
                }
            }
            Self::Top { n, kind, quote } => {
                let fits = |i: &&Arc<Instrument>| {
                    kind.is_none_or(|kind| i.kind == kind)
                        && quote.as_ref().is_none_or(|quote| i.quote.eq_ignore_ascii_case(quote))
                };
                let turnover = |i: &Arc<Instrument>| Some((*turnovers.get(&i.id)?, Arc::clone(i)));
                let mut ranked: Vec<_> = trading().filter(fits).filter_map(turnover).collect();
                if ranked.is_empty() {
                    return Err(format!("the rule for the top {n} fits nothing whose turnover is known"));
                }
                ranked.sort_unstable_by_key(|(turnover, i)| (Reverse(*turnover), i.id));
                ranked.truncate(*n);
                Ok(ranked.into_iter().map(|(_, i)| i).collect())
            }
        }
    }
}

fn kind_of(word: &str) -> Option<InstrumentKind> {
    match word.trim_end_matches('s') {
        "spot" => Some(InstrumentKind::Spot),
        "perpetual" | "perp" | "swap" => Some(InstrumentKind::Perpetual),
        "future" => Some(InstrumentKind::Future),
        "option" => Some(InstrumentKind::Option),
        _ => None,
    }
}

/// Whether a text fits a pattern, in any case.
fn glob(pattern: &str, text: &str) -> bool {
    let lower = |s: &str| s.chars().flat_map(char::to_lowercase).collect::<Vec<char>>();
    let (pattern, text) = (lower(pattern), lower(text));
    // Which beginnings of the text the pattern read so far fits.
    let mut fits = vec![false; text.len() + 1];
    if let Some(first) = fits.first_mut() {
        *first = true;
    }
    for wanted in pattern {
        let mut next = vec![false; fits.len()];
        let mut any = false;
        for (at, here) in next.iter_mut().enumerate() {
            let before = at.checked_sub(1).and_then(|at| Some((*fits.get(at)?, *text.get(at)?)));
            any |= fits.get(at).copied().unwrap_or(false);
            *here = match wanted {
                '*' => any,
                '?' => before.is_some_and(|(fits, _)| fits),
                _ => before.is_some_and(|(fits, c)| fits && c == wanted),
            };
        }
        fits = next;
    }
    fits.last().copied().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed() -> (Catalogue, HashMap<InstrumentId, Decimal>) {
        let mut catalogue = Catalogue::default();
        let mut turnovers = HashMap::new();
        for (base, quote, kind, turnover) in [
            ("BTC", "USDT", InstrumentKind::Spot, 900),
            ("ETH", "USDT", InstrumentKind::Spot, 1_000),
            ("SOL", "USDC", InstrumentKind::Spot, 5_000),
            ("BTC", "USDT", InstrumentKind::Perpetual, 9_000),
        ] {
            let symbol = format!("{base}-{quote}{}", if kind == InstrumentKind::Spot { "" } else { "-SWAP" });
            let settle = if kind == InstrumentKind::Spot { "" } else { quote };
            let made = Instrument::provisional("v", "", &symbol, kind).named(base, quote, settle);
            turnovers.insert(made.id, Decimal::new(turnover, 0));
            catalogue.put(&Arc::new(made));
        }
        (catalogue, turnovers)
    }

    fn found(selector: &str) -> Result<Vec<String>, String> {
        let (catalogue, turnovers) = listed();
        let found = Selector::parse(selector)?.resolve(&catalogue, &turnovers)?;
        Ok(found.iter().map(|i| i.symbol.to_string()).collect())
    }

    #[test]
    fn a_name_a_pattern_and_a_rule_name_what_they_say() {
        assert_eq!(found("btc/usdt").unwrap(), ["BTC-USDT"]);
        assert_eq!(found("BTC-*").unwrap(), ["BTC-USDT-SWAP", "BTC-USDT"]);
        assert_eq!(found("*/usdt").unwrap(), ["BTC-USDT", "ETH-USDT"]);
        assert_eq!(found("???-USDC").unwrap(), ["SOL-USDC"]);
        assert_eq!(found("top 50 spot pairs by turnover quoted in USDT").unwrap(), ["ETH-USDT", "BTC-USDT"]);
        assert_eq!(found("top 1 USDT").unwrap(), ["BTC-USDT-SWAP"]);
        assert_eq!(found("top 2").unwrap(), ["BTC-USDT-SWAP", "SOL-USDC"]);
    }

    #[test]
    fn a_pattern_means_a_market_once() {
        let (mut catalogue, turnovers) = listed();
        let mut made = Instrument::provisional("v", "old", "BTC-USDT", InstrumentKind::Spot);
        made.name = "old:BTC/USDT@v".into();
        catalogue.put(&Arc::new(made));
        let found = |text: &str| -> Vec<String> {
            let found = Selector::parse(text).unwrap().resolve(&catalogue, &turnovers).unwrap();
            found.iter().map(|i| format!("{}:{}", i.product, i.symbol)).collect()
        };
        assert_eq!(found("*/USDT"), [":BTC-USDT", ":ETH-USDT"]);
        assert_eq!(found("BTC-USD?"), [":BTC-USDT"]);
        assert_eq!(found("old:*"), ["old:BTC-USDT"]);
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert_eq!(found("DOGE").unwrap_err(), "`DOGE`: no instrument of this name is listed");
        assert!(found("top many").unwrap_err().contains("a number"));
        assert!(found("top 5 big USDT").unwrap_err().contains("of `BIG` and `USDT`"));
        assert!(found("X*").unwrap_err().contains("fits nothing"));
        assert_eq!(found(" ").unwrap_err(), "an empty name");
    }
}
