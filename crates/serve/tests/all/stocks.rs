//! Chinese stocks of several sources as one.

use crate::world::{NOW, World, config, http, level, until, world, world_with};
use model::ashare::{self, Code, instant};
use model::{
    Body, Channel, Date, DayStats, Decimal, Event, Flags, Instrument, InstrumentKind, Levels, Px, Qty,
    RankRow, Ranking, Sector, Snapshot, SourceName, Stamp, Trade, TradeId, Ts,
};
use serde_json::{Value, json};
use std::sync::Arc;

pub fn stock(code: &str, title: &str) -> Arc<Instrument> {
    let made = ashare::instrument(Code::parse(code).unwrap(), title);
    Arc::new(Instrument { title: title.into(), ..made })
}

pub fn told(
    source: SourceName,
    instrument: &Arc<Instrument>,
    channel: Channel,
    body: Body,
    now: Ts,
) -> Event {
    let stamp = Stamp { ts_event: Some(now), ts_recv: now };
    Event { source, instrument: Arc::clone(instrument), channel, flags: Flags::NONE, stamp, body }
}

fn d(text: &str) -> Option<Decimal> {
    Decimal::parse(text.as_bytes()).ok()
}

impl World {
    /// What a source says of a stock: the last price and the shares of the day.
    pub fn stats(&self, source: SourceName, stock: &Arc<Instrument>, last: &str, volume: &str, now: Ts) {
        let stats = DayStats {
            open: d("1406"),
            high: d("1410"),
            low: d("1405"),
            last: d(last),
            volume: d(volume),
            turnover: d("3081234567"),
            prev_close: d("1405.1"),
            limit_up: d("1545.61"),
            limit_down: d("1264.59"),
            ..DayStats::default()
        };
        self.bus.publish(told(source, stock, Channel::DayStats, Body::DayStats(Box::new(stats)), now), now);
    }

    pub fn top(&self, source: SourceName, stock: &Arc<Instrument>, now: Ts) {
        let levels = Levels::from_sides(&[level(140_851, 200), level(140_850, 700)], &[level(140_860, 300)]);
        let body = Snapshot { seq: None, levels, checksum: None, epoch: 0 };
        self.bus.publish(told(source, stock, Channel::BookTop, Body::Snapshot(body), now), now);
    }

    /// Waits until a path answers as wanted.
    pub async fn get_when(&self, path: &str, good: impl Fn(&Value) -> bool) -> Value {
        let last = std::sync::Mutex::new(Value::Null);
        until(async || {
            let (_, body) = self.get(path).await;
            let done = good(&body);
            *last.lock().unwrap() = body;
            done
        })
        .await;
        last.into_inner().unwrap()
    }
}

pub async fn stocks() -> World {
    let world = world().await;
    let maotai = stock("600519.SH", "贵州茅台");
    world.stats("a", &maotai, "1408.51", "2187600", NOW);
    world.top("a", &maotai, NOW);
    world.stats("b", &maotai, "1408.5", "2187000", NOW);
    world.stats("a", &stock("000001.SZ", "平安银行"), "11.62", "100", NOW);
    world.stats("a", &stock("000001.SH", "上证指数"), "3900.12", "100", NOW);
    world.get_when("/api/v1/sources", |s| s["count"] == 2 && s["data"][0]["instruments"] == 3).await;
    world
}

#[tokio::test]
async fn a_quote_is_found_by_every_spelling_and_is_exact() {
    let world = stocks().await;
    for spelling in ["600519", "600519.SH", "SH600519", "sh.600519", "600519@sse", "sse:600519"] {
        let (status, body) = world.get(&format!("/api/v1/quotes?symbols={spelling}")).await;
        assert_eq!(
            (status, &body["success"], &body["source"]),
            (200, &json!(true), &json!("auto")),
            "{body}"
        );
        let row = &body["data"][0];
        for (field, want) in [
            ("symbol", json!("600519.SH")),
            ("code", json!("600519")),
            ("market", json!("SH")),
            ("name", json!("贵州茅台")),
            ("source", json!("a")),
            ("price", json!("1408.51")),
            ("last_close", json!("1405.1")),
            ("change", json!("3.41")),
            ("change_pct", json!("0.24")),
            ("volume", json!("2187600")),
            ("turnover", json!("3081234567")),
            ("limit_up", json!("1545.61")),
            ("bid1", json!("1408.51")),
            ("bid1_vol", json!("200")),
            ("bid2", json!("1408.5")),
            ("bid3", Value::Null),
            ("ask1_vol", json!("300")),
            ("late", json!(false)),
        ] {
            assert_eq!(row[field], want, "{field} in {row}");
        }
    }
}

#[tokio::test]
async fn mistakes_are_told_apart_and_spoil_nothing_else() {
    let world = stocks().await;
    let error = async |query: &str| {
        let (status, body) = world.get(&format!("/api/v1/quotes?{query}")).await;
        (status, body["error"].as_str().unwrap_or_default().to_owned(), body["suggestions"].clone())
    };
    let (status, code, both) = error("symbols=000001").await;
    assert_eq!((status, &*code, both), (409, "ambiguous_instrument", json!(["000001.SH", "000001.SZ"])));
    assert_eq!(error("symbols=600518").await.1, "unknown_instrument");
    assert_eq!(error("symbols=600519&source=c").await.1, "unknown_source");
    assert_eq!(error("symbols=000001.SZ&source=b").await.1, "not_collected");
    assert_eq!(error("source=a").await.1, "bad_parameter");
    let many: Vec<String> = (0..501).map(|n| format!("{n:06}")).collect();
    assert_eq!(error(&format!("symbols={}", many.join(","))).await.1, "too_many_symbols");
    let (status, body) = world.get("/api/v1/quotes?symbols=000001,600519,nothing").await;
    assert_eq!((status, &body["success"], &body["count"]), (200, &json!(false), &json!(1)));
    let words: Vec<&Value> = body["errors"].as_array().unwrap().iter().map(|e| &e["error"]).collect();
    assert_eq!(words, ["ambiguous_instrument", "unknown_instrument"]);
    assert_eq!(body["errors"][0]["symbol"], "000001");
}

#[tokio::test]
async fn a_named_source_is_obeyed_by_get_and_by_post() {
    let world = stocks().await;
    let (_, body) = world.get("/api/v1/quotes?symbols=600519&source=b").await;
    assert_eq!((&body["data"][0]["price"], &body["source"]), (&json!("1408.5"), &json!("b")));
    assert_eq!(body["data"][0]["levels_source"], "a", "b tells no levels");
    let wish = r#"{"symbols":["SH600519"],"source":"b"}"#;
    let head = "POST /api/v1/quotes HTTP/1.1\r\nHost: x\r\nContent-Type: application/json";
    let answer =
        http(world.at.http, &format!("{head}\r\nContent-Length: {}\r\n\r\n{wish}", wish.len())).await;
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!((answer.status, &body["data"][0]["source"]), (200, &json!("b")), "{body}");
}

#[tokio::test]
async fn sources_are_compared_field_by_field() {
    let world = stocks().await;
    let (_, body) = world.get("/api/v1/compare?symbols=600519.SH").await;
    let one = &body["data"][0];
    assert_eq!((&one["chosen"], &one["agree"]), (&json!("a"), &json!(false)), "{one}");
    assert_eq!((&one["spread"]["price"], &one["spread"]["volume"]), (&json!("0.01"), &json!("600")));
    assert_eq!(one["sources"][0]["differences"], json!({}));
    assert_eq!(one["sources"][1]["differences"], json!({ "price": "-0.01", "volume": "-600" }));
    let (_, body) = world.get("/api/v1/compare?symbols=000001.SZ").await;
    assert_eq!((&body["data"][0]["agree"], &body["count"]), (&json!(true), &json!(1)));
}

/// 2026-11-20 10:00 in Beijing, a Friday in trading hours.
fn morning() -> Ts {
    instant(Date::parse("2026-11-20").unwrap(), 10 * 3_600_000)
}

/// That morning, with as many seconds as the last digits of a port would give: set by the test.
fn moving() -> Ts {
    morning().plus_ms(CLOCK.load(std::sync::atomic::Ordering::Acquire))
}

static CLOCK: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);

#[tokio::test]
async fn when_a_source_stops_quotes_go_on_and_the_stream_of_findings_says_so() {
    let world = world_with(config(), moving, bus::Config::default()).await;
    let maotai = stock("600519.SH", "贵州茅台");
    for second in 0..=60 {
        let now = morning().plus_ms(second * 1_000);
        CLOCK.store(second * 1_000, std::sync::atomic::Ordering::Release);
        if second <= 30 {
            world.stats("best", &maotai, "1408.51", "2187600", now);
        }
        if second % 3 == 0 {
            world.stats("spare", &maotai, "1408.52", "2187700", now);
        }
        // Each round is taken in before the next one comes.
        let newest = now.0;
        if second <= 30 || second % 3 == 0 {
            let taken = |s: &Value| s["data"].as_array().unwrap().iter().any(|s| s["last_event"] == newest);
            world.get_when("/api/v1/sources", taken).await;
        }
    }
    let served = |q: &Value| q["data"][0]["source"] == "spare";
    world.get_when("/api/v1/quotes?symbols=600519", served).await;
    let found = world.get_when("/api/v1/findings?check=source_switch", |f| f["count"] == 1).await;
    let what = &found["findings"][0];
    assert_eq!(what["what"], "1 instrument now from spare instead of best", "{found}");
    assert_eq!((&what["source"], &what["samples"]), (&json!("best"), &json!(["600519.SH"])));
    let found = world.get_when("/api/v1/findings?check=breaker", |f| f["count"] == 1).await;
    assert_eq!(found["findings"][0]["source"], "best", "{found}");
    let sources = world.get("/api/v1/sources").await.1;
    let best = sources["data"].as_array().unwrap().iter().find(|s| s["source"] == "best").unwrap();
    assert_eq!(
        (&best["breaker"], &best["available"], &best["period_ms"]),
        (&json!("open"), &json!(false), &json!(1000))
    );
}

#[tokio::test]
async fn hot_lists_and_concepts_are_told_with_prices_and_members() {
    let world = stocks().await;
    let list = |name: &str| Arc::new(Instrument::provisional("a", "list", name, InstrumentKind::Index));
    let row = |name: &str, value: &str| RankRow {
        name: name.into(),
        title: "".into(),
        value: d(value),
        rise: Some(2),
    };
    for (name, rows) in [
        ("rising", vec![row("000001.SZ", "9")]),
        ("hot_hour", vec![row("600519.SH", "812345"), row("000001.SZ", "5")]),
    ] {
        let body = Body::Ranking(Box::new(Ranking { list: name.into(), rows }));
        world.bus.publish(told("a", &list(name), Channel::Rankings, body, NOW), NOW);
    }
    let (_, hot) = world.get("/api/v1/hot-stocks?count=1").await;
    assert_eq!(
        (&hot["list"], &hot["count"], &hot["lists"]),
        (&json!("hot_hour"), &json!(1), &json!(["hot_hour", "rising"]))
    );
    let first = &hot["data"][0];
    assert_eq!(
        (&first["rank"], &first["code"], &first["name"]),
        (&json!(1), &json!("600519"), &json!("贵州茅台"))
    );
    assert_eq!(
        (&first["hot_value"], &first["price"], &first["change_pct"]),
        (&json!("812345"), &json!("1408.51"), &json!("0.24"))
    );
    assert_eq!(world.get("/api/v1/hot-stocks?list=rising").await.1["data"][0]["symbol"], "000001.SZ");
    assert_eq!(world.get("/api/v1/hot-stocks?list=none").await.0, 404);
    for (code, of, title, members) in [
        ("881155", "concept", "白酒", vec!["600519.SH"]),
        ("881156", "concept", "银行", vec!["000001.SZ", "600036.SH"]),
        ("1", "region", "贵州", vec!["600519.SH"]),
    ] {
        let members = members.into_iter().map(Box::from).collect();
        let body = Body::Sector(Box::new(Sector { of: of.into(), title: title.into(), members }));
        world.bus.publish(told("a", &list(code), Channel::Sectors, body, NOW), NOW);
    }
    let (_, all) = world.get("/api/v1/concepts").await;
    assert_eq!(
        (&all["count"], &all["data"][0]["name"], &all["data"][0]["count"]),
        (&json!(2), &json!("银行"), &json!(2))
    );
    let (_, one) = world.get("/api/v1/concepts?member=600519").await;
    assert_eq!((&one["count"], &one["data"][0]["members"]), (&json!(1), &json!(["600519.SH"])));
    assert_eq!(world.get("/api/v1/concepts?of=region").await.1["data"][0]["name"], "贵州");
}

#[tokio::test]
async fn the_market_is_open_by_the_calendar_and_the_board() {
    let world = world_with(
        config(),
        || instant(Date::parse("2026-11-20").unwrap(), 15 * 3_600_000 + 600_000),
        bus::Config::default(),
    )
    .await;
    let (_, body) = world.get("/api/v1/market-status").await;
    let data = &body["data"];
    assert_eq!((&data["is_open"], &data["local_time"]), (&json!(false), &json!("2026-11-20 15:10:00")));
    let phase = |n: usize| {
        (data["markets"][n]["market"].as_str().unwrap(), data["markets"][n]["phase"].as_str().unwrap())
    };
    assert_eq!((phase(1), phase(4)), (("SH", "after_hours"), ("BJ", "closed")));
    assert_eq!((&data["trading_date"], &data["is_trading_day"]), (&json!(20_261_120), &json!(true)));
    let monday = instant(Date::parse("2026-11-23").unwrap(), (9 * 60 + 15) * 60_000);
    assert_eq!(data["next_open"], monday.as_ms());
}

#[tokio::test]
async fn the_old_paths_find_stocks_by_their_codes_and_lanes_by_any_spelling() {
    let world = stocks().await;
    for path in ["sse/600519", "sse/SH600519", "SH/600519", "sse/600519.SH"] {
        let (status, book) = world.get(&format!("/api/v1/orderbook/{path}")).await;
        assert_eq!(
            (status, &book["best_bid"], &book["source"]),
            (200, &json!("1408.51"), &json!("a")),
            "{path}: {book}"
        );
    }
    for text in ["600519", "600519.SH", "SH600519"] {
        let (_, lanes) = world.get(&format!("/api/v1/lanes?instrument={text}&channel=day_stats")).await;
        assert_eq!(lanes["count"], 2, "{text}: {lanes}");
    }
    let (_, found) = world.get("/api/v1/symbols?search=%E8%8C%85%E5%8F%B0").await;
    assert_eq!(found["symbols"], json!(["600519.SH"]));
}

#[tokio::test]
async fn trades_are_those_of_the_source_that_is_named_or_told_the_newest() {
    let world = stocks().await;
    let maotai = stock("600519.SH", "贵州茅台");
    for (source, id, ms) in [("b", 1, 0), ("a", 2, 1), ("b", 3, 2), ("a", 4, 3)] {
        let body = Trade { id: TradeId::Num(id), px: Px(1), qty: Qty(1), aggressor: None, count: 1 };
        let now = NOW.plus_ms(ms);
        world.bus.publish(told(source, &maotai, Channel::Trades, Body::Trade(body), now), now);
    }
    for (query, wanted) in [("", ["2", "4"]), ("?source=a", ["2", "4"]), ("?source=b", ["1", "3"])] {
        let (_, answer) = world.get(&format!("/api/v1/trades/sse/600519{query}")).await;
        let ids: Vec<&Value> = answer["trades"].as_array().unwrap().iter().map(|t| &t["id"]).collect();
        assert_eq!(ids, wanted, "{query}");
    }
    let (status, answer) = world.get("/api/v1/trades/sse/600519?source=c").await;
    assert_eq!((status, &answer["error"]), (404, &json!("not_collected")));
}
