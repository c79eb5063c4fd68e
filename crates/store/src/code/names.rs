//! Names of sources and of facts last as long as the process: the model holds them so.

use hashbrown::HashSet;
use std::sync::{Mutex, PoisonError};

/// How many different names one process takes from files. Those of all sources together are a few hundred.
const NAMES_MAX: usize = 4_096;

static NAMES: Mutex<Option<HashSet<&'static str>>> = Mutex::new(None);

/// The name of a source for the life of the process; `None` where there are too many already.
pub fn lasting(name: &str) -> Option<&'static str> {
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    let names = names.get_or_insert_default();
    if let Some(known) = names.get(name) {
        return Some(known);
    }
    if names.len() >= NAMES_MAX {
        return None;
    }
    let kept: &'static str = Box::leak(name.into());
    names.insert(kept);
    Some(kept)
}
