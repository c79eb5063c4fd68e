//! Bars made on columns are those made from events.

use bus::{Bus, Cursor, Published};
use metrics::Metrics;
use model::{
    Bar, Body, Channel, Decimal, Event, Flags, Instrument, InstrumentKind, Px, Qty, Stamp, Trade, TradeId, Ts,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use store::{Config, Query, Reader, Store, Table, when};

const EPOCH: u64 = 1_700_000_000_000;

/// Trades by two channels of two sources, some at other scales, of absurd times or with too many digits for a double.
fn trades(count: u64) -> Vec<Event> {
    let mut luck = fastrand::Rng::with_seed(8);
    let mut all = Vec::new();
    for number in 1..=count {
        let symbol = ["A", "B"][luck.usize(0..2)];
        let mut instrument = Instrument::provisional("venue", "", symbol, InstrumentKind::Spot);
        instrument.px_scale = if number / 700 % 3 == 1 { 4 } else { 2 };
        let merged = symbol == "B" && luck.bool();
        let ts_recv = Ts(Ts::from_ms(EPOCH as i64).0 + number as i64 * 1_000_000);
        let ts_event = luck.bool().then(|| Ts(ts_recv.0 + luck.i64(-90..10) * 1_000_000));
        let px = if luck.u8(0..50) == 0 { luck.i64(i64::MAX / 2..) } else { luck.i64(1..9_999) };
        let trade = Trade {
            id: TradeId::Num(number),
            px: Px(px),
            qty: Qty(luck.i64(1..1_000_000)),
            aggressor: None,
            count: luck.u32(1..4),
        };
        all.push(Event {
            source: if symbol == "A" && luck.u8(0..5) == 0 { "beta" } else { "alpha" },
            instrument: Arc::new(instrument),
            channel: if merged { Channel::AggTrades } else { Channel::Trades },
            flags: if luck.u8(0..30) == 0 { Flags::BAD_TIME } else { Flags::NONE },
            stamp: Stamp { ts_event, ts_recv },
            body: Body::Trade(trade),
        });
    }
    all
}

/// The bars of single trades, from decimals.
fn walked(trades: &[&Event], length: i64, from: Ts, to: Ts) -> Vec<Bar> {
    let mut by: BTreeMap<i64, Vec<(Ts, &Event, &Trade)>> = BTreeMap::new();
    for event in trades {
        let at = when(event);
        let Body::Trade(trade) = &event.body else { panic!("{event:?}") };
        by.entry(at.0.div_euclid(length) * length).or_default().push((at, event, trade));
    }
    let px = |(_, event, trade): &(Ts, &Event, &Trade)| {
        Decimal::new(i128::from(trade.px.0), event.instrument.px_scale)
    };
    let latest = trades.iter().map(|event| when(event)).max().unwrap();
    let bars = by.into_iter().filter(|(start, _)| (from..to).contains(&Ts(*start)));
    bars.map(|(start, mut trades)| {
        // Those of one time stay in the order of the bus.
        trades.sort_by_key(|(at, ..)| *at);
        let money = |(_, event, trade): &(Ts, &Event, &Trade)| {
            let up = 10_i128.pow(u32::from(4 - event.instrument.px_scale));
            i128::from(trade.px.0) * i128::from(trade.qty.0) * up
        };
        Bar {
            interval: format!("{}ms", length / 1_000_000).into(),
            start: Ts(start),
            open: px(&trades[0]),
            high: trades.iter().map(px).max().unwrap(),
            low: trades.iter().map(px).min().unwrap(),
            close: px(&trades[trades.len() - 1]),
            volume: Decimal::new(trades.iter().map(|(.., trade)| i128::from(trade.qty.0)).sum(), 8),
            turnover: Some(Decimal::new(trades.iter().map(money).sum(), 12)),
            trades: Some(trades.iter().map(|(.., trade)| u64::from(trade.count)).sum()),
            closed: latest.0 >= start + length,
        }
    })
    .collect()
}

fn check(reader: &Reader, trades: &[Event], pass: &str) {
    let mut luck = fastrand::Rng::with_seed(1);
    for _ in 0..40 {
        let symbol = ["A", "B"][luck.usize(0..2)];
        let of = |event: &&Event| {
            &*event.instrument.symbol == symbol && event.source == "alpha" && event.channel == Channel::Trades
        };
        let of: Vec<&Event> = trades.iter().filter(of).collect();
        let length = luck.i64(2..900) * 1_000_000;
        let from = Ts(when(of[luck.usize(0..of.len())]).0);
        let to = Ts(from.0 + luck.i64(0..4_000_000_000));
        let (id, every) = (of[0].instrument.id, Duration::from_nanos(length as u64));
        let mut wanted = walked(&of, length, from, to);
        let mut told = reader.bars(None, id, every, from, to).unwrap();
        // Lengths that are whole seconds are said in those.
        wanted.iter_mut().chain(&mut told).for_each(|bar| bar.interval = "".into());
        assert_eq!(told, wanted, "{pass}: {symbol} {length} from {from:?} to {to:?}");
    }
}

#[tokio::test]
async fn bars_are_those_that_a_walk_over_the_trades_gives_wherever_they_stand() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config {
        dir: dir.path().to_owned(),
        segment_bytes: 32 << 10,
        commit_ms: 1,
        seal_ms: 20,
        ..Config::default()
    };
    let trades = trades(8_000);
    let (store, _) = Store::open(config.clone()).unwrap();
    let bus = Arc::new(Bus::new(bus::Config::default(), Ts::from_ms(EPOCH as i64)));
    let reader = store.reader();
    let running = store.start(&bus, Arc::new(Metrics::new()));
    let mut last = None;
    for event in &trades {
        bus.ready().await;
        last = Some(bus.publish(event.clone(), event.stamp.ts_recv));
        tokio::task::yield_now().await;
    }
    running.acked().wait_for(|acked| acked.cursor == last).await.unwrap();
    check(&reader, &trades, "while it is written and sealed");
    running.stop().await;
    drop(reader);
    for pass in ["sealed in part", "merged"] {
        let reader = Reader::open(dir.path()).unwrap();
        check(&reader, &trades, pass);
        drop(reader);
        let (store, _) = Store::open(config.clone()).unwrap();
        store.compact(|_| {}).unwrap();
    }
    let reader = Reader::open(dir.path()).unwrap();
    let all: Vec<Arc<Published>> =
        reader.range(Query::of(&[Table::Trades])).unwrap().map(|published| published.unwrap()).collect();
    assert_eq!(all.last().map(|published| published.cursor), last.map(|cursor: Cursor| cursor));
    check(&reader, &trades, "as files alone");
}
