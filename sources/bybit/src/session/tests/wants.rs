//! Wants that begin and end, what is asked for by REST, and orders from outside.

use super::*;

#[test]
fn wants_begin_and_end_while_the_connection_goes_on() {
    let mut script = Script::live();
    let mark = [linear("BTCUSDT", Channel::MarkPrice), linear("BTCUSDT", Channel::Funding)];
    let out = script.on(Input::Subscribe(&mark));
    assert_eq!(sends(&out), [r#"{"req_id":"2","op":"subscribe","args":["tickers.BTCUSDT"]}"#]);
    script.frame(&ack(2));
    let out = script.on(Input::Subscribe(&mark));
    assert_eq!(out, [], "what is wanted already is not asked for again");
    script.frame(
        r#"{"topic":"tickers.BTCUSDT","type":"snapshot","data":{"symbol":"BTCUSDT","markPrice":"7","indexPrice":"8"},"cs":1,"ts":1760000000060}"#,
    );
    let index = [linear("BTCUSDT", Channel::IndexPrice)];
    let out = script.on(Input::Subscribe(&index));
    assert_eq!(sends(&out), Vec::<String>::new());
    assert!(matches!(
        events(&out)[..],
        [_, (_, _, Body::Lane(LaneFact::Acked)), (_, _, Body::IndexPrice(_))]
    ));
    // A topic ends with its last lane.
    let out = script.on(Input::Unsubscribe(&mark));
    assert_eq!((sends(&out).len(), facts(&out).len()), (0, 2));
    let out = script.on(Input::Unsubscribe(&index));
    assert_eq!(sends(&out), [r#"{"req_id":"3","op":"unsubscribe","args":["tickers.BTCUSDT"]}"#]);
    // Books of others go on; the one that ended is told no more.
    let out = script.on(Input::Unsubscribe(&[linear("BTCUSDT", Channel::Book)]));
    assert_eq!(facts(&out), [("BTCUSDT", Channel::Book, &LaneFact::Dropped)]);
    assert_eq!(events(&script.frame(&book(200, "BTCUSDT", "delta", 11))), []);
    assert_eq!(events(&script.frame(&book(200, "ETHUSDT", "delta", 21))).len(), 1);
    let out = script.on(Input::Subscribe(&[linear("BTCUSDT", Channel::Book)]));
    assert_eq!(sends(&out).len(), 1);
    let out = script.frame(&book(200, "BTCUSDT", "snapshot", 30));
    assert!(matches!(events(&out)[..], [(_, _, Body::Snapshot(_))]));
}

#[test]
fn what_is_wanted_while_closed_is_asked_for_at_the_next_opening() {
    let mut script = Script::live();
    assert_eq!(gaps(&script.on(Input::Closed)).len(), 2);
    let out = script.on(Input::Subscribe(&[linear("SOLUSDT", Channel::Trades)]));
    assert_eq!(out, []);
    let out = script.on(Input::Unsubscribe(&[linear("ETHUSDT", Channel::Book)]));
    assert!(sends(&out).is_empty() && facts(&out).len() == 1);
    let sent = sends(&script.on(Input::Open));
    assert_eq!(sent.len(), 1);
    assert!(sent[0].contains(r#"["orderbook.200.BTCUSDT","publicTrade.SOLUSDT"]"#), "{sent:?}");
}

#[test]
fn a_damaged_ticker_is_begun_again_because_a_change_may_be_missing() {
    let (mut script, _) = Script::open(vec![linear("BTCUSDT", Channel::DayStats)]);
    script.frame(&ack(1));
    let push = |kind| {
        format!(
            r#"{{"topic":"tickers.BTCUSDT","type":"{kind}","data":{{"symbol":"BTCUSDT","lastPrice":"7"}},"cs":1,"ts":1}}"#
        )
    };
    assert_eq!(events(&script.frame(&push("snapshot"))).len(), 1);
    let out = script.frame(r#"{"topic":"tickers.BTCUSDT","type":"delta","data":{"symbol":"BTCUSDT","last"#);
    assert_eq!(sends(&out).len(), 2);
    // Until the whole one comes, what is missing is not told.
    assert_eq!(events(&script.frame(&push("delta"))), []);
    assert_eq!(events(&script.frame(&push("snapshot"))).len(), 1);
}

#[test]
fn ratios_are_asked_for_by_rest_and_told_once_each() {
    let (mut script, out) = Script::open(vec![linear("BTCUSDT", Channel::LongShortRatio)]);
    let (tag, path) = fetches(&out)[0].clone();
    assert_eq!(path, "/v5/market/account-ratio?category=linear&symbol=BTCUSDT&period=5min&limit=1");
    let body = |ms: u64| {
        format!(
            r#"{{"retCode":0,"retMsg":"OK","result":{{"list":[{{"symbol":"BTCUSDT","buyRatio":"0.6","sellRatio":"0.4","timestamp":"{ms}"}}]}},"time":1}}"#
        )
    };
    let out = script.reply(tag, 200, &body(300_000));
    assert!(matches!(
        events(&out)[..],
        [(_, _, Body::Lane(LaneFact::Acked)), (_, _, Body::LongShortRatio(_))]
    ));
    let (tag, _) = fetches(&script.after(60_000, TIMER_CHORES))[0].clone();
    assert_eq!(events(&script.reply(tag, 200, &body(300_000))), []);
    let (tag, _) = fetches(&script.after(60_000, TIMER_CHORES))[0].clone();
    assert_eq!(events(&script.reply(tag, 200, &body(600_000))).len(), 1);
    // A limit is kept to.
    let (tag, _) = fetches(&script.after(60_000, TIMER_CHORES))[0].clone();
    script.reply(tag, 429, "");
    assert_eq!(fetches(&script.after(44_000, TIMER_CHORES)), []);
    assert_eq!(fetches(&script.after(1_000, TIMER_CHORES)).len(), 1);
}

#[test]
fn definitions_are_asked_for_and_a_changed_one_is_told() {
    let (mut script, out) =
        Script::open(vec![linear("BTCUSDT", Channel::Status), linear("BTCUSDT", Channel::Instruments)]);
    let asked = fetches(&out);
    assert_eq!(asked.len(), 1, "one question for both");
    let body = include_str!("../../../fixtures/rest_linear.json");
    let told = |out: &[Action]| events(out).iter().filter(|(_, _, b)| !matches!(b, Body::Lane(_))).count();
    assert_eq!(told(&script.reply(asked[0].0, 200, body)), 2);
    let asked = fetches(&script.after(300_000, TIMER_CHORES));
    assert_eq!(told(&script.reply(asked[0].0, 200, body)), 0);
    let asked = fetches(&script.after(300_000, TIMER_CHORES));
    let out = script.reply(asked[0].0, 200, &body.replacen("Trading", "Delivering", 1));
    assert!(events(&out).iter().any(|(_, _, b)| **b == Body::Status(model::Status::Halted)));
}

#[test]
fn the_engine_and_definitions_from_outside_are_obeyed() {
    let mut script = Script::live();
    let id = script.session.table.get(0).unwrap().instrument.id;
    let out = script.on(Input::Resync { instrument: id, channel: Channel::Book });
    assert_eq!((gaps(&out).len(), sends(&out).len()), (0, 2));
    script.frame(&book(200, "BTCUSDT", "snapshot", 50));
    let mut made = crate::listing::provisional(Product::Linear, b"BTCUSDT").unwrap();
    (made.px_scale, made.qty_scale) = (1, 2);
    script.on(Input::Define(&Arc::new(made)));
    let out = script.frame(&book(200, "BTCUSDT", "delta", 51));
    let [(_, _, Body::Delta(delta))] = events(&out)[..] else { panic!("{out:?}") };
    assert_eq!(delta.levels.bids()[0].px, Px(10));
}
