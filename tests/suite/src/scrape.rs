//! What the services count, as Prometheus reads it.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::Suite;

/// The metrics of all services, without the lines of help.
pub async fn metrics(suite: &Suite) -> String {
    let logs = suite.logs();
    let served = logs.lines().filter(|line| line.contains("metrics are served"));
    let addresses = served.map(|line| {
        let (_, rest) = line.split_once("\"address\":\"").expect("the line tells where");
        let (address, _) = rest.split_once('"').expect("it is quoted");
        address.parse::<SocketAddr>().expect("an address")
    });
    let mut text = String::new();
    for address in addresses.collect::<Vec<_>>() {
        let mut stream = TcpStream::connect(address).await.expect("it is served");
        stream
            .write_all(b"GET /metrics HTTP/1.1\r\nHost: suite\r\n\r\n")
            .await
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
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
