//! Logins, and wants that come and go.

use super::*;
use source::Login;

fn login() -> Options {
    let login = Login { key: "k\"".to_owned(), secret: "s".to_owned() };
    Options { login: Some(login), ..Options::default() }
}

const IN: &str = r#"{"jsonrpc":"2.0","id":2,"result":{"access_token":"a","expires_in":900,"refresh_token":"r","scope":"","token_type":"bearer"}}"#;

#[test]
fn with_a_login_raw_channels_wait_for_it_and_the_token_is_made_anew() {
    let (mut script, out) = Script::with(&[(BTC, Channel::Book)], login());
    assert!(asked(&out).is_empty());
    let auth = sends(&out).pop().unwrap();
    assert_eq!((&auth["method"], &auth["params"]["client_id"]), (&"public/auth".into(), &"k\"".into()));
    let out = script.frame(IN);
    assert_eq!(asked(&out)[0].1, ["book.BTC-PERPETUAL.raw"]);
    assert!(out.contains(&Action::WakeAt { timer: TIMER_LOGIN, at: T0.plus_ms(720_000) }));
    script.now = script.now.plus_ms(720_000);
    let out = script.on(Input::Wake { timer: TIMER_LOGIN });
    let auth = sends(&out).pop().unwrap();
    assert_eq!(auth["params"], serde_json::json!({"grant_type": "refresh_token", "refresh_token": "r"}));
    let out = script.frame(r#"{"jsonrpc":"2.0","id":2,"error":{"code":13009,"message":"invalid_token"}}"#);
    assert_eq!(sends(&out).pop().unwrap()["params"]["grant_type"], "client_credentials");
}

#[test]
fn where_raw_is_refused_after_all_the_request_is_made_again_without() {
    let (mut script, _) = Script::with(&[(BTC, Channel::Book), (ETH, Channel::Trades)], login());
    let out = script.frame(IN);
    let out = script.error(&out, 13_778, "raw_subscriptions_not_available_for_unauthorized");
    assert_eq!(asked(&out)[0].1, ["book.BTC-PERPETUAL.100ms", "trades.ETH-PERPETUAL.100ms"]);
    assert!(facts(&out).iter().all(|f| !matches!(f.2, LaneFact::Refused(_))), "{out:?}");
    assert_eq!(facts(&script.ack(&out, |_| true)).len(), 3);
}

#[test]
fn a_channel_of_the_venue_ends_with_its_last_lane() {
    let (mut script, out) = Script::open(&[(BTC, Channel::MarkPrice), (BTC, Channel::Book)]);
    script.ack(&out, |_| true);
    script.frame(&book(BTC, None, 10));
    let out = script.on(Input::Subscribe(&[want(BTC, Channel::DayStats), want(ETH, Channel::Book)]));
    let told = facts(&out);
    assert!(told.contains(&(BTC, Channel::DayStats, &LaneFact::Acked)), "it is heard already: {told:?}");
    assert_eq!(asked(&out)[0].1, ["book.ETH-PERPETUAL.100ms"]);
    assert_eq!(script.on(Input::Subscribe(&[want(BTC, Channel::DayStats)])), [], "wanted already");
    let out = script.on(Input::Unsubscribe(&[want(BTC, Channel::MarkPrice)]));
    assert_eq!(facts(&out), [(BTC, Channel::MarkPrice, &LaneFact::Dropped)]);
    assert_eq!(ended(&out), Vec::<Vec<String>>::new());
    let ticker = push("ticker.BTC-PERPETUAL.100ms", r#"{"mark_price":1.0,"stats":{"low":1.0}}"#);
    let out = script.frame(&ticker);
    assert!(matches!(events(&out)[..], [(BTC, Channel::DayStats, _)]), "{out:?}");
    let out = script.on(Input::Unsubscribe(&[want(BTC, Channel::DayStats), want(BTC, Channel::Book)]));
    assert_eq!(ended(&out).concat().len(), 2);
    assert!(events(&script.frame(&book(BTC, Some(10), 11))).is_empty());
    assert!(events(&script.frame(&ticker)).is_empty());
}

#[test]
fn wants_of_a_closed_session_are_remembered() {
    let (mut script, _) = Script::open(&[(BTC, Channel::Trades)]);
    script.on(Input::Closed);
    assert_eq!(script.on(Input::Subscribe(&[want(ETH, Channel::Trades)])), []);
    let out = script.on(Input::Unsubscribe(&[want(BTC, Channel::Trades)]));
    assert!(sends(&out).is_empty() && facts(&out).len() == 1);
    let out = script.on(Input::Open);
    assert_eq!(asked(&out)[0].1, ["trades.ETH-PERPETUAL.100ms"]);
}
