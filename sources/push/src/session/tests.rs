use super::*;
use crate::frame::{REFUSAL, framed};
use model::{DayStats, Decimal, Event, Level, Px, Qty};
use source::{Login, Options};

/// 2026-04-10 14:59:51 in Beijing, a trading day.
const NOW: Ts = Ts::from_ms(1_775_804_391_000);
const REAL: &str = "SH600000$浦发银行$1775804391$9.93$9.95$9.86$9.89$426584$422430528.00$9.90$9.91$9.92$9.93$9.94$1160$3143$1131$1999$1176$9.89$9.88$9.87$9.86$9.85$509$13160$6800$11559$9643$0.13$9.93$10.92$8.94";
const BEIJING: &str = r#"{"stock_code":"920118.BJ","time":1775804391000,"lastPrice":25.31,"open":25.10,"high":25.60,"low":24.95,"lastClose":25.02,"amount":31450212.55,"volume":12422,"pvolume":1242240,"stockStatus":5,"openInt":13,"askPrice":[25.32,25.33,25.35,25.36,25.38],"bidPrice":[25.31,25.30,25.29,25.28,25.27],"askVol":[12,30,8,5,41],"bidVol":[20,11,7,60,3]}"#;
const INDEX: &str = "SH000001$上证指数$1775804391$3300.10$3310.55$3290.01$3305.1234$312345678$412345678901.5$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$$3299.98$0$0";

struct Test {
    session: PushSession,
    now: Ts,
}

impl Test {
    fn new(shard: &Shard) -> Self {
        let mut all = Self { session: PushSession::new(shard), now: NOW };
        all.on(Input::Open);
        all
    }

    fn on(&mut self, input: Input<'_>) -> Vec<Action> {
        let mut out = Vec::new();
        self.session.on(input, self.now, &mut out);
        out
    }

    fn payload(&mut self, payload: &str) -> Vec<Action> {
        self.on(Input::Frame { bytes: &framed(payload.as_bytes()), binary: true })
    }

    /// What follows from these records once they are believed.
    fn told(mut self, payloads: &[&str]) -> Vec<Action> {
        let mut all: Vec<Action> = payloads.iter().flat_map(|payload| self.payload(payload)).collect();
        self.now = self.now.plus_ms(HELD_MS);
        all.extend(self.on(Input::Wake { timer: JUDGE }));
        all.retain(|action| !matches!(action, Action::WakeAt { .. }));
        all
    }
}

fn recorded() -> Test {
    Test::new(&Shard::default())
}

fn live(options: Options, wants: Vec<Want>) -> Test {
    let login = Some(Login { key: "QT_0123456789abcdef".to_owned(), secret: String::new() });
    let options = Options { login, ..options };
    Test::new(&Shard { endpoint: 0, path: Some(String::new()), wants, options })
}

fn emitted(action: &Action) -> Option<&Event> {
    if let Action::Emit(event) = action { Some(event) } else { None }
}

fn events(actions: &[Action]) -> Vec<&Event> {
    actions.iter().filter_map(emitted).collect()
}

fn day_of(actions: &[Action]) -> DayStats {
    let day =
        |event: &&Event| if let Body::DayStats(day) = &event.body { Some((**day).clone()) } else { None };
    events(actions).iter().find_map(day).unwrap()
}

fn book_of(actions: &[Action]) -> (Vec<Level>, Vec<Level>) {
    let sides = |event: &&Event| match &event.body {
        Body::Snapshot(book) => Some((book.levels.bids().to_vec(), book.levels.asks().to_vec())),
        _ => None,
    };
    events(actions).iter().find_map(sides).unwrap()
}

fn end(action: &Action) -> Option<(Fault, &str)> {
    if let Action::Close { fault, why } = action { Some((*fault, why)) } else { None }
}

fn closed(actions: &[Action]) -> (Fault, &str) {
    actions.iter().find_map(end).unwrap()
}

#[allow(clippy::unnecessary_wraps, reason = "it is held against fields that may be absent")]
fn dec(text: &str) -> Option<Decimal> {
    Some(Decimal::parse(text.as_bytes()).unwrap())
}

#[test]
fn a_record_becomes_a_definition_statistics_in_shares_and_yuan_and_five_levels() {
    let told = recorded().told(&[REAL]);
    let first = events(&told)[0];
    assert_eq!((first.channel, &*first.instrument.name), (Channel::Instruments, "600000.SH"));
    assert_eq!(&*first.instrument.title, "浦发银行");
    let day = day_of(&told);
    assert_eq!((day.open, day.high, day.low, day.last), (dec("9.93"), dec("9.95"), dec("9.86"), dec("9.89")));
    assert_eq!((day.volume, day.turnover), (dec("42658400"), dec("422430528")));
    assert_eq!((day.prev_close, day.limit_up, day.limit_down), (dec("9.93"), dec("10.92"), dec("8.94")));
    let (bids, asks) = book_of(&told);
    assert_eq!(asks[0], Level { px: Px(990), qty: Qty(116_000) });
    assert_eq!(bids[4], Level { px: Px(985), qty: Qty(964_300) });
    assert_eq!((bids.len(), asks.len()), (5, 5));
    let data = events(&told).into_iter().filter(|e| e.stamp.ts_event.is_some());
    assert!(data.clone().count() == 2 && data.clone().all(|e| e.stamp.ts_event == Some(NOW)));
}

#[test]
fn a_beijing_record_is_read_with_short_and_missing_arrays() {
    let day = day_of(&recorded().told(&[BEIJING]));
    // 12 422 lots, and the odd 40 shares that the uncut volume shows.
    assert_eq!((day.volume, day.turnover), (dec("1242240"), dec("31450212.55")));
    let short =
        BEIJING.replace("[25.32,25.33,25.35,25.36,25.38]", "[25.32,null]").replace("[12,30,8,5,41]", "[12]");
    let (bids, asks) = book_of(&recorded().told(&[&short]));
    assert_eq!((bids.len(), asks.as_slice()), (5, [Level { px: Px(2532), qty: Qty(1200) }].as_slice()));
    let none =
        recorded().told(&[r#"{"stock_code":"430047","time":1775804391000,"lastPrice":10.5,"odd":[{}]}"#]);
    assert!(none.contains(&Action::Unknown("beijing.odd".to_owned())));
    assert_eq!((day_of(&none).last, day_of(&none).volume), (dec("10.5"), None));
    assert!(!events(&none).iter().any(|event| event.channel == Channel::BookTop));
}

#[test]
fn an_index_has_statistics_and_no_book() {
    let told = recorded().told(&[INDEX]);
    assert_eq!(day_of(&told).last, dec("3305.1234"));
    assert!(!events(&told).iter().any(|event| event.channel == Channel::BookTop));
}

#[test]
fn what_a_record_does_not_say_is_absent_and_not_zero() {
    let fields: Vec<&str> = REAL.split('$').collect();
    let mut before: Vec<&str> = fields.clone();
    // Before the first trade, on a day without limits, by the words of three vendors.
    for (at, text) in
        [(2, ""), (3, "0"), (4, "0.00"), (5, ""), (6, "0"), (7, "0"), (8, ""), (31, "100000"), (32, "0")]
    {
        before[at] = text;
    }
    let told = recorded().told(&[&before.join("$")]);
    let day = day_of(&told);
    assert_eq!((day.open, day.high, day.low, day.last), (None, None, None, None));
    assert_eq!((day.volume, day.turnover, day.limit_up, day.limit_down), (dec("0"), None, None, None));
    assert!(events(&told).iter().all(|event| event.stamp.ts_event.is_none()));
    let odd = REAL.replace("$426584$", "$426584.0$");
    assert_eq!(day_of(&recorded().told(&[&odd])).volume, dec("42658400"));
}

#[test]
fn one_bad_record_does_not_spoil_the_others_of_its_frame() {
    let short =
        "SH600519$贵州茅台$1751436005$1408.51$1410.00$1405.00$1408.51$1234567$1234567890$1408.51$1409.00";
    let bad = [
        short,
        "",
        "words",
        "$$$",
        "000001$x",
        &REAL.replace("9.95", "9.9.5"),
        &REAL.replace("426584", "-1"),
    ];
    let all = [&bad[..], &[REAL, BEIJING]].concat().join("\n");
    let told = recorded().told(&[&all]);
    assert_eq!(told.iter().filter(|action| matches!(action, Action::Malformed(_))).count(), bad.len() - 1);
    assert_eq!(events(&told).iter().filter(|event| matches!(event.body, Body::DayStats(_))).count(), 2);
}

#[test]
fn more_fields_than_the_layout_has_are_noted_once_and_not_read() {
    let long = format!("{REAL}$1$2");
    let told = recorded().told(&[&long, &long]);
    assert_eq!(told.iter().filter(|action| matches!(action, Action::Unknown(_))).count(), 1);
    assert_eq!(day_of(&told).limit_down, dec("8.94"));
}

/// The same snapshot as the other layout has it.
fn in_layout_b(record: &str) -> String {
    let f: Vec<&str> = record.split('$').collect();
    [&f[..9], &f[19..29], &f[9..19], &["-0.40", f[30], "14.37", "7.12"]].concat().join("$")
}

#[test]
fn a_layout_that_the_records_contradict_publishes_nothing_and_says_what_is_wrong() {
    let b = in_layout_b(REAL);
    let told = recorded().told(&[&b]);
    assert!(events(&told).is_empty());
    let (fault, why) = closed(&told);
    assert_eq!(fault, Fault::Refused);
    assert!(why.contains("layout `A`") && why.contains("asks stand below bids in 1 of 1"), "{why}");
    let as_b = Options { layout: "B".to_owned(), ..Options::default() };
    let shard = Shard { options: as_b, ..Shard::default() };
    let read = Test::new(&shard).told(&[&b]);
    assert_eq!((book_of(&read), day_of(&read).limit_up), (book_of(&recorded().told(&[REAL])), None));
    let other = Test::new(&shard).told(&[REAL]);
    assert!(events(&other).is_empty() && closed(&other).1.contains("layout `B`"));
}

#[test]
fn each_rule_of_arithmetic_finds_its_own_contradiction() {
    for (from, to, words) in [
        ("$10.92$8.94", "$14.37$7.12", "limits do not follow"),
        ("$9.93$9.95$9.86$9.89$", "$9.93$9.95$9.86$9.99$", "open or last"),
        ("$426584$", "$42658400$", "another unit"),
    ] {
        let record = REAL.replace(from, to);
        let told = recorded().told(&[&record]);
        assert!(closed(&told).1.contains(words), "{words}");
    }
    let percent = REAL.replace("$9.89$", "$9.50$").replace("$9.86$", "$9.40$").replace("$0.13$", "$-4.33$");
    assert!(closed(&recorded().told(&[&percent])).1.contains("percent"));
    let beijing = BEIJING.replace("12422,", "1242240,");
    assert!(closed(&recorded().told(&[&beijing])).1.contains("Beijing"));
}

#[test]
fn a_layout_that_turns_out_wrong_within_the_first_thousand_records_is_refused_then() {
    let mut test = recorded();
    let mut passed = 0;
    for _ in 0..100 {
        passed += events(&test.payload(REAL)).len();
    }
    assert!(passed > 0, "64 records are enough to begin");
    let b = in_layout_b(REAL);
    let gave_up = (0..200).position(|_| test.payload(&b).iter().any(|a| matches!(a, Action::Close { .. })));
    assert_eq!(gave_up, Some(100), "when more records contradict than bear out");
    assert!(events(&test.payload(REAL)).is_empty(), "what follows is not published");
}

#[test]
fn a_few_records_of_a_wrong_kind_among_the_others_are_no_contradiction() {
    let mut test = recorded();
    let b = in_layout_b(REAL);
    for n in 0..2 * crate::check::RECORDS_MAX {
        let told = test.payload(if n % 10 == 9 { &b } else { REAL });
        assert!(!told.iter().any(|action| matches!(action, Action::Close { .. })));
    }
}

#[test]
fn a_refused_token_closes_with_the_venues_words_framed_or_raw() {
    for bytes in [framed(REFUSAL.as_bytes()), REFUSAL.as_bytes().to_vec()] {
        let mut test = live(Options::default(), Vec::new());
        let told = test.on(Input::Frame { bytes: &bytes, binary: true });
        assert_eq!(closed(&told), (Fault::Refused, "the venue refused: Token鉴权失败"));
    }
}

#[test]
fn the_token_is_sent_alone_and_raw_and_without_one_nothing_is_tried() {
    let mut test = live(Options::default(), Vec::new());
    let opened = test.on(Input::Open);
    assert!(opened.contains(&Action::Send(b"QT_0123456789abcdef".to_vec())));
    let mut none = PushSession::new(&Shard { path: Some(String::new()), ..Shard::default() });
    let mut out = Vec::new();
    none.on(Input::Open, NOW, &mut out);
    assert_eq!(closed(&out).0, Fault::Refused);
    assert!(!out.iter().any(|action| matches!(action, Action::Send(_))));
}

#[test]
fn with_names_only_what_is_wanted_is_told() {
    let code = Code::parse("600000").unwrap();
    let want = |channel| Want { instrument: Arc::new(model::ashare::instrument(code, "")), channel };
    let mut test = live(Options::default(), vec![want(Channel::BookTop)]);
    let asked = test.on(Input::Open);
    assert_eq!(events(&asked).len(), 1);
    let more = test.on(Input::Subscribe(&[want(Channel::DayStats)]));
    assert_eq!(events(&more).len(), 1);
    let gone = test.on(Input::Unsubscribe(&[want(Channel::BookTop)]));
    assert!(matches!(events(&gone)[0].body, Body::Lane(LaneFact::Dropped)));
    let told = test.told(&[REAL, BEIJING, INDEX]);
    let channels: Vec<Channel> = events(&told).iter().map(|event| event.channel).collect();
    assert_eq!(channels, [Channel::Instruments, Channel::DayStats, Channel::DayStats]);
}

#[test]
fn without_names_lanes_are_asked_for_and_acknowledged_as_they_are_met_on_each_connection() {
    let mut test = live(Options::default(), Vec::new());
    for _ in 0..2 {
        test.payload(REAL);
        test.now = test.now.plus_ms(HELD_MS);
        let told = test.on(Input::Wake { timer: JUDGE });
        let facts = |want: fn(&LaneFact) -> bool| {
            events(&told).iter().filter(|e| matches!(&e.body, Body::Lane(fact) if want(fact))).count()
        };
        assert_eq!(facts(|fact| matches!(fact, LaneFact::Asked { .. })), 2);
        assert_eq!(facts(|fact| matches!(fact, LaneFact::Acked)), 2);
        test.on(Input::Closed);
        test.on(Input::Open);
    }
}

#[test]
fn silence_is_stale_within_trading_hours_and_nothing_outside_of_them() {
    let at = |hour: i64, minute: i64| {
        let date = model::Date::parse("2026-04-10").unwrap();
        model::ashare::instant(date, (hour * 60 + minute) * 60_000)
    };
    let silent = |from: Ts, looks: u64| {
        let mut test = live(Options::default(), Vec::new());
        test.now = from;
        test.on(Input::Open);
        (0..looks).find_map(|_| {
            test.now = test.now.plus_ms(LOOK_MS);
            let said = test.on(Input::Wake { timer: LOOK });
            said.iter().any(|a| matches!(a, Action::Close { fault: Fault::Stale, .. })).then_some(test.now)
        })
    };
    assert_eq!(silent(at(10, 0), 100), Some(at(10, 0).plus_ms(35_000)));
    assert_eq!(silent(at(11, 31), 12 * 88), None, "lunch");
    assert_eq!(silent(at(15, 31), 12 * 60 * 17), None, "the evening and the night");
    // After lunch from 13:00 on.
    assert_eq!(silent(at(12, 0), 12 * 90), Some(at(13, 0).plus_ms(30_000)));
}

#[test]
fn a_frame_of_length_zero_is_counted_and_harms_nothing() {
    let mut test = recorded();
    let told = test.on(Input::Frame { bytes: &framed(b""), binary: true });
    assert!(matches!(told.as_slice(), [Action::Malformed(_)]));
    assert_eq!(events(&test.told(&[REAL])).len(), 7);
}

#[test]
fn a_new_name_and_a_finer_price_make_a_new_definition() {
    let told =
        recorded().told(&[REAL, &REAL.replace("浦发银行", "XD浦发银"), &REAL.replace("$9.90$", "$9.905$")]);
    let defined: Vec<(&str, u8)> = events(&told)
        .iter()
        .filter(|event| event.channel == Channel::Instruments)
        .map(|event| (&*event.instrument.title, event.instrument.px_scale))
        .collect();
    assert_eq!(defined, [("浦发银行", 2), ("XD浦发银", 2), ("浦发银行", 3)]);
}
