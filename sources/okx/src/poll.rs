//! What the venue tells only by REST, asked for from time to time: how longs stand to shorts.

use crate::emit::event;
use crate::parse::{self, ms};
use crate::subscribe::{ARGS_MAX, RATIO};
use model::{Body, Channel, Decimal, Instrument, LaneFact, LongShortRatio, Ts};
use source::{Action, Cursor, Input, Malformed, Session, Shard, Want, What};
use std::sync::Arc;

/// How often a ratio is asked for; the venue counts one every five minutes.
const EVERY_MS: u64 = 120_000;
/// How far apart the first questions are, so that those of a full session are spread evenly.
const APART_MS: u64 = EVERY_MS / ARGS_MAX as u64;
/// The first pause after a question that failed; it doubles each time.
const RETRY_MS: u64 = 5_000;
/// How often it doubles.
const DOUBLINGS_MAX: u32 = 6;
/// The interval of the ratios that are asked for, venue-neutral and the venue's.
const RATIO_INTERVAL: &str = "5m";

/// The only timer.
const TIMER: u64 = 0;

/// The ratio of one instrument.
struct Polled {
    instrument: Arc<Instrument>,
    /// When to ask; `None` while an answer is on its way.
    due: Option<Ts>,
    /// The tag of the last question; `None` before the first.
    tag: Option<u64>,
    answered: bool,
    /// How many answers in a row could not be used.
    failed: u32,
    /// The time of the newest ratio that was told.
    newest: Option<Ts>,
}

impl Polled {
    fn tell(&self, ts: Option<Ts>, body: Body, now: Ts) -> Action {
        Action::Emit(event(&self.instrument, Channel::LongShortRatio, ts, now, body))
    }
}

/// A session that only asks by REST.
pub struct PollSession {
    open: bool,
    all: Vec<Polled>,
    tags: u64,
    armed: Option<Ts>,
}

impl PollSession {
    /// A session for a shard without a path.
    pub fn new(shard: &Shard) -> Self {
        let mut session = Self { open: false, all: Vec::new(), tags: 0, armed: None };
        session.add(&shard.wants, Ts::default());
        session
    }

    fn add(&mut self, wants: &[Want], now: Ts) {
        for want in wants.iter().filter(|w| w.channel == Channel::LongShortRatio) {
            if self.all.iter().any(|p| p.instrument.id == want.instrument.id) {
                continue;
            }
            let instrument = Arc::clone(&want.instrument);
            self.all.push(Polled {
                instrument,
                due: None,
                tag: None,
                answered: false,
                failed: 0,
                newest: None,
            });
        }
        if self.open {
            self.begin(now);
        }
    }

    /// Makes due what was never asked for, after what waits for its first question.
    fn begin(&mut self, now: Ts) {
        let first = |p: &&Polled| p.tag.is_none();
        let last = self.all.iter().filter(first).filter_map(|p| p.due).max();
        let mut at = last.map_or(now, |last| last.plus_ms(APART_MS).max(now));
        for polled in self.all.iter_mut().filter(|p| p.tag.is_none() && p.due.is_none()) {
            polled.due = Some(at);
            at = at.plus_ms(APART_MS);
        }
    }

    fn opened(&mut self, now: Ts) {
        (self.open, self.armed) = (true, None);
        for polled in &mut self.all {
            (polled.due, polled.tag, polled.answered, polled.failed) = (None, None, false, 0);
        }
        self.begin(now);
    }

    fn remove(&mut self, wants: &[Want], now: Ts, out: &mut Vec<Action>) {
        for want in wants.iter().filter(|w| w.channel == Channel::LongShortRatio) {
            let ours = self.all.iter().position(|p| p.instrument.id == want.instrument.id);
            if let Some(at) = ours {
                out.push(self.all.swap_remove(at).tell(None, Body::Lane(LaneFact::Dropped), now));
            }
        }
    }

    /// Asks for what is due, and to be woken for the rest.
    fn chores(&mut self, now: Ts, out: &mut Vec<Action>) {
        let mut fetches = Vec::new();
        for polled in self.all.iter_mut().filter(|p| p.due.is_some_and(|due| due <= now)) {
            polled.due = None;
            self.tags += 1;
            let first = polled.tag.replace(self.tags).is_none();
            if let (true, Some(spec)) = (first, crate::SPEC.channel(Channel::LongShortRatio)) {
                let fact = LaneFact::Asked { proof: spec.proof, quiet_ms: spec.quiet_ms };
                out.push(polled.tell(None, Body::Lane(fact), now));
            }
            let (symbol, period) = (&polled.instrument.symbol, RATIO_INTERVAL);
            let path =
                format!("/api/v5/rubik/stat/contracts/{RATIO}?instId={symbol}&period={period}&limit=1");
            fetches.push(Action::Fetch { tag: self.tags, path, weight: 1 });
        }
        let next = self.all.iter().filter_map(|p| p.due).min();
        if let Some(at) = next.filter(|at| self.armed.is_none_or(|armed| *at < armed)) {
            self.armed = Some(at);
            out.push(Action::WakeAt { timer: TIMER, at });
        }
        out.append(&mut fetches);
    }

    fn answer(
        &mut self,
        tag: u64,
        (status, retry_ms): (u16, u64),
        body: &[u8],
        now: Ts,
        out: &mut Vec<Action>,
    ) {
        let Some(polled) = self.all.iter_mut().find(|p| p.tag == Some(tag) && p.due.is_none()) else {
            out.push(Action::Control("an answer that nobody waits for"));
            return;
        };
        let read = (status == 200).then(|| ratio(body));
        let Some(Ok(newest)) = read else {
            polled.due = Some(now.plus_ms((RETRY_MS << polled.failed.min(DOUBLINGS_MAX)).max(retry_ms)));
            polled.failed += 1;
            out.push(match read {
                Some(Err(fault)) => Action::Malformed(fault),
                _ => Action::Control("a question that was not answered"),
            });
            return;
        };
        (polled.due, polled.failed) = (Some(now.plus_ms(EVERY_MS)), 0);
        if !std::mem::replace(&mut polled.answered, true) {
            out.push(polled.tell(None, Body::Lane(LaneFact::Acked), now));
        }
        if let Some((ts, ratio)) = newest.filter(|(ts, _)| polled.newest.is_none_or(|told| told < *ts)) {
            polled.newest = Some(ts);
            out.push(polled.tell(Some(ts), Body::LongShortRatio(Box::new(ratio)), now));
        }
    }
}

impl Session for PollSession {
    fn on(&mut self, input: Input<'_>, now: Ts, out: &mut Vec<Action>) {
        match input {
            Input::Open => self.opened(now),
            Input::Reply { tag: Some(tag), status, retry_ms, body, .. } => {
                self.answer(tag, (status, retry_ms.unwrap_or(0)), body, now, out);
            }
            Input::Wake { .. } => self.armed = None,
            Input::Subscribe(wants) => self.add(wants, now),
            Input::Unsubscribe(wants) => self.remove(wants, now, out),
            Input::Define(instrument) => {
                if let Some(polled) = self.all.iter_mut().find(|p| p.instrument.id == instrument.id) {
                    polled.instrument = Arc::clone(instrument);
                }
            }
            Input::Closed => self.open = false,
            Input::Frame { .. } => {
                let what = What::Rule("a session that polls hears no frames");
                out.push(Action::Malformed(Malformed { at: 0, what }));
            }
            Input::Resync { .. } | Input::Reply { tag: None, .. } => {}
        }
        if self.open {
            self.chores(now, out);
        }
    }
}

/// Reads an answer of `/api/v5/rubik/stat/contracts/long-short-account-ratio-contract`: rows of time, and accounts that
/// are long ÷ accounts that are short. Gives the newest.
///
/// `{"code":"0","msg":"","data":[["1760000100000","1.1739"]]}`
pub fn ratio(body: &[u8]) -> parse::Result<Option<(Ts, LongShortRatio)>> {
    let (mut newest, mut fine): (Option<(Ts, Decimal)>, _) = (None, false);
    let mut c = Cursor::new(body);
    c.object(|c, key| {
        match key {
            b"code" => fine = c.str()? == b"0",
            b"data" => c.array(|c| {
                let (mut ts, mut ratio, mut at) = (None, None, 0_u32);
                c.array(|c| {
                    match at {
                        0 => ts = ms(c)?,
                        1 => ratio = c.decimal_opt()?,
                        _ => {
                            c.skip()?;
                        }
                    }
                    at += 1;
                    Ok(())
                })?;
                let row = ts.zip(ratio).ok_or_else(|| c.fault(What::Missing("time and ratio")))?;
                newest = newest.filter(|held| held.0 >= row.0).or(Some(row));
                Ok(())
            })?,
            _ => {
                c.skip()?;
            }
        }
        Ok(())
    })?;
    c.end()?;
    if !fine {
        return Err(c.fault(What::Rule("the venue answered with an error")));
    }
    let (of, interval) = ("accounts".into(), RATIO_INTERVAL.into());
    Ok(newest.map(|(ts, ratio)| {
        (ts, LongShortRatio { of, interval, ratio: Some(ratio), long: None, short: None })
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use source::Options;

    const T0: Ts = Ts(1_760_000_000_000_000_000);

    fn want(symbol: &str) -> Want {
        let made = crate::listing::provisional(symbol.as_bytes()).unwrap();
        Want { instrument: Arc::new(made), channel: Channel::LongShortRatio }
    }

    struct Script {
        session: PollSession,
        now: Ts,
    }

    impl Script {
        fn open(symbols: &[&str]) -> (Self, Vec<Action>) {
            let wants = symbols.iter().map(|symbol| want(symbol)).collect();
            let shard = Shard { endpoint: 0, path: None, wants, options: Options::default() };
            let mut script = Self { session: PollSession::new(&shard), now: T0 };
            let out = script.on(Input::Open);
            (script, out)
        }

        fn on(&mut self, input: Input<'_>) -> Vec<Action> {
            let mut out = Vec::new();
            self.session.on(input, self.now, &mut out);
            out
        }

        fn after(&mut self, ms: u64) -> Vec<Action> {
            self.now = self.now.plus_ms(ms);
            self.on(Input::Wake { timer: TIMER })
        }

        fn reply(&mut self, tag: u64, status: u16, ms: u64) -> Vec<Action> {
            let body =
                format!(r#"{{"code":"0","msg":"","data":[["{ms}","1.25"],["{}","9"]]}}"#, ms - 300_000);
            let (tag, retry_ms) = (Some(tag), Some(9_000));
            self.on(Input::Reply { tag, path: "", status, retry_ms, body: body.as_bytes() })
        }
    }

    fn fetches(out: &[Action]) -> Vec<(u64, &str)> {
        fn fetch(action: &Action) -> Option<(u64, &str)> {
            match action {
                Action::Fetch { tag, path, .. } => Some((*tag, path)),
                _ => None,
            }
        }
        out.iter().filter_map(fetch).collect()
    }

    fn told(out: &[Action]) -> Vec<String> {
        let word = |action: &Action| {
            let Action::Emit(event) = action else { return None };
            let text = match &event.body {
                Body::Lane(LaneFact::Asked { .. }) => "asked".to_owned(),
                Body::Lane(LaneFact::Acked) => "acked".to_owned(),
                Body::Lane(LaneFact::Dropped) => "dropped".to_owned(),
                Body::LongShortRatio(told) => {
                    assert_eq!((&*told.of, &*told.interval, told.long), ("accounts", "5m", None));
                    format!("{} at {}", told.ratio.unwrap(), event.stamp.ts_event.unwrap().as_ms())
                }
                other => panic!("{other:?}"),
            };
            Some(format!("{} {text}", event.instrument.symbol))
        };
        out.iter().filter_map(word).collect()
    }

    const BTC: &str = "BTC-USDT-SWAP";

    #[test]
    fn a_ratio_is_asked_for_again_and_again_and_told_once() {
        let (mut script, out) = Script::open(&[BTC]);
        assert_eq!(told(&out), ["BTC-USDT-SWAP asked"]);
        let path = "/api/v5/rubik/stat/contracts/long-short-account-ratio-contract?instId=BTC-USDT-SWAP&period=5m&limit=1";
        assert_eq!(fetches(&out), [(1, path)]);
        let out = script.reply(1, 200, 300_000);
        assert_eq!(told(&out), ["BTC-USDT-SWAP acked", "BTC-USDT-SWAP 1.25 at 300000"]);
        assert!(fetches(&script.after(119_999)).is_empty());
        assert_eq!(fetches(&script.after(1)), [(2, path)]);
        assert!(told(&script.reply(2, 200, 300_000)).is_empty());
        script.after(120_000);
        assert_eq!(told(&script.reply(3, 200, 600_000)), ["BTC-USDT-SWAP 1.25 at 600000"]);
        script.on(Input::Closed);
        assert_eq!(told(&script.on(Input::Open)), ["BTC-USDT-SWAP asked"]);
        assert_eq!(told(&script.reply(4, 200, 600_000)), ["BTC-USDT-SWAP acked"]);
    }

    #[test]
    fn a_question_that_fails_waits_as_long_as_the_venue_says_and_ever_longer() {
        let (mut script, _) = Script::open(&[BTC]);
        let mut waits = Vec::new();
        for tag in 1..=5 {
            assert_eq!(
                script.reply(tag, 429, 300_000)[0],
                Action::Control("a question that was not answered")
            );
            let mut seconds = 0;
            while fetches(&script.after(1_000)).is_empty() {
                seconds += 1;
            }
            waits.push(seconds + 1);
        }
        assert_eq!(waits, [9, 10, 20, 40, 80]);
        let error = br#"{"code":"51001","msg":"Instrument ID does not exist","data":[]}"#;
        let out =
            script.on(Input::Reply { tag: Some(6), path: "", status: 200, retry_ms: None, body: error });
        assert!(matches!(out[..], [Action::Malformed(_), Action::WakeAt { .. }]), "{out:?}");
    }

    #[test]
    fn wants_begin_one_after_the_other_and_end_alone() {
        let (mut script, out) = Script::open(&[BTC, "ETH-USDT-SWAP"]);
        assert_eq!(told(&out), ["BTC-USDT-SWAP asked"], "those of a session are spread");
        let more = [want("SOL-USDT-SWAP"), want(BTC)];
        assert!(told(&script.on(Input::Subscribe(&more))).is_empty(), "nothing is asked for twice");
        assert_eq!(told(&script.after(500)), ["ETH-USDT-SWAP asked"]);
        assert_eq!(told(&script.on(Input::Unsubscribe(&more[1..]))), ["BTC-USDT-SWAP dropped"]);
        assert_eq!(script.reply(1, 200, 300_000), [Action::Control("an answer that nobody waits for")]);
        assert_eq!(told(&script.after(500)), ["SOL-USDT-SWAP asked"]);
        assert_eq!(told(&script.reply(2, 200, 300_000)).len(), 2);
        assert!(script.on(Input::Unsubscribe(&more[1..])).is_empty());
    }
}
