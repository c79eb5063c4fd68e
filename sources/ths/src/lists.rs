//! Hot lists, and the members of a concept.

use crate::items::{Result, fault};
use crate::names::{self, List, group, of_market};
use model::{Decimal, Instrument, RankRow, Ranking, Sector};
use source::web::{payload, text};
use source::{Cursor, Malformed, What};

/// A row of a list.
#[derive(Debug, Default)]
struct Row {
    market: Option<i64>,
    code: String,
    title: String,
    rate: Option<Decimal>,
    rise: Option<i32>,
    order: Option<i64>,
}

/// Reads `{"status_code":0,"data":{"stock_list":[{…},…]},"status_msg":"success"}`; of concepts and industries
/// `plate_list`. A row that cannot be read harms no other.
fn rows(body: &[u8]) -> Result<Vec<Result<Row>>> {
    let (mut status, mut all) = (None, None);
    let mut c = Cursor::new(payload(body)?);
    c.object(|c, key| {
        match key {
            b"status_code" => status = Some(c.i64()?),
            b"data" if !c.null() => c.object(|c, key| {
                match key {
                    b"stock_list" | b"plate_list" => {
                        let mut rows = Vec::new();
                        c.array(|c| {
                            rows.push(row(c.skip()?));
                            Ok(())
                        })?;
                        all = Some(rows);
                    }
                    _ => _ = c.skip()?,
                }
                Ok(())
            })?,
            b"data" => {}
            _ => _ = c.skip()?,
        }
        Ok(())
    })?;
    c.end()?;
    match (status, all) {
        (Some(0), Some(all)) => Ok(all),
        (Some(0), None) => Err(c.fault(What::Missing("a list"))),
        _ => Err(c.fault(What::Rule("the answer names an error (status_code)"))),
    }
}

/// `{"market":33,"code":"000592","rate":"99767.0","rise_and_fall":10.0251,"name":"平潭发展","hot_rank_chg":0,"order":1,…}`:
/// most may be missing or null.
fn row(row: &[u8]) -> Result<Row> {
    let mut made = Row::default();
    let mut c = Cursor::new(row);
    c.object(|c, key| {
        match key {
            b"market" => made.market = c.decimal_opt()?.and_then(|n| n.mantissa_at(0)),
            b"code" => made.code = text(c)?.into_owned(),
            b"name" => made.title = text(c)?.into_owned(),
            b"rate" => made.rate = c.decimal_opt()?,
            b"hot_rank_chg" => {
                made.rise = c.decimal_opt()?.and_then(|n| i32::try_from(n.mantissa_at(0)?).ok());
            }
            b"order" => made.order = c.decimal_opt()?.and_then(|n| n.mantissa_at(0)),
            _ => _ = c.skip()?,
        }
        Ok(())
    })?;
    if made.code.is_empty() { Err(c.fault(What::Missing("code"))) } else { Ok(made) }
}

fn instrument(list: &List, row: &Row) -> Option<Instrument> {
    if list.stocks {
        let code = of_market(row.market, &row.code)?;
        return Some(model::ashare::instrument(code, &row.title));
    }
    Some(group(&row.code, &row.title))
}

/// The instruments that a list names, and the one that stands for the list.
///
/// # Errors
/// Where the list cannot be read.
pub fn define(list: &List, body: &[u8]) -> Result<Vec<Instrument>> {
    let named = rows(body)?.into_iter().flatten().filter_map(|row| instrument(list, &row));
    Ok(named.chain([list.define()]).collect())
}

/// The list by rank; `bad` is told of rows that cannot be read, or whose code no exchange has.
///
/// # Errors
/// Where the list cannot be read.
pub fn ranking(list: &List, body: &[u8], mut bad: impl FnMut(Malformed)) -> Result<Ranking> {
    let mut ranked = Vec::new();
    for row in rows(body)? {
        match row.and_then(|row| Ok((place(list, &row)?, row.order))) {
            Ok((place, order)) => ranked.push((order.unwrap_or(i64::MAX), place)),
            Err(fault) => bad(fault),
        }
    }
    ranked.sort_by_key(|(order, _)| *order);
    let rows = ranked.into_iter().map(|(_, row)| row).collect();
    Ok(Ranking { list: list.symbol.into(), rows })
}

fn place(list: &List, row: &Row) -> Result<RankRow> {
    let named = instrument(list, row).ok_or(fault(What::Rule("a code that no exchange has")))?;
    Ok(RankRow { name: named.name, title: named.title, value: row.rate, rise: row.rise })
}

/// The members of a concept or an industry: `{"block":{"name":"…","subcodeCount":3},"items":[{"5":"600519",…},…]}`.
///
/// # Errors
/// Where they cannot be read, or are fewer than the block says.
pub fn members(of: &str, body: &[u8], mut bad: impl FnMut(Malformed)) -> Result<Sector> {
    let (mut count, mut title, mut members, mut rows) = (None, String::new(), Vec::new(), 0_u64);
    let mut c = Cursor::new(payload(body)?);
    c.object(|c, key| {
        match key {
            b"block" => c.object(|c, key| {
                match key {
                    b"subcodeCount" => count = Some(c.u64()?),
                    b"name" => title = text(c)?.into_owned(),
                    _ => _ = c.skip()?,
                }
                Ok(())
            })?,
            b"items" => c.array(|c| {
                rows += 1;
                match member(c.skip()?) {
                    Ok(name) => members.push(name),
                    Err(fault) => bad(fault),
                }
                Ok(())
            })?,
            _ => _ = c.skip()?,
        }
        Ok(())
    })?;
    c.end()?;
    if count.is_some_and(|count| rows < count) {
        return Err(c.fault(What::Rule("fewer members than the block has")));
    }
    Ok(Sector { of: of.into(), title: title.into(), members })
}

fn member(row: &[u8]) -> Result<Box<str>> {
    let mut code = String::new();
    Cursor::new(row).object(|c, key| {
        match key {
            b"5" => code = text(c)?.into_owned(),
            _ => _ = c.skip()?,
        }
        Ok(())
    })?;
    let code = names::stock(&code).ok_or(fault(What::Rule("a code that no exchange has")))?;
    Ok(code.to_string().into())
}
