//! A file's content, decompressed.

use crate::SORT_BYTES_MAX;
use flate2::{Decompress, FlushDecompress, Status};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use zip::ZipArchive;
use zstd::stream::raw::{Decoder, InBuffer, Operation, OutBuffer};

const FILE_BUFFER_BYTES: usize = 64 << 10;
const CHUNK_BYTES: usize = 256 << 10;
const GZIP_WINDOW_BITS: u8 = 15;

/// Decompresses as it reads. A failure is told only after all that was decoded before it.
pub(crate) struct Input {
    file: BufReader<File>,
    codec: Codec,
    /// Bytes of the file that the codec has used.
    used: u64,
    chunk: Vec<u8>,
    at: usize,
    ended: bool,
    failure: Option<io::Error>,
}

enum Codec {
    Plain,
    Gzip {
        member: Option<Box<Decompress>>,
    },
    Zstd {
        decoder: Box<Decoder<'static>>,
        frame: Frame,
        scratch: Box<[u8]>,
    },
    /// Its parts one after the other; `next` is the one to be unpacked.
    Zip {
        archive: Box<ZipArchive<File>>,
        next: usize,
    },
}

/// Where a zstd stream stands.
#[derive(Clone, Copy, PartialEq)]
enum Frame {
    Between,
    /// Inside a frame; the decoder wants so many bytes next, which are at most one block.
    Inside(usize),
}

impl Input {
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut file = BufReader::with_capacity(FILE_BUFFER_BYTES, File::open(path)?);
        let codec = match file.fill_buf()? {
            [0x1f, 0x8b, ..] => Codec::Gzip { member: None },
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Codec::Zstd {
                decoder: Box::new(Decoder::new()?),
                frame: Frame::Between,
                scratch: vec![0; CHUNK_BYTES].into(),
            },
            [b'P', b'K', 3, 4, ..] => {
                Codec::Zip { archive: Box::new(ZipArchive::new(File::open(path)?)?), next: 0 }
            }
            _ => Codec::Plain,
        };
        Ok(Self { file, codec, used: 0, chunk: Vec::new(), at: 0, ended: false, failure: None })
    }

    /// The bytes of the compressed file used so far; `None` where it is not compressed.
    pub fn compressed(&self) -> Option<u64> {
        match self.codec {
            Codec::Plain => None,
            Codec::Gzip { .. } | Codec::Zstd { .. } | Codec::Zip { .. } => Some(self.used),
        }
    }

    /// The first bytes, `count` of them where the content is that long. To be called before anything was read.
    pub fn peek(&mut self, count: usize) -> &[u8] {
        while self.chunk.len() < count && !self.ended {
            self.more();
        }
        &self.chunk
    }

    /// What ended the reading, where that was a failure which was not told yet.
    pub fn take_failure(&mut self) -> Option<io::Error> {
        self.failure.take()
    }

    /// Decodes some more and appends it to the chunk.
    fn more(&mut self) {
        let result = match &mut self.codec {
            Codec::Plain => {
                let read = self.file.by_ref().take(CHUNK_BYTES as u64).read_to_end(&mut self.chunk);
                read.map(|count| (count, count == 0))
            }
            Codec::Gzip { member } => gunzip(&mut self.file, member, &mut self.chunk),
            Codec::Zstd { decoder, frame, scratch } => {
                unzstd(&mut self.file, decoder, frame, scratch, &mut self.chunk)
            }
            Codec::Zip { archive, next } => unzip(archive, next, &mut self.chunk),
        };
        match result {
            Ok((used, ended)) => {
                self.used += used as u64;
                self.ended = ended;
            }
            Err(error) => {
                self.failure = Some(error);
                self.ended = true;
            }
        }
    }
}

/// Gives how many bytes of the file were used, and whether it is at its end.
fn gunzip(
    file: &mut BufReader<File>,
    member: &mut Option<Box<Decompress>>,
    out: &mut Vec<u8>,
) -> io::Result<(usize, bool)> {
    let input = file.fill_buf()?;
    if input.is_empty() {
        return match member {
            Some(_) => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the gzip stream is cut short")),
            None => Ok((0, true)),
        };
    }
    out.reserve(CHUNK_BYTES);
    let inflate = member.get_or_insert_with(|| Box::new(Decompress::new_gzip(GZIP_WINDOW_BITS)));
    let (before, filled) = (inflate.total_in(), out.len());
    let status = inflate.decompress_vec(input, out, FlushDecompress::None);
    let used = (inflate.total_in() - before) as usize;
    file.consume(used);
    if matches!(status.map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?, Status::StreamEnd) {
        *member = None;
    } else if used == 0 && out.len() == filled {
        return Err(stuck());
    }
    Ok((used, false))
}

/// As [`gunzip`]. The decoder is fed block by block, because what a failing call has decoded cannot be had.
fn unzstd(
    file: &mut BufReader<File>,
    decoder: &mut Decoder<'static>,
    frame: &mut Frame,
    scratch: &mut [u8],
    out: &mut Vec<u8>,
) -> io::Result<(usize, bool)> {
    let input = file.fill_buf()?;
    if input.is_empty() && *frame == Frame::Between {
        return Ok((0, true));
    }
    let want = match *frame {
        Frame::Between => 1,
        Frame::Inside(hint) => hint.max(1),
    };
    let mut source = InBuffer::around(input.get(..want).unwrap_or(input));
    let mut target = OutBuffer::around(&mut *scratch);
    let hint = decoder.run(&mut source, &mut target)?;
    let (used, written) = (source.pos(), target.pos());
    if input.is_empty() && written == 0 {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the zstd stream is cut short"));
    }
    if used == 0 && written == 0 {
        return Err(stuck());
    }
    *frame = if hint == 0 { Frame::Between } else { Frame::Inside(hint) };
    file.consume(used);
    out.extend_from_slice(scratch.get(..written).unwrap_or_default());
    Ok((used, false))
}

/// As [`gunzip`], a whole part at a time.
fn unzip(archive: &mut ZipArchive<File>, next: &mut usize, out: &mut Vec<u8>) -> io::Result<(usize, bool)> {
    if *next >= archive.len() {
        return Ok((0, true));
    }
    let part = archive.by_index(*next)?;
    *next += 1;
    let (used, filled) = (part.compressed_size(), out.len());
    let read = part.take(SORT_BYTES_MAX as u64 + 1).read_to_end(out);
    if out.len() - filled > SORT_BYTES_MAX {
        out.truncate(filled);
        let words = "a part of the .zip is too long to be unpacked in memory (2 GiB)";
        return Err(io::Error::new(io::ErrorKind::InvalidData, words));
    }
    read.map(|_| (usize::try_from(used).unwrap_or(usize::MAX), false))
}

fn stuck() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the decoder goes no further")
}

impl Read for Input {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(buf)?;
        self.consume(read);
        Ok(read)
    }
}

impl BufRead for Input {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at == self.chunk.len() {
            self.chunk.clear();
            self.at = 0;
            while self.chunk.is_empty() && !self.ended {
                self.more();
            }
        }
        if self.chunk.is_empty()
            && let Some(error) = self.failure.take()
        {
            return Err(error);
        }
        Ok(self.chunk.get(self.at..).unwrap_or_default())
    }

    fn consume(&mut self, amount: usize) {
        self.at = (self.at + amount).min(self.chunk.len());
    }
}
