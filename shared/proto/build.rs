//! Makes the bindings, the descriptor set and the access table from `proto/`, without protoc.

use std::{env, error::Error, fmt::Write as _, fs, path::PathBuf};

use protox::{
    Compiler,
    prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor, Value},
};

const FILES: &[&str] = &[
    "carepost/common/v1/access.proto",
    "carepost/common/v1/audit.proto",
    "carepost/common/v1/error_reason.proto",
    "carepost/common/v1/eligibility_reason.proto",
    "carepost/event/v1/directory_changed.proto",
    "carepost/event/v1/mailbox_read.proto",
    "carepost/event/v1/message_sent.proto",
    "carepost/eligibility/v1/directory.proto",
    "carepost/eligibility/v1/directory_service.proto",
    "carepost/eligibility/v1/eligibility_service.proto",
    "carepost/eligibility/v1/settings.proto",
    "carepost/eligibility/v1/settings_service.proto",
    "carepost/messaging/v1/conversation.proto",
    "carepost/messaging/v1/messaging_service.proto",
    "carepost/messaging/v1/operator_service.proto",
    "carepost/notification/v1/notification_service.proto",
];

#[allow(
    clippy::disallowed_methods,
    reason = "cargo speaks to a build script through its environment"
)]
fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../../proto");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    println!("cargo:rerun-if-changed={}", root.display());

    let mut compiler = Compiler::new([&root])?;
    compiler
        .include_imports(true)
        .include_source_info(true)
        .open_files(FILES)?;
    fs::write(out.join("descriptor_set.bin"), compiler.encode_file_descriptor_set())?;
    fs::write(out.join("access_table.rs"), access_table(&compiler.descriptor_pool())?)?;
    tonic_prost_build::configure().compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}

/// Every RPC with what its method options say of who may call it and what the audit trail has of it. An RPC without them does
/// not build.
fn access_table(pool: &DescriptorPool) -> Result<String, Box<dyn Error>> {
    let extension = pool
        .get_extension_by_name("carepost.common.v1.access")
        .ok_or("access.proto declares no method option")?;
    let audit = pool
        .get_extension_by_name("carepost.common.v1.audit")
        .ok_or("audit.proto declares no method option")?;
    let mut table = String::from("&[\n");
    for method in pool
        .services()
        .flat_map(|service| service.methods().collect::<Vec<_>>())
    {
        let options = method.options();
        let Value::Message(access) = options.get_extension(&extension).into_owned() else {
            return Err("the method option is no message".into());
        };
        let kind = audit_kind(&method, options.get_extension(&audit).as_enum_number())?;
        let row = access_row(&method, &access, kind)?;
        writeln!(table, "{row},")?;
    }
    table.push_str("]\n");
    Ok(table)
}

fn audit_kind(method: &MethodDescriptor, number: Option<i32>) -> Result<&'static str, String> {
    match number {
        Some(1) => Ok("AuditKind::None"),
        Some(2) => Ok("AuditKind::Reading"),
        Some(3) => Ok("AuditKind::Change"),
        _ => Err(format!("{} says nothing of its audit", method.full_name())),
    }
}

fn access_row(method: &MethodDescriptor, access: &DynamicMessage, audit: &str) -> Result<String, Box<dyn Error>> {
    let person = access
        .get_field_by_name("person")
        .and_then(|value| value.as_bool())
        .unwrap_or_default();
    let scope = access
        .get_field_by_name("scope")
        .and_then(|value| value.as_str().map(str::to_owned));
    let scope = scope.filter(|scope| !scope.is_empty());
    if !person && scope.is_none() {
        return Err(format!("{} says nothing of who may call it", method.full_name()).into());
    }
    let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
    let client_streaming = method.is_client_streaming();
    Ok(format!(
        "    RpcAccess {{ path: {path:?}, person: {person}, scope: {scope:?}, client_streaming: {client_streaming}, \
         audit: {audit} }}"
    ))
}
