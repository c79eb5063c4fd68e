//! Files of days that are over in a bucket of a server that speaks S3: `scripts/s3/serve.py` by the Python that `QINGXI_S3`
//! names, which `scripts/s3/install` makes.

use crate::cold::{into, killed_at_each_step, one_step, right, three_days};
use crate::files::{compact, everything, read, small};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use store::cold::ColdStep;
use store::{Config, Error, Reader, Store};

/// A server that ends with the test.
struct Server {
    process: Child,
    input: Option<ChildStdin>,
    said: BufReader<ChildStdout>,
    endpoint: String,
    key: String,
    secret: String,
}

impl Server {
    /// Where it was installed.
    fn start() -> Option<Self> {
        let Some(python) = std::env::var_os("QINGXI_S3") else {
            println!(
                "skipped: QINGXI_S3 names no Python with a server that speaks S3; see scripts/s3/install"
            );
            return None;
        };
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/s3/serve.py");
        let mut command = Command::new(python);
        command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().unwrap();
        let input = process.stdin.take();
        let mut said = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        let told: BTreeMap<String, String> = serde_json::from_str(&line).unwrap();
        let of = |name: &str| told[name].clone();
        let (endpoint, key, secret) = (of("endpoint"), of("key"), of("secret"));
        Some(Self { process, input, said, endpoint, key, secret })
    }

    fn ask(&mut self, line: &str) -> Value {
        writeln!(self.input.as_mut().unwrap(), "{line}").unwrap();
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    /// The names of the objects.
    fn objects(&mut self) -> Vec<String> {
        let objects: BTreeMap<String, u64> = serde_json::from_value(self.ask("objects")).unwrap();
        objects.into_keys().collect()
    }

    /// Everything that is merged goes there, in small parts, and nothing stays here.
    fn config(&self, dir: &Path) -> Config {
        let keys = dir.join("credentials");
        let (id, secret) = (&self.key, &self.secret);
        let text = format!("[default]\naws_access_key_id = {id}\naws_secret_access_key = {secret}\n");
        fs::write(&keys, text).unwrap();
        let mut config = into(&small(&dir.join("store")), Path::new(""));
        config.cold.url = "s3://qingxi/here/and there".into();
        config.cold.endpoint.clone_from(&self.endpoint);
        config.cold.access_key_env = "QINGXI_TEST_NO_KEY".into();
        config.cold.credentials_file = keys;
        config.cold.allow_http = true;
        config.cold.part_bytes = 64 << 10;
        config
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.input = None;
        let _ = self.process.wait();
    }
}

#[tokio::test]
async fn a_kill_at_any_step_of_an_upload_loses_nothing_and_leaves_nothing() {
    let Some(mut server) = Server::start() else { return };
    let dir = tempfile::tempdir().unwrap();
    let config = server.config(dir.path());
    let steps = killed_at_each_step(&config).await;
    let sent = |steps: &[ColdStep], of: &str| {
        steps.iter().filter(|it| matches!(it, ColdStep::Sent { path } if path.contains(of))).count()
    };
    assert!(sent(&steps, "/book_snapshots/") > 8, "in parts: {steps:?}");
    let reader = Reader::open(&config.dir).unwrap();
    let objects = server.objects();
    assert_eq!(objects.len() as u64, reader.cold().files, "each object once: {objects:?}");
    assert!(objects.iter().all(|object| object.starts_with("here/and there/parquet/")), "{objects:?}");
    // An upload whose name the kill took from the catalogue has no bytes.
    let uploads: Vec<(String, u64)> = serde_json::from_value(server.ask("uploads")).unwrap();
    assert!(uploads.iter().all(|(_, parts)| *parts == 0), "{uploads:?}");
    println!("{} objects; {} uploads without parts were left by kills", objects.len(), uploads.len());
}

#[tokio::test]
async fn a_half_sent_file_goes_on_where_it_ended_and_ends_where_its_rows_do() {
    let Some(mut server) = Server::start() else { return };
    let dir = tempfile::tempdir().unwrap();
    let mut config = server.config(dir.path());
    let plain = small(&config.dir);
    let events = three_days(&plain).await;
    compact(&plain);
    let uploads = |server: &mut Server| -> Vec<(String, u64)> {
        serde_json::from_value(server.ask("uploads")).unwrap()
    };
    let is_half = |(object, parts): &(String, u64)| object.contains("/book_snapshots/") && *parts == 1;
    while !uploads(&mut server).first().is_some_and(is_half) {
        one_step(&config).unwrap();
    }
    server.ask("away");
    let (store, _) = Store::open(config.clone()).unwrap();
    let Err(Error::Cold { object, .. }) = store.compact(|_| ()) else { panic!() };
    assert!(object.starts_with("s3://qingxi/here/and there/parquet/"), "{object}");
    let wrong = right(&Reader::open(&config.dir).unwrap(), &events);
    assert!(wrong.iter().all(|error| error.contains("fetch `s3://qingxi/here/and there/")), "{wrong:?}");
    server.ask("back");
    assert_eq!(uploads(&mut server)[0].1, 1);
    one_step(&config).unwrap();
    assert_eq!(uploads(&mut server)[0].1, 2, "it goes on");
    // The rows are deleted while their file is half sent.
    config.keep_hours.insert("default".to_owned(), 1);
    compact(&config);
    assert_eq!(uploads(&mut server), [], "what came of it is deleted");
    let reader = Reader::open(&config.dir).unwrap();
    assert_eq!(server.objects().len() as u64, reader.cold().files);
    assert_eq!(right(&reader, &events), [""; 0]);
}

#[tokio::test]
async fn a_flipped_bit_in_an_object_is_named() {
    let Some(mut server) = Server::start() else { return };
    let dir = tempfile::tempdir().unwrap();
    let config = server.config(dir.path());
    let events = three_days(&config).await;
    let objects = server.objects();
    assert_eq!(read(&Reader::open(&config.dir).unwrap(), everything()), events);
    compact(&config);
    let object = objects.iter().find(|object| object.contains("/trades/")).unwrap();
    server.ask(&format!("damage {object}"));
    let reader = Reader::open(&config.dir).unwrap();
    let wrong = right(&reader, &events);
    assert!(!wrong.is_empty() && wrong.iter().all(|error| error.contains(object.as_str())), "{wrong:?}");
    let faults: Vec<String> = reader.check().into_iter().filter_map(|file| file.fault).collect();
    assert!(matches!(&*faults, [fault] if fault.contains(object.as_str())), "{faults:?}");
}

#[tokio::test]
async fn a_key_that_is_refused_or_not_there_is_told_without_its_secret() {
    let Some(server) = Server::start() else { return };
    let dir = tempfile::tempdir().unwrap();
    let config = server.config(dir.path());
    let plain = small(&config.dir);
    let events = three_days(&plain).await;
    compact(&plain);
    let refused = |config: &Config| {
        let (store, _) = Store::open(config.clone()).unwrap();
        let Err(Error::Cold { source, .. }) = store.compact(|_| ()) else { panic!("it was let in") };
        assert!(!format!("{source:?}").contains("no secret at all"));
        source.to_string()
    };
    for id in [&*server.key, "AKIANOBODY"] {
        let text = format!("aws_access_key_id={id}\naws_secret_access_key=no secret at all\n");
        fs::write(&config.cold.credentials_file, text).unwrap();
        let why = refused(&config);
        assert!(why.contains("the key is refused"), "{why}");
    }
    fs::write(&config.cold.credentials_file, "").unwrap();
    let why = refused(&config);
    assert!(why.contains("`QINGXI_TEST_NO_KEY`"), "{why}");
    assert_eq!(read(&Reader::open(&config.dir).unwrap(), everything()), events);
}
