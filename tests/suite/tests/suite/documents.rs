//! Documents that say what the code says.

mod api;
mod rules;

use std::{fs, path::Path};

#[test]
fn the_page_of_errors_is_made_from_the_protos() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors.md");
    let page = fs::read_to_string(path).unwrap();
    assert!(
        page == carepost_suite::errors_page::page(),
        "docs/errors.md is not up to date: run `make docs`"
    );
}

#[test]
fn the_page_of_settings_is_made_from_the_defaults() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    let page = fs::read_to_string(path).unwrap_or_default();
    assert!(
        page == carepost_suite::configuration_page::page(),
        "docs/configuration.md is not up to date: run `make docs`"
    );
}
