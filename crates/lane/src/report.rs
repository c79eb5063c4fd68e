//! From evidence to a state and a sentence.

use crate::{Evidence, LinkEvidence};
use model::ashare::{self, Phase};
use model::{Channel, Instrument, LinkId, Proof, SourceName, Ts};
use std::sync::Arc;

/// What a lane is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Data come as they should.
    Live,
    /// Nothing happens in the market; the connection carries other data.
    Quiet,
    /// The market is closed now, so nothing comes.
    Closed,
    /// Waiting for a snapshot.
    Syncing,
    /// Asked for; the venue has not answered yet.
    Asked,
    /// Continuity is lost and not yet restored.
    Gap,
    /// The venue agreed and never sent anything.
    Silent,
    /// Data came and stopped, though they should go on.
    Stale,
    /// The connection cannot be had.
    Blocked,
    /// The venue said no.
    Refused,
    /// Not wanted (any more).
    Off,
}

impl State {
    /// The name used in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Quiet => "quiet",
            Self::Closed => "closed",
            Self::Syncing => "syncing",
            Self::Asked => "asked",
            Self::Gap => "gap",
            Self::Silent => "silent",
            Self::Stale => "stale",
            Self::Blocked => "blocked",
            Self::Refused => "refused",
            Self::Off => "off",
        }
    }

    /// Whether nobody needs to look.
    pub const fn is_well(self) -> bool {
        matches!(self, Self::Live | Self::Quiet | Self::Closed | Self::Off)
    }
}

/// One lane's state at an instant.
#[derive(Clone, Debug)]
pub struct LaneReport {
    /// Who tells us.
    pub source: SourceName,
    /// Of what.
    pub instrument: Arc<Instrument>,
    /// Which kind of data.
    pub channel: Channel,
    /// What it is doing.
    pub state: State,
    /// The evidence, in words.
    pub words: String,
    /// How completeness can be shown.
    pub proof: Proof,
    /// When data last came.
    pub last_event: Option<Ts>,
    /// How many events came.
    pub events: u64,
    /// How many gaps there were.
    pub gaps: u64,
}

/// One connection's state at an instant.
#[derive(Clone, Debug)]
pub struct LinkReport {
    /// Whose.
    pub source: SourceName,
    /// Which.
    pub link: LinkId,
    /// To where.
    pub url: Box<str>,
    /// Whether it is open.
    pub up: bool,
    /// The evidence, in words.
    pub words: String,
    /// How often it was lost.
    pub losses: u64,
    /// Frames that could not be read.
    pub malformed: u64,
    /// Unknown fields and values.
    pub unknown: Vec<Box<str>>,
    /// How far the venue's clock is ahead of ours, and by how much that may be wrong, both in ns.
    pub clock: Option<(i64, u64)>,
}

/// What else is known of a lane's surroundings.
#[derive(Clone, Copy, Debug, Default)]
pub struct Neighbours<'a> {
    /// The connection that carries the lane.
    pub link: Option<&'a LinkEvidence>,
    /// When the same instrument last traded, from the same source.
    pub last_trade: Option<Ts>,
    /// How many events other lanes of the same instrument and source had.
    pub other_events: u64,
}

/// How long a venue may take to answer a subscription, in ms.
const ACK_MS: i64 = 10_000;
/// How long after the answer the first data may take, in ms.
const FIRST_DATA_MS: i64 = 60_000;
/// How long a connection may carry nothing but pings, in ms.
const LINK_SILENT_MS: i64 = 30_000;
/// How long a book may stand still while trades move, in ms.
const BOOK_STILL_MS: i64 = 10_000;
/// How far a venue's clock may be off before it is said, in ms.
const CLOCK_OFF_MS: u64 = 1_000;
/// After how long without an event a lane counts as quiet, in ms.
const QUIET_MS: i64 = 30_000;

impl Evidence {
    /// The lane's state at `now`, in words too.
    pub fn report(&self, around: Neighbours<'_>, now: Ts) -> LaneReport {
        let (mut state, mut words) = self.judge(around, now);
        if matches!(state, State::Quiet | State::Silent | State::Stale)
            && let Some(closed) = closed(&self.instrument, now)
        {
            (state, words) = (State::Closed, closed);
        }
        LaneReport {
            source: self.source,
            instrument: Arc::clone(&self.instrument),
            channel: self.channel,
            state,
            words,
            proof: self.proof,
            last_event: self.last_event,
            events: self.events,
            gaps: self.gaps,
        }
    }

    fn judge(&self, around: Neighbours<'_>, now: Ts) -> (State, String) {
        if self.dropped {
            return (State::Off, "no longer subscribed".to_owned());
        }
        if let Some(words) = &self.refused {
            return (State::Refused, format!("the venue refused: {words}"));
        }
        if let Some((since, why, retry)) = around.link.and_then(|l| l.down.as_ref()) {
            let again = retry.map_or_else(String::new, |ms| format!("; next try after {}", span(ms as i64)));
            return (State::Blocked, format!("no connection for {}: {why}{again}", age(*since, now)));
        }
        if let Some((since, cause)) = &self.gap {
            let waits = self.syncing.as_ref().map_or(String::new(), |(_, words)| format!("; {words}"));
            return (State::Gap, format!("gap ({}) for {}{waits}", cause.name(), age(*since, now)));
        }
        if let Some((since, words)) = &self.syncing {
            return (State::Syncing, format!("{words}, for {}", age(*since, now)));
        }
        match (self.asked, self.acked, self.last_event) {
            (_, _, Some(last)) => self.judge_fed(around, last, now),
            (_, Some(acked), None) => self.judge_unfed(around, acked, now),
            (Some(asked), None, None) => {
                let late = if now.ms_since(asked) > ACK_MS { ", no answer yet" } else { "" };
                (State::Asked, format!("asked {} ago{late}", age(asked, now)))
            }
            (None, None, None) => (State::Off, "never asked for".to_owned()),
        }
    }

    fn judge_unfed(&self, around: Neighbours<'_>, acked: Ts, now: Ts) -> (State, String) {
        let waited = now.ms_since(acked);
        let due = self.quiet_ms.map(|ms| i64::from(ms) * 3);
        let cadence_broken = due.is_some_and(|ms| waited > ms.max(ACK_MS));
        let others_move =
            self.channel != Channel::Liquidations && waited > FIRST_DATA_MS && around.other_events > 50;
        if cadence_broken || others_move {
            let words = format!("acknowledged {} ago and never fed", age(acked, now));
            return (State::Silent, words);
        }
        (State::Quiet, format!("acknowledged {} ago, nothing has happened yet", age(acked, now)))
    }

    fn judge_fed(&self, around: Neighbours<'_>, last: Ts, now: Ts) -> (State, String) {
        let silent = now.ms_since(last);
        let link_last = around.link.and_then(|l| l.last_frame.or(l.up)).map(|t| t.max(last));
        if let (Some(link), Some(frame)) = (around.link, link_last)
            && now.ms_since(frame) > LINK_SILENT_MS
            && self.channel != Channel::Instruments
        {
            let pings = link.last_ping.filter(|p| *p > frame);
            let how = pings.map_or(String::new(), |p| format!("; last ping {} ago", age(p, now)));
            return (
                State::Stale,
                format!("the connection has carried nothing for {}{how}", age(frame, now)),
            );
        }
        let is_book = matches!(self.channel, Channel::Book | Channel::BookTop | Channel::Quote);
        if is_book
            && silent > BOOK_STILL_MS
            && let Some(trade) = around.last_trade.filter(|t| t.ms_since(last) > BOOK_STILL_MS)
        {
            let words =
                format!("stands still for {} while trades move (last {} ago)", span(silent), age(trade, now));
            return (State::Stale, words);
        }
        if let Some(quiet) = self.quiet_ms.filter(|ms| silent > (i64::from(*ms) * 3).max(5_000)) {
            let words = format!("expected every {}, last {} ago", span(i64::from(quiet)), span(silent));
            return (State::Stale, words);
        }
        if silent > QUIET_MS && self.quiet_ms.is_none() {
            return (
                State::Quiet,
                format!("nothing for {}; the connection carries other data", span(silent)),
            );
        }
        (State::Live, format!("{} events, last {} ago", self.events, span(silent)))
    }
}

impl LinkEvidence {
    /// The connection's state at `now`, in words too.
    pub fn report(&self, source: SourceName, link: LinkId, now: Ts) -> LinkReport {
        let mut words = match (&self.up, &self.down) {
            (_, Some((since, why, retry))) => {
                let again =
                    retry.map_or_else(String::new, |ms| format!("; next try after {}", span(ms as i64)));
                format!("down for {}: {why}{again}", age(*since, now))
            }
            (Some(up), None) => {
                let frame = self
                    .last_frame
                    .map_or("no data yet".to_owned(), |t| format!("last data {} ago", age(t, now)));
                format!("up for {}, {frame}", age(*up, now))
            }
            (None, None) => "connecting".to_owned(),
        };
        if let Some((offset_ns, error_ns, _)) = self.clock {
            let off = offset_ns.unsigned_abs().saturating_sub(error_ns) / 1_000_000;
            if off > CLOCK_OFF_MS {
                let side = if offset_ns > 0 { "ahead of" } else { "behind" };
                words = format!("{words}; the venue's clock is {} {side} ours", span(off as i64));
            }
        }
        LinkReport {
            source,
            link,
            url: self.url.clone(),
            up: self.up.is_some(),
            words,
            losses: self.losses,
            malformed: self.malformed.0,
            unknown: self.unknown.clone(),
            clock: self.clock.map(|(offset, error, _)| (offset, error)),
        }
    }
}

/// Why the instrument does not trade at this time, in words; `None` where it does, or trades at all hours.
fn closed(instrument: &Instrument, now: Ts) -> Option<String> {
    let code = ashare::code(instrument)?;
    let calendar = ashare::calendar();
    let phase = calendar.phase_at(code.section(), now)?;
    if phase.moves() {
        return None;
    }
    Some(match phase {
        Phase::Closed => {
            let opens = calendar.next_open(now);
            let opens =
                opens.map_or_else(String::new, |at| format!(", the next day begins in {}", age(now, at)));
            format!("the market is closed{opens}")
        }
        _ => format!("nothing trades now ({})", phase.name()),
    })
}

fn age(since: Ts, now: Ts) -> String {
    span(now.ms_since(since))
}

/// A span of time as people say it.
fn span(ms: i64) -> String {
    match ms {
        ..1_000 => format!("{} ms", ms.max(0)),
        1_000..120_000 => format!("{} s", ms / 1_000),
        120_000..7_200_000 => format!("{} min", ms / 60_000),
        _ => format!("{} h", ms / 3_600_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Body, Event, Flags, GapCause, InstrumentKind, LaneFact, Px, Qty, Stamp, Trade, TradeId};

    fn event(at_ms: i64, channel: Channel, body: Body) -> Event {
        let instrument = Arc::new(Instrument::provisional("v", "", "AB", InstrumentKind::Spot));
        let stamp = Stamp { ts_event: None, ts_recv: Ts::from_ms(at_ms) };
        Event { source: "v", instrument, channel, flags: Flags::NONE, stamp, body }
    }

    fn lane(channel: Channel, bodies: Vec<(i64, Body)>) -> Evidence {
        let mut evidence = Evidence::new(&event(0, channel, Body::Instrument));
        for (at, body) in bodies {
            evidence.on(&event(at, channel, body));
        }
        evidence
    }

    fn asked() -> (i64, Body) {
        (0, Body::Lane(LaneFact::Asked { proof: Proof::Sequence, quiet_ms: None }))
    }

    fn trade(at: i64) -> (i64, Body) {
        let trade = Trade { id: TradeId::Num(1), px: Px(1), qty: Qty(1), aggressor: None, count: 1 };
        (at, Body::Trade(trade))
    }

    fn state(lane: &Evidence, around: Neighbours<'_>, at_ms: i64) -> (State, String) {
        lane.judge(around, Ts::from_ms(at_ms))
    }

    #[test]
    fn acked_and_never_fed_is_silent_once_the_instrument_moves_elsewhere() {
        let lane = lane(Channel::Trades, vec![asked(), (100, Body::Lane(LaneFact::Acked))]);
        let around = Neighbours { other_events: 500, ..Neighbours::default() };
        assert_eq!(state(&lane, around, 30_000).0, State::Quiet);
        let (is, words) = state(&lane, around, 70_100);
        assert_eq!((is, words.as_str()), (State::Silent, "acknowledged 70 s ago and never fed"));
    }

    #[test]
    fn a_share_is_not_stale_when_its_market_is_closed() {
        let code = ashare::Code::parse("600519.SH").unwrap();
        let share = Arc::new(ashare::instrument(code, ""));
        // Friday, and the Saturday after it, at 10:00 in Beijing.
        let (friday, saturday) = (Ts::from_ms(1_795_140_000_000), Ts::from_ms(1_795_226_400_000));
        let fed = |at: Ts| {
            let mut lane = lane(Channel::DayStats, Vec::new());
            lane.instrument = Arc::clone(&share);
            (lane.quiet_ms, lane.last_event) = (Some(3_000), Some(Ts(at.0 - 60_000_000_000)));
            lane.report(Neighbours::default(), at)
        };
        assert_eq!(fed(friday).state, State::Stale);
        let closed = fed(saturday);
        assert_eq!(closed.state, State::Closed);
        assert_eq!(closed.words, "the market is closed, the next day begins in 47 h");
    }

    #[test]
    fn a_book_that_stands_still_while_trades_move_is_stale_and_says_so() {
        let book = lane(Channel::Book, vec![asked(), (100, Body::Instrument)]);
        let around = Neighbours { last_trade: Some(Ts::from_ms(14_900)), ..Neighbours::default() };
        let (is, words) = state(&book, around, 15_100);
        assert_eq!(is, State::Stale);
        assert_eq!(words, "stands still for 15 s while trades move (last 200 ms ago)");
        assert_eq!(state(&book, Neighbours::default(), 15_100).0, State::Live);
    }

    fn around(link: &LinkEvidence) -> Neighbours<'_> {
        Neighbours { link: Some(link), ..Neighbours::default() }
    }

    #[test]
    fn a_socket_that_pings_and_carries_nothing_is_told_apart_from_a_quiet_market() {
        let trades = lane(Channel::Trades, vec![asked(), trade(100)]);
        let mut link = LinkEvidence { up: Some(Ts(0)), ..LinkEvidence::default() };
        link.last_frame = Some(Ts::from_ms(49_000));
        link.last_ping = Some(Ts::from_ms(49_500));
        assert_eq!(state(&trades, around(&link), 50_000).0, State::Quiet);
        link.last_frame = Some(Ts::from_ms(1_000));
        let (is, words) = state(&trades, around(&link), 50_000);
        assert_eq!(is, State::Stale);
        assert_eq!(words, "the connection has carried nothing for 49 s; last ping 500 ms ago");
    }

    #[test]
    fn a_gap_a_refusal_and_a_lost_connection_each_say_why() {
        let gap = model::Gap { cause: GapCause::Sequence, from_seq: Some(1), to_seq: Some(3) };
        let book = lane(Channel::Book, vec![asked(), (50, Body::Instrument), (1_000, Body::Gap(gap))]);
        assert_eq!(state(&book, Neighbours::default(), 3_000).1, "gap (sequence) for 2 s");
        let refused =
            lane(Channel::Book, vec![asked(), (50, Body::Lane(LaneFact::Refused("60018 no such".into())))]);
        assert_eq!(state(&refused, Neighbours::default(), 100).1, "the venue refused: 60018 no such");
        let down = (Ts(0), "connection refused".into(), Some(4_000));
        let link = LinkEvidence { down: Some(down), ..LinkEvidence::default() };
        let (is, words) = state(&book, Neighbours { link: Some(&link), ..Neighbours::default() }, 5_000);
        assert_eq!(is, State::Blocked);
        assert_eq!(words, "no connection for 5 s: connection refused; next try after 4 s");
    }

    #[test]
    fn a_channel_with_a_cadence_is_stale_when_it_misses_it() {
        let body = Body::Lane(LaneFact::Asked { proof: Proof::None, quiet_ms: Some(1_000) });
        let mark = lane(Channel::MarkPrice, vec![(0, body), (10, Body::Instrument)]);
        assert_eq!(state(&mark, Neighbours::default(), 4_000).0, State::Live);
        assert_eq!(state(&mark, Neighbours::default(), 20_000).1, "expected every 1 s, last 19 s ago");
    }
}
