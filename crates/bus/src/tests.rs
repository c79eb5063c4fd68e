use super::*;
use model::{
    Body, Delta, Flags, InstrumentKind, Level, Levels, Px, Qty, Quote, Snapshot, Stamp, Trade, TradeId,
};
use proptest::prelude::*;

fn instrument(symbol: &str) -> Arc<Instrument> {
    Arc::new(Instrument::provisional("v", "", symbol, InstrumentKind::Spot))
}

fn event(instrument: &Arc<Instrument>, channel: Channel, body: Body) -> Event {
    let stamp = Stamp { ts_event: None, ts_recv: Ts(0) };
    Event { source: "v", instrument: Arc::clone(instrument), channel, flags: Flags::NONE, stamp, body }
}

fn trade(instrument: &Arc<Instrument>, id: u64) -> Event {
    let body = Trade { id: TradeId::Num(id), px: Px(1), qty: Qty(1), aggressor: None, count: 1 };
    event(instrument, Channel::Trades, Body::Trade(body))
}

fn quote(instrument: &Arc<Instrument>, px: i64) -> Event {
    let bid = Some(Level { px: Px(px), qty: Qty(1) });
    event(instrument, Channel::Quote, Body::Quote(Quote { bid, ask: None, seq: None }))
}

fn snapshot(instrument: &Arc<Instrument>, seq: u64) -> Event {
    let levels = Levels::from_sides(&[Level { px: Px(1), qty: Qty(1) }], &[]);
    let body = Snapshot { seq: Some(seq), levels, checksum: None, epoch: 1 };
    event(instrument, Channel::Book, Body::Snapshot(body))
}

fn delta(instrument: &Arc<Instrument>, seq: u64, px: i64, qty: i64) -> Event {
    let levels = Levels::from_sides(&[Level { px: Px(px), qty: Qty(qty) }], &[]);
    let body = Delta { prev_seq: Some(seq - 1), seq: Some(seq), levels, checksum: None, epoch: 1 };
    event(instrument, Channel::Book, Body::Delta(body))
}

fn bus(window: usize) -> Arc<Bus> {
    Arc::new(Bus::new(Config { window, ..Config::default() }, Ts::from_ms(5)))
}

fn read(reader: &mut Reader) -> Vec<Item> {
    let mut out = Vec::new();
    while reader.try_read(&mut out, 100) {}
    out
}

fn numbers(items: &[Item]) -> Vec<u64> {
    let number = |item: &Item| match item {
        Item::Event { published, .. } => Some(published.cursor.number),
        Item::Skipped(_) => None,
    };
    items.iter().filter_map(number).collect()
}

/// The book that a reader holds after these items, as a reader would keep it.
fn rebuild(items: &[Item], book: &mut book::Book) {
    for item in items {
        let Item::Event { published, .. } = item else { continue };
        match &published.event.body {
            Body::Snapshot(s) => book.reset(s),
            Body::Delta(d) => book.apply(d).unwrap(),
            _ => {}
        }
    }
}

#[test]
fn a_lossless_reader_gets_every_event_in_order() {
    let (bus, a) = (bus(10), instrument("A"));
    let mut reader = bus.subscribe(Filter::all(), Policy::Lossless { queue_max: 1_000 }, None);
    for id in 1..=500 {
        bus.publish(trade(&a, id), Ts(0));
    }
    assert_eq!(numbers(&read(&mut reader)), (1..=500).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_full_lossless_reader_holds_publishers_until_it_reads_or_goes() {
    let (bus, a) = (bus(10), instrument("A"));
    let mut reader = bus.subscribe(Filter::all(), Policy::Lossless { queue_max: 4 }, None);
    for id in 1..=4 {
        bus.publish(trade(&a, id), Ts(0));
    }
    let mut waiting = std::pin::pin!(bus.ready());
    assert!(futures_poll(waiting.as_mut()).await.is_none());
    read(&mut reader);
    waiting.await;
    for id in 5..=8 {
        bus.publish(trade(&a, id), Ts(0));
    }
    drop(reader);
    bus.ready().await;
}

/// Polls once.
async fn futures_poll<F: std::future::Future>(mut future: std::pin::Pin<&mut F>) -> Option<F::Output> {
    std::future::poll_fn(|cx| {
        std::task::Poll::Ready(match future.as_mut().poll(cx) {
            std::task::Poll::Ready(out) => Some(out),
            std::task::Poll::Pending => None,
        })
    })
    .await
}

#[test]
fn a_conflating_reader_gets_every_trade_and_of_quotes_the_newest_with_a_count() {
    let (bus, a, b) = (bus(10), instrument("A"), instrument("B"));
    let mut reader = bus.subscribe(Filter::all(), Policy::Conflate { queue_max: 100 }, None);
    for n in 1..=20 {
        bus.publish(trade(&a, n), Ts(0));
        bus.publish(quote(&a, n as i64), Ts(0));
        bus.publish(quote(&b, n as i64), Ts(0));
    }
    let items = read(&mut reader);
    let trades = items
        .iter()
        .filter(|i| matches!(i, Item::Event { published, .. } if published.event.channel == Channel::Trades));
    assert_eq!(trades.count(), 20);
    let quotes: Vec<(u64, u32)> = items
        .iter()
        .filter_map(|i| match i {
            Item::Event { published, conflated } if published.event.channel == Channel::Quote => {
                Some((published.cursor.number, *conflated))
            }
            _ => None,
        })
        .collect();
    assert_eq!(quotes, [(59, 19), (60, 19)]);
    assert!(numbers(&items).is_sorted());
}

#[test]
fn a_reader_past_its_bound_is_told_what_it_lost_and_starts_afresh() {
    let (bus, a) = (bus(10), instrument("A"));
    bus.publish(snapshot(&a, 1), Ts(0));
    let mut reader = bus.subscribe(Filter::all(), Policy::Conflate { queue_max: 10 }, None);
    for id in 1..=30 {
        bus.publish(trade(&a, id), Ts(0));
    }
    bus.publish(delta(&a, 2, 7, 3), Ts(0));
    let items = read(&mut reader);
    let Some(Item::Skipped(skipped)) = items.first() else { panic!("{items:?}") };
    assert_eq!((skipped.from, skipped.to, skipped.why), (1, 32, "slow"));
    let mut book = book::Book::default();
    rebuild(&items, &mut book);
    assert_eq!((book.seq(), book.len()), (Some(2), 2));
    bus.publish(delta(&a, 3, 8, 3), Ts(0));
    rebuild(&read(&mut reader), &mut book);
    assert_eq!(book.seq(), Some(3));
}

#[test]
fn who_comes_back_with_a_cursor_gets_just_what_was_missed() {
    let (bus, a) = (bus(10), instrument("A"));
    for id in 1..=15 {
        bus.publish(trade(&a, id), Ts(0));
    }
    let policy = Policy::Conflate { queue_max: 100 };
    let from = |number| Some(Cursor { epoch: 5, number });
    let mut reader = bus.subscribe(Filter::all(), policy, from(9));
    assert_eq!(numbers(&read(&mut reader)), [10, 11, 12, 13, 14, 15]);
    let mut reader = bus.subscribe(Filter::all(), policy, from(3));
    let items = read(&mut reader);
    assert_eq!(items.first(), Some(&Item::Skipped(Skipped { from: 4, to: 15, count: None, why: "window" })));
    let mut reader = bus.subscribe(Filter::all(), policy, Some(Cursor { epoch: 4, number: 9 }));
    assert!(matches!(read(&mut reader).first(), Some(Item::Skipped(Skipped { why: "epoch", .. }))));
}

#[test]
fn a_lane_added_later_begins_with_its_last_value_and_others_are_left_alone() {
    let (bus, a, b) = (bus(10), instrument("A"), instrument("B"));
    bus.publish(quote(&a, 1), Ts(0));
    bus.publish(quote(&b, 2), Ts(0));
    let mut filter = Filter::none();
    filter.add(a.id, Channel::Quote);
    let mut reader = bus.subscribe(filter.clone(), Policy::Conflate { queue_max: 10 }, None);
    assert_eq!(read(&mut reader).len(), 1);
    filter.add(b.id, Channel::Quote);
    assert_eq!(reader.set_filter(filter.clone()).number, 2);
    let items = read(&mut reader);
    let [Item::Event { published, .. }] = &items[..] else { panic!("{items:?}") };
    assert_eq!((published.event.instrument.id, published.event.flags.has(Flags::LAST_VALUE)), (b.id, true));
    filter.remove(a.id, Channel::Quote);
    reader.set_filter(filter);
    bus.publish(quote(&a, 3), Ts(0));
    assert_eq!(read(&mut reader), []);
}

#[tokio::test(start_paused = true)]
async fn a_sampling_reader_gets_one_of_each_lane_at_most_this_often() {
    let (bus, a) = (bus(10), instrument("A"));
    let policy = Policy::Sample { every_ms: 100, queue_max: 10 };
    let mut reader = bus.subscribe(Filter::all(), policy, None);
    let mut out = Vec::new();
    bus.publish(trade(&a, 1), Ts(0));
    reader.read(&mut out, 10).await;
    let start = tokio::time::Instant::now();
    for id in 2..=9 {
        bus.publish(trade(&a, id), Ts(0));
    }
    reader.read(&mut out, 10).await;
    assert!(start.elapsed().as_millis() >= 100);
    assert_eq!(numbers(&out), [1, 9]);
}

proptest! {
    /// Whatever is published and whenever it is read, the book that a conflating reader rebuilds is the bus's book.
    #[test]
    fn a_slow_reader_ends_with_the_same_book(
        steps in proptest::collection::vec((0_u8..10, 1_i64..50, 0_i64..3, any::<bool>()), 1..300),
        queue_max in 2_usize..80,
    ) {
        let (bus, a) = (bus(10), instrument("A"));
        let mut reader = bus.subscribe(Filter::all(), Policy::Conflate { queue_max }, None);
        let mut book = book::Book::default();
        let mut seq = 1;
        let mut last = 0;
        bus.publish(snapshot(&a, seq), Ts(0));
        for (kind, px, qty, reads) in steps {
            match kind {
                0 => { seq += 5; bus.publish(snapshot(&a, seq), Ts(0)); }
                1 => { bus.publish(trade(&a, seq), Ts(0)); }
                _ => { seq += 1; bus.publish(delta(&a, seq, px, qty), Ts(0)); }
            }
            if reads && px % 5 == 0 {
                let items = read(&mut reader);
                rebuild(&items, &mut book);
                for number in numbers(&items) {
                    prop_assert!(number >= last);
                    last = number;
                }
            }
        }
        rebuild(&read(&mut reader), &mut book);
        let view = bus.book(a.id, Channel::Book, usize::MAX).unwrap();
        prop_assert_eq!(book.seq(), view.seq);
        prop_assert_eq!(book.levels(usize::MAX), view.levels);
    }
}
