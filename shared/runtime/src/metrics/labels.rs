//! The values of labels, as types: each is one of a few words of this program. No id, name or text can become one, so the
//! number of series has a bound, and nothing about a person can get in.

use std::fmt;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};

macro_rules! label {
    ($(#[$about:meta])* $name:ident { $($(#[$meaning:meta])* $value:ident = $word:literal,)+ }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name {
            $($(#[$meaning])* $value,)+
        }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$value,)+];

            /// The word.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$value => $word,)+
                }
            }
        }

        impl EncodeLabelValue for $name {
            fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), fmt::Error> {
                self.word().encode(encoder)
            }
        }
    };
}

label! {
    /// A part of the suite.
    Component {
        /// The eligibility service.
        Eligibility = "eligibility",
        /// The messaging service.
        Messaging = "messaging",
        /// The notification service.
        Notification = "notification",
    }
}

label! {
    /// Which certificate of a server.
    Certificate {
        /// That which it shows, with those between it and its authority.
        Served = "served",
        /// That of the authorities that its clients' certificates come from.
        ClientAuthority = "client_authority",
    }
}

label! {
    /// A queue that outlasts its consumers.
    Queue {
        /// Messages that were sent, for emails.
        MessageSent = "message-sent",
        /// Changes of the directory, for names.
        DirectoryChanged = "directory-changed",
        /// What no consumer could make sense of.
        DeadLetters = "dead-letters",
    }
}

impl Queue {
    /// The queue with this name on the broker, whatever prefix it has.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|queue| name.ends_with(queue.word()))
    }
}

label! {
    /// What came of an event that was to be published.
    Published {
        /// The broker confirmed it.
        Confirmed = "confirmed",
        /// The broker was away, or did not confirm it: it stays.
        Delayed = "delayed",
        /// It cannot be published as it is: it stays.
        Failed = "failed",
    }
}

label! {
    /// What came of a try to handle a message.
    Consumed {
        /// The service has kept it.
        Done = "done",
        /// Something was down: it is tried again.
        Retried = "retried",
        /// It became a dead letter.
        DeadLettered = "dead_lettered",
    }
}

label! {
    /// The state of a delivery that is not over.
    Delivery {
        /// Recorded, not tried yet.
        Pending = "pending",
        /// Being tried.
        Sending = "sending",
        /// To be tried again.
        Retrying = "retrying",
    }
}

label! {
    /// How a delivery ended, until an operator retries it.
    Ended {
        /// The mail server has it.
        Sent = "sent",
        /// Refused for good, or given up.
        Failed = "failed",
        /// Nothing was to be sent.
        Suppressed = "suppressed",
    }
}

label! {
    /// How an attempt at a delivery ended.
    Attempt {
        /// The mail server has the email.
        Accepted = "accepted",
        /// It will never take it.
        Refused = "refused",
        /// It may take it later.
        Postponed = "postponed",
        /// Nobody knows whether it has it: the window in which an email may be sent twice.
        Unknown = "unknown",
        /// Nothing was to be sent.
        Suppressed = "suppressed",
    }
}

label! {
    /// How long a portal user has waited for an answer.
    Age {
        /// Less than 1 day.
        UnderOneDay = "under_1_day",
        /// 1 day or more, less than 3.
        OneToThreeDays = "1_to_3_days",
        /// 3 days or more, less than 7.
        ThreeToSevenDays = "3_to_7_days",
        /// 7 days or more, less than 30.
        SevenToThirtyDays = "7_to_30_days",
        /// 30 days or more.
        OverThirtyDays = "over_30_days",
    }
}

label! {
    /// How a connection to the database is used.
    Use {
        /// Somebody has it.
        Busy = "busy",
        /// It waits for somebody.
        Idle = "idle",
    }
}

label! {
    /// What a service needs.
    Dependency {
        /// Its own database.
        Database = "database",
        /// The broker.
        Broker = "broker",
    }
}

label! {
    /// How a call of another service ended.
    Called {
        /// It answered.
        Answered = "answered",
        /// It refused what was asked.
        Refused = "refused",
        /// It does not accept who we are, or that we ask.
        Unauthorized = "unauthorized",
        /// It did not answer.
        Unavailable = "unavailable",
    }
}

label! {
    /// Why there were too many calls.
    Shed {
        /// Of all together.
        Overloaded = "overloaded",
        /// Of one caller, or of their organization.
        RateLimited = "rate_limited",
    }
}

label! {
    /// The status of an answer.
    Code {
        /// Ok.
        Ok = "OK",
        /// The caller did not wait.
        Cancelled = "CANCELLED",
        /// A fault that has no other code.
        Unknown = "UNKNOWN",
        /// The request is wrong.
        InvalidArgument = "INVALID_ARGUMENT",
        /// It took too long.
        DeadlineExceeded = "DEADLINE_EXCEEDED",
        /// There is no such thing.
        NotFound = "NOT_FOUND",
        /// There is one already.
        AlreadyExists = "ALREADY_EXISTS",
        /// The caller may not.
        PermissionDenied = "PERMISSION_DENIED",
        /// Too many calls.
        ResourceExhausted = "RESOURCE_EXHAUSTED",
        /// Not as things are.
        FailedPrecondition = "FAILED_PRECONDITION",
        /// Something was changed meanwhile.
        Aborted = "ABORTED",
        /// Out of the range.
        OutOfRange = "OUT_OF_RANGE",
        /// There is no such RPC.
        Unimplemented = "UNIMPLEMENTED",
        /// A fault of the service.
        Internal = "INTERNAL",
        /// Something that is needed is down.
        Unavailable = "UNAVAILABLE",
        /// Something is lost.
        DataLoss = "DATA_LOSS",
        /// Nobody knows who calls.
        Unauthenticated = "UNAUTHENTICATED",
    }
}

impl From<tonic::Code> for Code {
    fn from(code: tonic::Code) -> Self {
        // Both are in the order of their numbers.
        Self::ALL.get(code as usize).copied().unwrap_or(Self::Unknown)
    }
}

/// An RPC, by the path that the program itself has for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rpc {
    service: &'static str,
    method: &'static str,
}

impl Rpc {
    /// What is none of ours.
    pub const OTHER: Self = Self {
        service: "other",
        method: "other",
    };

    /// The RPC of a path such as `/carepost.messaging.v1.MessagingService/Reply`. It is `'static`, so that no path that a
    /// client made up can be given.
    #[must_use]
    pub fn of(path: &'static str) -> Self {
        let parts = path.trim_start_matches('/').split_once('/');
        parts.map_or(Self::OTHER, |(service, method)| Self { service, method })
    }
}

macro_rules! labels {
    ($($name:ident { $($label:ident: $value:ty,)+ })+) => {
        $(
            #[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
            pub(super) struct $name {
                $(pub $label: $value,)+
            }
        )+
    };
}

labels! {
    OfBuild { component: Component, version: &'static str, }
    OfServed { service: &'static str, method: &'static str, code: Code, }
    OfCalled { peer: &'static str, outcome: Called, }
    OfShed { reason: Shed, }
    OfIssuer { issuer: u32, }
    OfComponent { component: Component, }
    OfPool { component: Component, r#use: Use, }
    OfDependency { component: Component, dependency: Dependency, }
    OfCertificate { certificate: Certificate, }
    OfPublished { outcome: Published, }
    OfQueue { queue: Queue, }
    OfConsumed { queue: Queue, outcome: Consumed, }
    OfDelivery { state: Delivery, }
    OfEnded { state: Ended, }
    OfAttempt { outcome: Attempt, }
    OfAge { age: Age, }
}

impl OfServed {
    pub(super) fn new(rpc: Rpc, code: Code) -> Self {
        Self {
            service: rpc.service,
            method: rpc.method,
            code,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_grpc_has_its_word() {
        for number in 0..=16 {
            let code = tonic::Code::from_i32(number);
            let ours = Code::from(code);
            let word = format!("{code:?}");
            assert_eq!(ours.word().replace('_', "").to_lowercase(), word.to_lowercase());
        }
        assert_eq!(Code::ALL.len(), 17);
    }

    #[test]
    fn a_queue_is_known_whatever_its_prefix() {
        assert_eq!(
            Queue::named("x-carepost.notification.message-sent"),
            Some(Queue::MessageSent)
        );
        assert_eq!(Queue::named("carepost.dead-letters"), Some(Queue::DeadLetters));
        assert_eq!(Queue::named("carepost.listener.1"), None);
    }

    #[test]
    fn an_rpc_is_its_service_and_its_method() {
        let rpc = Rpc::of("/carepost.messaging.v1.MessagingService/Reply");
        assert_eq!(
            (rpc.service, rpc.method),
            ("carepost.messaging.v1.MessagingService", "Reply")
        );
        assert_eq!(Rpc::of("nonsense"), Rpc::OTHER);
    }
}
