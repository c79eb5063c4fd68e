//! Books folded from events in the order of the bus: while they are sealed, to write checkpoints from which a book of the
//! past is had without reading on from its last snapshot; and when such a book is asked for.
//!
//! A checkpoint is a row of `book_checkpoints` for each level, in the form of a snapshot, with the cursor of the event
//! after which the book stood so, and the flag `derived`. One that also has the flag `suspect` and no levels says that
//! events were lost before this one: what was known of the book ends there.

use book::Book;
use bus::{Cursor, Published};
use hashbrown::HashMap;
use model::{Body, Channel, Event, Flags, GapCause, InstrumentId, LaneFact, Snapshot, SourceName, Ts};
use std::sync::Arc;

use crate::when;

/// A checkpoint is written when more levels than this have changed since the last snapshot or checkpoint,
const CHANGES_MIN: u64 = 20_000;
/// and more than so many times the levels that it would have.
const CHANGES_PER_LEVEL: u64 = 4;

/// Why a book is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BookLoss {
    /// Continuity was lost: the lane said so, or a change does not fit what is kept.
    Gap(GapCause),
    /// The platform was started again; its sessions begin with a snapshot.
    Restart,
    /// Nobody asked for the lane any more.
    Dropped,
    /// Events were lost before they were safe.
    Lost,
}

/// Whether a book of the past may be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BookAtState {
    /// It equals the venue's book at its `seq`.
    Live,
    /// It is not known, and has no levels.
    Gap {
        /// Since when.
        since: Ts,
        /// Why.
        why: BookLoss,
    },
}

/// Who told of a book, and by which channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct BookLane {
    pub source: SourceName,
    pub instrument: InstrumentId,
    pub channel: Channel,
    /// Whether it is the past, filled in later, which says nothing of what was told then and goes on beside it.
    pub filled: bool,
}

impl BookLane {
    /// The lane of an event; `None` where it says nothing of a book.
    pub fn of(event: &Event) -> Option<Self> {
        let tells = matches!(event.body, Body::Snapshot(_) | Body::Delta(_) | Body::Gap(_) | Body::Lane(_));
        let Event { source, instrument, channel, .. } = event;
        let filled = event.flags.has(Flags::REPAIRED);
        (tells && channel.is_book()).then(|| Self {
            source,
            instrument: instrument.id,
            channel: *channel,
            filled,
        })
    }
}

/// A book as the events of its lane make it.
#[derive(Default)]
pub(crate) struct Fold {
    pub book: Book,
    /// `None` before the first snapshot or gap.
    pub state: Option<BookAtState>,
    /// Counts the book's beginnings.
    pub epoch: u32,
    /// The last event that said something of it.
    pub newest: Option<Arc<Published>>,
    /// How many levels were changed since the last snapshot or checkpoint; a change without levels counts as one.
    changes: u64,
}

impl Fold {
    /// Takes the next event of the lane.
    pub fn on(&mut self, published: &Arc<Published>) {
        let event = &published.event;
        let loss = match &event.body {
            Body::Snapshot(_) if is_loss(event) => BookLoss::Lost,
            Body::Snapshot(snapshot) => {
                self.book.reset(snapshot);
                (self.state, self.epoch, self.changes) = (Some(BookAtState::Live), snapshot.epoch, 0);
                self.newest = Some(Arc::clone(published));
                return;
            }
            Body::Delta(_) if !self.is_live() => return,
            Body::Delta(delta) => {
                self.changes += (delta.levels.len() as u64).max(1);
                let before = self.newest.replace(Arc::clone(published));
                let Some(before) = before else { return };
                if before.cursor.epoch != published.cursor.epoch {
                    BookLoss::Restart
                } else if !self.book.redefine(&before.event.instrument, &event.instrument) {
                    BookLoss::Gap(GapCause::Scale)
                } else if self.book.apply(delta).is_err() {
                    BookLoss::Gap(GapCause::Sequence)
                } else {
                    return;
                }
            }
            Body::Gap(gap) => BookLoss::Gap(gap.cause),
            Body::Lane(LaneFact::Dropped) if self.is_live() => BookLoss::Dropped,
            _ => return,
        };
        self.lose(published, loss);
    }

    fn lose(&mut self, published: &Arc<Published>, why: BookLoss) {
        if matches!(self.state, Some(BookAtState::Gap { .. })) {
            return;
        }
        self.book = Book::default();
        self.state = Some(BookAtState::Gap { since: when(&published.event), why });
        (self.epoch, self.changes) = (0, 0);
        self.newest = Some(Arc::clone(published));
    }

    pub const fn is_live(&self) -> bool {
        matches!(self.state, Some(BookAtState::Live))
    }

    /// A checkpoint after an event, where one is due.
    fn checkpoint(&mut self, published: &Published) -> Option<Arc<Published>> {
        let levels = self.book.len() as u64;
        if !self.is_live() || self.changes <= CHANGES_MIN.max(CHANGES_PER_LEVEL * levels) {
            return None;
        }
        self.changes = 0;
        let levels = self.book.levels(usize::MAX);
        let snapshot = Snapshot { seq: self.book.seq(), levels, checksum: None, epoch: self.epoch };
        Some(computed(published, snapshot, Flags::NONE))
    }
}

fn is_loss(event: &Event) -> bool {
    event.flags.has(Flags::DERIVED | Flags::SUSPECT)
        && matches!(&event.body, Body::Snapshot(snapshot) if snapshot.levels.is_empty())
}

/// A row of `book_checkpoints` for an event.
fn computed(published: &Published, snapshot: Snapshot, flags: Flags) -> Arc<Published> {
    // When it happened, and of which lane it is, depends on these.
    let kept = Flags::from_bits(published.event.flags.bits() & (Flags::BAD_TIME | Flags::REPAIRED).bits());
    let flags = Flags::DERIVED | kept | flags;
    let event = Event { flags, body: Body::Snapshot(snapshot), ..published.event.clone() };
    Arc::new(Published { event, ..*published })
}

/// Whether this row says that events were lost before it.
pub(crate) fn says_lost(published: &Published) -> bool {
    is_loss(&published.event)
}

/// All books, as of what was sealed.
#[derive(Default)]
pub(crate) struct Books {
    lanes: HashMap<BookLane, Kept>,
    /// The life of the bus that they are of.
    epoch: u64,
    /// How many times events were lost in it.
    holes: u64,
}

#[derive(Default)]
struct Kept {
    fold: Fold,
    /// How many of the holes it has heard of.
    holes: u64,
}

impl Books {
    /// Takes the next event that is sealed and gives a checkpoint where one is due. `load` knows the book of a lane as of
    /// the events before those that are sealed now.
    pub fn on(
        &mut self,
        published: &Arc<Published>,
        load: impl FnOnce(&BookLane) -> Fold,
    ) -> Option<Arc<Published>> {
        let event = &published.event;
        let lane = BookLane::of(event)?;
        let Cursor { epoch, .. } = published.cursor;
        if self.epoch != epoch {
            *self = Self { epoch, ..Self::default() };
        }
        let changed = matches!(event.body, Body::Delta(_));
        let kept = self
            .lanes
            .entry(lane)
            .or_insert_with(|| Kept { fold: if changed { load(&lane) } else { Fold::default() }, holes: 0 });
        let heard = std::mem::replace(&mut kept.holes, self.holes) == self.holes;
        if changed && !heard && kept.fold.is_live() {
            kept.fold.lose(published, BookLoss::Lost);
            let none = Snapshot { seq: None, levels: <_>::default(), checksum: None, epoch: 0 };
            return Some(computed(published, none, Flags::SUSPECT));
        }
        kept.fold.on(published);
        if matches!(event.body, Body::Lane(LaneFact::Dropped)) {
            self.lanes.remove(&lane);
            return None;
        }
        kept.fold.checkpoint(published)
    }

    /// Events are missing here.
    pub fn hole(&mut self) {
        self.holes += 1;
    }

    /// What was sealed was not kept: what the lanes have become is not so.
    pub fn forget(&mut self) {
        self.lanes.clear();
    }
}
