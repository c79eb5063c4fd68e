//! Which trades were told already, and which are missing.

use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashSet};
use model::{Body, Channel, Event, Instrument, InstrumentId, Proof, TradeId, Ts};
use source::Spec;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// How many ids that do not count by one are remembered of each lane.
const IDS_MAX: usize = 1_024;
/// How many holes of a lane are remembered.
const HOLES_MAX: usize = 64;
/// How long a number may come late before it counts as missing, in ms.
const LATE_MS: u64 = 2_000;
/// How long trades wait for one before them that another connection may bring, in ms.
const HOLD_MS: u64 = 300;
/// How many trades of a lane may wait.
const HOLD_MAX: usize = 4_096;
/// A number so far below the last one is no older trade: the venue counts from the start again.
const RESTART: u64 = 1_000_000;

type Key = (InstrumentId, Channel);

/// Trades that are missing from a lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Of what.
    pub instrument: Arc<Instrument>,
    /// `Trades` or `AggTrades`.
    pub channel: Channel,
    /// Their numbers, both included, where the venue's numbers count by one.
    pub ids: Option<(u64, u64)>,
    /// The venue's time of the last trade before the hole.
    pub from: Ts,
    /// The venue's time of the first one after it.
    pub to: Ts,
}

/// Which trades were told. No trade is told twice; where numbers count by one, those that are missing are known.
#[derive(Debug, Default)]
pub struct Prints {
    lanes: HashMap<Key, Told, FixedState>,
    /// Channels whose numbers count by one.
    sequenced: [bool; Channel::ALL.len()],
    /// Found, and not handed out yet.
    missing: Vec<Missing>,
    /// When [`Prints::tick`] has something to do.
    due: Option<Ts>,
}

#[derive(Debug)]
struct Told {
    instrument: Arc<Instrument>,
    last: Option<u64>,
    /// The venue's time of the newest trade.
    newest: Ts,
    /// Numbers below `last` that were not told, lowest first.
    holes: VecDeque<Hole>,
    /// Ids that do not count by one.
    ids: HashSet<TradeId, FixedState>,
    /// The same, oldest first.
    order: VecDeque<TradeId>,
    /// Trades that wait for one before them, and since when.
    held: BTreeMap<u64, Event>,
    held_since: Ts,
    /// The connection was lost since the newest trade.
    cut: bool,
}

#[derive(Clone, Copy, Debug)]
struct Hole {
    from: u64,
    to: u64,
    /// The venue's time before and after it.
    times: (Ts, Ts),
    since: Ts,
    /// Handed out as missing.
    told: bool,
}

impl Prints {
    /// Knows from the spec which numbers count by one.
    pub fn new(spec: &Spec) -> Self {
        let mut prints = Self::default();
        for channel in spec.channels.iter().filter(|c| c.proof == Proof::Sequence) {
            if let Some(sequenced) = prints.sequenced.get_mut(channel.channel as usize) {
                *sequenced = true;
            }
        }
        prints
    }

    /// Appends a trade, and others that waited for it; nothing where it is known. With `hold` a trade that comes too
    /// early waits for those before it. False where it is known.
    #[inline]
    pub fn on(&mut self, event: Event, hold: bool, out: &mut Vec<Event>) -> bool {
        let Body::Trade(trade) = &event.body else { return true };
        let now = event.stamp.ts_recv;
        let sequenced = self.sequenced.get(event.channel as usize).copied().unwrap_or(false);
        let key = (event.instrument.id, event.channel);
        let told = self.lanes.entry(key).or_insert_with(|| Told::new(&event.instrument));
        let number = match &trade.id {
            TradeId::Num(n) if sequenced => *n,
            id => {
                let new = told.note_id(id);
                if new {
                    told.after_cut(&event, &mut self.missing);
                    out.push(event);
                }
                return new;
            }
        };
        if let Some(last) = told.last.filter(|last| number == last.wrapping_add(1)) {
            // As it nearly always is.
            told.last = Some(last + 1);
            told.newest = told.newest.max(event.stamp.ts_event.unwrap_or(now));
            out.push(event);
            told.let_go(out);
            return true;
        }
        let early = told.last.is_some_and(|last| number > last);
        if hold && early && told.held.len() < HOLD_MAX {
            if told.held.is_empty() {
                told.held_since = now;
                self.due = Some(self.due.map_or(now, |due| due.min(now.plus_ms(HOLD_MS))));
            }
            return told.held.insert(number, event).is_none();
        }
        let new = told.note(number, &event, &mut self.missing);
        if new {
            out.push(event);
            self.due = Some(self.due.map_or(now, |due| due.min(now.plus_ms(LATE_MS))));
        }
        new
    }

    /// Whether a trade with this id was told, or waits to be.
    pub fn knows(&self, key: Key, id: &TradeId) -> bool {
        let Some(told) = self.lanes.get(&key) else { return false };
        let sequenced = self.sequenced.get(key.1 as usize).copied().unwrap_or(false);
        let TradeId::Num(number) = *id else { return told.ids.contains(id) };
        if !sequenced {
            return told.ids.contains(id);
        }
        let missing = |hole: &Hole| hole.from <= number && number <= hole.to;
        let past = |last: u64| number <= last && last - number < RESTART && !told.holes.iter().any(missing);
        told.last.is_some_and(past) || told.held.contains_key(&number)
    }

    /// A trade from the venue's history: true where it was missing.
    pub fn fill(&mut self, event: &Event) -> bool {
        let Body::Trade(trade) = &event.body else { return false };
        let Some(told) = self.lanes.get_mut(&(event.instrument.id, event.channel)) else { return false };
        match &trade.id {
            TradeId::Num(n) if self.sequenced.get(event.channel as usize).copied().unwrap_or(false) => {
                told.fill(*n)
            }
            id => told.note_id(id),
        }
    }

    /// The numbers between `ids` that are still missing.
    pub fn still_missing(&self, key: Key, ids: (u64, u64)) -> u64 {
        let Some(told) = self.lanes.get(&key) else { return 0 };
        let within = told.holes.iter().filter(|h| h.to >= ids.0 && h.from <= ids.1);
        within.map(|h| h.to.min(ids.1) - h.from.max(ids.0) + 1).sum()
    }

    /// No connection carries trades any more: the lanes whose loss no number will show, in an order that does not hang
    /// on luck.
    pub fn cut(&mut self) -> Vec<(Arc<Instrument>, Channel)> {
        let mut cut = Vec::new();
        for ((_, channel), told) in &mut self.lanes {
            if !self.sequenced.get(*channel as usize).copied().unwrap_or(false) && !told.cut {
                told.cut = true;
                cut.push((Arc::clone(&told.instrument), *channel));
            }
        }
        cut.sort_unstable_by_key(|(instrument, channel)| (instrument.id, *channel));
        cut
    }

    /// Forgets a lane.
    pub fn forget(&mut self, key: Key) {
        self.lanes.remove(&key);
    }

    /// Lets go what has waited long enough, and hands out what is missing.
    pub fn tick(&mut self, now: Ts, out: &mut Vec<Event>, missing: &mut Vec<Missing>) {
        missing.append(&mut self.missing);
        if self.due.is_none_or(|due| due > now) {
            return;
        }
        let mut due: Option<Ts> = None;
        let mut keys: Vec<Key> = self.lanes.keys().copied().collect();
        keys.sort_unstable();
        for key in keys {
            let sequenced = self.sequenced.get(key.1 as usize).copied().unwrap_or(false);
            let Some(told) = self.lanes.get_mut(&key).filter(|_| sequenced) else { continue };
            if !told.held.is_empty() && told.held_since.plus_ms(HOLD_MS) <= now {
                for (number, event) in std::mem::take(&mut told.held) {
                    if told.note(number, &event, missing) {
                        out.push(event);
                    }
                }
            }
            let held = (!told.held.is_empty()).then(|| told.held_since.plus_ms(HOLD_MS));
            let Told { instrument, holes, .. } = told;
            for hole in holes.iter_mut().filter(|h| !h.told && h.since.plus_ms(LATE_MS) <= now) {
                hole.told = true;
                missing.push(hole.missing(instrument, key.1));
            }
            let open = holes.iter().filter(|h| !h.told).map(|h| h.since.plus_ms(LATE_MS)).min();
            due = [due, held, open].into_iter().flatten().min();
        }
        self.due = due;
    }

    /// When [`Prints::tick`] has something to do.
    pub fn next_wake(&self) -> Option<Ts> {
        if self.missing.is_empty() { self.due } else { Some(Ts::default()) }
    }
}

impl Hole {
    fn missing(&self, instrument: &Arc<Instrument>, channel: Channel) -> Missing {
        let (from, to) = self.times;
        Missing { instrument: Arc::clone(instrument), channel, ids: Some((self.from, self.to)), from, to }
    }
}

impl Told {
    fn new(instrument: &Arc<Instrument>) -> Self {
        Self {
            instrument: Arc::clone(instrument),
            last: None,
            newest: Ts::default(),
            holes: VecDeque::new(),
            ids: HashSet::default(),
            order: VecDeque::new(),
            held: BTreeMap::new(),
            held_since: Ts::default(),
            cut: false,
        }
    }

    /// The first trade after a loss that no number shows.
    fn after_cut(&mut self, event: &Event, missing: &mut Vec<Missing>) {
        let ts = event.stamp.ts_event.unwrap_or(event.stamp.ts_recv);
        if std::mem::take(&mut self.cut) {
            let instrument = Arc::clone(&event.instrument);
            let (channel, from) = (event.channel, self.newest);
            missing.push(Missing { instrument, channel, ids: None, from, to: ts });
        }
        self.newest = self.newest.max(ts);
    }

    /// Remembers a number; false where it was told.
    fn note(&mut self, n: u64, event: &Event, missing: &mut Vec<Missing>) -> bool {
        let now = event.stamp.ts_recv;
        let ts = event.stamp.ts_event.unwrap_or(now);
        let Some(last) = self.last.filter(|last| n > *last || *last - n < RESTART) else {
            // The first, or the venue counts from the start again.
            self.holes.clear();
            (self.last, self.newest) = (Some(n), ts);
            return true;
        };
        if n <= last {
            return self.fill(n);
        }
        if n > last + 1 {
            if self.holes.len() >= HOLES_MAX
                && let Some(oldest) = self.holes.pop_front()
                && !oldest.told
            {
                missing.push(oldest.missing(&event.instrument, event.channel));
            }
            let times = (self.newest, ts);
            self.holes.push_back(Hole { from: last + 1, to: n - 1, times, since: now, told: false });
        }
        self.instrument = Arc::clone(&event.instrument);
        (self.last, self.newest) = (Some(n), self.newest.max(ts));
        true
    }

    /// Takes a number out of the holes; false where it is in none.
    fn fill(&mut self, n: u64) -> bool {
        let Some(at) = self.holes.iter().position(|h| h.from <= n && n <= h.to) else { return false };
        let Some(hole) = self.holes.remove(at) else { return false };
        if n < hole.to {
            self.holes.insert(at, Hole { from: n + 1, ..hole });
        }
        if n > hole.from {
            self.holes.insert(at, Hole { to: n - 1, ..hole });
        }
        true
    }

    /// Lets go those that waited for the last one.
    fn let_go(&mut self, out: &mut Vec<Event>) {
        while let Some(entry) = self.held.first_entry() {
            let last = self.last.unwrap_or_default();
            if *entry.key() > last + 1 {
                return;
            }
            let (n, event) = entry.remove_entry();
            if n == last + 1 {
                self.last = Some(n);
                self.newest = self.newest.max(event.stamp.ts_event.unwrap_or(event.stamp.ts_recv));
                out.push(event);
            }
        }
    }

    fn note_id(&mut self, id: &TradeId) -> bool {
        if !self.ids.insert(id.clone()) {
            return false;
        }
        if self.order.len() >= IDS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
        self.order.push_back(id.clone());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Flags, InstrumentKind, Px, Qty, SourceName, Stamp, Trade};

    fn print(id: TradeId, ms: i64) -> Event {
        let source: SourceName = "v";
        Event {
            source,
            instrument: Arc::new(Instrument::provisional(source, "", "X", InstrumentKind::Spot)),
            channel: Channel::Trades,
            flags: Flags::NONE,
            stamp: Stamp { ts_event: Some(Ts::from_ms(ms)), ts_recv: Ts::from_ms(ms) },
            body: Body::Trade(Trade { id, px: Px(1), qty: Qty(1), aggressor: None, count: 1 }),
        }
    }

    fn prints(sequenced: bool) -> Prints {
        let mut prints = Prints::default();
        prints.sequenced[Channel::Trades as usize] = sequenced;
        prints
    }

    fn number(event: &Event) -> u64 {
        match &event.body {
            Body::Trade(Trade { id: TradeId::Num(n), .. }) => *n,
            _ => panic!("no number"),
        }
    }

    fn passed(prints: &mut Prints, hold: bool, ids: &[u64]) -> Vec<u64> {
        let mut out = Vec::new();
        for id in ids {
            prints.on(print(TradeId::Num(*id), 0), hold, &mut out);
        }
        out.iter().map(number).collect()
    }

    #[test]
    fn a_number_is_told_once_and_one_that_comes_late_is_told_too() {
        let mut counted = prints(true);
        let ids = [10, 12, 10, 11, 11, 12, 13, 500, 13];
        assert_eq!(passed(&mut counted, false, &ids), [10, 12, 11, 13, 500]);
        assert_eq!(passed(&mut counted, false, &[5_000_000, 3, 4, 3]), [5_000_000, 3, 4]);
        // Numbers that do not count by one may be far apart, and come again all the same.
        let mut other = prints(false);
        let ids = [10, 5_000_000, 9_000_000, 10, 5_000_000, 7];
        assert_eq!(passed(&mut other, false, &ids), [10, 5_000_000, 9_000_000, 7]);
    }

    #[test]
    fn numbers_that_stay_away_are_missing_and_history_fills_each_once() {
        let mut prints = prints(true);
        passed(&mut prints, false, &[10, 13, 14, 12]);
        let (mut out, mut missing) = (Vec::new(), Vec::new());
        prints.tick(Ts::from_ms(1_999), &mut out, &mut missing);
        assert_eq!(missing, []);
        prints.tick(Ts::from_ms(2_000), &mut out, &mut missing);
        assert_eq!(missing.iter().map(|m| m.ids).collect::<Vec<_>>(), [Some((11, 11))]);
        let key = (missing[0].instrument.id, Channel::Trades);
        assert_eq!(prints.still_missing(key, (11, 11)), 1);
        let eleven = print(TradeId::Num(11), 0);
        assert_eq!([prints.fill(&eleven), prints.fill(&eleven)], [true, false]);
        assert_eq!(prints.still_missing(key, (11, 11)), 0);
        prints.tick(Ts::from_ms(60_000), &mut out, &mut missing);
        assert_eq!(missing.len(), 1, "told once");
    }

    #[test]
    fn with_several_connections_an_early_number_waits_for_those_before_it() {
        let mut prints = prints(true);
        assert_eq!(passed(&mut prints, true, &[1, 3, 4, 3, 2, 2, 7]), [1, 2, 3, 4]);
        let (mut out, mut missing) = (Vec::new(), Vec::new());
        prints.tick(Ts::from_ms(300), &mut out, &mut missing);
        assert_eq!(out.iter().map(number).collect::<Vec<_>>(), [7]);
        assert_eq!(passed(&mut prints, true, &[6, 8, 5]), [6, 8, 5]);
    }

    #[test]
    fn without_numbers_a_loss_is_a_stretch_of_time() {
        let mut prints = prints(false);
        let mut out = Vec::new();
        prints.on(print(TradeId::Text("a".into()), 1_000), false, &mut out);
        assert_eq!((prints.cut().len(), prints.cut().len()), (1, 0));
        prints.on(print(TradeId::Text("b".into()), 9_000), false, &mut out);
        let mut missing = Vec::new();
        prints.tick(Ts::default(), &mut out, &mut missing);
        let span = missing.iter().map(|m| (m.ids, m.from, m.to)).collect::<Vec<_>>();
        assert_eq!(span, [(None, Ts::from_ms(1_000), Ts::from_ms(9_000))]);
    }

    #[test]
    fn texts_are_told_once_as_long_as_they_are_remembered() {
        let mut prints = prints(false);
        let mut pass =
            |n: usize| prints.on(print(TradeId::Text(format!("t{n}").into()), 0), false, &mut Vec::new());
        assert!((0..=IDS_MAX).all(&mut pass));
        assert!(!pass(IDS_MAX) && !pass(1));
        assert!(pass(0), "forgotten");
    }
}
