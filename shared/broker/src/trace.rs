//! The W3C trace context of an event, so that one trace spans the request, the outbox, the broker and the work behind it.

use std::collections::HashMap;

use opentelemetry::{
    global,
    trace::{TraceContextExt, TraceId},
};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// Header and column of the trace context.
pub const TRACEPARENT: &str = "traceparent";
/// Header and column of what vendors add to it.
pub const TRACESTATE: &str = "tracestate";

/// The specification asks to pass on at least this much of `tracestate`; what is longer is left out.
const MAX_LENGTH: usize = 512;

/// A trace context, as it travels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TraceHeaders {
    /// Trace, span and flags.
    pub traceparent: Option<String>,
    /// What vendors add.
    pub tracestate: Option<String>,
}

impl TraceHeaders {
    /// From texts of any origin; those that are empty or too long are left out.
    #[must_use]
    pub fn new(traceparent: Option<String>, tracestate: Option<String>) -> Self {
        let fits = |text: &String| (1..=MAX_LENGTH).contains(&text.len());
        Self {
            traceparent: traceparent.filter(fits),
            tracestate: tracestate.filter(fits),
        }
    }

    /// The context of the current span, by the global propagator; empty without a trace.
    #[must_use]
    pub fn current() -> Self {
        Self::of(&Span::current())
    }

    /// The context of a span, by the global propagator; empty without a trace.
    #[must_use]
    pub fn of(span: &Span) -> Self {
        let mut carrier = HashMap::new();
        let context = span.context();
        global::get_text_map_propagator(|propagator| propagator.inject_context(&context, &mut carrier));
        Self::new(carrier.remove(TRACEPARENT), carrier.remove(TRACESTATE))
    }

    /// Makes a new span continue this trace. Without one, or with a malformed one, the span begins its own.
    pub fn set_parent_of(&self, span: &Span) {
        if self.traceparent.is_none() {
            return;
        }
        let carrier: HashMap<String, String> = self
            .iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let context = global::get_text_map_propagator(|propagator| propagator.extract(&carrier));
        let trace_id = context.span().span_context().trace_id();
        if trace_id != TraceId::INVALID {
            span.record("trace_id", trace_id.to_string());
        }
        // Fails where no traces are made at all, or when the span was entered before: then there is nothing to join.
        let _ = span.set_parent(context);
    }

    /// The headers that are there, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let named = [(TRACEPARENT, &self.traceparent), (TRACESTATE, &self.tracestate)];
        named
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.as_deref()?)))
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::TracerProvider as _;
    use opentelemetry_sdk::{propagation::TraceContextPropagator, trace::SdkTracerProvider};
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[test]
    fn a_span_continues_the_trace_of_the_headers() {
        global::set_text_map_propagator(TraceContextPropagator::new());
        let tracer = SdkTracerProvider::builder().build().tracer("test");
        let subscriber = tracing_subscriber::registry().with(tracing_opentelemetry::layer().with_tracer(tracer));
        let sent = TraceHeaders {
            traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
            tracestate: Some("vendor=1".into()),
        };
        tracing::subscriber::with_default(subscriber, || {
            let span = tracing::info_span!("continued");
            sent.set_parent_of(&span);
            let onward = span.in_scope(TraceHeaders::current);
            let traceparent = onward.traceparent.unwrap();
            assert!(traceparent.starts_with("00-0af7651916cd43dd8448eb211c80319c-"));
            assert_ne!(Some(traceparent), sent.traceparent);
            assert_eq!(onward.tracestate, sent.tracestate);
        });
    }

    #[test]
    fn without_a_trace_there_are_no_headers() {
        assert_eq!(TraceHeaders::current(), TraceHeaders::default());
        TraceHeaders::new(Some("nonsense".into()), None).set_parent_of(&Span::none());
    }

    #[test]
    fn a_header_of_any_length_is_not_carried() {
        let headers = TraceHeaders::new(Some("x".repeat(MAX_LENGTH + 1)), Some(String::new()));
        assert_eq!(headers, TraceHeaders::default());
    }
}
