//! `qingxi status`: how every source and lane of a running platform is doing, in words.

use crate::error::{Error, Result};
use crate::term::{Cell, Table, paint};
use serde_json::Value;

/// The longest address in the table, in characters.
const URL_MAX: usize = 60;

/// Asks a running platform.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Where it listens.
    #[arg(long, default_value = "http://127.0.0.1:50061", env = "QINGXI_URL")]
    url: String,
    /// Shows every lane, not only those that need a look.
    #[arg(long)]
    all: bool,
    /// Prints the answer as JSON.
    #[arg(long)]
    json: bool,
}

/// Runs the command; exit code 0 where the platform is healthy, 1 where it is not.
///
/// # Errors
/// Where the platform does not answer.
pub async fn run(args: Args) -> Result<u8> {
    let base = args.url.trim_end_matches('/');
    let health = ask(&format!("{base}/api/v1/health")).await?;
    let lanes = ask(&format!("{base}/api/v1/lanes")).await?;
    let healthy = health.get("status").and_then(Value::as_str) == Some("healthy");
    if args.json {
        println!("{}", serde_json::json!({ "health": health, "lanes": lanes }));
    } else {
        print(&health, &lanes, args.all, healthy);
    }
    Ok(u8::from(!healthy))
}

async fn ask(url: &str) -> Result<Value> {
    let failed = |source| Error::Ask { url: url.to_owned(), source };
    let client = reqwest::Client::builder().no_proxy().build().map_err(failed)?;
    let body = client.get(url).send().await.map_err(failed)?.bytes().await.map_err(failed)?;
    Ok(serde_json::from_slice(&body).unwrap_or(Value::Null))
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or("-")
}

/// An address that fits into a table; `--json` has it whole.
fn short(url: &str) -> String {
    let end = url.char_indices().nth(URL_MAX).map(|(at, _)| at);
    end.and_then(|at| url.get(..at)).map_or_else(|| url.to_owned(), |begin| format!("{begin}…"))
}

/// Green for what is well, yellow for what passes, red for what needs a look.
fn colour(state: &str) -> &'static str {
    match state {
        "live" | "quiet" | "closed" | "off" | "healthy" | "up" => "32",
        "syncing" | "asked" | "degraded" => "33",
        _ => "31",
    }
}

fn print(health: &Value, lanes: &Value, all: bool, healthy: bool) {
    let status = text(health, "status");
    println!("platform {}", paint(status, colour(status)));
    let list = |key: &str| lanes.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    let mut links = Table::new(&["source", "connection", "state", "lost", "unreadable"]);
    for link in list("links") {
        let up = link.get("up").and_then(Value::as_bool).unwrap_or(false);
        let count = |key: &str| link.get(key).and_then(Value::as_u64).unwrap_or(0);
        links.row(vec![
            Cell::left(text(&link, "source")),
            Cell::left(&short(text(&link, "url"))),
            Cell::left(text(&link, "words")).coloured(if up { "32" } else { "31" }),
            Cell::right(count("losses")),
            Cell::right(count("malformed")),
        ]);
    }
    links.print();
    println!();
    let mut table = Table::new(&["instrument", "channel", "state", "proof", "evidence"]);
    let lanes = list("lanes");
    let mut well = 0;
    for lane in &lanes {
        let state = text(lane, "state");
        if !all && matches!(state, "live" | "quiet" | "closed" | "off") {
            well += 1;
            continue;
        }
        table.row(vec![
            Cell::left(text(lane, "instrument")),
            Cell::left(text(lane, "channel")),
            Cell::left(state).coloured(colour(state)),
            Cell::left(text(lane, "proof")),
            Cell::left(text(lane, "words")),
        ]);
    }
    table.print();
    if !all {
        println!(
            "{well} of {} lanes are well{}",
            lanes.len(),
            if well > 0 { "; --all shows them" } else { "" }
        );
    }
    if !healthy {
        println!("see {} for what each state means", paint("docs/protocol.md", "90"));
    }
}
