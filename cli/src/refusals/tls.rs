//! A connection that TLS kept from coming about, in words.

use std::{error::Error as _, io};

use carepost_rpc::connect::ConnectError;
use rustls::{AlertDescription, CertificateError};
use tonic::Status;

use super::origin;
use crate::{
    client::{Context, Service},
    errors::{Exit, Failure, capital},
};

/// What there is to say if TLS is the reason, or may be; else nothing.
pub fn explain(context: &Context, service: Service, status: &Status) -> Option<Failure> {
    if context.endpoint(service).scheme() != "https" {
        return None;
    }
    let mut error = status.source()?;
    let mut is_connected = true;
    loop {
        match error.downcast_ref() {
            Some(ConnectError::Io(error)) => return Some(refused(context, service, of_tls(error)?)),
            Some(error) => return Some(wrong(context, capital(&error.to_string()), "Correct")),
            None => is_connected &= !error.is::<tonic::ConnectError>(),
        }
        match error.source() {
            Some(cause) => error = cause,
            None => return is_connected.then(|| closed(context, service)),
        }
    }
}

fn of_tls(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

fn refused(context: &Context, service: Service, error: &rustls::Error) -> Failure {
    let at = origin(context, service);
    let certificate = match error {
        rustls::Error::InvalidCertificate(fault) => fault,
        rustls::Error::AlertReceived(alert) if *alert != AlertDescription::NoApplicationProtocol => {
            return closed(context, service);
        }
        _ => {
            let what = format!("What answers at {at} speaks no gRPC over TLS");
            return wrong(context, what, &format!("Correct `{}` of", service.name()));
        }
    };
    match certificate {
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => wrong(
            context,
            format!("The certificate of {at} is for another name"),
            &format!("Use the name that it is for as `{}` of", service.name()),
        ),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            let what = format!("The certificate of {at} has ended");
            Failure::new(
                Exit::Unavailable,
                "TLS",
                what,
                "Have it renewed by who runs the service",
            )
        }
        _ => unknown(context, &at),
    }
}

/// The certificate is of an authority that is not believed.
fn unknown(context: &Context, at: &str) -> Failure {
    match &context.profile.tls.ca_file {
        None => wrong(
            context,
            format!("The certificate of {at} is of no authority that this machine trusts"),
            "If it is the hospital's own, name its certificate (PEM) as `ca_file` of",
        ),
        Some(file) => wrong(
            context,
            format!("The certificate of {at} is of no authority in {}", file.display()),
            "Correct `ca_file` of",
        ),
    }
}

/// The server hung up. One that does not know a client's certificate says no more than this.
fn closed(context: &Context, service: Service) -> Failure {
    let profile = &context.profile;
    let what = format!("The service at {} closed the connection", origin(context, service));
    let next = match &profile.tls.identity {
        None => {
            "it talks only with who has a certificate: name yours as `certificate_file`, and its key as `key_file`,"
                .into()
        }
        Some((file, _)) => format!(
            "it does not know the certificate in {}: correct `certificate_file` and `key_file`",
            file.display()
        ),
    };
    let next = format!(
        "Try again in a moment; if it stays so, maybe {next} of profile `{}` in {}",
        profile.name,
        profile.file.display()
    );
    Failure::new(Exit::Unavailable, "TLS", what, next)
}

/// Something to put right in the profile.
fn wrong(context: &Context, what: String, next: &str) -> Failure {
    let profile = &context.profile;
    let next = format!("{next} profile `{}` in {}", profile.name, profile.file.display());
    Failure::new(Exit::Usage, "TLS", what, next)
}
