//! Stage 3 for the Secret of an object: whether what it holds is kept, written or issued. Pure.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::{
    api::{
        secret::{OnMissing, SecretPolicy, SecretStatus},
        status::{Provenance, Reason},
    },
    contract::secret::Lifetime,
};

/// What is known of a Secret and of what it should hold.
#[derive(Debug, Clone)]
pub struct SecretFacts {
    /// The Secret; `None`: there is none.
    pub found: Option<FoundSecret>,
    /// Whose it is.
    pub policy: SecretPolicy,
    /// What the spec says of a value that is missing.
    pub on_missing: Option<OnMissing>,
    /// Whether there is a secret at all, as the remote side is configured.
    pub issues: bool,
    /// Whether a new secret ends the present one.
    pub ends_former: bool,
    /// Where the remote side comes from.
    pub provenance: Provenance,
    /// Whether who declares it owns what it is in.
    pub owns_place: bool,
    /// What the status says.
    pub known: Option<SecretStatus>,
    /// Who gave it another secret since.
    pub changed_by: Option<String>,
    /// When a new one is due.
    pub rotates_at: Option<Timestamp>,
    /// What the annotation asks for that was not done yet.
    pub asked: Option<String>,
    /// How long the Secret has been away.
    pub absent_for: Duration,
    /// How long it may be away before it counts as gone: tools move and restore it.
    pub pause: Duration,
    /// Now.
    pub now: Timestamp,
}

/// A Secret as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts, each by itself, that never exclude another"
)]
pub struct FoundSecret {
    /// It is marked as this object's.
    pub is_ours: bool,
    /// It holds the secret, whoever wrote it.
    pub is_proved: bool,
    /// It holds what was written into it.
    pub is_intact: bool,
    /// What it holds was issued before what the status knows of.
    pub is_older: bool,
    /// What it holds was issued for another thing, in whose place this one has come.
    pub is_of_another: bool,
    /// It is as the spec wants it now.
    pub is_current: bool,
    /// The secret can be read from it as it is.
    pub holds_value: bool,
    /// It was written with a secret.
    pub was_issued: bool,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretAction {
    /// Nothing.
    Keep,
    /// It is written with the secret that it holds, or without one.
    Write,
    /// A new secret is issued and written.
    Issue(Cause),
    /// It may come back.
    Wait(Duration),
    /// Nothing, and it is said why.
    Refuse(SecretRefusal),
}

/// Why a secret is issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// There was none.
    First,
    /// An attempt was cut off, and nobody knows what it issued.
    CutOff,
    /// The Secret is gone, or was edited.
    Missing,
    /// Somebody else gave it another one.
    Changed(String),
    /// It is time.
    Rotation,
    /// The annotation asks for it.
    Asked,
    /// The former one was deleted in ZITADEL.
    Gone,
    /// The keys changed, and the secret can't be read from those that there are.
    Keys,
}

/// Why nothing is issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretRefusal {
    /// The Secret is somebody else's.
    Taken,
    /// A new secret would end the one of an adopted thing.
    WouldEnd,
    /// What was there before belongs to another namespace.
    NotOwned,
    /// It would be a key of what was there before, and belongs to another namespace.
    ParentNotOwned,
    /// It would be a key of the account that Kastellan itself acts as.
    OwnAccount,
    /// The spec says so.
    Missing,
}

impl SecretRefusal {
    /// What users see.
    pub fn reason(self) -> Reason {
        match self {
            Self::Taken => Reason::Conflict,
            Self::WouldEnd => Reason::AdoptionRefused,
            Self::NotOwned | Self::ParentNotOwned => Reason::Forbidden,
            Self::OwnAccount => Reason::InvalidSpec,
            Self::Missing => Reason::SecretMissing,
        }
    }
}

/// Whether a Secret may be used at all: told before anything is created.
pub fn admission(found: Option<FoundSecret>, policy: SecretPolicy) -> Result<(), SecretRefusal> {
    match (found, policy) {
        (Some(found), SecretPolicy::Own) if !found.is_ours && !found.is_proved => {
            Err(SecretRefusal::Taken)
        }
        _ => Ok(()),
    }
}

/// What to do for a Secret.
pub fn secret(facts: SecretFacts) -> SecretAction {
    if let Err(refusal) = admission(facts.found, facts.policy) {
        return SecretAction::Refuse(refusal);
    }
    let is_current = facts.found.is_some_and(|f| f.is_ours && f.is_current && f.is_intact);
    if !facts.issues {
        let is_without = facts.found.is_some_and(|f| !f.was_issued);
        return if is_current && is_without { SecretAction::Keep } else { SecretAction::Write };
    }
    // What was there before may have rights that nobody meant for this namespace: to issue its
    // secret is to log in as it.
    if facts.provenance == Provenance::Adopted && !facts.owns_place {
        return SecretAction::Refuse(SecretRefusal::NotOwned);
    }
    let known = facts.known.unwrap_or_default();
    if facts.found.is_some_and(|f| !f.is_ours && f.is_proved) {
        return SecretAction::Write;
    }
    if known.pending.is_some() {
        return SecretAction::Issue(Cause::CutOff);
    }
    if facts.asked.is_some() && known.issued_at.is_some() {
        return SecretAction::Issue(Cause::Asked);
    }
    let is_at_risk = facts.provenance == Provenance::Adopted && facts.ends_former;
    let may_reissue = match facts.on_missing {
        Some(on_missing) => on_missing == OnMissing::Reissue,
        None => !is_at_risk,
    };
    let is_of_another = facts.found.is_some_and(|f| f.is_ours && f.is_of_another);
    if known.issued_at.is_none() || is_of_another {
        // A Secret that is ours and intact outlived a status that was lost.
        if !is_of_another && is_current && facts.found.is_some_and(|f| f.was_issued) {
            return SecretAction::Keep;
        }
        return if facts.provenance == Provenance::Created || may_reissue {
            SecretAction::Issue(if is_of_another { Cause::Gone } else { Cause::First })
        } else {
            SecretAction::Refuse(SecretRefusal::WouldEnd)
        };
    }
    if let Some(by) = facts.changed_by {
        return if may_reissue {
            SecretAction::Issue(Cause::Changed(by))
        } else {
            SecretAction::Refuse(SecretRefusal::Missing)
        };
    }
    let there = facts.found.filter(|f| f.is_ours && f.is_intact && !f.is_older);
    let Some(there) = there else {
        return match facts.pause.checked_sub(facts.absent_for).filter(|left| !left.is_zero()) {
            _ if !may_reissue => SecretAction::Refuse(SecretRefusal::Missing),
            Some(left) => SecretAction::Wait(left),
            None => SecretAction::Issue(Cause::Missing),
        };
    };
    if facts.rotates_at.is_some_and(|at| at <= facts.now) {
        return SecretAction::Issue(Cause::Rotation);
    }
    match (there.is_current, there.holds_value) {
        (true, _) => SecretAction::Keep,
        (false, true) => SecretAction::Write,
        (false, false) => SecretAction::Issue(Cause::Keys),
    }
}

/// When a secret is due that is used for so long.
pub fn rotates_at(known: &SecretStatus, rotate_after: Option<SignedDuration>) -> Option<Timestamp> {
    let issued: Timestamp = known.issued_at.as_deref()?.parse().ok()?;
    issued.checked_add(rotate_after?).ok()
}

/// When a key is due in whose place another one comes so long before its end: a lifetime that was
/// shortened meanwhile counts for it too, and for one that would never end.
pub fn renews_at(
    known: &SecretStatus,
    expires_at: Option<&str>,
    lifetime: Lifetime,
) -> Option<Timestamp> {
    let Lifetime { whole, renew_before } = lifetime;
    let end = expires_at.and_then(|at| at.parse::<Timestamp>().ok());
    let of_its_own = end.and_then(|end| end.checked_sub(renew_before).ok());
    let as_declared = rotates_at(known, whole.checked_sub(renew_before));
    of_its_own.into_iter().chain(as_declared).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTACT: FoundSecret = FoundSecret {
        is_ours: true,
        is_proved: false,
        is_intact: true,
        is_older: false,
        is_of_another: false,
        is_current: true,
        holds_value: true,
        was_issued: true,
    };

    fn now() -> Timestamp {
        "2026-01-02T00:00:00Z".parse().unwrap()
    }

    fn known() -> SecretStatus {
        let issued_at = Some("2026-01-01T00:00:00Z".into());
        SecretStatus { name: "s".into(), issued_at, ..SecretStatus::default() }
    }

    fn facts() -> SecretFacts {
        SecretFacts {
            found: Some(INTACT),
            policy: SecretPolicy::Own,
            on_missing: None,
            issues: true,
            ends_former: true,
            provenance: Provenance::Created,
            owns_place: true,
            known: Some(known()),
            changed_by: None,
            rotates_at: None,
            asked: None,
            absent_for: Duration::from_secs(10),
            pause: Duration::from_secs(10),
            now: now(),
        }
    }

    fn never_issued() -> SecretFacts {
        SecretFacts { found: None, known: None, ..facts() }
    }

    #[test]
    fn each_row_of_the_rule() {
        use Cause::{Asked, Changed, CutOff, First, Keys, Missing, Rotation};
        use SecretAction::{Issue, Keep, Refuse, Wait, Write};
        let pending = SecretStatus { pending: Some("x".into()), ..known() };
        let foreign = FoundSecret { is_ours: false, ..INTACT };
        let without = FoundSecret { was_issued: false, holds_value: false, ..INTACT };
        let none = never_issued();
        let adopted = SecretFacts { provenance: Provenance::Adopted, ..none.clone() };
        let gone = SecretFacts { found: None, ..facts() };
        let stall = Some(OnMissing::Stall);
        let later = now().checked_add(SignedDuration::from_secs(1)).unwrap();
        let proved = FoundSecret { is_proved: true, is_current: false, ..foreign };
        let was_adopted = SecretFacts { provenance: Provenance::Adopted, ..facts() };
        let found = |found: FoundSecret| SecretFacts { found: Some(found), ..facts() };
        for (facts, expected) in [
            (facts(), Keep),
            (found(foreign), Refuse(SecretRefusal::Taken)),
            (SecretFacts { known: None, ..found(foreign) }, Refuse(SecretRefusal::Taken)),
            (
                SecretFacts { known: None, policy: SecretPolicy::Merge, ..found(foreign) },
                Issue(First),
            ),
            (none.clone(), Issue(First)),
            // Its owner can't say no to the first one.
            (SecretFacts { on_missing: stall, ..none }, Issue(First)),
            (adopted.clone(), Refuse(SecretRefusal::WouldEnd)),
            (SecretFacts { on_missing: stall, ..adopted.clone() }, Refuse(SecretRefusal::WouldEnd)),
            (SecretFacts { on_missing: Some(OnMissing::Reissue), ..adopted.clone() }, Issue(First)),
            (
                SecretFacts {
                    provenance: Provenance::Adopted,
                    owns_place: false,
                    on_missing: Some(OnMissing::Reissue),
                    ..never_issued()
                },
                Refuse(SecretRefusal::NotOwned),
            ),
            // A key that is adopted does not end with the next one.
            (SecretFacts { ends_former: false, ..adopted.clone() }, Issue(First)),
            (SecretFacts { known: None, ..found(proved) }, Write),
            (was_adopted.clone(), Keep),
            (SecretFacts { found: None, ..was_adopted.clone() }, Refuse(SecretRefusal::Missing)),
            (SecretFacts { found: None, ends_former: false, ..was_adopted }, Issue(Missing)),
            // The status was lost.
            (SecretFacts { known: None, ..facts() }, Keep),
            (SecretFacts { known: Some(pending), ..facts() }, Issue(CutOff)),
            (gone.clone(), Issue(Missing)),
            (SecretFacts { absent_for: Duration::from_secs(4), ..gone.clone() }, {
                Wait(Duration::from_secs(6))
            }),
            (SecretFacts { on_missing: stall, ..gone }, Refuse(SecretRefusal::Missing)),
            (found(FoundSecret { is_intact: false, ..INTACT }), Issue(Missing)),
            (found(FoundSecret { is_older: true, ..INTACT }), Issue(Missing)),
            (SecretFacts { changed_by: Some("m".into()), ..facts() }, Issue(Changed("m".into()))),
            (
                SecretFacts { changed_by: Some("m".into()), on_missing: stall, ..facts() },
                Refuse(SecretRefusal::Missing),
            ),
            (SecretFacts { asked: Some("1".into()), ..facts() }, Issue(Asked)),
            (SecretFacts { rotates_at: Some(now()), ..facts() }, Issue(Rotation)),
            (SecretFacts { rotates_at: Some(later), ..facts() }, Keep),
            (found(FoundSecret { is_current: false, ..INTACT }), Write),
            (found(FoundSecret { is_current: false, holds_value: false, ..INTACT }), Issue(Keys)),
            // Without a secret the rest of it is written.
            (SecretFacts { issues: false, ..facts() }, Write),
            (SecretFacts { issues: false, ..found(without) }, Keep),
            (SecretFacts { known: None, ..found(without) }, Issue(First)),
            (SecretFacts { issues: false, found: None, known: None, ..facts() }, Write),
        ] {
            assert_eq!(secret(facts.clone()), expected, "{facts:?}");
        }
    }

    #[test]
    fn a_key_is_renewed_before_its_end_also_where_its_lifetime_was_shortened() {
        let hours = SignedDuration::from_hours;
        let at = |whole, before| {
            let lifetime = Lifetime { whole: hours(whole), renew_before: hours(before) };
            renews_at(&known(), Some("2026-01-11T00:00:00Z"), lifetime).map(|at| at.to_string())
        };
        assert_eq!(at(240, 24).as_deref(), Some("2026-01-10T00:00:00Z"));
        assert_eq!(at(48, 24).as_deref(), Some("2026-01-02T00:00:00Z"), "shortened");
        assert_eq!(at(480, 24).as_deref(), Some("2026-01-10T00:00:00Z"), "lengthened");
        let adopted = renews_at(
            &SecretStatus::default(),
            Some("2026-01-11T00:00:00Z"),
            Lifetime { whole: hours(48), renew_before: hours(24) },
        );
        assert_eq!(adopted.unwrap().to_string(), "2026-01-10T00:00:00Z");
        let lifetime = Lifetime { whole: hours(48), renew_before: hours(24) };
        let endless = renews_at(&known(), None, lifetime);
        assert_eq!(endless.unwrap().to_string(), "2026-01-02T00:00:00Z");
    }
}
