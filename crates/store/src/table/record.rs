//! What the fields of events are in cells.

use super::cell::{Column, Eye, Pen, Type};
use super::rows::BookSide;
use model::{
    Channel, Checksum, ChecksumKind, Decimal, GapCause, InstrumentKind, Level, LinkId, OrderAction, Proof,
    Px, Qty, Right, Side, Status, TradeId, Ts,
};

/// What is put into one or more cells of a row. All its cells are read, also where one of them is null.
pub(super) trait Cell: Sized {
    fn columns(name: &str, out: &mut Vec<Column>);
    fn put(&self, pen: &mut Pen<'_>);
    fn take(eye: &mut Eye<'_>) -> Option<Self>;
}

/// The fields of a row.
pub(super) trait Record: Sized {
    fn columns(out: &mut Vec<Column>);
    fn put(&self, pen: &mut Pen<'_>);
    fn take(eye: &mut Eye<'_>) -> Option<Self>;
}

/// No fields.
impl Record for () {
    fn columns(_: &mut Vec<Column>) {}
    fn put(&self, _: &mut Pen<'_>) {}
    fn take(_: &mut Eye<'_>) -> Option<Self> {
        None
    }
}

impl<T: Cell> Cell for Option<T> {
    fn columns(name: &str, out: &mut Vec<Column>) {
        T::columns(name, out);
    }

    fn put(&self, pen: &mut Pen<'_>) {
        if let Some(value) = self {
            return value.put(pen);
        }
        let mut columns = Vec::new();
        T::columns("", &mut columns);
        for _ in columns {
            pen.null();
        }
    }

    fn take(eye: &mut Eye<'_>) -> Option<Self> {
        Some(T::take(eye))
    }
}

/// Values of one cell: how each is put and taken.
macro_rules! cells {
    ($($name:ty, $of:ident, |$value:ident, $pen:ident| $put:expr, |$eye:ident| $take:expr;)+) => {$(
        impl Cell for $name {
            fn columns(name: &str, out: &mut Vec<Column>) {
                out.push(Column { name: name.to_owned(), of: Type::$of });
            }

            fn put(&self, $pen: &mut Pen<'_>) {
                let $value = self;
                $put;
            }

            fn take($eye: &mut Eye<'_>) -> Option<Self> {
                $take
            }
        }
    )+};
}

cells! {
    bool, Bool, |value, pen| pen.bool(Some(*value)), |eye| eye.bool();
    u32, U32, |value, pen| pen.u32(Some(*value)), |eye| eye.u32();
    u64, U64, |value, pen| pen.u64(Some(*value)), |eye| eye.u64();
    i64, I64, |value, pen| pen.i64(Some(*value)), |eye| eye.i64();
    i32, I64, |value, pen| pen.i64(Some(i64::from(*value))), |eye| eye.i64()?.try_into().ok();
    Ts, Time, |value, pen| pen.time(Some(value.0)), |eye| eye.time().map(Ts);
    LinkId, U32, |value, pen| pen.u32(Some(value.0)), |eye| eye.u32().map(LinkId);
    Px, Number, |value, pen| pen.number(Some((i128::from(value.0), pen.px_scale))), |eye| eye.mantissa(eye.px_scale).map(Px);
    Qty, Number, |value, pen| pen.number(Some((i128::from(value.0), pen.qty_scale))), |eye| eye.mantissa(eye.qty_scale).map(Qty);
    Decimal, Number, |value, pen| pen.number(Some(value.parts())), |eye| eye.decimal();
    Box<str>, Text, |value, pen| pen.text(Some(value)), |eye| eye.text().map(Into::into);
    &'static str, Text, |value, pen| pen.text(Some(value)), |eye| crate::code::lasting(eye.text()?);
    Channel, Text, |value, pen| pen.text(Some(value.name())), |eye| Channel::parse(eye.text()?);
    ChecksumKind, Text, |value, pen| pen.text(Some(&checksum_text(*value))), |eye| checksum_kind(eye.text()?);
    Status, Text, |value, pen| pen.text(Some(&status_text(value))), |eye| eye.text().map(status);
}

/// Choices by the word that stands in the cell; those with a name of their own by that.
macro_rules! words {
    ($($name:ident { $($variant:ident $word:literal),+ })+) => {
        cells! {$(
            $name, Text,
            |value, pen| pen.text(Some(match value { $(Self::$variant => $word),+ })),
            |eye| match eye.text()? { $($word => Some(Self::$variant),)+ _ => None };
        )+}
    };
}

words! {
    Side { Bid "buy", Ask "sell" }
    OrderAction { Add "add", Cancel "cancel", Fill "fill" }
    Proof { Sequence "sequence", Checksum "checksum", None "none" }
    InstrumentKind { Spot "spot", Perpetual "perpetual", Future "future", Option "option", Index "index" }
    Right { Call "call", Put "put" }
    BookSide { Bid "bid", Ask "ask" }
    GapCause {
        Sequence "sequence", Checksum "checksum", Crossed "crossed", Disconnected "disconnected",
        Malformed "malformed", Scale "scale", Overflow "overflow", VenueReset "venue_reset", Referee "referee"
    }
}

fn checksum_text(kind: ChecksumKind) -> String {
    match kind {
        ChecksumKind::Crc32Interleaved25 => "crc32_interleaved_25".to_owned(),
        ChecksumKind::Crc32Digits10 { px_scale, qty_scale } => {
            format!("crc32_digits_10:{px_scale}:{qty_scale}")
        }
    }
}

fn checksum_kind(text: &str) -> Option<ChecksumKind> {
    if text == "crc32_interleaved_25" {
        return Some(ChecksumKind::Crc32Interleaved25);
    }
    let (px_scale, qty_scale) = text.strip_prefix("crc32_digits_10:")?.split_once(':')?;
    Some(ChecksumKind::Crc32Digits10 { px_scale: px_scale.parse().ok()?, qty_scale: qty_scale.parse().ok()? })
}

fn status_text(status: &Status) -> String {
    match status {
        Status::Trading => "trading".to_owned(),
        Status::PreOpen => "pre_open".to_owned(),
        Status::Halted => "halted".to_owned(),
        Status::Closed => "closed".to_owned(),
        Status::Other(word) => format!("other:{word}"),
    }
}

fn status(text: &str) -> Status {
    match text {
        "trading" => Status::Trading,
        "pre_open" => Status::PreOpen,
        "halted" => Status::Halted,
        "closed" => Status::Closed,
        other => Status::Other(other.strip_prefix("other:").unwrap_or(other).into()),
    }
}

/// Price and quantity.
impl Cell for Level {
    fn columns(name: &str, out: &mut Vec<Column>) {
        Px::columns(&format!("{name}_price"), out);
        Qty::columns(&format!("{name}_quantity"), out);
    }

    fn put(&self, pen: &mut Pen<'_>) {
        self.px.put(pen);
        self.qty.put(pen);
    }

    fn take(eye: &mut Eye<'_>) -> Option<Self> {
        let (px, qty) = (Px::take(eye), Qty::take(eye));
        Some(Self { px: px?, qty: qty? })
    }
}

/// A number, or a text where the venue gives no number.
impl Cell for TradeId {
    fn columns(name: &str, out: &mut Vec<Column>) {
        u64::columns(name, out);
        Box::<str>::columns(&format!("{name}_text"), out);
    }

    fn put(&self, pen: &mut Pen<'_>) {
        let (number, text) = match self {
            Self::Num(number) => (Some(*number), None),
            Self::Text(text) => (None, Some(&**text)),
        };
        pen.u64(number);
        pen.text(text);
    }

    fn take(eye: &mut Eye<'_>) -> Option<Self> {
        let (number, text) = (eye.u64(), eye.text());
        number.map(Self::Num).or_else(|| text.map(|text| Self::Text(text.into())))
    }
}

impl Cell for Checksum {
    fn columns(name: &str, out: &mut Vec<Column>) {
        u32::columns(name, out);
        ChecksumKind::columns(&format!("{name}_kind"), out);
    }

    fn put(&self, pen: &mut Pen<'_>) {
        self.value.put(pen);
        self.kind.put(pen);
    }

    fn take(eye: &mut Eye<'_>) -> Option<Self> {
        let (value, kind) = (eye.u32(), ChecksumKind::take(eye));
        Some(Self { kind: kind?, value: value? })
    }
}

/// Strike price and right of an option.
impl Cell for (Decimal, Right) {
    fn columns(_: &str, out: &mut Vec<Column>) {
        Decimal::columns("strike", out);
        Right::columns("right", out);
    }

    fn put(&self, pen: &mut Pen<'_>) {
        self.0.put(pen);
        self.1.put(pen);
    }

    fn take(eye: &mut Eye<'_>) -> Option<Self> {
        let (strike, right) = (Decimal::take(eye), Right::take(eye));
        Some((strike?, right?))
    }
}
