//! A session on scripted input.

use super::*;
use crate::subscribe::PUBLIC;
use model::{Gap, Proof};
use source::{Options, Want};
use std::sync::Arc;

mod wants;

const T0: Ts = Ts(1_760_000_000_000_000_000);

struct Script {
    session: OkxSession,
    now: Ts,
}

fn want(symbol: &str, channel: Channel) -> Want {
    Want { instrument: Arc::new(listing::provisional(symbol.as_bytes()).unwrap()), channel }
}

impl Script {
    /// An open session that wants these.
    fn open(wants: &[(&str, Channel)]) -> (Self, Vec<Action>) {
        let wants = wants.iter().map(|(symbol, channel)| want(symbol, *channel)).collect();
        let shard = Shard { endpoint: 0, path: Some(PUBLIC.to_owned()), wants, options: Options::default() };
        let mut script = Self { session: OkxSession::new(&shard), now: T0 };
        let out = script.on(Input::Open);
        (script, out)
    }

    /// A live book of BTC-USDT at 10, and one of ETH-USDT at 20.
    fn live() -> Self {
        let (mut script, _) = Self::open(&[("BTC-USDT", Channel::Book), ("ETH-USDT", Channel::Book)]);
        for (symbol, seq) in [("BTC-USDT", 10), ("ETH-USDT", 20)] {
            script.frame(&ack(symbol));
            script.frame(&book(symbol, "snapshot", -1, seq));
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

    fn after(&mut self, ms: u64) -> Vec<Action> {
        self.now = self.now.plus_ms(ms);
        self.on(Input::Wake { timer: TIMER_CHORES })
    }
}

fn ack(symbol: &str) -> String {
    format!(
        r#"{{"id":"1","event":"subscribe","arg":{{"channel":"books","instId":"{symbol}"}},"connId":"a"}}"#
    )
}

fn book(symbol: &str, action: &str, prev: i64, seq: i64) -> String {
    format!(
        r#"{{"arg":{{"channel":"books","instId":"{symbol}"}},"action":"{action}","data":[{{"asks":[["2","1","0","1"]],"bids":[["1","{seq}","0","1"]],"ts":"1760000000100","checksum":0,"prevSeqId":{prev},"seqId":{seq}}}]}}"#
    )
}

fn error(code: &str, words: &str) -> String {
    format!(r#"{{"id":"1","event":"error","code":"{code}","msg":"{words}","connId":"a"}}"#)
}

fn sends(out: &[Action]) -> Vec<String> {
    let text = |a: &Action| match a {
        Action::Send(bytes) => Some(String::from_utf8(bytes.clone()).unwrap()),
        _ => None,
    };
    out.iter().filter_map(text).collect()
}

fn events(out: &[Action]) -> Vec<(&str, &Body)> {
    fn event(action: &Action) -> Option<(&str, &Body)> {
        match action {
            Action::Emit(event) => Some((&*event.instrument.symbol, &event.body)),
            _ => None,
        }
    }
    out.iter().filter_map(event).collect()
}

fn gaps(out: &[Action]) -> Vec<(&str, Gap)> {
    let all = events(out).into_iter();
    all.filter_map(|(name, body)| match body {
        Body::Gap(gap) => Some((name, gap.clone())),
        _ => None,
    })
    .collect()
}

fn refused(out: &[Action]) -> Vec<&str> {
    let no = |(name, body)| matches!(body, &Body::Lane(LaneFact::Refused(_))).then_some(name);
    events(out).into_iter().filter_map(no).collect()
}

#[test]
fn opening_asks_for_each_lane_in_one_frame() {
    let (_, out) = Script::open(&[
        ("BTC-USDT", Channel::Trades),
        ("BTC-USDT-SWAP", Channel::Book),
        ("ETH-USDT-SWAP", Channel::Liquidations),
    ]);
    let asked: Vec<_> = events(&out);
    assert_eq!(asked.len(), 3);
    let fact = LaneFact::Asked { proof: Proof::Sequence, quiet_ms: Some(65_000) };
    assert_eq!(asked[1], ("BTC-USDT-SWAP", &Body::Lane(fact)));
    let args = r#"{"channel":"trades","instId":"BTC-USDT"},{"channel":"books","instId":"BTC-USDT-SWAP"},{"channel":"liquidation-orders","instType":"SWAP"}"#;
    assert_eq!(sends(&out), [format!(r#"{{"id":"1","op":"subscribe","args":[{args}]}}"#)]);
}

#[test]
fn a_gap_starts_that_book_again_and_a_second_one_waits() {
    let mut script = Script::live();
    let out = script.frame(&book("BTC-USDT", "update", 11, 12));
    let gap = Gap { cause: GapCause::Sequence, from_seq: Some(10), to_seq: Some(12) };
    assert_eq!(gaps(&out), [("BTC-USDT", gap)]);
    let arg = r#"[{"channel":"books","instId":"BTC-USDT"}]"#;
    let pair = |id: u32| {
        ["unsubscribe", "subscribe"].map(|op| format!(r#"{{"id":"{id}","op":"{op}","args":{arg}}}"#))
    };
    assert_eq!(sends(&out), pair(2));
    for seq in 12..20 {
        let out = script.frame(&book("BTC-USDT", "update", seq, seq + 1));
        assert_eq!(out, [Action::Control("book update while waiting for a snapshot")]);
    }
    script.frame(&ack("BTC-USDT"));
    script.frame(&book("BTC-USDT", "snapshot", -1, 30));
    script.now = script.now.plus_ms(1_000);
    let out = script.frame(&book("BTC-USDT", "update", 31, 32));
    assert_eq!((gaps(&out).len(), sends(&out).len()), (1, 0));
    assert_eq!(sends(&script.after(8_000)), Vec::<String>::new());
    assert_eq!(sends(&script.after(1_000)), pair(3));
}

#[test]
fn a_snapshot_that_does_not_come_is_asked_for_again_ever_more_slowly() {
    let (mut script, _) = Script::open(&[("BTC-USDT", Channel::Book)]);
    script.frame(&ack("BTC-USDT"));
    let mut at = Vec::new();
    for second in 1..200 {
        if !sends(&script.after(1_000)).is_empty() {
            at.push(second);
        }
    }
    assert_eq!(at, [10, 30, 70, 150]);
}

#[test]
fn a_broken_frame_harms_its_book_or_all_books_where_it_names_none() {
    let mut script = Script::live();
    let broken = book("BTC-USDT", "update", 10, 11).replace(r#""bids""#, r#""bids"?"#);
    let out = script.frame(&broken);
    assert!(matches!(out[0], Action::Malformed(_)));
    let gap = |seq| Gap { cause: GapCause::Malformed, from_seq: Some(seq), to_seq: None };
    assert_eq!(gaps(&out), [("BTC-USDT", gap(10))]);
    let mut script = Script::live();
    let out = script.frame("<html>");
    assert_eq!(gaps(&out), [("BTC-USDT", gap(10)), ("ETH-USDT", gap(20))]);
    assert_eq!(sends(&out).len(), 2);
    let (mut script, _) = Script::open(&[("BTC-USDT", Channel::Trades), ("BTC-USDT", Channel::Book)]);
    let out = script.frame(r#"{"arg":{"channel":"trades","instId":"BTC-USDT"},"data":[{"px":"?"}]}"#);
    assert!(matches!(out[..], [Action::Malformed(_)]));
}

#[test]
fn an_error_refuses_the_lane_that_it_names_or_all_of_its_request() {
    let lanes = [("BTC-USDT", Channel::Book), ("ETH-USDT", Channel::Book), ("XRP-USDT", Channel::Trades)];
    let (mut script, _) = Script::open(&lanes);
    script.frame(&ack("BTC-USDT"));
    let words = "Wrong URL or channel:trades,instId:XRP-USDT doesn't exist.";
    assert_eq!(refused(&script.frame(&error("60018", words))), ["XRP-USDT"]);
    assert_eq!(refused(&script.frame(&error("60013", "Invalid args"))), ["ETH-USDT"]);
    let out = script.after(30_000);
    assert_eq!(sends(&out).len(), 2, "the unanswered snapshot and the refused lanes are asked for");
    let out = script.frame(&ack("ETH-USDT"));
    assert!(events(&out).contains(&("ETH-USDT", &Body::Lane(LaneFact::Acked))));
}

#[test]
fn too_frequent_requests_hold_everything_back() {
    let mut script = Script::live();
    script.frame(&error("60014", "Requests too frequent"));
    let out = script.frame(&book("BTC-USDT", "update", 99, 100));
    assert_eq!((gaps(&out).len(), sends(&out).len()), (1, 0));
    assert_eq!(sends(&script.after(59_000)), Vec::<String>::new());
    assert_eq!(sends(&script.after(1_000)).len(), 2);
}

#[test]
fn requests_stay_below_the_limit_of_an_hour() {
    let mut script = Script::live();
    let mut count = 0;
    let mut seq = 1_000;
    for _ in 0..3_600 {
        count += sends(&script.after(1_000)).len();
        for symbol in ["BTC-USDT", "ETH-USDT"] {
            script.frame(&ack(symbol));
            script.frame(&book(symbol, "snapshot", -1, seq));
            count += sends(&script.frame(&book(symbol, "update", seq + 1, seq + 2))).len();
            seq += 10;
        }
    }
    assert!(count <= 440, "{count}");
}

#[test]
fn a_notice_of_the_end_is_planned() {
    let mut script = Script::live();
    let out = script.frame(r#"{"event":"notice","code":"64008","msg":"soon closed","connId":"a"}"#);
    assert_eq!(out[1], Action::Close { fault: Fault::Planned, why: "soon closed".to_owned() });
    let out = script.on(Input::Closed);
    assert_eq!(gaps(&out).len(), 2);
    assert_eq!(script.on(Input::Closed), []);
}

#[test]
fn without_a_pushed_snapshot_the_rest_book_is_taken() {
    let (mut script, _) = Script::open(&[("BTC-USDT", Channel::Book)]);
    script.frame(&ack("BTC-USDT"));
    let out = script.frame(&book("BTC-USDT", "update", 1, 4));
    let fetch = |out: &[Action]| out.iter().filter(|a| matches!(a, Action::Fetch { .. })).count();
    assert_eq!(fetch(&out), 1);
    script.frame(&book("BTC-USDT", "update", 4, 8));
    let path = "/api/v5/market/books?instId=BTC-USDT&sz=400";
    let reply = |script: &mut Script, status, seq: i64| {
        let body = format!(
            r#"{{"code":"0","msg":"","data":[{{"asks":[["2","1","0","1"]],"bids":[],"ts":"1760000000100","seqId":{seq}}}]}}"#
        );
        script.on(Input::Reply { tag: Some(0), path, status, retry_ms: None, body: body.as_bytes() })
    };
    assert_eq!(events(&reply(&mut script, 200, 3)), []);
    assert_eq!(fetch(&script.after(200)), 1);
    assert_eq!(events(&reply(&mut script, 429, 9)), []);
    assert_eq!(fetch(&script.after(400)), 1);
    let out = reply(&mut script, 200, 6);
    let seqs: Vec<_> = events(&out)
        .into_iter()
        .map(|(_, body)| match body {
            Body::Snapshot(s) => (None, s.seq),
            Body::Delta(d) => (d.prev_seq, d.seq),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(seqs, [(None, Some(6)), (Some(6), Some(8))]);
    assert_eq!(events(&script.frame(&book("BTC-USDT", "update", 8, 9))).len(), 1);
}

#[test]
fn the_engines_order_starts_a_book_again_without_a_second_gap() {
    let mut script = Script::live();
    let id = want("ETH-USDT", Channel::Book).instrument.id;
    let out = script.on(Input::Resync { instrument: id, channel: Channel::Book });
    assert_eq!((gaps(&out).len(), sends(&out).len()), (0, 2));
    assert!(matches!(events(&out)[..], [("ETH-USDT", Body::Lane(LaneFact::Syncing(_)))]));
    assert_eq!(gaps(&script.on(Input::Closed)).len(), 1);
}

#[test]
fn an_index_feeds_every_instrument_over_it_and_forced_orders_only_the_wanted() {
    let (mut script, _) = Script::open(&[
        ("BTC-USDT", Channel::IndexPrice),
        ("BTC-USDT-SWAP", Channel::IndexPrice),
        ("BTC-USDT-SWAP", Channel::Liquidations),
        ("ETH-USDT-SWAP", Channel::Trades),
    ]);
    let out = script.frame(
        r#"{"arg":{"channel":"index-tickers","instId":"BTC-USDT"},"data":[{"instId":"BTC-USDT","idxPx":"1"}]}"#,
    );
    let names: Vec<_> = events(&out).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["BTC-USDT", "BTC-USDT-SWAP"]);
    let row = |symbol| {
        format!(r#"{{"instId":"{symbol}","details":[{{"side":"sell","bkPx":"1","sz":"1","ts":"1"}}]}}"#)
    };
    let rows = ["BTC-USDT-SWAP", "ETH-USDT-SWAP", "NEW-USDT-SWAP"].map(row).join(",");
    let out = script
        .frame(&format!(r#"{{"arg":{{"channel":"liquidation-orders","instType":"SWAP"}},"data":[{rows}]}}"#));
    let names: Vec<_> = events(&out).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["BTC-USDT-SWAP"]);
}

#[test]
fn a_definition_from_outside_is_used_at_once() {
    let mut script = Script::live();
    let mut made = listing::provisional(b"BTC-USDT").unwrap();
    (made.px_scale, made.qty_scale) = (1, 2);
    script.on(Input::Define(&Arc::new(made)));
    let out = script.frame(&book("BTC-USDT", "update", 10, 11));
    let [(_, Body::Delta(delta))] = events(&out)[..] else { panic!("{out:?}") };
    assert_eq!(delta.levels.bids()[0].px, model::Px(10));
}

#[test]
fn what_is_unknown_is_told_also_where_the_definition_widens() {
    let (mut script, _) = Script::open(&[("BTC-USDT", Channel::Trades)]);
    let out = script.frame(
        r#"{"arg":{"channel":"trades","instId":"BTC-USDT"},"data":[{"new":1,"tradeId":"1","px":"1","sz":"1","side":"buy"},{"tradeId":"2","px":"0.0000000001","sz":"1","side":"buy"}]}"#,
    );
    assert_eq!(out.iter().filter(|a| **a == Action::Unknown("trades.new".to_owned())).count(), 1);
    let kinds: Vec<_> = events(&out).into_iter().map(|(_, body)| matches!(body, Body::Trade(_))).collect();
    assert_eq!(kinds, [false, true, true]);
}
