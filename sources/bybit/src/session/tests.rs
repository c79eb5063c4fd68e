//! A session on scripted input.

use super::*;
use model::{Body, Gap, Proof, Px};
use source::{Options, Want};
use std::sync::Arc;

mod wants;

const T0: Ts = Ts(1_760_000_000_000_000_000);

struct Script {
    session: BybitSession,
    now: Ts,
}

fn want(product: Product, symbol: &str, channel: Channel) -> Want {
    let made = crate::listing::provisional(product, symbol.as_bytes()).unwrap();
    Want { instrument: Arc::new(made), channel }
}

fn linear(symbol: &str, channel: Channel) -> Want {
    want(Product::Linear, symbol, channel)
}

impl Script {
    /// An open session that wants these.
    fn open(wants: Vec<Want>) -> (Self, Vec<Action>) {
        let product = Product::of(&wants[0].instrument).unwrap();
        let options = Options::default();
        let poll = |w: &Want| crate::subscribe::route(w, &options) == Some(crate::subscribe::Route::Poll);
        let path = (!wants.iter().all(poll)).then(|| product.path().to_owned());
        let shard = Shard { endpoint: product.endpoint(), path, wants, options: options.clone() };
        let mut script = Self { session: BybitSession::new(&shard), now: T0 };
        let out = script.on(Input::Open);
        (script, out)
    }

    /// A live book of BTCUSDT at 10, and one of ETHUSDT at 20.
    fn live() -> Self {
        let (mut script, _) =
            Self::open(vec![linear("BTCUSDT", Channel::Book), linear("ETHUSDT", Channel::Book)]);
        script.frame(&ack(1));
        for (symbol, u) in [("BTCUSDT", 10), ("ETHUSDT", 20)] {
            script.frame(&book(200, symbol, "snapshot", u));
        }
        script
    }

    fn on(&mut self, input: Input<'_>) -> Vec<Action> {
        let mut out = Vec::new();
        self.session.on(input, self.now, &mut out);
        out
    }

    fn frame(&mut self, text: &str) -> Vec<Action> {
        self.on(Input::Frame { bytes: text.as_bytes(), binary: false })
    }

    fn after(&mut self, ms: u64, timer: u64) -> Vec<Action> {
        self.now = self.now.plus_ms(ms);
        self.on(Input::Wake { timer })
    }

    fn reply(&mut self, tag: u64, status: u16, body: &str) -> Vec<Action> {
        let retry_ms = (status == 429).then_some(45_000);
        self.on(Input::Reply { tag: Some(tag), path: "/", status, retry_ms, body: body.as_bytes() })
    }
}

fn ack(request: u64) -> String {
    format!(r#"{{"success":true,"ret_msg":"","conn_id":"c","req_id":"{request}","op":"subscribe"}}"#)
}

fn refusal(request: u64, words: &str) -> String {
    format!(r#"{{"success":false,"ret_msg":"{words}","conn_id":"c","req_id":"{request}","op":"subscribe"}}"#)
}

fn book(depth: u16, symbol: &str, kind: &str, u: u64) -> String {
    format!(
        r#"{{"topic":"orderbook.{depth}.{symbol}","type":"{kind}","ts":1760000000010,"data":{{"s":"{symbol}","b":[["1","{u}"]],"a":[["2","1"]],"u":{u},"seq":1}},"cts":1760000000008}}"#
    )
}

fn sends(out: &[Action]) -> Vec<String> {
    let text = |a: &Action| match a {
        Action::Send(bytes) => Some(String::from_utf8(bytes.clone()).unwrap()),
        _ => None,
    };
    out.iter().filter_map(text).collect()
}

fn fetches(out: &[Action]) -> Vec<(u64, String)> {
    let fetch = |a: &Action| match a {
        Action::Fetch { tag, path, .. } => Some((*tag, path.clone())),
        _ => None,
    };
    out.iter().filter_map(fetch).collect()
}

fn events(out: &[Action]) -> Vec<(&str, Channel, &Body)> {
    fn event(action: &Action) -> Option<(&str, Channel, &Body)> {
        match action {
            Action::Emit(e) => Some((&*e.instrument.symbol, e.channel, &e.body)),
            _ => None,
        }
    }
    out.iter().filter_map(event).collect()
}

fn facts(out: &[Action]) -> Vec<(&str, Channel, &LaneFact)> {
    let all = events(out).into_iter();
    all.filter_map(|(name, channel, body)| match body {
        Body::Lane(fact) => Some((name, channel, fact)),
        _ => None,
    })
    .collect()
}

fn gaps(out: &[Action]) -> Vec<(&str, Gap)> {
    let all = events(out).into_iter();
    all.filter_map(|(name, _, body)| match body {
        Body::Gap(gap) => Some((name, gap.clone())),
        _ => None,
    })
    .collect()
}

#[test]
fn opening_asks_for_each_lane_and_once_for_a_topic_that_several_share() {
    let (_, out) = Script::open(vec![
        linear("BTCUSDT", Channel::Book),
        linear("BTCUSDT", Channel::MarkPrice),
        linear("BTCUSDT", Channel::Funding),
        linear("BTCUSDT", Channel::Quote),
    ]);
    let asked = facts(&out);
    assert_eq!(asked.len(), 4);
    let fact = LaneFact::Asked { proof: Proof::Sequence, quiet_ms: None };
    assert_eq!(asked[0], ("BTCUSDT", Channel::Book, &fact));
    let args = r#""orderbook.200.BTCUSDT","tickers.BTCUSDT","orderbook.1.BTCUSDT""#;
    assert_eq!(sends(&out), [format!(r#"{{"req_id":"1","op":"subscribe","args":[{args}]}}"#)]);
}

#[test]
fn a_request_names_ten_topics_at_most() {
    let wants = (0..25).map(|n| want(Product::Spot, &format!("C{n}USDT"), Channel::Trades)).collect();
    let (_, out) = Script::open(wants);
    let counts: Vec<usize> = sends(&out).iter().map(|s| s.matches("publicTrade").count()).collect();
    assert_eq!(counts, [10, 10, 5]);
}

#[test]
fn a_book_that_comes_before_its_acknowledgement_counts() {
    let (mut script, _) = Script::open(vec![linear("BTCUSDT", Channel::Book)]);
    let out = script.frame(&book(200, "BTCUSDT", "snapshot", 10));
    assert!(matches!(events(&out)[..], [(_, _, Body::Snapshot(_))]));
    let out = script.frame(&ack(1));
    assert_eq!(facts(&out), [("BTCUSDT", Channel::Book, &LaneFact::Acked)]);
    let out = script.frame(&book(200, "BTCUSDT", "delta", 11));
    let [(_, _, Body::Delta(delta))] = events(&out)[..] else { panic!("{out:?}") };
    assert_eq!((delta.prev_seq, delta.seq), (Some(10), Some(11)));
    // Nothing is due any more.
    assert_eq!(sends(&script.after(600_000, TIMER_CHORES)), Vec::<String>::new());
}

#[test]
fn a_hole_starts_that_book_again_alone_and_a_second_one_waits_longer() {
    let mut script = Script::live();
    let out = script.frame(&book(200, "BTCUSDT", "delta", 12));
    let gap = Gap { cause: GapCause::Sequence, from_seq: Some(10), to_seq: Some(12) };
    assert_eq!(gaps(&out), [("BTCUSDT", gap)]);
    let sent = sends(&out);
    assert_eq!(sent.len(), 2, "{sent:?}");
    assert!(sent[0].contains(r#""op":"unsubscribe","args":["orderbook.200.BTCUSDT"]"#));
    assert!(sent[1].contains(r#""op":"subscribe","args":["orderbook.200.BTCUSDT"]"#));
    assert!(gaps(&script.frame(&book(200, "BTCUSDT", "delta", 13))).is_empty());
    let out = script.frame(&book(200, "ETHUSDT", "delta", 21));
    assert!(matches!(events(&out)[..], [("ETHUSDT", _, Body::Delta(_))]));
    script.frame(&book(200, "BTCUSDT", "snapshot", 30));
    let out = script.frame(&book(200, "BTCUSDT", "delta", 40));
    assert_eq!((gaps(&out).len(), sends(&out).len()), (1, 0));
    assert_eq!(sends(&script.after(9_000, TIMER_CHORES)).len(), 0);
    assert_eq!(sends(&script.after(1_100, TIMER_CHORES)).len(), 2);
}

#[test]
fn a_service_that_began_again_is_no_gap() {
    let mut script = Script::live();
    for (kind, u) in [("delta", 11), ("snapshot", 1), ("delta", 2)] {
        let out = script.frame(&book(200, "BTCUSDT", kind, u));
        assert_eq!((gaps(&out).len(), sends(&out).len(), events(&out).len()), (0, 0, 1));
    }
}

#[test]
fn a_book_of_another_depth_does_not_touch_the_one_in_use() {
    let mut script = Script::live();
    for frame in [book(50, "BTCUSDT", "snapshot", 77), book(1, "BTCUSDT", "snapshot", 78)] {
        assert_eq!(events(&script.frame(&frame)), []);
    }
    let out = script.frame(&book(200, "BTCUSDT", "delta", 11));
    assert!(matches!(events(&out)[..], [(_, _, Body::Delta(_))]));
}

#[test]
fn a_frame_that_cannot_be_read_harms_its_book_alone_or_all_where_it_does_not_say() {
    let mut script = Script::live();
    let whole = book(200, "BTCUSDT", "delta", 11);
    let out = script.frame(&whole[..whole.len() - 30]);
    assert_eq!(gaps(&out).len(), 1);
    let mut script = Script::live();
    let out = script.frame(r#"{"topic":"publicTrade.BTCUSDT","type":"snapshot","ts":1,"data":[{"#);
    assert_eq!(gaps(&out), []);
    let out = script.frame(r#"{"topic":"orderbook.2"#);
    let names: Vec<&str> = gaps(&out).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["BTCUSDT", "ETHUSDT"]);
}

#[test]
fn one_bad_topic_is_refused_and_the_rest_of_its_request_asked_for_at_once() {
    let (mut script, _) = Script::open(vec![
        linear("BTCUSDT", Channel::Book),
        linear("XXXUSDT", Channel::Trades),
        linear("BTCUSDT", Channel::Trades),
    ]);
    let out = script.frame(&refusal(1, "error:handler not found,topic:publicTrade.XXXUSDT"));
    let words = "error:handler not found,topic:publicTrade.XXXUSDT";
    assert_eq!(facts(&out), [("XXXUSDT", Channel::Trades, &LaneFact::Refused(words.into()))]);
    let args = r#""orderbook.200.BTCUSDT","publicTrade.BTCUSDT""#;
    assert_eq!(sends(&out), [format!(r#"{{"req_id":"2","op":"subscribe","args":[{args}]}}"#)]);
    assert_eq!(facts(&script.frame(&ack(2))).len(), 3);
    // The answer to a request of before says nothing about this one.
    assert_eq!(facts(&script.frame(&ack(1))), []);
    let out = script.after(31_000, TIMER_CHORES);
    assert!(sends(&out).iter().any(|s| s.contains("publicTrade.XXXUSDT")));
}

#[test]
fn a_request_that_fails_without_a_name_is_made_again_topic_by_topic() {
    let (mut script, _) =
        Script::open(vec![linear("BTCUSDT", Channel::Trades), linear("ETHUSDT", Channel::Trades)]);
    let out = script.frame(&refusal(1, "error:something"));
    assert_eq!((facts(&out), sends(&out).len()), (Vec::new(), 2));
    let out = script.frame(&refusal(2, "error:something"));
    assert!(matches!(facts(&out)[..], [("BTCUSDT", _, LaneFact::Refused(_))]));
    assert!(matches!(facts(&script.frame(&ack(3)))[..], [("ETHUSDT", _, LaneFact::Acked)]));
}

#[test]
fn what_is_had_already_is_no_refusal() {
    let (mut script, _) = Script::open(vec![linear("BTCUSDT", Channel::Trades)]);
    let out = script.frame(&refusal(1, "error:already subscribed,topic:publicTrade.BTCUSDT"));
    assert!(matches!(facts(&out)[..], [(_, _, LaneFact::Acked)]));
}

#[test]
fn options_say_of_each_topic_what_became_of_it() {
    let (one, two) = ("BTC-25DEC26-1-C-USDT", "BTC-25DEC26-2-C-USDT");
    let option = |symbol| want(Product::Option, symbol, Channel::Book);
    let (mut script, _) = Script::open(vec![option(one), option(two)]);
    let out = script.frame(&format!(
        r#"{{"success":true,"conn_id":"c","data":{{"failTopics":["orderbook.100.{two}"],"successTopics":["orderbook.100.{one}"]}},"type":"COMMAND_RESP"}}"#
    ));
    assert!(matches!(facts(&out)[0], (name, _, LaneFact::Acked) if name == one));
    assert!(facts(&out).iter().any(|(name, _, f)| *name == two && matches!(f, LaneFact::Refused(_))));
}

#[test]
fn trades_of_options_reach_the_wanted_instruments_alone() {
    let (one, two) = ("BTC-25DEC26-1-C-USDT", "BTC-25DEC26-2-C-USDT");
    let (mut script, _) = Script::open(vec![
        want(Product::Option, one, Channel::Trades),
        want(Product::Option, two, Channel::Book),
    ]);
    let row = |s| format!(r#"{{"p":"9","v":"1","i":"x","T":1760000000000,"BT":false,"s":"{s}","S":"Sell"}}"#);
    let rows = [row(one), row(two), row("BTC-25DEC26-3-C-USDT")].join(",");
    let out = script.frame(&format!(
        r#"{{"id":"a","topic":"publicTrade.BTC","ts":1760000000000,"data":[{rows}],"type":"snapshot"}}"#
    ));
    let names: Vec<&str> = events(&out).into_iter().map(|(name, ..)| name).collect();
    assert_eq!(names, [one]);
}

#[test]
fn a_silent_venue_is_asked_every_twenty_seconds_and_left_when_it_says_nothing() {
    let (mut script, out) = Script::open(vec![linear("BTCUSDT", Channel::Trades)]);
    let at = T0.plus_ms(20_000);
    assert!(out.contains(&Action::WakeAt { timer: TIMER_PING, at }));
    for _ in 0..3 {
        let out = script.after(20_000, TIMER_PING);
        assert!(sends(&out)[0].contains(r#""op":"ping""#));
        script.now = script.now.plus_ms(100);
        script.frame(r#"{"success":true,"ret_msg":"pong","conn_id":"c","op":"ping"}"#);
        assert_eq!(sends(&script.after(4_900, TIMER_PING)), Vec::<String>::new());
        script.now = script.now.plus_ms(15_000);
    }
    script.after(20_000, TIMER_PING);
    let out = script.after(5_000, TIMER_PING);
    assert!(matches!(out[..], [Action::Close { fault: Fault::Stale, .. }]), "{out:?}");
}
