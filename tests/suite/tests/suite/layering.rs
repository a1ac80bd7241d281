//! Dependencies point one way: what decides knows nothing of what does.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Folders that are pure, and what none of their files may name.
const PURE: [&str; 10] = [
    "sea_orm", "tokio", "tonic", "lapin", "lettre", "std::fs", "std::env", "std::net", "async fn", "Clock",
];
/// Only the store knows the database.
const DATABASE: [&str; 3] = ["sea_orm", "store::entity", "Statement::"];

/// Every source below a folder.
pub fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// The lines of a file that are code, tests aside, and name one of the words.
fn naming(path: &Path, words: &[&str]) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines
        .filter(|line| words.iter().any(|word| line.contains(word)))
        .map(|line| format!("{}: {}", path.display(), line.trim()))
        .collect()
}

fn services() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../services");
    ["eligibility", "messaging", "notification"]
        .map(|service| root.join(service).join("src"))
        .into()
}

#[test]
fn the_domain_is_pure() {
    for service in services() {
        let files = sources(&service.join("domain"));
        assert!(!files.is_empty());
        let wrong: Vec<_> = files.iter().flat_map(|file| naming(file, &PURE)).collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}

#[test]
fn only_the_store_knows_the_database() {
    for service in services() {
        for folder in ["rpc", "inbox", "mail", "domain"].map(|folder| service.join(folder)) {
            if folder.is_dir() {
                let wrong: Vec<_> = sources(&folder)
                    .iter()
                    .flat_map(|file| naming(file, &DATABASE))
                    .collect();
                assert!(wrong.is_empty(), "{wrong:#?}");
            }
        }
    }
}

#[test]
fn services_know_each_other_by_their_protos_alone() {
    let names = ["carepost_eligibility", "carepost_messaging", "carepost_notification"];
    for (service, own) in services().into_iter().zip(names) {
        let others: Vec<_> = names.into_iter().filter(|name| *name != own).collect();
        let wrong: Vec<_> = sources(&service)
            .iter()
            .flat_map(|file| naming(file, &others))
            .collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}

#[test]
fn a_migration_says_whether_an_older_version_can_run_beside_it() {
    // Those of the first version: nothing older runs beside it.
    let first = [("eligibility", 7), ("messaging", 8), ("notification", 4)];
    for (service, first) in first {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../services");
        let names: Vec<_> = sources(&root.join(service).join("migration/src"))
            .iter()
            .map(|file| file.file_stem().unwrap().to_str().unwrap().to_owned())
            .filter(|name| name.starts_with("m0"))
            .collect();
        assert!(names.len() >= first, "{names:?}");
        for name in names {
            let (number, kind) = name.split_once('_').unwrap();
            let says = ["expand_", "contract_"].iter().any(|word| kind.starts_with(word));
            assert!(
                number[1..].parse::<usize>().unwrap() <= first || says,
                "{service}: {name}"
            );
        }
    }
}
