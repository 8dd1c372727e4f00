//! The policy of how pages look: a draft, which requests change, and what was last published of it.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::{Kind, Policy};
use crate::{
    message::message,
    model::{Fields, overlay},
    proto::{Field, Message, Rule},
    store::Event,
};

/// The themes by their numbers in requests.
pub(crate) const THEMES: &[&str] =
    &["THEME_MODE_UNSPECIFIED", "THEME_MODE_AUTO", "THEME_MODE_DARK", "THEME_MODE_LIGHT"];

const COLOR: &[Rule] = &[Rule::Length(0, 50)];
const FIELDS: &[Field] = &[
    Field::text("primaryColor").rules(COLOR),
    Field::flag("hideLoginNameSuffix"),
    Field::text("warnColor").rules(COLOR),
    Field::text("backgroundColor").rules(COLOR),
    Field::text("fontColor").rules(COLOR),
    Field::text("primaryColorDark").rules(COLOR),
    Field::text("backgroundColorDark").rules(COLOR),
    Field::text("warnColorDark").rules(COLOR),
    Field::text("fontColorDark").rules(COLOR),
    Field::flag("disableWatermark"),
    Field::choice("themeMode", THEMES).rules(&[]),
];

/// The colours, and what ZITADEL calls them when it refuses one.
pub(crate) const COLORS: [(&str, &str); 8] = [
    ("primaryColor", "Primary color"),
    ("backgroundColor", "Background color"),
    ("warnColor", "Warn color"),
    ("fontColor", "Font color"),
    ("primaryColorDark", "Primary color (dark mode)"),
    ("backgroundColorDark", "Background color (dark mode)"),
    ("warnColorDark", "Warn color (dark mode)"),
    ("fontColorDark", "Font color (dark mode)"),
];

/// The draft.
pub(crate) static LABEL: Kind = Kind {
    name: "label",
    fields: &[
        "primaryColor",
        "hideLoginNameSuffix",
        "warnColor",
        "backgroundColor",
        "fontColor",
        "primaryColorDark",
        "backgroundColorDark",
        "warnColorDark",
        "fontColorDark",
        "disableWatermark",
        "themeMode",
    ],
    cleared: None,
    initial: || {
        message! {
            "primaryColor" => "#5469d4",
            "warnColor" => "#cd3d56",
            "backgroundColor" => "#fafafa",
            "fontColor" => "#000000",
            "primaryColorDark" => "#2073c4",
            "backgroundColorDark" => "#111827",
            "warnColorDark" => "#ff3b5b",
            "fontColorDark" => "#ffffff",
        }
    },
    requests: [
        Message::new("UpdateLabelPolicyRequest", FIELDS),
        Message::new("AddCustomLabelPolicyRequest", FIELDS),
        Message::new("UpdateCustomLabelPolicyRequest", FIELDS),
    ],
    instance_events: ["instance.policy.label.added", "instance.policy.label.changed"],
    organization_events: [
        "org.policy.label.added",
        "org.policy.label.changed",
        "org.policy.label.removed",
    ],
    instance_unchanged: ("INSTANCE-28fHe", "Default Private Label Policy has not been changed"),
    exists: ("Org-2B0ps", "Errors.Org.LabelPolicy.AlreadyExists"),
    nothing_to_update: ("Org-0K9dq", "Private Label Policy not found"),
    unchanged: ("Org-8nfSr", "Private Label Policy has not been changed"),
    nothing_to_remove: ("Org-3M9df", "Private Label Policy not found"),
};

/// Under which name the published one is kept.
const PUBLISHED: &str = "label, published";

/// A file that a policy can have.
pub(crate) struct Asset {
    /// The end of the paths at which it is uploaded.
    pub(crate) upload: &'static str,
    /// The end of the paths at which it is removed.
    pub(crate) removal: &'static str,
    /// The beginning of its name in the storage.
    pub(crate) stored: &'static str,
    /// The name of its address in answers.
    pub(crate) url: &'static str,
    /// What is uploaded and removed: of the instance, of an organization.
    pub(crate) added: [&'static str; 2],
    pub(crate) removed: [&'static str; 2],
    /// Whether it is a font, and no picture.
    pub(crate) is_font: bool,
}

/// All of them.
pub(crate) static ASSETS: [Asset; 5] = [
    Asset {
        upload: "logo",
        removal: "logo",
        stored: "logo",
        url: "logoUrl",
        added: ["instance.policy.label.logo.added", "org.policy.label.logo.added"],
        removed: ["instance.policy.label.logo.removed", "org.policy.label.logo.removed"],
        is_font: false,
    },
    Asset {
        upload: "logo/dark",
        removal: "logo_dark",
        stored: "logo-dark",
        url: "logoUrlDark",
        added: ["instance.policy.label.logo.dark.added", "org.policy.label.logo.dark.added"],
        removed: ["instance.policy.label.logo.dark.removed", "org.policy.label.logo.dark.removed"],
        is_font: false,
    },
    Asset {
        upload: "icon",
        removal: "icon",
        stored: "icon",
        url: "iconUrl",
        added: ["instance.policy.label.icon.added", "org.policy.label.icon.added"],
        removed: ["instance.policy.label.icon.removed", "org.policy.label.icon.removed"],
        is_font: false,
    },
    Asset {
        upload: "icon/dark",
        removal: "icon_dark",
        stored: "icon-dark",
        url: "iconUrlDark",
        added: ["instance.policy.label.icon.dark.added", "org.policy.label.icon.dark.added"],
        removed: ["instance.policy.label.icon.dark.removed", "org.policy.label.icon.dark.removed"],
        is_font: false,
    },
    Asset {
        upload: "font",
        removal: "font",
        stored: "font",
        url: "fontUrl",
        added: ["instance.policy.label.font.added", "org.policy.label.font.added"],
        removed: ["instance.policy.label.font.removed", "org.policy.label.font.removed"],
        is_font: true,
    },
];

/// What was last published of an owner's policy.
pub(crate) fn published<'a>(
    policies: &'a HashMap<(String, &'static str), Policy>,
    owner: &str,
) -> Option<&'a Policy> {
    policies.get(&(owner.to_owned(), PUBLISHED))
}

/// Applies what happens to this kind of policy alone. Returns whether that is all.
pub(in crate::model) fn apply(
    policies: &mut HashMap<(String, &'static str), Policy>,
    event: &Event,
) -> bool {
    let draft = (event.aggregate_id.clone(), LABEL.name);
    let published = (event.aggregate_id.clone(), PUBLISHED);
    match event.event_type {
        "instance.policy.label.activated" | "org.policy.label.activated" => {
            if let Some(policy) = policies.get(&draft) {
                let mut policy = policy.clone();
                policy.stamp.touch(event);
                policies.insert(published, policy);
            }
            return true;
        }
        "org.policy.label.removed" => {
            policies.remove(&published);
            return false;
        }
        _ => {}
    }
    let is_of = |types: &[&str; 2]| types.contains(&event.event_type);
    let asset = ASSETS.iter().find(|asset| is_of(&asset.added) || is_of(&asset.removed));
    let (Some(asset), Some(policy)) = (asset, policies.get_mut(&draft)) else {
        return asset.is_some();
    };
    let mut payload = Fields::default();
    overlay(&mut payload, event);
    let key = if is_of(&asset.added) { payload.text("storeKey") } else { "" };
    policy.fields.0.insert(asset.url.to_owned(), json!(key));
    policy.stamp.touch(event);
    true
}

/// The event of a creation has another name for one field.
pub(super) fn unify(fields: &mut Fields) {
    if let Some(value) = fields.0.remove("disableMsgPopup") {
        fields.0.insert("disableWatermark".to_owned(), value);
    }
}

/// A theme as requests have it, as events do.
pub(crate) fn theme_of_request(theme: Option<&Value>) -> u8 {
    match theme.and_then(Value::as_u64) {
        Some(2) => 2,
        Some(3) => 1,
        _ => 0,
    }
}

/// A theme as events have it, as answers do.
pub(crate) fn theme_of_event(theme: Option<&Value>) -> &'static str {
    match theme.and_then(Value::as_u64) {
        Some(1) => "THEME_MODE_LIGHT",
        Some(2) => "THEME_MODE_DARK",
        _ => "THEME_MODE_AUTO",
    }
}
