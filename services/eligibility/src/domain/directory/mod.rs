//! The directory's records, as the EMR means them. One that exists has been parsed; nothing behind the edge checks one again.

mod digest;
mod import;
mod records;
mod removals;
mod setting_change;
mod settings;
mod text;
mod words;

pub use digest::Digest;
pub use import::{
    Entry, ImportOptions, Intake, Item, MAX_GROUP, MAX_REFUSALS, MAX_RESTORED, RecordKind, Refusal, RefusalReason,
    Tally, in_writing_order,
};
pub use records::{
    Chart, Connection, EmrVersion, Incoming, Kept, Location, Organization, PortalUser, Record, Staff, VersionError,
};
pub use removals::{MAX_REMOVED_RECORDS, Removal, Removals};
pub use setting_change::{Changed, ChangesOf, Etag, Held, SettingChange, SettingsRefusal};
pub use settings::{ADMINISTRATORS, Brand, BrandDefaults, Messaging, MessagingError, Seed, SeedContent};
pub use text::{Country, Email, Locale, Name, PatientId, Phone, TextError, WebUrl};
pub use words::{AccountStatus, Audience, ConnectionStatus, Relationship, StaffRole};
