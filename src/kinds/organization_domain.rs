//! `OrganizationDomain`: a domain of an organization, by the management API. The domain itself is the
//! id. One domain of each organization is its primary one, always.

use futures::{Stream, TryStreamExt};
use reqwest::{Method, Url};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    organization,
    wire::{self, Details},
};
use crate::{
    api::spec::{Adoption, Common, OrganizationScope},
    contract::{
        Access, Challenge, Description, Entity, EntityDescription, EventFilter, EventPlace,
        EventSubject, IdSource, Inputs, Kind, NaturalKey, Permissions, Place, Proof, RemoteEntity,
        Row, SpecError, Verified, Written,
    },
    zitadel::{Error, Path, Result, page},
};

/// The spec.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct OrganizationDomain {
    #[serde(flatten)]
    common: Common,
    #[serde(flatten)]
    adoption: Adoption,
    #[serde(flatten)]
    organization: OrganizationScope,
    #[serde(flatten)]
    state: OrganizationDomainState,
    /// How it is proved that the organization has the domain, where ZITADEL asks for a proof
    /// (`validateOrgDomains` of its DomainPolicy): `Dns` by a TXT record, `Http` by a file on a web
    /// server. ZITADEL is asked once for the text, which then is in `status.challenge` and in the
    /// message of the condition, and looks for it at pauses from a minute to an hour. It is Ready when
    /// it is verified. Omitted: no proof is given from here, and whether it is verified makes no
    /// difference.
    #[serde(skip_serializing_if = "Option::is_none")]
    verification: Option<Verification>,
}

/// A way to prove that somebody has a domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Verification {
    /// A TXT record.
    Dns,
    /// A file on the web server.
    Http,
}

impl Verification {
    fn wire(way: &str) -> &'static str {
        if way == "Http" { "DOMAIN_VALIDATION_TYPE_HTTP" } else { "DOMAIN_VALIDATION_TYPE_DNS" }
    }
}

const PROOF: Proof = Proof {
    field: "verification",
    proved: "verified",
    asked: "asked",
    ways: &[("Dns", "in a TXT record of"), ("Http", "in what is served at")],
};

/// The fields that can be managed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrganizationDomainState {
    /// The domain, such as `acme.example`; upper case is lower case. At most one organization of the
    /// instance has it verified: where its domain policy does not ask for a proof
    /// (`validateOrgDomains`), it is so at once, and **users of other organizations whose names end
    /// with it lose these**. Where a proof is asked for, see `verification`. Omitted: the name of this
    /// object. Immutable.
    #[schemars(length(min = 1, max = 200), regex(pattern = r"^\S(.*\S)?$"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    domain: Option<String>,
    /// Whether it is the organization's primary domain, which has to be a verified one. `true` takes
    /// that from the one that was; `false`, or the deletion of the primary one, gives it to the domain
    /// that ZITADEL made for the organization, or else to its first verified one. Omitted: not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    primary: Option<bool>,
    /// Whether it is proved that the organization has it, or nobody asks.
    #[schemars(skip)]
    #[serde(skip_serializing_if = "Option::is_none")]
    verified: Option<bool>,
    /// Whether ZITADEL made it for the organization, from its name.
    #[schemars(skip)]
    #[serde(skip_serializing_if = "Option::is_none")]
    generated: Option<bool>,
    /// In which way a proof has to be given, if one was asked for.
    #[schemars(skip)]
    #[serde(skip_serializing_if = "Option::is_none")]
    asked: Option<Verification>,
}

const EVENTS: EventFilter = EventFilter {
    aggregate: "org",
    types: &[
        "org.domain.added",
        "org.domain.verification.added",
        "org.domain.verified",
        "org.domain.primary.set",
        "org.domain.removed",
    ],
    creates: &["org.domain.added"],
    removes: &[],
    place: EventPlace::Aggregate,
    subject: EventSubject::Payload("domain"),
};

impl Kind for OrganizationDomain {
    type State = OrganizationDomainState;
    const DESCRIPTION: Description = Description {
        kind: "OrganizationDomain",
        plural: "organizationdomains",
        short: "zdomain",
        about: "A domain of an organization, by which its users log in. Needs the consent of the Instance's \
                instanceScope: a domain can take the names of users of other organizations.",
        noun: "the domain",
        references: &[organization::REQUIRED_PARENT],
        reaches_others: true,
        events: &[
            EVENTS,
            // The one that was primary is not named.
            EventFilter {
                types: &["org.domain.primary.set"],
                creates: &[],
                subject: EventSubject::OnlyOne,
                ..EVENTS
            },
        ],
        options: &["verification"],
        reported: &["verified", "generated", "asked"],
        permissions: &[Permissions::in_organization(&["org.read", "org.write"])],
        ..Description::EMPTY
    };

    fn desired(
        &self,
        name: &str,
        _: &Inputs,
    ) -> std::result::Result<OrganizationDomainState, SpecError> {
        let domain = self.state.domain.as_deref().unwrap_or(name).to_lowercase();
        Ok(OrganizationDomainState { domain: Some(domain), ..self.state.clone() })
    }
}

/// A domain in the management API.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    domain_name: String,
    #[serde(default)]
    details: Details,
    #[serde(default)]
    is_verified: bool,
    #[serde(default)]
    is_primary: bool,
    #[serde(default)]
    validation_type: Option<String>,
}

impl Wire {
    fn at(self, place: &Place, host: &str) -> RemoteEntity<OrganizationDomainState> {
        let version = self.details.version();
        let domain = self.domain_name.to_lowercase();
        // A label of its name, below the domain of the instance.
        let label = domain.strip_suffix(host).and_then(|label| label.strip_suffix('.'));
        let is_generated = label.is_some_and(|label| !label.contains('.'));
        let asked = match self.validation_type.as_deref() {
            Some("DOMAIN_VALIDATION_TYPE_DNS") => Some(Verification::Dns),
            Some("DOMAIN_VALIDATION_TYPE_HTTP") => Some(Verification::Http),
            _ => None,
        };
        RemoteEntity {
            id: self.domain_name,
            place: place.clone(),
            state: OrganizationDomainState {
                domain: Some(domain),
                primary: Some(self.is_primary),
                verified: Some(self.is_verified),
                generated: Some(is_generated),
                asked,
            },
            version,
        }
    }
}

/// The host of the instance, below which ZITADEL makes domains.
fn host(access: &Access) -> String {
    let url = Url::parse(access.client.issuer()).ok();
    url.and_then(|url| url.host_str().map(ToOwned::to_owned)).unwrap_or_default()
}

const SEARCH: &str = "/management/v1/orgs/me/domains/_search";

impl Entity for OrganizationDomain {
    const ENTITY: EntityDescription = EntityDescription {
        id: IdSource::Key,
        natural_key: NaturalKey::Field("domain"),
        only_one: Some(("primary", "true")),
        comes_along: Some("generated"),
        proof: Some(&PROOF),
        ..EntityDescription::NAMED
    };

    fn list(
        access: &Access,
    ) -> impl Stream<Item = Result<Row<RemoteEntity<OrganizationDomainState>>>> + Send + 'static
    {
        let (place, host) = (access.place.clone(), host(access));
        let rows = page::rows::<Wire>(&access.client, access.organization(), SEARCH, json!({}));
        rows.map_ok(move |row| row.map(|wire| wire.at(&place, &host)))
    }

    async fn read(
        access: &Access,
        domain: &str,
    ) -> Result<Option<RemoteEntity<OrganizationDomainState>>> {
        let query = json!({"name": domain, "method": "TEXT_QUERY_METHOD_EQUALS"});
        let query = json!({"queries": [{"domainNameQuery": query}]});
        let (client, organization) = (&access.client, access.organization());
        let found = page::one::<Wire>(client, organization, &SEARCH.into(), &query).await?;
        Ok(found.map(|wire| wire.at(&access.place, &host(access))))
    }

    async fn create(
        access: &Access,
        domain: &str,
        want: &OrganizationDomainState,
    ) -> Result<Written> {
        let path = Path::from("/management/v1/orgs/me/domains");
        let body = json!({"domain": domain});
        let written = wire::write(access, Method::POST, &path, &body).await?;
        let written = Written { id: Some(domain.to_owned()), ..written };
        if want.primary != Some(true) {
            return Ok(written);
        }
        match set_primary(access, domain).await {
            // It is there, and what it still lacks is seen by the next look.
            Err(e) if e.id() == Some(NOT_VERIFIED) => Ok(written),
            set => Ok(set?.after(written)),
        }
    }

    async fn update(
        access: &Access,
        have: &RemoteEntity<OrganizationDomainState>,
        want: &OrganizationDomainState,
    ) -> Result<Written> {
        match want.primary {
            Some(true) => set_primary(access, &have.id).await,
            _ => give_way(access, &have.id).await,
        }
    }

    async fn delete(access: &Access, domain: &str) -> Result<()> {
        let path = Path::new("/management/v1/orgs/me/domains/{}", &[domain])?;
        match wire::delete(access, &path).await {
            // The primary one, or the one that ZITADEL made.
            Err(e) if e.id() == Some("ORG-Sjdi3") => {
                give_way(access, domain).await?;
                wire::delete(access, &path).await
            }
            deleted => deleted,
        }
    }

    async fn challenge(access: &Access, domain: &str, way: &str) -> Result<Challenge> {
        #[derive(Deserialize)]
        struct Generated {
            token: String,
            url: String,
        }
        let path = Path::new("/management/v1/orgs/me/domains/{}/validation/_generate", &[domain])?;
        let body = json!({"type": Verification::wire(way)});
        let organization = access.organization();
        let Generated { token, url } =
            access.client.write(Method::POST, organization, &path, &body).await?;
        Ok(Challenge { location: url, token })
    }

    async fn verify(access: &Access, domain: &str) -> Result<Verified> {
        let path = Path::new("/management/v1/orgs/me/domains/{}/validation/_validate", &[domain])?;
        match wire::write(access, Method::POST, &path, &json!({})).await {
            Err(e) if e.id() == Some("ORG-GH3s") => Ok(Verified::No),
            Err(e) if e.id() == Some("ORG-SFBB3") => Ok(Verified::NotAsked),
            Err(e) if e.id() == Some("ORG-HGw21") => Ok(Verified::Yes),
            answer => answer.map(|_| Verified::Yes),
        }
    }
}

const NOT_VERIFIED: &str = "ORG-Ggd32";

/// Makes a domain the primary one. ZITADEL takes that for a change also where it is so already.
async fn set_primary(access: &Access, domain: &str) -> Result<Written> {
    let path = Path::new("/management/v1/orgs/me/domains/{}/_set_primary", &[domain])?;
    wire::write(access, Method::POST, &path, &json!({})).await
}

/// Makes another domain the primary one, if it is this.
async fn give_way(access: &Access, domain: &str) -> Result<Written> {
    let all: Vec<_> = OrganizationDomain::list(access).try_collect().await?;
    let mut others = Vec::new();
    for row in all {
        match row {
            Row::Read(one) if one.id == domain && one.state.primary != Some(true) => {
                return Ok(Written::default());
            }
            Row::Read(other) if other.id != domain && other.state.verified == Some(true) => {
                others.push(other);
            }
            _ => {}
        }
    }
    others.sort_by_key(|other| other.state.generated != Some(true));
    let other = others.first().ok_or_else(|| malformed("no other verified domain"))?;
    set_primary(access, &other.id).await
}

fn malformed(what: &str) -> Error {
    Error::Malformed { endpoint: format!("POST {SEARCH}"), what: what.into() }
}
