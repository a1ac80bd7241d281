//! The dialogue with one client.

use std::io;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};

use super::line::{LONGEST_DATA, ignore, read_data, read_line};
use super::{Behaviour, Conduct, Features, Mail, Shared, Stage, mail};

const MAX_RECIPIENTS: usize = 100;

/// One connection, before or after it went over to TLS.
pub(super) struct Session<S> {
    stream: BufReader<S>,
    shared: Arc<Shared>,
    conduct: Conduct,
    protection: Protection,
    features: Features,
    logged_in: bool,
    from: Option<String>,
    to: Vec<(String, Behaviour)>,
}

/// Whether a connection is protected.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Protection {
    /// No, and it will not be.
    None,
    /// Not yet: it must go over to TLS before it can send mail.
    Offered,
    /// By TLS.
    Tls,
}

/// What has become of a stage.
enum Turn {
    /// Nothing: it goes on as usual.
    Usual,
    /// It was answered.
    Answered,
    /// The connection ends.
    Over,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    pub(super) fn new(stream: S, shared: Arc<Shared>, conduct: Conduct, protection: Protection) -> Self {
        let features = shared.features.lock().unwrap().clone();
        Self {
            stream: BufReader::new(stream),
            shared,
            conduct,
            protection,
            features,
            logged_in: false,
            from: None,
            to: Vec::new(),
        }
    }

    /// Greets, or does not, then as [`Session::run`].
    pub(super) async fn greet_and_run(mut self) -> io::Result<Option<S>> {
        match self.turn(Stage::Greeting).await? {
            Turn::Usual => {
                self.reply("220 localhost ESMTP test").await?;
                self.run().await
            }
            Turn::Answered | Turn::Over => Ok(None),
        }
    }

    /// Talks until the client leaves, or gives the stream back when it is to go over to TLS.
    pub(super) async fn run(mut self) -> io::Result<Option<S>> {
        loop {
            let line = match read_line(&mut self.stream).await {
                Ok(Some(line)) => String::from_utf8_lossy(&line).into_owned(),
                Ok(None) => return Ok(None),
                Err(error) => return self.reply_to_fault(error).await,
            };
            let (verb, rest) = line.split_once(' ').unwrap_or((&line, ""));
            let verb = verb.to_ascii_uppercase();
            if let Some(stage) = stage(&verb) {
                match self.turn(stage).await? {
                    Turn::Usual => {}
                    Turn::Answered => continue,
                    Turn::Over => return Ok(None),
                }
            }
            match verb.as_str() {
                "EHLO" | "HELO" => self.hello().await?,
                "STARTTLS" if self.offers_tls() => return self.hand_over().await.map(Some),
                "NOOP" => self.reply("250 2.0.0 ok").await?,
                "RSET" => self.reset().await?,
                "QUIT" => {
                    self.reply("221 2.0.0 bye").await?;
                    self.stream.shutdown().await?;
                    return Ok(None);
                }
                _ if self.offers_tls() => self.reply("530 5.7.0 must issue STARTTLS first").await?,
                "AUTH" => self.log_in(rest).await?,
                "MAIL" => self.mail(rest).await?,
                "RCPT" => self.recipient(rest).await?,
                "DATA" => {
                    if !self.data().await? {
                        return Ok(None);
                    }
                }
                _ => self.reply("502 5.5.1 unknown command").await?,
            }
        }
    }

    /// Does what the conduct says at this stage.
    async fn turn(&mut self, stage: Stage) -> io::Result<Turn> {
        match self.conduct.clone() {
            Conduct::Refuse(at, code, text) if at == stage => {
                self.conduct = Conduct::Usual;
                self.reply(&format!("{code} {text}")).await?;
                Ok(Turn::Answered)
            }
            Conduct::Hang(at) if at == stage => ignore(&mut self.stream).await.map(|()| Turn::Over),
            Conduct::Drop(at) if at == stage => Ok(Turn::Over),
            _ => Ok(Turn::Usual),
        }
    }

    fn offers_tls(&self) -> bool {
        self.protection == Protection::Offered
    }

    async fn hello(&mut self) -> io::Result<()> {
        self.forget_mail();
        let mut text = "250-localhost\r\n".to_owned();
        if self.offers_tls() {
            text += "250-STARTTLS\r\n";
        }
        if let Some(login) = self
            .features
            .login
            .as_ref()
            .filter(|_| self.protection == Protection::Tls)
        {
            text += &format!("250-AUTH {}\r\n", login.mechanism.name());
        }
        if self.features.unicode {
            text += "250-SMTPUTF8\r\n";
        }
        text += &format!("250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250 SIZE {LONGEST_DATA}");
        self.reply(&text).await
    }

    /// `AUTH MECHANISM [INITIAL]` (RFC 4954).
    async fn log_in(&mut self, rest: &str) -> io::Result<()> {
        let (mechanism, initial) = rest.split_once(' ').unwrap_or((rest, ""));
        let login = self.features.login.clone();
        let Some(login) = login.filter(|login| login.mechanism.name().eq_ignore_ascii_case(mechanism)) else {
            return self.reply("504 5.5.4 no such mechanism here").await;
        };
        let mut given = Vec::from_iter(Some(initial.to_owned()).filter(|initial| !initial.is_empty()));
        while let Some(challenge) = login.mechanism.challenge(given.len()) {
            self.reply(&format!("334 {challenge}")).await?;
            let line = read_line(&mut self.stream).await?.ok_or(io::ErrorKind::UnexpectedEof)?;
            given.push(String::from_utf8_lossy(&line).into_owned());
        }
        self.logged_in = login.is_right(&given);
        if self.logged_in {
            self.reply("235 2.7.0 welcome").await
        } else {
            self.reply("535 5.7.8 no such user, or another password").await
        }
    }

    async fn hand_over(mut self) -> io::Result<S> {
        self.reply("220 2.0.0 go ahead").await?;
        // What was sent in the clear must not be taken for what comes over TLS.
        if self.stream.buffer().is_empty() {
            Ok(self.stream.into_inner())
        } else {
            Err(io::ErrorKind::InvalidData.into())
        }
    }

    async fn reset(&mut self) -> io::Result<()> {
        self.forget_mail();
        self.reply("250 2.0.0 ok").await
    }

    fn forget_mail(&mut self) {
        self.from = None;
        self.to.clear();
    }

    async fn mail(&mut self, rest: &str) -> io::Result<()> {
        match address(rest, "FROM:") {
            _ if self.features.login.is_some() && !self.logged_in => self.reply("530 5.7.0 log in first").await,
            _ if self.from.is_some() => self.reply("503 5.5.1 one mail at a time").await,
            None => self.reply("501 5.5.4 MAIL FROM:<address>").await,
            from => {
                self.from = from;
                self.reply("250 2.1.0 ok").await
            }
        }
    }

    async fn recipient(&mut self, rest: &str) -> io::Result<()> {
        let Some(recipient) = address(rest, "TO:").filter(|address| !address.is_empty()) else {
            return self.reply("501 5.5.4 RCPT TO:<address>").await;
        };
        if self.from.is_none() {
            return self.reply("503 5.5.1 MAIL first").await;
        }
        if self.to.len() >= MAX_RECIPIENTS {
            return self.reply("452 4.5.3 too many recipients").await;
        }
        match self.shared.behaviour(&recipient) {
            Behaviour::RefuseRecipient(code, text) => self.reply(&format!("{code} {text}")).await,
            behaviour => {
                self.to.push((recipient, behaviour));
                self.reply("250 2.1.5 ok").await
            }
        }
    }

    /// Takes the data; whether the dialogue goes on.
    async fn data(&mut self) -> io::Result<bool> {
        if self.to.is_empty() {
            return self.reply("503 5.5.1 RCPT first").await.map(|()| true);
        }
        self.reply("354 end with a dot").await?;
        if !matches!(self.turn(Stage::Content).await?, Turn::Usual) {
            return Ok(false);
        }
        let data = match read_data(&mut self.stream).await {
            Ok(data) => data,
            Err(error) => return self.reply_to_fault(error).await.map(|_| false),
        };
        let decisive = self
            .to
            .iter()
            .map(|(_, behaviour)| behaviour)
            .find(|found| **found != Behaviour::Accept);
        match decisive.cloned().unwrap_or(Behaviour::Accept) {
            Behaviour::RefuseData(code, text) => {
                self.forget_mail();
                self.reply(&format!("{code} {text}")).await?;
            }
            Behaviour::DropAfterData => {
                self.keep(data, false);
                return Ok(false);
            }
            Behaviour::Hang => {
                self.keep(data, false);
                return ignore(&mut self.stream).await.map(|()| false);
            }
            Behaviour::HalfAnswer => {
                self.keep(data, false);
                self.stream.write_all(b"250 2.0.0 ta").await?;
                self.stream.flush().await?;
                return Ok(false);
            }
            Behaviour::Accept | Behaviour::RefuseRecipient(..) => self.accept(data).await?,
        }
        Ok(true)
    }

    async fn accept(&mut self, data: String) -> io::Result<()> {
        // Kept before the client can know: whoever waits for the client's success then finds the mail.
        let Some(place) = self.keep(data, true) else {
            return self.reply("452 4.3.1 too many mails").await;
        };
        let told = self.reply("250 2.0.0 taken").await;
        if told.is_err() {
            self.shared.mark_unacknowledged(place);
        }
        told
    }

    fn keep(&mut self, data: String, acknowledged: bool) -> Option<usize> {
        let mail = Mail {
            from: self.from.take().unwrap_or_default(),
            to: self.to.drain(..).map(|(recipient, _)| recipient).collect(),
            message_id: mail::header(&data, "Message-ID"),
            data,
            accepted_at: chrono::Utc::now(),
            acknowledged,
        };
        self.shared.keep(mail)
    }

    async fn reply_to_fault(&mut self, error: io::Error) -> io::Result<Option<S>> {
        if error.kind() == io::ErrorKind::InvalidData {
            self.reply(&format!("500 5.5.2 {error}")).await?;
        }
        Err(error)
    }

    async fn reply(&mut self, text: &str) -> io::Result<()> {
        let text = format!("{text}\r\n");
        let longest = if self.conduct == Conduct::InPieces {
            1
        } else {
            text.len()
        };
        for piece in text.as_bytes().chunks(longest) {
            self.stream.write_all(piece).await?;
            self.stream.flush().await?;
            tokio::task::yield_now().await;
        }
        Ok(())
    }
}

fn stage(verb: &str) -> Option<Stage> {
    match verb {
        "EHLO" | "HELO" => Some(Stage::Hello),
        "STARTTLS" => Some(Stage::Tls),
        "AUTH" => Some(Stage::Login),
        "RSET" => Some(Stage::Reset),
        "MAIL" => Some(Stage::Sender),
        "RCPT" => Some(Stage::Recipient),
        "DATA" => Some(Stage::Data),
        "QUIT" => Some(Stage::Quit),
        _ => None,
    }
}

/// The address of `FROM:<address> PARAMETERS`; empty for the null sender.
fn address(rest: &str, keyword: &str) -> Option<String> {
    let (found, rest) = rest.split_at_checked(keyword.len())?;
    let address = rest.trim_start().strip_prefix('<')?.split_once('>')?.0;
    found.eq_ignore_ascii_case(keyword).then(|| address.to_owned())
}
