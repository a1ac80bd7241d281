//! The result, for people and for programs.

use std::{fmt::Write as _, time::Duration};

use serde_json::{Value, json};

use crate::{
    load::{Measured, WARM_UP},
    machine::Machine,
    whole_path::Replies,
};

/// Everything that was measured in one run. The lists are in the order of [`crate::load::IN_FLIGHT`].
pub struct Report {
    /// On what.
    pub machine: Machine,
    /// How long each measurement took.
    pub span: Duration,
    /// Empty RPCs.
    pub rpc: Vec<Measured>,
    /// The statements of a reply by themselves.
    pub send: Vec<Measured>,
    /// Replies through the whole path.
    pub replies: Vec<Replies>,
}

impl Report {
    /// Each measurement with its name, those of one number in flight together.
    fn lines(&self) -> impl Iterator<Item = [(&'static str, &Measured); 3]> {
        let three = self.rpc.iter().zip(&self.send).zip(&self.replies);
        three.map(|((rpc, send), replies)| {
            [
                ("empty RPC", rpc),
                ("its statements by pgbench", send),
                ("Reply, the whole path", &replies.measured),
            ]
        })
    }

    /// How the rate of replies is to that of empty RPCs and of the bare statements.
    fn ratios(&self) -> impl Iterator<Item = (usize, f64, f64)> {
        self.lines().map(|[(_, rpc), (_, send), (_, reply)]| {
            let to = |limit: &Measured| reply.per_second / limit.per_second;
            (reply.in_flight, to(rpc), to(send))
        })
    }

    /// Whether any call was refused.
    pub fn has_refusals(&self) -> bool {
        self.lines().flatten().any(|(_, measured)| !measured.refused.is_empty())
    }

    /// Tables in Markdown.
    pub fn markdown(&self) -> String {
        let mut text = self.facts();
        text += "\n| | in flight | per second | p50 ms | p95 ms | p99 ms | refused |\n|---|--:|--:|--:|--:|--:|--:|\n";
        for (name, measured) in self.lines().flatten() {
            text += &line(name, measured);
        }
        text += "\n| in flight | Reply : empty RPC | Reply : its statements |\n|--:|--:|--:|\n";
        for (in_flight, to_rpc, to_send) in self.ratios() {
            text += &format!("| {in_flight} | {to_rpc:.3} | {to_send:.3} |\n");
        }
        text += "\n";
        for replies in &self.replies {
            text += &left(replies);
        }
        text + &self.processor_time()
    }

    fn facts(&self) -> String {
        let machine = &self.machine;
        let mut text = format!(
            "{} cores ({}), Linux {}, PostgreSQL {}, commit {}, load before {}; {} s each after {} s of warm-up\n",
            machine.cores,
            machine.processor,
            machine.kernel,
            machine.postgres,
            machine.commit,
            machine.load_before,
            self.span.as_secs(),
            WARM_UP.as_secs(),
        );
        if !machine.optimised {
            text += "\nTHIS IS A DEBUG BUILD: THE FIGURES MEAN NOTHING.\n";
        }
        text
    }

    /// Processor time by part, for each acknowledged reply.
    fn processor_time(&self) -> String {
        let mut text = "\n| processor time for each reply, µs |".to_owned();
        for replies in &self.replies {
            write!(text, " {} in flight |", replies.measured.in_flight).expect("memory");
        }
        text += "\n|---|";
        text += &"--:|".repeat(self.replies.len());
        let parts = self.replies.iter().flat_map(|replies| replies.cpu.seconds.keys());
        let parts: std::collections::BTreeSet<_> = parts.collect();
        for part in parts {
            write!(text, "\n| {part} |").expect("memory");
            for replies in &self.replies {
                let seconds = replies.cpu.seconds.get(part).copied().unwrap_or_default();
                write!(text, " {:.0} |", for_each(replies, seconds)).expect("memory");
            }
        }
        text += "\n| cores busy, of all |";
        for replies in &self.replies {
            let busy: f64 = replies.cpu.seconds.values().sum();
            write!(text, " {:.2} |", busy / replies.cpu.span).expect("memory");
        }
        text + "\n"
    }

    /// The same as JSON.
    pub fn json(&self) -> String {
        let machine = &self.machine;
        let measurements: Vec<_> = self
            .lines()
            .flatten()
            .map(|(name, measured)| value(name, measured))
            .collect();
        let ratios: Vec<_> = self
            .ratios()
            .map(|(in_flight, rpc, send)| json!({"in_flight": in_flight, "to_rpc": rpc, "to_statements": send}))
            .collect();
        let after: Vec<_> = self.replies.iter().map(after).collect();
        let all = json!({
            "machine": {
                "processor": machine.processor, "cores": machine.cores, "kernel": machine.kernel,
                "postgres": machine.postgres, "commit": machine.commit, "load_before": machine.load_before,
                "optimised": machine.optimised,
            },
            "seconds": self.span.as_secs(),
            "measurements": measurements,
            "ratios": ratios,
            "after": after,
        });
        format!("{all:#}\n")
    }
}

fn line(name: &str, measured: &Measured) -> String {
    let [p50, p95, p99] = [0.5, 0.95, 0.99].map(|share| measured.quantile(share));
    let refused: u64 = measured.refused.values().sum();
    format!(
        "| {name} | {} | {:.0} | {p50:.2} | {p95:.2} | {p99:.2} | {refused} |\n",
        measured.in_flight, measured.per_second
    )
}

fn left(replies: &Replies) -> String {
    let drained = replies.drained.map_or("not drained after a minute".to_owned(), |took| {
        format!("drained {:.1} s later", took.as_secs_f64())
    });
    let mut text = format!(
        "- {} in flight: {} events in the outbox at the end, {drained}; {} emails sent meanwhile, {} recorded and not yet sent.\n",
        replies.measured.in_flight, replies.outbox, replies.emails, replies.deliveries_left
    );
    if !replies.measured.refused.is_empty() {
        writeln!(text, "  Refused: {:?}.", replies.measured.refused).expect("memory");
    }
    text
}

fn for_each(replies: &Replies, seconds: f64) -> f64 {
    seconds * 1e6 / (replies.measured.per_second * replies.cpu.span)
}

fn value(name: &str, measured: &Measured) -> Value {
    json!({
        "name": name,
        "in_flight": measured.in_flight,
        "per_second": measured.per_second,
        "p50_ms": measured.quantile(0.5),
        "p95_ms": measured.quantile(0.95),
        "p99_ms": measured.quantile(0.99),
        "refused": measured.refused,
    })
}

fn after(replies: &Replies) -> Value {
    json!({
        "in_flight": replies.measured.in_flight,
        "outbox": replies.outbox,
        "drained_seconds": replies.drained.map(|took| took.as_secs_f64()),
        "emails": replies.emails,
        "deliveries_left": replies.deliveries_left,
        "processor_seconds": replies.cpu.seconds,
        "processor_span_seconds": replies.cpu.span,
    })
}
