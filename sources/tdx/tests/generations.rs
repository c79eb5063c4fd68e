//! Servers that do not answer as they did until July 2026: the session finds the way in which each of them is asked, and says
//! so where there is none.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod talk;

use model::ashare::code;
use model::{Body, Channel, Event, LaneFact, Ts};
use source::pair::START;
use source::{Action, Input, Past, Shard, Sim, SimAction, SimInput, SimSetup, Source, Want};
use std::sync::Arc;
use talk::Talk;
use tdx::Tdx;
use tdx::codec::frame::{AnswerFrame, MARK, RequestFrame};
use tdx::codec::session::{LEVEL, tip};
use tdx::codec::{Answer, Code, Query, STUB};
use tdx::sim::{Manner, TdxSim};

const LANES: [Channel; 4] = [Channel::DayStats, Channel::BookTop, Channel::Bars, Channel::Trades];

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(pair).collect()
}

/// What was told, by words and numbers alone.
fn told(talk: &Talk, channel: Channel) -> Vec<String> {
    talk.of(channel).map(|event| format!("{} {:?}", event.instrument.name, event.body)).collect()
}

fn refusals(talk: &Talk) -> Vec<(Channel, String)> {
    let words = |event: &Event| match &event.body {
        Body::Lane(LaneFact::Refused(words)) => Some((event.channel, words.to_string())),
        _ => None,
    };
    talk.events.iter().filter_map(words).collect()
}

#[test]
fn a_server_of_either_generation_tells_the_same() {
    let mut first = Talk::new(Manner::Good, &LANES, 3);
    first.run_ms(60_000);
    assert!(!first.controls.contains(&"login"), "nobody logs in where nothing is refused");
    let stocks = first.sim.market().listed().len();
    for stubs in [true, false] {
        let mut talk = Talk::new(Manner::Changed { stubs }, &LANES, 3);
        talk.run_ms(60_000);
        assert!(
            talk.closed.is_empty() && refusals(&talk).is_empty(),
            "{:?} {:?}",
            talk.closed,
            refusals(&talk)
        );
        assert_eq!(talk.controls.iter().filter(|what| **what == "login").count(), 1, "{stubs}");
        assert_eq!(talk.facts(|fact| matches!(fact, LaneFact::Acked)), stocks * LANES.len());
        // The trades of the day are the same, each once; quotes and bars come at other instants.
        let (mut ours, mut theirs) = (told(&talk, Channel::Trades), told(&first, Channel::Trades));
        let known = ours.len().min(theirs.len());
        ours.sort_unstable();
        theirs.sort_unstable();
        let same = ours.iter().filter(|trade| theirs.binary_search(trade).is_ok()).count();
        assert!(same * 100 > known * 95 && known > 1_000, "{same} of {known}");
        assert!(talk.of(Channel::Bars).count() >= stocks * 2 && talk.of(Channel::DayStats).count() > stocks);
    }
}

#[test]
fn servers_behind_one_address_are_each_asked_in_their_way() {
    let mut talk = Talk::new(Manner::Mixed, &[Channel::DayStats, Channel::Bars], 2);
    for connection in 1..=4 {
        talk.controls.clear();
        talk.events.clear();
        talk.run_ms(20_000);
        let logged_in = talk.controls.contains(&"login");
        assert_eq!((talk.peer, logged_in), (connection, connection % 2 == 0));
        assert!(talk.of(Channel::Bars).count() > 0 && talk.closed.is_empty(), "{connection}");
        talk.leave();
    }
}

#[test]
fn marked_requests_are_asked_one_at_a_time_as_nothing_tells_their_answers_apart() {
    let mut talk = Talk::new(Manner::Good, &[Channel::DayStats, Channel::Trades], 3);
    // The server falls silent, so what is sent stays unanswered.
    talk.sim = TdxSim::new(&SimSetup { seed: 5, start: START, ..SimSetup::default() }, Manner::Silent);
    let mut sent: Vec<(u32, u16)> = Vec::new();
    let mut on = |input: Input<'_>, now: Ts| {
        let mut out = Vec::new();
        talk.session.on(input, now, &mut out);
        let frames = out.iter().filter_map(|action| match action {
            Action::Send(bytes) => RequestFrame::read(bytes).ok().map(|frame| (frame.seq, frame.command)),
            _ => None,
        });
        let frames: Vec<_> = frames.collect();
        sent.extend(&frames);
        frames
    };
    on(Input::Closed, START);
    let hello = on(Input::Open, START);
    let mut server = TdxSim::new(&SimSetup { seed: 5, start: START, ..SimSetup::default() }, Manner::Good);
    let mut out = Vec::new();
    server.on(SimInput::Open { peer: source::Peer(1), endpoint: 0, path: "" }, START, &mut out);
    let greeting = RequestFrame { seq: hello[0].0, command: 0xd, payload: &[1] }.bytes().unwrap();
    server.on(SimInput::Frame { peer: source::Peer(1), bytes: &greeting }, START, &mut out);
    let answer = out.iter().find_map(|action| match action {
        SimAction::Send { bytes, .. } => Some(bytes.clone()),
        _ => None,
    });
    let round = on(Input::Frame { bytes: &answer.unwrap(), binary: true }, START);
    assert!(round.len() > 1, "as recorded, several at a time: {round:?}");
    let stub = AnswerFrame { seq: round[0].0, command: round[0].1, body: vec![0x20, 3] }.bytes(200).unwrap();
    let login = on(Input::Frame { bytes: &stub, binary: true }, START);
    assert_eq!(login, [(0x0099_1803, 0x0fdb)], "the login alone");
    // What was asked before is answered late, and harms nothing.
    let late = AnswerFrame { seq: round[1].0, command: round[1].1, body: vec![0x20, 3] }.bytes(200).unwrap();
    assert_eq!(on(Input::Frame { bytes: &late, binary: true }, START), []);
    let welcome = AnswerFrame { seq: login[0].0, command: 0x0fdb, body: vec![0; 179] }.bytes(200).unwrap();
    let next = on(Input::Frame { bytes: &welcome, binary: true }, START);
    assert_eq!(next.iter().map(|sent| sent.0).collect::<Vec<_>>(), [MARK], "one, and marked");
}

#[test]
fn a_server_that_answers_quotes_one_by_one_is_asked_so() {
    let mut talk = Talk::new(Manner::Single, &LANES, 4);
    talk.run_ms(60_000);
    assert!(talk.closed.is_empty(), "{:?}", talk.closed);
    let market = talk.sim.market().clone();
    let beijing = market.listed().iter().filter(|one| one.code.market.byte() == 2).count();
    let refused = refusals(&talk);
    assert!(refused.iter().all(|(_, words)| words.contains("Beijing")), "{refused:?}");
    assert_eq!(refused.len(), beijing * 2);
    for (at, one) in market.listed().iter().enumerate().filter(|(_, one)| one.code.market.byte() < 2) {
        let mine = |event: &&Event| code(&event.instrument).unwrap() == one.code;
        for channel in [Channel::DayStats, Channel::BookTop] {
            assert!(talk.of(channel).filter(mine).count() > 0, "{channel:?} of {at}");
        }
    }
}

#[test]
fn a_command_that_is_refused_in_every_way_is_named_on_its_lanes_and_harms_no_other() {
    let mut talk = Talk::new(Manner::Stubs, &LANES, 3);
    talk.run_ms(40_000);
    let stocks = talk.sim.market().listed().len();
    let refused = refusals(&talk);
    assert_eq!(refused.len(), stocks * 2);
    for (channel, words) in &refused {
        let command = if *channel == Channel::Bars { "052d" } else { "0fc5" };
        assert!(words.contains(&format!("command {command} is answered by the two bytes 2003")), "{words}");
        assert!(words.contains("清溪模拟主站") && words.contains("`hosts`"), "{words}");
    }
    assert!(talk.words.iter().all(|words| words.contains("a stub of two bytes")), "{:?}", talk.words);
    // Who comes later is told the same.
    let late = [Want { instrument: Arc::clone(&talk.wants[0].instrument), channel: Channel::MinuteLine }];
    talk.tell(Input::Subscribe(&late));
    talk.run_ms(20_000);
    talk.tell(Input::Unsubscribe(&late));
    talk.tell(Input::Subscribe(&late));
    assert_eq!(refusals(&talk).iter().filter(|(channel, _)| *channel == Channel::MinuteLine).count(), 2);
    assert!(talk.of(Channel::DayStats).count() > stocks && talk.closed.is_empty());
}

#[test]
fn a_server_that_only_greets_is_given_up_in_words() {
    let mut talk = Talk::new(Manner::Hollow, &[Channel::DayStats, Channel::Bars], 2);
    talk.run_ms(45_000);
    let why = &talk.closed[0];
    assert!(why.contains("answers the greeting and nothing else") && why.contains("`hosts`"), "{why}");
    assert!(talk.controls.contains(&"login"), "the other way was tried");
}

#[test]
fn an_unknown_answer_to_the_greeting_is_told_as_it_came() {
    let talk = Talk::new(Manner::Good, &[Channel::DayStats], 1);
    let shard = Tdx.shards(&talk.wants, &source::Options::default()).remove(0);
    let mut session = Tdx.session(&shard);
    let mut out = Vec::new();
    session.on(Input::Open, START, &mut out);
    let strange = AnswerFrame { seq: 1, command: 0xd, body: vec![0xab, 0xcd, 1, 2, 3] }.bytes(200).unwrap();
    session.on(Input::Frame { bytes: &strange, binary: true }, START, &mut out);
    let why = out.iter().find_map(|action| match action {
        Action::Close { why, .. } => Some(why.clone()),
        _ => None,
    });
    assert!(why.unwrap().contains("5 bytes that begin with abcd010203"));
}

#[test]
fn the_past_is_read_after_the_login_where_a_server_wants_it() {
    for channel in [Channel::Bars, Channel::Trades, Channel::CorporateActions] {
        let read = |manner: Manner| {
            let mut sim = TdxSim::new(&SimSetup { seed: 3, start: START, ..SimSetup::default() }, manner);
            let market = sim.market();
            let giving = (0..market.listed().len()).find(|at| !market.ex_rights(*at).is_empty()).unwrap();
            let instrument = Arc::clone(&market.listed()[giving].instrument);
            let days = sim.market().trading_days(4);
            let all = channel == Channel::CorporateActions;
            let from = if all { Ts(0) } else { model::ashare::instant(days[1], 0) };
            let to = model::ashare::instant(days[2], 0);
            let (source, interval, ids) = (tdx::NAME, "5m".to_owned(), None);
            let past = Past { source, instrument, channel, interval, from, to, ids };
            let mut history = Tdx.rest().history(past).unwrap();
            let (mut events, mut asked) = (Vec::new(), 0);
            while let Some(request) = history.request() {
                asked += 1;
                assert!(asked < 50, "it comes to an end");
                let mut out = Vec::new();
                let input = SimInput::Request { request: 1, endpoint: 0, path: &request.path };
                sim.on(input, START, &mut out);
                let [SimAction::Reply { body, status: 200, .. }, ..] = &out[..] else { panic!("{out:?}") };
                events.extend(history.take(body, START).unwrap());
            }
            (events, asked)
        };
        let (plain, asked) = read(Manner::Good);
        let (changed, asked_more) = read(Manner::Changed { stubs: true });
        assert!(!plain.is_empty() && plain == changed, "{channel:?}: {} and {}", plain.len(), changed.len());
        assert_eq!(asked_more, asked + 2, "a stub and a login more");
    }
}

#[test]
fn a_stub_of_2026_09_19_is_told_from_an_answer_without_bars() {
    let bars =
        Query::Bars(tdx::codec::BarsQuery { code: Code::of(0, "000001").unwrap(), ..Default::default() });
    assert_eq!(Answer::read(&bars, &[0x20, 3]).faults, [STUB]);
    // Recorded 2026-09-12 (tdxrs #12): no bars, as none were asked for.
    let none = AnswerFrame::read(&unhex("b1cb74000c01086401002d05020002000000")).unwrap();
    assert_eq!(Answer::read(&bars, &none.body).whole(), Ok(Answer::Bars(Vec::new())));
}

#[test]
fn what_a_server_says_to_the_login_of_another_terminal_is_read() {
    // Recorded July 2026 (TradingAgents-astock #98), its zeros at the end left out.
    let mut body = unhex("000000bfcdbba7b6cbd3ebd0d0c7e9d6f7d5beb2bbc6a5c5e42cb2bbc4dccab9d3c321");
    body.resize(179, 0);
    assert_eq!(tip(&body), "客户端与行情主站不匹配,不能使用!");
    assert_eq!(tip(&[0; 20]), "");
}

#[test]
fn the_login_is_that_which_tdxdata_sends() {
    let frame = Query::Login(LEVEL.to_vec()).frame(Query::Login(Vec::new()).mark()).unwrap();
    let sent = "0c031899000120002000db0f 7464786c6576656c000000 295cf740 110000000000000000000000000005";
    assert_eq!(frame, unhex(sent));
    let bars = tdx::codec::BarsQuery {
        code: Code::of(0, "000059").unwrap(),
        category: 9,
        multiplier: 1,
        count: 10,
        ..Default::default()
    };
    let frame = Query::Bars(bars).frame(Query::Bars(bars).mark()).unwrap();
    let sent = "0c01187b00011c001c002d05 0000 303030303539 0900 0100 0000 0a00 00000000000000000000";
    assert_eq!(frame, unhex(sent));
}

#[test]
fn a_quote_of_0530_is_asked_by_the_other_market_and_read_to_where_it_is_known() {
    let shanghai = Query::Quote(Code::of(1, "600000").unwrap());
    assert_eq!(&shanghai.frame(1).unwrap()[10..], unhex("3005 01 00 363030303030"));
    let shenzhen = Query::Quote(Code::of(0, "000001").unwrap());
    assert_eq!(&shenzhen.frame(1).unwrap()[10..], unhex("3005 01 01 303030303031"));
    // A record of 053e (xmtdx), as 0530 has it without the two numbers in front.
    let record = unhex(
        "013630303030303e109d0f04040643acfaa60edd0f9889349483013a6ec94da7831cb2851841a6e2020001bd0788124102a8cd01
        87314203906aab114304a7b4018f1f4405ab96019812560f0000000000003e10",
    );
    let Answer::Quote(head, Some(whole)) = Answer::read(&shanghai, &record).whole().unwrap() else {
        panic!()
    };
    assert_eq!((head.prices.last, head.flow.volume), (989, 426_584));
    assert_eq!((whole.levels[0].bid_volume, whole.levels[0].ask), (509, 990));
    // Where the end is another, prices and quantities stand and nothing is told of the rest.
    let mut other = record.clone();
    *other.last_mut().unwrap() ^= 1;
    let read = Answer::read(&shanghai, &other);
    assert!(read.faults.is_empty() && read.left > 0);
    assert_eq!(read.answer, Answer::Quote(head, None));
    // 56 bytes of another code and zeros: what servers say of a code that they do not know.
    let nothing = [&record[..7], &[0; 49]].concat();
    let faults = Answer::read(&shanghai, &nothing).faults;
    assert!(faults[0].to_string().contains("nothing but zeros"), "{faults:?}");
}

#[test]
fn trades_of_a_past_day_of_2026_are_read() {
    // Recorded 2026-09-12 (tdxrs #13): 000001 on 2026-09-11, the last five; pytdx reads 15:27 to 15:29 at 11.74.
    let frame = unhex(
        "b1cb74000c0130010000b50f250025000500 9a993d41 9f039612020500 a00300020500 a00300090500 a103000f0500 a10300010500",
    );
    let page = tdx::codec::query::Page { start: 0, count: 5 };
    let asked = Query::TradesOf(20_260_911, Code::of(0, "000001").unwrap(), page);
    let body = AnswerFrame::read(&frame).unwrap().body;
    let Answer::Trades(before, rows) = Answer::read(&asked, &body).whole().unwrap() else { panic!() };
    let told: Vec<_> =
        rows.iter().map(|row| (row.minute / 60, row.minute % 60, row.price, row.volume)).collect();
    assert_eq!(before.to_bits(), 11.85_f32.to_bits());
    assert_eq!(
        told,
        [(15, 27, 1174, 2), (15, 28, 1174, 2), (15, 28, 1174, 9), (15, 29, 1174, 15), (15, 29, 1174, 1)]
    );
}

#[test]
fn a_session_without_wants_asks_nothing() {
    let mut session = Tdx.session(&Shard::default());
    let mut out = Vec::new();
    session.on(Input::Open, START, &mut out);
    assert!(out.is_empty());
}
