//! The newest events in memory, from when they are safe in the log until they stand in files.

use crate::archive::event_weight;
use crate::table::Table;
use bus::{Cursor, Published};
use hashbrown::HashMap;
use model::InstrumentId;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The rows of one instrument in one table, by source as they came.
type Key = (Table, InstrumentId);

#[derive(Default)]
struct Inner {
    events: HashMap<Key, VecDeque<Arc<Published>>>,
    bytes: u64,
    /// Everything up to here was forgotten because it did not fit.
    overflowed: Option<Cursor>,
    /// The last event that came.
    newest: Option<Cursor>,
}

/// The newest events.
#[derive(Default)]
pub(crate) struct Hot {
    inner: Mutex<Inner>,
}

impl Hot {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds events, in the order of the bus.
    pub fn push(&self, events: impl Iterator<Item = Arc<Published>>) {
        let mut inner = self.lock();
        for published in events {
            inner.bytes += event_weight(&published.event);
            inner.newest = Some(published.cursor);
            let key = (Table::of(&published.event.body), published.event.instrument.id);
            inner.events.entry(key).or_default().push_back(published);
        }
    }

    /// Forgets what does not fit, up to this cursor; it is only in the log then.
    pub fn overflow(&self, up_to: Cursor) {
        self.forget(up_to);
        self.lock().overflowed = Some(up_to);
    }

    /// Forgets what stands in files, up to this cursor.
    pub fn forget(&self, up_to: Cursor) {
        let mut inner = self.lock();
        let Inner { events, bytes, .. } = &mut *inner;
        events.retain(|_, queue| {
            while let Some(published) = queue.pop_front_if(|published| published.cursor <= up_to) {
                *bytes -= event_weight(&published.event);
            }
            // What grew for a burst is given back.
            queue.shrink_to(queue.len() * 2);
            !queue.is_empty()
        });
    }

    /// Up to where events were forgotten because they did not fit.
    pub fn overflowed(&self) -> Option<Cursor> {
        self.lock().overflowed
    }

    /// The last event that came, wherever it is now.
    pub fn newest(&self) -> Option<Cursor> {
        self.lock().newest
    }

    /// About how many bytes the events take.
    pub fn bytes(&self) -> u64 {
        self.lock().bytes
    }

    /// The events of these tables for which `wanted` holds, in the order of the bus.
    pub fn select(
        &self,
        tables: &[Table],
        instruments: &[InstrumentId],
        wanted: impl Fn(&Published) -> bool,
    ) -> Vec<Arc<Published>> {
        let inner = self.lock();
        let queues = inner.events.iter().filter(|((table, instrument), _)| {
            tables.contains(table) && (instruments.is_empty() || instruments.contains(instrument))
        });
        let mut all: Vec<Arc<Published>> =
            queues.flat_map(|(_, queue)| queue.iter().filter(|p| wanted(p)).cloned()).collect();
        drop(inner);
        all.sort_unstable_by_key(|published| published.cursor);
        all
    }

    /// The newest `count` events of an instrument in a table for which `wanted` holds, the newest first.
    pub fn latest(
        &self,
        table: Table,
        instrument: InstrumentId,
        count: usize,
        wanted: impl Fn(&Published) -> bool,
    ) -> Vec<Arc<Published>> {
        let inner = self.lock();
        let queue = inner.events.get(&(table, instrument));
        queue
            .into_iter()
            .flat_map(|queue| queue.iter().rev())
            .filter(|p| wanted(p))
            .take(count)
            .cloned()
            .collect()
    }
}
