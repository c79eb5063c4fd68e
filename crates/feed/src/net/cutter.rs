//! Streams of bytes as frames, cut by the source's rule.

use bytes::{Bytes, BytesMut};
use source::{End, Source};
use std::io;
use tokio_util::codec::{Decoder, Encoder};

/// Cuts what one end writes into frames, and writes frames as they are.
pub struct Cutter {
    source: &'static dyn Source,
    endpoint: usize,
    from: End,
}

impl Cutter {
    /// For what `from` writes at an endpoint.
    pub fn new(source: &'static dyn Source, endpoint: usize, from: End) -> Self {
        Self { source, endpoint, from }
    }
}

impl Decoder for Cutter {
    type Item = Bytes;
    type Error = io::Error;

    fn decode(&mut self, bytes: &mut BytesMut) -> io::Result<Option<Bytes>> {
        let bad = |why: String| io::Error::new(io::ErrorKind::InvalidData, why);
        if bytes.is_empty() {
            return Ok(None);
        }
        let max = self.source.spec().frame_bytes_max;
        match self.source.cut(self.endpoint, self.from, bytes).map_err(|fault| bad(fault.to_string()))? {
            Some(length) if (1..=bytes.len()).contains(&length) => Ok(Some(bytes.split_to(length).freeze())),
            Some(length) => Err(bad(format!("a frame of {length} bytes was cut from {}", bytes.len()))),
            None if bytes.len() > max => Err(bad(format!("a frame has more than {max} bytes"))),
            None => Ok(None),
        }
    }

    fn decode_eof(&mut self, bytes: &mut BytesMut) -> io::Result<Option<Bytes>> {
        match self.decode(bytes)? {
            None if !bytes.is_empty() => Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("the stream ended in the middle of a frame, after {} bytes of it", bytes.len()),
            )),
            frame => Ok(frame),
        }
    }
}

impl Encoder<Bytes> for Cutter {
    type Error = io::Error;

    fn encode(&mut self, frame: Bytes, out: &mut BytesMut) -> io::Result<()> {
        out.extend_from_slice(&frame);
        Ok(())
    }
}
