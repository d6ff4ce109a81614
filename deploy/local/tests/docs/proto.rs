//! What the `.proto` files say, comments included.

use clima_proto::descriptors;
use prost_reflect::{
    DescriptorPool, DynamicMessage, EnumDescriptor, FieldDescriptor, FileDescriptor, Kind,
    MessageDescriptor, MethodDescriptor, ServiceDescriptor,
};

use crate::block::{Block, table};

/// Longest line of running text.
const WIDTH: usize = 138;

/// The public package and our own, each a block.
pub(crate) fn blocks() -> Vec<Block> {
    let pool = descriptors::pool();
    [("public", "wethertweet"), ("internal", "clima.v1")]
        .map(|(name, package)| Block::new(name, describe(&pool, package)))
        .into()
}

fn describe(pool: &DescriptorPool, package: &str) -> String {
    let services = pool
        .services()
        .filter(|item| item.package_name() == package);
    let messages = pool
        .all_messages()
        .filter(|item| item.package_name() == package);
    let enums = pool
        .all_enums()
        .filter(|item| item.package_name() == package);
    let texts = services.map(|item| service(pool, &item));
    let texts = texts.chain(messages.map(|item| message(&item)));
    texts.chain(enums.map(|item| enumeration(&item))).collect()
}

fn service(pool: &DescriptorPool, service: &ServiceDescriptor) -> String {
    let mut text = section(service.full_name(), &service.parent_file(), service.path());
    for method in service.methods() {
        let link = |message: MessageDescriptor| type_link(message.name(), message.package_name());
        let http = bindings(pool, &method);
        let http = if http.is_empty() {
            "none".to_owned()
        } else {
            http.join(", ")
        };
        text += &table(
            &["rpc", "request", "answer", "over HTTP"],
            &[vec![
                format!("`{}`", method.name()),
                link(method.input()),
                link(method.output()),
                http,
            ]],
        );
        text += &format!(
            "\n{}",
            paragraphs(&comment(&method.parent_file(), method.path()))
        );
    }
    text
}

/// The HTTP requests that a method can be called with.
fn bindings(pool: &DescriptorPool, method: &MethodDescriptor) -> Vec<String> {
    let http = pool.get_extension_by_name("google.api.http").unwrap();
    let options = method.options();
    if !options.has_extension(&http) {
        return Vec::new();
    }
    let rule = options.get_extension(&http);
    let rule = rule.as_message().unwrap();
    let more = rule.get_field_by_name("additional_bindings").unwrap();
    let more = more
        .as_list()
        .unwrap()
        .iter()
        .filter_map(|rule| rule.as_message());
    [rule].into_iter().chain(more).filter_map(request).collect()
}

fn request(rule: &DynamicMessage) -> Option<String> {
    ["get", "put", "post", "delete", "patch"]
        .into_iter()
        .find_map(|verb| {
            let path = rule.get_field_by_name(verb)?.as_str()?.to_owned();
            (!path.is_empty()).then(|| format!("`{} {path}`", verb.to_uppercase()))
        })
}

fn message(message: &MessageDescriptor) -> String {
    let file = message.parent_file();
    let mut fields: Vec<_> = message.fields().collect();
    fields.sort_by_key(FieldDescriptor::number);
    let rows: Vec<_> = fields
        .iter()
        .map(|field| {
            let (kind, json) = kind(field);
            let json = match field.json_name() {
                name if name == field.name() => json.to_owned(),
                name => format!("`{name}`: {json}"),
            };
            vec![
                format!("`{}`", field.name()),
                field.number().to_string(),
                kind,
                json,
                comment(&file, field.path()),
            ]
        })
        .collect();
    let head = ["field", "number", "type", "in JSON", "what it is"];
    section(message.full_name(), &file, message.path()) + &table(&head, &rows) + "\n"
}

fn enumeration(item: &EnumDescriptor) -> String {
    let file = item.parent_file();
    let rows: Vec<_> = item
        .values()
        .map(|value| {
            vec![
                format!("`{}`", value.name()),
                value.number().to_string(),
                comment(&file, value.path()),
            ]
        })
        .collect();
    let head = ["name", "number", "what it is"];
    section(item.full_name(), &file, item.path()) + &table(&head, &rows) + "\n"
}

/// The heading is the short name: links to it need no package.
fn section(full_name: &str, file: &FileDescriptor, path: &[i32]) -> String {
    let short = full_name.rsplit('.').next().unwrap();
    let about = format!("`{full_name}`. {}", comment(file, path));
    format!("### {short}\n\n{}", paragraphs(&about))
}

/// The comment before an item. One that has none is a fault of the proto.
fn comment(file: &FileDescriptor, path: &[i32]) -> String {
    let file = file.file_descriptor_proto();
    let locations = file.source_code_info.iter().flat_map(|info| &info.location);
    let mut comments = locations.filter(|location| location.path == path);
    let comment = comments.find_map(|location| location.leading_comments.clone());
    comment
        .unwrap_or_else(|| panic!("{}: no comment at {path:?}", file.name()))
        .trim()
        .to_owned()
}

/// The type in the proto, and how proto3 JSON writes it.
fn kind(field: &FieldDescriptor) -> (String, &'static str) {
    let (kind, json) = match field.kind() {
        Kind::Message(message) => {
            let json = match message.full_name() {
                "google.protobuf.Timestamp" => "RFC 3339, as a string",
                _ => "an object",
            };
            (type_link(message.name(), message.package_name()), json)
        }
        Kind::Enum(item) => (
            type_link(item.name(), item.package_name()),
            "its name, or number",
        ),
        Kind::Int32 => ("int32".to_owned(), "a number, or a string with one"),
        Kind::Uint32 => ("uint32".to_owned(), "a number, or a string with one"),
        Kind::Uint64 => ("uint64".to_owned(), "a string with a number"),
        Kind::String => ("string".to_owned(), "a string"),
        Kind::Bytes => ("bytes".to_owned(), "base64, as a string"),
        other => panic!("say how {other:?} is written in JSON"),
    };
    if field.is_list() {
        return (format!("repeated {kind}"), "an array");
    }
    (kind, json)
}

/// Types of ours are on the page; those of others are known by their full names.
fn type_link(name: &str, package: &str) -> String {
    match package {
        "wethertweet" | "clima.v1" => format!("[{name}](#{})", name.to_lowercase()),
        _ => format!("`{package}.{name}`"),
    }
}

/// Paragraphs of a comment, wrapped, each with an empty line after it.
fn paragraphs(comment: &str) -> String {
    let mut text = String::new();
    for paragraph in comment.split("\n\n") {
        let mut width = 0;
        for word in paragraph.split_whitespace() {
            let length = word.chars().count();
            match width {
                0 => width = length,
                _ if width + 1 + length > WIDTH => {
                    text.push('\n');
                    width = length;
                }
                _ => {
                    text.push(' ');
                    width += 1 + length;
                }
            }
            text += word;
        }
        text += "\n\n";
    }
    text
}
