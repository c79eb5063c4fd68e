//! Frames of the venue: each a whole gzip member.

use flate2::{Decompress, FlushDecompress, Status};
use source::{Malformed, What};

/// How far the text may grow at once.
const CHUNK_BYTES: usize = 64 * 1024;
const FAULT: Malformed = Malformed { at: 0, what: What::Compression };

/// Whether bytes begin as a gzip member does.
pub fn is_member(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1f, 0x8b])
}

/// Unpacks members into a buffer that is used again.
pub struct Inflater {
    inner: Decompress,
    /// The last member; empty where it could not be read.
    packed: Vec<u8>,
    /// Its text.
    out: Vec<u8>,
}

impl Default for Inflater {
    fn default() -> Self {
        Self { inner: Decompress::new(false), packed: Vec::new(), out: Vec::new() }
    }
}

impl Inflater {
    /// The text of a member, at most as large as the largest frame that is accepted. The last one is not unpacked again.
    ///
    /// # Errors
    /// `What::Compression` where it is no member, its checksum or length is wrong, or something follows it.
    pub fn member(&mut self, bytes: &[u8]) -> Result<&[u8], Malformed> {
        if !bytes.is_empty() && self.packed == bytes {
            return Ok(&self.out);
        }
        self.packed.clear();
        let body = body(bytes).ok_or(FAULT)?;
        let max = crate::SPEC.frame_bytes_max;
        self.inner.reset(false);
        self.out.clear();
        loop {
            let read = self.inner.total_in();
            let rest = body.get(usize::try_from(read).map_err(|_| FAULT)?..).ok_or(FAULT)?;
            if self.out.capacity() == self.out.len() {
                self.out.reserve(CHUNK_BYTES);
            }
            let before = (read, self.inner.total_out());
            let status = self.inner.decompress_vec(rest, &mut self.out, FlushDecompress::None);
            let moved = (self.inner.total_in(), self.inner.total_out()) != before;
            match status {
                _ if self.out.len() > max => return Err(FAULT),
                Ok(Status::StreamEnd) => break,
                Ok(Status::Ok | Status::BufError) if moved => {}
                Ok(_) | Err(_) => return Err(FAULT),
            }
        }
        let read = usize::try_from(self.inner.total_in()).map_err(|_| FAULT)?;
        let trailer = body.get(read..).ok_or(FAULT)?;
        let Some((sum, len)) = trailer.split_first_chunk::<4>() else { return Err(FAULT) };
        let len = <[u8; 4]>::try_from(len).map_err(|_| FAULT)?;
        let sound = u32::from_le_bytes(*sum) == crc32fast::hash(&self.out)
            && u64::from(u32::from_le_bytes(len)) == self.out.len() as u64;
        if !sound {
            return Err(FAULT);
        }
        self.packed.extend_from_slice(bytes);
        Ok(&self.out)
    }
}

/// What follows the header; its optional parts are passed over.
fn body(bytes: &[u8]) -> Option<&[u8]> {
    let [0x1f, 0x8b, 8, flags, _, _, _, _, _, _, rest @ ..] = bytes else { return None };
    if *flags == 0 {
        return Some(rest);
    }
    if flags & 0xe0 != 0 {
        return None;
    }
    let mut rest = rest;
    if flags & 4 != 0 {
        let [low, high, tail @ ..] = rest else { return None };
        rest = tail.get(usize::from(u16::from_le_bytes([*low, *high]))..)?;
    }
    for text in [8, 16] {
        if flags & text != 0 {
            let end = rest.iter().position(|b| *b == 0)?;
            rest = rest.get(end + 1..)?;
        }
    }
    if flags & 2 != 0 { rest.get(2..) } else { Some(rest) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, GzBuilder};
    use std::io::Write;

    fn packed(builder: GzBuilder, text: &[u8], level: u32) -> Vec<u8> {
        let mut writer = builder.write(Vec::new(), Compression::new(level));
        writer.write_all(text).unwrap();
        writer.finish().unwrap()
    }

    #[test]
    fn members_of_every_block_type_and_with_every_header_are_read() {
        let text = br#"{"ping":1760000005000}"#.repeat(4_000);
        let mut inflater = Inflater::default();
        for level in 0..=9 {
            let plain = packed(GzBuilder::new(), &text, level);
            assert_eq!(inflater.member(&plain).unwrap(), text);
            let odd = GzBuilder::new().filename("f").comment("c").extra(vec![1, 2, 3]);
            assert_eq!(inflater.member(&packed(odd, &text, level)).unwrap(), text);
        }
    }

    #[test]
    fn a_member_that_is_cut_changed_or_followed_by_more_is_refused() {
        let whole = packed(GzBuilder::new(), br#"{"ping":1760000005000,"x":[1,2,3]}"#, 6);
        let mut inflater = Inflater::default();
        for cut in 0..whole.len() {
            assert!(inflater.member(&whole[..cut]).is_err(), "cut at {cut}");
        }
        for at in 10..whole.len() {
            let mut broken = whole.clone();
            broken[at] ^= 0x10;
            assert!(inflater.member(&broken).is_err(), "changed at {at}");
        }
        assert!(inflater.member(&[whole.clone(), vec![0]].concat()).is_err());
        assert!(inflater.member(&whole).is_ok());
    }

    #[test]
    fn a_text_larger_than_any_frame_is_refused() {
        let bomb = packed(GzBuilder::new(), &vec![b' '; crate::SPEC.frame_bytes_max + 1], 9);
        assert!(Inflater::default().member(&bomb).is_err());
    }
}
