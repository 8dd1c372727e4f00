//! Where a value or a file is that a spec names: in a Secret or ConfigMap of the object's own
//! namespace.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A key of a Secret or ConfigMap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KeyReference {
    /// Name of the Secret or ConfigMap.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Key in it.
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

/// A file, or that there is none: exactly one of these.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FileSource {
    /// A key of a ConfigMap in the namespace of this object, in its `data` or `binaryData`.
    /// Omitted: the file is not in a ConfigMap.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_map_ref: Option<KeyReference>,
    /// A key of a Secret in the namespace of this object. ZITADEL shows the file to everybody.
    /// Omitted: the file is not in a Secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<KeyReference>,
    /// `true`: there is no such file; one that is there is removed. Omitted: there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub none: Option<bool>,
}
