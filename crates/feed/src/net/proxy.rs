//! Which proxy an address is reached by, from the environment, as other programs read it.

use crate::error::{Error, Result};
use reqwest::Url;
use std::net::IpAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The longest answer of a proxy to `CONNECT`.
const ANSWER_BYTES_MAX: usize = 8_192;

/// An HTTP proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// Its address as it was given.
    pub url: Url,
    /// Its host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The value of `Proxy-Authorization`, where it wants one.
    authorization: Option<String>,
}

/// `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, in either case.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    secure: Option<Proxy>,
    plain: Option<Proxy>,
    except: Vec<String>,
}

impl Proxies {
    /// Reads them by `var`.
    ///
    /// # Errors
    /// [`Error::Address`] for an address that is no HTTP proxy: SOCKS and TLS to the proxy itself are not supported.
    pub fn read(var: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let value = |name: &str| {
            let either = var(name).or_else(|| var(&name.to_lowercase()));
            either.filter(|v| !v.trim().is_empty())
        };
        let all = value("ALL_PROXY");
        let proxy =
            |name: &str| value(name).or_else(|| all.clone()).map(|url| Proxy::parse(&url)).transpose();
        let except = value("NO_PROXY").unwrap_or_default();
        let except = except.split(',').map(|e| e.trim().trim_start_matches('.').to_lowercase());
        Ok(Self {
            secure: proxy("HTTPS_PROXY")?,
            plain: proxy("HTTP_PROXY")?,
            except: except.filter(|e| !e.is_empty()).collect(),
        })
    }

    /// The proxy for a host, where there is one. This machine is never asked for by a proxy.
    pub fn find(&self, secure: bool, host: &str) -> Option<&Proxy> {
        let host = host.trim_matches(['[', ']']).to_lowercase();
        let here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        let excepted = self.except.iter().any(|e| {
            e == "*" || host == *e || host.strip_suffix(e.as_str()).is_some_and(|head| head.ends_with('.'))
        });
        let proxy = if secure { self.secure.as_ref() } else { self.plain.as_ref() };
        proxy.filter(|_| !here && !excepted)
    }
}

impl Proxy {
    fn parse(text: &str) -> Result<Self> {
        let bad = |why| Error::Address { url: text.to_owned(), why };
        let full = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let url = Url::parse(&full).map_err(|_| bad("it is no URL of a proxy"))?;
        match url.scheme() {
            "http" => {}
            scheme if scheme.starts_with("socks") => return Err(bad("SOCKS proxies are not supported")),
            _ => return Err(bad("only proxies by http:// are supported")),
        }
        let host = url.host_str().ok_or_else(|| bad("it has no host"))?.to_owned();
        let port = url.port_or_known_default().ok_or_else(|| bad("it has no port"))?;
        let login = (!url.username().is_empty()).then(|| {
            let password = url.password().unwrap_or_default();
            [decoded(url.username()), decoded(password)].join(&b':')
        });
        let authorization = login.map(|login| format!("Basic {}", base64(&login)));
        Ok(Self { url, host, port, authorization })
    }

    /// Asks the proxy at the other end of `stream` for a tunnel.
    ///
    /// # Errors
    /// [`Error::Proxy`] where it will not, [`Error::Connect`] where it is gone.
    pub async fn tunnel(&self, stream: &mut TcpStream, host: &str, port: u16) -> Result<()> {
        let lost = |source| Error::Connect { host: self.host.clone(), port: self.port, source };
        let login = self.authorization.as_ref();
        let login = login.map_or_else(String::new, |a| format!("Proxy-Authorization: {a}\r\n"));
        let ask = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n{login}\r\n");
        stream.write_all(ask.as_bytes()).await.map_err(lost)?;
        let mut answer = Vec::with_capacity(256);
        while !answer.ends_with(b"\r\n\r\n") && answer.len() < ANSWER_BYTES_MAX {
            // One byte at a time, so that nothing behind the answer is taken.
            answer.push(stream.read_u8().await.map_err(lost)?);
        }
        let first = answer.split(|b| *b == b'\r').next().unwrap_or_default();
        if first.starts_with(b"HTTP/1.") && first.get(9..12) == Some(b"200") {
            return Ok(());
        }
        let answer = String::from_utf8_lossy(first).into_owned();
        Err(Error::Proxy { host: self.host.clone(), port: self.port, answer })
    }
}

/// Connects to a host, by a proxy where there is one.
///
/// # Errors
/// [`Error::Connect`], [`Error::Proxy`] or [`Error::Timeout`].
pub(super) async fn connect(
    host: &str,
    port: u16,
    proxy: Option<&Proxy>,
    limit: Duration,
) -> Result<TcpStream> {
    let (to, at) = proxy.map_or((host, port), |p| (p.host.as_str(), p.port));
    let steps = async {
        let lost = |source| Error::Connect { host: to.to_owned(), port: at, source };
        let bare = to.trim_matches(['[', ']']);
        let mut stream = TcpStream::connect((bare, at)).await.map_err(lost)?;
        stream.set_nodelay(true).map_err(lost)?;
        if let Some(proxy) = proxy {
            proxy.tunnel(&mut stream, host, port).await?;
        }
        Ok(stream)
    };
    let ms = limit.as_millis() as u64;
    tokio::time::timeout(limit, steps).await.map_err(|_| Error::Timeout { doing: "connecting", ms })?
}

/// Undoes `%41`.
fn decoded(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let hex = tail.get(..2).and_then(|h| std::str::from_utf8(h).ok());
        let value = hex.and_then(|h| u8::from_str_radix(h, 16).ok()).filter(|_| byte == b'%');
        rest = if value.is_some() { tail.get(2..).unwrap_or_default() } else { tail };
        out.push(value.unwrap_or(byte));
    }
    out
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let word = (0..3).fold(0_u32, |w, i| w << 8 | u32::from(chunk.get(i).copied().unwrap_or(0)));
        for i in 0..4 {
            let letter = LETTERS.get((word >> (18 - 6 * i) & 63) as usize).copied().unwrap_or(b'=');
            out.push(if i <= chunk.len() { letter as char } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    fn read(vars: &[(&str, &str)]) -> Result<Proxies> {
        Proxies::read(|name| vars.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()))
    }

    #[test]
    fn the_environment_says_which_proxy_and_for_whom_not() {
        let proxies = read(&[
            ("https_proxy", "http://me:p%40ss@proxy.example:3128"),
            ("ALL_PROXY", "other.example:8080"),
            ("NO_PROXY", "okx.com, .internal"),
        ])
        .unwrap();
        let secure = proxies.find(true, "api.binance.com").unwrap();
        assert_eq!((secure.host.as_str(), secure.port), ("proxy.example", 3128));
        assert_eq!(secure.authorization.as_deref(), Some("Basic bWU6cEBzcw=="));
        assert_eq!(proxies.find(false, "api.binance.com").unwrap().host, "other.example");
        for host in ["okx.com", "ws.OKX.com", "a.internal", "localhost", "127.0.0.1", "[::1]"] {
            assert_eq!(proxies.find(true, host), None, "{host}");
        }
        assert!(proxies.find(true, "notokx.com").is_some());
        assert!(read(&[]).unwrap().find(true, "x").is_none());
    }

    #[test]
    fn a_proxy_that_we_cannot_use_is_an_error_that_says_so() {
        let error = read(&[("ALL_PROXY", "socks5://127.0.0.1:1080")]).unwrap_err();
        assert!(error.to_string().contains("SOCKS proxies are not supported"), "{error}");
        assert!(read(&[("HTTP_PROXY", "https://p:1")]).is_err());
    }

    #[test]
    fn base64_pads_to_four() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")]
        {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[tokio::test]
    async fn a_tunnel_is_asked_for_and_a_refusal_is_told() {
        for (answer, works) in
            [("HTTP/1.1 200 fine\r\n\r\n", true), ("HTTP/1.1 407 who are you\r\n\r\n", false)]
        {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let port = listener.local_addr().unwrap().port();
            let server = tokio::spawn(async move {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut ask = vec![0; 1_024];
                let n = stream.read(&mut ask).await.unwrap();
                stream.write_all(answer.as_bytes()).await.unwrap();
                String::from_utf8_lossy(&ask[..n]).into_owned()
            });
            let proxy = Proxy::parse(&format!("http://127.0.0.1:{port}")).unwrap();
            let result = connect("venue.example", 443, Some(&proxy), Duration::from_secs(5)).await;
            assert_eq!(result.is_ok(), works, "{result:?}");
            assert!(server.await.unwrap().starts_with("CONNECT venue.example:443 HTTP/1.1\r\n"));
        }
    }
}
