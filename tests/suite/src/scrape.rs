//! What the services count, as Prometheus reads it.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::Suite;

/// Where the metrics are, of each time that a service was started.
pub fn addresses(suite: &Suite) -> Vec<SocketAddr> {
    let logs = suite.logs();
    let served = logs.lines().filter(|line| line.contains("metrics are served"));
    let addresses = served.map(|line| {
        let (_, rest) = line.split_once("\"address\":\"").expect("the line tells where");
        let (address, _) = rest.split_once('"').expect("it is quoted");
        address.parse().expect("an address")
    });
    addresses.collect()
}

/// What is answered to a GET of this path, its head included.
pub async fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("it is served");
    let request = format!("GET {path} HTTP/1.1\r\nHost: suite\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// The metrics of all services, without the lines of help.
pub async fn metrics(suite: &Suite) -> String {
    let mut text = String::new();
    for address in addresses(suite) {
        let answer = get(address, "/metrics").await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        text.extend(
            answer
                .lines()
                .filter(|line| !line.starts_with('#'))
                .map(|line| format!("{line}\n")),
        );
    }
    text
}
