//! Calling another service of the suite: with a token of our own, within the caller's deadline and trace, and tried again
//! within a budget where that can help.

use std::{
    future::Future,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use carepost_identity::OrganizationId;
use carepost_runtime::{
    Backoff,
    metrics::{labels::Called, metrics},
    settings::Reader,
};
use http::{HeaderValue, header::AUTHORIZATION};
use tokio::{sync::Mutex, time::Instant};
use tonic::{Code, Request, Response, Status, metadata::MetadataMap, transport::Channel};
use tower::retry::budget::{Budget, TpsBudget};
use url::Url;

use crate::{
    authn::ORGANIZATION,
    connect::{self, ClientTls, ConnectError},
    deadline::Deadline,
    trace_context,
};

/// How long a token that was read is used before the file is looked at again.
const TOKEN_AGE: Duration = Duration::from_secs(10);
const TRIES: u32 = 3;
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(20), Duration::from_millis(200));

/// Settings of a peer.
#[derive(Clone, Debug)]
pub struct PeerSettings {
    url: Option<Url>,
    tls: ClientTls,
    token_file: Option<PathBuf>,
    timeout: Duration,
}

impl PeerSettings {
    /// Reads the section of this name: `url`, `ca_file`, `certificate_file`, `key_file`, `token_file`, `timeout_ms`.
    pub fn read(reader: &mut Reader, section: &str) -> Self {
        let token_file = reader.path(&format!("{section}.token_file"));
        if token_file.is_none() {
            reader.fault(&format!("{section}.token_file"), "is required");
        }
        Self {
            url: reader.url(&format!("{section}.url"), &["http", "https"]),
            tls: ClientTls::read(reader, section),
            token_file,
            timeout: reader.milliseconds(&format!("{section}.timeout_ms"), 10..=60_000),
        }
    }
}

/// Another service of the suite. Clones share its connection.
#[derive(Clone)]
pub struct Peer {
    name: &'static str,
    channel: Channel,
    token: TokenFile,
    timeout: Duration,
    budget: Arc<TpsBudget>,
}

/// Why a peer gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// It does not answer now. What was asked may be asked again.
    #[error("the service {0} does not answer")]
    Unavailable(&'static str),
    /// It refused what was asked.
    #[error("the service {0} refused: {code:?}", code = .1.code())]
    Refused(&'static str, Box<Status>),
}

impl Peer {
    /// A peer by its settings; it is connected to when it is first called.
    ///
    /// # Errors
    /// If the URL is none that can be called.
    pub fn new(name: &'static str, settings: &PeerSettings) -> Result<Self, ConnectError> {
        let url = settings.url.as_ref().ok_or(ConnectError::Url)?;
        let channel = connect::channel(url, &settings.tls)?;
        let token = TokenFile::new(settings.token_file.clone().unwrap_or_default());
        // One try again for five calls, and ten a second in any case.
        let budget = Arc::new(TpsBudget::new(Duration::from_secs(10), 10, 0.2));
        Ok(Self {
            name,
            channel,
            token,
            timeout: settings.timeout,
            budget,
        })
    }

    /// Calls the peer for an organization, no longer than until the deadline.
    ///
    /// # Errors
    /// [`PeerError::Unavailable`] if it does not answer in time, [`PeerError::Refused`] with its own status if it refuses.
    pub async fn call<Q, A, F>(
        &self,
        organization: &OrganizationId,
        deadline: Option<Deadline>,
        question: Q,
        rpc: impl Fn(Channel, Request<Q>) -> F,
    ) -> Result<A, PeerError>
    where
        Q: Clone,
        F: Future<Output = Result<Response<A>, Status>>,
    {
        let span = deadline.map_or(self.timeout, |deadline| deadline.remaining().min(self.timeout));
        let begun = Instant::now();
        let tries = self.tries(organization, span, question, rpc);
        let answered = tokio::time::timeout(span, tries).await;
        let answered = answered.unwrap_or_else(|_| Err(PeerError::Unavailable(self.name)));
        let outcome = match &answered {
            Ok(_) => Called::Answered,
            Err(PeerError::Refused(_, status)) => match status.code() {
                Code::Unauthenticated | Code::PermissionDenied => Called::Unauthorized,
                _ => Called::Refused,
            },
            Err(PeerError::Unavailable(_)) => Called::Unavailable,
        };
        metrics().called(self.name, outcome, begun.elapsed());
        answered
    }

    async fn tries<Q, A, F>(
        &self,
        organization: &OrganizationId,
        span: Duration,
        question: Q,
        rpc: impl Fn(Channel, Request<Q>) -> F,
    ) -> Result<A, PeerError>
    where
        Q: Clone,
        F: Future<Output = Result<Response<A>, Status>>,
    {
        let begun = Instant::now();
        let mut failures = 0;
        loop {
            let request = self
                .request(organization, span.saturating_sub(begun.elapsed()), question.clone())
                .await?;
            let status = match rpc(self.channel.clone(), request).await {
                Ok(response) => {
                    self.budget.deposit();
                    return Ok(response.into_inner());
                }
                Err(status) => status,
            };
            failures += 1;
            if !may_pass(status.code()) {
                return Err(PeerError::Refused(self.name, Box::new(status)));
            }
            if failures == TRIES || !self.budget.withdraw() {
                tracing::warn!(peer = self.name, code = ?status.code(), failures, "a peer does not answer");
                return Err(PeerError::Unavailable(self.name));
            }
            tokio::time::sleep(BACKOFF.delay(failures)).await;
        }
    }

    async fn request<Q>(
        &self,
        organization: &OrganizationId,
        span: Duration,
        question: Q,
    ) -> Result<Request<Q>, PeerError> {
        let mut request = Request::new(question);
        request.set_timeout(span);
        let unreadable = || {
            tracing::warn!(peer = self.name, "our own token cannot be read");
            PeerError::Unavailable(self.name)
        };
        let bearer = self.token.bearer().await.ok_or_else(unreadable)?;
        let named = HeaderValue::from_str(organization.as_str()).map_err(|_| unreadable())?;
        let mut headers = std::mem::take(request.metadata_mut()).into_headers();
        headers.insert(AUTHORIZATION, bearer);
        headers.insert(ORGANIZATION, named);
        trace_context::pass_on(&mut headers);
        *request.metadata_mut() = MetadataMap::from_headers(headers);
        Ok(request)
    }
}

/// Whether the same call can go well a moment later: the peer is away or busy, or the connection ended under the call. Calls
/// between services only ask, so they can be repeated. Anything else is about this call, or a fault that waiting does not mend.
fn may_pass(code: Code) -> bool {
    matches!(
        code,
        Code::Unavailable | Code::ResourceExhausted | Code::DeadlineExceeded | Code::Cancelled | Code::Unknown
    )
}

/// A token in a file that somebody else renews.
#[derive(Clone)]
struct TokenFile(Arc<(PathBuf, Mutex<Option<ReadToken>>)>);

struct ReadToken {
    bearer: HeaderValue,
    modified: Option<SystemTime>,
    looked: Instant,
}

impl TokenFile {
    fn new(path: PathBuf) -> Self {
        Self(Arc::new((path, Mutex::new(None))))
    }

    /// The header; none if the file never had a token. One that was read stays in use where there is none any more, as while it is
    /// written anew: it ends by itself.
    async fn bearer(&self) -> Option<HeaderValue> {
        let (path, token) = &*self.0;
        let mut token = token.lock().await;
        if let Some(read) = token.as_ref().filter(|read| read.looked.elapsed() < TOKEN_AGE) {
            return Some(read.bearer.clone());
        }
        let modified = tokio::fs::metadata(path)
            .await
            .and_then(|metadata| metadata.modified())
            .ok();
        let unchanged = token
            .as_ref()
            .is_some_and(|read| modified.is_some() && read.modified == modified);
        if !unchanged
            && let Ok(text) = tokio::fs::read_to_string(path).await
            && let Some(bearer) = header(text.trim())
        {
            *token = Some(ReadToken {
                bearer,
                modified,
                looked: Instant::now(),
            });
        }
        let read = token.as_mut()?;
        read.looked = Instant::now();
        Some(read.bearer.clone())
    }
}

fn header(token: &str) -> Option<HeaderValue> {
    let mut bearer = HeaderValue::try_from(format!("Bearer {token}")).ok()?;
    bearer.set_sensitive(true);
    (!token.is_empty()).then_some(bearer)
}

#[cfg(test)]
mod tests {
    use std::{fs::File, io::Write};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_token_stays_until_there_is_another_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let token = TokenFile::new(path.clone());
        let mut written = 0;
        let mut read_after = async |text: &str| {
            written += 1;
            let mut file = File::create(&path).unwrap();
            file.write_all(text.as_bytes()).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(written))
                .unwrap();
            tokio::time::advance(TOKEN_AGE).await;
            let bearer = token.bearer().await;
            bearer.map(|bearer| bearer.to_str().unwrap().to_owned())
        };
        assert_eq!(read_after("").await, None);
        assert_eq!(read_after("one\n").await.as_deref(), Some("Bearer one"));
        // As while somebody writes it.
        assert_eq!(read_after("").await.as_deref(), Some("Bearer one"));
        assert_eq!(read_after("no\u{1}header").await.as_deref(), Some("Bearer one"));
        assert_eq!(read_after("two").await.as_deref(), Some("Bearer two"));
    }
}
