//! Email for staff who asked for it (N2).

use carepost_proto::{
    eligibility::v1::AccountStatus,
    notification::v1::{
        DeliveryState, GetPreferencesRequest, ListDeliveriesRequest, Preferences, SuppressionReason,
        UpdatePreferencesRequest,
    },
};
use carepost_testkit::smtp::Security;
use tonic::{Code, Status};
use tonic_types::StatusExt;
use uuid::Uuid;

use crate::{
    parts::{Column, on_both},
    stub::active,
    support::{Client, Credentials, ORGANIZATION, Sent, Service, World},
};

/// A person with a token of their own.
fn person(world: &World, service: &Service, organization: &str, person: &str) -> Client {
    service.client_of(Credentials {
        token: world.issuer.person(organization, person),
        ..Credentials::default()
    })
}

/// A person whose session the EMR relays.
fn relayed(world: &World, service: &Service, person: &str) -> Client {
    service.client_of(Credentials {
        token: world.issuer.service("emr"),
        organization: Some(ORGANIZATION.to_owned()),
        act_as: Some(person.to_owned()),
    })
}

async fn wanted(mut client: Client) -> bool {
    let answer = client.get_preferences(GetPreferencesRequest {}).await.unwrap();
    answer.into_inner().preferences.unwrap().email_on_message
}

async fn choose(mut client: Client, email_on_message: Option<bool>) -> Result<Preferences, Status> {
    let request = UpdatePreferencesRequest { email_on_message };
    let answer = client.update_preferences(request).await?;
    Ok(answer.into_inner().preferences.unwrap())
}

fn id(sent: &Sent, recipient: &str) -> Uuid {
    Uuid::new_v5(&sent.event.id, recipient.as_bytes())
}

on_both!(n2_a_preference_is_the_persons_own_and_off_until_chosen);
async fn n2_a_preference_is_the_persons_own_and_off_until_chosen(column: Column) {
    let world = World::new(column, "preferences", Security::Plain).await;
    let service = world.serve().await;
    let doctor = || person(&world, &service, "southern", "staff/doctor");
    assert!(!wanted(doctor()).await);
    for _ in 0..2 {
        let chosen = choose(doctor(), Some(true)).await.unwrap();
        assert!(chosen.email_on_message && wanted(doctor()).await);
    }
    // Nothing is said, nothing changes; and the EMR sees what they chose.
    assert!(choose(doctor(), None).await.unwrap().email_on_message);
    assert!(wanted(relayed(&world, &service, "staff/doctor")).await);
    for other in [
        person(&world, &service, "southern", "staff/nurse"),
        person(&world, &service, "prairie", "staff/doctor"),
    ] {
        assert!(!wanted(other).await);
    }
    let off = choose(relayed(&world, &service, "staff/doctor"), Some(false)).await;
    assert!(!off.unwrap().email_on_message && !wanted(doctor()).await);
    service.stop().await;
    world.clear().await;
}

on_both!(n1_a_portal_user_has_no_preference_and_a_service_none_of_its_own);
async fn n1_a_portal_user_has_no_preference_and_a_service_none_of_its_own(column: Column) {
    let world = World::new(column, "no_preferences", Security::Plain).await;
    let service = world.serve().await;
    for mut client in [
        person(&world, &service, "southern", "portal/one"),
        relayed(&world, &service, "portal/one"),
        service.client("southern"),
    ] {
        let asked = client.get_preferences(GetPreferencesRequest {}).await.unwrap_err();
        let chosen = choose(client, Some(false)).await.unwrap_err();
        for refused in [asked, chosen] {
            assert_eq!(refused.code(), Code::PermissionDenied);
            assert_eq!(refused.get_details_error_info().unwrap().reason, "CALLER_NOT_ALLOWED");
        }
    }
    service.stop().await;
    world.clear().await;
}

on_both!(n2_staff_who_asked_for_it_get_an_email_for_each_message_from_then_on);
async fn n2_staff_who_asked_for_it_get_an_email_for_each_message_from_then_on(column: Column) {
    let world = World::new(column, "staff", Security::Plain).await;
    for staff in ["doctor", "nurse", "porter"] {
        world
            .eligibility
            .put_staff("southern", staff, active(&format!("{staff}@clinic.example")));
    }
    let settings = format!(
        "staff_url = \"https://emr.southern.example/messages\"\n{}",
        world.mail()
    );
    let service = world.serve_with(&settings).await;
    let everybody = ["staff/doctor", "staff/nurse", "staff/porter"];
    let before = world.publish(&everybody).await;
    world.eligibility.put("southern", "last", active("last@home.example"));
    let last = world.publish(&["portal/last"]).await;
    service.wait_for_state(last.delivery, DeliveryState::Sent).await;
    // The nurse is the sender of what a test publishes.
    for staff in ["staff/doctor", "staff/nurse"] {
        choose(person(&world, &service, "southern", staff), Some(true))
            .await
            .unwrap();
    }
    let sent = world.publish(&everybody).await;
    let done = service
        .wait_for_state(id(&sent, "staff/doctor"), DeliveryState::Sent)
        .await;
    assert_eq!(done.recipient, "staff/doctor");
    let to_staff = service
        .list(ListDeliveriesRequest {
            recipient: "staff/doctor".to_owned(),
            ..ListDeliveriesRequest::default()
        })
        .await
        .deliveries;
    assert_eq!(to_staff, [done]);
    for (sent, recipient) in [
        (&before, "staff/doctor"),
        (&sent, "staff/nurse"),
        (&sent, "staff/porter"),
    ] {
        assert_eq!(service.delivery(id(sent, recipient)).await, None, "{recipient}");
    }
    let mails = world.mails();
    let mail = mails.iter().find(|mail| mail.to == ["doctor@clinic.example"]).unwrap();
    assert_eq!(
        mail.header("Subject").as_deref(),
        Some("New message in My Messages at Southern Clinics")
    );
    assert!(mail.data.contains("https://emr.southern.example/messages"));
    for word in ["portal", "nurse", "chart-1", &sent.message_id.to_string()] {
        assert!(!mail.data.contains(word), "{word}");
    }
    assert_eq!(mails.len(), 2);
    service.stop().await;
    world.clear().await;
}

on_both!(n4_staff_who_are_gone_or_have_no_address_get_nothing_and_it_is_recorded);
async fn n4_staff_who_are_gone_or_have_no_address_get_nothing_and_it_is_recorded(column: Column) {
    let world = World::new(column, "staff_gone", Security::Plain).await;
    let mut left = active("left@clinic.example");
    left.status = AccountStatus::Disabled.into();
    world.eligibility.put_staff("southern", "left", left);
    world.eligibility.put_staff("southern", "bare", active(""));
    let service = world.serve().await;
    let recipients = ["staff/left", "staff/ghost", "staff/bare"];
    for staff in recipients {
        choose(person(&world, &service, "southern", staff), Some(true))
            .await
            .unwrap();
    }
    let sent = world.publish(&recipients).await;
    for (recipient, reason) in [
        ("staff/left", SuppressionReason::AccountNotActive),
        ("staff/ghost", SuppressionReason::UnknownStaff),
    ] {
        let suppressed = service
            .wait_for_state(id(&sent, recipient), DeliveryState::Suppressed)
            .await;
        assert_eq!(suppressed.suppression_reason(), reason);
    }
    let failed = service
        .wait_for_state(id(&sent, "staff/bare"), DeliveryState::Failed)
        .await;
    assert_eq!(failed.last_answer, "the recipient has no address");
    assert!(world.mails().is_empty());
    service.stop().await;
    world.clear().await;
}
