use super::*;
use model::{
    Channel, Delta, Event, Flags, GapCause, InstrumentKind, Level, Levels, LinkId, Px, Qty, Stamp, Trade,
    TradeId,
};
use source::{
    Action, ChannelSpec, Endpoint, Malformed, Options, Rate, Request, Session, Shard, Sim, SimSetup, Spec,
    Want, What,
};

/// A source whose frames say what the session does.
struct Script;

static SPEC: Spec = Spec {
    name: "script",
    docs: "",
    endpoints: &[Endpoint {
        name: "main",
        ws: "wss://script",
        rest: "https://script",
        connects: Rate { max: 10, per_ms: 1_000 },
        sends: Rate { max: 2, per_ms: 1_000 },
        weight: Rate { max: 10, per_ms: 1_000 },
        heartbeat_ms: 30_000,
        lifetime_ms: None,
    }],
    channels: &[ChannelSpec { channel: Channel::Book, proof: model::Proof::Sequence, quiet_ms: None }],
    frame_bytes_max: 1_000,
};

fn instrument() -> Arc<Instrument> {
    Arc::new(Instrument::provisional("script", "", "X", InstrumentKind::Spot))
}

fn event(channel: Channel, body: Body, now: Ts) -> Event {
    let stamp = Stamp { ts_event: None, ts_recv: now };
    Event { source: "script", instrument: instrument(), channel, flags: Flags::NONE, stamp, body }
}

struct ScriptSession {
    live: bool,
}

impl Session for ScriptSession {
    fn on(&mut self, input: Input<'_>, now: Ts, out: &mut Vec<Action>) {
        let fact = |channel, fact| Action::Emit(event(channel, Body::Lane(fact), now));
        let asked = LaneFact::Asked { proof: model::Proof::Sequence, quiet_ms: None };
        match input {
            Input::Open => out.extend([Action::Send(b"hello".to_vec()), fact(Channel::Book, asked)]),
            Input::Closed | Input::Resync { .. } => {
                if self.live && matches!(input, Input::Closed) {
                    let gap = model::Gap { cause: GapCause::Disconnected, from_seq: None, to_seq: None };
                    out.push(Action::Emit(event(Channel::Book, Body::Gap(gap), now)));
                }
                self.live = false;
            }
            Input::Frame { bytes, .. } => {
                let text = std::str::from_utf8(bytes).unwrap();
                let words: Vec<&str> = text.split(' ').collect();
                let n = |at: usize| words[at].parse::<u64>().unwrap();
                let px = |px: u64| Level { px: Px(px as i64), qty: Qty(1) };
                match words[0] {
                    "ack" => out.push(fact(Channel::Book, LaneFact::Acked)),
                    "trade" => {
                        let id = TradeId::Num(n(1));
                        let trade = Trade { id, px: Px(1), qty: Qty(1), aggressor: None, count: 1 };
                        out.push(Action::Emit(event(Channel::Trades, Body::Trade(trade), now)));
                    }
                    "snap" => {
                        self.live = true;
                        let levels = Levels::from_sides(&[px(n(1))], &[]);
                        let body = Snapshot { seq: Some(n(1)), levels, checksum: None, epoch: 0 };
                        out.push(Action::Emit(event(Channel::Book, Body::Snapshot(body), now)));
                    }
                    "delta" => {
                        let (prev_seq, seq) = (Some(n(1)), Some(n(2)));
                        let levels = Levels::from_sides(&[px(n(2))], &[]);
                        let body = Delta { prev_seq, seq, levels, checksum: None, epoch: 0 };
                        out.push(Action::Emit(event(Channel::Book, Body::Delta(body), now)));
                    }
                    "close" => {
                        let fault = match words[1] {
                            "planned" => Fault::Planned,
                            "stale" => Fault::Stale,
                            "refused" => Fault::Refused,
                            _ => Fault::Protocol,
                        };
                        out.push(Action::Close { fault, why: "told to".to_owned() });
                    }
                    "wake" => out.push(Action::WakeAt { timer: 7, at: now.plus_ms(n(1)) }),
                    "send" => (0..n(1)).for_each(|_| out.push(Action::Send(b"x".to_vec()))),
                    "fetch" => out.push(Action::Fetch { tag: n(1), path: "/book".to_owned(), weight: 1 }),
                    _ => out.push(Action::Malformed(Malformed { at: 0, what: What::Eof })),
                }
            }
            Input::Wake { timer } => out.push(Action::Unknown(format!("woken {timer}"))),
            Input::Reply { tag, .. } => out.push(Action::Unknown(format!("reply {tag:?}"))),
            Input::Define(_) => {}
        }
    }
}

impl Source for Script {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }
    fn listings(&self) -> Vec<Request> {
        Vec::new()
    }
    fn define(&self, _: &str, _: &[u8]) -> Option<Result<Vec<Instrument>, Malformed>> {
        None
    }
    fn shards(&self, _: &[Want], _: &Options) -> Vec<Shard> {
        Vec::new()
    }
    fn session(&self, _: &Shard) -> Box<dyn Session> {
        Box::new(ScriptSession { live: false })
    }
    fn sim(&self, _: &SimSetup) -> Box<dyn Sim> {
        unreachable!("no test asks for it")
    }
    fn recognises(&self, _: Option<&str>, _: &[u8]) -> bool {
        false
    }
}

/// A pump, its time, and what it has said.
struct World {
    pump: Pump<'static>,
    now: Ts,
    out: Out,
}

const START: Ts = Ts::from_ms(1_700_000_000_000);

impl World {
    fn new(lifetime_ms: Option<u64>) -> Self {
        let wants = vec![Want { instrument: instrument(), channel: Channel::Book }];
        let shard = Shard { path: Some("/ws".to_owned()), wants, ..Shard::default() };
        let pump = Pump::new(Setup {
            source: &Script,
            shard,
            links: [LinkId(0), LinkId(1)],
            engine: engine::Config::default(),
            seed: 1,
            host: None,
            lifetime_ms,
        });
        let mut world = Self { pump: pump.unwrap(), now: START, out: Out::default() };
        world.on(In::Start);
        world
    }

    fn on(&mut self, input: In<'_>) {
        self.pump.on(input, self.now, &mut self.out);
    }

    fn say(&mut self, conn: Conn, text: &str) {
        self.on(In::Frame { conn, bytes: text.as_bytes(), binary: false });
    }

    fn pass_ms(&mut self, ms: u64) {
        let end = self.now.plus_ms(ms);
        while let Some(at) = self.pump.next_wake().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.on(In::Tick);
        }
        self.now = end;
        self.on(In::Tick);
    }

    /// The connection that was asked for, opened.
    fn open(&mut self) -> Conn {
        let conn = self.asked().expect("a connection is asked for");
        self.on(In::Opened { conn });
        conn
    }

    fn asked(&mut self) -> Option<Conn> {
        let io = std::mem::take(&mut self.out.io);
        io.iter().find_map(|io| if let Io::Open { conn, .. } = io { Some(*conn) } else { None })
    }

    /// What was told of books and trades since the last call, in short.
    fn told(&mut self) -> Vec<String> {
        let short = |event: Event| match event.body {
            Body::Snapshot(s) => Some(format!("snap {} epoch {}", s.seq.unwrap(), s.epoch)),
            Body::Delta(d) => Some(format!("delta {} epoch {}", d.seq.unwrap(), d.epoch)),
            Body::Gap(gap) => Some(format!("gap {}", gap.cause.name())),
            Body::Trade(Trade { id: TradeId::Num(n), .. }) => Some(format!("trade {n}")),
            _ => None,
        };
        std::mem::take(&mut self.out.events).into_iter().filter_map(short).collect()
    }

    fn facts(&mut self) -> Vec<LinkFact> {
        let fact = |event: Event| if let Body::Link(fact) = event.body { Some(fact) } else { None };
        std::mem::take(&mut self.out.events).into_iter().filter_map(fact).collect()
    }
}

#[test]
fn a_follower_takes_over_without_a_gap_and_brings_the_trades_that_were_missed() {
    let mut world = World::new(Some(600_000));
    let first = world.open();
    for frame in ["ack", "snap 10", "delta 10 11", "trade 5"] {
        world.say(first, frame);
    }
    assert_eq!(world.told(), ["snap 10 epoch 1", "delta 11 epoch 1", "trade 5"]);
    for _ in 0..60 {
        world.pass_ms(9_500);
        world.on(In::Ping { conn: first });
    }
    let second = world.open();
    assert_ne!(first.link, second.link);
    for frame in ["ack", "snap 12", "trade 5", "trade 6", "trade 7"] {
        world.say(second, frame);
    }
    assert_eq!(world.told(), [""; 0], "a follower is not heard");
    world.say(first, "trade 6");
    world.out.io.clear();
    world.pass_ms(200);
    assert_eq!(world.told(), ["trade 6", "snap 12 epoch 1", "trade 7"]);
    assert!(world.out.io.contains(&Io::Close { conn: first }));
    world.say(first, "delta 11 12");
    world.say(second, "trade 7");
    world.say(second, "delta 12 13");
    world.say(second, "trade 8");
    assert_eq!(world.told(), ["delta 13 epoch 1", "trade 8"]);
    assert_eq!((world.pump.counters().promotions, world.pump.counters().late), (1, 1));
}

#[test]
fn books_at_the_same_number_go_on_without_a_word() {
    let mut world = World::new(None);
    let first = world.open();
    for frame in ["ack", "snap 10", "close planned"] {
        world.say(first, frame);
    }
    let second = world.open();
    for frame in ["ack", "snap 10"] {
        world.say(second, frame);
    }
    world.told();
    world.pass_ms(200);
    world.say(second, "delta 10 11");
    assert_eq!(world.told(), ["delta 11 epoch 1"]);
}

#[test]
fn a_leader_that_dies_first_is_a_gap_and_the_follower_goes_on() {
    let mut world = World::new(None);
    let first = world.open();
    for frame in ["ack", "snap 10", "close planned"] {
        world.say(first, frame);
    }
    let second = world.open();
    world.told();
    world.on(In::Closed { conn: first, why: "bye" });
    assert_eq!(world.told(), ["gap disconnected"]);
    world.say(second, "snap 15");
    assert_eq!(world.told(), ["snap 15 epoch 2"]);
    world.pass_ms(5_000);
    assert_eq!(world.asked(), None, "one connection is enough");
}

#[test]
fn a_connection_that_is_lost_is_tried_again_with_growing_waits() {
    let mut world = World::new(None);
    let mut waits = Vec::new();
    for _ in 0..10 {
        let conn = world.asked().expect("tried again");
        world.out.events.clear();
        world.on(In::OpenFailed { conn, fault: Fault::Protocol, why: "no route" });
        let Some(LinkFact::Down { retry_ms: Some(ms), .. }) = world.facts().pop() else { panic!("told") };
        waits.push(ms);
        world.pass_ms(ms);
    }
    assert!(waits[0] <= 500 && waits[9] >= 30_000, "{waits:?}");
    let conn = world.open();
    world.pass_ms(25_000);
    world.on(In::Ping { conn });
    world.pass_ms(25_000);
    world.on(In::Ping { conn });
    world.pass_ms(25_000);
    world.say(conn, "close stale");
    assert!(world.asked().is_some(), "after a good minute at once");
}

#[test]
fn silence_past_the_heartbeat_is_stale_and_pings_count() {
    let mut world = World::new(None);
    let conn = world.open();
    world.say(conn, "snap 1");
    world.pass_ms(20_000);
    world.on(In::Ping { conn });
    world.pass_ms(20_000);
    assert_eq!(world.asked(), None);
    world.told();
    world.pass_ms(10_000);
    assert_eq!(world.told(), ["gap disconnected"]);
    assert!(world.asked().is_some());
}

#[test]
fn frames_wait_for_the_venues_limit_and_a_flood_of_them_ends_the_connection() {
    let mut world = World::new(None);
    let conn = world.open();
    let sent = |world: &mut World| {
        let io = std::mem::take(&mut world.out.io);
        io.iter().filter(|io| matches!(io, Io::Send { .. })).count()
    };
    world.say(conn, "send 4");
    assert_eq!(sent(&mut world), 2);
    world.pass_ms(999);
    assert_eq!(sent(&mut world), 0);
    world.pass_ms(1);
    assert_eq!(sent(&mut world), 2);
    world.pass_ms(1_000);
    assert_eq!(sent(&mut world), 1);
    world.say(conn, "send 2000");
    assert!(world.out.io.contains(&Io::Close { conn }));
}

#[test]
fn answers_for_a_connection_that_is_over_are_ignored() {
    let mut world = World::new(None);
    let first = world.open();
    world.say(first, "fetch 3");
    assert!(matches!(world.out.io.last(), Some(Io::Fetch { tag: 3, .. })));
    world.say(first, "close stale");
    let second = world.open();
    world.facts();
    let reply = |conn| In::Reply { conn, tag: 3, path: "/book", status: 200, retry_ms: None, body: b"" };
    world.on(reply(first));
    assert_eq!(world.facts(), []);
    world.on(reply(second));
    assert_eq!(world.facts(), [LinkFact::Unknown { link: LinkId(0), what: "reply Some(3)".into() }]);
}

#[test]
fn a_book_that_breaks_in_the_engine_is_a_gap_and_the_session_is_sent_back() {
    let mut world = World::new(None);
    let conn = world.open();
    for frame in ["snap 1", "delta 5 6", "delta 6 7", "snap 9"] {
        world.say(conn, frame);
    }
    assert_eq!(world.told(), ["snap 1 epoch 1", "gap sequence", "snap 9 epoch 2"]);
    assert_eq!(world.pump.counters().resyncs, 1);
}

#[test]
fn unreadable_frames_are_told_twenty_times_a_minute_and_counted() {
    let mut world = World::new(None);
    let conn = world.open();
    world.facts();
    for _ in 0..50 {
        world.say(conn, "\u{1}?");
    }
    let told = world.facts();
    assert_eq!(told.len(), 20);
    assert!(format!("{told:?}").contains("x01?"), "{told:?}");
    for _ in 0..8 {
        world.pass_ms(8_000);
        world.on(In::Ping { conn });
    }
    let sums = world.facts().into_iter().filter(|f| matches!(f, LinkFact::Malformed { .. }));
    assert_eq!(sums.count(), 1);
    assert_eq!(world.pump.counters().malformed, 50);
}

#[test]
fn a_clock_that_goes_back_starts_everything_again() {
    let mut world = World::new(None);
    let conn = world.open();
    world.say(conn, "snap 1");
    world.say(conn, "wake 500");
    world.told();
    world.now = Ts(world.now.0 - 3_600_000_000_000);
    world.on(In::Tick);
    assert_eq!(world.told(), ["gap disconnected"]);
    let next = world.open();
    world.say(next, "snap 2");
    assert_eq!(world.told(), ["snap 2 epoch 2"]);
    world.pass_ms(1_000);
    assert!(!format!("{:?}", world.facts()).contains("woken"), "old timers are gone");
}

#[test]
fn timers_come_back_at_their_time() {
    let mut world = World::new(None);
    let conn = world.open();
    world.say(conn, "wake 500");
    world.facts();
    world.pass_ms(499);
    assert_eq!(world.facts(), []);
    world.pass_ms(1);
    assert_eq!(world.facts(), [LinkFact::Unknown { link: LinkId(0), what: "woken 7".into() }]);
}
