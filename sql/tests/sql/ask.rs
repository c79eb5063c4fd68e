//! Asks the process and reads its frames.

use query::{Brought, End, File, Format, Head, Limits, Problem, Request, Said, Table, Want};
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};

/// A question in the making.
pub struct Ask {
    pub request: Request,
    hot: Vec<u8>,
    temp: Option<PathBuf>,
    why_not: Option<String>,
}

/// A whole answer.
#[derive(Debug)]
pub struct Told {
    pub head: Head,
    pub bytes: Vec<u8>,
    pub end: End,
    /// The files that it wanted, in that order.
    pub wanted: Vec<PathBuf>,
}

impl Told {
    /// The rows of JSON; it says the same of them as the frames.
    pub fn rows(&self) -> Vec<Value> {
        let mut body: Value = serde_json::from_slice(&self.bytes).unwrap();
        assert_eq!(body["columns"], serde_json::to_value(&self.head.columns).unwrap());
        assert_eq!((&body["count"], &body["cut"]), (&self.end.rows.into(), &self.end.cut.into()));
        serde_json::from_value(body["rows"].take()).unwrap()
    }
}

pub fn ask(sql: &str) -> Ask {
    let request = Request {
        sql: sql.to_owned(),
        format: Format::Json,
        limits: Limits { seconds: 120, ..Limits::default() },
        tables: Vec::new(),
        as_known_at: None,
    };
    Ask { request, hot: Vec::new(), temp: None, why_not: None }
}

impl Ask {
    pub fn format(mut self, format: Format) -> Self {
        self.request.format = format;
        self
    }

    pub fn limits(mut self, change: impl FnOnce(&mut Limits)) -> Self {
        change(&mut self.request.limits);
        self
    }

    pub fn known_at(mut self, at: &str) -> Self {
        self.request.as_known_at = Some(at.to_owned());
        self
    }

    /// Where rows that do not fit into memory go.
    pub fn temp(mut self, dir: &Path) -> Self {
        self.temp = Some(dir.to_owned());
        self
    }

    /// What it wants is not brought.
    pub fn without(mut self, why: &str) -> Self {
        self.why_not = Some(why.to_owned());
        self
    }

    pub fn table(self, name: &str, files: &[PathBuf], hot: &[u8]) -> Self {
        self.files(name, files.iter().cloned().map(File::Plain).collect(), hot)
    }

    pub fn files(mut self, name: &str, files: Vec<File>, hot: &[u8]) -> Self {
        self.request.tables.push(Table { name: name.to_owned(), files, hot_bytes: hot.len() as u64 });
        self.hot.extend_from_slice(hot);
        self
    }

    /// Starts the process and gives it everything; its input stays open.
    pub fn start(&self) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_qingxi-sql"));
        command.envs(self.temp.iter().map(|dir| ("TMPDIR", dir)));
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = serde_json::to_vec(&self.request).unwrap();
        line.push(b'\n');
        let input = child.stdin.as_mut().unwrap();
        // Where it refuses before it has read all, the pipe breaks.
        let _ = input.write_all(&line).and_then(|()| input.write_all(&self.hot)).and_then(|()| input.flush());
        child
    }

    /// The answer, and how the process ended.
    pub fn outcome(&self) -> (Result<Told, Problem>, ExitStatus) {
        let mut child = self.start();
        let mut input = child.stdin.take().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let mut lines = Lines { out, input: &mut input, why_not: self.why_not.clone(), wanted: Vec::new() };
        let told = read(&mut lines);
        let status = child.wait().unwrap();
        drop(input);
        let mut said = String::new();
        child.stderr.unwrap().read_to_string(&mut said).unwrap();
        let told = told.unwrap_or_else(|why| panic!("{why}; {status}; it said: {said}"));
        (told, status)
    }

    pub fn told(&self) -> Told {
        let (told, status) = self.outcome();
        assert!(status.success(), "{status}: {told:?}");
        told.unwrap()
    }

    pub fn refused(&self) -> Problem {
        let (told, status) = self.outcome();
        assert!(!status.success(), "{status}");
        told.unwrap_err()
    }

    /// The rows as JSON.
    pub fn rows(&self) -> Vec<Value> {
        self.told().rows()
    }

    /// The one value of the one row.
    pub fn value(&self) -> Value {
        let rows = self.rows();
        assert_eq!(rows.len(), 1, "{rows:?}");
        let row = rows[0].as_object().unwrap();
        assert_eq!(row.len(), 1, "{row:?}");
        row.values().next().unwrap().clone()
    }
}

/// The lines of an answer; what is wanted before them is brought.
struct Lines<'a> {
    out: BufReader<ChildStdout>,
    input: &'a mut ChildStdin,
    why_not: Option<String>,
    wanted: Vec<PathBuf>,
}

impl Lines<'_> {
    fn line(&mut self) -> Result<String, String> {
        loop {
            let mut line = String::new();
            self.out.read_line(&mut line).map_err(|e| e.to_string())?;
            let whole = line.strip_suffix('\n').map(str::to_owned);
            let line = whole.ok_or_else(|| format!("the answer breaks off in `{line}`"))?;
            let Ok(Want { want }) = serde_json::from_str(&line) else { return Ok(line) };
            self.wanted.push(want.clone());
            let brought = serde_json::to_string(&Brought { want, why_not: self.why_not.clone() }).unwrap();
            writeln!(self.input, "{brought}").map_err(|e| e.to_string())?;
        }
    }
}

fn read(from: &mut Lines<'_>) -> Result<Result<Told, Problem>, String> {
    let first = from.line()?;
    let head = match serde_json::from_str::<Said<Head>>(&first).map_err(|e| format!("{e}: {first}"))? {
        Said::Failed { error } => return Ok(Err(error)),
        Said::Told(head) => head,
    };
    let mut bytes = Vec::new();
    loop {
        let length: u64 = from.line()?.parse().map_err(|e| format!("no length: {e}"))?;
        if length == 0 {
            break;
        }
        let before = bytes.len() as u64;
        (&mut from.out).take(length).read_to_end(&mut bytes).map_err(|e| e.to_string())?;
        if bytes.len() as u64 - before < length {
            return Err("the answer breaks off in a chunk".to_owned());
        }
    }
    let last = from.line()?;
    let wanted = std::mem::take(&mut from.wanted);
    Ok(match serde_json::from_str::<Said<End>>(&last).map_err(|e| format!("{e}: {last}"))? {
        Said::Failed { error } => Err(error),
        Said::Told(end) => Ok(Told { head, bytes, end, wanted }),
    })
}
