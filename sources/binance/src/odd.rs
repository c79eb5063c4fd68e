//! Keys and values that nobody knows: used all the same, and told once each.

use hashbrown::HashSet;
use source::Action;

/// How many names are kept; past that no more are told.
const NAMES_MAX: usize = 256;
/// How much of a name is kept, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// The names that were seen.
#[derive(Debug, Default)]
pub struct Odd {
    told: HashSet<String>,
    fresh: Vec<String>,
}

impl Odd {
    /// A key of a kind of frame; its value was passed over.
    #[cold]
    pub fn note(&mut self, frame: &str, key: &[u8], _value: &[u8]) {
        self.add(format!("{frame}.{}", short(key)));
    }

    /// A value of a key that has a closed list of values.
    #[cold]
    pub fn value(&mut self, frame: &str, key: &str, value: &[u8]) {
        self.add(format!("{frame}.{key}={}", short(value)));
    }

    fn add(&mut self, name: String) {
        if self.told.len() < NAMES_MAX && !self.told.contains(&name) {
            self.fresh.push(name.clone());
            self.told.insert(name);
        }
    }

    /// Tells what is new.
    #[inline]
    pub fn tell(&mut self, out: &mut Vec<Action>) {
        if !self.fresh.is_empty() {
            out.extend(self.fresh.drain(..).map(Action::Unknown));
        }
    }
}

fn short(name: &[u8]) -> String {
    words(name.get(..name.len().min(NAME_BYTES_MAX)).unwrap_or_default())
}

/// Bytes of the venue as text for people: what is no text is replaced, control characters become spaces.
pub fn words(bytes: &[u8]) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    String::from_utf8_lossy(bytes).trim_end_matches('\u{fffd}').chars().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_for_people_keep_their_letters() {
        assert_eq!(words("币安人生USDT\n\"x\"".as_bytes()), "币安人生USDT \"x\"");
        assert_eq!(words(&"币安".as_bytes()[..5]), "币");
    }

    #[test]
    fn a_name_is_told_once_and_their_number_is_bounded() {
        let (mut odd, mut out) = (Odd::default(), Vec::new());
        for n in 0..1_000 {
            odd.note("trade", format!("k{}", n % 500).as_bytes(), b"1");
        }
        odd.tell(&mut out);
        odd.tell(&mut out);
        assert_eq!(out.len(), NAMES_MAX);
        assert_eq!(out[0], Action::Unknown("trade.k0".to_owned()));
    }
}
