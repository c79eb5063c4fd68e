//! Every kind of event against the JSON that the crate's documentation promises.

#![allow(clippy::unwrap_used)]

use model::{
    Bar, Body, CapitalFlow, Channel, CorporateAction, DayStats, Decimal, Delta, Event, Flags, Fundamentals,
    Funding, Gap, GapCause, Instrument, InstrumentKind, LaneFact, Level, Levels, LinkFact, LinkId,
    Liquidation, Minute, OpenInterest, Order, OrderAction, Proof, Px, Qty, Quote, RankRow, Ranking, Right,
    Sector, Side, Snapshot, Stamp, Status, Trade, TradeId, Ts,
};
use serde_json::{Value, json};
use std::sync::Arc;

fn dec(text: &str) -> Decimal {
    Decimal::parse(text.as_bytes()).unwrap()
}

fn level(px: i64, qty: i64) -> Level {
    Level { px: Px(px), qty: Qty(qty) }
}

fn event(channel: Channel, body: Body) -> Event {
    let instrument = Instrument::provisional("binance", "spot", "BTCUSDT", InstrumentKind::Spot);
    let instrument = Instrument { px_scale: 2, qty_scale: 5, ..instrument.named("BTC", "USDT", "") };
    let stamp =
        Stamp { ts_event: Some(Ts(1_723_161_255_030_000_000)), ts_recv: Ts(1_723_161_255_030_314_667) };
    let instrument = Arc::new(instrument);
    Event { source: "binance", instrument, channel, flags: Flags::NONE, stamp, body }
}

fn text(event: &Event, cursor: Option<(u64, u64)>, ts_pub: Option<Ts>) -> String {
    let mut out = Vec::new();
    wire::event_json(event, cursor, ts_pub, &mut out);
    String::from_utf8(out).unwrap()
}

/// The fields of the kind alone; the envelope is checked on the way.
fn fields(channel: Channel, body: Body) -> Value {
    let event = event(channel, body);
    let mut value: Value = serde_json::from_str(&text(&event, None, None)).unwrap();
    let object = value.as_object_mut().unwrap();
    assert_eq!(object.remove("kind"), Some(json!(wire::kind(&event.body))));
    for (name, expected) in [
        ("source", json!("binance")),
        ("instrument", json!("BTC/USDT@binance")),
        ("symbol", json!("BTCUSDT")),
        ("channel", json!(channel.name())),
        ("ts_event", json!(1_723_161_255_030_000_000_i64)),
        ("ts_recv", json!(1_723_161_255_030_314_667_i64)),
    ] {
        assert_eq!(object.remove(name), Some(expected), "{name}");
    }
    value
}

fn trade() -> Trade {
    Trade { id: TradeId::Num(7), px: Px(6_400_010), qty: Qty(50_000), aggressor: Some(Side::Bid), count: 1 }
}

#[test]
fn a_trade_is_this_line() {
    let mut event = event(Channel::Trades, Body::Trade(trade()));
    let expected = concat!(
        r#"{"kind":"trade","source":"binance","instrument":"BTC/USDT@binance","symbol":"BTCUSDT","channel":"trades","#,
        r#""ts_event":1723161255030000000,"ts_recv":1723161255030314667,"ts_pub":1723161255030400000,"#,
        r#""epoch":1723161000000,"number":42,"flags":["derived","bad_time"],"#,
        r#""id":"7","px":"64000.1","qty":"0.5","aggressor":"buy","count":1}"#
    );
    event.flags = Flags::DERIVED | Flags::BAD_TIME;
    let ts_pub = Some(Ts(1_723_161_255_030_400_000));
    assert_eq!(text(&event, Some((1_723_161_000_000, 42)), ts_pub), expected);
    event.stamp.ts_event = None;
    assert!(text(&event, None, None).contains(r#""ts_event":null,"ts_recv":1723161255030314667,"flags""#));
}

#[test]
fn trades_without_a_side_and_with_text_ids() {
    let odd = Trade { id: TradeId::Text("a\"\n1".into()), aggressor: None, count: 3, ..trade() };
    let expected = json!({"id": "a\"\n1", "px": "64000.1", "qty": "0.5", "aggressor": null, "count": 3});
    assert_eq!(fields(Channel::AggTrades, Body::Trade(odd)), expected);
    let sold = fields(Channel::Trades, Body::Trade(Trade { aggressor: Some(Side::Ask), ..trade() }));
    assert_eq!(sold.get("aggressor"), Some(&json!("sell")));
}

#[test]
fn books_list_their_levels_best_first() {
    let levels = Levels::from_sides(&[level(101, 100_000), level(100, 0)], &[level(110, 1)]);
    let bids = json!([["1.01", "1"], ["1", "0"]]);
    let asks = json!([["1.1", "0.00001"]]);
    let snapshot = Snapshot { seq: Some(9), levels: levels.clone(), checksum: None, epoch: 2 };
    assert_eq!(
        fields(Channel::Book, Body::Snapshot(snapshot)),
        json!({"seq": 9, "prev_seq": null, "book_epoch": 2, "bids": bids, "asks": asks})
    );
    let delta = Delta { prev_seq: Some(u64::MAX), seq: None, levels, checksum: None, epoch: 2 };
    assert_eq!(
        fields(Channel::Book, Body::Delta(delta)),
        json!({"seq": null, "prev_seq": u64::MAX, "book_epoch": 2, "bids": bids, "asks": asks})
    );
    let empty = Snapshot { seq: None, levels: Levels::default(), checksum: None, epoch: 0 };
    assert_eq!(
        fields(Channel::BookTop, Body::Snapshot(empty)),
        json!({"seq": null, "prev_seq": null, "book_epoch": 0, "bids": [], "asks": []})
    );
}

#[test]
fn gaps_name_their_cause() {
    let gap = Gap { cause: GapCause::VenueReset, from_seq: Some(3), to_seq: None };
    assert_eq!(
        fields(Channel::Book, Body::Gap(gap)),
        json!({"cause": "venue_reset", "from_seq": 3, "to_seq": null})
    );
}

#[test]
fn quotes_may_lack_a_side() {
    let quote = Quote { bid: Some(level(101, 5)), ask: None, seq: Some(1) };
    assert_eq!(
        fields(Channel::Quote, Body::Quote(quote)),
        json!({"bid": ["1.01", "0.00005"], "ask": null, "seq": 1})
    );
}

#[test]
fn bars_and_day_statistics() {
    let bar = Bar {
        interval: "1m".into(),
        start: Ts::from_ms(60_000),
        open: dec("1.50"),
        high: dec("2"),
        low: dec("1e-3"),
        close: dec("1.7"),
        volume: dec("1000"),
        turnover: None,
        trades: Some(12),
        closed: true,
    };
    let expected = json!({
        "interval": "1m", "start": 60_000_000_000_i64, "open": "1.5", "high": "2", "low": "0.001",
        "close": "1.7", "volume": "1000", "turnover": null, "trades": 12, "closed": true,
    });
    assert_eq!(fields(Channel::Bars, Body::Bar(Box::new(bar))), expected);
    let stats = DayStats { open: Some(dec("1.0")), last_qty: Some(dec("0.3")), ..DayStats::default() };
    let expected = json!({
        "open": "1", "high": null, "low": null, "last": null, "last_qty": "0.3", "volume": null,
        "turnover": null, "trades": null,
    });
    assert_eq!(fields(Channel::DayStats, Body::DayStats(Box::new(stats))), expected);
}

#[test]
fn a_stock_says_more_of_its_day() {
    let stats =
        DayStats { prev_close: Some(dec("9.93")), limit_up: Some(dec("10.92")), ..DayStats::default() };
    let told = fields(Channel::DayStats, Body::DayStats(Box::new(stats)));
    assert_eq!((&told["prev_close"], &told["limit_up"]), (&json!("9.93"), &json!("10.92")));
    assert_eq!(told.get("limit_down"), None);
    let minute = Minute { start: Ts(60), px: dec("9.90"), volume: dec("1200"), avg_px: None };
    let expected = json!({"start": 60, "px": "9.9", "volume": "1200", "avg_px": null});
    assert_eq!(fields(Channel::MinuteLine, Body::Minute(Box::new(minute))), expected);
    let flow = CapitalFlow { main: Some(dec("-1.5")), ..CapitalFlow::default() };
    let expected = json!({"main": "-1.5", "very_large": null, "large": null, "medium": null, "small": null});
    assert_eq!(fields(Channel::CapitalFlow, Body::CapitalFlow(Box::new(flow))), expected);
}

#[test]
fn companies_groups_and_lists_name_their_numbers() {
    let action = CorporateAction {
        what: "ex_rights".into(),
        at: Ts(9),
        cash: Some(dec("0.41")),
        bonus: None,
        rights: None,
        rights_px: None,
        facts: vec![("float_after", dec("100"))],
    };
    assert_eq!(
        fields(Channel::CorporateActions, Body::CorporateAction(Box::new(action))),
        json!({"what": "ex_rights", "at": 9, "cash": "0.41", "bonus": null, "rights": null, "rights_px": null,
            "facts": {"float_after": "100"}})
    );
    let facts = Fundamentals { updated: None, facts: vec![("eps", dec("1.2")), ("total_shares", dec("5"))] };
    assert_eq!(
        fields(Channel::Fundamentals, Body::Fundamentals(Box::new(facts))),
        json!({"updated": null, "facts": {"eps": "1.2", "total_shares": "5"}})
    );
    let row = |value, rise| RankRow { name: "600519.SH".into(), title: "贵州茅台".into(), value, rise };
    let list =
        Ranking { list: "hot_hour".into(), rows: vec![row(Some(dec("7")), Some(-2)), row(None, None)] };
    assert_eq!(
        fields(Channel::Rankings, Body::Ranking(Box::new(list))),
        json!({"list": "hot_hour", "rows": [
            {"name": "600519.SH", "title": "贵州茅台", "value": "7", "rise": -2},
            {"name": "600519.SH", "title": "贵州茅台", "value": null, "rise": null}]})
    );
    let members = vec!["600519.SH".into(), "000858.SZ".into()];
    let sector = Sector { of: "concept".into(), title: "白酒".into(), members };
    assert_eq!(
        fields(Channel::Sectors, Body::Sector(Box::new(sector))),
        json!({"of": "concept", "title": "白酒", "count": 2, "members": ["600519.SH", "000858.SZ"]})
    );
}

#[test]
fn an_order_has_its_number_as_text() {
    let entered = Order {
        id: u64::MAX,
        side: Side::Ask,
        px: Some(Px(101)),
        qty: Qty(100_000),
        action: OrderAction::Add,
        seq: Some(4),
    };
    assert_eq!(
        fields(Channel::Orders, Body::Order(entered)),
        json!({"id": u64::MAX.to_string(), "action": "add", "side": "sell", "px": "1.01", "qty": "1", "seq": 4})
    );
}

#[test]
fn derivatives_have_their_numbers() {
    assert_eq!(fields(Channel::MarkPrice, Body::MarkPrice(dec("64000.10"))), json!({"px": "64000.1"}));
    assert_eq!(fields(Channel::IndexPrice, Body::IndexPrice(dec("-1"))), json!({"px": "-1"}));
    let funding = Funding { rate: dec("-0.00010"), at: Some(Ts(8)), next_rate: None };
    assert_eq!(
        fields(Channel::Funding, Body::Funding(Box::new(funding))),
        json!({"rate": "-0.0001", "at": 8, "next_rate": null})
    );
    let interest = OpenInterest { qty: dec("12.5"), value: Some(dec("800000")) };
    assert_eq!(
        fields(Channel::OpenInterest, Body::OpenInterest(interest)),
        json!({"qty": "12.5", "value": "800000"})
    );
    let forced = Liquidation { side: Side::Ask, px: dec("1"), qty: dec("2"), avg_px: Some(dec("1.1")) };
    assert_eq!(
        fields(Channel::Liquidations, Body::Liquidation(Box::new(forced))),
        json!({"side": "sell", "px": "1", "qty": "2", "avg_px": "1.1"})
    );
}

#[test]
fn definitions_are_whole() {
    assert_eq!(
        fields(Channel::Instruments, Body::Instrument),
        json!({"definition": {
            "name": "BTC/USDT@binance", "venue": "binance", "product": "spot", "symbol": "BTCUSDT", "type": "spot",
            "base": "BTC", "quote": "USDT", "settle": "", "expiry": null, "strike": null, "right": null,
            "px_scale": 2, "qty_scale": 5, "tick": null, "lot": null, "contract_size": null,
            "status": "trading", "provisional": true,
        }})
    );
    let option = Instrument {
        expiry: Some(Ts(5)),
        option: Some((dec("100000.0"), Right::Put)),
        tick: Some(dec("0.10")),
        lot: Some(dec("1")),
        contract_size: Some(dec("0.01")),
        status: Status::Other("suspend \"x\"".into()),
        provisional: false,
        ..Instrument::provisional("okx", "", "BTC-USD-P", InstrumentKind::Option)
    };
    let mut out = Vec::new();
    wire::instrument_json(&option, &mut out);
    let expected = json!({
        "name": "BTC-USD-P@okx", "venue": "okx", "product": "", "symbol": "BTC-USD-P", "type": "option",
        "base": "", "quote": "", "settle": "", "expiry": 5, "strike": "100000", "right": "put",
        "px_scale": 8, "qty_scale": 8, "tick": "0.1", "lot": "1", "contract_size": "0.01",
        "status": "suspend \"x\"", "provisional": false,
    });
    assert_eq!(serde_json::from_slice::<Value>(&out).unwrap(), expected);
}

#[test]
fn lanes_and_links_state_facts() {
    let lane = |fact| fields(Channel::Book, Body::Lane(fact));
    let asked = LaneFact::Asked { proof: Proof::Sequence, quiet_ms: None };
    assert_eq!(lane(asked), json!({"fact": "asked", "proof": "sequence", "quiet_ms": null}));
    assert_eq!(lane(LaneFact::Carried(LinkId(3))), json!({"fact": "carried", "link": 3}));
    assert_eq!(lane(LaneFact::Acked), json!({"fact": "acked"}));
    assert_eq!(lane(LaneFact::Refused("no".into())), json!({"fact": "refused", "why": "no"}));
    assert_eq!(lane(LaneFact::Syncing("wait".into())), json!({"fact": "syncing", "why": "wait"}));
    assert_eq!(lane(LaneFact::Dropped), json!({"fact": "dropped"}));

    let told = |fact| fields(Channel::Link, Body::Link(fact));
    let link = LinkId(4);
    assert_eq!(
        told(LinkFact::Connecting { link, url: "wss://x/y".into() }),
        json!({"fact": "connecting", "link": 4, "url": "wss://x/y"})
    );
    assert_eq!(told(LinkFact::Up { link }), json!({"fact": "up", "link": 4}));
    assert_eq!(
        told(LinkFact::Alive { link, last_frame: Some(Ts(-1)), last_ping: None }),
        json!({"fact": "alive", "link": 4, "last_frame": -1, "last_ping": null})
    );
    assert_eq!(
        told(LinkFact::Down { link, why: "reset".into(), retry_ms: Some(500) }),
        json!({"fact": "down", "link": 4, "why": "reset", "retry_ms": 500})
    );
    assert_eq!(
        told(LinkFact::Malformed { link, what: "\u{0}".into() }),
        json!({"fact": "malformed", "link": 4, "what": "\u{0}"})
    );
    assert_eq!(
        told(LinkFact::Unknown { link, what: "e.x".into() }),
        json!({"fact": "unknown", "link": 4, "what": "e.x"})
    );
}
