//! What the comments in a proto file say, read out of the source information of its descriptor.

use prost_reflect::FileDescriptor;

/// The comment above the element at `path`, as `SourceCodeInfo.Location` numbers it; none without a comment.
pub(super) fn above(file: &FileDescriptor, path: &[i32]) -> Option<String> {
    let source = file.file_descriptor_proto().source_code_info.as_ref()?;
    let location = source.location.iter().find(|found| found.path == path)?;
    let lines = location.leading_comments().lines().map(str::trim);
    Some(lines.collect::<Vec<_>>().join("\n").trim().to_owned()).filter(|text| !text.is_empty())
}

/// The first sentence of a comment, for where one line is wanted.
pub(super) fn first_sentence(text: &str) -> &str {
    text.split_once(". ")
        .map_or(text, |(first, _)| first)
        .trim_end_matches('.')
}
