//! Descriptors of the `google/api` and `google/rpc` files that our protos import.
//!
//! `google/rpc` comes from the descriptor set that `tonic-types` carries. `google/api` is built here,
//! with the names and numbers that <https://github.com/googleapis/googleapis> fixes for `http.proto`
//! and `annotations.proto`. `make lint` compiles the same protos against the original files.

use prost::Message as _;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{
    DescriptorProto, FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet,
    OneofDescriptorProto,
};
use protox::Error;
use protox::file::{File, FileResolver};

/// The file of `google.rpc.BadRequest`, `ErrorInfo` and `RetryInfo`.
pub(crate) const ERROR_DETAILS: &str = "google/rpc/error_details.proto";

/// Resolves the `google/api` and `google/rpc` files that our protos need.
pub(crate) struct Resolver;

impl FileResolver for Resolver {
    fn open_file(&self, name: &str) -> Result<File, Error> {
        let descriptor = match name {
            "google/api/annotations.proto" => annotations(),
            "google/api/http.proto" => http(),
            _ => rpc(name)?,
        };
        Ok(File::from_file_descriptor_proto(descriptor))
    }
}

/// `tonic-types` names its files without their folder.
fn rpc(name: &str) -> Result<FileDescriptorProto, Error> {
    let short = name
        .strip_prefix("google/rpc/")
        .ok_or_else(|| Error::file_not_found(name))?;
    let carried =
        FileDescriptorSet::decode(tonic_types::pb::FILE_DESCRIPTOR_SET).map_err(Error::new)?;
    let mut file = carried
        .file
        .into_iter()
        .find(|file| file.name() == short)
        .ok_or_else(|| Error::file_not_found(name))?;
    file.name = Some(name.to_owned());
    Ok(file)
}

fn annotations() -> FileDescriptorProto {
    FileDescriptorProto {
        name: Some("google/api/annotations.proto".to_owned()),
        package: Some("google.api".to_owned()),
        syntax: Some("proto3".to_owned()),
        dependency: vec![
            "google/api/http.proto".to_owned(),
            "google/protobuf/descriptor.proto".to_owned(),
        ],
        extension: vec![FieldDescriptorProto {
            extendee: Some(".google.protobuf.MethodOptions".to_owned()),
            ..message_field("http", 72_295_728, ".google.api.HttpRule")
        }],
        ..FileDescriptorProto::default()
    }
}

fn http() -> FileDescriptorProto {
    let in_pattern = |field: FieldDescriptorProto| FieldDescriptorProto {
        oneof_index: Some(0),
        ..field
    };
    let rule = DescriptorProto {
        name: Some("HttpRule".to_owned()),
        field: vec![
            string_field("selector", 1),
            in_pattern(string_field("get", 2)),
            in_pattern(string_field("put", 3)),
            in_pattern(string_field("post", 4)),
            in_pattern(string_field("delete", 5)),
            in_pattern(string_field("patch", 6)),
            in_pattern(message_field("custom", 8, ".google.api.CustomHttpPattern")),
            string_field("body", 7),
            string_field("response_body", 12),
            FieldDescriptorProto {
                label: Some(Label::Repeated.into()),
                ..message_field("additional_bindings", 11, ".google.api.HttpRule")
            },
        ],
        oneof_decl: vec![OneofDescriptorProto {
            name: Some("pattern".to_owned()),
            ..OneofDescriptorProto::default()
        }],
        ..DescriptorProto::default()
    };
    let custom = DescriptorProto {
        name: Some("CustomHttpPattern".to_owned()),
        field: vec![string_field("kind", 1), string_field("path", 2)],
        ..DescriptorProto::default()
    };
    FileDescriptorProto {
        name: Some("google/api/http.proto".to_owned()),
        package: Some("google.api".to_owned()),
        syntax: Some("proto3".to_owned()),
        message_type: vec![rule, custom],
        ..FileDescriptorProto::default()
    }
}

fn string_field(name: &str, number: i32) -> FieldDescriptorProto {
    FieldDescriptorProto {
        name: Some(name.to_owned()),
        number: Some(number),
        label: Some(Label::Optional.into()),
        r#type: Some(Type::String.into()),
        ..FieldDescriptorProto::default()
    }
}

fn message_field(name: &str, number: i32, type_name: &str) -> FieldDescriptorProto {
    FieldDescriptorProto {
        r#type: Some(Type::Message.into()),
        type_name: Some(type_name.to_owned()),
        ..string_field(name, number)
    }
}
