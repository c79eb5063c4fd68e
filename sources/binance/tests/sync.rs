//! What a session does with books: the venue's recipe step by step, and each way in which a step can fail.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod talk;

use model::{Channel, Ts};
use source::Input;
use talk::{Section, Talk, depth, spot, usdm};

const BTC: &str = "BTCUSDT";
const ETH: &str = "ETHUSDT";
const TOO_OLD: &str = r#"{"lastUpdateId":3,"bids":[],"asks":[]}"#;
const HTML: &str = "<html><body>502 Bad Gateway</body></html>";

/// How long passed between requests, in ms.
fn pauses(talk: &Talk) -> Vec<i64> {
    let times: Vec<Ts> = talk.fetched.iter().map(|(at, ..)| *at).collect();
    times.windows(2).map(|pair| pair[1].ms_since(pair[0])).collect()
}

/// What is said after these changes waited and a snapshot of that id came.
fn joined(section: Section, waiting: &[(u64, u64, u64)], id: i64) -> Vec<String> {
    let mut talk = Talk::opened(section, &[BTC]);
    for (before, first, last) in waiting {
        let said = talk.frame(&match section {
            Section::Spot => spot(BTC, *first, *last),
            Section::Usdm => usdm(BTC, *before, *first, *last),
        });
        assert!(!said.iter().any(|word| word.starts_with("delta")), "{said:?}");
    }
    assert_eq!(talk.fetched.len(), 1, "one request, by the first change");
    let said = talk.answer(&depth(id));
    assert_eq!(talk.closes, 0);
    said
}

#[test]
fn a_spot_book_begins_where_the_snapshot_and_the_changes_meet() {
    let three = [(0, 10, 12), (0, 13, 15), (0, 16, 20)];
    assert_eq!(joined(Section::Spot, &three, 15), ["snapshot 15", "delta 15>20"]);
    assert_eq!(joined(Section::Spot, &[(0, 10, 12), (0, 13, 18)], 15), ["snapshot 15", "delta 15>18"]);
    assert_eq!(joined(Section::Spot, &three, 30), ["snapshot 30"]);
    assert_eq!(joined(Section::Spot, &[(0, 20, 22)], 19), ["snapshot 19", "delta 19>22"]);
    assert_eq!(joined(Section::Spot, &[(0, 20, 22)], 15), ["syncing"]);
    assert_eq!(joined(Section::Spot, &[(0, 10, 12), (0, 14, 20)], 12), ["syncing"]);
}

#[test]
fn a_usdm_book_begins_where_the_snapshot_lies_in_or_between_changes() {
    let three = [(90, 101, 110), (110, 140, 150), (150, 151, 160)];
    let usdm = |id| joined(Section::Usdm, &three, id);
    assert_eq!(usdm(150), ["snapshot 150", "delta 150>160"]);
    assert_eq!(usdm(145), ["snapshot 145", "delta 145>150", "delta 150>160"]);
    assert_eq!(usdm(110), ["snapshot 110", "delta 110>150", "delta 150>160"]);
    assert_eq!(usdm(130), ["snapshot 130", "delta 130>150", "delta 150>160"]);
    assert_eq!(usdm(90), ["snapshot 90", "delta 90>110", "delta 110>150", "delta 150>160"]);
    assert_eq!(usdm(80), ["syncing"]);
    assert_eq!(usdm(200), ["snapshot 200"]);
}

#[test]
fn after_a_hole_the_book_is_a_gap_and_comes_back_on_the_same_connection() {
    for section in [Section::Spot, Section::Usdm] {
        let change = |symbol, before: u64, last| match section {
            Section::Spot => spot(symbol, before + 1, last),
            Section::Usdm => usdm(symbol, before, before + 7, last),
        };
        let mut talk = Talk::live(section, &[BTC, ETH]);
        assert_eq!(talk.frame(&change(BTC, 20, 40)), ["delta 20>40"]);
        assert_eq!(talk.frame(&change(BTC, 50, 70)), ["gap sequence 40>70", "syncing", "fetch"]);
        assert_eq!((talk.at(0), talk.at(1)), (None, Some(20)));
        assert_eq!(talk.frame(&change(BTC, 70, 90)), Vec::<String>::new());
        assert_eq!(talk.frame(&change(ETH, 20, 40)), ["delta 20>40"], "the other book goes on");
        assert_eq!(talk.answer(&depth(70)), ["snapshot 70", "delta 70>90"]);
        assert_eq!(talk.frame(&change(BTC, 90, 99)), ["delta 90>99"]);
        assert_eq!((talk.at(0), talk.at(1), talk.closes, talk.fetched.len()), (Some(99), Some(40), 0, 1));
    }
}

#[test]
fn a_usdm_change_that_follows_an_earlier_state_is_a_gap() {
    let mut talk = Talk::live(Section::Usdm, &[BTC]);
    assert_eq!(talk.frame(&usdm(BTC, 20, 151, 160)), ["delta 20>160"]);
    assert_eq!(talk.frame(&usdm(BTC, 150, 161, 170)), ["gap sequence 160>170", "syncing", "fetch"]);
    assert_eq!(talk.answer(&depth(165)), ["snapshot 165", "delta 165>170"]);
    assert_eq!(talk.closes, 0);
}

#[test]
fn a_repeated_or_late_change_is_passed_over() {
    let mut talk = Talk::live(Section::Spot, &[BTC]);
    assert_eq!(talk.frame(&spot(BTC, 21, 25)), ["delta 20>25"]);
    assert_eq!(talk.frame(&spot(BTC, 21, 25)), Vec::<String>::new());
    assert_eq!(talk.frame(&spot(BTC, 16, 20)), Vec::<String>::new());
    assert_eq!(talk.frame(&spot(BTC, 26, 26)), ["delta 25>26"]);
    let mut talk = Talk::live(Section::Usdm, &[BTC]);
    assert_eq!(talk.frame(&usdm(BTC, 20, 31, 40)), ["delta 20>40"]);
    assert_eq!(talk.frame(&usdm(BTC, 20, 31, 40)), Vec::<String>::new());
    assert_eq!(talk.frame(&usdm(BTC, 40, 55, 60)), ["delta 40>60"]);
}

#[test]
fn an_old_snapshot_is_asked_for_again_ever_later_and_never_in_a_tight_loop() {
    for body in
        [TOO_OLD, r#"{"lastUpdateId":-1,"bids":[],"asks":[]}"#, HTML, "", r#"{"code":-1121,"msg":"x"}"#]
    {
        let mut talk = Talk::opened(Section::Spot, &[BTC]);
        talk.frame(&spot(BTC, 10, 12));
        let mut last = 12;
        for _ in 0..12 {
            let said = talk.answer(body);
            assert!(!said.iter().any(|word| word == "fetch"), "{said:?}");
            let change = spot(BTC, last + 1, last + 2);
            assert_eq!(talk.frame(&change), Vec::<String>::new(), "a change asks for nothing");
            last += 2;
            assert_eq!(talk.next(), ["fetch"]);
        }
        let pauses = pauses(&talk);
        assert!(pauses.is_sorted() && pauses[0] >= 100, "{pauses:?}");
        assert_eq!(*pauses.last().unwrap(), 30_000, "{pauses:?}");
        let said = talk.answer(&depth(12));
        assert_eq!(said.len(), 1 + 12, "nothing that waited is lost: {said:?}");
        assert_eq!((talk.at(0), talk.closes), (Some(last), 0));
    }
}

#[test]
fn a_limit_is_waited_for_as_long_as_the_venue_says() {
    for (status, retry_ms) in [(429, 7_000), (418, 125_000)] {
        let mut talk = Talk::opened(Section::Usdm, &[BTC]);
        talk.frame(&usdm(BTC, 5, 10, 12));
        let words = r#"{"code":-1003,"msg":"Too many requests."}"#;
        assert_eq!(talk.status(status, Some(retry_ms), words), ["syncing"]);
        talk.frame(&usdm(BTC, 12, 20, 22));
        assert_eq!(talk.pass(retry_ms - 1), Vec::<String>::new());
        assert_eq!(talk.pass(1), ["fetch"]);
        assert_eq!(talk.answer(&depth(11)), ["snapshot 11", "delta 11>12", "delta 12>22"]);
        assert_eq!(talk.closes, 0);
    }
}

#[test]
fn a_request_without_an_answer_is_made_again() {
    let mut talk = Talk::opened(Section::Spot, &[BTC]);
    talk.frame(&spot(BTC, 10, 12));
    assert_eq!(talk.pass(119_999), Vec::<String>::new());
    assert_eq!(talk.pass(10_000), ["syncing", "fetch"]);
    assert_eq!(talk.answer(&depth(11)), ["snapshot 11", "delta 11>12"]);
    assert_eq!(talk.answer(&depth(11)), Vec::<String>::new(), "the first answer, late");
    assert_eq!(talk.at(0), Some(12));
}

#[test]
fn a_still_market_has_its_book_after_a_while() {
    let mut talk = Talk::opened(Section::Spot, &[BTC]);
    assert_eq!(talk.pass(4_999), Vec::<String>::new());
    assert_eq!(talk.pass(1), ["fetch"]);
    assert_eq!(talk.answer(&depth(7)), ["snapshot 7"]);
    assert_eq!(talk.frame(&spot(BTC, 6, 9)), ["delta 7>9"]);
}

#[test]
fn changes_that_wait_are_bounded_and_the_book_begins_anew() {
    let mut talk = Talk::opened(Section::Spot, &[BTC, ETH]);
    let level = r#"["64000.00","1.00000"],"#;
    let many = level.repeat(40_000);
    let large = |n: u64| spot(BTC, n, n).replace(r#""b":["#, &format!(r#""b":[{many}"#));
    let size = large(1).len();
    let mut said = Vec::new();
    let mut n = 0;
    while !said.iter().any(|word: &String| word.starts_with("gap")) {
        n += 1;
        assert!(n as usize * size < 16 << 20, "no end to what waits");
        said = talk.frame(&large(n));
    }
    assert!(n as usize * size > 4 << 20, "given up after {n} changes of {size} bytes");
    assert_eq!(said, ["gap overflow ->-", "syncing"]);
    assert_eq!(
        talk.frame(&spot(BTC, n + 1, n + 3)),
        Vec::<String>::new(),
        "the request is on its way already"
    );
    assert_eq!(talk.answer(&depth(n as i64 + 2)).len(), 2);
    assert_eq!((talk.at(0), talk.closes), (Some(n + 3), 0));
}

#[test]
fn the_engines_doubt_starts_one_book_again_without_a_second_gap() {
    let mut talk = Talk::live(Section::Usdm, &[BTC, ETH]);
    let (instrument, channel) = (talk.wants[0].id, Channel::Book);
    assert_eq!(talk.tell(Input::Resync { instrument, channel }), ["syncing"]);
    talk.books.live.remove(&instrument);
    assert_eq!(talk.frame(&usdm(ETH, 20, 30, 33)), ["delta 20>33"]);
    assert_eq!(talk.frame(&usdm(BTC, 20, 30, 33)), ["fetch"]);
    assert_eq!(talk.answer(&depth(33)), ["snapshot 33"]);
    assert_eq!(talk.tell(Input::Resync { instrument, channel: Channel::Trades }), Vec::<String>::new());
    assert_eq!(talk.frame(&usdm(BTC, 33, 40, 44)), ["delta 33>44"]);
    assert_eq!(talk.tell(Input::Resync { instrument, channel }), ["syncing"]);
    talk.books.live.remove(&instrument);
    assert_eq!(talk.pass(5_000), ["fetch"], "without a change after a while");
}

#[test]
fn a_closed_connection_is_a_gap_of_each_live_book_and_a_new_one_begins_anew() {
    let mut talk = Talk::live(Section::Spot, &[BTC, ETH]);
    assert_eq!(talk.frame(&spot(ETH, 30, 31)), ["gap sequence 20>31", "syncing", "fetch"]);
    assert_eq!(talk.tell(Input::Closed), ["gap disconnected 20>-"], "a book that waits had its gap");
    assert_eq!(talk.tell(Input::Closed), Vec::<String>::new());
    talk.timers.clear();
    assert_eq!(talk.tell(Input::Open), ["book asked", "syncing", "book asked", "syncing", "send"]);
    let frame = talk.sent.last().unwrap().1.clone();
    assert!(frame.contains(r#""btcusdt@depth@100ms","ethusdt@depth@100ms""#), "{frame}");
    assert_eq!(talk.frame(&spot(BTC, 21, 22)), ["fetch"], "the chain of before is not taken up");
    assert_eq!(talk.answer(&depth(22)), ["snapshot 22"]);
    assert_eq!((talk.at(0), talk.at(1)), (Some(22), None));
}

#[test]
fn a_number_that_does_not_fit_widens_the_definition_and_nothing_is_lost() {
    let mut talk = Talk::live(Section::Spot, &[BTC]);
    let finer = |first, last, px: &str| spot(BTC, first, last).replace("64000.00", px);
    assert_eq!(talk.frame(&finer(21, 21, "64000.005")), ["definition 3 5", "delta 20>21"]);
    assert_eq!(talk.frame(&spot(BTC, 22, 22)), ["delta 21>22"]);
    talk.frame(&spot(BTC, 30, 30));
    assert_eq!(talk.frame(&finer(31, 31, "64000.00005")), ["definition 5 5"], "while it waits");
    let body = depth(30).replace("63999.00", "63999.0000001");
    assert_eq!(talk.answer(&body), ["definition 7 5", "snapshot 30", "delta 30>31"]);
    assert_eq!(talk.at(0), Some(31));
    let absurd = finer(32, 32, "64000.0000000000000000000000001");
    assert_eq!(talk.frame(&absurd), ["malformed", "gap scale 31>-", "syncing"]);
    assert_eq!(
        talk.frame(&spot(BTC, 33, 33)),
        Vec::<String>::new(),
        "a book that broke before waits a little"
    );
    assert_eq!(talk.pass(250), ["fetch"]);
    assert_eq!(talk.answer(&depth(33)), ["snapshot 33"]);
}

#[test]
fn a_book_that_breaks_again_and_again_asks_ever_more_seldom() {
    let mut talk = Talk::live(Section::Spot, &[BTC]);
    let mut at = 20;
    for wait in [0, 250, 500, 1_000] {
        let said = talk.frame(&spot(BTC, at + 5, at + 6));
        if wait == 0 {
            assert_eq!(said.last().unwrap(), "fetch");
        } else {
            assert_eq!(said.last().unwrap(), "syncing");
            assert_eq!(talk.pass(wait - 1), Vec::<String>::new());
            assert_eq!(talk.pass(1), ["fetch"]);
        }
        at += 6;
        assert_eq!(talk.answer(&depth(at as i64)), [format!("snapshot {at}")]);
    }
    talk.pass(60_000);
    let said = talk.frame(&spot(BTC, at + 5, at + 6));
    assert_eq!(said.last().unwrap(), "fetch", "a calm book's break is asked for at once");
}

#[test]
fn a_definition_from_outside_holds_from_then_on() {
    let mut talk = Talk::live(Section::Usdm, &[BTC]);
    let finer = talk.wants[0].rescaled(6, 6).unwrap();
    assert_eq!(talk.tell(Input::Define(&finer.into())), Vec::<String>::new());
    assert_eq!(talk.frame(&usdm(BTC, 20, 30, 33).replace("64000.00", "64000.000001")), ["delta 20>33"]);
}

/// The id of the last subscription frame.
fn last_id(talk: &Talk) -> String {
    let frame = &talk.sent.last().unwrap().1;
    frame.rsplit(':').next().unwrap().trim_end_matches('}').to_owned()
}

fn refuse(talk: &mut Talk) -> Vec<String> {
    let id = last_id(talk);
    talk.frame(&format!(r#"{{"code":2,"msg":"Invalid request: too many parameters","id":{id}}}"#))
}

#[test]
fn a_refused_subscription_is_told_and_asked_for_again_ever_later() {
    let mut talk = Talk::new(Section::Spot, &[BTC], &[Channel::Book]);
    talk.tell(Input::Open);
    for _ in 0..9 {
        assert_eq!(refuse(&mut talk), ["book refused: Invalid request: too many parameters (code 2)"]);
        assert_eq!(talk.fetched.len(), 0, "no snapshot before the venue agreed");
        assert_eq!(talk.next(), ["send"]);
    }
    let times: Vec<Ts> = talk.sent.iter().map(|(at, _)| *at).collect();
    let pauses: Vec<i64> = times.windows(2).map(|pair| pair[1].ms_since(pair[0])).collect();
    assert!(pauses.is_sorted() && pauses[0] >= 1_000, "{pauses:?}");
    assert_eq!(*pauses.last().unwrap(), 300_000, "{pauses:?}");
    let yes = format!(r#"{{"result":null,"id":{}}}"#, last_id(&talk));
    assert_eq!(talk.frame(&yes), ["book acked"]);
    assert_eq!(talk.next(), ["fetch"]);
    assert_eq!((talk.answer(&depth(7)), talk.closes), (vec!["snapshot 7".to_owned()], 0));
}

#[test]
fn a_subscription_without_an_answer_is_sent_again_and_a_refused_one_in_halves() {
    let mut talk = Talk::new(Section::Spot, &[BTC, ETH], &[Channel::Book]);
    talk.tell(Input::Open);
    assert_eq!(talk.pass(14_999), Vec::<String>::new());
    assert_eq!(talk.pass(1), ["send"]);
    assert_eq!(refuse(&mut talk).len(), 2, "both books are told");
    assert_eq!(talk.next(), ["send", "send"]);
    let names: Vec<bool> = talk.sent.iter().map(|(_, frame)| frame.contains("ethusdt")).collect();
    assert_eq!(names, [true, true, false, true]);
    assert_eq!(refuse(&mut talk).len(), 1, "one book is told");
}

#[test]
fn few_snapshots_are_asked_for_at_a_time_and_all_in_the_end() {
    let symbols: Vec<String> = (0..20).map(|n| format!("C{n}USDT")).collect();
    let symbols: Vec<&str> = symbols.iter().map(String::as_str).collect();
    let mut talk = Talk::opened(Section::Usdm, &symbols);
    for symbol in &symbols {
        talk.frame(&usdm(symbol, 5, 10, 12));
    }
    let mut answered = 0;
    while let Some((_, tag, path)) = talk.fetched.get(answered).cloned() {
        assert!(talk.fetched.len() - answered <= 8, "{} are on their way", talk.fetched.len() - answered);
        let body = depth(12);
        let reply =
            Input::Reply { tag: Some(tag), path: &path, status: 200, retry_ms: None, body: body.as_bytes() };
        assert_eq!(talk.tell(reply)[0], "snapshot 12");
        answered += 1;
    }
    assert_eq!((answered, talk.books.live.len()), (20, 20));
}

#[test]
fn an_answer_whose_error_is_null_is_an_acknowledgement() {
    let mut talk = Talk::new(Section::Spot, &["BTCUSDT"], &[Channel::Trades]);
    talk.tell(Input::Open);
    assert_eq!(talk.frame(r#"{"result":null,"error":null,"id":1}"#), ["trades acked"]);
}

#[test]
fn an_acknowledgement_leaves_a_running_request_its_time() {
    let mut talk = Talk::new(Section::Spot, &["BTCUSDT"], &[Channel::Book]);
    talk.tell(Input::Open);
    assert_eq!(talk.frame(&spot("BTCUSDT", 16, 20)), ["fetch"]);
    talk.frame(r#"{"result":null,"id":1}"#);
    assert_eq!(talk.pass(60_000), Vec::<String>::new(), "the answer may take two minutes");
    assert_eq!(talk.answer(&talk::depth(15)), ["snapshot 15", "delta 15>20"]);
}

#[test]
fn a_planned_end_counts_only_where_its_frame_could_be_read() {
    let mut talk = Talk::live(Section::Spot, &["BTCUSDT"]);
    let notice = r#"{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1760000000000}}"#;
    let said = talk.frame(&notice[..notice.len() - 1]);
    assert!(said.contains(&"malformed".to_owned()) && talk.closes == 0, "{said:?}");
    assert_eq!(talk.frame(notice), ["close Planned"]);
}
