//! Learns what the frames of a channel look like, and finds where they change.
//!
//! A venue changes its wire without a word: a key is new or gone, a word is new, a number has more digits, a checksum is
//! always 0. Samples of frames are learned for each channel; after [`LEARN`] samples what differs from what was learned
//! is a finding, told once, with frames that show it. Pure: the time comes in.

mod shape;

use hashbrown::HashMap;
use model::{Channel, Finding, Ts};
use shape::{Leaf, leaves};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// How many samples of a channel are learned before anything is found.
pub const LEARN: u64 = 200;
/// How many samples in a row a field that was nearly always there must be missing, or one that moved must stand still.
const GONE: u64 = 300;
/// The most different words that a field may have to count as one of few.
const WORDS_MAX: usize = 8;
/// The longest word that is compared.
const WORD_BYTES: usize = 24;
/// How many different values make a field one that moves.
const MOVES: usize = 10;
/// How many paths of a channel are learned; past that an object's keys are data.
const PATHS_MAX: usize = 400;
/// How many sample frames a finding has, and how long each may be.
const SAMPLES: usize = 2;
const SAMPLE_BYTES: usize = 2_000;
/// How long a window of the rate is, in ms, how many are learned, and how many in a row must differ.
const WINDOW_MS: i64 = 10_000;
const WINDOWS_LEARN: u64 = 12;
const WINDOWS_ODD: u32 = 3;
/// By which factor a rate must differ.
const RATE_STEP: f64 = 20.0;
/// Names of fields that check something.
const CHECKS: [&str; 4] = ["checksum", "crc", "crc32", "cs"];

/// A frame to learn from.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'a> {
    /// By which channel its events came.
    pub channel: Channel,
    /// The symbol it is about: a word that holds it is no news.
    pub symbol: &'a str,
    /// The frame, as it came.
    pub bytes: &'a [u8],
    /// How many frames of the channel came since the last sample, this one counted.
    pub frames: u64,
    /// When it came.
    pub at: Ts,
}

/// What was learned of all channels of a source.
#[derive(Debug, Default)]
pub struct Sentinel {
    channels: BTreeMap<Channel, Learned>,
}

/// What was learned of one channel.
#[derive(Debug, Default)]
struct Learned {
    samples: u64,
    fields: HashMap<String, Field>,
    /// The newest frames, as they are shown.
    last: VecDeque<Box<str>>,
    rate: Rate,
}

/// What was learned of one field.
#[derive(Debug, Default)]
struct Field {
    seen: u64,
    last_seen: u64,
    kinds: BTreeSet<&'static str>,
    words: BTreeSet<String>,
    /// How many different values there were, as far as is counted.
    values: BTreeSet<String>,
    standing: Option<(String, u64)>,
    digits: usize,
    told: BTreeSet<&'static str>,
}

/// How often frames come.
#[derive(Debug, Default)]
struct Rate {
    since: Option<Ts>,
    frames: u64,
    windows: u64,
    mean: f64,
    odd: u32,
}

impl Sentinel {
    /// Learns from a frame, and appends what it finds.
    pub fn on(&mut self, sample: Sample<'_>, out: &mut Vec<Finding>) {
        let learned = self.channels.entry(sample.channel).or_default();
        learned.on(sample, out);
    }
}

impl Learned {
    fn on(&mut self, sample: Sample<'_>, out: &mut Vec<Finding>) {
        if let Some(words) = self.rate.on(sample.frames, sample.at) {
            self.tell(sample.channel, "rate_step", words, out);
        }
        let Some((text, leaves)) = leaves(sample.bytes) else { return };
        if self.last.len() >= SAMPLES {
            self.last.pop_front();
        }
        let shown: String = text.chars().take(SAMPLE_BYTES).collect();
        self.last.push_back(shown.into());
        self.samples += 1;
        let learning = self.samples <= LEARN;
        let mut found: Vec<(&'static str, String)> = Vec::new();
        for leaf in leaves {
            let known = self.fields.contains_key(&leaf.path);
            if !known && self.fields.len() >= PATHS_MAX {
                continue;
            }
            let field = self.fields.entry(leaf.path.clone()).or_default();
            if !known && !learning {
                found.push(("new_key", format!("the key `{}` is new", leaf.path)));
            }
            field.on(&leaf, self.samples, learning || !known, sample.symbol, &mut found);
        }
        if self.samples == LEARN {
            for (path, field) in &mut self.fields {
                field.learned(path, &mut found);
            }
        }
        if self.samples > LEARN && self.samples.is_multiple_of(50) {
            for (path, field) in &mut self.fields {
                field.missing(path, self.samples, &mut found);
            }
        }
        found.sort();
        for (check, words) in found {
            self.tell(sample.channel, check, words, out);
        }
    }

    fn tell(&self, channel: Channel, check: &str, what: String, out: &mut Vec<Finding>) {
        let samples = self.last.iter().cloned().collect();
        out.push(Finding { check: check.into(), channel, what: what.into(), samples });
    }
}

impl Field {
    fn on(
        &mut self,
        leaf: &Leaf,
        now: u64,
        learning: bool,
        symbol: &str,
        found: &mut Vec<(&'static str, String)>,
    ) {
        self.seen += u64::from(self.last_seen != now);
        self.last_seen = now;
        let path = &leaf.path;
        if self.kinds.insert(leaf.kind) && !learning {
            found.push(("new_type", format!("`{path}` is {} now", leaf.kind)));
        }
        if leaf.digits > self.digits {
            if !learning && self.digits > 0 && self.told.insert("precision") {
                let words =
                    format!("`{path}` has {} digits after the point, {} before", leaf.digits, self.digits);
                found.push(("precision", words));
            }
            self.digits = leaf.digits;
        }
        if self.values.len() < MOVES {
            self.values.insert(leaf.text.clone());
        }
        match &mut self.standing {
            Some((value, times)) if *value == leaf.text => {
                *times += 1;
                let moved = self.values.len() >= MOVES;
                if moved && *times == GONE && self.told.insert("constant") {
                    found.push(("constant", format!("`{path}` is always {} now", leaf.text)));
                }
            }
            standing => {
                *standing = Some((leaf.text.clone(), 1));
                self.told.remove("constant");
            }
        }
        let word = leaf.is_word && leaf.text.len() <= WORD_BYTES && !about(&leaf.text, symbol);
        if word && self.words.len() <= WORDS_MAX && self.words.insert(leaf.text.clone()) && !learning {
            // A field of many words tells nothing by another one.
            if self.words.len() <= WORDS_MAX {
                found.push((
                    "new_value",
                    format!("`{path}` is `{}`, a word that was not there before", leaf.text),
                ));
            }
        }
    }

    /// At the end of learning: a check that cannot fail.
    fn learned(&mut self, path: &str, found: &mut Vec<(&'static str, String)>) {
        let name = path.rsplit('.').next().unwrap_or(path).to_lowercase();
        if CHECKS.contains(&name.as_str())
            && self.values.len() == 1
            && let Some(value) = self.values.first()
            && self.told.insert("constant")
        {
            found.push(("check_constant", format!("`{path}` is always {value}: it checks nothing")));
        }
    }

    fn missing(&mut self, path: &str, now: u64, found: &mut Vec<(&'static str, String)>) {
        let nearly_always = self.seen.saturating_mul(20) >= self.last_seen.saturating_mul(19);
        if now - self.last_seen >= GONE && nearly_always && self.told.insert("vanished") {
            found.push(("vanished_key", format!("the key `{path}` is gone")));
        }
    }
}

/// Whether a word is a symbol's, in any spelling.
fn about(word: &str, symbol: &str) -> bool {
    let plain = |text: &str| -> String {
        text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
    };
    let (word, symbol) = (plain(word), plain(symbol));
    !symbol.is_empty()
        && !word.is_empty()
        && (word.contains(&symbol) || symbol.contains(&word) && word.len() > 2)
}

impl Rate {
    /// Where the rate is another for long enough: in words.
    fn on(&mut self, frames: u64, at: Ts) -> Option<String> {
        let since = *self.since.get_or_insert(at);
        let ms = at.ms_since(since);
        self.frames += frames;
        if ms < WINDOW_MS {
            return None;
        }
        let rate = self.frames as f64 * 1_000.0 / ms as f64;
        (self.since, self.frames) = (Some(at), 0);
        self.windows += 1;
        if self.windows <= WINDOWS_LEARN {
            self.mean += (rate - self.mean) / self.windows as f64;
            return None;
        }
        let odd = rate > self.mean * RATE_STEP || rate < self.mean / RATE_STEP;
        self.odd = if odd { self.odd + 1 } else { 0 };
        if self.odd < WINDOWS_ODD {
            return None;
        }
        let words = format!("{rate:.1} frames a second, {:.1} before", self.mean);
        (self.mean, self.odd) = (rate, 0);
        Some(words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Samples a second apart, made by number.
    fn run(
        make: impl Fn(u64) -> String,
        samples: std::ops::Range<u64>,
        sentinel: &mut Sentinel,
    ) -> Vec<Finding> {
        let mut out = Vec::new();
        for n in samples {
            let text = make(n);
            let at = Ts::from_ms(n as i64 * 1_000);
            let (channel, symbol, bytes) = (Channel::Trades, "BTC-USDT", text.as_bytes());
            sentinel.on(Sample { channel, symbol, bytes, frames: 10, at }, &mut out);
        }
        out
    }

    fn frame(n: u64) -> String {
        format!(
            r#"{{"ch":"trades","s":"BTC-USDT","p":"{}.{:02}","side":"{}","cs":{n}}}"#,
            100 + n % 50,
            n % 90 + 10,
            if n.is_multiple_of(2) { "buy" } else { "sell" }
        )
    }

    fn told(before: impl Fn(u64) -> String, after: impl Fn(u64) -> String) -> Vec<String> {
        let mut sentinel = Sentinel::default();
        assert_eq!(run(before, 0..400, &mut sentinel), [], "nothing changes, nothing is found");
        let found = run(after, 400..1_200, &mut sentinel);
        assert!(found.iter().all(|f| !f.samples.is_empty()));
        found.into_iter().map(|f| format!("{}: {}", f.check, f.what)).collect()
    }

    #[test]
    fn a_new_key_is_found_once() {
        let after = |n| frame(n).replace("\"ch\"", "\"maker\":true,\"ch\"");
        assert_eq!(told(frame, after), ["new_key: the key `maker` is new"]);
    }

    #[test]
    fn a_key_that_is_gone_is_found() {
        let after = |n| frame(n).replace(",\"side\":\"buy\"", "").replace(",\"side\":\"sell\"", "");
        assert_eq!(told(frame, after), ["vanished_key: the key `side` is gone"]);
    }

    #[test]
    fn a_new_word_of_few_is_found_and_a_new_symbol_is_not() {
        let after = |n| frame(n).replace("sell", "block");
        assert_eq!(told(frame, after), ["new_value: `side` is `block`, a word that was not there before"]);
        let other = |n| frame(n).replace("\"BTC-USDT\"", "\"btcusdt\"");
        assert_eq!(told(frame, other), [""; 0]);
    }

    #[test]
    fn more_digits_another_type_and_a_field_that_stands_still_are_found() {
        let finer = |n| frame(n).replace("\",\"side\"", "5\",\"side\"");
        assert_eq!(told(frame, finer), ["precision: `p` has 3 digits after the point, 2 before"]);
        let null = |n| if n == 500 { frame(n).replace("\"trades\"", "null") } else { frame(n) };
        assert_eq!(told(frame, null), ["new_type: `ch` is null now"]);
        let still = |n: u64| frame(n).replace(&format!("\"cs\":{n}"), "\"cs\":0");
        assert_eq!(told(frame, still), ["constant: `cs` is always 0 now"]);
    }

    #[test]
    fn a_check_that_never_could_fail_is_found_at_the_end_of_learning() {
        let mut sentinel = Sentinel::default();
        let zero = |n: u64| frame(n).replace(&format!("\"cs\":{n}"), "\"checksum\":0");
        let found = run(zero, 0..LEARN + 50, &mut sentinel);
        assert_eq!(found.len(), 1);
        assert_eq!(&*found[0].check, "check_constant");
    }

    #[test]
    fn a_step_of_the_rate_is_found() {
        let mut sentinel = Sentinel::default();
        assert_eq!(run(frame, 0..300, &mut sentinel), []);
        let mut out = Vec::new();
        for n in 300..400 {
            let text = frame(n);
            let at = Ts::from_ms(n as i64 * 1_000);
            let (channel, symbol, bytes) = (Channel::Trades, "BTC-USDT", text.as_bytes());
            sentinel.on(Sample { channel, symbol, bytes, frames: 1_000, at }, &mut out);
        }
        assert_eq!(out.iter().map(|f| &*f.check).collect::<Vec<_>>(), ["rate_step"]);
    }
}
