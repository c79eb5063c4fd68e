//! Notifications of the simulated venue: funding, forced orders, contracts.

use super::HtxSim;
use super::encode::{px, side};
use super::world::Print;
use crate::product::Product;
use crate::topic::Kind;
use model::{Instrument, InstrumentKind, Ts};
use source::SimAction;

/// How often funding is paid.
const FUNDING_MS: i64 = 8 * 3_600_000;

impl HtxSim {
    /// The definition and section of an instrument.
    pub(super) fn known(&self, at: usize) -> Option<(&Instrument, Product)> {
        let instrument = self.world.instrument(at)?;
        Some((instrument, self.world.states.get(at)?.product))
    }

    /// What a topic of notifications says now.
    pub(super) fn notice(&mut self, topic: &str, symbol: &str, kind: Kind, now: Ts) -> Option<String> {
        let which: Vec<usize> = match self.world.place(symbol) {
            Some(at) => vec![at],
            None => [self.world.of(Product::Linear), self.world.of(Product::Inverse)].concat(),
        };
        let ms = now.as_ms();
        let rows = match kind {
            Kind::Funding => which.iter().filter_map(|at| self.funding_row(*at, now)).collect::<Vec<_>>(),
            Kind::Contracts => which.iter().filter_map(|at| self.world.rows.get(*at).cloned()).collect(),
            _ => return None,
        };
        let rows = rows.join(",");
        let event = if kind == Kind::Contracts { r#""event":"init","# } else { "" };
        Some(format!(r#"{{"op":"notify","topic":"{topic}","ts":{ms},{event}"data":[{rows}]}}"#))
    }

    /// `{"symbol":"BTC","contract_code":"BTC-USDT","fee_asset":"USDT","funding_time":"…","funding_rate":"0.000100000000000000","settlement_time":"…","estimated_rate":null}`
    pub(super) fn funding_row(&self, at: usize, now: Ts) -> Option<String> {
        let (i, _) = self.known(at)?;
        if i.kind != InstrumentKind::Perpetual {
            return None;
        }
        let ms = now.as_ms();
        let paid = (ms / FUNDING_MS + 1) * FUNDING_MS;
        let rate = if at.is_multiple_of(3) { "0E-18" } else { "0.000100000000000000" };
        let next = if at.is_multiple_of(2) { "null" } else { r#""0.000056920000000000""# };
        let (base, code, fee) = (&i.base, &i.symbol, &i.settle);
        Some(format!(
            r#"{{"symbol":"{base}","contract_code":"{code}","fee_asset":"{fee}","funding_time":"{ms}","funding_rate":"{rate}","settlement_time":"{paid}","estimated_rate":{next}}}"#
        ))
    }

    /// A print was of a forced order.
    pub(super) fn liquidate(
        &mut self,
        at: usize,
        symbol: &str,
        print: Option<&Print>,
        now: Ts,
        out: &mut Vec<SimAction>,
    ) {
        let Some(print) = print.filter(|_| self.world.states.get(at).is_some_and(|s| !s.product.spot()))
        else {
            return;
        };
        for of in [symbol, "*"] {
            let topic = format!("public.{of}.liquidation_orders");
            if !self.peers.heard(&topic) {
                continue;
            }
            let Some((i, p)) = self.known(at) else { return };
            let (base, volume, ms) = (&i.base, print.qty.0, now.as_ms());
            let (price, direction) = (px(print.px, i, p), side(print.aggressor));
            let text = format!(
                r#"{{"op":"notify","topic":"{topic}","ts":{ms},"data":[{{"symbol":"{base}","contract_code":"{symbol}","direction":"{direction}","offset":"close","volume":{volume}.0,"price":{price},"created_at":{ms},"amount":0.15,"trade_turnover":9525.075,"contract_type":"swap","pair":"{symbol}","business_type":"swap"}}]}}"#
            );
            self.peers.push(&topic, &text, out);
        }
    }

    /// Rows of `market.tickers` and of `/market/tickers`.
    pub(super) fn ticker_rows(&self) -> Vec<String> {
        let row = |at: usize| {
            let (i, _) = self.known(at)?;
            Some(format!(r#"{{"symbol":"{}",{}}}"#, i.symbol, self.day(at)?))
        };
        self.world.of(Product::Spot).into_iter().filter_map(row).collect()
    }
}
