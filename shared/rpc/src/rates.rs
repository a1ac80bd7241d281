//! How often a caller may call: a bucket of tokens for each person, each service and each organization.
//!
//! It keeps one caller, a script that runs wild or a stolen token, from taking the places of all others. What a machine can
//! bear is the business of the places at its door.

use std::{
    hash::Hash,
    num::NonZeroU32,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use carepost_audit::Who;
use carepost_identity::{Actor, OrganizationId, PersonId, ServiceName};
use carepost_proto::common::v1::ErrorReason;
use carepost_runtime::{
    metrics::{labels::Shed, metrics},
    server::{Rate, RateSettings},
};
use governor::{
    Quota, RateLimiter,
    clock::{Clock, MonotonicClock},
    middleware::NoOpMiddleware,
    state::keyed::HashMapStateStore,
};
use tonic::Status;

use crate::status;

/// After so many calls, buckets that are full again are forgotten.
const FORGET_EVERY: u32 = 10_000;

/// The buckets of all callers.
pub(crate) struct Rates<C: Clock + Clone = MonotonicClock> {
    people: Buckets<(Option<OrganizationId>, PersonId), C>,
    services: Buckets<ServiceName, C>,
    organizations: Buckets<OrganizationId, C>,
}

impl Rates {
    pub(crate) fn new(settings: &RateSettings) -> Self {
        Self::by(settings, &MonotonicClock)
    }
}

impl<C: Clock + Clone> Rates<C> {
    fn by(settings: &RateSettings, clock: &C) -> Self {
        Self {
            people: Buckets::new(settings.person, clock),
            services: Buckets::new(settings.service, clock),
            organizations: Buckets::new(settings.organization, clock),
        }
    }

    /// Takes a token for this call. Nobody has one to pay of whom nothing is known.
    ///
    /// # Errors
    /// `RESOURCE_EXHAUSTED`, with the time until there is one again.
    pub(crate) fn take(&self, who: &Who) -> Result<(), Status> {
        let taken = match &who.actor {
            None => Ok(()),
            // A service asks for many organizations: it has a bucket alone. People share that of their organization, however
            // they come, so that the crowd of one hospital is not felt by another.
            Some(Actor::Service(service)) => self.services.take(service),
            Some(Actor::Person(person) | Actor::OnBehalf { person, .. }) => self
                .people
                .take(&(who.organization.clone(), person.clone()))
                .and_then(|()| match &who.organization {
                    Some(organization) => self.organizations.take(organization),
                    None => Ok(()),
                }),
        };
        taken.map_err(|wait| {
            metrics().shed(Shed::RateLimited);
            let message = "this caller, or their organization, calls more often than allowed";
            status::retry_later(ErrorReason::RateLimited, message, wait)
        })
    }
}

struct Buckets<K: Hash + Eq + Clone, C: Clock + Clone> {
    limiter: RateLimiter<K, HashMapStateStore<K>, C, NoOpMiddleware<C::Instant>>,
    clock: C,
    calls: AtomicU32,
}

impl<K: Hash + Eq + Clone, C: Clock + Clone> Buckets<K, C> {
    fn new(rate: Rate, clock: &C) -> Self {
        let at_least_one = |number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::per_second(at_least_one(rate.per_second)).allow_burst(at_least_one(rate.burst));
        Self {
            limiter: RateLimiter::hashmap_with_clock(quota, clock.clone()),
            clock: clock.clone(),
            calls: AtomicU32::new(0),
        }
    }

    fn take(&self, key: &K) -> Result<(), Duration> {
        if self.calls.fetch_add(1, Ordering::Relaxed) % FORGET_EVERY == FORGET_EVERY - 1 {
            self.limiter.retain_recent();
        }
        let taken = self.limiter.check_key(key);
        taken.map_err(|not_until| not_until.wait_time_from(self.clock.now()))
    }
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;
    use tonic::Code;
    use tonic_types::StatusExt;

    use super::*;

    const SETTINGS: RateSettings = RateSettings {
        person: Rate {
            per_second: 2,
            burst: 3,
        },
        service: Rate {
            per_second: 5,
            burst: 5,
        },
        organization: Rate {
            per_second: 4,
            burst: 6,
        },
    };

    fn person(organization: &str, person: &str) -> Who {
        caller(organization, Actor::Person(person.parse().unwrap()))
    }

    fn caller(organization: &str, actor: Actor) -> Who {
        Who {
            organization: OrganizationId::parse(organization).ok(),
            actor: Some(actor),
        }
    }

    fn calls(rates: &Rates<FakeRelativeClock>, who: &Who) -> usize {
        (0..100).take_while(|_| rates.take(who).is_ok()).count()
    }

    #[test]
    fn a_caller_has_a_burst_and_then_a_rate() {
        let clock = FakeRelativeClock::default();
        let rates = Rates::by(&SETTINGS, &clock);
        let ann = person("one", "staff/1");
        assert_eq!(calls(&rates, &ann), 3);
        let refused = rates.take(&ann).unwrap_err();
        assert_eq!(refused.code(), Code::ResourceExhausted);
        let wait = refused.get_details_retry_info().unwrap().retry_delay.unwrap();
        assert_eq!(wait, Duration::from_millis(500));
        clock.advance(Duration::from_millis(499));
        assert_eq!(calls(&rates, &ann), 0);
        clock.advance(Duration::from_millis(1));
        assert_eq!(calls(&rates, &ann), 1);
        clock.advance(Duration::from_secs(60));
        assert_eq!(calls(&rates, &ann), 3, "no more than a burst is saved up");
    }

    #[test]
    fn callers_are_apart_and_an_organization_s_people_share_its_bucket() {
        let rates = Rates::by(&SETTINGS, &FakeRelativeClock::default());
        let relay = ServiceName::parse("emr").unwrap();
        let relayed = Actor::OnBehalf {
            service: relay.clone(),
            person: "portal/2".parse().unwrap(),
        };
        assert_eq!(calls(&rates, &person("one", "staff/1")), 3);
        assert_eq!(
            calls(&rates, &caller("one", relayed)),
            3,
            "a relay does not share the bucket of one person"
        );
        assert_eq!(
            calls(&rates, &person("one", "staff/3")),
            0,
            "the organization's is empty"
        );
        assert_eq!(
            calls(&rates, &person("two", "staff/1")),
            3,
            "the same id elsewhere is somebody else"
        );
        assert_eq!(calls(&rates, &caller("one", Actor::Service(relay))), 5);
    }

    #[test]
    fn buckets_that_are_full_again_are_forgotten() {
        let clock = FakeRelativeClock::default();
        let buckets = Buckets::new(SETTINGS.person, &clock);
        for key in 0..FORGET_EVERY - 1 {
            buckets.take(&key).unwrap();
        }
        clock.advance(Duration::from_secs(10));
        buckets.take(&0).unwrap();
        assert!(buckets.limiter.len() < 3, "{}", buckets.limiter.len());
    }
}
