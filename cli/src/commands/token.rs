//! `carepost token`

use chrono::TimeDelta;
use clap::{Args, value_parser};
use serde_json::json;

use crate::{
    args::Me,
    client::Context,
    errors::Failure,
    keys::SigningKey,
    profile::TokenSource,
    render::{Report, rfc3339},
    run::settings::SERVICES,
};

/// See `Command::Token`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  carepost token --as portal/pu-9
  carepost token --service emr --minutes 600
  buf curl --protocol grpc --http2-prior-knowledge --reflect-header '*' -H \"authorization: Bearer $(carepost token --as portal/pu-9)\" \\
    -d '{}' http://127.0.0.1:7602/carepost.messaging.v1.MessagingService/GetUnreadCount

JSON: {token, subject, organization or null, expire_time}")]
pub struct TokenArgs {
    #[command(flatten)]
    me: Me,
    /// The token of a service instead of a person's: messaging, notification, emr, feed or operator.
    #[arg(long, value_name = "NAME", conflicts_with = "person")]
    service: Option<String>,
    /// How long it is good, in minutes.
    #[arg(long, value_name = "NUMBER", default_value_t = 60, value_parser = value_parser!(i64).range(1..=1_440))]
    minutes: i64,
}

/// Prints a token.
pub fn run(context: &Context, args: &TokenArgs) -> Result<Report, Failure> {
    let TokenSource::Folder(folder) = &context.profile.tokens else {
        let what = format!("The profile `{}` is not of an embedded suite", context.profile.name);
        return Err(Failure::usage(what, "Ask the issuer of your deployment for a token"));
    };
    let key = SigningKey::read(folder)?;
    let (now, lifetime) = (context.clock.now(), TimeDelta::minutes(args.minutes));
    let expire_time = prost_types::Timestamp {
        seconds: (now + lifetime).timestamp(),
        nanos: 0,
    };
    let (token, subject, organization) = if let Some(name) = &args.service {
        if !SERVICES.iter().any(|service| service.name == name) {
            let names: Vec<_> = SERVICES.iter().map(|service| service.name).collect();
            let next = format!("Choose one of: {}", names.join(", "));
            return Err(Failure::usage(format!("There is no service `{name}`"), next));
        }
        (key.service(name, now, lifetime)?, name.clone(), None)
    } else {
        let person = args.me.person.as_ref().or(context.profile.me.as_ref());
        let unnamed = || Failure::usage("Whose token?", "Add --as staff/ID, --as portal/ID or --service NAME");
        let (person, organization) = (person.ok_or_else(unnamed)?, context.organization()?);
        let token = key.person(organization, person, now, lifetime)?;
        (token, person.to_string(), Some(organization.as_str()))
    };
    let json = json!({
        "token": token, "subject": subject, "organization": organization, "expire_time": rfc3339(Some(expire_time)),
    });
    Ok(Report::done(token, json))
}
