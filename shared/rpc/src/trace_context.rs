//! The W3C trace context of calls: taken from their headers, and put into those of calls that follow from them.

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::{
    global,
    propagation::{Extractor, Injector},
    trace::{TraceContextExt, TraceId},
};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

struct Incoming<'a>(&'a HeaderMap);

impl Extractor for Incoming<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

struct Outgoing<'a>(&'a mut HeaderMap);

impl Injector for Outgoing<'_> {
    fn set(&mut self, key: &str, value: String) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(key), HeaderValue::try_from(value)) {
            self.0.insert(name, value);
        }
    }
}

/// Makes a span a child of the caller's, notes the trace id on it (the field `trace_id`), and gives it. Where no spans are made,
/// it is that of the caller; empty if they have none.
pub fn continue_from(span: &Span, headers: &HeaderMap) -> String {
    let parent = global::get_text_map_propagator(|propagator| propagator.extract(&Incoming(headers)));
    let of_caller = parent.span().span_context().trace_id();
    let _ = span.set_parent(parent);
    let own = span.context().span().span_context().trace_id();
    let trace_id = [own, of_caller].into_iter().find(|id| *id != TraceId::INVALID);
    let trace_id = trace_id.map(|id| id.to_string()).unwrap_or_default();
    span.record("trace_id", &trace_id);
    trace_id
}

/// Writes the context of the current span into the headers of a call.
pub fn pass_on(headers: &mut HeaderMap) {
    let context = Span::current().context();
    global::get_text_map_propagator(|propagator| propagator.inject_context(&context, &mut Outgoing(headers)));
}

#[cfg(test)]
mod tests {
    use opentelemetry_sdk::propagation::TraceContextPropagator;

    use super::*;

    #[test]
    fn where_no_spans_are_made_the_trace_is_the_callers() {
        global::set_text_map_propagator(TraceContextPropagator::new());
        let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let headers = [(
            HeaderName::from_static("traceparent"),
            HeaderValue::from_static(traceparent),
        )];
        let headers: HeaderMap = headers.into_iter().collect();
        assert_eq!(
            continue_from(&Span::none(), &headers),
            "0af7651916cd43dd8448eb211c80319c"
        );
        assert_eq!(continue_from(&Span::none(), &HeaderMap::new()), "");
        let forged = [(
            HeaderName::from_static("traceparent"),
            HeaderValue::from_static("00-x y-z-01"),
        )];
        assert_eq!(continue_from(&Span::none(), &forged.into_iter().collect()), "");
    }
}
