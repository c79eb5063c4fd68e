pub(super) mod script;
mod several;

use super::*;
use model::{Body, Channel, Event, Gap, LaneFact, LinkId, Trade, TradeId};
use script::{Script, instrument};
use source::{Shard, Want};

/// A pump, its time, and what it has said.
struct World {
    pump: Pump<'static>,
    now: Ts,
    out: Out,
}

const START: Ts = Ts::from_ms(1_700_000_000_000);

impl World {
    fn new(lifetime_ms: Option<u64>) -> Self {
        Self::wide(1, lifetime_ms)
    }

    fn wide(width: u32, lifetime_ms: Option<u64>) -> Self {
        let wants = vec![Want { instrument: instrument(), channel: Channel::Book }];
        let shard = Shard { path: Some("/ws".to_owned()), wants, ..Shard::default() };
        let pump = Pump::new(Setup {
            source: &Script,
            shard,
            links: (0..=width).map(LinkId).collect(),
            engine: engine::Config::default(),
            referee_ms: 0,
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
fn a_connection_is_replaced_before_its_end_without_a_gap_and_nothing_is_told_twice() {
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
    world.say(first, "trade 6");
    assert_eq!(world.told(), ["trade 6", "trade 7"]);
    world.out.io.clear();
    world.pass_ms(200);
    assert_eq!(world.told(), ["snap 12 epoch 1"]);
    assert!(world.out.io.contains(&Io::Close { conn: first }));
    for frame in ["trade 7", "delta 12 13", "trade 8"] {
        world.say(second, frame);
    }
    world.say(first, "delta 11 12");
    assert_eq!(world.told(), ["delta 13 epoch 1", "trade 8"]);
    assert_eq!((world.pump.counters().promotions, world.pump.counters().late), (1, 1));
}

#[test]
fn trades_that_no_connection_brings_are_a_gap_of_their_lane() {
    let mut world = World::new(None);
    let conn = world.open();
    for frame in ["trade 1", "trade 4"] {
        world.say(conn, frame);
    }
    assert_eq!(world.told(), ["trade 1", "trade 4"]);
    world.pass_ms(2_000);
    let gap = Gap { cause: model::GapCause::Sequence, from_seq: Some(1), to_seq: Some(4) };
    let lost = LaneFact::Unrepaired {
        from_seq: Some(1),
        to_seq: Some(4),
        why: "the venue keeps no history of it".into(),
    };
    let of_trades = |event: &Event| event.channel == Channel::Trades;
    let told: Vec<Body> =
        std::mem::take(&mut world.out.events).into_iter().filter(of_trades).map(|e| e.body).collect();
    assert_eq!(told, [Body::Gap(gap), Body::Lane(lost)]);
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
fn one_that_ends_before_another_is_in_step_is_a_gap_and_the_other_goes_on() {
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
fn one_that_is_still_connecting_goes_on_where_the_other_ends() {
    let mut world = World::new(None);
    let first = world.open();
    for frame in ["ack", "snap 10", "close planned"] {
        world.say(first, frame);
    }
    let second = world.asked().expect("another one");
    world.on(In::Closed { conn: first, why: "bye" });
    assert_eq!(world.told(), ["snap 10 epoch 1", "gap disconnected"]);
    assert_eq!(world.asked(), None, "one is on its way");
    world.on(In::Opened { conn: second });
    world.say(second, "snap 11");
    assert_eq!(world.told(), ["snap 11 epoch 2"]);
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
