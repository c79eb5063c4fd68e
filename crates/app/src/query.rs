//! `qingxi query`: SQL over what is kept, of a folder or by a running platform.

use crate::error::{Error, Result};
use serde_json::{Value, json};
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use store::Reader;
use store::sql::{Ask, Config, Format, Part, Sql};

/// Asks one SQL query. The tables are those of `docs/protocol.md`; `AS KNOWN AT '2026-11-21T10:00:00Z'` at its end asks what
/// was known then.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The query: `SELECT symbol, count(*) FROM trades GROUP BY symbol`.
    sql: String,
    /// How the rows are written.
    #[arg(long, default_value = "table", value_parser = format)]
    format: Format,
    /// Gives at most so many rows.
    #[arg(long, default_value_t = 1_000)]
    limit: u64,
    /// Reads this folder, as in `store.dir`, which may be in use, and asks no platform.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Where the platform listens.
    #[arg(long, default_value = "http://127.0.0.1:50061", env = "QINGXI_URL", conflicts_with = "dir")]
    url: String,
}

fn format(name: &str) -> std::result::Result<Format, String> {
    serde_json::from_value(name.into())
        .map_err(|_| "there are table, csv, json, parquet and arrow".to_owned())
}

/// Runs the command and gives its exit code.
///
/// # Errors
/// Where there is no answer, or no whole one.
pub async fn run(args: Args) -> Result<u8> {
    match &args.dir {
        Some(dir) => {
            let reader = Arc::new(Reader::open(dir)?);
            of_folder(&Sql::new(Config { rows_max: args.limit, ..Config::default() }, reader), &args).await
        }
        None => of_platform(&args).await,
    }
}

fn written(bytes: &[u8]) -> Result<()> {
    let to = || PathBuf::from("standard output");
    io::stdout().write_all(bytes).map_err(|source| Error::Write { path: to(), source })
}

async fn of_folder(sql: &Sql, args: &Args) -> Result<u8> {
    let ask = Ask { sql: args.sql.clone(), format: args.format, rows: None, as_known_at: None };
    let mut answer = sql.run(ask).await?;
    loop {
        match answer.next().await? {
            Part::Rows(bytes) => written(&bytes)?,
            Part::End(end) => {
                if end.cut && args.format != Format::Table {
                    eprintln!("there are more than {} rows; --limit gives more", end.rows);
                }
                return Ok(0);
            }
        }
    }
}

async fn of_platform(args: &Args) -> Result<u8> {
    let url = format!("{}/api/v1/sql", args.url.trim_end_matches('/'));
    let failed = |source| Error::Ask { url: url.clone(), source };
    let client = reqwest::Client::builder().no_proxy().build().map_err(failed)?;
    let body = json!({ "sql": args.sql, "format": args.format, "limit": args.limit }).to_string();
    let request = client.post(&url).header("content-type", "application/json").body(body);
    let mut answer = request.send().await.map_err(failed)?;
    if !answer.status().is_success() {
        let bytes = answer.bytes().await.map_err(failed)?;
        let body: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        let message = body.get("message").and_then(Value::as_str);
        return Err(Error::Query(message.unwrap_or("the platform gave no answer").to_owned()));
    }
    while let Some(bytes) = answer.chunk().await.map_err(failed)? {
        written(&bytes)?;
    }
    Ok(0)
}
