//! The OpenAPI document, judged by a validator; and the front, judged by a program that reads the document, makes
//! requests of every kind out of it, right and wrong ones, and holds each answer against it.

use clima_local::Part;
use tokio::process::Command;

use crate::http::ask;
use crate::stack::{stack, totals};
use crate::tools::{output, tool};

/// Requests that are made up for each path, beside those at the edges of the schemas.
const EXAMPLES: &str = "--max-examples=300";

/// Makes every run the same.
const SEED: &str = "--seed=20240601";

#[tokio::test]
async fn the_document_is_valid_openapi() {
    let stack = stack().await;
    let front = stack.address(Part::Rest);
    let answer = ask(&front, "GET", "/openapi.json", &[], b"").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("openapi.json");
    std::fs::write(&file, &answer.body).unwrap();
    let validator = tool("schemathesis.sh").await.join("openapi-spec-validator");
    output(Command::new(validator).arg(file)).await;
}

#[tokio::test]
async fn the_front_answers_as_documented_whatever_it_is_sent() {
    let stack = stack().await;
    let before = totals(&stack).await;
    let program = tool("schemathesis.sh").await.join("st");
    let document = format!("http://{}/openapi.json", stack.address(Part::Rest));
    // It leaves files where it runs.
    let folder = tempfile::tempdir().unwrap();
    let told = output(
        Command::new(program)
            .current_dir(folder.path())
            .args(["--no-color", "run", &document])
            .args(["--checks=all", "--mode=all", EXAMPLES, SEED])
            .args(["--continue-on-failure", "--generation-database=none"])
            // Beyond the deadline of the front.
            .args(["--request-timeout=20", "--output-sanitize=false"]),
    )
    .await;
    assert!(told.contains("Tested: 2"), "{told}");
    let after = totals(&stack).await;
    let counted = after.kafka - before.kafka;
    assert_eq!(counted, after.rabbitmq - before.rabbitmq, "{told}");
    // It was not all refused, or little would have been checked.
    assert!(counted > 100, "{counted} tweets\n{told}");
}
