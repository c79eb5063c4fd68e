//! binance
