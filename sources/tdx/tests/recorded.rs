//! Recorded packets and bodies, held against what is known of them.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::float_cmp, reason = "tests")]

use std::path::PathBuf;
use tdx::codec::frame::{AnswerFrame, RequestFrame};
use tdx::codec::query::Page;
use tdx::codec::text::{Text, gbk};
use tdx::codec::{Answer, BarsQuery, Code, Query};

/// The folder of recordings; `None`, and a word about it, where there is none.
fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("QINGXI_RECORDINGS").map(|root| PathBuf::from(root).join("tdx"));
    if folder.is_none() {
        println!("skipped: QINGXI_RECORDINGS names no folder of recordings");
    }
    folder
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.trim().bytes().collect();
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(pair).collect()
}

fn code(market: u8, digits: &str) -> Code {
    Code::of(market, digits).unwrap()
}

/// The answer in a recorded body, which must be read to its end; written again it must be the same bytes.
fn body(name: &str, query: &Query) -> Option<Answer> {
    let bytes = unhex(&std::fs::read_to_string(folder()?.join(format!("xmtdx/{name}.hex"))).unwrap());
    let read = Answer::read(query, &bytes);
    assert_eq!(read.left, 0, "{name}");
    let answer = read.whole().unwrap();
    let again = answer.body(query).unwrap();
    // The venue writes some zeros with a minus.
    let same = |(new, old): (&u8, &u8)| new == old || (*new, *old) == (0, 0x40);
    assert!(again.len() == bytes.len() && again.iter().zip(&bytes).all(same), "{name} is other bytes again");
    assert_eq!(Answer::read(query, &again).whole().as_ref(), Ok(&answer));
    Some(answer)
}

/// What is expected of a body: the text of a number or a text beside it.
fn expected(name: &str, key: &str) -> String {
    let text = std::fs::read_to_string(folder().unwrap().join(format!("xmtdx/{name}.json"))).unwrap();
    let value = text.split(&format!("\"{key}\": ")).nth(1).unwrap().split([',', '\n']).next().unwrap();
    value.trim_matches('"').to_owned()
}

fn number(name: &str, key: &str) -> f64 {
    expected(name, key).parse().unwrap()
}

#[test]
fn recorded_lists_have_the_expected_lines() {
    let Some(Answer::Count(count)) = body("security_count", &Query::Count(1, 0)) else { return };
    assert_eq!(f64::from(count), number("security_count", "count"));
    let Some(Answer::ListOld(all)) = body("security_list", &Query::ListOld(1, 0)) else { panic!("no list") };
    assert_eq!(all.len(), 1000);
    assert_eq!(all[0].code.get(), expected("security_list", "code"));
    assert_eq!(all[0].name.get(), expected("security_list", "name"));
    assert_eq!(f64::from(all[0].prev_close), number("security_list", "pre_close"));
    assert!(all.iter().all(|line| line.lot == 100 && line.decimals == 2 && !line.name.get().is_empty()));
}

#[test]
fn a_recorded_quote_has_the_expected_prices_and_levels() {
    let query = Query::Quotes(vec![code(1, "600000")]);
    let Some(Answer::Quotes(all)) = body("security_quotes", &query) else { return };
    let [quote] = &all[..] else { panic!("one quote is there") };
    let (head, prices, flow) = (quote.head, quote.head.prices, quote.head.flow);
    assert_eq!(head.code.text(), expected("security_quotes", "code"));
    assert_eq!(prices.prev_close as f64 / 100.0, number("security_quotes", "pre_close"));
    assert_eq!(flow.odd as f64, number("security_quotes", "unknown_2"));
    assert_eq!(flow.open_amount as f64, number("security_quotes", "unknown_3"));
    assert_eq!((prices.last, prices.open, prices.high, prices.low), (989, 993, 995, 986));
    assert_eq!((flow.volume, flow.last_volume, flow.amount), (426_584, 8404, 422_430_528.0));
    assert_eq!((flow.inside, flow.outside, head.time, quote.status), (229_607, 196_978, 14_999_212, 3926));
    let bids: Vec<(i64, i64)> = quote.levels.iter().map(|level| (level.bid, level.bid_volume)).collect();
    assert_eq!(bids, [(989, 509), (988, 13160), (987, 6800), (986, 11559), (985, 9643)]);
    let asks: Vec<(i64, i64)> = quote.levels.iter().map(|level| (level.ask, level.ask_volume)).collect();
    assert_eq!(asks, [(990, 1160), (991, 3143), (992, 1131), (993, 1999), (994, 1176)]);
}

#[test]
fn recorded_bars_minutes_and_trades_have_the_expected_numbers() {
    let asked = BarsQuery { code: code(1, "600000"), category: 4, ..BarsQuery::default() };
    let Some(Answer::Bars(bars)) = body("security_bars", &Query::Bars(asked)) else { return };
    assert_eq!(bars.len() as f64, number("security_bars", "num_records"));
    for (price, key) in
        [(bars[0].open, "open"), (bars[0].high, "high"), (bars[0].low, "low"), (bars[0].close, "close")]
    {
        assert_eq!(price as f64 / 1000.0, number("security_bars", key));
    }
    assert_eq!((bars[0].stamp, f64::from(bars[0].volume)), (20_260_403, number("security_bars", "vol")));
    assert_eq!(
        (bars[4].stamp, bars[4].open, bars[4].close, bars[4].volume),
        (20_260_410, 9930, 9890, 42_658_460.0)
    );

    let past = Query::MinutesOf(20_260_401, code(1, "600000"));
    let Some(Answer::MinutesOf(before, rows)) = body("history_minute_time", &past) else { panic!() };
    assert_eq!(rows.len() as f64, number("history_minute_time", "num_records"));
    assert_eq!(rows[0].price as f64 / 100.0, number("history_minute_time", "price"));
    assert_eq!(rows[0].volume as f64, number("history_minute_time", "vol"));
    assert_eq!((before, rows.iter().map(|row| row.volume).sum::<i64>()), (10.27, 482_375));

    // The values beside this body are those of a client that reads it by the layout of 2017; its own volume tells better.
    let old = Query::MinutesOld(code(1, "600000"));
    let Some(Answer::MinutesOld(Some(head), rows)) = body("minute_time", &old) else { panic!() };
    assert_eq!((rows.len(), rows.iter().map(|row| row.volume).sum::<i64>()), (240, 426_585));
    assert_eq!(head.head.flow.volume, 426_584);
    assert!(rows.iter().all(|row| (head.head.prices.low..=head.head.prices.high).contains(&row.price)));

    let page = Page { start: 0, count: 10 };
    for (name, query) in [
        ("transaction", Query::Trades(code(1, "600000"), page)),
        ("history_transaction", Query::TradesOf(20_260_401, code(1, "600000"), page)),
    ] {
        let Some(Answer::Trades(before, rows)) = body(name, &query) else { panic!() };
        assert_eq!(rows.len() as f64, number(name, "num_records"));
        let minute = number(name, "hour") * 60.0 + number(name, "minute");
        assert_eq!((f64::from(rows[0].minute), rows[0].volume as f64), (minute, number(name, "vol")));
        assert_eq!(rows[0].price as f64 / 100.0, number(name, "price"));
        assert_eq!(before, if name == "transaction" { 0.0 } else { 10.27 });
    }
}

#[test]
fn what_is_recorded_of_companies_has_the_expected_values() {
    let asked = vec![code(1, "600000")];
    let Some(Answer::Actions(blocks)) = body("xdxr_info", &Query::Actions(asked.clone())) else { return };
    let all = &blocks[0].all;
    assert_eq!(all.len() as f64, number("xdxr_info", "num_records"));
    let date =
        number("xdxr_info", "year") * 1e4 + number("xdxr_info", "month") * 100.0 + number("xdxr_info", "day");
    assert_eq!((f64::from(all[0].date), f64::from(all[0].category)), (date, number("xdxr_info", "category")));
    assert_eq!((all[0].numbers, all[0].code), ([0.0, 0.0, 32_000.0, 241_000.0], code(1, "600000")));
    let paid = all.iter().find(|change| change.date == 20_000_706).unwrap();
    assert_eq!((paid.category, paid.numbers[0]), (1, 1.5));

    let Some(Answer::Finance(all)) = body("finance_info", &Query::Finance(asked)) else { panic!() };
    assert_eq!(f64::from(all[0].float_shares) * 1e4, number("finance_info", "liutong_guben"));
    let figure = |name| f64::from(all[0].figure(name).unwrap());
    assert_eq!(figure("total_shares") * 1e4, number("finance_info", "zong_guben"));
    assert_eq!(figure("net_assets_per_share"), number("finance_info", "meigujing_zichan"));
    assert_eq!((all[0].listed, all[0].updated), (19_991_110, 20_260_331));

    let Some(Answer::Company(all)) = body("company_info_category", &Query::Company(code(1, "600000"))) else {
        panic!()
    };
    assert_eq!(all.len() as f64, number("company_info_category", "num_records"));
    assert_eq!(all[0].file.get(), expected("company_info_category", "filename"));
    assert_eq!((all[0].start, f64::from(all[0].size)), (0, number("company_info_category", "length")));
    let asked = Query::CompanyText(code(1, "600000"), all[0].file, 0, all[0].size);
    let Some(Answer::CompanyText(story)) = body("company_info_content", &asked) else { panic!() };
    let text = gbk(&story.text);
    assert_eq!(text.chars().count() as f64, number("company_info_content", "length"));
    let prefix = expected("company_info_content", "prefix").replace("\\r\\n", "\r\n");
    assert!(text.starts_with(&prefix), "{prefix}");
}

/// A query that a recorded answer without its request may belong to.
fn asked(command: u16, body: &[u8]) -> Query {
    let first = |at: usize| code(body[at], std::str::from_utf8(&body[at + 1..at + 7]).unwrap());
    match command {
        0x000d => Query::Hello(1),
        0x053e => Query::Quotes(vec![first(4)]),
        0x052d => Query::Bars(BarsQuery { code: code(0, "000001"), category: 9, ..BarsQuery::default() }),
        0x051d => Query::MinutesOld(code(0, "000001")),
        0x0010 => Query::Finance(vec![first(2)]),
        other => panic!("no recording of {other:04x} is known"),
    }
}

#[test]
fn every_recorded_packet_is_read_or_is_told_to_be_cut_short() {
    let Some(folder) = folder() else { return };
    let text = std::fs::read_to_string(folder.join("packets.jsonl")).unwrap();
    let (mut whole, mut cut) = (0, 0);
    for line in text.lines() {
        let field =
            |name: &str| line.split(&format!("\"{name}\": \"")).nth(1).unwrap().split('"').next().unwrap();
        let bytes = unhex(field("hex"));
        match field("kind") {
            "request-frame" => match RequestFrame::cut(&bytes).unwrap() {
                Some(_) => {
                    let frame = RequestFrame::read(&bytes).unwrap();
                    // A request of two bytes less than its command needs stands among them: it is one that never worked.
                    let Ok(query) = Query::read(frame.command, frame.payload) else {
                        assert_eq!((frame.command, frame.payload.len()), (0x44e, 5), "{line}");
                        continue;
                    };
                    let again = query.frame(frame.seq).unwrap();
                    assert_eq!((&again[..5], &again[6..]), (&bytes[..5], &bytes[6..]), "{line}");
                    whole += 1;
                }
                None => cut += 1,
            },
            "response-frame" => match AnswerFrame::cut(&bytes).unwrap() {
                Some(_) => {
                    let frame = AnswerFrame::read(&bytes).unwrap();
                    let query = asked(frame.command, &frame.body);
                    let read = Answer::read(&query, &frame.body);
                    assert_eq!(read.left, 0, "{line}");
                    read.whole().unwrap();
                    whole += 1;
                }
                None => cut += 1,
            },
            _ => {}
        }
    }
    assert!(whole >= 20 && cut > 0, "{whole} whole, {cut} cut short");
}

#[test]
fn recorded_bars_quotes_and_auctions_without_a_request_have_the_numbers_that_their_clients_tell() {
    let Some(folder) = folder() else { return };
    let text = std::fs::read_to_string(folder.join("packets.jsonl")).unwrap();
    let find = |begin: &str| {
        let hex = text
            .lines()
            .find_map(|line| line.split("\"hex\": \"").nth(1).filter(|hex| hex.starts_with(begin)));
        unhex(hex.unwrap().split('"').next().unwrap())
    };
    let bars = asked(0x52d, &[]);
    let Ok(Answer::Bars(all)) = Answer::read(&bars, &find("0a0078da34")).whole() else { panic!() };
    let row =
        |at: usize| (all[at].stamp, all[at].open, all[at].close, all[at].high, all[at].low, all[at].volume);
    assert_eq!(row(0), (20_241_016, 11_800, 12_060, 12_180, 11_770, 1_914_493.0));
    assert_eq!(row(9), (20_241_029, 11_620, 11_540, 11_740, 11_530, 1_198_024.0));
    let frame = AnswerFrame::read(&find("b1cb74000c01086401002d05")).unwrap();
    let Ok(Answer::Bars(all)) = Answer::read(&bars, &frame.body).whole() else { panic!() };
    let last = all.last().unwrap();
    assert_eq!((last.stamp, last.open, last.close, last.volume), (20_170_619, 9030, 9130, 489_704.0));

    let query = Query::Auction(code(0, "000001"), 0, 500);
    let Ok(Answer::Auction(all)) = Answer::read(&query, &find("5400")).whole() else { panic!() };
    assert_eq!(all.len(), 84);
    let row = |at: usize| (all[at].minute, all[at].second, all[at].price, all[at].matched, all[at].unmatched);
    assert_eq!((row(0), row(1)), ((555, 0, 11.55, 308, 27), (555, 9, 11.58, 2259, 1932)));
    assert!(all.iter().any(|row| row.unmatched == -297 && row.minute == 899));

    let frame = AnswerFrame::read(&find("b1cb74000c02000000003e05af")).unwrap();
    let codes = vec![code(0, "000001"), code(1, "600008")];
    let Ok(Answer::Quotes(all)) = Answer::read(&Query::Quotes(codes), &frame.body).whole() else { panic!() };
    let prices = all[1].head.prices;
    assert_eq!(
        (prices.last, prices.prev_close, prices.open, prices.high, prices.low),
        (320, 314, 315, 322, 314)
    );
    assert_eq!((all[0].head.flow.inside, all[0].head.flow.outside), (529_867, 847_404));
    assert_eq!((all[0].levels[4].ask, all[0].levels[4].ask_volume, all[1].status), (1207, 1029, 1421));

    let frame = AnswerFrame::read(&find("b1cb74001c00000000000d005100bd00789c6378c12e")).unwrap();
    let Ok(Answer::Hello(hello)) = Answer::read(&Query::Hello(1), &frame.body).whole() else { panic!() };
    assert_eq!((hello.clock, hello.trading_day), ((2024, 10, 28, 13, 30, 24), 20_241_028));
    assert_eq!((hello.name, hello.category.get()), (Text::of("上海双线主站14"), "#通达信".to_owned()));
    assert_eq!(Answer::Hello(hello).body(&Query::Hello(1)).unwrap(), frame.body);
}
