//! From the errors of the engine to reasons in words.

use datafusion::arrow::error::ArrowError;
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::parser::ParserError;
use query::{Kind, Limits, Position, Problem};
use std::io;

/// A reason without a place.
pub fn problem(kind: Kind, message: impl Into<String>) -> Problem {
    Problem { kind, message: message.into(), position: None }
}

/// A text that is no SQL. The parser writes the place behind its sentence.
pub fn syntax(error: &ParserError) -> Problem {
    let (ParserError::ParserError(said) | ParserError::TokenizerError(said)) = error else {
        return problem(Kind::Syntax, "the query is nested too deeply");
    };
    let place = said.rsplit_once(" at Line: ").and_then(|(message, place)| {
        let (line, column) = place.split_once(", Column: ")?;
        Some((message, Position { line: line.parse().ok()?, column: column.parse().ok()? }))
    });
    match place {
        Some((message, position)) => {
            Problem { kind: Kind::Syntax, message: message.to_owned(), position: Some(position) }
        }
        None => problem(Kind::Syntax, said),
    }
}

/// A query that cannot be planned.
pub fn planning(error: &DataFusionError) -> Problem {
    let position = error.diagnostic().and_then(|d| d.span).map(|span| span.start);
    let position = position.map(|at| Position { line: at.line, column: at.column });
    let kind = match kind(error) {
        Kind::Execution => Kind::Plan,
        other => other,
    };
    Problem { kind, message: sentence(error), position }
}

/// A query that failed under way.
pub fn running(error: &DataFusionError, limits: &Limits) -> Problem {
    let detail = sentence(error);
    match kind(error) {
        Kind::Memory => problem(
            Kind::Memory,
            format!("it needs more than `memory_bytes` = {}: {detail}", limits.memory_bytes),
        ),
        Kind::Temp => problem(
            Kind::Temp,
            format!("it needs more room on disk than `temp_bytes` = {} or the disk has", limits.temp_bytes),
        ),
        kind => problem(kind, detail),
    }
}

/// What the engine says, without the places in its own code.
fn sentence(error: &DataFusionError) -> String {
    match error.find_root() {
        DataFusionError::Collection(all) => all.first().map_or_else(|| error.strip_backtrace(), sentence),
        DataFusionError::Plan(said)
        | DataFusionError::Execution(said)
        | DataFusionError::ResourcesExhausted(said)
        | DataFusionError::NotImplemented(said) => said.clone(),
        other => other.strip_backtrace(),
    }
}

fn kind(error: &DataFusionError) -> Kind {
    // On its way through a writer of spilled rows the error loses its type and keeps its words.
    if error.strip_backtrace().contains("used disk space during the spilling") {
        return Kind::Temp;
    }
    match error.find_root() {
        DataFusionError::SQL(..) => Kind::Syntax,
        DataFusionError::ResourcesExhausted(_) => Kind::Memory,
        DataFusionError::IoError(e) => input_output(e),
        DataFusionError::ParquetError(_) | DataFusionError::ObjectStore(_) => Kind::File,
        DataFusionError::ArrowError(e, _) => match e.as_ref() {
            ArrowError::IoError(_, e) => input_output(e),
            ArrowError::ParquetError(_) | ArrowError::IpcError(_) => Kind::File,
            _ => Kind::Execution,
        },
        DataFusionError::Internal(_)
        | DataFusionError::ExecutionJoin(_)
        | DataFusionError::External(_)
        | DataFusionError::Ffi(_)
        | DataFusionError::Substrait(_) => Kind::Internal,
        DataFusionError::Execution(_) => Kind::Execution,
        DataFusionError::Collection(all) => all.first().map_or(Kind::Plan, kind),
        _ => Kind::Plan,
    }
}

/// What is written here is spilled rows; whatever else fails is a file that is read.
fn input_output(error: &io::Error) -> Kind {
    if error.kind() == io::ErrorKind::StorageFull { Kind::Temp } else { Kind::File }
}
