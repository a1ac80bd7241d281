//! A receiver of traces.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::any_value::Value,
    trace::v1::ResourceSpans,
};
use tokio::net::TcpListener;
use tonic::{
    Request, Response, Status, async_trait,
    transport::{Server, server::TcpIncoming},
};

/// A span, as far as tests look at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The service that it is from.
    pub service: String,
    /// Its trace.
    pub trace: Vec<u8>,
    /// Its name.
    pub name: String,
    /// Its attributes, as text.
    pub attributes: Vec<(String, String)>,
}

/// A receiver of traces that keeps what it gets.
#[derive(Clone, Default)]
pub struct Receiver(Arc<Mutex<Received>>);

#[derive(Default)]
struct Received {
    spans: Vec<Span>,
    text: String,
}

impl Receiver {
    /// Starts one on a free port.
    pub async fn start() -> (Self, SocketAddr) {
        let receiver = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let service = TraceServiceServer::new(receiver.clone());
        tokio::spawn(
            Server::builder()
                .add_service(service)
                .serve_with_incoming(TcpIncoming::from(listener)),
        );
        (receiver, address)
    }

    /// All spans so far.
    #[must_use]
    pub fn spans(&self) -> Vec<Span> {
        self.0.lock().expect("no test panics with the lock").spans.clone()
    }

    /// All that came so far, as text: also what tests do not look at one by one, such as the events of spans.
    #[must_use]
    pub fn text(&self) -> String {
        self.0.lock().expect("no test panics with the lock").text.clone()
    }
}

#[async_trait]
impl TraceService for Receiver {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let request = request.into_inner();
        let mut received = self.0.lock().expect("no test panics with the lock");
        received.text += &format!("{request:?}\n");
        received
            .spans
            .extend(request.resource_spans.into_iter().flat_map(spans));
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn spans(of_resource: ResourceSpans) -> Vec<Span> {
    let attributes = of_resource
        .resource
        .map(|resource| texts(resource.attributes))
        .unwrap_or_default();
    let service = attributes
        .into_iter()
        .find(|(key, _)| key == "service.name")
        .map(|(_, name)| name);
    let service = service.unwrap_or_default();
    let spans = of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
    spans
        .map(|span| Span {
            service: service.clone(),
            trace: span.trace_id,
            name: span.name,
            attributes: texts(span.attributes),
        })
        .collect()
}

fn texts(attributes: Vec<opentelemetry_proto::tonic::common::v1::KeyValue>) -> Vec<(String, String)> {
    let text = |value| match value {
        Some(Value::StringValue(text)) => text,
        other => format!("{other:?}"),
    };
    attributes
        .into_iter()
        .map(|pair| (pair.key, text(pair.value.and_then(|value| value.value))))
        .collect()
}
