//! When a record that is brought is one that came before.

use crate::when;
use model::{Body, Delta, Event, Levels, Snapshot, TradeId};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

/// What two events of one lane have in common where they tell of the same thing. It is the one rule for records that other
/// programs post, for files that are imported and for what is read from a venue's history.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// In words; of two lanes it may be the same.
    pub key: String,
    /// Whether several of the same may be told in truth, so that only the n-th is the n-th: trades without a number.
    pub repeats: bool,
}

/// What an event is known by: a trade by the venue's number, or where there is none by time, price, quantity and side; a
/// quote by time and both sides; a book, or a change of one, by time and number, or where there is none by time and levels; a bar by its interval and beginning; anything else by
/// all that it says.
pub fn identity(event: &Event) -> Identity {
    let at = when(event).0;
    let once = |key| Identity { key, repeats: false };
    match &event.body {
        Body::Trade(trade) => match &trade.id {
            TradeId::Num(id) => once(format!("trade_id {id}")),
            TradeId::Text(id) if !id.is_empty() => once(format!("trade_id {id}")),
            TradeId::Text(_) => {
                let instrument = &event.instrument;
                let (px, qty) =
                    (plain(trade.px.0, instrument.px_scale), plain(trade.qty.0, instrument.qty_scale));
                let key = format!("ts {at} price {px} quantity {qty} side {:?}", trade.aggressor);
                Identity { key, repeats: true }
            }
        },
        Body::Quote(quote) => {
            let level = |level: Option<model::Level>| {
                let instrument = &event.instrument;
                level.map(|level| {
                    (plain(level.px.0, instrument.px_scale), plain(level.qty.0, instrument.qty_scale))
                })
            };
            once(format!("ts {at} bid {:?} ask {:?}", level(quote.bid), level(quote.ask)))
        }
        Body::Snapshot(Snapshot { seq, levels, .. }) => once(book("book", at, *seq, levels)),
        Body::Delta(Delta { seq, levels, .. }) => once(book("change", at, *seq, levels)),
        Body::Bar(bar) => once(format!("bar {} from {}", bar.interval, bar.start.0)),
        Body::Instrument => once(format!("ts {at} definition {:?}", event.instrument)),
        body => once(format!("ts {at} {body:?}")),
    }
}

/// A book, or a change of one: by the venue's number, or where there is none by its levels.
fn book(what: &str, at: i64, seq: Option<u64>, levels: &Levels) -> String {
    if let Some(seq) = seq {
        return format!("{what} ts {at} last_update_id {seq}");
    }
    let mut hasher = DefaultHasher::new();
    for side in [levels.bids(), levels.asks()] {
        side.len().hash(&mut hasher);
        for level in side {
            (level.px.0, level.qty.0).hash(&mut hasher);
        }
    }
    format!("{what} ts {at} levels {:016x}", hasher.finish())
}

/// The same text for the same number at any scale.
fn plain(mantissa: i64, scale: model::Scale) -> String {
    let mut text = Vec::new();
    model::write_mantissa(mantissa, scale, &mut text);
    String::from_utf8_lossy(&text).into_owned()
}
