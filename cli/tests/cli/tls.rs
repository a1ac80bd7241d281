//! A deployment with certificates of an authority of its own, that asks for those of its callers.

use std::{fs, net::SocketAddr, path::PathBuf};

use carepost_eligibility::{app, settings::Settings};
use carepost_eligibility_migration::Migrator;
use carepost_runtime::{database, lifecycle::Lifecycle};
use carepost_testkit::{Authority, TokenIssuer};

use crate::support::{Home, hospital};

/// The service eligibility, as a hospital runs it, and who calls it. It ends when dropped.
struct Deployment {
    home: Home,
    address: SocketAddr,
    life: Lifecycle,
}

impl Drop for Deployment {
    fn drop(&mut self) {
        self.life.stop();
    }
}

impl Deployment {
    /// It lets in whom it has a certificate of, if it asks for one.
    async fn start(asks: bool) -> Self {
        let home = Home::new();
        let (ours, issuer) = (Authority::generate(), TokenIssuer::eddsa("hospital"));
        let write = |name: &str, text: &str| fs::write(home.path().join(name), text).unwrap();
        for (name, (certificate, key)) in [
            ("server", ours.sign(&["localhost"])),
            ("me", ours.sign(&["operator"])),
            ("stranger", Authority::generate().sign(&["operator"])),
        ] {
            write(&format!("{name}.pem"), &certificate);
            write(&format!("{name}.key"), &key);
        }
        write("ca.pem", ours.ca_pem());
        write("other-ca.pem", Authority::generate().ca_pem());
        write("token", &issuer.service("feed"));
        issuer.write_jwks(&home.path().join("jwks.json"));
        let folder = home.path().display();
        let client_ca = if asks {
            format!("client_ca_file = \"{folder}/ca.pem\"")
        } else {
            String::new()
        };
        let settings = Settings::embedded(&format!(
            "[server]\nlisten = \"127.0.0.1:0\"\ncertificate_file = \"{folder}/server.pem\"\nkey_file = \"{folder}/server.key\"\n\
             {client_ca}\n[database]\nurl = \"sqlite://{folder}/eligibility.db?mode=rwc\"\n\
             [broker]\nurl = \"sqlite://{folder}/broker.db\"\n\
             [[identity.issuers]]\nissuer = \"hospital\"\njwks_file = \"{folder}/jwks.json\"\norganizations = [\"prairie\"]\n\
             [[identity.services]]\nissuer = \"hospital\"\nsubject = \"feed\"\nname = \"feed\"\n\
             scopes = [\"directory.read\", \"directory.write\"]\norganizations = [\"prairie\"]\n"
        ))
        .unwrap();
        database::migrate::<Migrator>(&settings.database).await.unwrap();
        let life = Lifecycle::default();
        let address = Box::pin(app::start(settings, life.clone())).await.unwrap();
        Self { home, address, life }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// A profile for the service at this URL, with these files.
    fn profile(&self, url: &str, files: &[(&str, &str)]) {
        let url = format!("{url}:{}", self.address.port());
        let services = ["messaging", "eligibility", "notification"].map(|service| format!("{service} = \"{url}\"\n"));
        let files = files
            .iter()
            .chain(&[("token_file", "token")])
            .map(|(key, file)| format!("{key} = \"{}\"\n", self.file(file).display()));
        let text = format!(
            "[local]\norganization = \"prairie\"\n{}{}",
            services.concat(),
            files.collect::<String>()
        );
        fs::create_dir_all(self.file(".config/carepost")).unwrap();
        fs::write(self.file(".config/carepost/profiles.toml"), text).unwrap();
    }

    /// What the command says to whom this profile does not let in.
    fn refusal(&self, url: &str, files: &[(&str, &str)], exit: i32) -> String {
        self.profile(url, files);
        let told = self.home.refusal(&["directory", "list", "staff"], exit);
        assert!(
            told.contains("rofile `local`") && told.contains("profiles.toml"),
            "{told}"
        );
        told
    }
}

const MINE: [(&str, &str); 3] = [
    ("ca_file", "ca.pem"),
    ("certificate_file", "me.pem"),
    ("key_file", "me.key"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_profile_names_the_authority_and_who_one_is() {
    let deployment = Deployment::start(true).await;
    deployment.profile("https://localhost", &MINE);
    let told = deployment.home.json(&["import", hospital("prairie").to_str().unwrap()]);
    assert_eq!((&told["added"], &told["refused"]), (&180.into(), &0.into()));
    let told = deployment.home.json(&["directory", "list", "staff"]);
    assert!(told.to_string().contains("9999999896"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_is_not_believed_is_told_which_file_to_name_or_correct() {
    let deployment = Deployment::start(true).await;
    let refusal = |files: &[(&str, &str)], exit| deployment.refusal("https://localhost", files, exit);
    let told = refusal(&[], 2);
    assert!(
        told.contains("no authority that this machine trusts") && told.contains("`ca_file`"),
        "{told}"
    );
    let told = refusal(&[("ca_file", "other-ca.pem")], 2);
    assert!(
        told.contains("is of no authority in") && told.contains("other-ca.pem"),
        "{told}"
    );
    let told = refusal(&MINE[..1], 5);
    assert!(
        told.contains("closed the connection") && told.contains("`certificate_file`"),
        "{told}"
    );
    let stranger = [
        MINE[0],
        ("certificate_file", "stranger.pem"),
        ("key_file", "stranger.key"),
    ];
    let told = refusal(&stranger, 5);
    assert!(
        told.contains("does not know the certificate in") && told.contains("stranger.pem"),
        "{told}"
    );
    let told = deployment.refusal("https://127.0.0.1", &MINE, 2);
    assert!(told.contains("is for another name"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn files_and_addresses_that_cannot_be_used_are_named() {
    let deployment = Deployment::start(false).await;
    let refusal = |files: &[(&str, &str)], exit| deployment.refusal("https://localhost", files, exit);
    let told = refusal(&[("ca_file", "missing.pem")], 2);
    assert!(told.contains("missing.pem cannot be read"), "{told}");
    let told = refusal(&[MINE[0], MINE[1], ("key_file", "stranger.key")], 2);
    assert!(told.contains("me.pem and its key cannot be used together"), "{told}");
    let told = refusal(&[MINE[0], MINE[1], ("key_file", "me.pem")], 2);
    assert!(told.contains("me.pem holds no usable"), "{told}");
    let told = refusal(&MINE[..2], 2);
    assert!(told.contains("certificate_file and key_file go together"), "{told}");

    // In the clear, at a port with TLS.
    deployment.profile("http://localhost", &[]);
    let output = deployment.home.carepost(&["directory", "list", "staff"]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && told.contains("https://"), "{told}");
    // Without a certificate of one's own, where none is asked for.
    deployment.profile("https://localhost", &MINE[..1]);
    assert!(
        deployment
            .home
            .carepost(&["directory", "list", "staff"])
            .status
            .success()
    );
}
