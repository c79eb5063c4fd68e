//! Measures what a WebSocket client costs: `cargo run --release -p serve --example fanout -- [clients] [bursts] [burst]`.
//!
//! Clients run in a process of their own, so that the CPU time of this one is that of the server alone.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout, clippy::disallowed_methods)]

use bus::Bus;
use metrics::Metrics;
use model::{
    Body, Channel, Event, Flags, Instrument, InstrumentKind, Px, Qty, Side, Stamp, Trade, TradeId, Ts,
};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

fn now() -> Ts {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Ts(i64::try_from(since.as_nanos()).unwrap())
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let number = |at: usize, default: usize| args.get(at).map_or(default, |a| a.parse().unwrap());
    if args.get(1).is_some_and(|a| a == "clients") {
        clients(args[2].parse().unwrap(), number(3, 1));
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(measure(number(1, 500), number(2, 300), number(3, 1)));
}

/// Opens `count` clients that subscribe and then read and drop all they get.
fn clients(address: SocketAddr, count: usize) {
    let mut sockets = Vec::new();
    for _ in 0..count {
        let mut socket = TcpStream::connect(address).unwrap();
        let head = "GET /api/v1/stream HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
            Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        socket.write_all(head.as_bytes()).unwrap();
        let text = br#"{"op":"subscribe","instruments":["BTC/USDT@v"],"channels":["trades"]}"#;
        let mut frame = vec![0x81, 0x80 | u8::try_from(text.len()).unwrap(), 0, 0, 0, 0];
        frame.extend_from_slice(text);
        socket.write_all(&frame).unwrap();
        socket.set_nonblocking(true).unwrap();
        sockets.push(socket);
    }
    println!("ready");
    let mut buffer = vec![0; 1 << 20];
    loop {
        for socket in &mut sockets {
            while matches!(socket.read(&mut buffer), Ok(n) if n > 0) {}
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

async fn measure(clients: usize, bursts: usize, burst: usize) {
    let bus = Arc::new(Bus::new(bus::Config::default(), now()));
    let metrics = Arc::new(Metrics::new());
    let (_stop, stopped) = tokio::sync::watch::channel(false);
    let config = serve::Config { http_port: 0, metrics_port: 0, probe_port: 0, ..serve::Config::default() };
    let parts = serve::Parts {
        bus: Arc::clone(&bus),
        metrics: Arc::clone(&metrics),
        sources: &["v"],
        desk: Arc::new(feed::Desk::open(None).unwrap()),
        store: None,
        control: None,
        sql: None,
        clock: now,
        shutdown: stopped,
    };
    let running = serve::run(config, parts).await.unwrap();
    let made = Instrument::provisional("v", "spot", "BTCUSDT", InstrumentKind::Spot);
    let instrument = Arc::new(made.named("BTC", "USDT", ""));
    publish(&bus, &instrument, 0);

    let before = (cpu_s(), resident_kib());
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["clients", &running.addrs.http.to_string(), &clients.to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    while bus.readers() < clients {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let kib = (resident_kib() - before.1) as f64 / clients as f64;
    println!(
        "{clients} clients: {kib:.1} KiB each, {:.0} us CPU to open one",
        (cpu_s() - before.0) * 1e6 / clients as f64
    );

    let sent = metrics.serve.messages.get();
    let bytes = metrics.serve.message_bytes.get();
    let (start, cpu) = (Instant::now(), cpu_s());
    let mut id = 0;
    for _ in 0..bursts {
        for _ in 0..burst {
            id += 1;
            publish(&bus, &instrument, id);
        }
        let all = sent + id * clients as u64;
        while metrics.serve.messages.get() < all {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    let deliveries = metrics.serve.messages.get() - sent;
    let cpu = cpu_s() - cpu;
    println!(
        "{deliveries} deliveries of {} bytes in bursts of {burst}: {:.2} us CPU each, {:.0} a second",
        (metrics.serve.message_bytes.get() - bytes) / deliveries,
        cpu * 1e6 / deliveries as f64,
        deliveries as f64 / start.elapsed().as_secs_f64(),
    );
    println!("after that {:.1} KiB each", (resident_kib() - before.1) as f64 / clients as f64);
    child.kill().unwrap();
    child.wait().unwrap();
}

fn publish(bus: &Bus, instrument: &Arc<Instrument>, id: u64) {
    let trade = Trade {
        id: TradeId::Num(id),
        px: Px(6_400_010),
        qty: Qty(15_000),
        aggressor: Some(Side::Bid),
        count: 1,
    };
    let stamp = Stamp { ts_event: Some(now()), ts_recv: now() };
    let instrument = Arc::clone(instrument);
    let body = Body::Trade(trade);
    let event = Event { source: "v", instrument, channel: Channel::Trades, flags: Flags::NONE, stamp, body };
    bus.publish(event, now());
}

fn cpu_s() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = text.rsplit_once(')').unwrap().1.split_whitespace().collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

fn resident_kib() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|l| l.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
