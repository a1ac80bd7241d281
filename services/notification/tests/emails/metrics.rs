//! What an operator's Prometheus sees.

use std::{net::SocketAddr, time::Duration};

use carepost_testkit::{
    ports::free_port,
    smtp::{Behaviour, Security},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::Child,
    time::{Instant, sleep},
};

use crate::{
    parts::Column,
    process::{carepost, run},
    stub::active,
    support::{PATIENCE, World},
};

/// All series, or none while nobody answers.
async fn scrape(address: SocketAddr) -> Option<String> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await.ok()?;
    Some(text)
}

async fn wait_for_series(address: SocketAddr, series: &[&str]) -> String {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let text = scrape(address).await.unwrap_or_default();
        if series.iter().all(|series| text.lines().any(|line| line == *series)) {
            return text;
        }
        assert!(Instant::now() < deadline, "{series:?} are not in {text}");
        sleep(Duration::from_millis(50)).await;
    }
}

fn serve(world: &World, address: SocketAddr) -> Child {
    let listen = format!("{}\n[metrics]\nlisten = \"{address}\"", world.mail_url("smtp"));
    carepost(&["serve"], &world.settings_file(&listen)).spawn().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn n3_every_attempt_that_may_have_been_an_email_too_many_is_counted() {
    let world = World::new(Column::Real, "metrics", Security::Plain).await;
    world.eligibility.put("southern", "one", active("one@home.example"));
    assert!(
        run(&["migrate"], &world.settings_file(&world.mail_url("smtp")))
            .await
            .status
            .success()
    );
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    world.smtp.script(|_, attempt| match attempt {
        1 => Behaviour::RefuseRecipient(451, "4.7.1 later".into()),
        2 => Behaviour::DropAfterData,
        4 => Behaviour::Hang,
        _ => Behaviour::Accept,
    });
    let mut child = serve(&world, address);
    world.publish(&["portal/one"]).await;
    wait_for_series(
        address,
        &[
            "carepost_delivery_attempts_total{outcome=\"postponed\"} 1",
            "carepost_delivery_attempts_total{outcome=\"unknown\"} 1",
            "carepost_delivery_attempts_total{outcome=\"accepted\"} 1",
            "carepost_deliveries_ended_total{state=\"sent\"} 1",
        ],
    )
    .await;

    // One whose process dies after the server has the email, and before it knows.
    world.publish(&["portal/one"]).await;
    world.smtp.wait_for(|mails| mails.len() == 3, PATIENCE).await;
    child.kill().await.unwrap();
    let mut child = serve(&world, address);
    let text = wait_for_series(
        address,
        &[
            "carepost_delivery_attempts_total{outcome=\"unknown\"} 1",
            "carepost_delivery_attempts_total{outcome=\"accepted\"} 1",
        ],
    )
    .await;
    assert_eq!(world.smtp.mails().len(), 4, "two emails, and one too many of each");
    for private in ["portal/one", "home.example", "southern", "Southern"] {
        assert!(!text.contains(private), "{private} in {text}");
    }
    child.kill().await.unwrap();
    world.clear().await;
}
