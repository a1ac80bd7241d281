//! A small hospital whose directory tests change through the API, one record at a time, and what they then know of it.

use std::{collections::BTreeMap, sync::Mutex};

use carepost_proto::{
    eligibility::v1::{
        self as proto, AccountStatus, Audience, Chart, Connection, ConnectionStatus, Location, MessagingSettings,
        Organization, PortalUser, Relationship, Staff, StaffRole, directory_service_client::DirectoryServiceClient,
        settings_service_client::SettingsServiceClient,
    },
    messaging::v1::{
        Conversation, GetConversationRequest, ListConversationsRequest, ReplyRequest, ReplyState,
        StartConversationRequest, messaging_service_client::MessagingServiceClient,
    },
};
use carepost_suite::{
    Suite,
    clients::{CallerChannel, channel},
    process::Service,
};
use tonic::{Code, Status, service::interceptor::InterceptedService};
use tonic_types::StatusExt;

use crate::traffic::request_id;

/// The organization.
const HOSPITAL: &str = "prairie";

/// A record as it was last written, and whether it was deleted after that.
#[derive(Clone, Debug)]
pub struct Stored<T> {
    pub record: T,
    pub deleted: bool,
}

/// The hospital, with what its directory and settings hold.
pub struct Hospital {
    pub suite: Suite,
    pub staff: BTreeMap<String, Stored<Staff>>,
    pub charts: BTreeMap<String, Stored<Chart>>,
    pub portal_users: BTreeMap<String, Stored<PortalUser>>,
    /// General ones under none, a location's under its id.
    pub settings: BTreeMap<Option<String>, MessagingSettings>,
    pub locations: Vec<String>,
    version: i64,
    people: Mutex<BTreeMap<String, MessagingServiceClient<CallerChannel>>>,
}

/// Why somebody may not reply, as they are told: reason, party, remedy.
pub type Told = Vec<(String, String, String)>;

/// On, for these.
pub fn on(audience: Audience) -> MessagingSettings {
    MessagingSettings {
        enabled: true,
        audience: audience.into(),
    }
}

/// Active staff with the role, at these locations.
pub fn staff(id: &str, locations: &[&str]) -> Staff {
    Staff {
        id: id.to_owned(),
        name: format!("Staff {id}"),
        active: true,
        roles: vec![StaffRole::AvailableForPortalMessages.into()],
        location_ids: locations.iter().map(|&location| location.to_owned()).collect(),
        ..Staff::default()
    }
}

/// A chart with this care team.
pub fn chart(id: &str, location: &str, care_team: &[&str]) -> Chart {
    Chart {
        id: id.to_owned(),
        patient_id: format!("patient-{id}"),
        patient_name: format!("Patient {id}"),
        location_id: location.to_owned(),
        care_team_ids: care_team.iter().map(|&staff| staff.to_owned()).collect(),
        url: format!("https://emr.example.org/charts/{id}"),
        ..Chart::default()
    }
}

/// An active portal user with a confirmed connection to these charts.
pub fn portal_user(id: &str, charts: &[&str]) -> PortalUser {
    PortalUser {
        id: id.to_owned(),
        name: format!("Guardian {id}"),
        email: format!("{id}@example.org"),
        status: AccountStatus::Active.into(),
        connections: charts
            .iter()
            .map(|chart| connection(chart, ConnectionStatus::Confirmed))
            .collect(),
        ..PortalUser::default()
    }
}

pub fn connection(chart: &str, status: ConnectionStatus) -> Connection {
    Connection {
        chart_id: chart.to_owned(),
        relationship: Relationship::Guardian.into(),
        status: status.into(),
    }
}

impl Hospital {
    /// A hospital with locations and nobody in it, where messaging is on for care teams.
    pub async fn start(hint: &str, locations: &[&str]) -> Self {
        let mut hospital = Self {
            suite: Suite::start(hint).await,
            staff: BTreeMap::new(),
            charts: BTreeMap::new(),
            portal_users: BTreeMap::new(),
            settings: BTreeMap::new(),
            locations: Vec::new(),
            version: 1,
            people: Mutex::default(),
        };
        let organization = Organization {
            id: HOSPITAL.to_owned(),
            name: "Prairie".to_owned(),
            country: "US".to_owned(),
            portal_url: "https://portal.example.org/messages".to_owned(),
            ..Organization::default()
        };
        let request = proto::PutOrganizationRequest {
            organization: Some(organization),
            version: 1,
        };
        hospital.directory().put_organization(request).await.unwrap();
        for location in locations {
            let location = Location {
                id: (*location).to_owned(),
                name: format!("Clinic {location}"),
                ..Location::default()
            };
            hospital.put_location(location).await;
        }
        hospital.set(None, Some(on(Audience::CareTeamOnly))).await;
        hospital
    }

    /// A person, always over the same connection: a token takes its time to be signed.
    pub fn person(&self, person: &str) -> MessagingServiceClient<CallerChannel> {
        let mut people = self.people.lock().unwrap();
        let known = people.entry(person.to_owned());
        known.or_insert_with(|| self.suite.person(HOSPITAL, person)).clone()
    }

    fn directory(&self) -> DirectoryServiceClient<CallerChannel> {
        self.suite.directory(HOSPITAL)
    }

    fn version(&mut self) -> i64 {
        self.version += 1;
        self.version
    }

    pub async fn put_location(&mut self, record: Location) {
        let id = record.id.clone();
        let request = proto::PutLocationRequest {
            location: Some(record),
            version: self.version(),
        };
        self.directory().put_location(request).await.unwrap();
        self.locations.push(id);
    }

    pub async fn put_staff(&mut self, record: Staff) {
        let request = proto::PutStaffRequest {
            staff: Some(record.clone()),
            version: self.version(),
        };
        self.directory().put_staff(request).await.unwrap();
        let stored = Stored { record, deleted: false };
        self.staff.insert(stored.record.id.clone(), stored);
    }

    pub async fn delete_staff(&mut self, id: &str) {
        let request = proto::DeleteStaffRequest {
            staff_id: id.to_owned(),
            version: self.version(),
        };
        self.directory().delete_staff(request).await.unwrap();
        self.staff.get_mut(id).unwrap().deleted = true;
    }

    pub async fn put_chart(&mut self, record: Chart) {
        let request = proto::PutChartRequest {
            chart: Some(record.clone()),
            version: self.version(),
        };
        self.directory().put_chart(request).await.unwrap();
        let stored = Stored { record, deleted: false };
        self.charts.insert(stored.record.id.clone(), stored);
    }

    pub async fn delete_chart(&mut self, id: &str) {
        let request = proto::DeleteChartRequest {
            chart_id: id.to_owned(),
            version: self.version(),
        };
        self.directory().delete_chart(request).await.unwrap();
        self.charts.get_mut(id).unwrap().deleted = true;
    }

    pub async fn put_portal_user(&mut self, record: PortalUser) {
        let request = proto::PutPortalUserRequest {
            portal_user: Some(record.clone()),
            version: self.version(),
        };
        self.directory().put_portal_user(request).await.unwrap();
        let stored = Stored { record, deleted: false };
        self.portal_users.insert(stored.record.id.clone(), stored);
    }

    pub async fn delete_portal_user(&mut self, id: &str) {
        let request = proto::DeletePortalUserRequest {
            portal_user_id: id.to_owned(),
            version: self.version(),
        };
        self.directory().delete_portal_user(request).await.unwrap();
        self.portal_users.get_mut(id).unwrap().deleted = true;
    }

    /// Sets the general settings, or those of a location; without any, the location follows the general ones.
    pub async fn set(&mut self, location: Option<&str>, settings: Option<MessagingSettings>) {
        let caller = self.suite.service("operator", HOSPITAL);
        let channel = channel(self.suite.address(Service::Eligibility));
        let mut client = SettingsServiceClient::new(InterceptedService::new(channel, caller));
        let location_id = location.map(str::to_owned);
        let request = proto::GetMessagingSettingsRequest {
            location_id: location_id.clone(),
        };
        let etag = client.get_messaging_settings(request).await.unwrap().into_inner().etag;
        let request = proto::UpdateMessagingSettingsRequest {
            location_id: location_id.clone(),
            settings,
            etag,
        };
        client.update_messaging_settings(request).await.unwrap();
        match settings {
            Some(settings) => drop(self.settings.insert(location_id, settings)),
            None => drop(self.settings.remove(&location_id)),
        }
    }

    /// Starts a conversation, and gives its id.
    pub async fn begin(&self, from: &str, to: &[&str], chart: Option<&str>) -> Result<String, Status> {
        let request = StartConversationRequest {
            request_id: request_id(),
            recipients: to.iter().map(|&person| person.to_owned()).collect(),
            chart_id: chart.map(str::to_owned),
            subject: "A question".to_owned(),
            body: "How are you?".to_owned(),
        };
        let started = self.person(from).start_conversation(request).await?;
        Ok(started.into_inner().conversation_id)
    }

    /// All conversations of a person.
    pub async fn listed(&self, person: &str) -> Vec<Conversation> {
        let request = ListConversationsRequest {
            page_size: 100,
            ..ListConversationsRequest::default()
        };
        let list = self.person(person).list_conversations(request).await;
        list.unwrap().into_inner().conversations
    }

    pub async fn opened(&self, person: &str, id: &str) -> Conversation {
        let request = GetConversationRequest {
            conversation_id: id.to_owned(),
        };
        let opened = self.person(person).get_conversation(request).await;
        opened.unwrap().into_inner().conversation.unwrap()
    }

    /// What somebody is told who replies. Nothing: the reply was sent.
    pub async fn replied(&self, person: &str, id: &str) -> Told {
        let request = ReplyRequest {
            request_id: request_id(),
            conversation_id: id.to_owned(),
            body: "Thank you.".to_owned(),
        };
        match self.person(person).reply(request).await {
            Ok(_) => Told::new(),
            Err(refused) => refusal(&refused),
        }
    }

    /// What somebody is told about replying: the same in the list, in the conversation, and when they reply.
    pub async fn told(&self, person: &str, id: &str) -> Told {
        let list = self.listed(person).await;
        let listed = list.iter().find(|conversation| conversation.id == id).unwrap();
        let opened = self.opened(person, id).await;
        assert_eq!(listed.reply_ability, opened.reply_ability, "listed and opened");
        let shown = shown(&opened);
        assert_eq!(shown, self.replied(person, id).await, "opened and sent");
        shown
    }
}

/// What a refusal tells.
pub fn refusal(refused: &Status) -> Told {
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused:?}");
    let details = refused.get_error_details();
    let violations = details.precondition_failure().unwrap().violations.clone();
    violations
        .into_iter()
        .map(|violation| (violation.r#type, violation.subject, violation.description))
        .collect()
}

/// What a conversation tells about replying.
pub fn shown(conversation: &Conversation) -> Told {
    let ability = conversation.reply_ability.as_ref().unwrap();
    let expected = if ability.denials.is_empty() {
        ReplyState::Allowed
    } else {
        ReplyState::Denied
    };
    assert_eq!(ability.state(), expected);
    let denials = ability.denials.iter().map(|denial| {
        let reason = denial.reason().as_str_name().trim_start_matches("ELIGIBILITY_REASON_");
        (reason.to_owned(), denial.party.clone(), denial.remedy.clone())
    });
    denials.collect()
}
