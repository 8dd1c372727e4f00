//! What all custom resources share: the fields common to every spec, the status with its
//! conditions, and the CRD made of both. `zitadel.kastellan.dev/v1alpha1`. Pure.

pub mod instance;
pub mod secret;
pub mod source;
pub mod spec;
pub mod status;

/// API group of all kinds.
pub const GROUP: &str = "zitadel.kastellan.dev";
/// The version in which Kastellan reads and writes objects.
pub const VERSION: &str = "v1alpha1";
/// The versions that the CRDs have; all of them have the same schema. `docs/compatibility.md` says
/// what follows what.
pub const VERSIONS: &[Version] = &[Version { name: VERSION, served: true, stored: true }];
/// Keeps an object until its remote side is settled.
pub const FINALIZER: &str = "zitadel.kastellan.dev/finalizer";
/// Any new value: reconcile now, whatever is believed to be so.
pub const RECONCILE_AT: &str = "kastellan.dev/reconcile-at";
/// Any new text: have another secret issued, or another key used.
pub const RENEW_AT: &str = "kastellan.dev/renew-at";
/// `"true"`: release an object that is being deleted without a call.
pub const ABANDON: &str = "kastellan.dev/abandon";
/// `"true"`: do what would lock everybody out, too.
pub const ALLOW_LOCK_OUT: &str = "kastellan.dev/allow-lock-out";
/// Field manager of everything that is written to Kubernetes.
pub const MANAGER: &str = "kastellan";

/// A version of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    /// Such as `v1alpha1`.
    pub name: &'static str,
    /// Whether objects can be read and written in it.
    pub served: bool,
    /// Whether the API server stores objects in it: one of them.
    pub stored: bool,
}

/// Whether manifests may have this `apiVersion`.
pub fn is_served(api_version: &str) -> bool {
    let name = api_version.strip_prefix(GROUP).and_then(|rest| rest.strip_prefix('/'));
    VERSIONS.iter().any(|version| version.served && Some(version.name) == name)
}

/// `zitadel.kastellan.dev/v1alpha1`
pub fn api_version() -> String {
    format!("{GROUP}/{VERSION}")
}
