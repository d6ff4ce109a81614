//! The generated parts of the documentation are what the code says now.
//!
//! A page is written by hand but for blocks, each between `<!-- begin NAME … -->` and `<!-- end NAME -->`. The test
//! makes the blocks anew and compares. `make docs`, which sets `UPDATE`, writes them instead.

// Helpers of tests are tests too, which the lint does not know.
#![allow(clippy::unwrap_used)]

mod block;
mod local;
mod ports;
mod proto;
mod refusals;
mod settings;

use block::Block;

fn check(page: &str, blocks: Vec<Block>) {
    if let Err(stale) = block::check(page, blocks) {
        panic!("{stale}; `make docs` writes docs/{page} anew");
    }
}

#[test]
fn the_reference_of_settings_tells_what_the_binaries_take() {
    let blocks = [settings::blocks(), local::blocks()].concat();
    check("configuration.md", blocks);
}

#[test]
fn the_reference_of_the_api_tells_what_the_protos_say() {
    let blocks = [proto::blocks(), refusals::blocks()].concat();
    check("api.md", blocks);
}

#[test]
fn the_page_about_running_tells_the_ports_of_the_local_stack() {
    check("running.md", ports::blocks());
}
