//! Between the protos and the domain.

mod decision;
mod fields;
mod import;
mod question;
mod records;
mod settings;
mod words;

pub(super) use decision::{compose_options, decision, email_recipient, recipient};
pub(super) use import::{import_options, import_refusal, item, removal, removed_record, restored_record};
pub(super) use question::question;
pub(super) use records::{
    chart, chart_record, location, location_record, organization, organization_record, portal_user, portal_user_record,
    staff, staff_record,
};
pub(super) use settings::{brand, brand_message, location as place, messaging, messaging_message, setting_change};
pub(super) use words::{account_status, outcome, role, version};
