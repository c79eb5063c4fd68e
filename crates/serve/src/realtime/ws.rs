//! The WebSocket of this family: stocks and markets by subscription.
//!
//! Nothing waits for a client but the names of what has changed: it gets the newest quote of each when it is ready.

use super::record::{Number, Stock, seconds};
use crate::http::{Fail, Params};
use crate::listen::stopped;
use crate::one::{Changed, market, stock};
use crate::site::Site;
use crate::stream::{Place, admit};
use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::http::Uri;
use axum::response::Response;
use hashbrown::{HashMap, HashSet};
use model::InstrumentId;
use model::ashare::Market;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

/// How many records one message of a market holds.
const RECORDS_MAX: usize = 500;
/// How many pings may go unanswered.
const PINGS_MAX: u32 = 3;

/// The connection is over.
struct Gone;

struct Client {
    site: Arc<Site>,
    socket: WebSocket,
    /// Each with the code by which the client named it.
    stocks: HashMap<InstrumentId, String>,
    markets: BTreeSet<Market>,
    all: bool,
    changed: Receiver<Changed>,
    waiting: HashSet<InstrumentId>,
    bad: u32,
}

/// What is sent of a stock.
#[derive(Serialize)]
struct StockData<'a> {
    r#type: &'static str,
    stock_code: &'a str,
    data: &'a Stock,
    timestamp: Number,
}

/// What is sent of a market.
#[derive(Serialize)]
struct MarketData<'a> {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    market: Option<&'static str>,
    data: &'a [&'a Stock],
    timestamp: Number,
}

pub(super) async fn open(
    State(site): State<Arc<Site>>,
    uri: Uri,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Fail> {
    Params::of(&uri, &[])?;
    let (upgrade, place) = admit(&site, upgrade)?;
    Ok(upgrade.on_upgrade(move |socket| serve(socket, site, place)))
}

async fn serve(socket: WebSocket, site: Arc<Site>, place: Place) {
    let changed = site.one.listen();
    let mut client = Client {
        site,
        socket,
        stocks: HashMap::new(),
        markets: BTreeSet::new(),
        all: false,
        changed,
        waiting: HashSet::new(),
        bad: 0,
    };
    // Where the other side is gone there is nobody to tell.
    let _ = client.talk().await;
    drop(place);
}

impl Client {
    async fn talk(&mut self) -> Result<(), Gone> {
        let every = Duration::from_millis(self.site.config.ws_ping_ms.max(1));
        let mut pings = interval_at(Instant::now() + every, every);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut unanswered = 0;
        let mut stop = self.site.shutdown.clone();
        let mut stop = std::pin::pin!(stopped(&mut stop));
        loop {
            tokio::select! {
                message = self.socket.recv() => {
                    unanswered = 0;
                    self.on(message).await?;
                }
                changed = self.changed.recv() => {
                    match changed {
                        Ok(ids) => self.note(&ids),
                        Err(RecvError::Lagged(_)) => self.note_all(),
                        Err(RecvError::Closed) => return Ok(()),
                    }
                    self.deliver().await?;
                }
                _ = pings.tick() => {
                    unanswered += 1;
                    if unanswered > PINGS_MAX {
                        return Err(Gone);
                    }
                    self.write(Message::Ping(axum::body::Bytes::new())).await?;
                }
                () = stop.as_mut() => return self.close(1001, "the server is shutting down").await,
            }
        }
    }

    async fn close(&mut self, code: u16, reason: &'static str) -> Result<(), Gone> {
        let reason = Utf8Bytes::from_static(reason);
        self.write(Message::Close(Some(CloseFrame { code, reason }))).await?;
        Err(Gone)
    }

    async fn on(&mut self, message: Option<Result<Message, axum::Error>>) -> Result<(), Gone> {
        let max = self.site.config.ws_frame_bytes_max;
        let text = match message {
            Some(Ok(Message::Text(text))) if text.len() <= max => text,
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => return Ok(()),
            Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(Gone),
            Some(Ok(_)) => {
                return self
                    .refuse("bad_json", "send JSON of no more than the limit as a text message")
                    .await;
            }
        };
        let Ok(Value::Object(fields)) = serde_json::from_str(&text) else {
            return self.refuse("bad_json", "not a JSON object").await;
        };
        let word =
            |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default().trim().to_owned();
        let kind = word("type");
        match kind.as_str() {
            "subscribe_stock" | "unsubscribe_stock" => self.stock(&kind, word("stock_code")).await,
            "subscribe_market" | "unsubscribe_market" => self.market(&kind, word("market")).await,
            "ping" => {
                let timestamp = fields.get("timestamp").cloned().unwrap_or_default();
                self.say(&json!({ "type": "pong", "timestamp": timestamp })).await
            }
            _ => {
                let known = "subscribe_stock, unsubscribe_stock, subscribe_market, unsubscribe_market, ping";
                self.refuse("unknown_type", &format!("unknown type `{kind}`; known: {known}")).await
            }
        }
    }

    async fn stock(&mut self, kind: &str, code: String) -> Result<(), Gone> {
        let instrument = match stock(&self.site, &code) {
            Ok(instrument) => instrument,
            Err(why) => return self.refuse(why.word(), why.message()).await,
        };
        if kind == "unsubscribe_stock" {
            return match self.stocks.remove(&instrument.id) {
                Some(_) => self.say(&json!({ "type": "unsubscription_confirmed", "stock_code": code })).await,
                None => self.refuse("not_subscribed", &format!("`{code}` is not subscribed to")).await,
            };
        }
        let max = self.site.config.ws_subscriptions_max;
        if self.stocks.len() >= max && !self.stocks.contains_key(&instrument.id) {
            let message =
                format!("{max} stocks are subscribed to, more are not allowed; a market has no such limit");
            return self.refuse("too_many_subscriptions", &message).await;
        }
        self.say(&json!({ "type": "subscription_confirmed", "stock_code": code })).await?;
        self.stocks.insert(instrument.id, code);
        self.waiting.insert(instrument.id);
        self.deliver().await
    }

    async fn market(&mut self, kind: &str, name: String) -> Result<(), Gone> {
        let begins = kind == "subscribe_market";
        let which = if name.eq_ignore_ascii_case("all") { None } else { Some(market(&name)) };
        let was = match which {
            None => std::mem::replace(&mut self.all, begins),
            Some(Ok(market)) if begins => !self.markets.insert(market),
            Some(Ok(market)) => self.markets.remove(&market),
            Some(Err(why)) => return self.refuse(why.word(), why.message()).await,
        };
        if begins {
            self.say(&json!({ "type": "market_subscription_confirmed", "market": name })).await?;
            if !was {
                self.note_all();
                return self.deliver().await;
            }
            Ok(())
        } else if was {
            self.say(&json!({ "type": "market_unsubscription_confirmed", "market": name })).await
        } else {
            self.refuse("not_subscribed", &format!("market `{name}` is not subscribed to")).await
        }
    }

    async fn refuse(&mut self, code: &str, message: &str) -> Result<(), Gone> {
        self.site.metrics.serve.bad_requests.inc();
        self.bad += 1;
        self.say(&json!({ "type": "error", "error": code, "message": message })).await?;
        if self.bad > self.site.config.ws_bad_requests_max {
            return self.close(1008, "too many bad requests").await;
        }
        Ok(())
    }

    fn has_markets(&self) -> bool {
        self.all || !self.markets.is_empty()
    }

    fn note(&mut self, ids: &[InstrumentId]) {
        let wanted = |id: &&InstrumentId| self.has_markets() || self.stocks.contains_key(*id);
        let wanted: Vec<InstrumentId> = ids.iter().filter(wanted).copied().collect();
        self.waiting.extend(wanted);
    }

    /// Everything that is followed may have changed.
    fn note_all(&mut self) {
        self.waiting.extend(self.stocks.keys());
        if self.has_markets() {
            let site = Arc::clone(&self.site);
            self.waiting.extend(site.one.lock().quotes(site.now()).map(|q| q.instrument.id));
        }
    }

    /// Sends the newest quotes of what has changed.
    async fn deliver(&mut self) -> Result<(), Gone> {
        loop {
            match self.changed.try_recv() {
                Ok(ids) => self.note(&ids),
                Err(TryRecvError::Lagged(_)) => self.note_all(),
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        let now = self.site.now();
        let mut records: Vec<(InstrumentId, Market, Stock)> = Vec::new();
        {
            let one = self.site.one.lock();
            for id in self.waiting.drain() {
                records.extend(one.quote(id, None, now).map(|q| (id, q.code.market, Stock::new(&q))));
            }
        }
        let timestamp = || seconds(now);
        let mut texts = Vec::new();
        for (id, _, data) in &records {
            if let Some(stock_code) = self.stocks.get(id) {
                texts.push(text(&StockData {
                    r#type: "stock_data",
                    stock_code,
                    data,
                    timestamp: timestamp(),
                }));
            }
        }
        for market in &self.markets {
            let here: Vec<&Stock> = records.iter().filter(|r| r.1 == *market).map(|r| &r.2).collect();
            let market = Some(market.letters());
            texts.extend(here.chunks(RECORDS_MAX).map(|data| {
                text(&MarketData { r#type: "market_data", market, data, timestamp: timestamp() })
            }));
        }
        if self.all {
            let every: Vec<&Stock> = records.iter().map(|r| &r.2).collect();
            texts.extend(every.chunks(RECORDS_MAX).map(|data| {
                text(&MarketData { r#type: "all_market_data", market: None, data, timestamp: timestamp() })
            }));
        }
        drop(records);
        for text in texts {
            self.write(Message::Text(text)).await?;
        }
        Ok(())
    }

    async fn say(&mut self, value: &Value) -> Result<(), Gone> {
        self.write(Message::Text(value.to_string().into())).await
    }

    async fn write(&mut self, message: Message) -> Result<(), Gone> {
        let limit = Duration::from_millis(self.site.config.ws_send_timeout_ms);
        let bytes = if let Message::Text(text) = &message { text.len() } else { 0 };
        match timeout(limit, self.socket.send(message)).await {
            Ok(Ok(())) => {
                self.site.metrics.serve.messages.inc();
                self.site.metrics.serve.message_bytes.inc_by(bytes as u64);
                Ok(())
            }
            Ok(Err(_)) => Err(Gone),
            Err(_) => {
                self.site.metrics.serve.slow_closes.inc();
                Err(Gone)
            }
        }
    }
}

fn text(message: &impl Serialize) -> Utf8Bytes {
    serde_json::to_string(message).unwrap_or_default().into()
}
