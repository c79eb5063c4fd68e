//! `qingxi subscriptions`: what a running platform wants of its sources, shown and changed.

use crate::error::{Error, Result};
use crate::term::{Cell, Table, paint};
use clap::Subcommand;
use serde_json::Value;

/// How many names of a subscription are shown.
const NAMES_SHOWN: usize = 4;

/// Shows or changes what a running platform wants.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    what: Option<What>,
    /// Where the platform listens.
    #[arg(long, default_value = "http://127.0.0.1:50061", env = "QINGXI_URL", global = true)]
    url: String,
    /// Prints the answer as JSON.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand, Debug)]
enum What {
    /// Show them all (as without a word).
    List,
    /// Want more: `qingxi subscriptions add okx BTC/USDT 'top 50 spot pairs by turnover quoted in USDT'`.
    Add {
        /// Of which source.
        source: String,
        /// Names, patterns (`*/USDT`) or rules (`top 50 spot pairs by turnover quoted in USDT`).
        #[arg(required = true)]
        instruments: Vec<String>,
        /// A channel, several times for several; trades and books where none is named.
        #[arg(short, long = "channel")]
        channels: Vec<String>,
    },
    /// Want it no longer.
    Remove {
        /// The number of the subscription.
        id: u64,
    },
}

/// Runs the command; exit code 1 where the platform refuses.
///
/// # Errors
/// Where the platform does not answer.
pub async fn run(args: Args) -> Result<u8> {
    let base = format!("{}/api/v1/subscriptions", args.url.trim_end_matches('/'));
    let client = reqwest::Client::builder().no_proxy().build();
    let client = client.map_err(|source| Error::Ask { url: base.clone(), source })?;
    let (url, request) = match args.what {
        None | Some(What::List) => (base.clone(), client.get(&base)),
        Some(What::Add { source, instruments, channels }) => {
            let wish =
                serde_json::json!({ "source": source, "instruments": instruments, "channels": channels });
            let body = wish.to_string();
            (base.clone(), client.post(&base).header("content-type", "application/json").body(body))
        }
        Some(What::Remove { id }) => {
            let url = format!("{base}/{id}");
            (url.clone(), client.delete(url))
        }
    };
    let failed = |source| Error::Ask { url: url.clone(), source };
    let answer = request.send().await.map_err(failed)?;
    let taken = answer.status().is_success();
    let body = answer.bytes().await.map_err(failed)?;
    let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    if args.json {
        println!("{body}");
    } else if taken {
        print(&body);
    } else {
        let why = body.get("message").and_then(Value::as_str).unwrap_or("the answer cannot be read");
        eprintln!("{} {why}", paint("refused:", "31"));
    }
    Ok(u8::from(!taken))
}

fn print(body: &Value) {
    let one = std::slice::from_ref(body);
    let all = body.get("subscriptions").and_then(Value::as_array).map_or(one, Vec::as_slice);
    let words = |value: &Value, key: &str| {
        let list = value.get(key).and_then(Value::as_array).into_iter().flatten();
        list.filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
    };
    // A demo wants each instrument by its name.
    let few = |value: &Value| {
        let names = value.get("instruments").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let shown: Vec<&str> = names.iter().take(NAMES_SHOWN).filter_map(Value::as_str).collect();
        let more = names.len().saturating_sub(NAMES_SHOWN);
        let tail = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("{}{tail}", shown.join(", "))
    };
    let number = |value: &Value, key: &str| value.get(key).and_then(Value::as_u64).unwrap_or(0);
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or("-").to_owned();
    let mut table =
        Table::new(&["id", "source", "wants", "channels", "from", "instruments", "names nothing"]);
    for one in all {
        let problems = words(one, "problems");
        let colour = if problems.is_empty() { "0" } else { "33" };
        table.row(vec![
            Cell::right(number(one, "id")),
            Cell::left(&text(one, "source")),
            Cell::left(&few(one)),
            Cell::left(&words(one, "channels")),
            Cell::left(&text(one, "origin")),
            Cell::right(number(one, "resolved")),
            Cell::left(&problems).coloured(colour),
        ]);
    }
    table.print();
}
