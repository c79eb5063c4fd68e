//! Constructed frames and block files, and the numbers that they were made from.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    reason = "tests"
)]

use tdx::codec::files::{BLOCK_BYTES, BLOCKS_HEAD, blocks};
use tdx::codec::frame::AnswerFrame;
use tdx::codec::minutes::Minute;
use tdx::codec::text::Text;
use tdx::codec::{Answer, BarsQuery, Code, Query};

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
