//! One side of a book: levels sorted from worst to best in short runs, so that a change anywhere moves few others.
//!
//! Most changes are near the best level, which is at the end of the last run.

use crate::Broken;
use model::{Level, Px, Qty};

/// How many levels a run holds before it is cut in two.
const RUN_MAX: usize = 128;

/// Neighbouring levels; price and quantity apart, so that a search touches prices only.
#[derive(Clone, Debug, Default)]
struct Run {
    /// Prices times the ladder's sign: they always rise.
    keys: Vec<i64>,
    qtys: Vec<Qty>,
}

/// All levels of a side.
#[derive(Clone, Debug)]
pub(crate) struct Ladder {
    /// The first key of each run.
    firsts: Vec<i64>,
    runs: Vec<Run>,
    len: usize,
    /// 1 where a higher price is better (bids), -1 where a lower one is (asks).
    sign: i64,
}

impl Ladder {
    pub(crate) const fn bids() -> Self {
        Self { firsts: Vec::new(), runs: Vec::new(), len: 0, sign: 1 }
    }

    pub(crate) const fn asks() -> Self {
        Self { firsts: Vec::new(), runs: Vec::new(), len: 0, sign: -1 }
    }

    pub(crate) fn reset(&mut self, levels: &[Level]) {
        let mut sorted: Vec<(i64, Qty)> =
            levels.iter().filter(|l| l.qty.0 > 0).map(|l| (l.px.0.wrapping_mul(self.sign), l.qty)).collect();
        sorted.sort_by_key(|(key, _)| *key);
        // Of a price that is named twice the later quantity counts; the sort is stable.
        sorted.dedup_by(|later, earlier| {
            let same = later.0 == earlier.0;
            if same {
                earlier.1 = later.1;
            }
            same
        });
        self.len = sorted.len();
        self.firsts.clear();
        self.runs.clear();
        for part in sorted.chunks(RUN_MAX / 2) {
            self.firsts.extend(part.first().map(|(key, _)| *key));
            let keys = part.iter().map(|(key, _)| *key).collect();
            let qtys = part.iter().map(|(_, qty)| *qty).collect();
            self.runs.push(Run { keys, qtys });
        }
    }

    /// The run that a key belongs to: the last one that begins at or before it.
    #[inline]
    fn run_of(&self, key: i64) -> usize {
        match self.firsts.last() {
            Some(last) if key < *last => self.firsts.partition_point(|first| *first <= key).saturating_sub(1),
            _ => self.firsts.len().saturating_sub(1),
        }
    }

    /// Puts a level in and gives the quantity that stood there, 0 where none did.
    #[inline]
    pub(crate) fn set(&mut self, level: Level) -> Result<Qty, Broken> {
        if level.qty.0 < 0 {
            return Err(Broken::Negative(level));
        }
        let key = level.px.0.wrapping_mul(self.sign);
        let at = self.run_of(key);
        let Some(run) = self.runs.get_mut(at) else {
            if level.qty.0 > 0 {
                self.firsts.push(key);
                self.runs.push(Run { keys: vec![key], qtys: vec![level.qty] });
                self.len = 1;
            }
            return Ok(Qty(0));
        };
        match run.keys.binary_search(&key) {
            Ok(place) if level.qty.0 == 0 => {
                run.keys.remove(place);
                let old = run.qtys.remove(place);
                self.len -= 1;
                self.shrunk(at, place);
                return Ok(old);
            }
            Ok(place) => {
                if let Some(qty) = run.qtys.get_mut(place) {
                    return Ok(std::mem::replace(qty, level.qty));
                }
            }
            Err(place) if level.qty.0 > 0 => {
                run.keys.insert(place, key);
                run.qtys.insert(place, level.qty);
                self.len += 1;
                self.grown(at, place, key);
            }
            Err(_) => {}
        }
        Ok(Qty(0))
    }

    /// Keeps the first keys right, and cuts a run that has become long.
    #[inline]
    fn grown(&mut self, at: usize, place: usize, key: i64) {
        if place == 0
            && let Some(first) = self.firsts.get_mut(at)
        {
            *first = key;
        }
        let Some(run) = self.runs.get_mut(at).filter(|run| run.keys.len() > RUN_MAX) else { return };
        let half = run.keys.len() / 2;
        let (keys, qtys) = (run.keys.split_off(half), run.qtys.split_off(half));
        self.firsts.insert(at + 1, keys.first().copied().unwrap_or(key));
        self.runs.insert(at + 1, Run { keys, qtys });
    }

    /// Keeps the first keys right, and drops a run that has become empty.
    #[inline]
    fn shrunk(&mut self, at: usize, place: usize) {
        if place > 0 {
            return;
        }
        let next = self.runs.get(at).and_then(|run| run.keys.first()).copied();
        if let (Some(next), Some(first)) = (next, self.firsts.get_mut(at)) {
            *first = next;
        } else {
            self.runs.remove(at);
            self.firsts.remove(at);
        }
    }

    /// Keeps the best `max` levels, hands out those that go, and says how many.
    #[inline]
    pub(crate) fn trim(&mut self, max: usize, mut gone: impl FnMut(Level)) -> usize {
        let over = self.len.saturating_sub(max);
        for _ in 0..over {
            if let Some(run) = self.runs.first_mut().filter(|run| !run.keys.is_empty()) {
                let px = Px(run.keys.remove(0).wrapping_mul(self.sign));
                gone(Level { px, qty: run.qtys.remove(0) });
                self.len -= 1;
                self.shrunk(0, 0);
            }
        }
        over
    }

    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(crate) fn best(&self) -> Option<Level> {
        let run = self.runs.last()?;
        Some(Level { px: Px(run.keys.last()?.wrapping_mul(self.sign)), qty: *run.qtys.last()? })
    }

    pub(crate) fn best_first(&self) -> impl Iterator<Item = Level> + '_ {
        let level = |(key, qty): (&i64, &Qty)| Level { px: Px(key.wrapping_mul(self.sign)), qty: *qty };
        self.runs.iter().rev().flat_map(|run| run.keys.iter().zip(&run.qtys).rev()).map(level)
    }
}
