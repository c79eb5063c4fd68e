//! Files of one JSON object a line: cryptofeed's raw recorder, and single sample messages.

use crate::error::Damage;
use crate::lines::Lines;
use crate::text::seconds;
use crate::{Kind, Record, SORT_BYTES_MAX};
use model::Ts;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashMap;

/// Whether a content that begins so is cryptofeed's.
pub(crate) fn looks_so(begin: &[u8]) -> bool {
    let rest = begin.trim_ascii_start().strip_prefix(b"{").map(<[u8]>::trim_ascii_start);
    rest.is_some_and(|rest| rest.starts_with(b"\"t\""))
}

/// Whether a content that begins so is sample messages.
pub(crate) fn looks_like_samples(begin: &[u8]) -> bool {
    let line = begin.trim_ascii_start();
    let line = line.split(|b| *b == b'\n').next().unwrap_or_default();
    line.starts_with(b"{") && line.windows(6).any(|w| w == b"\"msg\":")
}

/// `{"t":"recv","conn":"OKX.ws.1","ts":1652458996.25,"data":"…"}`; `b64` instead of `data` for a binary frame; `url`
/// or `addr` with `http`, `connect` and `send`.
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    t: Cow<'a, str>,
    #[serde(borrow)]
    conn: Option<Cow<'a, str>>,
    #[serde(borrow)]
    ts: Option<&'a RawValue>,
    #[serde(borrow)]
    data: Option<Cow<'a, str>>,
    #[serde(borrow)]
    b64: Option<Cow<'a, str>>,
    #[serde(alias = "addr")]
    url: Option<String>,
    exchange: Option<String>,
    status: Option<u16>,
}

/// All records of a cryptofeed file, in order of time, and what stopped the reading where something did.
pub(crate) fn read_sorted(mut lines: Lines) -> (Vec<Record>, Option<Damage>) {
    let mut records: Vec<Record> = Vec::new();
    let mut conns: HashMap<String, u32> = HashMap::new();
    let mut header = None;
    let mut held: usize = 0;
    let damage = loop {
        match lines.advance() {
            Ok(true) => {}
            Ok(false) => break None,
            Err(damage) => break Some(damage),
        }
        held += lines.line().len() + size_of::<Record>();
        if held > SORT_BYTES_MAX {
            break Some(lines.damage("the file is too long to be sorted in memory (2 GiB)"));
        }
        match parse(lines.line(), &mut conns) {
            Ok(record) if matches!(record.kind, Kind::Header { .. }) => {
                header = header.or(Some(record));
            }
            Ok(record) => records.push(record),
            Err(what) => break Some(lines.damage(what)),
        }
    };
    records.sort_by_key(|r| r.ts);
    if let Some(mut header) = header {
        header.ts = records.first().map_or(Ts::default(), |r| r.ts);
        records.insert(0, header);
    }
    (records, damage)
}

fn parse(line: &[u8], conns: &mut HashMap<String, u32>) -> Result<Record, String> {
    let line: Line<'_> =
        serde_json::from_slice(line).map_err(|e| format!("the line is no such object: {e}"))?;
    if line.t == "header" {
        return Ok(Record { ts: Ts::default(), conn: 0, kind: Kind::Header { source: line.exchange } });
    }
    let ts = line.ts.and_then(|t| seconds(t.get().as_bytes()));
    let ts = ts.ok_or("`ts` is missing, no number of seconds, or finer than a nanosecond")?;
    let name = line.conn.ok_or("`conn` is missing")?;
    let conn = if let Some(conn) = conns.get(&*name) {
        *conn
    } else {
        let conn = conns.len() as u32;
        conns.insert(name.into_owned(), conn);
        conn
    };
    let binary = line.b64.is_some();
    let payload = match (line.data, line.b64) {
        (Some(text), None) => Some(text.into_owned().into_bytes()),
        (None, Some(text)) => Some(base64(text.as_bytes()).ok_or("`b64` is not base64")?),
        (None, None) => None,
        (Some(_), Some(_)) => return Err("both `data` and `b64` are given".to_owned()),
    };
    let kind = match &*line.t {
        "connect" => Kind::Connect { url: line.url.ok_or("`addr` is missing")? },
        "close" => Kind::Closed { why: String::from_utf8_lossy(&payload.unwrap_or_default()).into_owned() },
        "http" => Kind::Reply {
            url: line.url,
            status: line.status.unwrap_or(200),
            body: payload.ok_or("`data` is missing")?,
        },
        "send" => Kind::Sent(payload.ok_or("`data` is missing")?),
        "recv" => Kind::Frame { bytes: payload.ok_or("`data` is missing")?, binary },
        other => return Err(format!("`t` is `{other}`, which is not known")),
    };
    Ok(Record { ts, conn, kind })
}

#[derive(Deserialize)]
struct Sample {
    msg: String,
}

/// The message of a line, at `number` nanoseconds.
pub(crate) fn parse_sample(line: &[u8], number: i64) -> Result<Record, String> {
    let sample: Sample = serde_json::from_slice(line).map_err(|e| format!("the line has no `msg`: {e}"))?;
    let kind = Kind::Frame { bytes: sample.msg.into_bytes(), binary: false };
    Ok(Record { ts: Ts(number), conn: 0, kind })
}

/// Standard alphabet, padded.
fn base64(text: &[u8]) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let body = text.strip_suffix(b"==").or_else(|| text.strip_suffix(b"=")).unwrap_or(text);
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    for group in body.chunks(4) {
        let mut bits: u32 = 0;
        for at in 0..4 {
            let six = match group.get(at) {
                None => 0,
                Some(b @ b'A'..=b'Z') => b - b'A',
                Some(b @ b'a'..=b'z') => b - b'a' + 26,
                Some(b @ b'0'..=b'9') => b - b'0' + 52,
                Some(b'+') => 62,
                Some(b'/') => 63,
                Some(_) => return None,
            };
            bits = bits << 6 | u32::from(six);
        }
        let [_, bytes @ ..] = bits.to_be_bytes();
        out.extend_from_slice(bytes.get(..group.len().checked_sub(1)?)?);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_decoded() {
        for (text, bytes) in [("", ""), ("TQ==", "M"), ("TWE=", "Ma"), ("TWFu", "Man"), ("TWFuTQ==", "ManM")]
        {
            assert_eq!(base64(text.as_bytes()).as_deref(), Some(bytes.as_bytes()), "{text}");
        }
        assert_eq!(base64(b"/+8="), Some(vec![0xff, 0xef]));
        for junk in ["T", "TQ=", "T===", "TQ==TQ==", "T!=="] {
            assert_eq!(base64(junk.as_bytes()), None, "{junk}");
        }
    }
}
