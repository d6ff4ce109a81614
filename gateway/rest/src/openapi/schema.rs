//! Messages as JSON schemas, by the proto3 JSON mapping.
//!
//! A request may be written in each form that the mapping allows; an answer is written in one. What the front
//! refuses although the mapping allows it (a value out of its range) is not in the schema either.

use clima_proto::tweet;
use prost_reflect::{EnumDescriptor, FieldDescriptor, FileDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value, json};

use super::{comments, integers};
use crate::bindings::BindingError;

/// The schemas that a document refers to, by the full names of their messages.
#[derive(Debug, Default)]
pub(super) struct Schemas(Map<String, Value>);

impl Schemas {
    /// All of them, as `components/schemas`.
    pub(super) fn into_value(self) -> Value {
        Value::Object(self.0)
    }

    /// A reference to the schema of a message that clients send.
    pub(super) fn request(&mut self, message: &MessageDescriptor) -> Result<Value, BindingError> {
        let mut required = Vec::new();
        let mut properties = Map::new();
        for field in message.fields() {
            let schema = match field.kind() {
                Kind::Int32 if !field.is_list() => integer_sent(&field),
                Kind::Enum(kind) if !field.is_list() => enum_sent(&kind),
                _ => return Err(unsupported(&field)),
            };
            // Absent and null read as 0, which no enum of a tweet may be.
            let schema = match field.kind() {
                Kind::Enum(_) => {
                    required.push(field.json_name().to_owned());
                    schema
                }
                _ => or_null(schema),
            };
            let schema = described(schema, field.parent_message().parent_file(), field.path());
            properties.insert(field.json_name().to_owned(), schema);
        }
        let schema = json!({
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": false,
        });
        Ok(self.add(message, schema))
    }

    /// A reference to the schema of a message that the front answers with.
    pub(super) fn answer(&mut self, message: &MessageDescriptor) -> Result<Value, BindingError> {
        let mut properties = Map::new();
        for field in message.fields() {
            let one = match field.kind() {
                _ if field.is_map() => {
                    json!({ "type": "object", "additionalProperties": { "type": "string" } })
                }
                Kind::Int32 => integers::schema(&(i32::MIN..=i32::MAX)),
                Kind::String => json!({ "type": "string" }),
                Kind::Message(message) => self.message_answered(&message)?,
                _ => return Err(unsupported(&field)),
            };
            let schema = match field.is_list() {
                true => json!({ "type": "array", "items": one }),
                false => one,
            };
            let schema = described(schema, field.parent_message().parent_file(), field.path());
            properties.insert(field.json_name().to_owned(), schema);
        }
        Ok(self.add(
            message,
            json!({ "type": "object", "properties": properties }),
        ))
    }

    /// The same for a message that is packed into `google.protobuf.Any`.
    pub(super) fn detail(&mut self, message: &MessageDescriptor) -> Result<Value, BindingError> {
        let reference = self.answer(message)?;
        let name = message.full_name();
        if let Some(schema) = self.0.get_mut(name) {
            schema["properties"]["@type"] = json!({ "type": "string" });
        }
        let url = format!("type.googleapis.com/{name}");
        self.refine(name, "@type", json!({ "const": url }));
        Ok(reference)
    }

    /// Says more of a property that was added before, which then never is absent.
    pub(super) fn refine(&mut self, message: &str, property: &str, more: Value) {
        let Some(schema) = self.0.get_mut(message) else {
            return;
        };
        let found = &mut schema["properties"][property];
        if let (Value::Object(found), Value::Object(more)) = (found, more) {
            found.extend(more);
        }
        match schema["required"].as_array_mut() {
            Some(required) => required.push(property.into()),
            None => schema["required"] = json!([property]),
        }
    }

    fn message_answered(&mut self, message: &MessageDescriptor) -> Result<Value, BindingError> {
        match message.full_name() {
            "google.protobuf.Any" => Ok(json!({
                "type": "object",
                "properties": { "@type": { "type": "string" } },
                "required": ["@type"],
            })),
            "google.protobuf.Duration" => Ok(json!({
                "type": "string",
                "pattern": "^-?[0-9]+(?:\\.[0-9]{1,9})?s$",
            })),
            _ => self.answer(message),
        }
    }

    fn add(&mut self, message: &MessageDescriptor, schema: Value) -> Value {
        let schema = described(schema, message.parent_file(), message.path());
        let name = message.full_name();
        self.0.insert(name.to_owned(), schema);
        json!({ "$ref": format!("#/components/schemas/{name}") })
    }
}

fn integer_sent(field: &FieldDescriptor) -> Value {
    let range = tweet::range_of(field.full_name()).unwrap_or(i32::MIN..=i32::MAX);
    let forms = [
        Some(integers::schema(&range)),
        integers::text_schema(&range),
    ];
    json!({ "anyOf": forms.into_iter().flatten().collect::<Vec<_>>() })
}

/// The names and the numbers of the values that a tweet may have.
fn enum_sent(kind: &EnumDescriptor) -> Value {
    let values: Vec<_> = kind
        .values()
        .filter(|value| value.number() != tweet::UNKNOWN)
        .collect();
    let names: Vec<_> = values.iter().map(|value| value.name()).collect();
    let numbers: Vec<_> = values.iter().map(|value| value.number()).collect();
    json!({
        "anyOf": [
            { "type": "string", "enum": names },
            { "type": "integer", "enum": numbers },
        ]
    })
}

fn or_null(mut schema: Value) -> Value {
    if let Some(forms) = schema["anyOf"].as_array_mut() {
        forms.push(json!({ "type": "null" }));
    }
    schema
}

fn described(mut schema: Value, file: FileDescriptor, path: &[i32]) -> Value {
    if let Some(text) = comments::above(&file, path) {
        schema["description"] = text.into();
    }
    schema
}

fn unsupported(field: &FieldDescriptor) -> BindingError {
    BindingError::Unsupported {
        method: field.full_name().to_owned(),
        reason: "is of a type that the front cannot describe",
    }
}
