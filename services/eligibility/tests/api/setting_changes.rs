//! The history of settings, and imports that never undo what an administrator chose (S3, S4).

use carepost_proto::eligibility::v1::{
    Audience, BrandChange, BrandSeed, GetBrandRequest, ImportDirectoryRequest, ListSettingChangesRequest,
    MessagingSettings, MessagingSettingsChange, MessagingSettingsSeed, SettingChange, StaffRole,
    import_directory_request::Record, list_setting_changes_request::Place, setting_change::Change,
};
use carepost_testkit::DirectoryFile;
use tonic::Code;

use crate::{
    administration::{ADMIN, administered, brand, get, on, put_staff, set, set_brand},
    support::{Administering, Column, Service, on_both, reason, wrong_fields},
};

fn messaging_seed(place: Option<&str>, settings: MessagingSettings) -> Record {
    Record::MessagingSettingsSeed(MessagingSettingsSeed {
        location_id: place.map(str::to_owned),
        settings: Some(settings),
    })
}

fn brand_seed(place: Option<&str>, name: &str) -> Record {
    Record::BrandSeed(BrandSeed {
        location_id: place.map(str::to_owned),
        brand: Some(brand(name)),
    })
}

/// Imports, and tells how many were added and how many were not needed.
async fn import(service: &Service, records: impl IntoIterator<Item = Record>) -> (i64, i64) {
    let requests = records.into_iter().map(|record| ImportDirectoryRequest {
        version: 0,
        record: Some(record),
    });
    let answer = service.import("org", requests.collect()).await;
    assert_eq!(answer.refused, 0, "{:?}", answer.refusals);
    (answer.added, answer.unchanged)
}

/// All pages of two.
async fn changes(client: &mut Administering, place: Option<Place>) -> Vec<SettingChange> {
    let mut request = ListSettingChangesRequest {
        place,
        page_size: 2,
        page_token: String::new(),
    };
    let mut listed = Vec::new();
    loop {
        let page = client.list_setting_changes(request.clone()).await.unwrap().into_inner();
        assert!(page.changes.len() <= 2);
        listed.extend(page.changes);
        if page.next_page_token.is_empty() {
            return listed;
        }
        request.page_token = page.next_page_token;
    }
}

fn messaging(before: Option<MessagingSettings>, after: Option<MessagingSettings>) -> Option<Change> {
    Some(Change::MessagingSettings(MessagingSettingsChange { before, after }))
}

on_both!(every_change_is_kept_with_who_made_it_and_what_was_before);
async fn every_change_is_kept_with_who_made_it_and_what_was_before(column: Column) {
    let service = Service::start(column, "history").await;
    let mut feed = administered(&service).await;
    put_staff(&mut feed, "manager", true, Some(StaffRole::ManagePortalSettings), 1).await;
    let (team, selected) = (on(Audience::CareTeamOnly), on(Audience::SelectedUsers));
    import(&service, [messaging_seed(None, team)]).await;
    set(&mut service.administer_as("org", ADMIN), None, Some(selected)).await;
    set(
        &mut service.administer_for("org", "staff/manager"),
        Some("l1"),
        Some(team),
    )
    .await;
    set_brand(&mut service.administer("org"), Some("l1"), Some(brand("Clinic One"))).await;
    set(&mut service.administer_as("org", ADMIN), Some("l1"), None).await;

    let mut client = service.administer("org");
    let all = changes(&mut client, None).await;
    let who: Vec<_> = all
        .iter()
        .map(|change| {
            (
                change.changed_by.as_str(),
                change.relayed_by.as_str(),
                change.seed,
                change.location_id(),
            )
        })
        .collect();
    let expected = [
        (ADMIN, "", false, "l1"),
        ("service/tests", "", false, "l1"),
        ("staff/manager", "tests", false, "l1"),
        (ADMIN, "", false, ""),
        ("service/tests", "", true, ""),
    ];
    assert_eq!(who, expected);
    let what: Vec<_> = all.iter().map(|change| change.change.clone()).collect();
    let named = BrandChange {
        before: None,
        after: Some(brand("Clinic One")),
    };
    let expected = [
        messaging(Some(team), None),
        Some(Change::Brand(named)),
        messaging(None, Some(team)),
        messaging(Some(team), Some(selected)),
        messaging(None, Some(team)),
    ];
    assert_eq!(what, expected);
    let times: Vec<_> = all.iter().map(|change| change.change_time.unwrap()).collect();
    assert!(
        times
            .windows(2)
            .all(|pair| (pair[0].seconds, pair[0].nanos) >= (pair[1].seconds, pair[1].nanos))
    );

    let general = changes(&mut client, Some(Place::General(true))).await;
    assert_eq!(general, all[3..]);
    let of_one = changes(&mut client, Some(Place::LocationId("l1".to_owned()))).await;
    assert_eq!(of_one, all[..3]);
}

on_both!(what_changes_nothing_is_not_in_the_history);
async fn what_changes_nothing_is_not_in_the_history(column: Column) {
    let service = Service::start(column, "no_history").await;
    administered(&service).await;
    let mut client = service.administer("org");
    assert!(changes(&mut client, None).await.is_empty());
    for _ in 0..3 {
        set(&mut client, None, Some(on(Audience::CareTeamOnly))).await;
        set_brand(&mut client, Some("l1"), Some(brand("Clinic One"))).await;
    }
    assert_eq!(changes(&mut client, None).await.len(), 2);
}

on_both!(a_list_of_changes_is_paged_and_its_tokens_are_its_own);
async fn a_list_of_changes_is_paged_and_its_tokens_are_its_own(column: Column) {
    let service = Service::start(column, "history_pages").await;
    administered(&service).await;
    let mut client = service.administer("org");
    for round in 0..7 {
        set_brand(&mut client, None, Some(brand(&format!("Care {round}")))).await;
    }
    assert_eq!(changes(&mut client, None).await.len(), 7);
    let request = ListSettingChangesRequest {
        page_size: 3,
        ..Default::default()
    };
    let first = client.list_setting_changes(request.clone()).await.unwrap().into_inner();
    // What is changed meanwhile is newer than the page, and does not shift the next one.
    set_brand(&mut client, None, Some(brand("Care meanwhile"))).await;
    let second = ListSettingChangesRequest {
        page_token: first.next_page_token.clone(),
        ..request.clone()
    };
    let second = client.list_setting_changes(second).await.unwrap().into_inner();
    let Some(Change::Brand(change)) = second.changes[0].change.clone() else {
        panic!("it is a brand");
    };
    assert_eq!(
        (change.before.unwrap().name, change.after.unwrap().name),
        ("Care 2".into(), "Care 3".into())
    );

    let elsewhere = ListSettingChangesRequest {
        place: Some(Place::General(true)),
        page_token: first.next_page_token,
        ..request
    };
    let wrong = [
        (elsewhere, "page_token"),
        (
            ListSettingChangesRequest {
                place: Some(Place::General(false)),
                ..Default::default()
            },
            "general",
        ),
        (
            ListSettingChangesRequest {
                place: Some(Place::LocationId(String::new())),
                ..Default::default()
            },
            "location_id",
        ),
        (
            ListSettingChangesRequest {
                page_size: 101,
                ..Default::default()
            },
            "page_size",
        ),
    ];
    for (request, field) in wrong {
        let refused = client.list_setting_changes(request).await.unwrap_err();
        assert_eq!(
            (refused.code(), wrong_fields(&refused)),
            (Code::InvalidArgument, vec![field.to_owned()])
        );
    }
    let nowhere = ListSettingChangesRequest {
        place: Some(Place::LocationId("l2".to_owned())),
        ..Default::default()
    };
    assert_eq!(
        reason(&client.list_setting_changes(nowhere).await.unwrap_err()),
        "NOT_FOUND"
    );
}

on_both!(an_administrators_choice_survives_every_import);
async fn an_administrators_choice_survives_every_import(column: Column) {
    let service = Service::start(column, "choices").await;
    administered(&service).await;
    let mut client = service.administer_as("org", ADMIN);
    let (team, selected) = (on(Audience::CareTeamOnly), on(Audience::SelectedUsers));
    let off = MessagingSettings::default();
    let seeds = || {
        [
            messaging_seed(None, selected),
            messaging_seed(Some("l1"), selected),
            brand_seed(None, "Seed"),
            brand_seed(Some("l1"), "Seed"),
        ]
    };
    // Off is a choice; to follow the organization is one, where something was set and where nothing ever was.
    set(&mut client, None, Some(off)).await;
    set(&mut client, Some("l1"), Some(team)).await;
    set(&mut client, Some("l1"), None).await;
    set_brand(&mut client, None, Some(brand("Chosen"))).await;
    set_brand(&mut client, Some("l1"), None).await;
    for _ in 0..2 {
        assert_eq!(import(&service, seeds()).await, (0, 4));
    }
    let general = get(&mut client, None).await.unwrap();
    assert_eq!(general.settings, Some(off));
    let own = get(&mut client, Some("l1")).await.unwrap();
    assert_eq!((own.settings, own.effective), (None, Some(off)));
    for (place, set) in [(None, Some(brand("Chosen"))), (Some("l1"), None)] {
        let location_id = place.map(str::to_owned);
        let answer = client
            .get_brand(GetBrandRequest { location_id })
            .await
            .unwrap()
            .into_inner();
        assert_eq!(
            (answer.brand, answer.effective.unwrap().name),
            (set, "Chosen".to_owned())
        );
    }
    assert!(changes(&mut client, None).await.iter().all(|change| !change.seed));
}

on_both!(seeds_are_set_once_where_nobody_chose_anything);
async fn seeds_are_set_once_where_nobody_chose_anything(column: Column) {
    let service = Service::start(column, "seeded").await;
    administered(&service).await;
    let mut client = service.administer_as("org", ADMIN);
    let selected = on(Audience::SelectedUsers);
    let never = get(&mut client, None).await.unwrap().etag;
    assert_eq!(
        import(&service, [messaging_seed(None, selected), brand_seed(None, "Seed")]).await,
        (2, 0)
    );
    // The next import changes nothing, whatever it says now.
    let later = [
        messaging_seed(None, on(Audience::CareTeamOnly)),
        brand_seed(None, "Later"),
    ];
    assert_eq!(import(&service, later).await, (0, 2));
    let seeded = get(&mut client, None).await.unwrap();
    assert_eq!(seeded.settings, Some(selected));
    assert_ne!(seeded.etag, never);
    let kept = changes(&mut client, None).await;
    assert!(kept.len() == 2 && kept.iter().all(|change| change.seed));
}

on_both!(the_seeds_of_whole_directories_are_kept);
async fn the_seeds_of_whole_directories_are_kept(column: Column) {
    let service = Service::start(column, "whole_seeds").await;
    for file in [DirectoryFile::prairie(), DirectoryFile::southern()] {
        let requests = file.import_requests();
        let is_seed = |request: &&ImportDirectoryRequest| {
            matches!(
                &request.record,
                Some(Record::MessagingSettingsSeed(_) | Record::BrandSeed(_))
            )
        };
        let seeds = requests.iter().filter(is_seed).count();
        service.import(file.organization_id(), requests.clone()).await;
        let again = service.import(file.organization_id(), requests).await;
        assert_eq!((again.added, again.changed, again.refused), (0, 0, 0));
        let mut client = service.administer(file.organization_id());
        assert_eq!(changes(&mut client, None).await.len(), seeds);
    }
}

on_both!(s3_a_seed_never_undoes_what_a_replica_of_an_older_version_wrote);
async fn s3_a_seed_never_undoes_what_a_replica_of_an_older_version_wrote(column: Column) {
    let service = Service::start(column, "older_version").await;
    administered(&service).await;
    // It knew no versions of settings.
    let wrote = "INSERT INTO messaging_setting (organization, location, enabled, audience, updated_at)
        VALUES ('org', 'l1', TRUE, 'selected_users', '2026-01-01 00:00:00+00:00')";
    assert_eq!(service.in_database(wrote).await, 1);
    let wrote = "INSERT INTO brand (organization, location, name, logo_url, phone, neutral, updated_at)
        VALUES ('org', '', 'Chosen', '', '', TRUE, '2026-01-01 00:00:00+00:00')";
    assert_eq!(service.in_database(wrote).await, 1);
    let seeds = [
        messaging_seed(Some("l1"), on(Audience::CareTeamOnly)),
        messaging_seed(None, on(Audience::CareTeamOnly)),
        brand_seed(None, "Seeded"),
    ];
    assert_eq!(import(&service, seeds).await, (1, 2));
    let mut client = service.administer_as("org", ADMIN);
    let there = get(&mut client, Some("l1")).await.unwrap();
    assert_eq!(there.settings, Some(on(Audience::SelectedUsers)));
    let named = client.get_brand(GetBrandRequest::default()).await.unwrap().into_inner();
    assert_eq!(
        named.brand.map(|brand| (brand.name, brand.neutral)),
        Some(("Chosen".to_owned(), true))
    );
    // It can be changed like any other, and the history tells what was there.
    set(&mut client, Some("l1"), Some(on(Audience::CareTeamOnly))).await;
    let kept = changes(&mut client, Some(Place::LocationId("l1".to_owned()))).await;
    let expected = messaging(Some(on(Audience::SelectedUsers)), Some(on(Audience::CareTeamOnly)));
    assert_eq!((kept.len(), &kept[0].change), (1, &expected));
}
