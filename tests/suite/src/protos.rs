//! The protos of the suite as they were built, with their comments.

use carepost_proto::DESCRIPTOR_SET;
use prost::Message as _;
use prost_types::{FileDescriptorProto, FileDescriptorSet};

/// Every file of the suite's own.
#[must_use]
pub fn files() -> Vec<FileDescriptorProto> {
    let set = FileDescriptorSet::decode(DESCRIPTOR_SET).expect("the descriptor set of the build");
    let own = |file: &FileDescriptorProto| file.package().starts_with("carepost.");
    set.file.into_iter().filter(own).collect()
}

/// The comment before what stands at a path, as `SourceCodeInfo.Location` has paths. Empty if there is none.
#[must_use]
pub fn comment<'a>(file: &'a FileDescriptorProto, path: &[usize]) -> &'a str {
    let path: Vec<_> = path
        .iter()
        .map(|&step| i32::try_from(step).expect("a small number"))
        .collect();
    let info = file.source_code_info.as_ref().expect("the build keeps comments");
    let location = info.location.iter().find(|location| location.path == path);
    location.map_or("", |location| location.leading_comments())
}
