//! Files: uploaded as forms, and fetched from where everybody may, without a token.

use std::{collections::HashMap, sync::PoisonError};

use aws_lc_rs::digest;
use reqwest::{
    Method,
    header::{CONTENT_TYPE, HeaderValue},
};

use super::Client;
use crate::zitadel::{
    Error, Path, Result,
    error::Status,
    file::{File, LARGEST_FILE},
    retry::Safety,
};

/// So many fingerprints are remembered: when there are more, all are forgotten.
const MOST: usize = 10_000;

/// The fingerprints of files that were fetched, by their paths: what is uploaded gets another one.
pub(super) type Fingerprints = HashMap<String, String>;

impl Client {
    /// Uploads a file as the field `file` of a form.
    pub async fn upload(
        &self,
        organization: Option<&str>,
        endpoint: &'static str,
        file: &File,
    ) -> Result<()> {
        let mut call = self.0.exchange.call(Method::POST, endpoint)?;
        call.writes = true;
        call.set_organization(organization)?;
        // No file holds its own digest.
        let digest = digest::digest(&digest::SHA256, file.bytes());
        let (halves, _) = digest.as_ref().as_chunks::<16>();
        let half = halves.first().copied().unwrap_or_default();
        let boundary = format!("kastellan-{:032x}", u128::from_be_bytes(half));
        let media_type = file.media_type().unwrap_or("application/octet-stream");
        let head = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"file\"\r\n\
             Content-Type: {media_type}\r\n\r\n"
        );
        let end = format!("\r\n--{boundary}--\r\n");
        call.body = [head.as_bytes(), file.bytes(), end.as_bytes()].concat();
        let said = HeaderValue::from_str(&format!("multipart/form-data; boundary={boundary}"));
        let said = said.map_err(|_| call.malformed("a boundary that no header may have"))?;
        call.headers.insert(CONTENT_TYPE, said);
        Box::pin(self.repeat(Safety::Write, &call)).await.map(drop)
    }

    /// Fetches a file from its public path; `None`: ZITADEL says that it does not exist.
    ///
    /// Fails with [`Error::TooLarge`] where it is larger than any that can be uploaded.
    pub async fn file(&self, path: &Path) -> Result<Option<File>> {
        let mut call = self.0.exchange.call(Method::GET, path)?;
        call.limit = LARGEST_FILE;
        // The semaphore is never closed.
        let _permit = self.0.limit.acquire().await.ok();
        self.0.requests.count(Safety::Read);
        let fetched = self.submit(&call, |answer, retry_after| {
            Error::Status(Status::parse(answer.status, retry_after, &answer.body, ""))
        });
        match Box::pin(fetched).await {
            Ok(answer) => Ok(Some(File::new(answer.body))),
            Err(e) if e.says_gone() => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// The fingerprint of the file at a public path; `None`: ZITADEL says that it does not exist.
    /// What is at a path never changes, so that it is fetched once; `may_be_gone`: it is fetched
    /// again.
    pub async fn fingerprint(&self, path: &Path, may_be_gone: bool) -> Result<Option<String>> {
        let key = crate::zitadel::path::Endpoint::path(path).to_owned();
        let known = || self.0.fingerprints.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some(found), false) = (known().get(&key).cloned(), may_be_gone) {
            return Ok(Some(found));
        }
        let found = self.file(path).await?.map(|file| file.fingerprint());
        let mut known = known();
        if known.len() >= MOST {
            known.clear();
        }
        match &found {
            Some(found) => known.insert(key, found.clone()),
            None => known.remove(&key),
        };
        Ok(found)
    }
}
