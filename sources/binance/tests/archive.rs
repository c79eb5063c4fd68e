//! Rows of the archive, and that they tell what the stream told.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use binance::Binance;
use model::{Body, Channel, Decimal, Event, Side, TradeId, Ts};
use source::{Action, Archive, Input, Malformed, Row, Shard, Source, What};
use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

fn fields(line: &str) -> Vec<Cow<'_, str>> {
    line.split(',').map(Cow::Borrowed).collect()
}

/// The events of a row; `header` is empty where the file has none.
fn read(path: &str, product: &str, header: &str, line: &str) -> Result<Vec<Event>, Malformed> {
    let rest = Binance.rest();
    let archive = rest.archive(path).unwrap();
    let instrument = Arc::new(rest.provisional(product, &archive.symbol).unwrap());
    let (header, line) = (Row::header(&fields(header)), fields(line));
    let mut out = Vec::new();
    rest.archive_row(&archive, &instrument, &Row::new(header.as_deref(), &line), &mut out)?;
    Ok(out)
}

/// What the frames of a fixture tell of a channel.
fn told(fixture: &str, host: &str, channel: Channel) -> Vec<Event> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(fixture);
    let url = format!("wss://{host}/stream");
    let mut session = Binance.session(&Shard { path: Some(url), ..Shard::default() });
    let mut out = Vec::new();
    for line in std::fs::read_to_string(path).unwrap().lines() {
        session.on(Input::Frame { bytes: line.as_bytes(), binary: false }, Ts(1), &mut out);
    }
    let event = |action| if let Action::Emit(event) = action { Some(event) } else { None };
    out.into_iter().filter_map(event).filter(|event| event.channel == channel).collect()
}

const SPOT: &str = "stream.binance.com:9443";
const USDM: &str = "fstream.binance.com/public";
const COINM: &str = "dstream.binance.com";

const FUTURES_TRADES: &str = "id,price,qty,quote_qty,time,is_buyer_maker";
const FUTURES_BARS: &str = "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore";
const QUOTES: &str =
    "update_id,best_bid_price,best_bid_qty,best_ask_price,best_ask_qty,transaction_time,event_time";

/// Fixture, host, product, path, header line, row.
const SAME: [(&str, &str, &str, &str, &str, &str); 8] = [
    (
        "spot_trades.jsonl",
        SPOT,
        "spot",
        "BTCUSDT-trades-2025-10-09.zip",
        "",
        "50001,64000.10000000,0.10000000,6400.01000000,1760000000008000,True,True",
    ),
    (
        "spot_trades.jsonl",
        SPOT,
        "spot",
        "BTCUSDT-trades-2024-10-09.zip",
        "",
        "50002,64000.2,0.25,16000.05,1760000000018,False,True",
    ),
    (
        "coinm_trades.jsonl",
        COINM,
        "coinm",
        "BTCUSD_PERP-trades-2025-10-09.zip",
        "id,price,qty,base_qty,time,is_buyer_maker",
        "60001,64000.1,10,0.01562498,1760000000008,true",
    ),
    (
        "usdm_agg_trades.jsonl",
        "fstream.binance.com/market",
        "usdm",
        "BTCUSDT-aggTrades-2025-10.zip",
        "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker",
        "9001,64000.10,0.250,50001,50003,1760000008981,false",
    ),
    (
        "usdm_quote.jsonl",
        USDM,
        "usdm",
        "BTCUSDT-bookTicker-2024-02-15.zip",
        QUOTES,
        "700000123,64000.00,1.200,64000.10,0.800,1760000000121,1760000000123",
    ),
    (
        "usdm_quote.jsonl",
        USDM,
        "usdm",
        "BTCUSDT-bookTicker-2024-02-15.zip",
        QUOTES,
        "700000124,0.00,0.000,64000.10,0.800,1760000000122,1760000000124",
    ),
    (
        "spot_bars.jsonl",
        SPOT,
        "spot",
        "BTCUSDT-1m-2025-10.zip",
        "",
        "1759999980000000,64000.00,64010.00,63990.00,64000.10,12.5,1760000039999000,800000.0,90,6.1,390000.0,0",
    ),
    (
        "coinm_bars.jsonl",
        COINM,
        "coinm",
        "BTCUSD_PERP-1m-2025-10.zip",
        FUTURES_BARS,
        "1759999980000,64000.0,64010.0,63990.0,64000.1,1250,1760000039999,800000.0,90,610,390000.0,0",
    ),
];

#[test]
fn a_row_of_the_archive_tells_what_a_frame_told() {
    for (fixture, host, product, path, header, row) in SAME {
        let [event] = &read(path, product, header, row).unwrap()[..] else { panic!("{row}") };
        let frames = told(fixture, host, event.channel);
        let same = |frame: &&Event| frame.body == event.body && frame.instrument == event.instrument;
        let frame = frames.iter().find(same).unwrap_or_else(|| panic!("{event:?} is not in {frames:#?}"));
        if event.channel != Channel::Bars {
            assert_eq!(frame.stamp.ts_event, event.stamp.ts_event, "{row}");
        }
        assert_eq!(Some(event.stamp.ts_recv), event.stamp.ts_event);
    }
}

#[test]
fn a_name_tells_symbol_channel_interval_and_sometimes_the_product() {
    let archive = |product: Option<&str>, symbol: &str, channel, interval: &str| {
        let product = product.map(str::to_owned);
        Some(Archive { product, symbol: symbol.to_owned(), channel, interval: interval.to_owned() })
    };
    for (path, expected) in [
        ("BTCUSDT-trades-2024-08-09.zip", archive(None, "BTCUSDT", Channel::Trades, "")),
        ("x/BTCUSDT-aggTrades-2024-08.csv", archive(None, "BTCUSDT", Channel::AggTrades, "")),
        (
            "data/spot/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2024-08-09.zip",
            archive(Some("spot"), "BTCUSDT", Channel::Bars, "1m"),
        ),
        (
            "futures/um/monthly/klines/BTCUSDT/1mo/BTCUSDT-1mo-2024-08.zip",
            archive(Some("usdm"), "BTCUSDT", Channel::Bars, "1M"),
        ),
        ("BTCUSD_PERP-trades-2024-08-09.zip", archive(Some("coinm"), "BTCUSD_PERP", Channel::Trades, "")),
        (
            "BTCUSDT_240927-trades-2024-08-09.zip",
            archive(Some("usdm"), "BTCUSDT_240927", Channel::Trades, ""),
        ),
        ("BTCUSDT-metrics-2024-08-09.zip", archive(Some("usdm"), "BTCUSDT", Channel::OpenInterest, "")),
        ("BTCUSDT-fundingRate-2024-08.zip", archive(Some("usdm"), "BTCUSDT", Channel::Funding, "")),
        (
            "futures/cm/daily/liquidationSnapshot/ETHUSD_PERP/ETHUSD_PERP-liquidationSnapshot-2024-08-09.zip",
            archive(Some("coinm"), "ETHUSD_PERP", Channel::Liquidations, ""),
        ),
        ("BTCUSDT-bookDepth-2024-08-09.zip", None),
        ("BTCUSDT-trades.zip", None),
        ("BTCUSDT2024-08-09.csv.gz", None),
    ] {
        assert_eq!(Binance.rest().archive(path), expected, "{path}");
    }
}

#[test]
fn metrics_are_open_interest_and_ratios_and_what_was_not_counted_is_left_out() {
    let header = "create_time,symbol,sum_open_interest,sum_open_interest_value,count_toptrader_long_short_ratio,sum_toptrader_long_short_ratio,count_long_short_ratio,sum_taker_long_short_vol_ratio";
    let row = "2026-01-01 00:05:00,SYM,8914568.00,1112335669.28,4.807,,4.270,2.333";
    for (path, product, value) in [
        ("SOLUSDT-metrics-2026-01-01.zip", "usdm", Some(Decimal::new(111_233_566_928, 2))),
        ("SOLUSD_PERP-metrics-2026-01-01.zip", "coinm", None),
    ] {
        let events = read(path, product, header, row).unwrap();
        assert!(events.iter().all(|e| e.stamp.ts_event == Some(Ts::from_ms(1_767_225_900_000))));
        let Body::OpenInterest(open) = &events[0].body else { panic!("{events:?}") };
        assert_eq!((open.qty, open.value), (Decimal::new(8_914_568, 0), value));
        let ratios: Vec<_> = events[1..]
            .iter()
            .map(|event| match &event.body {
                Body::LongShortRatio(r) => (event.channel, &*r.of, r.ratio.unwrap().to_string()),
                other => panic!("{other:?}"),
            })
            .collect();
        let channel = Channel::LongShortRatio;
        assert_eq!(
            ratios,
            [
                (channel, "top_accounts", "4.807".to_owned()),
                (channel, "accounts", "4.27".to_owned()),
                (channel, "takers", "2.333".to_owned())
            ]
        );
    }
    let empty = read("SOLUSDT-metrics-2026-01-01.zip", "usdm", header, "2026-01-01 00:05:00,SOLUSDT,,,,,,");
    assert_eq!(empty.unwrap_err().what, What::Missing("sum_open_interest"));
}

#[test]
fn funding_and_forced_orders_have_the_times_and_sides_of_the_venue() {
    let header = "calc_time,funding_interval_hours,last_funding_rate";
    let row = "1704067200008,8,0.00037409";
    let events = read("BTCUSDT-fundingRate-2024-01.zip", "usdm", header, row).unwrap();
    let Body::Funding(funding) = &events[0].body else { panic!("{events:?}") };
    assert_eq!((funding.rate, funding.at), (Decimal::new(37_409, 8), Some(Ts::from_ms(1_704_067_200_008))));

    let header = "time,side,order_type,time_in_force,original_quantity,price,average_price,order_status,last_fill_quantity,accumulated_fill_quantity";
    let row = "1704067200123,SELL,LIMIT,IOC,5.0,100.0,0,NEW,0,0";
    for (header, row) in
        [(header.to_owned(), row.to_owned()), (format!("symbol,{header}"), format!("BTCUSD_PERP,{row}"))]
    {
        let events = read("BTCUSD_PERP-liquidationSnapshot-2024-01-01.zip", "coinm", &header, &row).unwrap();
        let Body::Liquidation(order) = &events[0].body else { panic!("{events:?}") };
        assert_eq!((order.side, order.qty, order.avg_px), (Side::Ask, Decimal::new(5, 0), None));
        assert_eq!(events[0].stamp.ts_event, Some(Ts::from_ms(1_704_067_200_123)));
    }
}

#[test]
fn single_and_merged_prints_have_their_ids_and_numbers_of_prints() {
    let path = "BTCUSDT-aggTrades-2017-08-17.zip";
    let events = read(path, "spot", "", "0,4261.48,0.1,7,9,1502942428322,True,True").unwrap();
    let Body::Trade(trade) = &events[0].body else { panic!("{events:?}") };
    assert_eq!((&trade.id, trade.count, trade.aggressor), (&TradeId::Num(0), 3, Some(Side::Ask)));
    assert_eq!(events[0].channel, Channel::AggTrades);
}

#[test]
fn what_is_no_row_of_such_a_file_is_refused() {
    let (trades, bars) = ("BTCUSDT-trades-2024-08-09.zip", "BTCUSDT-1m-2024-08.zip");
    let marks = "1784851200000,65069.66,65084.00,65000,65065.3,0,1784851259999,0,60,0,0,0";
    for (path, header, row) in [
        (trades, "", "1,2,3"),
        (trades, "", "1,2,3,4,1502942428322,perhaps,True"),
        (trades, "", "1,2,3,4,1502942428322,True,True,9"),
        (trades, "", "-1,2,3,4,1502942428322,True,True"),
        (trades, "", "1,2,-3,4,1502942428322,True,True"),
        (trades, FUTURES_BARS, "1,2,3,4,5,6,7,8,9,10,11,12"),
        (bars, FUTURES_BARS, marks),
        (bars, "", "BTCUSDT,64000"),
    ] {
        assert!(read(path, "usdm", header, row).is_err(), "{row}");
    }
    assert!(read(bars, "usdm", FUTURES_TRADES, "1,2,3,4,1502942428322,true").is_err());
    assert_eq!(Binance.rest().provisional("margin", "BTCUSDT"), None);
}
