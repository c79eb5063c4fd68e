//! Where a frame ends, and what it holds.
//!
//! A frame is a little-endian `u32` and so many bytes of UTF-8. Whether the words of a refusal have a length before them
//! too is not known; both are understood.

use source::{Malformed, What};

/// The largest payload that is believed. Records have about 250 bytes.
pub const PAYLOAD_MAX: usize = 1024 * 1024;
/// Bytes of the length.
const PREFIX: usize = 4;
/// What the vendor says to a token that it does not know: `Token鉴权失败`.
pub const REFUSAL: &str = "Token鉴权失败";
/// The most that is kept of words that have no length, in bytes.
const WORDS_MAX: usize = 256;

/// How many bytes the first frame in `bytes` has, its length counted; `None` where it has not come whole.
///
/// # Errors
/// Where the length is larger than any frame of this feed.
pub fn cut(bytes: &[u8]) -> Result<Option<usize>, Malformed> {
    let Some(len) = length(bytes) else { return Ok(None) };
    let words = REFUSAL.as_bytes();
    if bytes.get(..PREFIX) == words.get(..PREFIX) {
        // Words without a length. Read as one, their first four bytes would be 1.7 GB.
        let more = words.starts_with(bytes) && bytes.len() < words.len();
        return Ok((!more).then_some(bytes.len().min(WORDS_MAX)));
    }
    if len > PAYLOAD_MAX {
        return Err(Malformed { at: 0, what: What::Rule("a frame longer than 1 MiB is announced") });
    }
    let whole = PREFIX + len;
    Ok((bytes.len() >= whole).then_some(whole))
}

/// A frame without its length, where it has one.
pub fn payload(frame: &[u8]) -> &[u8] {
    match (length(frame), frame.get(PREFIX..)) {
        (Some(len), Some(rest)) if rest.len() == len => rest,
        _ => frame,
    }
}

/// Puts the length before a payload.
pub fn framed(payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    [len.to_le_bytes().as_slice(), payload].concat()
}

/// The venue's words, where it refuses the token.
pub fn refusal(payload: &[u8]) -> Option<String> {
    let refused = payload.starts_with(b"Token")
        || contains(payload, "鉴权失败".as_bytes()) && payload.len() <= WORDS_MAX;
    refused.then(|| String::from_utf8_lossy(payload.get(..WORDS_MAX).unwrap_or(payload)).trim().to_owned())
}

fn contains(bytes: &[u8], words: &[u8]) -> bool {
    bytes.windows(words.len()).any(|part| part == words)
}

fn length(bytes: &[u8]) -> Option<usize> {
    let prefix: [u8; PREFIX] = bytes.get(..PREFIX)?.try_into().ok()?;
    usize::try_from(u32::from_le_bytes(prefix)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_whole_however_the_bytes_arrive() {
        let stream = [framed(b"one"), framed(b""), framed("二".as_bytes())].concat();
        for step in 1..stream.len() {
            let (mut held, mut frames) = (Vec::new(), Vec::new());
            for part in stream.chunks(step) {
                held.extend_from_slice(part);
                while let Some(n) = cut(&held).unwrap() {
                    let rest = held.split_off(n);
                    frames.push(payload(&held).to_vec());
                    held = rest;
                }
            }
            assert_eq!((held.len(), frames), (0, vec![b"one".to_vec(), Vec::new(), "二".into()]), "{step}");
        }
    }

    #[test]
    fn a_length_that_lies_is_refused_before_anything_is_kept() {
        for len in [1_048_577, 2_147_483_647, 2_147_483_648, u32::MAX] {
            assert!(cut(&len.to_le_bytes()).is_err(), "{len}");
        }
        assert_eq!(cut(&1_048_576_u32.to_le_bytes()), Ok(None));
        assert_eq!(cut(&0_u32.to_le_bytes()), Ok(Some(4)));
    }

    #[test]
    fn a_refusal_is_understood_with_and_without_a_length() {
        let raw = REFUSAL.as_bytes();
        for n in 0..raw.len() {
            assert_eq!(cut(&raw[..n]), Ok(None), "{n}");
        }
        assert_eq!(cut(raw), Ok(Some(raw.len())));
        assert_eq!(cut(b"Token expired"), Ok(Some(13)));
        assert_eq!(refusal(payload(raw)).as_deref(), Some(REFUSAL));
        let framed = framed(format!("{REFUSAL}\n").as_bytes());
        assert_eq!(cut(&framed), Ok(Some(framed.len())));
        assert_eq!(refusal(payload(&framed)).as_deref(), Some(REFUSAL));
        assert_eq!(refusal(b"SH600000$x"), None);
    }
}
