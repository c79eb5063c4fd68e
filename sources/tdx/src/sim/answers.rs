//! What the market says to each command: who it is, what it lists, and prices of now.

use super::{company, series};
use crate::codec::list::Listed;
use crate::codec::minutes::MinutesHead;
use crate::codec::quotes::{Flow, Head, Level, Prices, Quote, Refreshed, Top};
use crate::codec::session::Hello;
use crate::codec::text::Text;
use crate::codec::{Answer, Code, Query};
use model::Decimal;
use model::ashare::local;
use source::ashare::{Market, View};

/// Minutes since midnight at which sessions begin and end, as servers tell them.
const SESSIONS: [u16; 8] = [570, 690, 780, 900, 900, 900, 900, 900];
/// The most lines that pages of the two lists have.
const LIST_OLD: usize = 1_000;
const LIST: usize = 1_600;
/// The most codes of an answer.
const QUOTES: usize = 80;
const REFRESHED: usize = 100;

/// A number as the wire's binary32.
pub(super) fn f32_of(mantissa: i64, digits: u8) -> f32 {
    Decimal::new(i128::from(mantissa), digits).to_string().parse().unwrap_or_default()
}

/// The answer to a query; `None` where a server says nothing.
pub fn answer(market: &mut Market, asked: &Query, of_2018: bool) -> Option<Answer> {
    Some(match asked {
        Query::Hello(_) => Answer::Hello(Box::new(hello(market))),
        Query::Login(_) => Answer::Login(vec![0; 178]),
        Query::Heartbeat => Answer::Heartbeat(market.date().number()),
        Query::Count(of, _) => {
            Answer::Count(u16::try_from(lines::<16>(market, *of).len()).unwrap_or(u16::MAX))
        }
        Query::ListOld(of, start) if *of < 2 => {
            Answer::ListOld(page(lines(market, *of), usize::from(*start), LIST_OLD))
        }
        Query::ListOld(..) => return None,
        Query::List(of, start, count) => {
            let (start, count) = (usize::try_from(*start).ok()?, usize::try_from(*count).ok()?);
            Answer::List(page(lines(market, *of), start, count.min(LIST)))
        }
        Query::Quotes(codes) => {
            let known = codes.iter().take(QUOTES).filter_map(|code| quote(market, *code, of_2018));
            Answer::Quotes(known.collect())
        }
        Query::Quote(code) => {
            let one = quote(market, *code, of_2018)?;
            Answer::Quote(Box::new(one.head), Some(Box::new(one)))
        }
        Query::Tops(codes) => {
            let known = codes.iter().take(QUOTES).filter_map(|code| quote(market, *code, false));
            let top = |one: Quote| {
                let [level, ..] = one.levels;
                Top { head: one.head, level, active: one.active, ..Top::default() }
            };
            Answer::Tops(known.map(top).collect())
        }
        Query::Refresh(codes) => {
            let known = codes.iter().take(REFRESHED).filter_map(|(code, _)| refreshed(market, *code));
            Answer::Refreshed(known.collect())
        }
        Query::MinutesOld(code) => {
            let one = quote(market, *code, false)?;
            let ([first, second, third, fourth, _], last) = (one.levels, one.head.prices.last);
            let fourth = [fourth.bid - last, fourth.ask - last];
            let head = MinutesHead { head: one.head, levels: [first, second, third], fourth };
            Answer::MinutesOld(Some(Box::new(head)), series::line(market, *code, market.date()))
        }
        _ => return series::answer(market, asked).or_else(|| company::answer(market, asked)),
    })
}

pub(super) fn page<T>(all: Vec<T>, start: usize, count: usize) -> Vec<T> {
    all.into_iter().skip(start).take(count).collect()
}

fn hello(market: &Market) -> Hello {
    let (date, ms) = local(market.now());
    let part = |value: i64| u8::try_from(value).unwrap_or_default();
    let clock = (
        u16::try_from(date.year()).unwrap_or_default(),
        date.month(),
        date.day(),
        part(ms / 3_600_000),
        part(ms / 60_000 % 60),
        part(ms / 1_000 % 60),
    );
    let day = market.date().number();
    Hello {
        clock,
        sessions: [SESSIONS; 2],
        trading_day: day,
        trading_day_again: day,
        name: Text::of("清溪模拟主站"),
        category: Text::of("#通达信"),
        ..Hello::default()
    }
}

/// The list of a market. That of Shanghai calls its index 999999.
fn lines<const NAME: usize>(market: &mut Market, of: u8) -> Vec<Listed<NAME>> {
    let places = 0..market.listed().len();
    let line = |at: usize| {
        let one = market.listed().get(at).filter(|one| one.code.market.byte() == of)?.clone();
        let digits = if (of, one.code.digits()) == (1, "000001") { "999999" } else { one.code.digits() };
        let scale = one.instrument.px_scale;
        Some(Listed {
            code: Text::of(digits),
            lot: 100,
            name: Text::of(&market.title(at).unwrap_or_default()),
            volume_base: 0.0,
            decimals: scale,
            prev_close: f32_of(market.view(at)?.prev_close.0, scale),
            odd: [0; 2],
        })
    };
    places.filter_map(line).collect()
}

/// The place of a code in the market's list.
pub(super) fn place(market: &Market, code: Code) -> Option<usize> {
    let of = model::ashare::Market::from_byte(code.market)?;
    let digits = if (code.market, code.text()) == (1, "999999") { "000001" } else { code.text() };
    market.find(model::ashare::Code::new(of, digits)?)
}

/// How many shares a lot has, and how many digits prices.
pub(super) fn scale(market: &Market, at: usize) -> (i64, u8) {
    let one = market.listed().get(at);
    one.map_or((100, 2), |one| (i64::from(one.section.board.lot()), one.instrument.px_scale))
}

/// A number of the clock in a form that readers do not agree about: by turns thousandths of an hour and HHMMSS, and 0 or 100 of
/// what is suspended.
fn odd_time(view: &View, code: Code) -> i64 {
    let (_, ms) = local(view.ts);
    let last = i64::from(code.digits[5]);
    if view.halted {
        return last % 2 * 100;
    }
    let (hours, seconds) = (ms / 3_600_000, ms / 1_000 % 60);
    if last % 2 == 0 { ms * 10 / 36 } else { (hours * 10_000 + ms / 60_000 % 60 * 100 + seconds) * 100 }
}

fn quote(market: &mut Market, code: Code, of_2018: bool) -> Option<Quote> {
    let at = place(market, code)?;
    let (view, (lot, digits)) = (market.view(at)?, scale(market, at));
    let last = view.last.map_or(0, |px| px.0);
    let of_day = |px: Option<model::Px>| px.map_or(0, |px| px.0);
    let prices = Prices {
        last,
        prev_close: view.prev_close.0,
        open: of_day(view.open),
        high: of_day(view.high),
        low: of_day(view.low),
    };
    let flow = Flow {
        volume: view.volume / lot,
        last_volume: view.last_print.map_or(0, |print| print.qty / lot),
        amount: f32_of(view.amount, digits),
        inside: view.sold / lot,
        outside: view.bought / lot,
        odd: 0,
        // That of the opening is not told: it would cost a walk through the day.
        open_amount: 0,
    };
    let mut levels = [Level::default(); 5];
    for (place, level) in levels.iter_mut().enumerate() {
        let (bid, ask) = (view.bids.get(place), view.asks.get(place));
        *level = Level {
            bid: bid.map_or(0, |level| level.px.0),
            ask: ask.map_or(0, |level| level.px.0),
            bid_volume: bid.map_or(0, |level| level.qty.0 / lot),
            ask_volume: ask.map_or(0, |level| level.qty.0 / lot),
        };
    }
    let active = u16::try_from(view.trades % 60_000).unwrap_or_default();
    let noise = if view.halted || code.digits[5] == b'7' { 0x20 } else { 0 };
    let head = Head { code, active, prices, time: odd_time(&view, code), flow };
    let odd = if of_2018 { [1_234, -5, 0, 70_000] } else { [0; 4] };
    Some(Quote { head, levels, status: noise, odd, speed: 0, active })
}

fn refreshed(market: &mut Market, code: Code) -> Option<Refreshed> {
    let one = quote(market, code, false)?;
    let (_, ms) = local(market.now());
    let time = ms / 3_600_000 * 10_000 + ms / 60_000 % 60 * 100 + ms / 1_000 % 60;
    let (active, prices, flow) = (one.head.active, one.head.prices, one.head.flow);
    let time = u32::try_from(time).unwrap_or_default();
    Some(Refreshed { code, active, prices, time, flow, levels: one.levels, ..Refreshed::default() })
}
