use super::*;

/// Samples a second apart, made by number.
fn run(make: impl Fn(u64) -> String, samples: std::ops::Range<u64>, sentinel: &mut Sentinel) -> Vec<Finding> {
    let mut out = Vec::new();
    for n in samples {
        let text = make(n);
        let at = Ts::from_ms(n as i64 * 1_000);
        let (channel, symbol, bytes) = (Channel::Trades, "BTC-USDT", text.as_bytes());
        sentinel.on(Sample { channel, symbol, bytes, frames: 10, at }, &mut out);
    }
    out
}

fn frame(n: u64) -> String {
    format!(
        r#"{{"ch":"trades","s":"BTC-USDT","p":"{}.{:02}","side":"{}","cs":{n}}}"#,
        100 + n % 50,
        n % 90 + 10,
        if n.is_multiple_of(2) { "buy" } else { "sell" }
    )
}

fn told(before: impl Fn(u64) -> String, after: impl Fn(u64) -> String) -> Vec<String> {
    let mut sentinel = Sentinel::default();
    assert_eq!(run(before, 0..400, &mut sentinel), [], "nothing changes, nothing is found");
    let found = run(after, 400..1_200, &mut sentinel);
    assert!(found.iter().all(|f| !f.samples.is_empty()));
    found.into_iter().map(|f| format!("{}: {}", f.check, f.what)).collect()
}

#[test]
fn a_new_key_is_found_once() {
    let after = |n| frame(n).replace("\"ch\"", "\"maker\":true,\"ch\"");
    assert_eq!(told(frame, after), ["new_key: the key `maker` is new"]);
}

#[test]
fn a_key_that_is_gone_is_found() {
    let after = |n| frame(n).replace(",\"side\":\"buy\"", "").replace(",\"side\":\"sell\"", "");
    assert_eq!(told(frame, after), ["vanished_key: the key `side` is gone"]);
}

#[test]
fn a_new_word_of_few_is_found_and_a_new_symbol_is_not() {
    let after = |n| frame(n).replace("sell", "block");
    assert_eq!(told(frame, after), ["new_value: `side` is `block`, a word that was not there before"]);
    let other = |n| frame(n).replace("\"BTC-USDT\"", "\"btcusdt\"");
    assert_eq!(told(frame, other), [""; 0]);
}

#[test]
fn more_digits_another_type_and_a_field_that_stands_still_are_found() {
    let finer = |n| frame(n).replace("\",\"side\"", "5\",\"side\"");
    assert_eq!(told(frame, finer), ["precision: `p` has 3 digits after the point, 2 before"]);
    let null = |n: u64| if n.is_multiple_of(7) { frame(n).replace("\"trades\"", "null") } else { frame(n) };
    assert_eq!(told(frame, null), ["new_type: `ch` is null now"]);
    let still = |n: u64| frame(n).replace(&format!("\"cs\":{n}"), "\"cs\":0");
    assert_eq!(told(frame, still), ["constant: `cs` is always 0 now"]);
}

#[test]
fn what_is_rare_is_no_news_and_neither_is_another_symbol() {
    let rare = |n: u64| {
        let frame = if n == 450 || n == 900 { frame(n).replace("sell", "block") } else { frame(n) };
        if n == 500 { frame.replace("\"ch\"", "\"maker\":null,\"ch\"") } else { frame }
    };
    assert_eq!(told(frame, rare), [""; 0]);
    let mut sentinel = Sentinel::default();
    run(frame, 0..400, &mut sentinel);
    let mut out = Vec::new();
    for n in 0..u64::from(SYMBOL_LEARN) {
        let text = frame(n).replace("\",\"side\"", "55555\",\"kind\":\"swap\",\"side\"");
        let (channel, bytes, at) = (Channel::Trades, text.as_bytes(), Ts::from_ms(n as i64));
        sentinel.on(Sample { channel, symbol: "PEPE-USDT", bytes, frames: 1, at }, &mut out);
    }
    assert_eq!(out, []);
}

#[test]
fn a_check_that_never_could_fail_is_found_at_the_end_of_learning() {
    let mut sentinel = Sentinel::default();
    let zero = |n: u64| frame(n).replace(&format!("\"cs\":{n}"), "\"checksum\":0");
    let found = run(zero, 0..LEARN + 50, &mut sentinel);
    assert_eq!(found.len(), 1);
    assert_eq!(&*found[0].check, "check_constant");
}

#[test]
fn a_step_of_the_rate_is_found() {
    let mut sentinel = Sentinel::default();
    assert_eq!(run(frame, 0..300, &mut sentinel), []);
    let mut out = Vec::new();
    for n in 300..400 {
        let text = frame(n);
        let at = Ts::from_ms(n as i64 * 1_000);
        let (channel, symbol, bytes) = (Channel::Trades, "BTC-USDT", text.as_bytes());
        sentinel.on(Sample { channel, symbol, bytes, frames: 1_000, at }, &mut out);
    }
    assert_eq!(out.iter().map(|f| &*f.check).collect::<Vec<_>>(), ["rate_step"]);
}
