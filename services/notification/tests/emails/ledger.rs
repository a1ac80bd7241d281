//! GetDelivery and ListDeliveries (N5).

use carepost_proto::notification::v1::{DeliveryState, GetDeliveryRequest, ListDeliveriesRequest};
use carepost_testkit::smtp::{Behaviour, Security};
use tonic::Code;
use tonic_types::StatusExt;
use uuid::Uuid;

use crate::{
    parts::{Column, on_both},
    stub::active,
    support::{Service, World, message_sent},
};

/// Seven deliveries: three of one message, one failed, one of another organization.
async fn filled(column: Column) -> (World, Service, Vec<Uuid>) {
    let world = World::new(column, "ledger", Security::Plain).await;
    for user in ["a", "b", "c"] {
        world
            .eligibility
            .put("southern", user, active(&format!("{user}@home.example")));
    }
    world.smtp.script(|address, _| match address {
        "c@home.example" => Behaviour::RefuseRecipient(550, "no".into()),
        _ => Behaviour::Accept,
    });
    let service = world.serve_by_smtp().await;
    let mut deliveries = Vec::new();
    for recipients in [
        &["portal/a", "portal/b", "portal/c"][..],
        &["portal/a"],
        &["portal/a"],
        &["portal/b"],
    ] {
        let sent = world.publish(recipients).await;
        for recipient in recipients {
            let id = Uuid::new_v5(&sent.event.id, recipient.as_bytes());
            service
                .wait_for(id, "final", |delivery| delivery.next_attempt_time.is_none())
                .await;
            deliveries.push(id);
        }
    }
    (world, service, deliveries)
}

on_both!(n5_deliveries_are_listed_newest_first_page_by_page_and_filtered);
async fn n5_deliveries_are_listed_newest_first_page_by_page_and_filtered(column: Column) {
    let (world, service, deliveries) = Box::pin(filled(column)).await;
    let all = service.list(ListDeliveriesRequest::default()).await.deliveries;
    assert_eq!(all.len(), deliveries.len());
    let keys: Vec<_> = all
        .iter()
        .map(|one| (one.create_time.unwrap(), one.id.clone()))
        .collect();
    assert!(keys.windows(2).all(|pair| {
        let time = |at: usize| (pair[at].0.seconds, pair[at].0.nanos, pair[at].1.clone());
        time(0) > time(1)
    }));

    // Three at once were recorded at the same time: a page ends between them.
    let (mut paged, mut token) = (Vec::new(), String::new());
    loop {
        let page = service
            .list(ListDeliveriesRequest {
                page_size: 2,
                page_token: token,
                ..Default::default()
            })
            .await;
        assert!(page.deliveries.len() <= 2);
        paged.extend(page.deliveries);
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(paged, all);

    let message_id = all.last().unwrap().message_id.clone();
    let of = |request| async { service.list(request).await.deliveries.len() };
    assert_eq!(
        of(ListDeliveriesRequest {
            message_id,
            ..Default::default()
        })
        .await,
        3
    );
    assert_eq!(
        of(ListDeliveriesRequest {
            recipient: "portal/a".into(),
            ..Default::default()
        })
        .await,
        3
    );
    let state = DeliveryState::Failed.into();
    let failed = service
        .list(ListDeliveriesRequest {
            state,
            ..Default::default()
        })
        .await
        .deliveries;
    assert_eq!(
        (failed.len(), failed[0].recipient.as_str(), failed[0].last_code),
        (1, "portal/c", 550)
    );
    let both = ListDeliveriesRequest {
        recipient: "portal/a".into(),
        state,
        ..Default::default()
    };
    assert_eq!(of(both).await, 0);
    service.stop().await;
    world.clear().await;
}

on_both!(another_organization_sees_nothing_of_it);
async fn another_organization_sees_nothing_of_it(column: Column) {
    let (world, service, deliveries) = Box::pin(filled(column)).await;
    let foreign = message_sent("prairie", &["portal/a"]);
    world.publish_event(&foreign.event).await;
    let mut prairie = service.client("prairie");
    let asked = |id: Uuid| GetDeliveryRequest {
        delivery_id: id.to_string(),
    };
    crate::support::eventually("the foreign delivery is there", || {
        let mut client = service.client("prairie");
        async move { client.get_delivery(asked(foreign.delivery)).await.is_ok() }
    })
    .await;
    for id in &deliveries {
        let refused = prairie.get_delivery(asked(*id)).await.unwrap_err();
        assert_eq!(refused.code(), Code::NotFound);
        assert_eq!(refused.get_details_error_info().unwrap().reason, "NOT_FOUND");
    }
    assert_eq!(service.delivery(foreign.delivery).await, None);
    let listed = prairie
        .list_deliveries(ListDeliveriesRequest::default())
        .await
        .unwrap()
        .into_inner()
        .deliveries;
    assert_eq!(listed.len(), 1);
    let of_southern = service
        .list(ListDeliveriesRequest {
            page_size: 1,
            ..Default::default()
        })
        .await;
    let request = ListDeliveriesRequest {
        page_token: of_southern.next_page_token,
        ..Default::default()
    };
    assert_eq!(
        prairie.list_deliveries(request).await.unwrap_err().code(),
        Code::InvalidArgument
    );
    let stranger = service
        .client("eastern")
        .list_deliveries(ListDeliveriesRequest::default())
        .await
        .unwrap_err();
    assert_eq!(stranger.code(), Code::PermissionDenied);
    let malformed = prairie
        .get_delivery(GetDeliveryRequest {
            delivery_id: "x".into(),
        })
        .await
        .unwrap_err();
    assert_eq!(
        malformed.get_details_bad_request().unwrap().field_violations[0].field,
        "delivery_id"
    );
    service.stop().await;
    world.clear().await;
}
