//! What can go wrong between us and a venue.

use std::io;

/// Why a venue could not be reached, or did not answer as it should.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An address of the config or of the environment cannot be used.
    #[error("`{url}` cannot be used: {why}")]
    Address {
        /// The address.
        url: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// TLS cannot be set up.
    #[error("failed to set up TLS")]
    Tls(#[source] rustls::Error),
    /// The HTTP client cannot be built.
    #[error("failed to build the HTTP client")]
    Client(#[source] reqwest::Error),
    /// No TCP connection.
    #[error("failed to connect to {host}:{port}")]
    Connect {
        /// The host.
        host: String,
        /// The port.
        port: u16,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A step took too long.
    #[error("{doing} took longer than {ms} ms")]
    Timeout {
        /// The step.
        doing: &'static str,
        /// The limit.
        ms: u64,
    },
    /// The proxy would not connect us.
    #[error("the proxy {host}:{port} answered `{answer}`")]
    Proxy {
        /// The proxy.
        host: String,
        /// Its port.
        port: u16,
        /// Its first line.
        answer: String,
    },
    /// No TLS with the venue.
    #[error("failed to agree on TLS with {host}")]
    TlsHandshake {
        /// The host.
        host: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The venue would not open a WebSocket.
    #[error("failed to open the WebSocket{}", status.map_or_else(String::new, |s| format!(" (status {s})")))]
    Handshake {
        /// The HTTP status, where there was one.
        status: Option<u16>,
        /// Why.
        #[source]
        source: Box<tokio_tungstenite::tungstenite::Error>,
    },
    /// The venue would not begin a stream.
    #[error("the venue answered with status {status}")]
    Refused {
        /// The HTTP status.
        status: u16,
    },
    /// No server of a list answered.
    #[error("none of {servers} answers")]
    NoServer {
        /// The list.
        servers: String,
        /// Why the last one did not.
        #[source]
        source: io::Error,
    },
    /// A stream of bytes ended or could not be read.
    #[error("lost the answer of {server}")]
    Stream {
        /// The server.
        server: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A REST request failed.
    #[error("failed to ask by REST")]
    Rest(#[source] reqwest::Error),
    /// An answer is larger than the source allows.
    #[error("the answer has more than {max} bytes")]
    TooLarge {
        /// The limit.
        max: usize,
    },
    /// The log of raw frames cannot be written.
    #[error(transparent)]
    Tape(#[from] tape::Error),
}

/// What calls of this crate give.
pub type Result<T> = std::result::Result<T, Error>;

/// An error with all its causes on one line.
pub(crate) fn words(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let more = next.to_string();
        if !text.ends_with(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = next.source();
    }
    text
}
