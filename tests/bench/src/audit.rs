//! What the audit trail costs a send: the statements of a reply by pgbench, with the audit record and without it, in turns on
//! one database, while a sealer works on it as beside a service.

use std::{fmt::Write as _, time::Duration};

use carepost_audit::Sealer;
use carepost_runtime::{Clock, metrics::labels::Component};
use carepost_testkit::Servers;
use tokio_util::sync::CancellationToken;

use crate::{
    load::{IN_FLIGHT, Measured},
    progress,
    raw_send::{Bench, Script},
};

/// How often each is measured. What else happens on the machine hits both alike.
const TURNS: usize = 4;
/// What is asked for: sends with the audit take no more than so many times as long.
const MOST: f64 = 1.15;

/// The statements at one number of clients: a rate of each turn.
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

/// Measures, and gives the result as Markdown and whether it is good enough.
pub async fn measure(servers: &Servers, span: Duration) -> (String, bool) {
    let bench = Bench::new(servers).await;
    let stop = CancellationToken::new();
    let sealer = Sealer::new(bench.connect().await, Clock::system(), Component::Messaging);
    let sealing = tokio::spawn(sealer.run(stop.clone()));
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
            let mut scripts = [Script::Whole, Script::WithoutAudit];
            scripts.rotate_left(turn % 2);
            for script in scripts {
                progress(&format!("{script:?}, {clients} clients, turn {} of {TURNS}", turn + 1));
                run += 1;
                let Measured { per_second, .. } = bench.run(script, clients, run, span).await;
                match script {
                    Script::Whole => compared.with.push(per_second),
                    Script::WithoutAudit => compared.without.push(per_second),
                }
            }
        }
        all.push(compared);
    }
    stop.cancel();
    sealing.await.expect("the sealer ends well");
    bench.end().await;
    (markdown(&all), all.iter().all(|compared| compared.ratio() <= MOST))
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
