//! Keys and tokens: nothing without their secret, which terraform alone has kept.

use super::{
    super::resource::{Parent, Resource, SecretAttribute},
    ORGANIZATION, PROJECT,
};

/// An account or an application whose keys are declared has to be declared too.
const USER: Parent = Parent { attribute: "user_id", kind: "" };
const APPLICATION: Parent = Parent { attribute: "app_id", kind: "" };

/// Of a key pair of somebody's own, terraform has only the public half.
const PUBLIC_KEY: &str = "public_key";

pub(super) const ALL: &[Resource] = &[
    Resource {
        name: "zitadel_machine_key",
        kind: "MachineKey",
        within: &[ORGANIZATION, USER],
        secret: Some(KEY_FILE),
        except: Some(PUBLIC_KEY),
        ..KEYS
    },
    Resource {
        name: "zitadel_personal_access_token",
        kind: "PersonalAccessToken",
        within: &[ORGANIZATION, USER],
        secret: Some(SecretAttribute { attribute: "token", values: &[] }),
        ..KEYS
    },
    Resource {
        name: "zitadel_application_key",
        kind: "ApplicationKey",
        within: &[ORGANIZATION, PROJECT, APPLICATION],
        secret: Some(KEY_FILE),
        except: Some(PUBLIC_KEY),
        ..KEYS
    },
];

const KEY_FILE: SecretAttribute =
    SecretAttribute { attribute: "key_details", values: &[("id", "keyId")] };

/// When it ends, ZITADEL says; how long the next one lasts, `lifetime`.
const KEYS: Resource = Resource { known: &["expiration_date", "key_type"], ..Resource::EMPTY };
