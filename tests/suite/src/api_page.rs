//! The reference of the API, made from the protos and their comments: one file of HTML that needs no other.

mod prose;
mod reader;

use askama::Template;
use carepost_proto::{RpcAccess, common::v1::AuditKind};

use crate::protos;
use prose::Prose;

/// Packages in the order in which a reader wants them; any other comes after these.
const ORDER: [&str; 5] = ["messaging", "eligibility", "notification", "event", "common"];

#[derive(Template)]
#[template(path = "api.html")]
struct Page {
    packages: Vec<Package>,
}

/// Whatever has an id can be linked to by it: its full name.
struct Package {
    id: String,
    about: Vec<Prose>,
    services: Vec<Service>,
    messages: Vec<Message>,
    enums: Vec<Enum>,
}

struct Service {
    id: String,
    name: String,
    about: Prose,
    rpcs: Vec<Rpc>,
}

struct Rpc {
    id: String,
    name: String,
    access: RpcAccess,
    request: Kind,
    response: Kind,
    server_streaming: bool,
    about: Prose,
}

struct Message {
    id: String,
    name: String,
    about: Prose,
    fields: Vec<Field>,
}

struct Field {
    id: String,
    name: String,
    number: i32,
    label: String,
    kind: Kind,
    about: Prose,
}

struct Enum {
    id: String,
    name: String,
    about: Prose,
    values: Vec<Value>,
}

struct Value {
    id: String,
    name: String,
    number: i32,
    about: Prose,
}

/// What a field holds, or what an RPC takes or gives.
struct Kind {
    name: String,
    target: Option<String>,
}

/// The page.
#[must_use]
pub fn page() -> String {
    let files = protos::files();
    let mut packages = reader::packages(&files);
    packages.sort_by_key(|package| {
        let own = package.id.split('.').nth(1);
        ORDER.iter().position(|name| own == Some(name)).unwrap_or(ORDER.len())
    });
    Page { packages }.render().expect("a page in memory")
}
