//! The instance itself, its restrictions and its security settings.

use super::{Fields, Stamp, overlay};
use crate::store::Event;

/// The instance.
#[derive(Default)]
pub(crate) struct Instance {
    pub(crate) stamp: Option<Stamp>,
    pub(crate) fields: Fields,
    /// Its domains, the primary one last.
    pub(crate) domains: Vec<Domain>,
}

/// A host name of the instance.
pub(crate) struct Domain {
    pub(crate) name: String,
    pub(crate) generated: bool,
    pub(crate) primary: bool,
    pub(crate) stamp: Stamp,
}

impl Instance {
    pub(crate) fn default_organization(&self) -> &str {
        self.fields.text("orgId")
    }

    pub(crate) fn default_language(&self) -> &str {
        self.fields.text("language")
    }

    pub(super) fn apply(&mut self, event: &Event) {
        let fields = Fields(event.payload.clone().unwrap_or_default());
        match event.event_type {
            "instance.added" => self.stamp = Some(Stamp::new(event)),
            "instance.domain.added" => {
                self.domains.push(Domain {
                    name: fields.text("domain").to_owned(),
                    generated: fields.flag("generated"),
                    primary: false,
                    stamp: Stamp::new(event),
                });
                return;
            }
            "instance.domain.primary.set" => {
                for domain in &mut self.domains {
                    domain.primary = domain.name == fields.text("domain");
                    domain.stamp.touch(event);
                }
                return;
            }
            _ => {}
        }
        if let Some(stamp) = &mut self.stamp {
            stamp.touch(event);
        }
        overlay(&mut self.fields, event);
    }
}

/// `restrictions`: an aggregate of its own, made by the first call that sets anything.
pub(crate) struct Restrictions {
    pub(crate) id: String,
    pub(crate) stamp: Stamp,
    pub(crate) fields: Fields,
}

pub(super) fn apply_restrictions(restrictions: &mut Option<Restrictions>, event: &Event) {
    let restrictions = restrictions.get_or_insert_with(|| Restrictions {
        id: event.aggregate_id.clone(),
        stamp: Stamp::new(event),
        fields: Fields::default(),
    });
    restrictions.stamp.touch(event);
    overlay(&mut restrictions.fields, event);
}

/// The security settings: part of the instance, there once they were set.
pub(crate) struct Security {
    pub(crate) stamp: Stamp,
    pub(crate) fields: Fields,
}

pub(super) fn apply_security(security: &mut Option<Security>, event: &Event) {
    let security = security
        .get_or_insert_with(|| Security { stamp: Stamp::new(event), fields: Fields::default() });
    security.stamp.touch(event);
    overlay(&mut security.fields, event);
}
