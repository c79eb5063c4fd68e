//! The paths and messages of the push feed's services.

use crate::stocks::{stock, stocks};
use crate::world::{Client, NOW, World, config, http, soon, world_with};
use feed::SourceConfig;
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

impl World {
    async fn realtime(&self) -> Client {
        let (socket, _) = connect_async(format!("ws://{}/api/realtime/ws", self.at.http)).await.unwrap();
        Client { socket }
    }

    /// Offers the source `v` with one endpoint, as the platform does.
    fn offer(&self) -> watch::Receiver<SourceConfig> {
        const RATE: source::Rate = source::Rate { max: 1, per_ms: 1_000 };
        static SPEC: source::Spec = source::Spec {
            name: "v",
            docs: "",
            endpoints: &[source::Endpoint {
                name: "quotes",
                ws: "tcp://one.example:6380,tcp://two.example:6380",
                rest: "",
                connects: RATE,
                sends: RATE,
                weight: RATE,
                heartbeat_ms: 1_000,
                lifetime_ms: None,
            }],
            channels: &[],
            frame_bytes_max: 1,
        };
        self.desk.offer(&SPEC, SourceConfig { name: "v".to_owned(), ..SourceConfig::default() })
    }

    async fn post(&self, path: &str, body: &str) -> (u16, Value) {
        let head = "Host: x\r\nContent-Type: application/json";
        let request =
            format!("POST {path} HTTP/1.1\r\n{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        let answer = http(self.at.http, &request).await;
        assert!(!answer.body.contains("QT_"), "a token is never told: {}", answer.body);
        (answer.status, serde_json::from_str(&answer.body).unwrap())
    }
}

#[tokio::test]
async fn a_record_has_the_fields_of_the_old_service_and_exact_numbers() {
    let world = stocks().await;
    let (status, body) = world.get("/api/realtime/stock/SH600519").await;
    assert_eq!((status, &body["success"]), (200, &json!(true)));
    let data = &body["data"];
    for (field, want) in [
        ("stock_code", json!("600519")),
        ("stock_name", json!("贵州茅台")),
        ("market", json!("SH")),
        ("timestamp", json!(1_700_000_000)),
        ("current_price", json!(1408.51)),
        ("last_close", json!(1405.1)),
        ("volume", json!(2_187_600)),
        ("amount", json!(3_081_234_567_u64)),
        ("change", json!(3.41)),
        ("change_percent", json!(0.24)),
        ("limit_up", json!(1545.61)),
        ("turnover_rate", Value::Null),
        ("bid_prices", json!([1408.51, 1408.5, null, null, null])),
        ("ask_volumes", json!([300, null, null, null, null])),
    ] {
        assert_eq!(data[field], want, "{field} in {data}");
    }
    let (status, body) = world.get("/api/realtime/stock/600518").await;
    assert_eq!((status, body["detail"].is_string(), &body["success"]), (404, true, &json!(false)));
    assert_eq!(world.get("/api/realtime/stock/000001").await.0, 409);
}

#[tokio::test]
async fn the_stocks_of_a_market_are_ranked_without_indices() {
    let world = stocks().await;
    world.stats("a", &stock("600036.SH", "招商银行"), "40", "9000000", NOW);
    world.get_when("/api/realtime/market/SH/top", |b| b["count"] == 2).await;
    let (_, body) = world.get("/api/realtime/market/sh/top?metric=volume&count=1").await;
    assert_eq!((&body["count"], &body["data"][0]["stock_code"]), (&json!(1), &json!("600036")));
    let (_, body) = world.get("/api/realtime/market/SZ/summary").await;
    assert_eq!(body["data"]["market"], "SZ");
    assert_eq!(body["data"]["top_volume"][0]["stock_name"], "平安银行");
    assert_eq!(body["data"]["top_amount"].as_array().unwrap().len(), 1);
    assert_eq!(world.get("/api/realtime/market/HK/summary").await.0, 400);
    assert_eq!(world.get("/api/realtime/market/SH/top?metric=price").await.0, 400);
}

#[tokio::test]
async fn a_stream_of_events_gives_the_quote_and_then_its_changes() {
    let world = stocks().await;
    let mut socket = TcpStream::connect(world.at.http).await.unwrap();
    let request =
        "GET /api/realtime/stock/600519/stream?count=2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    let mut told = false;
    let mut bytes = [0; 4096];
    loop {
        let n = soon(socket.read(&mut bytes)).await.unwrap();
        if n == 0 {
            break;
        }
        text.push_str(str::from_utf8(&bytes[..n]).unwrap());
        if text.contains("1408.51") && !std::mem::replace(&mut told, true) {
            world.stats("a", &stock("600519.SH", "贵州茅台"), "1409", "2187700", NOW.plus_ms(3_000));
        }
    }
    assert!(text.contains("text/event-stream"), "{text}");
    let points: Vec<Value> =
        text.lines().filter_map(|l| serde_json::from_str(l.strip_prefix("data: ")?).ok()).collect();
    assert_eq!(points.len(), 2, "it ends after the number that was asked for: {text}");
    assert_eq!((&points[0]["price"], &points[1]["price"]), (&json!(1408.51), &json!(1409)));
    assert_eq!(points[1]["timestamp"], json!(1_700_000_003));
}

#[tokio::test]
async fn the_socket_follows_stocks_until_they_are_unsubscribed() {
    let world = stocks().await;
    let mut client = world.realtime().await;
    let confirmed = json!({ "type": "subscription_confirmed", "stock_code": "SH600519" });
    let subscribe = r#"{"type":"subscribe_stock","stock_code":"SH600519"}"#;
    assert_eq!(client.ask(subscribe).await, confirmed);
    let first = client.next().await;
    assert_eq!((&first["type"], &first["stock_code"]), (&json!("stock_data"), &json!("SH600519")));
    assert_eq!(first["data"]["current_price"], json!(1408.51));
    assert_eq!(client.ask(subscribe).await, confirmed, "a second time changes nothing");
    assert_eq!(client.next().await["type"], "stock_data");
    let maotai = stock("600519.SH", "贵州茅台");
    // The spare source says something else; what is served does not change by that.
    world.stats("b", &maotai, "1", "1", NOW.plus_ms(1_000));
    world.stats("a", &maotai, "1409", "2187700", NOW.plus_ms(3_000));
    let second = client.next().await;
    assert_eq!(
        (&second["type"], &second["data"]["current_price"]),
        (&json!("stock_data"), &json!(1409)),
        "once"
    );
    let unsubscribe = r#"{"type":"unsubscribe_stock","stock_code":"600519.SH"}"#;
    assert_eq!(client.ask(unsubscribe).await["type"], "unsubscription_confirmed");
    world.stats("a", &maotai, "1410", "2187800", NOW.plus_ms(6_000));
    assert_eq!(
        client.ask(r#"{"type":"ping","timestamp":7.5}"#).await,
        json!({ "type": "pong", "timestamp": 7.5 })
    );
    assert_eq!(client.ask(unsubscribe).await["error"], "not_subscribed");
}

#[tokio::test]
async fn the_socket_follows_a_market_or_all_of_them() {
    let world = stocks().await;
    let mut client = world.realtime().await;
    assert_eq!(
        client.ask(r#"{"type":"subscribe_market","market":"SZ"}"#).await["type"],
        "market_subscription_confirmed"
    );
    let first = client.next().await;
    assert_eq!((&first["type"], &first["market"]), (&json!("market_data"), &json!("SZ")));
    assert_eq!(
        (first["data"].as_array().unwrap().len(), &first["data"][0]["stock_code"]),
        (1, &json!("000001"))
    );
    assert_eq!(
        client.ask(r#"{"type":"unsubscribe_market","market":"SZ"}"#).await["type"],
        "market_unsubscription_confirmed"
    );
    assert_eq!(client.ask(r#"{"type":"subscribe_market","market":"all"}"#).await["market"], "all");
    let all = client.next().await;
    assert_eq!((&all["type"], all["data"].as_array().unwrap().len()), (&json!("all_market_data"), 3));
    world.stats("a", &stock("000001.SZ", "平安银行"), "11.63", "200", NOW.plus_ms(3_000));
    let change = client.next().await;
    assert_eq!(
        (change["data"].as_array().unwrap().len(), &change["data"][0]["current_price"]),
        (1, &json!(11.63))
    );
}

#[tokio::test]
async fn the_socket_tells_every_mistake_and_lives_on() {
    let world = stocks().await;
    let mut client = world.realtime().await;
    for (text, error) in [
        ("{", "bad_json"),
        ("[]", "bad_json"),
        ("{}", "unknown_type"),
        (r#"{"type":"subscribe"}"#, "unknown_type"),
        (r#"{"type":"subscribe_stock"}"#, "unknown_instrument"),
        (r#"{"type":"subscribe_stock","stock_code":"000001"}"#, "ambiguous_instrument"),
        (r#"{"type":"subscribe_market","market":"HK"}"#, "unknown_market"),
        (r#"{"type":"unsubscribe_market","market":"SH"}"#, "not_subscribed"),
    ] {
        let answer = client.ask(text).await;
        assert_eq!((&answer["type"], &answer["error"]), (&json!("error"), &json!(error)), "{text}: {answer}");
    }
    assert_eq!(client.ask(r#"{"type":"ping"}"#).await["type"], "pong");
    world.stop.send(true).unwrap();
    assert!(matches!(soon(client.socket.next()).await, Some(Ok(Message::Close(_)))));
}

#[tokio::test]
async fn address_and_token_are_changed_while_it_runs_and_the_token_is_never_told() {
    let named = serve::Config { realtime_source: "v".to_owned(), ..config() };
    let world = world_with(named, || NOW, bus::Config::default()).await;
    let (status, body) = world.get("/api/realtime/config").await;
    assert_eq!((status, &body["error"]), (404, &json!("no_source")), "nobody has offered it");
    let mut offered = world.offer();
    let (_, shown) = world.get("/api/realtime/config").await;
    assert_eq!((&shown["data"]["host"], &shown["data"]["token"]), (&json!("one.example"), &json!("")));
    let body = r#"{"host":"feed.example","port":6381,"token":"QT_0123456789abcdef"}"#;
    let (status, answer) = world.post("/api/realtime/start", body).await;
    assert_eq!((status, &answer["config"]["token"]), (200, &json!("***")), "{answer}");
    assert_eq!(
        (&answer["config"]["host"], &answer["config"]["port"]),
        (&json!("feed.example"), &json!(6381))
    );
    let now = offered.borrow_and_update().clone();
    assert_eq!(
        (now.hosts["quotes"].as_str(), now.login_key.bare()),
        ("tcp://feed.example:6381", "QT_0123456789abcdef")
    );
    assert_eq!(world.post("/api/realtime/config", r#"{"port":6382}"#).await.0, 200);
    assert_eq!(offered.borrow_and_update().hosts["quotes"], "tcp://feed.example:6382", "the rest stays");
    let (_, shown) = world.get("/api/realtime/config").await;
    assert_eq!((&shown["data"]["token"], &shown["data"]["port"]), (&json!("***"), &json!(6382)));
    for bad in [r#"{"port":0}"#, r#"{"host":"a b"}"#, r#"{"tokn":"QT_x"}"#, r#"{"token":7}"#, "QT_"] {
        let (status, body) = world.post("/api/realtime/config", bad).await;
        assert_eq!((status, &body["error"]), (400, &json!("bad_body")), "{bad}: {body}");
    }
    assert!(!offered.has_changed().unwrap());
    assert_eq!(world.post("/api/realtime/stop", "").await.0, 200);
    assert!(!offered.borrow_and_update().enabled);
    assert_eq!(world.get("/api/realtime/status").await.1["data"]["is_running"], false);
}

#[tokio::test]
async fn the_status_tells_what_comes_and_from_whom() {
    let world = stocks().await;
    let (_, body) = world.get("/api/realtime/status").await;
    let data = &body["data"];
    assert_eq!(
        (&data["is_running"], &data["is_connected"], &data["stock_count"]),
        (&json!(true), &json!(false), &json!(3))
    );
    assert_eq!(data["health"]["components"]["receiver"]["stats"][0]["source"], "a");
    assert_eq!(data["health"]["status"], "healthy");
    assert_eq!(world.get("/api/realtime/start").await.0, 405);
}
