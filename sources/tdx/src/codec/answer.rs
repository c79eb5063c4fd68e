//! What can be answered.

use super::bars::{self, Bar};
use super::corporate::{Changes, Finance, Story, Title};
use super::files::{self, FileMeta};
use super::list::{Listed, ListedOld};
use super::minutes::{self, Minute, MinutesHead};
use super::query::{Code, Query};
use super::quotes::{self, HIDE, Head, Quote, Refreshed, Top};
use super::session::{self, Hello};
use super::trades::{self, Auction, Kind, Trade};
use super::walk::{Reader, Result, Walk, Writer};
use source::{Malformed, What};

/// What two bytes in front of quotes say is not understood; servers send one of a few numbers.
const QUOTES_MARK: u16 = 0x0501;

/// What servers answer since July 2026 to a command that they refuse has two bytes: how many records, and none.
const STUB_BYTES: usize = 2;
/// The words for it.
pub const STUB: Malformed =
    Malformed { at: 0, what: What::Rule("a stub of two bytes: the server refuses this command") };

/// The answer to a [`Query`].
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// To [`Query::Hello`].
    Hello(Box<Hello>),
    /// To [`Query::Login`]: a text of the broker, not read.
    Login(Vec<u8>),
    /// To [`Query::Heartbeat`]: the last trading day, YYYYMMDD.
    Heartbeat(u32),
    /// To [`Query::Count`].
    Count(u16),
    /// To [`Query::ListOld`].
    ListOld(Vec<ListedOld>),
    /// To [`Query::List`].
    List(Vec<Listed>),
    /// To [`Query::Quotes`].
    Quotes(Vec<Quote>),
    /// To [`Query::Quote`]: prices and quantities, and the whole record where what follows them is one of `053e` to its end.
    Quote(Box<Head>, Option<Box<Quote>>),
    /// To [`Query::Tops`].
    Tops(Vec<Top>),
    /// To [`Query::Refresh`].
    Refreshed(Vec<Refreshed>),
    /// To [`Query::Bars`] and [`Query::BarsPlain`].
    Bars(Vec<Bar>),
    /// To [`Query::Minutes`].
    Minutes(Vec<Minute>),
    /// To [`Query::MinutesOld`]; the head is missing from servers of 2017.
    MinutesOld(Option<Box<MinutesHead>>, Vec<Minute>),
    /// To [`Query::MinutesOf`]: the close before, in yuan, and the rows.
    MinutesOf(f32, Vec<Minute>),
    /// To [`Query::MinutesRecent`]: two prices, in yuan, and the rows.
    MinutesRecent([f32; 2], Vec<Minute>),
    /// To [`Query::Trades`], [`Query::TradesOf`] and [`Query::TradesCounted`]: the close before, in yuan (0 of today), and a page.
    Trades(f32, Vec<Trade>),
    /// To [`Query::Auction`].
    Auction(Vec<Auction>),
    /// To [`Query::Actions`]: perhaps of the first codes alone.
    Actions(Vec<Changes>),
    /// To [`Query::Finance`].
    Finance(Vec<Finance>),
    /// To [`Query::FileMeta`].
    FileMeta(FileMeta),
    /// To [`Query::FilePart`].
    FilePart(Vec<u8>),
    /// To [`Query::Company`].
    Company(Vec<Title>),
    /// To [`Query::CompanyText`].
    CompanyText(Story),
}

/// What was read of a body.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// The answer. Where a fault ended it, what came before.
    pub answer: Answer,
    /// What could not be read.
    pub faults: Vec<Malformed>,
    /// How many bytes follow the end of what is known.
    pub left: usize,
}

impl Answer {
    /// What [`Answer::walk`] is to fill.
    fn blank(query: &Query, body: &[u8]) -> Self {
        match query {
            Query::Hello(_) => Self::Hello(Box::default()),
            Query::Login(_) => Self::Login(Vec::new()),
            Query::Heartbeat => Self::Heartbeat(0),
            Query::Count(..) => Self::Count(0),
            Query::ListOld(..) => Self::ListOld(Vec::new()),
            Query::List(..) => Self::List(Vec::new()),
            Query::Quotes(_) => Self::Quotes(Vec::new()),
            Query::Quote(_) => Self::Quote(Box::default(), None),
            Query::Tops(_) => Self::Tops(Vec::new()),
            Query::Refresh(_) => Self::Refreshed(Vec::new()),
            Query::Bars(_) | Query::BarsPlain(_) => Self::Bars(Vec::new()),
            Query::Minutes(_) => Self::Minutes(Vec::new()),
            Query::MinutesOld(code) => {
                Self::MinutesOld(minutes::has_head(body, *code).then(Box::default), Vec::new())
            }
            Query::MinutesOf(..) => Self::MinutesOf(0.0, Vec::new()),
            Query::MinutesRecent(..) => Self::MinutesRecent([0.0; 2], Vec::new()),
            Query::Trades(..) | Query::TradesOf(..) | Query::TradesCounted(..) => {
                Self::Trades(0.0, Vec::new())
            }
            Query::Auction(..) => Self::Auction(Vec::new()),
            Query::Actions(_) => Self::Actions(Vec::new()),
            Query::Finance(_) => Self::Finance(Vec::new()),
            Query::FileMeta(_) => Self::FileMeta(FileMeta::default()),
            Query::FilePart(..) => Self::FilePart(Vec::new()),
            Query::Company(_) => Self::Company(Vec::new()),
            Query::CompanyText(..) => Self::CompanyText(Story::default()),
        }
    }

    fn walk(&mut self, query: &Query, walk: &mut impl Walk) -> Result {
        match self {
            Self::Hello(hello) => hello.walk(walk),
            Self::Login(bytes) => {
                walk.rest(bytes);
                Ok(())
            }
            Self::Heartbeat(day) => session::heartbeat(walk, day),
            Self::Count(count) => walk.u16(count),
            Self::ListOld(all) => walk.counted(all, |walk, one: &mut ListedOld| one.walk(walk)),
            Self::List(all) => walk.counted(all, |walk, one: &mut Listed| one.walk(walk)),
            Self::Quotes(all) => {
                walk.u16(&mut { QUOTES_MARK })?;
                walk.counted(all, |walk, one: &mut Quote| one.walk(walk))
            }
            Self::Quote(_, Some(whole)) => whole.walk(walk),
            Self::Quote(head, None) => head.walk(walk),
            Self::Tops(all) => {
                walk.u16(&mut { QUOTES_MARK })?;
                walk.counted(all, |walk, one: &mut Top| one.walk(walk))
            }
            Self::Refreshed(all) => walk.counted(all, |walk, one: &mut Refreshed| one.walk(walk)),
            Self::Bars(all) => {
                let (Query::Bars(asked) | Query::BarsPlain(asked)) = query else { return Ok(()) };
                let plain = matches!(query, Query::BarsPlain(_));
                bars::walk(walk, all, plain, is_index(asked.code))
            }
            Self::Minutes(all) => minutes::today(walk, all),
            Self::MinutesOld(head, all) => minutes::old(walk, head.as_deref_mut(), all),
            Self::MinutesOf(prev_close, all) => minutes::of_date(walk, prev_close, all),
            Self::MinutesRecent(before, all) => minutes::recent(walk, before, all),
            Self::Trades(prev_close, all) => {
                let kind = match query {
                    Query::TradesOf(..) => Kind::OfDate,
                    Query::TradesCounted(..) => Kind::Counted,
                    _ => Kind::Today,
                };
                trades::walk(walk, kind, prev_close, all)
            }
            Self::Auction(all) => walk.counted(all, |walk, one: &mut Auction| one.walk(walk)),
            Self::Actions(all) => walk.counted(all, |walk, one: &mut Changes| one.walk(walk)),
            Self::Finance(all) => walk.counted(all, |walk, one: &mut Finance| one.walk(walk)),
            Self::FileMeta(meta) => meta.walk(walk),
            Self::FilePart(bytes) => files::part(walk, bytes),
            Self::Company(all) => walk.counted(all, |walk, one: &mut Title| one.walk(walk)),
            Self::CompanyText(story) => story.walk(walk),
        }
    }

    /// Reads the body of an answer to `query`.
    pub fn read(query: &Query, body: &[u8]) -> Decoded {
        let mut read = match query {
            Query::Quotes(asked) => {
                Self::read_quotes(body, asked, Self::Quotes, |reader, one: &mut Quote| one.walk(reader))
            }
            Query::Tops(asked) => {
                Self::read_quotes(body, asked, Self::Tops, |reader, one: &mut Top| one.walk(reader))
            }
            Query::Quote(_) => Self::read_quote(body),
            Query::Refresh(_) => {
                let shown: Vec<u8> = body.iter().map(|byte| byte ^ HIDE).collect();
                Self::read_plain(query, &shown)
            }
            _ => Self::read_plain(query, body),
        };
        if body.len() == STUB_BYTES && !read.faults.is_empty() {
            read.faults = vec![STUB];
        }
        read
    }

    fn read_plain(query: &Query, body: &[u8]) -> Decoded {
        let (mut reader, mut answer) = (Reader::new(body), Self::blank(query, body));
        let faults: Vec<Malformed> = answer.walk(query, &mut reader).err().into_iter().collect();
        let left = if faults.is_empty() { reader.remaining().len() } else { 0 };
        Decoded { answer, faults, left }
    }

    fn read_quotes<T: Default>(
        body: &[u8],
        asked: &[Code],
        made: impl FnOnce(Vec<T>) -> Self,
        item: impl FnMut(&mut Reader<'_>, &mut T) -> Result,
    ) -> Decoded {
        let (mut reader, mut count) = (Reader::new(body), 0);
        if let Err(fault) = reader.u16(&mut 0).and_then(|()| reader.u16(&mut count)) {
            return Decoded { answer: made(Vec::new()), faults: vec![fault], left: 0 };
        }
        let (all, faults) = quotes::records(&mut reader, count, asked, item);
        let left = if faults.is_empty() { reader.remaining().len() } else { 0 };
        Decoded { answer: made(all), faults, left }
    }

    /// The end of `0530` is told nowhere. Where it is that of `053e`, its last number is that of its head, as in every recorded
    /// quote; else nothing is told from it.
    fn read_quote(body: &[u8]) -> Decoded {
        let (mut reader, mut whole) = (Reader::new(body), Box::<Quote>::default());
        if whole.walk(&mut reader).is_ok()
            && reader.remaining().is_empty()
            && whole.active == whole.head.active
        {
            let faults = quotes::zeros(&whole.head).into_iter().collect();
            let head = Box::new(whole.head);
            return Decoded { answer: Self::Quote(head, Some(whole)), faults, left: 0 };
        }
        let (mut reader, mut head) = (Reader::new(body), Box::<Head>::default());
        let fault = head.walk(&mut reader).err().or_else(|| quotes::zeros(&head));
        let left = if fault.is_none() { reader.remaining().len() } else { 0 };
        Decoded { answer: Self::Quote(head, None), faults: fault.into_iter().collect(), left }
    }

    /// The body of this answer to `query`.
    ///
    /// # Errors
    /// Where a number does not fit its place.
    pub fn body(&self, query: &Query) -> Result<Vec<u8>> {
        let mut writer = Writer::default();
        self.clone().walk(query, &mut writer)?;
        if matches!(query, Query::Refresh(_)) {
            writer.0.iter_mut().for_each(|byte| *byte ^= HIDE);
        }
        Ok(writer.0)
    }
}

impl Decoded {
    /// The answer, where all of it could be read.
    ///
    /// # Errors
    /// The first fault.
    pub fn whole(self) -> Result<Answer> {
        self.faults.first().map_or(Ok(self.answer), |fault| Err(*fault))
    }
}

/// Whether bars of a code carry how many rose and fell: the indices of each market.
pub fn is_index(code: Code) -> bool {
    let begins: &[&str] = match code.market {
        0 => &["395", "399"],
        1 => &["000", "880", "881", "999"],
        _ => &["899"],
    };
    begins.iter().any(|begin| code.text().starts_with(begin))
}
