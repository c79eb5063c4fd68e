use super::*;

#[test]
fn names_of_channels_are_taken_apart() {
    for (name, kind, of) in [
        ("book.BTC-PERPETUAL.100ms", Kind::Book(Pace::Ms100), "BTC-PERPETUAL"),
        ("book.BTC-27JUN25-100000-C.raw", Kind::Book(Pace::Raw), "BTC-27JUN25-100000-C"),
        ("book.BTC-PERPETUAL.agg2", Kind::Book(Pace::Agg2), "BTC-PERPETUAL"),
        ("book.ETH-PERPETUAL.none.10.100ms", Kind::BookTop, "ETH-PERPETUAL"),
        ("book.BTC-PERPETUAL.5.20.agg2", Kind::BookTop, "BTC-PERPETUAL"),
        ("trades.BTC-PERPETUAL.raw", Kind::Trades, "BTC-PERPETUAL"),
        ("trades.option.any.raw", Kind::AllTrades, ""),
        ("quote.BTC_USDC", Kind::Quote, "BTC_USDC"),
        ("ticker.BTC-PERPETUAL.100ms", Kind::Ticker, "BTC-PERPETUAL"),
        ("incremental_ticker.BTC-PERPETUAL", Kind::TickerPart, "BTC-PERPETUAL"),
        ("chart.trades.BTC-PERPETUAL.1D", Kind::Bars, "BTC-PERPETUAL"),
        ("perpetual.BTC-PERPETUAL.raw", Kind::Perpetual, "BTC-PERPETUAL"),
        ("deribit_price_index.btc_usd", Kind::PriceIndex, "btc_usd"),
        ("deribit_volatility_index.eth_usd", Kind::VolatilityIndex, "eth_usd"),
        ("markprice.options.btc_usd", Kind::MarkPrices, ""),
        ("instrument.state.any.BTC", Kind::InstrumentState, ""),
        ("platform_state", Kind::PlatformState, ""),
        ("platform_state.public_methods_state", Kind::Other, ""),
        ("book.BTC-PERPETUAL.10ms", Kind::Other, "BTC-PERPETUAL"),
        ("user.orders.any.any.raw", Kind::Other, ""),
        ("", Kind::Other, ""),
    ] {
        let topic = Topic::read(name.as_bytes());
        assert_eq!((topic.kind, topic.of), (kind, of.as_bytes()), "{name}");
    }
    assert_eq!(Topic::read(b"chart.trades.BTC-PERPETUAL.1D").detail, b"1D");
}

#[test]
fn data_before_the_channel_are_read_after_it() {
    let text = br#"{"params":{"data":{"x":1},"channel":"quote.A"},"method":"subscription","jsonrpc":"2.0"}"#;
    let mut seen = None;
    let (head, read) = frame(text, |topic, c| {
        seen = Some((topic.kind, c.skip()?));
        Ok(())
    });
    read.unwrap();
    assert_eq!(seen, Some((Kind::Quote, &br#"{"x":1}"#[..])));
    assert_eq!(head.method, Some(&b"subscription"[..]));
}

#[test]
fn an_answer_is_told_from_a_push() {
    for (text, id, error) in [
        (
            r#"{"jsonrpc":"2.0","id":7,"result":[],"usIn":1,"usOut":2,"usDiff":1,"testnet":false}"#,
            Some(7),
            false,
        ),
        (r#"{"jsonrpc":"2.0","id":"seven","error":{"code":1,"message":"x"}}"#, None, true),
        (r#"{"jsonrpc":"2.0","error":{"code":11050,"message":"bad_request"}}"#, None, true),
    ] {
        let (head, read) = frame(text.as_bytes(), |_, _| panic!("no data"));
        read.unwrap();
        assert_eq!((head.id, head.error.is_some(), head.answer()), (id, error, true));
    }
    for text in ["{}", "[]", "1", r#"{"jsonrpc":"2.0"}"#, r#"{"method":"subscription","params":{}}"#] {
        assert!(frame(text.as_bytes(), |_, _| Ok(())).1.is_err(), "{text}");
    }
}
