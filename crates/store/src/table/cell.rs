//! Values as cells of columns, and back.

use super::number::{to_decimal, to_double, to_mantissa};
use arrow_array::builder::{
    BooleanBuilder, Float64Builder, Int64Builder, StringDictionaryBuilder, TimestampNanosecondBuilder,
    UInt16Builder, UInt32Builder, UInt64Builder,
};
use arrow_array::cast::AsArray as _;
use arrow_array::types::{
    Float64Type, Int32Type, Int64Type, TimestampNanosecondType, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{
    Array as _, ArrayRef, BooleanArray, Float64Array, Int32Array, Int64Array, StringArray,
    TimestampNanosecondArray, UInt16Array, UInt32Array, UInt64Array,
};
use arrow_schema::{DataType, TimeUnit};
use model::{Decimal, Scale, parse_mantissa};
use std::sync::Arc;

/// What a column holds; every column may have nulls but for those that are said to have none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Bool,
    U16,
    U32,
    U64,
    I64,
    /// A decimal, as a double that gives it back.
    Number,
    /// Nanoseconds since 1970, UTC.
    Time,
    /// Text of which there are few different ones.
    Text,
}

impl Type {
    /// As Arrow calls it.
    pub fn arrow(self) -> DataType {
        match self {
            Self::Bool => DataType::Boolean,
            Self::U16 => DataType::UInt16,
            Self::U32 => DataType::UInt32,
            Self::U64 => DataType::UInt64,
            Self::I64 => DataType::Int64,
            Self::Number => DataType::Float64,
            Self::Time => DataType::Timestamp(TimeUnit::Nanosecond, None),
            Self::Text => DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
        }
    }
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Column {
    pub name: String,
    pub of: Type,
}

/// A column's values while they are collected.
pub(super) enum Values {
    Bool(BooleanBuilder),
    U16(UInt16Builder),
    U32(UInt32Builder),
    U64(UInt64Builder),
    I64(Int64Builder),
    Number(Float64Builder),
    Time(TimestampNanosecondBuilder),
    Text(StringDictionaryBuilder<Int32Type>),
}

impl Values {
    pub fn new(of: Type) -> Self {
        match of {
            Type::Bool => Self::Bool(BooleanBuilder::new()),
            Type::U16 => Self::U16(UInt16Builder::new()),
            Type::U32 => Self::U32(UInt32Builder::new()),
            Type::U64 => Self::U64(UInt64Builder::new()),
            Type::I64 => Self::I64(Int64Builder::new()),
            Type::Number => Self::Number(Float64Builder::new()),
            Type::Time => Self::Time(TimestampNanosecondBuilder::new()),
            Type::Text => Self::Text(StringDictionaryBuilder::new()),
        }
    }

    pub fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Bool(values) => Arc::new(values.finish()),
            Self::U16(values) => Arc::new(values.finish()),
            Self::U32(values) => Arc::new(values.finish()),
            Self::U64(values) => Arc::new(values.finish()),
            Self::I64(values) => Arc::new(values.finish()),
            Self::Number(values) => Arc::new(values.finish()),
            Self::Time(values) => Arc::new(values.finish()),
            Self::Text(values) => Arc::new(values.finish()),
        }
    }

    fn nulls(&mut self, count: usize) {
        match self {
            Self::Bool(values) => values.append_nulls(count),
            Self::U16(values) => values.append_nulls(count),
            Self::U32(values) => values.append_nulls(count),
            Self::U64(values) => values.append_nulls(count),
            Self::I64(values) => values.append_nulls(count),
            Self::Number(values) => values.append_nulls(count),
            Self::Time(values) => values.append_nulls(count),
            Self::Text(values) => values.append_nulls(count),
        }
    }
}

/// Appends values to columns, from the left to the right.
pub(super) struct Pen<'a> {
    pub columns: &'a mut [Values],
    pub names: &'a [Column],
    pub at: usize,
    /// How many rows get the value.
    pub times: usize,
    pub px_scale: Scale,
    pub qty_scale: Scale,
    /// Decimals that a double does not give back: the column and the text.
    pub exact: Vec<(String, String)>,
}

/// The functions that append to one type of column.
macro_rules! puts {
    ($($put:ident $variant:ident $value:ty),+) => {$(
        pub fn $put(&mut self, value: Option<$value>) {
            let times = self.times;
            match (self.next(), value) {
                (Some(Values::$variant(values)), Some(value)) => values.append_value_n(value, times),
                (Some(values), _) => values.nulls(times),
                (None, _) => {}
            }
        }
    )+};
}

impl Pen<'_> {
    fn next(&mut self) -> Option<&mut Values> {
        self.at += 1;
        self.columns.get_mut(self.at - 1)
    }

    puts! { u16 U16 u16, u32 U32 u32, u64 U64 u64, i64 I64 i64, time Time i64, double Number f64 }

    pub fn null(&mut self) {
        let times = self.times;
        if let Some(values) = self.next() {
            values.nulls(times);
        }
    }

    pub fn bool(&mut self, value: Option<bool>) {
        let times = self.times;
        match (self.next(), value) {
            (Some(Values::Bool(values)), Some(value)) => values.append_n(times, value),
            (Some(values), _) => values.nulls(times),
            (None, _) => {}
        }
    }

    pub fn text(&mut self, value: Option<&str>) {
        let times = self.times;
        match (self.next(), value) {
            (Some(Values::Text(values)), Some(value)) => values.append_values(value, times),
            (Some(values), _) => values.nulls(times),
            (None, _) => {}
        }
    }

    pub fn number(&mut self, value: Option<(i128, Scale)>) {
        let double = value.map(|(mantissa, scale)| {
            let (double, whole) = to_double(mantissa, scale);
            if !whole {
                let name = self.names.get(self.at).map(|column| column.name.clone()).unwrap_or_default();
                self.exact.push((name, Decimal::new(mantissa, scale).to_string()));
            }
            double
        });
        self.double(double);
    }
}

/// A column's values when they are read.
pub(super) enum Read {
    Bool(BooleanArray),
    U16(UInt16Array),
    U32(UInt32Array),
    U64(UInt64Array),
    I64(Int64Array),
    Number(Float64Array),
    Time(TimestampNanosecondArray),
    Text(Int32Array, StringArray),
}

impl Read {
    /// `None` where the array is not of that type.
    pub fn new(of: Type, array: &ArrayRef) -> Option<Self> {
        Some(match of {
            Type::Bool => Self::Bool(array.as_boolean_opt()?.clone()),
            Type::U16 => Self::U16(array.as_primitive_opt::<UInt16Type>()?.clone()),
            Type::U32 => Self::U32(array.as_primitive_opt::<UInt32Type>()?.clone()),
            Type::U64 => Self::U64(array.as_primitive_opt::<UInt64Type>()?.clone()),
            Type::I64 => Self::I64(array.as_primitive_opt::<Int64Type>()?.clone()),
            Type::Number => Self::Number(array.as_primitive_opt::<Float64Type>()?.clone()),
            Type::Time => Self::Time(array.as_primitive_opt::<TimestampNanosecondType>()?.clone()),
            Type::Text => {
                let words = array.as_dictionary_opt::<Int32Type>()?;
                Self::Text(words.keys().clone(), words.values().as_string_opt::<i32>()?.clone())
            }
        })
    }
}

/// Reads the cells of one row, from the left to the right.
pub(super) struct Eye<'a> {
    pub columns: &'a [Read],
    pub names: &'a [Column],
    pub at: usize,
    pub row: usize,
    pub px_scale: Scale,
    pub qty_scale: Scale,
    pub exact: Option<serde_json::Map<String, serde_json::Value>>,
}

/// The functions that read one type of column; `None` where the cell is null.
macro_rules! takes {
    ($($take:ident $variant:ident $value:ty),+) => {$(
        pub fn $take(&mut self) -> Option<$value> {
            let row = self.row;
            match self.next()? {
                Read::$variant(values) if row < values.len() && values.is_valid(row) => Some(values.value(row)),
                _ => None,
            }
        }
    )+};
}

impl<'a> Eye<'a> {
    fn next(&mut self) -> Option<&'a Read> {
        self.at += 1;
        self.columns.get(self.at - 1)
    }

    takes! { bool Bool bool, u16 U16 u16, u32 U32 u32, u64 U64 u64, i64 I64 i64, time Time i64, double Number f64 }

    pub fn text(&mut self) -> Option<&'a str> {
        let row = self.row;
        match self.next()? {
            Read::Text(keys, words) if row < keys.len() && keys.is_valid(row) => {
                let key = usize::try_from(keys.value(row)).ok()?;
                (key < words.len()).then(|| words.value(key))
            }
            _ => None,
        }
    }

    fn exact(&self) -> Option<&str> {
        let exact = self.exact.as_ref()?;
        exact.get(&self.names.get(self.at)?.name)?.as_str()
    }

    pub fn decimal(&mut self) -> Option<Decimal> {
        let exact = self.exact().map(|text| Decimal::parse(text.as_bytes()).ok());
        let double = self.double();
        exact.unwrap_or_else(|| double.and_then(to_decimal))
    }

    pub fn mantissa(&mut self, scale: Scale) -> Option<i64> {
        let exact = self.exact().map(|text| parse_mantissa(text.as_bytes(), scale).ok());
        let double = self.double();
        exact.unwrap_or_else(|| double.and_then(|double| to_mantissa(double, scale)))
    }
}
