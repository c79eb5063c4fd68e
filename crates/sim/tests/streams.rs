//! Sources that speak no WebSocket, on real sockets: streams of bytes, requests over them, answers that go on.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests say what they expect by failing")]

use bus::{Bus, Filter, Item, Policy};
use feed::{Context, SourceConfig, run_source};
use model::{Body, Channel, Event, Flags, Instrument, InstrumentKind, Stamp, Trade, TradeId, Ts};
use sim::Host;
use source::{
    Action, ChannelSpec, End, Endpoint, Input, Malformed, Options, Peer, Rate, Request, Session, Shard, Sim,
    SimAction, SimBook, SimControl, SimInput, SimSetup, Source, Spec, Want, What,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

/// A line is a frame. Endpoint 0 lists and tells over bytes, endpoint 1 tells over an answer that goes on.
struct Lines;

const LOOSE: Rate = Rate { max: 1_000, per_ms: 1_000 };

const fn endpoint(name: &'static str, ws: &'static str, rest: &'static str) -> Endpoint {
    let (connects, sends, weight) = (LOOSE, LOOSE, LOOSE);
    Endpoint { name, ws, rest, connects, sends, weight, heartbeat_ms: 60_000, lifetime_ms: None }
}

static SPEC: Spec = Spec {
    name: "lines",
    docs: "",
    endpoints: &[
        endpoint("bytes", "tcp://lines.invalid:1", "tcp://lines.invalid:1"),
        endpoint("events", "https://lines.invalid", "https://lines.invalid"),
    ],
    channels: &[ChannelSpec { channel: Channel::Trades, proof: model::Proof::None, quiet_ms: None }],
    frame_bytes_max: 100,
};

impl Source for Lines {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }
    fn listings(&self) -> Vec<Request> {
        vec![Request { endpoint: 0, path: hex("list 0\n"), weight: 1 }]
    }
    fn more(&self, request: &Request, body: &[u8]) -> Option<Request> {
        (body != b"\n" && request.path == hex("list 0\n"))
            .then(|| Request { path: hex("list 1\n"), ..request.clone() })
    }
    fn define(&self, _: &str, body: &[u8]) -> Option<Result<Vec<Instrument>, Malformed>> {
        let text = std::str::from_utf8(body).unwrap().trim();
        let made = |s: &str| Instrument::provisional("elsewhere", "", s, InstrumentKind::Spot);
        Some(Ok(text.split_whitespace().map(made).collect()))
    }
    fn shards(&self, wants: &[Want], options: &Options) -> Vec<Shard> {
        let shard = |want: &Want| Shard {
            endpoint: usize::from(&*want.instrument.symbol == "EVT"),
            path: Some("/go".to_owned()),
            wants: vec![want.clone()],
            options: options.clone(),
        };
        wants.iter().map(shard).collect()
    }
    fn session(&self, shard: &Shard) -> Box<dyn Session> {
        Box::new(LinesSession {
            asks: shard.endpoint == 0,
            instrument: Arc::clone(&shard.wants[0].instrument),
        })
    }
    fn sim(&self, _: &SimSetup) -> Box<dyn Sim> {
        Box::new(LinesSim::default())
    }
    fn greeting(&self, _: usize) -> Vec<Vec<u8>> {
        vec![b"hi\n".to_vec()]
    }
    fn cut(&self, _: usize, _: End, bytes: &[u8]) -> Result<Option<usize>, Malformed> {
        if bytes.first() == Some(&b'!') {
            return Err(Malformed { at: 0, what: What::Rule("no line begins so") });
        }
        Ok(bytes.iter().position(|b| *b == b'\n').map(|at| at + 1))
    }
    fn recognises(&self, _: Option<&str>, _: &[u8]) -> bool {
        false
    }
}

fn hex(text: &str) -> String {
    let digit = |n: u8| char::from_digit(u32::from(n), 16).unwrap();
    text.bytes().flat_map(|b| [digit(b >> 4), digit(b & 15)]).collect()
}

struct LinesSession {
    asks: bool,
    instrument: Arc<Instrument>,
}

impl Session for LinesSession {
    fn on(&mut self, input: Input<'_>, now: Ts, out: &mut Vec<Action>) {
        match input {
            Input::Open if self.asks => out.push(Action::Send(b"tell\n".to_vec())),
            Input::Frame { bytes, .. } => {
                let id = TradeId::Text(std::str::from_utf8(bytes).unwrap().into());
                let trade = Trade { id, px: model::Px(1), qty: model::Qty(1), aggressor: None, count: 1 };
                out.push(Action::Emit(Event {
                    source: "lines",
                    instrument: Arc::clone(&self.instrument),
                    channel: Channel::Trades,
                    flags: Flags::NONE,
                    stamp: Stamp { ts_event: None, ts_recv: now },
                    body: Body::Trade(trade),
                }));
            }
            _ => {}
        }
    }
}

/// Lists nothing to who has not greeted it.
#[derive(Default)]
struct LinesSim {
    greeted: BTreeSet<Peer>,
}

impl Sim for LinesSim {
    fn on(&mut self, input: SimInput<'_>, _: Ts, out: &mut Vec<SimAction>) {
        let mut send = |peer, text: &str| {
            out.push(SimAction::Send { peer, bytes: text.as_bytes().to_vec(), binary: true });
        };
        match input {
            SimInput::Open { peer, endpoint: 1, path: "/go" } => {
                send(peer, "data: a\ndata");
                send(peer, ": b\n");
            }
            SimInput::Frame { peer, bytes } => match bytes {
                b"hi\n" => {
                    self.greeted.insert(peer);
                    send(peer, "hello\n");
                }
                b"list 0\n" if self.greeted.contains(&peer) => send(peer, "BYT\n"),
                b"list 1\n" => send(peer, "EVT\n"),
                b"tell\n" => {
                    // Three frames in two pieces, and then bytes that can begin no frame.
                    send(peer, "1\n2\nthr");
                    send(peer, "ee\n!");
                }
                _ => {}
            },
            _ => {}
        }
    }
    fn control(&mut self, _: SimControl, _: Ts, _: &mut Vec<SimAction>) {}
    fn books(&self) -> Vec<SimBook> {
        Vec::new()
    }
}

#[tokio::test]
async fn streams_of_bytes_and_answers_that_go_on_are_cut_into_frames() {
    let (stop, shutdown) = watch::channel(false);
    let sim = Lines.sim(&SimSetup::default());
    let host = Host::start(&Lines, sim, &[], feed::clock::now, shutdown.clone()).await.unwrap();
    let bus = Arc::new(Bus::new(bus::Config::default(), feed::clock::now()));
    let mut reader = bus.subscribe(Filter::all(), Policy::Lossless { queue_max: 10_000 }, None);
    let desk = Arc::new(feed::Desk::open(None).unwrap());
    let (metrics, engine) = (Arc::new(metrics::Metrics::new()), engine::Config::default());
    let context = Context { bus, metrics, engine, tape: None, desk, seed: 1, shutdown };
    // The first server of the list does not answer: nothing listens there.
    let server = format!("tcp://127.0.0.1:1,tcp://{}", host.addrs[0].1);
    let events = format!("http://{}", host.addrs[1].1);
    let config = SourceConfig {
        name: "lines".to_owned(),
        instruments: vec!["*".to_owned()],
        channels: vec!["trades".to_owned()],
        hosts: BTreeMap::from([("bytes".to_owned(), server), ("events".to_owned(), events)]),
        ..SourceConfig::default()
    };
    let task = tokio::spawn(async move { run_source(&Lines, &config, context).await });

    let (mut told, mut why) = (BTreeMap::<String, Vec<String>>::new(), None);
    let reading = async {
        while told.len() < 2 || why.is_none() {
            let mut items = Vec::new();
            reader.read(&mut items, 100).await;
            for item in items {
                let Item::Event { published, .. } = item else { continue };
                match &published.event.body {
                    Body::Trade(Trade { id: TradeId::Text(id), .. }) => {
                        told.entry(published.event.instrument.symbol.to_string())
                            .or_default()
                            .push(id.to_string());
                    }
                    Body::Link(model::LinkFact::Down { why: words, .. }) => why = Some(words.to_string()),
                    _ => {}
                }
            }
        }
    };
    timeout(Duration::from_secs(20), reading).await.expect("it comes in time");
    assert_eq!(told["BYT"][..3], ["1\n", "2\n", "three\n"]);
    assert_eq!(told["EVT"][..2], ["data: a\n", "data: b\n"]);
    assert!(why.as_deref().is_some_and(|w| w.contains("no line begins so")), "{why:?}");
    stop.send(true).unwrap();
    timeout(Duration::from_secs(10), task).await.expect("it stops").unwrap().unwrap();
}
