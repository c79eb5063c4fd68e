//! When a simulated venue's market moves, and when its own clock ticks.

use crate::{SimAction, SimSetup};
use model::Ts;

/// The most moves made up for in one call, after which the rest of the time passes without any.
const MOVES_MAX: u32 = 200_000;
/// A clock that is further ahead than this was set anew: nothing happened in between.
const JUMP_MS: i64 = 3_600_000;

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beat {
    /// The market moves, at this time.
    Move(Ts),
    /// The venue's clock ticks, at this time, for so many times since it opened.
    Tick(Ts, u64),
}

/// Moves and ticks of a venue in order of time.
#[derive(Clone, Debug)]
pub struct Pulse {
    moves_per_s: u32,
    tick_ms: u64,
    paused: bool,
    /// Moves made since `moves_since`.
    moves: u64,
    moves_since: Ts,
    next_tick: Ts,
    ticks: u64,
    /// Moves made up for in this call.
    made: u32,
    last: Ts,
}

impl Pulse {
    /// Ticks every `tick_ms`; moves as the setup says.
    pub fn new(setup: &SimSetup, tick_ms: u64) -> Self {
        Self {
            moves_per_s: setup.moves_per_s,
            tick_ms,
            paused: false,
            moves: 0,
            moves_since: setup.start,
            next_tick: setup.start.plus_ms(tick_ms),
            ticks: 0,
            made: 0,
            last: setup.start,
        }
    }

    /// Whether the market stands still.
    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// The market stands still, or moves again from `now` on.
    pub fn pause(&mut self, paused: bool, now: Ts) {
        self.paused = paused;
        if !paused {
            (self.moves, self.moves_since) = (0, now);
        }
    }

    /// The next beat that is due by `now`; call until there is none.
    pub fn next(&mut self, now: Ts) -> Option<Beat> {
        if now != self.last {
            (self.last, self.made) = (now, 0);
        }
        if now.ms_since(self.next_tick) > JUMP_MS {
            self.next_tick = now;
            (self.moves, self.moves_since) = (0, now);
        }
        if let Some(at) = self.next_move().filter(|at| *at <= self.next_tick && *at <= now) {
            self.moves += 1;
            self.made += 1;
            if self.made <= MOVES_MAX {
                return Some(Beat::Move(at));
            }
            (self.moves, self.moves_since) = (0, now);
        }
        if self.next_tick > now {
            return None;
        }
        let at = self.next_tick;
        self.next_tick = at.plus_ms(self.tick_ms);
        self.ticks += 1;
        Some(Beat::Tick(at, self.ticks))
    }

    /// Asks to be woken for the next beat.
    pub fn wake(&self, out: &mut Vec<SimAction>) {
        let next = self.next_move().map_or(self.next_tick, |at| at.min(self.next_tick));
        out.push(SimAction::WakeAt(next));
    }

    /// When the next move is due; never while the market stands still.
    fn next_move(&self) -> Option<Ts> {
        if self.paused || self.moves_per_s == 0 {
            return None;
        }
        let ns = (u128::from(self.moves) + 1) * 1_000_000_000 / u128::from(self.moves_per_s);
        Some(Ts(self.moves_since.0.saturating_add(i64::try_from(ns).unwrap_or(i64::MAX))))
    }
}
