//! Who is calling: a verified token, and what the configuration makes of it.
//!
//! A token is either a person's (`org`, `sub` = `staff/ID` or `portal/ID`) or a service's, which the configuration knows by
//! issuer and subject and gives a name, scopes and organizations. Everything else is refused.

mod fetch;
mod keys;
mod settings;
mod token;

use std::sync::Arc;

use carepost_audit::{Occasion, Who};
use carepost_identity::{Actor, OrganizationId, PersonId};
use carepost_proto::{RpcAccess, common::v1::ErrorReason};
use carepost_runtime::Clock;
use http::{HeaderMap, header::AUTHORIZATION};
use tonic::Status;

pub use keys::Keys;
pub use settings::IdentitySettings;

use self::{
    settings::{Organizations, Service},
    token::{Claims, Tokens, Unverified},
};
use crate::{Caller, status};

/// The metadata with which a service names the organization of a call.
pub const ORGANIZATION: &str = "carepost-organization";
/// The metadata with which a service names the person whose session it relays.
pub const ACT_AS: &str = "carepost-act-as";

/// Turns the metadata of a call into its caller.
#[derive(Clone)]
pub struct Authenticator(Arc<Inner>);

struct Inner {
    settings: IdentitySettings,
    tokens: Tokens,
}

/// Whom a verified token speaks for.
#[derive(Debug)]
enum Bearer<'a> {
    Person {
        organization: OrganizationId,
        person: PersonId,
        allowed: &'a Organizations,
    },
    Service(&'a Service),
}

impl Bearer<'_> {
    /// As the token alone tells. An organization that somebody may not speak for has nothing of them in its trail.
    fn who(&self) -> Who {
        let (organization, actor) = match self {
            Self::Person {
                organization,
                person,
                allowed,
            } => (
                allowed.contain(organization).then(|| organization.clone()),
                Actor::Person(person.clone()),
            ),
            Self::Service(service) => (None, Actor::Service(service.name.clone())),
        };
        Who {
            organization,
            actor: Some(actor),
        }
    }
}

impl Authenticator {
    /// An authenticator with these keys; who keeps them fresh is [`Keys::keep_fresh`].
    #[must_use]
    pub fn new(settings: IdentitySettings, keys: Keys, clock: Clock) -> Self {
        let tokens = Tokens::new(settings.audience.clone(), keys, clock);
        Self(Arc::new(Inner { settings, tokens }))
    }

    /// Verifies the token alone, and tells whose it is.
    ///
    /// # Errors
    /// UNAUTHENTICATED without a good token, UNAVAILABLE while the issuer's keys cannot be read.
    pub async fn verify(&self, headers: &HeaderMap) -> Result<Who, Status> {
        let claims = self.claims(headers).await?;
        Ok(self.bearer(&claims)?.who())
    }

    /// The caller of an RPC.
    ///
    /// # Errors
    /// As for [`Authenticator::verify`], and PERMISSION_DENIED for one who may not call it for this organization. The occasion
    /// then has what is known of them.
    pub async fn caller(&self, headers: &HeaderMap, access: &RpcAccess, occasion: &Occasion) -> Result<Caller, Status> {
        let claims = self.claims(headers).await?;
        let bearer = self.bearer(&claims)?;
        // First of all: whatever else they show, it is known who they are.
        occasion.identify(bearer.who());
        let named = metadata(headers, ORGANIZATION)?;
        let act_as = metadata(headers, ACT_AS)?;
        let (organization, actor) = match bearer {
            Bearer::Person {
                organization,
                person,
                allowed,
            } => {
                if !allowed.contain(&organization) || named.is_some_and(|named| named != organization.as_str()) {
                    return Err(organization_not_allowed());
                }
                if act_as.is_some() {
                    return Err(for_oneself_alone());
                }
                if !access.person {
                    return Err(caller_not_allowed());
                }
                (organization, Actor::Person(person))
            }
            Bearer::Service(service) => {
                let identified = |organization: Option<OrganizationId>, actor: Actor| {
                    occasion.identify(Who {
                        organization,
                        actor: Some(actor),
                    });
                };
                let organization = named.and_then(|named| OrganizationId::parse(named).ok());
                let organization = organization.filter(|organization| service.organizations.contain(organization));
                identified(organization.clone(), Actor::Service(service.name.clone()));
                let organization = organization.ok_or_else(organization_not_allowed)?;
                let actor = service_actor(service, act_as, access)?;
                identified(Some(organization.clone()), actor.clone());
                (organization, actor)
            }
        };
        Ok(Caller {
            organization,
            actor,
            expires: claims.accepted_until(),
            occasion: occasion.clone(),
        })
    }

    async fn claims(&self, headers: &HeaderMap) -> Result<Arc<Claims>, Status> {
        let token = bearer_token(headers)?;
        self.0
            .tokens
            .verify(token)
            .await
            .map_err(|unverified| match unverified {
                Unverified::Invalid => status::refusal(ErrorReason::TokenInvalid, "the token is not accepted"),
                Unverified::Expired => {
                    status::refusal(ErrorReason::TokenExpired, "the token has expired or is not valid yet")
                }
                Unverified::NoKeys => status::unavailable("issuer", keys::RETRY),
            })
    }

    fn bearer<'a>(&'a self, claims: &Claims) -> Result<Bearer<'a>, Status> {
        let settings = &self.0.settings;
        if let Some(service) = settings.service(&claims.iss, &claims.sub) {
            return Ok(Bearer::Service(service));
        }
        let invalid = || {
            status::refusal(
                ErrorReason::TokenInvalid,
                "the token names no person and no known service",
            )
        };
        let issuer = settings.issuer(&claims.iss).ok_or_else(invalid)?;
        let organization = claims
            .org
            .as_deref()
            .and_then(|org| OrganizationId::parse(org).ok())
            .ok_or_else(invalid)?;
        let person = PersonId::parse(&claims.sub).map_err(|_| invalid())?;
        Ok(Bearer::Person {
            organization,
            person,
            allowed: &issuer.organizations,
        })
    }
}

fn service_actor(service: &Service, act_as: Option<&str>, access: &RpcAccess) -> Result<Actor, Status> {
    let Some(person) = act_as else {
        let scope = access.scope.ok_or_else(caller_not_allowed)?;
        require(service, scope)?;
        return Ok(Actor::Service(service.name.clone()));
    };
    if !access.person {
        return Err(caller_not_allowed());
    }
    let person = PersonId::parse(person).map_err(|_| caller_not_allowed())?;
    require(
        service,
        if matches!(person, PersonId::Staff(_)) {
            "act_as:staff"
        } else {
            "act_as:portal"
        },
    )?;
    Ok(Actor::OnBehalf {
        service: service.name.clone(),
        person,
    })
}

fn require(service: &Service, scope: &str) -> Result<(), Status> {
    if service.scopes.contains(scope) {
        return Ok(());
    }
    let metadata = [("scope", scope.to_owned())];
    Err(status::refusal_with(
        ErrorReason::ScopeMissing,
        "the service lacks a scope",
        &metadata,
    ))
}

fn bearer_token(headers: &HeaderMap) -> Result<&str, Status> {
    let missing = || status::refusal(ErrorReason::TokenMissing, "a bearer token is required");
    let value = headers
        .get(AUTHORIZATION)
        .ok_or_else(missing)?
        .to_str()
        .map_err(|_| missing())?;
    match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token.trim()),
        _ => Err(missing()),
    }
}

/// A piece of metadata. Given twice it has no one meaning.
fn metadata<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Status> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| caller_not_allowed()),
        _ => Err(caller_not_allowed()),
    }
}

fn organization_not_allowed() -> Status {
    let message = "this caller may not speak for the organization, or named none in carepost-organization";
    status::refusal(ErrorReason::OrganizationNotAllowed, message)
}

fn for_oneself_alone() -> Status {
    let message =
        "a person's token speaks for that person alone: leave carepost-act-as out, or relay with a service's token";
    status::refusal(ErrorReason::CallerNotAllowed, message)
}

fn caller_not_allowed() -> Status {
    status::refusal(ErrorReason::CallerNotAllowed, "this kind of caller may not call this")
}
