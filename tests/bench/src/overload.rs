//! Three times as many replies as the suite can bear, for a minute: how many are served in time, what it costs in memory, and
//! how soon it is over.

use std::{fmt::Write as _, time::Duration};

use carepost_suite::process::Service;
use tokio::{
    runtime::Runtime,
    time::{Instant, interval},
};

use crate::{
    machine::Machine,
    memory::resident,
    open_loop::{Offered, open_loop},
    progress,
    whole_path::WholePath,
};

/// How many replies are in flight while the peak is looked for, one after the other.
const IN_FLIGHT: [usize; 3] = [32, 64, 128];
/// For how long, each.
const PEAK: Duration = Duration::from_secs(10);
/// How many times the peak is offered.
const TIMES: f64 = 3.0;
/// The deadline of each call.
const DEADLINE: Duration = Duration::from_secs(2);
/// What is offered afterwards, as a share of the peak, and for how long.
const AFTERWARDS: (f64, Duration) = (0.5, Duration::from_secs(20));

/// What is asked for.
const LEAST_SHARE: f64 = 0.75;
const LONGEST_RECOVERY: Duration = Duration::from_secs(5);
/// Memory is bounded if the last third of the load needs no more than this much more than the second.
const MOST_GROWTH: f64 = 1.10;

/// The memory of each service, in bytes, each second.
type Memory = Vec<[u64; 3]>;

/// What was measured.
pub struct Overload {
    machine: Machine,
    peaks: Vec<(usize, f64)>,
    span: Duration,
    load: Offered,
    memory: Memory,
    afterwards: Offered,
    memory_afterwards: Memory,
}

/// Measures. `load` makes the load.
pub fn measure(path: &WholePath, machine: Machine, load: &Runtime, span: Duration) -> Overload {
    let peaks: Vec<_> = IN_FLIGHT
        .map(|in_flight| {
            if !load.block_on(path.settled()) {
                progress("emails are left: what follows has that work beside it");
            }
            path.suite().smtp.forget_mails();
            progress(&format!("the peak, {in_flight} in flight"));
            (in_flight, load.block_on(path.load(in_flight, PEAK)).per_second)
        })
        .into();
    let peak = most(&peaks);
    if !load.block_on(path.settled()) {
        progress("emails are left: what follows has that work beside it");
    }
    progress(&format!(
        "{:.0} replies a second for {} s",
        TIMES * peak,
        span.as_secs()
    ));
    let ((offered, memory), (afterwards, memory_afterwards)) = load.block_on(async {
        let during = watched(
            path,
            span,
            open_loop(TIMES * peak, span, DEADLINE, path.caller(Some(DEADLINE))),
        )
        .await;
        let (share, span) = AFTERWARDS;
        let after = open_loop(share * peak, span, DEADLINE, path.caller(Some(DEADLINE)));
        (during, watched(path, span, after).await)
    });
    Overload {
        machine,
        peaks,
        span,
        load: offered,
        memory,
        afterwards,
        memory_afterwards,
    }
}

fn most(peaks: &[(usize, f64)]) -> f64 {
    peaks.iter().map(|(_, rate)| *rate).fold(1.0, f64::max)
}

/// Looks at memory each second while something goes on.
async fn watched<T>(path: &WholePath, span: Duration, work: impl Future<Output = T>) -> (T, Memory) {
    let looking = async {
        let (end, mut seen) = (Instant::now() + span, Vec::new());
        let mut seconds = interval(Duration::from_secs(1));
        while Instant::now() < end {
            seconds.tick().await;
            // It keeps no more than 20,000, and refuses the next one.
            path.suite().smtp.forget_mails();
            seen.push(Service::ALL.map(|service| resident(path.suite(), service)));
        }
        seen
    };
    tokio::join!(work, looking)
}

impl Overload {
    fn served_per_second(&self) -> f64 {
        self.load.latency.len() as f64 / self.span.as_secs_f64()
    }

    fn share(&self) -> f64 {
        self.served_per_second() / most(&self.peaks)
    }

    fn recovery(&self) -> Duration {
        self.afterwards.last_failure.unwrap_or_default()
    }

    /// How much more memory the last third of the load needs than the second, of the service where that is most.
    fn growth(&self) -> f64 {
        let third = (self.memory.len() / 3).max(1);
        let highest = |seconds: &[[u64; 3]], service: usize| {
            let most = seconds.iter().map(|all| all[service]).max();
            most.unwrap_or(1) as f64
        };
        let thirds: Vec<_> = self.memory.chunks(third).collect();
        let growth = |service| match thirds.as_slice() {
            [_, second, last, ..] => highest(last, service) / highest(second, service),
            _ => 1.0,
        };
        (0..Service::ALL.len()).map(growth).fold(0.0, f64::max)
    }

    /// Whether it is as asked for.
    pub fn is_good(&self) -> bool {
        self.share() >= LEAST_SHARE && self.recovery() <= LONGEST_RECOVERY && self.growth() <= MOST_GROWTH
    }

    /// All of it in Markdown.
    pub fn markdown(&self) -> String {
        let machine = &self.machine;
        let mut text = format!(
            "{} cores ({}), Linux {}, PostgreSQL {}, commit {}, load before {}{}\n\n",
            machine.cores,
            machine.processor,
            machine.kernel,
            machine.postgres,
            machine.commit,
            machine.load_before,
            if machine.optimised {
                ""
            } else {
                "; A DEBUG BUILD: THE FIGURES MEAN NOTHING"
            },
        );
        for (in_flight, rate) in &self.peaks {
            writeln!(text, "- {in_flight} in flight: {rate:.0} replies a second").expect("memory");
        }
        let [p50, p99] = [0.5, 0.99].map(|share| self.load.latency.value_at_quantile(share) as f64 / 1_000.0);
        let [r50, r99] = [0.5, 0.99].map(|share| self.load.refusal.value_at_quantile(share) as f64 / 1_000.0);
        let least = self.load.served.iter().min().copied().unwrap_or_default();
        write!(
            text,
            "\n{:.0} a second offered for {} s, each with a deadline of {} s:\n\n\
             - served in time: {:.0} a second, {:.0} % of the peak (asked: {:.0}); in the worst second {least}; p50 {p50:.0} ms, p99 {p99:.0} ms\n\
             - not served: {:?}; p50 {r50:.0} ms, p99 {r99:.0} ms\n\
             - the last third of the load needed {:.2} times the memory of the second (asked: {MOST_GROWTH})\n\
             - at half the peak afterwards, the last call that was not served in time was due after {:.2} s (asked: {}); {} of {} failed: {:?}\n",
            self.load.offered as f64 / self.span.as_secs_f64(),
            self.span.as_secs(),
            DEADLINE.as_secs(),
            self.served_per_second(),
            self.share() * 100.0,
            LEAST_SHARE * 100.0,
            self.load.failed,
            self.growth(),
            self.recovery().as_secs_f64(),
            LONGEST_RECOVERY.as_secs(),
            self.afterwards.failed.values().sum::<u64>(),
            self.afterwards.offered,
            self.afterwards.failed,
        )
        .expect("memory");
        text + &self.memory_table()
    }

    fn memory_table(&self) -> String {
        let names = Service::ALL.map(|service| service.name());
        let mut text = format!("\n| memory, MiB, after | {} |\n|---|--:|--:|--:|\n", names.join(" | "));
        let mut line = |when: String, all: &[u64; 3]| {
            let all = all.map(|bytes| format!("{:.1}", bytes as f64 / f64::from(1 << 20)));
            writeln!(text, "| {when} | {} |", all.join(" | ")).expect("memory");
        };
        let step = (self.memory.len() / 6).max(1);
        for (second, all) in self.memory.iter().enumerate().step_by(step) {
            line(format!("{second} s of load"), all);
        }
        if let Some(all) = self.memory.last() {
            line("the load".to_owned(), all);
        }
        if let Some(all) = self.memory_afterwards.last() {
            line("half the peak".to_owned(), all);
        }
        text
    }
}
