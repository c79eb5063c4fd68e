//! Which quotes are asked for, and where the answers go.

use crate::NAME;
use crate::quotes::quote;
use model::ashare::{self, Code};
use model::{Instrument, InstrumentId, SourceName};
use source::poll::{Asks, Question, Told};
use source::web::assignments;
use source::{Malformed, Options, Want};
use std::collections::BTreeSet;

/// How many codes are asked for at once.
const CODES_MAX: usize = 50;
/// How often; the exchanges make a new picture every 3 s.
const QUOTES_MS: u64 = 3_000;

/// The sessions' questions and answers.
#[derive(Clone, Copy, Debug)]
pub struct SinaAsks;

/// How the source spells an instrument: `sh600519`; `None` where it is none of the three exchanges'.
pub fn spelled(instrument: &Instrument) -> Option<String> {
    ashare::code(instrument).map(|code| format!("{}{}", code.market.prefix(), code.digits()))
}

/// The id of what a code names.
pub fn id(code: Code) -> InstrumentId {
    InstrumentId::of(code.market.venue(), "", code.digits())
}

impl Asks for SinaAsks {
    fn source(&self) -> SourceName {
        NAME
    }

    fn questions(&mut self, wants: &[Want], _options: &Options) -> Vec<Question> {
        let codes: BTreeSet<String> = wants.iter().filter_map(|want| spelled(&want.instrument)).collect();
        let codes: Vec<String> = codes.into_iter().collect();
        let ask = |part: &[String]| Question {
            path: format!("/list={}", part.join(",")),
            weight: 1,
            every_ms: QUOTES_MS,
        };
        codes.chunks(CODES_MAX).map(ask).collect()
    }

    /// Quotes come in any order; of codes that are not known the text is empty.
    fn read(&mut self, path: &str, body: &[u8], told: &mut Told<'_>) -> Result<Option<String>, Malformed> {
        let asked = path.rsplit_once("list=").map_or("", |(_, codes)| codes);
        let mut missing: BTreeSet<&str> = asked.split(',').filter(|code| !code.is_empty()).collect();
        assignments(body, "var hq_str_", |one| {
            let (name, value) = match one {
                // So it answers for a code that it does not know.
                Ok((_, b"")) => return,
                Ok(one) => one,
                Err(fault) => return told.bad(fault),
            };
            missing.remove(name);
            match quote(name, value) {
                Ok((code, quote)) => {
                    let title = quote.title.clone();
                    told.quote(id(code), quote, || ashare::instrument(code, &title));
                }
                Err(fault) => told.bad(fault),
            }
        })?;
        for code in missing.into_iter().filter_map(|name| Code::parse(name).ok()) {
            told.refuse(id(code), "the source does not know this code");
        }
        Ok(None)
    }
}
