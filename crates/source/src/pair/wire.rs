//! What goes to and fro between the two ends.

use super::{Answer, Fate, Flying, Pair};
use crate::{Action, Fault, Input, Peer, SimAction, SimInput};

impl Pair {
    /// Tells the venue something and follows what it does.
    pub(super) fn told(&mut self, input: SimInput<'_>) {
        let mut out = Vec::new();
        self.sim.on(input, self.now, &mut out);
        self.venue(out);
    }

    /// Opens a connection whose time has come.
    pub(super) fn open(&mut self, at: usize) {
        let Some(link) = self.links.get_mut(at) else { return };
        if link.reopen_at.is_none_or(|when| when > self.now) {
            return;
        }
        link.reopen_at = None;
        if link.shard.wants.is_empty() {
            return;
        }
        self.peers += 1;
        link.peer = Peer(self.peers);
        link.session = Some(self.source.session(&link.shard));
        let (peer, endpoint, path) = (link.peer, link.shard.endpoint, link.shard.path.clone());
        let mut out = Vec::new();
        if let Some(path) = path {
            self.sim.on(SimInput::Open { peer, endpoint, path: &path }, self.now, &mut out);
        }
        self.tell(at, Input::Open);
        self.venue(out);
    }

    /// Wakes a session whose timers have come.
    pub(super) fn ring(&mut self, at: usize) {
        let Some(link) = self.links.get_mut(at) else { return };
        let now = self.now;
        let due: Vec<u64> = link.timers.iter().filter(|(_, when)| **when <= now).map(|(t, _)| *t).collect();
        for timer in due {
            // An earlier one of them may have set it anew, or ended the connection.
            let rung = self.links.get_mut(at).and_then(|l| match l.timers.get(&timer) {
                Some(when) if *when <= now => l.timers.remove(&timer),
                _ => None,
            });
            if rung.is_some() {
                self.tell(at, Input::Wake { timer });
            }
        }
    }

    /// Hands over the answers that have arrived.
    pub(super) fn land(&mut self) {
        let now = self.now;
        let (due, later): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.flying).into_iter().partition(|f| f.at <= now);
        self.flying = later;
        for Flying { link, peer, tag, path, answer, .. } in due {
            if self.links.get(link).is_some_and(|l| l.peer == peer) {
                let Answer { status, body, retry_ms } = answer;
                self.tell(link, Input::Reply { tag: Some(tag), path: &path, status, retry_ms, body: &body });
            }
        }
    }

    fn by_peer(&self, peer: Peer) -> Option<usize> {
        self.links.iter().position(|l| l.peer == peer)
    }

    /// Follows what the venue does, in the order in which it did it: what it does while that is followed comes after.
    /// Answers to requests are there at once.
    pub(super) fn venue(&mut self, actions: Vec<SimAction>) {
        for action in actions {
            match action {
                SimAction::Reply { status, headers, body, .. } => {
                    let retry = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("retry-after"));
                    let retry_ms = retry.and_then(|(_, s)| s.parse::<u64>().ok()).map(|s| s * 1_000);
                    self.replies.push(Answer { status, body, retry_ms });
                }
                other => self.done.push_back(other),
            }
        }
        if std::mem::replace(&mut self.following, true) {
            return;
        }
        while let Some(action) = self.done.pop_front() {
            match action {
                SimAction::Send { peer, bytes, binary } => {
                    if let Some(at) = self.by_peer(peer) {
                        self.arrive(at, bytes, binary);
                    }
                }
                SimAction::Reply { .. } => {}
                SimAction::Close { peer, code, reason } => {
                    if let Some(at) = self.by_peer(peer) {
                        self.seen.closes.push((Fault::Protocol, format!("venue: {code} {reason}")));
                        self.shut(at);
                    }
                }
                SimAction::Joined { key, .. } => self.seen.topics.push((true, key)),
                SimAction::Left { key, .. } => self.seen.topics.push((false, key)),
                SimAction::WakeAt(at) => self.wake = Some(at),
                SimAction::Ping { peer, payload } => {
                    self.seen.pings += 1;
                    if self.pongs {
                        self.told(SimInput::Pong { peer, payload: &payload });
                    }
                }
            }
        }
        self.following = false;
    }

    fn arrive(&mut self, at: usize, bytes: Vec<u8>, binary: bool) {
        match (self.fate)(&bytes) {
            Fate::Arrive => self.frame(at, &bytes, binary),
            Fate::Lose => {}
            Fate::Repeat => {
                self.frame(at, &bytes, binary);
                self.frame(at, &bytes, binary);
            }
            Fate::Cut => self.frame(at, bytes.get(..bytes.len() / 2).unwrap_or_default(), binary),
            Fate::Late => {
                if let Some(link) = self.links.get_mut(at) {
                    link.held_back = Some((bytes, binary));
                }
                return;
            }
        }
        if let Some((late, binary)) = self.links.get_mut(at).and_then(|l| l.held_back.take()) {
            self.frame(at, &late, binary);
        }
    }

    fn frame(&mut self, at: usize, bytes: &[u8], binary: bool) {
        self.tell(at, Input::Frame { bytes, binary });
    }

    /// The connection is gone; it is opened again after a while.
    fn shut(&mut self, at: usize) {
        self.tell(at, Input::Closed);
        let later = self.now.plus_ms(1_000 + at as u64 * 100);
        let Some(link) = self.links.get_mut(at) else { return };
        (link.session, link.peer, link.held_back) = (None, Peer(0), None);
        link.timers.clear();
        link.reopen_at = Some(later);
    }

    /// We end a connection.
    pub(super) fn leave(&mut self, at: usize) {
        let Some(link) = self.links.get(at).filter(|l| l.session.is_some()) else { return };
        let (peer, is_open) = (link.peer, link.shard.path.is_some());
        if is_open {
            self.told(SimInput::Closed { peer });
        }
        self.shut(at);
    }

    /// Tells a session something and follows what it asks for.
    pub(super) fn tell(&mut self, at: usize, input: Input<'_>) {
        let mut out = Vec::new();
        let Some(link) = self.links.get_mut(at) else { return };
        let Some(session) = &mut link.session else { return };
        session.on(input, self.now, &mut out);
        let peer = link.peer;
        // The wire answers only after everything that was asked at once is done.
        let wire = |a: &Action| matches!(a, Action::Send(_) | Action::Fetch { .. } | Action::Close { .. });
        let (later, first): (Vec<_>, Vec<_>) = out.into_iter().partition(wire);
        for action in first.into_iter().chain(later) {
            self.follow(at, peer, action);
        }
    }

    fn follow(&mut self, at: usize, peer: Peer, action: Action) {
        let open = self.links.get(at).is_some_and(|l| l.peer == peer);
        match action {
            Action::Send(bytes) if open => {
                self.sent.push(String::from_utf8_lossy(&bytes).into_owned());
                self.told(SimInput::Frame { peer, bytes: &bytes });
            }
            Action::Fetch { tag, path, .. } if open => {
                self.fetched.push((self.now, path.clone()));
                let endpoint = self.links.get(at).map_or(0, |l| l.shard.endpoint);
                let answer = self.request(endpoint, &path);
                let when = self.now.plus_ms(self.answer_ms);
                self.flying.push(Flying { at: when, link: at, peer, tag, path, answer });
            }
            Action::WakeAt { timer, at: when } if open => {
                if let Some(link) = self.links.get_mut(at) {
                    link.timers.insert(timer, when);
                }
            }
            Action::Close { fault, why } if open => {
                self.seen.closes.push((fault, why));
                self.leave(at);
            }
            Action::Emit(event) => self.seen.event(&event),
            Action::Malformed(_) => self.seen.malformed += 1,
            Action::Unknown(name) => self.seen.unknown.push(name),
            // Or the connection ended while its actions were being followed.
            Action::Control(_)
            | Action::Send(_)
            | Action::Fetch { .. }
            | Action::WakeAt { .. }
            | Action::Close { .. } => {}
        }
    }
}
