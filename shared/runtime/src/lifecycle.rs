//! Start to end of a process: signals, tracked tasks, and a shutdown in two stages.
//!
//! Stage one begins with SIGTERM or Ctrl-C, or when a task ends that should not have: no new work is accepted, what is under
//! way is finished. Stage two begins when the grace period is over: what is left is dropped.

use std::{future::Future, sync::Arc, sync::OnceLock, time::Duration};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::health::Readiness;

/// Why a process ended otherwise than it should.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// A task that should run for ever ended or panicked.
    #[error("the task `{0}` ended unexpectedly")]
    TaskEnded(&'static str),
    /// Some work was not finished in the grace period, and was dropped.
    #[error("the grace period ended before all work was finished")]
    Unfinished,
    /// The process cannot listen to signals.
    #[error("signals cannot be received")]
    Signals,
}

/// The life of a process. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Lifecycle {
    stopping: CancellationToken,
    dropping: CancellationToken,
    over: CancellationToken,
    tasks: TaskTracker,
    failed: Arc<OnceLock<Failure>>,
    readiness: Readiness,
}

impl Lifecycle {
    /// Cancelled when stage one begins: accept nothing new, finish what is under way.
    #[must_use]
    pub fn stopping(&self) -> CancellationToken {
        self.stopping.clone()
    }

    /// What is known of whether the process can serve.
    pub(crate) fn readiness(&self) -> &Readiness {
        &self.readiness
    }

    /// Whether the process should be sent calls: it has started, each database in it answers, and it is not about to stop.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.readiness.is_ready() && !self.stopping.is_cancelled()
    }

    /// Begins stage one, as a signal would.
    pub fn stop(&self) {
        self.stopping.cancel();
    }

    /// Runs a task that should end only after stage one has begun. If it ends before, or panics at any time, the process is
    /// stopped and fails.
    pub fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let life = self.clone();
        let dropping = self.dropping.clone();
        self.tasks.spawn(async move {
            // A task of its own: a panic ends it alone, and is seen here.
            let mut running = tokio::spawn(task);
            let ended = tokio::select! {
                ended = &mut running => ended,
                () = dropping.cancelled() => {
                    running.abort();
                    return;
                }
            };
            if ended.is_err() || !life.stopping.is_cancelled() {
                life.fail(name, ended.is_err());
            }
        });
    }

    /// Runs a task beside all others until they have ended: whoever watches the process sees it stop. If it ends before, the
    /// process is stopped and fails.
    pub fn spawn_beside(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let life = self.clone();
        tokio::spawn(async move {
            let mut running = tokio::spawn(task);
            tokio::select! {
                ended = &mut running => life.fail(name, ended.is_err()),
                () = life.over.cancelled() => running.abort(),
            }
        });
    }

    fn fail(&self, name: &'static str, panicked: bool) {
        tracing::error!(task = name, panicked, "a background task ended unexpectedly");
        let _ = self.failed.set(Failure::TaskEnded(name));
        self.stop();
    }

    /// From now on, SIGTERM or Ctrl-C begins stage one. Called before anything is started: a signal that comes meanwhile
    /// would otherwise kill the process, or be lost where it is the first of its container.
    ///
    /// # Errors
    /// If signals cannot be received.
    pub fn heed_signals(&self) -> Result<(), Failure> {
        let mut terminate = signal(SignalKind::terminate()).map_err(|_| Failure::Signals)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(|_| Failure::Signals)?;
        let stopping = self.stopping.clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
                () = stopping.cancelled() => {}
            }
            stopping.cancel();
        });
        Ok(())
    }

    /// Waits for stage one, then for the tasks to finish, no longer than `grace`.
    ///
    /// # Errors
    /// If a task ended unexpectedly, or the grace period was not enough.
    pub async fn run(self, grace: Duration) -> Result<(), Failure> {
        self.stopping.cancelled().await;
        self.finish(grace).await
    }

    /// The end of [`Lifecycle::run`], for who does not wait.
    ///
    /// # Errors
    /// As for [`Lifecycle::run`].
    pub async fn finish(self, grace: Duration) -> Result<(), Failure> {
        tracing::info!("stopping");
        self.stop();
        self.tasks.close();
        if tokio::time::timeout(grace, self.tasks.wait()).await.is_err() {
            let _ = self.failed.set(Failure::Unfinished);
            self.dropping.cancel();
            self.tasks.wait().await;
        }
        self.over.cancel();
        self.failed.get().map_or(Ok(()), |failure| Err(failure.clone()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot::error::TryRecvError;

    use super::*;

    const GRACE: Duration = Duration::from_secs(5);

    #[tokio::test]
    async fn tasks_finish_their_work_in_stage_one() {
        let life = Lifecycle::default();
        let stopping = life.stopping();
        life.spawn("worker", async move { stopping.cancelled().await });
        life.stop();
        assert_eq!(life.run(GRACE).await, Ok(()));
    }

    #[tokio::test]
    async fn a_dead_task_fails_the_process() {
        let life = Lifecycle::default();
        life.spawn("short", async {});
        assert_eq!(life.run(GRACE).await, Err(Failure::TaskEnded("short")));

        let life = Lifecycle::default();
        life.spawn("broken", async { panic!("on purpose") });
        assert_eq!(life.run(GRACE).await, Err(Failure::TaskEnded("broken")));
    }

    #[tokio::test]
    async fn what_is_beside_them_lasts_as_long_as_they_do() {
        let life = Lifecycle::default();
        let (last, ends) = tokio::sync::oneshot::channel::<()>();
        let (held, mut ended) = tokio::sync::oneshot::channel::<()>();
        life.spawn("worker", async { drop(ends.await) });
        life.spawn_beside("beside", async {
            let _held = held;
            std::future::pending().await
        });
        life.stop();
        let running = tokio::spawn(life.run(GRACE));
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(ended.try_recv(), Err(TryRecvError::Empty), "there is still work");
        drop(last);
        assert_eq!(running.await.unwrap(), Ok(()));
        assert!(ended.await.is_err());

        let life = Lifecycle::default();
        life.spawn_beside("short", async {});
        assert_eq!(life.run(GRACE).await, Err(Failure::TaskEnded("short")));
    }

    #[tokio::test(start_paused = true)]
    async fn what_outlasts_the_grace_period_is_dropped() {
        let life = Lifecycle::default();
        life.spawn("stubborn", std::future::pending());
        life.stop();
        assert_eq!(life.run(GRACE).await, Err(Failure::Unfinished));
    }
}
