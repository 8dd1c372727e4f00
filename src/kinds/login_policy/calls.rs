//! The calls of a write: the scalars if they differ, then one for each entry of a list that comes
//! or goes.

use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{LoginPolicyState, words::PasswordlessType};
use crate::{
    contract::{Access, RemoteSetting, Version, Written},
    kinds::{lifetime::Lifetime, policy::Endpoint, wire::Answer},
    zitadel::{Code, Path, Result},
};

/// Where the entries of a list are, and one of them.
struct List {
    instance: [&'static str; 2],
    organization: [&'static str; 2],
}

const SECOND_FACTORS: List = List {
    instance: [
        "/admin/v1/policies/login/second_factors",
        "/admin/v1/policies/login/second_factors/{}",
    ],
    organization: [
        "/management/v1/policies/login/second_factors",
        "/management/v1/policies/login/second_factors/{}",
    ],
};
const MULTI_FACTORS: List = List {
    instance: [
        "/admin/v1/policies/login/multi_factors",
        "/admin/v1/policies/login/multi_factors/{}",
    ],
    organization: [
        "/management/v1/policies/login/multi_factors",
        "/management/v1/policies/login/multi_factors/{}",
    ],
};
const PROVIDERS: List = List {
    instance: ["/admin/v1/policies/login/idps", "/admin/v1/policies/login/idps/{}"],
    organization: ["/management/v1/policies/login/idps", "/management/v1/policies/login/idps/{}"],
};

/// The factors of a state, by ZITADEL's words.
fn factors(state: &LoginPolicyState) -> [Vec<&'static str>; 2] {
    let second = state.second_factors.iter().flatten().map(|factor| factor.wire());
    let multi = state.multi_factors.iter().flatten().map(|factor| factor.wire());
    [second.collect(), multi.collect()]
}

fn providers(state: &LoginPolicyState) -> Vec<&str> {
    state.identity_provider_ids.iter().flatten().map(String::as_str).collect()
}

/// The body of a write. It resets what is omitted.
fn scalars(want: &LoginPolicyState) -> Value {
    json!({
        "allowUsernamePassword": want.allow_username_password,
        "allowRegister": want.allow_register,
        "allowExternalIdp": want.allow_external_idp,
        "forceMfa": want.force_mfa,
        "forceMfaLocalOnly": want.force_mfa_local_only,
        "passwordlessType": want.passwordless_type.map(PasswordlessType::wire),
        "hidePasswordReset": want.hide_password_reset,
        "ignoreUnknownUsernames": want.ignore_unknown_usernames,
        "allowDomainDiscovery": want.allow_domain_discovery,
        "disableLoginWithEmail": want.disable_login_with_email,
        "disableLoginWithPhone": want.disable_login_with_phone,
        "defaultRedirectUri": want.default_redirect_uri,
        "passwordCheckLifetime": want.password_check_lifetime.map(Lifetime::wire),
        "externalLoginCheckLifetime": want.external_login_check_lifetime.map(Lifetime::wire),
        "mfaInitSkipLifetime": want.mfa_init_skip_lifetime.map(Lifetime::wire),
        "secondFactorCheckLifetime": want.second_factor_check_lifetime.map(Lifetime::wire),
        "multiFactorCheckLifetime": want.multi_factor_check_lifetime.map(Lifetime::wire),
    })
}

/// Makes the policy what `want` says, which is complete. An organization's first own policy is
/// created with its factors and providers at once: between two calls nobody would be without them.
pub(super) async fn write(
    endpoint: &Endpoint<'_>,
    have: &RemoteSetting<LoginPolicyState>,
    want: &LoginPolicyState,
) -> Result<Written> {
    let ([second, multi], offered) = (factors(want), providers(want));
    if !have.own {
        let mut body = scalars(want);
        let mut idps = Vec::with_capacity(offered.len());
        for id in &offered {
            idps.push(offer(endpoint.access, id).await?);
        }
        if let Some(body) = body.as_object_mut() {
            body.insert("secondFactors".into(), json!(second));
            body.insert("multiFactors".into(), json!(multi));
            body.insert("idps".into(), json!(idps));
        }
        let written = endpoint.write(false, &body).await?;
        return Ok(if offered.is_empty() { written } else { without_aggregate(written) });
    }
    let mut calls = Calls { endpoint, written: Written::default() };
    let body = scalars(want);
    if body != scalars(&have.state) {
        calls.written = endpoint.write(true, &body).await?;
    }
    let [had_second, had_multi] = factors(&have.state);
    for (list, had, wanted) in
        [(&SECOND_FACTORS, had_second, second), (&MULTI_FACTORS, had_multi, multi)]
    {
        let coming = beyond(&wanted, &had).into_iter();
        let coming = coming.map(|factor| (factor, json!({ "type": factor }))).collect();
        calls.sync(list, coming, &beyond(&had, &wanted)).await?;
    }
    let had_offered = providers(&have.state);
    let (mut coming, going) = (Vec::new(), beyond(&had_offered, &offered));
    for id in beyond(&offered, &had_offered) {
        coming.push((id, offer(endpoint.access, id).await?));
    }
    let is_same = coming.is_empty() && going.is_empty();
    calls.sync(&PROVIDERS, coming, &going).await?;
    Ok(if is_same { calls.written } else { without_aggregate(calls.written) })
}

/// The entries of a list that another does not have.
fn beyond<'a>(list: &[&'a str], other: &[&str]) -> Vec<&'a str> {
    list.iter().filter(|entry| !other.contains(entry)).copied().collect()
}

/// A read's version says nothing of providers: they come from another projection.
fn without_aggregate(written: Written) -> Written {
    let version = written.version.map(|version| Version { aggregate: None, ..version });
    Written { version, ..written }
}

/// The calls of one write.
struct Calls<'a> {
    endpoint: &'a Endpoint<'a>,
    /// What they answered.
    written: Written,
}

impl Calls<'_> {
    /// Changes a list by entries that come, with their bodies, and then by those that go, so that
    /// there is always something to log in with.
    async fn sync(
        &mut self,
        list: &List,
        coming: Vec<(&str, Value)>,
        going: &[&str],
    ) -> Result<()> {
        for (entry, body) in coming {
            self.add(list, entry, &body).await?;
        }
        for entry in going {
            self.remove(list, entry).await?;
        }
        Ok(())
    }

    /// Adds an entry. One that no read shows and that is there all the same was added while there
    /// was no own policy: it shows once it was removed and added again (recording
    /// `login-policy-factors-organization`).
    async fn add(&mut self, list: &List, entry: &str, body: &Value) -> Result<()> {
        let [all, _] = self.paths(list);
        let path = Path::from(all);
        let mut answer = self.call(Method::POST, &path, body).await;
        if matches!(&answer, Err(e) if e.code() == Some(Code::AlreadyExists)) {
            self.remove(list, entry).await?;
            answer = self.call(Method::POST, &path, body).await;
        }
        self.note(&answer?);
        Ok(())
    }

    /// Removes an entry; that it is not there is success.
    async fn remove(&mut self, list: &List, entry: &str) -> Result<()> {
        let [_, one] = self.paths(list);
        match self.call(Method::DELETE, &Path::new(one, &[entry])?, &()).await {
            Ok(answer) => self.note(&answer),
            Err(e) if e.says_gone() => {}
            Err(e) => return Err(e),
        }
        Ok(())
    }

    fn note(&mut self, answer: &Answer) {
        self.written = answer.written().after(std::mem::take(&mut self.written));
    }

    fn paths(&self, list: &List) -> [&'static str; 2] {
        if self.endpoint.organization.is_some() { list.organization } else { list.instance }
    }

    async fn call(&self, method: Method, path: &Path, body: &impl Serialize) -> Result<Answer> {
        let Endpoint { access, organization, .. } = self.endpoint;
        access.client.write(method, *organization, path, body).await
    }
}

/// What offers a provider. An organization has to say whose it is; one that can't be found is for
/// ZITADEL to refuse.
async fn offer(access: &Access, id: &str) -> Result<Value> {
    let Some(_) = access.organization() else { return Ok(json!({ "idpId": id })) };
    let owner = owner_type(access, id).await?;
    let owner = owner.as_deref().unwrap_or("IDP_OWNER_TYPE_ORG");
    Ok(json!({ "idpId": id, "ownerType": owner }))
}

/// Whose provider this is, in ZITADEL's word; `None`: the instance, or the organization and the
/// instance, have none under this id.
pub(super) async fn owner_type(access: &Access, id: &str) -> Result<Option<String>> {
    #[derive(Deserialize)]
    struct Found {
        #[serde(default)]
        result: Vec<Provider>,
    }
    #[derive(Deserialize)]
    struct Provider {
        owner: String,
    }
    let path = match access.organization() {
        Some(_) => "/management/v1/idps/templates/_search",
        None => "/admin/v1/idps/templates/_search",
    };
    let query = json!({ "queries": [{ "idpIdQuery": { "id": id } }] });
    let found: Found = access.client.query(access.organization(), path, &query).await?;
    Ok(found.result.into_iter().next().map(|provider| provider.owner))
}
