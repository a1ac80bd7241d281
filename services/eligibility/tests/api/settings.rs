//! SettingsService (S1 to S4): who may, against which state, and what is kept of it.

use carepost_proto::eligibility::v1::{
    Audience, Brand, DeleteLocationRequest, DeleteStaffRequest, GetBrandRequest, GetMessagingSettingsRequest,
    ListSettingChangesRequest, MessagingSettings, PutLocationRequest, StaffRole, UpdateBrandRequest,
    UpdateMessagingSettingsRequest, list_setting_changes_request::Place,
};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::administration::{ADMIN, administered, brand, get, on, put_staff, set, update, update_brand};
use crate::support::{Administering, Column, Service, location, on_both, reason, wrong_fields};

/// All five RPCs, each with its refusal if it has one.
async fn every_rpc(client: &mut Administering) -> [Result<(), Status>; 5] {
    let etag = || "state".to_owned();
    let messaging = UpdateMessagingSettingsRequest {
        location_id: None,
        settings: Some(on(Audience::SelectedUsers)),
        etag: etag(),
    };
    let named = UpdateBrandRequest {
        location_id: None,
        brand: Some(brand("Care")),
        etag: etag(),
    };
    [
        client
            .get_messaging_settings(GetMessagingSettingsRequest::default())
            .await
            .map(drop),
        client.update_messaging_settings(messaging).await.map(drop),
        client.get_brand(GetBrandRequest::default()).await.map(drop),
        client.update_brand(named).await.map(drop),
        client
            .list_setting_changes(ListSettingChangesRequest::default())
            .await
            .map(drop),
    ]
}

on_both!(administrators_and_services_with_the_scope_may_and_nobody_else);
async fn administrators_and_services_with_the_scope_may_and_nobody_else(column: Column) {
    let service = Service::start(column, "administrators").await;
    let mut feed = administered(&service).await;
    put_staff(&mut feed, "manager", true, Some(StaffRole::ManagePortalSettings), 1).await;
    put_staff(&mut feed, "gone", false, Some(StaffRole::SuperAdmin), 1).await;
    let nurse = Some(StaffRole::AvailableForPortalMessages);
    put_staff(&mut feed, "nurse", true, nurse, 1).await;

    let allowed = [
        service.administer("org"),
        service.administer_as("org", ADMIN),
        service.administer_as("org", "staff/manager"),
        service.administer_for("org", "staff/manager"),
    ];
    for mut client in allowed {
        // They are let in; the two updates bring no state that there is.
        let refused: Vec<_> = every_rpc(&mut client)
            .await
            .into_iter()
            .filter_map(Result::err)
            .collect();
        assert!(
            refused.iter().all(|status| reason(status) == "ETAG_MISMATCH"),
            "{refused:?}"
        );
        assert_eq!(refused.len(), 2);
    }
    for person in ["staff/nurse", "staff/gone", "staff/unknown"] {
        for mut client in [
            service.administer_as("org", person),
            service.administer_for("org", person),
        ] {
            for answer in every_rpc(&mut client).await {
                let refused = answer.unwrap_err();
                assert_eq!(
                    (refused.code(), reason(&refused).as_str()),
                    (Code::PermissionDenied, "ROLE_MISSING")
                );
                let details = refused.get_error_details();
                let metadata = &details.error_info().unwrap().metadata;
                assert_eq!(metadata["roles"], "super_admin,manage_portal_settings");
                assert!(refused.message().contains("one of the roles"));
            }
        }
    }
    for mut client in [
        service.administer_as("org", "portal/u1"),
        service.administer_for("org", "portal/u1"),
    ] {
        for answer in every_rpc(&mut client).await {
            let refused = answer.unwrap_err();
            assert_eq!(reason(&refused), "CALLER_NOT_ALLOWED");
            // Nothing that they could be given would help.
            assert!(refused.message().contains("portal users") && !refused.message().contains("role"));
        }
    }
    // Somebody of the same id elsewhere is somebody else.
    service.with_location("other").await;
    let refused = get(&mut service.administer_as("other", ADMIN), None).await.unwrap_err();
    assert_eq!(reason(&refused), "ROLE_MISSING");
}

on_both!(a_role_that_was_taken_away_is_gone_at_the_next_call);
async fn a_role_that_was_taken_away_is_gone_at_the_next_call(column: Column) {
    let service = Service::start(column, "revoked").await;
    let mut feed = administered(&service).await;
    let mut client = service.administer_as("org", ADMIN);
    let etag = get(&mut client, None).await.unwrap().etag;
    put_staff(&mut feed, "admin", true, None, 2).await;
    let off = MessagingSettings::default();
    let refused = update(&mut client, None, Some(off), &etag).await.unwrap_err();
    assert_eq!(reason(&refused), "ROLE_MISSING");
    put_staff(&mut feed, "admin", true, Some(StaffRole::ManagePortalSettings), 3).await;
    update(&mut client, None, Some(off), &etag).await.unwrap();
    let delete = DeleteStaffRequest {
        staff_id: "admin".to_owned(),
        version: 4,
    };
    feed.delete_staff(delete).await.unwrap();
    assert_eq!(reason(&get(&mut client, None).await.unwrap_err()), "ROLE_MISSING");
}

on_both!(a_locations_own_setting_replaces_the_general_one_whole);
async fn a_locations_own_setting_replaces_the_general_one_whole(column: Column) {
    let service = Service::start(column, "settings").await;
    administered(&service).await;
    let mut client = service.administer_as("org", ADMIN);
    let off = MessagingSettings::default();
    for place in [None, Some("l1")] {
        let first = get(&mut client, place).await.unwrap();
        assert_eq!((first.settings, first.effective), (None, Some(off)));
        assert!(!first.etag.is_empty());
    }
    let general = on(Audience::CareTeamOnly);
    set(&mut client, None, Some(general)).await;
    let there = get(&mut client, Some("l1")).await.unwrap();
    assert_eq!((there.settings, there.effective), (None, Some(general)));

    // Off, with an audience that waits for the day when it is on.
    let own = MessagingSettings {
        enabled: false,
        ..on(Audience::SelectedUsers)
    };
    let changed = update(&mut client, Some("l1"), Some(own), &there.etag).await.unwrap();
    assert_eq!((changed.settings, changed.effective), (Some(own), Some(own)));
    let read = get(&mut client, Some("l1")).await.unwrap();
    assert_eq!((read.settings, read.effective), (changed.settings, changed.effective));
    assert_eq!(read.etag, changed.etag);

    let followed = update(&mut client, Some("l1"), None, &changed.etag).await.unwrap();
    assert_eq!((followed.settings, followed.effective), (None, Some(general)));
    assert_ne!(followed.etag, there.etag);
    assert_eq!(get(&mut client, None).await.unwrap().settings, Some(general));
}

on_both!(a_change_is_made_against_the_state_that_was_read);
async fn a_change_is_made_against_the_state_that_was_read(column: Column) {
    let service = Service::start(column, "etags").await;
    administered(&service).await;
    service.with_location("other").await;
    let mut client = service.administer_as("org", ADMIN);
    let never = get(&mut client, None).await.unwrap().etag;
    let elsewhere = get(&mut client, Some("l1")).await.unwrap().etag;
    let foreign = get(&mut service.administer("other"), None).await.unwrap().etag;
    let of_brand = client
        .get_brand(GetBrandRequest::default())
        .await
        .unwrap()
        .into_inner()
        .etag;
    let first = on(Audience::CareTeamOnly);
    for stale in [elsewhere.as_str(), foreign.as_str(), of_brand.as_str(), "\u{0}"] {
        let refused = update(&mut client, None, Some(first), stale).await.unwrap_err();
        assert_eq!(
            (refused.code(), reason(&refused).as_str()),
            (Code::Aborted, "ETAG_MISMATCH")
        );
    }
    let second = update(&mut client, None, Some(first), &never).await.unwrap().etag;
    let refused = update(&mut client, None, Some(on(Audience::SelectedUsers)), &never);
    assert_eq!(reason(&refused.await.unwrap_err()), "ETAG_MISMATCH");
    assert_eq!(get(&mut client, None).await.unwrap().settings, Some(first));
    // The same again is no change.
    assert_eq!(
        update(&mut client, None, Some(first), &second).await.unwrap().etag,
        second
    );
}

on_both!(of_changes_at_the_same_time_exactly_one_wins);
async fn of_changes_at_the_same_time_exactly_one_wins(column: Column) {
    let service = Service::start(column, "races").await;
    administered(&service).await;
    let mut client = service.administer("org");
    // The first round is about what was never set, the next ones about what is.
    for round in 0..12 {
        let etag = get(&mut client, None).await.unwrap().etag;
        let of_brand = client
            .get_brand(GetBrandRequest::default())
            .await
            .unwrap()
            .into_inner()
            .etag;
        let mut racing = tokio::task::JoinSet::new();
        for racer in 0..6 {
            let (mut client, etag, of_brand) = (service.administer("org"), etag.clone(), of_brand.clone());
            racing.spawn(async move {
                if racer % 2 == 0 {
                    let audience = if (racer + round) % 4 == 0 {
                        Audience::CareTeamOnly
                    } else {
                        Audience::SelectedUsers
                    };
                    // Off and on in turn, so that each round is a change.
                    let enabled = round % 2 == 0;
                    let settings = MessagingSettings {
                        enabled,
                        ..on(audience)
                    };
                    (
                        racer % 2,
                        update(&mut client, None, Some(settings), &etag).await.map(drop),
                    )
                } else {
                    let brand = brand(&format!("Care {round} {racer}"));
                    (
                        racer % 2,
                        update_brand(&mut client, None, Some(brand), &of_brand).await.map(drop),
                    )
                }
            });
        }
        let mut won = [0, 0];
        while let Some(ended) = racing.join_next().await {
            let (kind, answer) = ended.unwrap();
            match answer {
                Ok(()) => won[kind] += 1,
                Err(status) => assert_eq!(reason(&status), "ETAG_MISMATCH", "{status:?}"),
            }
        }
        assert_eq!(won, [1, 1], "round {round}");
    }
}

on_both!(wrong_fields_are_named);
async fn wrong_fields_are_named(column: Column) {
    let service = Service::start(column, "wrong_settings").await;
    administered(&service).await;
    let mut client = service.administer("org");
    let etag = get(&mut client, None).await.unwrap().etag;
    let without_audience = MessagingSettings {
        enabled: true,
        audience: 0,
    };
    let unknown_audience = MessagingSettings {
        enabled: false,
        audience: 99,
    };
    for settings in [without_audience, unknown_audience] {
        let refused = update(&mut client, None, Some(settings), &etag).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert_eq!(wrong_fields(&refused), ["settings.audience"]);
    }
    let refused = update(&mut client, Some("a b"), None, "").await.unwrap_err();
    assert_eq!(wrong_fields(&refused), ["location_id", "etag"]);
    // The organization itself follows nobody.
    let refused = update(&mut client, None, None, &etag).await.unwrap_err();
    assert_eq!(wrong_fields(&refused), ["settings"]);

    let wrong = [
        (
            Brand {
                name: "n".repeat(1_000),
                ..brand("")
            },
            "brand.name",
        ),
        (brand(" "), "brand.name"),
        (brand("two\nlines"), "brand.name"),
        (
            Brand {
                logo_url: "javascript:alert(1)".to_owned(),
                ..brand("Care")
            },
            "brand.logo_url",
        ),
        (
            Brand {
                logo_url: "http://example.org/logo.png".to_owned(),
                ..brand("Care")
            },
            "brand.logo_url",
        ),
        (
            Brand {
                logo_url: format!("https://example.org/{}", "l".repeat(2_048)),
                ..brand("Care")
            },
            "brand.logo_url",
        ),
        (
            Brand {
                phone: "1".repeat(41),
                ..brand("Care")
            },
            "brand.phone",
        ),
        (
            Brand {
                locale: "en_US".to_owned(),
                ..brand("Care")
            },
            "brand.locale",
        ),
        (
            Brand {
                portal_url: "portal.example.org".to_owned(),
                ..brand("Care")
            },
            "brand.portal_url",
        ),
    ];
    for (brand, field) in wrong {
        let refused = update_brand(&mut client, None, Some(brand), &etag).await.unwrap_err();
        assert_eq!(
            (refused.code(), wrong_fields(&refused)),
            (Code::InvalidArgument, vec![field.to_owned()])
        );
        assert!(!refused.message().contains("Care"));
    }
    let refused = update_brand(&mut client, None, None, &etag).await.unwrap_err();
    assert_eq!(wrong_fields(&refused), ["brand"]);
}

on_both!(what_is_not_in_the_directory_has_no_settings);
async fn what_is_not_in_the_directory_has_no_settings(column: Column) {
    let service = Service::start(column, "no_place").await;
    administered(&service).await;
    let mut client = service.administer("org");
    for refused in [
        get(&mut client, Some("l2")).await.map(drop),
        update(&mut client, Some("l2"), None, "state").await.map(drop),
        update_brand(&mut client, Some("l2"), Some(brand("Two")), "state")
            .await
            .map(drop),
        get(&mut service.administer("nowhere"), None).await.map(drop),
        update(
            &mut service.administer("nowhere"),
            None,
            Some(MessagingSettings::default()),
            "state",
        )
        .await
        .map(drop),
    ] {
        let refused = refused.unwrap_err();
        assert_eq!(
            (refused.code(), reason(&refused).as_str()),
            (Code::NotFound, "NOT_FOUND")
        );
    }
    // Who may not see it is not told whether it is there.
    let stranger = get(&mut service.administer_as("org", "staff/unknown"), Some("l2"))
        .await
        .unwrap_err();
    assert_eq!(reason(&stranger), "ROLE_MISSING");
    let put = PutLocationRequest {
        location: Some(location("l2")),
        version: 1,
    };
    let mut feed = service.feed("org");
    feed.put_location(put).await.unwrap();
    set(&mut client, Some("l2"), Some(on(Audience::CareTeamOnly))).await;
    let delete = DeleteLocationRequest {
        location_id: "l2".to_owned(),
        version: 2,
    };
    feed.delete_location(delete).await.unwrap();
    let refused = get(&mut client, Some("l2")).await.unwrap_err();
    assert_eq!(reason(&refused), "NOT_FOUND");
    // What was changed there stays known.
    let of_two = ListSettingChangesRequest {
        place: Some(Place::LocationId("l2".to_owned())),
        ..Default::default()
    };
    let kept = client.list_setting_changes(of_two).await.unwrap().into_inner();
    assert_eq!(kept.changes.len(), 1);
}
