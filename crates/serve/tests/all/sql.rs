//! SQL queries by HTTP, with a program that does as the query says, and with the real one where it was built.

use crate::world::{Answer, World, http, joined, soon, until, world};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The text of a query is what the program does: a line for the shell.
fn acting(program: &Path) {
    let script = r#"#!/bin/sh
if [ "$1" = --tables ]; then cat > /dev/null; echo '{"tables":[]}'; exit; fi
read -r request
head() { echo '{"ok":true,"columns":[]}'; }
end() { printf '0\n{"rows":1,"cut":false}\n'; }
fails() { echo "{\"error\":{\"kind\":\"$1\",\"message\":\"why\",\"position\":{\"line\":1,\"column\":7}}}"; }
do=${request#*'"sql":"'}
eval "${do%%'"'*}"
"#;
    fs::write(program, script).unwrap();
    fs::set_permissions(program, fs::Permissions::from_mode(0o755)).unwrap();
}

async fn post(world: &World, kind: &str, query: &str, body: &str) -> Answer {
    let length = body.len();
    let head = format!(
        "POST /api/v1/sql{query} HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n"
    );
    http(world.at.http, &format!("{head}\r\n{body}")).await
}

async fn ask(world: &World, sql: &str) -> (u16, Value) {
    let answer = post(world, "application/json", "", &serde_json::json!({ "sql": sql }).to_string()).await;
    let chunked = answer.head.contains("transfer-encoding: chunked");
    let body = if chunked { joined(answer.body.as_bytes()) } else { answer.body.into_bytes() };
    (answer.status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

#[tokio::test]
async fn what_a_query_may_not_do_and_what_it_may_not_take_have_their_own_status() {
    let world = world().await;
    acting(&world.program);
    for (kind, status, word) in [
        ("refused", 400, "refused"),
        ("syntax", 400, "bad_sql"),
        ("plan", 400, "bad_query"),
        ("execution", 400, "bad_query"),
        ("memory", 422, "memory_limit"),
        ("temp", 422, "disk_limit"),
        ("time", 422, "time_limit"),
        ("file", 500, "unreadable"),
    ] {
        let (told, body) = ask(&world, &format!("fails {kind}")).await;
        assert_eq!((told, &body["error"]), (status, &word.into()), "{body}");
        assert_eq!(body["message"], "why (line 1, column 7)", "{body}");
    }
    assert_eq!(ask(&world, "exit 3").await.0, 500);
}

#[tokio::test]
async fn a_body_that_is_no_query_is_told_what_is_wanted() {
    let world = world().await;
    acting(&world.program);
    for (kind, query, body) in [
        ("application/json", "", "SELECT 1"),
        ("application/json", "", r#"{"sql":"head; end","colour":1}"#),
        ("application/json", "", r#"{"sql":"head; end","format":"xml"}"#),
        ("application/json", "?limit=3", r#"{"sql":"head; end"}"#),
        ("text/plain", "?format=xml", "head; end"),
        ("text/plain", "?limit=none", "head; end"),
    ] {
        let answer = post(&world, kind, query, body).await;
        assert_eq!(answer.status, 400, "{body}: {}", answer.body);
    }
    let answer = post(&world, "text/plain; charset=utf-8", "?format=csv&limit=3", "head; end").await;
    assert!(answer.status == 200 && answer.head.contains("text/csv"), "{}", answer.head);
}

#[tokio::test]
async fn a_program_that_was_not_built_is_told_with_how_to_build_it() {
    let world = world().await;
    let (status, body) = ask(&world, "SELECT 1").await;
    assert_eq!((status, &body["error"]), (501, &"no_sql".into()));
    assert!(body["message"].as_str().unwrap().contains("make sql"), "{body}");
}

#[tokio::test]
async fn a_client_that_goes_ends_its_query_and_another_one_has_its_turn() {
    let world = world().await;
    acting(&world.program);
    let mut client = TcpStream::connect(world.at.http).await.unwrap();
    let body = r#"{"sql":"head; while read -r line; do :; done"}"#;
    let request =
        format!("POST /api/v1/sql HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    client.write_all(request.as_bytes()).await.unwrap();
    let mut status = [0; 12];
    soon(client.read_exact(&mut status)).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 200");
    let answer = post(&world, "text/plain", "", "head; end").await;
    assert!(answer.status == 503 && answer.head.contains("retry-after: 1"), "{}", answer.head);
    drop(client);
    until(async || ask(&world, "head; end").await.0 == 200).await;
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_no_whole_one() {
    let world = world().await;
    acting(&world.program);
    let answer = post(&world, "text/plain", "", r"head; printf '3\\nabc'; fails time").await;
    // The last chunk of HTTP, of length 0, is not there.
    assert!(answer.status == 200 && !answer.body.ends_with("0\r\n\r\n"), "{}", answer.body);
}

#[tokio::test]
async fn rows_that_were_kept_are_asked_for() {
    let Some(program) = std::env::var_os("QINGXI_SQL") else {
        println!("skipped: QINGXI_SQL names no qingxi-sql");
        return;
    };
    let mut world = world().await;
    symlink(program, &world.program).unwrap();
    let coin = crate::world::spot("AA", "USD");
    let running = world.store.take().unwrap().start(&world.bus, Arc::clone(&world.metrics));
    for id in 1..=10 {
        world.trade(&coin, id);
    }
    running.stop().await;
    let (status, body) =
        ask(&world, "SELECT symbol, count(*) AS n, max(price) AS p FROM trades GROUP BY 1").await;
    assert_eq!(
        (status, &body["rows"]),
        (200, &serde_json::json!([{"symbol": "AAUSD", "n": 10, "p": 1.0}])),
        "{body}"
    );
    assert_eq!((&body["count"], &body["cut"]), (&1.into(), &false.into()), "{body}");
    assert_eq!(ask(&world, "DROP TABLE trades").await.0, 400);
}
