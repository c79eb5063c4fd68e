//! The same frames through a peer and through us, in one run, pinned to one core, interleaved, medians of seven; the
//! final books are held against each other.
//!
//! Frames are those of a recording of USD-M futures with a snapshot inside. Each side gets them in the form that it
//! subscribes to: the peer the bare payload, we the payload in the envelope of a combined stream. Each side decodes a frame, checks the sequence and updates a book; what a peer does not do (flags, definitions, unknown keys) is
//! not asked of it.

use barter_data::Identifier;
use barter_data::books::OrderBook;
use barter_data::event::{MarketEvent, MarketIter};
use barter_data::exchange::binance::book::l2::BinanceOrderBookL2Snapshot;
use barter_data::exchange::binance::futures::l2::{
    BinanceFuturesOrderBookL2Update, BinanceFuturesUsdOrderBookL2Sequencer,
};
use barter_data::exchange::binance::trade::BinanceTrade;
use barter_data::subscription::book::OrderBookEvent;
use barter_data::subscription::trade::PublicTrade;
use barter_instrument::exchange::ExchangeId;
use engine::Engine;
use model::{Body, Channel, Ts, write_mantissa};
use serde_json::value::RawValue;
use source::{Action, Input, Session, Shard, Source};
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: usize = 7;

/// Frames of one recording, by kind.
struct Frames {
    snapshot: Vec<u8>,
    deltas: Vec<Pair>,
    trades: Vec<Pair>,
}

/// A frame in its envelope, and its payload alone.
struct Pair {
    whole: Vec<u8>,
    payload: Vec<u8>,
}

fn main() {
    if let Some(core) = core_affinity::get_core_ids().and_then(|ids| ids.last().copied()) {
        core_affinity::set_for_current(core);
    }
    let Some(root) = std::env::var_os("QINGXI_RECORDINGS").map(PathBuf::from) else {
        println!("QINGXI_RECORDINGS is not set: there is nothing to compare on");
        return;
    };
    let source = app::sources::named("binance").expect("the registry has it");
    println!("| recording | what | frames | qingxi ns | barter-data ns | ratio | books |");
    println!("|---|---|---:|---:|---:|---:|---|");
    for path in files(&root.join("binance-usdm")) {
        let Some(frames) = load(&path) else { continue };
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        compare(&name, "trade → event", source, &frames.trades, None);
        compare(&name, "delta → book", source, &frames.deltas, Some(&frames.snapshot));
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> =
        std::fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path()).collect();
    all.sort();
    all
}

/// `None` where the file has no snapshot without a URL, or is of another kind.
fn load(path: &Path) -> Option<Frames> {
    #[derive(serde::Deserialize)]
    struct Combined<'a> {
        #[serde(borrow)]
        stream: &'a str,
        #[serde(borrow)]
        data: &'a RawValue,
    }
    let mut frames = Frames { snapshot: Vec::new(), deltas: Vec::new(), trades: Vec::new() };
    for record in tape::Reader::open(path).ok()?.flatten() {
        match record.kind {
            tape::Kind::Reply { url: None, body, .. } => frames.snapshot = body,
            tape::Kind::Frame { bytes, .. } => {
                let Ok(frame) = serde_json::from_slice::<Combined<'_>>(&bytes) else { continue };
                let payload = frame.data.get().as_bytes().to_vec();
                let (is_delta, is_trade) =
                    (frame.stream.contains("@depth"), frame.stream.ends_with("@trade"));
                let pair = Pair { payload, whole: bytes };
                if is_delta {
                    frames.deltas.push(pair);
                } else if is_trade {
                    frames.trades.push(pair);
                }
            }
            _ => {}
        }
    }
    // A peer starts at the first delta that follows the snapshot.
    let snapshot: BinanceOrderBookL2Snapshot = serde_json::from_slice(&frames.snapshot).ok()?;
    frames.deltas.retain(|d| {
        serde_json::from_slice::<BinanceFuturesOrderBookL2Update>(&d.payload)
            .is_ok_and(|d| d.last_update_id >= snapshot.last_update_id)
    });
    Some(frames)
}

fn compare(name: &str, what: &str, source: &'static dyn Source, frames: &[Pair], snapshot: Option<&[u8]>) {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let mut equal = "-".to_owned();
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let mine = qingxi(source, frames, snapshot);
        ours.push(start.elapsed().as_nanos() as f64 / frames.len() as f64);
        let start = Instant::now();
        let other = barter(frames, snapshot);
        theirs.push(start.elapsed().as_nanos() as f64 / frames.len() as f64);
        if snapshot.is_some() {
            equal = if mine == other { "equal".to_owned() } else { "DIFFERENT".to_owned() };
        }
    }
    let (ours, theirs) = (median(ours), median(theirs));
    let winner = if ours < theirs { "we win" } else { "we lose" };
    println!(
        "| {name} | {what} | {} | {ours:.0} | {theirs:.0} | {:.2} ({winner}) | {equal} |",
        frames.len(),
        theirs / ours
    );
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// A final book as texts: bids and asks, best first.
type Sides = (Vec<(String, String)>, Vec<(String, String)>);

fn qingxi(source: &'static dyn Source, frames: &[Pair], snapshot: Option<&[u8]>) -> Sides {
    let mut session: Box<dyn Session> = source.session(&Shard::default());
    let mut engine = Engine::new(engine::Config::default());
    let (mut out, mut events) = (Vec::new(), Vec::new());
    session.on(Input::Open, Ts(0), &mut out);
    let mut settle = |out: &mut Vec<Action>| {
        for action in out.drain(..) {
            if let Action::Emit(event) = action {
                black_box(engine.on(event, &mut events));
                black_box(&events);
                events.clear();
            }
        }
    };
    for (n, bytes) in frames.iter().enumerate() {
        session.on(Input::Frame { bytes: &bytes.whole, binary: false }, Ts(1), &mut out);
        if n == 0
            && let Some(body) = snapshot
        {
            let reply = Input::Reply { tag: None, path: "", status: 200, retry_ms: None, body };
            session.on(reply, Ts(1), &mut out);
        }
        settle(&mut out);
    }
    if snapshot.is_none() {
        return Sides::default();
    }
    let (instrument, _, book) = engine.books().find(|(_, c, _)| *c == Channel::Book).expect("a live book");
    let text = |mantissa, scale| {
        let mut text = Vec::new();
        write_mantissa(mantissa, scale, &mut text);
        String::from_utf8(text).unwrap()
    };
    let level = |l: model::Level| (text(l.px.0, instrument.px_scale), text(l.qty.0, instrument.qty_scale));
    (book.bids().map(level).collect(), book.asks().map(level).collect())
}

fn barter(frames: &[Pair], snapshot: Option<&[u8]>) -> Sides {
    let Some(snapshot) = snapshot else {
        for frame in frames {
            let trade: BinanceTrade = serde_json::from_slice(&frame.payload).expect("a trade");
            black_box(trade.id());
            let events = MarketIter::<u32, PublicTrade>::from((ExchangeId::BinanceFuturesUsd, 1_u32, trade));
            black_box(events.0);
        }
        return Sides::default();
    };
    let snapshot: BinanceOrderBookL2Snapshot = serde_json::from_slice(snapshot).expect("a snapshot");
    let mut sequencer = BinanceFuturesUsdOrderBookL2Sequencer::new(snapshot.last_update_id);
    let event = MarketEvent::<u32, OrderBookEvent>::from((ExchangeId::BinanceFuturesUsd, 1_u32, snapshot));
    let mut book = OrderBook::default();
    book.update(&event.kind);
    for frame in frames {
        let update: BinanceFuturesOrderBookL2Update =
            serde_json::from_slice(&frame.payload).expect("a delta");
        black_box(update.id());
        // Where ids are global a snapshot may stand between two deltas; the peer refuses that, we do not count it.
        let Ok(Some(update)) = sequencer.validate_sequence(update) else { continue };
        let events = MarketIter::<u32, OrderBookEvent>::from((ExchangeId::BinanceFuturesUsd, 1_u32, update));
        for event in events.0.into_iter().flatten() {
            book.update(&event.kind);
        }
        black_box(book.bids().levels().first());
    }
    let level =
        |l: &barter_data::books::Level| (l.price.normalize().to_string(), l.amount.normalize().to_string());
    (book.bids().levels().iter().map(level).collect(), book.asks().levels().iter().map(level).collect())
}
