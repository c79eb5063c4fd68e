//! Which instruments are kept.

use super::Reader;
use crate::Result;
use crate::table::Table;
use hashbrown::{HashMap, HashSet};
use model::{Instrument, InstrumentId};
use std::sync::Arc;

impl Reader {
    /// Every instrument of which something is kept, by exchange, product and symbol, as it was defined last: of what
    /// stands in files by the newest file that names it.
    ///
    /// # Errors
    /// [`crate::Error`] where log, catalogue or file does not read.
    pub fn instruments(&self) -> Result<Vec<Arc<Instrument>>> {
        let (state, fresh) = self.fresh(|_| true, &Table::ALL, &[])?;
        let mut known: HashMap<InstrumentId, Arc<Instrument>> = HashMap::new();
        for published in fresh {
            let instrument = &published.event.instrument;
            known.insert(instrument.id, Arc::clone(instrument));
        }
        let mut files: Vec<_> = state.files.values().collect();
        files.sort_by_key(|file| std::cmp::Reverse(file.made));
        for file in files {
            let new: HashSet<InstrumentId> =
                file.runs.iter().map(|run| run.instrument).filter(|id| !known.contains_key(id)).collect();
            if new.is_empty() {
                continue;
            }
            let opened = self.file(file)?;
            let defined = opened.definitions.iter().filter(|instrument| new.contains(&instrument.id));
            known.extend(defined.map(|instrument| (instrument.id, Arc::clone(instrument))));
        }
        let mut all: Vec<Arc<Instrument>> = known.into_values().collect();
        all.sort_by(|a, b| (&a.venue, &a.product, &a.symbol).cmp(&(&b.venue, &b.product, &b.symbol)));
        Ok(all)
    }
}
