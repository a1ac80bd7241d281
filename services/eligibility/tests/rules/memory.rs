//! A directory in memory, and the facts that it gives.

use std::collections::{BTreeMap, BTreeSet};

use carepost_eligibility::domain::{
    decision::{
        Candidacy, Candidate, ChartFacts, Facts, Places, PortalUserFacts, Position, Question, RecipientList,
        StaffFacts, candidacy,
    },
    directory::{AccountStatus, Audience, ConnectionStatus, Messaging, Name, Relationship},
};
use carepost_identity::{ChartId, LocationId, PersonId, PortalUserId, StaffId};
use carepost_proto::eligibility::v1::{self as proto, import_directory_request::Record};

#[derive(Clone, Debug, Default)]
pub struct Memory {
    pub general: Option<Messaging>,
    pub locations: BTreeMap<LocationId, Option<Messaging>>,
    pub staff: BTreeMap<StaffId, Staff>,
    pub charts: BTreeMap<ChartId, Chart>,
    pub portal_users: BTreeMap<PortalUserId, PortalUser>,
}

#[derive(Clone, Debug)]
pub struct Staff {
    pub active: bool,
    pub available: bool,
    pub all_locations: bool,
    pub locations: BTreeSet<LocationId>,
}

#[derive(Clone, Debug)]
pub struct Chart {
    pub location: LocationId,
    pub care_team: BTreeSet<StaffId>,
    pub barred: BTreeSet<StaffId>,
}

#[derive(Clone, Debug)]
pub struct PortalUser {
    pub status: AccountStatus,
    pub connections: BTreeMap<ChartId, ConnectionStatus>,
}

fn name() -> Name {
    Name::parse("Somebody".to_owned()).unwrap()
}

impl Memory {
    /// The facts of a question, as eligibility.md words them.
    pub fn facts(&self, question: &Question) -> Facts {
        let chart = question.chart().and_then(|id| self.charts.get(id));
        let known = |id: &StaffId| Some((id.clone(), self.staff_facts(self.staff.get(id)?, id, chart)));
        Facts {
            general: self.general,
            chart: chart.map(|chart| ChartFacts {
                patient_name: name(),
                url: None,
                location_setting: self.locations[&chart.location],
            }),
            staff: question.staff().filter_map(known).collect(),
            portal_user: question.portal_user().and_then(|id| {
                let user = self.portal_users.get(id)?;
                let connection = user.connections.get(question.chart()?);
                Some(PortalUserFacts {
                    name: name(),
                    status: user.status,
                    connection: connection.map(|status| (Relationship::Guardian, *status)),
                })
            }),
            all_places: self.places(|_| true),
        }
    }

    fn staff_facts(&self, staff: &Staff, id: &StaffId, chart: Option<&Chart>) -> StaffFacts {
        StaffFacts {
            name: name(),
            active: staff.active,
            available_for_portal_messages: staff.available,
            all_locations: staff.all_locations,
            lists_location: chart.is_some_and(|chart| staff.locations.contains(&chart.location)),
            on_care_team: chart.is_some_and(|chart| chart.care_team.contains(id)),
            barred: chart.is_some_and(|chart| chart.barred.contains(id)),
            listed_places: self.places(|location| staff.locations.contains(location)),
        }
    }

    fn places(&self, among: impl Fn(&LocationId) -> bool) -> Places {
        let settings = || {
            self.locations
                .iter()
                .filter(|(id, _)| among(id))
                .map(|(_, setting)| *setting)
        };
        Places {
            own_setting_enables: settings().any(|setting| setting.and_then(Messaging::enabled).is_some()),
            follows_general: settings().any(|setting| setting.is_none()),
        }
    }

    /// A list, with everybody as a candidate.
    pub fn list(&self, list: &RecipientList) -> BTreeSet<PersonId> {
        let staff = self.staff.keys().cloned().map(PersonId::from);
        let everybody = staff.chain(self.portal_users.keys().cloned().map(PersonId::from));
        everybody.filter(|person| self.is_in(list, person)).collect()
    }

    fn is_in(&self, list: &RecipientList, person: &PersonId) -> bool {
        let Some(question) = list.question(person) else {
            return false;
        };
        let candidate = Candidate {
            person: person.clone(),
            position: Position::default(),
            facts: self.facts(&question),
        };
        matches!(candidacy(list, &candidate), Candidacy::Recipient(_))
    }
}

/// The directory that an import makes.
impl FromIterator<proto::ImportDirectoryRequest> for Memory {
    fn from_iter<I: IntoIterator<Item = proto::ImportDirectoryRequest>>(requests: I) -> Self {
        let mut memory = Self::default();
        for request in requests {
            memory.add(request.record.unwrap());
        }
        memory
    }
}

impl Memory {
    fn add(&mut self, record: Record) {
        match record {
            Record::Organization(_) | Record::BrandSeed(_) | Record::Options(_) | Record::Trailer(_) => {}
            Record::Location(location) => drop(self.locations.insert(location.id.parse().unwrap(), None)),
            Record::MessagingSettingsSeed(seed) => {
                let setting = Some(messaging(&seed.settings.unwrap()));
                match seed.location_id {
                    Some(location) => drop(self.locations.insert(location.parse().unwrap(), setting)),
                    None => self.general = setting,
                }
            }
            Record::Staff(record) => {
                let available = record
                    .roles()
                    .any(|role| role == proto::StaffRole::AvailableForPortalMessages);
                let staff = Staff {
                    active: record.active,
                    available,
                    all_locations: record.all_locations,
                    locations: record.location_ids.iter().map(|id| id.parse().unwrap()).collect(),
                };
                self.staff.insert(record.id.parse().unwrap(), staff);
            }
            Record::Chart(record) => {
                let staff = |ids: Vec<String>| ids.iter().map(|id| id.parse().unwrap()).collect();
                let chart = Chart {
                    location: record.location_id.parse().unwrap(),
                    care_team: staff(record.care_team_ids),
                    barred: staff(record.barred_staff_ids),
                };
                self.charts.insert(record.id.parse().unwrap(), chart);
            }
            Record::PortalUser(record) => {
                let user = PortalUser {
                    status: status(record.status()),
                    connections: record.connections.iter().map(connection).collect(),
                };
                self.portal_users.insert(record.id.parse().unwrap(), user);
            }
        }
    }
}

fn messaging(settings: &proto::MessagingSettings) -> Messaging {
    let audience = match settings.audience() {
        proto::Audience::CareTeamOnly => Some(Audience::CareTeamOnly),
        proto::Audience::SelectedUsers => Some(Audience::SelectedUsers),
        proto::Audience::Unspecified => None,
    };
    Messaging::parse(settings.enabled, audience).unwrap()
}

fn status(status: proto::AccountStatus) -> AccountStatus {
    let word = status
        .as_str_name()
        .trim_start_matches("ACCOUNT_STATUS_")
        .to_lowercase();
    AccountStatus::from_word(&word).unwrap()
}

fn connection(connection: &proto::Connection) -> (ChartId, ConnectionStatus) {
    let word = connection.status().as_str_name();
    let word = word.trim_start_matches("CONNECTION_STATUS_").to_lowercase();
    (
        connection.chart_id.parse().unwrap(),
        ConnectionStatus::from_word(&word).unwrap(),
    )
}
