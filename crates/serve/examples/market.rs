//! Serves a made-up market, to look at the page without any exchange: `cargo run -p serve --example market`.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods)]

use bus::Bus;
use metrics::Metrics;
use model::{
    Body, Channel, Decimal, Delta, Event, Flags, Funding, Gap, GapCause, Instrument, InstrumentKind,
    LaneFact, Level, Levels, LinkFact, LinkId, Proof, Px, Qty, Quote, Side, Snapshot, Stamp, Trade, TradeId,
    Ts,
};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

fn now() -> Ts {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Ts(i64::try_from(since.as_nanos()).unwrap())
}

/// One instrument whose price walks.
struct Coin {
    source: &'static str,
    instrument: Arc<Instrument>,
    book: book::Book,
    seq: u64,
    epoch: u32,
    mid: i64,
    trades: u64,
}

#[tokio::main]
async fn main() {
    let bus = Arc::new(Bus::new(bus::Config::default(), now()));
    let metrics = Arc::new(Metrics::new());
    let (_stop, stopped) = tokio::sync::watch::channel(false);
    let ports: Vec<u16> = std::env::args().skip(1).map(|a| a.parse().unwrap()).collect();
    let port = |at: usize| ports.get(at).copied().unwrap_or(0);
    let config = serve::Config {
        http_port: port(0),
        metrics_port: port(1),
        probe_port: port(2),
        ..serve::Config::default()
    };
    let sources: &[&str] = &["north", "south"];
    let parts = serve::Parts {
        bus: Arc::clone(&bus),
        metrics: Arc::clone(&metrics),
        sources,
        desk: Arc::new(feed::Desk::open(None).unwrap()),
        store: None,
        control: None,
        sql: None,
        clock: now,
        shutdown: stopped,
    };
    let running = serve::run(config, parts).await.unwrap();
    println!("http://{}/", running.addrs.http);
    let mut coins = coins();
    for (n, coin) in coins.iter_mut().enumerate() {
        coin.begin(&bus, n);
    }
    let mut every = tokio::time::interval(Duration::from_millis(20));
    loop {
        every.tick().await;
        for (n, coin) in coins.iter_mut().enumerate() {
            // The last two stand still, as lanes do that somebody should look at.
            if n < 7 && fastrand::u32(..3) > 0 {
                coin.step(&bus);
            }
        }
    }
}

fn coins() -> Vec<Coin> {
    let made = [("BTC", 6_412_350), ("ETH", 312_480), ("SOL", 15_230), ("XRP", 231), ("DOGE", 118)];
    let spot = made.iter().map(|(base, mid)| ("north", "spot", *base, *mid));
    let perpetual = made.iter().take(4).map(|(base, mid)| ("south", "", *base, *mid));
    spot.chain(perpetual)
        .map(|(source, product, base, mid)| {
            let is_spot = product == "spot";
            let symbol = if is_spot { format!("{base}USDT") } else { format!("{base}-USDT-SWAP") };
            let kind = if is_spot { InstrumentKind::Spot } else { InstrumentKind::Perpetual };
            let settle = if is_spot { "" } else { "USDT" };
            let made = Instrument::provisional(source, product, &symbol, kind).named(base, "USDT", settle);
            let instrument = Arc::new(Instrument { px_scale: 2, qty_scale: 4, provisional: false, ..made });
            Coin { source, instrument, book: book::Book::default(), seq: 1_000, epoch: 1, mid, trades: 0 }
        })
        .collect()
}

fn level(px: i64) -> Level {
    Level { px: Px(px), qty: Qty(fastrand::i64(10..40_000) * if fastrand::u8(..9) == 0 { 5 } else { 1 }) }
}

impl Coin {
    fn publish(&self, bus: &Bus, channel: Channel, body: Body) {
        let at = now();
        let stamp = Stamp { ts_event: Some(Ts(at.0 - fastrand::i64(2_000_000..9_000_000))), ts_recv: at };
        let instrument = Arc::clone(&self.instrument);
        bus.publish(Event { source: self.source, instrument, channel, flags: Flags::NONE, stamp, body }, at);
    }

    fn begin(&mut self, bus: &Bus, n: usize) {
        let link = LinkId(u32::from(self.source == "south"));
        let url = format!("wss://stream.{}.example/ws", self.source).into();
        self.publish(bus, Channel::Link, Body::Link(LinkFact::Connecting { link, url }));
        self.publish(bus, Channel::Link, Body::Link(LinkFact::Up { link }));
        self.publish(bus, Channel::Instruments, Body::Instrument);
        for (channel, proof) in [
            (Channel::Book, Proof::Sequence),
            (Channel::Trades, Proof::Sequence),
            (Channel::Quote, Proof::None),
        ] {
            self.publish(bus, channel, Body::Lane(LaneFact::Asked { proof, quiet_ms: None }));
            self.publish(bus, channel, Body::Lane(LaneFact::Carried(link)));
            self.publish(bus, channel, Body::Lane(LaneFact::Acked));
        }
        match n {
            7 => self.publish(
                bus,
                Channel::Book,
                Body::Lane(LaneFact::Syncing("waiting for a snapshot".into())),
            ),
            8 => self.publish(
                bus,
                Channel::Book,
                Body::Lane(LaneFact::Refused("60018 no such channel".into())),
            ),
            _ => self.snapshot(bus),
        }
        if self.source == "south" {
            let mark = Decimal::new(i128::from(self.mid), 2);
            self.publish(bus, Channel::MarkPrice, Body::MarkPrice(mark));
            let funding = Funding { rate: Decimal::new(1, 4), at: None, next_rate: None };
            self.publish(bus, Channel::Funding, Body::Funding(Box::new(funding)));
        }
    }

    fn snapshot(&mut self, bus: &Bus) {
        self.seq += 10;
        let bids: Vec<Level> = (1..60).map(|n| level((self.mid - n).max(1))).collect();
        let asks: Vec<Level> = (1..60).map(|n| level(self.mid + n)).collect();
        let levels = Levels::from_sides(&bids, &asks);
        let snapshot = Snapshot { seq: Some(self.seq), levels, checksum: None, epoch: self.epoch };
        self.book.reset(&snapshot);
        self.publish(bus, Channel::Book, Body::Snapshot(snapshot));
    }

    fn step(&mut self, bus: &Bus) {
        if fastrand::u32(..20_000) == 0 {
            let gap = Gap { cause: GapCause::Sequence, from_seq: Some(self.seq), to_seq: None };
            self.publish(bus, Channel::Book, Body::Gap(gap));
            self.epoch += 1;
            return self.snapshot(bus);
        }
        self.mid += fastrand::i64(-1..=1);
        let (mut bids, mut asks) = (vec![level(self.mid - 1)], vec![level(self.mid + 1)]);
        let gone = |l: Level| Level { qty: Qty(0), ..l };
        bids.extend(self.book.bids().filter(|l| l.px.0 >= self.mid).map(gone));
        asks.extend(self.book.asks().filter(|l| l.px.0 <= self.mid).map(gone));
        bids.push(level((self.mid - fastrand::i64(2..40)).max(1)));
        asks.push(level(self.mid + fastrand::i64(2..40)));
        let levels = Levels::from_sides(&bids, &asks);
        let delta = Delta {
            prev_seq: Some(self.seq),
            seq: Some(self.seq + 1),
            levels,
            checksum: None,
            epoch: self.epoch,
        };
        self.seq += 1;
        self.book.apply(&delta).unwrap();
        self.publish(bus, Channel::Book, Body::Delta(delta));
        let Quote { bid, ask, .. } = self.book.quote();
        self.publish(bus, Channel::Quote, Body::Quote(Quote { bid, ask, seq: Some(self.seq) }));
        if fastrand::u32(..6) == 0 {
            self.trades += 1;
            let buys = fastrand::bool();
            let (side, px) = if buys { (Side::Bid, self.mid + 1) } else { (Side::Ask, self.mid - 1) };
            let qty = Qty(fastrand::i64(1..9_000));
            let id = TradeId::Num(self.trades);
            let trade = Trade { id, px: Px(px), qty, aggressor: Some(side), count: 1 };
            self.publish(bus, Channel::Trades, Body::Trade(trade));
        }
    }
}
