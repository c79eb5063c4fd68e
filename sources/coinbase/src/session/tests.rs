use super::*;
use model::{Event, Instrument, Proof};
use source::{Options, Want};
use std::sync::Arc;

const NOW: Ts = Ts::from_ms(1_788_264_000_000);

fn made(feed: Feed, symbol: &str) -> Arc<Instrument> {
    let mut made = listing::provisional(feed, symbol.as_bytes()).unwrap();
    (made.px_scale, made.qty_scale) = (2, 8);
    Arc::new(made)
}

fn want(feed: Feed, symbol: &str, channel: Channel) -> Want {
    Want { instrument: made(feed, symbol), channel }
}

fn session(feed: Feed, wants: Vec<Want>) -> CoinbaseSession {
    let path = Some("/".to_owned());
    CoinbaseSession::new(&Shard { endpoint: feed.endpoint(), path, wants, options: Options::default() })
}

fn on(session: &mut CoinbaseSession, input: Input<'_>) -> Vec<Action> {
    let mut out = Vec::new();
    session.on(input, NOW, &mut out);
    out
}

fn frame(session: &mut CoinbaseSession, bytes: &[u8]) -> Vec<Action> {
    on(session, Input::Frame { bytes, binary: false })
}

fn sent(out: &[Action]) -> Vec<String> {
    let text = |a: &Action| match a {
        Action::Send(bytes) => Some(String::from_utf8(bytes.clone()).unwrap()),
        _ => None,
    };
    out.iter().filter_map(text).collect()
}

fn events(out: Vec<Action>) -> Vec<Event> {
    let event = |a| match a {
        Action::Emit(event) => Some(event),
        _ => None,
    };
    out.into_iter().filter_map(event).collect()
}

fn facts(out: Vec<Action>) -> Vec<(String, LaneFact)> {
    let fact = |e: Event| match e.body {
        Body::Lane(fact) => Some((format!("{} {}", e.channel.name(), e.instrument.symbol), fact)),
        _ => None,
    };
    events(out).into_iter().filter_map(fact).collect()
}

fn l2(seq: u64, kind: &str, product: &str, rows: &str) -> String {
    format!(
        r#"{{"channel":"l2_data","client_id":"","timestamp":"2026-09-01T12:00:00.25Z","sequence_num":{seq},"events":[{{"type":"{kind}","product_id":"{product}","updates":[{rows}]}}]}}"#
    )
}

fn row(side: &str, px: &str, qty: &str) -> String {
    format!(
        r#"{{"side":"{side}","event_time":"2026-09-01T12:00:00.24Z","price_level":"{px}","new_quantity":"{qty}"}}"#
    )
}

/// A session with the books of two products, both live; the next frame is number 2.
fn live() -> CoinbaseSession {
    let wants = ["BTC-USD", "ETH-USD"].map(|s| want(Feed::Advanced, s, Channel::Book)).to_vec();
    let mut session = session(Feed::Advanced, wants);
    on(&mut session, Input::Open);
    for (seq, product) in [(0, "BTC-USD"), (1, "ETH-USD")] {
        let rows = [row("bid", "100", "1"), row("offer", "101", "1")].join(",");
        frame(&mut session, l2(seq, "snapshot", product, &rows).as_bytes());
    }
    session
}

#[test]
fn a_connection_begins_with_heartbeats_and_one_frame_a_channel() {
    let wants = [Channel::Book, Channel::Quote, Channel::DayStats, Channel::Trades];
    let wants = wants.map(|channel| want(Feed::Advanced, "BTC-USD", channel)).to_vec();
    let out = on(&mut session(Feed::Advanced, wants), Input::Open);
    let topics = |c: &str| format!(r#"{{"type":"subscribe","product_ids":["BTC-USD"],"channel":"{c}"}}"#);
    let beats = r#"{"type":"subscribe","channel":"heartbeats"}"#.to_owned();
    assert_eq!(sent(&out), [beats, topics("level2"), topics("market_trades"), topics("ticker")]);
    let asked: Vec<String> = facts(out).into_iter().map(|(lane, _)| lane).collect();
    assert_eq!(asked, ["book BTC-USD", "quote BTC-USD", "day_stats BTC-USD", "trades BTC-USD"]);
}

#[test]
fn a_book_of_exchange_claims_no_proof() {
    for (feed, expected) in [(Feed::Advanced, Proof::Sequence), (Feed::Exchange, Proof::None)] {
        let out = on(&mut session(feed, vec![want(feed, "BTC-USD", Channel::Book)]), Input::Open);
        let (_, fact) = facts(out).remove(0);
        assert_eq!(fact, LaneFact::Asked { proof: expected, quiet_ms: None });
    }
}

#[test]
fn an_acknowledgement_of_all_is_told_to_each_lane_once() {
    let wants = vec![
        want(Feed::Advanced, "BTC-USD", Channel::Book),
        want(Feed::Advanced, "BTC-USD", Channel::Trades),
    ];
    let mut session = session(Feed::Advanced, wants);
    on(&mut session, Input::Open);
    let ack = |seq: u64, held: &str| {
        format!(
            r#"{{"channel":"subscriptions","timestamp":"2026-09-01T12:00:00.1Z","sequence_num":{seq},"events":[{{"subscriptions":{{{held}}}}}]}}"#
        )
    };
    let told = facts(frame(&mut session, ack(0, r#""level2":["BTC-USD"]"#).as_bytes()));
    assert_eq!(told[0], ("book BTC-USD".to_owned(), LaneFact::Acked));
    assert!(matches!(&told[1].1, LaneFact::Syncing(_)) && told.len() == 2);
    let both = r#""level2":["BTC-USD"],"market_trades":["BTC-USD"]"#;
    let told = facts(frame(&mut session, ack(1, both).as_bytes()));
    assert_eq!(told, [("trades BTC-USD".to_owned(), LaneFact::Acked)]);
    assert_eq!(facts(frame(&mut session, ack(2, both).as_bytes())), []);
}

#[test]
fn a_refusal_names_a_product_and_the_rest_is_asked_again() {
    let wants = ["BTC-USD", "XXX-YYY"].map(|s| want(Feed::Exchange, s, Channel::Trades)).to_vec();
    let mut session = session(Feed::Exchange, wants);
    on(&mut session, Input::Open);
    let error =
        br#"{"type":"error","message":"Failed to subscribe","reason":"XXX-YYY is not a valid product"}"#;
    let told = facts(frame(&mut session, error));
    assert_eq!(told.len(), 1);
    assert!(
        matches!(&told[0], (lane, LaneFact::Refused(words)) if lane == "trades XXX-YYY" && words.contains("not a valid"))
    );
    let mut out = Vec::new();
    session.on(Input::Wake { timer: 1 }, NOW.plus_ms(1_000), &mut out);
    let again = sent(&out);
    assert!(again.len() == 1 && again[0].contains("BTC-USD") && !again[0].contains("XXX-YYY"), "{again:?}");
}

#[test]
fn a_closed_connection_is_a_gap_of_each_live_book_and_remembers_new_wishes() {
    let mut session = live();
    let out = events(on(&mut session, Input::Closed));
    let gaps: Vec<_> =
        out.iter().filter(|e| matches!(&e.body, Body::Gap(g) if g.cause == GapCause::Disconnected)).collect();
    assert_eq!(gaps.len(), 2);
    assert_eq!(on(&mut session, Input::Subscribe(&[want(Feed::Advanced, "SOL-USD", Channel::Book)])), []);
    let dropped =
        facts(on(&mut session, Input::Unsubscribe(&[want(Feed::Advanced, "ETH-USD", Channel::Book)])));
    assert_eq!(dropped, [("book ETH-USD".to_owned(), LaneFact::Dropped)]);
    let again = sent(&on(&mut session, Input::Open));
    assert!(again[1].contains(r#"["BTC-USD","SOL-USD"]"#), "{again:?}");
}

#[test]
fn a_name_that_was_not_asked_for_may_be_a_damaged_one() {
    let mut session = live();
    let out = frame(&mut session, l2(2, "update", "BTD-USD", &row("bid", "100", "2")).as_bytes());
    assert!(matches!(out[0], Action::Malformed(_)));
    let gaps = events(out).iter().filter(|e| matches!(e.body, Body::Gap(_))).count();
    assert_eq!(gaps, 2);
}

/// What became of a book: the quantity of the best bid after the damaged frame and a good one, or none where a gap told
/// that it is not known.
fn outcome(damaged: &[u8]) -> (Option<i64>, bool) {
    let mut session = live();
    let mut held = Some(1);
    let mut other = true;
    let good = l2(3, "update", "BTC-USD", &row("offer", "101", "3"));
    let mut out = frame(&mut session, damaged);
    out.extend(frame(&mut session, good.as_bytes()));
    for event in events(out) {
        let btc = &*event.instrument.symbol == "BTC-USD";
        match event.body {
            Body::Gap(_) if btc => held = None,
            Body::Gap(_) => other = false,
            Body::Delta(delta) if btc => {
                assert!(held.is_some(), "a delta after a gap");
                for level in delta.levels.bids().iter().filter(|l| l.px.0 == 10_000) {
                    held = Some(level.qty.0 / 100_000_000);
                }
            }
            Body::Delta(_) => panic!("a change of another book"),
            _ => {}
        }
    }
    (held, other)
}

#[test]
fn a_frame_damaged_anywhere_changes_the_book_rightly_or_is_a_gap() {
    let whole = l2(2, "update", "BTC-USD", &row("bid", "100", "2"));
    assert_eq!(outcome(whole.as_bytes()), (Some(2), true));
    let (mut gaps, mut spared) = (0, 0);
    for at in 0..whole.len() {
        let mut broken = whole.clone().into_bytes();
        broken[at] = 0xff;
        for bytes in [&broken[..], &whole.as_bytes()[..at]] {
            let (held, other) = outcome(bytes);
            assert!(held.is_none_or(|qty| qty == 2), "{}", String::from_utf8_lossy(bytes));
            gaps += usize::from(held.is_none());
            spared += usize::from(held.is_none() && other);
        }
    }
    assert!(gaps > whole.len(), "{gaps}");
    assert!(spared > 150, "only the book that the frame names suffers: {spared}");
}
