//! The stream: books that can be rebuilt, conflation, resuming.

use crate::world::{Client, OWN_READERS, World, config, level, spot, until, world, world_with};
use model::Instrument;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A book as a client keeps it that knows `docs/protocol.md` only.
#[derive(Default)]
struct Rebuilt {
    seq: Value,
    bids: BTreeMap<String, String>,
    asks: BTreeMap<String, String>,
}

impl Rebuilt {
    fn on(&mut self, event: &Value) {
        match event["kind"].as_str() {
            Some("snapshot") => *self = Self::default(),
            Some("delta") => assert_eq!(self.seq, event["prev_seq"], "the chain holds: {event}"),
            other => panic!("{other:?} is no change of a book"),
        }
        for (side, levels) in [(&mut self.bids, &event["bids"]), (&mut self.asks, &event["asks"])] {
            for row in levels.as_array().unwrap() {
                let (px, qty) = (row[0].as_str().unwrap(), row[1].as_str().unwrap());
                if qty == "0" {
                    side.remove(px);
                } else {
                    side.insert(px.to_owned(), qty.to_owned());
                }
            }
        }
        self.seq = event["seq"].clone();
    }

    async fn assert_is_what_rest_gives(&self, world: &World) {
        let (_, book) = world.get("/api/v1/orderbook/v/BTC/USDT?depth=5000").await;
        assert_eq!(book["seq"], self.seq);
        let side = |name: &str| -> BTreeMap<String, String> {
            let rows = book[name].as_array().unwrap().iter();
            rows.map(|r| (r[0].as_str().unwrap().to_owned(), r[1].as_str().unwrap().to_owned())).collect()
        };
        assert_eq!((side("bids"), side("asks")), (self.bids.clone(), self.asks.clone()));
    }
}

const BOOK: &str = r#"{"op":"subscribe","id":1,"instruments":["BTC/USDT@v"],"channels":["book"]}"#;

async fn with_book() -> (World, Arc<Instrument>) {
    let world = world().await;
    let btc = spot("BTC", "USDT");
    world.snapshot(
        &btc,
        100,
        &[level(10_000, 1_000), level(9_990, 5)],
        &[level(10_010, 7), level(10_020, 9)],
    );
    (world, btc)
}

/// Reads events until that `seq` is reached.
async fn follow(client: &mut Client, book: &mut Rebuilt, seq: u64) {
    while book.seq != seq {
        let message = client.next().await;
        assert_eq!(message["type"], "event", "{message}");
        book.on(&message);
    }
}

#[tokio::test]
async fn a_book_rebuilt_from_the_stream_is_the_book_that_rest_gives() {
    let (world, btc) = with_book().await;
    let mut client = world.client().await;
    let subscribed = client.ask(BOOK).await;
    assert_eq!((&subscribed["type"], &subscribed["id"]), (&json!("subscribed"), &json!(1)));
    let lane = &subscribed["lanes"][0];
    assert_eq!(
        (&lane["instrument"], &lane["channel"], &lane["state"], &lane["book_state"], &lane["book_epoch"]),
        (&json!("BTC/USDT@v"), &json!("book"), &json!("live"), &json!("live"), &json!(1))
    );
    let mut book = Rebuilt::default();
    for seq in 101..=600 {
        let px = 9_000 + (seq as i64 * 7_919) % 1_000;
        world.delta(&btc, seq, &[level(px, seq as i64 % 3)], &[level(px + 2_000, seq as i64 % 4)]);
        if seq % 37 == 0 {
            follow(&mut client, &mut book, seq).await;
        }
    }
    follow(&mut client, &mut book, 600).await;
    book.assert_is_what_rest_gives(&world).await;
}

#[tokio::test]
async fn a_gap_is_told_and_a_snapshot_follows() {
    let (world, btc) = with_book().await;
    let mut client = world.client().await;
    client.ask(BOOK).await;
    let first = client.next().await;
    assert_eq!((&first["state"], &first["flags"]), (&json!("live"), &json!(["last_value"])));
    world.gap(&btc);
    let gap = client.next().await;
    assert_eq!(
        (&gap["kind"], &gap["state"], &gap["cause"]),
        (&json!("gap"), &json!("gap"), &json!("sequence"))
    );
    world.snapshot(&btc, 200, &[level(1, 1)], &[]);
    let again = client.next().await;
    assert_eq!(
        (&again["kind"], &again["state"], &again["seq"]),
        (&json!("snapshot"), &json!("live"), &json!(200))
    );
    let mut late = world.client().await;
    world.gap(&btc);
    let subscribed = late.ask(BOOK).await;
    assert_eq!(subscribed["lanes"][0]["book_state"], "gap", "{subscribed}");
}

#[tokio::test]
async fn with_a_depth_a_book_comes_as_its_best_levels() {
    let (world, btc) = with_book().await;
    let mut client = world.client().await;
    let text = r#"{"op":"subscribe","instrument":"v:BTCUSDT","channel":"book","depth":1}"#;
    assert_eq!(client.ask(text).await["lanes"][0]["depth"], 1);
    let first = client.next().await;
    assert_eq!((&first["depth"], &first["bids"]), (&json!(1), &json!([["100", "1"]])));
    world.delta(&btc, 101, &[level(10_005, 20)], &[]);
    let next = client.next().await;
    assert_eq!((&next["kind"], &next["seq"]), (&json!("snapshot"), &json!(101)));
    assert_eq!((&next["bids"], &next["asks"]), (&json!([["100.05", "0.02"]]), &json!([["100.1", "0.007"]])));
    world.gap(&btc);
    assert_eq!(client.next().await["kind"], "gap");
    let other = text.replace("\"depth\":1", "\"depth\":2");
    assert_eq!(client.ask(other.clone()).await["code"], "bad_depth");
    client.ask(r#"{"op":"subscribe","instrument":"v:BTCUSDT","channel":"trades"}"#).await;
    assert_eq!(client.ask(text).await["type"], "subscribed");
    client.ask(r#"{"op":"unsubscribe","instrument":"v:BTCUSDT","channel":"book"}"#).await;
    assert_eq!(client.ask(other).await["lanes"][0]["depth"], 2);
}

#[tokio::test]
async fn what_the_client_is_too_slow_for_is_conflated_and_counted_and_trades_are_not() {
    let (world, btc) = with_book().await;
    let mut client = world.client().await;
    let text = r#"{"op":"subscribe","instruments":["BTC/USDT@v"],"channels":["quote","trades"],
        "policy":{"sample":10000}}"#;
    client.ask(text).await;
    world.quote(&btc, 1);
    assert_eq!(client.next().await["kind"], "quote");
    let mut fast = world.client().await;
    fast.ask(r#"{"op":"subscribe","instruments":["BTC/USDT@v"],"channels":["quote","trades"]}"#).await;
    assert_eq!(fast.next().await["flags"], json!(["last_value"]));
    // Nobody else runs between these, so that the fast client's task sees all of them at once.
    for n in 2..=20 {
        world.quote(&btc, n);
        world.trade(&btc, n as u64);
    }
    let mut trades = 0;
    loop {
        let message = fast.next().await;
        if message["kind"] == "trade" {
            trades += 1;
            assert_eq!(message["conflated"], Value::Null);
        } else {
            assert_eq!((&message["bid"][0], &message["conflated"]), (&json!("0.2"), &json!(18)), "{message}");
        }
        if trades == 19 {
            break;
        }
    }
}

#[tokio::test]
async fn who_comes_back_gets_just_what_was_missed() {
    let (world, btc) = with_book().await;
    let mut client = world.client().await;
    client.ask(BOOK).await;
    let mut book = Rebuilt::default();
    world.delta(&btc, 101, &[level(9_000, 1)], &[]);
    follow(&mut client, &mut book, 101).await;
    let number = world.bus.cursor().number;
    drop(client);
    world.delta(&btc, 102, &[level(9_001, 1)], &[]);
    world.delta(&btc, 103, &[level(9_000, 0)], &[]);
    let mut client = world.client().await;
    let epoch = world.bus.cursor().epoch;
    let from = |epoch: u64, number: u64| {
        format!(
            r#"{{"op":"subscribe","instruments":["BTC/USDT@v"],"channels":["book"],
            "from":{{"epoch":{epoch},"number":{number}}}}}"#
        )
    };
    assert_eq!(client.ask(from(epoch, number)).await["type"], "subscribed");
    let first = client.next().await;
    assert_eq!((&first["kind"], &first["prev_seq"]), (&json!("delta"), &json!(101)), "{first}");
    book.on(&first);
    follow(&mut client, &mut book, 103).await;
    book.assert_is_what_rest_gives(&world).await;
    let mut other_life = world.client().await;
    other_life.ask(from(epoch - 1, number)).await;
    let skipped = other_life.next().await;
    assert_eq!((&skipped["type"], &skipped["why"]), (&json!("skipped"), &json!("epoch")));
    assert_eq!(other_life.next().await["kind"], "snapshot");
}

#[tokio::test]
async fn what_is_no_longer_kept_is_told_as_skipped() {
    let bus = bus::Config { window: 4, ..bus::Config::default() };
    let world = world_with(config(), || crate::world::NOW, bus).await;
    let btc = spot("BTC", "USDT");
    for id in 1..=9 {
        world.trade(&btc, id);
    }
    let mut client = world.client().await;
    let epoch = world.bus.cursor().epoch;
    let text = format!(
        r#"{{"op":"subscribe","instruments":["BTC/USDT@v"],"channels":["trades"],
        "from":{{"epoch":{epoch},"number":2}}}}"#
    );
    client.ask(text).await;
    let skipped = client.next().await;
    assert_eq!(
        (&skipped["type"], &skipped["from"], &skipped["to"], &skipped["why"], &skipped["epoch"]),
        (&json!("skipped"), &json!(3), &json!(9), &json!("window"), &json!(epoch))
    );
}

#[tokio::test]
async fn a_client_past_its_queue_is_told_how_much_it_lost() {
    let config = serve::Config { ws_queue_max: 8, ..config() };
    let world = world_with(config, || crate::world::NOW, bus::Config::default()).await;
    let btc = spot("BTC", "USDT");
    world.define(&btc);
    let mut client = world.client().await;
    client.ask(r#"{"op":"subscribe","instruments":["BTC/USDT@v"],"channels":["trades"]}"#).await;
    for id in 1..=50 {
        world.trade(&btc, id);
    }
    let skipped = client.next().await;
    assert_eq!((&skipped["type"], &skipped["why"]), (&json!("skipped"), &json!("slow")), "{skipped}");
    assert_eq!((&skipped["from"], &skipped["to"], &skipped["count"]), (&json!(2), &json!(51), &json!(50)));
    assert_eq!(client.next().await["id"], "50");
}

#[tokio::test]
async fn lanes_can_be_added_listed_and_taken_off() {
    let (world, btc) = with_book().await;
    world.define(&spot("ETH", "USDT"));
    let mut client = world.client().await;
    client.ask(BOOK).await;
    client.next().await;
    let text = r#"{"op":"subscribe","id":"b","instruments":["ETH/USDT@v"],"channels":["trades","quote"]}"#;
    let more = client.ask(text).await;
    assert_eq!((&more["id"], &more["lanes"][0]["state"]), (&json!("b"), &json!("off")), "{more}");
    let list = client.ask(r#"{"op":"list"}"#).await;
    assert_eq!((&list["count"], &list["policy"]), (&json!(3), &json!("conflate")), "{list}");
    let text = r#"{"op":"unsubscribe","id":2,"instruments":["BTC/USDT@v"]}"#;
    let less = client.ask(text).await;
    assert_eq!((&less["type"], &less["left"]), (&json!("unsubscribed"), &json!(2)));
    world.delta(&btc, 101, &[level(1, 1)], &[]);
    world.trade(&spot("ETH", "USDT"), 5);
    assert_eq!(client.next().await["kind"], "trade");
    let pong = client.ask(r#"{"op":"ping","id":3}"#).await;
    assert_eq!(
        (&pong["type"], &pong["id"], &pong["ts"]),
        (&json!("pong"), &json!(3), &json!(crate::world::NOW.0))
    );
    drop(client);
    until(|| async { world.bus.readers() == OWN_READERS }).await;
}
