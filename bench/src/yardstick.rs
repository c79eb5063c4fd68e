//! Typed decode of a frame and nothing else: what a library for JSON costs on the same bytes.

#![expect(dead_code, reason = "only decoding is measured; nobody reads the fields")]

use serde::Deserialize;
use std::hint::black_box;

/// A frame whose payload is an object.
#[derive(Deserialize)]
#[serde(bound(deserialize = "T: Deserialize<'de>"))]
pub struct Object<'a, T> {
    #[serde(borrow)]
    pub stream: &'a str,
    pub data: T,
}

/// A book change.
#[derive(Deserialize)]
pub struct Change<'a> {
    #[serde(rename = "E")]
    pub event: u64,
    #[serde(default, rename = "T")]
    pub time: Option<u64>,
    #[serde(borrow)]
    pub s: &'a str,
    #[serde(rename = "U")]
    pub first: u64,
    pub u: u64,
    #[serde(default)]
    pub pu: Option<u64>,
    #[serde(borrow)]
    pub b: Vec<(&'a str, &'a str)>,
    #[serde(borrow)]
    pub a: Vec<(&'a str, &'a str)>,
}

/// A quote.
#[derive(Deserialize)]
pub struct Best<'a> {
    pub u: u64,
    #[serde(borrow)]
    pub s: &'a str,
    #[serde(borrow)]
    pub b: &'a str,
    #[serde(borrow, rename = "B")]
    pub bid_qty: &'a str,
    #[serde(borrow)]
    pub a: &'a str,
    #[serde(borrow, rename = "A")]
    pub ask_qty: &'a str,
    #[serde(default, rename = "T")]
    pub time: Option<u64>,
}

/// A print.
#[derive(Deserialize)]
pub struct Print<'a> {
    #[serde(rename = "E")]
    pub event: u64,
    #[serde(rename = "T")]
    pub time: u64,
    #[serde(borrow)]
    pub s: &'a str,
    #[serde(default)]
    pub t: Option<u64>,
    #[serde(borrow)]
    pub p: &'a str,
    #[serde(borrow)]
    pub q: &'a str,
    pub m: bool,
}

/// A frame whose payload is a list of rows with named levels.
#[derive(Deserialize)]
pub struct Rows<'a> {
    #[serde(borrow)]
    pub arg: Arg<'a>,
    #[serde(default, borrow)]
    pub action: Option<&'a str>,
    #[serde(borrow)]
    pub data: Vec<Row<'a>>,
}

/// What a list of rows is about.
#[derive(Deserialize)]
pub struct Arg<'a> {
    #[serde(borrow)]
    pub channel: &'a str,
    #[serde(default, borrow, rename = "instId")]
    pub instrument: Option<&'a str>,
}

/// A row of a book, of prints or of statistics.
#[derive(Deserialize)]
pub struct Row<'a> {
    #[serde(default, borrow)]
    pub bids: Option<Vec<(&'a str, &'a str, &'a str, &'a str)>>,
    #[serde(default, borrow)]
    pub asks: Option<Vec<(&'a str, &'a str, &'a str, &'a str)>>,
    #[serde(default, borrow)]
    pub ts: Option<&'a str>,
    #[serde(default)]
    pub checksum: Option<i64>,
    #[serde(default, rename = "seqId")]
    pub seq: Option<i64>,
    #[serde(default, borrow)]
    pub px: Option<&'a str>,
    #[serde(default, borrow)]
    pub sz: Option<&'a str>,
    #[serde(default, borrow, rename = "tradeId")]
    pub id: Option<&'a str>,
}

/// Decodes a frame; true where that can be done. Which shape is told by the name of the stream, as a library that knows
/// its subscription would; what has none of the shapes above becomes a tree.
pub fn decode(frame: &[u8]) -> bool {
    let has = |part: &[u8]| frame.get(..64).unwrap_or(frame).windows(part.len()).any(|w| w == part);
    if frame.starts_with(b"{\"arg\"") && has(b"instId") && !has(b"instType") {
        black_box(sonic_rs::from_slice::<Rows<'_>>(frame)).is_ok()
    } else if !frame.starts_with(b"{\"stream\"") {
        black_box(sonic_rs::from_slice::<sonic_rs::Value>(frame)).is_ok()
    } else if has(b"@depth") {
        black_box(sonic_rs::from_slice::<Object<'_, Change<'_>>>(frame)).is_ok()
    } else if has(b"@bookTicker") {
        black_box(sonic_rs::from_slice::<Object<'_, Best<'_>>>(frame)).is_ok()
    } else {
        black_box(sonic_rs::from_slice::<Object<'_, Print<'_>>>(frame)).is_ok()
    }
}
