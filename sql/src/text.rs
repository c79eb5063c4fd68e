//! What a text asks for: whether it only reads, until when it wants to know, which tables it names.

use crate::fault;
use datafusion::arrow::compute::kernels::cast_utils::string_to_timestamp_nanos;
use datafusion::sql::parser::Statement as Planned;
use datafusion::sql::resolve::resolve_table_references;
use datafusion::sql::sqlparser::ast::{Expr, Query, Select, SetExpr, Statement, Visit, Visitor};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};
use query::{Kind, Position, Problem, SQL_BYTES_MAX};
use std::ops::ControlFlow;

/// Functions that stand where a table does and read nothing.
const FUNCTIONS: &[&str] = &["generate_series", "range"];
/// How deep an expression, and how long a chain of `UNION`, may be: each level is a call on the stack somewhere.
const DEPTH_MAX: usize = 500;
/// Views that this process makes, and the table each is made of.
pub const VIEWS: &[(&str, &str)] = &[("bars_1m", "bars")];

/// A text that was understood.
#[derive(Debug)]
pub struct Text {
    /// The one query.
    pub statement: Planned,
    /// What stands behind `AS KNOWN AT`, in ns since 1970 UTC.
    pub as_known_at: Option<i64>,
    /// Whether it asks for a plan or for columns, and not for rows.
    pub explains: bool,
}

/// Reads a text. It is one statement, and one that reads.
pub fn read(sql: &str) -> Result<Text, Problem> {
    if sql.len() > SQL_BYTES_MAX {
        let message = format!("the text has {} bytes; at most {SQL_BYTES_MAX}", sql.len());
        return Err(fault::problem(Kind::Refused, message));
    }
    let dialect = GenericDialect {};
    let mut tokens = Tokenizer::new(&dialect, sql).tokenize_with_location().map_err(|e| Problem {
        kind: Kind::Syntax,
        message: e.message,
        position: position(e.location),
    })?;
    let as_known_at = cut_known_at(&mut tokens)?;
    opening(&tokens)?;
    let mut parser = Parser::new(&dialect).with_tokens_with_locations(tokens);
    let mut statements = parser.parse_statements().map_err(|e| fault::syntax(&e))?;
    let statement = match (statements.pop(), statements.len()) {
        (Some(statement), 0) => statement,
        (None, _) => return Err(fault::problem(Kind::Syntax, "there is no query in the text")),
        (Some(_), more) => return Err(refused(&format!("a text of {} statements", more + 1))),
    };
    let explains = match reads(&statement) {
        Ok(explains) => explains,
        Err(problem) => {
            // One that is too deep to be planned is too deep to be dropped; the process ends anyway.
            std::mem::forget(statement);
            return Err(problem);
        }
    };
    Ok(Text { statement: Planned::Statement(Box::new(statement)), as_known_at, explains })
}

/// The tables that must be handed over for a text, in alphabetical order.
pub fn tables(text: &Text) -> Result<Vec<String>, Problem> {
    let (references, _) = resolve_table_references(&text.statement, true).map_err(|e| fault::planning(&e))?;
    let mut names: Vec<String> = references
        .iter()
        .map(|r| if r.schema().is_none_or(|s| s == "public") { r.table().to_owned() } else { r.to_string() })
        .filter(|name| !FUNCTIONS.contains(&name.as_str()))
        .map(|name| VIEWS.iter().find(|(view, _)| *view == name).map_or(name, |(_, of)| (*of).to_owned()))
        .collect();
    names.sort();
    names.dedup();
    Ok(names)
}

/// An instant as people write it, in ns since 1970; UTC where no zone is named.
pub fn instant(text: &str) -> Result<i64, Problem> {
    string_to_timestamp_nanos(text)
        .map_err(|_| fault::problem(Kind::Syntax, format!("AS KNOWN AT: `{text}` is no time in RFC 3339")))
}

fn position(at: Location) -> Option<Position> {
    (at.line > 0).then_some(Position { line: at.line, column: at.column })
}

fn refused(what: &str) -> Problem {
    fault::problem(
        Kind::Refused,
        format!("{what} is refused: one query that reads is answered, and nothing else"),
    )
}

/// Takes `AS KNOWN AT '…'` from the end, where it stands there.
fn cut_known_at(tokens: &mut Vec<TokenWithSpan>) -> Result<Option<i64>, Problem> {
    let meant: Vec<usize> = tokens
        .iter()
        .enumerate()
        .filter(|(_, t)| !matches!(t.token, Token::Whitespace(_) | Token::SemiColon | Token::EOF))
        .map(|(at, _)| at)
        .collect();
    let [.., first, known, at, literal] = meant.as_slice() else { return Ok(None) };
    let is = |at: &usize, word: &str| {
        matches!(tokens.get(*at).map(|t| &t.token),
            Some(Token::Word(w)) if w.quote_style.is_none() && w.value.eq_ignore_ascii_case(word))
    };
    if !(is(first, "as") && is(known, "known") && is(at, "at")) {
        return Ok(None);
    }
    let Some(TokenWithSpan { token: Token::SingleQuotedString(time), span }) = tokens.get(*literal) else {
        return Ok(None);
    };
    let time = instant(time).map_err(|problem| Problem { position: position(span.start), ..problem })?;
    tokens.truncate(*first);
    Ok(Some(time))
}

/// Refuses by its first word what is no query. A word that opens no statement at all is left to the parser.
fn opening(tokens: &[TokenWithSpan]) -> Result<(), Problem> {
    let first = tokens.iter().find(|t| !matches!(t.token, Token::Whitespace(_) | Token::SemiColon));
    let Some(TokenWithSpan { token: Token::Word(word), span }) = first else { return Ok(()) };
    match word.keyword {
        Keyword::NoKeyword
        | Keyword::SELECT
        | Keyword::WITH
        | Keyword::VALUES
        | Keyword::FROM
        | Keyword::TABLE
        | Keyword::EXPLAIN
        | Keyword::DESCRIBE
        | Keyword::DESC => Ok(()),
        _ => Err(Problem { position: position(span.start), ..refused(&word.value.to_uppercase()) }),
    }
}

/// Whether the statement asks for a plan or for columns; refused where it, or anything in it, does more than read.
fn reads(statement: &Statement) -> Result<bool, Problem> {
    match statement {
        Statement::Query(query) => match query.visit(&mut Inside::default()) {
            ControlFlow::Continue(()) => Ok(false),
            ControlFlow::Break(what) => Err(refused(what)),
        },
        Statement::Explain { statement, .. } => reads(statement).map(|_| true),
        Statement::ExplainTable { .. } => Ok(true),
        other => Err(refused(first_word(&other.to_string()))),
    }
}

fn first_word(text: &str) -> &str {
    text.split_whitespace().next().unwrap_or_default()
}

/// Looks for what a query must not have inside.
#[derive(Default)]
struct Inside {
    depth: usize,
}

const DEEP: &str = "an expression deeper than 500 levels";

impl Visitor for Inside {
    type Break = &'static str;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<&'static str> {
        if !query.locks.is_empty() {
            return ControlFlow::Break("FOR UPDATE");
        }
        body(&query.body)
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<&'static str> {
        if select.into.is_some() { ControlFlow::Break("SELECT INTO") } else { ControlFlow::Continue(()) }
    }

    fn pre_visit_expr(&mut self, _: &Expr) -> ControlFlow<&'static str> {
        self.depth += 1;
        if self.depth > DEPTH_MAX { ControlFlow::Break(DEEP) } else { ControlFlow::Continue(()) }
    }

    fn post_visit_expr(&mut self, _: &Expr) -> ControlFlow<&'static str> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }
}

fn body(mut of: &SetExpr) -> ControlFlow<&'static str> {
    for _ in 0..DEPTH_MAX {
        match of {
            SetExpr::Insert(_) => return ControlFlow::Break("INSERT"),
            SetExpr::Update(_) => return ControlFlow::Break("UPDATE"),
            SetExpr::Delete(_) => return ControlFlow::Break("DELETE"),
            SetExpr::Merge(_) => return ControlFlow::Break("MERGE"),
            // A chain leans to the left; what stands on the right is in brackets, which the parser counts.
            SetExpr::SetOperation { left, right, .. } => {
                body(right)?;
                of = left;
            }
            SetExpr::Select(_) | SetExpr::Query(_) | SetExpr::Values(_) | SetExpr::Table(_) => {
                return ControlFlow::Continue(());
            }
        }
    }
    ControlFlow::Break("a chain of more than 500 queries")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needs(sql: &str) -> Vec<String> {
        tables(&read(sql).unwrap()).unwrap()
    }

    fn kind(sql: &str) -> Kind {
        read(sql).unwrap_err().kind
    }

    #[test]
    fn tables_are_found_wherever_they_stand_and_names_of_ctes_are_not_tables() {
        assert_eq!(needs("SELECT 1"), [""; 0]);
        assert_eq!(
            needs("SELECT * FROM trades t JOIN public.Quotes q ON t.symbol = q.symbol"),
            ["quotes", "trades"]
        );
        assert_eq!(needs("WITH x AS (SELECT * FROM trades) SELECT * FROM x, gaps"), ["gaps", "trades"]);
        assert_eq!(needs("WITH trades AS (SELECT * FROM trades) SELECT * FROM trades"), ["trades"]);
        assert_eq!(
            needs("SELECT (SELECT max(price) FROM trades) WHERE EXISTS (SELECT 1 FROM gaps)"),
            ["gaps", "trades"]
        );
        assert_eq!(needs("SELECT * FROM bars_1m UNION ALL SELECT * FROM bars"), ["bars"]);
        assert_eq!(needs("SELECT * FROM completeness('BTC/USDT@x', 'trades'), range(3)"), ["completeness"]);
        assert_eq!(needs("EXPLAIN ANALYZE SELECT * FROM trades"), ["trades"]);
        assert_eq!(needs("DESCRIBE trades"), ["trades"]);
        assert_eq!(needs(r#"SELECT * FROM "/etc/passwd""#), ["/etc/passwd"]);
    }

    #[test]
    fn known_at_is_taken_from_the_end_and_from_nowhere_else() {
        let at = Some(1_795_255_200_000_000_000);
        for end in ["", ";", " -- why\n", " /* x */ ; "] {
            let sql = format!("SELECT price AS p FROM trades\n as Known AT '2026-11-21T10:00:00Z'{end}");
            assert_eq!(read(&sql).unwrap().as_known_at, at, "{sql}");
        }
        assert_eq!(read("SELECT 1 AS KNOWN AT '2026-11-21 18:00:00+08:00'").unwrap().as_known_at, at);
        for none in [
            "SELECT 'x AS KNOWN AT ''2026-11-21T10:00:00Z'''",
            "SELECT 1 AS known -- AS KNOWN AT '2026-11-21'",
        ] {
            assert_eq!(read(none).unwrap().as_known_at, None, "{none}");
        }
        let inside = "SELECT * FROM (SELECT 1 AS KNOWN AT '2026-11-21T10:00:00Z')";
        assert_eq!(kind(inside), Kind::Syntax);
        let wrong = read("SELECT 1\n  AS KNOWN AT 'yesterday'").unwrap_err();
        assert_eq!((wrong.kind, wrong.position), (Kind::Syntax, Some(Position { line: 2, column: 15 })));
    }

    #[test]
    fn whatever_does_more_than_read_is_refused_by_its_name() {
        for (sql, name) in [
            ("COPY trades TO '/tmp/x.csv'", "COPY"),
            ("copy (SELECT 1) to '/tmp/x.parquet'", "COPY"),
            ("CREATE TABLE t AS SELECT 1", "CREATE"),
            ("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'", "CREATE"),
            ("CREATE VIEW v AS SELECT 1", "CREATE"),
            ("CREATE FUNCTION f() RETURNS INT RETURN 1", "CREATE"),
            ("INSERT INTO trades VALUES (1)", "INSERT"),
            ("UPDATE trades SET price = 1", "UPDATE"),
            ("DELETE FROM trades", "DELETE"),
            ("TRUNCATE TABLE trades", "TRUNCATE"),
            ("DROP TABLE trades", "DROP"),
            ("ALTER TABLE trades ADD COLUMN x INT", "ALTER"),
            ("MERGE INTO trades USING x ON 1=1 WHEN MATCHED THEN DELETE", "MERGE"),
            ("SET datafusion.execution.batch_size = 1", "SET"),
            ("RESET datafusion.execution.batch_size", "RESET"),
            ("SHOW TABLES", "SHOW"),
            ("BEGIN", "BEGIN"),
            ("PREPARE p AS SELECT 1", "PREPARE"),
            ("EXECUTE p", "EXECUTE"),
            ("EXPLAIN COPY trades TO '/tmp/x.csv'", "COPY"),
            ("EXPLAIN INSERT INTO trades VALUES (1)", "INSERT"),
            ("WITH x AS (SELECT 1) INSERT INTO trades SELECT * FROM x", "INSERT"),
            ("WITH x AS (DELETE FROM trades RETURNING *) SELECT * FROM x", "DELETE"),
            ("SELECT * INTO t FROM trades", "SELECT INTO"),
            ("SELECT * FROM (SELECT * INTO t FROM trades)", "SELECT INTO"),
            ("SELECT * FROM trades FOR UPDATE", "FOR UPDATE"),
            ("SELECT 1; SELECT 2", "a text of 2 statements"),
            ("SELECT 1; DROP TABLE trades", "a text of 2 statements"),
        ] {
            let problem = read(sql).unwrap_err();
            assert_eq!(problem.kind, Kind::Refused, "{sql}: {}", problem.message);
            assert!(problem.message.starts_with(&format!("{name} is refused")), "{sql}: {}", problem.message);
        }
    }

    #[test]
    fn what_is_no_sql_is_told_with_its_place() {
        let problem = read("SELECT *\nFORM trades").unwrap_err();
        assert_eq!((problem.kind, problem.position), (Kind::Syntax, Some(Position { line: 2, column: 1 })));
        let problem = read("SELECT 'open").unwrap_err();
        assert_eq!((problem.kind, problem.position), (Kind::Syntax, Some(Position { line: 1, column: 8 })));
        assert_eq!(kind("SELEC 1"), Kind::Syntax);
        assert_eq!(kind("  ; -- nothing"), Kind::Syntax);
        assert_eq!(kind(&format!("SELECT {}1{}", "(".repeat(10_000), ")".repeat(10_000))), Kind::Syntax);
        for deep in ["+1", " UNION ALL SELECT 1", " OR true", "::INT"] {
            assert_eq!(kind(&format!("SELECT 1{}", deep.repeat(20_000))), Kind::Refused, "{deep}");
        }
        assert_eq!(kind(&format!("SELECT '{}'", "x".repeat(SQL_BYTES_MAX))), Kind::Refused);
    }
}
