//! Worlds made by luck that come out as they went in, and frames that are broken in every way.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    reason = "tests"
)]

use fastrand::Rng;
use tdx::codec::bars::Bar;
use tdx::codec::corporate::{Change, Changes, Finance, Story, Title};
use tdx::codec::files::FileMeta;
use tdx::codec::frame::{AnswerFrame, RequestFrame};
use tdx::codec::minutes::Minute;
use tdx::codec::query::Page;
use tdx::codec::quotes::{Flow, Head, Level, Prices, Quote, Refreshed, Top};
use tdx::codec::session::Hello;
use tdx::codec::text::Text;
use tdx::codec::trades::{Auction, Trade};
use tdx::codec::{Answer, BarsQuery, Code, Listed, ListedOld, Query, STUB};

fn code(market: u8, digits: &str) -> Code {
    Code::of(market, digits).unwrap()
}

fn price(luck: &mut Rng) -> i64 {
    let bits = luck.u32(1..40);
    luck.i64(0..1 << bits)
}

fn number(luck: &mut Rng) -> i64 {
    price(luck) - price(luck)
}

fn some_code(luck: &mut Rng) -> Code {
    Code { market: luck.u8(0..3), digits: [(); 6].map(|()| luck.u8(b'0'..=b'9')) }
}

fn many<T>(luck: &mut Rng, mut one: impl FnMut(&mut Rng) -> T) -> Vec<T> {
    (0..luck.usize(0..9)).map(|_| one(luck)).collect()
}

fn f(luck: &mut Rng) -> f32 {
    luck.f32() * 1e6
}

fn prices(luck: &mut Rng) -> Prices {
    Prices {
        last: price(luck),
        prev_close: price(luck),
        open: price(luck),
        high: price(luck),
        low: price(luck),
    }
}

fn flow(luck: &mut Rng) -> Flow {
    let [volume, last_volume, inside, outside, odd, open_amount] = [(); 6].map(|()| number(luck));
    Flow { volume, last_volume, amount: f(luck), inside, outside, odd, open_amount }
}

fn level(luck: &mut Rng) -> Level {
    Level { bid: price(luck), ask: price(luck), bid_volume: price(luck), ask_volume: price(luck) }
}

fn head(luck: &mut Rng) -> Head {
    Head {
        code: some_code(luck),
        active: luck.u16(..),
        prices: prices(luck),
        time: number(luck),
        flow: flow(luck),
    }
}

fn quote(luck: &mut Rng) -> Quote {
    let levels = [(); 5].map(|()| level(luck));
    let odd = [(); 4].map(|()| number(luck));
    Quote { head: head(luck), levels, status: luck.u16(..), odd, speed: luck.i16(..), active: luck.u16(..) }
}

fn top(luck: &mut Rng) -> Top {
    let (head, level) = (head(luck), level(luck));
    Top { head, level, speed: luck.i16(..), depth: f(luck), odd_ten: [luck.u8(..); 10], ..Top::default() }
}

fn refreshed(luck: &mut Rng) -> Refreshed {
    let levels = [(); 5].map(|()| level(luck));
    let odd_many = [(); 24].map(|()| number(luck));
    let (code, active, prices) = (some_code(luck), luck.u16(..), prices(luck));
    let (time, odd, flow) = (luck.u32(..), number(luck), flow(luck));
    Refreshed { code, active, prices, time, odd, flow, levels, odd_ten: [luck.u8(..); 10], odd_many }
}

fn listed<const N: usize>(luck: &mut Rng) -> Listed<N> {
    let name = Text::of(luck.choice(["浦发银行", "万 科Ａ", "ST", ""]).unwrap());
    let (code, decimals) = (Text::of(some_code(luck).text()), luck.u8(0..5));
    Listed {
        code,
        lot: luck.u16(..),
        name,
        volume_base: f(luck),
        decimals,
        prev_close: f(luck),
        odd: [luck.u16(..); 2],
    }
}

fn bar(luck: &mut Rng, index: bool) -> Bar {
    let [open, close, high, low] = [(); 4].map(|()| price(luck));
    let counts = index.then(|| (luck.u16(..), luck.u16(..)));
    Bar { stamp: luck.u32(..), open, close, high, low, volume: f(luck), amount: f(luck), counts }
}

fn minute(luck: &mut Rng) -> Minute {
    Minute { price: price(luck), mean: number(luck), volume: price(luck) }
}

fn trade(luck: &mut Rng, trades: bool, action: bool) -> Trade {
    let trades = if trades { price(luck) } else { 0 };
    let action = if action { luck.u16(..) } else { 0 };
    let (minute, price, volume) = (luck.u16(..), price(luck), number(luck));
    Trade { minute, price, volume, trades, side: luck.i64(0..9), odd: number(luck), action }
}

/// A query of every command with an answer to it.
fn world(luck: &mut Rng) -> Vec<(Query, Answer)> {
    let one = some_code(luck);
    let page = Page { start: luck.u16(..), count: luck.u16(..) };
    let codes = many(luck, some_code);
    let asked =
        |code| BarsQuery { code, category: 9, multiplier: 1, start: 5, count: 800, ..BarsQuery::default() };
    let (stock, index) = (asked(code(1, "600000")), asked(code(0, "399001")));
    let hello = Hello {
        clock: (2026, 11, 20, 9, 30, 1),
        trading_day: luck.u32(..),
        odd: [luck.u8(..); 10],
        ..Hello::default()
    };
    let finance = Finance {
        code: one,
        float_shares: f(luck),
        figures: [(); 30].map(|()| f(luck)),
        ..Finance::default()
    };
    let change = |luck: &mut Rng| Change {
        code: one,
        date: luck.u32(..),
        category: luck.u8(..),
        numbers: [f(luck); 4],
    };
    let changes = Changes { code: one, all: many(luck, change) };
    let title = Title {
        title: Text::of("最新提示"),
        file: Text::of("600000.txt"),
        start: luck.u32(..),
        size: luck.u32(..),
    };
    let auction = |luck: &mut Rng| {
        let (minute, price, matched) = (luck.u16(..), f(luck), luck.u32(..));
        Auction { minute, price, matched, unmatched: luck.i32(..), second: luck.u8(..) }
    };
    let mut single = quote(luck);
    single.active = single.head.active;
    vec![
        (Query::Hello(1), Answer::Hello(Box::new(hello))),
        (Query::Login(b"any".to_vec()), Answer::Login(b"tip".to_vec())),
        (Query::Heartbeat, Answer::Heartbeat(luck.u32(..))),
        (Query::Count(1, luck.u32(..)), Answer::Count(luck.u16(..))),
        (Query::ListOld(0, luck.u16(..)), Answer::ListOld(many(luck, |luck| -> ListedOld { listed(luck) }))),
        (Query::List(2, luck.u32(..), 1600), Answer::List(many(luck, listed))),
        (Query::Quotes(codes.clone()), Answer::Quotes(many(luck, quote))),
        (Query::Tops(codes.clone()), Answer::Tops(many(luck, top))),
        (
            Query::Refresh(many(luck, |luck| (some_code(luck), luck.u32(..)))),
            Answer::Refreshed(many(luck, refreshed)),
        ),
        (Query::Quote(single.head.code), Answer::Quote(Box::new(single.head), Some(Box::new(single)))),
        (Query::Bars(stock), Answer::Bars(many(luck, |luck| bar(luck, false)))),
        (Query::Bars(index), Answer::Bars(many(luck, |luck| bar(luck, true)))),
        (Query::BarsPlain(stock), Answer::Bars(many(luck, |luck| bar(luck, false)))),
        (Query::Minutes(one), Answer::Minutes(many(luck, minute))),
        (Query::MinutesOld(one), Answer::MinutesOld(None, many(luck, minute))),
        (Query::MinutesOf(20_261_120, one), Answer::MinutesOf(f(luck), many(luck, minute))),
        (Query::MinutesRecent(20_261_120, one), Answer::MinutesRecent([f(luck); 2], many(luck, minute))),
        (Query::Trades(one, page), Answer::Trades(0.0, many(luck, |luck| trade(luck, true, false)))),
        (
            Query::TradesOf(1, one, page),
            Answer::Trades(f(luck), many(luck, |luck| trade(luck, false, false))),
        ),
        (
            Query::TradesCounted(1, one, page),
            Answer::Trades(f(luck), many(luck, |luck| trade(luck, true, true))),
        ),
        (Query::Auction(one, 0, 500), Answer::Auction(many(luck, auction))),
        (Query::Actions(codes.clone()), Answer::Actions(vec![changes])),
        (Query::Finance(vec![one]), Answer::Finance(vec![finance])),
        (
            Query::FileMeta(Text::of("zhb.zip")),
            Answer::FileMeta(FileMeta { size: luck.u32(..), md5: Text::of("0a") }),
        ),
        (Query::file_part("block_zs.dat", 7, 30_000), Answer::FilePart(many(luck, |luck| luck.u8(..)))),
        (Query::Company(one), Answer::Company(vec![title])),
        (
            Query::CompanyText(one, title.file, 1, 2),
            Answer::CompanyText(Story { code: one, odd: 1, text: many(luck, |luck| luck.u8(..)) }),
        ),
    ]
}

#[test]
fn what_is_asked_and_answered_comes_out_as_it_went_in() {
    for seed in 0..300 {
        let luck = &mut Rng::with_seed(seed);
        for (query, answer) in world(luck) {
            let bytes = query.frame(luck.u32(..)).unwrap();
            let frame = RequestFrame::read(&bytes).unwrap();
            assert_eq!(Query::read(frame.command, frame.payload).as_ref(), Ok(&query), "seed {seed}");
            let body = answer.body(&query).unwrap();
            let frame = AnswerFrame { seq: luck.u32(..), command: query.command(), body };
            let again = AnswerFrame::read(&frame.bytes(luck.usize(0..300)).unwrap()).unwrap();
            assert_eq!(again, frame, "seed {seed}");
            let read = Answer::read(&query, &again.body);
            assert_eq!((read.left, read.whole().as_ref()), (0, Ok(&answer)), "seed {seed}: {query:?}");
        }
    }
}

#[test]
fn a_request_with_a_byte_too_many_or_too_few_is_none() {
    for (query, _) in world(&mut Rng::with_seed(1)) {
        if matches!(query, Query::Login(_) | Query::FilePart(..)) {
            continue;
        }
        let bytes = query.frame(1).unwrap();
        let payload = RequestFrame::read(&bytes).unwrap().payload;
        assert!(Query::read(query.command(), &[payload, &[0]].concat()).is_err(), "{query:?}");
        if let Some((_, shorter)) = payload.split_last() {
            assert!(Query::read(query.command(), shorter).is_err(), "{query:?}");
        }
    }
}

#[test]
fn broken_bytes_never_panic_and_say_what_is_wrong() {
    let (mut refused, mut read) = (0, 0);
    for seed in 0..200 {
        let luck = &mut Rng::with_seed(seed);
        for (query, answer) in world(luck) {
            let body = answer.body(&query).unwrap();
            let mut bytes = AnswerFrame { seq: 1, command: query.command(), body }.bytes(200).unwrap();
            match luck.u8(0..4) {
                0 => bytes.truncate(luck.usize(0..bytes.len())),
                1 => bytes[12..16].fill_with(|| luck.u8(..)),
                2 => (0..luck.usize(1..4)).for_each(|_| {
                    let at = luck.usize(0..bytes.len());
                    bytes[at] ^= 1 << luck.u8(0..8);
                }),
                _ => {
                    let at = luck.usize(0..bytes.len() - 3);
                    bytes[at..at + 4].copy_from_slice(&0x7fff_ffff_u32.to_le_bytes());
                }
            }
            let frame = AnswerFrame::cut(&bytes).map(|end| bytes.get(..end.unwrap_or(bytes.len())).unwrap());
            let decoded =
                frame.and_then(AnswerFrame::read).and_then(|frame| Answer::read(&query, &frame.body).whole());
            match decoded {
                Ok(_) => read += 1,
                Err(fault) => {
                    refused += 1;
                    assert!(fault.at <= 66_000 && fault.to_string().len() > 20, "{fault}");
                }
            }
            let mut request = query.frame(1).unwrap();
            let at = luck.usize(0..request.len());
            request[at] ^= 1 << luck.u8(0..8);
            if let Ok(frame) = RequestFrame::read(&request) {
                let _ = Query::read(frame.command, frame.payload);
            }
        }
    }
    assert!(refused > 1_000 && read > 100, "{refused} refused, {read} read all the same");
}

#[test]
fn a_stub_and_a_length_of_two_gigabytes_are_named() {
    let asked = BarsQuery { code: code(1, "600000"), category: 9, ..BarsQuery::default() };
    let query = Query::Bars(asked);
    assert_eq!(Answer::read(&query, &[1, 2]).whole(), Err(STUB));
    assert_eq!(Answer::read(&query, &[0, 0]).whole(), Ok(Answer::Bars(Vec::new())));
    let part = Answer::read(&Query::file_part("a", 0, 5), &[0xff, 0xff, 0xff, 0x7f, 0]);
    assert_eq!(part.whole().unwrap_err().to_string(), "a part of a file is longer than its answer (byte 0)");
}

#[test]
fn a_bad_record_among_quotes_costs_that_one_alone() {
    let luck = &mut Rng::with_seed(3);
    let all: Vec<Quote> = ["600000", "600001", "600002", "600003"]
        .map(|digits| {
            let mut quote = quote(luck);
            quote.head.code = code(1, digits);
            quote
        })
        .to_vec();
    let query = Query::Quotes(all.iter().map(|quote| quote.head.code).collect());
    let mut body = Answer::Quotes(all.clone()).body(&query).unwrap();
    let second = body.windows(6).position(|window| window == b"600001").unwrap();
    // Its last price is another one than the one that stands there again with the other sign.
    body[second + 8] ^= 1;
    let read = Answer::read(&query, &body);
    assert_eq!(read.answer, Answer::Quotes(vec![all[0], all[2], all[3]]));
    let words = read.faults.iter().map(ToString::to_string).collect::<String>();
    assert!(read.faults.len() == 1 && words.contains("with the other sign"), "{words}");
}
