//! Trades joined with quotes are what a walk over all events gives.

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, TimestampNanosecondType, UInt64Type};
use arrow_array::{Array, RecordBatch};
use bus::{Bus, Cursor, Published};
use metrics::Metrics;
use model::{
    Body, Channel, Decimal, Event, Flags, Instrument, InstrumentKind, Level, Px, Qty, Quote, Stamp, Trade,
    TradeId, Ts,
};
use std::sync::Arc;
use store::{Config, Query, Reader, Store, when};

const EPOCH: u64 = 1_700_000_000_000;

/// Trades and quotes of two sources and two channels, whose clocks and ours differ, at changing scales.
fn world(count: u64) -> Vec<Event> {
    let mut luck = fastrand::Rng::with_seed(4);
    let mut all = Vec::new();
    for number in 1..=count {
        let mut instrument = Instrument::provisional("venue", "", "A", InstrumentKind::Spot);
        (instrument.px_scale, instrument.qty_scale) = (if number / 900 % 3 == 1 { 4 } else { 2 }, 3);
        let ts_recv = Ts(Ts::from_ms(EPOCH as i64).0 + number as i64 * 1_000_000);
        let ts_event = (luck.u8(0..4) > 0).then(|| Ts(ts_recv.0 - luck.i64(0..60) * 1_000_000));
        let px = if luck.u8(0..60) == 0 { luck.i64(i64::MAX / 2..) } else { luck.i64(1..9_999) };
        let level = |px| Some(Level { px: Px(px), qty: Qty(number as i64) });
        let quote = Quote { bid: level(px), ask: if luck.bool() { level(px + 1) } else { None }, seq: None };
        let (px, qty) = (Px(px), Qty(luck.i64(1..1_000)));
        let trade = Trade { id: TradeId::Num(number), px, qty, aggressor: None, count: 1 };
        // Quotes are rare at first: early trades have none.
        let is_quote = number > 300 && luck.u8(0..3) == 0;
        let merged = luck.u8(0..9) == 0;
        let channel = match (is_quote, merged) {
            (true, _) => Channel::Quote,
            (false, true) => Channel::AggTrades,
            (false, false) => Channel::Trades,
        };
        all.push(Event {
            source: if luck.u8(0..4) == 0 { "beta" } else { "alpha" },
            instrument: Arc::new(instrument),
            channel,
            flags: if luck.u8(0..30) == 0 { Flags::BAD_TIME } else { Flags::NONE },
            stamp: Stamp { ts_event, ts_recv },
            body: if is_quote { Body::Quote(quote) } else { Body::Trade(trade) },
        });
    }
    all
}

/// The number of a trade, and the time, bid and ask of its quote.
type Row = (u64, Option<(Ts, Option<f64>, Option<f64>)>);

fn walked(all: &[Published], from: Ts, to: Ts, known_at: Option<Ts>) -> Vec<Row> {
    let known = |p: &&Published| p.event.source == "alpha" && known_at.is_none_or(|at| p.ts_pub <= at);
    let of = |channel| all.iter().filter(known).filter(move |p| p.event.channel == channel);
    let mut quotes: Vec<&Published> = of(Channel::Quote).collect();
    quotes.sort_by_key(|p| when(&p.event));
    let mut trades: Vec<&Published> =
        of(Channel::Trades).filter(|p| (from..to).contains(&when(&p.event))).collect();
    trades.sort_by_key(|p| when(&p.event));
    let told = |p: &Published| {
        let Body::Quote(quote) = &p.event.body else { panic!("{p:?}") };
        let scale = p.event.instrument.px_scale;
        let px = |level: Option<Level>| {
            level.map(|level| Decimal::new(i128::from(level.px.0), scale).to_string().parse().unwrap())
        };
        (when(&p.event), px(quote.bid), px(quote.ask))
    };
    let quote = |at| quotes[..quotes.partition_point(|p| when(&p.event) <= at)].last().map(|p| told(p));
    trades.iter().map(|p| (p.cursor.number, quote(when(&p.event)))).collect()
}

fn rows(batch: &RecordBatch) -> Vec<Row> {
    let column = |name: &str| batch.column_by_name(name).unwrap();
    let number = column("number").as_primitive::<UInt64Type>();
    let at = column("quote_ts").as_primitive::<TimestampNanosecondType>();
    let px = |name, row| {
        let px = column(name).as_primitive::<Float64Type>();
        px.is_valid(row).then(|| px.value(row))
    };
    let quote =
        |row| at.is_valid(row).then(|| (Ts(at.value(row)), px("bid_price", row), px("ask_price", row)));
    (0..batch.num_rows()).map(|row| (number.value(row), quote(row))).collect()
}

fn check(reader: &Reader, all: &[Published], pass: &str) {
    let mut luck = fastrand::Rng::with_seed(6);
    for turn in 0..30 {
        let time = |luck: &mut fastrand::Rng| when(&all[luck.usize(0..all.len())].event);
        let (a, b) = (time(&mut luck), time(&mut luck));
        let (from, to) = if turn == 0 { (Ts(i64::MIN), Ts(i64::MAX)) } else { (a.min(b), a.max(b)) };
        let known_at = luck.bool().then(|| all[luck.usize(0..all.len())].ts_pub);
        let query = Query {
            instruments: vec![all[0].event.instrument.id],
            source: Some("alpha".into()),
            from,
            to,
            known_at,
            ..Query::of(&[])
        };
        let columns = if luck.bool() { &["number", "price"][..] } else { &[] };
        let told = reader.trades_with_quotes(&query, columns).unwrap();
        let told: Vec<Row> = told.flat_map(|batch| rows(&batch.unwrap())).collect();
        assert_eq!(
            told,
            walked(all, from, to, known_at),
            "{pass}: {from:?} to {to:?}, known at {known_at:?}"
        );
    }
}

#[tokio::test]
async fn each_trade_has_the_quote_that_stood_wherever_both_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config {
        dir: dir.path().to_owned(),
        segment_bytes: 64 << 10,
        commit_ms: 1,
        seal_ms: 20,
        ..Config::default()
    };
    let (store, _) = Store::open(config.clone()).unwrap();
    let bus = Arc::new(Bus::new(bus::Config::default(), Ts::from_ms(EPOCH as i64)));
    let reader = store.reader();
    let running = store.start(&bus, Arc::new(Metrics::new()));
    let mut all = Vec::new();
    for event in world(9_000) {
        bus.ready().await;
        let ts_pub = event.stamp.ts_recv;
        let cursor = bus.publish(event.clone(), ts_pub);
        all.push(Published { cursor, ts_pub, event });
        tokio::task::yield_now().await;
    }
    let last: Option<Cursor> = all.last().map(|published| published.cursor);
    running.acked().wait_for(|acked| acked.cursor == last).await.unwrap();
    check(&reader, &all, "while it is written and sealed");
    running.control().seal().await;
    running.stop().await;
    drop(reader);
    check(&Reader::open(dir.path()).unwrap(), &all, "sealed");
    let (store, _) = Store::open(config).unwrap();
    store.compact(|_| {}).unwrap();
    check(&Reader::open(dir.path()).unwrap(), &all, "merged");
}
