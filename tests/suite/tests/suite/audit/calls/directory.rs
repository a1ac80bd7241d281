//! Records of the directory, and settings.

use carepost_proto::eligibility::v1::*;

use super::{Call, Calls};

/// Records of an organization that there is not yet: each is put, read, listed and deleted.
pub(super) async fn records(calls: &mut Calls<'_>) {
    let feed = calls.service("service/feed", "southern");
    macro_rules! rpc {
        ($name:literal, $request:expr, $answer:ty, $subject:expr) => {
            let _: $answer = calls
                .call(
                    &feed,
                    concat!("eligibility.v1.DirectoryService/", $name),
                    $request,
                    $subject,
                )
                .await;
        };
    }
    let (organization, location, staff) = (&["organizations/southern"], &["locations/l1"], &["staff/s1"]);
    let (chart, portal_user) = (&["charts/c1"], &["portal/u1"]);
    let record = Organization {
        id: "southern".into(),
        name: "Southern".into(),
        country: "AU".into(),
        portal_url: "https://portal.example.org/".into(),
        locale: "en".into(),
    };
    let request = PutOrganizationRequest {
        organization: Some(record),
        version: 1,
    };
    rpc!(
        "PutOrganization",
        request.clone(),
        PutOrganizationResponse,
        organization
    );
    let unchanged = "eligibility.v1.DirectoryService/PutOrganization";
    let _: PutOrganizationResponse = calls
        .call_to(&feed, unchanged, request, organization, "OK/UNCHANGED")
        .await;
    let record = Location {
        id: "l1".into(),
        name: "Clinic".into(),
        country: "AU".into(),
    };
    rpc!(
        "PutLocation",
        PutLocationRequest {
            location: Some(record),
            version: 1
        },
        PutLocationResponse,
        location
    );
    let record = Staff {
        id: "s1".into(),
        name: "Nurse".into(),
        active: true,
        ..Staff::default()
    };
    rpc!(
        "PutStaff",
        PutStaffRequest {
            staff: Some(record),
            version: 1
        },
        PutStaffResponse,
        staff
    );
    let record = Chart {
        id: "c1".into(),
        patient_id: "p1".into(),
        patient_name: "Pat Doe".into(),
        location_id: "l1".into(),
        ..Chart::default()
    };
    rpc!(
        "PutChart",
        PutChartRequest {
            chart: Some(record),
            version: 1
        },
        PutChartResponse,
        chart
    );
    let record = PortalUser {
        id: "u1".into(),
        name: "Guardian".into(),
        email: "g@example.org".into(),
        status: AccountStatus::Active.into(),
        ..PortalUser::default()
    };
    rpc!(
        "PutPortalUser",
        PutPortalUserRequest {
            portal_user: Some(record),
            version: 1
        },
        PutPortalUserResponse,
        portal_user
    );
    rpc!(
        "GetOrganization",
        GetOrganizationRequest {},
        GetOrganizationResponse,
        organization
    );
    rpc!(
        "GetLocation",
        GetLocationRequest {
            location_id: "l1".into()
        },
        GetLocationResponse,
        location
    );
    rpc!(
        "GetStaff",
        GetStaffRequest { staff_id: "s1".into() },
        GetStaffResponse,
        staff
    );
    rpc!(
        "GetChart",
        GetChartRequest { chart_id: "c1".into() },
        GetChartResponse,
        chart
    );
    rpc!(
        "GetPortalUser",
        GetPortalUserRequest {
            portal_user_id: "u1".into()
        },
        GetPortalUserResponse,
        portal_user
    );
    rpc!(
        "ListOrganizations",
        ListOrganizationsRequest::default(),
        ListOrganizationsResponse,
        organization
    );
    rpc!(
        "ListLocations",
        ListLocationsRequest::default(),
        ListLocationsResponse,
        location
    );
    rpc!("ListStaff", ListStaffRequest::default(), ListStaffResponse, staff);
    rpc!("ListCharts", ListChartsRequest::default(), ListChartsResponse, chart);
    rpc!(
        "ListPortalUsers",
        ListPortalUsersRequest::default(),
        ListPortalUsersResponse,
        portal_user
    );
    rpc!(
        "DeletePortalUser",
        DeletePortalUserRequest {
            portal_user_id: "u1".into(),
            version: 2
        },
        DeletePortalUserResponse,
        portal_user
    );
    rpc!(
        "DeleteChart",
        DeleteChartRequest {
            chart_id: "c1".into(),
            version: 2
        },
        DeleteChartResponse,
        chart
    );
    rpc!(
        "DeleteStaff",
        DeleteStaffRequest {
            staff_id: "s1".into(),
            version: 2
        },
        DeleteStaffResponse,
        staff
    );
    rpc!(
        "DeleteLocation",
        DeleteLocationRequest {
            location_id: "l1".into(),
            version: 2
        },
        DeleteLocationResponse,
        location
    );
    rpc!(
        "DeleteOrganization",
        DeleteOrganizationRequest { version: 2 },
        DeleteOrganizationResponse,
        organization
    );
}

pub(super) async fn settings(calls: &mut Calls<'_>) {
    let operator = calls.service("service/operator", "prairie");
    let path = "/carepost.eligibility.v1.SettingsService/GetMessagingSettings";
    let held = Call::of(path, &operator.metadata)
        .answer(calls.suite, GetMessagingSettingsRequest::default())
        .await;
    let held: GetMessagingSettingsResponse = held.unwrap().into_inner();
    let mut settings = held.effective.unwrap();
    settings.enabled = !settings.enabled;
    let request = UpdateMessagingSettingsRequest {
        location_id: None,
        settings: Some(settings),
        etag: held.etag,
    };
    let rpc = "eligibility.v1.SettingsService/UpdateMessagingSettings";
    let subject = ["messaging-settings/prairie"];
    let _: UpdateMessagingSettingsResponse = calls.call(&operator, rpc, request, &subject).await;
    let path = "/carepost.eligibility.v1.SettingsService/GetBrand";
    let held = Call::of(path, &operator.metadata)
        .answer(calls.suite, GetBrandRequest::default())
        .await;
    let held: GetBrandResponse = held.unwrap().into_inner();
    let mut brand = held.effective.unwrap();
    brand.neutral = !brand.neutral;
    let request = UpdateBrandRequest {
        location_id: None,
        brand: Some(brand),
        etag: held.etag,
    };
    let rpc = "eligibility.v1.SettingsService/UpdateBrand";
    let _: UpdateBrandResponse = calls.call(&operator, rpc, request, &["brands/prairie"]).await;
}
