//! The Secret of an object: what ZITADEL issued for it, in the form that the spec gives it. Runs
//! after the remote side is as declared; what would stop it is told before anything is created.

use std::{collections::BTreeMap, time::Duration};

use aws_lc_rs::digest;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::{
    apply::Writer,
    decide_deletion::default_policy,
    decide_secret::{self, Cause, FoundSecret, SecretAction, SecretFacts},
    error::{Error, Result, WhileDoing},
    host::OutputSecret,
    report::Outcome,
};
use crate::{
    api::{
        RENEW_AT,
        secret::{SecretPolicy, SecretStatus},
        spec::{DeletionPolicy, deletion_policy},
        status::Provenance,
    },
    contract::{
        Entry, Issues, Remote, Renewal, Subject,
        entry::ErasedEntity,
        secret::{DeclaredSecret, Values, declared},
    },
};

mod key;

pub(super) use key::remains;

/// How long at most until the times in a status are looked at again.
const LONGEST_SLEEP: Duration = Duration::from_secs(24 * 60 * 60);
/// Annotations that tell what was written begin with this; the object's UID follows.
const MARK: &str = "issued.kastellan.dev/";

/// What was written into a Secret, as its annotation tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    /// When the secret was issued; absent where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<String>,
    /// Of the values.
    checksum: String,
    /// Of everything that they were made of but the secret.
    inputs: String,
    /// The keys.
    keys: Vec<String>,
    /// The key that holds the secret as it is, if one does.
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    /// Whose it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
}

/// What a Secret is made of besides what is issued.
#[derive(Clone)]
struct Made {
    values: Values,
    /// A hash of all of it.
    inputs: String,
    /// The type that it has.
    kind: Option<String>,
    /// Whose secret it is.
    id: String,
}

/// The Secret of an object that declares one.
pub(super) struct SecretStage<'a> {
    writer: Writer<'a>,
    kind: &'static dyn ErasedEntity,
    issues: &'static Issues,
    declared: DeclaredSecret,
}

impl<'a> SecretStage<'a> {
    /// `None`: the object declares none.
    pub(super) fn of(writer: Writer<'a>) -> Result<Option<Self>> {
        let Entry::Entity(kind) = writer.entry else { return Ok(None) };
        let Some(issues) = kind.entity().issues else { return Ok(None) };
        let declared = declared(issues, &writer.object.spec)?;
        Ok(declared.map(|declared| Self { writer, kind, issues, declared }))
    }

    /// Whether what is declared is nothing but a secret.
    pub(super) fn is_key(&self) -> bool {
        self.issues.renewal == Renewal::ByAnother
    }

    /// Whether the Secret may be used and written, before anything is created for it.
    pub(super) async fn admit(&self) -> Result<()> {
        self.may_have_keys()?;
        let found = self.find().await?;
        let is_new = found.is_none();
        let facts = found.map(|(secret, mark)| self.facts(&secret, mark.as_ref(), "", None));
        decide_secret::admission(facts, self.policy()).map_err(|r| self.refused(r))?;
        if is_new {
            let none = self.output(&BTreeMap::new(), &[]);
            self.writer.host.write_output(self.writer.object, &none, true).await?;
        }
        Ok(())
    }

    /// Makes sure that the Secret holds what it should.
    pub(super) async fn ensure(
        &self,
        remote: &Remote,
        provenance: Provenance,
        outcome: &mut Outcome,
    ) -> Result<()> {
        self.may_have_keys()?;
        let Writer { host, object, .. } = self.writer;
        if !host.issues_into(&object.key.namespace, &self.declared.spec.name) {
            return Ok(());
        }
        let settled = if self.is_key() { self.settle(outcome).await? } else { None };
        let remote = settled.as_ref().unwrap_or(remote);
        let Some(id) = remote.id() else { return Ok(()) };
        let has_secret = self.kind.has_secret(remote).doing("read")?;
        let values = self.values(remote)?;
        let inputs = self.inputs(&values);
        let found = self.find().await?;
        let memory = &self.writer.engine.memory;
        let key = &self.writer.object.key;
        let mut facts =
            found.as_ref().map(|(s, mark)| self.facts(s, mark.as_ref(), &inputs, Some(id)));
        let mut held =
            found.as_ref().and_then(|(s, mark)| s.data.get(mark.as_ref()?.from.as_ref()?));
        // Only what was there before can have a secret that somebody else knows. Nothing else of a
        // Secret is sent anywhere.
        if let (Some(facts), Some((secret, None))) = (&mut facts, &found)
            && has_secret
            && provenance == Provenance::Adopted
        {
            held = self.proved(remote, secret).await?;
            facts.is_proved = held.is_some();
        }
        let is_there = facts.is_some_and(|f| f.is_ours && f.is_intact && !f.is_older);
        let known = self.known(outcome);
        let rotates_at = self.rotates_at(outcome, remote);
        let action = decide_secret::secret(SecretFacts {
            found: facts,
            policy: self.policy(),
            on_missing: self.declared.spec.on_missing,
            issues: has_secret,
            ends_former: !self.is_key(),
            provenance,
            owns_place: self.writer.target.owns.place,
            changed_by: self.changed_by(&remote.subject),
            rotates_at,
            asked: self.asked(known.as_ref()),
            absent_for: memory.secret_absent_for(key, is_there),
            pause: self.writer.engine.secret_pause,
            now: Timestamp::now(),
            known,
        });
        tracing::debug!(action = ?action, "decided of the Secret");
        // The type of a Secret can't change.
        let kind = found.as_ref().and_then(|(s, _)| s.kind.clone());
        let made = Made { values, inputs, kind, id: id.to_owned() };
        match action {
            SecretAction::Keep => self.keep(found.and_then(|(_, mark)| mark), outcome),
            SecretAction::Write => {
                let mark = found.as_ref().and_then(|(_, mark)| mark.as_ref());
                // What was proved is known since now.
                let at = match mark {
                    Some(mark) => mark.at.clone(),
                    None => held.map(|_| Timestamp::now().to_string()),
                };
                let at = at.filter(|_| has_secret);
                let secret = held.filter(|_| has_secret).cloned();
                self.write(made, secret, at.clone()).await?;
                self.note(outcome, at);
                if let Some(status) = outcome.status.secret.as_mut().filter(|_| !has_secret) {
                    status.issued_at = None;
                }
            }
            SecretAction::Issue(cause) if self.is_key() => {
                let remote = Box::pin(self.another(cause, made.kind, outcome)).await?;
                self.plan_rotation(outcome, &remote);
                return self.sweep(outcome).await;
            }
            SecretAction::Issue(cause) => self.issue(id, made, cause, outcome).await?,
            SecretAction::Wait(left) => {
                let name = self.declared.spec.name.clone();
                return Err(Error::SecretAway { name, left });
            }
            SecretAction::Refuse(refusal) => return Err(self.refused(refusal)),
        }
        self.plan_rotation(outcome, remote);
        if self.is_key() { self.sweep(outcome).await } else { Ok(()) }
    }

    async fn issue(&self, id: &str, made: Made, cause: Cause, outcome: &mut Outcome) -> Result<()> {
        let Writer { host, entry, object, target, .. } = self.writer;
        let name = self.declared.spec.name.clone();
        let asked = object.annotations.get(RENEW_AT).cloned();
        let known = self.known(outcome).unwrap_or_default();
        // What can't be written is not issued: that would end the former one for nothing.
        let draft = self.made(made.clone(), Some("-".into()), None)?;
        host.write_output(object, &draft, true).await?;
        // Whoever comes after a crash knows that the present one may be known to nobody.
        let pending = Some(Timestamp::now().to_string());
        outcome.status.secret = Some(SecretStatus { name: name.clone(), pending, ..known });
        outcome.issuing(object, &name);
        host.remember(object, &outcome.status).await.map_err(Error::Host)?;
        let session = target.connection.begin_write(entry, &target.place).await?;
        let issued = session.issue(id).await.doing("issue a secret for")?;
        drop(session);
        let at = Timestamp::now().to_string();
        self.write(made, Some(issued.secret), Some(at.clone())).await?;
        tracing::info!(cause = ?cause, "issued a secret");
        outcome.status.secret = Some(SecretStatus {
            name: name.clone(),
            issued_at: Some(at),
            renewed_for: asked,
            ..SecretStatus::default()
        });
        outcome.secret_issued(&name, &cause);
        Ok(())
    }

    async fn write(
        &self,
        made: Made,
        secret: Option<SecretString>,
        at: Option<String>,
    ) -> Result<()> {
        let output = self.made(made, secret, at)?;
        self.writer.host.write_output(self.writer.object, &output, false).await?;
        Ok(())
    }

    fn made(
        &self,
        made: Made,
        secret: Option<SecretString>,
        at: Option<String>,
    ) -> Result<OutputSecret> {
        let Made { mut values, inputs, kind, id } = made;
        if let Some(secret) = secret {
            values.insert(self.issues.value, secret);
        }
        let data = self.render(&values)?;
        let from = self.declared.templates.iter().find(|(_, t)| t.is_only(self.issues.value));
        let mark = Mark {
            at,
            checksum: checksum(&data),
            inputs,
            keys: data.keys().cloned().collect(),
            from: from.map(|(key, _)| key.clone()).filter(|key| data.contains_key(key)),
            id: Some(id),
        };
        let mark = serde_json::to_string(&mark).map_err(|e| Error::Host(e.to_string()))?;
        let output = self.output(&data, &[(self.mark_name(), mark)]);
        Ok(OutputSecret { kind: kind.or(output.kind), ..output })
    }

    /// The keys that are there by default hold what there is; a template of the spec needs all
    /// that it names.
    fn render(&self, values: &Values) -> Result<BTreeMap<String, SecretString>> {
        let is_by_default = self.declared.spec.data.is_none();
        let mut data = BTreeMap::new();
        for (key, template) in &self.declared.templates {
            match template.render(values) {
                Some(text) => {
                    data.insert(key.clone(), text);
                }
                None if is_by_default => {}
                None => {
                    let what = "there is no secret with this authentication method: take the \
                                placeholder out, or choose another method";
                    let field = format!("secret.data[{key:?}]");
                    return Err(crate::contract::SpecError::new(&field, what).into());
                }
            }
        }
        Ok(data)
    }

    fn output(
        &self,
        data: &BTreeMap<String, SecretString>,
        marks: &[(String, String)],
    ) -> OutputSecret {
        let spec = &self.declared.spec;
        let mut annotations = spec.annotations.clone().unwrap_or_default();
        annotations.extend(marks.iter().cloned());
        OutputSecret {
            name: spec.name.clone(),
            data: data.clone(),
            kind: spec.kind.clone(),
            labels: spec.labels.clone().unwrap_or_default(),
            annotations,
            is_own: self.policy() == SecretPolicy::Own,
            goes_with_owner: self.goes_with_owner(),
        }
    }

    /// What stays in ZITADEL keeps its Secret.
    fn goes_with_owner(&self) -> bool {
        let Writer { entry, object, target, .. } = self.writer;
        let in_organization = target.place.organization.is_some();
        let policy = deletion_policy(&object.spec)
            .unwrap_or_else(|| default_policy(entry, object.status.provenance, in_organization));
        self.policy() == SecretPolicy::Own && policy == DeletionPolicy::Delete
    }

    fn policy(&self) -> SecretPolicy {
        self.declared.spec.policy.unwrap_or_default()
    }

    fn mark_name(&self) -> String {
        let Writer { object, .. } = self.writer;
        format!("{MARK}{}", object.uid.as_deref().unwrap_or(&object.key.name))
    }

    async fn find(&self) -> Result<Option<(OutputSecret, Option<Mark>)>> {
        let Writer { host, object, .. } = self.writer;
        let found = host.output(&object.key.namespace, &self.declared.spec.name).await?;
        Ok(found.map(|secret| {
            let mark = secret.annotations.get(&self.mark_name());
            let mark = mark.and_then(|text| serde_json::from_str(text).ok());
            (secret, mark)
        }))
    }

    /// `id`: of the thing whose secret it should hold.
    fn facts(
        &self,
        secret: &OutputSecret,
        mark: Option<&Mark>,
        inputs: &str,
        id: Option<&str>,
    ) -> FoundSecret {
        let status = self.writer.object.status.secret.as_ref();
        let issued = status.and_then(|s| s.issued_at.as_deref()?.parse::<Timestamp>().ok());
        let spec = &self.declared.spec;
        let has = |wanted: &Option<BTreeMap<String, String>>, has: &BTreeMap<String, String>| {
            wanted.iter().flatten().all(|(key, value)| has.get(key) == Some(value))
        };
        let of_mark = |mark: &Mark| {
            let values = mark.keys.iter().map(|key| Some((key.clone(), secret.data.get(key)?)));
            let values: Option<BTreeMap<_, _>> = values.collect();
            let is_of_it = !self.is_key() || mark.id.as_deref() == id;
            is_of_it && values.is_some_and(|values| checksum(&values) == mark.checksum)
        };
        // Another key comes before the former one ends.
        let is_of_another = |mark: &Mark| {
            !self.is_key() && mark.at.is_some() && mark.id.is_some() && mark.id.as_deref() != id
        };
        FoundSecret {
            is_ours: mark.is_some(),
            is_proved: false,
            is_intact: mark.is_some_and(of_mark),
            is_older: mark.is_some_and(|mark| {
                let at = mark.at.as_deref().and_then(|at| at.parse::<Timestamp>().ok());
                issued.is_some() && at < issued
            }),
            is_of_another: mark.is_some_and(is_of_another),
            is_current: mark.is_some_and(|mark| mark.inputs == inputs)
                && has(&spec.labels, &secret.labels)
                && has(&spec.annotations, &secret.annotations),
            holds_value: mark.is_some_and(|mark| mark.from.is_some()),
            was_issued: mark.is_some_and(|mark| mark.at.is_some()),
        }
    }

    /// The values that are no secret.
    fn values(&self, remote: &Remote) -> Result<Values> {
        let target = &self.writer.target;
        let issuer = target.connection.spec.issuer.trim_end_matches('/');
        let mut values = Values::new();
        values.insert("issuer", issuer.into());
        values.insert("tokenEndpoint", format!("{issuer}/oauth/v2/token").into());
        values.insert("jwksUri", format!("{issuer}/oauth/v2/keys").into());
        if let Some(organization) = &target.place.organization {
            values.insert("organizationId", organization.as_str().into());
        }
        let own = self.kind.values(remote).doing("read")?;
        values.extend(own.into_iter().map(|(name, value)| (name, value.into())));
        Ok(values)
    }

    /// Of everything that the Secret is made of but the secret.
    fn inputs(&self, values: &Values) -> String {
        let used = values.iter().filter(|(name, _)| {
            self.declared.templates.values().any(|template| template.uses(name))
        });
        let used: BTreeMap<&str, &str> = used.map(|(n, v)| (*n, v.expose_secret())).collect();
        let spec = &self.declared.spec;
        let templates = format!("{:?}", self.declared.templates);
        let made_of = (used, templates, spec.policy, &spec.labels, &spec.annotations);
        sha256(format!("{made_of:?}").as_bytes())
    }

    fn known(&self, outcome: &Outcome) -> Option<SecretStatus> {
        outcome.status.secret.clone().filter(|known| known.name == self.declared.spec.name)
    }

    fn asked(&self, known: Option<&SecretStatus>) -> Option<String> {
        let asked = self.writer.object.annotations.get(RENEW_AT)?;
        let done = known.and_then(|known| known.renewed_for.as_ref());
        (done != Some(asked)).then(|| asked.clone())
    }

    fn changed_by(&self, subject: &Subject) -> Option<String> {
        let target = &self.writer.target;
        let (connection, value) = (&target.connection, self.issues.value);
        connection.secret_editor(self.writer.entry, &target.place, subject, value)
    }

    /// A status that was lost is made again from what the Secret tells.
    fn keep(&self, mark: Option<Mark>, outcome: &mut Outcome) {
        if self.known(outcome).is_none() {
            self.note(outcome, mark.and_then(|mark| mark.at));
        }
    }

    fn note(&self, outcome: &mut Outcome, at: Option<String>) {
        let known = self.known(outcome).unwrap_or_default();
        let name = self.declared.spec.name.clone();
        let asked = self.writer.object.annotations.get(RENEW_AT).cloned();
        let renewed_for = known.renewed_for.clone().or(asked);
        let issued_at = at.or(known.issued_at.clone());
        outcome.status.secret = Some(SecretStatus { name, issued_at, renewed_for, ..known });
    }

    fn rotates_at(&self, outcome: &Outcome, remote: &Remote) -> Option<Timestamp> {
        let known = self.known(outcome).unwrap_or_default();
        if self.is_key() {
            let expires_at = remote.state.text(key::EXPIRES_AT);
            return decide_secret::renews_at(&known, expires_at, self.declared.lifetime);
        }
        decide_secret::rotates_at(&known, self.declared.rotate_after)
    }

    fn plan_rotation(&self, outcome: &mut Outcome, remote: &Remote) {
        let at = self.rotates_at(outcome, remote);
        let Some(status) = &mut outcome.status.secret else { return };
        status.rotates_at = at.map(|at| at.to_string());
        if self.is_key() {
            status.expires_at = remote.state.text(key::EXPIRES_AT).map(ToOwned::to_owned);
        }
        let ends = status.previous.iter().filter_map(|former| former.expires_at.parse().ok());
        let next = at.into_iter().chain(ends).min();
        let left = next.map(|at| Timestamp::now().duration_until(at));
        let left = left.map(|left| Duration::try_from(left).unwrap_or_default());
        outcome.requeue_after = left.map(|left| left.min(LONGEST_SLEEP));
    }

    /// The secret itself, where somebody else wrote it into the Secret.
    async fn proved<'s>(
        &self,
        remote: &Remote,
        secret: &'s OutputSecret,
    ) -> Result<Option<&'s SecretString>> {
        let mut templates = self.declared.templates.iter();
        let key = templates.find(|(_, template)| template.is_only(self.issues.value));
        let Some(value) = key.and_then(|(key, _)| secret.data.get(key)) else { return Ok(None) };
        let target = self.writer.target;
        let access = target.connection.access(target.place.clone());
        let is_right = self.kind.proves(&access, remote, value).await;
        Ok(is_right.doing("try the secret of")?.then_some(value))
    }

    fn refused(&self, refusal: decide_secret::SecretRefusal) -> Error {
        let namespace = self.writer.object.key.namespace.clone();
        Error::Secret { namespace, name: self.declared.spec.name.clone(), refusal }
    }
}

fn checksum<S: std::borrow::Borrow<SecretString>>(values: &BTreeMap<String, S>) -> String {
    let mut text = Vec::new();
    for (key, value) in values {
        // Lengths, so that no two sets of values look alike.
        let value = value.borrow().expose_secret();
        text.extend(format!("{}:{key}{}:{value}", key.len(), value.len()).into_bytes());
    }
    sha256(&text)
}

fn sha256(text: &[u8]) -> String {
    STANDARD.encode(digest::digest(&digest::SHA256, text))
}
