//! What is known of a connection while it lasts, and how long it may.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

/// What begins HTTP/2: its preface, and the frame of settings that must follow.
const PREFACE: u64 = 24 + 9;

/// What is known of a connection. Times are milliseconds since it was accepted.
#[derive(Debug)]
pub(crate) struct Traffic {
    accepted: Instant,
    heard: AtomicU64,
    /// Since when it takes nothing more, plus one. 0: it does.
    blocked: AtomicU64,
    calls: AtomicUsize,
    quiet: AtomicU64,
    /// Whether a caller on it was known.
    known: AtomicBool,
}

/// How long a connection may last, and why it may end before.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// How long its client may take for each thing that it has to do.
    pub patience: Duration,
    /// How long it may have no call.
    pub idle: Duration,
    /// When its client is asked to leave.
    pub age: Duration,
    /// How long that may take: calls under way and streams go on meanwhile.
    pub grace: Duration,
}

/// What is to be done with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing.
    Stay,
    /// Ask its client to leave.
    Leave,
    /// Close it, for this reason.
    Cut(&'static str),
}

impl Traffic {
    pub(crate) fn new() -> Self {
        Self {
            accepted: Instant::now(),
            heard: AtomicU64::new(0),
            blocked: AtomicU64::new(0),
            calls: AtomicUsize::new(0),
            quiet: AtomicU64::new(0),
            known: AtomicBool::new(false),
        }
    }

    /// The client has sent this many bytes.
    pub(crate) fn heard(&self, bytes: usize) {
        self.heard.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// The client takes nothing more for now.
    pub(crate) fn blocked(&self) {
        let since = self.milliseconds() + 1;
        let _ = self
            .blocked
            .compare_exchange(0, since, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// The client has taken everything.
    pub(crate) fn taken(&self) {
        self.blocked.store(0, Ordering::Relaxed);
    }

    /// Whether the client has begun HTTP/2.
    pub(super) fn has_begun(&self) -> bool {
        self.heard.load(Ordering::Relaxed) >= PREFACE
    }

    /// A call begins. It lasts until the answer has been handed over, or dropped.
    pub(super) fn call(self: &Arc<Self>) -> Call {
        self.calls.fetch_add(1, Ordering::Relaxed);
        Call(Arc::clone(self))
    }

    /// What is to be done, for one that was asked to leave so long ago. Crowded: others wait for its place.
    pub(super) fn judge(&self, bounds: &Bounds, leaving: Option<Duration>, crowded: bool) -> Verdict {
        let age = self.accepted.elapsed();
        let blocked = self.blocked.load(Ordering::Relaxed);
        if blocked != 0 && self.since(blocked - 1) > bounds.patience {
            return Verdict::Cut("its client does not read");
        }
        if !self.has_begun() && age > bounds.patience {
            return Verdict::Cut("its client did not begin HTTP/2");
        }
        if crowded && age > bounds.patience && !self.known.load(Ordering::Relaxed) {
            return Verdict::Cut("nobody is known on it, and places are few");
        }
        if let Some(leaving) = leaving {
            // All its calls have been answered, and the last piece of some answer is still not taken.
            let is_left = self.has_been_quiet(bounds.patience) && leaving > bounds.patience;
            return if leaving > bounds.grace || is_left {
                Verdict::Cut("its client did not leave")
            } else {
                Verdict::Stay
            };
        }
        let idle = if crowded {
            bounds.idle.min(bounds.patience)
        } else {
            bounds.idle
        };
        if age > bounds.age || self.has_been_quiet(idle) {
            return Verdict::Leave;
        }
        Verdict::Stay
    }

    fn has_been_quiet(&self, span: Duration) -> bool {
        self.calls.load(Ordering::Relaxed) == 0 && self.since(self.quiet.load(Ordering::Relaxed)) > span
    }

    fn milliseconds(&self) -> u64 {
        u64::try_from(self.accepted.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn since(&self, milliseconds: u64) -> Duration {
        Duration::from_millis(self.milliseconds().saturating_sub(milliseconds))
    }
}

/// Who is at the other end of a call's connection.
#[derive(Clone, Debug)]
pub struct Guest(Arc<Traffic>);

impl Guest {
    pub(super) fn of(traffic: &Arc<Traffic>) -> Self {
        Self(Arc::clone(traffic))
    }

    /// Notes that a caller on the connection was known: it keeps its place where places are few.
    pub fn note_known(&self) {
        self.0.known.store(true, Ordering::Relaxed);
    }
}

/// A call of a connection.
#[derive(Debug)]
pub(super) struct Call(Arc<Traffic>);

impl Drop for Call {
    fn drop(&mut self) {
        self.0.quiet.store(self.0.milliseconds(), Ordering::Relaxed);
        self.0.calls.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const BOUNDS: Bounds = Bounds {
        patience: Duration::from_secs(10),
        idle: Duration::from_secs(60),
        age: Duration::from_secs(100),
        grace: Duration::from_secs(50),
    };

    async fn after(seconds: u32) {
        tokio::time::advance(SECOND * seconds + Duration::from_millis(1)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_begin_in_time_is_cut_off() {
        let traffic = Traffic::new();
        traffic.heard(32);
        assert_eq!(traffic.judge(&BOUNDS, None, false), Verdict::Stay);
        after(10).await;
        assert!(matches!(traffic.judge(&BOUNDS, None, false), Verdict::Cut(_)));
        traffic.heard(1);
        assert_eq!(traffic.judge(&BOUNDS, None, false), Verdict::Stay);
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_is_cut_off_and_who_takes_everything_in_time_is_not() {
        let traffic = Traffic::new();
        traffic.heard(100);
        traffic.blocked();
        after(6).await;
        traffic.taken();
        traffic.blocked();
        after(6).await;
        traffic.blocked();
        assert_eq!(traffic.judge(&BOUNDS, None, false), Verdict::Stay);
        after(5).await;
        assert!(matches!(traffic.judge(&BOUNDS, None, false), Verdict::Cut(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn where_places_are_few_they_are_for_those_who_are_known() {
        let traffic = Arc::new(Traffic::new());
        traffic.heard(100);
        let call = traffic.call();
        after(9).await;
        assert_eq!(traffic.judge(&BOUNDS, None, true), Verdict::Stay);
        after(1).await;
        assert_eq!(traffic.judge(&BOUNDS, None, false), Verdict::Stay);
        assert!(matches!(traffic.judge(&BOUNDS, None, true), Verdict::Cut(_)));
        Guest::of(&traffic).note_known();
        assert_eq!(traffic.judge(&BOUNDS, None, true), Verdict::Stay);
        drop(call);
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_no_call_is_asked_to_leave_and_earlier_where_places_are_few() {
        let traffic = Arc::new(Traffic::new());
        traffic.heard(100);
        Guest::of(&traffic).note_known();
        let call = traffic.call();
        after(70).await;
        assert_eq!(traffic.judge(&BOUNDS, None, true), Verdict::Stay);
        drop(call);
        assert_eq!(traffic.judge(&BOUNDS, None, true), Verdict::Stay);
        after(10).await;
        assert_eq!(traffic.judge(&BOUNDS, None, false), Verdict::Stay);
        assert_eq!(traffic.judge(&BOUNDS, None, true), Verdict::Leave);
        after(10).await;
        let call = traffic.call();
        after(9).await;
        assert_eq!(traffic.judge(&BOUNDS, None, false), Verdict::Stay);
        after(1).await;
        assert_eq!(traffic.judge(&BOUNDS, None, false), Verdict::Leave, "it is old");
        drop(call);
    }

    #[tokio::test(start_paused = true)]
    async fn who_was_asked_to_leave_has_a_while_for_it() {
        let traffic = Arc::new(Traffic::new());
        traffic.heard(100);
        let call = traffic.call();
        after(200).await;
        assert_eq!(traffic.judge(&BOUNDS, Some(50 * SECOND), false), Verdict::Stay);
        let late = traffic.judge(&BOUNDS, Some(51 * SECOND), false);
        assert!(matches!(late, Verdict::Cut(_)));
        drop(call);
        assert_eq!(traffic.judge(&BOUNDS, Some(11 * SECOND), false), Verdict::Stay);
        after(10).await;
        assert_eq!(traffic.judge(&BOUNDS, Some(10 * SECOND), false), Verdict::Stay);
        let without_calls = traffic.judge(&BOUNDS, Some(11 * SECOND), false);
        assert!(matches!(without_calls, Verdict::Cut(_)), "nothing is left to do for it");
    }
}
