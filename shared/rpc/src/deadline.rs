//! Until when a call has to be answered, passed on to whom it calls in turn.

use std::time::Duration;

use http::HeaderMap;
use tokio::time::Instant;
use tonic::Request;

/// The moment at which the caller stops waiting.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Instant);

impl Deadline {
    /// A deadline this far from now.
    #[must_use]
    pub fn after(span: Duration) -> Self {
        Self(Instant::now() + span)
    }

    /// A deadline at this moment.
    #[must_use]
    pub fn at(moment: Instant) -> Self {
        Self(moment)
    }

    /// The deadline of a request that came through the guard, or else one this far from now.
    #[must_use]
    pub fn of<T>(request: &Request<T>, otherwise: Duration) -> Self {
        request
            .extensions()
            .get::<Self>()
            .copied()
            .unwrap_or_else(|| Self::after(otherwise))
    }

    /// The deadline that the caller asked for, if any: what bounds a stream of answers, which may last longer than a call.
    #[must_use]
    pub fn asked<T>(request: &Request<T>) -> Option<Self> {
        grpc_timeout(request.metadata().as_ref()).map(Self::after)
    }

    /// How long there still is.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }
}

/// The time span of the header `grpc-timeout`: up to 8 digits and a unit. One that is malformed is none.
#[must_use]
pub fn grpc_timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(number * 3_600)),
        "M" => Some(Duration::from_secs(number * 60)),
        "S" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_millis(number)),
        "u" => Some(Duration::from_micros(number)),
        "n" => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_read_as_grpc_writes_it() {
        for (text, span) in [
            ("5S", Some(Duration::from_secs(5))),
            ("250m", Some(Duration::from_millis(250))),
            ("99999999H", Some(Duration::from_secs(99_999_999 * 3_600))),
            ("123456789m", None),
            ("+5S", None),
            ("S", None),
            ("", None),
        ] {
            let headers =
                HeaderMap::from_iter([(http::HeaderName::from_static("grpc-timeout"), text.parse().unwrap())]);
            assert_eq!(grpc_timeout(&headers), span, "{text}");
        }
    }
}
