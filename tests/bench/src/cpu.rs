//! Processor time by part of the suite, from /proc: what a reply costs, and whom.

use std::{
    collections::{BTreeMap, HashMap},
    fs, process,
    time::Instant,
};

use carepost_suite::process::Service;
use sea_orm::DatabaseConnection;

use crate::database;

/// The threads of this process that make the load, and those that take the emails.
pub const LOAD_THREADS: &str = "load";
/// See [`LOAD_THREADS`].
pub const SINK_THREADS: &str = "mail-server";

/// Linux tells processor time in hundredths of a second.
const TICKS: f64 = 100.0;
/// The sessions of PostgreSQL and what it does by itself, with the folder of its data.
const SESSIONS: &str = "SELECT pid, COALESCE(datname, ''), current_setting('data_directory') FROM pg_stat_activity";
/// What no part of the suite used.
const OTHERS: &str = "everything else on the machine";

/// Seconds of processor time in a span, by part.
pub struct Cpu {
    /// How long the span was, in seconds.
    pub span: f64,
    /// By part. The parts are all of the machine that was not idle.
    pub seconds: BTreeMap<String, f64>,
}

/// Processor time of everything until now.
pub struct Snapshot {
    /// When it was taken.
    pub taken: Instant,
    /// By part and process or thread: what is new since another snapshot counts whole.
    parts: HashMap<(String, u32), f64>,
    machine: f64,
}

impl Snapshot {
    /// Takes one. The databases are those of [`Service::ALL`], in its order.
    pub async fn take(postgres: &DatabaseConnection, databases: [&str; 3]) -> Self {
        let sessions = database::rows(postgres, SESSIONS, |row| {
            let (id, name, folder): (i32, String, String) = (
                database::column(row, 0),
                database::column(row, 1),
                database::column(row, 2),
            );
            (id.unsigned_abs(), name, folder)
        })
        .await;
        let mut parts = HashMap::new();
        let mut note = |part: String, id: u32, stat: Option<String>| {
            if let Some(seconds) = stat.as_deref().and_then(seconds) {
                parts.insert((part, id), seconds);
            }
        };
        for (id, database, _) in &sessions {
            note(part_of_session(database, databases), *id, stat(*id));
        }
        let data = sessions.first().map_or("", |(_, _, folder)| folder.as_str());
        let instance = data.trim_end_matches("/postgres/data");
        for id in ids("/proc") {
            if let Some(part) = part_of_process(id, instance) {
                note(part, id, stat(id));
            }
        }
        for id in ids("/proc/self/task") {
            let stat = fs::read_to_string(format!("/proc/self/task/{id}/stat")).ok();
            let sink = stat.as_deref().is_some_and(|stat| stat.contains(SINK_THREADS));
            note(
                if sink {
                    "mail server of the test"
                } else {
                    "load generator"
                }
                .to_owned(),
                id,
                stat,
            );
        }
        Self {
            taken: Instant::now(),
            parts,
            machine: machine(),
        }
    }

    /// What was used since an earlier one.
    pub fn since(&self, earlier: &Self) -> Cpu {
        let mut seconds = BTreeMap::new();
        for (key, now) in &self.parts {
            let used = now - earlier.parts.get(key).unwrap_or(&0.0);
            *seconds.entry(key.0.clone()).or_default() += used;
        }
        let ours: f64 = seconds.values().sum();
        seconds.insert(OTHERS.to_owned(), (self.machine - earlier.machine - ours).max(0.0));
        Cpu {
            span: (self.taken - earlier.taken).as_secs_f64(),
            seconds,
        }
    }
}

/// The process of a service that this one has started.
pub fn process_of(service: Service) -> Option<u32> {
    let is_it = |id: &u32| part_of_process(*id, "none").is_some_and(|part| part == service.name());
    ids("/proc").into_iter().find(is_it)
}

fn part_of_session(database: &str, databases: [&str; 3]) -> String {
    let service = Service::ALL
        .into_iter()
        .zip(databases)
        .find(|(_, name)| *name == database);
    match service {
        Some((service, _)) => format!("PostgreSQL for {}", service.name()),
        None => "PostgreSQL, its own work".to_owned(),
    }
}

fn part_of_process(id: u32, instance: &str) -> Option<String> {
    let words = fs::read(format!("/proc/{id}/cmdline")).ok()?;
    let words: Vec<_> = words.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
    let program = words.first()?;
    if program.ends_with("beam.smp") && words.iter().any(|word| word.starts_with(instance)) {
        return Some("RabbitMQ".to_owned());
    }
    let own_child = || stat(id).is_some_and(|stat| parent(&stat) == Some(process::id()));
    let service = Service::ALL
        .into_iter()
        .find(|service| words.get(1).is_some_and(|word| word == service.name()))?;
    (program.ends_with("suite-service") && own_child()).then(|| service.name().to_owned())
}

fn ids(folder: &str) -> Vec<u32> {
    let entries = fs::read_dir(folder).expect("Linux has /proc");
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_string_lossy().parse().ok())
        .collect()
}

fn stat(id: u32) -> Option<String> {
    fs::read_to_string(format!("/proc/{id}/stat")).ok()
}

/// A field of a stat file, by its number in proc(5). The name, field 2, may hold anything, brackets and spaces too.
fn field(stat: &str, number: usize) -> Option<&str> {
    let (_, rest) = stat.rsplit_once(") ")?;
    rest.split(' ').nth(number - 3)
}

fn parent(stat: &str) -> Option<u32> {
    field(stat, 4)?.parse().ok()
}

/// In user and kernel mode together.
fn seconds(stat: &str) -> Option<f64> {
    let user: f64 = field(stat, 14)?.parse().ok()?;
    let kernel: f64 = field(stat, 15)?.parse().ok()?;
    Some((user + kernel) / TICKS)
}

/// All that was not idle, waiting or stolen.
fn machine() -> f64 {
    let text = fs::read_to_string("/proc/stat").expect("Linux has /proc/stat");
    let fields = text.lines().next().unwrap_or_default().split_whitespace().skip(1);
    let times: Vec<f64> = fields.filter_map(|field| field.parse().ok()).collect();
    // user, nice, system, idle, iowait, irq, softirq
    let busy = [0, 1, 2, 5, 6]
        .iter()
        .filter_map(|place| times.get(*place))
        .sum::<f64>();
    busy / TICKS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_is_understood_whatever_its_name() {
        let stat = "17 (a) b (c) S 4 17 17 0 -1 4194560 1 0 0 0 250 50 0 0 20 0 1 0 100 1 1";
        assert_eq!(parent(stat), Some(4));
        assert_eq!(seconds(stat), Some(3.0));
        assert_eq!(seconds("17 (a)"), None);
    }

    #[test]
    fn what_is_new_counts_whole_and_the_rest_is_of_others() {
        let snapshot = |parts: &[(&str, u32, f64)], machine| Snapshot {
            taken: Instant::now(),
            parts: parts
                .iter()
                .map(|(part, id, used)| (((*part).to_owned(), *id), *used))
                .collect(),
            machine,
        };
        let before = snapshot(&[("a", 1, 5.0)], 100.0);
        let cpu = snapshot(&[("a", 1, 6.0), ("a", 2, 2.0), ("b", 3, 1.0)], 110.0).since(&before);
        assert_eq!(
            (cpu.seconds["a"], cpu.seconds["b"], cpu.seconds[OTHERS]),
            (3.0, 1.0, 6.0)
        );
    }
}
