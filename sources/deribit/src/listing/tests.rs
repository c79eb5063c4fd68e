use super::*;

#[test]
fn a_symbol_alone_gives_kind_and_name() {
    for (symbol, name) in [
        ("BTC-PERPETUAL", "BTC/USD:BTC@deribit"),
        ("BTC_USDC-PERPETUAL", "BTC/USDC:USDC@deribit"),
        ("BTC-27JUN25", "BTC/USD:BTC-250627@deribit"),
        ("ETH-6JAN23", "ETH/USD:ETH-230106@deribit"),
        ("BTC-27JUN25-100000-C", "BTC/USD:BTC-250627-100000-C@deribit"),
        ("XRP_USDC-27JUN25-0d55-P", "XRP/USDC:USDC-250627-0.55-P@deribit"),
        ("BTC_USDC", "BTC/USDC@deribit"),
        ("btc_usd", "btc_usd@deribit"),
        ("BTC-FS-25DEC26_PERP", "BTC-FS-25DEC26_PERP@deribit"),
        ("BTC-CS-27JUN25-80000_90000", "BTC-CS-27JUN25-80000_90000@deribit"),
    ] {
        let made = provisional(symbol.as_bytes()).unwrap();
        assert_eq!(&*made.name, name);
        assert!(made.provisional);
    }
    for junk in [&b""[..], b"BTC PERP", b"a.b", &[b'A'; 65], b"\xff"] {
        assert!(provisional(junk).is_none());
    }
}

const LIST: &str = r#"{"jsonrpc":"2.0","id":5,"result":[
 {"instrument_name":"BTC-PERPETUAL","instrument_id":210838,"kind":"future","instrument_type":"reversed","base_currency":"BTC","quote_currency":"USD","counter_currency":"USD","settlement_currency":"BTC","settlement_period":"perpetual","future_type":"reversed","price_index":"btc_usd","tick_size":0.5,"tick_size_steps":[],"contract_size":10.0,"min_trade_amount":10.0,"is_active":true,"state":"open","creation_timestamp":1534167754000,"expiration_timestamp":32503708800000},
 {"instrument_name":"BTC-25DEC26-100000-C","kind":"option","instrument_type":"reversed","base_currency":"BTC","quote_currency":"BTC","counter_currency":"USD","settlement_currency":"BTC","settlement_period":"month","tick_size":1.0e-4,"tick_size_steps":[{"above_price":0.005,"tick_size":0.0005}],"contract_size":1.0,"min_trade_amount":0.1,"is_active":true,"state":"open","option_type":"call","strike":100000.0,"expiration_timestamp":1798185600000},
 {"instrument_name":"BTC_USDC-25DEC26","kind":"future","instrument_type":"linear","base_currency":"BTC","quote_currency":"USDC","counter_currency":"USDC","settlement_currency":"USDC","settlement_period":"month","tick_size":2.5,"contract_size":0.001,"min_trade_amount":0.001,"is_active":false,"state":"closed","expiration_timestamp":1798185600000},
 {"instrument_name":"BTC_USDC","kind":"spot","base_currency":"BTC","quote_currency":"USDC","counter_currency":"USDC","tick_size":1.0,"min_trade_amount":0.0001,"is_active":true,"settlement_period":null},
 {"instrument_name":"ETH-24SEP21-320-P","kind":"option","base_currency":"ETH","quote_currency":"ETH","settlement_period":"month","tick_size":0.0005,"contract_size":1.0,"min_trade_amount":1,"is_active":true,"option_type":"put","strike":320.0,"expiration_timestamp":1632470400000},
 {"instrument_name":"BTC-FS-25DEC26_PERP","kind":"future_combo","base_currency":"BTC","quote_currency":"USD","tick_size":0.5,"min_trade_amount":10.0}
]}"#;

#[test]
fn every_kind_of_instrument_is_defined_as_it_is_listed() {
    let all = read(LIST.as_bytes()).unwrap();
    let told: Vec<String> = all
        .iter()
        .map(|i| {
            let size = i.contract_size.map(|d| d.to_string());
            format!("{} {} {} {size:?} {:?}", i.name, i.px_scale, i.qty_scale, i.status)
        })
        .collect();
    assert_eq!(
        told,
        [
            "BTC/USD:BTC@deribit 1 0 Some(\"1\") Trading",
            "BTC/USD:BTC-261225-100000-C@deribit 4 1 None Trading",
            "BTC/USDC:USDC-261225@deribit 1 3 None Closed",
            "BTC/USDC@deribit 0 4 None Trading",
            "ETH/USD:ETH-210924-320-P@deribit 4 0 None Trading",
        ]
    );
    assert!(all.iter().all(|i| !i.provisional));
    assert_eq!(all[0].expiry, None);
    assert_eq!(all[1].expiry, Some(Ts::from_ms(1_798_185_600_000)));
}

#[test]
fn a_definition_and_its_symbol_alone_give_one_name() {
    for listed in read(LIST.as_bytes()).unwrap() {
        let made = provisional(listed.symbol.as_bytes()).unwrap();
        assert_eq!((made.name, made.id, made.kind), (listed.name, listed.id, listed.kind));
        assert_eq!(made.contract_size, listed.contract_size);
    }
}

#[test]
fn an_answer_that_is_cut_or_an_error_is_no_list() {
    for cut in 0..LIST.len() {
        assert!(read(&LIST.as_bytes()[..cut]).is_err());
    }
    assert!(read(br#"{"jsonrpc":"2.0","error":{"code":10028,"message":"too_many_requests"}}"#).is_err());
}

#[test]
fn indices_follow_from_base_and_quote() {
    let index = |symbol: &[u8]| index_of(&provisional(symbol).unwrap());
    assert_eq!(index(b"BTC-PERPETUAL").as_deref(), Some("btc_usd"));
    assert_eq!(index(b"SOL_USDC-27JUN25-150-P").as_deref(), Some("sol_usdc"));
    assert_eq!(index(b"eth_usdt").as_deref(), Some("eth_usdt"));
    assert_eq!(index(b"BTC-FS-25DEC26_PERP"), None);
    let volatility = |symbol: &[u8]| volatility_index_of(&provisional(symbol).unwrap());
    assert_eq!(volatility(b"ETH_USDC-PERPETUAL").as_deref(), Some("eth_usd"));
    assert_eq!((volatility(b"SOL_USDC-PERPETUAL"), volatility(b"BTC-27JUN25")), (None, None));
}
