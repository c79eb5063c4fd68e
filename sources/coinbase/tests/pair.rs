//! Sessions against the simulator, under faults of frames, connections and subscriptions.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panic")]

use coinbase::Coinbase;
use model::{Channel, Ts};
use source::pair::{Fate, Pair, START};
use source::{Options, SimControl, SimSetup, Source, Want, conformance};

fn setup(seed: u64) -> SimSetup {
    SimSetup { seed, start: START, instruments: 3, moves_per_s: 200, ..SimSetup::default() }
}

fn pair(seed: u64, channels: &[Channel]) -> Pair {
    Pair::new(&Coinbase, &setup(seed), channels, &Options::default())
}

fn all() -> Vec<Channel> {
    Coinbase.spec().channels.iter().map(|c| c.channel).collect()
}

fn is_old_book(frame: &[u8]) -> bool {
    frame.starts_with(br#"{"type":"l2update""#)
}

/// The books of Exchange carry no number; they are held against those of Advanced Trade, which are the same markets.
fn assert_exchange_books(pair: &Pair) {
    let truths = pair.sim.books();
    let mut compared = 0;
    for instrument in pair.instruments.iter().filter(|i| &*i.product == "exchange") {
        let truth = truths.iter().find(|t| t.instrument.symbol == instrument.symbol).unwrap();
        let held = pair.seen.books.live.get(&instrument.id).unwrap();
        assert!(held.is(truth), "{}", instrument.name);
        compared += 1;
    }
    assert_eq!(compared, 3);
}

#[test]
fn without_faults_everything_is_told_and_every_book_is_the_venues() {
    for seed in 1..4 {
        let mut pair = pair(seed, &all());
        pair.run_ms(60_000);
        pair.control(SimControl::Pause(true));
        pair.run_ms(1_000);
        pair.assert_books();
        assert_exchange_books(&pair);
        assert_eq!((pair.seen.gaps.len(), pair.seen.malformed), (0, 0));
        assert_eq!(pair.seen.unknown, Vec::<String>::new());
        assert_eq!(pair.seen.refused, Vec::<String>::new());
        assert_eq!(pair.seen.closes, []);
        assert_eq!(pair.seen.asked, pair.seen.acked);
        for channel in all().into_iter().filter(|c| *c != Channel::Instruments) {
            assert!(pair.seen.count(channel) > 0, "{}", channel.name());
        }
    }
}

#[test]
fn trades_come_each_once_and_in_order_on_both_feeds() {
    let mut pair = pair(5, &[Channel::Trades]);
    pair.run_ms(30_000);
    let mut lanes = 0;
    for ((_, channel), ids) in pair.seen.numbers() {
        assert_eq!(channel, Channel::Trades);
        assert!(ids.len() > 5);
        assert!(ids.windows(2).all(|two| two[1] == two[0] + 1), "{ids:?}");
        lanes += 1;
    }
    assert!(lanes > 6, "{lanes}");
}

#[test]
fn lost_repeated_late_and_cut_frames_are_found_and_healed() {
    for seed in 1..6 {
        let mut pair = pair(seed, &all());
        pair.run_ms(5_000);
        let mut rng = fastrand::Rng::with_seed(seed);
        pair.fate = Box::new(move |frame| {
            let fate = match rng.u16(0..1_000) {
                0..4 => Fate::Lose,
                4..8 => Fate::Repeat,
                8..12 => Fate::Late,
                12..16 => Fate::Cut,
                _ => Fate::Arrive,
            };
            // What is lost of an unnumbered book leaves no trace.
            if is_old_book(frame) && fate != Fate::Cut { Fate::Arrive } else { fate }
        });
        pair.run_ms(40_000);
        pair.fate = Box::new(|_| Fate::Arrive);
        pair.run_ms(200_000);
        pair.control(SimControl::Pause(true));
        pair.run_ms(1_000);
        pair.assert_books();
        assert_exchange_books(&pair);
        assert!(pair.seen.gaps.contains_key("sequence"), "{:?}", pair.seen.gaps);
        assert!(pair.seen.gaps.contains_key("malformed"), "{:?}", pair.seen.gaps);
        assert_eq!(pair.seen.closes, []);
    }
}

#[test]
fn a_frame_that_cannot_be_read_starts_one_book_again_and_no_other() {
    let mut pair = pair(7, &[Channel::Book]);
    pair.run_ms(3_000);
    let before = pair.sent.len();
    let mut cut = false;
    pair.fate = Box::new(move |frame| {
        let text = String::from_utf8_lossy(&frame[..frame.len() / 2]).into_owned();
        let ours = !cut && text.contains("l2_data") && text.contains("\"ETH-USD\"");
        cut |= ours;
        if ours { Fate::Cut } else { Fate::Arrive }
    });
    pair.run_ms(20_000);
    pair.control(SimControl::Pause(true));
    pair.run_ms(1_000);
    assert_eq!(pair.seen.gaps.values().sum::<usize>(), 1, "{:?}", pair.seen.gaps);
    let sent: Vec<&str> = pair.sent[before..].iter().map(String::as_str).collect();
    assert_eq!(
        sent,
        [
            r#"{"type":"unsubscribe","product_ids":["ETH-USD"],"channel":"level2"}"#,
            r#"{"type":"subscribe","product_ids":["ETH-USD"],"channel":"level2"}"#
        ]
    );
    pair.assert_books();
}

#[test]
fn a_lost_frame_starts_every_book_of_its_connection_again() {
    let mut pair = pair(8, &[Channel::Book]);
    pair.run_ms(3_000);
    let books = pair.instruments.iter().filter(|i| i.product.is_empty()).count();
    let mut lost = false;
    pair.fate = Box::new(move |frame| {
        let ours = !lost && frame.starts_with(br#"{"channel":"heartbeats""#);
        lost |= ours;
        if ours { Fate::Lose } else { Fate::Arrive }
    });
    pair.run_ms(5_000);
    assert_eq!(pair.seen.gaps.get("sequence"), Some(&books), "{:?}", pair.seen.gaps);
    pair.control(SimControl::Pause(true));
    pair.run_ms(1_000);
    pair.assert_books();
}

#[test]
fn wishes_change_while_the_connection_goes_on() {
    let mut pair = pair(9, &[Channel::Book, Channel::Quote]);
    pair.run_ms(3_000);
    let find = |pair: &Pair, product: &str, symbol: &str| {
        pair.instruments.iter().find(|i| &*i.product == product && &*i.symbol == symbol).unwrap().clone()
    };
    for product in ["", "exchange"] {
        let eth = find(&pair, product, "ETH-USD");
        let want = |channel| Want { instrument: eth.clone(), channel };
        let before = pair.sent.len();
        // Statistics come by the topic that carries the quote already.
        let acked = pair.seen.acked;
        pair.subscribe(&[want(Channel::DayStats)]);
        assert_eq!((pair.sent.len(), pair.seen.acked), (before, acked + 1));
        pair.unsubscribe(&[want(Channel::Quote)]);
        assert_eq!(pair.sent.len(), before, "the ticker is still wanted");
        pair.unsubscribe(&[want(Channel::DayStats)]);
        assert!(pair.sent[before].contains("unsubscribe") && pair.sent[before].contains("ticker"));
        pair.unsubscribe(&[want(Channel::Book)]);
        assert!(pair.sent[before + 1].contains("unsubscribe") && pair.sent[before + 1].contains("level2"));
        assert_eq!(pair.sent.len(), before + 2);
        pair.run_ms(2_000);
        assert!(!pair.seen.books.live.contains_key(&eth.id));
        pair.subscribe(&[want(Channel::Book), want(Channel::Trades)]);
        pair.run_ms(10_000);
        assert!(pair.seen.books.live.contains_key(&eth.id));
    }
    assert_eq!(pair.seen.dropped, 6);
    assert!(pair.seen.gaps.is_empty(), "{:?}", pair.seen.gaps);
    assert!(pair.seen.count(Channel::Trades) > 0);
    pair.control(SimControl::Pause(true));
    pair.run_ms(1_000);
    pair.assert_books();
}

#[test]
fn what_is_refused_is_told_and_asked_for_again() {
    let mut pair = pair(10, &[Channel::Book, Channel::Trades]);
    pair.control(SimControl::RefuseSubscriptions(3));
    pair.run_ms(1_000);
    assert!(!pair.seen.refused.is_empty());
    assert!(pair.seen.refused[0].contains("is not a valid product"), "{:?}", pair.seen.refused);
    pair.run_ms(120_000);
    pair.control(SimControl::Pause(true));
    pair.run_ms(1_000);
    pair.assert_books();
    assert_exchange_books(&pair);
}

#[test]
fn after_the_venue_closes_everything_books_come_back() {
    let mut pair = pair(11, &all());
    pair.run_ms(5_000);
    pair.control(SimControl::CloseAll);
    pair.run_ms(10_000);
    assert!(!pair.seen.closes.is_empty());
    assert!(pair.seen.gaps.contains_key("disconnected"));
    pair.cut_all();
    pair.run_ms(10_000);
    pair.control(SimControl::Pause(true));
    pair.run_ms(1_000);
    pair.assert_books();
    assert_exchange_books(&pair);
}

#[test]
fn the_engine_may_order_a_new_start_but_not_a_storm() {
    let mut pair = pair(12, &[Channel::Book]);
    pair.run_ms(3_000);
    let before = pair.sent.len();
    let btc = pair.instruments.iter().find(|i| i.product.is_empty() && &*i.symbol == "BTC-USD").unwrap().id;
    for _ in 0..60 {
        pair.engine_resync(btc);
        pair.run_ms(1_000);
    }
    let asked = (pair.sent.len() - before) / 2;
    assert!((2..=6).contains(&asked), "{asked} new starts in a minute");
    pair.run_ms(100_000);
    pair.control(SimControl::Pause(true));
    pair.run_ms(1_000);
    pair.assert_books();
}

#[test]
fn polls_wait_as_long_as_the_venue_asks() {
    let mut pair = pair(13, &[Channel::Bars, Channel::Funding]);
    pair.run_ms(2_000);
    let first = pair.fetched.len();
    assert!(first > 4);
    pair.control(SimControl::RateLimit(1_000));
    pair.run_ms(600_000);
    let limited = pair.fetched.len() - first;
    assert!(limited < 100, "{limited} requests in ten minutes of refusals");
    pair.control(SimControl::RateLimit(0));
    let bars = pair.seen.count(Channel::Bars);
    pair.run_ms(200_000);
    assert!(pair.seen.count(Channel::Bars) > bars);
}

#[test]
fn bars_that_are_pushed_are_closed_when_the_next_begins() {
    let options = Options { bar_interval: "5m".to_owned(), ..Options::default() };
    let mut pair = Pair::new(&Coinbase, &setup(14), &[Channel::Bars], &options);
    pair.seen.keep = true;
    pair.run_ms(700_000);
    let btc = pair.instruments.iter().find(|i| i.product.is_empty() && &*i.symbol == "BTC-USD").unwrap().id;
    let mut closed: Vec<Ts> = Vec::new();
    for event in pair.seen.kept.iter().filter(|e| e.instrument.id == btc) {
        if let model::Body::Bar(bar) = &event.body {
            assert_eq!(&*bar.interval, "5m");
            assert!(bar.low <= bar.open && bar.open <= bar.high);
            closed.extend(bar.closed.then_some(bar.start));
        }
    }
    assert!(closed.len() >= 2, "{closed:?}");
    assert!(closed.is_sorted(), "{closed:?}");
}

#[test]
fn in_front_of_a_recording_anything_may_be_asked_for_and_nothing_is_made_up() {
    let made = SimSetup { tape: true, ..setup(15) };
    let mut pair = Pair::new(&Coinbase, &made, &[Channel::Book, Channel::Trades], &Options::default());
    pair.run_ms(8_000);
    assert!(pair.seen.topics.contains(&(true, "level2:BTC-USD".to_owned())), "{:?}", pair.seen.topics);
    assert!(pair.seen.topics.contains(&(true, "matches:BTC-USD".to_owned())), "{:?}", pair.seen.topics);
    assert_eq!((pair.seen.count(Channel::Book), pair.seen.count(Channel::Trades)), (0, 0));
    assert_eq!((pair.seen.refused.len(), pair.seen.closes.len()), (0, 0));
    let wants = pair.wants(&[Channel::Trades]);
    pair.unsubscribe(&wants);
    pair.run_ms(1_000);
    assert!(
        pair.seen.topics.contains(&(false, "market_trades:BTC-USD".to_owned())),
        "{:?}",
        pair.seen.topics
    );
}

#[test]
fn frames_of_a_recording_are_told_apart_and_numbered_for_each_client() {
    use source::{Peer, SimAction, SimInput};
    let mut sim = Coinbase.sim(&SimSetup { tape: true, ..setup(16) });
    let mut out = Vec::new();
    sim.on(SimInput::Open { peer: Peer(1), endpoint: 0, path: "/" }, START, &mut out);
    let ask = br#"{"type":"subscribe","product_ids":["ANY-USD"],"channel":"level2"}"#;
    sim.on(SimInput::Frame { peer: Peer(1), bytes: ask }, START, &mut out);
    let joined = |a: &SimAction| matches!(a, SimAction::Joined { key, .. } if key == "level2:ANY-USD");
    assert!(out.iter().any(joined), "{out:?}");
    let update = br#"{"channel":"l2_data","timestamp":"2026-09-01T12:00:00Z","sequence_num":917,"events":[{"type":"update","product_id":"ANY-USD","updates":[]}]}"#;
    let topic = sim.topic(0, update).unwrap();
    assert_eq!((topic.key.as_str(), topic.fresh), ("level2:ANY-USD", false));
    let whole = String::from_utf8_lossy(update).replace("\"update\"", "\"snapshot\"");
    assert!(sim.topic(0, whole.as_bytes()).unwrap().fresh);
    let beat = br#"{"channel":"heartbeats","timestamp":"2026-09-01T12:00:00Z","sequence_num":1,"events":[]}"#;
    assert!(sim.topic(0, beat).is_none());
    let old = br#"{"type":"match","trade_id":1,"price":"1","size":"1","product_id":"ANY-USD","time":"2021-04-17T16:43:31.244075Z"}"#;
    assert_eq!(sim.topic(1, old).unwrap().key, "matches:ANY-USD");
    // The acknowledgement was number 0.
    for expected in ["\"sequence_num\":1,", "\"sequence_num\":2,"] {
        let mut frame = update.to_vec();
        sim.renumber(Peer(1), &mut frame);
        assert!(String::from_utf8_lossy(&frame).contains(expected));
    }
}

#[test]
fn what_another_connection_told_is_passed_over_as_if_it_had_been_read() {
    conformance::copies_are_passed_over(&Coinbase, &[Channel::Trades]);
}
