//! From descriptors to what the page shows.

use carepost_proto::ACCESS_TABLE;
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto, MethodDescriptorProto,
    ServiceDescriptorProto,
    field_descriptor_proto::{Label, Type},
};

use super::{
    Enum, Field, Kind, Message, Package, Rpc, Service, Value,
    prose::{Names, Prose},
};
use crate::protos::comment;

/// Numbers of fields in the descriptors of descriptors: the steps of a path to a comment.
const PACKAGE: usize = 2;
const MESSAGE: usize = 4;
const FIELD: usize = 2;
const ONEOF: usize = 8;
const ENUM: usize = 5;
const VALUE: usize = 2;
const SERVICE: usize = 6;
const RPC: usize = 2;

/// What the files declare, by package.
pub(super) fn packages(files: &[FileDescriptorProto]) -> Vec<Package> {
    let names = names(files);
    let mut packages: Vec<Package> = Vec::new();
    for file in files {
        let found = packages.iter().position(|package| package.id == file.package());
        let place = found.unwrap_or_else(|| {
            packages.push(Package {
                id: file.package().to_owned(),
                about: Vec::new(),
                services: Vec::new(),
                messages: Vec::new(),
                enums: Vec::new(),
            });
            packages.len() - 1
        });
        Reader { file, names: &names }.add_to(&mut packages[place]);
    }
    packages
}

/// Everything that a comment or a field may name.
fn names(files: &[FileDescriptorProto]) -> Names {
    let mut names = Names::default();
    for file in files {
        let package = file.package();
        for service in &file.service {
            names.add(package, service.name(), None);
            for rpc in &service.method {
                names.add(package, &format!("{}.{}", service.name(), rpc.name()), Some(rpc.name()));
            }
        }
        for message in &file.message_type {
            names.add(package, message.name(), None);
            for field in &message.field {
                names.add(package, &format!("{}.{}", message.name(), field.name()), None);
            }
        }
        for kind in &file.enum_type {
            names.add(package, kind.name(), None);
            // `ERROR_REASON_NOT_FOUND` is spoken of as `NOT_FOUND`.
            let prefix = kind.value[0].name().trim_end_matches("UNSPECIFIED");
            for value in &kind.value {
                let short = value.name().strip_prefix(prefix);
                names.add(package, &format!("{}.{}", kind.name(), value.name()), short);
            }
        }
    }
    names
}

/// A file, and what its comments may name.
struct Reader<'a> {
    file: &'a FileDescriptorProto,
    names: &'a Names,
}

impl Reader<'_> {
    fn prose(&self, path: &[usize]) -> Prose {
        self.names.prose(self.file.package(), comment(self.file, path))
    }

    fn add_to(&self, package: &mut Package) {
        if !comment(self.file, &[PACKAGE]).is_empty() {
            package.about.push(self.prose(&[PACKAGE]));
        }
        let services = self.file.service.iter().enumerate();
        package
            .services
            .extend(services.map(|(place, service)| self.service(place, service)));
        let messages = self.file.message_type.iter().enumerate();
        package
            .messages
            .extend(messages.map(|(place, message)| self.message(place, message)));
        let enums = self.file.enum_type.iter().enumerate();
        package.enums.extend(enums.map(|(place, kind)| self.kind(place, kind)));
    }

    fn service(&self, place: usize, service: &ServiceDescriptorProto) -> Service {
        let id = format!("{}.{}", self.file.package(), service.name());
        let rpcs = service.method.iter().enumerate();
        let rpcs = rpcs.map(|(number, rpc)| self.rpc(&id, &[SERVICE, place, RPC, number], rpc));
        Service {
            rpcs: rpcs.collect(),
            name: service.name().to_owned(),
            about: self.prose(&[SERVICE, place]),
            id,
        }
    }

    fn rpc(&self, service: &str, path: &[usize], rpc: &MethodDescriptorProto) -> Rpc {
        let full = format!("/{service}/{}", rpc.name());
        let access = ACCESS_TABLE.iter().find(|access| access.path == full);
        Rpc {
            id: format!("{service}.{}", rpc.name()),
            name: rpc.name().to_owned(),
            access: *access.expect("the table has every RPC"),
            request: self.named(rpc.input_type()),
            response: self.named(rpc.output_type()),
            server_streaming: rpc.server_streaming(),
            about: self.prose(path),
        }
    }

    fn message(&self, place: usize, message: &DescriptorProto) -> Message {
        let id = format!("{}.{}", self.file.package(), message.name());
        let fields = message.field.iter().enumerate();
        let fields = fields.map(|(number, field)| Field {
            id: format!("{id}.{}", field.name()),
            name: field.name().to_owned(),
            number: field.number(),
            label: self.label(place, message, field),
            kind: self.kind_of(field),
            about: self.prose(&[MESSAGE, place, FIELD, number]),
        });
        Message {
            fields: fields.collect(),
            name: message.name().to_owned(),
            about: self.prose(&[MESSAGE, place]),
            id,
        }
    }

    /// How often the field is there: `repeated`, `optional`, or which other one takes its place.
    fn label(&self, place: usize, message: &DescriptorProto, field: &FieldDescriptorProto) -> String {
        let oneof = field.oneof_index.and_then(|index| usize::try_from(index).ok());
        match oneof {
            _ if field.label() == Label::Repeated => "repeated".to_owned(),
            _ if field.proto3_optional() => "optional".to_owned(),
            Some(index) => {
                let about = comment(self.file, &[MESSAGE, place, ONEOF, index]);
                let name = message.oneof_decl[index].name();
                format!("one of {name} ({})", about.trim().trim_end_matches('.'))
            }
            None => String::new(),
        }
    }

    fn kind(&self, place: usize, kind: &EnumDescriptorProto) -> Enum {
        let id = format!("{}.{}", self.file.package(), kind.name());
        let values = kind.value.iter().enumerate();
        let values = values.map(|(number, value)| Value {
            id: format!("{id}.{}", value.name()),
            name: value.name().to_owned(),
            number: value.number(),
            about: self.prose(&[ENUM, place, VALUE, number]),
        });
        Enum {
            values: values.collect(),
            name: kind.name().to_owned(),
            about: self.prose(&[ENUM, place]),
            id,
        }
    }

    fn kind_of(&self, field: &FieldDescriptorProto) -> Kind {
        if matches!(field.r#type(), Type::Message | Type::Enum) {
            return self.named(field.type_name());
        }
        let name = field.r#type().as_str_name().trim_start_matches("TYPE_");
        Kind {
            name: name.to_lowercase(),
            target: None,
        }
    }

    /// A message or an enum by its full name, which begins with a dot.
    fn named(&self, full: &str) -> Kind {
        let full = full.trim_start_matches('.');
        let own = full
            .strip_prefix(self.file.package())
            .map(|rest| rest.trim_start_matches('.'));
        Kind {
            name: own.unwrap_or(full).to_owned(),
            target: self.names.find(self.file.package(), full),
        }
    }
}
