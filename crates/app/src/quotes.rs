//! `qingxi quotes`: quotes of Chinese stocks from a running platform, once or again and again.

use crate::error::{Error, Result};
use crate::term::{Cell, Table, paint};
use crate::topology::until_stopped;
use serde_json::{Value, json};
use std::io::IsTerminal;
use std::time::Duration;

/// Asks a running platform for quotes of Chinese stocks.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Codes, with commas between them: `600519,000001.SZ`. One that two exchanges know needs its exchange.
    #[arg(required = true, value_delimiter = ',')]
    symbols: Vec<String>,
    /// The source to take them from; the best one where none is named.
    #[arg(short, long, default_value = "auto")]
    source: String,
    /// Asks again every so many seconds, until it is stopped; 3 where no number is given.
    #[arg(short, long, num_args = 0..=1, default_missing_value = "3", value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    watch: Option<u64>,
    /// Where the platform listens.
    #[arg(long, default_value = "http://127.0.0.1:50061", env = "QINGXI_URL")]
    url: String,
    /// Prints the answer as JSON, one a line.
    #[arg(long)]
    json: bool,
}

/// Runs the command; exit code 1 where a code gave no quote.
///
/// # Errors
/// Where the platform does not answer.
pub async fn run(args: Args) -> Result<u8> {
    let mut whole = ask(&args).await?;
    let Some(seconds) = args.watch else { return Ok(u8::from(!whole)) };
    let mut stop = std::pin::pin!(until_stopped());
    loop {
        tokio::select! {
            stopped = &mut stop => return stopped.map(|()| u8::from(!whole)),
            () = tokio::time::sleep(Duration::from_secs(seconds)) => {}
        }
        if !args.json && std::io::stdout().is_terminal() {
            // Clears the screen and goes to its first line.
            print!("\x1b[2J\x1b[H");
        }
        whole = ask(&args).await?;
    }
}

/// Asks once and prints the answer; true where every code gave a quote.
async fn ask(args: &Args) -> Result<bool> {
    let url = format!("{}/api/v1/quotes", args.url.trim_end_matches('/'));
    let failed = |source| Error::Ask { url: url.clone(), source };
    let client = reqwest::Client::builder().no_proxy().build().map_err(failed)?;
    let body = json!({ "symbols": args.symbols, "source": args.source }).to_string();
    let request = client.post(&url).header("content-type", "application/json").body(body);
    let bytes = request.send().await.map_err(failed)?.bytes().await.map_err(failed)?;
    let body: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    if args.json {
        println!("{body}");
    } else {
        print(&body);
    }
    Ok(body.get("success").and_then(Value::as_bool) == Some(true))
}

fn list<'a>(body: &'a Value, key: &str) -> &'a [Value] {
    body.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or("-")
}

/// What rises is red and what falls is green, as it is usual in this market.
fn colour(change: &str) -> &'static str {
    match change {
        "-" | "0" => "0",
        fallen if fallen.starts_with('-') => "32",
        _ => "31",
    }
}

fn print(body: &Value) {
    let mut table = Table::new(&[
        "code", "name", "price", "change", "%", "open", "high", "low", "volume", "turnover", "bid", "ask",
        "source", "age",
    ]);
    for row in list(body, "data") {
        let number = |key: &str| Cell::right(text(row, key));
        let change = text(row, "change");
        let painted = |key: &str| number(key).coloured(colour(change));
        let age = row.get("age_ms").and_then(Value::as_u64).unwrap_or_default();
        let late = row.get("late").and_then(Value::as_bool) == Some(true);
        table.row(vec![
            Cell::left(text(row, "symbol")),
            Cell::left(text(row, "name")),
            painted("price"),
            painted("change"),
            painted("change_pct"),
            number("open"),
            number("high"),
            number("low"),
            number("volume"),
            number("turnover"),
            number("bid1"),
            number("ask1"),
            Cell::left(text(row, "source")),
            Cell::right(format!("{}.{} s", age / 1_000, age % 1_000 / 100)).coloured(if late {
                "33"
            } else {
                "0"
            }),
        ]);
    }
    table.print();
    // Where nothing was found the answer is itself the error.
    let refused = body.get("message").is_some().then_some(body);
    for missing in list(body, "errors").iter().chain(refused) {
        eprintln!("{} {}", paint("no quote:", "31"), text(missing, "message"));
    }
}
