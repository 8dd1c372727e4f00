//! The sentences: what is wrong, and what to do. Pure.

use jiff::Timestamp;

use super::{Pause, Removed};
use crate::{
    api::ALLOW_LOCK_OUT,
    contract::Permissions,
    engine::{
        decide_deletion::Release,
        decide_secret::SecretRefusal,
        error::{
            Doing, Error, Lost, Missing, NoConsent, NotConverged, OutputError, Purpose, Refusal,
            Waiting,
        },
    },
    zitadel::{
        self, Code,
        roles::{self, Level, TO_CONNECT},
    },
};

/// An error about something that is called `noun`.
pub(super) fn sentence(error: &Error, noun: &str) -> String {
    match error {
        Error::Spec(e) => e.to_string(),
        Error::Waiting(waiting) => self::waiting(waiting),
        Error::NotConnected { instance, message, .. } => format!(
            "waiting for {instance}: {}",
            message.as_deref().unwrap_or("nobody has looked at it yet")
        ),
        Error::NoConsent(consent) => no_consent(consent, noun),
        Error::UnknownHost => "spec.issuer: the server knows no instance of this host name; use \
                               the external URL of the instance (its ExternalDomain), and address \
                               for where to connect"
            .into(),
        Error::NoRole { account } => format!(
            "the account{} has no role in the instance or in an organization; give it IAM_OWNER, \
             or ORG_OWNER of the organization that it is to manage",
            account.as_ref().map(|name| format!(" {name}")).unwrap_or_default()
        ),
        Error::AdoptionRefused(refusal) => self::refusal(refusal, noun),
        Error::Elsewhere { id, organization } => format!(
            "{noun} {id} is in {}, not in the declared one; change the reference, or remove spec.id \
             to create another one here",
            place(organization.as_deref())
        ),
        Error::LeftBehind { id, place } => format!(
            "{noun} {id} is still in {place}, and the reference leads elsewhere by now; it is not \
             moved. Let this object refer to where it is; or delete this object, with \
             deletionPolicy: Retain to keep it, and create another one"
        ),
        Error::ReferenceChanged { id, fields } => format!(
            "{noun} {id} has another {}: ZITADEL can't change that. Delete this object and create \
             another one",
            fields.join(", ")
        ),
        Error::CannotEmpty { fields } => {
            let fields = fields.join(", ");
            format!(
                "ZITADEL can't empty {fields} of {noun} once there is something in it: declare at \
                 least one entry, or remove {fields} from the spec to leave it as it is"
            )
        }
        Error::NamesMissing { source } => {
            format!("waiting for something that {noun} names and that does not exist: {source}")
        }
        Error::Secret { namespace, name, refusal } => {
            secret(&format!("Secret {namespace}/{name}"), *refusal, noun)
        }
        Error::SecretAway { name, left } => format!(
            "Secret {name} does not hold what was written into it; in {} s a new one is issued",
            left.as_secs()
        ),
        Error::Output(e) => output(e),
        Error::OwnAccount { id } => format!(
            "{noun} {id} is the account that Kastellan itself acts as: changing it could lock \
             Kastellan out. Observe it (mode: Observe), or delete this object"
        ),
        Error::Conflict { winner } => {
            format!("{winner} declares the same and is older; delete one of the two")
        }
        Error::Contested { by, fields, corrections, .. } => format!(
            "{} keeps changing {fields}: it was reverted {corrections} times in a row, and is from \
             now on at growing intervals. Agree on one side, or remove it from the spec",
            by.as_deref().unwrap_or("somebody else")
        ),
        Error::Drafted { fields } => drafted(fields, noun),
        Error::LockOut { who } => lock_out(who),
        Error::InstanceChanged { instance, known, found } => {
            let behind =
                instance.as_ref().map_or_else(|| "the address".to_owned(), ToString::to_string);
            format!(
                "the instance behind {behind} was {known} and is {found} now; nothing is written \
                 to it. Point the Instance at the former one, or delete this object and create it \
                 again to have it there"
            )
        }
        Error::Scheduled { fields, at, .. } => scheduled(fields, *at, noun),
        Error::TooOld { since, source } => {
            format!("{noun} needs ZITADEL {since}, and this server is older: {source}")
        }
        Error::Unproven { wanted, .. } => unproven(wanted.as_ref(), noun),
        Error::NoEndpoint { doing, source } => no_endpoint(*doing, source, noun),
        Error::Lost(lost) => self::lost(lost, noun),
        Error::NotConverged(pending) => not_converged(pending, noun),
        Error::NoSight { id } => format!(
            "the account does not see {noun} {id}, and has no role by which it would: it can't be \
             told whether it still exists. Give the account the role that it had, or one in the \
             instance"
        ),
        Error::Taken { source } => taken(source, noun),
        Error::MayNotRead { noun, lacks } => format!(
            "the account may not see whether {noun} exists, as it lacks {}",
            lacks.join(", ")
        ),
        Error::NotPermitted { permissions, error } => {
            format!("{}. Needed is {}", sentence(error, noun), remedy(permissions, error))
        }
        Error::Zitadel { doing, source } => call(*doing, source, noun),
        Error::Host(e) => format!("the cluster did not accept the status: {e}"),
    }
}

/// What has to be published. Nothing of when: that would be another message after each look.
fn unproven(wanted: Option<&(String, String)>, noun: &str) -> String {
    match wanted {
        Some((place, token)) => format!(
            "{noun} is not verified: ZITADEL looks for {token} {place}. Publish it; it is looked for \
             at pauses from a minute to an hour, and at once where the annotation \
             kastellan.dev/reconcile-at is changed"
        ),
        None => format!(
            "{noun} is not verified: what was asked for earlier is not where ZITADEL looks for it, \
             and what that is can't be read. Declare another way to have something else asked for"
        ),
    }
}

/// The server is older, or hides something.
fn no_endpoint(doing: Doing, source: &zitadel::Error, noun: &str) -> String {
    format!(
        "{}. This ZITADEL has no such endpoint, or what is before it does not let it through: \
         upgrade ZITADEL, or ask who runs the proxy",
        call(doing, source, noun)
    )
}

/// Something else has what has to be unique.
fn taken(source: &zitadel::Error, noun: &str) -> String {
    format!(
        "ZITADEL refuses to create {noun}, because something that has to be unique is taken, be it \
         by what this account does not see: {source}. Change it here, or remove what has it"
    )
}

/// What comes true by steps.
fn scheduled(fields: &[String], at: Option<Timestamp>, noun: &str) -> String {
    let at = at.map_or_else(|| "at once".to_owned(), |at| format!("at {at:.0}"));
    let fields = fields.join(", ");
    format!("{noun} differs in {fields}: that comes true by steps, the next one {at}")
}

/// What would be published besides.
fn drafted(fields: &[String], noun: &str) -> String {
    format!(
        "somebody has changed {} in a draft of {noun}: what is declared can't be published without \
         it. Publish the draft or take it back, declare these fields, or set spec.publishDrafts: \
         true to publish it too",
        fields.join(", ")
    )
}

/// What could not be done, and why.
fn call(doing: Doing, source: &zitadel::Error, noun: &str) -> String {
    if let zitadel::Error::Down(cause) = source {
        return format!("waiting for ZITADEL, which is down: {}", self::cause(cause));
    }
    let what = match doing {
        Doing::Thing(verb) => format!("could not {verb} {noun}"),
        Doing::Other(phrase) => format!("could not {phrase}"),
    };
    let remedy = if doing == Doing::CONNECT && source.code() == Some(Code::PermissionDenied) {
        let needed = TO_CONNECT.join(" or ");
        format!(". The account needs {needed} in the organization that it is in")
    } else {
        String::new()
    };
    format!("{what}: {}{remedy}", cause(source))
}

/// How a call failed, and where that says little by itself, what to do.
fn cause(source: &zitadel::Error) -> String {
    match source {
        zitadel::Error::Status(s) if s.code == zitadel::Code::Unauthenticated => {
            format!(
                "ZITADEL does not accept the token of this Instance ({source}); renew its Secret"
            )
        }
        zitadel::Error::TokenRefused { .. } => {
            format!("{source}; renew the Secret of this Instance")
        }
        _ => source.to_string(),
    }
}

/// `a.read and a.write: give the account the role ORG_OWNER in the organization, or …`
fn remedy(permissions: &Permissions, error: &Error) -> String {
    let deletes = matches!(error, Error::Zitadel { doing: Doing::Thing("delete"), .. });
    let retain = if deletes { ", or set deletionPolicy: Retain" } else { "" };
    let roles = permissions.roles().into_iter().map(|role| {
        let beside = roles::beside().filter(|_| role.level == Level::Project);
        let beside = beside.map(|beside| format!(" besides {}", beside.name)).unwrap_or_default();
        format!("{} in the {}{beside}", role.name, role.level.as_str())
    });
    let roles = roles.collect::<Vec<_>>().join(", or ");
    format!("{}: give the account the role {roles}{retain}", permissions.needed.join(", "))
}

fn secret(secret: &str, refusal: SecretRefusal, noun: &str) -> String {
    match refusal {
        SecretRefusal::Taken => format!(
            "{secret} exists and is not managed by this object: delete it, choose another name, or \
             set secret.policy: Merge"
        ),
        SecretRefusal::WouldEnd => format!(
            "{noun} was there before, and nobody can read its secret: a new one would end the \
             present one. Set secret.onMissing: Reissue to have one issued into {secret}"
        ),
        SecretRefusal::NotOwned => format!(
            "{noun} was there before, in something that another namespace declares: its secret is \
             issued only to that namespace, or with the Instance's instanceScope"
        ),
        SecretRefusal::ParentNotOwned => format!(
            "what {noun} would be of was there before, in something that another namespace \
             declares: its keys are issued only to that namespace, or with the Instance's \
             instanceScope"
        ),
        SecretRefusal::OwnAccount => format!(
            "what {noun} would be of is the account that Kastellan itself acts as, and who gets a \
             key of it can do all that Kastellan can: take another account"
        ),
        SecretRefusal::Missing => format!(
            "{secret} does not hold the secret of {noun}, and secret.onMissing lets nothing be \
             issued for that: bring it back, or set secret.onMissing: Reissue, which ends the \
             present one"
        ),
    }
}

fn output(e: &OutputError) -> String {
    match e {
        OutputError::Forbidden(message) => format!(
            "the operator may not write Secrets here: {message}; set the chart's value \
             rbac.writeSecrets: true"
        ),
        OutputError::NowhereToWrite => {
            "spec.secret names a Secret, and there is no place to write it".into()
        }
        OutputError::NotDelivered(why) => {
            format!("what was issued was not delivered, and nobody has it: {why}")
        }
        OutputError::Failed(message) => format!("could not write the Secret: {message}"),
    }
}

fn place(organization: Option<&str>) -> String {
    organization.map_or_else(|| "the instance itself".into(), |id| format!("the organization {id}"))
}

fn waiting(waiting: &Waiting) -> String {
    match waiting {
        Waiting::Missing(key) => format!("waiting for {key}: it does not exist"),
        Waiting::Deleting(key) => format!("waiting for {key}: it is being deleted"),
        Waiting::OtherInstance(key) => {
            format!("waiting for {key}: it belongs to another instance")
        }
        Waiting::NotBound { object, message } => {
            let why = message.as_deref().unwrap_or("nobody has looked at it yet");
            format!("waiting for {object}: {why}")
        }
        Waiting::Remote { noun, id, is_new: false } => {
            format!("waiting for {noun} {id}: it does not exist in this instance")
        }
        Waiting::Remote { noun, id, is_new: true } => {
            format!("waiting for {noun} {id}: it does not show yet")
        }
        Waiting::Name { field, name, found: 0 } => {
            format!("waiting for {field} {name}: nothing that the account may see has it")
        }
        Waiting::Name { field, name, found } => {
            format!("{field} {name} means {found} things in this instance: name one by its id")
        }
        Waiting::Value { kind, namespace, name, key, missing } => {
            let what = format!("{kind} {namespace}/{name}");
            match missing {
                Missing::Object => format!("waiting for {what}: it does not exist"),
                Missing::Key => format!("waiting for {what}: it has no text under the key {key}"),
                Missing::Unreadable(why) => format!("{what} can't be read: {why}"),
            }
        }
    }
}

fn no_consent(consent: &NoConsent, noun: &str) -> String {
    let NoConsent { giver, field, namespace, purpose } = consent;
    let would = format!("its spec.{field} would have to");
    match purpose {
        Purpose::Refer => format!("{giver} does not allow the namespace {namespace}: {would}"),
        Purpose::ReferBy(kind) => format!(
            "{giver} does not allow {kind} objects of the namespace {namespace}: {would}, with \
             {kind} among its kinds"
        ),
        Purpose::DeclareRoot => {
            format!("{giver} does not let the namespace {namespace} declare organizations: {would}")
        }
        Purpose::ActOnInstance => format!(
            "{giver} does not let the namespace {namespace} act on the instance itself or name an \
             id in it: {would}"
        ),
        Purpose::AdoptRoot => format!(
            "{noun} exists; {giver} does not let the namespace {namespace} adopt it: {would}"
        ),
    }
}

fn refusal(refusal: &Refusal, noun: &str) -> String {
    match refusal {
        Refusal::Differs { id, fields } => format!(
            "{noun} {id} exists and differs in {}; make them alike, or set adoptionPolicy: Always \
             to have it changed, or choose another name",
            fields.join(", ")
        ),
        Refusal::Never { id } => format!(
            "{noun} {id} exists and adoptionPolicy is Never; choose another name, or another policy"
        ),
        Refusal::Ambiguous { ids } => format!(
            "several fit: {}; name one of them in spec.id, or choose another name",
            ids.join(", ")
        ),
        Refusal::Elsewhere { id, organization } => format!(
            "{noun} {id} of this name exists in {}; choose another name",
            place(organization.as_deref())
        ),
        Refusal::OtherKind { id, noun: other } => {
            format!("{other} {id} has this name already; choose another name")
        }
        Refusal::IdTaken { id } => format!(
            "the id {id} belongs to something else, of another kind or in another project; change \
             spec.id, or remove it"
        ),
    }
}

fn lost(lost: &Lost, noun: &str) -> String {
    match lost {
        Lost::Thing { id, age } => format!(
            "ZITADEL accepted {noun} {id} {} s ago and does not show it: its read side has lost it. \
             It is not created under another name. Look at its events in ZITADEL's audit log: if \
             nothing depends on it, deleting it there brings it back",
            age.as_secs()
        ),
        Lost::Change { age } => format!(
            "ZITADEL accepted a change of {noun} {} s ago and still shows it as it was: its read \
             side has lost the change. Changing it by hand, and back, brings it to light",
            age.as_secs()
        ),
        Lost::RefusedAsExisting { id } => format!(
            "ZITADEL refuses to create {noun}, because it exists, and yet shows none of this name \
             or of the id {id}: it is somewhere this account does not look, such as another \
             organization, or its read side has lost it. It is not created under another name"
        ),
        Lost::RefusedAsUnchanged { fields } => format!(
            "ZITADEL says that {noun} is as declared already, and yet shows another {}: its read \
             side has lost a change. Changing that by hand, and back, brings it to light",
            fields.join(", ")
        ),
    }
}

fn not_converged(pending: &NotConverged, noun: &str) -> String {
    match pending {
        NotConverged::Pending => format!("what was written to {noun} does not show yet"),
        NotConverged::Sought => {
            format!("an attempt to create {noun} failed: whether it exists shows in a moment")
        }
        NotConverged::Absent => format!("{noun} does not show yet"),
        NotConverged::JustGone => format!("{noun} has just disappeared"),
        NotConverged::Differs { fields } => {
            format!("{noun} still differs in {}", fields.join(", "))
        }
        NotConverged::Unreadable => format!("{noun} can't be read"),
    }
}

/// Who would be locked out.
fn lock_out(who: &str) -> String {
    format!(
        "nothing was done, since {who}. To do it all the same, annotate this object with \
         {ALLOW_LOCK_OUT}: \"true\""
    )
}

/// What an object that is being deleted waits for.
pub(super) fn pause(pause: &Pause, noun: &str) -> String {
    const ABANDON: &str = "annotate this one with kastellan.dev/abandon: \"true\"";
    match pause {
        Pause::Children(all) => {
            format!("{}; they go first, or {ABANDON}", several(all, "still refers", "still refer"))
        }
        Pause::Successor { id, pause } => format!(
            "{id} is about to be removed from ZITADEL; for {} s, another object that declares the \
             same {} can still take it over",
            pause.as_secs(),
            noun.trim_start_matches("the ")
        ),
        Pause::Instance => format!(
            "waiting for the Instance to be usable again; to release this object without a call, \
             {ABANDON}"
        ),
        Pause::Dependants(all) => {
            let who = several(all, "still needs it", "still need it");
            format!("{who}; delete what needs it, or {ABANDON}")
        }
    }
}

fn several(all: &[crate::contract::Key], one: &str, many: &str) -> String {
    match all {
        [] => String::new(),
        [only] => format!("{only} {one}"),
        [first, rest @ ..] => format!("{first} and {} more {many}", rest.len()),
    }
}

/// Why a thing stays in ZITADEL; `None`: there is nothing that could stay.
pub(super) fn release(release: &Release) -> Option<String> {
    Some(match release {
        Release::NeverBound | Release::HandedOver => return None,
        Release::Observed => "it was only observed".into(),
        Release::Abandoned => "released by annotation".into(),
        Release::Retained => "its deletion policy is Retain".into(),
        Release::InstanceGone => "the Instance through which it was bound is gone".into(),
        Release::InstanceChanged => "behind its Instance is another instance now".into(),
        Release::CredentialsLost => {
            "its Instance is being deleted and the credentials are gone".into()
        }
        Release::OwnAccount => "it is the account that Kastellan itself acts as".into(),
        Release::ConsentWithdrawn(consent) => {
            format!("{} does not allow the namespace {} any more", consent.giver, consent.namespace)
        }
    })
}

/// What became of the remote side.
pub(super) fn removed(removed: &Removed, noun: &str) -> String {
    match removed {
        Removed::Deleted { id } => format!("{noun} {id} was deleted"),
        Removed::WithPlace { id } => format!("{noun} went with what it was in: {id}"),
        Removed::Reset => format!("{noun} was reset and inherits again"),
        Removed::Restored { fields } => {
            format!("{noun} got its former values back: {}", fields.join(", "))
        }
        Removed::Unchanged => format!("{noun} needed no change"),
    }
}
