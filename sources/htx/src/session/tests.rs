use super::*;
use crate::listing;
use crate::product::Product;
use model::{Body, Event};
use source::{Options, Want};
use std::sync::Arc;

const START: Ts = Ts::from_ms(1_760_000_000_000);

fn want(symbol: &str, channel: Channel) -> Want {
    let product = Product::of(symbol.as_bytes()).unwrap();
    let mut made = listing::provisional(product, symbol.as_bytes()).unwrap();
    (made.px_scale, made.qty_scale) = (1, if product.spot() { 4 } else { 0 });
    Want { instrument: Arc::new(made), channel }
}

struct World {
    session: HtxSession,
    now: Ts,
    out: Vec<Action>,
}

impl World {
    fn new(path: Option<&str>, wants: Vec<Want>) -> Self {
        let shard = Shard { endpoint: 0, path: path.map(str::to_owned), wants, options: Options::default() };
        let mut world = Self { session: HtxSession::new(&shard), now: START, out: Vec::new() };
        world.tell(Input::Open);
        world
    }

    fn tell(&mut self, input: Input<'_>) {
        self.out.clear();
        self.session.on(input, self.now, &mut self.out);
    }

    fn frame(&mut self, text: &str) {
        self.tell(Input::Frame { bytes: text.as_bytes(), binary: false });
    }

    fn pass(&mut self, ms: u64) {
        self.now = self.now.plus_ms(ms);
        self.tell(Input::Wake { timer: TIMER_CHORES });
    }

    fn ack(&mut self, topic: &str) {
        self.frame(&format!(r#"{{"id":"s0","status":"ok","subbed":"{topic}","ts":1760000000000}}"#));
    }

    /// A change of a spot book.
    fn change(&mut self, symbol: &str, prev: u64, seq: u64) {
        self.frame(&format!(
            r#"{{"ch":"market.{symbol}.mbp.150","ts":1760000002101,"tick":{{"seqNum":{seq},"prevSeqNum":{prev},"bids":[[64010.1,0]],"asks":[[6.40102E4,2.5]]}}}}"#
        ));
    }

    /// A spot book that was asked for.
    fn answer(&mut self, symbol: &str, seq: u64) {
        self.frame(&format!(
            r#"{{"id":"r0","rep":"market.{symbol}.mbp.150","status":"ok","ts":1760000002150,"data":{{"seqNum":{seq},"bids":[[64010.1,0.9]],"asks":[[64010.2,1.5]]}}}}"#
        ));
    }

    /// A push of a contract's book.
    fn push(&mut self, symbol: &str, event: &str, version: u64) {
        self.frame(&format!(
            r#"{{"ch":"market.{symbol}.depth.size_150.high_freq","tick":{{"asks":[[64010.2,206]],"bids":[],"ch":"x","event":"{event}","id":9,"mrid":9,"ts":1760000003100,"version":{version}}},"ts":1760000003101}}"#
        ));
    }

    fn sent(&self) -> Vec<String> {
        let sent = |a: &Action| match a {
            Action::Send(bytes) => Some(String::from_utf8(bytes.clone()).unwrap()),
            _ => None,
        };
        self.out.iter().filter_map(sent).collect()
    }

    fn events(&self) -> Vec<&Event> {
        let mut all = Vec::new();
        for action in &self.out {
            if let Action::Emit(event) = action {
                all.push(event);
            }
        }
        all
    }

    /// What was told of books and lanes, in short.
    fn told(&self) -> Vec<String> {
        let short = |e: &&Event| {
            let what = match &e.body {
                Body::Snapshot(s) => format!("snapshot {}", s.seq.unwrap_or(0)),
                Body::Delta(d) => format!("delta {}-{}", d.prev_seq.unwrap_or(0), d.seq.unwrap_or(0)),
                Body::Gap(g) => format!("gap {}", g.cause.name()),
                Body::Lane(LaneFact::Asked { .. }) => "asked".to_owned(),
                Body::Lane(LaneFact::Acked) => "acked".to_owned(),
                Body::Lane(LaneFact::Dropped) => "dropped".to_owned(),
                Body::Lane(LaneFact::Refused(words)) => format!("refused {words}"),
                Body::Lane(LaneFact::Syncing(_)) => "syncing".to_owned(),
                _ => e.channel.name().to_owned(),
            };
            format!("{} {what}", e.instrument.symbol)
        };
        self.events().iter().map(short).collect()
    }
}

const BTC: &str = "market.btcusdt.mbp.150";

/// A live spot book at 1001.
fn live() -> World {
    let mut world = World::new(Some("/feed"), ["btcusdt", "ethusdt"].map(|s| want(s, Channel::Book)).into());
    for symbol in ["btcusdt", "ethusdt"] {
        world.ack(&format!("market.{symbol}.mbp.150"));
        world.change(symbol, 900, 1_001);
        world.answer(symbol, 1_001);
        assert_eq!(world.told(), [format!("{symbol} snapshot 1001")]);
    }
    world
}

#[test]
fn a_spot_book_is_asked_for_on_the_same_connection_once_changes_come() {
    let mut world = World::new(Some("/feed"), vec![want("btcusdt", Channel::Book)]);
    assert_eq!(world.sent(), [format!(r#"{{"sub":"{BTC}","id":"s0"}}"#)]);
    assert_eq!(world.told(), ["btcusdt asked"]);
    world.ack(BTC);
    assert_eq!(world.told(), ["btcusdt acked", "btcusdt syncing"]);
    assert!(world.sent().is_empty());
    world.change("btcusdt", 900, 1_000);
    assert_eq!(world.told(), ["btcusdt syncing"]);
    world.change("btcusdt", 1_000, 1_001);
    world.pass(250);
    assert_eq!(world.sent(), [format!(r#"{{"req":"{BTC}","id":"r0"}}"#)]);
    world.change("btcusdt", 1_001, 1_007);
    world.answer("btcusdt", 1_000);
    assert_eq!(world.told(), ["btcusdt snapshot 1000", "btcusdt delta 1000-1001", "btcusdt delta 1001-1007"]);
    world.change("btcusdt", 1_007, 1_010);
    assert_eq!(world.told(), ["btcusdt delta 1007-1010"]);
}

#[test]
fn an_answer_that_is_too_old_is_asked_for_again_and_a_quiet_book_is_taken_after_a_while() {
    let mut world = World::new(Some("/feed"), vec![want("btcusdt", Channel::Book)]);
    world.ack(BTC);
    world.change("btcusdt", 1_000, 1_001);
    world.answer("btcusdt", 999);
    assert!(world.told().is_empty());
    world.pass(250);
    assert_eq!(world.sent(), [format!(r#"{{"req":"{BTC}","id":"r0"}}"#)]);
    world.answer("btcusdt", 1_001);
    assert_eq!(world.told(), ["btcusdt snapshot 1001"]);

    let mut world = World::new(Some("/feed"), vec![want("btcusdt", Channel::Book)]);
    world.ack(BTC);
    world.answer("btcusdt", 5);
    assert!(world.told().is_empty(), "no change shows yet that it fits");
    world.pass(3_000);
    assert_eq!(world.told(), ["btcusdt snapshot 5"]);
    world.change("btcusdt", 5, 9);
    assert_eq!(world.told(), ["btcusdt delta 5-9"]);
}

#[test]
fn requests_are_paced_and_one_that_is_denied_is_made_again() {
    let symbols = ["aausdt", "bbusdt", "ccusdt"];
    let mut world = World::new(Some("/feed"), symbols.map(|s| want(s, Channel::Book)).into());
    for symbol in symbols {
        world.ack(&format!("market.{symbol}.mbp.150"));
    }
    let mut asked = Vec::new();
    for _ in 0..10 {
        world.pass(60);
        asked.extend(world.sent().iter().map(|_| world.now.ms_since(START)));
    }
    assert_eq!(asked.len(), 3);
    assert!(asked.windows(2).all(|w| w[1] - w[0] >= 100), "{asked:?}");
    world.frame(
        r#"{"status":"error","ts":1,"id":"r1","err-code":"bad-request","err-msg":"429 too many request"}"#,
    );
    world.pass(260);
    assert_eq!(world.sent(), [r#"{"req":"market.bbusdt.mbp.150","id":"r1"}"#]);
}

#[test]
fn a_hole_is_a_gap_of_that_book_alone_and_only_the_book_is_asked_for_again() {
    let mut world = live();
    world.change("btcusdt", 1_002, 1_003);
    assert_eq!(world.told(), ["btcusdt gap sequence", "btcusdt syncing"]);
    assert_eq!(world.sent(), [format!(r#"{{"req":"{BTC}","id":"r0"}}"#)]);
    world.change("ethusdt", 1_001, 1_002);
    assert_eq!(world.told(), ["ethusdt delta 1001-1002"]);
    world.change("btcusdt", 1_003, 1_004);
    world.answer("btcusdt", 1_003);
    assert_eq!(world.told(), ["btcusdt snapshot 1003", "btcusdt delta 1003-1004"]);
    // Lately started again, it has to wait.
    world.change("btcusdt", 1_005, 1_006);
    assert!(world.sent().is_empty());
    world.pass(1_001);
    assert_eq!(world.sent().len(), 1);
}

#[test]
fn a_contracts_book_begins_with_its_push_and_starts_again_by_a_new_subscription() {
    let topic = "market.BTC-USDT.depth.size_150.high_freq";
    let wants = ["BTC-USDT", "ETH-USDT"].map(|s| want(s, Channel::Book)).into();
    let mut world = World::new(Some("/linear-swap-ws"), wants);
    assert_eq!(world.sent()[0], format!(r#"{{"sub":"{topic}","data_type":"incremental","id":"s0"}}"#));
    world.push("BTC-USDT", "update", 6);
    assert_eq!(world.told(), ["BTC-USDT syncing"]);
    world.ack(topic);
    world.push("BTC-USDT", "snapshot", 7);
    assert_eq!(world.told(), ["BTC-USDT snapshot 7"]);
    world.push("BTC-USDT", "update", 8);
    assert_eq!(world.told(), ["BTC-USDT delta 7-8"]);
    world.push("ETH-USDT", "snapshot", 70);
    world.push("BTC-USDT", "update", 10);
    assert_eq!(world.told(), ["BTC-USDT gap sequence", "BTC-USDT syncing"]);
    let again = [("unsub", "u0"), ("sub", "s0")]
        .map(|(word, id)| format!(r#"{{"{word}":"{topic}","data_type":"incremental","id":"{id}"}}"#));
    assert_eq!(world.sent(), again);
    world.push("BTC-USDT", "update", 11);
    assert!(world.told().is_empty());
    world.push("ETH-USDT", "update", 71);
    assert_eq!(world.told(), ["ETH-USDT delta 70-71"]);
    world.push("BTC-USDT", "snapshot", 12);
    assert_eq!(world.told(), ["BTC-USDT snapshot 12"]);
    // The acknowledgement was lost: that is no reason to disturb a book that lives.
    world.pass(11_000);
    assert!(!world.sent().iter().any(|s| s.contains("BTC-USDT")), "{:?}", world.sent());
}

#[test]
fn a_frame_of_a_book_that_cannot_be_read_harms_it_alone_and_one_of_nobody_harms_all() {
    let mut world = live();
    world.frame(&format!(r#"{{"ch":"{BTC}","ts":1,"tick":{{"seqNum":1002,"prevSeqNum":1001,"bids":[[x"#));
    assert_eq!(world.told(), ["btcusdt gap malformed", "btcusdt syncing"]);
    let mut world = live();
    world.tell(Input::Frame { bytes: b"\x1f\x8b\x08damaged", binary: true });
    assert_eq!(
        world.told(),
        ["btcusdt gap malformed", "btcusdt syncing", "ethusdt gap malformed", "ethusdt syncing"]
    );
    let mut world = live();
    world.frame(r#"{"ch":"market.btcusdt.trade.detail","ts":1,"tick":{"data":[{"#);
    assert!(world.told().is_empty(), "{:?}", world.told());
}

#[test]
fn pings_are_answered_with_their_own_number_in_their_own_form() {
    let mut world = World::new(Some("/ws"), vec![want("btcusdt", Channel::Trades)]);
    world.frame(r#"{"ping":1760000005000}"#);
    assert_eq!(world.sent(), [r#"{"pong":1760000005000}"#]);
    world.frame(r#"{"op":"ping","ts":"1760000005001"}"#);
    assert_eq!(world.sent(), [r#"{"op":"pong","ts":"1760000005001"}"#]);
    world.frame(r#"{"op":"close","ts":1760000005002}"#);
    assert!(world.out.iter().any(|a| matches!(a, Action::Close { fault: Fault::Planned, .. })));
}

#[test]
fn a_refusal_is_told_and_asked_for_again_later() {
    let mut world = World::new(Some("/ws"), ["btcusdt", "nosuch"].map(|s| want(s, Channel::Quote)).into());
    world.frame(
        r#"{"status":"error","ts":1,"id":"s1","err-code":"bad-request","err-msg":"invalid topic market.nosuch.bbo"}"#,
    );
    assert_eq!(world.told(), ["nosuch refused bad-request: invalid topic market.nosuch.bbo"]);
    world.ack("market.btcusdt.bbo");
    world.pass(29_000);
    assert!(!world.sent().iter().any(|s| s.contains("nosuch")));
    world.pass(1_001);
    assert!(world.sent().contains(&r#"{"sub":"market.nosuch.bbo","id":"s1"}"#.to_owned()));

    let mut world = World::new(Some("/linear-swap-notification"), vec![want("BTC-USDT", Channel::Funding)]);
    assert_eq!(world.sent(), [r#"{"op":"sub","cid":"s0","topic":"public.BTC-USDT.funding_rate"}"#]);
    world.frame(r#"{"op":"sub","cid":"s0","topic":"public.BTC-USDT.funding_rate","ts":1,"err-code":2002,"err-msg":"invalid topic"}"#);
    assert_eq!(world.told(), ["BTC-USDT refused 2002: invalid topic"]);
}

#[test]
fn one_topic_may_feed_several_lanes_and_is_ended_with_the_last() {
    let index = "market.BTC-USDT.index.1min";
    let (swap, dated) = (want("BTC-USDT", Channel::IndexPrice), want("BTC-USDT-261225", Channel::IndexPrice));
    let mut world = World::new(Some("/ws_index"), vec![swap.clone()]);
    world.ack(index);
    world.tell(Input::Subscribe(std::slice::from_ref(&dated)));
    assert!(world.sent().is_empty(), "it is carried already");
    assert_eq!(world.told(), ["BTC-USDT-261225 asked", "BTC-USDT-261225 acked"]);
    let push =
        format!(r#"{{"ch":"{index}","ts":1760000003500,"tick":{{"id":1759999980,"close":"64011.5"}}}}"#);
    world.frame(&push);
    assert_eq!(world.told(), ["BTC-USDT index_price", "BTC-USDT-261225 index_price"]);
    world.tell(Input::Unsubscribe(&[swap]));
    assert_eq!((world.told(), world.sent()), (vec!["BTC-USDT dropped".to_owned()], Vec::new()));
    world.frame(&push);
    assert_eq!(world.told(), ["BTC-USDT-261225 index_price"]);
    world.tell(Input::Unsubscribe(&[dated]));
    assert_eq!(world.sent(), [format!(r#"{{"unsub":"{index}","id":"u0"}}"#)]);
    world.frame(&push);
    assert!(world.told().is_empty());
}

#[test]
fn what_is_wanted_while_closed_is_remembered_and_asked_for_when_open() {
    let mut world = World::new(Some("/ws"), vec![want("btcusdt", Channel::Trades)]);
    world.tell(Input::Closed);
    world.tell(Input::Subscribe(&[want("ethusdt", Channel::Trades)]));
    world.tell(Input::Unsubscribe(&[want("btcusdt", Channel::Trades)]));
    assert!(world.sent().is_empty());
    world.tell(Input::Open);
    assert_eq!(world.sent(), [r#"{"sub":"market.ethusdt.trade.detail","id":"s1"}"#]);
}

#[test]
fn the_last_trade_before_the_subscription_is_not_new() {
    let mut world = World::new(Some("/ws"), vec![want("btcusdt", Channel::Trades)]);
    let trade = |id: u64, ts: i64| {
        format!(
            r#"{{"ch":"market.btcusdt.trade.detail","ts":{ts},"tick":{{"id":1,"ts":{ts},"data":[{{"id":170000000001123456789012345,"ts":{ts},"tradeId":{id},"amount":1.98E-2,"price":64010.1,"direction":"buy"}}]}}}}"#
        )
    };
    world.frame(&trade(1, 1_759_999_958_000));
    assert!(world.events().is_empty());
    world.frame(&trade(2, 1_759_999_958_000));
    assert_eq!(world.told(), ["btcusdt trades"], "only the first frame may hold it");
    assert_eq!(world.events()[0].stamp.ts_event, Some(Ts::from_ms(1_759_999_958_000)));
}

#[test]
fn a_bar_is_over_when_a_later_one_begins() {
    let mut world = World::new(Some("/ws"), vec![want("btcusdt", Channel::Bars)]);
    let bars = |world: &World| -> Vec<(i64, bool)> {
        let bar = |e: &&Event| match &e.body {
            Body::Bar(bar) => Some((bar.start.as_ms() / 1_000, bar.closed)),
            _ => None,
        };
        world.events().iter().filter_map(bar).collect()
    };
    for (id, expected) in [
        (60, vec![(60, false)]),
        (60, vec![(60, false)]),
        (120, vec![(60, true), (120, false)]),
        (60, vec![]),
    ] {
        world.frame(&format!(
            r#"{{"ch":"market.btcusdt.kline.1min","ts":9,"tick":{{"id":{id},"open":1,"close":2,"low":1,"high":2,"amount":5,"vol":7,"count":3}}}}"#
        ));
        assert_eq!(bars(&world), expected);
    }
}

#[test]
fn open_interest_and_ratios_are_asked_for_by_rest_and_wait_where_the_venue_says_so() {
    let wants = [Channel::OpenInterest, Channel::LongShortRatio].map(|c| want("BTC-USDT", c));
    let mut world = World::new(None, wants.to_vec());
    let fetches = |world: &World| -> Vec<(u64, String)> {
        let fetch = |a: &Action| match a {
            Action::Fetch { tag, path, .. } => Some((*tag, path.clone())),
            _ => None,
        };
        world.out.iter().filter_map(fetch).collect()
    };
    assert_eq!(fetches(&world), [(0, "/linear-swap-api/v1/swap_open_interest?business_type=all".to_owned())]);
    world.pass(400);
    assert_eq!(fetches(&world).len(), 2);
    let body = br#"{"status":"ok","data":[{"volume":2500000.0,"amount":2500.0,"symbol":"BTC","value":160025250.0,"contract_code":"BTC-USDT"},{"volume":1,"contract_code":"ETH-USDT"}],"ts":1760000004300}"#;
    let reply = |tag, status, retry_ms| Input::Reply { tag: Some(tag), path: "", status, retry_ms, body };
    world.tell(reply(0, 200, None));
    assert_eq!(world.told(), ["BTC-USDT open_interest", "BTC-USDT acked"]);
    assert_eq!(world.events()[0].stamp.ts_event, Some(Ts::from_ms(1_760_000_004_300)));
    world.pass(15_000);
    assert_eq!(fetches(&world).len(), 1);
    world.tell(reply(0, 429, Some(7_000)));
    world.pass(6_900);
    assert!(fetches(&world).is_empty());
    world.pass(101);
    assert_eq!(fetches(&world).len(), 1);
    let words = br#"{"status":"error","err_code":1030,"err_msg":"The contract doesnt exist.","ts":1}"#;
    world.tell(Input::Reply { tag: Some(1), path: "", status: 200, retry_ms: None, body: words });
    assert_eq!(world.told(), ["BTC-USDT refused The contract doesnt exist."]);
    world.tell(Input::Unsubscribe(&wants));
    world.pass(600_000);
    assert!(fetches(&world).is_empty());
}

#[test]
fn a_closed_connection_is_a_gap_of_every_live_book() {
    let mut world = live();
    world.tell(Input::Closed);
    assert_eq!(world.told(), ["btcusdt gap disconnected", "ethusdt gap disconnected"]);
    world.tell(Input::Open);
    assert_eq!(world.sent().len(), 2);
    world.change("btcusdt", 1_001, 1_002);
    assert_eq!(world.told(), ["btcusdt syncing"]);
}

#[test]
fn unknown_keys_and_topics_are_told_once() {
    let mut world = World::new(Some("/ws"), vec![want("btcusdt", Channel::Quote)]);
    let unknown = |world: &World| world.out.iter().filter(|a| matches!(a, Action::Unknown(_))).count();
    for expected in [2, 0] {
        world.frame(r#"{"zzz":1,"ch":"market.btcusdt.bbo","ts":5,"tick":{"bid":1,"bidSize":2,"yyy":[]}}"#);
        assert_eq!((world.told(), unknown(&world)), (vec!["btcusdt quote".to_owned()], expected));
    }
    world.frame(r#"{"ch":"market.btcusdt.novelty","ts":5,"tick":{}}"#);
    assert_eq!(unknown(&world), 1);
}

#[test]
fn a_book_that_waits_for_its_new_start_is_not_put_off_by_more_damage() {
    let topic = "market.BTC-USDT.depth.size_150.high_freq";
    let mut world = World::new(Some("/linear-swap-ws"), vec![want("BTC-USDT", Channel::Book)]);
    world.ack(topic);
    for version in [10, 20] {
        world.push("BTC-USDT", "snapshot", version);
        world.push("BTC-USDT", "update", version + 5);
    }
    assert_eq!(world.told(), ["BTC-USDT gap sequence", "BTC-USDT syncing"]);
    assert!(world.sent().is_empty(), "it began anew a moment ago");
    for _ in 0..50 {
        world.tell(Input::Frame { bytes: b"\x1f\x8b\x08damaged", binary: true });
        assert!(world.told().is_empty(), "{:?}", world.told());
    }
    world.pass(1_001);
    assert_eq!(world.sent().len(), 2);
}
