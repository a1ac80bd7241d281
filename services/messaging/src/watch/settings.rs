//! The settings of watches.

use std::time::Duration;

use carepost_runtime::settings::Reader;

/// What bounds watches.
#[derive(Clone, Copy, Debug)]
pub struct WatchSettings {
    /// The most watches that this process holds at once.
    pub most: usize,
    /// The most watches of one person that this process holds at once.
    pub most_of_person: usize,
    /// How often a watch to which nothing happens says so, and how often the revisions of all watched mailboxes are compared.
    pub heartbeat: Duration,
    /// How long a watch waits for its reader.
    pub reader_patience: Duration,
    /// The most changes that a watch reads at once, and so the most that it holds.
    pub page: u64,
    /// The most watches that read at the same time.
    pub concurrent_reads: usize,
    /// How long it may take to tell that reply abilities of anybody may have changed, after the first change and again after it.
    pub abilities_spread: Duration,
}

impl WatchSettings {
    /// Reads the section `watch`.
    pub fn read(reader: &mut Reader) -> Self {
        Self {
            most: reader.count("watch.max_watches", 1..=100_000),
            most_of_person: reader.count("watch.max_watches_of_person", 1..=1_000),
            heartbeat: reader.milliseconds("watch.heartbeat_ms", 100..=60_000),
            reader_patience: reader.milliseconds("watch.reader_patience_ms", 100..=60_000),
            page: reader.count("watch.page", 1..=100),
            concurrent_reads: reader.count("watch.concurrent_reads", 1..=1_000),
            abilities_spread: reader.milliseconds("watch.abilities_spread_ms", 10..=600_000),
        }
    }
}
