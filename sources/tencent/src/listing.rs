//! The list of shares, by pages of the ranking that the web pages show.

use crate::LIST;
use model::Instrument;
use model::ashare::{self, Code};
use source::web::{payload, text};
use source::{Cursor, Malformed, Request, What};

/// How many rows a page has.
pub const PAGE_ROWS: u64 = 200;
const PATH: &str = "/cgi/cgi-bin/rank/hs/getBoardRankList";

/// A page of the list.
#[derive(Debug)]
pub struct Page {
    /// What it lists.
    pub instruments: Vec<Instrument>,
    /// How many rows it has, those that cannot be read too.
    pub rows: u64,
    /// How many rows there are on all pages.
    pub total: u64,
}

fn page(offset: u64) -> Request {
    let query = "_appver=11.17.0&board_code=aStock&sort_type=code&direct=up";
    let path = format!("{PATH}?{query}&offset={offset}&count={PAGE_ROWS}");
    Request { endpoint: LIST, path, weight: 1 }
}

/// The first page.
pub fn request() -> Request {
    page(0)
}

/// The page after this one, where there is one.
pub fn more(request: &Request, body: &[u8]) -> Option<Request> {
    let offset: u64 = request.path.split("&offset=").nth(1)?.split('&').next()?.parse().ok()?;
    let read = read(body).ok()?;
    let next = offset + read.rows;
    (read.rows > 0 && next < read.total).then(|| page(next))
}

/// Whether a path is one of the list.
pub fn is_listing(path: &str) -> bool {
    path.contains(PATH)
}

/// Reads `{"code":0,"msg":"","data":{"rank_list":[{"code":"sh600519","name":"贵州茅台",…}],"total":5562}}`. A row that cannot
/// be read is left out.
///
/// # Errors
/// Where the page as a whole cannot be read, or names an error.
pub fn read(body: &[u8]) -> Result<Page, Malformed> {
    let mut page = Page { instruments: Vec::new(), rows: 0, total: 0 };
    let mut fine = None;
    let mut c = Cursor::new(payload(body)?);
    c.object(|c, key| {
        match key {
            b"code" => fine = Some(c.i64()? == 0),
            b"data" => c.object(|c, key| {
                match key {
                    b"total" => page.total = c.u64()?,
                    b"rank_list" => c.array(|c| {
                        page.rows += 1;
                        page.instruments.extend(row(c.skip()?));
                        Ok(())
                    })?,
                    _ => _ = c.skip()?,
                }
                Ok(())
            })?,
            _ => _ = c.skip()?,
        }
        Ok(())
    })?;
    c.end()?;
    match fine {
        Some(true) => Ok(page),
        Some(false) => Err(c.fault(What::Rule("the answer names an error (code)"))),
        None => Err(c.fault(What::Missing("code"))),
    }
}

fn row(row: &[u8]) -> Option<Instrument> {
    let (mut code, mut name) = (None, String::new());
    let read = Cursor::new(row).object(|c, key| {
        match key {
            b"code" => code = Code::parse(&text(c)?).ok(),
            b"name" => name = text(c)?.into_owned(),
            _ => _ = c.skip()?,
        }
        Ok(())
    });
    read.ok().and(code).map(|code| ashare::instrument(code, name.trim()))
}
