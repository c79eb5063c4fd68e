//! Learns what the frames of a channel look like, and finds where they change.
//!
//! A venue changes its wire without a word: a key is new or gone, a word is new, a number has more digits, a checksum is
//! always 0. Samples of frames are learned for each channel; after [`LEARN`] samples what differs from what was learned
//! is a finding, told once, with frames that show it. Pure: the time comes in.
//!
//! What is rare is no news. Something new is told only when it comes so often from then on that, had it always been there,
//! it would have been learned: a few more times within a tenth as many samples as came before it, and of more than one
//! symbol where there are more. A symbol that is sampled for the first few times teaches only.

mod shape;

use hashbrown::HashMap;
use model::{Channel, Finding, Ts};
use shape::{Leaf, leaves};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// How many samples of a channel are learned before anything is found.
pub const LEARN: u64 = 200;
/// How many more times something new must come within its window before it is told, and how long that window is, in
/// samples: this, or a tenth of all samples before.
const HITS: u8 = 3;
const WINDOW_MIN: u64 = 50;
/// How many samples of a symbol teach only, and how many symbols of a channel are counted.
const SYMBOL_LEARN: u32 = 4;
const SYMBOLS_MAX: usize = 10_000;
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
    /// How often each symbol was sampled.
    symbols: HashMap<String, u32>,
    /// The newest frames, as they are shown.
    last: VecDeque<Box<str>>,
    rate: Rate,
}

/// What was learned of one field.
#[derive(Debug, Default)]
struct Field {
    /// At which sample it was there first.
    born: u64,
    /// Whether the channel is of one symbol.
    alone: bool,
    seen: u64,
    last_seen: u64,
    kinds: BTreeSet<&'static str>,
    words: BTreeSet<String>,
    /// How many different values there were, as far as is counted.
    values: BTreeSet<String>,
    standing: Option<(String, u64)>,
    digits: usize,
    /// What is new and may be rare only.
    odd: BTreeMap<Novelty, Odd>,
    told: BTreeSet<&'static str>,
}

/// What may be new about a field.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Novelty {
    Key,
    Kind(&'static str),
    Digits,
    Word(String),
}

/// How often something new came again.
#[derive(Debug)]
struct Odd {
    /// The last sample of its window.
    until: u64,
    hits: u8,
    /// Whose sample showed it first, and whether another one's did too.
    symbol: Box<str>,
    spread: bool,
}

/// What a sample is about.
#[derive(Clone, Copy)]
struct About<'a> {
    /// How many samples were counted.
    now: u64,
    /// Its symbol was hardly sampled so far: it teaches only, and is not counted.
    strange: bool,
    /// Whatever is new is learned.
    learning: bool,
    symbol: &'a str,
}

/// What to do about something new.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// It may be rare: wait.
    Wait,
    /// It is rare, or everything is being learned: take it as known.
    Learn,
    /// It is there to stay.
    Tell,
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
        let strange = self.is_strange(sample.symbol);
        self.samples += u64::from(!strange);
        let about = About {
            now: self.samples,
            strange,
            learning: strange || self.samples <= LEARN,
            symbol: sample.symbol,
        };
        let alone = self.symbols.len() <= 1;
        let mut found: Vec<(&'static str, String)> = Vec::new();
        for leaf in leaves {
            let known = self.fields.contains_key(&leaf.path);
            if !known && self.fields.len() >= PATHS_MAX {
                continue;
            }
            let fresh = || Field { born: about.now, alone, ..Field::default() };
            let field = self.fields.entry_ref(leaf.path.as_str()).or_insert_with(fresh);
            field.alone = alone;
            field.on(&leaf, about, !known, &mut found);
        }
        if self.samples == LEARN && !strange {
            for (path, field) in &mut self.fields {
                field.learned(path, &mut found);
            }
        }
        if self.samples > LEARN && self.samples.is_multiple_of(50) && !strange {
            for (path, field) in &mut self.fields {
                field.missing(path, self.samples, &mut found);
            }
        }
        found.sort();
        for (check, words) in found {
            self.tell(sample.channel, check, words, out);
        }
    }

    /// Whether a symbol was hardly sampled so far.
    fn is_strange(&mut self, symbol: &str) -> bool {
        if !self.symbols.contains_key(symbol) && self.symbols.len() >= SYMBOLS_MAX {
            return true;
        }
        let times = self.symbols.entry_ref(symbol).or_insert(0);
        *times = times.saturating_add(1);
        *times <= SYMBOL_LEARN
    }

    fn tell(&self, channel: Channel, check: &str, what: String, out: &mut Vec<Finding>) {
        let samples = self.last.iter().cloned().collect();
        out.push(Finding { check: check.into(), channel, what: what.into(), samples });
    }
}

impl Field {
    fn on(&mut self, leaf: &Leaf, about: About<'_>, fresh: bool, found: &mut Vec<(&'static str, String)>) {
        let path = &leaf.path;
        let pending = self.odd.contains_key(&Novelty::Key);
        if (pending || fresh && !about.learning) && self.verdict(Novelty::Key, about) == Verdict::Tell {
            found.push(("new_key", format!("the key `{path}` is new")));
        }
        if !about.strange {
            self.seen += u64::from(self.last_seen != about.now);
            self.last_seen = about.now;
        }
        // What a new key holds is learned as long as all else was.
        let young = self.born > LEARN && about.now - self.born < LEARN;
        let about = About { learning: about.learning || young, ..about };
        if !self.kinds.contains(leaf.kind) {
            let verdict = self.verdict(Novelty::Kind(leaf.kind), about);
            if verdict != Verdict::Wait {
                self.kinds.insert(leaf.kind);
            }
            if verdict == Verdict::Tell {
                found.push(("new_type", format!("`{path}` is {} now", leaf.kind)));
            }
        }
        if leaf.digits > self.digits {
            let first = About { learning: about.learning || self.digits == 0, ..about };
            let verdict = self.verdict(Novelty::Digits, first);
            if verdict == Verdict::Tell && self.told.insert("precision") {
                let words =
                    format!("`{path}` has {} digits after the point, {} before", leaf.digits, self.digits);
                found.push(("precision", words));
            }
            if verdict != Verdict::Wait {
                self.digits = leaf.digits;
            }
        }
        self.stands(leaf, found);
        let word = leaf.is_word && leaf.text.len() <= WORD_BYTES && !is_of(&leaf.text, about.symbol);
        // A field of many words tells nothing by another one.
        if word && self.words.len() <= WORDS_MAX && !self.words.contains(&leaf.text) {
            let verdict = self.verdict(Novelty::Word(leaf.text.clone()), about);
            if verdict != Verdict::Wait {
                self.words.insert(leaf.text.clone());
            }
            if verdict == Verdict::Tell && self.words.len() <= WORDS_MAX {
                let words = format!("`{path}` is `{}`, a word that was not there before", leaf.text);
                found.push(("new_value", words));
            }
        }
    }

    /// What to do about something new that came with this sample.
    fn verdict(&mut self, what: Novelty, about: About<'_>) -> Verdict {
        let now = about.now;
        let Some(odd) = self.odd.get_mut(&what) else {
            if about.learning || self.odd.len() > 2 * WORDS_MAX {
                return Verdict::Learn;
            }
            let (until, symbol) = (now + WINDOW_MIN.max(now / 10), about.symbol.into());
            self.odd.insert(what, Odd { until, hits: 0, symbol, spread: self.alone });
            return Verdict::Wait;
        };
        if about.strange {
            return Verdict::Wait;
        }
        odd.hits += 1;
        odd.spread |= *odd.symbol != *about.symbol;
        let verdict = match odd {
            odd if now > odd.until => Verdict::Learn,
            odd if odd.hits >= HITS && odd.spread => Verdict::Tell,
            odd => {
                odd.hits = odd.hits.min(HITS);
                return Verdict::Wait;
            }
        };
        self.odd.remove(&what);
        verdict
    }

    /// Whether a field that moved stands still.
    fn stands(&mut self, leaf: &Leaf, found: &mut Vec<(&'static str, String)>) {
        if self.values.len() < MOVES {
            self.values.insert(leaf.text.clone());
        }
        match &mut self.standing {
            Some((value, times)) if *value == leaf.text => {
                *times += 1;
                let moved = self.values.len() >= MOVES;
                if moved && *times == GONE && self.told.insert("constant") {
                    found.push(("constant", format!("`{}` is always {} now", leaf.path, leaf.text)));
                }
            }
            standing => {
                *standing = Some((leaf.text.clone(), 1));
                self.told.remove("constant");
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
        let nearly_always =
            self.seen >= LEARN / 2 && self.seen.saturating_mul(20) >= self.last_seen.saturating_mul(19);
        if now - self.last_seen >= GONE && nearly_always && self.told.insert("vanished") {
            found.push(("vanished_key", format!("the key `{path}` is gone")));
        }
    }
}

/// Whether a word is a symbol's, in any spelling.
fn is_of(word: &str, symbol: &str) -> bool {
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
mod tests;
