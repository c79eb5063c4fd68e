//! Fixtures give the events that stand in `golden/`. `UPDATE=1` writes them anew.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use binance::Binance;
use model::{Body, Decimal, Event, Instrument, Level, Levels, Ts, write_mantissa};
use source::{Action, Input, Session, Shard, Source};
use std::fmt::Write;
use std::path::{Path, PathBuf};

const NOW: Ts = Ts::from_ms(1_760_000_100_000);

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn fixtures() -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> =
        std::fs::read_dir(folder("fixtures")).unwrap().map(|entry| entry.unwrap().path()).collect();
    all.sort();
    all
}

fn stem(path: &Path) -> &str {
    path.file_stem().unwrap().to_str().unwrap()
}

/// A session as for a recording of the address that the fixture's name tells.
fn session(path: &Path) -> Box<dyn Session> {
    let url = match stem(path).split('_').next() {
        Some("spot") => Some("wss://stream.binance.com:9443/stream"),
        Some("usdm") => Some("wss://fstream.binance.com/public/stream"),
        Some("coinm") => Some("wss://dstream.binance.com/stream"),
        _ => None,
    };
    Binance.session(&Shard { path: url.map(str::to_owned), ..Shard::default() })
}

/// A line is a frame, or an address and the answer to it.
fn feed(session: &mut dyn Session, line: &[u8], out: &mut Vec<Action>) {
    if line.starts_with(b"https://") {
        let at = line.iter().position(|b| *b == b' ').unwrap_or(line.len());
        let (url, body) = (String::from_utf8_lossy(&line[..at]), line.get(at + 1..).unwrap_or_default());
        session.on(Input::Reply { tag: None, path: &url, status: 200, retry_ms: None, body }, NOW, out);
    } else {
        session.on(Input::Frame { bytes: line, binary: false }, NOW, out);
    }
}

fn number(mantissa: i64, scale: u8) -> String {
    let mut text = Vec::new();
    write_mantissa(mantissa, scale, &mut text);
    String::from_utf8(text).unwrap()
}

fn level(i: &Instrument, level: &Level) -> String {
    format!("{}x{}", number(level.px.0, i.px_scale), number(level.qty.0, i.qty_scale))
}

fn levels(i: &Instrument, all: &Levels) -> String {
    let side = |side: &[Level]| side.iter().map(|l| level(i, l)).collect::<Vec<_>>().join(" ");
    format!("bids [{}] asks [{}]", side(all.bids()), side(all.asks()))
}

fn decimal(number: Option<Decimal>) -> String {
    number.map_or("-".to_owned(), |n| n.to_string())
}

fn body(i: &Instrument, body: &Body) -> String {
    match body {
        Body::Trade(t) => format!(
            "trade {:?} {} {:?} count {}",
            t.id,
            level(i, &Level { px: t.px, qty: t.qty }),
            t.aggressor,
            t.count
        ),
        Body::Snapshot(s) => format!("snapshot {:?} {}", s.seq, levels(i, &s.levels)),
        Body::Delta(d) => format!("delta {:?} -> {:?} {}", d.prev_seq, d.seq, levels(i, &d.levels)),
        Body::Quote(q) => {
            let side = |l: Option<Level>| l.map_or("-".to_owned(), |l| level(i, &l));
            format!("quote {:?} bid {} ask {}", q.seq, side(q.bid), side(q.ask))
        }
        Body::Bar(b) => format!(
            "bar {} {} open {} high {} low {} close {} volume {} turnover {} trades {:?} closed {}",
            b.interval,
            b.start.as_ms(),
            b.open,
            b.high,
            b.low,
            b.close,
            b.volume,
            decimal(b.turnover),
            b.trades,
            b.closed
        ),
        Body::DayStats(d) => format!(
            "day open {} high {} low {} last {} x {} volume {} turnover {} trades {:?}",
            decimal(d.open),
            decimal(d.high),
            decimal(d.low),
            decimal(d.last),
            decimal(d.last_qty),
            decimal(d.volume),
            decimal(d.turnover),
            d.trades
        ),
        Body::MarkPrice(px) => format!("mark {px}"),
        Body::IndexPrice(px) => format!("index {px}"),
        Body::Funding(f) => format!("funding {} at {:?}", f.rate, f.at.map(Ts::as_ms)),
        Body::OpenInterest(o) => format!("open {}", o.qty),
        Body::LongShortRatio(r) => format!(
            "ratio of {} over {} {} long {} short {}",
            r.of,
            r.interval,
            decimal(r.ratio),
            decimal(r.long),
            decimal(r.short)
        ),
        Body::Liquidation(l) => {
            format!("forced {:?} {}x{} average {}", l.side, l.px, l.qty, decimal(l.avg_px))
        }
        other => format!("{other:?}"),
    }
}

fn instrument(i: &Instrument) -> String {
    format!(
        "{} {} {} {:?} {:?} px_scale {} qty_scale {} tick {} lot {} contract {} expiry {:?}{}",
        i.product,
        i.symbol,
        i.name,
        i.kind,
        i.status,
        i.px_scale,
        i.qty_scale,
        decimal(i.tick),
        decimal(i.lot),
        decimal(i.contract_size),
        i.expiry.map(Ts::as_ms),
        if i.provisional { " provisional" } else { "" }
    )
}

fn event(event: &Event) -> String {
    let Event { instrument: i, channel, stamp, .. } = event;
    let at = stamp.ts_event.map_or("-".to_owned(), |ts| ts.as_ms().to_string());
    let mut text = format!("{} {}:{} {at} {}", channel.name(), i.product, i.symbol, body(i, &event.body));
    if matches!(event.body, Body::Instrument) {
        let _ = write!(text, " {}", instrument(i));
    }
    text
}

fn told(path: &Path) -> String {
    let body = std::fs::read(path).unwrap();
    if path.extension().is_some_and(|e| e == "json") {
        let rest = match stem(path).split('_').next().unwrap() {
            "spot" => "/api/v3/exchangeInfo",
            "usdm" => "/fapi/v1/exchangeInfo",
            _ => "/dapi/v1/exchangeInfo",
        };
        let made = Binance.define(rest, &body).unwrap().unwrap();
        return made.iter().map(|i| instrument(i) + "\n").collect();
    }
    let mut session = session(path);
    let mut text = String::new();
    for (n, line) in body.split(|b| *b == b'\n').filter(|line| !line.is_empty()).enumerate() {
        let mut out = Vec::new();
        feed(session.as_mut(), line, &mut out);
        let _ = writeln!(text, "line {}", n + 1);
        for action in &out {
            let words = match action {
                Action::Emit(e) => event(e),
                Action::Malformed(fault) => format!("malformed: {fault}"),
                other => format!("{other:?}"),
            };
            let _ = writeln!(text, "  {words}");
        }
    }
    text
}

#[test]
fn every_fixture_gives_its_golden_events() {
    let update = std::env::var_os("UPDATE").is_some();
    let mut wrong = Vec::new();
    for path in fixtures() {
        let golden = folder("golden").join(format!("{}.txt", stem(&path)));
        let text = told(&path);
        if update {
            std::fs::write(&golden, &text).unwrap();
        } else if std::fs::read_to_string(&golden).unwrap_or_default() != text {
            wrong.push(format!("{}:\n{text}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn cut_and_damaged_fixtures_never_panic_and_garbage_makes_no_event() {
    let mut rng = fastrand::Rng::with_seed(3);
    for path in fixtures() {
        let body = std::fs::read(&path).unwrap();
        let mut out = Vec::new();
        for line in body.split(|b| *b == b'\n') {
            let mut session = session(&path);
            feed(session.as_mut(), line, &mut out);
            for cut in 0..line.len().min(2_000) {
                feed(session.as_mut(), &line[..cut], &mut out);
                let mut damaged = line.to_vec();
                damaged[cut] = rng.u8(..);
                feed(session.as_mut(), &damaged, &mut out);
                let _ = Binance.define("/fapi/v1/exchangeInfo", &damaged);
                let _ = Binance.recognises(None, &damaged);
            }
            out.clear();
        }
    }
    let (mut session, mut out) = (Binance.session(&Shard::default()), Vec::new());
    for _ in 0..20_000 {
        let noise: Vec<u8> = (0..rng.usize(0..100)).map(|_| rng.u8(..)).collect();
        feed(session.as_mut(), &noise, &mut out);
    }
    assert!(!out.iter().any(|a| matches!(a, Action::Emit(_))));
}
