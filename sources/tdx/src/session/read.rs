//! Rounds of questions, and what their answers tell.

use super::TdxSession;
use super::rounds::Kind;
use super::stock::{Stock, overlap};
use crate::codec::bars::{Bar, category};
use crate::codec::corporate::{Changes, Finance};
use crate::codec::frame::AnswerFrame;
use crate::codec::minutes::Minute;
use crate::codec::query::Page;
use crate::codec::quotes::{Head, Quote};
use crate::codec::trades::{Trade, side};
use crate::codec::{Answer, BarsQuery, Code, Query};
use crate::emit;
use model::{Body, Channel, Date, Ts};
use source::{Action, Malformed, What};
use std::sync::Arc;

/// How many codes a question for quotes may name. Some servers answer only the first 60.
const QUOTES_MAX: usize = 80;
/// How many a question for corporate actions may name: 200 are said to be allowed, 75 are safe.
const ACTIONS_MAX: usize = 75;
/// How many bars are asked for: some servers answer fewer than 100 by none.
const BARS: u16 = 100;
/// How many trades a page has at most.
const PAGE: u16 = 1_800;
/// How many are asked for once the day is known.
const NEWEST: u16 = 300;
/// By how many rows pages overlap while the day is read, as new trades move them.
const JOIN: u16 = 200;
/// How often a definition may be widened for one record.
const WIDENED_MAX: usize = 4;

impl TdxSession {
    /// Asks everything of a round.
    pub(super) fn ask_round(&mut self, kind: Kind) {
        let wanted = |stock: &&Stock| kind.channels().iter().any(|channel| stock.wants(*channel));
        let codes: Vec<Code> = self.stocks.iter().filter(wanted).map(|stock| stock.wire).collect();
        let bars = category(&self.options.bar_interval);
        let asks: Vec<Query> = match kind {
            Kind::Quotes if self.manner.single => {
                codes.iter().filter(|code| code.market < 2).map(|code| Query::Quote(*code)).collect()
            }
            Kind::Quotes => codes.chunks(QUOTES_MAX).map(|part| Query::Quotes(part.to_vec())).collect(),
            Kind::Actions => codes.chunks(ACTIONS_MAX).map(|part| Query::Actions(part.to_vec())).collect(),
            Kind::Fundamentals => codes.iter().map(|code| Query::Finance(vec![*code])).collect(),
            Kind::Minutes => codes.iter().map(|code| Query::Minutes(*code)).collect(),
            Kind::Bars => {
                let query = |code: &Code| {
                    let category = bars?;
                    let asked = BarsQuery {
                        code: *code,
                        category,
                        multiplier: 1,
                        count: BARS,
                        ..BarsQuery::default()
                    };
                    Some(Query::Bars(asked))
                };
                codes.iter().filter_map(query).collect()
            }
            Kind::Trades => {
                let whole = |code: &Code| {
                    self.places
                        .get(code)
                        .and_then(|at| self.stocks.get(*at))
                        .is_some_and(|stock| stock.tape.whole)
                };
                let count = |code: &Code| if whole(code) { NEWEST } else { PAGE };
                // Those whose day is not known yet come first, so that a connection which does not last gets on.
                let mut codes = codes;
                codes.sort_by_key(|code| whole(code));
                codes.iter().map(|code| Query::Trades(*code, Page { start: 0, count: count(code) })).collect()
            }
        };
        for query in asks {
            self.line.ask(query, Some(kind));
        }
    }

    /// An answer that was read, perhaps not to its end.
    pub(super) fn data(
        &mut self,
        query: &Query,
        answer: Answer,
        whole: bool,
        now: Ts,
        out: &mut Vec<Action>,
    ) {
        let date = self.date(now);
        if let Some(kind) = Kind::of(query) {
            self.rounds.answer(kind);
        }
        match (query, answer) {
            (Query::Quote(code), Answer::Quote(head, all)) if whole => {
                self.single(*code, &head, all.as_deref(), now, out);
            }
            (Query::Quotes(asked), Answer::Quotes(all)) => {
                for quote in &all {
                    self.quote(quote, now, out);
                }
                // Where a record could not be read, nobody knows which one it was.
                let missing =
                    asked.iter().filter(|code| whole && !all.iter().any(|quote| quote.head.code == **code));
                self.missing(missing.copied().collect(), asked, now, out);
            }
            (Query::Trades(code, page), Answer::Trades(_, rows)) if whole => {
                self.trades(*code, *page, &rows, date, now, out);
            }
            (Query::Bars(asked), Answer::Bars(all)) if whole => self.bars(*asked, &all, now, out),
            (Query::Minutes(code), Answer::Minutes(all)) if whole => self.minutes(*code, all, date, now, out),
            (Query::Actions(asked), Answer::Actions(all)) => self.actions(asked, &all, whole, now, out),
            (_, Answer::Finance(all)) => self.fundamentals(&all, now, out),
            _ => {}
        }
    }

    /// A frame of a recording: quotes say of what they are, nothing else does.
    pub(super) fn recorded(&mut self, bytes: &[u8], command: u16, now: Ts, out: &mut Vec<Action>) {
        let query = Query::Quotes(Vec::new());
        if command != query.command() {
            out.push(Action::Control("an answer whose question is not recorded"));
            return;
        }
        let read = AnswerFrame::read(bytes).map(|frame| Answer::read(&query, &frame.body));
        match read {
            Err(fault) => out.push(Action::Malformed(fault)),
            Ok(read) => {
                out.extend(read.faults.iter().map(|fault| Action::Malformed(*fault)));
                let Answer::Quotes(all) = read.answer else { return };
                for quote in &all {
                    self.provisional(quote.head.code);
                    self.quote(quote, now, out);
                }
            }
        }
    }

    /// An instrument that nobody has defined.
    fn provisional(&mut self, code: Code) {
        let market = model::ashare::Market::from_byte(code.market);
        let known = market.and_then(|market| model::ashare::Code::new(market, code.text()));
        if let Some(known) = known.filter(|_| !self.places.contains_key(&code)) {
            let instrument = Arc::new(model::ashare::instrument(known, ""));
            for channel in Kind::Quotes.channels() {
                self.want(&source::Want { instrument: Arc::clone(&instrument), channel: *channel });
            }
        }
    }

    fn quote(&mut self, quote: &Quote, now: Ts, out: &mut Vec<Action>) {
        let asked = self.wanting;
        let Some(stock) = self.stock(quote.head.code) else {
            out.push(Action::Control("a quote of what was not asked for"));
            return;
        };
        for channel in Kind::Quotes.channels().iter().filter(|_| asked) {
            stock.ack(*channel, now, out);
        }
        let before = stock.quote.replace(*quote);
        if before.as_ref() == Some(quote) {
            return;
        }
        day_stats(stock, quote, now, out);
        if stock.wants(Channel::BookTop) && before.is_none_or(|before| before.levels != quote.levels) {
            let scale = stock.scale;
            let made = fitted(stock, |stock| emit::book_top(quote, scale, &stock.instrument));
            match made {
                Ok(top) => stock.emit(Channel::BookTop, None, now, Body::Snapshot(top), out),
                Err(fault) => out.push(Action::Malformed(fault)),
            }
        }
    }

    /// A quote by `0530`: the whole record, or its prices and quantities alone.
    fn single(&mut self, asked: Code, head: &Head, whole: Option<&Quote>, now: Ts, out: &mut Vec<Action>) {
        if head.code != asked {
            let what = What::Rule("a quote of another code than was asked for");
            out.push(Action::Malformed(Malformed { at: 0, what }));
            return;
        }
        if let Some(quote) = whole {
            return self.quote(quote, now, out);
        }
        let Some(stock) = self.stock(asked) else { return };
        stock.ack(Channel::DayStats, now, out);
        stock.refuse(
            Channel::BookTop,
            "what follows the quantities in this server's 0530 is not known",
            now,
            out,
        );
        let quote = Quote { head: *head, ..Quote::default() };
        if stock.quote.replace(quote) != Some(quote) {
            day_stats(stock, &quote, now, out);
        }
    }

    /// Codes that are missing from an answer. Where only the last ones are, the server cuts long questions: they are asked for
    /// again.
    fn missing(&mut self, missing: Vec<Code>, asked: &[Code], now: Ts, out: &mut Vec<Action>) {
        let cut = !missing.is_empty()
            && missing.len() < asked.len()
            && asked.ends_with(&missing)
            && asked.len() > 60;
        if cut {
            self.line.ask(Query::Quotes(missing), Some(Kind::Quotes));
            return;
        }
        for code in missing {
            if let Some(stock) = self.stock(code) {
                for channel in Kind::Quotes.channels() {
                    stock.unknown(*channel, now, out);
                }
            }
        }
    }

    fn trades(&mut self, code: Code, page: Page, rows: &[Trade], date: Date, now: Ts, out: &mut Vec<Action>) {
        let Some(stock) = self.stock(code).filter(|stock| stock.wants(Channel::Trades)) else { return };
        stock.ack(Channel::Trades, now, out);
        let tape = &mut stock.tape;
        let fresh = if tape.whole && page.count == NEWEST {
            if rows.len() < usize::from(NEWEST) && rows.len() >= tape.rows {
                tape.more(rows.get(tape.rows..).unwrap_or_default())
            } else {
                let known = overlap(&tape.tail, rows);
                if known == 0 && !rows.is_empty() && tape.rows > 0
                    || rows.len() < tape.rows.min(usize::from(NEWEST))
                {
                    // So many came that they do not join, or the day was corrected: it is read again. What was told stays told.
                    tape.whole = false;
                    let again = Query::Trades(code, Page { start: 0, count: PAGE });
                    self.line.ask(again, Some(Kind::Trades));
                    return;
                }
                tape.more(rows.get(known..).unwrap_or_default())
            }
        } else {
            if page.start == 0 {
                tape.loading = Vec::new();
            }
            let joined = overlap(rows, &tape.loading);
            if page.start > 0 && joined == 0 {
                tape.loading = Vec::new();
                return;
            }
            tape.loading = [rows, tape.loading.get(joined..).unwrap_or_default()].concat();
            if rows.len() == usize::from(page.count) && page.start < u16::MAX - PAGE {
                let next = Page { start: page.start + PAGE - JOIN, count: PAGE };
                self.line.ask(Query::Trades(code, next), Some(Kind::Trades));
                return;
            }
            let all = std::mem::take(&mut tape.loading);
            tape.day(&all)
        };
        for (place, row) in fresh {
            if row.volume == 0 && row.side != side::AUCTION {
                continue;
            }
            let scale = stock.scale;
            match fitted(stock, |stock| emit::trade(&row, place, date, scale, &stock.instrument)) {
                Ok((ts, trade)) => stock.emit(Channel::Trades, Some(ts), now, Body::Trade(trade), out),
                Err(fault) => out.push(Action::Malformed(fault)),
            }
        }
    }

    /// Bars that are new or have changed: of the first answer the last two.
    fn bars(&mut self, asked: BarsQuery, all: &[Bar], now: Ts, out: &mut Vec<Action>) {
        let there = self.there(now);
        let Some(stock) = self.stock(asked.code).filter(|stock| stock.wants(Channel::Bars)) else { return };
        if all.is_empty() && stock.quote.is_some_and(|quote| quote.head.flow.volume > 0) {
            stock.unknown(Channel::Bars, now, out);
            return;
        }
        stock.ack(Channel::Bars, now, out);
        let first = stock.bars.first().map(|(bar, _)| bar.stamp);
        let known = first.and_then(|first| all.iter().position(|bar| bar.stamp == first));
        let mut last = Vec::new();
        for (place, wire) in all.iter().enumerate().skip(known.unwrap_or(all.len().saturating_sub(2))) {
            match emit::bar(wire, asked.category, stock.scale, stock.code) {
                Ok((mut bar, end)) => {
                    bar.closed = place + 1 < all.len() || end <= there;
                    last.push((*wire, bar.closed));
                    if !stock.bars.contains(&(*wire, bar.closed)) {
                        stock.emit(Channel::Bars, None, now, Body::Bar(Box::new(bar)), out);
                    }
                }
                Err(fault) => out.push(Action::Malformed(fault)),
            }
        }
        stock.bars = last.split_off(last.len().saturating_sub(2));
    }

    fn minutes(&mut self, code: Code, all: Vec<Minute>, date: Date, now: Ts, out: &mut Vec<Action>) {
        let Some(stock) = self.stock(code).filter(|stock| stock.wants(Channel::MinuteLine)) else { return };
        stock.ack(Channel::MinuteLine, now, out);
        for (place, wire) in all.iter().enumerate() {
            if stock.minutes.get(place) == Some(wire) {
                continue;
            }
            let Some(minute) = emit::minute_of(wire, place, date, stock.scale) else {
                let what = What::Rule("more minutes than a trading day has");
                out.push(Action::Malformed(Malformed { at: place, what }));
                break;
            };
            stock.emit(Channel::MinuteLine, None, now, Body::Minute(Box::new(minute)), out);
        }
        stock.minutes = all;
    }

    /// A server may answer the first codes alone: the rest is asked for again.
    fn actions(&mut self, asked: &[Code], all: &[Changes], whole: bool, now: Ts, out: &mut Vec<Action>) {
        for changes in all {
            let Some(stock) = self.stock(changes.code) else { continue };
            stock.ack(Channel::CorporateActions, now, out);
            if !stock.wants(Channel::CorporateActions) {
                continue;
            }
            for change in &changes.all {
                match emit::action(change) {
                    Ok(action) => {
                        let body = Body::CorporateAction(Box::new(action));
                        stock.emit(Channel::CorporateActions, None, now, body, out);
                    }
                    Err(fault) => out.push(Action::Malformed(fault)),
                }
            }
        }
        let rest = asked.get(all.len()..).unwrap_or_default();
        if whole
            && !all.is_empty()
            && !rest.is_empty()
            && asked.iter().zip(all).all(|(code, one)| *code == one.code)
        {
            self.line.ask(Query::Actions(rest.to_vec()), Some(Kind::Actions));
        }
    }

    fn fundamentals(&mut self, all: &[Finance], now: Ts, out: &mut Vec<Action>) {
        for finance in all {
            let Some(stock) = self.stock(finance.code).filter(|stock| stock.wants(Channel::Fundamentals))
            else {
                continue;
            };
            stock.ack(Channel::Fundamentals, now, out);
            match emit::fundamentals(finance) {
                Ok(facts) => {
                    let body = Body::Fundamentals(Box::new(facts));
                    stock.emit(Channel::Fundamentals, None, now, body, out);
                }
                Err(fault) => out.push(Action::Malformed(fault)),
            }
        }
    }
}

fn day_stats(stock: &Stock, quote: &Quote, now: Ts, out: &mut Vec<Action>) {
    if !stock.wants(Channel::DayStats) {
        return;
    }
    match emit::day_stats(quote, stock.scale) {
        Ok(stats) => stock.emit(Channel::DayStats, None, now, Body::DayStats(Box::new(stats)), out),
        Err(fault) => out.push(Action::Malformed(fault)),
    }
}

/// Makes something with the definition of an instrument, and again with a wider one where a number does not fit.
fn fitted<T>(stock: &mut Stock, made: impl Fn(&Stock) -> Result<T, Malformed>) -> Result<T, Malformed> {
    for _ in 0..WIDENED_MAX {
        let fault = match made(stock) {
            Ok(made) => return Ok(made),
            Err(fault) => fault,
        };
        stock.instrument = source::refit(&stock.instrument, &fault).ok_or(fault)?;
    }
    made(stock)
}
