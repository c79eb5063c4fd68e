//! A definition as JSON.

use crate::json::{boolean, decimal_json, int, key, or_null, string_json, time};
use model::{Instrument, InstrumentKind, Right, Status};

/// Appends an instrument's definition as one object, as the crate's documentation says.
pub fn instrument_json(instrument: &Instrument, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"name\":");
    string_json(&instrument.name, out);
    if !instrument.title.is_empty() {
        out.extend_from_slice(key!("title"));
        string_json(&instrument.title, out);
    }
    out.extend_from_slice(key!("venue"));
    string_json(&instrument.venue, out);
    out.extend_from_slice(key!("product"));
    string_json(&instrument.product, out);
    out.extend_from_slice(key!("symbol"));
    string_json(&instrument.symbol, out);
    out.extend_from_slice(key!("type"));
    string_json(type_name(instrument.kind), out);
    out.extend_from_slice(key!("base"));
    string_json(&instrument.base, out);
    out.extend_from_slice(key!("quote"));
    string_json(&instrument.quote, out);
    out.extend_from_slice(key!("settle"));
    string_json(&instrument.settle, out);
    out.extend_from_slice(key!("expiry"));
    or_null(instrument.expiry, out, time);
    out.extend_from_slice(key!("strike"));
    or_null(instrument.option.map(|(strike, _)| strike), out, decimal_json);
    out.extend_from_slice(key!("right"));
    or_null(instrument.option.map(|(_, right)| right_name(right)), out, string_json);
    out.extend_from_slice(key!("px_scale"));
    int(u64::from(instrument.px_scale), out);
    out.extend_from_slice(key!("qty_scale"));
    int(u64::from(instrument.qty_scale), out);
    out.extend_from_slice(key!("tick"));
    or_null(instrument.tick, out, decimal_json);
    out.extend_from_slice(key!("lot"));
    or_null(instrument.lot, out, decimal_json);
    out.extend_from_slice(key!("contract_size"));
    or_null(instrument.contract_size, out, decimal_json);
    out.extend_from_slice(key!("status"));
    string_json(status_name(&instrument.status), out);
    out.extend_from_slice(key!("provisional"));
    boolean(instrument.provisional, out);
    out.push(b'}');
}

const fn type_name(kind: InstrumentKind) -> &'static str {
    match kind {
        InstrumentKind::Spot => "spot",
        InstrumentKind::Perpetual => "perpetual",
        InstrumentKind::Future => "future",
        InstrumentKind::Option => "option",
        InstrumentKind::Index => "index",
    }
}

const fn right_name(right: Right) -> &'static str {
    match right {
        Right::Call => "call",
        Right::Put => "put",
    }
}

pub(crate) fn status_name(status: &Status) -> &str {
    match status {
        Status::Trading => "trading",
        Status::PreOpen => "pre_open",
        Status::Halted => "halted",
        Status::Closed => "closed",
        Status::Other(word) => word,
    }
}
