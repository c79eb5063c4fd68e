//! What wants make us ask, and what the answers tell.

use crate::items::{Result, fault, quote};
use crate::lines::{self, INTERVALS};
use crate::names::{self, group, group_id, spelled};
use crate::{NAME, lists};
use model::ashare;
use model::{Body, Channel, SourceName};
use source::poll::{Asks, Question, Told};
use source::{Malformed, Options, Want, What};

/// How often quotes are asked for.
const QUOTES_MS: u64 = 3_000;
/// How often bars and minutes are asked for.
const LINES_MS: u64 = 10_000;
/// How often the hot lists are asked for; they change by the hour and the minute.
const LISTS_MS: u64 = 60_000;
/// How often the members of a concept are asked for.
const MEMBERS_MS: u64 = 600_000;
/// The most members that can be asked for.
const MEMBERS_MAX: u32 = 3_000;
/// How many bars of an answer are told: the one under way and the one before.
const BARS_TOLD: usize = 2;

/// The sessions' questions and answers.
#[derive(Clone, Copy, Debug)]
pub struct ThsAsks;

impl Asks for ThsAsks {
    fn source(&self) -> SourceName {
        NAME
    }

    fn questions(&mut self, wants: &[Want], options: &Options) -> Vec<Question> {
        let of = |want: &Want| {
            let instrument = &want.instrument;
            let stock = || spelled(instrument);
            match want.channel {
                Channel::Rankings => Some((names::list(instrument)?.path(), LISTS_MS)),
                Channel::Sectors => {
                    Some((format!("/v2/blockrank/{}/8/d{MEMBERS_MAX}.js", instrument.symbol), MEMBERS_MS))
                }
                Channel::DayStats => Some((format!("/v6/realhead/{}/last.js", stock()?), QUOTES_MS)),
                Channel::BookTop => Some((format!("/v2/fiverange/{}/last.js", stock()?), QUOTES_MS)),
                Channel::Bars => {
                    let interval = INTERVALS.iter().find(|i| i.name == options.bar_interval)?;
                    Some((lines::path(&stock()?, interval, "last"), LINES_MS))
                }
                Channel::MinuteLine => Some((format!("/v6/time/{}/last.js", stock()?), LINES_MS)),
                _ => None,
            }
        };
        let ask = |(path, every_ms)| Question { path, weight: 1, every_ms };
        wants.iter().filter_map(of).map(ask).collect()
    }

    fn read(&mut self, path: &str, body: &[u8], told: &mut Told<'_>) -> Result<Option<String>> {
        if body.windows(FORBIDDEN.len()).any(|part| part == FORBIDDEN) {
            return Err(fault(source::web::PAGE));
        }
        let has = |part: &str| path.contains(part);
        if let Some(list) = names::list_of(path) {
            let ranking = lists::ranking(list, body, |fault| told.bad(fault))?;
            if let Some(instrument) = told.lane(group_id(list.symbol), Channel::Rankings, || list.define()) {
                told.tell(&instrument, Channel::Rankings, None, Body::Ranking(Box::new(ranking)));
            }
        } else if has("/realhead/") || has("/fiverange/") {
            let (code, quote) = quote(path, body)?;
            let title = quote.title.clone();
            told.quote(names::id(code), quote, || ashare::instrument(code, &title));
        } else if has("/line/") {
            bars(path, body, told)?;
        } else if has("/time/") {
            minutes(path, body, told)?;
        } else if let Some((_, rest)) = path.split_once("/v2/blockrank/") {
            let code = rest.split('/').next().unwrap_or_default();
            let call = body.split(|byte| *byte == b'(').next().unwrap_or_default();
            if !call.windows(code.len().max(1)).any(|part| part == code.as_bytes()) {
                return Err(fault(What::Rule("the answer is about another concept")));
            }
            let sector = lists::members("concept", body, |fault| told.bad(fault))?;
            let title = sector.title.clone();
            if let Some(instrument) = told.lane(group_id(code), Channel::Sectors, || group(code, &title)) {
                told.tell(&instrument, Channel::Sectors, None, Body::Sector(Box::new(sector)));
            }
        } else {
            return Err(Malformed { at: 0, what: What::Rule("an answer to no question that we know") });
        }
        Ok(None)
    }
}

/// What stands on the page that shuts an address out.
const FORBIDDEN: &[u8] = b"Nginx forbidden";

fn bars(path: &str, body: &[u8], told: &mut Told<'_>) -> Result<()> {
    let interval = lines::interval(path)?;
    let lines = lines::lines(path, body)?;
    let id = names::id(lines.code);
    let Some(instrument) = told.lane(id, Channel::Bars, || ashare::instrument(lines.code, "")) else {
        return Ok(());
    };
    let skipped = lines.rows.len().saturating_sub(BARS_TOLD);
    for (at, row) in lines.rows.iter().enumerate().skip(skipped) {
        match lines::bar(row, interval, at + 1 == lines.rows.len(), told.now) {
            Ok(bar) => told.series(&instrument, Channel::Bars, bar.start, Body::Bar(Box::new(bar))),
            Err(fault) => told.bad(fault),
        }
    }
    Ok(())
}

fn minutes(path: &str, body: &[u8], told: &mut Told<'_>) -> Result<()> {
    let lines = lines::lines(path, body)?;
    let id = names::id(lines.code);
    let Some(instrument) = told.lane(id, Channel::MinuteLine, || ashare::instrument(lines.code, "")) else {
        return Ok(());
    };
    for row in &lines.rows {
        match lines::minute(&lines.date, row) {
            Ok(minute) => {
                let start = minute.start;
                told.series(&instrument, Channel::MinuteLine, start, Body::Minute(Box::new(minute)));
            }
            Err(fault) => told.bad(fault),
        }
    }
    Ok(())
}
