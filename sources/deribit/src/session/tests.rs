use super::*;
use crate::subscribe::PATH;
use model::{Gap, Proof, Status};
use source::{Options, Want};
use std::sync::Arc;

mod running;

const T0: Ts = Ts(1_760_000_000_000_000_000);
const BTC: &str = "BTC-PERPETUAL";
const ETH: &str = "ETH-PERPETUAL";

struct Script {
    session: DeribitSession,
    now: Ts,
}

fn want(symbol: &str, channel: Channel) -> Want {
    Want { instrument: Arc::new(listing::provisional(symbol.as_bytes()).unwrap()), channel }
}

impl Script {
    fn with(wants: &[(&str, Channel)], options: Options) -> (Self, Vec<Action>) {
        let wants = wants.iter().map(|(symbol, channel)| want(symbol, *channel)).collect();
        let shard = Shard { endpoint: 0, path: Some(PATH.to_owned()), wants, options };
        let mut script = Self { session: DeribitSession::new(&shard), now: T0 };
        let out = script.on(Input::Open);
        (script, out)
    }

    /// An open session that wants these.
    fn open(wants: &[(&str, Channel)]) -> (Self, Vec<Action>) {
        Self::with(wants, Options::default())
    }

    /// A live book of BTC-PERPETUAL at 10, and one of ETH-PERPETUAL at 20.
    fn live() -> Self {
        let (mut script, out) = Self::open(&[(BTC, Channel::Book), (ETH, Channel::Book)]);
        script.ack(&out, |_| true);
        for (symbol, seq) in [(BTC, 10), (ETH, 20)] {
            script.frame(&book(symbol, None, seq));
        }
        script
    }

    fn on(&mut self, input: Input<'_>) -> Vec<Action> {
        let mut out = Vec::new();
        self.session.on(input, self.now, &mut out);
        out
    }

    fn frame(&mut self, text: &str) -> Vec<Action> {
        self.on(Input::Frame { bytes: text.as_bytes(), binary: false })
    }

    fn after(&mut self, ms: u64) -> Vec<Action> {
        self.now = self.now.plus_ms(ms);
        self.on(Input::Wake { timer: TIMER_CHORES })
    }

    /// Answers the last subscription with those channels that are taken, backwards.
    fn ack(&mut self, out: &[Action], taken: impl Fn(&str) -> bool) -> Vec<Action> {
        let (id, channels) = asked(out).pop().unwrap();
        let taken: Vec<String> =
            channels.iter().rev().filter(|c| taken(c)).map(|c| format!("\"{c}\"")).collect();
        self.frame(&format!(r#"{{"jsonrpc":"2.0","id":{id},"result":[{}],"usIn":1}}"#, taken.join(",")))
    }

    fn error(&mut self, out: &[Action], code: i64, words: &str) -> Vec<Action> {
        let (id, _) = asked(out).pop().unwrap();
        self.frame(&format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":{code},"message":"{words}"}}}}"#))
    }
}

fn book(symbol: &str, prev: Option<u64>, seq: u64) -> String {
    let (kind, prev) = match prev {
        Some(prev) => ("change", format!(r#""prev_change_id":{prev},"#)),
        None => ("snapshot", String::new()),
    };
    format!(
        r#"{{"jsonrpc":"2.0","method":"subscription","params":{{"channel":"book.{symbol}.100ms","data":{{"type":"{kind}","timestamp":1760000000100,{prev}"instrument_name":"{symbol}","change_id":{seq},"bids":[["new",1.0,{seq}.0]],"asks":[["new",2.0,1.0]]}}}}}}"#
    )
}

fn push(channel: &str, data: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","method":"subscription","params":{{"channel":"{channel}","data":{data}}}}}"#)
}

fn sends(out: &[Action]) -> Vec<serde_json::Value> {
    let read = |a: &Action| match a {
        Action::Send(bytes) => Some(serde_json::from_slice(bytes).unwrap()),
        _ => None,
    };
    out.iter().filter_map(read).collect()
}

/// Requests of that method: id and channels.
fn calls(out: &[Action], method: &str) -> Vec<(u64, Vec<String>)> {
    let channels = |v: &serde_json::Value| {
        let all = v["params"]["channels"].as_array().unwrap();
        all.iter().map(|c| c.as_str().unwrap().to_owned()).collect()
    };
    let sent = sends(out).into_iter().filter(|v| v["method"] == method);
    sent.map(|v| (v["id"].as_u64().unwrap(), channels(&v))).collect()
}

fn asked(out: &[Action]) -> Vec<(u64, Vec<String>)> {
    calls(out, "public/subscribe")
}

fn ended(out: &[Action]) -> Vec<Vec<String>> {
    calls(out, "public/unsubscribe").into_iter().map(|(_, channels)| channels).collect()
}

fn events(out: &[Action]) -> Vec<(&str, Channel, &Body)> {
    fn event(action: &Action) -> Option<(&str, Channel, &Body)> {
        match action {
            Action::Emit(e) => Some((&*e.instrument.symbol, e.channel, &e.body)),
            _ => None,
        }
    }
    out.iter().filter_map(event).collect()
}

fn gaps(out: &[Action]) -> Vec<(&str, Gap)> {
    let gap = |(name, _, body): (_, _, &Body)| match body {
        Body::Gap(gap) => Some((name, gap.clone())),
        _ => None,
    };
    events(out).into_iter().filter_map(gap).collect()
}

fn facts(out: &[Action]) -> Vec<(&str, Channel, &LaneFact)> {
    fn fact<'a>(
        (name, channel, body): (&'a str, Channel, &'a Body),
    ) -> Option<(&'a str, Channel, &'a LaneFact)> {
        match body {
            Body::Lane(fact) => Some((name, channel, fact)),
            _ => None,
        }
    }
    events(out).into_iter().filter_map(fact).collect()
}

#[test]
fn opening_asks_for_heartbeats_and_for_each_channel_once() {
    let (_, out) = Script::open(&[
        (BTC, Channel::Book),
        (BTC, Channel::MarkPrice),
        (BTC, Channel::OpenInterest),
        (BTC, Channel::Trades),
        (BTC, Channel::Liquidations),
    ]);
    let proof = |channel| match channel {
        Channel::Book | Channel::Trades => Proof::Sequence,
        _ => Proof::None,
    };
    assert_eq!(facts(&out).len(), 5);
    for (_, channel, fact) in facts(&out) {
        assert_eq!(*fact, LaneFact::Asked { proof: proof(channel), quiet_ms: None });
    }
    let sent = sends(&out);
    assert_eq!(
        (&sent[0]["method"], &sent[0]["params"]["interval"]),
        (&"public/set_heartbeat".into(), &10.into())
    );
    let [(_, channels)] = &asked(&out)[..] else { panic!("{out:?}") };
    assert_eq!(
        channels,
        &["book.BTC-PERPETUAL.100ms", "ticker.BTC-PERPETUAL.100ms", "trades.BTC-PERPETUAL.100ms"]
    );
}

#[test]
fn what_the_answer_leaves_out_is_refused_and_asked_for_later() {
    let (mut script, out) = Script::open(&[(BTC, Channel::Book), (ETH, Channel::Trades)]);
    let out = script.ack(&out, |c| c.starts_with("book"));
    let told = facts(&out);
    assert!(told.contains(&(BTC, Channel::Book, &LaneFact::Acked)));
    assert!(matches!(told[..], [.., (ETH, Channel::Trades, LaneFact::Refused(_))]), "{told:?}");
    script.frame(&book(BTC, None, 5));
    assert_eq!(asked(&script.after(29_999)), []);
    let out = script.after(1);
    assert_eq!(asked(&out)[0].1, ["trades.ETH-PERPETUAL.100ms"]);
    let out = script.ack(&out, |_| true);
    assert!(facts(&out).contains(&(ETH, Channel::Trades, &LaneFact::Acked)));
}

#[test]
fn an_answer_to_an_earlier_request_says_nothing() {
    let (mut script, out) = Script::open(&[(BTC, Channel::Trades)]);
    let again = script.after(10_000);
    assert_eq!((ended(&again).len(), asked(&again).len()), (1, 1));
    assert_eq!(facts(&script.ack(&out, |_| true)), []);
    assert_eq!(facts(&script.ack(&again, |_| true)), [(BTC, Channel::Trades, &LaneFact::Acked)]);
    assert_eq!(sends(&script.after(100_000)), Vec::<serde_json::Value>::new());
}

#[test]
fn a_gap_starts_that_book_again_and_a_second_one_waits() {
    let mut script = Script::live();
    let out = script.frame(&book(BTC, Some(11), 12));
    let gap = Gap { cause: GapCause::Sequence, from_seq: Some(10), to_seq: Some(12) };
    assert_eq!(gaps(&out), [(BTC, gap)]);
    let channel = vec!["book.BTC-PERPETUAL.100ms".to_owned()];
    assert_eq!(ended(&out), std::slice::from_ref(&channel));
    assert_eq!(asked(&out)[0].1, channel);
    for seq in 12..20 {
        let out = script.frame(&book(BTC, Some(seq), seq + 1));
        assert!(events(&out).iter().all(|e| matches!(e.2, Body::Lane(LaneFact::Syncing(_)))), "{out:?}");
        assert!(sends(&out).is_empty());
    }
    let other = script.frame(&book(ETH, Some(20), 21));
    assert!(matches!(events(&other)[..], [(ETH, _, Body::Delta(_))]), "the other book goes on");
    script.ack(&out, |_| true);
    script.frame(&book(BTC, None, 30));
    script.now = script.now.plus_ms(1_000);
    let out = script.frame(&book(BTC, Some(31), 32));
    assert_eq!((gaps(&out).len(), sends(&out).len()), (1, 0));
    assert!(asked(&script.after(8_000)).is_empty());
    assert_eq!(asked(&script.after(1_000)).len(), 1);
}

#[test]
fn a_snapshot_that_does_not_come_is_asked_for_again_ever_more_slowly() {
    let (mut script, out) = Script::open(&[(BTC, Channel::Book)]);
    script.ack(&out, |_| true);
    let mut at = Vec::new();
    for second in 1..200 {
        if !asked(&script.after(1_000)).is_empty() {
            at.push(second);
        }
    }
    assert_eq!(at, [10, 30, 70, 150]);
}

#[test]
fn a_broken_frame_harms_its_book_or_all_books_where_it_names_none() {
    let gap = |seq| Gap { cause: GapCause::Malformed, from_seq: Some(seq), to_seq: None };
    let mut script = Script::live();
    let out = script.frame(&book(BTC, Some(10), 11).replace(r#""bids""#, r#""bids"?"#));
    assert!(out.iter().any(|a| matches!(a, Action::Malformed(_))));
    assert_eq!(gaps(&out), [(BTC, gap(10))]);
    let mut script = Script::live();
    let out = script.frame("<html>");
    assert_eq!(gaps(&out), [(BTC, gap(10)), (ETH, gap(20))]);
    assert_eq!(asked(&out).len(), 1, "both in one request");
    let mut script = Script::live();
    let out = script.frame(&push("trades.BTC-PERPETUAL.100ms", r#"[{"price":"?"}]"#));
    assert!(matches!(out[..], [Action::Malformed(_)]) && gaps(&out).is_empty(), "{out:?}");
    let out = script.frame(r#"{"jsonrpc":"2.0","id":5,"result":[}"#);
    assert!(matches!(out[..], [Action::Malformed(_)]), "{out:?}");
}

#[test]
fn a_test_request_is_answered_at_once() {
    let mut script = Script::live();
    let out = script.frame(r#"{"jsonrpc":"2.0","method":"heartbeat","params":{"type":"test_request"}}"#);
    assert_eq!(sends(&out)[0]["method"], "public/test");
    let out = script.frame(r#"{"jsonrpc":"2.0","method":"heartbeat","params":{"type":"heartbeat"}}"#);
    assert_eq!(out, [Action::Control("heartbeat")]);
}

#[test]
fn silence_is_asked_about_and_then_is_the_end() {
    let mut script = Script::live();
    script.now = script.now.plus_ms(QUIET_MS);
    let out = script.on(Input::Wake { timer: TIMER_SILENCE });
    assert_eq!(sends(&out)[0]["method"], "public/test");
    script.now = script.now.plus_ms(ANSWER_MS);
    let out = script.on(Input::Wake { timer: TIMER_SILENCE });
    assert!(matches!(out[..], [Action::Close { fault: Fault::Stale, .. }]), "{out:?}");
    assert_eq!(gaps(&script.on(Input::Closed)).len(), 2);
    assert_eq!(script.on(Input::Closed), []);
}

#[test]
fn too_many_requests_hold_everything_back() {
    let (mut script, out) = Script::open(&[(BTC, Channel::Book)]);
    let out = script.error(&out, 10_028, "too_many_requests");
    assert!(facts(&out).is_empty() && asked(&out).is_empty(), "{out:?}");
    assert_eq!(asked(&script.after(4_999)), []);
    assert_eq!(asked(&script.after(1)).len(), 1);
}

#[test]
fn requests_about_channels_stay_within_the_venues_credits() {
    let mut script = Script::live();
    let (mut count, mut seq) = (0, 1_000);
    for _ in 0..600 {
        let mut out = script.after(100);
        for symbol in [BTC, ETH] {
            out.extend(script.on(Input::Resync {
                instrument: want(symbol, Channel::Book).instrument.id,
                channel: Channel::Book,
            }));
            script.frame(&book(symbol, None, seq));
            seq += 10;
        }
        count += asked(&out).len() + ended(&out).len();
    }
    assert!(count <= 9 + 60_000 / 300, "{count}");
}

#[test]
fn an_index_feeds_every_instrument_over_it() {
    let (mut script, _) = Script::open(&[
        (BTC, Channel::IndexPrice),
        ("BTC-27JUN25-100000-C", Channel::IndexPrice),
        ("BTC_USDC-PERPETUAL", Channel::VolatilityIndex),
        (ETH, Channel::IndexPrice),
    ]);
    let out = script.frame(&push("deribit_price_index.btc_usd", r#"{"price":1.5}"#));
    let names: Vec<_> = events(&out).into_iter().map(|e| e.0).collect();
    assert_eq!(names, [BTC, "BTC-27JUN25-100000-C"]);
    let out = script.frame(&push("deribit_volatility_index.btc_usd", r#"{"volatility":48.25}"#));
    assert!(matches!(events(&out)[..], [("BTC_USDC-PERPETUAL", Channel::VolatilityIndex, _)]), "{out:?}");
}

#[test]
fn a_state_is_told_once_and_comes_back_after_a_lock() {
    let (mut script, _) = Script::open(&[(BTC, Channel::Status), (ETH, Channel::Status)]);
    let ticker = |state: &str| push("ticker.BTC-PERPETUAL.100ms", &format!(r#"{{"state":"{state}"}}"#));
    let status = |out: &[Action]| -> Vec<Status> {
        let of = |(_, _, body): (_, _, &Body)| match body {
            Body::Status(status) => Some(status.clone()),
            _ => None,
        };
        events(out).into_iter().filter_map(of).collect()
    };
    assert_eq!(status(&script.frame(&ticker("open"))), [Status::Trading]);
    assert_eq!(status(&script.frame(&ticker("open"))), []);
    let lock = |locked| push("platform_state", &format!(r#"{{"locked":{locked},"price_index":"btc_usd"}}"#));
    assert_eq!(status(&script.frame(&lock(true))), [Status::Halted]);
    assert_eq!(status(&script.frame(&ticker("open"))), []);
    assert_eq!(status(&script.frame(&lock(false))), [Status::Trading]);
    let created = r#"{"timestamp":1,"state":"closed","instrument_name":"BTC-PERPETUAL"}"#;
    assert_eq!(status(&script.frame(&push("instrument.state.any.any", created))), [Status::Closed]);
}

#[test]
fn a_changed_state_asks_for_the_definition_where_that_is_wanted() {
    let (mut script, _) = Script::open(&[(BTC, Channel::Instruments)]);
    let state = r#"{"timestamp":1,"state":"started","instrument_name":"BTC-PERPETUAL"}"#;
    let out = script.frame(&push("instrument.state.any.any", state));
    let path = "/api/v2/public/get_instrument?instrument_name=BTC-PERPETUAL";
    assert!(matches!(&out[..], [Action::Fetch { path: p, .. }] if p == path), "{out:?}");
    let body = br#"{"jsonrpc":"2.0","result":{"instrument_name":"BTC-PERPETUAL","kind":"future","settlement_period":"perpetual","base_currency":"BTC","quote_currency":"USD","tick_size":0.5,"min_trade_amount":10}}"#;
    let out = script.on(Input::Reply { tag: Some(0), path, status: 200, retry_ms: None, body });
    assert!(matches!(events(&out)[..], [(BTC, Channel::Instruments, Body::Instrument)]), "{out:?}");
}

#[test]
fn a_definition_from_outside_is_used_at_once() {
    let mut script = Script::live();
    let mut made = listing::provisional(BTC.as_bytes()).unwrap();
    (made.px_scale, made.qty_scale) = (1, 2);
    script.on(Input::Define(&Arc::new(made)));
    let out = script.frame(&book(BTC, Some(10), 11));
    let [(_, _, Body::Delta(delta))] = events(&out)[..] else { panic!("{out:?}") };
    assert_eq!(delta.levels.bids()[0].px, model::Px(10));
}

#[test]
fn cut_frames_of_a_live_book_never_give_another_event() {
    let whole = book(BTC, Some(10), 11);
    for cut in 0..whole.len() {
        let mut script = Script::live();
        let out = script.on(Input::Frame { bytes: &whole.as_bytes()[..cut], binary: false });
        assert!(out.iter().any(|a| matches!(a, Action::Malformed(_))), "{cut}");
        let lost = gaps(&out).iter().any(|(name, _)| *name == BTC);
        assert!(lost, "{cut}: the book goes on as if nothing were lost");
        for (_, _, body) in events(&out) {
            assert!(matches!(body, Body::Gap(_) | Body::Lane(_) | Body::Delta(_)), "{body:?}");
        }
    }
}
