//! `carepost-testkit`: the private test servers, for work in between and for `make test`.

#![allow(clippy::print_stdout, reason = "what a command line tool prints is its result")]

use std::io;

use carepost_testkit::servers::{SHARED, Servers, Status};
use clap::{Parser, Subcommand};

/// Private PostgreSQL and RabbitMQ for tests, under target/services of the workspace.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    action: Action,
    /// Which instance.
    #[arg(long, global = true, default_value = SHARED)]
    name: String,
}

#[derive(Subcommand)]
enum Action {
    /// Installs and starts what is missing, and shows the URLs.
    Up,
    /// Stops the servers and removes their data.
    Down,
    /// Shows what runs.
    Status,
}

fn main() -> io::Result<()> {
    let Arguments { action, name } = Arguments::parse();
    match action {
        Action::Up => Servers::up(&name).map(drop)?,
        Action::Down => Servers::down(&name)?,
        Action::Status => {}
    }
    show(&Servers::status(&name)?);
    Ok(())
}

fn show(status: &Status) {
    println!("PostgreSQL {}", status.postgres_url.as_deref().unwrap_or("is down"));
    println!("RabbitMQ   {}", status.amqp_url.as_deref().unwrap_or("is down"));
}
