//! Numbered fields as the venue writes them.

use crate::asks::parameter;

/// A field's value.
pub enum Value {
    /// A price: a mantissa, `None` for `"-"`.
    Px(Option<i64>),
    /// Anything else, as JSON.
    Json(String),
}

/// The fields of one row, with the number of decimals of its prices.
pub struct Fields {
    scale: u8,
    all: Vec<(u16, Value)>,
}

impl Fields {
    /// Without any.
    pub fn new(scale: u8) -> Self {
        Self { scale, all: Vec::new() }
    }

    /// Adds a price.
    pub fn px(&mut self, field: u16, px: Option<i64>) {
        self.all.push((field, Value::Px(px)));
    }

    /// Adds what is JSON as it stands.
    pub fn json(&self, raw: bool) -> String {
        let pairs: Vec<String> =
            self.texts(raw).into_iter().map(|(key, value)| format!(r#""{key}":{value}"#)).collect();
        format!("{{{}}}", pairs.join(","))
    }

    /// Adds a number, or `"-"`.
    pub fn number(&mut self, field: u16, number: Option<i64>) {
        self.all.push((field, Value::Json(number.map_or("\"-\"".to_owned(), |n| n.to_string()))));
    }

    /// Adds a number with two decimals or more.
    pub fn money(&mut self, field: u16, mantissa: Option<i64>) {
        let text = mantissa.map_or("\"-\"".to_owned(), |m| fixed(m, self.scale));
        self.all.push((field, Value::Json(text)));
    }

    /// Adds a text.
    pub fn text(&mut self, field: u16, text: &str) {
        self.all.push((field, Value::Json(format!("\"{text}\""))));
    }

    /// Keeps only what was asked for: `f2,f12`.
    pub fn only(mut self, asked: &str) -> Self {
        self.all.retain(|(field, _)| {
            asked.split(',').any(|name| name.strip_prefix('f') == Some(&field.to_string()))
        });
        self
    }

    /// Names and values; prices are integers where `raw`.
    pub fn texts(&self, raw: bool) -> Vec<(String, String)> {
        let text = |value: &Value| match value {
            Value::Px(None) => "\"-\"".to_owned(),
            Value::Px(Some(px)) if raw => px.to_string(),
            Value::Px(Some(px)) => fixed(*px, self.scale),
            Value::Json(json) => json.clone(),
        };
        self.all.iter().map(|(field, value)| (format!("f{field}"), text(value))).collect()
    }
}

/// A mantissa with all its decimals: `14.10`.
pub fn fixed(mantissa: i64, scale: u8) -> String {
    source::web::fixed(mantissa, scale)
}

/// An answer inside the call that was asked for by `cb`, where one was.
pub fn jsonp(path: &str, json: String) -> String {
    match parameter(path, "cb") {
        "" => json,
        name => format!("{name}({json});"),
    }
}
