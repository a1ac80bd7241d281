//! Administering settings, for tests.

use carepost_proto::eligibility::v1::{
    Audience, Brand, GetBrandRequest, GetMessagingSettingsRequest, GetMessagingSettingsResponse, MessagingSettings,
    PutStaffRequest, Staff, StaffRole, UpdateBrandRequest, UpdateBrandResponse, UpdateMessagingSettingsRequest,
    UpdateMessagingSettingsResponse,
};
use tonic::Status;

use crate::support::{Administering, Feeding, Service};

pub const ADMIN: &str = "staff/admin";

pub fn on(audience: Audience) -> MessagingSettings {
    MessagingSettings {
        enabled: true,
        audience: audience.into(),
    }
}

pub fn brand(name: &str) -> Brand {
    Brand {
        name: name.to_owned(),
        logo_url: "https://example.org/logo.png".to_owned(),
        phone: "+61 2 5550 0000".to_owned(),
        ..Brand::default()
    }
}

pub async fn put_staff(feed: &mut Feeding, id: &str, active: bool, role: Option<StaffRole>, version: i64) {
    let staff = Staff {
        id: id.to_owned(),
        name: format!("Name of {id}"),
        active,
        all_locations: true,
        roles: role.into_iter().map(i32::from).collect(),
        ..Staff::default()
    };
    let request = PutStaffRequest {
        staff: Some(staff),
        version,
    };
    feed.put_staff(request).await.unwrap();
}

/// An organization `org` with the location `l1` and the administrator [`ADMIN`].
pub async fn administered(service: &Service) -> Feeding {
    let mut feed = service.with_location("org").await;
    put_staff(&mut feed, "admin", true, Some(StaffRole::SuperAdmin), 1).await;
    feed
}

pub async fn get(client: &mut Administering, place: Option<&str>) -> Result<GetMessagingSettingsResponse, Status> {
    let location_id = place.map(str::to_owned);
    let request = GetMessagingSettingsRequest { location_id };
    client
        .get_messaging_settings(request)
        .await
        .map(tonic::Response::into_inner)
}

pub async fn update(
    client: &mut Administering,
    place: Option<&str>,
    settings: Option<MessagingSettings>,
    etag: &str,
) -> Result<UpdateMessagingSettingsResponse, Status> {
    let request = UpdateMessagingSettingsRequest {
        location_id: place.map(str::to_owned),
        settings,
        etag: etag.to_owned(),
    };
    client
        .update_messaging_settings(request)
        .await
        .map(tonic::Response::into_inner)
}

/// Sets it, whatever the state is.
pub async fn set(client: &mut Administering, place: Option<&str>, settings: Option<MessagingSettings>) {
    let etag = get(client, place).await.unwrap().etag;
    update(client, place, settings, &etag).await.unwrap();
}

pub async fn update_brand(
    client: &mut Administering,
    place: Option<&str>,
    brand: Option<Brand>,
    etag: &str,
) -> Result<UpdateBrandResponse, Status> {
    let request = UpdateBrandRequest {
        location_id: place.map(str::to_owned),
        brand,
        etag: etag.to_owned(),
    };
    client.update_brand(request).await.map(tonic::Response::into_inner)
}

/// Sets a brand, whatever the state is.
pub async fn set_brand(client: &mut Administering, place: Option<&str>, brand: Option<Brand>) {
    let location_id = place.map(str::to_owned);
    let etag = client.get_brand(GetBrandRequest { location_id }).await.unwrap();
    let etag = etag.into_inner().etag;
    update_brand(client, place, brand, &etag).await.unwrap();
}
