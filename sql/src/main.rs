//! `qingxi-sql`: answers one SQL query over files and rows that are handed to it, and ends. [`query`] says how it is asked.

mod fault;
mod file;
mod out;
mod rows;
mod scratch;
mod session;
mod table;
mod text;
mod wants;
mod watch;

use crate::out::Out;
use crate::rows::{Rows, columns};
use crate::scratch::Scratch;
use crate::session::Session;
use crate::wants::Wants;
use crate::watch::Shared;
use datafusion::dataframe::DataFrame;
use datafusion::error::{DataFusionError, Result as Ran};
use datafusion::execution::context::SQLOptions;
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::logical_expr::LogicalPlan;
use futures::StreamExt as _;
use query::{End, Kind, Needs, Problem, REQUEST_BYTES_MAX, Request, SQL_BYTES_MAX, Said};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Arc;

const USAGE: &str = "usage: qingxi-sql            a request and its rows on the standard input, the answer on the standard output
       qingxi-sql --tables   a query on the standard input, the tables it names on the standard output
       qingxi-sql --version";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        [] => answer(),
        ["--tables"] => needs(),
        ["--version"] => {
            println!("qingxi-sql {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn needs() -> ExitCode {
    let mut sql = String::new();
    let read = io::stdin().take(SQL_BYTES_MAX as u64 + 1).read_to_string(&mut sql);
    let needs = read
        .map_err(|e| fault::problem(Kind::Request, e.to_string()))
        .and_then(|_| text::tables(&text::read(&sql)?))
        .map(|tables| Needs { tables });
    let (said, code) = match needs {
        Ok(needs) => (Said::Told(needs), ExitCode::SUCCESS),
        Err(error) => (Said::Failed { error }, ExitCode::FAILURE),
    };
    let line = serde_json::to_string(&said)
        .and_then(|line| writeln!(io::stdout(), "{line}").map_err(serde_json::Error::io));
    if line.is_ok() { code } else { ExitCode::FAILURE }
}

fn answer() -> ExitCode {
    let shared = Shared::new(Out::new());
    let asked = catch_unwind(AssertUnwindSafe(|| ask(&shared)));
    let asked = asked
        .unwrap_or_else(|_| Err(fault::problem(Kind::Internal, "the query ended by a fault of the program")));
    let code = match asked {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            shared.out(|out| out.fail(problem));
            ExitCode::FAILURE
        }
    };
    shared.leave();
    code
}

fn ask(shared: &Shared) -> Result<(), Problem> {
    let mut input = BufReader::new(io::stdin());
    let request = request(&mut input)?;
    let limits = request.limits;
    watch::wall(&limits)?;
    watch::deadline(shared, &limits);
    let text = text::read(&request.sql)?;
    let asked_at = request.as_known_at.as_deref().map(text::instant).transpose()?;
    if asked_at.is_some() && text.as_known_at.is_some() {
        return Err(fault::problem(Kind::Refused, "AS KNOWN AT stands in the query and beside it"));
    }
    let known_at = asked_at.or(text.as_known_at);
    let internal =
        |e: io::Error| fault::problem(Kind::Internal, format!("no folder for temporary files: {e}"));
    let temp = shared.keep(Scratch::new().map_err(internal)?);
    let wants = Arc::new(Wants::new(shared.clone()));
    let mut session = Session::new(&limits, &temp, Arc::clone(&wants)).map_err(|e| fault::planning(&e))?;
    for table in &request.tables {
        session.table(table, known_at, &limits, &mut input)?;
    }
    watch::asker(shared, &wants, input);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(session::THREADS)
        .thread_stack_size(session::STACK_BYTES)
        .enable_all()
        .build();
    runtime.map_err(internal)?.block_on(async {
        session.views(&request.tables).await?;
        let plan = session.context.state().statement_to_plan(text.statement).await;
        let frame = match plan {
            Ok(plan) => reading(&session, plan, text.explains, limits.rows),
            Err(e) => Err(e),
        };
        let frame = frame.map_err(|e| fault::planning(&e))?;
        run(&session, frame, &request, shared).await.map_err(|e| why(&session, &e, &request))
    })
}

fn request(input: &mut impl io::BufRead) -> Result<Request, Problem> {
    let wrong = |why: String| fault::problem(Kind::Request, format!("the request cannot be read: {why}"));
    let mut line = Vec::new();
    input.take(REQUEST_BYTES_MAX as u64).read_until(b'\n', &mut line).map_err(|e| wrong(e.to_string()))?;
    serde_json::from_slice(&line).map_err(|e| wrong(e.to_string()))
}

/// Up to so many rows a sort is told how many of its rows are given: then it keeps these in memory and nothing on disk.
const KEPT_ROWS_MAX: u64 = 100_000;

/// A plan that only reads, cut behind the first row that is too many.
fn reading(session: &Session, plan: LogicalPlan, explains: bool, rows: u64) -> Ran<DataFrame> {
    SQLOptions::new()
        .with_allow_ddl(false)
        .with_allow_dml(false)
        .with_allow_statements(false)
        .verify_plan(&plan)?;
    let frame = DataFrame::new(session.context.state(), plan);
    if explains || rows > KEPT_ROWS_MAX { Ok(frame) } else { frame.limit(0, Some(rows as usize + 1)) }
}

async fn run(session: &Session, frame: DataFrame, request: &Request, shared: &Shared) -> Ran<()> {
    let mut stream = frame.execute_stream().await?;
    let schema = stream.schema();
    let kept = MemoryConsumer::new("rows of the answer").register(&session.context.runtime_env().memory_pool);
    let mut rows = Rows::new(request.format, &schema)?;
    let mut end = End { rows: 0, cut: false };
    while let Some(batch) = stream.next().await {
        let batch = batch?;
        let left = request.limits.rows.saturating_sub(end.rows);
        end.cut = batch.num_rows() as u64 > left;
        let batch = if end.cut { batch.slice(0, left as usize) } else { batch };
        end.rows += batch.num_rows() as u64;
        if rows.keeps() {
            kept.try_grow(batch.get_array_memory_size())?;
        }
        let bytes = rows.batch(batch)?;
        shared.out(|out| out.head(columns(&schema)).and_then(|()| out.rows(&bytes)));
        if end.cut {
            break;
        }
    }
    let bytes = rows.end(end)?;
    shared.out(|out| out.head(columns(&schema)).and_then(|()| out.rows(&bytes)).and_then(|()| out.end(end)));
    Ok(())
}

/// Why a query failed under way; a file that is damaged is named.
fn why(session: &Session, error: &DataFusionError, request: &Request) -> Problem {
    let problem = fault::running(error, &request.limits);
    if !matches!(problem.kind, Kind::File | Kind::Internal) {
        return problem;
    }
    session.files.iter().find_map(|file| file.damage()).unwrap_or(problem)
}
