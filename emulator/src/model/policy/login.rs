//! The policy of how to log in: a policy as the others are, and the factors and identity providers
//! that it allows, which have events of their own.

use std::collections::HashMap;

use super::Kind;
use crate::{
    message::message,
    model::{Fields, Side},
    proto::{Field, Message, NAME, Rule},
    store::Event,
};

/// Whether a login without a password is allowed.
pub(crate) const PASSWORDLESS: &[&str] =
    &["PASSWORDLESS_TYPE_NOT_ALLOWED", "PASSWORDLESS_TYPE_ALLOWED"];
/// The second factors by their numbers, in requests and in events.
pub(crate) const SECOND_FACTORS: &[&str] = &[
    "SECOND_FACTOR_TYPE_UNSPECIFIED",
    "SECOND_FACTOR_TYPE_OTP",
    "SECOND_FACTOR_TYPE_U2F",
    "SECOND_FACTOR_TYPE_OTP_EMAIL",
    "SECOND_FACTOR_TYPE_OTP_SMS",
    "SECOND_FACTOR_TYPE_RECOVERY_CODES",
];
/// The multi factors by their numbers, in requests and in events.
pub(crate) const MULTI_FACTORS: &[&str] =
    &["MULTI_FACTOR_TYPE_UNSPECIFIED", "MULTI_FACTOR_TYPE_U2F_WITH_VERIFICATION"];
/// Whose an identity provider is.
pub(crate) const OWNER_TYPES: &[&str] =
    &["IDP_OWNER_TYPE_UNSPECIFIED", "IDP_OWNER_TYPE_SYSTEM", "IDP_OWNER_TYPE_ORG"];

/// The fields that are durations.
pub(crate) const LIFETIMES: &[&str] = &[
    "passwordCheckLifetime",
    "externalLoginCheckLifetime",
    "mfaInitSkipLifetime",
    "secondFactorCheckLifetime",
    "multiFactorCheckLifetime",
];

macro_rules! fields {
    ($($more:expr),* $(,)?) => {
        &[
            Field::flag("allowUsernamePassword"),
            Field::flag("allowRegister"),
            Field::flag("allowExternalIdp"),
            Field::flag("forceMfa"),
            Field::choice("passwordlessType", PASSWORDLESS),
            Field::flag("hidePasswordReset"),
            Field::flag("ignoreUnknownUsernames"),
            Field::text("defaultRedirectUri"),
            Field::duration("passwordCheckLifetime"),
            Field::duration("externalLoginCheckLifetime"),
            Field::duration("mfaInitSkipLifetime"),
            Field::duration("secondFactorCheckLifetime"),
            Field::duration("multiFactorCheckLifetime"),
            Field::flag("allowDomainDiscovery"),
            Field::flag("disableLoginWithEmail"),
            Field::flag("disableLoginWithPhone"),
            Field::flag("forceMfaLocalOnly"),
            $($more,)*
        ]
    };
}

static PROVIDER: Message = Message::new(
    "AddCustomLoginPolicyRequest_IDP",
    &[
        Field::text("idpId").rules(NAME),
        Field::choice("ownerType", OWNER_TYPES).rules(&[Rule::Defined, Rule::NotFirst]),
    ],
);
const FIELDS: &[Field] = fields![];
/// What an organization's own policy is made of; factors are checked by the command.
const CREATION_FIELDS: &[Field] = fields![
    Field::choice("secondFactors", SECOND_FACTORS).repeated().rules(&[]),
    Field::choice("multiFactors", MULTI_FACTORS).repeated().rules(&[]),
    Field::message("idps", &PROVIDER).repeated(),
];

/// How to log in.
pub(crate) static LOGIN: Kind = Kind {
    name: "login",
    fields: &[
        "allowUsernamePassword",
        "allowRegister",
        "allowExternalIdp",
        "forceMFA",
        "forceMFALocalOnly",
        "passwordlessType",
        "hidePasswordReset",
        "ignoreUnknownUsernames",
        "allowDomainDiscovery",
        "defaultRedirectURI",
        "passwordCheckLifetime",
        "externalLoginCheckLifetime",
        "mfaInitSkipLifetime",
        "secondFactorCheckLifetime",
        "multiFactorCheckLifetime",
        "disableLoginWithEmail",
        "disableLoginWithPhone",
    ],
    cleared: None,
    initial: || {
        const HOUR: i64 = 3_600_000_000_000;
        message! {
            "allowUsernamePassword" => true,
            "allowRegister" => true,
            "allowExternalIdp" => true,
            "passwordlessType" => 1,
            "allowDomainDiscovery" => true,
            "passwordCheckLifetime" => 240 * HOUR,
            "externalLoginCheckLifetime" => 240 * HOUR,
            "mfaInitSkipLifetime" => 720 * HOUR,
            "secondFactorCheckLifetime" => 18 * HOUR,
            "multiFactorCheckLifetime" => 12 * HOUR,
        }
    },
    requests: [
        Message::new("UpdateLoginPolicyRequest", FIELDS),
        Message::new("AddCustomLoginPolicyRequest", CREATION_FIELDS),
        Message::new("UpdateCustomLoginPolicyRequest", FIELDS),
    ],
    instance_events: ["instance.policy.login.added", "instance.policy.login.changed"],
    organization_events: [
        "org.policy.login.added",
        "org.policy.login.changed",
        "org.policy.login.removed",
    ],
    instance_unchanged: ("INSTANCE-5M9vdd", "Default Login Policy has not been changed"),
    exists: ("Org-Dgfb2", "Login Policy already exists"),
    nothing_to_update: ("Org-M0sif", "Login Policy not found"),
    unchanged: ("Org-5M9vdd", "Errors.Org.LoginPolicy.NotChanged"),
    nothing_to_remove: ("Org-GHB37", "Login Policy not found"),
};

/// What a policy allows besides its fields, in the order in which it came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Allowed {
    pub(crate) second_factors: Vec<u64>,
    pub(crate) multi_factors: Vec<u64>,
    pub(crate) providers: Vec<String>,
}

/// What each policy allows, by the instance or the organization whose it is.
#[derive(Default)]
pub(crate) struct Logins(HashMap<String, Allowed>);

/// What an event changes.
pub(crate) enum Change {
    Factors,
    Providers,
}

impl Logins {
    /// What the policy of the instance or an organization allows.
    pub(crate) fn of(&self, owner: &str) -> Allowed {
        self.0.get(owner).cloned().unwrap_or_default()
    }

    /// Applies an event of factors or providers; tells what it changed, if it is one.
    ///
    /// The read side adds a factor to the row of a policy, so without a policy of its own an
    /// organization has none there. The write side knows the factor all the same.
    pub(crate) fn apply(&mut self, side: Side, has_policy: bool, event: &Event) -> Option<Change> {
        let change = ["instance.policy.login.", "org.policy.login."]
            .into_iter()
            .find_map(|prefix| event.event_type.strip_prefix(prefix))?;
        let fields = Fields(event.payload.clone().unwrap_or_default());
        let (factor, provider) = (fields.number("mfaType"), fields.text("idpConfigId"));
        let allowed = self.0.entry(event.aggregate_id.clone()).or_default();
        match change {
            "secondfactor.added" if side == Side::Write || has_policy => {
                allowed.second_factors.push(factor);
            }
            "multifactor.added" if side == Side::Write || has_policy => {
                allowed.multi_factors.push(factor);
            }
            "secondfactor.removed" => allowed.second_factors.retain(|have| *have != factor),
            "multifactor.removed" => allowed.multi_factors.retain(|have| *have != factor),
            "idpprovider.added" => allowed.providers.push(provider.to_owned()),
            "idpprovider.removed" => allowed.providers.retain(|have| have != provider),
            _ => {}
        }
        Some(if change.starts_with("idpprovider.") { Change::Providers } else { Change::Factors })
    }

    /// A policy that goes takes with it what it allowed.
    pub(crate) fn forget(&mut self, owner: &str) {
        self.0.remove(owner);
    }

    /// A provider that is deleted leaves all policies.
    pub(crate) fn forget_provider(&mut self, id: &str) {
        for allowed in self.0.values_mut() {
            allowed.providers.retain(|have| have != id);
        }
    }
}
