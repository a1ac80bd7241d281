//! Reading columns into domain types.

use std::str::FromStr;

use sea_orm::{QueryResult, TryGetable};

use super::StoreError;
use crate::domain::{
    directory::{Audience, Digest, Messaging},
    version::{Stored, StoredVersion},
};

pub(super) fn get<T: TryGetable>(row: &QueryResult, column: &str) -> Result<T, StoreError> {
    Ok(row.try_get("", column)?)
}

/// An id that was parsed before it was stored.
pub(super) fn id<T: FromStr>(row: &QueryResult, column: &str) -> Result<T, StoreError> {
    get::<String>(row, column)?
        .parse()
        .map_err(|_| StoreError::Corrupt("id"))
}

/// A word of a closed set.
pub(super) fn word<T>(row: &QueryResult, column: &str, from_word: fn(&str) -> Option<T>) -> Result<T, StoreError> {
    from_word(&get::<String>(row, column)?).ok_or(StoreError::Corrupt("word"))
}

/// A text of which empty means none.
pub(super) fn optional<T>(row: &QueryResult, column: &str, stored: fn(String) -> T) -> Result<Option<T>, StoreError> {
    let text: String = get(row, column)?;
    Ok(Some(text).filter(|text| !text.is_empty()).map(stored))
}

/// A setting from its two columns, if there is one.
pub(super) fn messaging(row: &QueryResult, enabled: &str, audience: &str) -> Result<Option<Messaging>, StoreError> {
    let Some(enabled) = get::<Option<bool>>(row, enabled)? else {
        return Ok(None);
    };
    let audience = match get::<Option<String>>(row, audience)? {
        Some(word) => Some(Audience::from_word(&word).ok_or(StoreError::Corrupt("audience"))?),
        None => None,
    };
    let setting = Messaging::parse(enabled, audience);
    setting.map(Some).map_err(|_| StoreError::Corrupt("setting"))
}

pub(super) fn version(row: &QueryResult) -> Result<StoredVersion, StoreError> {
    Ok(StoredVersion {
        emr: get(row, "emr_version")?,
        imports: get(row, "import_counter")?,
    })
}

pub(super) fn stored(row: &QueryResult) -> Result<Stored, StoreError> {
    Ok(Stored {
        version: version(row)?,
        digest: Digest::stored(&get::<Vec<u8>>(row, "content_digest")?),
        deleted: get(row, "deleted")?,
    })
}
