//! The lists of instruments: shares, indices, funds, convertible bonds, and boards.

use crate::PUSH;
use crate::asks::{list, next_page, parameter};
use crate::fields::{Result, envelope, page};
use crate::names;
use model::Instrument;
use source::Request;

/// The fields of a listing.
const FIELDS: &str = "f12,f13,f14";
/// Filters: all shares of Shanghai, Shenzhen and Beijing; indices; funds traded at an exchange; convertible bonds; boards
/// by region, industry and concept.
const FILTERS: [&str; 7] = [
    "m:0+t:6,m:0+t:80,m:1+t:2,m:1+t:23,m:0+t:81+s:2048",
    "m:1+s:2,m:0+t:5",
    "b:MK0021,b:MK0022,b:MK0023,b:MK0024",
    "b:MK0354",
    "m:90+t:1+f:!50",
    "m:90+t:2+f:!50",
    "m:90+t:3+f:!50",
];

/// The first page of each list.
pub fn requests() -> Vec<Request> {
    let request = |filter: &&str| Request { endpoint: PUSH, path: list(filter, FIELDS), weight: 1 };
    FILTERS.iter().map(request).collect()
}

/// Whether a path is one of a listing; the lists of a board's members are not.
pub fn is_listing(path: &str) -> bool {
    let filter = parameter(path, "fs");
    path.contains("/api/qt/clist/get?") && (!filter.starts_with("b:") || filter.starts_with("b:MK"))
}

/// Reads a page of a listing. A row that cannot be read, or of a code that no exchange of China has, is left out.
///
/// # Errors
/// Where the page as a whole cannot be read.
pub fn read(body: &[u8]) -> Result<Vec<Instrument>> {
    let Some(data) = envelope(body)?.data else { return Ok(Vec::new()) };
    let rows = page(data, false)?.rows;
    let made = rows.iter().filter_map(|(_, row)| {
        let row = row.as_ref().ok()?;
        Some(names::of_row(row).ok()?.define(row.text(14)))
    });
    Ok(made.collect())
}

/// The request for the page after this one, where there is one.
pub fn more(request: &Request, body: &[u8]) -> Option<Request> {
    let page = page(envelope(body).ok()?.data?, false).ok()?;
    next_page(&request.path, &page).map(|path| Request { path, ..request.clone() })
}
