//! The frames of an answer, read as they come.

use std::io;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::ChildStdout;

/// The longest line, in bytes: the columns of an answer, or an error.
const LINE_BYTES_MAX: u64 = 4 << 20;
/// The longest chunk, in bytes.
const CHUNK_BYTES_MAX: usize = 16 << 20;

/// What a process says.
pub(super) struct Frames<R = BufReader<ChildStdout>>(R);

impl Frames {
    pub fn new(out: ChildStdout) -> Self {
        Self(BufReader::new(out))
    }
}

impl<R: AsyncBufRead + Unpin> Frames<R> {
    /// The chunk after the line that tells its length; `None` where the last line follows.
    ///
    /// # Errors
    /// `UnexpectedEof` where it breaks off, `InvalidData` where that is no length.
    pub async fn chunk(&mut self, length: &[u8]) -> io::Result<Option<Vec<u8>>> {
        let length: usize = serde_json::from_slice(length)?;
        if length > CHUNK_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("a chunk of {length} bytes")));
        }
        let mut bytes = vec![0; length];
        self.0.read_exact(&mut bytes).await?;
        Ok((length > 0).then_some(bytes))
    }

    /// A line.
    ///
    /// # Errors
    /// `UnexpectedEof` where it breaks off.
    pub async fn text(&mut self) -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        (&mut self.0).take(LINE_BYTES_MAX).read_until(b'\n', &mut line).await?;
        if line.pop() == Some(b'\n') { Ok(line) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use query::{End, Head, Said};

    #[tokio::test]
    async fn an_answer_that_breaks_off_anywhere_is_told() {
        let whole = b"{\"ok\":true,\"columns\":[]}\n3\nabc2\nde0\n{\"rows\":1,\"cut\":false}\n";
        for cut in 0..=whole.len() {
            let mut frames = Frames(&whole[..cut]);
            let read = async {
                let _: Said<Head> = serde_json::from_slice(&frames.text().await?)?;
                let mut rows = Vec::new();
                loop {
                    let length = frames.text().await?;
                    let Some(chunk) = frames.chunk(&length).await? else { break };
                    rows.extend(chunk);
                }
                let end: Said<End> = serde_json::from_slice(&frames.text().await?)?;
                io::Result::Ok((rows, end))
            };
            match read.await {
                Ok((rows, end)) => {
                    assert_eq!(cut, whole.len());
                    assert_eq!(rows, b"abcde");
                    assert_eq!(end, Said::Told(End { rows: 1, cut: false }));
                }
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{cut}"),
            }
        }
    }

    #[tokio::test]
    async fn a_length_that_is_no_length_is_told() {
        for text in ["x", "-1", "999999999999", ""] {
            assert!(Frames(&b""[..]).chunk(text.as_bytes()).await.is_err(), "{text}");
        }
    }
}
