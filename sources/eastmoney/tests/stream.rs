//! Answers that go on: cut into events, merged, told.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use eastmoney::Eastmoney;
use model::ashare::{Code, instrument};
use model::{Body, Channel, Decimal, Event, Ts};
use source::{Action, End, Input, Options, Session, Shard, Source, Want};
use std::sync::Arc;

fn wants(codes: &[&str], channels: &[Channel]) -> Vec<Want> {
    let made = codes.iter().map(|code| Arc::new(instrument(Code::parse(code).unwrap(), "")));
    made.flat_map(|i| channels.iter().map(move |c| Want { instrument: Arc::clone(&i), channel: *c }))
        .collect()
}

fn open(codes: &[&str], channels: &[Channel]) -> (Shard, Box<dyn Session>) {
    let shard = Eastmoney.shards(&wants(codes, channels), &Options::default()).remove(0);
    let mut session = Eastmoney.session(&shard);
    session.on(Input::Open, Ts(0), &mut Vec::new());
    (shard, session)
}

fn hear(session: &mut dyn Session, data: &str) -> (Vec<Event>, Vec<String>) {
    let (mut out, bytes) = (Vec::new(), format!("data: {data}\n\n"));
    session.on(Input::Frame { bytes: bytes.as_bytes(), binary: true }, Ts(1), &mut out);
    let (mut events, mut faults) = (Vec::new(), Vec::new());
    for action in out {
        match action {
            Action::Emit(event) if !matches!(event.body, Body::Lane(_)) => events.push(event),
            Action::Malformed(fault) => faults.push(fault.to_string()),
            _ => {}
        }
    }
    (events, faults)
}

fn last(event: &Event) -> Option<Decimal> {
    match &event.body {
        Body::DayStats(stats) => stats.last,
        other => panic!("{other:?}"),
    }
}

const WHOLE: &str = r#"{"rc":0,"rt":4,"full":1,"data":{"f43":13.40,"f47":88000,"f57":"600123","f58":"兰花科创","f60":13.38,"f107":1,"f19":13.39,"f20":5,"f39":13.41,"f40":7}}"#;

#[test]
fn changes_are_merged_into_what_was_told_whole() {
    let channels = [Channel::DayStats, Channel::BookTop];
    let (shard, mut session) = open(&["600123"], &channels);
    assert!(shard.path.as_ref().unwrap().starts_with("/api/qt/stock/sse?"));
    let (events, faults) = hear(&mut *session, WHOLE);
    assert_eq!((events.len(), faults.len()), (2, 0));
    let (events, _) = hear(&mut *session, r#"{"rc":0,"rt":4,"full":0,"data":{"f43":13.41,"f47":88210}}"#);
    assert_eq!(events.len(), 1, "the levels are the same");
    assert_eq!(last(&events[0]), Some(Decimal::new(1_341, 2)));
    match &events[0].body {
        Body::DayStats(stats) => {
            assert_eq!(stats.volume, Some(Decimal::new(8_821_000, 0)));
            assert_eq!(stats.prev_close, Some(Decimal::new(1_338, 2)));
        }
        other => panic!("{other:?}"),
    }
    // A sign of life, a repetition and a comment say nothing.
    for nothing in [r#"{"rc":0,"rt":2,"full":1,"data":null}"#, r#"{"rc":0,"full":0,"data":{"f43":13.41}}"#] {
        assert_eq!(hear(&mut *session, nothing), (Vec::new(), Vec::new()));
    }
}

#[test]
fn a_new_connection_begins_with_the_whole_and_a_change_alone_is_refused() {
    let (_, mut session) = open(&["600123"], &[Channel::DayStats, Channel::BookTop]);
    hear(&mut *session, WHOLE);
    let mut out = Vec::new();
    session.on(Input::Closed, Ts(2), &mut out);
    assert!(out.iter().any(|a| matches!(a, Action::Emit(e) if matches!(e.body, Body::Gap(_)))));
    session.on(Input::Open, Ts(3), &mut out);
    let (events, faults) = hear(&mut *session, r#"{"rc":0,"full":0,"data":{"f43":13.41}}"#);
    assert_eq!((events.len(), faults.len()), (0, 1), "{faults:?}");
    assert_eq!(hear(&mut *session, WHOLE).0.len(), 2, "what was told before the gap is told again");
}

#[test]
fn another_stocks_answer_is_refused() {
    let (_, mut session) = open(&["600519"], &[Channel::BookTop, Channel::DayStats]);
    let (events, faults) = hear(&mut *session, WHOLE);
    assert_eq!((events.len(), faults), (0, vec!["the answer is about another stock (byte 0)".to_owned()]));
}

#[test]
fn rows_of_many_are_merged_each_by_its_key_and_a_bad_one_spoils_no_other() {
    let (shard, mut session) = open(&["600123", "SZ000882", "600000"], &[Channel::DayStats]);
    assert!(shard.path.as_ref().unwrap().starts_with("/api/qt/ulist/sse?"));
    let row = |code: &str, section: u8, last: &str| {
        format!(r#"{{"f2":{last},"f12":"{code}","f13":{section},"f18":9.5}}"#)
    };
    let whole = format!(
        r#"{{"rc":0,"rt":5,"full":1,"data":{{"total":3,"diff":{{"0":{},"1":{},"2":{}}}}}}}"#,
        row("600123", 1, "9.61"),
        row("000882", 0, "\"much\""),
        row("600000", 1, "9.93")
    );
    let (events, faults) = hear(&mut *session, &whole);
    assert_eq!((events.len(), faults.len()), (2, 1));
    let change = r#"{"rc":0,"rt":5,"full":0,"data":{"diff":{"2":{"f2":9.94},"7":{"f2":1}}}}"#;
    let (events, faults) = hear(&mut *session, change);
    assert_eq!((events.len(), faults.len()), (1, 1));
    assert_eq!((&*events[0].instrument.name, last(&events[0])), ("600000.SH", Some(Decimal::new(994, 2))));
}

#[test]
fn events_are_cut_wherever_the_bytes_come_apart() {
    let cut = |bytes: &[u8]| Eastmoney.cut(0, End::Venue, bytes);
    let event = format!("data: {WHOLE}\n\n");
    let two = [event.as_bytes(), b"data: {}\r\n\r\n"].concat();
    for at in 0..event.len() {
        assert_eq!(cut(&two[..at]), Ok(None), "{at}");
    }
    assert_eq!(cut(&two), Ok(Some(event.len())));
    assert_eq!(cut(&two[event.len()..]), Ok(Some(12)));
    assert!(cut(&vec![b'x'; 5 * 1024 * 1024]).is_err());
}
