//! Our services, played by shell scripts: what counts here is how they are started and watched.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use clima_local::{Part, Stack};

fn service(folder: &Path, name: &str, script: &str) {
    let path = folder.join(name);
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
}

#[tokio::test]
async fn a_service_that_ends_during_the_start_fails_it_with_its_last_words() {
    let bin = tempfile::tempdir().unwrap();
    service(
        bin.path(),
        "clima-rest",
        "echo \"gateway $CLIMA_GATEWAY_URL $EXTRA\" >&2; exit 64",
    );
    let start = Stack::builder()
        .only([Part::Rest])
        .bin_dir(bin.path())
        .env(Part::Rest, "EXTRA", "not wanted")
        .start();
    let error = format!("{:#}", start.await.unwrap_err());
    assert!(error.contains("rest ended with exit status 64"), "{error}");
    assert!(error.contains("gateway http://127.0.0.1:"), "{error}");
    assert!(error.contains("not wanted"), "{error}");
}

#[tokio::test]
async fn a_binary_that_is_not_built_is_named() {
    let bin = tempfile::tempdir().unwrap();
    let start = Stack::builder()
        .only([Part::WriterKafka])
        .bin_dir(bin.path())
        .start();
    let error = format!("{:#}", start.await.unwrap_err());
    assert!(error.contains("clima-writer-kafka is not there"), "{error}");
    assert!(error.contains("cargo build"), "{error}");
}
