use super::*;
use model::{Body, GapCause, Instrument};
use source::{Options, Want};
use std::sync::Arc;

const START: Ts = Ts::from_ms(1_760_000_000_000);

fn instrument(product: &str, symbol: &str) -> Arc<Instrument> {
    let product = Product::named(product).unwrap();
    let mut made = listing::provisional(product, symbol.as_bytes()).unwrap();
    (made.px_scale, made.qty_scale) = (1, 4);
    Arc::new(made)
}

fn want(symbol: &str, channel: Channel) -> Want {
    Want { instrument: instrument("usdt-futures", symbol), channel }
}

struct World {
    session: BitgetSession,
    now: Ts,
    out: Vec<Action>,
}

impl World {
    fn new(wants: Vec<Want>) -> Self {
        let shard =
            Shard { endpoint: 0, path: Some("/v2/ws/public".to_owned()), wants, options: Options::default() };
        let mut world = Self { session: BitgetSession::new(&shard), now: START, out: Vec::new() };
        world.tell(Input::Open);
        world
    }

    fn tell(&mut self, input: Input<'_>) {
        self.out.clear();
        self.session.on(input, self.now, &mut self.out);
    }

    fn frame(&mut self, text: &str) {
        self.tell(Input::Frame { bytes: text.as_bytes(), binary: false });
    }

    fn wake(&mut self, timer: u64, ms: u64) {
        self.now = self.now.plus_ms(ms);
        self.tell(Input::Wake { timer });
    }

    /// `{"event":"subscribe","arg":{…}}`
    fn ack(&mut self, channel: &str, symbol: &str) {
        self.frame(&format!(r#"{{"event":"subscribe","arg":{}}}"#, arg(channel, symbol)));
    }

    fn book(&mut self, symbol: &str, action: &str, pseq: u64, seq: u64) {
        self.frame(&format!(
            r#"{{"action":"{action}","arg":{},"data":[{{"asks":[["64010.2","1.5"]],"bids":[["64010.1","0.9"]],"seq":{seq},"pseq":{pseq},"ts":"1760000000100"}}],"ts":1760000000101}}"#,
            arg("books", symbol)
        ));
    }

    fn sent(&self) -> Vec<String> {
        let sent = |a: &Action| match a {
            Action::Send(bytes) => Some(String::from_utf8(bytes.clone()).unwrap()),
            _ => None,
        };
        self.out.iter().filter_map(sent).collect()
    }

    /// What was emitted, in short: `book BTCUSDT snapshot`.
    fn told(&self) -> Vec<String> {
        let short = |a: &Action| match a {
            Action::Emit(event) => {
                let what = match &event.body {
                    Body::Snapshot(_) => "snapshot".to_owned(),
                    Body::Delta(_) => "delta".to_owned(),
                    Body::Gap(gap) => format!("gap {}", gap.cause.name()),
                    Body::Lane(LaneFact::Asked { .. }) => "asked".to_owned(),
                    Body::Lane(LaneFact::Refused(words)) => format!("refused {words}"),
                    Body::Lane(LaneFact::Syncing(_)) => "syncing".to_owned(),
                    Body::Lane(fact) => format!("{fact:?}").to_lowercase(),
                    other => format!("{other:?}").split(['(', ' ']).next().unwrap().to_lowercase(),
                };
                Some(format!("{} {} {what}", event.channel.name(), event.instrument.symbol))
            }
            _ => None,
        };
        self.out.iter().filter_map(short).collect()
    }
}

fn arg(channel: &str, symbol: &str) -> String {
    format!(r#"{{"instType":"USDT-FUTURES","channel":"{channel}","instId":"{symbol}"}}"#)
}

fn request(op: &str, args: &[String]) -> String {
    format!(r#"{{"op":"{op}","args":[{}]}}"#, args.join(","))
}

#[test]
fn a_book_is_asked_for_acknowledged_and_begun() {
    let mut w = World::new(vec![want("BTCUSDT", Channel::Book)]);
    assert_eq!(w.sent(), [request("subscribe", &[arg("books", "BTCUSDT")])]);
    assert_eq!(w.told(), ["book BTCUSDT asked"]);
    w.book("BTCUSDT", "update", 5, 6);
    assert!(w.told().is_empty());
    w.ack("books", "BTCUSDT");
    assert_eq!(w.told(), ["book BTCUSDT acked", "book BTCUSDT syncing"]);
    w.ack("books", "BTCUSDT");
    assert!(w.told().is_empty());
    w.book("BTCUSDT", "snapshot", 0, 10);
    assert_eq!(w.told(), ["book BTCUSDT snapshot"]);
    w.book("BTCUSDT", "update", 10, 20);
    assert_eq!(w.told(), ["book BTCUSDT delta"]);
}

#[test]
fn a_gap_asks_for_that_book_alone_and_tells_nothing_until_it_begins_again() {
    let wants = ["BTCUSDT", "ETHUSDT"].map(|symbol| want(symbol, Channel::Book));
    let mut w = World::new(wants.to_vec());
    for symbol in ["BTCUSDT", "ETHUSDT"] {
        w.ack("books", symbol);
        w.book(symbol, "snapshot", 0, 10);
    }
    w.now = w.now.plus_ms(1_000);
    w.book("BTCUSDT", "update", 0, 30);
    assert_eq!(w.told(), ["book BTCUSDT gap venue_reset", "book BTCUSDT syncing"]);
    let books = [arg("books", "BTCUSDT")];
    assert_eq!(w.sent(), [request("unsubscribe", &books), request("subscribe", &books)]);
    w.book("BTCUSDT", "update", 30, 40);
    w.ack("books", "BTCUSDT");
    assert!(w.told().is_empty());
    w.book("ETHUSDT", "update", 10, 20);
    assert_eq!(w.told(), ["book ETHUSDT delta"]);
    w.book("BTCUSDT", "snapshot", 0, 50);
    assert_eq!(w.told(), ["book BTCUSDT snapshot"]);
    // Once more, and not at once.
    w.book("BTCUSDT", "update", 40, 60);
    assert_eq!(w.told(), ["book BTCUSDT gap sequence", "book BTCUSDT syncing"]);
    assert!(w.sent().is_empty());
    w.wake(TIMER_CHORES, 10_000);
    assert_eq!(w.sent().len(), 2);
}

#[test]
fn a_frame_that_cannot_be_read_harms_its_book_or_all_where_it_names_none() {
    let wants = ["BTCUSDT", "ETHUSDT"].map(|symbol| want(symbol, Channel::Book));
    let mut w = World::new(wants.to_vec());
    for symbol in ["BTCUSDT", "ETHUSDT"] {
        w.book(symbol, "snapshot", 0, 10);
    }
    w.frame(&format!(r#"{{"action":"update","arg":{},"data":[{{"asks":"#, arg("books", "BTCUSDT")));
    assert_eq!(w.told(), ["book BTCUSDT gap malformed", "book BTCUSDT syncing"]);
    w.book("BTCUSDT", "snapshot", 0, 10);
    // It has begun again before it was asked for again.
    w.wake(TIMER_CHORES, 1_000);
    assert!(w.sent().is_empty());
    w.frame(&format!(r#"{{"action":"update","arg":{},"data":[{{"ts":"#, arg("trade", "BTCUSDT")));
    assert!(w.told().is_empty() && w.out.iter().any(|a| matches!(a, Action::Malformed(_))));
    w.frame(r#"{"action":"upd"#);
    let gaps = w.told().iter().filter(|t| t.ends_with("gap malformed")).count();
    assert_eq!(gaps, 2);
}

#[test]
fn a_refusal_is_told_and_asked_again_later() {
    let mut w = World::new(vec![want("NOSUCH", Channel::Trades), want("BTCUSDT", Channel::Trades)]);
    w.frame(&format!(
        r#"{{"event":"error","arg":{},"code":30001,"msg":"doesn't exist","op":"subscribe"}}"#,
        arg("trade", "NOSUCH")
    ));
    assert_eq!(w.told(), ["trades NOSUCH refused 30001: doesn't exist"]);
    w.ack("trade", "BTCUSDT");
    assert_eq!(w.told(), ["trades BTCUSDT acked"]);
    w.frame(&format!(r#"{{"action":"snapshot","arg":{},"data":[]}}"#, arg("trade", "BTCUSDT")));
    w.wake(TIMER_CHORES, 29_000);
    assert!(w.sent().is_empty());
    w.wake(TIMER_CHORES, 2_000);
    assert_eq!(w.sent(), [request("subscribe", &[arg("trade", "NOSUCH")])]);
    assert_eq!(w.told(), ["trades NOSUCH asked"]);
}

#[test]
fn what_is_acknowledged_and_stays_silent_is_asked_for_again() {
    let mut w = World::new(vec![want("BTCUSDT", Channel::Quote)]);
    w.ack("books1", "BTCUSDT");
    w.wake(TIMER_CHORES, 10_000);
    let topic = [arg("books1", "BTCUSDT")];
    assert_eq!(w.sent(), [request("unsubscribe", &topic), request("subscribe", &topic)]);
    assert!(w.told().is_empty());
}

#[test]
fn pings_go_out_also_while_data_come_and_silence_ends_the_connection() {
    let mut w = World::new(vec![want("BTCUSDT", Channel::Book)]);
    w.book("BTCUSDT", "snapshot", 0, 10);
    for _ in 0..3 {
        w.wake(TIMER_PING, 25_000);
        assert_eq!(w.sent(), ["ping"]);
        w.frame("pong");
        w.wake(TIMER_PING, 10_000);
        assert!(!w.out.iter().any(|a| matches!(a, Action::Close { .. })));
    }
    w.wake(TIMER_PING, 25_000);
    w.wake(TIMER_PING, 10_000);
    assert!(matches!(w.out[0], Action::Close { fault: Fault::Stale, .. }));
    w.tell(Input::Closed);
    assert_eq!(w.told(), ["book BTCUSDT gap disconnected"]);
}

#[test]
fn wants_that_share_a_topic_come_and_go_without_a_word_to_the_venue_but_for_the_first_and_last() {
    let mut w = World::new(vec![want("BTCUSDT", Channel::MarkPrice)]);
    let ticker = [arg("ticker", "BTCUSDT")];
    assert_eq!(w.sent(), [request("subscribe", &ticker)]);
    w.ack("ticker", "BTCUSDT");
    w.tell(Input::Subscribe(&[want("BTCUSDT", Channel::DayStats)]));
    assert_eq!(
        (w.sent().len(), w.told()),
        (0, vec!["day_stats BTCUSDT asked".to_owned(), "day_stats BTCUSDT acked".to_owned()])
    );
    let row = r#"[{"instId":"BTCUSDT","lastPr":"1","markPrice":"2","indexPrice":"3","ts":"1760000000123"}]"#;
    let frame = format!(r#"{{"action":"snapshot","arg":{},"data":{row},"ts":1}}"#, ticker[0]);
    w.frame(&frame);
    assert_eq!(w.told(), ["day_stats BTCUSDT daystats", "mark_price BTCUSDT markprice"]);
    w.tell(Input::Unsubscribe(&[want("BTCUSDT", Channel::MarkPrice)]));
    assert_eq!((w.sent().len(), w.told()), (0, vec!["mark_price BTCUSDT dropped".to_owned()]));
    w.frame(&frame);
    assert_eq!(w.told(), ["day_stats BTCUSDT daystats"]);
    w.tell(Input::Unsubscribe(&[want("BTCUSDT", Channel::DayStats)]));
    assert_eq!(w.sent(), [request("unsubscribe", &ticker)]);
    w.frame(&frame);
    assert!(w.told().is_empty());
    w.tell(Input::Unsubscribe(&[want("BTCUSDT", Channel::DayStats)]));
    assert!(w.out.is_empty());
}

#[test]
fn a_closed_session_only_remembers_what_is_wanted() {
    let mut w = World::new(vec![want("BTCUSDT", Channel::Book)]);
    w.tell(Input::Closed);
    w.tell(Input::Subscribe(&[want("ETHUSDT", Channel::Trades)]));
    assert!(w.out.is_empty());
    w.tell(Input::Unsubscribe(&[want("BTCUSDT", Channel::Book)]));
    assert_eq!((w.sent().len(), w.told()), (0, vec!["book BTCUSDT dropped".to_owned()]));
    w.tell(Input::Open);
    assert_eq!(w.sent(), [request("subscribe", &[arg("trade", "ETHUSDT")])]);
}

#[test]
fn no_more_is_asked_in_an_hour_than_the_venue_takes() {
    let wants = (0..48).map(|i| want(&format!("C{i}USDT"), Channel::Trades)).collect();
    let mut w = World::new(wants);
    let args = |w: &World| {
        let asked: Vec<String> = w.sent().into_iter().filter(|s| s.contains("\"subscribe\"")).collect();
        asked.iter().map(|s| s.matches("instId").count()).sum::<usize>()
    };
    let mut all = args(&w);
    for _ in 0..3_500 {
        w.wake(TIMER_CHORES, 1_000);
        all += args(&w);
    }
    assert_eq!(all, 220);
    for _ in 0..200 {
        w.wake(TIMER_CHORES, 1_000);
        all += args(&w);
    }
    assert!(all > 220);
}

#[test]
fn a_book_is_held_against_no_checksum_that_counts_zeros_which_are_not_kept() {
    let mut w = World::new(vec![want("BTCUSDT", Channel::Book)]);
    let row = |px: &str, action: &str| {
        format!(
            r#"{{"action":"{action}","arg":{},"data":[{{"asks":[["{px}","1"]],"bids":[],"seq":1,"pseq":1,"checksum":7}}]}}"#,
            arg("books", "BTCUSDT")
        )
    };
    let checked = |w: &World| {
        w.out.iter().any(|a| match a {
            Action::Emit(event) => match &event.body {
                Body::Snapshot(s) => s.checksum.is_some(),
                Body::Delta(d) => d.checksum.is_some(),
                _ => false,
            },
            _ => false,
        })
    };
    for (px, action, expected) in [
        ("64010.2", "snapshot", true),
        ("64011", "update", true),
        ("64012.0", "update", false),
        ("64013", "update", false),
        ("64014", "snapshot", true),
    ] {
        w.frame(&row(px, action));
        assert_eq!(checked(&w), expected, "{px}");
    }
}

#[test]
fn bars_are_over_when_the_next_begins() {
    let mut w = World::new(vec![want("BTCUSDT", Channel::Bars)]);
    let row = |start: u64| format!(r#"["{start}","1","2","0.5","1.5","10","15","15"]"#);
    let mut push = |action: &str, rows: &[u64]| {
        let rows: Vec<String> = rows.iter().map(|start| row(*start)).collect();
        let arg = arg("candle1m", "BTCUSDT");
        w.frame(&format!(r#"{{"action":"{action}","arg":{arg},"data":[{}],"ts":1}}"#, rows.join(",")));
        let bar = |a: &Action| match a {
            Action::Emit(event) => match &event.body {
                Body::Bar(bar) => Some((bar.start.as_ms(), bar.closed)),
                _ => None,
            },
            _ => None,
        };
        w.out.iter().filter_map(bar).collect::<Vec<_>>()
    };
    assert_eq!(push("snapshot", &[0, 60_000, 120_000]), [(120_000, false)]);
    assert_eq!(push("update", &[120_000]), [(120_000, false)]);
    assert_eq!(push("update", &[120_000, 180_000]), [(120_000, true), (180_000, false)]);
    // After a pause what was missed is told too.
    let missed = [(180_000, true), (240_000, true), (300_000, false)];
    assert_eq!(push("snapshot", &[120_000, 180_000, 240_000, 300_000]), missed);
    assert_eq!(push("update", &[240_000]), [(240_000, true)]);
}

#[test]
fn a_scale_that_no_definition_holds_is_a_gap() {
    let mut w = World::new(vec![want("BTCUSDT", Channel::Book)]);
    w.book("BTCUSDT", "snapshot", 0, 10);
    w.frame(&format!(
        r#"{{"action":"update","arg":{},"data":[{{"asks":[["0.0000000000000000001","1"]],"bids":[],"seq":20,"pseq":10}}]}}"#,
        arg("books", "BTCUSDT")
    ));
    assert_eq!(
        w.told(),
        [format!("book BTCUSDT gap {}", GapCause::Scale.name()), "book BTCUSDT syncing".to_owned()]
    );
}
