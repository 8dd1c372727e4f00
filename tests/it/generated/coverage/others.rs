//! The kinds of other operators and Crossplane providers, as their own repositories name them.
//! `version` says where that was read, in November 2026.

use super::{ACTIONS_V1, KEY, NOT_YET, OF_THE_SYSTEM};

/// One of them.
pub(super) struct Other {
    pub(super) name: &'static str,
    pub(super) version: &'static str,
    pub(super) about: &'static str,
    /// A kind of ours, and which of its kinds become that.
    pub(super) kinds: &'static [(&'static str, &'static [&'static str])],
    /// Why there is no kind, and for which.
    pub(super) without: &'static [(&'static str, &'static [&'static str])],
}

pub(super) const OTHERS: &[Other] = &[TRUVITY, LOAFOE, NIGHTSCAPE, SWECO, MALPOU];

/// `docs/reference/api.md`, the list of resource types of `zitadel.truvity.io/v1alpha2`.
const TRUVITY: Other = Other {
    name: "truvity's operator",
    version: "0.16, commit 18244ae",
    about: "[truvity/zitadel-operator](https://github.com/truvity/zitadel-operator), in Go. Its `Project` has roles too, and its `MachineUser` a key.",
    kinds: &[
        ("Organization", &["Organization"]),
        ("PrivacyPolicy", &["DefaultPrivacyPolicy", "PrivacyPolicy"]),
        ("DomainPolicy", &["DefaultDomainPolicy"]),
        (
            "PasswordComplexityPolicy",
            &["DefaultPasswordComplexityPolicy", "PasswordComplexityPolicy"],
        ),
        ("PasswordAgePolicy", &["DefaultPasswordAgePolicy", "PasswordAgePolicy"]),
        ("LockoutPolicy", &["DefaultLockoutPolicy", "LockoutPolicy"]),
        ("NotificationPolicy", &["DefaultNotificationPolicy", "NotificationPolicy"]),
        ("IdentityProvider", &["IdentityProvider", "GitHubIdP", "GoogleIdP"]),
        ("LoginPolicy", &["DefaultLoginPolicy", "LoginPolicy"]),
        ("LabelPolicy", &["DefaultLabelPolicy", "LabelPolicy"]),
        ("MessageText", &["DefaultMessageText", "MessageText"]),
        ("OrganizationDomain", &["Domain"]),
        ("OrganizationMetadata", &["OrgMetadata"]),
        ("Project", &["Project"]),
        ("ProjectRole", &["ProjectRole", "Project"]),
        ("MachineUser", &["MachineUser"]),
        ("MachineKey", &["MachineUser"]),
        ("HumanUser", &["HumanUser"]),
        ("EmailProvider", &["EmailProvider"]),
        ("SmsProvider", &["SmsProvider"]),
        ("OidcApplication", &["OIDCApp"]),
        ("ApiApplication", &["APIApp"]),
        ("SamlApplication", &["SAMLApp"]),
        ("PersonalAccessToken", &["PersonalAccessToken"]),
        ("ApplicationKey", &["ApplicationKey"]),
        ("ProjectGrant", &["ProjectGrant"]),
        ("UserGrant", &["UserGrant"]),
        ("Administrator", &["InstanceMember", "OrgMember", "ProjectMember", "ProjectGrantMember"]),
    ],
    without: &[
        (NOT_YET, &["ActionTarget", "ActionExecution", "DefaultOIDCSettings"]),
        (
            "which namespace may declare what is said by `allowedNamespaces` and `instanceScope` of an `Instance`",
            &["ScopeMap"],
        ),
    ],
};

/// `README.md` of commit 10f311d, and `apis/zitadel/v1alpha1/zz_generated.managedlist.go` of commit
/// d140803 for the policies, which the README does not name one by one. It counts 80 kinds, and names
/// 81.
const LOAFOE: Other = Other {
    name: "loafoe's Crossplane provider",
    version: "before 0.1.0, commit 10f311d",
    about: "[loafoe/provider-zitadel](https://github.com/loafoe/provider-zitadel), in Go. Its connection is a `ProviderConfig`; 19 kinds of the \
            instance exist cluster-scoped too, with\n`Cluster` before their names.",
    kinds: &[
        ("Organization", &["Organization"]),
        ("SecurityPolicy", &["DefaultSecuritySettings"]),
        ("Restrictions", &["InstanceRestrictions"]),
        ("WebKeys", &["ActiveWebKey"]),
        ("PrivacyPolicy", &["DefaultPrivacyPolicy", "PrivacyPolicy"]),
        ("DomainPolicy", &["DefaultDomainPolicy", "DomainPolicy"]),
        (
            "PasswordComplexityPolicy",
            &["DefaultPasswordComplexityPolicy", "PasswordComplexityPolicy"],
        ),
        ("PasswordAgePolicy", &["DefaultPasswordAgePolicy", "PasswordAgePolicy"]),
        ("LockoutPolicy", &["DefaultLockoutPolicy", "LockoutPolicy"]),
        ("NotificationPolicy", &["DefaultNotificationPolicy", "NotificationPolicy"]),
        (
            "IdentityProvider",
            &[
                "IDPOIDC",
                "IDPOAuth",
                "IDPApple",
                "IDPAzureAD",
                "IDPGitHub",
                "IDPGitHubEnterpriseServer",
                "IDPGitLab",
                "IDPGitLabSelfHosted",
                "IDPGoogle",
                "IDPLDAP",
                "IDPSAML",
                "OrgIDPOIDC",
                "OrgIDPOAuth",
                "OrgIDPJWT",
                "OrgIDPApple",
                "OrgIDPAzureAD",
                "OrgIDPGitHub",
                "OrgIDPGitHubEnterpriseServer",
                "OrgIDPGitLab",
                "OrgIDPGitLabSelfHosted",
                "OrgIDPGoogle",
                "OrgIDPLDAP",
                "OrgIDPSAML",
            ],
        ),
        ("LoginPolicy", &["DefaultLoginPolicy", "LoginPolicy"]),
        ("LabelPolicy", &["DefaultLabelPolicy", "LabelPolicy"]),
        ("OrganizationDomain", &["OrganizationDomain"]),
        ("OrganizationMetadata", &["OrganizationMetadata"]),
        ("Project", &["Project"]),
        ("ProjectRole", &["ProjectRole"]),
        ("MachineUser", &["ServiceAccount"]),
        ("HumanUser", &["HumanUser"]),
        ("UserMetadata", &["UserMetadata"]),
        ("EmailProvider", &["EmailProviderSMTP", "EmailProviderHTTP"]),
        ("SmsProvider", &["SMSProviderTwilio", "SMSProviderHTTP"]),
        ("OidcApplication", &["OIDCApplication"]),
        ("ApiApplication", &["ApplicationAPI"]),
        ("SamlApplication", &["ApplicationSAML"]),
        ("MachineKey", &["MachineKey"]),
        ("PersonalAccessToken", &["PersonalAccessToken"]),
        ("ApplicationKey", &["ApplicationKey"]),
        ("ProjectGrant", &["ProjectGrant"]),
        ("UserGrant", &["UserGrant"]),
        ("Administrator", &["InstanceMember", "OrgMember", "ProjectMember", "ProjectGrantMember"]),
    ],
    without: &[
        (
            NOT_YET,
            &[
                "ActionTarget",
                "ActionTargetPublicKey",
                "ActionExecutionRequest",
                "ActionExecutionResponse",
                "ActionExecutionEvent",
                "ActionExecutionFunction",
                "InstanceFeatures",
                "InstanceSecretGenerator",
                "InstanceTrustedDomain",
                "DefaultOIDCSettings",
            ],
        ),
        (KEY, &["WebKey"]),
        (OF_THE_SYSTEM, &["InstanceCustomDomain", "SystemFeatures"]),
        (ACTIONS_V1, &["Action", "TriggerActions"]),
    ],
};

/// `src/bin/crdgen.rs` of commit cdb5c8b and `src/schema/action_handler.rs` of commit f98b033.
const NIGHTSCAPE: Other = Other {
    name: "nightscape's operator",
    version: "commits cdb5c8b, f98b033",
    about: "[nightscape/zitadel-operator](https://github.com/nightscape/zitadel-operator), in Rust; it comes from the next one.",
    kinds: &[
        ("Organization", &["Organization"]),
        ("IdentityProvider", &["IdentityProvider"]),
        ("Project", &["Project"]),
        ("ProjectRole", &["ProjectRole"]),
        ("MachineUser", &["MachineUser"]),
        ("HumanUser", &["HumanUser"]),
        ("EmailProvider", &["EmailProviderSmtp"]),
        ("OidcApplication", &["Application"]),
        ("ApiApplication", &["Application"]),
        ("UserGrant", &["UserGrant"]),
    ],
    without: &[(
        "an operator that serves ZITADEL's actions itself; Kastellan serves nothing to ZITADEL",
        &["ActionHandler"],
    )],
};

/// `src/bin/crdgen.rs` of commit c04e9f8.
const SWECO: Other = Other {
    name: "sweco's operator",
    version: "commit c04e9f8",
    about: "[sweco-sedalh/zitadel-operator](https://github.com/sweco-sedalh/zitadel-operator), in Rust.",
    kinds: &[
        ("Organization", &["Organization"]),
        ("Project", &["Project"]),
        ("OidcApplication", &["Application"]),
        ("ApiApplication", &["Application"]),
    ],
    without: &[],
};

/// `README.md` of commit db7ac1a.
const MALPOU: Other = Other {
    name: "malpou's operator",
    version: "commit db7ac1a",
    about: "[malpou/zitadel-operator](https://github.com/malpou/zitadel-operator), in Go. Its `Project` has roles, its `MachineUser` a token and \
            memberships.",
    kinds: &[
        ("Project", &["Project"]),
        ("ProjectRole", &["Project"]),
        ("LoginPolicy", &["LoginPolicy"]),
        ("MessageText", &["MessageText"]),
        ("MachineUser", &["MachineUser"]),
        ("PersonalAccessToken", &["MachineUser"]),
        ("Administrator", &["MachineUser"]),
        ("EmailProvider", &["EmailProvider"]),
        ("OidcApplication", &["OIDCApplication"]),
        ("UserGrant", &["UserGrant"]),
    ],
    without: &[(ACTIONS_V1, &["Action"])],
};
