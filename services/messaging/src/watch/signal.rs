//! What wakes a watch. It holds that there is something to do, never what or how often: it cannot grow.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use tokio::sync::Notify;

/// The signal of one watch.
#[derive(Debug, Default)]
pub(super) struct Signal {
    woken: Notify,
    moved: AtomicBool,
    abilities: AtomicBool,
    abilities_soon: AtomicBool,
    position: AtomicI64,
}

/// Why a watch was woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Woken {
    /// The mailbox may have changed.
    pub moved: bool,
    /// Reply abilities may have changed, and it was the person's own record.
    pub abilities: bool,
    /// Reply abilities of anybody may have changed.
    pub abilities_soon: bool,
}

impl Signal {
    /// The mailbox may have changed.
    pub fn moved(&self) {
        self.moved.store(true, Ordering::SeqCst);
        self.woken.notify_one();
    }

    /// The mailbox has this revision, or had it a moment ago: it is news only if it is a greater one.
    pub fn at(&self, revision: i64) {
        if revision > self.position.load(Ordering::SeqCst) {
            self.moved();
        }
    }

    /// The mailbox was compared, and has this revision. A smaller one is of a database that was put back to an older state, or
    /// of a watch that has moved on meanwhile: it looks which.
    pub fn compared(&self, revision: i64) {
        if revision != self.position.load(Ordering::SeqCst) {
            self.moved();
        }
    }

    /// Reply abilities may have changed: the person's own record did.
    pub fn abilities(&self) {
        self.abilities.store(true, Ordering::SeqCst);
        self.woken.notify_one();
    }

    /// Reply abilities of anybody may have changed: to be told in a while, not by all watches at once.
    pub fn abilities_soon(&self) {
        self.abilities_soon.store(true, Ordering::SeqCst);
        self.woken.notify_one();
    }

    /// The watch stands here.
    pub fn stands(&self, position: i64) {
        self.position.store(position, Ordering::SeqCst);
    }

    /// Waits until it is woken. What wakes it while it is at work is not lost: the next wait ends at once.
    pub async fn woken(&self) -> Woken {
        self.woken.notified().await;
        Woken {
            moved: self.moved.swap(false, Ordering::SeqCst),
            abilities: self.abilities.swap(false, Ordering::SeqCst),
            abilities_soon: self.abilities_soon.swap(false, Ordering::SeqCst),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn wakes_while_nobody_waits_become_one() {
        let signal = Signal::default();
        signal.stands(5);
        signal.at(5);
        assert_eq!(signal.woken().now_or_never(), None);
        signal.at(6);
        signal.moved();
        signal.abilities();
        signal.abilities_soon();
        let both = Woken {
            moved: true,
            abilities: true,
            abilities_soon: true,
        };
        assert_eq!(signal.woken().now_or_never(), Some(both));
        assert_eq!(signal.woken().now_or_never(), None);
    }

    #[tokio::test]
    async fn a_smaller_revision_wakes_only_if_it_was_compared() {
        let signal = Signal::default();
        signal.stands(5);
        signal.at(4);
        signal.compared(5);
        assert_eq!(signal.woken().now_or_never(), None);
        signal.compared(4);
        assert!(signal.woken().now_or_never().unwrap().moved);
    }
}
