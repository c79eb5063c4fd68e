//! What goes wrong, as the seed has it.

use super::{Arrival, Due, World};
use source::{Peer, SimControl, SimInput};

impl World<'_> {
    /// A frame on its way, and what may happen to it.
    pub(super) fn deliver(&mut self, peer: Peer, mut bytes: Vec<u8>, binary: bool) {
        let fault = if self.faulty && self.may_suffer(peer) { self.rng.u16(0..1_000) } else { 1_000 };
        match fault {
            0..4 => return self.count("drop"),
            4..8 => {
                self.count("repeat");
                self.send(peer, Arrival::Frame(bytes.clone(), binary));
            }
            8..11 => {
                self.count("reorder");
                if let Some(wire) = self.wires.get_mut(&peer)
                    && wire.swapped.is_none()
                {
                    wire.swapped = Some(Arrival::Frame(bytes, binary));
                    return;
                }
            }
            11..13 => {
                self.count("corrupt");
                let at = self.rng.usize(0..bytes.len().max(1));
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = 0xff;
                }
            }
            13..15 => {
                self.count("truncate");
                bytes.truncate(self.rng.usize(0..bytes.len().max(1)));
            }
            _ => {}
        }
        self.send(peer, Arrival::Frame(bytes, binary));
        if let Some(before) = self.wires.get_mut(&peer).and_then(|wire| wire.swapped.take()) {
            self.send(peer, before);
        }
    }

    /// Whether faults may befall a connection: any, or of those that carry the same only the one by the first name.
    fn may_suffer(&self, peer: Peer) -> bool {
        let first = |wire: &super::Wire| wire.owner.1.link.0.is_multiple_of(self.width);
        !self.one_side || self.wires.get(&peer).is_some_and(first)
    }

    pub(super) fn count(&mut self, kind: &'static str) {
        *self.injected.entry(kind).or_default() += 1;
    }

    /// A fault of the whole: a connection, the venue, or the clock.
    pub(super) fn strike(&mut self) {
        if !self.faulty {
            return;
        }
        let next = self.rng.u64(self.strike_ms.0..self.strike_ms.1);
        self.later(next, Due::Fault);
        let mut peers: Vec<Peer> = self.wires.keys().copied().collect();
        peers.retain(|peer| self.may_suffer(*peer));
        let pick = self.rng.usize(0..peers.len().max(1));
        let peer = peers.get(pick).copied();
        let mut said = Vec::new();
        // What befalls the venue or the clock befalls every connection.
        let kinds = if self.one_side { 2 } else { 8 };
        match (self.rng.u8(0..kinds), peer) {
            (0, Some(peer)) => {
                self.count("cut");
                self.sim.on(SimInput::Closed { peer }, self.now, &mut said);
                self.send(peer, Arrival::Closed("the connection was reset".to_owned()));
                self.part(peer);
            }
            (1, Some(peer)) => {
                self.count("stall");
                let ms = self.rng.u64(2_000..90_000);
                if let Some(wire) = self.wires.get_mut(&peer) {
                    wire.stalled.get_or_insert_default();
                }
                self.later(ms, Due::Release(peer));
            }
            (2, _) => {
                self.count("late snapshot");
                let events = self.rng.u32(1..20);
                self.sim.control(SimControl::LateSnapshots(events), self.now, &mut said);
            }
            (3, _) => {
                self.count("rate limit");
                let times = self.rng.u32(1..4);
                self.sim.control(SimControl::RateLimit(times), self.now, &mut said);
            }
            (4, _) => {
                self.count("refusal");
                let times = self.rng.u32(1..3);
                self.sim.control(SimControl::RefuseSubscriptions(times), self.now, &mut said);
            }
            (5, _) => {
                self.count("clock jump");
                self.skew_ms = if self.skew_ms == 0 { self.rng.i64(-3_600_000..3_600_000) } else { 0 };
            }
            (6, _) => {
                self.count("close all");
                self.sim.control(SimControl::CloseAll, self.now, &mut said);
            }
            _ => {}
        }
        self.hear(said);
    }

    /// Takes back what would go on after the faults.
    pub(super) fn heal(&mut self) {
        let stalled: Vec<Peer> =
            self.wires.iter().filter(|(_, w)| w.stalled.is_some()).map(|(peer, _)| *peer).collect();
        for peer in stalled {
            self.release(peer);
        }
        let mut said = Vec::new();
        self.sim.control(SimControl::RateLimit(0), self.now, &mut said);
        self.sim.control(SimControl::RefuseSubscriptions(0), self.now, &mut said);
        self.sim.control(SimControl::LateSnapshots(0), self.now, &mut said);
        self.hear(said);
        self.skew_ms = 0;
    }

    pub(super) fn release(&mut self, peer: Peer) {
        let held = self.wires.get_mut(&peer).and_then(|wire| wire.stalled.take());
        for arrival in held.unwrap_or_default() {
            self.send(peer, arrival);
        }
        if self.wires.get(&peer).is_some_and(|wire| wire.over) {
            self.wires.remove(&peer);
        }
    }
}
