//! The eligibility service of a test: it says what the test wants.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use carepost_proto::common::v1::EligibilityReason;
use carepost_proto::eligibility::v1::{
    BatchCheckEligibilityRequest, BatchCheckEligibilityResponse, BatchGetNamesRequest, BatchGetNamesResponse,
    ChartSummary, CheckEligibilityRequest, CheckEligibilityResponse, Decision, Denial, EligibleRecipient,
    GetComposeOptionsRequest, GetComposeOptionsResponse, GetEmailRecipientRequest, GetEmailRecipientResponse,
    ListEligibleRecipientsRequest, ListEligibleRecipientsResponse, Party, Question, Relationship,
    eligibility_service_server::{EligibilityService, EligibilityServiceServer},
    question::Parties,
};
use tokio::net::TcpListener;
use tonic::{
    Request, Response, Status, async_trait,
    transport::{Server, server::TcpIncoming},
};

use crate::support::{GUARDIAN, ORGANIZATION};

/// What the eligibility service of a test says.
#[derive(Clone)]
pub enum Says {
    /// Everybody may write to everybody.
    Yes,
    /// This.
    Decides(Decision),
    /// Nothing: it is down.
    Nothing,
    /// Nothing, and never.
    Silence,
    /// Something that makes no sense.
    Nonsense,
}

/// What it holds, and what it was asked.
#[derive(Default)]
struct State {
    says: Option<Says>,
    asked: u64,
    batches: Vec<usize>,
    /// Names that are not made from ids, by `staff/ID`, `portal/ID` and the id of a chart.
    names: BTreeMap<String, String>,
    /// Names that are told once before those, by the same ids: what a slow answer tells.
    late_names: BTreeMap<String, VecDeque<String>>,
    /// Whether answers about many messages tell names.
    names_in_batches: bool,
    /// Ids of staff who have left.
    left: BTreeSet<String>,
    /// Portal users who are connected to no chart, by id.
    disconnected: BTreeSet<String>,
    /// Persons about whose names it refuses to answer.
    refused: BTreeSet<String>,
    /// Persons whose names it answers so that nobody can read it.
    garbled: BTreeSet<String>,
    asked_names: Vec<BatchGetNamesRequest>,
    options: BTreeMap<Option<String>, GetComposeOptionsResponse>,
    asked_recipients: Option<ListEligibleRecipientsRequest>,
}

impl State {
    fn name(&mut self, id: &str, word: &str) -> String {
        if let Some(late) = self.late_names.get_mut(id).and_then(VecDeque::pop_front) {
            return late;
        }
        let made = || format!("{word} of {id}");
        self.names.get(id).cloned().unwrap_or_else(made)
    }

    /// The names of everybody in a question, and of its patient.
    fn names_of(&mut self, question: &Question) -> (Vec<Party>, Option<ChartSummary>) {
        let (people, chart) = match question.parties.as_ref().unwrap() {
            Parties::Portal(parties) => {
                let people = [
                    format!("staff/{}", parties.staff_id),
                    format!("portal/{}", parties.portal_user_id),
                ];
                (Vec::from(people), Some(parties.chart_id.clone()))
            }
            Parties::Staff(parties) => {
                let staff = parties.recipient_ids.iter().chain([&parties.sender_id]);
                let people = staff.map(|id| format!("staff/{id}"));
                (people.collect(), parties.chart_id.clone())
            }
        };
        let parties = people.into_iter().map(|person| self.party(person)).collect();
        (parties, chart.map(|chart| self.chart(chart)))
    }

    fn party(&mut self, person: String) -> Party {
        Party {
            display_name: self.name(&person, "Name"),
            person,
        }
    }

    fn told_of(&mut self, person: String) -> Party {
        if self.garbled.contains(&person) {
            return Party {
                person: "nobody at all".to_owned(),
                ..Party::default()
            };
        }
        self.party(person)
    }

    fn chart(&mut self, chart_id: String) -> ChartSummary {
        ChartSummary {
            patient_name: self.name(&chart_id, "Patient"),
            chart_id,
            ..ChartSummary::default()
        }
    }

    /// Whether the member of staff who writes, or is written to by a portal user, has left.
    fn has_left(&self, question: &Question) -> bool {
        self.left.contains(match question.parties.as_ref().unwrap() {
            Parties::Portal(parties) => &parties.staff_id,
            Parties::Staff(parties) => &parties.sender_id,
        })
    }

    fn is_disconnected(&self, question: &Question) -> bool {
        match question.parties.as_ref().unwrap() {
            Parties::Portal(parties) => self.disconnected.contains(&parties.portal_user_id),
            Parties::Staff(_) => false,
        }
    }

    fn decide(&mut self, question: &Question) -> Decision {
        let (parties, chart) = self.names_of(question);
        match &self.says {
            Some(Says::Decides(decision)) => decision.clone(),
            _ if self.has_left(question) => Decision {
                denials: vec![Denial {
                    reason: EligibilityReason::StaffInactive.into(),
                    ..Denial::default()
                }],
                parties,
                chart,
                ..Decision::default()
            },
            _ if self.is_disconnected(question) => Decision {
                denials: vec![Denial {
                    reason: EligibilityReason::PortalUserNotConnected.into(),
                    ..Denial::default()
                }],
                parties,
                chart,
                ..Decision::default()
            },
            _ => Decision {
                allowed: true,
                parties,
                chart,
                portal_user_connected: true,
                ..Decision::default()
            },
        }
    }
}

/// The eligibility service of a test.
#[derive(Clone, Default)]
pub struct StubEligibility(Arc<Mutex<State>>);

impl StubEligibility {
    fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.0.lock().unwrap())
    }

    pub fn says(&self, says: Says) {
        self.with(|state| state.says = Some(says));
    }

    /// How often it was asked whether one message may be sent.
    pub fn asked(&self) -> u64 {
        self.with(|state| state.asked)
    }

    /// How many questions each batch had.
    pub fn batches(&self) -> Vec<usize> {
        self.with(|state| state.batches.clone())
    }

    /// From now on somebody, or the patient of a chart, is called this.
    pub fn calls(&self, id: &str, name: &str) {
        self.with(|state| state.names.insert(id.to_owned(), name.to_owned()));
    }

    /// The next answer about them still says this.
    pub fn still_calls(&self, id: &str, name: &str) {
        self.with(|state| {
            let late = state.late_names.entry(id.to_owned()).or_default();
            late.push_back(name.to_owned());
        });
    }

    /// From now on somebody is not active.
    pub fn leaves(&self, staff_id: &str) {
        self.with(|state| state.left.insert(staff_id.to_owned()));
    }

    /// From now on a portal user is connected to no chart, or to all again.
    pub fn disconnects(&self, portal_user_id: &str) {
        self.with(|state| state.disconnected.insert(portal_user_id.to_owned()));
    }

    pub fn reconnects(&self, portal_user_id: &str) {
        self.with(|state| state.disconnected.remove(portal_user_id));
    }

    /// From now on it refuses what asks for the name of this person.
    pub fn refuses_name_of(&self, person: &str) {
        self.with(|state| state.refused.insert(person.to_owned()));
    }

    /// From now on nobody can read its answer about the name of this person.
    pub fn garbles_name_of(&self, person: &str) {
        self.with(|state| state.garbled.insert(person.to_owned()));
    }

    /// From now on, answers about many messages tell names.
    pub fn tells_names_in_batches(&self) {
        self.with(|state| state.names_in_batches = true);
    }

    /// Whose names it was asked, each time.
    pub fn asked_names(&self) -> Vec<BatchGetNamesRequest> {
        self.with(|state| state.asked_names.clone())
    }

    /// What somebody may start with this chart, or with none.
    pub fn offers(&self, chart: Option<&str>, options: GetComposeOptionsResponse) {
        self.with(|state| state.options.insert(chart.map(str::to_owned), options));
    }

    /// What it was last asked for recipients.
    pub fn asked_recipients(&self) -> ListEligibleRecipientsRequest {
        self.with(|state| state.asked_recipients.clone()).unwrap()
    }

    /// Who is silent or down gives no answer.
    async fn answers(&self) -> Result<(), Status> {
        let says = self.with(|state| state.says.clone());
        match says {
            Some(Says::Nothing) => Err(Status::unavailable("down")),
            Some(Says::Silence) => std::future::pending().await,
            _ => Ok(()),
        }
    }

    pub async fn start() -> (Self, SocketAddr) {
        let stub = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let service = EligibilityServiceServer::new(stub.clone());
        tokio::spawn(
            Server::builder()
                .add_service(service)
                .serve_with_incoming(TcpIncoming::from(listener)),
        );
        (stub, address)
    }
}

#[async_trait]
impl EligibilityService for StubEligibility {
    async fn check_eligibility(
        &self,
        request: Request<CheckEligibilityRequest>,
    ) -> Result<Response<CheckEligibilityResponse>, Status> {
        assert_eq!(request.metadata().get("carepost-organization").unwrap(), ORGANIZATION);
        self.with(|state| state.asked += 1);
        self.answers().await?;
        let question = request.into_inner().question.unwrap();
        Ok(Response::new(CheckEligibilityResponse {
            decision: Some(self.with(|state| state.decide(&question))),
        }))
    }

    async fn batch_check_eligibility(
        &self,
        request: Request<BatchCheckEligibilityRequest>,
    ) -> Result<Response<BatchCheckEligibilityResponse>, Status> {
        let questions = request.into_inner().questions;
        self.with(|state| state.batches.push(questions.len()));
        self.answers().await?;
        let nonsense = self.with(|state| matches!(state.says, Some(Says::Nonsense)));
        let answered = questions.iter().skip(usize::from(nonsense));
        let names = self.with(|state| state.names_in_batches);
        let decisions = answered.map(|question| self.with(|state| state.decide(question)));
        // A test of events would not know otherwise what refreshed a name.
        let decisions = decisions.map(|decision| match names {
            true => decision,
            false => Decision {
                parties: Vec::new(),
                chart: decision.chart.map(|chart| ChartSummary {
                    patient_name: String::new(),
                    ..chart
                }),
                ..decision
            },
        });
        Ok(Response::new(BatchCheckEligibilityResponse {
            decisions: decisions.collect(),
        }))
    }

    async fn list_eligible_recipients(
        &self,
        request: Request<ListEligibleRecipientsRequest>,
    ) -> Result<Response<ListEligibleRecipientsResponse>, Status> {
        self.answers().await?;
        let request = request.into_inner();
        if !request.page_token.is_empty() {
            return Err(Status::invalid_argument("page_token"));
        }
        self.with(|state| state.asked_recipients = Some(request));
        let guardian = EligibleRecipient {
            person: GUARDIAN.to_owned(),
            display_name: "Guardian".to_owned(),
            relationship: Relationship::Guardian.into(),
        };
        Ok(Response::new(ListEligibleRecipientsResponse {
            recipients: vec![guardian],
            next_page_token: "next".to_owned(),
        }))
    }

    async fn get_compose_options(
        &self,
        request: Request<GetComposeOptionsRequest>,
    ) -> Result<Response<GetComposeOptionsResponse>, Status> {
        self.answers().await?;
        let chart = request.into_inner().chart_id;
        let options = self.with(|state| state.options.get(&chart).cloned());
        Ok(Response::new(options.unwrap_or_default()))
    }

    async fn batch_get_names(
        &self,
        request: Request<BatchGetNamesRequest>,
    ) -> Result<Response<BatchGetNamesResponse>, Status> {
        let request = request.into_inner();
        self.with(|state| state.asked_names.push(request.clone()));
        self.answers().await?;
        let refused = self.with(|state| request.persons.iter().any(|person| state.refused.contains(person)));
        if refused || request.persons.len() + request.chart_ids.len() > 1_000 {
            return Err(Status::invalid_argument("persons"));
        }
        let answer = self.with(|state| BatchGetNamesResponse {
            persons: request
                .persons
                .into_iter()
                .map(|person| state.told_of(person))
                .collect(),
            charts: request.chart_ids.into_iter().map(|chart| state.chart(chart)).collect(),
        });
        Ok(Response::new(answer))
    }

    async fn get_email_recipient(
        &self,
        _: Request<GetEmailRecipientRequest>,
    ) -> Result<Response<GetEmailRecipientResponse>, Status> {
        Err(Status::unimplemented("not asked here"))
    }
}
