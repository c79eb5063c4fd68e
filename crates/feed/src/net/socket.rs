//! A connection of any kind, as messages.

use super::cutter::Cutter;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{SinkExt, Stream, StreamExt, TryStreamExt};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::{Error as WsError, Message, Utf8Bytes};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};
use tokio_util::codec::{Framed, FramedRead};
use tokio_util::io::StreamReader;

/// A stream of bytes as frames, and with whom it is.
pub(super) struct Raw {
    pub server: String,
    pub frames: Framed<TcpStream, Cutter>,
}

/// An open connection. A frame of a stream of bytes is a binary message, one of an HTTP answer a text.
pub enum Socket {
    /// A WebSocket.
    Ws(Box<WebSocketStream<MaybeTlsStream<TcpStream>>>),
    /// A stream of bytes both ways.
    Tcp(Box<Tcp>),
    /// An HTTP answer that goes on.
    Http(BoxStream<'static, io::Result<Bytes>>),
}

/// A stream of bytes both ways.
pub struct Tcp(Raw);

impl Socket {
    pub(super) fn tcp(raw: Raw) -> Self {
        Self::Tcp(Box::new(Tcp(raw)))
    }

    pub(super) fn http(answer: reqwest::Response, cutter: Cutter) -> Self {
        let bytes = answer.bytes_stream().map_err(io::Error::other);
        Self::Http(FramedRead::new(StreamReader::new(Box::pin(bytes)), cutter).boxed())
    }

    /// With which of several servers it is; `None` where there is but one.
    pub fn server(&self) -> Option<&str> {
        match self {
            Self::Tcp(tcp) => Some(&tcp.0.server),
            Self::Ws(_) | Self::Http(_) => None,
        }
    }

    /// Sends a frame.
    ///
    /// # Errors
    /// Where the connection takes it no more.
    pub async fn send(&mut self, bytes: Vec<u8>) -> Result<(), WsError> {
        match self {
            Self::Ws(socket) => {
                socket
                    .send(match String::from_utf8(bytes) {
                        Ok(text) => Message::text(text),
                        Err(error) => Message::binary(error.into_bytes()),
                    })
                    .await
            }
            Self::Tcp(tcp) => tcp.0.frames.send(bytes.into()).await.map_err(WsError::Io),
            Self::Http(_) => Err(WsError::Io(io::Error::other("nothing can be sent on an HTTP answer"))),
        }
    }

    /// Hands everything that waits to the operating system.
    ///
    /// # Errors
    /// Where the connection takes it no more.
    pub async fn flush(&mut self) -> Result<(), WsError> {
        match self {
            Self::Ws(socket) => socket.flush().await,
            Self::Tcp(_) | Self::Http(_) => Ok(()),
        }
    }

    /// Says good-bye and waits until the other end does.
    pub async fn part(&mut self) {
        if let Self::Ws(socket) = self
            && WebSocketStream::close(socket, None).await.is_ok()
        {
            while let Some(Ok(_)) = socket.next().await {}
        }
    }
}

impl Stream for Socket {
    type Item = Result<Message, WsError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let frame = match self.get_mut() {
            Self::Ws(socket) => return Pin::new(socket).poll_next(cx),
            Self::Tcp(tcp) => Pin::new(&mut tcp.0.frames).poll_next(cx).map_ok(Message::Binary),
            Self::Http(frames) => frames.as_mut().poll_next(cx).map_ok(|bytes| {
                Utf8Bytes::try_from(bytes.clone()).map_or(Message::Binary(bytes), Message::Text)
            }),
        };
        frame.map_err(WsError::Io)
    }
}
