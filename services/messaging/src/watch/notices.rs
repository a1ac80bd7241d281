//! What a watch tells, as its reader takes it.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::sync::{mpsc, oneshot};
use tokio_stream::Stream;

use super::places::Place;
use crate::{
    domain::{Conversation, Mailbox},
    store::StoreError,
};

/// One thing that is told.
#[derive(Debug)]
pub struct Notice {
    /// Where the watch stands with it.
    pub position: i64,
    /// The mailbox, as new as the position or newer.
    pub mailbox: Mailbox,
    /// What happened.
    pub event: Event,
}

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// The watch has begun.
    Opened,
    /// A conversation changed.
    Changed(Box<Conversation>),
    /// Whether the person can reply may have changed.
    AbilitiesMayHaveChanged,
    /// Nothing: the watch is alive.
    Heartbeat,
}

/// Why a watch ended.
#[derive(Debug, thiserror::Error)]
pub enum End {
    /// The process stops.
    #[error("the process stops")]
    Stopping,
    /// The token of the person has expired.
    #[error("the token has expired")]
    TokenExpired,
    /// The deadline that the caller gave has passed.
    #[error("the deadline has passed")]
    Deadline,
    /// The reader did not take what it was told in time.
    #[error("the reader is too slow")]
    SlowReader,
    /// Too many watches wait to read.
    #[error("too many watches read")]
    Overloaded,
    /// The database did not answer for too long, or not at all.
    #[error("the database does not answer in time")]
    Silence,
    /// The mailbox has a smaller revision than was told: the database was put back to an older state.
    #[error("the database was put back to an older state")]
    PutBack,
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A fault of ours: the watch broke off.
    #[error("a watch broke off")]
    Broken,
    /// The reader is gone. Nobody is told.
    #[error("the reader is gone")]
    Gone,
}

/// What a watch tells, and why it ended, which comes last. It holds one notice at most, and the watch's place: also one that is
/// not read on costs its place until its connection is gone.
#[derive(Debug)]
pub struct Notices {
    pub(super) notices: mpsc::Receiver<Notice>,
    pub(super) end: Option<oneshot::Receiver<End>>,
    pub(super) _place: Place,
}

impl Stream for Notices {
    type Item = Result<Notice, End>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(notice) = ready!(self.notices.poll_recv(context)) {
            return Poll::Ready(Some(Ok(notice)));
        }
        let Some(end) = &mut self.end else {
            return Poll::Ready(None);
        };
        let end = ready!(Pin::new(end).poll(context)).unwrap_or(End::Broken);
        self.end = None;
        Poll::Ready(Some(Err(end)))
    }
}
