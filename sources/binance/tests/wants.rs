//! Lanes that begin and end while the connection goes on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod talk;

use binance::Binance;
use model::Channel;
use source::pair::{Pair, START};
use source::{Input, Options, SimControl, SimSetup};
use talk::{Section, Talk, spot};

const MARKS: [Channel; 3] = [Channel::MarkPrice, Channel::IndexPrice, Channel::Funding];

fn last(talk: &Talk) -> &str {
    talk.sent.last().map_or("", |(_, text)| text)
}

fn mark(symbol: &str) -> String {
    let name = symbol.to_lowercase();
    format!(
        r#"{{"stream":"{name}@markPrice@1s","data":{{"e":"markPriceUpdate","E":1760000003000,"s":"{symbol}","p":"64011.5","i":"64015.0","P":"64012.0","r":"0.0001","T":1760025600000,"st":1}}}}"#
    )
}

#[test]
fn a_want_on_an_open_connection_is_asked_for_alone() {
    let mut talk = Talk::live(Section::Spot, &["BTCUSDT"]);
    let other = Section::Spot.instrument("ETHUSDT");
    let said = talk.subscribe(&other, &[Channel::Book, Channel::Trades]);
    assert_eq!(said, ["book asked", "syncing", "trades asked", "send"]);
    assert_eq!(
        last(&talk),
        r#"{"method":"SUBSCRIBE","params":["ethusdt@depth@100ms","ethusdt@trade"],"id":2}"#
    );
    assert_eq!(talk.frame(r#"{"result":null,"id":2}"#), ["book acked", "trades acked"]);
    assert_eq!(talk.frame(&spot("BTCUSDT", 21, 22)), ["delta 20>22"], "the other book goes on");
    assert_eq!(talk.subscribe(&other, &[Channel::Book]), Vec::<String>::new(), "it is wanted already");
}

#[test]
fn a_want_on_a_closed_session_is_asked_for_with_the_rest_when_it_opens() {
    let mut talk = Talk::new(Section::Spot, &["BTCUSDT"], &[Channel::Book]);
    let other = Section::Spot.instrument("ETHUSDT");
    assert_eq!(talk.subscribe(&other, &[Channel::Trades]), Vec::<String>::new());
    talk.tell(Input::Open);
    assert!(last(&talk).contains(r#"["btcusdt@depth@100ms","ethusdt@trade"]"#), "{}", last(&talk));
    talk.tell(Input::Closed);
    assert_eq!(talk.unsubscribe(&other, &[Channel::Trades]), ["trades dropped"]);
    talk.tell(Input::Open);
    assert!(last(&talk).contains(r#"["btcusdt@depth@100ms"]"#), "{}", last(&talk));
}

#[test]
fn a_stream_of_several_lanes_ends_with_the_last() {
    let mut talk = Talk::new(Section::Usdm, &["BTCUSDT"], &[Channel::MarkPrice, Channel::Funding]);
    talk.tell(Input::Open);
    talk.frame(r#"{"result":null,"id":1}"#);
    let btc = talk.wants[0].clone();
    assert_eq!(talk.frame(&mark("BTCUSDT")), ["mark_price data", "funding data"]);
    let said = talk.subscribe(&btc, &[Channel::IndexPrice]);
    assert_eq!(said, ["index_price asked", "index_price acked"], "the stream is there already");
    assert_eq!(talk.unsubscribe(&btc, &[Channel::MarkPrice]), ["mark_price dropped"]);
    assert_eq!(talk.frame(&mark("BTCUSDT")), ["index_price data", "funding data"]);
    let said = talk.unsubscribe(&btc, &MARKS);
    assert_eq!(said, ["index_price dropped", "funding dropped", "send"]);
    assert_eq!(last(&talk), r#"{"method":"UNSUBSCRIBE","params":["btcusdt@markPrice@1s"],"id":2}"#);
    assert_eq!(talk.frame(&mark("BTCUSDT")), Vec::<String>::new(), "what is still on its way is passed over");
}

#[test]
fn a_dropped_book_forgets_its_state_and_its_pending_snapshot() {
    let mut talk = Talk::opened(Section::Spot, &["BTCUSDT"]);
    let btc = talk.wants[0].clone();
    assert_eq!(talk.frame(&spot("BTCUSDT", 16, 20)), ["fetch"]);
    assert_eq!(talk.unsubscribe(&btc, &[Channel::Book]), ["book dropped", "send"]);
    assert_eq!(talk.answer(&talk::depth(15)), Vec::<String>::new(), "nobody waits for it");
    assert_eq!(talk.frame(&spot("BTCUSDT", 21, 22)), Vec::<String>::new());
    assert_eq!(talk.frame("{\"stream\":\"btcusdt@depth@100ms\",\"da"), ["malformed"]);
    assert_eq!(talk.pass(600_000), Vec::<String>::new(), "nothing is asked for");
    let said = talk.subscribe(&btc, &[Channel::Book]);
    assert_eq!(said, ["book asked", "syncing", "send"]);
    talk.frame(r#"{"result":null,"id":3}"#);
    assert_eq!(talk.frame(&spot("BTCUSDT", 31, 32)), ["fetch"]);
    assert_eq!(talk.answer(&talk::depth(31)), ["snapshot 31", "delta 31>32"]);
}

#[test]
fn an_earlier_answer_says_nothing_about_a_stream_that_was_asked_for_again() {
    let mut talk = Talk::new(Section::Spot, &["BTCUSDT"], &[Channel::Trades]);
    let btc = talk.wants[0].clone();
    talk.tell(Input::Open);
    talk.unsubscribe(&btc, &[Channel::Trades]);
    talk.subscribe(&btc, &[Channel::Trades]);
    assert_eq!(talk.frame(r#"{"result":null,"id":1}"#), Vec::<String>::new());
    assert_eq!(talk.frame(r#"{"result":null,"id":2}"#), Vec::<String>::new());
    assert_eq!(talk.frame(r#"{"result":null,"id":3}"#), ["trades acked"]);
}

#[test]
fn lanes_that_come_and_go_disturb_no_other() {
    for seed in 0..4 {
        let setup = SimSetup { seed, start: START, moves_per_s: 200, ..SimSetup::default() };
        let base = [Channel::Book, Channel::Trades];
        let mut pair = Pair::new(&Binance, &setup, &base, &Options::default());
        pair.run_ms(5_000);
        let fetched = pair.fetched.len();
        let more = pair.wants(&[Channel::Quote, Channel::MarkPrice, Channel::Funding, Channel::OpenInterest]);
        pair.subscribe(&more);
        pair.run_ms(20_000);
        assert_eq!(pair.fetched.iter().filter(|(_, path)| path.contains("depth")).count(), fetched);
        assert!(pair.seen.count(Channel::Quote) > 0 && pair.seen.count(Channel::Funding) > 0);
        assert!(pair.seen.count(Channel::OpenInterest) > 0);
        pair.unsubscribe(&more);
        let books = pair.wants(&[Channel::Book]);
        pair.unsubscribe(&books[..4]);
        pair.run_ms(5_000);
        let told = (pair.seen.count(Channel::Quote), pair.seen.count(Channel::OpenInterest));
        pair.run_ms(20_000);
        assert_eq!((pair.seen.count(Channel::Quote), pair.seen.count(Channel::OpenInterest)), told);
        assert_eq!(pair.seen.books.live.len(), books.len() - 4);
        pair.subscribe(&books[..4]);
        pair.run_ms(8_000);
        pair.control(SimControl::Pause(true));
        pair.run_ms(500);
        pair.assert_books();
        assert_eq!(pair.seen.books.live.len(), books.len());
        assert!(pair.seen.gaps.is_empty() && pair.seen.closes.is_empty(), "{:?}", pair.seen.gaps);
        for ((_, channel), ids) in pair.seen.numbers() {
            assert!(ids.windows(2).all(|w| w[1] > w[0]), "{}", channel.name());
        }
    }
}
