//! docs/rules.md has every rule, each with tests that there are.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use crate::layering::sources;

/// How many rules there are of each kind; the first is 1.
const RULES: [(char, usize); 6] = [('C', 7), ('I', 7), ('R', 2), ('S', 4), ('N', 5), ('D', 2)];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn rules() -> BTreeSet<String> {
    let rules = RULES.into_iter();
    rules
        .flat_map(|(kind, count)| (1..=count).map(move |number| format!("{kind}{number}")))
        .collect()
}

/// The rows of the page's table: the rule, what it says, its tests.
fn rows(page: &str) -> Vec<[&str; 3]> {
    let rows = page
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let rows = rows.filter(|row| !row.starts_with("rule |"));
    rows.map(|row| {
        let cells: Vec<_> = row.split(" | ").map(str::trim).collect();
        cells
            .try_into()
            .unwrap_or_else(|_| panic!("not three cells in a row: {row}"))
    })
    .collect()
}

/// The tests that a cell names, each with its file: ``[label](../file): `one`, `two` ``, and so on.
fn named(cell: &str) -> Vec<(&str, &str)> {
    let files = cell.split("](../").skip(1);
    files
        .flat_map(|part| {
            let (file, names) = part.split_once(')').unwrap();
            let names = names.split('`').skip(1).step_by(2);
            names.map(move |name| (file, name))
        })
        .collect()
}

/// What is wrong with the page, given the tests of a file by its path.
fn faults(page: &str, tests_of: impl Fn(&str) -> BTreeSet<String>) -> Vec<String> {
    let (mut faults, mut missing) = (Vec::new(), rules());
    for [rule, says, cell] in rows(page) {
        if !missing.remove(rule) {
            faults.push(format!("{rule} is no rule, or stands there twice"));
        }
        if says.is_empty() || named(cell).is_empty() {
            faults.push(format!("{rule} lacks words or tests"));
        }
        for (file, test) in named(cell) {
            if !tests_of(file).contains(test) {
                faults.push(format!("{rule}: there is no test {test} in {file}"));
            }
        }
    }
    faults.extend(missing.into_iter().map(|rule| format!("{rule} is not there")));
    faults
}

/// The tests of a source: functions with the attribute, and those that `on_both!` runs; not what is ignored.
fn tests(source: &str) -> BTreeSet<String> {
    let (mut found, mut attributes) = (BTreeSet::new(), String::new());
    for line in source.lines().map(str::trim) {
        let open = attributes.matches('[').count() > attributes.matches(']').count();
        if open || line.starts_with("#[") {
            attributes += line;
        } else if !line.starts_with("//") {
            let name = function(line).filter(|_| is_test(&attributes));
            found.extend(name.map(str::to_owned));
            attributes.clear();
        }
    }
    let calls = ["on_both!(", "on_both! {"]
        .into_iter()
        .flat_map(|call| source.split(call).skip(1));
    let listed = calls.flat_map(|call| call.split([')', '}']).next().unwrap_or_default().split_whitespace());
    found.extend(
        listed
            .filter(|name| source.contains(&format!("async fn {name}(")))
            .map(str::to_owned),
    );
    found
}

fn is_test(attributes: &str) -> bool {
    let marked = ["#[test]", "#[tokio::test]", "#[tokio::test("];
    marked.iter().any(|mark| attributes.contains(mark)) && !attributes.contains("#[ignore")
}

/// The name of the function that a line begins.
fn function(line: &str) -> Option<&str> {
    let line = line.trim_start_matches("pub ").trim_start_matches("async ");
    line.strip_prefix("fn ")?.split(['(', '<']).next()
}

#[test]
fn every_rule_has_tests_that_there_are() {
    let page = fs::read_to_string(root().join("docs/rules.md")).unwrap();
    let found = faults(&page, |file| {
        tests(&fs::read_to_string(root().join(file)).unwrap_or_default())
    });
    assert!(found.is_empty(), "docs/rules.md: {found:#?}");
}

#[test]
fn tests_and_protos_name_rules_that_there_are() {
    let rules = rules();
    let folders = ["cli", "services", "shared", "tests"].map(|folder| sources(&root().join(folder)));
    let mut count = 0;
    for file in folders.concat() {
        for test in tests(&fs::read_to_string(&file).unwrap()) {
            let label = test.split('_').next().unwrap().to_uppercase();
            if is_label(&label) {
                assert!(rules.contains(&label), "{test} in {}", file.display());
                count += 1;
            }
        }
    }
    assert!(count > 100, "{count}");
    for file in carepost_suite::protos::files() {
        for place in &file.source_code_info.as_ref().unwrap().location {
            let words = place.leading_comments().split(|letter: char| !letter.is_alphanumeric());
            for label in words.filter(|word| is_label(word)) {
                assert!(rules.contains(label), "{label} in {}", file.name());
            }
        }
    }
}

/// Whether a word looks like the label of a rule.
fn is_label(word: &str) -> bool {
    let mut letters = word.chars();
    let kind = letters
        .next()
        .is_some_and(|first| RULES.iter().any(|(kind, _)| *kind == first));
    kind && word.len() > 1 && letters.all(|letter| letter.is_ascii_digit())
}

/// A page of the right form, with this cell for each rule.
fn page(cell: &str) -> String {
    let rows = rules().into_iter().map(|rule| format!("| {rule} | words | {cell} |\n"));
    format!(
        "| rule | what it says | tests |\n|---|---|---|\n{}",
        rows.collect::<String>()
    )
}

#[test]
fn a_fault_of_the_page_is_found() {
    let known = |file: &str| {
        let tests = if file == "a/b.rs" { vec!["one", "two"] } else { vec![] };
        tests.into_iter().map(str::to_owned).collect::<BTreeSet<_>>()
    };
    let good = page("[b](../a/b.rs): `one`, `two`");
    assert_eq!(faults(&good, known), [""; 0]);
    let row = "| I3 | words | [b](../a/b.rs): `one`, `two` |\n";
    for (wrong, fault) in [
        (good.replace(row, ""), "I3 is not there"),
        (good.replace(row, "| I3 | words | none |\n"), "I3 lacks words or tests"),
        (good.replace(row, &row.replace("one", "gone")), "no test gone in a/b.rs"),
        (good.replace(row, &row.replace("b.rs", "c.rs")), "no test one in a/c.rs"),
        (format!("{good}{row}"), "I3 is no rule, or stands there twice"),
        (format!("{good}{}", row.replace("I3", "I8")), "I8 is no rule"),
    ] {
        let found = faults(&wrong, known);
        assert!(found.iter().any(|found| found.contains(fault)), "{fault}: {found:?}");
    }
}

#[test]
fn what_only_looks_like_a_test_is_none() {
    let source = "#[test]\n#[allow(\n    unused,\n)]\nfn one() {}\nfn helper() {}\n\
        #[tokio::test(flavor = \"multi_thread\")]\n// Slow.\nasync fn two() {}\n#[test]\n#[ignore = \"slow\"]\nfn three() {}\n\
        on_both!(four);\nasync fn four(column: Column) {}\non_both! {\n    five\n    six\n}\nasync fn five(column: Column) {}\n";
    let found: Vec<_> = tests(source).into_iter().collect();
    assert_eq!(found, ["five", "four", "one", "two"]);
}
