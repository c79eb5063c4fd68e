//! The lists of the three markets, page by page.

use crate::codec::frame::{AnswerFrame, RequestFrame};
use crate::codec::{Answer, Listed, Query};
use model::Instrument;
use model::ashare::{Board, Code, Market, instrument};
use source::{Malformed, Request};

/// How many lines a page may have.
pub const PAGE: u32 = 1600;
/// What the list calls the index of Shanghai, which is 000001 everywhere else.
const SHANGHAI_INDEX: (&str, &str) = ("999999", "000001");

/// A query as a request: the frame in hexadecimal digits.
pub fn request(query: &Query) -> Request {
    numbered(query, 1)
}

/// As [`request`], with the number that servers since September 2026 look at.
pub fn marked(query: &Query) -> Request {
    numbered(query, query.mark())
}

fn numbered(query: &Query, seq: u32) -> Request {
    let frame = query.frame(seq).unwrap_or_default();
    Request { endpoint: 0, path: format!("/{}", hex(&frame)), weight: 1 }
}

/// Bytes in hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.filter_map(|digit| char::from_digit(u32::from(digit), 16)).collect()
}

/// The query of a request; `None` where the path is none.
pub fn query(path: &str) -> Option<Query> {
    let frame = frame_of(path)?;
    let frame = RequestFrame::read(&frame).ok()?;
    Query::read(frame.command, frame.payload).ok()
}

/// The bytes of a request's frame; `None` where the path is not in hexadecimal digits.
pub fn frame_of(path: &str) -> Option<Vec<u8>> {
    let digits = path.rsplit('/').next()?.as_bytes();
    let (pairs, rest) = digits.as_chunks::<2>();
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let byte = |[high, low]: &[u8; 2]| Some(digit(*high)? << 4 | digit(*low)?);
    pairs.iter().map(byte).collect::<Option<Vec<u8>>>().filter(|_| rest.is_empty())
}

/// The first page of each market.
pub fn first() -> Vec<Request> {
    Market::ALL.into_iter().map(|market| request(&Query::List(market.byte(), 0, PAGE))).collect()
}

/// The answer to `query`, whole.
///
/// # Errors
/// Where the frame or its body cannot be read, or it answers another command.
pub fn answer(query: &Query, frame: &[u8]) -> Result<Answer, Malformed> {
    let frame = AnswerFrame::read(frame)?;
    if frame.command != query.command() {
        let what = source::What::Rule("an answer to another command");
        return Err(Malformed { at: 10, what });
    }
    Answer::read(query, &frame.body).whole()
}

fn page(path: &str, body: &[u8]) -> Option<(Query, Result<Vec<Listed>, Malformed>)> {
    let query = query(path).filter(|query| matches!(query, Query::List(..)))?;
    let lines =
        answer(&query, body).map(|answer| if let Answer::List(all) = answer { all } else { Vec::new() });
    Some((query, lines))
}

/// The page after one: a short page is not the last, an empty one is.
pub fn more(request: &Request, body: &[u8]) -> Option<Request> {
    let (Query::List(market, start, count), Ok(lines)) = page(&request.path, body)? else { return None };
    let read = u32::try_from(lines.len()).ok().filter(|read| *read > 0)?;
    Some(self::request(&Query::List(market, start + read, count)))
}

/// The instruments of a page. A line whose code belongs to no board is left out, and so are bonds that are not convertible:
/// there are tens of thousands.
pub fn define(path: &str, body: &[u8]) -> Option<Result<Vec<Instrument>, Malformed>> {
    let (query, lines) = page(path, body)?;
    let Query::List(market, ..) = query else { return None };
    let market = Market::from_byte(market)?;
    Some(lines.map(|lines| lines.iter().filter_map(|line| defined(market, line)).collect()))
}

fn defined(market: Market, line: &Listed) -> Option<Instrument> {
    let digits = line.code.get();
    let (listed, plain) = SHANGHAI_INDEX;
    let digits = if market == Market::Sh && digits == listed { plain } else { &digits };
    let code = Code::new(market, digits)?;
    if matches!(code.section().board, Board::Other | Board::Bond) {
        return None;
    }
    Some(Instrument { px_scale: line.decimals, ..instrument(code, &line.name.get()) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::text::Text;

    fn listed(all: &[(&str, &str, u8)]) -> Vec<u8> {
        let line = |(code, name, decimals): &(&str, &str, u8)| Listed {
            code: Text::of(code),
            name: Text::of(name),
            lot: 100,
            decimals: *decimals,
            ..Listed::default()
        };
        let query = Query::List(1, 0, PAGE);
        let body = Answer::List(all.iter().map(line).collect()).body(&query).unwrap();
        AnswerFrame { seq: 1, command: query.command(), body }.bytes(200).unwrap()
    }

    #[test]
    fn pages_follow_each_other_until_one_is_empty() {
        let [shanghai, ..] = &first()[..] else { panic!("three markets") };
        assert_eq!(query(&shanghai.path), Some(Query::List(1, 0, PAGE)));
        let next = more(shanghai, &listed(&[("600000", "浦发银行", 2), ("600001", "x", 2)])).unwrap();
        assert_eq!(query(&next.path), Some(Query::List(1, 2, PAGE)));
        assert_eq!(more(&next, &listed(&[])), None);
        assert!(define("/abc", &[]).is_none() && define("/0c", &[]).is_none());
    }

    #[test]
    fn lines_become_instruments_by_their_codes_and_digits() {
        let body = listed(&[("999999", "上证指数", 2), ("510300", "沪深300ETF", 3), ("019547", "bond", 4)]);
        let all = define(&first()[0].path, &body).unwrap().unwrap();
        let said: Vec<_> = all.iter().map(|one| (&*one.name, &*one.title, one.px_scale)).collect();
        assert_eq!(said, [("000001.SH", "上证指数", 2), ("510300.SH", "沪深300ETF", 3)]);
        assert!(define(&first()[0].path, &body[..body.len() - 1]).unwrap().is_err());
    }
}
