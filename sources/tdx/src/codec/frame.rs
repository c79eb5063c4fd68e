//! Frames: a header of 12 bytes before what is asked, and one of 16 before what is answered, whose body may be a zlib
//! stream (RFC 1950). As read in `pytdx` and `injoyai/tdx`.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use source::{Malformed, What};

type Result<T> = std::result::Result<T, Malformed>;

/// How every answer begins.
pub const MAGIC: [u8; 4] = [0xb1, 0xcb, 0x74, 0];
/// How every request begins; the protocol of other markets has 1 here.
pub const PREFIX: u8 = 0x0c;
/// The number that requests carry since September 2026, with the type of the packet behind it: `01 18 7b 00`, then `01`, as in
/// the terminal's first frame. `tdxdata` 0.1.1 says that servers look at it; those before take any number.
pub const MARK: u32 = 0x007b_1801;
/// The number of the login, `03 18 99 00`: the same in all clients.
pub const LOGIN_MARK: u32 = 0x0099_1803;
/// The bytes before the body of an answer.
pub const ANSWER_HEAD: usize = 16;
/// The bytes before the payload of a request, its command counted.
pub const REQUEST_HEAD: usize = 12;
/// The bit of the flags that says the body is compressed. The lengths decide; it is written, not read.
const COMPRESSED: u8 = 0x10;

fn rule<T>(at: usize, rule: &'static str) -> Result<T> {
    Err(Malformed { at, what: What::Rule(rule) })
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().copied().map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_le_bytes)
}

/// Something asked of the venue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestFrame<'a> {
    /// Any number; the answer has it again.
    pub seq: u32,
    /// Which command.
    pub command: u16,
    /// What follows the command.
    pub payload: &'a [u8],
}

impl<'a> RequestFrame<'a> {
    /// Where the first frame of these bytes ends; `None` where that cannot be told yet.
    ///
    /// # Errors
    /// Where they begin as no request does.
    pub fn cut(bytes: &[u8]) -> Result<Option<usize>> {
        if bytes.first().is_some_and(|first| *first != PREFIX) {
            return rule(0, "a request does not begin with 0c");
        }
        let (Some(long), Some(again)) = (u16_at(bytes, 6), u16_at(bytes, 8)) else { return Ok(None) };
        if long != again {
            return rule(8, "the two lengths of a request differ");
        }
        if long < 2 {
            return rule(6, "a request has no command");
        }
        Ok(Some(10 + usize::from(long)).filter(|end| bytes.len() >= *end))
    }

    /// Reads a whole frame.
    ///
    /// # Errors
    /// Where it is none.
    pub fn read(bytes: &'a [u8]) -> Result<Self> {
        if Self::cut(bytes)? != Some(bytes.len()) {
            return Err(Malformed { at: bytes.len(), what: What::Eof });
        }
        let missing = Malformed { at: bytes.len(), what: What::Eof };
        Ok(Self {
            seq: u32_at(bytes, 1).ok_or(missing)?,
            command: u16_at(bytes, 10).ok_or(missing)?,
            payload: bytes.get(REQUEST_HEAD..).ok_or(missing)?,
        })
    }

    /// The bytes of the frame: exactly as many as its length says, as more would swallow the next request.
    ///
    /// # Errors
    /// Where the payload is longer than a length can say.
    pub fn bytes(&self) -> Result<Vec<u8>> {
        let long = self.payload.len().checked_add(2).and_then(|long| u16::try_from(long).ok());
        let Some(long) = long else { return rule(6, "a request is longer than its length can say") };
        let mut frame = vec![PREFIX];
        frame.extend_from_slice(&self.seq.to_le_bytes());
        frame.push(1);
        frame.extend_from_slice(&long.to_le_bytes());
        frame.extend_from_slice(&long.to_le_bytes());
        frame.extend_from_slice(&self.command.to_le_bytes());
        frame.extend_from_slice(self.payload);
        Ok(frame)
    }
}

/// Something the venue has answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerFrame {
    /// The number of the request.
    pub seq: u32,
    /// The command of the request.
    pub command: u16,
    /// The body, unpacked.
    pub body: Vec<u8>,
}

impl AnswerFrame {
    /// Where the first frame of these bytes ends; `None` where that cannot be told yet.
    ///
    /// # Errors
    /// Where they begin as no answer does.
    pub fn cut(bytes: &[u8]) -> Result<Option<usize>> {
        let known = bytes.iter().zip(MAGIC).position(|(byte, magic)| *byte != magic);
        if let Some(at) = known {
            return rule(at, "an answer does not begin with b1cb7400");
        }
        let Some(packed) = u16_at(bytes, 12) else { return Ok(None) };
        Ok(Some(ANSWER_HEAD + usize::from(packed)).filter(|end| bytes.len() >= *end))
    }

    /// The number and the command of the request, where the header is there.
    pub fn names(bytes: &[u8]) -> Option<(u32, u16)> {
        Some((u32_at(bytes, 5)?, u16_at(bytes, 10)?))
    }

    /// Reads a whole frame and unpacks its body. The body is compressed where its two lengths differ; bit 0x10 of the flags
    /// says the same in every recorded frame and is not asked.
    ///
    /// # Errors
    /// Where it is none, or its body unpacks to another length than it says.
    pub fn read(bytes: &[u8]) -> Result<Self> {
        let missing = Malformed { at: bytes.len(), what: What::Eof };
        match Self::cut(bytes)? {
            Some(end) if end == bytes.len() => {}
            Some(end) => return rule(end, "bytes follow the end of the frame"),
            None => return Err(missing),
        }
        let (seq, command) = Self::names(bytes).ok_or(missing)?;
        let raw = u16_at(bytes, 14).map(usize::from).ok_or(missing)?;
        let packed = bytes.get(ANSWER_HEAD..).ok_or(missing)?;
        let body = if packed.len() == raw { packed.to_vec() } else { inflate(packed, raw)? };
        Ok(Self { seq, command, body })
    }

    /// The bytes of the frame. A body above `pack_from` bytes is compressed where that makes it shorter.
    ///
    /// # Errors
    /// Where the body is longer than a length can say.
    pub fn bytes(&self, pack_from: usize) -> Result<Vec<u8>> {
        let packed = (self.body.len() > pack_from).then(|| deflate(&self.body)).flatten();
        let sent = packed.as_ref().unwrap_or(&self.body);
        let (Ok(long), Ok(raw)) = (u16::try_from(sent.len()), u16::try_from(self.body.len())) else {
            return rule(14, "an answer is longer than its length can say");
        };
        let mut frame = MAGIC.to_vec();
        frame.push(if packed.is_some() { PREFIX | COMPRESSED } else { PREFIX });
        frame.extend_from_slice(&self.seq.to_le_bytes());
        frame.push(0);
        frame.extend_from_slice(&self.command.to_le_bytes());
        frame.extend_from_slice(&long.to_le_bytes());
        frame.extend_from_slice(&raw.to_le_bytes());
        frame.extend_from_slice(sent);
        Ok(frame)
    }
}

/// Unpacks a zlib stream that holds exactly `raw` bytes and ends exactly with the body.
fn inflate(packed: &[u8], raw: usize) -> Result<Vec<u8>> {
    let mut inner = Decompress::new(true);
    // One byte more than may come, so that a stream which holds more is seen to.
    let mut out = Vec::with_capacity(raw + 1);
    let at = |read: u64| ANSWER_HEAD + usize::try_from(read).unwrap_or(packed.len());
    let status = inner.decompress_vec(packed, &mut out, FlushDecompress::Finish);
    let compression = Malformed { at: at(inner.total_in()), what: What::Compression };
    if out.len() > raw {
        return rule(14, "a body unpacks to more than its length says");
    }
    match status {
        Ok(Status::StreamEnd) if at(inner.total_in()) < ANSWER_HEAD + packed.len() => {
            rule(at(inner.total_in()), "bytes follow the end of the zlib stream")
        }
        Ok(Status::StreamEnd) if out.len() < raw => rule(14, "a body unpacks to less than its length says"),
        Ok(Status::StreamEnd) => Ok(out),
        Ok(Status::Ok | Status::BufError) | Err(_) => Err(compression),
    }
}

/// A body as a zlib stream, where that is shorter.
fn deflate(body: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(body.len());
    let status =
        Compress::new(Compression::default(), true).compress_vec(body, &mut out, FlushCompress::Finish);
    (status.ok()? == Status::StreamEnd && out.len() < body.len()).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(body: &[u8]) -> AnswerFrame {
        AnswerFrame { seq: 7, command: 0x53e, body: body.to_vec() }
    }

    #[test]
    fn a_body_is_packed_where_that_is_shorter_and_comes_out_as_it_went_in() {
        for (body, packed) in [(&[7; 400][..], true), (&[7; 100], false), (&[], false)] {
            let bytes = answer(body).bytes(200).unwrap();
            assert_eq!(bytes[4] == 0x1c, packed);
            assert_eq!(bytes.len() < body.len() + ANSWER_HEAD, packed);
            assert_eq!(AnswerFrame::read(&bytes), Ok(answer(body)));
        }
        let mut luck = fastrand::Rng::with_seed(1);
        let noise: Vec<u8> = (0..300).map(|_| luck.u8(..)).collect();
        assert_eq!(answer(&noise).bytes(200).unwrap().len(), ANSWER_HEAD + 300, "never packed to more");
        assert!(answer(&vec![0; 70_000]).bytes(200).is_err());
    }

    #[test]
    fn frames_are_cut_where_they_end_however_they_come() {
        let request = RequestFrame { seq: 1, command: 0x44e, payload: &[1, 0, 2, 3] }.bytes().unwrap();
        let answer = answer(&[1, 2, 3]).bytes(200).unwrap();
        for n in 0..request.len() {
            assert_eq!(RequestFrame::cut(&request[..n]), Ok(None));
        }
        for n in 0..answer.len() {
            assert_eq!(AnswerFrame::cut(&answer[..n]), Ok(None));
        }
        let two = [request.clone(), request.clone()].concat();
        assert_eq!(RequestFrame::cut(&two), Ok(Some(request.len())));
        assert_eq!(AnswerFrame::cut(&[answer.clone(), vec![1]].concat()), Ok(Some(answer.len())));
        assert!(AnswerFrame::cut(b"HTTP").is_err() && RequestFrame::cut(&[1]).is_err());
    }

    #[test]
    fn a_body_that_lies_about_its_length_is_refused_in_words() {
        let whole = answer(&[7; 400]).bytes(200).unwrap();
        let said = |raw: u16| {
            let mut bytes = whole.clone();
            bytes[14..16].copy_from_slice(&raw.to_le_bytes());
            AnswerFrame::read(&bytes).unwrap_err().to_string()
        };
        assert_eq!(said(399), "a body unpacks to more than its length says (byte 14)");
        assert_eq!(said(401), "a body unpacks to less than its length says (byte 14)");
        assert_eq!(said(1), "a body unpacks to more than its length says (byte 14)");
        let mut cut = whole.clone();
        cut.pop();
        let long = u16::try_from(cut.len() - ANSWER_HEAD).unwrap();
        cut[12..14].copy_from_slice(&long.to_le_bytes());
        assert_eq!(AnswerFrame::read(&cut).unwrap_err().what, What::Compression);
        let mut more = whole.clone();
        more.push(0);
        let long = u16::try_from(more.len() - ANSWER_HEAD).unwrap();
        more[12..14].copy_from_slice(&long.to_le_bytes());
        let words = AnswerFrame::read(&more).unwrap_err().to_string();
        assert!(words.starts_with("bytes follow the end of the zlib stream"), "{words}");
    }
}
