//! The registry: every source and every log that the platform has, a line each.

use source::{Log, Source};

/// All sources.
pub const SOURCES: &[&dyn Source] = &[
    &binance::Binance,
    &bitget::Bitget,
    &bybit::Bybit,
    &coinbase::Coinbase,
    &deribit::Deribit,
    &eastmoney::Eastmoney,
    &gate::Gate,
    &htx::Htx,
    &kraken::Kraken,
    &okx::Okx,
    &push::Push,
    &sina::Sina,
    &tdx::Tdx,
    &tencent::Tencent,
    &ths::Ths,
];

/// All logs of exchanges' messages: what can be read from files, and connected to by nobody.
pub const LOGS: &[&dyn Log] = &[&sse_l2::SseLevel2];

/// The source of that name.
pub fn named(name: &str) -> Option<&'static dyn Source> {
    SOURCES.iter().copied().find(|s| s.spec().name == name)
}
