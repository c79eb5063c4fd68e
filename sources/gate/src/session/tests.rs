//! What a session asks and says, by script.

use super::*;
use model::{Body, LaneFact};
use source::Want;
use std::sync::Arc;

const NOW: Ts = Ts::from_ms(1_760_000_000_000);

fn want(product: Product, symbol: &str, channel: Channel) -> Want {
    let instrument = Arc::new(listing::provisional(product, symbol.as_bytes()).unwrap());
    Want { instrument, channel }
}

fn session(wants: &[Want]) -> GateSession {
    let shards = subscribe::shards(wants, &Options::default());
    assert_eq!(shards.len(), 1);
    GateSession::new(&shards[0])
}

fn tell(session: &mut GateSession, input: Input<'_>, ms: u64) -> Vec<Action> {
    let mut out = Vec::new();
    session.on(input, NOW.plus_ms(ms), &mut out);
    out
}

fn frame(session: &mut GateSession, text: &str, ms: u64) -> Vec<Action> {
    tell(session, Input::Frame { bytes: text.as_bytes(), binary: false }, ms)
}

fn sent(out: &[Action]) -> Vec<String> {
    let text = |a: &Action| match a {
        Action::Send(bytes) => Some(String::from_utf8(bytes.clone()).unwrap()),
        _ => None,
    };
    out.iter().filter_map(text).collect()
}

fn facts(out: &[Action]) -> Vec<(Channel, LaneFact)> {
    let fact = |a: &Action| match a {
        Action::Emit(e) => match &e.body {
            Body::Lane(fact) => Some((e.channel, fact.clone())),
            _ => None,
        },
        _ => None,
    };
    out.iter().filter_map(fact).collect()
}

#[test]
fn instruments_of_one_channel_share_a_frame_and_an_answer_is_for_all_of_them() {
    let mut s = session(&[
        want(Product::Spot, "A_USDT", Channel::Trades),
        want(Product::Spot, "B_USDT", Channel::Trades),
    ]);
    let out = tell(&mut s, Input::Open, 0);
    assert_eq!(
        sent(&out),
        [
            r#"{"time":1760000000,"id":1,"channel":"spot.trades","event":"subscribe","payload":["A_USDT","B_USDT"]}"#
        ]
    );
    let ack =
        r#"{"id":1,"channel":"spot.trades","event":"subscribe","error":null,"result":{"status":"success"}}"#;
    let acked = facts(&frame(&mut s, ack, 5));
    assert_eq!(acked, [(Channel::Trades, LaneFact::Acked), (Channel::Trades, LaneFact::Acked)]);
}

#[test]
fn where_one_of_several_is_refused_each_is_asked_for_by_itself() {
    let mut s = session(&[
        want(Product::Spot, "A_USDT", Channel::Trades),
        want(Product::Spot, "B_USDT", Channel::Trades),
    ]);
    tell(&mut s, Input::Open, 0);
    let no = |id: u32| {
        format!(
            r#"{{"id":{id},"channel":"spot.trades","event":"subscribe","error":{{"code":2,"message":"unknown currency pair: B_USDT"}},"result":{{"status":"fail"}}}}"#
        )
    };
    let out = frame(&mut s, &no(1), 5);
    assert_eq!((sent(&out).len(), facts(&out)), (2, Vec::new()));
    let out = frame(&mut s, &no(3), 6);
    assert!(
        matches!(&facts(&out)[..], [(Channel::Trades, LaneFact::Refused(words))] if words.contains("unknown"))
    );
    assert_eq!(sent(&out).len(), 0);
    let out = tell(&mut s, Input::Wake { timer: TIMER_CHORES }, 61_000);
    assert_eq!(sent(&out).iter().filter(|f| f.contains("B_USDT") && f.contains("\"subscribe\"")).count(), 1);
}

#[test]
fn an_answer_without_a_number_is_told_by_what_it_repeats_or_by_its_channel() {
    for ack in [
        r#"{"channel":"spot.trades","event":"subscribe","payload":["A_USDT"],"error":null,"result":{"status":"success"}}"#,
        r#"{"channel":"spot.trades","event":"subscribe","error":null,"result":{"status":"success"}}"#,
    ] {
        let mut s = session(&[want(Product::Spot, "A_USDT", Channel::Trades)]);
        tell(&mut s, Input::Open, 0);
        assert_eq!(facts(&frame(&mut s, ack, 5)), [(Channel::Trades, LaneFact::Acked)]);
    }
}

#[test]
fn a_subscription_that_is_not_answered_is_ended_and_made_again() {
    let mut s = session(&[want(Product::Usdt, "A_USDT", Channel::Quote)]);
    tell(&mut s, Input::Open, 0);
    let out = tell(&mut s, Input::Wake { timer: TIMER_CHORES }, 10_000);
    let sent = sent(&out);
    assert!(
        sent.len() == 2 && sent[0].contains("unsubscribe") && sent[1].contains("\"subscribe\""),
        "{sent:?}"
    );
    assert_eq!(facts(&out), [], "it was told already");
}

#[test]
fn a_silent_venue_is_asked_and_given_up_where_it_does_not_answer() {
    let mut s = session(&[want(Product::Usdt, "A_USDT", Channel::Quote)]);
    tell(&mut s, Input::Open, 0);
    let out = tell(&mut s, Input::Wake { timer: TIMER_SILENCE }, QUIET_MS);
    assert_eq!(sent(&out), [r#"{"time":1760000012,"channel":"futures.ping"}"#]);
    let pong = r#"{"time":1760000012,"channel":"futures.pong","event":"","error":null,"result":null}"#;
    assert_eq!(frame(&mut s, pong, QUIET_MS + 10), [Action::Control("pong")]);
    tell(&mut s, Input::Wake { timer: TIMER_SILENCE }, 2 * QUIET_MS + 10);
    let out = tell(&mut s, Input::Wake { timer: TIMER_SILENCE }, 2 * QUIET_MS + 10 + PONG_MS);
    assert!(matches!(&out[..], [Action::Close { fault: Fault::Stale, .. }]), "{out:?}");
}

#[test]
fn a_notice_of_an_upgrade_ends_the_connection_as_planned() {
    let mut s = session(&[want(Product::Usdt, "A_USDT", Channel::Quote)]);
    tell(&mut s, Input::Open, 0);
    let out = frame(&mut s, r#"{"type":"upgrade","msg":"soon"}"#, 5);
    assert!(matches!(&out[..], [Action::Control(_), Action::Close { fault: Fault::Planned, .. }]));
}

#[test]
fn a_damaged_change_loses_its_own_book_and_one_that_may_be_any_ones_loses_all() {
    let wants = ["A_USDT", "B_USDT"].map(|symbol| want(Product::Spot, symbol, Channel::Book));
    let live = || {
        let mut s = session(&wants);
        tell(&mut s, Input::Open, 0);
        for (at, symbol) in ["A_USDT", "B_USDT"].iter().enumerate() {
            let text = format!(
                r#"{{"channel":"spot.order_book_update","event":"update","result":{{"t":1,"s":"{symbol}","U":5,"u":6,"b":[],"a":[]}}}}"#
            );
            let out = frame(&mut s, &text, 1);
            assert!(out.iter().any(|a| matches!(a, Action::Fetch { .. })), "{out:?}");
            let body = br#"{"id":5,"bids":[["1","1"]],"asks":[["2","1"]]}"#;
            let tag = Some(at as u64);
            let out = tell(&mut s, Input::Reply { tag, path: "", status: 200, retry_ms: None, body }, 2);
            assert_eq!(out.iter().filter(|a| matches!(a, Action::Emit(_))).count(), 2);
        }
        s
    };
    let gaps = |out: &[Action]| {
        out.iter().filter(|a| matches!(a, Action::Emit(e) if matches!(e.body, Body::Gap(_)))).count()
    };
    let broken = r#"{"channel":"spot.order_book_update","event":"update","result":{"t":1,"s":"A_USDT","U":7,"u":8,"b":[["x"#;
    assert_eq!(gaps(&frame(&mut live(), broken, 3)), 1);
    let nameless = broken.replace(r#""b":[["x"#, r#""x":[["1","0"]],"a":[]}}"#);
    assert_eq!(gaps(&frame(&mut live(), &nameless, 3)), 1, "a side is not there");
    assert_eq!(gaps(&frame(&mut live(), r#"{"channel":"spot.order_bo"#, 3)), 2);
    assert_eq!(gaps(&frame(&mut live(), r#"{"channel":"spot.trades","event":"update","result":{"#, 3)), 0);
    assert_eq!(gaps(&tell(&mut live(), Input::Closed, 3)), 2);
}

#[test]
fn a_snapshot_waits_as_long_as_the_venue_asks() {
    let mut s = session(&[want(Product::Usdt, "A_USDT", Channel::Book)]);
    tell(&mut s, Input::Open, 0);
    let text = r#"{"channel":"futures.order_book_update","event":"update","result":{"t":1,"s":"A_USDT","U":5,"u":6,"b":[],"a":[]}}"#;
    frame(&mut s, text, 1);
    let reply = Input::Reply { tag: Some(0), path: "", status: 429, retry_ms: Some(7_000), body: b"{}" };
    let out = tell(&mut s, reply, 10);
    assert!(out.contains(&Action::WakeAt { timer: TIMER_CHORES, at: NOW.plus_ms(7_010) }), "{out:?}");
    let early = tell(&mut s, Input::Wake { timer: TIMER_CHORES }, 6_000);
    assert!(!early.iter().any(|a| matches!(a, Action::Fetch { .. })));
    let out = tell(&mut s, Input::Wake { timer: TIMER_CHORES }, 7_010);
    assert!(out.iter().any(|a| matches!(a, Action::Fetch { .. })), "{out:?}");
}

#[test]
fn what_is_wanted_while_closed_is_remembered_until_it_opens() {
    let book = want(Product::Usdt, "A_USDT", Channel::Book);
    let mut s = session(&[want(Product::Usdt, "A_USDT", Channel::Trades)]);
    let trades = want(Product::Usdt, "A_USDT", Channel::Trades);
    assert_eq!(sent(&tell(&mut s, Input::Subscribe(std::slice::from_ref(&book)), 0)), Vec::<String>::new());
    assert_eq!(sent(&tell(&mut s, Input::Unsubscribe(&[trades]), 0)), Vec::<String>::new());
    let frames = sent(&tell(&mut s, Input::Open, 1));
    assert!(frames.len() == 1 && frames[0].contains(r#"["A_USDT","100ms","100"]"#), "{frames:?}");
}
