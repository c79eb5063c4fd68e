//! What is wanted: shards, stream names, subscription frames, and what became of them.

use crate::product::Product;
use model::{Channel, Instrument, Ts};
use source::{Options, Shard, Want};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// How many streams one frame names.
const STREAMS_PER_FRAME: usize = 200;
/// How long the venue may take to answer a frame, in ms; then it is sent again.
pub const ANSWER_MS: u64 = 15_000;

/// The stream that tells of contracts.
const CONTRACTS: &str = "!contractInfo";

/// Whether a channel tells what the listing holds.
pub const fn is_listed(channel: Channel) -> bool {
    matches!(channel, Channel::Status | Channel::Instruments)
}

/// The stream that carries a channel; `None` where it comes by REST or not at all.
pub fn stream(
    product: &Product,
    instrument: &Instrument,
    channel: Channel,
    options: &Options,
) -> Option<String> {
    if !product.offers(instrument, channel) {
        return None;
    }
    let suffix = match channel {
        Channel::Trades => "trade",
        Channel::AggTrades => "aggTrade",
        Channel::Quote => "bookTicker",
        Channel::Book => &format!("depth{}", product.depth_suffix(options.book_ms)),
        Channel::BookTop => "depth20@100ms",
        Channel::DayStats => "ticker",
        Channel::Bars => &format!("kline_{}", options.bar_interval),
        Channel::MarkPrice | Channel::IndexPrice | Channel::Funding => "markPrice@1s",
        Channel::Liquidations => "forceOrder",
        // Of spot the listing alone tells.
        Channel::Status | Channel::Instruments => return product.futures.then(|| CONTRACTS.to_owned()),
        _ => return None,
    };
    Some(format!("{}@{suffix}", instrument.symbol.to_lowercase()))
}

/// Cuts wants into what a connection each can carry, and what is polled.
pub fn shards(wants: &[Want], options: &Options) -> Vec<Shard> {
    let mut shards: Vec<(Shard, BTreeSet<String>)> = Vec::new();
    for want in wants {
        let Some(product) = Product::named(&want.instrument.product) else { continue };
        if !product.offers(&want.instrument, want.channel) || *want.instrument.venue != *crate::NAME {
            continue;
        }
        let (path, name, max) = match stream(product, &want.instrument, want.channel, options) {
            Some(name) => (Some(product.path(want.channel)), name, product.streams_max),
            // Asked for by REST: one session an endpoint, so that one keeps count of the weight.
            None => (None, want.instrument.symbol.to_string(), usize::MAX),
        };
        let fits = |(shard, names): &&mut (Shard, BTreeSet<String>)| {
            shard.endpoint == product.endpoint
                && shard.path.as_deref() == path
                && (names.len() < max || names.contains(&name))
        };
        if let Some((shard, names)) = shards.iter_mut().find(fits) {
            shard.wants.push(want.clone());
            names.insert(name);
        } else {
            let shard = Shard {
                endpoint: product.endpoint,
                path: path.map(str::to_owned),
                wants: vec![want.clone()],
                options: options.clone(),
            };
            shards.push((shard, BTreeSet::from([name])));
        }
    }
    shards.into_iter().map(|(shard, _)| shard).collect()
}

/// A stream with the lanes that it feeds: places in the table, and channels.
#[derive(Debug)]
pub struct Stream {
    /// As in frames: `btcusdt@depth@100ms`.
    pub name: String,
    /// Which lanes; none where it was ended.
    pub lanes: Vec<(usize, Channel)>,
    /// The frame that asked for it last on this connection; 0 where none did.
    request: u64,
    /// Whether the venue has it on this connection.
    acked: bool,
}

/// The subscriptions of one connection.
#[derive(Debug, Default)]
pub struct Subscriptions {
    streams: Vec<Stream>,
    by_name: BTreeMap<String, usize>,
    /// Batches that are to be asked for.
    due: Vec<Vec<usize>>,
    /// Streams that were never asked for on this connection.
    fresh: Vec<usize>,
    /// Streams that are to be ended.
    over: Vec<usize>,
    /// Batches by the id of the frame that asked for them, with when it did.
    asked: BTreeMap<u64, (Ts, Vec<usize>)>,
    next_id: u64,
    /// How often in a row the venue said no.
    pub refusals: u32,
}

impl Subscriptions {
    /// Adds a lane; a stream that is new on an open connection is asked for with the next frames.
    pub fn add(&mut self, name: String, lane: (usize, Channel)) {
        let at = *self.by_name.entry(name.clone()).or_insert(self.streams.len());
        if at == self.streams.len() {
            self.streams.push(Stream { name, lanes: Vec::new(), request: 0, acked: false });
        }
        let Some(stream) = self.streams.get_mut(at) else { return };
        if stream.lanes.is_empty() {
            self.fresh.push(at);
        }
        stream.lanes.push(lane);
    }

    /// Takes a lane out; gives the stream's name where it was the last, so that the stream ends.
    pub fn remove(&mut self, lane: (usize, Channel)) -> Option<String> {
        let at = self.streams.iter().position(|stream| stream.lanes.contains(&lane))?;
        let stream = self.streams.get_mut(at)?;
        stream.lanes.retain(|l| *l != lane);
        if !stream.lanes.is_empty() {
            return None;
        }
        self.fresh.retain(|other| *other != at);
        if stream.request > 0 {
            (stream.request, stream.acked) = (0, false);
            self.over.push(at);
        }
        Some(stream.name.clone())
    }

    /// All streams.
    pub fn streams(&self) -> &[Stream] {
        &self.streams
    }

    /// Whether it is a stream of ours that was ended.
    pub fn is_over(&self, name: &[u8]) -> bool {
        let at = std::str::from_utf8(name).ok().and_then(|name| self.by_name.get(name));
        at.and_then(|at| self.streams.get(*at)).is_some_and(|stream| stream.lanes.is_empty())
    }

    /// Whether the venue has acknowledged the stream of a lane.
    pub fn is_acked(&self, lane: (usize, Channel)) -> bool {
        self.streams.iter().any(|stream| stream.acked && stream.lanes.contains(&lane))
    }

    /// The connection is new: all is asked for, nothing was.
    pub fn begin(&mut self) {
        self.end();
        self.fresh = (0..self.streams.len()).collect();
        self.refusals = 0;
    }

    /// Forgets what was asked: the connection is gone.
    pub fn end(&mut self) {
        self.due.clear();
        self.fresh.clear();
        self.over.clear();
        self.asked.clear();
        for stream in &mut self.streams {
            (stream.request, stream.acked) = (0, false);
        }
    }

    /// The frames for what is due, and for what the venue has not answered in a while.
    pub fn frames(&mut self, now: Ts) -> Vec<Vec<u8>> {
        let late = |(at, _): &(Ts, Vec<usize>)| now.ms_since(*at) >= ANSWER_MS as i64;
        self.due.extend(self.asked.extract_if(.., |_, asked| late(asked)).map(|(_, (_, batch))| batch));
        let fresh = std::mem::take(&mut self.fresh);
        let over = std::mem::take(&mut self.over);
        let mut frames = Vec::with_capacity(self.due.len() + 1);
        for batch in over.chunks(STREAMS_PER_FRAME) {
            self.next_id += 1;
            frames.push(frame("UNSUBSCRIBE", self.names(batch), self.next_id));
        }
        self.due.extend(fresh.chunks(STREAMS_PER_FRAME).map(<[usize]>::to_vec));
        for mut batch in std::mem::take(&mut self.due) {
            batch.retain(|at| self.streams.get(*at).is_some_and(|stream| !stream.lanes.is_empty()));
            if batch.is_empty() {
                continue;
            }
            self.next_id += 1;
            frames.push(frame("SUBSCRIBE", self.names(&batch), self.next_id));
            for at in &batch {
                if let Some(stream) = self.streams.get_mut(*at) {
                    stream.request = self.next_id;
                }
            }
            self.asked.insert(self.next_id, (now, batch));
        }
        frames
    }

    fn names(&self, batch: &[usize]) -> impl Iterator<Item = &str> {
        batch.iter().filter_map(|at| self.streams.get(*at)).map(|s| s.name.as_str())
    }

    /// The venue answered the frame of that id, `fine` where it said yes: what the frame had asked for and nobody has
    /// asked for since.
    pub fn answered(&mut self, id: u64, fine: bool) -> Vec<usize> {
        let mut batch = self.asked.remove(&id).map(|(_, batch)| batch).unwrap_or_default();
        batch.retain(|at| self.streams.get(*at).is_some_and(|stream| stream.request == id));
        for at in &batch {
            if let Some(stream) = self.streams.get_mut(*at) {
                stream.acked = fine;
            }
        }
        batch
    }

    /// Whether the venue has not answered all frames.
    pub fn is_waiting(&self) -> bool {
        !self.asked.is_empty()
    }

    /// The stream of a lane is to be asked for once more.
    pub fn redo(&mut self, lane: (usize, Channel)) {
        let found = self.streams.iter().position(|stream| stream.lanes.contains(&lane));
        self.due.extend(found.map(|at| vec![at]));
    }

    /// These are to be asked for again, in halves, so that one bad name does not keep all others out.
    pub fn again(&mut self, batch: &[usize]) {
        let half = batch.len().div_ceil(2).max(1);
        self.due.extend(batch.chunks(half).map(<[usize]>::to_vec));
        self.refusals = self.refusals.saturating_add(1);
    }
}

/// `{"method":"SUBSCRIBE","params":["btcusdt@aggTrade","btcusdt@depth@100ms"],"id":1}`
fn frame<'a>(method: &str, streams: impl Iterator<Item = &'a str>, id: u64) -> Vec<u8> {
    let mut text = format!("{{\"method\":\"{method}\",\"params\":[");
    for (n, stream) in streams.enumerate() {
        let comma = if n == 0 { "" } else { "," };
        let _ = write!(text, "{comma}\"{stream}\"");
    }
    let _ = write!(text, "],\"id\":{id}}}");
    text.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listing;
    use crate::product::PRODUCTS;
    use std::sync::Arc;

    fn want(product: usize, symbol: &str, channel: Channel) -> Want {
        Want { instrument: Arc::new(listing::provisional(&PRODUCTS[product], symbol)), channel }
    }

    #[test]
    fn each_path_is_a_shard_of_its_own_and_what_is_not_offered_is_left_out() {
        let wants: Vec<Want> = Channel::ALL
            .into_iter()
            .flat_map(|c| [want(0, "BTCUSDT", c), want(1, "BTCUSDT", c), want(2, "BTCUSD_261225", c)])
            .collect();
        let shards = shards(&wants, &Options::default());
        let seen: Vec<String> = shards
            .iter()
            .map(|s| format!("{} {} {}", s.endpoint, s.path.as_deref().unwrap_or("poll"), s.wants.len()))
            .collect();
        let expected = [
            "0 /stream 7",
            "1 /public/stream 4",
            "2 /stream 12",
            "1 /market/stream 9",
            "1 poll 2",
            "2 poll 1",
            "0 poll 2",
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn a_connection_carries_no_more_streams_than_it_may_and_shared_streams_count_once() {
        let channels = [Channel::MarkPrice, Channel::IndexPrice, Channel::Funding];
        let wants: Vec<Want> =
            (0..201).flat_map(|n| channels.map(|c| want(1, &format!("C{n}USDT"), c))).collect();
        let sizes: Vec<usize> = shards(&wants, &Options::default()).iter().map(|s| s.wants.len()).collect();
        assert_eq!(sizes, [600, 3]);
    }

    #[test]
    fn a_refused_batch_is_asked_for_again_in_halves() {
        let mut all = Subscriptions::default();
        for n in 0..5 {
            all.add(format!("s{n}@trade"), (n, Channel::Trades));
        }
        all.begin();
        assert_eq!(all.frames(Ts(0)).len(), 1);
        let batch = all.answered(1, false);
        assert_eq!(batch, [0, 1, 2, 3, 4]);
        all.again(&batch);
        let frames = all.frames(Ts(0));
        let text = String::from_utf8(frames[1].clone()).unwrap();
        assert_eq!(
            (frames.len(), &*text),
            (2, r#"{"method":"SUBSCRIBE","params":["s3@trade","s4@trade"],"id":3}"#)
        );
        assert_eq!(all.answered(7, true), Vec::<usize>::new());
        assert_eq!(all.frames(Ts::from_ms(14_999)).len(), 0);
        assert_eq!(all.frames(Ts::from_ms(15_000)).len(), 2);
    }
}
