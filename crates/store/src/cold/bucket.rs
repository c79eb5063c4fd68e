//! A bucket of a server that speaks S3.

use super::config::S3;
use super::{Config, Place, Source, Upload, failed};
use crate::Result;
use bytes::Bytes;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::client::{HttpClient, HttpConnector};
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path as Key;
use object_store::{
    ClientOptions, GetOptions, GetRange, ObjectStore, ObjectStoreExt as _, PutPayload, RetryConfig,
};
use rustls::{ClientConfig, RootCertStore};
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;
use tokio::runtime::Runtime;

/// How long it may take to reach the server.
const CONNECT: Duration = Duration::from_secs(5);
/// How long one request may take, with all the bytes of a part.
const REQUEST: Duration = Duration::from_mins(2);
/// A request that fails is asked again so often, for so long.
const RETRIES: usize = 2;
const RETRY: Duration = Duration::from_secs(5);
/// How many bytes are asked for at once.
const READ_BYTES: u64 = 8 << 20;
/// Who waits looks so often whether it is to stop.
const LOOK: Duration = Duration::from_millis(50);
/// A file of keys has at most so many bytes.
const CREDENTIALS_MAX: u64 = 64 << 10;

/// Objects of a bucket.
#[derive(Clone)]
pub(super) struct Bucket {
    store: Arc<AmazonS3>,
    /// `s3://bucket`
    name: Box<str>,
    prefix: Box<str>,
    part_bytes: u64,
    background: Arc<Background>,
}

/// Threads of its own, so that one who asks may block wherever it runs.
struct Background {
    runtime: Option<Runtime>,
    stop: Arc<AtomicBool>,
}

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // It may be dropped where nothing may block.
            runtime.shutdown_background();
        }
    }
}

impl Bucket {
    /// # Errors
    /// [`crate::Error::Cold`] where there is no key, or the config makes no sense.
    pub fn open(config: &Config, stop: Arc<AtomicBool>) -> Result<Self> {
        let unusable = |source: io::Error| failed("open", &config.url, source);
        let (bucket, prefix) = config.bucket().unwrap_or_default();
        let (id, secret) = keys(config).map_err(unusable)?;
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(bucket)
            .with_region(&config.region)
            .with_access_key_id(id)
            .with_secret_access_key(secret)
            .with_allow_http(config.allow_http)
            .with_http_connector(Connector)
            .with_retry(RetryConfig { max_retries: RETRIES, retry_timeout: RETRY, ..RetryConfig::default() });
        if !config.endpoint.is_empty() {
            builder = builder.with_endpoint(&config.endpoint);
        }
        let store = builder.build().map_err(|e| unusable(e.into()))?;
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).thread_name("cold tier").enable_all().build();
        let background = Background { runtime: Some(runtime.map_err(unusable)?), stop };
        Ok(Self {
            store: Arc::new(store),
            name: format!("{S3}{bucket}").into(),
            prefix: prefix.into(),
            part_bytes: config.part(),
            background: Arc::new(background),
        })
    }

    fn key(&self, key: &str) -> Key {
        self.prefix.split('/').chain(key.split('/')).filter(|part| !part.is_empty()).collect()
    }

    /// Waits for what is asked of the server, which goes on elsewhere meanwhile.
    fn wait<T: Send + 'static>(
        &self,
        asked: impl Future<Output = object_store::Result<T>> + Send + 'static,
    ) -> io::Result<T> {
        let (tell, told) = sync_channel(1);
        if let Some(runtime) = &self.background.runtime {
            // Nobody waits any longer where it stops.
            runtime.spawn(async move { drop(tell.send(asked.await)) });
        }
        loop {
            match told.recv_timeout(LOOK) {
                Ok(said) => return said.map_err(said_no),
                Err(RecvTimeoutError::Timeout) if !self.background.stop.load(Ordering::Relaxed) => {}
                Err(_) => return Err(io::Error::new(io::ErrorKind::Interrupted, "the store stops")),
            }
        }
    }

    /// Asks for one thing of one object.
    fn ask<T: Send + 'static, F: Future<Output = object_store::Result<T>> + Send + 'static>(
        &self,
        key: &str,
        ask: impl FnOnce(Arc<AmazonS3>, Key) -> F,
    ) -> io::Result<T> {
        self.wait(ask(Arc::clone(&self.store), self.key(key)))
    }

    fn part(&self, key: &str, source: &Source<'_>, upload: &mut Upload) -> Result<()> {
        let bytes = source.bytes(upload.sent(), upload.part_bytes)?;
        let (id, place) = (upload.id.to_string(), upload.parts.len());
        let part = self.ask(key, |store, key| async move {
            store.put_part(&key, &id, place, PutPayload::from(bytes)).await
        });
        let PartId { content_id } = part.map_err(|e| self.unsent(key, upload, e))?;
        upload.parts.push(content_id.into());
        Ok(())
    }

    /// An upload that the server no longer knows is begun anew.
    fn unsent(&self, key: &str, upload: &mut Upload, error: io::Error) -> crate::Error {
        if error.kind() == io::ErrorKind::NotFound {
            *upload = Upload::default();
        }
        failed("write", &self.name(key), error)
    }
}

impl Place for Bucket {
    fn name(&self, key: &str) -> String {
        format!("{}/{}", self.name, self.key(key))
    }

    fn begin(&self) -> Result<()> {
        Ok(())
    }

    fn size(&self, key: &str) -> Result<Option<u64>> {
        match self.ask(key, |store, key| async move { store.head(&key).await }) {
            Ok(there) => Ok(Some(there.size)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("look for", &self.name(key), error)),
        }
    }

    fn read(&self, key: &str, bytes: u64) -> Result<Box<dyn Read + Send>> {
        Ok(Box::new(Pieces { bucket: self.clone(), key: key.into(), bytes, at: 0, read: Bytes::new() }))
    }

    fn send(&self, key: &str, source: &Source<'_>, upload: &mut Upload) -> Result<()> {
        if upload.id.is_empty() && source.meta.bytes <= self.part_bytes {
            let bytes = source.bytes(0, source.meta.bytes)?;
            let sent =
                self.ask(key, |store, key| async move { store.put(&key, PutPayload::from(bytes)).await });
            return sent.map(drop).map_err(|e| failed("write", &self.name(key), e));
        }
        if upload.id.is_empty() {
            let id = self.ask(key, |store, key| async move { store.create_multipart(&key).await });
            let id = id.map_err(|e| failed("write", &self.name(key), e))?;
            *upload = Upload { id: id.into(), part_bytes: self.part_bytes, parts: Vec::new() };
            return Ok(());
        }
        if upload.sent() < source.meta.bytes {
            return self.part(key, source, upload);
        }
        let id = upload.id.to_string();
        let parts = upload.parts.iter().map(|part| PartId { content_id: part.to_string() }).collect();
        let done =
            self.ask(key, |store, key| async move { store.complete_multipart(&key, &id, parts).await });
        done.map(drop).map_err(|e| self.unsent(key, upload, e))
    }

    fn remove(&self, key: &str, upload: &Upload) -> Result<()> {
        let id = upload.id.to_string();
        let removed = self.ask(key, |store, key| async move {
            if !id.is_empty() {
                absent(store.abort_multipart(&key, &id).await)?;
            }
            absent(store.delete(&key).await)
        });
        removed.map_err(|e| failed("delete", &self.name(key), e))
    }
}

/// What is not there needs no deletion.
fn absent(done: object_store::Result<()>) -> object_store::Result<()> {
    match done {
        Err(object_store::Error::NotFound { .. }) => Ok(()),
        done => done,
    }
}

/// An object, asked for piece by piece.
struct Pieces {
    bucket: Bucket,
    key: Box<str>,
    bytes: u64,
    at: u64,
    read: Bytes,
}

impl Read for Pieces {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.read.is_empty() && self.at < self.bytes {
            let range = GetRange::Bounded(self.at..(self.at + READ_BYTES).min(self.bytes));
            let options = GetOptions { range: Some(range), ..GetOptions::default() };
            let (size, piece) = self.bucket.ask(&self.key, |store, key| async move {
                let got = store.get_opts(&key, options).await?;
                Ok((got.meta.size, got.bytes().await?))
            })?;
            if size != self.bytes {
                let what = format!("it has {size} bytes, not {}", self.bytes);
                return Err(io::Error::new(io::ErrorKind::InvalidData, what));
            }
            self.at += piece.len() as u64;
            self.read = piece;
        }
        let part = self.read.split_to(out.len().min(self.read.len()));
        if let Some(place) = out.get_mut(..part.len()) {
            place.copy_from_slice(&part);
        }
        Ok(part.len())
    }
}

/// Why the server did not do it.
fn said_no(error: object_store::Error) -> io::Error {
    use object_store::Error::{NotFound, PermissionDenied, Unauthenticated};
    let kind = match &error {
        NotFound { .. } => io::ErrorKind::NotFound,
        PermissionDenied { .. } | Unauthenticated { .. } => {
            return io::Error::new(io::ErrorKind::PermissionDenied, format!("the key is refused: {error}"));
        }
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}

/// The id and the secret of the key.
fn keys(config: &Config) -> io::Result<(String, String)> {
    let told = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    if let Some(keys) = told(&config.access_key_env).zip(told(&config.secret_key_env)) {
        return Ok(keys);
    }
    let path = &config.credentials_file;
    let mut text = String::new();
    if !path.as_os_str().is_empty() {
        let named = |e: io::Error| io::Error::new(e.kind(), format!("`{}`: {e}", path.display()));
        let file = std::fs::File::open(path).map_err(named)?;
        file.take(CREDENTIALS_MAX).read_to_string(&mut text).map_err(named)?;
    }
    let line = |name: &str| {
        let pairs = text.lines().filter_map(|line| line.split_once('='));
        pairs.map(|(key, value)| (key.trim(), value.trim())).find(|(key, _)| *key == name)
    };
    let keys = line("aws_access_key_id").zip(line("aws_secret_access_key"));
    keys.map(|((_, id), (_, secret))| (id.to_owned(), secret.to_owned())).ok_or_else(|| {
        let (id, secret) = (&config.access_key_env, &config.secret_key_env);
        io::Error::other(format!(
            "there is no key: neither in `{id}` and `{secret}`, nor in `credentials_file`"
        ))
    })
}

/// HTTP with the roots of trust that the rest of the platform has.
#[derive(Debug)]
struct Connector;

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        let failed = |source| object_store::Error::Generic { store: "S3", source };
        let mut roots = RootCertStore::empty();
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let tls = tls.map_err(|e| failed(e.into()))?.with_root_certificates(roots).with_no_client_auth();
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .no_gzip()
            .connect_timeout(CONNECT)
            .timeout(REQUEST)
            .build();
        Ok(HttpClient::new(client.map_err(|e| failed(e.into()))?))
    }
}
