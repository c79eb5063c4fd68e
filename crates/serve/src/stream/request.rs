//! What a client may ask, and how a mistake in it is told.

use bus::Cursor;
use model::Channel;
use serde_json::{Map, Value};

/// The longest depth of a book that is sent as snapshots.
const DEPTH_MAX: u64 = 1_000;
/// The shortest and the longest time between two deliveries when sampling, in ms.
const SAMPLE_MS: std::ops::RangeInclusive<u64> = 10..=60_000;

/// A request with the number or text that its answer repeats.
#[derive(Debug, PartialEq)]
pub(crate) struct Request {
    pub(crate) id: Option<Value>,
    pub(crate) op: Op,
}

/// What is asked.
#[derive(Debug, PartialEq)]
pub(crate) enum Op {
    Subscribe(Subscribe),
    Unsubscribe {
        instruments: Vec<String>,
        /// `None`: all channels.
        channels: Option<Vec<Channel>>,
    },
    List,
    Ping,
}

/// What is to be sent, and how.
#[derive(Debug, PartialEq)]
pub(crate) struct Subscribe {
    pub(crate) instruments: Vec<String>,
    pub(crate) channels: Vec<Channel>,
    pub(crate) depth: Option<usize>,
    pub(crate) pace: Option<Pace>,
    pub(crate) from: Option<Cursor>,
}

/// The contract of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// As fast as the client reads.
    Conflate,
    /// The newest of each lane, this often in ms.
    Sample(u64),
}

/// A mistake: a word for programs, a sentence for people.
#[derive(Debug, PartialEq)]
pub(crate) struct Fault {
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

impl Fault {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// Reads a message. A fault comes with the request's id where that could be read.
pub(crate) fn parse(text: &str) -> Result<Request, (Fault, Option<Value>)> {
    let bad_json = |message: String| (Fault::new("bad_json", message), None);
    let value: Value = serde_json::from_str(text).map_err(|e| bad_json(format!("not JSON: {e}")))?;
    let Value::Object(fields) = value else {
        return Err(bad_json("a request is a JSON object such as {\"op\":\"ping\"}".to_owned()));
    };
    let id = fields.get("id").filter(|id| !id.is_null()).cloned();
    match id {
        None | Some(Value::Number(_) | Value::String(_)) => {}
        Some(_) => return Err((Fault::new("bad_field", "`id` must be a number or a text"), None)),
    }
    match op(&fields) {
        Ok(op) => Ok(Request { id, op }),
        Err(fault) => Err((fault, id)),
    }
}

fn op(fields: &Map<String, Value>) -> Result<Op, Fault> {
    let Some(op) = fields.get("op") else { return Err(missing("op")) };
    match op.as_str() {
        Some("subscribe") => {
            only(fields, &["instruments", "instrument", "channels", "channel", "depth", "policy", "from"])?;
            Ok(Op::Subscribe(Subscribe {
                instruments: texts(fields, "instruments", "instrument")?
                    .ok_or_else(|| missing("instruments"))?,
                channels: channels(fields)?.ok_or_else(|| missing("channels"))?,
                depth: depth(fields)?,
                pace: pace(fields)?,
                from: cursor(fields)?,
            }))
        }
        Some("unsubscribe") => {
            only(fields, &["instruments", "instrument", "channels", "channel"])?;
            let instruments =
                texts(fields, "instruments", "instrument")?.ok_or_else(|| missing("instruments"))?;
            Ok(Op::Unsubscribe { instruments, channels: channels(fields)? })
        }
        Some("list") => only(fields, &[]).map(|()| Op::List),
        Some("ping") => only(fields, &[]).map(|()| Op::Ping),
        _ => {
            let message = format!("unknown op {op}; known: subscribe, unsubscribe, list, ping");
            Err(Fault::new("unknown_op", message))
        }
    }
}

fn missing(field: &str) -> Fault {
    Fault::new("missing_field", format!("`{field}` is missing"))
}

/// A misspelt field would be passed over in silence otherwise.
fn only(fields: &Map<String, Value>, known: &[&str]) -> Result<(), Fault> {
    match fields.keys().find(|k| !["op", "id"].contains(&k.as_str()) && !known.contains(&k.as_str())) {
        None => Ok(()),
        Some(key) => Err(Fault::new("unknown_field", format!("unknown field `{key}`"))),
    }
}

/// A list of texts under one name, or a single text under either; `None` where neither is there.
fn texts(fields: &Map<String, Value>, many: &str, one: &str) -> Result<Option<Vec<String>>, Fault> {
    let Some(value) = fields.get(many).or_else(|| fields.get(one)) else { return Ok(None) };
    let list = match value {
        Value::String(text) => Some(vec![text.clone()]),
        Value::Array(values) => values.iter().map(|v| v.as_str().map(str::to_owned)).collect(),
        _ => None,
    };
    let fault = || Fault::new("bad_field", format!("`{many}` must be a list of texts"));
    let list = list.ok_or_else(fault)?;
    if list.is_empty() {
        return Err(Fault::new("missing_field", format!("`{many}` is empty")));
    }
    Ok(Some(list))
}

/// The channels that an instrument can have.
pub(crate) fn known_channels() -> impl Iterator<Item = Channel> {
    Channel::ALL.into_iter().filter(|c| *c != Channel::Link)
}

fn channels(fields: &Map<String, Value>) -> Result<Option<Vec<Channel>>, Fault> {
    let Some(names) = texts(fields, "channels", "channel")? else { return Ok(None) };
    let parse = |name: &String| {
        known_channels().find(|c| c.name() == name).ok_or_else(|| {
            let known: Vec<&str> = known_channels().map(Channel::name).collect();
            let message = format!("unknown channel `{name}`; known: {}", known.join(", "));
            Fault::new("unknown_channel", message)
        })
    };
    let mut channels: Vec<Channel> = names.iter().map(parse).collect::<Result<_, _>>()?;
    channels.sort_unstable();
    channels.dedup();
    Ok(Some(channels))
}

fn depth(fields: &Map<String, Value>) -> Result<Option<usize>, Fault> {
    let Some(value) = fields.get("depth").filter(|v| !v.is_null()) else { return Ok(None) };
    match value.as_u64() {
        Some(depth) if (1..=DEPTH_MAX).contains(&depth) => Ok(Some(depth as usize)),
        _ => {
            let message = format!("`depth` must be a whole number from 1 to {DEPTH_MAX}, not {value}");
            Err(Fault::new("bad_depth", message))
        }
    }
}

fn pace(fields: &Map<String, Value>) -> Result<Option<Pace>, Fault> {
    let Some(value) = fields.get("policy").filter(|v| !v.is_null()) else { return Ok(None) };
    let sample = value.get("sample").and_then(Value::as_u64).filter(|ms| SAMPLE_MS.contains(ms));
    let alone = value.as_object().is_some_and(|o| o.len() == 1);
    match (value.as_str(), sample) {
        (Some("conflate"), _) => Ok(Some(Pace::Conflate)),
        (_, Some(ms)) if alone => Ok(Some(Pace::Sample(ms))),
        _ => {
            let (min, max) = (SAMPLE_MS.start(), SAMPLE_MS.end());
            let message = format!(
                "`policy` must be \"conflate\" or {{\"sample\":ms}} with {min} to {max} ms, not {value}"
            );
            Err(Fault::new("bad_policy", message))
        }
    }
}

fn cursor(fields: &Map<String, Value>) -> Result<Option<Cursor>, Fault> {
    let Some(value) = fields.get("from").filter(|v| !v.is_null()) else { return Ok(None) };
    let part = |name| value.get(name).and_then(Value::as_u64);
    let (Some(epoch), Some(number)) = (part("epoch"), part("number")) else {
        let message = "`from` must be {\"epoch\":…,\"number\":…} as an event had them";
        return Err(Fault::new("bad_cursor", message));
    };
    Ok(Some(Cursor { epoch, number }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> &'static str {
        parse(text).unwrap_err().0.code
    }

    #[test]
    fn each_mistake_has_its_code() {
        let sub =
            |rest: &str| format!(r#"{{"op":"subscribe","instruments":["A@v"],"channels":["book"]{rest}}}"#);
        for (text, want) in [
            ("{", "bad_json"),
            ("[]", "bad_json"),
            ("{}", "missing_field"),
            (r#"{"op":"jump"}"#, "unknown_op"),
            (r#"{"op":7}"#, "unknown_op"),
            (r#"{"op":"ping","id":[]}"#, "bad_field"),
            (r#"{"op":"ping","now":1}"#, "unknown_field"),
            (r#"{"op":"subscribe","channels":["book"]}"#, "missing_field"),
            (r#"{"op":"subscribe","instruments":[],"channels":["book"]}"#, "missing_field"),
            (r#"{"op":"subscribe","instruments":["A@v"]}"#, "missing_field"),
            (r#"{"op":"subscribe","instruments":[1],"channels":["book"]}"#, "bad_field"),
            (r#"{"op":"subscribe","instruments":["A@v"],"channels":["books"]}"#, "unknown_channel"),
            (r#"{"op":"subscribe","instruments":["A@v"],"channels":["link"]}"#, "unknown_channel"),
            (&sub(r#","depth":0"#), "bad_depth"),
            (&sub(r#","depth":1.5"#), "bad_depth"),
            (&sub(r#","policy":"fast""#), "bad_policy"),
            (&sub(r#","policy":{"sample":1}"#), "bad_policy"),
            (&sub(r#","policy":{"sample":100,"x":1}"#), "bad_policy"),
            (&sub(r#","from":{"epoch":1}"#), "bad_cursor"),
            (&sub(r#","from":7"#), "bad_cursor"),
            (&sub(r#","chanels":[]"#), "unknown_field"),
        ] {
            assert_eq!(code(text), want, "{text}");
        }
    }

    #[test]
    fn a_full_request_is_read() {
        let text = r#"{"op":"subscribe","id":"x","instrument":"A@v","channels":["book","trades","book"],
            "depth":5,"policy":{"sample":250},"from":{"epoch":3,"number":9}}"#;
        let want = Subscribe {
            instruments: vec!["A@v".to_owned()],
            channels: vec![Channel::Trades, Channel::Book],
            depth: Some(5),
            pace: Some(Pace::Sample(250)),
            from: Some(Cursor { epoch: 3, number: 9 }),
        };
        let request = Request { id: Some(Value::from("x")), op: Op::Subscribe(want) };
        assert_eq!(parse(text), Ok(request));
    }
}
