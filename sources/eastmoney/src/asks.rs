//! What wants make us ask, and what the answers tell.

use crate::fields::{self, Fields, Result, envelope};
use crate::lines::{self, INTERVALS, Interval};
use crate::names::{self, Key, secid};
use crate::quotes::{self, LIST_FIELDS, STOCK_FIELDS};
use crate::{NAME, PAGE_ROWS};
use model::{Body, Channel, InstrumentId, Sector, SourceName};
use source::poll::{Asks, Question, Told};
use source::{Malformed, Options, Want, What, web};
use std::collections::{BTreeMap, BTreeSet};

/// How many instruments are asked for at once.
pub const CODES_MAX: usize = 50;
/// How many rows an answer that goes on may have.
const ROWS_MAX: usize = 1_000;
/// How often quotes and flows are asked for; the exchanges make a new picture every 3 s.
const QUOTES_MS: u64 = 3_000;
/// How often bars and minutes are asked for.
const LINES_MS: u64 = 10_000;
/// How often the members of a board are asked for.
const MEMBERS_MS: u64 = 600_000;

/// The sessions' questions and answers.
#[derive(Debug, Default)]
pub struct EastmoneyAsks {
    /// The answer that goes on, where the session has one.
    stream: Option<String>,
    /// What is asked for one by one: these answers tell more of the day than lists do.
    single: BTreeSet<InstrumentId>,
    /// The rows of such an answer as they stand, by their key; a single stock is row 0.
    rows: BTreeMap<usize, Fields>,
    /// The members of boards as far as their pages were read.
    members: BTreeMap<String, Vec<Box<str>>>,
}

/// The answers that go on which a want can be had by: one for a single stock, or one for some dozen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Numbers of the day, levels and state of one.
    Single,
    /// Numbers of the day and flows of many.
    Many,
}

/// The path of an answer that goes on.
pub fn stream(kind: Stream, secids: &[String]) -> String {
    let secids = secids.join(",");
    match kind {
        Stream::Single => {
            format!("/api/qt/stock/sse?fltt=2&invt=2&mpi=1000&secid={secids}&fields={STOCK_FIELDS}")
        }
        Stream::Many => {
            let rows = CODES_MAX;
            format!(
                "/api/qt/ulist/sse?fltt=2&invt=3&mpi=1000&pi=0&pz={rows}&secids={secids}&fields={LIST_FIELDS}"
            )
        }
    }
}

/// The value of a parameter of a path.
pub fn parameter<'a>(path: &'a str, name: &str) -> &'a str {
    let query = path.split_once('?').map_or("", |(_, query)| query);
    let found = query.split('&').find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name));
    found.map_or("", |(_, value)| value)
}

/// The path of a list by a filter, from page 1, ordered by code: any other order moves between pages.
pub fn list(filter: &str, fields: &str) -> String {
    format!(
        "/api/qt/clist/get?pn=1&pz={PAGE_ROWS}&po=0&np=1&fltt=2&invt=2&fid=f12&fs={filter}&fields={fields}"
    )
}

/// The path of the next page of a list, where there is one.
pub fn next_page(path: &str, page: &fields::Page) -> Option<String> {
    let number: u64 = parameter(path, "pn").parse().ok()?;
    let rows: u64 = parameter(path, "pz").parse().ok().filter(|rows| *rows > 0)?;
    // Whatever size is asked for, at most so many rows come.
    let more = !page.rows.is_empty() && number * rows.min(PAGE_ROWS) < page.total;
    more.then(|| path.replacen(&format!("pn={number}&"), &format!("pn={}&", number + 1), 1))
}

impl Asks for EastmoneyAsks {
    fn source(&self) -> SourceName {
        NAME
    }

    fn questions(&mut self, wants: &[Want], options: &Options) -> Vec<Question> {
        if self.stream.is_some() {
            return Vec::new();
        }
        let (mut all, mut listed, mut single) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        let ask = |path, every_ms| Question { path, weight: 1, every_ms };
        for want in wants {
            let Some(secid) = secid(&want.instrument) else { continue };
            match want.channel {
                Channel::BookTop | Channel::Status => _ = single.insert(want.instrument.id, secid),
                Channel::DayStats | Channel::CapitalFlow => {
                    listed.entry(want.instrument.id).or_insert((secid, false)).1 |=
                        want.channel == Channel::CapitalFlow;
                }
                Channel::Sectors => {
                    let filter = format!("b:{}+f:!50", want.instrument.symbol);
                    all.push(ask(list(&filter, "f12,f13,f14"), MEMBERS_MS));
                }
                Channel::Bars => {
                    let interval = INTERVALS.iter().find(|i| i.name == options.bar_interval);
                    all.extend(interval.map(|i| ask(bars(&secid, i, "lmt=2&end=20500101"), LINES_MS)));
                }
                Channel::MinuteLine => all.push(ask(minutes(&secid), LINES_MS)),
                _ => {}
            }
        }
        listed.retain(|id, (_, flow)| *flow || !single.contains_key(id));
        let listed: Vec<String> = listed.into_values().map(|(secid, _)| secid).collect();
        for secids in listed.chunks(CODES_MAX) {
            let secids = secids.join(",");
            let path =
                format!("/api/qt/ulist.np/get?fltt=2&invt=2&np=1&secids={secids}&fields={LIST_FIELDS}");
            all.push(ask(path, QUOTES_MS));
        }
        self.single = single.keys().copied().collect();
        for secid in single.into_values() {
            let path = format!("/api/qt/stock/get?fltt=2&invt=2&secid={secid}&fields={STOCK_FIELDS}");
            all.push(ask(path, QUOTES_MS));
        }
        all
    }

    fn read(&mut self, path: &str, body: &[u8], told: &mut Told<'_>) -> Result<Option<String>> {
        let raw = parameter(path, "fltt") == "1";
        match path.split_once('?').map_or(path, |(plain, _)| plain).rsplit_once("/api/qt/") {
            Some((_, "ulist.np/get")) => self.list(body, raw, told).map(|_| None),
            Some((_, "clist/get")) => {
                let page = match parameter(path, "fs").strip_prefix("b:") {
                    Some(board) => self.members(board, path, body, told)?,
                    None => self.list(body, raw, told)?,
                };
                Ok(page.and_then(|page| next_page(path, &page)))
            }
            Some((_, "stock/get")) => single(path, body, raw, told).map(|()| None),
            Some((_, "stock/kline/get")) => klines(path, body, told).map(|()| None),
            Some((_, "stock/trends2/get")) => trends(path, body, told).map(|()| None),
            _ => Err(Malformed { at: 0, what: What::Rule("an answer to no question that we know") }),
        }
    }

    /// `data: {…}`, then an empty line. The first is whole; later ones hold what has changed, or nothing.
    fn frame(&mut self, bytes: &[u8], first: bool, told: &mut Told<'_>) -> Result<()> {
        if first {
            self.rows.clear();
        }
        let text = bytes.trim_ascii();
        let Some(json) = text.strip_prefix(b"data:") else {
            // A comment keeps the connection open.
            let comment = text.is_empty() || text.starts_with(b":");
            return if comment { Ok(()) } else { Err(Malformed { at: 0, what: What::Expected("`data:`") }) };
        };
        let envelope = envelope(json)?;
        let Some(data) = envelope.data else { return Ok(()) };
        let raw = self.stream.as_deref().is_none_or(|path| parameter(path, "fltt") == "1");
        if envelope.full {
            self.rows.clear();
        }
        let many = data.windows(7).any(|part| part == b"\"diff\":");
        let news = if many { fields::page(data, raw)?.rows } else { vec![(0, Fields::read(data, raw))] };
        for (at, row) in news {
            if let Err(fault) = row.and_then(|row| self.changed(at, row, (many, envelope.full), told)) {
                told.bad(fault);
            }
        }
        Ok(())
    }
}

/// The interval of a path of bars.
///
/// # Errors
/// Where there is no such.
pub fn interval(path: &str) -> Result<&'static Interval> {
    let klt = parameter(path, "klt");
    let interval = INTERVALS.iter().find(|i| i.klt.to_string() == klt);
    interval.ok_or(Malformed { at: 0, what: What::Rule("an interval that we do not know") })
}

/// The path of bars; `from` says which: `lmt=2&end=20500101`.
pub fn bars(secid: &str, interval: &Interval, from: &str) -> String {
    let klt = interval.klt;
    format!(
        "/api/qt/stock/kline/get?secid={secid}&klt={klt}&fqt=0&{from}&fields1=f1,f2,f3,f4,f5,f6\
         &fields2=f51,f52,f53,f54,f55,f56,f57"
    )
}

fn minutes(secid: &str) -> String {
    format!(
        "/api/qt/stock/trends2/get?secid={secid}&ndays=1&iscr=0&iscca=0&fields1=f1,f2,f3,f4,f5,f6\
         &fields2=f51,f52,f53,f54,f55,f56,f57,f58"
    )
}

impl EastmoneyAsks {
    /// For a session that hears this answer go on, or for one that polls.
    pub fn new(stream: Option<String>) -> Self {
        Self { stream, ..Self::default() }
    }

    /// Tells the quotes and flows of a list's rows.
    fn list(&self, body: &[u8], raw: bool, told: &mut Told<'_>) -> Result<Option<fields::Page>> {
        let Some(data) = envelope(body)?.data else { return Ok(None) };
        let page = fields::page(data, raw)?;
        for (_, row) in &page.rows {
            if let Err(fault) =
                row.as_ref().map_err(|fault| *fault).and_then(|row| quoted(row, &self.single, told))
            {
                told.bad(fault);
            }
        }
        Ok(Some(page))
    }

    /// Takes over what has changed in a row, and tells the row as it is now.
    fn changed(
        &mut self,
        at: usize,
        news: Fields,
        (many, full): (bool, bool),
        told: &mut Told<'_>,
    ) -> Result<()> {
        if self.rows.len() >= ROWS_MAX && !self.rows.contains_key(&at) {
            return Err(Malformed { at: 0, what: What::Rule("more rows than were asked for") });
        }
        if !full && !self.rows.contains_key(&at) {
            return Err(Malformed { at: 0, what: What::Rule("a change of a row that was never told whole") });
        }
        let row = self.rows.entry(at).or_default();
        row.merge(news);
        if many {
            return quoted(row, &self.single, told);
        }
        let code = row.text(57);
        let key = match &self.stream {
            Some(path) => same(path, code)?,
            None => names::key(row.number(107)?, code)?,
        };
        let quote = quotes::stock(row, key.lot())?;
        let title = quote.title.clone();
        told.quote(key.id(), quote, || key.define(&title));
        Ok(())
    }

    /// Takes a page of a board's members; the last one makes them whole.
    fn members(
        &mut self,
        board: &str,
        path: &str,
        body: &[u8],
        told: &mut Told<'_>,
    ) -> Result<Option<fields::Page>> {
        let board = board.split(['+', ' ', '%']).next().unwrap_or_default();
        if parameter(path, "pn") == "1" {
            self.members.remove(board);
        }
        let Some(data) = envelope(body)?.data else { return Ok(None) };
        let page = fields::page(data, false)?;
        let members = self.members.entry(board.to_owned()).or_default();
        for (_, row) in &page.rows {
            match row.as_ref().map_err(|fault| *fault).and_then(names::of_row) {
                Ok(key) => members.push(key.define("").name),
                Err(fault) => told.bad(fault),
            }
        }
        if next_page(path, &page).is_none() {
            let members = self.members.remove(board).unwrap_or_default();
            let key = Key::Board(board);
            if let Some(instrument) = told.lane(key.id(), Channel::Sectors, || key.define("")) {
                let sector = Sector { of: "board".into(), title: instrument.title.clone(), members };
                told.tell(&instrument, Channel::Sectors, None, Body::Sector(Box::new(sector)));
            }
        }
        Ok(Some(page))
    }
}

/// Tells the quote and the flow of a row, the flow alone where the quote comes by a single answer.
fn quoted(row: &Fields, single: &BTreeSet<InstrumentId>, told: &mut Told<'_>) -> Result<()> {
    let key = names::of_row(row)?;
    let (quote, flow) = (quotes::listed(row, key.lot())?, quotes::flow(row)?);
    let (id, ts, title) = (key.id(), quote.ts, quote.title.clone());
    if !single.contains(&id) {
        told.quote(id, quote, || key.define(&title));
    }
    if let Some(flow) = flow
        && let Some(instrument) = told.lane(id, Channel::CapitalFlow, || key.define(&title))
    {
        told.tell(&instrument, Channel::CapitalFlow, ts, Body::CapitalFlow(Box::new(flow)));
    }
    Ok(())
}

/// That an answer is about what was asked: hosts have answered with another stock's data.
///
/// # Errors
/// Where it is not.
pub fn same<'p>(path: &'p str, code: &str) -> Result<Key<'p>> {
    let fault = |what| Malformed { at: 0, what };
    match parameter(path, "secid").split_once('.') {
        Some((section, asked)) if asked == code => names::key(web::number(section.as_bytes())?, asked),
        Some(_) => Err(fault(What::Rule("the answer is about another stock"))),
        None => Err(fault(What::Missing("secid in the path"))),
    }
}

fn single(path: &str, body: &[u8], raw: bool, told: &mut Told<'_>) -> Result<()> {
    let Some(data) = envelope(body)?.data else { return Ok(()) };
    let data = Fields::read(data, raw)?;
    let key = same(path, data.text(57))?;
    let quote = quotes::stock(&data, key.lot())?;
    let title = quote.title.clone();
    told.quote(key.id(), quote, || key.define(&title));
    Ok(())
}

fn klines(path: &str, body: &[u8], told: &mut Told<'_>) -> Result<()> {
    let interval = interval(path)?;
    let Some(lines) = lines::lines(body)? else { return Ok(()) };
    let key = same(path, &lines.code)?;
    let Some(instrument) = told.lane(key.id(), Channel::Bars, || key.define("")) else { return Ok(()) };
    for (at, row) in lines.rows.iter().enumerate() {
        match lines::bar(row, interval, at + 1 == lines.rows.len(), told.now) {
            Ok(bar) => {
                told.series(&instrument, Channel::Bars, bar.start, Body::Bar(Box::new(bar)));
            }
            Err(fault) => told.bad(fault),
        }
    }
    Ok(())
}

fn trends(path: &str, body: &[u8], told: &mut Told<'_>) -> Result<()> {
    let Some(lines) = lines::lines(body)? else { return Ok(()) };
    let key = same(path, &lines.code)?;
    let Some(instrument) = told.lane(key.id(), Channel::MinuteLine, || key.define("")) else { return Ok(()) };
    for row in &lines.rows {
        match lines::minute(row) {
            Ok(minute) => {
                let start = minute.start;
                told.series(&instrument, Channel::MinuteLine, start, Body::Minute(Box::new(minute)));
            }
            Err(fault) => told.bad(fault),
        }
    }
    Ok(())
}
