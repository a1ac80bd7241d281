//! `GET /metrics`, on a port of its own: for scrapers within the cluster, without authentication, since it holds numbers alone.
//! Beside it are `/livez` and `/readyz`, for who restarts processes and sends them calls, and may not speak mutual TLS.

use std::{
    collections::VecDeque,
    convert::Infallible,
    future, io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use http::{Method, Request, Response, StatusCode, header::CONTENT_TYPE};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    task::AbortHandle,
};

use super::metrics;
use crate::{lifecycle::Lifecycle, settings::Reader};

/// The most connections at once. One more takes the place of the oldest that has asked for nothing yet: whoever is slow must not
/// keep a probe out.
const CONNECTIONS: usize = 256;
/// How long a connection may last, its one answer included, and how long it may take to ask.
const PATIENCE: Duration = Duration::from_secs(10);
const ASKING: Duration = Duration::from_secs(2);
/// The most bytes of a request's line and headers.
const HEADERS: usize = 8 * 1_024;
/// How long to wait when no connection can be accepted.
const PAUSE: Duration = Duration::from_millis(100);
/// What it is, as Prometheus asks for it.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Settings of the endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MetricsSettings {
    /// Where it listens; none: nowhere.
    pub listen: Option<SocketAddr>,
}

impl MetricsSettings {
    /// Reads the section `metrics`.
    pub fn read(reader: &mut Reader) -> Self {
        Self {
            listen: reader.optional_parsed("metrics.listen"),
        }
    }
}

/// Serves the metrics within a life, and tells where; nowhere if the settings say so.
///
/// # Errors
/// If the port cannot be had.
pub async fn serve(settings: MetricsSettings, life: &Lifecycle) -> io::Result<Option<SocketAddr>> {
    let Some(listen) = settings.listen else {
        return Ok(None);
    };
    let listener = TcpListener::bind(listen).await?;
    let address = listener.local_addr()?;
    // Until the end: that it is not ready is to be seen, and what is counted while it finishes.
    life.spawn_beside("metrics", accept(listener, life.clone(), CONNECTIONS));
    tracing::info!(%address, "metrics are served");
    Ok(Some(address))
}

async fn accept(listener: TcpListener, life: Lifecycle, most: usize) {
    let mut open = VecDeque::with_capacity(most);
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                open.retain(|one: &Open| !one.task.is_finished());
                if open.len() >= most {
                    let silent = open.iter().position(|one| !one.asked.load(Ordering::Relaxed));
                    if let Some(one) = open.remove(silent.unwrap_or_default()) {
                        one.task.abort();
                    }
                }
                let asked = Arc::<AtomicBool>::default();
                // Whatever goes wrong is the scraper's to see.
                let answering = tokio::time::timeout(PATIENCE, connection(stream, life.clone(), Arc::clone(&asked)));
                let task = tokio::spawn(answering).abort_handle();
                open.push_back(Open { task, asked });
                // It may have asked already, and be answered before there is another one.
                tokio::task::yield_now().await;
            }
            Err(error) => {
                tracing::warn!(kind = ?error.kind(), "a scraper could not be accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// A connection, and whether it has asked for something.
struct Open {
    task: AbortHandle,
    asked: Arc<AtomicBool>,
}

async fn connection(stream: TcpStream, life: Lifecycle, asked: Arc<AtomicBool>) -> Result<(), hyper::Error> {
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(ASKING)
        .max_buf_size(HEADERS)
        .keep_alive(false)
        .serve_connection(
            TokioIo::new(stream),
            service_fn(move |request| {
                asked.store(true, Ordering::Relaxed);
                future::ready(Ok::<_, Infallible>(answer(&request, &life)))
            }),
        )
        .await
}

fn answer(request: &Request<Incoming>, life: &Lifecycle) -> Response<String> {
    let (status, text) = match (request.method(), request.uri().path()) {
        (&Method::GET, "/metrics") => match metrics().text() {
            Ok(text) => (StatusCode::OK, text),
            Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, String::new()),
        },
        // That it answers is all there is to say: what it needs may be away, and no restart of this process would mend that.
        (&Method::GET, "/livez") => (StatusCode::OK, "alive\n".to_owned()),
        (&Method::GET, "/readyz") if life.is_ready() => (StatusCode::OK, "ready\n".to_owned()),
        (&Method::GET, "/readyz") => (StatusCode::SERVICE_UNAVAILABLE, "not ready\n".to_owned()),
        (_, "/metrics" | "/livez" | "/readyz") => (StatusCode::METHOD_NOT_ALLOWED, String::new()),
        _ => (StatusCode::NOT_FOUND, String::new()),
    };
    let mut response = Response::new(text);
    *response.status_mut() = status;
    let kind = match request.uri().path() {
        "/metrics" => OPEN_METRICS,
        _ => "text/plain",
    };
    let kind = http::HeaderValue::from_static(kind);
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        sync::oneshot,
        task::JoinSet,
    };

    use super::*;

    async fn served(life: &Lifecycle) -> SocketAddr {
        let listen = "127.0.0.1:0".parse().ok();
        serve(MetricsSettings { listen }, life).await.unwrap().unwrap()
    }

    async fn ask(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // A refusal may end in a reset.
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8(answer).unwrap()
    }

    #[tokio::test]
    async fn it_gives_the_metrics_and_nothing_else() {
        let life = Lifecycle::default();
        let address = served(&life).await;
        let answer = ask(address, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(answer.contains(OPEN_METRICS), "{answer}");
        assert!(answer.trim_end().ends_with("# EOF"), "{answer}");
        for (request, status) in [
            ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", "404"),
            ("POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", "405"),
        ] {
            let answer = ask(address, request).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
        }
        let long = format!(
            "GET /metrics HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n",
            "x".repeat(2 * HEADERS)
        );
        assert!(!ask(address, &long).await.starts_with("HTTP/1.1 200"));
        life.stop();
        assert_eq!(life.run(Duration::from_secs(5)).await, Ok(()));
    }

    #[tokio::test]
    async fn it_is_alive_whatever_happens_and_ready_while_its_databases_answer() {
        let life = Lifecycle::default();
        let address = served(&life).await;
        let status = async |path: &str| {
            let answer = ask(address, &format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")).await;
            answer.split(' ').nth(1).unwrap_or_default().to_owned()
        };
        assert_eq!(status("/readyz").await, "503", "nothing is known yet");
        life.readiness().database("one", true);
        assert_eq!(status("/readyz").await, "503", "it is still starting");
        life.readiness().started();
        assert_eq!(status("/readyz").await, "200");
        life.readiness().database("another", false);
        assert_eq!(status("/readyz").await, "503");
        assert_eq!(status("/livez").await, "200");
        life.readiness().database("another", true);
        assert_eq!(status("/readyz").await, "200");
        let answer = ask(address, "POST /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 405"), "{answer}");
        life.stop();
        assert!(!life.is_ready());
        assert_eq!(life.run(Duration::from_secs(5)).await, Ok(()));
    }

    #[tokio::test]
    async fn connections_that_say_nothing_keep_no_probe_out() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(accept(listener, Lifecycle::default(), 8));
        let mut silent = Vec::new();
        for _ in 0..24 {
            silent.push(TcpStream::connect(address).await.unwrap());
        }
        let asking = ask(address, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n");
        let answer = tokio::time::timeout(PATIENCE / 2, asking).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }

    #[tokio::test]
    async fn all_who_ask_at_once_are_answered() {
        let life = Lifecycle::default();
        let address = served(&life).await;
        let mut asking = JoinSet::new();
        for _ in 0..100 {
            asking.spawn(ask(address, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"));
        }
        for answer in asking.join_all().await {
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        }
    }

    #[tokio::test]
    async fn it_tells_of_a_process_that_stops_until_it_has_stopped() {
        let life = Lifecycle::default();
        let address = served(&life).await;
        life.readiness().started();
        life.readiness().database("one", true);
        let (finished, work) = oneshot::channel::<()>();
        life.spawn("work", async { drop(work.await) });
        life.stop();
        let running = tokio::spawn(life.run(Duration::from_secs(20)));
        for (path, status) in [("/readyz", "503"), ("/livez", "200"), ("/metrics", "200")] {
            let answer = ask(address, &format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{path}: {answer}");
        }
        drop(finished);
        assert_eq!(running.await.unwrap(), Ok(()));
    }

    #[tokio::test]
    async fn without_an_address_it_is_served_nowhere() {
        let life = Lifecycle::default();
        assert_eq!(serve(MetricsSettings::default(), &life).await.unwrap(), None);
    }
}
