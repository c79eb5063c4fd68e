//! What the simulated venue lists, as both of its list endpoints tell it.

use crate::{Feed, listing};
use model::{Decimal, Instrument};
use source::market::{Coin, Listed, coins};
use std::sync::Arc;

/// What makes a product.
#[derive(Clone, Debug)]
pub(super) struct Product {
    /// Of Advanced Trade.
    pub advanced: Arc<Instrument>,
    /// Of Exchange, where the market is told there too.
    pub exchange: Option<Arc<Instrument>>,
    /// Another name of it.
    pub alias: Option<String>,
    /// Where its price starts.
    pub start: i64,
    coin: Coin,
    form: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Spot,
    /// A future far away with funding, as the US venue has them.
    Nano,
    Dated,
    Intx,
}

/// All products over the first coins; futures over the first two.
pub(super) fn products(instruments: usize) -> Vec<Product> {
    let all = coins(instruments);
    let mut made: Vec<Product> = all.iter().filter_map(|coin| product(coin, Form::Spot)).collect();
    for coin in all.iter().take(2) {
        made.extend([Form::Nano, Form::Dated, Form::Intx].into_iter().filter_map(|form| product(coin, form)));
    }
    made
}

fn product(coin: &Coin, form: Form) -> Option<Product> {
    let row = row(coin, form, None, None);
    let body = format!(r#"{{"products":[{row}]}}"#);
    let advanced = listing::read(Feed::Advanced, body.as_bytes()).ok()?.pop()?;
    let spot = form == Form::Spot;
    let exchange = if spot {
        let body = format!("[{}]", exchange_row(coin));
        listing::read(Feed::Exchange, body.as_bytes()).ok()?.pop().map(Arc::new)
    } else {
        None
    };
    let alias = spot.then(|| format!("{}-USDC", coin.base));
    Some(Product { advanced: Arc::new(advanced), exchange, alias, start: coin.px, coin: coin.clone(), form })
}

impl Product {
    /// Whether a query of the listing means it: `product_type=FUTURE&contract_expiry_type=PERPETUAL`.
    pub fn is_in(&self, product_type: &str, expiry_type: &str) -> bool {
        match product_type {
            "FUTURE" if expiry_type == "PERPETUAL" => self.form == Form::Intx,
            "FUTURE" => matches!(self.form, Form::Nano | Form::Dated),
            "SPOT" => self.form == Form::Spot,
            _ => self.form != Form::Intx,
        }
    }

    /// Its rows in the listing of Advanced Trade: its own, and that of its other name.
    pub fn rows(&self, listed: &Listed, interest: i64) -> Vec<String> {
        let state = Some((listed, interest));
        let mut rows = vec![row(&self.coin, self.form, state, None)];
        rows.extend(self.alias.as_deref().map(|alias| row(&self.coin, self.form, state, Some(alias))));
        rows
    }

    /// Its row in the listing of Exchange, where it stands there.
    pub fn exchange_row(&self) -> Option<String> {
        self.exchange.as_ref().map(|_| exchange_row(&self.coin))
    }
}

fn step(scale: u8) -> String {
    Decimal::new(1, scale).to_string()
}

/// The names of a product: itself, base coin, quote coin.
fn names(coin: &Coin, form: Form) -> (String, &str, &'static str) {
    let base = &coin.base;
    match form {
        Form::Spot => (format!("{base}-USD"), base, "USD"),
        Form::Nano => (format!("{base}P-20DEC30-CDE"), "", "USD"),
        Form::Dated => (format!("{base}F-25DEC26-CDE"), "", "USD"),
        Form::Intx => (format!("{base}-PERP-INTX"), "", "USDC"),
    }
}

/// Last price, volume and turnover of a market so far, as text.
pub(super) fn figures(listed: &Listed) -> (Decimal, Decimal, Decimal) {
    let (px, qty) = (listed.instrument.px_scale, listed.instrument.qty_scale);
    (
        Decimal::new(i128::from(listed.last.0.0), px),
        Decimal::new(listed.volume, qty),
        Decimal::new(listed.turnover, px + qty),
    )
}

fn row(coin: &Coin, form: Form, state: Option<(&Listed, i64)>, alias: Option<&str>) -> String {
    let (symbol, base, quote) = names(coin, form);
    let (price, volume, turnover) = state.map_or_else(
        || (Decimal::new(i128::from(coin.px), coin.px_scale), Decimal::new(0, 0), Decimal::new(0, 0)),
        |(listed, _)| figures(listed),
    );
    let (tick, spot) = (step(coin.px_scale), form == Form::Spot);
    let lot = if matches!(form, Form::Nano | Form::Dated) { "1".to_owned() } else { step(coin.qty_scale) };
    let kind = if spot { "SPOT" } else { "FUTURE" };
    let venue = match form {
        Form::Spot => "CBE",
        Form::Nano | Form::Dated => "FCM",
        Form::Intx => "INTX",
    };
    let other = format!("{}-USDC", coin.base);
    let (id, of, to, quote) = match alias {
        Some(alias) => (alias, symbol.as_str(), String::new(), "USDC"),
        None if spot => (symbol.as_str(), "", format!(r#""{other}""#), quote),
        None => (symbol.as_str(), "", String::new(), quote),
    };
    let status = if spot { "online" } else { "" };
    let interest = state.map_or(0, |(_, interest)| interest);
    let future = if spot {
        String::new()
    } else {
        format!(r#","future_product_details":{}"#, future(coin, form, price, interest))
    };
    format!(
        r#"{{"product_id":"{id}","price":"{price}","price_percentage_change_24h":"0.1","volume_24h":"{volume}","volume_percentage_change_24h":"1.1","base_increment":"{lot}","quote_increment":"{tick}","quote_min_size":"1","quote_max_size":"150000000","base_min_size":"{lot}","base_max_size":"3400","base_name":"{base}","quote_name":"US Dollar","watched":false,"is_disabled":false,"new":false,"status":"{status}","cancel_only":false,"limit_only":false,"post_only":false,"trading_disabled":false,"auction_mode":false,"product_type":"{kind}","quote_currency_id":"{quote}","base_currency_id":"{base}","fcm_trading_session_details":null,"mid_market_price":"","alias":"{of}","alias_to":[{to}],"base_display_symbol":"{base}","quote_display_symbol":"USD","view_only":false,"price_increment":"{tick}","display_name":"{id}","product_venue":"{venue}","approximate_quote_24h_volume":"{turnover}","new_at":"2023-01-01T00:00:00Z","market_cap":"","best_bid_price":"","best_ask_price":""{future}}}"#
    )
}

fn future(coin: &Coin, form: Form, price: Decimal, interest: i64) -> String {
    let base = &coin.base;
    let (expiry, expiry_type, size) = match form {
        Form::Nano => (r#""2030-12-20T16:00:00Z""#, "EXPIRING", "0.01"),
        Form::Dated => (r#""2026-12-25T16:00:00Z""#, "EXPIRING", "0.01"),
        Form::Spot | Form::Intx => ("null", "PERPETUAL", "1"),
    };
    let funded = r#""funding_rate":"0.000013","funding_time":"2026-04-07T00:00:00Z""#;
    let none = r#""funding_rate":"","funding_time":null"#;
    // The international perpetuals have their figures one level deeper.
    let (outer, inner, interval) = match form {
        Form::Nano => (funded, none, r#""3600s""#),
        Form::Dated | Form::Spot => (none, none, "null"),
        Form::Intx => (none, funded, r#""3600s""#),
    };
    let outer_interest = if form == Form::Intx { String::new() } else { interest.to_string() };
    let index = if form == Form::Dated { String::new() } else { price.to_string() };
    format!(
        r#"{{"venue":"cde","contract_code":"{base}","contract_expiry":{expiry},"contract_size":"{size}","contract_root_unit":"{base}","group_description":"{base}","contract_expiry_timezone":"Europe/London","group_short_description":"{base}","risk_managed_by":"MANAGED_BY_FCM","contract_expiry_type":"{expiry_type}","perpetual_details":{{"open_interest":"{interest}",{inner},"max_leverage":"10","base_asset_uuid":"","underlying_type":"SPOT"}},"contract_display_name":"{base}","time_to_expiry_ms":null,"non_crypto":false,"contract_expiry_name":"","twenty_four_by_seven":true,"funding_interval":{interval},"open_interest":"{outer_interest}",{outer},"display_name":"{base}","index_price":"{index}"}}"#
    )
}

fn exchange_row(coin: &Coin) -> String {
    let base = &coin.base;
    let (tick, lot) = (step(coin.px_scale), step(coin.qty_scale));
    format!(
        r#"{{"id":"{base}-USD","base_currency":"{base}","quote_currency":"USD","quote_increment":"{tick}","base_increment":"{lot}","display_name":"{base}-USD","min_market_funds":"1","margin_enabled":false,"post_only":false,"limit_only":false,"cancel_only":false,"status":"online","status_message":"","trading_disabled":false,"fx_stablecoin":false,"max_slippage_percentage":"0.02","auction_mode":false,"high_bid_limit_percentage":""}}"#
    )
}
