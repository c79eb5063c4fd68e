//! Rows of the archive, and that they tell what the stream told.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use model::{Body, Channel, Decimal, Event, InstrumentKind, Side, Ts};
use okx::Okx;
use source::{Action, Input, Malformed, Row, Shard, Source};
use std::borrow::Cow;
use std::sync::Arc;

fn fields(line: &str) -> Vec<Cow<'_, str>> {
    line.split(',').map(Cow::Borrowed).collect()
}

/// The event of a row, whose symbol stands in the row, or else in the file's name.
fn read(path: &str, header: &str, line: &str) -> Result<Event, Malformed> {
    let rest = Okx.rest();
    let of = rest.archive(path).unwrap();
    let (header, line) = (Row::header(&fields(header)), fields(line));
    let row = Row::new(header.as_deref(), &line);
    let symbol = row.get(rest.archive_symbol()).unwrap_or(&of.symbol);
    let instrument = rest.provisional(of.product.as_deref().unwrap(), symbol).unwrap();
    let mut out = Vec::new();
    rest.archive_row(&of, &Arc::new(instrument), &row, &mut out)?;
    assert_eq!(out.len(), 1);
    Ok(out.remove(0))
}

fn told(fixture: &str) -> Vec<Event> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(fixture);
    let (mut session, mut out) = (Okx.session(&Shard::default()), Vec::new());
    for line in std::fs::read_to_string(path).unwrap().lines() {
        session.on(Input::Frame { bytes: line.as_bytes(), binary: false }, Ts(1), &mut out);
    }
    out.into_iter().filter_map(|a| if let Action::Emit(event) = a { Some(event) } else { None }).collect()
}

const TRADES: &str = "instrument_name,trade_id,side,price,size,created_time";
const BARS: &str = "instrument_name,open,high,low,close,vol,vol_ccy,vol_quote,open_time,confirm";
const FUNDING: &str = "instrument_name,funding_rate,funding_time";

#[test]
fn a_name_tells_channel_and_symbol_but_for_files_of_many() {
    for (path, expected) in [
        ("BTC-USDT-trades-2024-08-09.zip", Some(("BTC-USDT", Channel::Trades, ""))),
        ("daily/20240809/BTC-USDT-SWAP-trades-2024-08-09.zip", Some(("BTC-USDT-SWAP", Channel::Trades, ""))),
        ("BTC-USD-250926-aggtrades-2025-04-23.csv", Some(("BTC-USD-250926", Channel::AggTrades, ""))),
        ("BTC-USDT-candlesticks-2024-01.zip", Some(("BTC-USDT", Channel::Bars, "1m"))),
        ("BTC-USDT-SWAP-fundingrates-2025-09.zip", Some(("BTC-USDT-SWAP", Channel::Funding, ""))),
        ("allswap-fundingrates-2025-07-01.zip", Some(("", Channel::Funding, ""))),
        ("allspot-trades-2021-09-01.zip", Some(("", Channel::Trades, ""))),
        ("BTC-USD-futureschain-trades-2024-08-09.zip", Some(("", Channel::Trades, ""))),
        ("BTC-USD-option-trades-2024-08-09.zip", Some(("", Channel::Trades, ""))),
        ("allswaprate-swaprate-2021-10-01.zip", None),
        ("BTC-USDT-L2orderbook-400lv-2026-08-12.tar.gz", None),
        ("BTCUSDT-1m-2024-08.zip", None),
    ] {
        let of = Okx.rest().archive(path);
        assert!(of.as_ref().is_none_or(|of| of.product.as_deref() == Some("")));
        assert_eq!(of.as_ref().map(|of| (&*of.symbol, of.channel, &*of.interval)), expected, "{path}");
    }
}

#[test]
fn a_row_of_the_archive_tells_what_a_frame_told() {
    let old = "trade_id/\u{fffd}\u{fffd}id,side/交易方向,size/数量,price/价格,created_time/成交时间";
    let all = told("trades.jsonl");
    for (path, header, row) in [
        ("BTC-USDT-SWAP-trades-2025-10-09.zip", TRADES, "BTC-USDT-SWAP,17,sell,64010,2,1760000000124"),
        ("allswap-trades-2025-10-09.zip", TRADES, "BTC-USDT-SWAP,17,sell,64010.0,2.0,1760000000124"),
        ("BTC-USDT-SWAP-trades-2023-10-09.zip", old, "17,sell,2e0,64010,1760000000124"),
    ] {
        let event = read(path, header, row).unwrap();
        let told = all.iter().find(|told| told.body == event.body && told.instrument == event.instrument);
        assert_eq!(told.unwrap_or_else(|| panic!("{row}")).stamp.ts_event, event.stamp.ts_event);
    }
    let path = "BTC-USDT-trades-2025-10-09.zip";
    let event = read(path, TRADES, "BTC-USDT,747835547,buy,104554.2,1.912e-05,1748707200531").unwrap();
    let Body::Trade(trade) = &event.body else { panic!("{event:?}") };
    assert_eq!((trade.qty.0, event.instrument.qty_scale, trade.aggressor), (1_912, 8, Some(Side::Bid)));
}

#[test]
fn bars_and_funding_rates_are_read_with_their_times() {
    let row = "ETH-USDT-SWAP,3839.44,3843.58,3836.71,3838.16,23503.2,2350.32,9024127.30277,1761148800000,0";
    let event = read("ETH-USDT-SWAP-candlesticks-2025-10.zip", BARS, row).unwrap();
    let Body::Bar(bar) = &event.body else { panic!("{event:?}") };
    assert_eq!(
        (bar.volume, bar.turnover),
        (Decimal::new(235_032, 1), Some(Decimal::new(902_412_730_277, 5)))
    );
    assert_eq!((bar.start, &*bar.interval, bar.closed), (Ts::from_ms(1_761_148_800_000), "1m", true));
    assert_eq!((event.stamp.ts_event, event.stamp.ts_recv), (None, Ts::from_ms(1_761_148_860_000)));

    let row = "BTC-USDT-SWAP,-0.0000135375417752,1788220800000";
    let event = read("allswap-fundingrates-2026-09-01.zip", FUNDING, row).unwrap();
    let Body::Funding(funding) = &event.body else { panic!("{event:?}") };
    let at = Ts::from_ms(1_788_220_800_000);
    assert_eq!((funding.rate, funding.at), (Decimal::new(-135_375_417_752, 16), Some(at)));
    assert_eq!((event.stamp.ts_event, event.instrument.kind), (Some(at), InstrumentKind::Perpetual));
}

#[test]
fn what_is_no_row_of_such_a_file_is_refused() {
    let forecasts = "instrument_name,contract_type,funding_rate,real_funding_rate,funding_time";
    for (path, header, row) in [
        ("BTC-USDT-trades-2024-08-09.zip", TRADES, "BTC-USDT,1,cross,1,1,1748707200531"),
        ("BTC-USDT-trades-2024-08-09.zip", TRADES, "BTC-USDT,1,buy,1,-1,1748707200531"),
        ("BTC-USDT-trades-2024-08-09.zip", TRADES, "BTC-USDT,,buy,1,1,1748707200531"),
        ("BTC-USDT-trades-2024-08-09.zip", "", "BTC-USDT,1,buy,1,1,1748707200531"),
        ("BTC-USDT-trades-2024-08-09.zip", BARS, "BTC-USDT,1,1,1,1,1,1,1,1748707200531,1"),
        ("allswap-fundingrates-2021-10-01.zip", forecasts, "BTC-USDT-SWAP,SWAP,0.1,0.1,1748707200531"),
    ] {
        assert!(read(path, header, row).is_err(), "{row}");
    }
    assert_eq!(Okx.rest().provisional("spot", "BTC-USDT"), None);
}
