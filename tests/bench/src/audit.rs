//! What the audit trail costs a send, with its records and without them, in turns on one database: a reply through the whole
//! path, and its statements alone by pgbench, while a sealer works on the database as beside a service.

use std::{fmt::Write as _, time::Duration};

use carepost_audit::Sealer;
use carepost_runtime::{Clock, metrics::labels::Component};
use carepost_testkit::Servers;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use crate::{
    load::{IN_FLIGHT, Measured},
    progress,
    raw_send::{Bench, Script},
    whole_path::WholePath,
};

/// How often each is measured. What else happens on the machine hits both alike.
const TURNS: usize = 4;
/// What is asked for: sends with the audit take no more than so many times as long.
const MOST: f64 = 1.15;

/// What was measured.
pub struct Costs {
    sends: Vec<Compared>,
    statements: Vec<Compared>,
}

impl Costs {
    /// Whether sends are fast enough. Of their statements alone nothing is asked.
    pub fn are_good(&self) -> bool {
        self.sends.iter().all(|compared| compared.ratio() <= MOST)
    }

    /// As Markdown.
    pub fn markdown(&self) -> String {
        format!(
            "A reply through the whole path (asked: {MOST} times at most):\n\n{}\nIts statements alone:\n\n{}",
            markdown(&self.sends),
            markdown(&self.statements)
        )
    }
}

/// One number of clients: a rate of each turn.
struct Compared {
    clients: usize,
    with: Vec<f64>,
    without: Vec<f64>,
}

impl Compared {
    /// How many times as long a send takes with the audit: the middle of the turns.
    fn ratio(&self) -> f64 {
        middle(&self.without) / middle(&self.with)
    }
}

/// The middle of some numbers.
fn middle(numbers: &[f64]) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let half = sorted.len() / 2;
    match sorted.len() % 2 {
        0 => (sorted[half - 1] + sorted[half]) / 2.0,
        _ => sorted[half],
    }
}

/// Measures both. Emails go to a mail server on the second runtime.
pub fn measure(servers: Servers, load: &Runtime, sink: &Runtime, span: Duration) -> Costs {
    let statements = load.block_on(measure_statements(&servers, span));
    let path = sink.block_on(WholePath::start(servers));
    let sends = load.block_on(measure_sends(&path, span));
    sink.block_on(path.end());
    Costs { sends, statements }
}

async fn measure_sends(path: &WholePath, span: Duration) -> Vec<Compared> {
    in_turns(async |with, clients, _| {
        path.settled().await;
        path.record(with).await;
        let before = path.records().await;
        let measured = path.load(clients, span).await;
        assert_eq!(path.records().await > before, with, "the trigger does what it is for");
        path.record(true).await;
        measured.per_second
    })
    .await
}

async fn measure_statements(servers: &Servers, span: Duration) -> Vec<Compared> {
    let bench = Bench::new(servers).await;
    let stop = CancellationToken::new();
    let sealer = Sealer::new(bench.connect().await, Clock::system(), Component::Messaging);
    let sealing = tokio::spawn(sealer.run(stop.clone()));
    let all = in_turns(async |with, clients, run| {
        let script = if with { Script::Whole } else { Script::WithoutAudit };
        let Measured { per_second, .. } = bench.run(script, clients, run, span).await;
        per_second
    })
    .await;
    stop.cancel();
    sealing.await.expect("the sealer ends well");
    bench.end().await;
    all
}

/// Measures with the audit or without it, for a number of clients, and with a number of its own, some times each.
async fn in_turns(mut measure: impl AsyncFnMut(bool, usize, usize) -> f64) -> Vec<Compared> {
    let mut all = Vec::new();
    let mut run = 0;
    for clients in IN_FLIGHT {
        let mut compared = Compared {
            clients,
            with: Vec::new(),
            without: Vec::new(),
        };
        for turn in 0..TURNS {
            // In another order each time, so that neither always comes first.
            for with in if turn % 2 == 0 { [true, false] } else { [false, true] } {
                let what = if with { "with the audit" } else { "without it" };
                progress(&format!("{what}, {clients} clients, turn {} of {TURNS}", turn + 1));
                run += 1;
                let rate = measure(with, clients, run).await;
                if with {
                    &mut compared.with
                } else {
                    &mut compared.without
                }
                .push(rate);
            }
        }
        all.push(compared);
    }
    all
}

fn markdown(all: &[Compared]) -> String {
    let mut text =
        "| clients | with audit, a second | without | with takes × as long | turns with | turns without |\n|--:|--:|--:|--:|---|---|\n"
            .to_owned();
    for compared in all {
        let turns = |rates: &[f64]| {
            rates
                .iter()
                .map(|rate| format!("{rate:.0}"))
                .collect::<Vec<_>>()
                .join(" ")
        };
        writeln!(
            text,
            "| {} | {:.0} | {:.0} | {:.3} | {} | {} |",
            compared.clients,
            middle(&compared.with),
            middle(&compared.without),
            compared.ratio(),
            turns(&compared.with),
            turns(&compared.without),
        )
        .expect("memory");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ratio_is_of_the_middles() {
        let compared = Compared {
            clients: 1,
            with: vec![100.0, 1.0, 110.0, 90.0],
            without: vec![1_000.0, 114.0, 95.0, 76.0],
        };
        assert_eq!(middle(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(compared.ratio(), 1.1);
    }
}
