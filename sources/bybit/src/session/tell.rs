//! What was read of a frame, told once its end was seen.

use super::{BybitSession, Got};
use crate::parse::{Head, Result};
use crate::ticker::Ticker;
use model::{Body, Channel, Trade, Ts};
use source::{Action, Malformed, What};

impl BybitSession {
    /// Tells what was read.
    #[inline]
    pub(super) fn tell(&mut self, got: Got, head: &Head<'_>, now: Ts, out: &mut Vec<Action>) -> Result<()> {
        let whole = head.push == b"snapshot";
        let numbered = matches!(got, Got::Book(..) | Got::Ticker(..));
        if numbered && !whole && head.push != b"delta" {
            return Err(Malformed { at: 0, what: What::Rule("neither a snapshot nor a delta") });
        }
        match got {
            Got::Book((at, 1), row) => self.best(at, row, head, now, out),
            Got::Book(book, row) => self.book(book, row, head, now, out),
            Got::Trades => self.tell_trades(now, out),
            Got::Ticker(at, ticker) => self.ticker(at, &ticker, (whole, head.ts), now, out),
            Got::Bars(at, bars) => {
                let Some(listed) = self.table.get(at).filter(|l| l.wants(Channel::Bars)) else {
                    return Ok(());
                };
                for (bar, ts) in bars {
                    listed.emit(Channel::Bars, ts, now, Body::Bar(Box::new(bar)), out);
                }
            }
            Got::Forced(at, orders) => {
                let Some(listed) = self.table.get(at).filter(|l| l.wants(Channel::Liquidations)) else {
                    return Ok(());
                };
                for (order, ts) in orders {
                    listed.emit(Channel::Liquidations, ts, now, Body::Liquidation(Box::new(order)), out);
                }
            }
            Got::OldBook(book, whole) => self.old_book(book, whole, head, now, out),
            Got::Nothing => {}
        }
        Ok(())
    }

    #[inline]
    fn tell_trades(&mut self, now: Ts, out: &mut Vec<Action>) {
        for row in self.scratch.trades.drain(..) {
            let Some(listed) = self.table.get(row.at).filter(|l| l.wants(Channel::Trades)) else { continue };
            let (px, qty) = (row.level.px, row.level.qty);
            let trade = Trade { id: row.id, px, qty, aggressor: row.aggressor, count: 1 };
            listed.emit(Channel::Trades, row.ts, now, Body::Trade(trade), out);
        }
    }

    fn ticker(
        &mut self,
        at: usize,
        push: &Ticker,
        (whole, ts): (bool, Option<Ts>),
        now: Ts,
        out: &mut Vec<Action>,
    ) {
        let Some(listed) = self.table.get_mut(at) else { return };
        listed.ticker.merge(push, whole, ts);
        let before = out.len();
        for channel in push.news().filter(|channel| listed.wants(*channel)) {
            if let Some(body) = listed.ticker.body(channel, listed.product) {
                listed.emit(channel, ts, now, body, out);
            }
        }
        if out.len() == before {
            out.push(Action::Control("a ticker with nothing that is wanted"));
        }
    }
}
