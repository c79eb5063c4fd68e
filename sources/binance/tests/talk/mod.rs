//! A session on virtual time: told things line by line, what it says is written down as words.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use binance::Binance;
use model::{Body, Channel, Event, Instrument, LaneFact, Ts};
use source::pair::Books;
use source::{Action, Input, Options, Session, Shard, Source, Want};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// When a conversation begins.
pub const START: Ts = Ts::from_ms(1_760_000_000_000);

/// A section of the venue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    Spot,
    Usdm,
}

impl Section {
    fn name(self) -> &'static str {
        match self {
            Self::Spot => "spot",
            Self::Usdm => "usdm",
        }
    }

    /// The definition of a symbol: the listing's first, by another name.
    pub fn instrument(self, symbol: &str) -> Arc<Instrument> {
        let (file, path) = match self {
            Self::Spot => ("spot_listing.json", "/api/v3/exchangeInfo"),
            Self::Usdm => ("usdm_listing.json", "/fapi/v1/exchangeInfo"),
        };
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(file);
        let body = std::fs::read_to_string(file).unwrap().replace("\"BTCUSDT\"", &format!("\"{symbol}\""));
        let all = Binance.define(path, body.as_bytes()).unwrap().unwrap();
        Arc::new(all.into_iter().find(|i| *i.symbol == *symbol).unwrap())
    }
}

/// A change of a spot book, as its stream sends it; each has one bid whose quantity is `last`.
pub fn spot(symbol: &str, first: u64, last: u64) -> String {
    let name = symbol.to_lowercase();
    format!(
        r#"{{"stream":"{name}@depth@100ms","data":{{"e":"depthUpdate","E":1760000000100,"s":"{symbol}","U":{first},"u":{last},"b":[["64000.00","{last}"]],"a":[]}}}}"#
    )
}

/// A change of a USD-M book: the update before, the first and the last.
pub fn usdm(symbol: &str, before: u64, first: u64, last: u64) -> String {
    let name = symbol.to_lowercase();
    format!(
        r#"{{"stream":"{name}@depth@100ms","data":{{"e":"depthUpdate","E":1760000000100,"T":1760000000099,"s":"{symbol}","ps":"{symbol}","st":1,"U":{first},"u":{last},"pu":{before},"b":[["64000.00","{last}"]],"a":[]}}}}"#
    )
}

/// An answer with a book.
pub fn depth(id: i64) -> String {
    format!(r#"{{"lastUpdateId":{id},"bids":[["63999.00","1"]],"asks":[["64001.00","1"]]}}"#)
}

/// A session with what it asked for and said.
pub struct Talk {
    session: Box<dyn Session>,
    pub now: Ts,
    pub books: Books,
    pub wants: Vec<Arc<Instrument>>,
    pub timers: BTreeMap<u64, Ts>,
    /// When, tag, path.
    pub fetched: Vec<(Ts, u64, String)>,
    /// Subscription frames, and when.
    pub sent: Vec<(Ts, String)>,
    pub closes: usize,
}

impl Talk {
    /// A session that wants these channels of these symbols; not opened yet.
    pub fn new(section: Section, symbols: &[&str], channels: &[Channel]) -> Self {
        let wants: Vec<_> = symbols.iter().map(|symbol| section.instrument(symbol)).collect();
        let each = |i: &Arc<Instrument>| {
            let instrument = Arc::clone(i);
            channels.iter().map(move |c| Want { instrument: Arc::clone(&instrument), channel: *c })
        };
        let all: Vec<Want> = wants.iter().flat_map(each).collect();
        let shards: Vec<Shard> = Binance.shards(&all, &Options::default());
        assert_eq!(shards.len(), 1, "one connection carries all of {}", section.name());
        Self {
            session: Binance.session(&shards[0]),
            now: START,
            books: Books::default(),
            wants,
            timers: BTreeMap::new(),
            fetched: Vec::new(),
            sent: Vec::new(),
            closes: 0,
        }
    }

    /// A session whose books are wanted, open and acknowledged.
    pub fn opened(section: Section, symbols: &[&str]) -> Self {
        let mut talk = Self::new(section, symbols, &[Channel::Book]);
        talk.tell(Input::Open);
        talk.frame(r#"{"result":null,"id":1}"#);
        talk
    }

    /// As [`Self::opened`], with a first change (up to 20) and a snapshot of each book.
    pub fn live(section: Section, symbols: &[&str]) -> Self {
        let mut talk = Self::opened(section, symbols);
        for (at, symbol) in symbols.iter().enumerate() {
            let first = match section {
                Section::Spot => spot(symbol, 16, 20),
                Section::Usdm => usdm(symbol, 12, 16, 20),
            };
            talk.frame(&first);
            assert_eq!(talk.fetched.last().map(|(_, tag, _)| *tag), Some(at as u64));
            assert_eq!(talk.answer(&depth(15)), ["snapshot 15", "delta 15>20"]);
        }
        talk.fetched.clear();
        talk
    }

    pub fn tell(&mut self, input: Input<'_>) -> Vec<String> {
        let mut out = Vec::new();
        self.session.on(input, self.now, &mut out);
        out.into_iter().filter_map(|action| self.follow(action)).collect()
    }

    /// Wants these of the instrument too.
    pub fn subscribe(&mut self, instrument: &Arc<Instrument>, channels: &[Channel]) -> Vec<String> {
        let want = |c: &Channel| Want { instrument: Arc::clone(instrument), channel: *c };
        let wants: Vec<Want> = channels.iter().map(want).collect();
        self.tell(Input::Subscribe(&wants))
    }

    /// Wants these of the instrument no longer.
    pub fn unsubscribe(&mut self, instrument: &Arc<Instrument>, channels: &[Channel]) -> Vec<String> {
        let want = |c: &Channel| Want { instrument: Arc::clone(instrument), channel: *c };
        let wants: Vec<Want> = channels.iter().map(want).collect();
        self.tell(Input::Unsubscribe(&wants))
    }

    pub fn frame(&mut self, text: &str) -> Vec<String> {
        self.bytes(text.as_bytes())
    }

    pub fn bytes(&mut self, bytes: &[u8]) -> Vec<String> {
        self.tell(Input::Frame { bytes, binary: false })
    }

    /// Answers the last request.
    pub fn answer(&mut self, body: &str) -> Vec<String> {
        self.status(200, None, body)
    }

    /// Answers the last request with a status.
    pub fn status(&mut self, status: u16, retry_ms: Option<u64>, body: &str) -> Vec<String> {
        let (_, tag, path) = self.fetched.last().cloned().expect("a request");
        self.tell(Input::Reply { tag: Some(tag), path: &path, status, retry_ms, body: body.as_bytes() })
    }

    /// Lets time pass; what is said when timers ring.
    pub fn pass(&mut self, ms: u64) -> Vec<String> {
        let (end, mut said) = (self.now.plus_ms(ms), Vec::new());
        loop {
            let due = self.timers.iter().map(|(timer, at)| (*at, *timer)).min();
            let Some((at, timer)) = due.filter(|(at, _)| *at <= end) else { break };
            self.timers.remove(&timer);
            self.now = self.now.max(at);
            said.extend(self.tell(Input::Wake { timer }));
        }
        self.now = end;
        said
    }

    /// Lets time pass until a timer rings that has something to say.
    pub fn next(&mut self) -> Vec<String> {
        loop {
            let next = self.timers.values().min().copied().expect("something to wait for");
            let said = self.pass(next.ms_since(self.now).max(0) as u64);
            if !said.is_empty() {
                return said;
            }
        }
    }

    /// Whether the book of the `n`th symbol is live, and where.
    pub fn at(&self, n: usize) -> Option<u64> {
        self.books.live.get(&self.wants[n].id).and_then(|held| held.seq)
    }

    fn follow(&mut self, action: Action) -> Option<String> {
        match action {
            Action::Send(bytes) => {
                self.sent.push((self.now, String::from_utf8(bytes).unwrap()));
                return Some("send".to_owned());
            }
            Action::Fetch { tag, path, .. } => {
                self.fetched.push((self.now, tag, path));
                return Some("fetch".to_owned());
            }
            Action::WakeAt { timer, at } => {
                assert!(at > self.now, "a timer that rings at once makes a tight loop");
                self.timers.insert(timer, at);
            }
            Action::Emit(event) => return Some(self.event(&event)),
            Action::Control(_) => {}
            Action::Malformed(_) => return Some("malformed".to_owned()),
            Action::Unknown(name) => return Some(format!("unknown {name}")),
            Action::Close { fault, .. } => {
                self.closes += 1;
                return Some(format!("close {fault:?}"));
            }
        }
        None
    }

    fn event(&mut self, event: &Event) -> String {
        self.books.on(event);
        let id = |seq: Option<u64>| seq.map_or("-".to_owned(), |seq| seq.to_string());
        match &event.body {
            Body::Snapshot(s) if event.channel == Channel::Book => format!("snapshot {}", id(s.seq)),
            Body::Delta(d) => format!("delta {}>{}", id(d.prev_seq), id(d.seq)),
            Body::Gap(g) => format!("gap {} {}>{}", g.cause.name(), id(g.from_seq), id(g.to_seq)),
            Body::Lane(LaneFact::Asked { .. }) => format!("{} asked", event.channel.name()),
            Body::Lane(LaneFact::Acked) => format!("{} acked", event.channel.name()),
            Body::Lane(LaneFact::Refused(words)) => format!("{} refused: {words}", event.channel.name()),
            Body::Lane(LaneFact::Dropped) => format!("{} dropped", event.channel.name()),
            Body::Lane(LaneFact::Syncing(_)) => "syncing".to_owned(),
            Body::Instrument => {
                let i = &event.instrument;
                format!("definition {} {}", i.px_scale, i.qty_scale)
            }
            _ => format!("{} data", event.channel.name()),
        }
    }
}
