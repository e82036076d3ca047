//! `GET /metrics` over HTTP, read-only; anything else is 404.

use super::exposition::Exposition;
use crate::clock::Clock;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpListener;

/// A scraper that sends its request more slowly than this is cut off.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug, thiserror::Error)]
#[error("cannot serve metrics on {addr}: {source}; choose another --metrics-addr")]
pub struct BindError {
    addr: SocketAddr,
    source: std::io::Error,
}

/// A bound listener; [`MetricsServer::serve`] runs until it is dropped.
pub struct MetricsServer {
    listener: TcpListener,
    pub addr: SocketAddr,
}

impl MetricsServer {
    pub async fn bind(addr: SocketAddr) -> Result<Self, BindError> {
        let listener = TcpListener::bind(addr).await.map_err(|source| BindError { addr, source })?;
        let addr = listener.local_addr().map_err(|source| BindError { addr, source })?;
        Ok(Self { listener, addr })
    }

    /// One connection at a time: scrapers are few, and nothing here waits for long.
    pub async fn serve(self, exposition: Exposition, clock: Clock) {
        loop {
            let Ok((stream, _)) = self.listener.accept().await else { continue };
            let service = service_fn(|r: Request<Incoming>| {
                let answer = answer(&r, &exposition, &clock);
                async move { Ok::<_, Infallible>(answer) }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_TIMEOUT)
                .keep_alive(false)
                .serve_connection(TokioIo::new(stream), service);
            if let Err(e) = connection.await {
                tracing::debug!(error = %e, "a scrape was cut off");
            }
        }
    }
}

fn answer(request: &Request<Incoming>, exposition: &Exposition, clock: &Clock) -> Response<Full<Bytes>> {
    let (status, body) = match (request.method(), request.uri().path()) {
        (&Method::GET, "/metrics") => (StatusCode::OK, exposition.text(clock.now().0)),
        _ => (StatusCode::NOT_FOUND, "only GET /metrics is here\n".to_owned()),
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(hyper::header::CONTENT_TYPE, hyper::header::HeaderValue::from_static("text/plain; version=0.0.4"));
    response
}
