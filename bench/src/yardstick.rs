//! Typed decode of a frame and nothing else: what a library for JSON costs on the same bytes.

#![expect(dead_code, reason = "only decoding is measured; nobody reads the fields")]

use serde::Deserialize;

/// A frame whose payload is an object.
#[derive(Deserialize)]
pub struct Object<'a> {
    #[serde(borrow)]
    pub stream: &'a str,
    #[serde(borrow)]
    pub data: Payload<'a>,
}

/// A book change, a quote or a print with one-letter keys.
#[derive(Deserialize)]
pub struct Payload<'a> {
    #[serde(default, borrow)]
    pub e: Option<&'a str>,
    #[serde(default, borrow)]
    pub s: Option<&'a str>,
    #[serde(default, rename = "E")]
    pub event: Option<u64>,
    #[serde(default, rename = "T")]
    pub time: Option<u64>,
    #[serde(default, rename = "U")]
    pub first: Option<u64>,
    #[serde(default)]
    pub u: Option<u64>,
    #[serde(default)]
    pub pu: Option<u64>,
    #[serde(default)]
    pub t: Option<u64>,
    #[serde(default, borrow)]
    pub p: Option<&'a str>,
    #[serde(default, borrow)]
    pub q: Option<&'a str>,
    #[serde(default)]
    pub m: Option<bool>,
    #[serde(default, borrow)]
    pub b: Option<Side<'a>>,
    #[serde(default, borrow)]
    pub a: Option<Side<'a>>,
    #[serde(default, borrow, rename = "B")]
    pub bid_qty: Option<&'a str>,
    #[serde(default, borrow, rename = "A")]
    pub ask_qty: Option<&'a str>,
}

/// A price, levels, or an id, under one key.
#[derive(Deserialize)]
#[serde(untagged)]
pub enum Side<'a> {
    #[serde(borrow)]
    Levels(Vec<(&'a str, &'a str)>),
    #[serde(borrow)]
    Px(&'a str),
    Id(u64),
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

/// Decodes a frame; true where it is of a shape known here.
pub fn decode(frame: &[u8]) -> bool {
    if frame.starts_with(b"{\"stream\"") {
        std::hint::black_box(sonic_rs::from_slice::<Object<'_>>(frame)).is_ok()
    } else {
        std::hint::black_box(sonic_rs::from_slice::<Rows<'_>>(frame)).is_ok()
    }
}
