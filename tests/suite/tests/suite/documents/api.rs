//! The reference of the API has all that the protos have, and leads nowhere else.

use std::collections::BTreeSet;

use carepost_proto::{ACCESS_TABLE, common::v1::AuditKind};
use carepost_suite::{api_page, protos};
use prost_types::{DescriptorProto, field_descriptor_proto::Type};

/// Full names of all that callers of the API have to do with.
fn declared() -> Vec<String> {
    let mut names = Vec::new();
    for file in protos::files() {
        let package = file.package();
        for service in &file.service {
            names.push(format!("{package}.{}", service.name()));
            let rpcs = service.method.iter();
            names.extend(rpcs.map(|rpc| format!("{package}.{}.{}", service.name(), rpc.name())));
        }
        for kind in &file.enum_type {
            names.push(format!("{package}.{}", kind.name()));
            let values = kind.value.iter();
            names.extend(values.map(|value| format!("{package}.{}.{}", kind.name(), value.name())));
        }
        for message in &file.message_type {
            add_message(&mut names, package, message);
        }
    }
    names
}

fn add_message(names: &mut Vec<String>, parent: &str, message: &DescriptorProto) {
    let name = format!("{parent}.{}", message.name());
    let fields = message.field.iter();
    names.extend(fields.map(|field| format!("{name}.{}", field.name())));
    for nested in &message.nested_type {
        add_message(names, &name, nested);
    }
    let enums = message.enum_type.iter();
    names.extend(enums.map(|kind| format!("{name}.{}", kind.name())));
    names.push(name);
}

/// What stands in the page after each of these, up to the next quotation mark.
fn quoted<'a>(page: &'a str, before: &str) -> Vec<&'a str> {
    let parts = page.split(before).skip(1);
    parts.map(|part| part.split('"').next().unwrap()).collect()
}

#[test]
fn the_reference_has_every_rpc_message_field_and_enum() {
    let page = api_page::page();
    let ids: BTreeSet<_> = quoted(&page, " id=\"").into_iter().collect();
    let declared = declared();
    assert!(declared.len() > 500, "{}", declared.len());
    let missing: Vec<_> = declared.iter().filter(|name| !ids.contains(name.as_str())).collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn the_reference_tells_of_each_rpc_who_may_call_it_and_what_the_audit_trail_has() {
    let page = api_page::page();
    for access in ACCESS_TABLE {
        let id = access.path.trim_start_matches('/').replace('/', ".");
        let (_, rpc) = page.split_once(&format!("<article id=\"{id}\"")).unwrap();
        let (rpc, _) = rpc.split_once("</article>").unwrap();
        assert!(rpc.contains(access.path), "{id}");
        assert_eq!(rpc.contains("a person, or a service for them"), access.person, "{id}");
        let scope = access
            .scope
            .map(|scope| format!("a service with the scope <code>{scope}</code>"));
        assert!(scope.is_none_or(|scope| rpc.contains(&scope)), "{id}");
        let trail = match access.audit {
            AuditKind::Change => "what it changed",
            AuditKind::Reading => "what it showed",
            AuditKind::None | AuditKind::Unspecified => "nothing, unless it is refused",
        };
        assert!(rpc.contains(trail), "{id}");
    }
}

#[test]
fn no_link_of_the_reference_leads_nowhere() {
    let page = api_page::page();
    let ids = quoted(&page, " id=\"");
    let known: BTreeSet<_> = ids.iter().copied().collect();
    assert_eq!(ids.len(), known.len(), "two things have the same id");
    let links = quoted(&page, "href=\"");
    assert!(links.len() > 500, "{}", links.len());
    for link in links {
        let target = link
            .strip_prefix('#')
            .unwrap_or_else(|| panic!("{link} leads out of the page"));
        assert!(known.contains(target), "{link}");
    }
    for name in quoted(&page, "aria-labelledby=\"") {
        assert!(known.contains(name), "{name}");
    }
    for needed in ["<script", "<link", "src=", "@import", "url("] {
        assert!(!page.contains(needed), "the page needs something else: {needed}");
    }
}

#[test]
fn what_a_comment_names_is_linked() {
    let page = api_page::page();
    let (_, rpc) = page
        .split_once("<article id=\"carepost.messaging.v1.MessagingService.ArchiveConversation\"")
        .unwrap();
    let (rpc, _) = rpc.split_once("</article>").unwrap();
    let reason = "#carepost.common.v1.ErrorReason.ERROR_REASON_NEWER_MESSAGE\">NEWER_MESSAGE</a>";
    assert!(rpc.contains(reason), "{rpc}");
    assert!(
        rpc.contains("#carepost.messaging.v1.ArchiveConversationRequest\">"),
        "{rpc}"
    );
}

/// Words in the names of fields that say who takes part.
const PEOPLE: [&str; 6] = ["recipient", "participant", "person", "member", "staff", "portal_user"];

#[test]
fn c3_no_call_brings_an_attachment_or_changes_who_takes_part() {
    let files = protos::files();
    let files = files.iter().filter(|file| file.package() == "carepost.messaging.v1");
    let messages: Vec<_> = files.flat_map(|file| &file.message_type).collect();
    let bytes = messages.iter().flat_map(|message| &message.field);
    let bytes: Vec<_> = bytes.filter(|field| field.r#type() == Type::Bytes).collect();
    assert!(bytes.is_empty(), "{bytes:?}");
    let requests = messages.iter().filter(|message| message.name().ends_with("Request"));
    let naming = requests.filter(|request| {
        let mut fields = request.field.iter();
        fields.any(|field| PEOPLE.iter().any(|word| field.name().contains(word)))
    });
    let naming: Vec<_> = naming.map(|request| request.name()).collect();
    assert_eq!(naming, ["StartConversationRequest"]);
}
