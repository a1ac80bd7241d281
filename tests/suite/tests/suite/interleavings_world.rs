//! Care relationships that are asked about, written in, revoked and restored, through either of two processes.

use std::{collections::HashMap, net::SocketAddr};

use carepost_proto::{
    eligibility::v1::{
        self as proto, AccountStatus, Action, CheckEligibilityRequest, ConnectionStatus, MessagingSettings,
        PortalParties, Question, directory_service_client::DirectoryServiceClient,
        eligibility_service_client::EligibilityServiceClient, question::Parties,
        settings_service_client::SettingsServiceClient,
    },
    messaging::v1::{ReplyRequest, StartConversationRequest, messaging_service_client::MessagingServiceClient},
};
use carepost_suite::{
    Suite,
    clients::{CallerChannel, Metadata, channel},
};
use tonic::{Status, service::interceptor::InterceptedService};

use crate::{
    dice::Dice,
    hospital::{chart, connection, portal_user, refusal, staff},
    traffic::request_id,
};

const HOSPITAL: &str = "prairie";

/// A member of staff, a portal user and a chart of their own, at a location of its own, and their conversation.
pub struct Relationship {
    pub staff: String,
    pub portal_user: String,
    pub chart: String,
    pub location: String,
    pub conversation: String,
}

impl Relationship {
    /// Both people.
    pub fn people(&self) -> [String; 2] {
        [format!("staff/{}", self.staff), format!("portal/{}", self.portal_user)]
    }
}

/// A way to take away that they may write to each other. Each is enough for all that they can send.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    AccountDisabled,
    ConnectionRevoked,
    PortalUserDeleted,
    OffTheCareTeam,
    Barred,
    ChartDeleted,
    StaffInactive,
    StaffDeleted,
    LocationTakenAway,
    MessagingDisabled,
}

/// All of them.
pub const KINDS: [Kind; 10] = [
    Kind::AccountDisabled,
    Kind::ConnectionRevoked,
    Kind::PortalUserDeleted,
    Kind::OffTheCareTeam,
    Kind::Barred,
    Kind::ChartDeleted,
    Kind::StaffInactive,
    Kind::StaffDeleted,
    Kind::LocationTakenAway,
    Kind::MessagingDisabled,
];

/// A send, or the question whether it may be sent: always in the same words.
#[derive(Clone, Copy, Debug)]
pub struct Probe {
    pub is_send: bool,
    pub is_reply: bool,
    pub by_portal_user: bool,
    /// The process of messaging that it is sent to, or of eligibility that is asked.
    pub through: usize,
}

impl Probe {
    /// Any one; so many of a hundred are sends.
    pub fn any(dice: &mut Dice, sends: u64) -> Self {
        Self {
            is_send: dice.percent(sends),
            is_reply: dice.percent(50),
            by_portal_user: dice.percent(50),
            through: dice.below(2),
        }
    }

    /// The same through either process.
    pub fn through_each(self) -> [Self; 2] {
        [0, 1].map(|through| Self { through, ..self })
    }
}

/// Clients of both processes of each service.
pub struct World {
    eligibility: [EligibilityServiceClient<CallerChannel>; 2],
    directory: [DirectoryServiceClient<CallerChannel>; 2],
    settings: [SettingsServiceClient<CallerChannel>; 2],
    messaging: [tonic::transport::Channel; 2],
    tokens: HashMap<String, String>,
}

impl World {
    /// Of these processes, for these people: a token takes its time to be signed, so each has one from the beginning.
    pub fn new(
        suite: &Suite,
        eligibility: [SocketAddr; 2],
        messaging: [SocketAddr; 2],
        people: impl IntoIterator<Item = String>,
    ) -> Self {
        let as_service = |subject, address| InterceptedService::new(channel(address), suite.service(subject, HOSPITAL));
        let token = |person: String| {
            let token = suite.people.person(HOSPITAL, &person);
            (person, token)
        };
        Self {
            eligibility: eligibility.map(|address| EligibilityServiceClient::new(as_service("messaging", address))),
            directory: eligibility.map(|address| DirectoryServiceClient::new(as_service("feed", address))),
            settings: eligibility.map(|address| SettingsServiceClient::new(as_service("operator", address))),
            messaging: messaging.map(channel),
            tokens: people.into_iter().map(token).collect(),
        }
    }

    /// Asks or sends, and says whether that is or was allowed.
    pub async fn attempt(&self, of: &Relationship, probe: Probe) -> bool {
        if probe.is_send {
            self.send(of, probe).await
        } else {
            self.ask(of, probe).await
        }
    }

    async fn ask(&self, of: &Relationship, probe: Probe) -> bool {
        let parties = PortalParties {
            staff_id: of.staff.clone(),
            portal_user_id: of.portal_user.clone(),
            chart_id: of.chart.clone(),
            sent_by_portal_user: probe.by_portal_user,
        };
        let action = if probe.is_reply { Action::Reply } else { Action::Start };
        let request = CheckEligibilityRequest {
            question: Some(Question {
                action: action.into(),
                parties: Some(Parties::Portal(parties)),
            }),
        };
        let mut client = self.eligibility[probe.through].clone();
        let answer = client.check_eligibility(request).await;
        answer.unwrap().into_inner().decision.unwrap().allowed
    }

    async fn send(&self, of: &Relationship, probe: Probe) -> bool {
        let [mut from, mut to] = of.people();
        if probe.by_portal_user {
            std::mem::swap(&mut from, &mut to);
        }
        let caller = Metadata {
            token: Some(self.tokens[&from].clone()),
            ..Metadata::default()
        };
        let channel = self.messaging[probe.through].clone();
        let mut client = MessagingServiceClient::new(InterceptedService::new(channel, caller));
        let (body, request_id) = ("How are you?".to_owned(), request_id());
        if probe.is_reply {
            let request = ReplyRequest {
                request_id,
                conversation_id: of.conversation.clone(),
                body,
            };
            return accepted(client.reply(request).await.map(drop));
        }
        let request = StartConversationRequest {
            request_id,
            recipients: vec![to],
            chart_id: Some(of.chart.clone()),
            subject: "A question".to_owned(),
            body,
        };
        accepted(client.start_conversation(request).await.map(drop))
    }

    /// Revokes, or restores what was revoked, and returns when that is acknowledged.
    pub async fn change(&self, of: &Relationship, kind: Kind, revoked: bool, through: usize, version: i64) {
        let mut directory = self.directory[through].clone();
        match kind {
            Kind::PortalUserDeleted | Kind::ChartDeleted | Kind::StaffDeleted if revoked => {
                delete(directory, of, kind, version).await;
            }
            Kind::AccountDisabled | Kind::ConnectionRevoked | Kind::PortalUserDeleted => {
                let portal_user = Some(portal_user_of(of, kind, revoked));
                let request = proto::PutPortalUserRequest { portal_user, version };
                directory.put_portal_user(request).await.unwrap();
            }
            Kind::OffTheCareTeam | Kind::Barred | Kind::ChartDeleted => {
                let chart = Some(chart_of(of, kind, revoked));
                let request = proto::PutChartRequest { chart, version };
                directory.put_chart(request).await.unwrap();
            }
            Kind::StaffInactive | Kind::LocationTakenAway | Kind::StaffDeleted => {
                let staff = Some(staff_of(of, kind, revoked));
                let request = proto::PutStaffRequest { staff, version };
                directory.put_staff(request).await.unwrap();
            }
            Kind::MessagingDisabled => self.set(of, revoked, through).await,
        }
    }

    /// Turns messaging off at the location, or lets it follow the organization again, where it is on.
    async fn set(&self, of: &Relationship, revoked: bool, through: usize) {
        let location_id = Some(of.location.clone());
        let request = proto::GetMessagingSettingsRequest {
            location_id: location_id.clone(),
        };
        let mut settings = self.settings[through].clone();
        let etag = settings
            .get_messaging_settings(request)
            .await
            .unwrap()
            .into_inner()
            .etag;
        let request = proto::UpdateMessagingSettingsRequest {
            location_id,
            settings: revoked.then(MessagingSettings::default),
            etag,
        };
        settings.update_messaging_settings(request).await.unwrap();
    }
}

/// Whether it was accepted. What was not was refused, and not for another reason.
fn accepted(sent: Result<(), Status>) -> bool {
    match sent {
        Ok(()) => true,
        Err(refused) => {
            assert!(!refusal(&refused).is_empty(), "{refused:?}");
            false
        }
    }
}

fn portal_user_of(of: &Relationship, kind: Kind, revoked: bool) -> proto::PortalUser {
    let mut record = portal_user(&of.portal_user, &[&of.chart]);
    match kind {
        Kind::AccountDisabled if revoked => record.set_status(AccountStatus::Disabled),
        Kind::ConnectionRevoked if revoked => {
            record.connections = vec![connection(&of.chart, ConnectionStatus::Revoked)];
        }
        _ => {}
    }
    record
}

fn chart_of(of: &Relationship, kind: Kind, revoked: bool) -> proto::Chart {
    let mut record = chart(&of.chart, &of.location, &[&of.staff]);
    match kind {
        Kind::OffTheCareTeam if revoked => record.care_team_ids.clear(),
        Kind::Barred if revoked => record.barred_staff_ids.push(of.staff.clone()),
        _ => {}
    }
    record
}

fn staff_of(of: &Relationship, kind: Kind, revoked: bool) -> proto::Staff {
    let mut record = staff(&of.staff, &[&of.location]);
    match kind {
        Kind::StaffInactive if revoked => record.active = false,
        Kind::LocationTakenAway if revoked => record.location_ids.clear(),
        _ => {}
    }
    record
}

async fn delete(mut directory: DirectoryServiceClient<CallerChannel>, of: &Relationship, kind: Kind, version: i64) {
    match kind {
        Kind::PortalUserDeleted => {
            let portal_user_id = of.portal_user.clone();
            let request = proto::DeletePortalUserRequest {
                portal_user_id,
                version,
            };
            directory.delete_portal_user(request).await.map(drop)
        }
        Kind::ChartDeleted => {
            let chart_id = of.chart.clone();
            let request = proto::DeleteChartRequest { chart_id, version };
            directory.delete_chart(request).await.map(drop)
        }
        _ => {
            let staff_id = of.staff.clone();
            let request = proto::DeleteStaffRequest { staff_id, version };
            directory.delete_staff(request).await.map(drop)
        }
    }
    .unwrap();
}
