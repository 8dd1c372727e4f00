//! From the references in a spec to where its calls go: which instance, which organization, and
//! whether that is allowed.

use std::sync::Arc;

use super::{
    Error, Key, Object,
    connection::Connection,
    error::{Doing, Result},
    host::Host,
    kind::{At, Entry, Scope, decode},
    plan::ToBeMade,
    reconcile::Engine,
};
use crate::{
    api::{
        spec::{Namespaces, ObjectReference, OrganizationScope, Shared},
        status::Status,
    },
    kinds,
    live::Seen,
};

/// Where an object's calls go.
pub struct Target {
    /// The Instance object.
    pub instance: Key,
    /// The connection to it.
    pub connection: Arc<Connection>,
    /// Instance and organization.
    pub at: At,
    /// Whether this namespace may act on the instance itself (`instanceScope`).
    pub instance_scope: bool,
    /// The organization is only planned yet: nothing can be asked of it.
    pub to_be_made: bool,
}

/// The Instance object that an object belongs to, as far as its references tell.
pub fn instance_of(host: &dyn Host, namespace: &str, shared: &Shared) -> Option<Key> {
    let common = match &shared.organization.organization_ref {
        Some(r) => {
            let organization = host.object(&organization_key(namespace, r))?;
            let shared: Shared = decode(&organization.spec).ok()?;
            return instance_of(
                host,
                &organization.key.namespace,
                &Shared { organization: OrganizationScope::default(), ..shared },
            );
        }
        None => shared.common.instance_ref.as_ref(),
    };
    let (name, ns) =
        common.map_or(("default", None), |r| (r.name.as_str(), r.namespace.as_deref()));
    Some(Key { kind: "Instance", namespace: ns.unwrap_or(namespace).into(), name: name.into() })
}

/// Whether an object needs this Instance: by its references, or where they lead nowhere any more,
/// by its binding.
pub fn needs(host: &dyn Host, object: &Object, instance: &Key) -> bool {
    let shared: Shared = decode(&object.spec).unwrap_or_default();
    match instance_of(host, &object.key.namespace, &shared) {
        Some(found) => found == *instance,
        None => {
            let bound = object.status.instance_id.as_ref();
            bound.is_some()
                && host.object(instance).is_some_and(|i| i.status.instance_id.as_ref() == bound)
        }
    }
}

/// The Organization object that a reference means.
pub fn organization_key(namespace: &str, r: &ObjectReference) -> Key {
    Key {
        kind: "Organization",
        namespace: r.namespace.as_deref().unwrap_or(namespace).into(),
        name: r.name.clone(),
    }
}

/// Objects that this one refers to: it is woken when they change.
pub fn references(host: &dyn Host, object: &Object) -> Vec<Key> {
    let Ok(shared) = decode::<Shared>(&object.spec) else { return Vec::new() };
    let namespace = &object.key.namespace;
    let organization =
        shared.organization.organization_ref.as_ref().map(|r| organization_key(namespace, r));
    instance_of(host, namespace, &shared).into_iter().chain(organization).collect()
}

/// Resolves the references of an object, with every consent that they need.
pub async fn resolve(
    engine: &Engine,
    host: &dyn Host,
    entry: &dyn Entry,
    object: &Object,
    shared: &Shared,
    to_be_made: &ToBeMade,
) -> Result<Target> {
    let namespace = &object.key.namespace;
    let scope = &shared.organization;
    if scope.organization_ref.is_some() && scope.organization_id.is_some() {
        return Err(Error::Invalid(
            "spec: organizationRef and organizationId exclude each other; remove one".into(),
        ));
    }
    if entry.scope() == Scope::Organization
        && scope.organization_ref.is_none()
        && scope.organization_id.is_none()
    {
        return Err(Error::Invalid("spec: set organizationRef, or organizationId for an organization that is not declared here".into()));
    }
    let organization = match &scope.organization_ref {
        Some(r) => Some(consenting_organization(host, namespace, r)?),
        None => None,
    };
    let Some(instance) = instance_of(host, namespace, shared) else {
        return Err(Error::Waiting("waiting for the organization".into()));
    };
    let instance_scope =
        consent(host, entry, namespace, shared, &instance, organization.as_deref())?;
    let Some(connection) = engine.connections.get(&instance) else {
        return Err(match host.object(&instance) {
            None => Error::Waiting(format!("waiting for {instance}: it does not exist")),
            Some(i) => {
                let why = i
                    .status
                    .condition("Ready")
                    .map_or("nobody has looked at it yet", |c| c.message.as_str());
                Error::NotConnected(format!("waiting for {instance}: {why}"))
            }
        });
    };
    if let Some(known) = &object.status.instance_id
        && *known != connection.instance_id
    {
        return Err(Error::InstanceChanged(format!(
            "this object belongs to the instance {known}, and behind {instance} is {} now; no call is made. Delete this object and make it anew to have it there",
            connection.instance_id
        )));
    }
    if let Some(id) = organization.as_ref().and_then(|o| to_be_made.get(&o.key)) {
        let at = At { client: connection.client.clone(), organization: Some(id.clone()) };
        return Ok(Target { instance, connection, at, instance_scope, to_be_made: true });
    }
    let id = match (&organization, &scope.organization_id) {
        (Some(o), _) => Some(bound_organization(o, &connection)?),
        (None, Some(id)) => Some(id.clone()),
        (None, None) => None,
    };
    if let Some(id) = &id {
        is_there(&connection, id).await?;
    }
    let at = At { client: connection.client.clone(), organization: id };
    Ok(Target { instance, connection, at, instance_scope, to_be_made: false })
}

/// The Organization object, if its `allowedNamespaces` let this namespace use it.
fn consenting_organization(
    host: &dyn Host,
    namespace: &str,
    r: &ObjectReference,
) -> Result<Arc<Object>> {
    let key = organization_key(namespace, r);
    let organization = host.object(&key);
    let allowed = organization.as_ref().and_then(|o| namespaces(o, "allowedNamespaces"));
    if !Namespaces::allow(allowed.as_ref(), &key.namespace, namespace, || {
        host.namespace_labels(namespace)
    }) {
        // The same words whether it exists or not: names in other namespaces are none of this one's
        // business.
        return Err(Error::NoConsent(format!(
            "{key} does not allow the namespace {namespace}: its spec.allowedNamespaces would have to"
        )));
    }
    organization.ok_or_else(|| Error::Waiting(format!("waiting for {key}: it does not exist")))
}

/// The consents that the Instance has to give. Gives whether this namespace may act on the instance
/// itself.
fn consent(
    host: &dyn Host,
    entry: &dyn Entry,
    namespace: &str,
    shared: &Shared,
    instance: &Key,
    organization: Option<&Object>,
) -> Result<bool> {
    let object = host.object(instance);
    let may = |field: &str, namespace: &str| {
        let allowed = object.as_ref().and_then(|o| namespaces(o, field));
        Namespaces::allow(allowed.as_ref(), &instance.namespace, namespace, || {
            host.namespace_labels(namespace)
        })
    };
    let instance_scope = may("instanceScope", namespace);
    let scope = &shared.organization;
    let needs_scope = scope.organization_id.is_some()
        || (entry.scope() != Scope::Organization
            && scope.organization_ref.is_none()
            && !is_organization(entry));
    if needs_scope && !instance_scope {
        return Err(Error::NoConsent(format!(
            "{instance} does not let the namespace {namespace} act on the instance itself or name an organizationId: its spec.instanceScope would have to"
        )));
    }
    // Whoever lends an organization to others must have been allowed to declare it.
    let declares = if is_organization(entry) {
        Some(namespace)
    } else {
        organization.map(|o| o.key.namespace.as_str())
    };
    if let Some(namespace) = declares
        && !may("allowedNamespaces", namespace)
        && !may("instanceScope", namespace)
    {
        return Err(Error::NoConsent(format!(
            "{instance} does not let the namespace {namespace} declare organizations: its spec.allowedNamespaces would have to"
        )));
    }
    Ok(instance_scope)
}

fn is_organization(entry: &dyn Entry) -> bool {
    entry.names().kind == "Organization"
}

fn namespaces(object: &Object, field: &str) -> Option<Namespaces> {
    serde_json::from_value(object.spec.get(field)?.clone()).ok()
}

/// The id of an Organization object that was seen in this instance.
fn bound_organization(organization: &Object, connection: &Connection) -> Result<String> {
    let Status { id, instance_id, .. } = &organization.status;
    let waiting = |why: &str| Error::Waiting(format!("waiting for {}: {why}", organization.key));
    match (id, instance_id) {
        _ if organization.is_deleting => Err(waiting("it is being deleted")),
        (Some(id), Some(instance)) if *instance == connection.instance_id => Ok(id.clone()),
        (Some(_), Some(_)) => Err(waiting("it belongs to another instance")),
        _ => Err(waiting(
            organization
                .status
                .condition("Ready")
                .map_or("nobody has looked at it yet", |c| c.message.as_str()),
        )),
    }
}

/// An organization must have been seen: ZITADEL accepts some writes for organizations that do not
/// exist.
async fn is_there(connection: &Connection, id: &str) -> Result<()> {
    if !id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)) {
        return Err(Error::Invalid(format!(
            "spec.organizationId: {id:?} is no id: letters, digits, - and _ are allowed"
        )));
    }
    if is_in(connection, id, false).await? {
        return Ok(());
    }
    Err(Error::Waiting(format!(
        "waiting for the organization {id}: it does not exist in this instance"
    )))
}

/// Whether an instance has an organization; `look`: whatever is believed.
pub(super) async fn is_in(connection: &Connection, id: &str, look: bool) -> Result<bool> {
    let Some(entry) = kinds::find("Organization") else { return Ok(true) };
    let at = At { client: connection.client.clone(), organization: None };
    if look {
        connection.live.doubt(entry, &at, id);
    }
    match connection.live.get(entry, &at, id, true).await.doing("look for the organization")? {
        Seen::Settled(found) => Ok(found.is_some()),
        Seen::Unsettled { .. } => {
            Err(Error::Waiting(format!("waiting for the organization {id}: it does not show yet")))
        }
    }
}
