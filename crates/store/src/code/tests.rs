use super::Code;
use model::{Body, Channel, Decimal, Instrument, Level, Levels, Px, Qty, TradeId};
use proptest::prelude::*;
use std::fmt::Debug;

fn comes_back<T: Code + PartialEq + Debug>(value: &T) {
    let mut out = Vec::new();
    value.put(&mut out);
    let mut rest = out.as_slice();
    assert_eq!(T::take(&mut rest).as_ref(), Some(value), "{out:?}");
    assert!(rest.is_empty(), "{rest:?} is left of {value:?}");
    for end in 0..out.len() {
        let cut = T::take(&mut out.split_at(end).0);
        assert!(cut.is_none(), "{end} of {} bytes of {value:?} read as {cut:?}", out.len());
    }
}

/// What any bytes read as is written as bytes that read as the same.
fn means_one_thing<T: Code + PartialEq + Debug>(bytes: &[u8]) -> bool {
    let Some(value) = T::take(&mut &bytes[..]) else { return false };
    comes_back(&value);
    true
}

proptest! {
    #[test]
    fn any_number_comes_back(a: i64, b: u64, c: i128, d: u128, e: i32, shift in 0..127_u32) {
        comes_back(&(a >> (shift % 64)));
        comes_back(&(b >> (shift % 64)));
        comes_back(&(c >> shift));
        comes_back(&(d >> shift));
        comes_back(&e);
    }

    #[test]
    fn any_mantissa_and_scale_come_back_as_the_same_text(mantissa: i128, scale: u8, cut in 0..127_u32) {
        let number = Decimal::new(mantissa >> cut, scale);
        let mut out = Vec::new();
        number.put(&mut out);
        let back = Decimal::take(&mut out.as_slice()).unwrap();
        prop_assert_eq!(back.to_string(), number.to_string());
        prop_assert_eq!(back.parts(), number.parts());
    }

    #[test]
    fn any_levels_come_back(all in prop::collection::vec((any::<i64>(), any::<i64>()), 0..20), bids: prop::sample::Index) {
        let bids = bids.index(all.len() + 1);
        let all = all.into_iter().map(|(px, qty)| Level { px: Px(px), qty: Qty(qty) }).collect();
        comes_back(&Levels::new(all, bids));
    }

    #[test]
    fn any_text_comes_back(text: String) {
        comes_back(&Box::<str>::from(text.as_str()));
        comes_back(&TradeId::from_text(&text));
    }

    #[test]
    fn whatever_reads_is_written_as_it_was_read(
        kind in 1..=27_u8, bytes in prop::collection::vec(0..4_u8, 0..60), wild in prop::collection::vec(any::<u8>(), 0..60)
    ) {
        for tail in [bytes, wild] {
            let body: Vec<u8> = std::iter::once(kind).chain(tail).collect();
            means_one_thing::<Body>(&body);
            means_one_thing::<Instrument>(&body);
        }
    }
}

#[test]
fn every_kind_of_event_is_met_by_the_bytes_of_the_test_above() {
    let mut luck = fastrand::Rng::with_seed(7);
    let mut names = Vec::new();
    for kind in 1..=27_u8 {
        let met = (0..2_000_000).find_map(|_| {
            let body: Vec<u8> = std::iter::once(kind).chain((0..60).map(|_| luck.u8(0..3))).collect();
            means_one_thing::<Body>(&body).then(|| Body::take(&mut body.as_slice()).unwrap())
        });
        let Some(body) = met else { panic!("no bytes read as a body of kind {kind}") };
        names.push(wire::kind(&body));
    }
    assert_eq!(names, wire::KINDS);
}

#[test]
fn every_channel_has_a_byte_of_its_own() {
    for channel in Channel::ALL {
        comes_back(&channel);
    }
}

#[test]
fn a_length_that_lies_takes_no_memory() {
    let mut out = Vec::new();
    u64::MAX.put(&mut out);
    assert_eq!(Vec::<u64>::take(&mut out.as_slice()), None);
    assert_eq!(Box::<str>::take(&mut out.as_slice()), None);
    out.push(0);
    assert_eq!(Levels::take(&mut out.as_slice()), None);
}

#[test]
fn numbers_past_their_width_do_not_read() {
    for (bytes, reads) in
        [(&[0xff; 9][..], false), (&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1], true)]
    {
        assert_eq!(u64::take(&mut { bytes }).is_some(), reads, "{bytes:?}");
    }
    assert_eq!(u64::take(&mut [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2].as_slice()), None);
    assert_eq!(u32::take(&mut [0xff, 0xff, 0xff, 0xff, 0x1f].as_slice()), None);
}
