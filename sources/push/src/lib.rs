//! The token push feed: the whole A-share market by one TCP connection, a record of each stock about every three seconds.
//!
//! What it offers, its wire, its limits and its quirks stand in the README of this folder.

mod check;
mod emit;
mod frame;
mod hours;
mod layout;
mod notes;
mod record;
mod rest;
mod session;
pub mod sim;

use model::{Channel, Instrument, Proof, SourceName};
use source::{
    ChannelSpec, End, Endpoint, Malformed, Options, Rate, Request, Rest, Session, Shard, Sim, SimSetup,
    Source, Spec, Want,
};

/// The folder's name.
pub(crate) const NAME: SourceName = "push";

const fn offers(channel: Channel) -> ChannelSpec {
    // Whether a stock without news is pushed again is not known, so no cadence is claimed.
    ChannelSpec { channel, proof: Proof::None, quiet_ms: None }
}

/// Names, addresses and limits.
pub static SPEC: Spec = Spec {
    name: NAME,
    docs: "https://docs.chagubang.com/api/data-format",
    endpoints: &[Endpoint {
        name: "push",
        ws: "tcp://l1.chagubang.com:6380",
        rest: "",
        connects: Rate { max: 1, per_ms: 3_000 },
        sends: Rate { max: 1, per_ms: 1_000 },
        weight: Rate { max: 1, per_ms: 1_000 },
        // Nights and holidays are silent; within trading hours the session knows silence itself.
        heartbeat_ms: 30 * 86_400_000,
        lifetime_ms: None,
    }],
    channels: &[offers(Channel::DayStats), offers(Channel::BookTop), offers(Channel::Instruments)],
    frame_bytes_max: frame::PAYLOAD_MAX + 4,
};

/// The source.
#[derive(Clone, Copy, Debug, Default)]
pub struct Push;

impl Source for Push {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    /// There is no list: what is pushed is what there is.
    fn listings(&self) -> Vec<Request> {
        Vec::new()
    }

    fn define(&self, _path: &str, _body: &[u8]) -> Option<Result<Vec<Instrument>, Malformed>> {
        None
    }

    /// One connection carries everything; wants only choose what of it is told.
    fn shards(&self, wants: &[Want], options: &Options) -> Vec<Shard> {
        let offered = |want: &&Want| SPEC.channel(want.channel).is_some();
        let carried: Vec<Want> = wants.iter().filter(offered).cloned().collect();
        if carried.is_empty() && !wants.is_empty() {
            return Vec::new();
        }
        vec![Shard { endpoint: 0, path: Some(String::new()), wants: carried, options: options.clone() }]
    }

    fn session(&self, shard: &Shard) -> Box<dyn Session> {
        Box::new(session::PushSession::new(shard))
    }

    fn sim(&self, setup: &SimSetup) -> Box<dyn Sim> {
        Box::new(sim::PushSim::new(setup))
    }

    fn cut(&self, _endpoint: usize, from: End, bytes: &[u8]) -> Result<Option<usize>, Malformed> {
        match from {
            End::Venue => frame::cut(bytes),
            // A token has no end that can be told; it is what comes.
            End::Client => Ok(Some(bytes.len()).filter(|len| *len > 0)),
        }
    }

    /// The vendor lets go of a client for whom more than 100 MB wait.
    fn must_read(&self, _endpoint: usize) -> bool {
        true
    }

    fn recognises(&self, url: Option<&str>, frame: &[u8]) -> bool {
        match url {
            Some(url) => url.contains("chagubang.com"),
            None => record::looks_like_ours(frame::payload(frame)),
        }
    }

    fn rest(&self) -> &dyn Rest {
        &rest::PushRest
    }
}
