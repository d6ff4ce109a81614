//! The descriptor set of every proto that a port of ours serves or answers with.

use std::sync::LazyLock;

use prost_reflect::DescriptorPool;

/// The encoded `FileDescriptorSet`: `wethertweet`, `clima.v1`, and what they import, including
/// `google.api.http` and the error details of `google.rpc`.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// The same set, linked. Built at the first use; cloning it is cheap.
pub fn pool() -> DescriptorPool {
    static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
        #[allow(clippy::expect_used)]
        DescriptorPool::decode(FILE_DESCRIPTOR_SET)
            .expect("the build script compiled this very set, so it links")
    });
    POOL.clone()
}
