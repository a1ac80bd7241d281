//! Tokens that are wrong in one way each, of issuers with each kind of key.

use carepost_audit::Occasion;
use carepost_proto::ACCESS_TABLE;
use carepost_rpc::authn::{Authenticator, IdentitySettings, Keys};
use carepost_runtime::{Clock, settings::Reader};
use carepost_testkit::TokenIssuer;
use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::served::GET_UNREAD_COUNT;

async fn call(authenticator: &Authenticator, token: &str) -> Result<(), Status> {
    let access = ACCESS_TABLE
        .iter()
        .find(|access| access.path == GET_UNREAD_COUNT)
        .unwrap();
    let occasion = Occasion::own(uuid::Uuid::nil(), "test");
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, HeaderValue::try_from(format!("Bearer {token}")).unwrap());
    authenticator.caller(&headers, access, &occasion).await.map(drop)
}

async fn authenticator(issuer: &TokenIssuer) -> (Authenticator, tempfile::TempDir) {
    authenticator_at(issuer, Clock::system()).await
}

async fn authenticator_at(issuer: &TokenIssuer, clock: Clock) -> (Authenticator, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.json");
    issuer.write_jwks(&file);
    let text = format!(
        "[identity]\naudience = \"carepost\"\nservices = []\n[[identity.issuers]]\nissuer = \"people\"\n\
         jwks_file = {file:?}\norganizations = [\"prairie\"]\n"
    );
    let mut reader = Reader::embedded(&text, "").unwrap();
    let settings = IdentitySettings::read(&mut reader);
    let settings = reader.finish(settings).unwrap();
    let keys = Keys::load(&settings).await;
    (Authenticator::new(settings, keys, clock), folder)
}

#[tokio::test]
async fn a_bad_token_is_refused_whatever_kind_of_key_its_issuer_has() {
    for issuer in [
        TokenIssuer::new("people"),
        TokenIssuer::eddsa("people"),
        TokenIssuer::rs256("people"),
    ] {
        let (authenticator, _folder) = authenticator(&issuer).await;
        call(&authenticator, &issuer.person("prairie", "staff/1"))
            .await
            .unwrap();
        let foreign = call(&authenticator, &issuer.person("elsewhere", "staff/1")).await;
        assert_eq!(foreign.unwrap_err().code(), Code::PermissionDenied);
        for (wrong, token) in issuer.bad_ones("prairie", "staff/1") {
            let refused = call(&authenticator, &token).await.expect_err(wrong);
            let reason = refused.get_details_error_info().unwrap().reason;
            let expected = match wrong {
                "expired" | "not yet valid" => "TOKEN_EXPIRED",
                _ => "TOKEN_INVALID",
            };
            assert_eq!(
                (refused.code(), reason.as_str()),
                (Code::Unauthenticated, expected),
                "{wrong}"
            );
        }
        // Nothing that was refused is remembered as good.
        call(&authenticator, &issuer.person("prairie", "staff/1"))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn an_issuer_s_clock_may_differ_by_half_a_minute() {
    let issuer = TokenIssuer::new("people");
    let now = Clock::system().now();
    let (authenticator, _folder) = authenticator_at(&issuer, Clock::manual(now)).await;
    let valid = async |from: i64, until: i64| {
        let mut claims = issuer.person_claims("prairie", "staff/1");
        claims["nbf"] = (now.timestamp() + from).into();
        claims["exp"] = (now.timestamp() + until).into();
        let answer = call(&authenticator, &issuer.custom(&claims)).await;
        answer.map_err(|refused| refused.get_details_error_info().unwrap().reason)
    };
    assert_eq!(valid(-600, -30).await, Ok(()));
    assert_eq!(valid(-600, -31).await, Err("TOKEN_EXPIRED".to_owned()));
    assert_eq!(valid(30, 600).await, Ok(()));
    assert_eq!(valid(31, 600).await, Err("TOKEN_EXPIRED".to_owned()));
}

#[tokio::test]
async fn a_token_is_no_longer_than_it_may_be() {
    let issuer = TokenIssuer::new("people");
    let (authenticator, _folder) = authenticator(&issuer).await;
    let padded = |length: usize| {
        let mut claims = issuer.person_claims("prairie", "staff/1");
        claims["padding"] = "x".repeat(length).into();
        issuer.custom(&claims)
    };
    call(&authenticator, &padded(5_000)).await.unwrap();
    let refused = call(&authenticator, &padded(7_000)).await.unwrap_err();
    assert_eq!(refused.get_details_error_info().unwrap().reason, "TOKEN_INVALID");
}
