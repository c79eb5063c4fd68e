//! The store: how fast events are safe, how fast they are read, beside DuckDB and polars on the same files in the same run.

mod ingest;
mod peers;
mod world;

use crate::frames::Set;
use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use model::{Body, InstrumentId, Ts};
use peers::Answers;
use std::error::Error;
use std::fmt::Write;
use std::path::Path;
use std::time::{Duration, Instant};
use store::{Config, Query, Reader, Store, Table};
use world::{BUSY, DAY_NS, PRODUCT, SOURCE, START};

/// How often a question is asked that takes long.
const ROUNDS: usize = 5;
/// How often one is asked that does not.
const ASKED: usize = 100;
const HOUR_NS: i64 = 3_600_000_000_000;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Measures everything and gives the tables.
pub fn table(sets: &[Set]) -> String {
    let mut out = String::from("\n## The store\n\n");
    if let Err(error) = measure(sets, &mut out) {
        let _ = writeln!(out, "It could not be measured: {error}");
    }
    println!("{out}");
    out
}

fn measure(sets: &[Set], out: &mut String) -> Result<()> {
    let root = tempfile::tempdir()?;
    let dir = root.path().join("day");
    let config = Config { dir: dir.clone(), ..Config::default() };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    ingest::head(out)?;
    let latest = runtime.block_on(ingest::made(&config, out))?;
    let config = Config { dir: root.path().join("paced"), ..Config::default() };
    runtime.block_on(ingest::paced(&config, out))?;
    if let Some(set) = sets.iter().max_by_key(|set| set.frames) {
        let config = Config { dir: root.path().join("live"), ..Config::default() };
        runtime.block_on(ingest::live(&config, set, out))?;
    }
    let begun = Instant::now();
    let (store, _) = Store::open(Config { dir: dir.clone(), ..Config::default() })?;
    store.compact(|_| {})?;
    let took = begun.elapsed().as_secs_f64();
    let reader = Reader::open(&dir)?;
    let sizes = reader.sizes();
    let rows: u64 = sizes.values().map(|size| size.rows).sum();
    let bytes: u64 = sizes.values().map(|size| size.bytes).sum();
    writeln!(
        out,
        "\nThe newest trade, of those in memory: p50 {:.1} µs, p99 {:.1} µs. Merging to {rows} rows in {:.0} MB took {took:.1} s.\n",
        latest.0,
        latest.1,
        bytes as f64 / 1e6
    )?;
    questions(&reader, &dir, out)
}

/// Asks the store and the others.
fn questions(reader: &Reader, dir: &Path, out: &mut String) -> Result<()> {
    let id = InstrumentId::of(SOURCE, PRODUCT, BUSY);
    let of = |table| Query { instruments: vec![id], ..Query::of(&[table]) };
    let mut luck = fastrand::Rng::with_seed(3);
    let instants: Vec<Ts> = (0..ASKED).map(|_| Ts(START.0 + luck.i64(HOUR_NS..DAY_NS))).collect();
    let end = Ts(START.0 + DAY_NS);
    let mut ours = Answers::default();
    ours.ask("bars", &[(); ROUNDS], |()| {
        let bars = reader.bars(Some(SOURCE), id, Duration::from_mins(1), START, end)?;
        let trades: u64 = bars.iter().filter_map(|bar| bar.trades).sum();
        let open: f64 = bars.iter().filter_map(|bar| bar.open.to_string().parse::<f64>().ok()).sum();
        Ok(vec![bars.len() as f64, trades as f64, open])
    })?;
    ours.ask("asof", &[(); ROUNDS], |()| {
        let (mut rows, mut bids, mut prices) = (0, 0.0, 0.0);
        for batch in reader.trades_with_quotes(&of(Table::Trades), &["price", "quantity"])? {
            let batch = batch?;
            let sum = |name: &str| -> Option<f64> {
                Some(batch.column_by_name(name)?.as_primitive_opt::<Float64Type>()?.iter().flatten().sum())
            };
            rows += batch.num_rows();
            bids += sum("bid_price").ok_or("no bids")?;
            prices += sum("price").ok_or("no prices")?;
        }
        Ok(vec![rows as f64, bids, prices])
    })?;
    let (from, to) = (Ts(START.0 + 6 * HOUR_NS), Ts(START.0 + 12 * HOUR_NS));
    ours.ask("scan", &[(); ROUNDS], |()| {
        let mut rows = 0;
        for batch in reader.scan(Query { from, to, ..of(Table::Trades) }, &[])? {
            rows += batch?.num_rows();
        }
        Ok(vec![rows as f64])
    })?;
    ours.ask("events", &[(); ROUNDS], |()| {
        let mut rows = 0_u64;
        for published in reader.range(Query { from, to, ..of(Table::Trades) })? {
            rows += u64::from(matches!(published?.event.body, Body::Trade(_)));
        }
        Ok(vec![rows as f64])
    })?;
    ours.ask("latest", &[(); ASKED], |()| {
        let newest = reader.latest(Table::Trades, id, None, 1)?;
        let newest = newest.first().ok_or("no trade")?;
        let Body::Trade(trade) = &newest.event.body else { return Err("no trade".into()) };
        let scale = i32::from(newest.event.instrument.px_scale);
        Ok(vec![newest.cursor.number as f64, trade.px.0 as f64 / 10_f64.powi(scale)])
    })?;
    ours.ask("book", &instants, |at| {
        let book = reader.book_at(Some(SOURCE), id, *at, usize::MAX)?.ok_or("no book")?;
        let all = || book.levels.bids().iter().chain(book.levels.asks());
        let scale = 10_f64.powi(i32::from(book.instrument.qty_scale));
        Ok(vec![all().count() as f64, all().map(|level| level.qty.0 as f64 / scale).sum()])
    })?;
    let theirs = peers::ask(dir, &instants);
    if let Err(why) = &theirs {
        writeln!(out, "DuckDB and polars were not asked: {why}.\n")?;
    }
    ours.table(&theirs.unwrap_or_default(), out)?;
    Ok(())
}
