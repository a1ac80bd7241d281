//! Bad input gets one clear line with what to do, and an exit code that is not zero.

use std::{
    fs,
    io::Write,
    net::TcpListener,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, jwk::Jwk, jwk::ThumbprintHash};
use rcgen::KeyPair;
use sea_orm::{ConnectionTrait, Database};
use serde_json::json;

use crate::support::{Home, hospital, refusal};

fn write_profile(home: &Home, text: &str) {
    let folder = home.path().join(".config/carepost");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("profiles.toml"), text).unwrap();
}

/// A profile with each service at an address, and this line.
fn profile(messaging: &str, eligibility: &str, line: &str) -> String {
    format!(
        "[local]\norganization = \"prairie\"\nmessaging = \"{messaging}\"\neligibility = \"{eligibility}\"\n\
         notification = \"{eligibility}\"\n{line}\n"
    )
}

#[test]
fn without_a_profile_it_says_how_to_get_one() {
    let home = Home::new();
    let told = home.refusal(&["inbox", "--as", "staff/1"], 2);
    assert!(told.contains("carepost run"), "{told}");
}

#[test]
fn a_profile_that_does_not_exist_or_is_broken_is_named() {
    let home = Home::new();
    write_profile(
        &home,
        &profile("http://127.0.0.1:1", "http://127.0.0.1:1", "data = \"/nowhere\""),
    );
    let told = home.refusal(&["--profile", "live", "badge"], 2);
    assert!(told.contains("`live`") && told.contains("local"), "{told}");
    write_profile(&home, "[local]\nmessaging = [\n");
    let told = home.refusal(&["badge"], 2);
    assert!(told.contains("profiles.toml:"), "{told}");
}

#[test]
fn a_port_in_use_is_told_with_the_way_out() {
    let home = Home::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let data = home.data();
    let told = home.refusal(
        &[
            "run",
            "--data",
            data.to_str().unwrap(),
            "--messaging-port",
            &port,
            "--eligibility-port",
            "0",
        ],
        1,
    );
    assert!(told.contains(&format!("Port {port} of messaging is in use")), "{told}");
    assert!(told.contains("--messaging-port"), "{told}");
}

#[test]
fn a_folder_of_another_process_or_of_a_newer_version_is_left_alone() {
    let home = Home::new();
    let data = home.data();
    let again = ["run", "--data", data.to_str().unwrap()];
    let running = home.run(&[]);
    let told = home.refusal(&again, 1);
    assert!(
        told.contains("in use by another `carepost run`") && told.contains("--data"),
        "{told}"
    );
    drop(running);
    fs::write(data.join("VERSION"), "999\n").unwrap();
    let told = home.refusal(&again, 2);
    assert!(told.contains("newer version"), "{told}");
}

#[test]
fn a_suite_that_is_told_to_stop_while_it_starts_ends_well() {
    let home = Home::new();
    let data = home.data();
    let mut command = home.command(&["run", "--data", data.to_str().unwrap(), "--messaging-port", "0"]);
    command.args(["--eligibility-port", "0", "--notification-port", "0"]);
    let mut child = command.stdout(Stdio::null()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    while !data.join("VERSION").exists() {
        assert!(Instant::now() < deadline, "the suite does not begin");
        thread::yield_now();
    }
    let signalled = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
    assert!(signalled.unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_s_file_of_another_process_or_of_a_newer_version_is_one_clear_line() {
    let home = Home::new();
    let data = home.data();
    let again = [
        "run",
        "--data",
        data.to_str().unwrap(),
        "--eligibility-port",
        "0",
        "--messaging-port",
        "0",
    ];
    let again = [&again[..], &["--notification-port", "0"]].concat();
    assert_eq!(home.run(&[]).signal("-TERM"), Some(0));

    // A service that was started by hand has it.
    let lock = fs::File::options()
        .write(true)
        .open(data.join("broker.db.lock"))
        .unwrap();
    lock.lock().unwrap();
    let told = home.refusal(&again, 1);
    assert!(told.contains("broker.db is used by another process"), "{told}");
    drop(lock);

    let broker = format!("sqlite://{}", data.join("broker.db").display());
    let database = Database::connect(broker).await.unwrap();
    database.execute_unprepared("PRAGMA user_version = 999").await.unwrap();
    database.close().await.unwrap();
    let told = home.refusal(&again, 2);
    assert!(
        told.contains("broker.db belongs to a newer version of Carepost"),
        "{told}"
    );
}

#[test]
fn a_message_without_its_chart_names_the_option() {
    let home = Home::new();
    let _running = home.run(&["--import", hospital("prairie").to_str().unwrap()]);
    let told = home.refusal(&["send", "--as", "staff/9999999896", "--to", "portal/pu-9", "Hello"], 2);
    assert!(
        told.contains("--chart: a portal conversation regards a chart"),
        "{told}"
    );
}

#[test]
fn a_wrong_endpoint_is_told_with_the_profile_to_correct() {
    let home = Home::new();
    let running = home.run(&["--import", hospital("prairie").to_str().unwrap()]);
    let (messaging, eligibility) = (running.told["messaging"].clone(), running.told["eligibility"].clone());
    let (messaging, eligibility) = (messaging.as_str().unwrap(), eligibility.as_str().unwrap());
    let data = format!("data = \"{}\"", home.data().display());

    // Nobody is there.
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    write_profile(&home, &profile(&format!("http://{nobody}"), eligibility, &data));
    let told = home.refusal(&["badge", "--as", "portal/pu-9"], 5);
    assert!(
        told.contains("does not answer") && told.contains("profiles.toml"),
        "{told}"
    );

    // Another service of the suite is there.
    write_profile(&home, &profile(eligibility, eligibility, &data));
    let told = home.refusal(&["badge", "--as", "portal/pu-9"], 2);
    assert!(told.contains("is not the service messaging"), "{told}");

    // Something else is there.
    let web = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = web.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in web.incoming().flatten() {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n");
        }
    });
    write_profile(&home, &profile(&format!("http://{address}"), messaging, &data));
    let output = home.carepost(&["badge", "--as", "portal/pu-9"]);
    let told = refusal(
        &output,
        output.status.code().filter(|code| [2, 5].contains(code)).unwrap(),
    );
    assert!(told.contains("messaging") && told.contains("profiles.toml"), "{told}");
}

#[test]
fn a_token_that_expired_or_is_none_is_told() {
    let home = Home::new();
    let running = home.run(&["--import", hospital("prairie").to_str().unwrap()]);
    let (messaging, eligibility) = (running.told["messaging"].clone(), running.told["eligibility"].clone());
    let token = home.path().join("token");
    let line = format!("token_file = \"{}\"", token.display());
    write_profile(
        &home,
        &profile(messaging.as_str().unwrap(), eligibility.as_str().unwrap(), &line),
    );

    fs::write(&token, expired(&home)).unwrap();
    let told = home.refusal(&["badge"], 3);
    assert!(told.contains("expired") && told.contains("token"), "{told}");
    let told = home.refusal(&["badge", "--as", "staff/9999999896"], 2);
    assert!(told.contains("is that of portal/pu-9"), "{told}");
    fs::write(&token, "secret").unwrap();
    let told = home.refusal(&["badge"], 2);
    assert!(told.contains("holds no token") && !told.contains("secret"), "{told}");
    fs::remove_file(&token).unwrap();
    let told = home.refusal(&["badge"], 2);
    assert!(told.contains("no such file"), "{told}");
}

/// A token of the suite's own key that ended an hour ago.
fn expired(home: &Home) -> String {
    let pem = fs::read_to_string(home.data().join("signing-key.pem")).unwrap();
    let signing = EncodingKey::from_ec_der(&KeyPair::from_pem(&pem).unwrap().serialize_der());
    let public = Jwk::from_encoding_key(&signing, Algorithm::ES256).unwrap();
    let mut header = Header::new(Algorithm::ES256);
    header.kid = Some(public.thumbprint(ThumbprintHash::SHA256).unwrap());
    let now = jsonwebtoken::get_current_timestamp();
    let claims = json!({
        "iss": "local", "aud": "carepost", "org": "prairie", "sub": "portal/pu-9", "iat": now - 7_200, "exp": now - 3_600,
    });
    encode(&header, &claims, &signing).unwrap()
}

#[test]
fn a_broken_directory_is_told_with_line_and_column() {
    let home = Home::new();
    let running = home.run(&["--import", hospital("prairie").to_str().unwrap()]);
    let file = home.path().join("broken.json");
    let path = file.to_str().unwrap();
    for (text, told) in [
        (
            "{\n  \"organization\": {\n    \"id\": \"prairie\",,\n",
            "broken.json:3:21: key must be a string",
        ),
        (
            "{\n  \"hospital\": {}\n}\n",
            "broken.json:2:12: unknown field `hospital`",
        ),
    ] {
        fs::write(&file, text).unwrap();
        let line = home.refusal(&["import", path], 2);
        assert!(line.contains(told) && line.contains("Nothing was imported"), "{line}");
    }
    let line = home.refusal(&["import", "/no/such/file.json"], 2);
    assert!(line.contains("no such file or directory"), "{line}");
    let line = home.refusal(&["import", hospital("southern").to_str().unwrap()], 2);
    assert!(line.contains("--organization southern"), "{line}");
    drop(running);
}

#[test]
fn records_that_are_refused_are_named_and_the_rest_is_imported() {
    let home = Home::new();
    let _running = home.run(&["--import", hospital("prairie").to_str().unwrap()]);
    let file = home.path().join("changed.json");
    let text = fs::read_to_string(hospital("prairie")).unwrap();
    let text = text.replacen("\"super_admin\"", "\"emperor\"", 1).replacen(
        "\"patient_name\": \"Rocky Streich\", \"location\": \"",
        "\"patient_name\": \"Rocky Streich\", \"location\": \"nowhere-",
        1,
    );
    fs::write(&file, text).unwrap();
    let output = home.carepost(&["import", file.to_str().unwrap(), "--json"]);
    assert_eq!(output.status.code(), Some(3));
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&told["added"], &told["changed"], &told["refused"]),
        (&json!(0), &json!(0), &json!(2))
    );
    let refusals = told["refusals"].as_array().unwrap();
    assert_eq!(refusals[0]["kind"], "staff");
    assert_eq!(refusals[0]["message"], "roles: there is no `emperor`");
    assert_eq!(
        (&refusals[1]["kind"], &refusals[1]["reason"]),
        (&json!("chart"), &json!("REFERENCE_MISSING"))
    );
}

#[test]
fn unknown_people_and_conversations_are_told() {
    let home = Home::new();
    let _running = home.run(&["--import", hospital("prairie").to_str().unwrap()]);
    let told = home.refusal(&["inbox", "--as", "staff/nobody"], 4);
    assert!(told.contains("There is no staff/nobody in prairie"), "{told}");
    let told = home.refusal(&["badge"], 2);
    assert!(told.contains("--as"), "{told}");
    let told = home.refusal(&["show", "--as", "portal/pu-9", "last"], 4);
    assert!(told.contains("no conversation yet"), "{told}");
    let told = home.refusal(
        &["show", "--as", "portal/pu-9", "5f0a2a3c-7f0e-4f9e-9a53-0c8a7b1f8a11"],
        4,
    );
    assert!(told.contains("no such conversation"), "{told}");
    let told = home.refusal(&["show", "--as", "portal/pu-9", "nonsense"], 2);
    assert!(told.contains("CONVERSATION: must be a UUID"), "{told}");
    let output = home.carepost(&[
        "send",
        "--as",
        "staff/9999999896",
        "--to",
        "portal/nobody",
        "--chart",
        "1021",
        "Hello",
    ]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{told}");
    assert!(
        told.lines().count() == 3 && told.contains("UNKNOWN_PORTAL_USER (portal/nobody)"),
        "{told}"
    );
    assert!(
        told.ends_with("`carepost recipients` lists whom you may write to now.\n"),
        "{told}"
    );
}

#[test]
fn a_wrong_command_line_is_told_and_help_has_examples() {
    let home = Home::new();
    for arguments in [
        &["send"][..],
        &["inbox", "--as", "nobody"],
        &["nonsense"],
        &["badge", "--as", "staff/"],
    ] {
        let output = home.carepost(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(!output.stderr.is_empty() && output.stdout.is_empty());
    }
    for command in [
        "run",
        "demo",
        "import",
        "token",
        "recipients",
        "send",
        "reply",
        "inbox",
        "show",
        "read",
        "unread",
        "archive",
        "unarchive",
        "search",
        "watch",
        "compose",
        "badge",
        "explain",
        "settings",
        "directory",
        "deliveries",
    ] {
        let output = home
            .command(&[command, "--help"])
            .stdout(Stdio::piped())
            .output()
            .unwrap();
        let help = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && help.contains("JSON"), "{command}: {help}");
    }
}
