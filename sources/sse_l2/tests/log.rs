//! Lines of the log, whole and damaged, and the events that each must give.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panic")]

use model::{Body, Channel, Date, Decimal, Event, Level, Levels, OrderAction, Px, Qty, Side, Status, ashare};
use source::{Action, Field, Input, Log, Malformed, What};
use sse_l2::SseLevel2;

const LOG: &str = include_str!("../fixtures/sse_600000_20230207.log");

/// The line of the file, from 1, with its fields one space apart.
fn line(number: usize) -> String {
    LOG.lines().nth(number - 1).unwrap().split_whitespace().collect::<Vec<_>>().join(" ")
}

fn read(lines: &[String]) -> Vec<Action> {
    let (mut session, mut out) = (SseLevel2.session(), Vec::new());
    let noon = ashare::instant(Date::parse("2023-02-07").unwrap(), 43_200_000);
    for line in lines {
        assert!(SseLevel2.recognises(line.as_bytes()) || !line.starts_with("//SecurityIDSource=101 "));
        session.on(Input::Frame { bytes: line.as_bytes(), binary: false }, noon, &mut out);
    }
    out
}

fn events(lines: &[String]) -> Vec<Event> {
    let event = |action| match action {
        Action::Emit(event) => event,
        other => panic!("{other:?}"),
    };
    read(lines).into_iter().map(event).collect()
}

/// Orders and trades in short: `add 1 bid 10 300`.
fn short(event: &Event) -> String {
    let px = |px: Px| Decimal::new(px.0.into(), event.instrument.px_scale);
    match &event.body {
        Body::Order(o) => {
            let side = if o.side == Side::Bid { "bid" } else { "ask" };
            let px = o.px.map_or_else(|| "-".to_owned(), |p| px(p).to_string());
            format!("{} {} {side} {px} {}", o.action.name(), o.id, o.qty.0)
        }
        Body::Trade(t) => format!("trade {} {} {:?}", px(t.px), t.qty.0, t.aggressor),
        other => panic!("{other:?}"),
    }
}

fn shorts(number: usize) -> Vec<String> {
    events(&[line(number)]).iter().map(short).collect()
}

#[test]
fn an_order_enters_or_leaves_with_its_number_price_and_quantity() {
    assert_eq!(shorts(5), ["add 1 bid 10 300"]);
    assert_eq!(shorts(13), ["cancel 3 bid 9.99 500"]);
    let all = events(&[line(5)]);
    assert_eq!((all[0].channel, &*all[0].instrument.name), (Channel::Orders, "600000.SH"));
    let ms = (9 * 60 + 15) * 60_000 + 100;
    let at = ashare::instant(Date::parse("2023-02-07").unwrap(), ms);
    assert_eq!(all[0].stamp.ts_event, Some(at));
    let Body::Order(order) = &all[0].body else { panic!() };
    assert_eq!((order.action, order.seq), (OrderAction::Add, Some(103)));
}

#[test]
fn a_trade_fills_who_waited_and_in_an_auction_both() {
    assert_eq!(shorts(3), ["trade 10 200 None", "fill 1 bid - 200", "fill 2 ask - 200"]);
    assert_eq!(shorts(10), ["trade 10 100 Some(Ask)", "fill 1 bid - 100"]);
    assert_eq!(shorts(11), ["trade 10 150 Some(Bid)", "fill 10 ask - 150"]);
}

#[test]
fn a_snapshot_gives_the_status_where_it_changed_the_statistics_and_the_levels_with_a_price() {
    use Channel::{BookTop, DayStats, Status as Phase};
    let all = events(&[line(2), line(14), line(14)]);
    let channels: Vec<Channel> = all.iter().map(|event| event.channel).collect();
    assert_eq!(channels, [Phase, DayStats, BookTop, Phase, DayStats, BookTop, DayStats, BookTop]);
    assert_eq!(
        (&all[0].body, &all[3].body),
        (&Body::Status(Status::PreOpen), &Body::Status(Status::Trading))
    );
    let level = |px, qty| Level { px: Px(px), qty: Qty(qty) };
    let levels = |at: usize| match &all[at].body {
        Body::Snapshot(snapshot) => snapshot.levels.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(levels(2), Levels::from_sides(&[level(1000, 200)], &[level(1000, 200)]));
    let bids = [level(999, 500)];
    assert_eq!(levels(5), Levels::from_sides(&bids, &[level(1000, 150), level(1002, 400)]));
    let Body::DayStats(before) = &all[1].body else { panic!() };
    assert_eq!((before.open, before.last, before.prev_close), (None, None, Some(Decimal::new(995, 2))));
    let Body::DayStats(stats) = &all[4].body else { panic!() };
    assert_eq!((stats.trades, stats.volume), (Some(2), Some(Decimal::new(300, 0))));
    assert_eq!((stats.turnover, stats.last), (Some(Decimal::new(3000, 0)), Some(Decimal::new(10, 0))));
}

#[test]
fn a_line_that_cannot_be_read_is_told_with_its_place_and_gives_nothing() {
    let order = line(5);
    let with = |from: &str, to: &str| {
        assert!(order.contains(from));
        order.replace(from, to)
    };
    let at = |key: &str| order.find(key).unwrap() + key.len();
    for (line, fault) in [
        (
            with("Price=10000", "Price=1O000"),
            Malformed { at: at("Price="), what: What::Expected("a whole number") },
        ),
        (with("Price=10000 ", ""), Malformed { at: 0, what: What::Missing("Price") }),
        (
            with("OrdType=65", "OrdType=66"),
            Malformed { at: at("OrdType="), what: What::Expected("65 (add) or 68 (delete)") },
        ),
        (
            with("OrderQty=300000", "OrderQty=0"),
            Malformed { at: at("OrderQty="), what: What::Rule("a quantity is zero") },
        ),
        (
            with("TransactTime=9150010", "TransactTime=9600010"),
            Malformed { at: at("TransactTime="), what: What::Expected("a time of day") },
        ),
        (
            with("=600000 ", "=60000 "),
            Malformed { at: at("SecurityID="), what: What::Rule("no code of six digits") },
        ),
        (with("=101 ", "=102 "), Malformed { at: 19, what: What::Expected("101 (Shanghai)") }),
        (
            with("OrderNo=1", "OrderNo"),
            Malformed { at: order.find("OrderNo").unwrap(), what: What::Expected("`Key=value`") },
        ),
        ("// ".to_owned(), Malformed { at: 0, what: What::Missing("SecurityIDSource") }),
        ("junk".to_owned(), Malformed { at: 0, what: What::Expected("`//`") }),
    ] {
        assert_eq!(read(std::slice::from_ref(&line)), [Action::Malformed(fault)], "{line}");
        assert_eq!(read(&[line, order.clone()]).len(), 2, "the next line is read");
    }
}

#[test]
fn an_unknown_kind_is_told_each_time_and_an_unknown_field_once() {
    let kind = line(5).replace("MsgType=192", "MsgType=11");
    let told = Action::Unknown("MsgType=11".to_owned());
    assert_eq!(read(&[kind.clone(), kind]), [told.clone(), told]);
    let field = line(5) + " NewField=1";
    let all = read(&[field.clone(), field]);
    let unknown = all.iter().filter(|a| **a == Action::Unknown("NewField".to_owned())).count();
    assert_eq!((unknown, all.len()), (1, 3));
}

#[test]
fn a_price_finer_than_the_definition_widens_it() {
    let fine = line(5).replace("Price=10000", "Price=10001");
    let all = events(&[fine, line(7)]);
    assert_eq!((short(&all[0]), short(&all[1])), ("add 1 bid 10.001 300".into(), "add 2 ask 10 200".into()));
    let odd = line(5).replace("OrderQty=300000", "OrderQty=300500");
    let Body::Order(order) = &events(&[odd])[0].body else { panic!() };
    assert_eq!(order.qty, Qty(3005));
    let huge = line(5).replace("Price=10000", "Price=18446744073709551615");
    let fault = What::Scale(Field::Px, Decimal::new(u64::MAX.into(), 3));
    assert!(matches!(&read(&[huge])[..], [Action::Malformed(Malformed { what, .. })] if *what == fault));
}
