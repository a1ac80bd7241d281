//! The answer of eligibility, as messaging understands it.

use std::collections::BTreeMap;

use carepost_identity::PersonId;
use carepost_proto::common::v1::EligibilityReason;

/// One reason why a message may not be sent now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The reason.
    pub reason: EligibilityReason,
    /// The party that it is about.
    pub party: Option<PersonId>,
    /// What would mend it, in English.
    pub remedy: String,
}

/// What keeps a staff member from a chart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChartAccess {
    /// They do not reach its location.
    pub no_location_access: bool,
    /// They are barred from it.
    pub barred: bool,
}

/// Whether one message may be sent now, with what goes into the conversation's copies.
#[derive(Clone, PartialEq, Eq)]
pub struct Decision {
    /// Why not, every reason; empty if it may.
    pub denials: Vec<Denial>,
    /// The names of the known parties.
    pub names: BTreeMap<PersonId, String>,
    /// The patient's name, if the chart is known.
    pub patient_name: Option<String>,
    /// Where the EMR shows the chart, if it is known and the staff of the question may see it.
    pub chart_url: Option<String>,
    /// The staff's access to the chart, if both are known.
    pub staff_chart_access: Option<ChartAccess>,
    /// Whether the portal user has a confirmed connection to the chart.
    pub portal_user_connected: bool,
}
