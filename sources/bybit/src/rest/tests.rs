use super::*;
use crate::listing::provisional;
use source::Rest;
use std::sync::Arc;

fn past(product: Product, symbol: &str, channel: Channel, interval: &str) -> Past {
    Past {
        source: crate::NAME,
        instrument: Arc::new(provisional(product, symbol.as_bytes()).unwrap()),
        channel,
        interval: interval.to_owned(),
        from: Ts::from_ms(1_700_000_000_000),
        to: Ts::from_ms(1_700_000_600_000),
        ids: None,
    }
}

#[test]
fn the_clock_is_read_to_the_nanosecond() {
    let body = br#"{"retCode":0,"retMsg":"OK","result":{"timeSecond":"1760000000","timeNano":"1760000000123456789"},"retExtInfo":{},"time":1760000000123}"#;
    assert_eq!(BybitRest.read_time(body), Ok(Ts(1_760_000_000_123_456_789)));
    assert!(BybitRest.read_time(br#"{"retCode":10006,"result":{}}"#).is_err());
}

#[test]
fn turnovers_name_product_and_symbol() {
    let body = br#"{"retCode":0,"retMsg":"OK","result":{"category":"inverse","list":[{"symbol":"BTCUSD","turnover24h":"2155.5"},{"symbol":"NEWUSD","turnover24h":""}]}}"#;
    let all = BybitRest.read_turnovers("", body).unwrap();
    assert_eq!(all.len(), 1);
    assert_eq!(
        (all[0].product, &*all[0].symbol, all[0].turnover),
        ("inverse", "BTCUSD", Decimal::new(21_555, 1))
    );
}

#[test]
fn bars_of_a_page_are_told_oldest_first_and_those_outside_left_out() {
    let mut history = BybitRest.history(past(Product::Linear, "BTCUSDT", Channel::Bars, "5m")).unwrap();
    let path = history.request().unwrap().path;
    assert!(path.contains("interval=5&start=1700000000000&end=1700000599999&limit=1000"), "{path}");
    let row = |ms: i64| format!(r#"["{ms}","1","4","0.5","2","10","20.5"]"#);
    let rows = [1_700_000_700_000, 1_700_000_400_000, 1_700_000_100_000, 1_699_999_800_000].map(row);
    let body = format!(r#"{{"retCode":0,"result":{{"list":[{}]}}}}"#, rows.join(","));
    let now = Ts::from_ms(1_700_000_500_000);
    let told = history.take(body.as_bytes(), now).unwrap();
    let bars: Vec<(i64, bool)> = told
        .iter()
        .map(|e| match &e.body {
            Body::Bar(bar) => (bar.start.as_ms(), bar.closed),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(bars, [(1_700_000_100_000, true), (1_700_000_400_000, false)]);
    assert!(history.request().is_none());
    assert_eq!(history.reached(), Ts::from_ms(1_700_000_600_000));
}

#[test]
fn what_the_venue_does_not_keep_is_not_offered() {
    assert!(BybitRest.history(past(Product::Linear, "BTCUSDT", Channel::Trades, "1m")).is_none());
    assert!(BybitRest.history(past(Product::Option, "BTC-25DEC26-1-C", Channel::Bars, "1m")).is_none());
    assert!(BybitRest.history(past(Product::Linear, "BTCUSDT", Channel::Bars, "7m")).is_none());
    assert!(BybitRest.book(&past(Product::Spot, "BTCUSDT", Channel::Bars, "1m").instrument).is_none());
}

#[test]
fn months_begin_on_the_first() {
    for (ms, month) in [
        (1_700_000_000_000, 1_698_796_800_000),
        (1_709_251_199_999, 1_706_745_600_000),
        (1_709_251_200_000, 1_709_251_200_000),
        (0, 0),
    ] {
        assert_eq!(month_of(ms), month, "{ms}");
    }
}
