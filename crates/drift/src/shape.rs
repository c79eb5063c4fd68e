//! The fields of a frame.

use flate2::read::MultiGzDecoder;
use serde_json::Value;
use std::io::Read;

/// The largest frame that is looked at, unpacked.
const FRAME_BYTES_MAX: u64 = 1 << 20;
/// How deep fields are looked for.
const DEPTH_MAX: usize = 8;
/// How many members of a list are looked at.
const LIST_MAX: usize = 3;

/// A field of a frame that holds no other fields.
#[derive(Debug)]
pub struct Leaf {
    /// Its place: `data[].px`.
    pub path: String,
    /// What kind of value it is.
    pub kind: &'static str,
    /// The value.
    pub text: String,
    /// Digits after the point, where it is a number.
    pub digits: usize,
    /// Whether it is a word: no number, no time, no identifier.
    pub is_word: bool,
}

/// The text of a frame and its fields; `None` where it is no JSON.
pub fn leaves(bytes: &[u8]) -> Option<(String, Vec<Leaf>)> {
    let text = if bytes.starts_with(&[0x1f, 0x8b]) {
        let mut text = String::new();
        MultiGzDecoder::new(bytes).take(FRAME_BYTES_MAX).read_to_string(&mut text).ok()?;
        text
    } else {
        std::str::from_utf8(bytes).ok()?.to_owned()
    };
    let value: Value = serde_json::from_str(&text).ok()?;
    let mut leaves = Vec::new();
    walk(&value, String::new(), 0, &mut leaves);
    Some((text, leaves))
}

fn walk(value: &Value, path: String, depth: usize, out: &mut Vec<Leaf>) {
    match value {
        Value::Object(fields) if depth < DEPTH_MAX => {
            for (key, value) in fields {
                // A key that is a symbol or a number names a thing, not a field.
                let name = if is_name(key) { key.as_str() } else { "*" };
                let below = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
                walk(value, below, depth + 1, out);
            }
        }
        Value::Array(members) if depth < DEPTH_MAX => {
            // In a row of plain values each place has its meaning; a list of rows is one shape.
            let row = members.len() <= 16 && members.iter().all(|m| !m.is_object() && !m.is_array());
            for (at, member) in members.iter().enumerate().take(if row { 16 } else { LIST_MAX }) {
                let below = if row { format!("{path}[{at}]") } else { format!("{path}[]") };
                walk(member, below, depth + 1, out);
            }
        }
        Value::Object(_) | Value::Array(_) => {}
        Value::Null => out.push(leaf(path, "null", String::new())),
        Value::Bool(yes) => out.push(leaf(path, "a boolean", yes.to_string())),
        Value::Number(number) => out.push(leaf(path, "a number", number.to_string())),
        Value::String(text) => out.push(leaf(path, "a text", text.clone())),
    }
}

fn leaf(path: String, kind: &'static str, text: String) -> Leaf {
    let number = text.parse::<f64>().is_ok();
    let digits = match text.split_once('.') {
        Some((_, fraction)) if number => fraction.bytes().take_while(u8::is_ascii_digit).count(),
        _ => 0,
    };
    let is_word = kind == "a text"
        && !number
        && !text.is_empty()
        && text.bytes().filter(u8::is_ascii_digit).count() <= text.len() / 4;
    Leaf { path, kind, text, digits, is_word }
}

/// Whether a key names a field: lower case, or few letters, and hardly any digits.
fn is_name(key: &str) -> bool {
    let digits = key.bytes().filter(u8::is_ascii_digit).count();
    let capitals = key.bytes().filter(u8::is_ascii_uppercase).count();
    digits * 3 <= key.len() && (capitals < 4 || key.len() > 2 * capitals) && !key.contains(['/', '@'])
}
