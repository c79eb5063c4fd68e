//! Clients that speak no WebSocket: streams of bytes, and HTTP answers that go on.

use super::{Backlog, Door, FRAMES_MAX, Frame, Frames, Input};
use axum::body::Body;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use feed::net::Cutter;
use futures_util::{SinkExt, StreamExt, stream};
use source::{End, Peer, Source};
use std::convert::Infallible;
use std::sync::Arc;
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

/// The least that a frame is believed to have where bytes are counted: so many times more of them fit the queue.
const FRAME_BYTES_MIN: usize = 16;

/// Lets a client in; `None` where the simulator has stopped.
async fn enter(
    door: &Door,
    path: String,
    backlog: Option<Arc<Backlog>>,
) -> Option<(Peer, mpsc::Receiver<Frame>)> {
    let peer = Peer(door.peers.fetch_add(1, Ordering::Relaxed));
    let room = backlog.as_ref().map_or(FRAMES_MAX, |backlog| backlog.max / FRAME_BYTES_MIN + 1);
    let (queue, to_send) = mpsc::channel(room);
    let frames = Frames { queue, backlog };
    let open = Input::Open { peer, endpoint: door.endpoint, path, frames };
    door.inputs.send(open).await.is_ok().then_some((peer, to_send))
}

/// One client, from its first byte to its end. What it writes that is no frame ends it.
async fn converse(door: Door, mut stream: Framed<TcpStream, Cutter>) {
    let backlog = Backlog::new(door.backlog_max.unwrap_or(usize::MAX));
    let counted = door.backlog_max.map(|_| Arc::clone(&backlog));
    let Some((peer, mut to_send)) = enter(&door, String::new(), counted).await else { return };
    let talk = async {
        loop {
            tokio::select! {
                frame = to_send.recv() => {
                    let Some(Frame::Data(bytes, _)) = frame else { break };
                    let length = bytes.len();
                    if stream.feed(Bytes::from(bytes)).await.is_err() {
                        break;
                    }
                    backlog.shrink(length);
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
        // What was said before the end is still said, where the client takes it.
        _ = stream.flush().await;
    };
    tokio::select! {
        () = talk => {}
        () = backlog.over.notified() => {}
    }
    // The simulator may have stopped; then nobody need be told.
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
    let Some((peer, frames)) = enter(&door, path, None).await else {
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
