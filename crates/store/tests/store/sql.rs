//! SQL over what is kept: the asking side with programs that misbehave, and the program itself where it was built.

use crate::cold::{DAY_MS, into, three_days};
use crate::files::{EPOCH, all, compact, run, small};
use bus::Published;
use model::{Body, Ts};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use store::sql::{Answer, Ask, Config, End, Error, Format, Input, Inputs, Kind, Part, Sql};
use store::{Reader, Table};

/// The program, where `scripts/test` has built it.
fn built() -> Option<PathBuf> {
    let program = std::env::var_os("QINGXI_SQL").map(PathBuf::from);
    if program.is_none() {
        println!("skipped: QINGXI_SQL names no qingxi-sql");
    }
    program
}

struct Nothing;

impl Inputs for Nothing {
    fn tables(&self, names: &[String]) -> Result<Vec<Input>, Error> {
        assert_eq!(names, [""; 0]);
        Ok(Vec::new())
    }
}

/// A program that says it needs no table and then does as `script` says.
fn acting(dir: &Path, script: &str) -> Config {
    let program = dir.join("qingxi-sql");
    let needs = r#"if [ "$1" = --tables ]; then cat > /dev/null; echo '{"tables":[]}'; exit; fi"#;
    fs::write(&program, format!("#!/bin/sh\n{needs}\nread request\n{script}\n")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    Config { program, ..Config::default() }
}

fn ask(sql: &str) -> Ask {
    Ask { sql: sql.to_owned(), format: Format::Json, rows: None, as_known_at: None }
}

async fn whole(mut answer: Answer) -> Result<(String, End), Error> {
    let mut bytes = Vec::new();
    loop {
        match answer.next().await? {
            Part::Rows(more) => bytes.extend(more),
            Part::End(end) => return Ok((String::from_utf8(bytes).unwrap(), end)),
        }
    }
}

async fn asked(sql: &Sql, text: &str) -> Result<(String, End), Error> {
    whole(sql.run(ask(text)).await?).await
}

const HEAD: &str = r#"echo '{"ok":true,"columns":[]}';"#;

#[tokio::test]
async fn an_answer_comes_in_parts_and_ends() {
    let dir = tempfile::tempdir().unwrap();
    let script = format!(r#"{HEAD} printf '2\n[13\n,2]0\n'; echo '{{"rows":2,"cut":true}}'"#);
    let sql = Sql::new(acting(dir.path(), &script), Arc::new(Nothing));
    let told = asked(&sql, "SELECT 1").await.unwrap();
    assert_eq!(told, ("[1,2]".to_owned(), End { rows: 2, cut: true }));
}

#[tokio::test]
async fn a_program_that_is_not_there_is_told_with_how_to_build_it() {
    let config = Config { program: "/nowhere/qingxi-sql".into(), ..Config::default() };
    let error = asked(&Sql::new(config, Arc::new(Nothing)), "SELECT 1").await.unwrap_err();
    let words = error.to_string();
    assert!(words.contains("make sql") && words.contains("`/nowhere/qingxi-sql`"), "{words}");
}

#[tokio::test]
async fn a_program_that_dies_gives_no_answer() {
    let dir = tempfile::tempdir().unwrap();
    let died = async |script: &str| {
        let sql = Sql::new(acting(dir.path(), script), Arc::new(Nothing));
        asked(&sql, "SELECT 1").await.unwrap_err()
    };
    let error = died("echo 'it broke' >&2; exit 7").await;
    assert!(
        matches!(&error, Error::Died { status, said } if status.code() == Some(7) && said == "it broke"),
        "{error}"
    );
    // After the head, in a chunk, before the last line.
    for script in [HEAD.to_owned(), format!(r"{HEAD} printf '9\nab'"), format!(r"{HEAD} printf '2\nab0\n'")] {
        let error = died(&script).await;
        assert!(matches!(error, Error::Died { .. }), "{script}: {error}");
    }
    let error = died("exit 4").await;
    assert!(matches!(&error, Error::Failed(problem) if problem.kind == Kind::Time), "{error}");
    let error = died("echo 'memory allocation of 7 bytes failed' >&2; kill -ABRT $$").await;
    assert!(matches!(&error, Error::Failed(problem) if problem.kind == Kind::Memory), "{error}");
}

#[tokio::test]
async fn a_query_past_the_number_that_may_run_waits_and_is_told_so() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config { queries_max: 1, wait_ms: 1, ..acting(dir.path(), &format!("{HEAD} cat")) };
    let sql = Sql::new(config, Arc::new(Nothing));
    let first = sql.run(ask("SELECT 1")).await.unwrap();
    let error = asked(&sql, "SELECT 2").await.unwrap_err();
    assert!(matches!(error, Error::Busy { running: 1, waited_ms: 1 }), "{error}");
    drop(first);
    assert!(sql.run(ask("SELECT 3")).await.is_ok());
}

#[tokio::test]
async fn dropping_an_answer_ends_the_process() {
    let dir = tempfile::tempdir().unwrap();
    let told = dir.path().join("pid");
    // It tells its number, then waits for an input that stays open.
    let script = format!("echo $$ > {}; {HEAD} while read line; do :; done", told.display());
    let sql = Sql::new(acting(dir.path(), &script), Arc::new(Nothing));
    let answer = sql.run(ask("SELECT 1")).await.unwrap();
    let process = PathBuf::from("/proc").join(fs::read_to_string(told).unwrap().trim());
    assert!(process.exists());
    drop(answer);
    // The runtime reaps what it killed.
    while process.exists() {
        tokio::task::yield_now().await;
        let _ = tokio::process::Command::new("true").status().await;
    }
}

/// The rows of JSON, as text.
async fn rows(sql: &Sql, text: &str) -> Result<String, Error> {
    let body: serde_json::Value = serde_json::from_str(&asked(sql, text).await?.0).unwrap();
    Ok(body["rows"].to_string())
}

#[tokio::test]
async fn every_event_is_a_row_once_while_it_is_written_sealed_and_merged() {
    let Some(program) = built() else { return };
    let dir = tempfile::tempdir().unwrap();
    let config = small(dir.path());
    let (reader, running, _bus) = run(&config, EPOCH, 6_000).await;
    let sql = Sql::new(Config { program: program.clone(), ..Config::default() }, Arc::new(reader));
    let events = all(EPOCH, 6_000);
    let of =
        |table: Table| events.iter().filter(|published| Table::of(&published.event.body) == table).count();
    let count = |table: &str| format!("SELECT count(DISTINCT number) AS n, count(*) AS rows FROM {table}");
    let trades = format!(r#"[{{"n":{0},"rows":{0}}}]"#, of(Table::Trades));
    assert_eq!(rows(&sql, &count("trades")).await.unwrap(), trades, "while it is written");
    running.control().seal().await;
    assert_eq!(rows(&sql, &count("trades")).await.unwrap(), trades, "when a part is sealed");
    let gaps = format!(r#"[{{"n":{0},"rows":{0}}}]"#, of(Table::Gaps));
    assert_eq!(rows(&sql, &count("gaps")).await.unwrap(), gaps);
    // A price is the double whose shortest text is the decimal, from files as from memory.
    let price = |number: u64| {
        let event = &events.iter().find(|published| published.cursor.number == number).unwrap().event;
        let Body::Trade(trade) = &event.body else { panic!("{number} is no trade") };
        (trade.px.0, event.instrument.px_scale)
    };
    let told = rows(&sql, "SELECT number, price, exact FROM trades WHERE exact IS NULL ORDER BY number")
        .await
        .unwrap();
    let told: Vec<serde_json::Value> = serde_json::from_str(&told).unwrap();
    assert!(!told.is_empty());
    for row in told {
        let (px, scale) = price(row["number"].as_u64().unwrap());
        let told: f64 = row["price"].as_f64().unwrap();
        let exact: f64 = format!("{px}e-{scale}").parse().unwrap();
        assert!(
            (told - exact).abs() < f64::EPSILON * exact.abs().max(f64::MIN_POSITIVE),
            "{row} is not {px}e-{scale}"
        );
    }
    // All tables, though most have no rows.
    let every: Vec<String> =
        Table::ALL.iter().map(|t| format!("SELECT count(*) AS n FROM {}", t.name())).collect();
    let all = format!("SELECT sum(n) > 6000 AS n FROM ({})", every.join(" UNION ALL "));
    assert_eq!(rows(&sql, &all).await.unwrap(), r#"[{"n":true}]"#);
    assert_eq!(rows(&sql, "SELECT count(*) AS n FROM bars_1m").await.unwrap(), r#"[{"n":0}]"#);
    let lanes = "SELECT count(*) > 0 AS n FROM completeness() c JOIN trades t ON c.instrument = t.instrument WHERE c.channel = 'trades'";
    assert_eq!(rows(&sql, lanes).await.unwrap(), r#"[{"n":true}]"#);
    let error = rows(&sql, "SELECT * FROM nowhere").await.unwrap_err();
    assert!(
        matches!(&error, Error::Failed(p) if p.kind == Kind::Plan && p.message.contains("book_deltas")),
        "{error}"
    );
    let error = rows(&sql, "DROP TABLE trades").await.unwrap_err();
    assert!(matches!(&error, Error::Failed(p) if p.kind == Kind::Refused), "{error}");
    running.stop().await;
}

#[tokio::test]
async fn a_file_with_a_flipped_byte_is_named() {
    let Some(program) = built() else { return };
    let dir = tempfile::tempdir().unwrap();
    let config = small(dir.path());
    let (reader, running, _bus) = run(&config, EPOCH, 3_000).await;
    running.stop().await;
    drop(reader);
    let (store, _) = store::Store::open(config.clone()).unwrap();
    store.compact(|_| {}).unwrap();
    let sql = || {
        let reader = store::Reader::open(dir.path()).unwrap();
        Sql::new(Config { program: program.clone(), ..Config::default() }, Arc::new(reader))
    };
    let text = "SELECT sum(price) AS a, sum(quantity) AS b, max(symbol) AS c, max(id) AS d FROM trades";
    let right = rows(&sql(), text).await.unwrap();
    let files = crate::files::parquet(dir.path());
    let file = files.iter().find(|path| path.to_str().unwrap().contains("/trades/")).unwrap();
    let whole = fs::read(file).unwrap();
    for at in [100, whole.len() / 3, whole.len() - 200] {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        fs::write(file, bytes).unwrap();
        let error = rows(&sql(), text).await.unwrap_err();
        let name = file.file_name().unwrap().to_str().unwrap();
        assert!(
            matches!(&error, Error::Failed(p) if p.kind == Kind::File && p.message.contains(name)),
            "{error}"
        );
    }
    fs::write(file, whole).unwrap();
    assert_eq!(rows(&sql(), text).await.unwrap(), right);
}

#[tokio::test]
async fn a_wish_for_a_file_that_nobody_has_is_answered() {
    let dir = tempfile::tempdir().unwrap();
    let script = format!(
        r#"echo '{{"want":"/nowhere.parquet"}}'; read first; {HEAD} echo '{{"want":"/nowhere.parquet"}}'; read second
        printf '%s\n%s' "${{#second}}" "$second"; printf '0\n'; echo '{{"rows":1,"cut":false}}'"#
    );
    let sql = Sql::new(acting(dir.path(), &script), Arc::new(Nothing));
    let (told, _) = asked(&sql, "SELECT 1").await.unwrap();
    let told: query::Brought = serde_json::from_str(&told).unwrap();
    assert!(told.want == Path::new("/nowhere.parquet") && told.why_not.is_some(), "{told:?}");
}

#[tokio::test]
async fn a_query_fetches_of_the_cold_tier_only_what_it_reads() {
    let Some(program) = built() else { return };
    let (dir, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut config = into(&small(dir.path()), place.path());
    let events = three_days(&config).await;
    let trades = |until: Ts| {
        let is_one =
            |it: &&Published| Table::of(&it.event.body) == Table::Trades && it.event.stamp.ts_recv < until;
        events.iter().filter(is_one).count()
    };
    let (first_day, all) = (trades(Ts::from_ms((EPOCH + DAY_MS).cast_signed())), trades(Ts(i64::MAX)));
    assert!(first_day > 0 && first_day < all);
    let bytes = Reader::open(dir.path()).unwrap().cold().bytes;
    let mut asks = |cache_bytes: u64| {
        config.cold.cache_bytes = cache_bytes;
        compact(&config);
        let reader = Reader::open(dir.path()).unwrap();
        let config = Config { program: program.clone(), ..Config::default() };
        (Sql::new(config, Arc::new(reader.clone())), reader)
    };
    let count = |of: &str| format!("SELECT count({of}) AS n FROM trades");
    let told = |n: usize| format!(r#"[{{"n":{n}}}]"#);

    let (sql, reader) = asks(bytes);
    let (cold, here) = (reader.cold().files, reader.cold().cached_files);
    assert_eq!(rows(&sql, &count("*")).await.unwrap(), told(all));
    assert_eq!(reader.cold().cached_files, here, "how many rows there are is known without a file");
    let day = format!("{} WHERE ts_recv < to_timestamp_millis({})", count("price"), EPOCH + DAY_MS);
    assert_eq!(rows(&sql, &day).await.unwrap(), told(first_day));
    let of_a_day = reader.cold().cached_files - here;
    assert!(of_a_day > 0 && of_a_day < cold / 2, "{of_a_day} of {cold}");
    assert_eq!(rows(&sql, &count("price")).await.unwrap(), told(all));
    assert!(reader.cold().cached_files - here > of_a_day);

    let (sql, _) = asks(1);
    let error = rows(&sql, &day).await.unwrap_err();
    assert!(
        matches!(&error, Error::Failed(p) if p.kind == Kind::File && p.message.contains("store.cold.cache_bytes")),
        "{error}"
    );
    let (sql, _) = asks(bytes);
    fs::rename(place.path(), dir.path().join("elsewhere")).unwrap();
    let error = rows(&sql, &count("price")).await.unwrap_err();
    assert!(
        matches!(&error, Error::Failed(p) if p.kind == Kind::File && p.message.contains("qingxi-cold")),
        "{error}"
    );
}
