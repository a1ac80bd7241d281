//! The first raw limit: an empty RPC over loopback to another process.

use std::{
    env,
    io::{self, BufRead as _, BufReader, Read as _},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    time::Duration,
};

use carepost_suite::clients;
use tokio::{net::TcpListener, sync::oneshot};
use tonic::transport::{Server, server::TcpIncoming};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use crate::{
    load::{CONNECTIONS, IN_FLIGHT, Measured, closed_loop},
    machine, progress, runtime,
};

/// Answers `grpc.health.v1.Health/Check`, with nothing around it, until standard input ends. Tells its address first.
pub fn serve() {
    let (ended, end) = oneshot::channel();
    std::thread::spawn(move || {
        // However it ends, whoever wanted answers is gone.
        let _ = io::stdin().read_to_end(&mut Vec::new());
        let _ = ended.send(());
    });
    runtime("server", machine::cores()).block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        println!("{}", listener.local_addr().expect("an address"));
        let (_reporter, health) = tonic_health::server::health_reporter();
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        let server = Server::builder().add_service(health);
        tokio::select! {
            served = server.serve_with_incoming(incoming) => served.expect("the server runs"),
            _ = end => {}
        }
    });
}

/// The server as a process, killed when dropped.
struct Process {
    child: Child,
    address: SocketAddr,
}

impl Process {
    fn start() -> Self {
        let mut child = Command::new(env::current_exe().expect("the path of this binary"))
            .arg("rpc-server")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this binary can be run");
        let mut line = String::new();
        let output = child.stdout.take().expect("it is piped");
        BufReader::new(output).read_line(&mut line).expect("an address is told");
        let address = line.trim().parse().expect("an address");
        Self { child, address }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Measures it at each number of calls in flight.
pub async fn measure(span: Duration) -> Vec<Measured> {
    let server = Process::start();
    let mut all = Vec::new();
    for in_flight in IN_FLIGHT {
        progress(&format!("empty RPC, {in_flight} in flight"));
        let channels: [_; CONNECTIONS] = std::array::from_fn(|_| clients::channel(server.address));
        let measured = closed_loop(in_flight, span, move |caller| {
            let mut client = HealthClient::new(channels[caller % CONNECTIONS].clone());
            async move { client.check(HealthCheckRequest::default()).await.map(drop) }
        })
        .await;
        all.push(measured);
    }
    all
}
