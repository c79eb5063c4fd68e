//! The text format of cryptofeed's raw recorder.

use crate::error::Damage;
use crate::lines::Lines;
use crate::{Kind, Record};
use model::Ts;
use std::collections::VecDeque;

/// Whether a content that begins so is of this format.
pub(crate) fn looks_so(begin: &[u8]) -> bool {
    let line = begin.trim_ascii_start();
    let line = line.split(|b| *b == b'\n').next().unwrap_or_default();
    line.starts_with(b"configuration: ")
        || is_url(line)
        || find(line, b": ").and_then(|at| line.get(..at)).is_some_and(|t| seconds(t).is_some())
}

pub(crate) struct TextReader {
    lines: Lines,
    /// Records without a time, which wait for the next that has one.
    waiting: Vec<Kind>,
    ready: VecDeque<Record>,
    last: Ts,
}

impl TextReader {
    pub fn new(lines: Lines) -> Self {
        Self { lines, waiting: Vec::new(), ready: VecDeque::new(), last: Ts::default() }
    }

    pub fn read(&mut self) -> Result<Option<Record>, Damage> {
        while self.ready.is_empty() {
            if !self.lines.advance()? {
                self.release();
                break;
            }
            match parse(self.lines.line()).map_err(|what| self.lines.damage(what))? {
                (None, kind) => self.waiting.push(kind),
                (Some(ts), kind) => {
                    self.last = ts;
                    if self.waiting.is_empty() {
                        return Ok(Some(Record { ts, conn: 0, kind }));
                    }
                    self.release();
                    self.ready.push_back(Record { ts, conn: 0, kind });
                }
            }
        }
        Ok(self.ready.pop_front())
    }

    fn release(&mut self) {
        let ts = self.last;
        self.ready.extend(self.waiting.drain(..).map(|kind| Record { ts, conn: 0, kind }));
    }
}

fn parse(line: &[u8]) -> Result<(Option<Ts>, Kind), &'static str> {
    if line.first().is_some_and(u8::is_ascii_digit) {
        let (ts, frame) = timed(line)?;
        return Ok((Some(ts), frame_of(frame)?));
    }
    if line.starts_with(b"configuration: ") {
        return Ok((None, Kind::Header { source: None }));
    }
    if !is_url(line) {
        return Err("the line begins with neither a time nor an address");
    }
    let end = line.iter().position(|b| *b == b' ').unwrap_or(line.len());
    let (url, rest) = line.split_at_checked(end).ok_or("the line has no address")?;
    let url = String::from_utf8(url.to_vec()).map_err(|_| "the address is not UTF-8")?;
    if rest.trim_ascii().is_empty() {
        return Ok((None, Kind::Connect { url }));
    }
    if let Some(time) = rest.strip_prefix(b" <-> ") {
        return Ok((Some(seconds(time).ok_or(NO_TIME)?), Kind::Connect { url }));
    }
    if let Some(sent) = rest.strip_prefix(b" <- ") {
        let (ts, text) = timed(sent)?;
        return Ok((Some(ts), Kind::Sent(text.to_vec())));
    }
    if let Some(answer) = rest.strip_prefix(b" -> ") {
        let (ts, body) = timed(answer)?;
        return Ok((Some(ts), Kind::Reply { url: Some(url), status: 200, body: body.to_vec() }));
    }
    Err("an address is followed by none of `<->`, `<-`, `->`")
}

const NO_TIME: &str = "a time in decimal seconds is missing or finer than a nanosecond";

/// `<seconds>: <rest>`
fn timed(text: &[u8]) -> Result<(Ts, &[u8]), &'static str> {
    let at = find(text, b": ").ok_or("no `: ` follows the time")?;
    let (time, rest) = text.split_at_checked(at).ok_or(NO_TIME)?;
    Ok((seconds(time).ok_or(NO_TIME)?, rest.get(2..).unwrap_or_default()))
}

/// Decimal seconds as nanoseconds, exactly.
pub(crate) fn seconds(text: &[u8]) -> Option<Ts> {
    let text = text.trim_ascii();
    text.first()?.is_ascii_digit().then_some(())?;
    model::parse_mantissa(text, 9).ok().map(Ts)
}

fn frame_of(text: &[u8]) -> Result<Kind, &'static str> {
    match text {
        [b'b', quote @ (b'\'' | b'"'), ..] => {
            Ok(Kind::Frame { bytes: literal(text.get(2..).unwrap_or_default(), *quote)?, binary: true })
        }
        _ => Ok(Kind::Frame { bytes: text.to_vec(), binary: false }),
    }
}

/// Undoes Python's escapes up to the closing quote, which must be the end.
fn literal(mut rest: &[u8], quote: u8) -> Result<Vec<u8>, &'static str> {
    let mut out = Vec::with_capacity(rest.len() / 2);
    loop {
        let (byte, tail) = match rest {
            [] => return Err("a bytes literal is cut short"),
            [end] if *end == quote => return Ok(out),
            [b'\\', b'x', high, low, tail @ ..] => {
                let (high, low) = (hex(*high), hex(*low));
                (
                    high.zip(low)
                        .map(|(h, l)| h << 4 | l)
                        .ok_or("`\\x` is not followed by two hex digits")?,
                    tail,
                )
            }
            [b'\\', b'n', tail @ ..] => (b'\n', tail),
            [b'\\', b'r', tail @ ..] => (b'\r', tail),
            [b'\\', b't', tail @ ..] => (b'\t', tail),
            [b'\\', byte @ (b'\\' | b'\'' | b'"'), tail @ ..] => (*byte, tail),
            [b'\\', ..] => return Err("a bytes literal has an unknown escape"),
            [byte, ..] if *byte == quote => return Err("a bytes literal goes on after its closing quote"),
            [byte, tail @ ..] => (*byte, tail),
        };
        out.push(byte);
        rest = tail;
    }
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|d| d as u8)
}

fn is_url(line: &[u8]) -> bool {
    [&b"wss://"[..], b"ws://", b"https://", b"http://"].iter().any(|scheme| line.starts_with(scheme))
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|w| w == what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn python_escapes_are_undone() {
        assert_eq!(literal(br"\x1f\\\'\n\r\t a'", b'\''), Ok(b"\x1f\\'\n\r\t a".to_vec()));
        assert_eq!(literal(br#"it's\""#, b'"'), Err("a bytes literal is cut short"));
        assert_eq!(literal(br#"it's""#, b'"'), Ok(b"it's".to_vec()));
        for junk in [&br"\x1"[..], br"\q'", b"a'b'", b"", br"\"] {
            assert!(literal(junk, b'\'').is_err(), "{junk:?}");
        }
    }

    #[test]
    fn decimal_seconds_are_exact() {
        assert_eq!(seconds(b"1617647603.4249449"), Some(Ts(1_617_647_603_424_944_900)));
        assert_eq!(seconds(b"1617647603"), Some(Ts(1_617_647_603_000_000_000)));
        assert_eq!(seconds(b"1617647603.0000000001"), None);
        assert_eq!(seconds(b"-1"), None);
    }
}
