//! Constructed frames, worlds made by luck that come out as they went in, and frames that are broken in every way.

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
use tdx::codec::files::{BLOCK_BYTES, BLOCKS_HEAD, FileMeta, blocks};
use tdx::codec::frame::{AnswerFrame, RequestFrame};
use tdx::codec::minutes::Minute;
use tdx::codec::query::Page;
use tdx::codec::quotes::{Flow, Head, Level, Prices, Quote, Refreshed, Top};
use tdx::codec::session::Hello;
use tdx::codec::text::Text;
use tdx::codec::trades::{Auction, Trade};
use tdx::codec::{Answer, BarsQuery, Code, Listed, ListedOld, Query, STUB};

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(pair).collect()
}

fn code(market: u8, digits: &str) -> Code {
    Code::of(market, digits).unwrap()
}

fn bars_of(market: u8, digits: &str, category: u16) -> Query {
    Query::Bars(BarsQuery {
        code: code(market, digits),
        category,
        multiplier: 1,
        count: 800,
        ..BarsQuery::default()
    })
}

fn answered(query: &Query, frame: &str) -> Answer {
    let frame = AnswerFrame::read(&unhex(frame)).unwrap();
    assert_eq!(frame.command, query.command());
    let read = Answer::read(query, &frame.body);
    assert_eq!(read.left, 0);
    read.whole().unwrap()
}

const LIMIT_UP: &str = "b1cb74000c03000000003e055a005a00 0101 0100 01363030303030 4d00 8411 e301 dc01 00 e301 87e6d10c c411 \
    a0843d 0c 90f4f74d 90d119 90b323 00 9c17 00 c411 80d30e 00 41 c411 a09a0c 00 42 c411 80e209 00 43 c411 a0a907 00 44 c411 \
    80f104 00 0000 00 00 00 00 0000 4d00";

#[test]
fn a_stock_at_its_upper_limit_has_no_asks() {
    let query = Query::Quotes(vec![code(1, "600000")]);
    let Answer::Quotes(all) = answered(&query, LIMIT_UP) else { panic!() };
    let prices = all[0].head.prices;
    assert_eq!(
        (prices.last, prices.high, prices.prev_close, prices.open, prices.low),
        (1092, 1092, 993, 1000, 993)
    );
    assert!(
        all[0].levels.iter().all(|level| level.ask == 0 && level.ask_volume == 0 && level.bid_volume > 0)
    );
    let packed = "b1cb74001c03000000003e0556005a00789c6364646460343300015f8616c1c78c7718191e33b63fbbc8734470418b2dcf842f\
        df7d275c949cb05999618e38c311c186cb7c0c8e40a9593c0c4e40de234e0667206f253b830b90f7918501067c190031af1bf0";
    assert_eq!(answered(&query, packed), Answer::Quotes(all));
}

#[test]
fn constructed_answers_have_the_numbers_that_they_were_made_from() {
    let frame =
        "b1cb74000c04000000002d051f001f000100002935019b93e403d4c301888001c4ba02324ef44d4f3732532c03af05";
    let Answer::Bars(all) = answered(&bars_of(1, "000001", 4), frame) else { panic!() };
    let index = all[0];
    assert_eq!(
        (index.open, index.close, index.high, index.low),
        (3_966_171, 3_953_671, 3_974_371, 3_946_071)
    );
    assert_eq!((index.stamp, index.volume, index.counts), (20_261_120, 512_345_664.0, Some((812, 1455))));

    let frame = "b1cb74000c04000000002d052400240002009ab13f028a9b010a1e4a20b29649983d3b4b9ab144024a00144a00ba5b49e069084b";
    let Answer::Bars(all) = answered(&bars_of(1, "600000", 0), frame) else { panic!() };
    assert_eq!((all[1].open, all[1].close, all[1].high, all[1].low), (9930, 9930, 9950, 9920));
    assert_eq!((all[0].stamp, all[0].volume), (0x023f_b19a, 1_234_500.0));

    let frame = "b1cb74000c0500000000370514001400030000008510b4c70cbc9c01415882130223840e";
    let Answer::Minutes(all) = answered(&Query::Minutes(code(1, "600000")), frame) else { panic!() };
    let row = |price, mean, volume| Minute { price, mean, volume };
    assert_eq!(all, [row(1029, 102_900, 10_044), row(1028, 102_876, 1218), row(1031, 102_935, 900)]);

    let frame = "b1cb74000c0300000000470569006900929393a3a3a3a3a3a2fb81058292999fd082df9193930027e23792c19ae5dd1341ab\
        0071ab93332892939239962794d29138962694d1903f962594d0973e962494d7963d962b9493939393939393939393939393939393939393\
        939393939393939393939393939393";
    let Answer::Refreshed(all) = answered(&Query::Refresh(vec![(code(0, "000001"), 0)]), frame) else {
        panic!()
    };
    assert_eq!((all[0].prices.last, all[0].prices.prev_close, all[0].time), (1110, 1111, 150_545));
    assert_eq!(all[0].flow.volume, 929_043);

    let frame = "b1cb74000c02000000004d044c004c00 0200 3630303030306400c6d6b7a2d2f8d0d000000000000000000000000002\
        48e11e4100000000 3531303330306400bba6c9ee333030455446bbaacca9b0d800000000036f12974000000000";
    // The first line's digits are written here as the record has them: 16 bytes of name, then the base of volumes.
    let frame = frame.replace("d0d000000000000000000000000002", "d0d000000000000000000040de440248e11e41");
    let frame = frame.replace("48e11e4148e11e41", "48e11e41");
    let Answer::List(all) = answered(&Query::List(2, 0, 1600), &frame) else { panic!() };
    assert_eq!((all[0].name.get(), all[0].prev_close, all[0].decimals), ("浦发银行".to_owned(), 9.93, 2));
    assert_eq!(
        (all[1].name.get(), all[1].prev_close, all[1].decimals),
        ("沪深300ETF华泰柏".to_owned(), 4.721, 3)
    );

    let meta = "b1cb74000c0900000000c502260026007011010001303132333435363738396162636465663031323334353637383961626364656600";
    let Answer::FileMeta(meta) = answered(&Query::FileMeta(Text::of("block_gn.dat")), meta) else { panic!() };
    assert_eq!((meta.size, &*meta.md5.get()), (70_000, "0123456789abcdef0123456789abcdef"));
    let part = answered(&Query::file_part("a", 0, 5), "b1cb74000c0900000000b906090009000500000068656c6c6f");
    assert_eq!(part, Answer::FilePart(b"hello".to_vec()));
    let beat = answered(&Query::Heartbeat, "b1cb74000c071895000004000a000a00000000000000a2ff3401");
    assert_eq!(beat, Answer::Heartbeat(20_250_530));
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
    let query = bars_of(1, "600000", 9);
    assert_eq!(Answer::read(&query, &[1, 2]).whole(), Err(STUB));
    assert_eq!(Answer::read(&query, &[0, 0]).whole(), Ok(Answer::Bars(Vec::new())));
    let part = Answer::read(&Query::file_part("a", 0, 5), &unhex("ffffff7f00"));
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

#[test]
fn block_files_are_read_with_their_members_however_a_build_writes_them() {
    let mut file = vec![0; BLOCKS_HEAD];
    file.extend_from_slice(&2_u16.to_le_bytes());
    for (name, members) in [("半导体", ["688001\0", "1600000"]), ("锂电池概念", ["000001\0", "0300750"])]
    {
        let mut block = Text::<9>::of(name).0.to_vec();
        block.extend_from_slice(&[2, 0, 7, 0]);
        block.extend(members.iter().flat_map(|member| member.bytes()));
        block.resize(BLOCK_BYTES, 0);
        file.extend_from_slice(&block);
    }
    let all = blocks(&file).unwrap();
    assert_eq!(
        (&*all[0].name, all[0].kind, &all[0].members[..]),
        ("半导体", 7, &["688001".into(), "600000".into()][..])
    );
    assert_eq!((&*all[1].name, &*all[1].members[1]), ("锂电池概", "300750"));
    assert!(blocks(&file[..file.len() - 1]).is_err());
    file[BLOCKS_HEAD + 2 + 9] = 0xff;
    file[BLOCKS_HEAD + 2 + 10] = 0xff;
    let words = blocks(&file).unwrap_err().to_string();
    assert_eq!(words, "a block with more than 400 members (byte 395)");
}
