//! `kastellan events`

#![allow(clippy::doc_markdown, reason = "what is documented here is printed as help, to terminals")]

use std::{path::PathBuf, sync::Arc};

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Api;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{
    cluster::{Cluster, Place, key},
    output::{self, Exit, Form, Result},
    source::{self, Connection},
};
use crate::{
    api::api_version,
    contract::{Entry, Key, Object, Subject},
    engine::binding,
    files::{Folder, environment::Environment},
    kinds::REGISTRY,
    live::{self, Happened, trail},
    zitadel::{
        Code,
        roles::{self, FOR_FEED, Level},
    },
};

const HELP: &str = "\
ZITADEL is asked as the Instance of the object says, with the Secret that it names: you need the right to read that Secret. \
With ZITADEL_ISSUER, and ZITADEL_TOKEN or ZITADEL_KEY_FILE, you log in by your own account instead, and no Secret is read; \
ZITADEL_ADDRESS says where to connect, if not at the issuer.

Shown are the events that concern what the kind declares; logins are not. Of what an event holds only the names are shown, as \
ZITADEL has them: values may be secrets.";

#[derive(clap::Args)]
#[command(after_long_help = HELP)]
pub(super) struct Args {
    /// The object: KIND/NAME, such as Project/shop.
    #[arg(value_name = "KIND/NAME")]
    object: String,
    /// How many events are shown at most: the newest ones.
    #[arg(long, value_name = "N", default_value = "20", value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Form of the output.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value = "text")]
    output: Form,
    #[command(flatten)]
    place: Place,
}

pub(super) async fn run(args: Args) -> Result {
    let cluster = Cluster::read(&args.place).await?;
    let key = key(&cluster, &args.object)?;
    let (Some(object), Some(entry)) = (cluster.objects.get(&key), REGISTRY.find(key.kind)) else {
        return Ok(Exit::Failed);
    };
    if entry.is_connection() {
        let hint = "name what is in ZITADEL: Organization/acme";
        return Err(output::fail(
            format!("{key} is a connection, not a thing in ZITADEL"),
            Some(hint),
        ));
    }
    let subject = subject(entry, object)?;
    let instance = instance(&cluster, object);
    let connection = connect(&cluster, object, instance).await?;
    let place = binding::place(&object.status);
    let asked = trail(&connection.client, &connection.instance_id, entry, &place, &subject);
    let all = output::waiting("reading the events", asked).await.map_err(|e| {
        let role = roles::smallest(Level::Instance, &[FOR_FEED]);
        let role = role.map_or("a role of the instance", |role| role.name);
        let hint = format!(
            "the account needs the role {role} of the instance, or another one with {FOR_FEED}"
        );
        let is_forbidden = e.code() == Some(Code::PermissionDenied);
        output::fail(format!("the events can't be read: {e}"), is_forbidden.then_some(&*hint))
    })?;
    let account = instance.and_then(|i| i.details.account.as_ref()).map(|a| a.id.as_str());
    let limit = usize::try_from(args.limit).unwrap_or(usize::MAX);
    let more = all.len().saturating_sub(limit);
    let shown = all.get(more..).unwrap_or_default();
    match args.output {
        Form::Text => output::data(&text(shown, account))?,
        Form::Json => output::data(&json(shown, account, more))?,
    }
    if matches!(args.output, Form::Text) && more > 0 {
        output::say(format!("{more} older: --limit {} shows all", all.len()));
    }
    if all.is_empty() {
        output::say("ZITADEL has no events of it");
    }
    Ok(Exit::Fine)
}

/// What the object is bound to.
fn subject(entry: Entry, object: &Object) -> Result<Subject> {
    let status = &object.status;
    let subject = if entry.is_setting() {
        status.instance_id.as_ref().map(|_| Subject::Setting)
    } else {
        status.id.clone().map(Subject::Entity)
    };
    subject.ok_or_else(|| {
        let key = &object.key;
        let hint = format!("`kastellan why {}/{}` says what it waits for", key.kind, key.name);
        output::fail(format!("{key} is bound to nothing in ZITADEL yet"), Some(&hint))
    })
}

/// The Instance by which an object was bound.
fn instance<'a>(cluster: &'a Cluster, object: &Object) -> Option<&'a Object> {
    let bound = object.status.instance.as_ref()?;
    let kind = REGISTRY.connection().description().kind;
    let (namespace, name) = (bound.namespace.clone(), bound.name.clone());
    cluster.objects.get(&Key { kind, namespace, name })
}

/// By the environment, else by the Instance. A token of the environment goes nowhere that the
/// cluster says.
async fn connect(
    cluster: &Cluster,
    object: &Object,
    instance: Option<&Object>,
) -> Result<Arc<live::Connection>> {
    let environment = Connection::default().environment(&Folder::default())?;
    let folder = match instance {
        _ if environment.issuer.is_some() => Folder::default(),
        _ if environment.is_set() => {
            return Err(output::fail(
                "the environment says how to log in, and not where",
                Some(
                    "set ZITADEL_ISSUER too; or unset ZITADEL_TOKEN, ZITADEL_KEY_FILE and ZITADEL_ADDRESS to log in as the Instance does",
                ),
            ));
        }
        Some(instance) => declared(cluster, instance).await?,
        None => {
            return Err(output::fail(
                format!("the Instance of {} is not there, or not where you may look", object.key),
                Some("set ZITADEL_ISSUER, and ZITADEL_TOKEN or ZITADEL_KEY_FILE"),
            ));
        }
    };
    let environment =
        if environment.issuer.is_some() { environment } else { Environment::default() };
    let session = source::session(&folder, None, &environment, None).await?;
    let connection = session.engine().connections.all().into_iter().next();
    let (_, connection) = connection.ok_or(Exit::Failed)?;
    let id = object.status.instance_id.as_deref();
    if id != Some(&*connection.instance_id) {
        return Err(output::fail(
            format!(
                "{} is in the instance {}, and this one is {}",
                object.key,
                id.unwrap_or("that nobody knows"),
                connection.instance_id
            ),
            Some("unset ZITADEL_ISSUER, or set it to the Instance's"),
        ));
    }
    Ok(connection)
}

/// An Instance as a folder, with the Secrets and ConfigMaps that it names.
async fn declared(cluster: &Cluster, instance: &Object) -> Result<Folder> {
    let Key { kind, namespace, name } = &instance.key;
    let mut items = vec![json!({
        "apiVersion": api_version(),
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": instance.spec,
    })];
    for name in referred(&instance.spec, "secretRef") {
        items.push(get::<Secret>(cluster, "Secret", namespace, &name).await?);
    }
    for name in referred(&instance.spec, "configMapRef") {
        items.push(get::<ConfigMap>(cluster, "ConfigMap", namespace, &name).await?);
    }
    let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
    Ok(Folder::of([(PathBuf::from("cluster"), Ok(list.to_string().into_bytes()))]))
}

/// The names that references of this kind have in what is a part of a spec.
fn referred(spec: &Value, field: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for part in ["credentials", "ca"].iter().filter_map(|part| spec.get(part)) {
        let ways = part.as_object().into_iter().flat_map(serde_json::Map::values);
        let all = [part].into_iter().chain(ways);
        let names = all.filter_map(|way| way.get(field)?.get("name")?.as_str());
        found.extend(names.map(ToOwned::to_owned));
    }
    found
}

async fn get<K>(cluster: &Cluster, kind: &str, namespace: &str, name: &str) -> Result<Value>
where
    K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + DeserializeOwned
        + Serialize,
{
    let api: Api<K> = Api::namespaced(cluster.client.clone(), namespace);
    let found = api.get(name).await;
    let found = found
        .map_err(|e| e.to_string())
        .and_then(|found| serde_json::to_value(found).map_err(|e| e.to_string()));
    found.map_err(|e| {
        output::fail(
            format!("the {kind} {name} of the Instance can't be read in {namespace}: {e}"),
            Some("set ZITADEL_ISSUER, and ZITADEL_TOKEN or ZITADEL_KEY_FILE, to log in by your own account"),
        )
    })
}

/// Who did it, for people.
fn editor(happened: &Happened, account: Option<&str>) -> String {
    let Happened { editor, editor_name, .. } = happened;
    match (account == Some(editor), &editor_name[..], &editor[..]) {
        (_, "", "") => "nobody known".into(),
        (true, "", name) | (true, name, _) => format!("{name} (Kastellan)"),
        (false, "", name) | (false, name, _) => name.to_owned(),
    }
}

fn text(events: &[Happened], account: Option<&str>) -> String {
    let rows: Vec<[String; 4]> = events
        .iter()
        .map(|e| {
            let date = e.at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
            [date, e.event.clone(), editor(e, account), e.fields.join(", ")]
                .map(|t| output::plain(&t))
        })
        .collect();
    let widest = |of: fn(&[String; 4]) -> &String| {
        rows.iter().map(|row| of(row).chars().count()).max().unwrap_or_default()
    };
    let (event, by) = (widest(|[_, event, ..]| event), widest(|[_, _, by, _]| by));
    let line = |[date, name, editor, fields]: &[String; 4]| {
        let line = format!("{date}  {name:event$}  {editor:by$}  {fields}");
        format!("{}\n", line.trim_end())
    };
    rows.iter().map(line).collect()
}

fn json(events: &[Happened], account: Option<&str>, more: usize) -> String {
    let events: Vec<Value> = events
        .iter()
        .map(|e| {
            let is_kastellan = account == Some(&e.editor);
            let by = json!({"id": e.editor, "name": e.editor_name, "isKastellan": is_kastellan});
            json!({"at": e.at.to_string(), "type": e.event, "by": by, "fields": e.fields})
        })
        .collect();
    format!("{:#}\n", json!({"events": events, "older": more}))
}
