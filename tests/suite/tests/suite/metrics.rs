//! What is counted: every metric is there, and dashboard, alerts and runbooks speak of no other.

use std::{collections::BTreeSet, fs, path::PathBuf};

use carepost_runtime::metrics::{Kind, Metric};
use carepost_suite::{Suite, scrape, wait::LONG, wait::until};
use carepost_testkit::DirectoryFile;

use crate::traffic::{PRAIRIE, begin};

fn file(path: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The names under which queries find a metric.
fn series(metric: Metric) -> Vec<String> {
    let name = metric.series();
    match metric.description().kind {
        Kind::Histogram => ["_bucket", "_sum", "_count"].map(|end| format!("{name}{end}")).into(),
        Kind::Counter | Kind::Gauge => vec![name],
    }
}

/// All that looks like one of our metrics in a text.
fn named(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let ours = words.filter(|word| word.starts_with("carepost_") || word.starts_with("process_"));
    ours.map(str::to_owned).collect()
}

#[test]
fn dashboard_and_alerts_name_metrics_that_there_are() {
    let known: BTreeSet<_> = Metric::ALL.into_iter().flat_map(series).collect();
    let dashboard = named(&file("k8s/observability/dashboard.json"));
    let alerts = named(&file("k8s/observability/alerts.yaml"));
    assert!(dashboard.len() > 10 && alerts.len() > 5, "they were read");
    let unknown: Vec<_> = dashboard.union(&alerts).filter(|name| !known.contains(*name)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    for metric in Metric::ALL {
        let shown = series(metric).iter().any(|name| dashboard.contains(name));
        assert!(shown, "{metric:?} is on no panel");
    }
}

#[test]
fn every_metric_is_explained() {
    let page = file("docs/observability.md");
    for metric in Metric::ALL {
        let name = format!("`{}`", metric.series());
        assert!(page.contains(&name), "{name} is not in docs/observability.md");
    }
}

#[test]
fn every_alert_has_its_runbook_and_its_test() {
    let (alerts, tests) = (
        file("k8s/observability/alerts.yaml"),
        file("k8s/observability/alerts_test.yaml"),
    );
    let page = file("docs/observability.md");
    let names: Vec<_> = alerts
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "))
        .collect();
    assert!(names.len() > 10, "{names:?}");
    for name in names {
        let url = format!("docs/observability.md#{}", name.to_lowercase());
        assert!(
            alerts.contains(&format!("runbook_url: {url}\n")),
            "{name} does not lead to {url}"
        );
        assert!(page.contains(&format!("### {name}\n")), "{name} has no section");
        // It comes with its summary in some case, rather than only being named.
        assert!(
            tests.contains(&format!("runbook_url: {url}\n")),
            "{name} never comes in the tests"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_was_sent_is_seen_in_every_metric() {
    let suite = Suite::start("metrics").await;
    suite.import(&DirectoryFile::prairie()).await;
    begin(&suite, PRAIRIE).await;
    suite.smtp.wait_for(|mails| !mails.is_empty(), LONG).await;
    let missing = async || {
        let text = scrape::metrics(&suite).await;
        let there = named(&text);
        // Without TLS there is no certificate; a test of the runtime has that one.
        let all = Metric::ALL
            .into_iter()
            .filter(|metric| *metric != Metric::CertificateEnds);
        let all = all.flat_map(series);
        let missing = all.filter(|name| !there.contains(name)).collect::<Vec<_>>();
        let sent = text
            .lines()
            .any(|line| line == "carepost_delivery_attempts_total{outcome=\"accepted\"} 1");
        (missing, sent)
    };
    let whole = until(LONG, async || missing().await == (Vec::new(), true)).await;
    assert!(whole, "{:?}", missing().await);
}
