//! Rows of the simulated venue's listing.

use model::Decimal;
use source::market::{Coin, coins};

/// 2026-12-25, 08:00 UTC.
const EXPIRY_MS: i64 = 1_798_185_600_000;
/// What stands for never.
const NEVER_MS: i64 = 32_503_708_800_000;

/// What distinguishes a row.
struct Terms<'a> {
    name: String,
    kind: &'a str,
    linear: bool,
    base: &'a str,
    quote: &'a str,
    settle: &'a str,
    period: &'a str,
    tick: String,
    steps: &'a str,
    lot: String,
    expiry_ms: i64,
    /// Option type and strike, as JSON.
    option: &'a str,
}

/// All rows, and where the price of each begins: a mantissa and its scale.
pub(super) fn all(instruments: usize) -> (Vec<String>, Vec<(i64, u8)>) {
    let (mut rows, mut starts) = (Vec::new(), Vec::new());
    let mut put = |terms: Terms<'_>, px: (i64, u8)| {
        rows.push(row(&terms, rows.len()));
        starts.push(px);
    };
    let coins = coins(instruments);
    for coin in coins.iter().take(2) {
        put(inverse(coin, "PERPETUAL", "perpetual", NEVER_MS), (coin.px, coin.px_scale));
    }
    for coin in &coins {
        put(linear(coin), (coin.px, coin.px_scale));
        put(spot(coin), (coin.px, coin.px_scale));
    }
    for coin in coins.iter().take(2) {
        put(inverse(coin, "25DEC26", "month", EXPIRY_MS), (coin.px, coin.px_scale));
    }
    for (coin, strike, option) in [
        (coins.first(), "100000-C", r#","option_type":"call","strike":100000.0"#),
        (coins.get(1), "3000-P", r#","option_type":"put","strike":3000.0"#),
        (coins.first(), "60000-P", r#","option_type":"put","strike":60000.0"#),
    ] {
        if let Some(coin) = coin {
            put(inverse_option(coin, strike, option), (365, 4));
        }
    }
    if let Some(coin) = coins.get(3) {
        let option = r#","option_type":"call","strike":0.55"#;
        let name = format!("{}_USDC-25DEC26-0d55-C", coin.base);
        let terms =
            Terms { name, kind: "option", expiry_ms: EXPIRY_MS, option, period: "month", ..linear(coin) };
        put(terms, (coin.px / 10, coin.px_scale));
    }
    (rows, starts)
}

fn inverse<'a>(coin: &'a Coin, end: &str, period: &'a str, expiry_ms: i64) -> Terms<'a> {
    Terms {
        name: format!("{}-{end}", coin.base),
        kind: "future",
        linear: false,
        base: &coin.base,
        quote: "USD",
        settle: &coin.base,
        period,
        tick: if coin.base == "BTC" { "0.5" } else { "0.05" }.to_owned(),
        steps: "",
        lot: if coin.base == "BTC" { "10.0" } else { "1.0" }.to_owned(),
        expiry_ms,
        option: "",
    }
}

fn linear(coin: &Coin) -> Terms<'_> {
    Terms {
        name: format!("{}_USDC-PERPETUAL", coin.base),
        kind: "future",
        linear: true,
        base: &coin.base,
        quote: "USDC",
        settle: "USDC",
        period: "perpetual",
        tick: step(coin.px_scale),
        steps: "",
        lot: step(coin.qty_scale),
        expiry_ms: NEVER_MS,
        option: "",
    }
}

fn spot(coin: &Coin) -> Terms<'_> {
    Terms { name: format!("{}_USDC", coin.base), kind: "spot", period: "", settle: "", ..linear(coin) }
}

fn inverse_option<'a>(coin: &'a Coin, strike: &str, option: &'a str) -> Terms<'a> {
    Terms {
        name: format!("{}-25DEC26-{strike}", coin.base),
        kind: "option",
        quote: &coin.base,
        tick: "1.0e-4".to_owned(),
        steps: r#"{"above_price":0.005,"tick_size":0.0005}"#,
        lot: "0.1".to_owned(),
        option,
        ..inverse(coin, "", "month", EXPIRY_MS)
    }
}

fn step(scale: u8) -> String {
    Decimal::new(1, scale).to_string()
}

fn row(terms: &Terms<'_>, n: usize) -> String {
    let Terms { name, kind, base, quote, period, tick, steps, lot, option, .. } = terms;
    let kind_of = if terms.linear { "linear" } else { "reversed" };
    let counter = if terms.linear { "USDC" } else { "USD" };
    let index = format!("{}_{}", base.to_ascii_lowercase(), counter.to_ascii_lowercase());
    let spot = *kind == "spot";
    let settled = if spot {
        String::new()
    } else {
        let settle = terms.settle;
        format!(r#","settlement_period":"{period}","settlement_currency":"{settle}""#)
    };
    let future = if *kind == "future" {
        format!(r#","future_type":"{kind_of}","max_leverage":50,"max_liquidation_commission":0.0075"#)
    } else {
        String::new()
    };
    let size = if *kind == "option" { "1.0" } else { lot.as_str() };
    format!(
        r#"{{"instrument_name":"{name}","instrument_id":{id},"kind":"{kind}","instrument_type":"{kind_of}","base_currency":"{base}","quote_currency":"{quote}","counter_currency":"{counter}"{settled},"price_index":"{index}","tick_size":{tick},"tick_size_steps":[{steps}],"contract_size":{size},"min_trade_amount":{lot},"block_trade_commission":0.0003,"block_trade_min_trade_amount":25,"block_trade_tick_size":{tick},"maker_commission":0.0,"taker_commission":0.0005,"rfq":false,"is_active":true,"state":"open","creation_timestamp":1534167754000,"expiration_timestamp":{expiry}{future}{option}}}"#,
        id = 210_000 + n,
        expiry = terms.expiry_ms,
    )
}
