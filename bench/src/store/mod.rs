//! The store: how fast events are safe, how fast they are read, beside DuckDB and polars on the same files in the same run.

mod world;

use crate::machine::resident_mib;
use arrow_array::Array as _;
use bus::Bus;
use metrics::Metrics;
use model::{Body, InstrumentId, Ts};
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::{Config, Query, Reader, Store, Table};
use world::{BUSY, DAY_NS, SOURCE, START, World};

/// Steps of the day: a trade and a quote each.
const STEPS: u64 = 8_200_000;

/// Measures everything and gives the table.
pub fn table() -> String {
    let steps = std::env::var("QINGXI_BENCH_STEPS").ok().and_then(|steps| steps.parse().ok()).unwrap_or(STEPS);
    let dir = std::env::var_os("QINGXI_BENCH_DIR").map(std::path::PathBuf::from).unwrap();
    let config = Config { dir: dir.clone(), ..Config::default() };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    if !dir.join("manifest.redb").exists() {
        runtime.block_on(ingest(&config, steps));
    }
    let reader = Reader::open(&dir).unwrap();
    let id = World::new(1).next().unwrap().instrument.id;
    let start = Instant::now();
    let bars = reader.bars(Some(SOURCE), id, Duration::from_mins(1), START, Ts(START.0 + DAY_NS)).unwrap();
    println!("bars {} in {:?}", bars.len(), start.elapsed());
    let start = Instant::now();
    let bars = reader.bars(Some(SOURCE), id, Duration::from_mins(1), START, Ts(START.0 + DAY_NS)).unwrap();
    println!("bars {} in {:?}", bars.len(), start.elapsed());
    let start = Instant::now();
    let mut rows = 0_u64;
    for published in reader.range(Query { instruments: vec![id], ..Query::of(&[Table::Trades]) }).unwrap() {
        if let Body::Trade(_) = published.unwrap().event.body {
            rows += 1;
        }
    }
    println!("lost {:?}", reader.notes().unwrap().len());
    for columns in [&["price", "quantity"][..], &[]] {
        let start = Instant::now();
        let query = Query { instruments: vec![id], ..Query::of(&[Table::Trades]) };
        let (mut rows, mut nulls) = (0, 0);
        for batch in reader.trades_with_quotes(&query, columns).unwrap() {
            let batch = batch.unwrap();
            rows += batch.num_rows();
            nulls += batch.column_by_name("bid_price").unwrap().null_count();
        }
        println!("joined {rows} {nulls} in {:?}", start.elapsed());
    }
    println!("range {rows} in {:?}", start.elapsed());
    let mut luck = fastrand::Rng::with_seed(3);
    let mut times = Vec::new();
    for _ in 0..200 {
        let at = Ts(START.0 + luck.i64(0..DAY_NS));
        let start = Instant::now();
        let book = reader.book_at(Some(SOURCE), id, at, 1_000).unwrap().unwrap();
        times.push((start.elapsed(), book.rows_read));
    }
    times.sort();
    println!("book_at p50 {:?} max {:?}", times[100], times[199]);
    let mut times = Vec::new();
    for _ in 0..200 {
        let start = Instant::now();
        reader.latest(Table::Trades, id, None, 1).unwrap();
        times.push(start.elapsed());
    }
    times.sort();
    println!("latest p50 {:?} max {:?}", times[100], times[199]);
    String::new()
}

async fn ingest(config: &Config, steps: u64) {
    let (store, _) = Store::open(config.clone()).unwrap();
    let bus = Arc::new(Bus::new(bus::Config::default(), START));
    let metrics = Arc::new(Metrics::new());
    let running = store.start(&bus, Arc::clone(&metrics));
    let mut acked = running.acked();
    let start = Instant::now();
    let mut count = 0_u64;
    let mut last = None;
    for event in World::new(steps) {
        if count.is_multiple_of(256) {
            bus.ready().await;
            let _ = acked.wait_for(|acked| count - acked.kept < 100_000).await;
        }
        let at = event.stamp.ts_recv;
        last = Some(bus.publish(event, at));
        count += 1;
        if count.is_multiple_of(2_000_000) {
            println!("{count} {:?} {} MiB; files {} sealed {}", start.elapsed(), resident_mib(), metrics.store.files.get(), metrics.store.sealed.get());
        }
    }
    running.acked().wait_for(|acked| acked.cursor == last).await.unwrap();
    let took = start.elapsed();
    let commits = metrics.store.commits.get();
    println!("{count} events in {took:?}: {:.0}/s; {commits} commits of {:.2} ms; {} bytes", count as f64 / took.as_secs_f64(), metrics.store.commit_seconds.get() * 1e3 / commits as f64, metrics.store.bytes.get());
    running.control().seal().await;
    println!("sealed after {:?} {} MiB", start.elapsed(), resident_mib());
    running.stop().await;
    let (store, _) = Store::open(config.clone()).unwrap();
    store.compact(|step| println!("{step:?} {:?}", start.elapsed())).unwrap();
}
