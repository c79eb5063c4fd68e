//! Files of a terminal's disk: recorded ones whole, and small ones with faults.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use model::ashare::{Code, instrument};
use model::{Bar, Body, Date, Decimal, Event, Instrument};
use source::{Malformed, Records};
use std::sync::Arc;
use tdx::codec::text::Text;
use tdx::disk::{archive, record, records};

fn d(text: &str) -> Decimal {
    Decimal::parse(text.as_bytes()).unwrap()
}

fn rows(path: &str, bytes: &[u8]) -> Vec<Result<Vec<Event>, Malformed>> {
    let (archive, records) = (archive(path).unwrap(), records(path).unwrap());
    let instrument = Code::parse(&archive.symbol).map(|code| instrument(code, ""));
    let unnamed = || Instrument::provisional("tdx", "", &archive.symbol, model::InstrumentKind::Index);
    let instrument = Arc::new(instrument.unwrap_or_else(|_| unnamed()));
    let read = |row: &[u8]| {
        let mut out = Vec::new();
        record(&archive, &instrument, records, row, &mut out).map(|()| out)
    };
    match records {
        Records::Fixed { head, size } => bytes[head..].chunks(size).map(read).collect(),
        Records::Lines => bytes.split(|b| *b == b'\n').map(|line| read(line.trim_ascii_end())).collect(),
    }
}

fn bars(path: &str, bytes: &[u8]) -> Vec<Bar> {
    let all = rows(path, bytes).into_iter().flat_map(Result::unwrap);
    all.map(|event| if let Body::Bar(bar) = event.body { *bar } else { panic!("no bar") }).collect()
}

fn recorded(name: &str, path: &str) -> Option<Vec<Bar>> {
    let Some(root) = std::env::var_os("QINGXI_RECORDINGS") else {
        println!("skipped: QINGXI_RECORDINGS names no folder of recordings");
        return None;
    };
    let bytes = std::fs::read(std::path::PathBuf::from(root).join("tdx-files").join(name)).unwrap();
    let packed = name.strip_suffix(".zst").is_some();
    let bytes = if packed { zstd::decode_all(&bytes[..]).unwrap() } else { bytes };
    Some(bars(path, &bytes))
}

/// Day, minutes after midnight, open, high, low, close, volume, amount.
fn told(bar: &Bar) -> (u32, i64, [String; 6]) {
    let (date, ms) = model::ashare::local(bar.start);
    let amount = bar.turnover.unwrap();
    let numbers = [bar.open, bar.high, bar.low, bar.close, bar.volume, amount];
    (date.number(), ms / 60_000, numbers.map(|number| number.to_string()))
}

fn numbers(all: [&str; 6]) -> [String; 6] {
    all.map(str::to_owned)
}

#[test]
fn every_row_of_the_recorded_files_is_a_bar() {
    let Some(index) = recorded("sh000001.day.zst", "vipdoc/sh/lday/sh000001.day") else { return };
    assert_eq!(index.len(), 5156);
    let last = numbers(["3436.09", "3490.64", "3422.57", "3490.38", "33698230900", "411116929024"]);
    assert_eq!(told(&index[5155]), (20_210_514, 0, last));
    let stock = recorded("sz000001.day.zst", "sz000001.day").unwrap();
    assert_eq!(stock.len(), 7226);
    assert_eq!(told(&stock[0]), (19_910_403, 0, numbers(["49", "49", "49", "49", "100", "5000"])));
    let minutes = recorded("sh688001.lc1.zst", "sh688001.lc1").unwrap();
    assert_eq!(minutes.len(), 2880);
    let first = numbers(["36.71", "37.02", "36.71", "36.8", "7000", "256647"]);
    assert_eq!(told(&minutes[0]), (20_210_423, 9 * 60 + 30, first));
    assert_eq!(told(&minutes[2879]).1, 14 * 60 + 59);
    let fives = recorded("sh688001.lc5", "sh688001.lc5").unwrap();
    assert_eq!(fives.len(), 144);
    let first = numbers(["37.69", "37.69", "36.89", "36.93", "64000", "2384077"]);
    assert_eq!(told(&fives[0]), (20_210_601, 9 * 60 + 30, first));
    let export = recorded("SH601003_export.txt.zst", "SH601003_export.txt").unwrap();
    assert_eq!(export.len(), 3366);
    let last = numbers(["7.57", "7.74", "7.35", "7.48", "17796153", "134352208"]);
    assert_eq!(told(&export[3365]), (20_210_923, 0, last));
}

#[test]
fn minutes_of_a_day_add_up_to_its_fives() {
    let Some(minutes) = recorded("sh688001.lc1.zst", "sh688001.lc1") else { return };
    for five in recorded("sh688001.lc5", "sh688001.lc5").unwrap() {
        let within = |bar: &&Bar| bar.start >= five.start && bar.start < five.start.plus_ms(300_000);
        let inside: Vec<&Bar> = minutes.iter().filter(within).collect();
        let volume: i64 = inside.iter().map(|bar| bar.volume.mantissa_at(0).unwrap()).sum();
        assert_eq!((inside.len(), Some(volume)), (5, five.volume.mantissa_at(0)), "{:?}", five.start);
        assert_eq!((inside[0].open, inside[4].close), (five.open, five.close));
    }
}

fn row(day: u32, prices: [u32; 4], amount: f32, volume: u32) -> Vec<u8> {
    let words = [day, prices[0], prices[1], prices[2], prices[3], amount.to_bits(), volume, 0];
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

#[test]
fn prices_of_files_have_the_digits_of_their_instrument() {
    let of = |path: &str| bars(path, &row(20_261_120, [4721, 4730, 4700, 4722], 1e9, 7))[0].close;
    assert_eq!(
        [of("sh600000.day"), of("sh510300.day"), of("sz113052.day")],
        [d("47.22"), d("4.722"), d("4.722")]
    );
    let label = u32::from(tdx::time::pack_day(Date::parse("2026-11-20").unwrap()).unwrap()) | 575 << 16;
    let whole = bars("sh600000.5", &row(label, [993, 996, 992, 994], 1e6, 100));
    let float = bars("sh600000.lc5", &row(label, [9.93_f32, 9.96, 9.92, 9.94].map(f32::to_bits), 1e6, 100));
    assert_eq!(whole, float);
    assert_eq!((&*whole[0].interval, whole[0].high), ("5m", d("9.96")));
}

#[test]
fn a_bad_row_is_named_and_the_others_are_read() {
    let good = row(20_261_120, [993, 996, 992, 994], 1e6, 100);
    let mut bytes = good.clone();
    bytes.extend(row(20_261_131, [993, 996, 992, 994], 1e6, 100));
    bytes.extend(row(20_261_120, [993, 990, 992, 994], 1e6, 100));
    bytes.extend(row(20_261_120, [993, 996, 992, 994], f32::NAN, 100));
    bytes.extend(&good);
    let said: Vec<String> = rows("sh600000.day", &bytes)
        .into_iter()
        .map(|row| row.map_or_else(|fault| fault.to_string(), |events| events.len().to_string()))
        .collect();
    let outside = "a price lies outside of the lowest and the highest (byte 4)";
    assert_eq!(said, ["1", "expected a date at byte 0", outside, "not a number at byte 20", "1"]);
}

#[test]
fn exports_are_read_whatever_stands_between_their_columns() {
    let head = Text::<40>::of("600000 浦发银行 5分钟线 不复权").0;
    let head = head.split(|b| *b == 0).next().unwrap();
    let text =
        [head, b"\n\t date\t open\n2026/11/20\t0935\t9.93\t9.96\t9.92\t9.94\t1234500\t12271000.00\nend"]
            .concat();
    let mut five = archive("SH#600000.txt").unwrap();
    assert!(
        rows("SH#600000.txt", &text)[2].as_ref().is_err_and(|fault| fault.to_string().contains("--interval"))
    );
    five.interval = "5m".to_owned();
    let instrument = Arc::new(instrument(Code::parse(&five.symbol).unwrap(), ""));
    let mut out = Vec::new();
    for line in text.split(|b| *b == b'\n') {
        record(&five, &instrument, Records::Lines, line, &mut out).unwrap();
    }
    let [Event { body: Body::Bar(bar), .. }] = &out[..] else { panic!("one bar") };
    let expected = numbers(["9.93", "9.96", "9.92", "9.94", "1234500", "12271000"]);
    assert_eq!(told(bar), (20_261_120, 9 * 60 + 30, expected));
    assert!(
        record(&five, &instrument, Records::Lines, b"2026/11/20,0935,9.93,x,9.92,9.94,1,1", &mut out)
            .is_err()
    );
    assert!(record(&five, &instrument, Records::Lines, b"20x6/11/20,0935,9.93", &mut out).is_err());
}

#[test]
fn blocks_are_sectors_with_the_names_of_their_members() {
    let mut file = vec![0; 386];
    let mut block = Text::<9>::of("半导体").0.to_vec();
    block.extend_from_slice(b"\x02\x00\x02\x00688001\x00000001\x00");
    block.resize(2813, 0);
    file.extend(block);
    let all = rows("T0002/hq_cache/block_gn.dat", &file);
    let [Ok(events)] = &all[..] else { panic!("one block") };
    let Body::Sector(sector) = &events[0].body else { panic!("a sector") };
    assert_eq!((&*sector.of, &*sector.title), ("concept", "半导体"));
    let members: Vec<&str> = sector.members.iter().map(AsRef::as_ref).collect();
    assert_eq!(members, ["688001.SH", "000001.SZ"]);
    assert_eq!(&*events[0].instrument.title, "半导体");
}

#[test]
fn other_names_are_none_of_ours() {
    for path in
        ["a.csv", "sh00001.day", "xx000001.day", "sh000001.dat", "block_xx.dat", "SH600000_old.day", "é"]
    {
        assert_eq!(archive(path), None, "{path}");
        assert_eq!(records(path), None, "{path}");
    }
}
