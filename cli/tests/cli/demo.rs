//! `carepost demo`, as a newcomer sees it.

use std::fs;

use crate::support::{Home, emails};

#[test]
fn every_step_of_the_demo_holds_also_the_second_time() {
    let home = Home::new();
    let data = home.path().join("demo");
    for _ in 0..2 {
        let output = home.carepost(&["demo", "--data", data.to_str().unwrap()]);
        let told = String::from_utf8(output.stdout).unwrap();
        assert!(
            output.status.success(),
            "{told}\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(
            told.contains("Every step held: 17 steps") && !told.contains('✗'),
            "{told}"
        );
    }
    let emails = emails(&data);
    assert_eq!(emails.len(), 4);
    for email in emails {
        assert!(
            fs::read_to_string(email)
                .unwrap()
                .contains("Auto-Submitted: auto-generated")
        );
    }
    assert!(!home.path().join(".config").exists(), "it leaves your profiles alone");
}

#[test]
fn the_demo_removes_nothing_that_is_not_its_own() {
    let home = Home::new();
    let thesis = home.path().join("thesis.tex");
    fs::write(&thesis, "").unwrap();
    let told = home.refusal(&["demo", "--data", home.path().to_str().unwrap()], 2);
    assert!(told.contains("is no data folder"), "{told}");
    assert!(thesis.exists());
}
