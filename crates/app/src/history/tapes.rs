//! Tapes into a store: recorded frames through the sessions and the engine, as `replay` reads them.

use super::import::{Done, nothing, progress};
use super::target::Target;
use crate::error::chain;
use crate::replay::drive::{Place, Replay, Sink};
use model::{Body, Event};
use source::Malformed;
use std::io;
use std::path::{Path, PathBuf};
use tape::Reader;

/// Where the events of a tape go.
struct Into<'a> {
    target: &'a mut Target,
    done: Done,
    failed: Option<io::Error>,
}

impl Sink for Into<'_> {
    fn frame(&mut self, _: &'static str) {
        self.done.rows += 1;
    }

    fn event(&mut self, event: &Event) {
        // What became of connections and subscriptions then is no data.
        if matches!(event.body, Body::Lane(_) | Body::Link(_)) || self.failed.is_some() {
            return;
        }
        self.failed = self.target.put(event.clone(), &mut self.done).err();
    }

    fn control(&mut self) {}

    fn malformed(&mut self, place: Place, fault: &Malformed, _: &[u8]) {
        self.done.bad(fault, &place);
    }

    fn unknown(&mut self, _: &str) {}

    fn foreign(&mut self) {
        self.done.bad(&"of no known source", &format_args!("record {}", self.done.rows + 1));
    }
}

/// Reads tapes as one stream, and gives what became of each.
pub fn read(paths: &[PathBuf], target: &mut Target, quiet: bool) -> Vec<Done> {
    let mut sink = Into { target, done: Done::default(), failed: None };
    let mut replay = Replay::new(None, &mut sink);
    let mut all = Vec::new();
    for path in paths {
        replay.next_file();
        replay.sink().done = Done::of(path);
        let read = records(path, &mut replay, quiet);
        let Into { target, done, failed } = replay.sink();
        let nothing = if done.rows == 0 { Err(nothing()) } else { Ok(()) };
        let ended = target.end(done);
        let failed = failed.take().map_or(Ok(()), Err);
        done.failed = read.and(failed).and(ended).and(nothing).err().map(|error| chain(&error));
        all.push(std::mem::take(done));
    }
    all
}

fn records(path: &Path, replay: &mut Replay<'_, Into<'_>>, quiet: bool) -> io::Result<()> {
    let bar = progress(path, quiet);
    for record in Reader::open(path).map_err(io::Error::other)? {
        replay.on(record.map_err(io::Error::other)?);
        if replay.sink().failed.is_some() {
            break;
        }
        bar.tick();
    }
    bar.finish_and_clear();
    Ok(())
}
