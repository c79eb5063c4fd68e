//! Opens a recording of any known format.

use crate::block::MAGIC;
use crate::blocks::BlockReader;
use crate::error::{Damage, Error, Result};
use crate::input::Input;
use crate::lines::Lines;
use crate::text::TextReader;
use crate::{About, Hash, Record, hft, jsonl, log, text};
use std::fmt;
use std::path::{Path, PathBuf};

/// Enough of the content to tell its format.
const PEEK_BYTES: usize = 16 << 10;
/// How much of an unknown content is shown.
const SHOWN_BYTES: usize = 40;

/// The format of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// Our own, written by [`Writer`](crate::Writer).
    Tape,
    /// `<time> <JSON>` lines.
    HftLines,
    /// Text of cryptofeed's first raw recorder.
    CryptofeedText,
    /// JSON lines of cryptofeed's second raw recorder.
    CryptofeedJsonl,
    /// JSON lines with one sample message each.
    Samples,
    /// Lines of an exchange's Level-2 messages, field by field.
    Level2Log,
}

/// The records of a file, in order of time. After an error it ends.
pub struct Reader {
    path: PathBuf,
    form: Form,
}

enum Form {
    Tape(Box<BlockReader>),
    Hft(Box<Lines>),
    Text(Box<TextReader>),
    /// A file that is to be sorted and was not read yet.
    Unsorted(Box<Lines>, Format),
    Sorted(std::vec::IntoIter<Record>, Option<Damage>, Format),
    Samples(Box<Lines>, i64),
    Ended,
}

impl Reader {
    /// Opens a file and finds its format.
    ///
    /// # Errors
    /// [`Error::Open`], or [`Error::UnknownFormat`] also where the file is empty.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let open = |source| Error::Open { path: path.to_owned(), source };
        let mut input = Input::open(path).map_err(open)?;
        let begin = input.peek(PEEK_BYTES);
        let Some(format) = format_of(begin) else {
            let begin = begin.get(..SHOWN_BYTES).unwrap_or(begin);
            let begin = begin.escape_ascii().to_string();
            // A file that cannot even be decompressed at its beginning.
            return match input.take_failure() {
                Some(source) if begin.is_empty() => Err(open(source)),
                _ => Err(Error::UnknownFormat { path: path.to_owned(), begin }),
            };
        };
        let form = match format {
            Format::Tape => Form::Tape(Box::new(BlockReader::new(input))),
            Format::HftLines => Form::Hft(Box::new(Lines::new(input))),
            Format::CryptofeedText => Form::Text(Box::new(TextReader::new(Lines::new(input)))),
            Format::CryptofeedJsonl | Format::Level2Log => {
                Form::Unsorted(Box::new(Lines::new(input)), format)
            }
            Format::Samples => Form::Samples(Box::new(Lines::new(input)), 0),
        };
        Ok(Self { path: path.to_owned(), form })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The format that was found; `None` when the end was reached.
    pub fn format(&self) -> Option<Format> {
        match self.form {
            Form::Tape(_) => Some(Format::Tape),
            Form::Hft(_) => Some(Format::HftLines),
            Form::Text(_) => Some(Format::CryptofeedText),
            Form::Unsorted(_, format) | Form::Sorted(_, _, format) => Some(format),
            Form::Samples(..) => Some(Format::Samples),
            Form::Ended => None,
        }
    }

    /// Holds the blocks of one of our tapes against their chain, from the next one on.
    pub fn check(&mut self) {
        if let Form::Tape(blocks) = &mut self.form {
            blocks.checked = true;
        }
    }

    /// The version of one of our tapes; 0 before its first record was read. `None` for all else, and at the end.
    pub fn version(&self) -> Option<u16> {
        let Form::Tape(blocks) = &self.form else { return None };
        Some(blocks.version())
    }

    /// The link of the block that the last record was in; `None` in tapes of version 1, of all else, and at the end.
    pub fn link(&self) -> Option<Hash> {
        let Form::Tape(blocks) = &self.form else { return None };
        blocks.link()
    }

    /// What one of our tapes says about itself; `None` before its first record was read, and of all else.
    pub fn about(&self) -> Option<&About> {
        match &self.form {
            Form::Tape(blocks) => blocks.about(),
            Form::Hft(_)
            | Form::Text(_)
            | Form::Unsorted(..)
            | Form::Sorted(..)
            | Form::Samples(..)
            | Form::Ended => None,
        }
    }

    fn read(&mut self) -> std::result::Result<Option<Record>, Damage> {
        if let Form::Unsorted(..) = self.form
            && let Form::Unsorted(lines, format) = std::mem::replace(&mut self.form, Form::Ended)
        {
            let (records, damage) = match format {
                Format::Level2Log => log::read_sorted(*lines, &self.path),
                _ => jsonl::read_sorted(*lines),
            };
            self.form = Form::Sorted(records.into_iter(), damage, format);
        }
        match &mut self.form {
            Form::Tape(blocks) => blocks.read(),
            Form::Hft(lines) => {
                if !lines.advance()? {
                    return Ok(None);
                }
                hft::parse(lines.line()).map(Some).map_err(|what| lines.damage(what))
            }
            Form::Text(text) => text.read(),
            Form::Sorted(records, damage, _) => match records.next() {
                Some(record) => Ok(Some(record)),
                None => damage.take().map_or(Ok(None), Err),
            },
            Form::Samples(lines, number) => {
                if !lines.advance()? {
                    return Ok(None);
                }
                *number += 1;
                jsonl::parse_sample(lines.line(), *number).map(Some).map_err(|what| lines.damage(what))
            }
            Form::Unsorted(..) | Form::Ended => Ok(None),
        }
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("path", &self.path)
            .field("format", &self.format())
            .finish_non_exhaustive()
    }
}

impl Iterator for Reader {
    type Item = Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.read() {
            Ok(Some(record)) => Some(Ok(record)),
            Ok(None) => {
                self.form = Form::Ended;
                None
            }
            Err(damage) => {
                self.form = Form::Ended;
                Some(Err(damage.of(self.path.clone())))
            }
        }
    }
}

fn format_of(begin: &[u8]) -> Option<Format> {
    let torn_magic = !begin.is_empty() && MAGIC.starts_with(begin);
    if begin.starts_with(MAGIC) || torn_magic {
        Some(Format::Tape)
    } else if log::looks_so(begin) {
        Some(Format::Level2Log)
    } else if hft::looks_so(begin) {
        Some(Format::HftLines)
    } else if jsonl::looks_so(begin) {
        Some(Format::CryptofeedJsonl)
    } else if jsonl::looks_like_samples(begin) {
        Some(Format::Samples)
    } else if text::looks_so(begin) {
        Some(Format::CryptofeedText)
    } else {
        None
    }
}
