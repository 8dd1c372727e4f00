//! The files of a label policy. Each upload gets an address of its own, and what is at an address
//! never changes; but a removal from the draft takes it away at once, even while the active policy
//! still names it.

use reqwest::Method;
use serde_json::Value;

use super::of_place;
use crate::{
    contract::{Access, NO_FILE, Written},
    kinds::wire,
    zitadel::{Error, Path, Result, file::File},
};

/// What a field says whose file the policy names and nobody has.
const GONE: &str = "gone";

/// A file of a label policy.
#[derive(Debug)]
pub(super) struct Asset {
    /// The field.
    pub(super) field: &'static str,
    /// What answers call its address.
    pub(super) url: &'static str,
    /// Where it is uploaded, of the instance and of an organization.
    upload: [&'static str; 2],
    /// Where it is removed.
    remove: [&'static str; 2],
}

pub(super) const ASSETS: [Asset; 5] = [
    Asset {
        field: "logo",
        url: "logoUrl",
        upload: ["/assets/v1/instance/policy/label/logo", "/assets/v1/org/policy/label/logo"],
        remove: ["/admin/v1/policies/label/logo", "/management/v1/policies/label/logo"],
    },
    Asset {
        field: "logoDark",
        url: "logoUrlDark",
        upload: [
            "/assets/v1/instance/policy/label/logo/dark",
            "/assets/v1/org/policy/label/logo/dark",
        ],
        remove: ["/admin/v1/policies/label/logo_dark", "/management/v1/policies/label/logo_dark"],
    },
    Asset {
        field: "icon",
        url: "iconUrl",
        upload: ["/assets/v1/instance/policy/label/icon", "/assets/v1/org/policy/label/icon"],
        remove: ["/admin/v1/policies/label/icon", "/management/v1/policies/label/icon"],
    },
    Asset {
        field: "iconDark",
        url: "iconUrlDark",
        upload: [
            "/assets/v1/instance/policy/label/icon/dark",
            "/assets/v1/org/policy/label/icon/dark",
        ],
        remove: ["/admin/v1/policies/label/icon_dark", "/management/v1/policies/label/icon_dark"],
    },
    Asset {
        field: "font",
        url: "fontUrl",
        upload: ["/assets/v1/instance/policy/label/font", "/assets/v1/org/policy/label/font"],
        remove: ["/admin/v1/policies/label/font", "/management/v1/policies/label/font"],
    },
];

/// What tells the file at an address from others. `may_be_gone`: it is asked for again.
pub(super) async fn fingerprint(access: &Access, url: &str, may_be_gone: bool) -> Result<String> {
    if url.is_empty() {
        return Ok(NO_FILE.to_owned());
    }
    let found = access.client.fingerprint(&path(url)?, may_be_gone).await?;
    Ok(found.unwrap_or_else(|| GONE.to_owned()))
}

/// The file at an address; `None`: there is none.
pub(super) async fn fetch(access: &Access, url: &str) -> Result<Option<File>> {
    if url.is_empty() { Ok(None) } else { access.client.file(&path(url)?).await }
}

/// Puts a file into the draft.
pub(super) async fn upload(access: &Access, asset: &Asset, file: &File) -> Result<()> {
    let path = of_place(access, asset.upload);
    access.client.upload(access.organization(), path, file).await
}

/// Takes a file out of the draft.
pub(super) async fn remove(access: &Access, asset: &Asset) -> Result<Written> {
    let path = Path::from(of_place(access, asset.remove));
    wire::write(access, Method::DELETE, &path, &Value::Null).await
}

/// The path of an address. The host does not count: nothing is fetched from anywhere but the
/// instance itself, whatever its answer says.
fn path(url: &str) -> Result<Path> {
    const TEMPLATE: &str = "/assets/v1/{}/policy/label/{}";
    let odd = || Error::Malformed {
        endpoint: "GET …/policies/label".into(),
        what: "an address of a file that is not below /assets/v1".into(),
    };
    let (_, rest) = url.split_once("/assets/v1/").ok_or_else(odd)?;
    match rest.split('/').collect::<Vec<_>>()[..] {
        [owner, "policy", "label", name] => Path::new(TEMPLATE, &[owner, name]),
        _ => Err(odd()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zitadel::path::Endpoint as _;

    #[test]
    fn an_address_leads_to_a_path_of_the_instance_itself_or_nowhere() {
        let of = |url: &str| path(url).map(|path| path.path().to_owned()).ok();
        let own = "/assets/v1/400/policy/label/logo-401";
        assert_eq!(of(&format!("http://localhost:8080{own}")).as_deref(), Some(own));
        assert_eq!(of(&format!("https://evil.example{own}")).as_deref(), Some(own));
        for odd in [
            "http://169.254.169.254/latest/meta-data",
            "https://evil.example/assets/v1/../../oauth/v2/token",
            "/assets/v1/400/policy/label/..",
            "/assets/v1/400/policy/label/",
            "/assets/v1/400/policy/label/a/b",
        ] {
            assert_eq!(of(odd), None, "{odd}");
        }
        let query = of("/assets/v1/400/policy/label/logo?x#y");
        assert_eq!(query.as_deref(), Some("/assets/v1/400/policy/label/logo%3Fx%23y"));
    }
}
