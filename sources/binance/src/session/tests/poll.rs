//! What is asked for by REST from time to time.

use super::*;

#[test]
fn open_interest_is_asked_for_in_turn() {
    let wants: Vec<_> = (0..3).map(|n| (n, Channel::OpenInterest)).collect();
    let mut s = session(&wants, 1, None);
    let told = words(&tell(&mut s, Input::Open, T));
    let ask = |n: u64| format!("fetch {} /fapi/v1/openInterest?symbol=C{n}USDT 1", TAG_POLL | n);
    assert_eq!(told[3..], [ask(0), "wake 1 at 5000".to_owned()]);
    for n in [1, 2, 0] {
        let told = words(&tell(&mut s, Input::Wake { timer: 1 }, T));
        assert_eq!(told, [ask(n), "wake 1 at 5000".to_owned()]);
    }
    let body = r#"{"openInterest":"12.5","symbol":"C1USDT","time":1}"#;
    let told = words(&answer(&mut s, TAG_POLL | 1, 200, body, T));
    assert_eq!(told[0], "open_interest acked");
    assert!(told[1].starts_with("OpenInterest"));
    assert_eq!(words(&answer(&mut s, TAG_POLL | 1, 429, "", T)), ["syncing", "wake 1 at 7000"]);
    let refused = words(&answer(&mut s, TAG_POLL | 1, 400, r#"{"code":-1121}"#, T));
    assert!(refused[0].starts_with("open_interest refused"), "{refused:?}");
}

/// An answer with these ratios, one 5 minutes after the other.
fn ratios(from_ms: i64, ratios: &[&str]) -> String {
    let row = |(n, ratio): (i64, &&str)| {
        format!(r#"{{"longShortRatio":"{ratio}","timestamp":{}}}"#, from_ms + n * 300_000)
    };
    let rows: Vec<String> = (0..).zip(ratios).map(row).collect();
    format!("[{}]", rows.join(","))
}

/// The ratios that were told.
fn told_ratios(out: &[Action]) -> Vec<String> {
    let ratio = |action: &Action| match action {
        Action::Emit(Event { body: Body::LongShortRatio(ratio), .. }) => {
            Some(ratio.ratio.unwrap().to_string())
        }
        _ => None,
    };
    out.iter().filter_map(ratio).collect()
}

#[test]
fn ratios_are_asked_for_beside_open_interest_each_in_its_turn() {
    let wants = [(0, Channel::LongShortRatio), (0, Channel::OpenInterest), (1, Channel::LongShortRatio)];
    let mut s = session(&wants, 1, None);
    let told = words(&tell(&mut s, Input::Open, T));
    let open = format!("fetch {TAG_POLL} /fapi/v1/openInterest?symbol=C0USDT 1");
    let ratio = |n: u64| {
        let path = "/futures/data/globalLongShortAccountRatio";
        format!("fetch {} {path}?symbol=C{n}USDT&period=5m&limit=1 1", (TAG_POLL << 1) + n)
    };
    assert_eq!(told[3..], [&*open, "wake 1 at 15000", &*ratio(0), "wake 2 at 30000"]);
    assert_eq!(words(&tell(&mut s, Input::Wake { timer: 1 }, T)), [&*open, "wake 1 at 15000"]);
    for n in [1, 0] {
        assert_eq!(words(&tell(&mut s, Input::Wake { timer: 2 }, T)), [&*ratio(n), "wake 2 at 30000"]);
    }
    let tag = TAG_POLL << 1;
    assert_eq!(words(&answer(&mut s, tag, 429, "", T)), ["syncing", "wake 2 at 7000"]);
    assert_eq!(words(&answer(&mut s, tag, 503, "", T)), ["syncing", "wake 2 at 60000"]);
    let refused = words(&answer(&mut s, tag, 400, r#"{"code":-1121}"#, T));
    assert_eq!(refused, [r#"long_short_ratio refused: status 400 {"code":-1121}"#]);
}

#[test]
fn a_ratio_is_told_once_however_often_it_is_asked_for() {
    let mut s = session(&[(0, Channel::LongShortRatio), (1, Channel::LongShortRatio)], 1, None);
    tell(&mut s, Input::Open, T);
    let ask = |s: &mut BinanceSession, n: u64, from: i64, rows: &[&str]| {
        told_ratios(&answer(s, (TAG_POLL << 1) + n, 200, &ratios(from, rows), T))
    };
    assert_eq!(ask(&mut s, 0, 300_000, &["1.5"]), ["1.5"]);
    assert_eq!(ask(&mut s, 0, 300_000, &["1.5"]), Vec::<String>::new());
    assert_eq!(ask(&mut s, 1, 300_000, &["0.9"]), ["0.9"], "each instrument has its own");
    assert_eq!(ask(&mut s, 0, 300_000, &["1.5", "1.5"]), ["1.5"], "the same number of a later time is new");
    assert_eq!(ask(&mut s, 0, 0, &["1.4"]), Vec::<String>::new(), "an older one is not");
    assert_eq!(ask(&mut s, 0, 0, &[]), Vec::<String>::new());
    tell(&mut s, Input::Closed, T);
    tell(&mut s, Input::Open, T);
    assert_eq!(ask(&mut s, 0, 600_000, &["1.5"]), ["1.5"], "a new connection tells what is");
}

#[test]
fn ratios_of_many_instruments_stay_within_the_venues_limit() {
    let wants: Vec<_> = (0..700).map(|n| (n, Channel::LongShortRatio)).collect();
    let mut s = session(&wants, 1, None);
    let told = tell(&mut s, Input::Open, T);
    assert_eq!(words(&told).last().map(String::as_str), Some("wake 2 at 400"), "750 in 5 minutes, of 1000");
    let quiet = told.iter().find_map(|action| match action {
        Action::Emit(Event { body: Body::Lane(LaneFact::Asked { quiet_ms, .. }), .. }) => *quiet_ms,
        _ => None,
    });
    assert_eq!(quiet, Some(2 * (300_000 + 700 * 400)), "a value, then a round, and one may fail");
}

#[test]
fn a_channel_that_nobody_wanted_is_asked_for_as_soon_as_somebody_does() {
    let mut s = session(&[(0, Channel::OpenInterest)], 2, None);
    tell(&mut s, Input::Open, T);
    let instrument = Arc::new(listing::provisional(&PRODUCTS[2], "BTCUSD_PERP"));
    let wants = [Want { instrument, channel: Channel::LongShortRatio }];
    let path = "/futures/data/globalLongShortAccountRatio?pair=BTCUSD&period=5m&limit=1";
    let ask = [format!("fetch {} {path} 1", (TAG_POLL << 1) + 1), "wake 2 at 60000".to_owned()];
    assert_eq!(words(&tell(&mut s, Input::Subscribe(&wants), T))[1..], ask);
    let newer = ratios(0, &["1.5"]);
    assert_eq!(told_ratios(&answer(&mut s, (TAG_POLL << 1) + 1, 200, &newer, T)), ["1.5"]);
    tell(&mut s, Input::Unsubscribe(&wants), T);
    assert_eq!(
        words(&answer(&mut s, (TAG_POLL << 1) + 1, 200, &newer, T)),
        [r#"Control("answer_not_used")"#]
    );
    assert_eq!(words(&tell(&mut s, Input::Wake { timer: 2 }, T)), Vec::<String>::new());
    assert_eq!(words(&tell(&mut s, Input::Subscribe(&wants), T))[1..], ask);
    assert_eq!(told_ratios(&answer(&mut s, (TAG_POLL << 1) + 1, 200, &newer, T)), ["1.5"], "told anew");
}
