//! Frames of the Exchange feed: types to events.

use super::advanced::Best;
use super::{Blame, CoinbaseSession, skip};
use crate::Feed;
use crate::exchange::{self, Flat};
use crate::parse::Result;
use crate::subscribe::{self, Refusal};
use model::{Channel, DayStats, Decimal, Side, Ts};
use source::{Action, Cursor, What};

impl CoinbaseSession {
    /// One frame.
    pub(super) fn exchange(&mut self, bytes: &[u8], now: Ts, out: &mut Vec<Action>) {
        self.blame = Blame::All;
        if bytes.first() == Some(&b'[') {
            // `["open","BTC-USD","1","…"]`: orders in the short form; only the long one is asked for.
            let mut c = Cursor::new(bytes);
            match skip(&mut c).and_then(|()| c.end()) {
                Ok(()) => out.push(Action::Control("level 3 in its short form")),
                Err(fault) => self.suffer(fault, now, out),
            }
            return;
        }
        let (flat, read) = exchange::frame(bytes);
        if let Some(key) = flat.unknown {
            self.notes.unknown(if flat.word.is_ascii() { flat.word } else { b"frame" }, key, out);
        }
        let read = read.and_then(|()| self.flat(&flat, bytes, now, out));
        if let Err(fault) = read {
            self.blamed(&flat);
            self.suffer(fault, now, out);
        }
    }

    /// Whose a frame is that could not be read.
    fn blamed(&mut self, flat: &Flat<'_>) {
        self.blame = match self.table.known(Feed::Exchange, flat.print.product) {
            Some(at) if flat.is_book() || flat.word.is_empty() => Blame::Book(at),
            _ if is_other(flat.word) => Blame::Nobody,
            Some(at) => Blame::Book(at),
            None => Blame::All,
        };
    }

    fn flat<'a>(&mut self, flat: &Flat<'a>, bytes: &'a [u8], now: Ts, out: &mut Vec<Action>) -> Result<()> {
        let c = Cursor::new(bytes);
        match flat.word {
            b"l2update" | b"snapshot" => self.book_old(flat, &c, now, out),
            b"match" | b"last_match" => {
                self.found.clear();
                self.find(Feed::Exchange, &flat.print, &c, now, out)?;
                self.tell_found(flat.word == b"last_match", now, out);
                Ok(())
            }
            b"ticker" => self.ticker_old(flat, &c, now, out),
            b"heartbeat" => {
                out.push(Action::Control("heartbeat"));
                Ok(())
            }
            b"subscriptions" => {
                let held = subscribe::held_exchange(bytes)?;
                out.push(Action::Control("subscriptions"));
                self.acked(&held, now, out);
                Ok(())
            }
            b"error" => {
                let refusal = Refusal::read(bytes)?;
                out.push(Action::Control("error"));
                self.refused(&refusal, now, out);
                Ok(())
            }
            b"status" => match flat.products.clone() {
                Some(mut rows) => {
                    let rows = rows.skip()?;
                    self.statuses_exchange(rows, flat.ts(), now, out)
                }
                None => Err(c.fault(What::Missing("products"))),
            },
            b"open" | b"done" | b"received" | b"change" | b"activate" => {
                out.push(Action::Control("an order of the full feed"));
                Ok(())
            }
            b"auction" | b"auctionfeed" | b"rfq_match" | b"level3" => {
                out.push(Action::Control("of a channel that is not asked for"));
                Ok(())
            }
            other => {
                self.notes.unknown(b"type", other, out);
                if self.wanting {
                    // Nothing but what was asked for is sent: this may be the damaged type of a book's frame.
                    let cause = model::GapCause::Malformed;
                    match self.table.known(Feed::Exchange, flat.print.product) {
                        Some(at) => self.lose(at, cause, now, out),
                        None => self.lose_all(cause, now, out),
                    }
                }
                Ok(())
            }
        }
    }

    fn book_old<'a>(
        &mut self,
        flat: &Flat<'a>,
        c: &Cursor<'a>,
        now: Ts,
        out: &mut Vec<Action>,
    ) -> Result<()> {
        let at = self.listed(Feed::Exchange, flat.print.product, c)?;
        let whole = flat.word == b"snapshot";
        loop {
            let Some(listed) = self.table.get_mut(at) else { return Ok(()) };
            let scales = (listed.instrument.px_scale, listed.instrument.qty_scale);
            let scratch = &mut self.scratch;
            let read = match (&flat.changes, &flat.bids, &flat.asks) {
                (_, Some(bids), Some(asks)) if whole => {
                    scratch.clear();
                    exchange::side(&mut bids.clone(), Side::Bid, scales, scratch)
                        .and_then(|()| exchange::side(&mut asks.clone(), Side::Ask, scales, scratch))
                }
                (Some(changes), ..) if !whole => exchange::changes(&mut changes.clone(), scales, scratch),
                _ => return Err(c.fault(What::Missing("changes, bids or asks"))),
            };
            let Err(fault) = read else { break };
            listed.widen(&fault, now, out)?;
        }
        if whole {
            self.snapshot(at, flat.ts(), now, out);
        } else {
            self.delta(at, flat.ts(), now, out);
        }
        Ok(())
    }

    fn ticker_old<'a>(
        &mut self,
        flat: &Flat<'a>,
        c: &Cursor<'a>,
        now: Ts,
        out: &mut Vec<Action>,
    ) -> Result<()> {
        let at = self.listed(Feed::Exchange, flat.print.product, c)?;
        let stats = DayStats {
            open: number(flat.open.as_ref())?,
            high: number(flat.high.as_ref())?,
            low: number(flat.low.as_ref())?,
            last: number(flat.print.px.as_ref())?,
            last_qty: number(flat.last_size.as_ref())?,
            volume: number(flat.volume.as_ref())?,
            ..DayStats::default()
        };
        let best = Best {
            bid: flat.best_bid.clone(),
            bid_qty: flat.best_bid_size.clone(),
            ask: flat.best_ask.clone(),
            ask_qty: flat.best_ask_size.clone(),
        };
        // Until 2022 the quantities were left out; a price alone is no quote.
        self.tell_ticker(at, stats, &best, (flat.sequence, flat.ts()), now, out)
    }

    /// Whether anybody wants this of the instrument.
    pub(super) fn wants(&self, at: usize, channel: Channel) -> bool {
        self.table.get(at).is_some_and(|l| l.wants(channel))
    }
}

/// Types that are known and of no book.
fn is_other(word: &[u8]) -> bool {
    matches!(
        word,
        b"match" | b"last_match" | b"ticker" | b"heartbeat" | b"subscriptions" | b"error" | b"status"
    )
}

fn number(place: Option<&Cursor<'_>>) -> Result<Option<Decimal>> {
    place.cloned().map_or(Ok(None), |mut c| c.decimal_opt())
}
