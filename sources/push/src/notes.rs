//! What was seen that we do not know; each is told once.

use source::Action;

/// How many different keys are told before the rest is passed over.
const KEYS_MAX: usize = 256;

/// See the module.
#[derive(Debug, Default)]
pub struct Notes {
    keys: Vec<Box<[u8]>>,
    tail: bool,
}

impl Notes {
    /// A key of a Beijing record.
    #[cold]
    pub fn key(&mut self, key: &[u8], out: &mut Vec<Action>) {
        let key = key.get(..64).unwrap_or(key);
        if self.keys.len() < KEYS_MAX && !self.keys.iter().any(|seen| **seen == *key) {
            self.keys.push(key.into());
            out.push(Action::Unknown(format!("beijing.{}", String::from_utf8_lossy(key))));
        }
    }

    /// Fields after the last one of the layout.
    pub fn tail(&mut self, fields: usize, out: &mut Vec<Action>) {
        if !self.tail {
            self.tail = true;
            out.push(Action::Unknown(format!("record.field_{fields}")));
        }
    }
}
