//! Lanes that begin and end while the connection goes on, and those that share an argument.

use super::*;

fn facts(out: &[Action]) -> Vec<String> {
    let word = |(name, body): (&str, &Body)| match body {
        Body::Lane(LaneFact::Asked { .. }) => Some(format!("{name} asked")),
        Body::Lane(LaneFact::Acked) => Some(format!("{name} acked")),
        Body::Lane(LaneFact::Dropped) => Some(format!("{name} dropped")),
        _ => None,
    };
    events(out).into_iter().filter_map(word).collect()
}

#[test]
fn wants_begin_and_end_on_an_open_connection_and_disturb_no_other() {
    let mut script = Script::live();
    let more = [want("SOL-USDT", Channel::Book), want("SOL-USDT", Channel::Trades)];
    let out = script.on(Input::Subscribe(&more));
    assert_eq!(facts(&out), ["SOL-USDT asked", "SOL-USDT asked"]);
    let args = r#"{"channel":"books","instId":"SOL-USDT"},{"channel":"trades","instId":"SOL-USDT"}"#;
    assert_eq!(sends(&out), [format!(r#"{{"id":"2","op":"subscribe","args":[{args}]}}"#)]);
    script.frame(&ack("SOL-USDT").replace("\"id\":\"1\"", "\"id\":\"2\""));
    script.frame(&book("SOL-USDT", "snapshot", -1, 5));
    let out = script.on(Input::Unsubscribe(&more[..1]));
    assert_eq!(facts(&out), ["SOL-USDT dropped"]);
    let arg = r#"{"channel":"books","instId":"SOL-USDT"}"#;
    assert_eq!(sends(&out), [format!(r#"{{"id":"3","op":"unsubscribe","args":[{arg}]}}"#)]);
    let late = script.frame(&book("SOL-USDT", "update", 5, 6));
    assert!(events(&late).is_empty(), "what is still on its way is passed over");
    assert_eq!(events(&script.frame(&book("BTC-USDT", "update", 10, 11))).len(), 1);
    let out = script.on(Input::Subscribe(&more[..1]));
    assert_eq!(sends(&out), [format!(r#"{{"id":"4","op":"subscribe","args":[{arg}]}}"#)]);
    script.frame(&ack("SOL-USDT").replace("\"id\":\"1\"", "\"id\":\"4\""));
    assert_eq!(events(&script.frame(&book("SOL-USDT", "snapshot", -1, 9))).len(), 1);
}

#[test]
fn an_argument_of_several_lanes_ends_with_the_last() {
    let (mut script, _) = Script::open(&[("BTC-USDT-SWAP", Channel::IndexPrice)]);
    let frame = r#"{"id":"1","event":"subscribe","arg":{"channel":"index-tickers","instId":"BTC-USDT"},"connId":"a"}"#;
    script.frame(frame);
    let other = [want("BTC-USDT", Channel::IndexPrice)];
    let out = script.on(Input::Subscribe(&other));
    assert_eq!((facts(&out).join(", "), sends(&out).len()), ("BTC-USDT asked, BTC-USDT acked".to_owned(), 0));
    let price = r#"{"arg":{"channel":"index-tickers","instId":"BTC-USDT"},"data":[{"instId":"BTC-USDT","idxPx":"64000","high24h":"1","low24h":"1","open24h":"1","sodUtc0":"1","sodUtc8":"1","ts":"1760000000100"}]}"#;
    assert_eq!(events(&script.frame(price)).len(), 2);
    assert!(sends(&script.on(Input::Unsubscribe(&other))).is_empty());
    assert_eq!(events(&script.frame(price)).len(), 1);
    let last = [want("BTC-USDT-SWAP", Channel::IndexPrice)];
    assert_eq!(sends(&script.on(Input::Unsubscribe(&last))).len(), 1);
    assert_eq!(events(&script.frame(price)).len(), 0);
}

#[test]
fn options_of_a_family_share_an_argument_that_ends_with_the_last() {
    let [call, put, strange] =
        ["BTC-USD-261225-100000-C", "BTC-USD-261225-50000-P", "BTC-USD-261225-70000-C"];
    let (mut script, out) = Script::open(&[(call, Channel::Greeks), ("BTC-USDT", Channel::Greeks)]);
    let arg = r#"{"channel":"opt-summary","instFamily":"BTC-USD"}"#;
    assert_eq!(sends(&out), [format!(r#"{{"id":"1","op":"subscribe","args":[{arg}]}}"#)]);
    let other = format!(r#"{{"id":"1","event":"subscribe","arg":{arg},"connId":"a"}}"#);
    assert_eq!(facts(&script.frame(&other.replace("BTC-USD", "ETH-USD"))), Vec::<String>::new());
    assert_eq!(facts(&script.frame(&other)), [format!("{call} acked")]);
    let more = [want(put, Channel::Greeks), want(strange, Channel::Trades)];
    assert_eq!(sends(&script.on(Input::Subscribe(&more))).len(), 1, "the trades alone are asked for");
    let row = |symbol| format!(r#"{{"instId":"{symbol}","deltaBS":"0.5","ts":"1"}}"#);
    let rows = [call, put, strange, "BTC-USD-261225-1-C"].map(row).join(",");
    let frame = format!(r#"{{"arg":{arg},"data":[{rows}]}}"#);
    let told = |out: &[Action]| -> Vec<String> {
        let greeks = |(name, body): (&str, &Body)| match body {
            Body::Greeks(greeks) => Some(format!("{name} {}", greeks.delta.unwrap())),
            _ => None,
        };
        events(out).into_iter().filter_map(greeks).collect()
    };
    assert_eq!(told(&script.frame(&frame)), [format!("{call} 0.5"), format!("{put} 0.5")]);
    assert!(sends(&script.on(Input::Unsubscribe(&[want(call, Channel::Greeks)]))).is_empty());
    assert_eq!(told(&script.frame(&frame)), [format!("{put} 0.5")]);
    let out = script.on(Input::Unsubscribe(&more[..1]));
    assert_eq!(sends(&out), [format!(r#"{{"id":"3","op":"unsubscribe","args":[{arg}]}}"#)]);
    assert_eq!(events(&script.frame(&frame)), []);
}

#[test]
fn a_status_is_told_from_the_listing_and_then_where_the_venue_changes_it() {
    let rows = |state: &str, of: [&str; 2]| {
        let row = |symbol| {
            format!(
                r#"{{"instType":"SWAP","instId":"{symbol}","tickSz":"0.1","lotSz":"1","state":"{state}"}}"#
            )
        };
        of.map(row).join(",")
    };
    let listed = listing::read_rows(format!("[{}]", rows("live", ["A-USDT-SWAP", "B-USDT-SWAP"])).as_bytes());
    let [a, b] = <[_; 2]>::try_from(listed.unwrap()).unwrap();
    let [a, b] = [a, b].map(|made| Want { instrument: Arc::new(made), channel: Channel::Status });
    let (mut script, _) = Script::open(&[("C-USDT-SWAP", Channel::Instruments)]);
    let arg = r#"{"channel":"instruments","instType":"SWAP"}"#;
    let told = |out: &[Action]| -> Vec<String> {
        let status = |(name, body): (&str, &Body)| match body {
            Body::Status(status) => Some(format!("{name} {status:?}")),
            _ => None,
        };
        events(out).into_iter().filter_map(status).collect()
    };
    let out = script.on(Input::Subscribe(std::slice::from_ref(&a)));
    assert!(sends(&out).is_empty() && told(&out).is_empty(), "asked for already, not acknowledged");
    let ack = format!(r#"{{"id":"1","event":"subscribe","arg":{arg},"connId":"a"}}"#);
    assert_eq!(told(&script.frame(&ack)), ["A-USDT-SWAP Trading"]);
    assert_eq!(told(&script.on(Input::Subscribe(std::slice::from_ref(&b)))), ["B-USDT-SWAP Trading"]);
    let push = |state: &str| {
        let data = rows(state, ["A-USDT-SWAP", "C-USDT-SWAP"]);
        format!(r#"{{"arg":{arg},"data":[{data}]}}"#)
    };
    assert!(told(&script.frame(&push("live"))).is_empty(), "it is as it was");
    assert_eq!(told(&script.frame(&push("suspend"))), ["A-USDT-SWAP Halted"]);
    assert!(told(&script.frame(&push("suspend"))).is_empty());
    assert_eq!(told(&script.frame(&push("expired"))), ["A-USDT-SWAP Closed"]);
    script.on(Input::Closed);
    script.on(Input::Open);
    let ack = ack.replace(r#""id":"1""#, r#""id":"2""#);
    assert_eq!(told(&script.frame(&ack)), ["A-USDT-SWAP Closed", "B-USDT-SWAP Trading"]);
    script.on(Input::Unsubscribe(std::slice::from_ref(&a)));
    assert!(told(&script.frame(&push("live"))).is_empty());
    assert_eq!(told(&script.on(Input::Subscribe(std::slice::from_ref(&a)))), ["A-USDT-SWAP Trading"]);
}

#[test]
fn wants_of_a_closed_session_are_asked_for_when_it_opens() {
    let mut script = Script::live();
    script.on(Input::Closed);
    let more = [want("SOL-USDT", Channel::Trades)];
    assert!(script.on(Input::Subscribe(&more)).is_empty());
    let out = script.on(Input::Unsubscribe(&[want("ETH-USDT", Channel::Book)]));
    assert_eq!((facts(&out), sends(&out).len()), (vec!["ETH-USDT dropped".to_owned()], 0));
    let out = script.on(Input::Open);
    assert_eq!(facts(&out), ["BTC-USDT asked", "SOL-USDT asked"]);
    assert!(!sends(&out)[0].contains("ETH-USDT"), "{:?}", sends(&out));
}
