//! Between the protos and the domain.

mod decision;
mod fields;
mod import;
mod question;
mod records;
mod settings;
mod words;

pub(super) use decision::{decision, email_recipient, recipient};
pub(super) use import::{import_refusal, item};
pub(super) use question::question;
pub(super) use records::{
    chart, chart_message, location, location_message, organization, organization_message, portal_user,
    portal_user_message, staff, staff_message,
};
pub(super) use words::{outcome, version};
