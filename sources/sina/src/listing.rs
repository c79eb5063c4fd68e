//! The list of shares, by pages.

use crate::LIST;
use model::Instrument;
use model::ashare::{self, Code};
use source::web::{gbk, payload, text};
use source::{Cursor, Malformed, Request};
use std::borrow::Cow;

/// How many rows a page has.
pub const PAGE_ROWS: usize = 80;
const PATH: &str = "/quotes_service/api/json_v2.php/Market_Center.getHQNodeData";

/// A page of the list.
#[derive(Debug)]
pub struct Page {
    /// What it lists.
    pub instruments: Vec<Instrument>,
    /// How many rows it has, those that cannot be read too.
    pub rows: usize,
}

fn page(number: u64) -> Request {
    let query = "sort=symbol&asc=1&node=hs_a&symbol=&_s_r_a=init";
    Request { endpoint: LIST, path: format!("{PATH}?page={number}&num={PAGE_ROWS}&{query}"), weight: 1 }
}

/// The first page.
pub fn request() -> Request {
    page(1)
}

/// The page after this one; the one after the last is empty.
pub fn more(request: &Request, body: &[u8]) -> Option<Request> {
    let number: u64 = request.path.split("?page=").nth(1)?.split('&').next()?.parse().ok()?;
    (read(body).ok()?.rows > 0).then(|| page(number + 1))
}

/// Whether a path is one of the list.
pub fn is_listing(path: &str) -> bool {
    path.contains(PATH)
}

/// Reads `[{"symbol":"sh600000","code":"600000","name":"浦发银行",…},…]`, in UTF-8 or GBK. A row that cannot be read is left
/// out.
///
/// # Errors
/// Where the page as a whole cannot be read.
pub fn read(body: &[u8]) -> Result<Page, Malformed> {
    // Of GBK the second byte of a character may be a sign of JSON, so all is decoded before it is read.
    let decoded = match std::str::from_utf8(body) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(gbk(body)?),
    };
    let mut page = Page { instruments: Vec::new(), rows: 0 };
    let mut c = Cursor::new(payload(decoded.as_bytes())?);
    if c.null() {
        return Ok(page);
    }
    c.array(|c| {
        page.rows += 1;
        page.instruments.extend(row(c.skip()?));
        Ok(())
    })?;
    c.end()?;
    Ok(page)
}

fn row(row: &[u8]) -> Option<Instrument> {
    let (mut code, mut name) = (None, String::new());
    let read = Cursor::new(row).object(|c, key| {
        match key {
            b"symbol" => code = Code::parse(&text(c)?).ok(),
            b"name" => name = text(c)?.into_owned(),
            _ => _ = c.skip()?,
        }
        Ok(())
    });
    read.ok().and(code).map(|code| ashare::instrument(code, name.trim()))
}
