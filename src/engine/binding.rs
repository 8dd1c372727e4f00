//! Which remote thing an object is bound to. Pure.

use crate::{
    api::status::{InstanceBinding, Provenance, Status},
    contract::{Object, Place},
};

/// What survives in the status. It counts only through the Instance object that it was made
/// through, and only for the instance behind it.
#[derive(Debug, Clone, PartialEq)]
pub struct Binding {
    /// The id in ZITADEL; of a setting, that of its organization or instance.
    pub id: String,
    /// ZITADEL's own id of the instance.
    pub instance_id: String,
    /// The Instance object.
    pub instance: InstanceBinding,
    /// Where the thing is.
    pub place: Place,
    /// Whether Kastellan created it or found it.
    pub provenance: Provenance,
}

impl Binding {
    /// What a status says. Only what was bound counts: the id of what is observed is a report.
    pub fn of(status: &Status) -> Option<Self> {
        Some(Self {
            id: status.id.clone()?,
            instance_id: status.instance_id.clone()?,
            instance: status.instance.clone()?,
            place: place(status),
            provenance: status.provenance?,
        })
    }

    /// Whether it was made through this Instance object. One without a UID is a manifest on disk.
    pub fn is_through(&self, instance: &Object) -> bool {
        is_through(&self.instance, instance)
    }
}

/// Whether a status says that something was about to be created whose id is not known yet.
pub fn was_creating(status: &Status, through: &InstanceBinding) -> bool {
    let is_created = status.provenance == Some(Provenance::Created);
    is_created && status.id.is_none() && status.instance.as_ref() == Some(through)
}

/// Where a status says that the thing is.
pub fn place(status: &Status) -> Place {
    Place { organization: status.organization_id.clone(), parents: status.parents.clone() }
}

/// How a status names an Instance object.
pub fn instance_binding(instance: &Object) -> InstanceBinding {
    InstanceBinding {
        namespace: instance.key.namespace.clone(),
        name: instance.key.name.clone(),
        uid: instance.uid.clone(),
    }
}

/// Whether a status names this Instance object.
pub fn is_through(binding: &InstanceBinding, instance: &Object) -> bool {
    let same_uid = match (&binding.uid, &instance.uid) {
        (Some(bound), Some(uid)) => bound == uid,
        _ => instance.uid.is_none(),
    };
    binding.namespace == instance.key.namespace && binding.name == instance.key.name && same_uid
}
