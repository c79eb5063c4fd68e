//! Sockets and REST: carries out what a pump asks for, and decides nothing.

mod cutter;
mod proxy;
mod socket;
mod tcp;

pub use cutter::Cutter;
pub use socket::Socket;

pub use proxy::{Proxies, Proxy};

use crate::error::{Error, Result, words};
use reqwest::Url;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use source::{End, Fault, Source, Spec};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Error as WsError;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{MaybeTlsStream, client_async_with_config};

/// How long a name may take to resolve and a host to answer, in ms.
pub const CONNECT_MS: u64 = 10_000;
/// How long TLS and the WebSocket's handshake may take, in ms.
pub const HANDSHAKE_MS: u64 = 10_000;
/// How long a REST request may take, in ms.
pub const REST_MS: u64 = 10_000;
/// How long an answer that goes on may go on, in ms.
const STREAM_MS: u64 = 86_400_000;

/// An answer by REST.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status; 0 where no answer came, and then `body` says why.
    pub status: u16,
    /// From `Retry-After`, in ms.
    pub retry_ms: Option<u64>,
    /// The body.
    pub body: Vec<u8>,
}

/// The way to one source.
#[derive(Clone)]
pub struct Net {
    source: &'static dyn Source,
    spec: &'static Spec,
    hosts: BTreeMap<String, String>,
    proxies: Arc<Proxies>,
    tls: Arc<ClientConfig>,
    http: reqwest::Client,
    servers: Arc<tcp::Servers>,
}

impl Net {
    /// The way to a source, with `hosts` in place of the endpoints that they name.
    ///
    /// # Errors
    /// [`Error::Address`] for a host or a proxy that cannot be used, [`Error::Tls`] or [`Error::Client`].
    pub fn new(source: &'static dyn Source, hosts: &BTreeMap<String, String>) -> Result<Self> {
        for url in hosts.values() {
            let bad = |why| Error::Address { url: url.clone(), why };
            for one in url.split(',') {
                let parsed = Url::parse(one).map_err(|_| bad("it is no URL"))?;
                if !matches!(parsed.scheme(), "http" | "https" | "tcp") {
                    return Err(bad("a host begins with http://, https:// or tcp://"));
                }
            }
        }
        let proxies = Arc::new(Proxies::read(|name| std::env::var(name).ok())?);
        let mut tls = tls()?;
        let tls_ws = Arc::new(tls.clone());
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let found = Arc::clone(&proxies);
        let by = reqwest::Proxy::custom(move |url| {
            found.find(url.scheme() == "https", url.host_str()?).map(|p| p.url.clone())
        });
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .proxy(by)
            .gzip(true)
            .connect_timeout(Duration::from_millis(CONNECT_MS))
            .timeout(Duration::from_millis(REST_MS))
            .user_agent(concat!("qingxi/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(Error::Client)?;
        let spec = source.spec();
        let servers = Arc::new(tcp::Servers::new(source));
        Ok(Self { source, spec, hosts: hosts.clone(), proxies, tls: tls_ws, http, servers })
    }

    /// Scheme and host where an endpoint's sessions connect.
    pub fn ws(&self, endpoint: usize) -> String {
        self.spec.endpoints.get(endpoint).map_or_else(String::new, |known| self.at(known.name, known.ws))
    }

    /// Scheme and host of an endpoint's REST.
    pub fn rest(&self, endpoint: usize) -> String {
        self.spec.endpoints.get(endpoint).map_or_else(String::new, |known| self.at(known.name, known.rest))
    }

    /// The address that stands in place of a known one, spoken to in the same way.
    fn at(&self, name: &str, known: &str) -> String {
        let Some(host) = self.hosts.get(name) else { return known.to_owned() };
        let host = host.trim_end_matches('/');
        match known.split(':').next().unwrap_or_default() {
            "tcp" => host.replace("http://", "tcp://"),
            // `http` becomes `ws`, `https` becomes `wss`.
            "ws" | "wss" => host.replacen("http", "ws", 1),
            _ => host.to_owned(),
        }
    }

    /// Opens a connection.
    ///
    /// # Errors
    /// Why it could not be opened; see [`fault`].
    pub async fn open(&self, endpoint: usize, path: &str) -> Result<Socket> {
        let address = self.ws(endpoint);
        match address.split(':').next().unwrap_or_default() {
            "tcp" => self.servers.open(endpoint, &address).await.map(Socket::tcp),
            "http" | "https" => self.open_http(endpoint, &format!("{address}{path}")).await,
            _ => self.open_ws(endpoint, format!("{address}{path}")).await,
        }
    }

    /// A server of a stream of bytes was lost, or did not do what it should: for a while others are asked.
    pub fn avoid(&self, server: &str) {
        self.servers.avoid(server);
    }

    async fn open_http(&self, endpoint: usize, url: &str) -> Result<Socket> {
        let request = self.headed(endpoint, self.http.get(url)).header("accept", "text/event-stream");
        let answer = request.timeout(Duration::from_millis(STREAM_MS)).send();
        let late = |_| Error::Timeout { doing: "the answer", ms: HANDSHAKE_MS };
        let limit = Duration::from_millis(HANDSHAKE_MS);
        let answer = timeout(limit, answer).await.map_err(late)?.map_err(Error::Rest)?;
        match answer.status().as_u16() {
            200 => Ok(Socket::http(answer, Cutter::new(self.source, endpoint, End::Venue))),
            status => Err(Error::Refused { status }),
        }
    }

    async fn open_ws(&self, endpoint: usize, text: String) -> Result<Socket> {
        let bad = |why| Error::Address { url: text.clone(), why };
        let url = Url::parse(&text).map_err(|_| bad("it is no URL"))?;
        let secure = url.scheme() == "wss";
        let host = url.host_str().ok_or_else(|| bad("it has no host"))?;
        let port = url.port_or_known_default().ok_or_else(|| bad("it has no port"))?;
        let by = self.proxies.find(secure, host);
        let stream = proxy::connect(host, port, by, Duration::from_millis(CONNECT_MS)).await?;
        let shake = async {
            let stream = if secure {
                MaybeTlsStream::Rustls(self.secure(stream, host).await?)
            } else {
                MaybeTlsStream::Plain(stream)
            };
            let max = Some(self.spec.frame_bytes_max);
            let config = WebSocketConfig::default().max_message_size(max).max_frame_size(max);
            let mut request = text.as_str().into_client_request().map_err(refused)?;
            for (name, value) in self.source.headers(endpoint) {
                request.headers_mut().insert(*name, HeaderValue::from_static(value));
            }
            let opened = client_async_with_config(request, stream, Some(config)).await;
            opened.map(|(socket, _)| Socket::Ws(Box::new(socket))).map_err(refused)
        };
        let late = |_| Error::Timeout { doing: "the handshake", ms: HANDSHAKE_MS };
        timeout(Duration::from_millis(HANDSHAKE_MS), shake).await.map_err(late)?
    }

    async fn secure(
        &self,
        stream: TcpStream,
        host: &str,
    ) -> Result<tokio_rustls::client::TlsStream<TcpStream>> {
        let bad = |_| Error::Address { url: host.to_owned(), why: "it is no name for TLS" };
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned()).map_err(bad)?;
        let connector = tokio_rustls::TlsConnector::from(Arc::clone(&self.tls));
        let lost = |source| Error::TlsHandshake { host: host.to_owned(), source };
        connector.connect(name, stream).await.map_err(lost)
    }

    fn headed(&self, endpoint: usize, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        let headers = self.source.headers(endpoint).iter();
        headers.fold(request, |request, (name, value)| request.header(*name, *value))
    }

    /// Asks by REST. A failure is an answer with status 0 that says why.
    pub async fn fetch(&self, endpoint: usize, path: &str) -> Answer {
        let address = self.rest(endpoint);
        let asked = if address.starts_with("tcp:") {
            let answer = self.servers.ask(endpoint, &address, path).await;
            answer.map(|body| Answer { status: 200, retry_ms: None, body })
        } else {
            self.ask(self.headed(endpoint, self.http.get(format!("{address}{path}")))).await
        };
        match asked {
            Ok(answer) => answer,
            Err(error) => Answer { status: 0, retry_ms: None, body: words(&error).into_bytes() },
        }
    }

    async fn ask(&self, request: reqwest::RequestBuilder) -> Result<Answer> {
        let max = self.spec.frame_bytes_max;
        let mut response = request.send().await.map_err(Error::Rest)?;
        let status = response.status().as_u16();
        let retry = response.headers().get(reqwest::header::RETRY_AFTER);
        let retry = retry.and_then(|v| v.to_str().ok()).and_then(|v| v.trim().parse::<u64>().ok());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(Error::Rest)? {
            if body.len() + chunk.len() > max {
                return Err(Error::TooLarge { max });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, retry_ms: retry.map(|s| s.saturating_mul(1_000)), body })
    }
}

/// What a failed opening means for the next try.
pub fn fault(error: &Error) -> Fault {
    match error {
        Error::Handshake { status: Some(403 | 418 | 429 | 451), .. }
        | Error::Refused { status: 403 | 418 | 429 | 451 } => Fault::Refused,
        _ => Fault::Protocol,
    }
}

fn refused(error: WsError) -> Error {
    let status = match &error {
        WsError::Http(response) => Some(response.status().as_u16()),
        _ => None,
    };
    Error::Handshake { status, source: Box::new(error) }
}

fn tls() -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    Ok(builder.map_err(Error::Tls)?.with_root_certificates(roots).with_no_client_auth())
}
