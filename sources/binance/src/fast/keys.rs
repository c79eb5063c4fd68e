//! The keys of frames, for those that another connection may have brought already. Prices and levels stand behind the keys
//! and are not looked at.

use super::{ONE, Reader};
use crate::parse::{Ids, Seen};

/// The ids of a change of a book, which stand before its levels.
///
/// `{"e":"depthUpdate","E":1760000000200,"s":"BTCUSDT","U":157,"u":160,"b":…`
pub fn book(data: &[u8]) -> Option<(Seen<'_>, Ids)> {
    let mut r = Reader { rest: data };
    let (mut seen, mut ids) = (Seen::default(), Ids::default());
    let (mut engine, mut last) = (false, None);
    r.lit(b"{")?;
    loop {
        match r.key()? {
            (b'e', ONE) => seen.kind = r.text()?,
            (b'E', ONE) | (b's', b't') => drop(r.int()?),
            (b'T', ONE) => {
                r.int()?;
                engine = true;
            }
            (b's', ONE) => seen.symbol = r.text()?,
            (b'U', ONE) => ids.first = Some(r.int()?),
            (b'u', ONE) => last = Some(r.int()?),
            (b'p', b'u') => ids.before = Some(r.int()?),
            (b'p', b's') => drop(r.text()?),
            (b'b' | b'a', ONE) => break,
            _ => return None,
        }
        r.more()?.then_some(())?;
    }
    ids.last = last?;
    seen.futures = Some(ids.before.is_some() || engine);
    Some((seen, ids))
}

/// The number of a print or of merged prints, under the key `of`; `None` where the end does not show that it is one, as
/// COIN-M sends some that tell nothing.
///
/// `{"e":"trade","E":1760000000123,"s":"BTCUSDT","t":50001,"p":…,"M":true}}`
pub fn print(data: &[u8], of: u8) -> Option<(Seen<'_>, u64)> {
    let mut r = Reader { rest: data };
    let mut seen = Seen { futures: Some(is_of_futures(data, of)?), ..Seen::default() };
    let mut id = None;
    r.lit(b"{")?;
    while id.is_none() || seen.symbol.is_empty() {
        match r.key()? {
            (b'e', ONE) => seen.kind = r.text()?,
            (b'E' | b'T', ONE) | (b's', b't') => drop(r.int()?),
            (b's', ONE) => seen.symbol = r.text()?,
            (b'p', b's') => drop(r.text()?),
            (key, ONE) if key == of => id = Some(r.int()? as u64),
            _ => return None,
        }
        r.more()?.then_some(())?;
    }
    Some((seen, id?))
}

/// Whether a print is of futures, by its end: spot writes `M`, futures how a print came about; merged prints need not say.
fn is_of_futures(data: &[u8], of: u8) -> Option<bool> {
    if data.ends_with(b"\"M\":true}}") || data.ends_with(b"\"M\":false}}") {
        return Some(false);
    }
    let head = data.strip_suffix(b"\"m\":true}}").or_else(|| data.strip_suffix(b"\"m\":false}}"))?;
    (of != b't' || head.ends_with(b"\"X\":\"MARKET\",")).then_some(true)
}
