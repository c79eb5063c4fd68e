use super::*;
use crate::{Action, Fault, Input, Session, Shard};
use model::{Body, Channel, DayStats, Decimal, Event, Instrument, InstrumentKind, LaneFact, Proof, Ts};
use std::sync::Arc;

/// Asks for each want by its symbol; the answer is a price, or nothing that makes sense.
struct Prices;

impl Asks for Prices {
    fn source(&self) -> SourceName {
        "prices"
    }

    fn questions(&mut self, wants: &[Want], _options: &Options) -> Vec<Question> {
        let ask = |want: &Want| Question {
            path: format!("/{}", want.instrument.symbol),
            weight: 1,
            every_ms: 3_000,
        };
        wants.iter().map(ask).collect()
    }

    fn read(&mut self, path: &str, body: &[u8], told: &mut Told<'_>) -> Result<Option<String>, Malformed> {
        if let Some(next) = body.strip_prefix(b"more ") {
            return Ok(Some(String::from_utf8_lossy(next).into_owned()));
        }
        let last = crate::web::number(body)?;
        let made = instrument(path.trim_start_matches('/'));
        let stats = DayStats { last, ..DayStats::default() };
        told.quote(made.id, Quoted { stats, ..Quoted::default() }, || instrument("made"));
        Ok(None)
    }
}

fn instrument(symbol: &str) -> Instrument {
    Instrument::provisional("v", "", symbol, InstrumentKind::Spot)
}

fn want(symbol: &str) -> Want {
    Want { instrument: Arc::new(instrument(symbol)), channel: Channel::DayStats }
}

/// Moves from the second minute on.
fn moves(at: Ts) -> bool {
    at >= Ts::from_ms(60_000)
}

const MANNERS: Manners = Manners {
    apart_ms: 1_000,
    idle_ms: 40_000,
    retry_ms: 2_000,
    refused_ms: 180_000,
    patience_ms: 10_000,
    moves,
};
const SPECS: [crate::ChannelSpec; 1] =
    [crate::ChannelSpec { channel: Channel::DayStats, proof: Proof::None, quiet_ms: None }];

/// A session, the time, and what it asked for.
struct World {
    rounds: Rounds,
    now: u64,
    wake: Option<u64>,
    fetched: Vec<(u64, String)>,
    out: Vec<Action>,
}

impl World {
    fn new(symbols: &[&str]) -> Self {
        let wants = symbols.iter().map(|symbol| want(symbol)).collect();
        let shard = Shard { wants, ..Shard::default() };
        let rounds = Rounds::new(Box::new(Prices), MANNERS, &SPECS, &shard);
        let mut world = Self { rounds, now: 0, wake: None, fetched: Vec::new(), out: Vec::new() };
        world.tell(Input::Open);
        world
    }

    fn tell(&mut self, input: Input<'_>) {
        let mut out = Vec::new();
        self.rounds.on(input, Ts::from_ms(self.now as i64), &mut out);
        for action in out {
            match action {
                Action::WakeAt { at, .. } => self.wake = Some(at.as_ms() as u64),
                Action::Fetch { path, .. } => self.fetched.push((self.now, path)),
                other => self.out.push(other),
            }
        }
    }

    fn reply(&mut self, status: u16, body: &str) {
        let tag = Some(self.fetched.len() as u64);
        self.tell(Input::Reply { tag, path: "", status, retry_ms: None, body: body.as_bytes() });
    }

    /// Lets time pass to the next wake-up.
    fn wake(&mut self) {
        self.now = self.wake.take().unwrap();
        self.tell(Input::Wake { timer: 0 });
    }

    /// Sleeps until something new is asked for, and says when.
    fn next(&mut self) -> (u64, String) {
        let before = self.fetched.len();
        while self.fetched.len() == before {
            self.wake();
        }
        self.fetched.last().cloned().unwrap()
    }

    fn events(&mut self) -> Vec<Event> {
        let events = std::mem::take(&mut self.out).into_iter().filter_map(|action| match action {
            Action::Emit(event) => Some(event),
            _ => None,
        });
        events.collect()
    }
}

#[test]
fn one_request_is_under_way_at_a_time_and_the_next_comes_after_its_distance() {
    let mut world = World::new(&["a", "b"]);
    assert_eq!(world.fetched, [(0, "/a".to_owned())]);
    world.now = 300;
    world.reply(200, "1.5");
    assert_eq!(world.next(), (1_000, "/b".to_owned()));
    let told = world.events();
    let words = |event: &Event| match &event.body {
        Body::Lane(LaneFact::Asked { .. }) => "asked",
        Body::Lane(LaneFact::Acked) => "acked",
        Body::DayStats(_) => "told",
        _ => "else",
    };
    assert_eq!(told.iter().map(words).collect::<Vec<_>>(), ["asked", "asked", "acked", "told"]);
}

#[test]
fn what_is_the_same_is_told_once_and_then_asked_seldom_but_no_later_than_data_move() {
    let mut world = World::new(&["a"]);
    world.reply(200, "1.5");
    assert_eq!(world.next().0, 3_000, "it brought something new");
    world.reply(200, "1.5");
    assert_eq!(world.next().0, 43_000, "nothing new, and nothing moves");
    world.reply(200, "1.50");
    assert_eq!(world.next().0, 61_000, "data move from the first minute on; it is looked at each pause");
    world.reply(200, "1.5");
    assert_eq!(world.next().0, 64_000);
    assert_eq!(world.events().iter().filter(|e| matches!(e.body, Body::DayStats(_))).count(), 1);
}

#[test]
fn failures_make_pauses_that_double_and_a_refusal_a_long_one() {
    let mut world = World::new(&["a"]);
    let mut asked = Vec::new();
    for _ in 0..9 {
        world.reply(0, "connection closed");
        asked.push(world.next().0);
    }
    let seconds = [2, 6, 14, 30, 62, 126, 254, 434, 614];
    assert_eq!(asked, seconds.map(|second| second * 1_000));
    world.reply(200, "1.5");
    assert_eq!(world.next().0, 617_000, "all is forgiven");
    // A page says at once that we are shut out; the same goes for 403.
    world.reply(403, "");
    assert_eq!(world.next().0, 797_000);
}

#[test]
fn an_answer_that_makes_no_sense_delays_its_own_question_alone() {
    let mut world = World::new(&["a", "b"]);
    world.reply(200, "much");
    assert_eq!(world.next(), (1_000, "/b".to_owned()));
    world.reply(200, "2");
    assert_eq!(world.next(), (4_000, "/b".to_owned()), "the other one waits");
    assert!(world.out.iter().any(|action| matches!(action, Action::Malformed(_))));
}

#[test]
fn pages_follow_each_other_before_anything_else() {
    let mut world = World::new(&["a", "b"]);
    world.reply(200, "more /a?2");
    assert_eq!(world.next(), (1_000, "/a?2".to_owned()));
    world.reply(200, "1");
    assert_eq!(world.next(), (2_000, "/b".to_owned()));
}

#[test]
fn a_request_without_an_answer_is_given_up_and_its_late_answer_is_nobodys() {
    let mut world = World::new(&["a"]);
    assert_eq!(world.next().0, 12_000);
    let late = Input::Reply { tag: Some(1), path: "", status: 200, retry_ms: None, body: b"9" };
    world.tell(late);
    assert!(!world.events().iter().any(|e| matches!(e.body, Body::DayStats(_))));
    world.reply(200, "1");
    let told = world.events();
    let last = Some(Decimal::new(1, 0));
    assert!(told.iter().any(|e| matches!(&e.body, Body::DayStats(stats) if stats.last == last)));
}

#[test]
fn wants_that_come_and_go_disturb_no_other() {
    let mut world = World::new(&["a"]);
    world.reply(200, "1");
    world.tell(Input::Subscribe(&[want("b")]));
    assert_eq!(world.next(), (1_000, "/b".to_owned()));
    world.tell(Input::Unsubscribe(&[want("b")]));
    world.reply(200, "2");
    assert_eq!(world.next(), (3_000, "/a".to_owned()));
    let dropped = world.events().iter().filter(|e| matches!(e.body, Body::Lane(LaneFact::Dropped))).count();
    assert_eq!(dropped, 1);
    assert!(!world.out.iter().any(|action| matches!(action, Action::Close { fault: Fault::Protocol, .. })));
}
