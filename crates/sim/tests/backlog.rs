//! A venue that lets go of clients who do not read, and readers who take nothing for a while, on real sockets.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests say what they expect by failing")]

use bus::{Bus, Filter, Item, Policy, Reader};
use feed::{Context, SourceConfig, run_source};
use model::{
    Body, Channel, DayStats, Decimal, Event, Flags, GapCause, Instrument, InstrumentKind, LaneFact, LinkFact,
    Stamp, Ts,
};
use sim::Host;
use source::{
    Action, ChannelSpec, End, Endpoint, Input, Malformed, Options, Peer, Rate, Request, Session, Shard, Sim,
    SimAction, SimBook, SimControl, SimInput, SimSetup, Source, Spec, Want,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// How many instruments the venue tells of, and in how many bytes each time.
const LANES: usize = 100;
const FRAME: usize = 1_000;
/// More than this unsent, and the venue lets a client go.
const BACKLOG_MAX: usize = 1_000_000;
/// What sockets themselves can hold on this machine is less.
const PUSHED: u64 = 40_000_000;

/// Whether it is read though nobody takes what it tells.
struct Ticks(bool);
static READ: Ticks = Ticks(true);
static WAITED: Ticks = Ticks(false);

const LOOSE: Rate = Rate { max: 1_000, per_ms: 1_000 };

static SPEC: Spec = Spec {
    name: "ticks",
    docs: "",
    endpoints: &[Endpoint {
        name: "ticks",
        ws: "tcp://ticks.invalid:1",
        rest: "",
        connects: LOOSE,
        sends: LOOSE,
        weight: LOOSE,
        heartbeat_ms: 60_000,
        lifetime_ms: None,
    }],
    channels: &[ChannelSpec { channel: Channel::DayStats, proof: model::Proof::None, quiet_ms: None }],
    frame_bytes_max: 2 * FRAME,
};

impl Source for Ticks {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }
    fn listings(&self) -> Vec<Request> {
        Vec::new()
    }
    fn define(&self, _: &str, _: &[u8]) -> Option<Result<Vec<Instrument>, Malformed>> {
        None
    }
    fn shards(&self, _: &[Want], options: &Options) -> Vec<Shard> {
        vec![Shard { path: Some(String::new()), options: options.clone(), ..Shard::default() }]
    }
    fn session(&self, _: &Shard) -> Box<dyn Session> {
        Box::new(TicksSession)
    }
    fn sim(&self, _: &SimSetup) -> Box<dyn Sim> {
        Box::new(TicksSim {
            peers: Vec::new(),
            round: 0,
            paused: false,
            pushed: watch::channel((0, 0)).0,
            at: Ts(0),
        })
    }
    fn cut(&self, _: usize, _: End, bytes: &[u8]) -> Result<Option<usize>, Malformed> {
        Ok((bytes.len() >= FRAME).then_some(FRAME))
    }
    fn must_read(&self, _: usize) -> bool {
        self.0
    }
    fn recognises(&self, _: Option<&str>, _: &[u8]) -> bool {
        false
    }
}

struct TicksSession;

impl Session for TicksSession {
    fn on(&mut self, input: Input<'_>, now: Ts, out: &mut Vec<Action>) {
        let Input::Frame { bytes, .. } = input else { return };
        let text = std::str::from_utf8(bytes).unwrap();
        let (symbol, round) = text.trim().split_once(' ').unwrap();
        let last = Some(Decimal::parse(round.as_bytes()).unwrap());
        out.push(Action::Emit(Event {
            source: "ticks",
            instrument: Arc::new(Instrument::provisional("ticks", "", symbol, InstrumentKind::Spot)),
            channel: Channel::DayStats,
            flags: Flags::NONE,
            stamp: Stamp { ts_event: None, ts_recv: now },
            body: Body::DayStats(Box::new(DayStats { last, ..DayStats::default() })),
        }));
    }
}

/// Tells every client the number of the round, of every instrument, in each millisecond.
struct TicksSim {
    peers: Vec<Peer>,
    round: u64,
    paused: bool,
    /// How many bytes, and how many clients are gone.
    pushed: watch::Sender<(u64, u64)>,
    at: Ts,
}

impl Sim for TicksSim {
    fn on(&mut self, input: SimInput<'_>, now: Ts, out: &mut Vec<SimAction>) {
        match input {
            SimInput::Open { peer, .. } => self.peers.push(peer),
            SimInput::Closed { peer } => {
                self.peers.retain(|p| *p != peer);
                self.pushed.send_modify(|(_, gone)| *gone += 1);
            }
            _ => {}
        }
        if !self.paused && !self.peers.is_empty() && now.ms_since(self.at) >= 1 {
            self.at = now;
            self.round += 1;
            for lane in 0..LANES {
                let bytes = format!("{:<FRAME$}", format!("X{lane} {}", self.round)).into_bytes();
                for peer in &self.peers {
                    out.push(SimAction::Send { peer: *peer, bytes: bytes.clone(), binary: true });
                }
            }
            self.pushed.send_modify(|(pushed, _)| *pushed += (LANES * FRAME) as u64);
        }
        out.push(SimAction::WakeAt(now.plus_ms(1)));
    }
    fn control(&mut self, control: SimControl, _: Ts, _: &mut Vec<SimAction>) {
        self.paused = control == SimControl::Pause(true);
    }
    fn books(&self) -> Vec<SimBook> {
        Vec::new()
    }
    fn backlog_bytes_max(&self) -> Option<usize> {
        Some(BACKLOG_MAX)
    }
}

struct Running {
    host: Host,
    pushed: watch::Receiver<(u64, u64)>,
    reader: Reader,
    stop: watch::Sender<bool>,
    task: JoinHandle<feed::Result<()>>,
}

/// A lossless reader with room for little, which is read by nobody yet.
async fn start(source: &'static Ticks) -> Running {
    let (stop, shutdown) = watch::channel(false);
    let (told, pushed) = watch::channel((0, 0));
    let sim = TicksSim { peers: Vec::new(), round: 0, paused: false, pushed: told, at: Ts(0) };
    let host = Host::start(source, Box::new(sim), &[], feed::clock::now, shutdown.clone()).await.unwrap();
    let bus = Arc::new(Bus::new(bus::Config::default(), feed::clock::now()));
    let reader = bus.subscribe(Filter::all(), Policy::Lossless { queue_max: 50 }, None);
    let desk = Arc::new(feed::Desk::open(None).unwrap());
    let (metrics, engine) = (Arc::new(metrics::Metrics::new()), engine::Config::default());
    let context = Context { bus, metrics, engine, tape: None, desk, seed: 1, shutdown };
    let config = SourceConfig {
        name: "ticks".to_owned(),
        instruments: vec!["*".to_owned()],
        channels: vec!["day_stats".to_owned()],
        hosts: BTreeMap::from([("ticks".to_owned(), format!("tcp://{}", host.addrs[0].1))]),
        drift: false,
        ..SourceConfig::default()
    };
    let task = tokio::spawn(async move { run_source(source, &config, context).await });
    Running { host, pushed, reader, stop, task }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_must_be_read_outlives_a_reader_that_takes_nothing_and_every_loss_is_told() {
    let Running { host, mut pushed, mut reader, stop, task } = start(&READ).await;
    timeout(Duration::from_mins(1), pushed.wait_for(|(bytes, _)| *bytes >= PUSHED)).await.unwrap().unwrap();
    host.control(SimControl::Pause(true)).await;
    let last = pushed.borrow().0 / (LANES * FRAME) as u64;

    // By lane: the last round that was told, and whether a gap stands after it.
    let mut lanes: BTreeMap<String, (u64, bool)> = BTreeMap::new();
    let (mut read, mut words) = (0, 0);
    let reading = async {
        while lanes.len() < LANES || lanes.values().any(|(round, _)| *round < last) {
            let mut items = Vec::new();
            reader.read(&mut items, 100).await;
            for item in items {
                let Item::Event { published, .. } = item else { panic!("a lossless reader misses nothing") };
                let lane = lanes.entry(published.event.instrument.symbol.to_string());
                match &published.event.body {
                    Body::DayStats(day) => {
                        read += 1;
                        let round: u64 = day.last.unwrap().to_string().parse().unwrap();
                        let (before, gap) = *lane.or_default();
                        assert!(
                            round == before + 1 || gap || before == 0,
                            "{before} to {round} without a gap"
                        );
                        lanes.insert(published.event.instrument.symbol.to_string(), (round, false));
                    }
                    Body::Gap(gap) => {
                        assert_eq!(gap.cause, GapCause::Overflow);
                        lane.or_default().1 = true;
                    }
                    Body::Lane(LaneFact::Unrepaired { .. }) => words += 1,
                    Body::Link(LinkFact::Down { why, .. }) => panic!("the connection was lost: {why}"),
                    _ => {}
                }
            }
        }
    };
    timeout(Duration::from_mins(1), reading).await.expect("every lane ends in the newest state");
    assert!(words >= LANES, "each lane was held");
    let sent = last * LANES as u64;
    assert!(read * 4 < sent, "{read} of {sent} were kept: that is no newest of each lane");
    stop.send(true).unwrap();
    timeout(Duration::from_secs(10), task).await.expect("it stops").unwrap().unwrap();
}

/// Shows that the venue of the test above means it.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_waits_for_its_readers_is_let_go_by_such_a_venue() {
    let Running { host, mut pushed, mut reader, stop, task } = start(&WAITED).await;
    timeout(Duration::from_mins(1), pushed.wait_for(|(_, gone)| *gone > 0)).await.unwrap().unwrap();
    let reading = async {
        loop {
            let mut items = Vec::new();
            reader.read(&mut items, 100).await;
            let down = |item: &Item| matches!(item, Item::Event { published, .. } if matches!(published.event.body, Body::Link(LinkFact::Down { .. })));
            if items.iter().any(down) {
                return;
            }
        }
    };
    timeout(Duration::from_mins(1), reading).await.expect("that is told");
    drop(host);
    stop.send(true).unwrap();
    timeout(Duration::from_secs(10), task).await.expect("it stops").unwrap().unwrap();
}
