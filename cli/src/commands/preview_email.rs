//! `carepost preview-email`

use std::path::PathBuf;

use carepost_identity::LocationId;
use carepost_proto::{
    eligibility::v1::{Brand, GetBrandRequest},
    notification::v1::{EmailKind, PreviewBrand, PreviewEmailRequest, PreviewEmailResponse},
};
use clap::Args;
use serde_json::json;

use crate::{
    client::{Context, Service},
    errors::Failure,
    render::{Report, Style, body, clean},
};

/// See `Command::PreviewEmail`.
#[derive(Debug, Args)]
#[command(after_help = "\
Nothing is sent or recorded. The brand is the one that holds for the location, or the organization.

Examples:
  carepost preview-email
  carepost preview-email --locale es --location south
  carepost preview-email --neutral --html target/preview.html
  carepost preview-email --staff --link https://emr.hospital.example/messages

JSON: {subject, headers: [{name, value}], text, html}")]
pub struct PreviewEmailArgs {
    /// In this language: a tag such as es or es-419 [default: the brand's, else en].
    #[arg(long, value_name = "TAG")]
    locale: Option<String>,
    /// With the brand of this location [default: of the organization].
    #[arg(long, value_name = "ID")]
    location: Option<LocationId>,
    /// Without the brand, whatever is set.
    #[arg(long)]
    neutral: bool,
    /// The email to a member of staff who asked for it, not to a portal user.
    #[arg(long)]
    staff: bool,
    /// Where its link goes [default: the brand's portal URL; to staff no link].
    #[arg(long, value_name = "URL")]
    link: Option<String>,
    /// Write the HTML into this file, to look at in a browser.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// Shows an email.
pub async fn run(context: &Context, args: PreviewEmailArgs) -> Result<Report, Failure> {
    let brand = brand(context, &args).await?;
    let portal_url = if args.staff {
        String::new()
    } else {
        brand.portal_url.clone()
    };
    let kind = if args.staff {
        EmailKind::Staff
    } else {
        EmailKind::Portal
    };
    let request = PreviewEmailRequest {
        locale: args.locale.unwrap_or(brand.locale),
        neutral: args.neutral || brand.neutral,
        brand: (!brand.name.is_empty()).then_some(PreviewBrand {
            name: brand.name,
            logo_url: brand.logo_url,
            phone: brand.phone,
        }),
        kind: kind.into(),
        link: args.link.unwrap_or(portal_url),
    };
    let mut notification = context.notification()?;
    let email = context
        .ask(Service::Notification, notification.preview_email(request))
        .await?;
    let mut text = told(context, &email);
    if let Some(file) = &args.html {
        std::fs::write(file, &email.html).map_err(|error| Failure::file(file, &error))?;
        text.push_str(&format!("\n\nThe HTML is in {}.", file.display()));
    }
    let headers = email.headers.iter();
    let headers: Vec<_> = headers
        .map(|header| json!({"name": header.name, "value": header.value}))
        .collect();
    let json = json!({"subject": email.subject, "headers": headers, "text": email.text, "html": email.html});
    Ok(Report::done(text, json))
}

/// The brand that holds there.
async fn brand(context: &Context, args: &PreviewEmailArgs) -> Result<Brand, Failure> {
    let mut settings = context.settings(None).await?;
    let call = settings.get_brand(GetBrandRequest {
        location_id: args.location.as_ref().map(ToString::to_string),
    });
    let answer = context.ask(Service::Eligibility, call).await?;
    Ok(answer.effective.unwrap_or_default())
}

fn told(context: &Context, email: &PreviewEmailResponse) -> String {
    let headers = email.headers.iter().map(|header| {
        let name = context.paint.paint(Style::Dim, &clean(&header.name, 100));
        format!("{name}: {}", clean(&header.value, 1_000))
    });
    let subject = context.paint.paint(Style::Bold, &clean(&email.subject, 500));
    format!(
        "{}\n\n{subject}\n\n{}",
        headers.collect::<Vec<_>>().join("\n"),
        body(&email.text)
    )
}
