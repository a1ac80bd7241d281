//! The places at the door: how many calls are under way, and how many wait for that.
//!
//! A burst that is over in a moment waits for that moment. An overload is not: waiting calls grow old, and a server that has only
//! old ones answers nobody in time. So few wait, and not for long; the others are told at once when to come back.

use std::{sync::Arc, time::Duration};

use carepost_runtime::server::ServerSettings;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

/// The places of a server.
pub(crate) struct Places {
    places: Arc<Semaphore>,
    waiting: Semaphore,
    patience: Duration,
}

/// There is no place.
#[derive(Debug)]
pub(crate) struct Full;

impl Places {
    pub(crate) fn new(settings: &ServerSettings) -> Self {
        Self::of(
            settings.max_concurrent_calls,
            settings.max_waiting_calls,
            settings.max_wait,
        )
    }

    fn of(most: usize, waiting: usize, patience: Duration) -> Self {
        Self {
            places: Arc::new(Semaphore::new(most)),
            waiting: Semaphore::new(waiting),
            patience,
        }
    }

    /// A place, perhaps after a while. Who has waited longest is next.
    pub(crate) async fn take(&self) -> Result<OwnedSemaphorePermit, Full> {
        // None is free as long as somebody waits: it is handed to them.
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            return Ok(place);
        }
        let _waiting = self.waiting.try_acquire().map_err(|_| Full)?;
        match timeout(self.patience, Arc::clone(&self.places).acquire_owned()).await {
            Ok(Ok(place)) => Ok(place),
            _ => Err(Full),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    const PATIENCE: Duration = Duration::from_millis(500);

    #[tokio::test(start_paused = true)]
    async fn a_few_wait_in_turn_and_the_others_are_refused_at_once() {
        let places = Places::of(1, 2, PATIENCE);
        let under_way = places.take().await.unwrap();
        let (mut first, mut second) = (Box::pin(places.take()), Box::pin(places.take()));
        assert!(first.as_mut().now_or_never().is_none());
        assert!(second.as_mut().now_or_never().is_none());
        assert!(places.take().now_or_never().unwrap().is_err());

        drop(under_way);
        assert!(second.as_mut().now_or_never().is_none(), "the first is next");
        let under_way = first.await.unwrap();
        let mut third = Box::pin(places.take());
        assert!(third.as_mut().now_or_never().is_none(), "there is room to wait again");
        drop(under_way);
        drop(second.await.unwrap());
        drop(third.await.unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_long_and_who_gave_up_leaves_no_trace() {
        let places = Places::of(1, 1, PATIENCE);
        let under_way = places.take().await.unwrap();
        let begun = tokio::time::Instant::now();
        assert!(places.take().await.is_err());
        assert_eq!(begun.elapsed(), PATIENCE);
        drop(Box::pin(places.take()).as_mut().now_or_never());
        drop(under_way);
        assert!(places.take().now_or_never().unwrap().is_ok());
    }
}
