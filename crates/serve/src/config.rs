//! Addresses and limits of what is served.

use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr};

/// Addresses and limits of what is served.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The address to listen on. Default 127.0.0.1, this machine only.
    pub bind: IpAddr,
    /// Port of REST, the WebSocket stream and the page; 0 takes a free one. Default 50061.
    pub http_port: u16,
    /// Port of the metrics text for Prometheus; 0 takes a free one. Default 50052.
    pub metrics_port: u16,
    /// Port of the probes; 0 takes a free one. Default 50053.
    pub probe_port: u16,
    /// HTTP connections at once on each port, not counting WebSocket clients; more wait. Default 1,024.
    pub http_connections_max: usize,
    /// The longest body of a request that is accepted, in bytes. Default 65,536.
    pub http_body_bytes_max: usize,
    /// How long a request may take, in ms. Default 10,000.
    pub request_timeout_ms: u64,
    /// WebSocket clients at once; one more is answered 503. Default 10,000.
    pub ws_clients_max: usize,
    /// Lanes that one WebSocket client may subscribe to. Default 2,000.
    pub ws_subscriptions_max: usize,
    /// Entries that may wait for one WebSocket client before it starts afresh and is told so. Default 4,096.
    pub ws_queue_max: usize,
    /// The longest message that a WebSocket client may send, in bytes. Default 262,144: ten thousand names fit, so that
    /// such a request is told its real fault.
    pub ws_frame_bytes_max: usize,
    /// How long writing to a WebSocket client may take before it is closed as slow, in ms. Default 10,000.
    pub ws_send_timeout_ms: u64,
    /// How often a WebSocket client may start afresh within a minute before it is closed as slow. Default 10.
    pub ws_overruns_max: u32,
    /// How many bad requests a WebSocket client may send within a minute before it is closed. Default 50.
    pub ws_bad_requests_max: u32,
    /// How often a WebSocket client is pinged, in ms; after three pings without any answer it is closed. Default 30,000.
    pub ws_ping_ms: u64,
    /// The source that `/api/realtime/start`, `stop` and `config` are about; empty for none. Default none.
    pub realtime_source: String,
    /// For how long a source may bring no data before it counts as unhealthy, in ms. Default 30,000.
    pub stale_after_ms: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            bind: IpAddr::V4(Ipv4Addr::LOCALHOST),
            http_port: 50_061,
            metrics_port: 50_052,
            probe_port: 50_053,
            http_connections_max: 1_024,
            http_body_bytes_max: 64 * 1_024,
            request_timeout_ms: 10_000,
            ws_clients_max: 10_000,
            ws_subscriptions_max: 2_000,
            ws_queue_max: 4_096,
            ws_frame_bytes_max: 256 * 1_024,
            ws_send_timeout_ms: 10_000,
            ws_overruns_max: 10,
            ws_bad_requests_max: 50,
            ws_ping_ms: 30_000,
            realtime_source: String::new(),
            stale_after_ms: 30_000,
        }
    }
}
