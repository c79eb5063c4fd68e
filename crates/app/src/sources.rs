//! The registry: every source that the platform has, a line each.

use source::Source;

/// All sources.
pub const SOURCES: &[&dyn Source] = &[
    &binance::Binance,
    &bitget::Bitget,
    &bybit::Bybit,
    &coinbase::Coinbase,
    &deribit::Deribit,
    &gate::Gate,
    &htx::Htx,
    &kraken::Kraken,
    &okx::Okx,
];

/// The source of that name.
pub fn named(name: &str) -> Option<&'static dyn Source> {
    SOURCES.iter().copied().find(|s| s.spec().name == name)
}
