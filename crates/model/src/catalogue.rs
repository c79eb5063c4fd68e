//! All instruments known, found by any common spelling.

use crate::instrument::{Instrument, InstrumentId, InstrumentKind};
use std::collections::HashMap;
use std::sync::Arc;

/// The instruments that have been seen, each under its newest definition.
#[derive(Default, Debug)]
pub struct Catalogue {
    by_id: HashMap<InstrumentId, Arc<Instrument>>,
    by_key: HashMap<String, Vec<InstrumentId>>,
}

/// What a search found.
#[derive(Debug, PartialEq, Eq)]
pub enum Lookup {
    /// Exactly one instrument, or one that the spelling names best.
    Found(Arc<Instrument>),
    /// Several that the spelling names equally well, by name.
    Ambiguous(Vec<Box<str>>),
    /// None.
    Unknown,
}

impl Catalogue {
    /// Adds a definition or replaces the one before. True where something changed.
    pub fn put(&mut self, instrument: &Arc<Instrument>) -> bool {
        if self
            .by_id
            .get(&instrument.id)
            .is_some_and(|known| Arc::ptr_eq(known, instrument) || known == instrument)
        {
            return false;
        }
        for key in keys(instrument) {
            let ids = self.by_key.entry(key).or_default();
            if !ids.contains(&instrument.id) {
                ids.push(instrument.id);
            }
        }
        self.by_id.insert(instrument.id, Arc::clone(instrument));
        true
    }

    /// The definition of that id.
    pub fn get(&self, id: InstrumentId) -> Option<&Arc<Instrument>> {
        self.by_id.get(&id)
    }

    /// All definitions, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Instrument>> {
        self.by_id.values()
    }

    /// How many instruments are known.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// Finds an instrument at `venue` by its canonical name, the venue's symbol, or a common spelling
    /// (`BTC/USDT`, `BTC-USDT`, `btcusdt`, `usdm:BTCUSDT`). An exact name beats an exact symbol, which beats a loose
    /// spelling; among loose ones spot beats perpetual, which beats the rest. Of equals one without a product beats one
    /// with: a market that is told twice is found where the venue tells it first.
    pub fn find(&self, venue: &str, spelling: &str) -> Lookup {
        self.find_where(spelling, |i| i.venue.eq_ignore_ascii_case(venue))
    }

    /// Finds an instrument by any spelling among those that fit.
    pub fn find_where(&self, spelling: &str, fits: impl Fn(&Instrument) -> bool) -> Lookup {
        let fitting = |id: &InstrumentId| self.by_id.get(id).filter(|i| fits(i));
        let found: Vec<&Arc<Instrument>> =
            self.by_key.get(&loose(spelling)).into_iter().flatten().filter_map(fitting).collect();
        let spelled = |i: &Instrument| {
            let name = i.name.split('@').next().unwrap_or_default();
            let scoped = format!("{}:{}", i.product, i.symbol);
            if name == spelling || *i.name == *spelling || scoped.eq_ignore_ascii_case(spelling) {
                0
            } else {
                match i.kind {
                    InstrumentKind::Spot => 1,
                    InstrumentKind::Perpetual => 2,
                    InstrumentKind::Future | InstrumentKind::Option | InstrumentKind::Index => 3,
                }
            }
        };
        let rank = |i: &Instrument| (spelled(i), !i.product.is_empty());
        let Some(best) = found.iter().map(|i| rank(i)).min() else { return Lookup::Unknown };
        let mut best_ones = found.into_iter().filter(|i| rank(i) == best);
        match (best_ones.next(), best_ones.next()) {
            (Some(one), None) => Lookup::Found(Arc::clone(one)),
            (first, second) => {
                let all = first.into_iter().chain(second).chain(best_ones);
                Lookup::Ambiguous(all.map(|i| i.name.clone()).collect())
            }
        }
    }
}

/// The spellings under which an instrument can be found, with punctuation and case taken out.
fn keys(instrument: &Instrument) -> Vec<String> {
    let name = instrument.name.split('@').next().unwrap_or_default();
    let mut keys = vec![
        loose(name),
        loose(&instrument.symbol),
        loose(&instrument.name),
        loose(&format!("{}{}", instrument.product, instrument.symbol)),
        loose(&format!("{}{}", instrument.base, instrument.quote)),
    ];
    keys.sort_unstable();
    keys.dedup();
    keys.retain(|k| !k.is_empty());
    keys
}

fn loose(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_uppercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalogue() -> Catalogue {
        let mut all = Catalogue::default();
        let spot = Instrument::provisional("binance", "spot", "BTCUSDT", InstrumentKind::Spot);
        all.put(&Arc::new(spot.named("BTC", "USDT", "")));
        let perp = Instrument::provisional("binance", "usdm", "BTCUSDT", InstrumentKind::Perpetual);
        all.put(&Arc::new(perp.named("BTC", "USDT", "USDT")));
        let perp = Instrument::provisional("okx", "", "BTC-USDT-SWAP", InstrumentKind::Perpetual);
        all.put(&Arc::new(perp.named("BTC", "USDT", "USDT")));
        all
    }

    #[test]
    fn common_spellings_find_the_instrument() {
        let all = catalogue();
        let name = |venue, text| match all.find(venue, text) {
            Lookup::Found(i) => i.name.to_string(),
            other => format!("{other:?}"),
        };
        for spelling in ["BTC/USDT", "BTC-USDT", "BTCUSDT", "btc_usdt", "spot:BTCUSDT", "BTC/USDT@binance"] {
            assert_eq!(name("binance", spelling), "BTC/USDT@binance", "{spelling}");
        }
        for spelling in ["BTC/USDT:USDT", "usdm:BTCUSDT", "BTC-USDT-USDT"] {
            assert_eq!(name("binance", spelling), "BTC/USDT:USDT@binance", "{spelling}");
        }
        assert_eq!(name("okx", "BTC-USDT-SWAP"), "BTC/USDT:USDT@okx");
        assert_eq!(name("okx", "BTC/USDT"), "BTC/USDT:USDT@okx");
        assert_eq!(all.find("okx", "ETH/USDT"), Lookup::Unknown);
    }

    #[test]
    fn a_market_that_is_told_twice_is_found_without_its_product() {
        let mut all = Catalogue::default();
        for product in ["old", ""] {
            let made = Instrument::provisional("v", product, "BTC-USD", InstrumentKind::Spot);
            all.put(&Arc::new(made.named("BTC", "USD", "")));
        }
        for (spelling, product) in [("BTC/USD", ""), ("BTC-USD", ""), ("btcusd", ""), ("old:BTC-USD", "old")]
        {
            let Lookup::Found(found) = all.find("v", spelling) else { panic!("{spelling}") };
            assert_eq!(&*found.product, product, "{spelling}");
        }
    }

    #[test]
    fn a_new_definition_replaces_the_old_one() {
        let mut all = catalogue();
        let Lookup::Found(old) = all.find("binance", "BTC/USDT") else { panic!("known") };
        assert!(!all.put(&old));
        let finer = Arc::new(old.rescaled(9, 8).unwrap());
        assert!(all.put(&finer));
        assert_eq!(all.find("binance", "BTC/USDT"), Lookup::Found(finer));
    }
}
