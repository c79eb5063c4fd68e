use super::{Definitions, Reading, Rows, Table};
use crate::code::Code as _;
use bus::{Cursor, Published};
use model::{
    Body, Channel, Decimal, Event, Flags, Funding, Instrument, InstrumentKind, OpenInterest, Px, Qty, Stamp,
    Trade, TradeId, Ts,
};
use proptest::prelude::*;
use std::sync::Arc;

fn published(number: u64, body: Body, scale: u8) -> Published {
    let mut instrument =
        Instrument::provisional("venue", "spot", "AB", InstrumentKind::Spot).named("A", "B", "");
    (instrument.px_scale, instrument.qty_scale) = (scale, scale);
    Published {
        cursor: Cursor { epoch: 7, number },
        ts_pub: Ts(3),
        event: Event {
            source: "alpha",
            instrument: Arc::new(instrument),
            channel: Channel::Trades,
            flags: Flags::SUSPECT,
            stamp: Stamp { ts_event: number.is_multiple_of(2).then_some(Ts(1)), ts_recv: Ts(2) },
            body,
        },
    }
}

/// Writes events of one table as rows and reads them again.
fn back(all: &[Published]) -> Vec<Published> {
    let table = Table::of(&all[0].event.body);
    let (mut rows, mut definitions) = (Rows::new(table), Definitions::default());
    for published in all {
        rows.push(published, &mut definitions);
    }
    let mut bytes = Vec::new();
    definitions.put(&mut bytes);
    let definitions = Definitions::take(&mut bytes.as_slice()).unwrap();
    let (count, batch) = (rows.len(), rows.finish());
    assert_eq!(batch.num_rows(), count, "{table:?}");
    let reading = Reading::new(table, &batch, Arc::new(definitions)).unwrap();
    let mut read = Vec::new();
    let mut row = 0;
    while row < reading.len() {
        let end = reading.end(row);
        read.push(reading.event(row, end).unwrap());
        row = end;
    }
    read
}

proptest! {
    #[test]
    fn any_mantissa_at_any_scale_comes_back(mantissa: i64, quantity: i64, scale in 0..=model::SCALE_MAX) {
        let trade = Trade { id: TradeId::Num(1), px: Px(mantissa), qty: Qty(quantity), aggressor: None, count: 1 };
        let all = [published(1, Body::Trade(trade), scale)];
        prop_assert_eq!(back(&all), all);
    }

    #[test]
    fn any_decimal_comes_back_as_the_same_text(mantissa: i128, cut in 0..127_u32, scale in 0..30_u8) {
        let number = Decimal::new(mantissa >> cut, scale);
        let body = Body::OpenInterest(OpenInterest { qty: number, value: None });
        let read = back(&[published(1, body, 0)]);
        let Body::OpenInterest(read) = &read[0].event.body else { panic!("{read:?}") };
        prop_assert_eq!(read.qty.to_string(), number.to_string());
    }
}

#[test]
fn every_kind_of_event_comes_back_from_its_table() {
    let mut luck = fastrand::Rng::with_seed(11);
    let mut met = Vec::new();
    for kind in 1..=27_u8 {
        let mut all = Vec::new();
        for _ in 0..400_000 {
            let bytes: Vec<u8> = std::iter::once(kind).chain((0..60).map(|_| luck.u8(0..4))).collect();
            if let Some(body) = Body::take(&mut bytes.as_slice()) {
                all.push(published(all.len() as u64 + 1, body, luck.u8(0..=18)));
            }
            if all.len() == 40 {
                break;
            }
        }
        assert!(!all.is_empty(), "no bytes read as a body of kind {kind}");
        met.push(Table::of(&all[0].event.body));
        assert_eq!(back(&all), all, "{:?}", met.last());
    }
    assert_eq!(met.len(), Table::ALL.len());
    assert!(Table::ALL.iter().all(|table| met.contains(table)));
}

#[test]
fn a_number_that_no_double_gives_back_stands_in_the_column_of_exact_text() {
    let rate = Decimal::parse(b"0.12345678901234567890123").unwrap();
    let body = Body::Funding(Box::new(Funding { rate, at: None, next_rate: Some(Decimal::new(1, 4)) }));
    let all = [published(1, body, 0)];
    let (mut rows, mut definitions) = (Rows::new(Table::FundingRates), Definitions::default());
    rows.push(&all[0], &mut definitions);
    let batch = rows.finish();
    let exact = arrow_array::cast::as_dictionary_array::<arrow_array::types::Int32Type>(
        batch.column_by_name("exact").unwrap(),
    );
    let exact = exact.downcast_dict::<arrow_array::StringArray>().unwrap();
    assert_eq!(exact.into_iter().collect::<Vec<_>>(), [Some(r#"{"rate":"0.12345678901234567890123"}"#)]);
    assert_eq!(back(&all), all);
}

#[test]
fn no_two_columns_of_a_table_have_one_name() {
    for table in Table::ALL {
        let mut names: Vec<&str> = table.columns().iter().map(|column| column.name.as_str()).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{table:?}: {names:?}");
    }
}
