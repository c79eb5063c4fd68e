//! Clients that speak no WebSocket: streams of bytes, and HTTP answers that go on.

use super::{Door, FRAMES_MAX, Frame, Input};
use axum::body::Body;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use feed::net::Cutter;
use futures_util::{SinkExt, StreamExt, stream};
use source::{End, Peer, Source};
use std::convert::Infallible;
use std::sync::atomic::Ordering;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio_util::codec::Framed;

/// Takes clients until the shutdown.
pub(super) async fn serve(
    listener: TcpListener,
    source: &'static dyn Source,
    door: Door,
    mut shutdown: watch::Receiver<bool>,
) {
    loop {
        let client = tokio::select! {
            _ = shutdown.wait_for(|stop| *stop) => return,
            client = listener.accept() => client,
        };
        // A client that is gone before it was let in is no loss.
        let Ok((stream, _)) = client else { continue };
        let cutter = Cutter::new(source, door.endpoint, End::Client);
        tokio::spawn(converse(door.clone(), Framed::new(stream, cutter)));
    }
}

/// Lets a client in; `None` where the simulator has stopped.
async fn enter(door: &Door, path: String) -> Option<(Peer, mpsc::Receiver<Frame>)> {
    let peer = Peer(door.peers.fetch_add(1, Ordering::Relaxed));
    let (frames, to_send) = mpsc::channel(FRAMES_MAX);
    let open = Input::Open { peer, endpoint: door.endpoint, path, frames };
    door.inputs.send(open).await.is_ok().then_some((peer, to_send))
}

/// One client, from its first byte to its end. What it writes that is no frame ends it.
async fn converse(door: Door, mut stream: Framed<TcpStream, Cutter>) {
    let Some((peer, mut to_send)) = enter(&door, String::new()).await else { return };
    loop {
        tokio::select! {
            frame = to_send.recv() => {
                let Some(Frame::Data(bytes, _)) = frame else { break };
                if stream.feed(Bytes::from(bytes)).await.is_err() {
                    break;
                }
                if to_send.is_empty() && stream.flush().await.is_err() {
                    break;
                }
            }
            heard = stream.next() => {
                let Some(Ok(bytes)) = heard else { break };
                if door.inputs.send(Input::Frame { peer, bytes: bytes.to_vec() }).await.is_err() {
                    break;
                }
            }
        }
    }
    // What was said before the end is still said, where the client takes it; and the simulator may have stopped.
    _ = stream.flush().await;
    _ = door.inputs.send(Input::Closed { peer }).await;
}

/// Tells the simulator when a client of an answer that goes on has left.
struct Reader {
    peer: Peer,
    door: Door,
    frames: mpsc::Receiver<Frame>,
}

impl Drop for Reader {
    fn drop(&mut self) {
        let closed = Input::Closed { peer: self.peer };
        // Full only where the simulator hangs; it then finds out when it writes.
        _ = self.door.inputs.try_send(closed);
    }
}

/// An answer that goes on for as long as the client reads it.
pub(super) async fn answer(door: Door, path: String) -> Response {
    let Some((peer, frames)) = enter(&door, path).await else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let reader = Reader { peer, door, frames };
    let chunks = stream::unfold(reader, async |mut reader| match reader.frames.recv().await {
        Some(Frame::Data(bytes, _)) => Some((Ok::<_, Infallible>(Bytes::from(bytes)), reader)),
        _ => None,
    });
    let response = Response::builder().header("content-type", "text/event-stream");
    let failed = StatusCode::INTERNAL_SERVER_ERROR;
    response.body(Body::from_stream(chunks)).unwrap_or_else(|_| failed.into_response())
}
