//! Page tokens (AIP-158): opaque to the caller, good only for the very list that they came from.
//!
//! A token is a position in a list, with a digest that binds it to the list, its filters and its reader. It holds nothing
//! that its reader has not been shown, and no right: what a list shows is decided anew for each page. So the digest has no
//! secret; it turns mistakes into clear errors.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

const DIGEST_LENGTH: usize = 16;
const MAX_TOKEN: usize = 2_048;

/// A list as one reader sees it: what a token is bound to.
#[derive(Clone, Debug)]
pub struct List(Sha256);

impl List {
    /// A list, by its name, its reader's organization and id, and its filters, in a fixed order.
    #[must_use]
    pub fn new(parts: &[&str]) -> Self {
        let mut digest = Sha256::new();
        for part in parts {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        Self(digest)
    }

    /// The token for the page after this position. Empty if the position cannot be written, which no position of ours does.
    #[must_use]
    pub fn token(&self, position: &impl Serialize) -> String {
        let Ok(position) = serde_json::to_vec(position) else {
            return String::new();
        };
        let mut bytes = self.digest(&position);
        bytes.extend(position);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The position of a token; none for the first page.
    ///
    /// # Errors
    /// If the token is not from this list.
    pub fn position<T: DeserializeOwned>(&self, token: &str) -> Result<Option<T>, ForeignToken> {
        if token.is_empty() {
            return Ok(None);
        }
        if token.len() > MAX_TOKEN {
            return Err(ForeignToken);
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| ForeignToken)?;
        let (digest, position) = bytes.split_at_checked(DIGEST_LENGTH).ok_or(ForeignToken)?;
        if digest != self.digest(position) {
            return Err(ForeignToken);
        }
        let position: Value = serde_json::from_slice(position).map_err(|_| ForeignToken)?;
        if has_nul(&position) {
            return Err(ForeignToken);
        }
        serde_json::from_value(position).map(Some).map_err(|_| ForeignToken)
    }

    fn digest(&self, position: &[u8]) -> Vec<u8> {
        let digest = self.0.clone().chain_update(position).finalize();
        digest.iter().take(DIGEST_LENGTH).copied().collect()
    }
}

/// Whether a text has a character that no text of a database can have, so that none would be compared with it.
fn has_nul(position: &Value) -> bool {
    match position {
        Value::String(text) => text.contains('\0'),
        Value::Array(parts) => parts.iter().any(has_nul),
        Value::Object(parts) => parts.values().any(has_nul),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// A page token that is not from this list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a page token of this list")]
pub struct ForeignToken;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_leads_back_to_its_position() {
        let list = List::new(&["ListMessages", "org", "staff/1"]);
        let token = list.token(&(7_i64, "id"));
        assert_eq!(list.position(&token), Ok(Some((7_i64, "id".to_owned()))));
        assert_eq!(list.position::<i64>(""), Ok(None));
    }

    #[test]
    fn a_forged_or_foreign_token_is_refused() {
        let list = List::new(&["ListMessages", "org", "staff/1"]);
        let token = list.token(&7_i64);
        let other = List::new(&["ListMessages", "org", "staff/2"]);
        assert_eq!(other.position::<i64>(&token), Err(ForeignToken));
        let mut forged = token.clone();
        forged.pop();
        let nul = list.token(&"\0");
        assert_eq!(list.position::<String>(&nul), Err(ForeignToken));
        let nested = list.token(&(7_i64, ["a", "b\0"]));
        assert_eq!(list.position::<(i64, Vec<String>)>(&nested), Err(ForeignToken));
        for token in [forged, "%%%".to_owned(), "AAAA".to_owned(), "A".repeat(3_000)] {
            assert_eq!(list.position::<i64>(&token), Err(ForeignToken), "{token}");
        }
    }
}
