//! A directory is imported as often as one likes.

use carepost_suite::Suite;
use carepost_testkit::DirectoryFile;

#[tokio::test(flavor = "multi_thread")]
async fn d1_the_second_import_of_both_hospitals_changes_nothing_and_says_so() {
    let suite = Suite::start("import").await;
    for file in [DirectoryFile::prairie(), DirectoryFile::southern()] {
        let records = i64::try_from(file.import_requests().len()).unwrap();
        let first = suite.import(&file).await;
        assert_eq!(
            (first.added, first.changed, first.unchanged, first.refused),
            (records, 0, 0, 0)
        );
        let second = suite.import(&file).await;
        assert_eq!(
            (second.added, second.changed, second.unchanged, second.refused),
            (0, 0, records, 0)
        );
    }
}
