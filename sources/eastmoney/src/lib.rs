//! Eastmoney (东方财富): quotes, bars, flows of money and boards of Chinese stocks by the API behind its web pages.
//!
//! What it offers, its limits and its quirks stand in the README of this folder.

mod asks;
mod fields;
mod lines;
mod listing;
mod names;
mod quotes;
mod rest;
mod sim;

use asks::{CODES_MAX, EastmoneyAsks, Stream, stream};
use model::{Channel, Instrument, Proof, SourceName};
use source::poll::{AnswerSim, Manners, Rounds};
use source::{
    ChannelSpec, End, Endpoint, Malformed, Options, Rate, Request, Rest, Session, Shard, Sim, SimSetup,
    Source, Spec, Want, What, web,
};
use std::collections::{BTreeMap, BTreeSet};

/// The folder's name, also the venue of boards.
pub(crate) const NAME: SourceName = "eastmoney";
/// How many rows a page of a list has at most, whatever is asked for.
pub(crate) const PAGE_ROWS: u64 = 100;
/// Quotes and lists.
const PUSH: usize = 0;
/// The past: bars and minutes.
pub(crate) const HISTORY: usize = 1;

/// The source.
#[derive(Clone, Copy, Debug, Default)]
pub struct Eastmoney;

const fn offers(channel: Channel) -> ChannelSpec {
    ChannelSpec { channel, proof: Proof::None, quiet_ms: None }
}

/// What is said about it nowhere is what clients have found to be let through: one request at a time, a second apart.
const fn endpoint(name: &'static str, ws: &'static str, rest: &'static str) -> Endpoint {
    Endpoint {
        name,
        ws,
        rest,
        connects: Rate { max: 1, per_ms: 1_000 },
        sends: Rate { max: 1, per_ms: 1_000 },
        weight: Rate { max: 1, per_ms: 1_000 },
        heartbeat_ms: 30_000,
        lifetime_ms: None,
    }
}

/// Names, addresses and limits.
pub static SPEC: Spec = Spec {
    name: NAME,
    docs: "https://quote.eastmoney.com/",
    endpoints: &[
        endpoint("stream", "https://push2.eastmoney.com", "https://push2.eastmoney.com"),
        endpoint("history", "https://push2his.eastmoney.com", "https://push2his.eastmoney.com"),
    ],
    channels: &[
        offers(Channel::DayStats),
        offers(Channel::BookTop),
        offers(Channel::Status),
        offers(Channel::CapitalFlow),
        offers(Channel::Bars),
        offers(Channel::MinuteLine),
        offers(Channel::Sectors),
    ],
    frame_bytes_max: 4 * 1024 * 1024,
};

/// Refusals last two to four minutes, and nothing helps meanwhile.
const MANNERS: Manners = Manners {
    apart_ms: 1_000,
    idle_ms: 60_000,
    retry_ms: 2_000,
    refused_ms: 180_000,
    patience_ms: 15_000,
    moves: web::stocks_move,
};

/// Up to how many instruments their numbers of the day are heard as they change; of more they are asked for in rounds.
const STREAMED_MAX: usize = 200;

/// Of how many instruments the levels are heard as they change, each by a connection of its own; of more they are asked for.
const SINGLES_MAX: usize = 50;

/// By what a want is carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Heard(Stream),
    Asked(usize),
}

/// `None` where the venue has no such thing.
fn way(want: &Want) -> Option<Way> {
    let board = *want.instrument.venue == *NAME;
    names::secid(&want.instrument)?;
    match want.channel {
        Channel::DayStats | Channel::CapitalFlow => Some(Way::Heard(Stream::Many)),
        Channel::BookTop | Channel::Status if !board => Some(Way::Heard(Stream::Single)),
        Channel::Sectors if board => Some(Way::Asked(PUSH)),
        Channel::Bars | Channel::MinuteLine => Some(Way::Asked(HISTORY)),
        _ => None,
    }
}

/// What one connection each can carry.
fn cut(wants: &[Want], options: &Options) -> Vec<Shard> {
    let (mut single, mut many): (BTreeMap<String, Vec<Want>>, BTreeMap<String, Vec<Want>>) =
        Default::default();
    let mut asked: [Vec<Want>; 2] = Default::default();
    let singles: BTreeSet<_> = wants
        .iter()
        .filter(|want| way(want) == Some(Way::Heard(Stream::Single)))
        .map(|want| want.instrument.id)
        .collect();
    for want in wants {
        let Some(secid) = names::secid(&want.instrument) else { continue };
        match way(want) {
            // A single stock's answer tells more of the day than a list does.
            Some(Way::Heard(Stream::Many))
                if want.channel == Channel::DayStats && singles.contains(&want.instrument.id) =>
            {
                single.entry(secid).or_default().push(want.clone());
            }
            Some(Way::Heard(Stream::Many)) => many.entry(secid).or_default().push(want.clone()),
            Some(Way::Heard(Stream::Single)) => single.entry(secid).or_default().push(want.clone()),
            Some(Way::Asked(endpoint)) => {
                if let Some(all) = asked.get_mut(endpoint) {
                    all.push(want.clone());
                }
            }
            None => {}
        }
    }
    let shard = |endpoint, path, wants| Shard { endpoint, path, wants, options: options.clone() };
    let mut shards = Vec::new();
    let [push, history] = &mut asked;
    if single.len() > SINGLES_MAX {
        push.extend(single.into_values().flatten());
    } else {
        let heard = single.into_iter();
        shards.extend(heard.map(|(secid, wants)| shard(PUSH, Some(stream(Stream::Single, &[secid])), wants)));
    }
    if many.len() > STREAMED_MAX {
        push.extend(many.into_values().flatten());
    } else {
        let many: Vec<(String, Vec<Want>)> = many.into_iter().collect();
        for part in many.chunks(CODES_MAX) {
            let secids: Vec<String> = part.iter().map(|(secid, _)| secid.clone()).collect();
            let wants = part.iter().flat_map(|(_, wants)| wants.clone()).collect();
            shards.push(shard(PUSH, Some(stream(Stream::Many, &secids)), wants));
        }
    }
    shards.push(shard(PUSH, None, std::mem::take(push)));
    shards.push(shard(HISTORY, None, std::mem::take(history)));
    shards.retain(|shard| !shard.wants.is_empty());
    shards
}

impl Source for Eastmoney {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn listings(&self) -> Vec<Request> {
        listing::requests()
    }

    fn more(&self, request: &Request, body: &[u8]) -> Option<Request> {
        listing::more(request, body)
    }

    fn define(&self, path: &str, body: &[u8]) -> Option<Result<Vec<Instrument>, Malformed>> {
        listing::is_listing(path).then(|| listing::read(body))
    }

    fn shards(&self, wants: &[Want], options: &Options) -> Vec<Shard> {
        cut(wants, options)
    }

    fn session(&self, shard: &Shard) -> Box<dyn Session> {
        let asks = Box::new(EastmoneyAsks::new(shard.path.clone()));
        Box::new(Rounds::new(asks, MANNERS, SPEC.channels, shard))
    }

    fn sim(&self, setup: &SimSetup) -> Box<dyn Sim> {
        Box::new(AnswerSim::new(setup, sim::EastmoneySim::new(setup)))
    }

    fn headers(&self, _endpoint: usize) -> &'static [(&'static str, &'static str)] {
        &[("Referer", "https://quote.eastmoney.com/"), ("User-Agent", "Mozilla/5.0")]
    }

    /// An event of an answer that goes on ends with an empty line.
    fn cut(&self, _endpoint: usize, _from: End, bytes: &[u8]) -> Result<Option<usize>, Malformed> {
        let end = bytes.windows(2).position(|pair| pair == b"\n\n").map(|at| at + 2);
        let carriage = bytes.windows(4).position(|part| part == b"\r\n\r\n").map(|at| at + 4);
        match end.into_iter().chain(carriage).min() {
            None if bytes.len() > SPEC.frame_bytes_max => {
                Err(Malformed { at: bytes.len(), what: What::Rule("an event longer than any") })
            }
            end => Ok(end),
        }
    }

    fn recognises(&self, url: Option<&str>, frame: &[u8]) -> bool {
        let has = |key: &[u8]| frame.windows(key.len()).any(|part| part == key);
        url.map_or_else(
            || (has(b"\"f12\":") || has(b"\"f57\":")) && fields::envelope(frame).is_ok(),
            |url| url.contains("eastmoney.com/"),
        )
    }

    fn rest(&self) -> &dyn Rest {
        &rest::EastmoneyRest
    }
}
