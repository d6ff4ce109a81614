//! Generates the Rust code and the descriptor set from the `.proto` files, without protoc and offline.
//!
//! The files import `google/api` and `google/rpc`, which are not in this repository: `build/google.rs`
//! resolves them.

#[path = "build/google.rs"]
mod google;

use std::error::Error;
use std::path::PathBuf;

use prost::Message as _;
use protox::Compiler;
use protox::file::{ChainFileResolver, GoogleFileResolver, IncludeFileResolver};

const PROTOS: [&str; 3] = [
    "wethertweet/weather_tweet.proto",
    "clima/v1/tweet_event.proto",
    "clima/v1/tweet_ingest_service.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    for watched in PROTOS.iter().chain(&["build.rs", "build/google.rs"]) {
        println!("cargo:rerun-if-changed={watched}");
    }

    let mut resolver = ChainFileResolver::new();
    resolver.add(IncludeFileResolver::new(PathBuf::from(".")));
    resolver.add(google::Resolver);
    resolver.add(GoogleFileResolver::new());

    let mut compiler = Compiler::with_file_resolver(resolver);
    compiler.include_source_info(true).include_imports(true);
    compiler.open_files(PROTOS)?;
    // No message of ours imports the error details, they are only packed into `google.rpc.Status`;
    // the descriptor set needs them so that a status can be printed as JSON.
    compiler.open_file(google::ERROR_DETAILS)?;

    // Encoded by protox: re-encoding with prost-types would drop the HTTP options.
    let encoded = compiler.encode_file_descriptor_set();
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("descriptors.bin"), &encoded)?;

    tonic_prost_build::configure()
        .extern_path(".google.rpc", "::tonic_types::pb")
        // Only options use these; no generated type refers to them.
        .extern_path(".google.api", "::google_api_is_not_generated")
        .compile_fds(prost_types::FileDescriptorSet::decode(encoded.as_slice())?)?;
    Ok(())
}
