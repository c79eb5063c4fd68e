//! The keys of frames, for those that another connection may have brought already. Prices and levels are not looked at.

use crate::kind::Kind;

/// What a frame is about, and what follows its `arg`; only in the form in which the venue writes it.
///
/// `{"arg":{"channel":"books","instId":"BTC-USDT"},…`
#[inline]
pub fn head(frame: &[u8]) -> Option<(Kind, &[u8], &[u8])> {
    let rest = frame.strip_prefix(b"{\"arg\":{\"channel\":\"")?;
    let (channel, rest) = text(rest)?;
    let (inst, rest) = text(rest.strip_prefix(b",\"instId\":\"")?)?;
    Some((Kind::of(channel), inst, rest.strip_prefix(b"},")?))
}

/// `prevSeqId` and `seqId` of an update of a book, which stand behind its levels.
///
/// `"action":"update","data":[{"asks":[…],"bids":[…],"ts":"1760000000200","checksum":0,"prevSeqId":1000,"seqId":1007}]}`
#[inline]
pub fn update(rest: &[u8]) -> Option<(i64, i64)> {
    let mut row = rest.strip_prefix(b"\"action\":\"update\",\"data\":[{")?.strip_suffix(b"}]}")?;
    let (mut prev, mut seq) = (None, None);
    while prev.is_none() || seq.is_none() {
        let (before, value) = row.split_at_checked(row.iter().rposition(|b| *b == b':')?)?;
        let before = before.strip_suffix(b"\"")?;
        let (before, key) = before.split_at_checked(before.iter().rposition(|b| *b == b'"')?)?;
        match key {
            b"\"seqId" => seq = Some(whole(value.get(1..)?)?),
            b"\"prevSeqId" => prev = Some(whole(value.get(1..)?)?),
            b"\"ts" | b"\"checksum" => {}
            _ => return None,
        }
        row = before.strip_suffix(b",")?;
    }
    prev.zip(seq)
}

/// The number of the one trade of a frame; `None` where it has several.
///
/// `"data":[{"instId":"BTC-USDT","tradeId":"250000020","px":…}]}`
#[inline]
pub fn trade(rest: &[u8]) -> Option<u64> {
    let row = rest.strip_prefix(b"\"data\":[{\"instId\":\"")?.strip_suffix(b"}]}")?;
    if row.contains(&b'{') {
        return None;
    }
    let (_, row) = text(row)?;
    let (id, _) = text(row.strip_prefix(b",\"tradeId\":\"")?)?;
    // Others are texts to the reader.
    let plain = id.len() < 19 && id.first() != Some(&b'0');
    whole(id).filter(|_| plain).and_then(|id| u64::try_from(id).ok())
}

/// A text whose opening quote was read, and what follows the closing one.
#[inline]
fn text(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    let (text, rest) = rest.split_at_checked(rest.iter().position(|b| matches!(b, b'"' | b'\\'))?)?;
    Some((text, rest.strip_prefix(b"\"")?))
}

/// Digits alone, at most 18 of them.
#[inline]
fn whole(digits: &[u8]) -> Option<i64> {
    let fits = (1..=18).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    fits.then(|| digits.iter().fold(0, |v, b| v * 10 + i64::from(b - b'0')))
}
