//! `LabelPolicy`: how login pages and e-mails look. The instance's (`/admin/v1/policies/label`) or an
//! organization's own (`/management/v1/policies/label`). Calls change a draft, which `_preview`
//! shows; users see what was last activated. There is one draft for all, so that whoever activates
//! it publishes what others have changed in it too.

use reqwest::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    organization,
    policy::{self, Endpoint},
    wire,
};
use crate::{
    api::{
        source::FileSource,
        spec::{Common, OrganizationScope},
    },
    contract::{
        Access, Declaration, Description, Fields, FileInput, Files, Inputs, Kind, NO_FILE,
        RemoteSetting, Setting, SpecError, Written, crd::Rule,
    },
    zitadel::{Error, Path, Result},
};

mod assets;

use assets::{ASSETS, Asset};

const PATHS: [&str; 2] = ["/admin/v1/policies/label", "/management/v1/policies/label"];
const DRAFT: [&str; 2] =
    ["/admin/v1/policies/label/_preview", "/management/v1/policies/label/_preview"];
const ACTIVATE: [&str; 2] =
    ["/admin/v1/policies/label/_activate", "/management/v1/policies/label/_activate"];

/// The spec.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LabelPolicy {
    #[serde(flatten)]
    common: Common,
    #[serde(flatten)]
    organization: OrganizationScope,
    #[serde(flatten)]
    look: Look,
    /// Logo on a light background: PNG, JPEG, GIF, WebP, SVG or ICO of at most 512 KiB, without EXIF
    /// data. When this object is deleted, a logo that was there before does not come back.
    /// Omitted: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    logo: Option<FileSource>,
    /// Logo on a dark background, in the same formats. Omitted: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    logo_dark: Option<FileSource>,
    /// Icon on a light background, in the same formats. Omitted: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    icon: Option<FileSource>,
    /// Icon on a dark background, in the same formats. Omitted: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    icon_dark: Option<FileSource>,
    /// Font of all texts: TTF, OTF, WOFF or WOFF2 of at most 512 KiB. Omitted: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    font: Option<FileSource>,
    /// Whether something that is published may take along what somebody has changed in the draft
    /// besides. `false`: nothing is published until the draft holds no such change. Omitted: `false`.
    #[serde(skip_serializing_if = "Option::is_none")]
    publish_drafts: Option<bool>,
}

/// A colour such as `#5469d4` or `#fff`; `""`: the one that ZITADEL has built in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Color(
    #[schemars(length(max = 7), regex(pattern = "^(#([0-9a-fA-F]{3}|[0-9a-fA-F]{6}))?$"))] String,
);

/// Which theme the pages have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ThemeMode {
    /// The one that the user's system has.
    #[default]
    #[serde(alias = "THEME_MODE_AUTO", alias = "THEME_MODE_UNSPECIFIED")]
    Auto,
    /// Always the light one.
    #[serde(alias = "THEME_MODE_LIGHT")]
    Light,
    /// Always the dark one.
    #[serde(alias = "THEME_MODE_DARK")]
    Dark,
}

impl ThemeMode {
    fn wire(self) -> &'static str {
        match self {
            Self::Auto => "THEME_MODE_AUTO",
            Self::Light => "THEME_MODE_LIGHT",
            Self::Dark => "THEME_MODE_DARK",
        }
    }
}

/// The fields that can be managed, but for the files.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Look {
    /// Colour of buttons and links in the light theme. Omitted: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    primary_color: Option<Color>,
    /// Colour of the background in the light theme. Omitted: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    background_color: Option<Color>,
    /// Colour of warnings in the light theme. Omitted: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    warn_color: Option<Color>,
    /// Colour of texts in the light theme. Omitted: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    font_color: Option<Color>,
    /// Colour of buttons and links in the dark theme. Omitted: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    primary_color_dark: Option<Color>,
    /// Colour of the background in the dark theme. Omitted: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    background_color_dark: Option<Color>,
    /// Colour of warnings in the dark theme. Omitted: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    warn_color_dark: Option<Color>,
    /// Colour of texts in the dark theme. Omitted: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    font_color_dark: Option<Color>,
    /// Which theme the pages have. Omitted: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    theme_mode: Option<ThemeMode>,
    /// Whether login names are shown without the domain of the organization. Omitted: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    hide_login_name_suffix: Option<bool>,
    /// Whether "Powered by ZITADEL" is not shown. Omitted: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    disable_watermark: Option<bool>,
}

impl Look {
    /// What ZITADEL omits from its answers.
    fn zero() -> Self {
        let (none, no) = (|| Some(Color::default()), Some(false));
        Self {
            primary_color: none(),
            background_color: none(),
            warn_color: none(),
            font_color: none(),
            primary_color_dark: none(),
            background_color_dark: none(),
            warn_color_dark: none(),
            font_color_dark: none(),
            theme_mode: Some(ThemeMode::Auto),
            hide_login_name_suffix: no,
            disable_watermark: no,
        }
    }
}

/// All fields: of a file that which tells it from others, or `none`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LabelPolicyState {
    #[serde(flatten)]
    look: Look,
    #[serde(skip_serializing_if = "Option::is_none")]
    logo: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logo_dark: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    icon: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    icon_dark: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    font: Option<String>,
}

/// A file comes from one place, or there is none.
macro_rules! one_source {
    ($field:literal) => {
        Rule {
            rule: concat!(
                "!has(self.",
                $field,
                ") || [has(self.",
                $field,
                ".configMapRef), has(self.",
                $field,
                ".secretRef), has(self.",
                $field,
                ".none) && self.",
                $field,
                ".none].filter(x, x).size() == 1"
            ),
            message: concat!(
                "set exactly one of ",
                $field,
                ".configMapRef, ",
                $field,
                ".secretRef, ",
                $field,
                ".none: true"
            ),
        }
    };
}

const PICTURE: FileInput = FileInput {
    field: "logo",
    media_type: "image/",
    formats: "a picture: PNG, JPEG, GIF, WebP, SVG or ICO",
};
const FILES: [FileInput; 5] = [
    PICTURE,
    FileInput { field: "logoDark", ..PICTURE },
    FileInput { field: "icon", ..PICTURE },
    FileInput { field: "iconDark", ..PICTURE },
    FileInput { field: "font", media_type: "font/", formats: "a font: TTF, OTF, WOFF or WOFF2" },
];

impl Kind for LabelPolicy {
    type State = LabelPolicyState;
    const DESCRIPTION: Description = Description {
        kind: "LabelPolicy",
        plural: "labelpolicies",
        short: "zbranding",
        about: "How login pages and e-mails look (branding): the instance's default, or with \
                organizationRef or organizationId that organization's own.",
        noun: "the label policy",
        references: &[organization::PARENT],
        files: &FILES,
        options: &["publishDrafts"],
        events: &[
            policy::of_instance(&[
                "instance.policy.label.added",
                "instance.policy.label.changed",
                "instance.policy.label.activated",
                "instance.policy.label.logo.added",
                "instance.policy.label.logo.removed",
                "instance.policy.label.logo.dark.added",
                "instance.policy.label.logo.dark.removed",
                "instance.policy.label.icon.added",
                "instance.policy.label.icon.removed",
                "instance.policy.label.icon.dark.added",
                "instance.policy.label.icon.dark.removed",
                "instance.policy.label.font.added",
                "instance.policy.label.font.removed",
            ]),
            policy::of_organization(
                &[
                    "org.policy.label.added",
                    "org.policy.label.changed",
                    "org.policy.label.activated",
                    "org.policy.label.removed",
                    "org.policy.label.logo.added",
                    "org.policy.label.logo.removed",
                    "org.policy.label.logo.dark.added",
                    "org.policy.label.logo.dark.removed",
                    "org.policy.label.icon.added",
                    "org.policy.label.icon.removed",
                    "org.policy.label.icon.dark.added",
                    "org.policy.label.icon.dark.removed",
                    "org.policy.label.font.added",
                    "org.policy.label.font.removed",
                ],
                &["org.policy.label.added"],
            ),
        ],
        rules: &[
            one_source!("logo"),
            one_source!("logoDark"),
            one_source!("icon"),
            one_source!("iconDark"),
            one_source!("font"),
        ],
        unchanged: &["INSTANCE-28fHe", "Org-8nfSr"],
        permissions: policy::PERMISSIONS,
        ..Description::EMPTY
    };

    fn desired(
        &self,
        _: &str,
        inputs: &Inputs,
    ) -> std::result::Result<LabelPolicyState, SpecError> {
        let [logo, logo_dark, icon, icon_dark, font] = FILES;
        let declared = |input: FileInput, source: &Option<FileSource>| {
            input.declared(source.as_ref(), &inputs.files)
        };
        Ok(LabelPolicyState {
            look: self.look.clone(),
            logo: declared(logo, &self.logo),
            logo_dark: declared(logo_dark, &self.logo_dark),
            icon: declared(icon, &self.icon),
            icon_dark: declared(icon_dark, &self.icon_dark),
            font: declared(font, &self.font),
        })
    }
}

impl Setting for LabelPolicy {
    async fn read(access: &Access) -> Result<RemoteSetting<LabelPolicyState>> {
        let active = seen(access, PATHS).await?;
        // Where the draft has another file, or none, the active one may have been deleted.
        let has_files = ASSETS.iter().any(|asset| !active.url(asset).is_empty());
        let draft = if has_files { Some(seen(access, DRAFT).await?) } else { None };
        let mut state = active.look.clone();
        for asset in &ASSETS {
            let may_be_gone =
                draft.as_ref().is_some_and(|draft| active.url(asset) != draft.url(asset));
            let found = assets::fingerprint(access, active.url(asset), may_be_gone).await?;
            state = state.overlay(&Fields::from(Value::from(Map::from_iter([(
                asset.field.to_owned(),
                found.into(),
            )]))));
        }
        let state = state.to().map_err(|e| malformed(&e))?;
        Ok(RemoteSetting { state, own: active.own, version: active.version })
    }

    /// Somebody's own change: the draft becomes this, whatever it was.
    async fn write(
        access: &Access,
        _: &RemoteSetting<LabelPolicyState>,
        want: &LabelPolicyState,
    ) -> Result<Written> {
        let want = fields(want)?;
        publish(access, &want, &want, &Files::default(), false).await
    }

    async fn write_declared(
        access: &Access,
        _: &RemoteSetting<LabelPolicyState>,
        want: &LabelPolicyState,
        declaration: &Declaration<'_, Self>,
    ) -> Result<Written> {
        let publishes_drafts = declaration.spec.publish_drafts.unwrap_or_default();
        let (want, declared) = (fields(want)?, fields(declaration.state)?);
        publish(access, &want, &declared, declaration.files, publishes_drafts).await
    }

    async fn drafts(access: &Access, declaration: &Declaration<'_, Self>) -> Result<Vec<String>> {
        if declaration.spec.publish_drafts.unwrap_or_default() {
            return Ok(Vec::new());
        }
        let (active, draft) = both(access).await?;
        // What an organization inherits is nobody's draft of its own.
        if !draft.own {
            return Ok(Vec::new());
        }
        let declared = fields(declaration.state)?;
        let looks = active.look.iter().filter(|(field, live)| draft.look.get(field) != Some(*live));
        let looks = looks.map(|(field, _)| field.clone());
        // An organization's first own policy begins without the files that it has inherited.
        let has_begun = |asset: &Asset| !active.own && draft.url(asset).is_empty();
        let files = ASSETS.iter().filter(|asset| active.url(asset) != draft.url(asset));
        let files = files.filter(|asset| !has_begun(asset));
        let drafted = looks.chain(files.map(|asset| asset.field.to_owned()));
        Ok(drafted.filter(|field| declared.get(field).is_none()).collect())
    }

    async fn reset(access: &Access) -> Result<()> {
        endpoint(access, PATHS).reset().await
    }
}

/// The draft, or what was last activated.
#[derive(Debug, Clone, PartialEq)]
struct Seen {
    look: Fields,
    urls: Map<String, Value>,
    own: bool,
    version: Option<crate::contract::Version>,
}

impl Seen {
    /// Where a file is; `""`: there is none.
    fn url(&self, asset: &Asset) -> &str {
        self.urls.get(asset.url).and_then(Value::as_str).unwrap_or_default()
    }
}

/// What was last activated, and the draft.
async fn both(access: &Access) -> Result<(Seen, Seen)> {
    futures::try_join!(seen(access, PATHS), seen(access, DRAFT))
}

async fn seen(access: &Access, paths: [&'static str; 2]) -> Result<Seen> {
    let mut zero = fields(&Look::zero())?.into_map();
    zero.extend(ASSETS.iter().map(|asset| (asset.url.to_owned(), "".into())));
    let read = endpoint(access, paths).read(&zero).await?;
    let is_url = |name: &str| ASSETS.iter().any(|asset| asset.url == name);
    let (urls, look): (Map<_, _>, Map<_, _>) =
        read.state.into_iter().partition(|(name, _)| is_url(name));
    let look: Look = serde_json::from_value(Value::Object(look)).map_err(|e| malformed(&e))?;
    Ok(Seen { look: fields(&look)?, urls, own: read.own, version: read.version })
}

/// Brings the draft to what is wanted, and activates it. `declared`: the fields that are not taken
/// from a draft of somebody else.
async fn publish(
    access: &Access,
    want: &Fields,
    declared: &Fields,
    files: &Files,
    publishes_drafts: bool,
) -> Result<Written> {
    let (active, draft) = both(access).await?;
    let is_first = !draft.own;
    let base =
        if publishes_drafts && !is_first { draft.look.overlay(declared) } else { want.clone() };
    let look = base.select(&draft.look);
    let mut written = Written::default();
    if is_first || look != draft.look {
        let look: Look = look.to().map_err(|e| malformed(&e))?;
        let body = wire_form(&look)?;
        written = endpoint(access, PATHS).write(draft.own, &body).await?;
    }
    let mut has_changed = is_first || look_differs(&active, &draft) || !active.own;
    for asset in &ASSETS {
        let url = if is_first { "" } else { draft.url(asset) };
        // What an organization has inherited it would lose with its first own policy.
        let is_inherited = !active.own && url.is_empty();
        let is_wanted = is_inherited || declared.get(asset.field).is_some();
        let Some(wanted) = want.text(asset.field).filter(|_| is_wanted) else { continue };
        let may_be_gone = url != active.url(asset);
        if wanted == assets::fingerprint(access, url, may_be_gone).await? {
            continue;
        }
        if wanted == NO_FILE {
            written = assets::remove(access, asset).await?.after(written);
        } else if let Some(file) = files.get(asset.field) {
            assets::upload(access, asset, file).await?;
        } else if let Some(file) = assets::fetch(access, active.url(asset)).await? {
            assets::upload(access, asset, &file).await?;
        }
        has_changed = true;
    }
    if written.version.is_none() && !has_changed {
        return Ok(written);
    }
    let path = Path::from(of_place(access, ACTIVATE));
    let empty = Value::Object(Map::new());
    Ok(wire::write(access, Method::POST, &path, &empty).await?.after(written))
}

/// Whether a draft is more than what was last activated.
fn look_differs(active: &Seen, draft: &Seen) -> bool {
    active.look != draft.look || active.urls != draft.urls
}

/// The look as ZITADEL takes it.
fn wire_form(look: &Look) -> Result<Value> {
    let mut body = fields(look)?.into_map();
    if let Some(theme) = look.theme_mode {
        body.insert("themeMode".into(), theme.wire().into());
    }
    Ok(Value::Object(body))
}

fn endpoint<'a>(access: &'a Access, [instance, organization]: [&'static str; 2]) -> Endpoint<'a> {
    Endpoint::new(access, instance, organization)
}

/// The path for the instance, or that for an organization.
fn of_place(access: &Access, [instance, organization]: [&'static str; 2]) -> &'static str {
    if access.organization().is_some() { organization } else { instance }
}

fn fields(state: &impl Serialize) -> Result<Fields> {
    Fields::of(state).map_err(|e| malformed(&e))
}

fn malformed(e: &serde_json::Error) -> Error {
    Error::Malformed {
        endpoint: "GET …/policies/label".into(),
        what: format!("{:?} error in the policy", e.classify()),
    }
}
