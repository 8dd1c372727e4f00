//! `LoginPolicy`: how people log in, with the factors and identity providers that are allowed. The
//! instance's (`/admin/v1/policies/login`) or an organization's own (`/management/v1/policies/login`).
//! A write replaces the scalars and leaves the lists; each entry of a list has calls of its own.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::{
    identity_provider,
    lifetime::Lifetime,
    organization,
    policy::{self, Endpoint},
    way_in,
};
use crate::{
    api::spec::{Common, ObjectReference, OrganizationScope},
    contract::{
        Access, CheckError, Description, EventFilter, EventPlace, EventSubject, Inputs, Kind, List,
        Permissions, RemoteSetting, Setting, SpecError, Written, crd::Rule,
    },
    zitadel::Result,
};

mod calls;
mod words;

use words::{MultiFactor, PasswordlessType, SecondFactor};

/// The spec.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LoginPolicy {
    #[serde(flatten)]
    common: Common,
    #[serde(flatten)]
    organization: OrganizationScope,
    /// `IdentityProvider` objects that the login offers, exactly these and those in
    /// `identityProviderIds`; their order means nothing. One of another namespace must allow it by
    /// its `allowedNamespaces`. Omitted: those in `identityProviderIds`, if that is set.
    #[schemars(length(max = 100))]
    #[serde(skip_serializing_if = "Option::is_none")]
    identity_providers: Option<Vec<ObjectReference>>,
    #[serde(flatten)]
    state: LoginPolicyState,
}

/// The fields that can be managed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LoginPolicyState {
    /// Whether people log in with user name and password. Without them, passkeys and identity
    /// providers nobody can log in, which is refused unless the annotation
    /// `kastellan.dev/allow-lock-out: "true"` insists. Omitted: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    allow_username_password: Option<bool>,
    /// Whether people register themselves. Omitted: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    allow_register: Option<bool>,
    /// Whether people log in through the identity providers. Omitted: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    allow_external_idp: Option<bool>,
    /// Whether everybody needs a second factor or a multi factor. Without any of them in
    /// `secondFactors` and `multiFactors` nobody can log in, which is refused unless the annotation
    /// `kastellan.dev/allow-lock-out: "true"` insists. Omitted: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    force_mfa: Option<bool>,
    /// Whether those need one who log in without an identity provider. Omitted: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    force_mfa_local_only: Option<bool>,
    /// Whether people log in with a passkey. Omitted: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    passwordless_type: Option<PasswordlessType>,
    /// Whether the login hides the link to reset a password. Omitted: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    hide_password_reset: Option<bool>,
    /// Whether the login asks for a password although it does not know the user name. Omitted: not
    /// managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    ignore_unknown_usernames: Option<bool>,
    /// Whether an unknown user name leads to the organization that has the domain behind its `@`.
    /// Omitted: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    allow_domain_discovery: Option<bool>,
    /// Whether an e-mail address is no login name. Omitted: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    disable_login_with_email: Option<bool>,
    /// Whether a phone number is no login name. Omitted: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    disable_login_with_phone: Option<bool>,
    /// Where a login leads that no application began; `""`: to the console. Omitted: not managed.
    #[schemars(length(max = 500))]
    #[serde(skip_serializing_if = "Option::is_none")]
    default_redirect_uri: Option<String>,
    /// How long a password is not asked for again, such as `240h`. Omitted: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    password_check_lifetime: Option<Lifetime>,
    /// How long an identity provider is not asked again, such as `240h`. Omitted: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    external_login_check_lifetime: Option<Lifetime>,
    /// How long people who did not set up a second factor are not asked to, such as `720h`; `0s`:
    /// they never are. Omitted: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    mfa_init_skip_lifetime: Option<Lifetime>,
    /// How long a second factor is not asked for again, such as `18h`. Omitted: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    second_factor_check_lifetime: Option<Lifetime>,
    /// How long a multi factor is not asked for again, such as `12h`. Omitted: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    multi_factor_check_lifetime: Option<Lifetime>,
    /// Second factors that are allowed, exactly these; their order means nothing. `[]`: none.
    /// Omitted: not managed.
    #[schemars(length(max = 10))]
    #[serde(skip_serializing_if = "Option::is_none")]
    second_factors: Option<Vec<SecondFactor>>,
    /// Multi factors that are allowed, exactly these; their order means nothing. `[]`: none.
    /// Omitted: not managed.
    #[schemars(length(max = 10))]
    #[serde(skip_serializing_if = "Option::is_none")]
    multi_factors: Option<Vec<MultiFactor>>,
    /// Ids of identity providers that no object declares and that the login offers, exactly these and
    /// those in `identityProviders`; their order means nothing. An organization may name its own and
    /// the instance's. `[]`: none. Omitted: not managed, if `identityProviders` is omitted too.
    #[schemars(
        length(max = 100),
        inner(length(min = 1, max = 200), regex(pattern = r"^[A-Za-z0-9_-]+$"))
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    identity_provider_ids: Option<Vec<String>>,
}

impl LoginPolicyState {
    /// What ZITADEL omits from its answers.
    fn zero() -> Self {
        let (no, never) = (Some(false), Some(Lifetime::default()));
        Self {
            allow_username_password: no,
            allow_register: no,
            allow_external_idp: no,
            force_mfa: no,
            force_mfa_local_only: no,
            passwordless_type: Some(PasswordlessType::NotAllowed),
            hide_password_reset: no,
            ignore_unknown_usernames: no,
            allow_domain_discovery: no,
            disable_login_with_email: no,
            disable_login_with_phone: no,
            default_redirect_uri: Some(String::new()),
            password_check_lifetime: never,
            external_login_check_lifetime: never,
            mfa_init_skip_lifetime: never,
            second_factor_check_lifetime: never,
            multi_factor_check_lifetime: never,
            second_factors: Some(Vec::new()),
            multi_factors: Some(Vec::new()),
            identity_provider_ids: Some(Vec::new()),
        }
    }

    /// Why nobody can log in by this policy. What is not known of it is taken for a way in.
    fn locks_out(&self) -> Option<&'static str> {
        fn is_empty<T>(set: Option<&[T]>) -> bool {
            set.is_some_and(<[T]>::is_empty)
        }
        let no = Some(false);
        let has_no_provider =
            self.allow_external_idp == no || is_empty(self.identity_provider_ids.as_deref());
        let has_no_factor =
            is_empty(self.second_factors.as_deref()) && is_empty(self.multi_factors.as_deref());
        let asks_for_factor = self.force_mfa == Some(true)
            || (self.force_mfa_local_only == Some(true) && has_no_provider);
        if asks_for_factor && has_no_factor {
            return Some(
                "nobody could log in: everybody needs another factor, and secondFactors and \
                 multiFactors allow none",
            );
        }
        let has_no_passkeys = self.passwordless_type == Some(PasswordlessType::NotAllowed);
        (self.allow_username_password == no && has_no_passkeys && has_no_provider)
            .then_some(way_in::NONE)
    }

    /// With sets in one order: ZITADEL has them in the order in which they came, twice what came
    /// twice.
    fn in_order(mut self) -> Self {
        fn sort<T: Ord>(set: &mut Option<Vec<T>>) {
            if let Some(set) = set {
                set.sort();
                set.dedup();
            }
        }
        sort(&mut self.second_factors);
        sort(&mut self.multi_factors);
        sort(&mut self.identity_provider_ids);
        self
    }
}

impl Kind for LoginPolicy {
    type State = LoginPolicyState;
    const DESCRIPTION: Description = Description {
        kind: "LoginPolicy",
        plural: "loginpolicies",
        short: "zlogin",
        about: "How people log in, with which factors and identity providers: the instance's rule, \
                or with organizationRef or organizationId that organization's own.",
        noun: "the login policy",
        references: &[organization::PARENT],
        reference_lists: &[identity_provider::OFFERED],
        events: &[
            policy::of_instance(&[
                "instance.policy.login.added",
                "instance.policy.login.changed",
                "instance.policy.login.secondfactor.added",
                "instance.policy.login.secondfactor.removed",
                "instance.policy.login.multifactor.added",
                "instance.policy.login.multifactor.removed",
                "instance.policy.login.idpprovider.added",
                "instance.policy.login.idpprovider.removed",
                "instance.policy.login.idpprovider.cascade.removed",
            ]),
            policy::of_organization(
                &[
                    "org.policy.login.added",
                    "org.policy.login.changed",
                    "org.policy.login.removed",
                    "org.policy.login.secondfactor.added",
                    "org.policy.login.secondfactor.removed",
                    "org.policy.login.multifactor.added",
                    "org.policy.login.multifactor.removed",
                    "org.policy.login.idpprovider.added",
                    "org.policy.login.idpprovider.removed",
                    "org.policy.login.idpprovider.cascade.removed",
                ],
                &["org.policy.login.added"],
            ),
            // A deleted provider leaves all policies, and no event of theirs says so.
            policy::of_organization(&["org.idp.removed"], &[]),
            EventFilter {
                aggregate: "instance",
                types: &["instance.idp.removed"],
                creates: &[],
                removes: &[],
                place: EventPlace::Everywhere,
                subject: EventSubject::Setting,
            },
        ],
        lists: &[
            List::set("secondFactors"),
            List::set("multiFactors"),
            List::set("identityProviderIds"),
        ],
        rules: &[Rule {
            rule: r"!has(self.defaultRedirectUri) || self.defaultRedirectUri == '' || self.defaultRedirectUri.matches('^(https?://[^/?#\\s]+|[A-Za-z][A-Za-z0-9+.-]*:[^/\\s])\\S*$')",
            message: "defaultRedirectUri must be a URL such as https://app.example.com, or empty \
                      for the console",
        }],
        unchanged: &["INSTANCE-5M9vdd", "Org-5M9vdd"],
        permissions: &[
            Permissions::in_instance(&["iam.policy.read", "iam.policy.write", "iam.idp.read"]),
            Permissions::in_organization(&[
                "org.read",
                "policy.read",
                "policy.write",
                "policy.delete",
                "org.idp.read",
            ]),
        ],
        ..Description::EMPTY
    };

    fn desired(
        &self,
        _: &str,
        inputs: &Inputs,
    ) -> std::result::Result<LoginPolicyState, SpecError> {
        let mut state = self.state.clone();
        if self.identity_providers.is_some() {
            let named = inputs.ids(identity_provider::OFFERED.field);
            state.identity_provider_ids.get_or_insert_default().extend_from_slice(named);
        }
        Ok(state.in_order())
    }

    async fn locks_out(
        _: &Access,
        _: Option<&str>,
        want: Option<&LoginPolicyState>,
    ) -> Result<Option<&'static str>> {
        Ok(want.and_then(LoginPolicyState::locks_out))
    }
}

impl Setting for LoginPolicy {
    async fn read(access: &Access) -> Result<RemoteSetting<LoginPolicyState>> {
        let read = endpoint(access).read_as(&LoginPolicyState::zero(), named).await?;
        Ok(RemoteSetting { state: read.state.in_order(), ..read })
    }

    async fn write(
        access: &Access,
        have: &RemoteSetting<LoginPolicyState>,
        want: &LoginPolicyState,
    ) -> Result<Written> {
        calls::write(&endpoint(access), have, want).await
    }

    async fn reset(access: &Access) -> Result<()> {
        endpoint(access).reset().await
    }

    async fn check(
        access: &Access,
        want: &LoginPolicyState,
    ) -> std::result::Result<(), CheckError> {
        for id in want.identity_provider_ids.iter().flatten() {
            if calls::owner_type(access, id).await?.is_none() {
                let what = format!("there is no identity provider {id} that this policy may offer");
                return Err(SpecError::new("identityProviderIds", what).into());
            }
        }
        Ok(())
    }
}

fn endpoint(access: &Access) -> Endpoint<'_> {
    Endpoint::new(access, way_in::INSTANCE, way_in::ORGANIZATION)
}

/// Gives the lists of an answer our names. A factor that this version does not know is left alone.
fn named(fields: &mut Map<String, Value>) {
    fn retain_known<T: DeserializeOwned>(fields: &mut Map<String, Value>, list: &str) {
        if let Some(Value::Array(list)) = fields.get_mut(list) {
            list.retain(|value| serde_json::from_value::<T>(value.clone()).is_ok());
        }
    }
    retain_known::<SecondFactor>(fields, "secondFactors");
    retain_known::<MultiFactor>(fields, "multiFactors");
    let providers = fields.remove("idps").unwrap_or_default();
    let ids = providers.as_array().into_iter().flatten().filter_map(|idp| idp.get("idpId"));
    fields.insert("identityProviderIds".into(), ids.cloned().collect());
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn locks_out(state: Value) -> bool {
        let state: LoginPolicyState = serde_json::from_value(state).unwrap();
        state.locks_out().is_some()
    }

    #[test]
    fn without_any_way_in_everybody_is_locked_out() {
        let closed = json!({
            "allowUsernamePassword": false,
            "passwordlessType": "NotAllowed",
            "allowExternalIdp": true,
            "identityProviderIds": [],
        });
        let with = |field: &str, value: Value| {
            let mut state = closed.clone();
            state[field] = value;
            state
        };
        assert!(locks_out(closed.clone()));
        assert!(!locks_out(with("allowUsernamePassword", json!(true))));
        assert!(!locks_out(with("passwordlessType", json!("Allowed"))));
        assert!(!locks_out(with("identityProviderIds", json!(["1"]))));
        let mut off = with("identityProviderIds", json!(["1"]));
        off["allowExternalIdp"] = json!(false);
        assert!(locks_out(off), "a provider does not help where none may be used");
    }

    #[test]
    fn a_factor_that_everybody_needs_and_nobody_may_have_locks_out() {
        let none = json!({"forceMfa": true, "secondFactors": [], "multiFactors": []});
        assert!(locks_out(none));
        assert!(!locks_out(
            json!({"forceMfa": true, "secondFactors": ["Otp"], "multiFactors": []})
        ));
        let of_passwords = |providers: Value| {
            json!({
                "forceMfaLocalOnly": true,
                "secondFactors": [],
                "multiFactors": [],
                "allowExternalIdp": true,
                "identityProviderIds": providers,
            })
        };
        assert!(locks_out(of_passwords(json!([]))));
        assert!(!locks_out(of_passwords(json!(["1"]))), "those of a provider need none");
    }

    #[test]
    fn what_is_not_known_is_a_way_in() {
        assert!(!locks_out(json!({"forceMfa": true})));
        assert!(!locks_out(json!({"forceMfa": true, "secondFactors": []})));
        assert!(!locks_out(json!({"allowUsernamePassword": false})));
        assert!(!locks_out(json!({"allowUsernamePassword": false, "allowExternalIdp": false})));
    }
}
