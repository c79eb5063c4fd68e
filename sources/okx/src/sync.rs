//! The continuity rule of one book. Pure: numbers in, a verdict out.

/// What a book holds and what it waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// No snapshot, and nothing that would bring one is known to be under way.
    #[default]
    Cold,
    /// Asked for and not acknowledged; updates are of an older subscription.
    Asked,
    /// Acknowledged; the first frame decides how the book starts.
    Fresh,
    /// The venue pushed no snapshot; updates are kept until one comes by REST.
    Seeding,
    /// A snapshot came by REST; the first update may begin before it.
    Bridging(i64),
    /// Live at this number, or unnumbered.
    Live(Option<i64>),
}

/// What to do with an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Apply it; it follows this state.
    Apply(Option<i64>),
    /// Nothing changed; the book is alive.
    KeepAlive,
    /// Pass over it.
    Ignore,
    /// Keep it and ask for a snapshot by REST.
    Fetch,
    /// Keep it; the snapshot is under way.
    Keep,
    /// The chain is broken between these.
    Gap(Option<i64>, Option<i64>),
}

/// The rule of one book.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    state: State,
}

impl Chain {
    /// Where it stands.
    pub fn state(self) -> State {
        self.state
    }

    /// Whether a snapshot was taken and nothing was lost since.
    pub fn live(self) -> bool {
        matches!(self.state, State::Live(_) | State::Bridging(_))
    }

    /// The number of the state held, where it is live and numbered.
    pub fn seq(self) -> Option<i64> {
        match self.state {
            State::Live(seq) => seq,
            State::Bridging(seq) => Some(seq),
            State::Cold | State::Asked | State::Fresh | State::Seeding => None,
        }
    }

    /// Nothing is known any more.
    pub fn cool(&mut self) {
        self.state = State::Cold;
    }

    /// A subscription was sent.
    pub fn asked(&mut self) {
        self.state = State::Asked;
    }

    /// The subscription was acknowledged. True where the book now waits for its first frame.
    pub fn acked(&mut self) -> bool {
        let fresh = self.state == State::Asked;
        if fresh {
            self.state = State::Fresh;
        }
        fresh
    }

    /// A snapshot was pushed. It always counts, also a repeated one.
    pub fn snapshot(&mut self, seq: Option<i64>) {
        self.state = State::Live(seq);
    }

    /// A snapshot came by REST.
    pub fn seeded(&mut self, seq: Option<i64>) {
        self.state = seq.map_or(State::Live(None), State::Bridging);
    }

    /// An update came. `empty` says that it changes no level.
    pub fn update(&mut self, prev: Option<i64>, seq: Option<i64>, empty: bool) -> Step {
        match self.state {
            State::Cold | State::Asked => Step::Ignore,
            State::Fresh => {
                self.state = State::Seeding;
                Step::Fetch
            }
            State::Seeding => Step::Keep,
            State::Bridging(at) => self.bridge(at, prev, seq, empty),
            State::Live(last) => match (last, prev) {
                (Some(last), Some(prev)) if last != prev => {
                    self.state = State::Cold;
                    Step::Gap(Some(last), seq)
                }
                _ => self.follow(last, prev, seq, empty),
            },
        }
    }

    /// The update right after a snapshot by REST: older ones are passed over, one that straddles it is taken.
    fn bridge(&mut self, at: i64, prev: Option<i64>, seq: Option<i64>, empty: bool) -> Step {
        let (Some(prev), Some(next)) = (prev, seq) else {
            self.state = State::Live(Some(at));
            return Step::Apply(Some(at));
        };
        if prev == at || (prev < at && at < next) {
            self.follow(Some(at), Some(prev), seq, empty)
        } else if next <= at {
            Step::Ignore
        } else {
            self.state = State::Cold;
            Step::Gap(Some(at), seq)
        }
    }

    fn follow(&mut self, last: Option<i64>, prev: Option<i64>, seq: Option<i64>, empty: bool) -> Step {
        self.state = State::Live(seq.or(last));
        if empty && seq.is_some() && seq == prev { Step::KeepAlive } else { Step::Apply(last) }
    }
}

/// Whether a snapshot by REST fits the updates that were kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seed {
    /// It is older than the first update kept: ask again.
    TooOld,
    /// Take it; all kept updates follow by [`Chain::update`].
    Take,
}

/// Judges a snapshot numbered `seq` against the number before the first update kept.
pub fn seed(seq: Option<i64>, first_prev: Option<i64>) -> Seed {
    match (seq, first_prev) {
        (Some(seq), Some(prev)) if seq < prev => Seed::TooOld,
        _ => Seed::Take,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live(seq: i64) -> Chain {
        let mut chain = Chain::default();
        chain.snapshot(Some(seq));
        chain
    }

    #[test]
    fn keep_alive_and_maintenance_reset_are_legal() {
        let mut chain = live(10);
        let script = [
            ((10, 15), false, Step::Apply(Some(10))),
            ((15, 15), true, Step::KeepAlive),
            ((15, 15), false, Step::Apply(Some(15))),
            ((15, 3), false, Step::Apply(Some(15))),
            ((3, 5), false, Step::Apply(Some(3))),
        ];
        for ((prev, seq), empty, expected) in script {
            assert_eq!(chain.update(Some(prev), Some(seq), empty), expected, "({prev}, {seq})");
        }
        assert_eq!(chain.state(), State::Live(Some(5)));
    }

    #[test]
    fn a_hole_a_repeat_and_a_swap_are_gaps() {
        for (prev, seq) in [(8, 12), (5, 9), (12, 14)] {
            let mut chain = live(9);
            assert_eq!(
                chain.update(Some(prev), Some(seq), false),
                Step::Gap(Some(9), Some(seq)),
                "({prev}, {seq})"
            );
            assert!(!chain.live());
            assert_eq!(chain.update(Some(seq), Some(seq + 1), false), Step::Ignore);
        }
    }

    #[test]
    fn updates_before_the_acknowledgement_are_of_the_old_subscription() {
        let mut chain = live(9);
        chain.asked();
        assert_eq!(chain.update(Some(9), Some(10), false), Step::Ignore);
        assert!(chain.acked());
        assert!(!chain.acked());
        chain.snapshot(Some(20));
        assert_eq!(chain.update(Some(20), Some(21), false), Step::Apply(Some(20)));
    }

    #[test]
    fn without_a_pushed_snapshot_the_rest_book_is_bridged() {
        let mut chain = Chain::default();
        chain.asked();
        chain.acked();
        assert_eq!(chain.update(Some(1), Some(4), false), Step::Fetch);
        assert_eq!(chain.update(Some(4), Some(8), false), Step::Keep);
        assert_eq!(seed(Some(3), Some(4)), Seed::TooOld);
        assert_eq!(seed(Some(4), Some(4)), Seed::Take);
        chain.seeded(Some(10));
        for ((prev, seq), expected) in [
            ((4, 8), Step::Ignore),
            ((8, 10), Step::Ignore),
            ((9, 12), Step::Apply(Some(10))),
            ((12, 13), Step::Apply(Some(12))),
        ] {
            assert_eq!(chain.update(Some(prev), Some(seq), false), expected, "({prev}, {seq})");
        }
        chain.seeded(Some(10));
        assert_eq!(chain.update(Some(11), Some(12), false), Step::Gap(Some(10), Some(12)));
    }

    #[test]
    fn an_unnumbered_book_follows_without_proof() {
        let mut chain = Chain::default();
        chain.snapshot(None);
        assert_eq!(chain.update(None, None, true), Step::Apply(None));
        assert_eq!(chain.state(), State::Live(None));
    }
}
