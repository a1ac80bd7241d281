//! `carepost-bench`: a reply through the whole path, beside the raw limits of this machine, all in one run.
//!
//! Two limits are measured: an empty RPC, which is what the transport costs, and the statements of a reply by themselves,
//! which is what its transaction costs. On a machine that others use too, the ratios say more than the rates.

#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a measuring tool: what cannot be set up fails loudly, progress and result are printed"
)]

mod audit;
mod cpu;
mod database;
mod hospital;
mod import;
mod load;
mod machine;
mod memory;
mod open_loop;
mod overload;
mod raw_rpc;
mod raw_send;
mod report;
mod search;
mod watch;
mod whole_path;

use std::{fs, path::PathBuf, process::ExitCode, time::Duration};

use carepost_testkit::Servers;
use clap::{Parser, Subcommand};
use tokio::runtime::{Builder, Runtime};

use crate::{machine::Machine, report::Report, whole_path::WholePath};

/// The instance of PostgreSQL and RabbitMQ that is used. `make bench` starts and removes it.
const INSTANCE: &str = "bench";

/// Measures a reply through the whole path, beside the raw limits of this machine.
#[derive(Parser)]
struct Arguments {
    /// How long each measurement takes, 1 to 60, after a warm-up of two seconds.
    // The mail server of the tests keeps no more than 20,000 emails.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: u64,
    /// Writes the results here too.
    #[arg(long)]
    json: Option<PathBuf>,
    #[command(subcommand)]
    part: Option<Part>,
}

#[derive(Subcommand)]
enum Part {
    /// Answers empty RPCs until standard input ends. The measurement starts it by itself.
    #[command(hide = true)]
    RpcServer,
    /// Measures searches instead, of one person with 100,000 messages in a table of 1,000,000.
    Search {
        /// The instance of PostgreSQL and RabbitMQ that is used.
        #[arg(long, default_value = INSTANCE)]
        instance: String,
    },
    /// Opens 5,000 watches on one process, and measures those instead.
    Watch {
        /// The instance of PostgreSQL and RabbitMQ that is used.
        #[arg(long, default_value = INSTANCE)]
        instance: String,
    },
    /// Offers three times as many replies as the suite can bear, and measures what becomes of them.
    Overload {
        /// The instance of PostgreSQL and RabbitMQ that is used.
        #[arg(long, default_value = INSTANCE)]
        instance: String,
        /// For how long.
        #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(3..=600))]
        seconds: u64,
    },
    /// Compares replies with the records of the audit trail and without.
    Audit {
        /// The instance of PostgreSQL and RabbitMQ that is used.
        #[arg(long, default_value = INSTANCE)]
        instance: String,
    },
    /// Imports a large directory in one stream, and measures that instead.
    Import {
        /// How many staff.
        #[arg(long, default_value_t = 100_000)]
        staff: u64,
        /// How many charts.
        #[arg(long, default_value_t = 1_000_000)]
        charts: u64,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.part {
        None => {}
        Some(Part::RpcServer) => {
            raw_rpc::serve();
            return ExitCode::SUCCESS;
        }
        Some(Part::Import { staff, charts }) => {
            let servers = Servers::up(INSTANCE).expect("PostgreSQL and RabbitMQ");
            runtime(cpu::LOAD_THREADS, machine::cores()).block_on(import::measure(servers, staff, charts));
            return ExitCode::SUCCESS;
        }
        Some(Part::Watch { instance }) => {
            let servers = Servers::up(&instance).expect("PostgreSQL and RabbitMQ");
            println!(
                "{}",
                runtime(cpu::LOAD_THREADS, machine::cores()).block_on(watch::measure(servers))
            );
            return ExitCode::SUCCESS;
        }
        Some(Part::Overload { instance, seconds }) => {
            return measure_overload(&instance, Duration::from_secs(seconds));
        }
        Some(Part::Audit { instance }) => {
            return measure_audit(&instance, Duration::from_secs(arguments.seconds));
        }
        Some(Part::Search { instance }) => {
            let servers = Servers::up(&instance).expect("PostgreSQL and RabbitMQ");
            println!(
                "{}",
                runtime(cpu::LOAD_THREADS, machine::cores()).block_on(search::measure(servers))
            );
            return ExitCode::SUCCESS;
        }
    }
    let report = measure(Duration::from_secs(arguments.seconds));
    println!("{}", report.markdown());
    if let Some(path) = arguments.json {
        fs::write(path, report.json()).expect("the results can be written");
    }
    if report.has_refusals() {
        eprintln!("bench: calls were refused, so these figures are of something else");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Names of threads tell apart whose processor time it is.
fn runtime(name: &str, threads: usize) -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder.thread_name(name).worker_threads(threads).enable_all();
    builder.build().expect("a runtime")
}

fn measure(span: Duration) -> Report {
    let load = runtime(cpu::LOAD_THREADS, machine::cores());
    let sink = runtime(cpu::SINK_THREADS, 1);
    progress("servers and services");
    let servers = Servers::up(INSTANCE).expect("PostgreSQL and RabbitMQ");
    let machine = load.block_on(Machine::read(&servers.postgres_url("postgres")));
    let path = sink.block_on(WholePath::start(servers));

    let rpc = load.block_on(raw_rpc::measure(span));
    let send = load.block_on(raw_send::measure(path.servers(), span));
    let replies = path.measure(&load, span);
    sink.block_on(path.end());
    Report {
        machine,
        span,
        rpc,
        send,
        replies,
    }
}

fn measure_overload(instance: &str, span: Duration) -> ExitCode {
    let load = runtime(cpu::LOAD_THREADS, machine::cores());
    let sink = runtime(cpu::SINK_THREADS, 1);
    let servers = Servers::up(instance).expect("PostgreSQL and RabbitMQ");
    let machine = load.block_on(Machine::read(&servers.postgres_url("postgres")));
    let path = sink.block_on(WholePath::start(servers));
    let overload = overload::measure(&path, machine, &load, span);
    sink.block_on(path.end());
    println!("{}", overload.markdown());
    if overload.is_good() {
        return ExitCode::SUCCESS;
    }
    eprintln!("bench: this is less than what is asked for");
    ExitCode::FAILURE
}

fn measure_audit(instance: &str, span: Duration) -> ExitCode {
    let load = runtime(cpu::LOAD_THREADS, machine::cores());
    let sink = runtime(cpu::SINK_THREADS, 1);
    let servers = Servers::up(instance).expect("PostgreSQL and RabbitMQ");
    let costs = audit::measure(servers, &load, &sink, span);
    println!("{}", costs.markdown());
    if costs.are_good() {
        return ExitCode::SUCCESS;
    }
    eprintln!("bench: sends take longer with the audit than is asked for");
    ExitCode::FAILURE
}

fn progress(what: &str) {
    eprintln!("bench: {what}");
}
