//! The one protocol of writes to ZITADEL: permit → verify the instance → call → expect, or
//! invalidate after an error. The caller reads back.

use super::{
    connection::{Connection, VerifyError},
    pending::PendingWrite,
    permits::WritePermit,
    store::Observation,
};
use crate::{
    contract::{
        Access, Challenge, Entry, Fields, Issued, Place, Remote, Secrets, Subject, Verified,
        Written, entry::Declared,
    },
    zitadel::{self, Result},
};

/// The permit to write things of one kind at one place, of an instance that was verified.
pub struct WriteSession<'a> {
    connection: &'a Connection,
    entry: Entry,
    access: Access,
    _permit: WritePermit,
}

impl Connection {
    /// Begins to write: waits for the permit of the kind, then makes sure that it is still the same
    /// instance.
    pub async fn begin_write(
        &self,
        entry: Entry,
        place: &Place,
    ) -> std::result::Result<WriteSession<'_>, VerifyError> {
        let permit = self.informer.store.permit(entry, place).await;
        self.verify_instance().await?;
        let access = self.access(place.clone());
        Ok(WriteSession { connection: self, entry, access, _permit: permit })
    }
}

impl WriteSession<'_> {
    /// Reads a thing now, by itself: a write replaces the whole, and what is known may be as old as
    /// the last poll of the feed.
    pub async fn read(&self, subject: &Subject) -> Result<Observation> {
        let (store, access) = (&self.connection.informer.store, &self.access);
        store.refetch(self.entry, access, subject).await?;
        store.peek(self.entry, &access.place, subject)
    }

    /// Creates an entity, with its secrets. The id in the answer counts.
    pub async fn create(&self, id: &str, want: &Fields, secrets: &Secrets) -> Result<Written> {
        let answer = match self.entry {
            Entry::Entity(kind) => kind.create(&self.access, id, want, secrets).await,
            _ => Err(not_this_shape()),
        };
        let subject = Subject::Entity(match &answer {
            Ok(Written { id: Some(id), .. }) => id.clone(),
            _ => id.to_owned(),
        });
        if let (Ok(_), Some(id)) = (&answer, subject.id()) {
            let informer = &self.connection.informer;
            let is_followed = |entry| informer.feed.covers(entry);
            informer.store.created(self.entry, &self.access.place, id, is_followed);
        }
        self.conclude(&subject, answer, |version| PendingWrite::State(want.clone(), version))
    }

    /// Changes an entity; `want` is complete but for the secrets, of which those are sent that are to
    /// be changed.
    pub async fn update(&self, have: &Remote, want: &Fields, secrets: &Secrets) -> Result<Written> {
        let answer = match self.entry {
            Entry::Entity(kind) => kind.update(&self.access, have, want, secrets).await,
            _ => Err(not_this_shape()),
        };
        if answer.is_ok() {
            let store = &self.connection.informer.store;
            for secret in secrets.fields() {
                store.secret_sent(self.entry, &self.access.place, &have.subject, secret);
            }
        }
        let expected = |version| PendingWrite::State(want.clone(), version);
        self.conclude(&have.subject, answer, expected)
    }

    /// Changes a setting as declared; `want` is complete.
    pub async fn write_declared(
        &self,
        have: &Remote,
        want: &Fields,
        declared: Declared<'_>,
    ) -> Result<Written> {
        let answer = match self.entry {
            Entry::Setting(kind) => kind.write_declared(&self.access, have, want, declared).await,
            _ => Err(not_this_shape()),
        };
        let expected = |version| PendingWrite::State(want.clone(), version);
        self.conclude(&have.subject, answer, expected)
    }

    /// The fields of a setting that somebody has changed in a draft, and that a write would publish.
    pub async fn drafts(&self, declared: Declared<'_>) -> Result<Vec<String>> {
        match self.entry {
            Entry::Setting(kind) => kind.drafts(&self.access, declared).await,
            _ => Ok(Vec::new()),
        }
    }

    /// Deletes an entity.
    pub async fn delete(&self, id: &str) -> Result<()> {
        let answer = match self.entry {
            Entry::Entity(kind) => {
                let is_there = async || kind.read(&self.access, id).await.map(|it| it.is_some());
                unless_gone(kind.delete(&self.access, id).await, is_there).await
            }
            _ => Err(not_this_shape()),
        };
        let answer = answer.map(|()| Written::default());
        self.conclude(&Subject::from(id), answer, |_| PendingWrite::Gone).map(|_| ())
    }

    /// Gives an entity another secret.
    pub async fn issue(&self, id: &str) -> Result<Issued> {
        let (entry, place, subject) = (self.entry, &self.access.place, Subject::from(id));
        let answer = match entry {
            Entry::Entity(kind) => kind.issue(&self.access, id).await,
            _ => Err(not_this_shape()),
        };
        let store = &self.connection.informer.store;
        store.secret_issued(entry, place, &subject, answer.as_ref().ok());
        answer
    }

    /// Has ZITADEL ask for another proof of an entity.
    pub async fn challenge(&self, id: &str, way: &str) -> Result<Challenge> {
        let answer = match self.entry {
            Entry::Entity(kind) => kind.challenge(&self.access, id, way).await,
            _ => Err(not_this_shape()),
        };
        self.connection.invalidate(self.entry, &self.access.place, &Subject::from(id));
        answer
    }

    /// Has ZITADEL look for the proof of an entity.
    pub async fn verify(&self, id: &str) -> Result<Verified> {
        let answer = match self.entry {
            Entry::Entity(kind) => kind.verify(&self.access, id).await,
            _ => Err(not_this_shape()),
        };
        self.connection.invalidate(self.entry, &self.access.place, &Subject::from(id));
        answer
    }

    /// Resets an organization's own setting, so that it inherits again.
    pub async fn reset(&self) -> Result<()> {
        let answer = match self.entry {
            Entry::Setting(kind) => {
                let is_own = async || kind.read(&self.access).await.map(|it| it.own);
                unless_gone(kind.reset(&self.access).await, is_own).await
            }
            _ => Err(not_this_shape()),
        };
        // What it inherits is not known before it is read.
        self.connection.invalidate(self.entry, &self.access.place, &Subject::Setting);
        answer
    }

    /// What was known is not to be trusted any more, whatever the answer was.
    fn conclude(
        &self,
        subject: &Subject,
        answer: Result<Written>,
        pending: impl FnOnce(Option<crate::contract::Version>) -> PendingWrite,
    ) -> Result<Written> {
        match &answer {
            Ok(written) => {
                let pending = pending(written.version.clone());
                let store = &self.connection.informer.store;
                for date in &written.earlier {
                    store.remember_own(self.entry, &self.access.place, subject, *date);
                }
                store.expect(self.entry, &self.access.place, subject, pending);
            }
            // Nothing was sent.
            Err(e) if e.is_down() => {}
            Err(_) => self.connection.invalidate_collection(self.entry, &self.access.place),
        }
        answer
    }
}

/// That there was nothing to delete is success, if that is what a look shows too.
async fn unless_gone(
    deleted: Result<()>,
    is_there: impl AsyncFnOnce() -> Result<bool>,
) -> Result<()> {
    match deleted {
        Err(e) if e.says_gone() => match is_there().await {
            Ok(true) => Err(e),
            Err(read) if !read.says_gone() => Err(read),
            _ => Ok(()),
        },
        deleted => deleted,
    }
}

/// The engine decides by the shape what is done.
fn not_this_shape() -> zitadel::Error {
    zitadel::Error::Malformed {
        endpoint: "(no call)".into(),
        what: "things of this kind are not written so".into(),
    }
}
