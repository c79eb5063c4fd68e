use super::*;
use crate::rest::BybitRest;
use model::{Decimal, Px, Qty, Side};
use source::{Action, Input, Rest, Shard, Source};
use std::borrow::Cow;

fn fields(line: &str) -> Vec<Cow<'_, str>> {
    line.split(',').map(Cow::Borrowed).collect()
}

/// The event of a row, read as the file's name tells; `header` is empty where the file has none.
fn read(path: &str, header: &str, line: &str) -> Result<Event> {
    let of = BybitRest.archive(path).unwrap();
    let instrument = BybitRest.provisional(of.product.as_deref().unwrap(), &of.symbol).unwrap();
    let (header, line) = (Row::header(&fields(header)), fields(line));
    let mut out = Vec::new();
    BybitRest.archive_row(&of, &Arc::new(instrument), &Row::new(header.as_deref(), &line), &mut out)?;
    assert_eq!(out.len(), 1);
    Ok(out.remove(0))
}

const CONTRACTS: &str =
    "timestamp,symbol,side,size,price,tickDirection,trdMatchID,grossValue,homeNotional,foreignNotional";

#[test]
fn a_name_tells_product_symbol_channel_and_interval() {
    for (path, expected) in [
        ("trading/BTCUSDT/BTCUSDT2024-08-09.csv.gz", Some(("linear", "BTCUSDT", Channel::Trades, ""))),
        ("BTCUSD2024-08-09.csv.gz", Some(("inverse", "BTCUSD", Channel::Trades, ""))),
        ("BTCUSDZ242024-08-09.csv", Some(("inverse", "BTCUSDZ24", Channel::Trades, ""))),
        ("BTC-27DEC242024-08-09.csv.gz", Some(("linear", "BTC-27DEC24", Channel::Trades, ""))),
        ("BTCUSDT_2024-08-09.csv.gz", Some(("spot", "BTCUSDT", Channel::Trades, ""))),
        ("BTCUSDT-2022-11.csv.gz", Some(("spot", "BTCUSDT", Channel::Trades, ""))),
        ("BTCUSDT_60_2020-01-01_2020-01-31.csv.gz", Some(("linear", "BTCUSDT", Channel::Bars, "1h"))),
        ("BTCUSDT_7_2020-01-01_2020-01-31.csv.gz", None),
        ("BTCUSD_1_2020-01-01_2020-01-31.csv.gz", None),
        ("BTCUSDT-2024-08-09.csv.gz", None),
        ("2024-08-09.csv.gz", None),
        ("BTCUSD2020-01-01_premium_index.csv.gz", None),
    ] {
        let told = BybitRest.archive(path);
        let told =
            told.as_ref().map(|a| (a.product.as_deref().unwrap(), &*a.symbol, a.channel, &*a.interval));
        assert_eq!(told, expected, "{path}");
    }
}

#[test]
fn a_row_of_contracts_tells_what_a_frame_told_and_the_time_more_exactly() {
    let frames = include_str!("../../fixtures/publicTrade.jsonl").lines().next().unwrap();
    let url = Some("wss://stream.bybit.com/v5/public/linear".to_owned());
    let (mut out, shard) = (Vec::new(), Shard { path: url, ..Shard::default() });
    let frame = Input::Frame { bytes: frames.as_bytes(), binary: false };
    crate::Bybit.session(&shard).on(frame, Ts(1), &mut out);
    let [Action::Emit(first), Action::Emit(second)] = &out[..] else { panic!("{out:?}") };
    let rpi = format!("{CONTRACTS},RPI");
    for (frame, header, row) in [
        (
            first,
            CONTRACTS,
            "1760000000.0484,BTCUSDT,Buy,0.010,64010.30,PlusTick,aaaaaaaa-bbbb-5ccc-9ddd-eeeeeeeeeeee,6.4e+10,0.01,640.103",
        ),
        (
            second,
            &rpi,
            "1760000000.049,BTCUSDT,Sell,3,64010.2,MinusTick,aaaaaaaa-bbbb-5ccc-9ddd-eeeeeeeeeeef,1.9e+13,3,192030.6,1",
        ),
    ] {
        let event = read("BTCUSDT2025-10-09.csv.gz", header, row).unwrap();
        assert_eq!((&event.body, &event.instrument), (&frame.body, &frame.instrument));
        assert_eq!(event.stamp.ts_event.map(Ts::as_ms), frame.stamp.ts_event.map(Ts::as_ms));
    }
    let row = "1668728606,BTCUSD,Buy,611,16661.00,ZeroMinusTick,00fcc5e9-d36f-51ae-9906-11f83ed505a7,3.667e+06,611,0.0366";
    let inverse = read("BTCUSD2022-11-17.csv.gz", CONTRACTS, row).unwrap();
    let Body::Trade(trade) = &inverse.body else { panic!("{inverse:?}") };
    assert_eq!(
        (trade.qty, inverse.instrument.contract_size),
        (Qty(61_100_000_000), Some(Decimal::new(1, 0)))
    );
    assert_eq!(inverse.stamp.ts_event, Some(Ts(1_668_728_606_000_000_000)));
}

#[test]
fn a_row_of_spot_is_a_trade_with_and_without_header_line() {
    for (header, row) in [
        ("id,timestamp,price,volume,side,rpi", "17,1784937600662,64142.5,0.00016,buy,0"),
        ("id,timestamp,price,volume,side", "17,1784937600662,64142.5,0.00016,Buy"),
        ("", "17,1784937600662,64142.5,0.00016,buy"),
    ] {
        let event = read("BTCUSDT_2026-07-25.csv.gz", header, row).unwrap();
        let (px, qty) = (Px(6_414_250_000_000), Qty(16_000));
        let body = Trade { id: TradeId::Num(17), px, qty, aggressor: Some(Side::Bid), count: 1 };
        assert_eq!(event.body, Body::Trade(body));
        assert_eq!((event.channel, event.stamp.ts_recv), (Channel::Trades, Ts::from_ms(1_784_937_600_662)));
    }
}

#[test]
fn bars_begin_three_hours_before_what_their_clock_says() {
    let path = "BTCUSDT_1_2020-04-01_2020-04-30.csv.gz";
    let event = read(path, "", "2020.04.01 03:00,6403.5,6414,6400.5,6410,36.325").unwrap();
    let Body::Bar(bar) = &event.body else { panic!("{event:?}") };
    let start = 1_585_699_200_000;
    assert_eq!((bar.start, bar.close, bar.closed), (Ts::from_ms(start), Decimal::new(6410, 0), true));
    assert_eq!((event.stamp.ts_event, event.stamp.ts_recv), (None, Ts::from_ms(start + 60_000)));
}

#[test]
fn what_is_no_row_of_such_a_file_is_refused() {
    let (contract, spot) = ("BTCUSDT2024-08-09.csv.gz", "BTCUSDT_2024-08-09.csv.gz");
    for (path, header, row) in [
        (contract, CONTRACTS, "1.5,BTCUSDT,Hold,1,1,x,id,1,1,1"),
        (contract, CONTRACTS, "0,BTCUSDT,Buy,1,1,x,id,1,1,1"),
        (contract, CONTRACTS, "1.5,BTCUSDT,Buy,1"),
        (contract, "id,timestamp,price,volume,side", "17,1784937600662,64142.5,0.00016,buy"),
        (spot, CONTRACTS, "1.5,BTCUSDT,Buy,1,1,x,id,1,1,1"),
        (spot, "", "17,1784937600662,64142.5,0.00016,buy,0,9"),
        ("BTCUSDT_1_2020-04-01_2020-04-30.csv.gz", "", "2020-04-01,1,2,3,4,5"),
    ] {
        assert!(read(path, header, row).is_err(), "{row}");
    }
}
