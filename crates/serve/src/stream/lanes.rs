//! Which lanes a client has, and in what state they are.

use crate::names;
use crate::site::Site;
use crate::stream::request::{Fault, known_channels};
use bus::Filter;
use hashbrown::HashMap;
use model::{Channel, Instrument, InstrumentId};
use serde::Serialize;
use std::sync::Arc;

/// One lane of a client.
#[derive(Serialize)]
pub(crate) struct LaneNow {
    instrument: Box<str>,
    exchange: Box<str>,
    symbol: Box<str>,
    channel: &'static str,
    /// Absent where nobody collects the lane.
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'static str>,
    state: &'static str,
    words: String,
    proof: &'static str,
    /// For books.
    #[serde(skip_serializing_if = "Option::is_none")]
    book_state: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    book_epoch: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    depth: Option<usize>,
}

/// The instruments that the texts name. The first that names none is the fault, and then none is taken.
pub(crate) fn resolve(site: &Site, texts: &[String]) -> Result<Vec<Arc<Instrument>>, Fault> {
    let find =
        |text: &String| names::find(&site.bus, text).map_err(|why| Fault::new(why.code(), why.message()));
    texts.iter().map(find).collect()
}

/// The state of these channels of these instruments.
pub(crate) fn now(
    site: &Site,
    instruments: &[Arc<Instrument>],
    wants: impl Fn(InstrumentId, Channel) -> bool,
    depths: &HashMap<InstrumentId, usize>,
) -> Vec<LaneNow> {
    let report = site.report();
    let mut all = Vec::new();
    for instrument in instruments {
        for channel in known_channels().filter(|c| wants(instrument.id, *c)) {
            let mut found = report
                .lanes
                .iter()
                .filter(|l| l.instrument.id == instrument.id && l.channel == channel)
                .peekable();
            let is_book = channel == Channel::Book || channel == Channel::BookTop;
            let book = is_book.then(|| site.bus.book(instrument.id, channel, 0)).flatten();
            let lane = LaneNow {
                instrument: instrument.name.clone(),
                exchange: instrument.venue.clone(),
                symbol: instrument.symbol.clone(),
                channel: channel.name(),
                source: None,
                state: "off",
                words: "nobody collects this; it will come should somebody begin to".to_owned(),
                proof: "none",
                book_state: book.as_ref().map(|b| b.state.name()),
                book_epoch: book.as_ref().map(|b| b.epoch),
                depth: depths.get(&instrument.id).copied().filter(|_| is_book),
            };
            if found.peek().is_none() {
                all.push(lane);
                continue;
            }
            all.extend(found.map(|report| LaneNow {
                source: Some(report.source),
                state: report.state.name(),
                words: report.words.clone(),
                proof: report.proof.name(),
                instrument: lane.instrument.clone(),
                exchange: lane.exchange.clone(),
                symbol: lane.symbol.clone(),
                ..lane
            }));
        }
    }
    all
}

/// The filter with these lanes added, or the fault that there would be too many.
pub(crate) fn add(
    filter: &Filter,
    instruments: &[Arc<Instrument>],
    channels: &[Channel],
    max: usize,
) -> Result<Filter, Fault> {
    let mut filter = filter.clone();
    for instrument in instruments {
        for channel in channels {
            filter.add(instrument.id, *channel);
        }
    }
    if filter.len() > max {
        return Err(too_many(filter.len(), max));
    }
    Ok(filter)
}

/// More lanes than a client may have.
pub(crate) fn too_many(wanted: usize, max: usize) -> Fault {
    let message = format!("{wanted} lanes are more than the {max} that one connection may have");
    Fault::new("too_many_subscriptions", message)
}
