//! PreviewEmail (N5).

use carepost_proto::notification::v1::{
    DeliveryState, EmailKind, ListDeliveriesRequest, PreviewBrand, PreviewEmailRequest, PreviewEmailResponse,
};
use carepost_testkit::smtp::Security;
use tonic::Code;
use tonic_types::StatusExt;

use crate::{
    parts::Column,
    stub::active,
    support::{Service, World},
};

async fn preview(service: &Service, request: PreviewEmailRequest) -> PreviewEmailResponse {
    let answer = service.client("southern").preview_email(request).await;
    answer.unwrap().into_inner()
}

fn southern() -> PreviewEmailRequest {
    PreviewEmailRequest {
        brand: Some(PreviewBrand {
            name: "Southern Clinics".to_owned(),
            ..PreviewBrand::default()
        }),
        link: "https://portal.southern.example/inbox".to_owned(),
        ..PreviewEmailRequest::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn n5_a_preview_is_what_would_be_sent_and_sends_nothing() {
    let world = World::new(Column::Embedded, "preview", Security::Plain).await;
    world.eligibility.put("southern", "one", active("one@home.example"));
    let service = world.serve().await;
    let shown = preview(&service, southern()).await;
    assert!(
        service
            .list(ListDeliveriesRequest::default())
            .await
            .deliveries
            .is_empty()
    );
    assert!(world.mails().is_empty());

    let sent = world.publish(&["portal/one"]).await;
    service.wait_for_state(sent.delivery, DeliveryState::Sent).await;
    let mail = world.mails().remove(0);
    for header in &shown.headers {
        let found = mail.header(&header.name).unwrap();
        match header.name.as_str() {
            "To" => assert_eq!(header.value, "recipient@example.org"),
            // The boundary, too, is made of the id.
            "Date" | "Message-ID" | "Content-Type" => {}
            _ => assert_eq!(header.value, found),
        }
    }
    assert_eq!(mail.header("Subject"), Some(shown.subject));
    // Both are ASCII here, and short lines go out as they are.
    assert!(mail.data.contains(&shown.text.replace('\n', "\r\n")));
    service.stop().await;
    world.clear().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_is_in_a_language_that_emails_are_written_in_or_refused() {
    let world = World::new(Column::Embedded, "locales", Security::Plain).await;
    let service = world.serve().await;
    let spanish = PreviewEmailRequest {
        locale: "es-419".to_owned(),
        ..southern()
    };
    let shown = preview(&service, spanish.clone()).await;
    assert_eq!(
        shown.subject,
        "Nuevo mensaje en su cuenta del portal de Southern Clinics"
    );
    assert!(shown.html.contains("lang=\"es\"") && shown.text.contains("Inicie sesión"));
    let neutral = PreviewEmailRequest {
        neutral: true,
        kind: EmailKind::Staff.into(),
        ..spanish
    };
    let shown = preview(&service, neutral).await;
    assert_eq!(shown.subject, "Nuevo mensaje en My Messages");
    for part in [&shown.text, &shown.html] {
        assert!(!part.contains("Southern"), "{part}");
    }
    let unknown = PreviewEmailRequest {
        locale: "tlh".to_owned(),
        ..southern()
    };
    let refused = service.client("southern").preview_email(unknown).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    let violations = refused.get_details_bad_request().unwrap().field_violations;
    assert_eq!((violations.len(), violations[0].field.as_str()), (1, "locale"));
    service.stop().await;
    world.clear().await;
}
