//! From instances to manifests: what is in what, what is wanted, and what has to be said. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::{
    Converted, Secret,
    found::{Found, Unfit},
    resource::Parent,
    state::{Instance, State},
};
use crate::{
    contract::{Entry, Fields, Place, Registry, Remote, Role, Subject, reference::ById},
    export::{Assembly, ExportError, Selection, home_of},
};

pub(super) struct Conversion<'a> {
    registry: &'static Registry,
    selection: &'a Selection,
    secrets: bool,
    assembly: Assembly,
    /// The places that things make, by their ids.
    places: BTreeMap<String, Place>,
    /// The ids of the organizations that were asked for, and what was asked.
    asked: BTreeSet<String>,
    converted: Converted,
}

/// Something to be added, and where it comes from.
type Thing<'a> = (Remote, &'a Found<'a>);

impl<'a> Conversion<'a> {
    /// Of nothing yet.
    pub(super) fn new(
        registry: &'static Registry,
        selection: &'a Selection,
        secrets: bool,
    ) -> Self {
        Self {
            registry,
            selection,
            secrets,
            assembly: Assembly::new(registry, selection.namespace.clone()),
            places: BTreeMap::new(),
            asked: BTreeSet::new(),
            converted: Converted::default(),
        }
    }

    /// What it came to.
    pub(super) fn end(self) -> Result<Converted, ExportError> {
        let Self { selection, assembly, asked, mut converted, .. } = self;
        let is_missing = |name: &&String| !asked.contains(*name);
        if let Some(name) = selection.organizations.iter().find(is_missing) {
            return Err(ExportError::NoOrganization(name.clone()));
        }
        converted.export.objects = assembly.end();
        converted.export.missing.sort();
        converted.without_kind.sort();
        Ok(converted)
    }

    /// What has a kind.
    pub(super) fn found<'s>(&mut self, state: &'s State) -> Vec<Found<'s>> {
        let mut found = Vec::new();
        for instance in &state.instances {
            match Found::of(self.registry, instance) {
                Ok(one) => found.push(one),
                Err(Unfit::NoKind) if instance.is_managed => {
                    self.converted.without_kind.push(instance.address.clone());
                }
                Err(Unfit::Because(why)) => self.omit(instance, &why),
                Err(Unfit::NoKind) => {}
            }
        }
        found
    }

    /// What terraform only looks at is not missed.
    fn omit(&mut self, instance: &Instance, why: &str) {
        if instance.is_managed {
            self.converted.export.missing.push(format!("{}: {why}", instance.address));
        }
    }

    /// Everything of a kind, in the order in which a live instance is exported.
    pub(super) fn kind<'f>(
        &mut self,
        entry: Entry,
        of_kind: impl Iterator<Item = &'f Found<'f>>,
    ) -> Result<(), ExportError> {
        let is_selected = self.selection.has(entry);
        let mut things: Vec<Thing<'f>> = Vec::new();
        let mut of_kind: Vec<&Found> = of_kind.collect();
        // What is managed counts, not what else looks at it.
        of_kind.sort_by_key(|found| !found.instance.is_managed);
        for found in of_kind {
            let place = self.place(found.resource.within, |parent| found.text(parent))?;
            let thing = place.and_then(|place| {
                let parent = self.assembly.reference_to(&place);
                found.thing(place, parent)
            });
            match thing {
                Ok(remote) => match things.iter_mut().find(|(other, _)| is_same(other, &remote)) {
                    None => things.push((remote, found)),
                    // Another entry of the same map.
                    Some((other, _))
                        if found.resource.entry.is_some()
                            && other.state.select(&remote.state).is_empty() =>
                    {
                        other.state = other.state.overlay(&remote.state);
                    }
                    Some((_, other)) if is_selected => {
                        let why = format!("it is the same as {}", other.instance.address);
                        self.omit(found.instance, &why);
                    }
                    Some(_) => {}
                },
                Err(why) if is_selected => self.omit(found.instance, &why),
                Err(_) => {}
            }
        }
        things.sort_by(|(a, _), (b, _)| (&a.place, &a.subject).cmp(&(&b.place, &b.subject)));
        for (remote, found) in things {
            self.add(entry, remote, found)?;
        }
        Ok(())
    }

    /// The place of what is in these, from the outside in. `Err`: why it has none.
    fn place<'t>(
        &mut self,
        within: &[Parent],
        text: impl Fn(&str) -> Option<&'t str>,
    ) -> Result<Result<Place, String>, ExportError> {
        let mut place = Ok(Place::instance());
        for Parent { attribute, kind } in within {
            place = match (text(attribute), self.registry.find(kind)) {
                (None, _) => Err(format!("the state does not say its {attribute}")),
                (Some(id), _) if self.places.contains_key(id) => {
                    Ok(self.places.get(id).cloned().unwrap_or_default())
                }
                (Some(id), None) => {
                    Err(format!("its {attribute} {id} is of nothing that this state manages"))
                }
                // Where that is in turn is of use for its name only.
                (Some(id), Some(entry)) => {
                    Ok(self.foreign(entry, place.unwrap_or_default(), id)?)
                }
            };
        }
        let has_name = |place: &Place| match self.assembly.reference_to(place) {
            Some((field, _)) => !field.is_empty(),
            None => true,
        };
        Ok(place.and_then(|place| {
            let why = "it has to be declared with what it is in, which this state does not manage";
            if has_name(&place) { Ok(place) } else { Err(why.to_owned()) }
        }))
    }

    /// What others are in, and this state does not manage.
    fn foreign(&mut self, entry: Entry, place: Place, id: &str) -> Result<Place, ExportError> {
        let (state, reported) = (Fields::default(), Fields::default());
        let subject = Subject::from(id);
        let remote = Remote { subject, place, state, reported, own: true, version: None };
        self.ask(entry, &remote);
        self.put(entry, &remote, false)?;
        Ok(self.registry.place_below(entry, &remote.place, id))
    }

    /// Adds a thing, with its Secret, and notes what is to be said of it.
    fn add(&mut self, entry: Entry, mut remote: Remote, found: &Found) -> Result<(), ExportError> {
        self.ask(entry, &remote);
        let is_wanted = found.instance.is_managed && self.is_asked(entry, &remote);
        if is_wanted {
            let declared = self.secret(entry, &mut remote, found);
            if let (true, Err(why)) = (found.is_key(), declared) {
                self.omit(found.instance, &format!("it is nothing but its secret, {why}"));
                return Ok(());
            }
            self.input(entry, &mut remote, found);
            let lacking = found.lacking().map(ToOwned::to_owned);
            let of_type = found.instance.resource.clone();
            self.converted.lacking.entry(of_type).or_default().extend(lacking);
            self.note_foreign(entry, &remote);
        }
        self.put(entry, &remote, is_wanted)
    }

    /// Keeps the secret of a thing and declares its Secret. `Err`: why it declares none.
    fn secret(
        &mut self,
        entry: Entry,
        remote: &mut Remote,
        found: &Found,
    ) -> Result<(), &'static str> {
        if !found.has_secret() {
            return Err("which is not in the state");
        }
        if !self.secrets {
            self.converted.secrets_left += 1;
            return Err("which is left out");
        }
        let name = self.assembly.secret_name(entry, remote).unwrap_or_default();
        let data = found.secret(&name).into_iter().collect();
        self.converted.secrets.push(Secret { name: name.clone(), data });
        let named = Fields::from(json!({"secret": {"name": name}}));
        remote.state = remote.state.overlay(&named);
        Ok(())
    }

    /// Keeps what ZITADEL got and declares the Secret that it comes from.
    fn input(&mut self, entry: Entry, remote: &mut Remote, found: &Found) {
        let Some((input, value)) = found.input() else { return };
        if !self.secrets {
            self.converted.secrets_left += 1;
            return;
        }
        let name = self.assembly.secret_name(entry, remote).unwrap_or_default();
        let key = input.field.rsplit('.').next().unwrap_or_default().to_owned();
        let source = [("name", &name), ("key", &key)];
        let source = source
            .map(|(part, text)| (format!("{}.{part}", input.reference), text.as_str().into()));
        let named = Fields::from_map(source.into_iter().collect());
        remote.state = remote.state.overlay(&named);
        self.converted.secrets.push(Secret { name, data: [(key, value)].into() });
    }

    /// Ids that only who may act on the instance can name.
    fn note_foreign(&mut self, entry: Entry, remote: &Remote) {
        let parent = self.assembly.reference_to(&home_of(entry, &remote.place));
        let parent = parent.and_then(|(field, value)| Some((field, value.as_str()?.to_owned())));
        let inputs = entry.references.iter().filter(|r| r.role != Role::Parent);
        let inputs = inputs.filter(|r| r.by_id == ById::InstanceScope).filter_map(|r| {
            let id = remote.state.text(r.id_field).filter(|id| !id.is_empty())?;
            let is_foreign = self.assembly.name_of(r, id).is_none();
            is_foreign.then(|| (r.id_field, id.to_owned()))
        });
        let foreign: Vec<_> = parent.into_iter().chain(inputs).collect();
        let foreign = foreign.into_iter().map(|(field, id)| (field.to_owned(), id));
        self.converted.foreign.extend(foreign);
    }

    /// Notes an organization that was asked for.
    fn ask(&mut self, entry: Entry, remote: &Remote) {
        let (Some(id), true) = (remote.id(), self.registry.root() == Some(entry)) else { return };
        let name = remote.state.text("name");
        for asked in &self.selection.organizations {
            if asked == id || name.is_some_and(|name| name.eq_ignore_ascii_case(asked)) {
                self.asked.extend([asked.clone(), id.to_owned()]);
            }
        }
    }

    fn put(&mut self, entry: Entry, remote: &Remote, wanted: bool) -> Result<(), ExportError> {
        self.assembly.add(entry, remote, wanted)?;
        if let Some(id) = remote.id() {
            let place = self.registry.place_below(entry, &remote.place, id);
            if self.assembly.has_home(&place) {
                self.places.insert(id.to_owned(), place);
            }
        }
        Ok(())
    }

    /// Whether it is among what was asked for.
    fn is_asked(&self, entry: Entry, remote: &Remote) -> bool {
        let is_root = self.registry.root() == Some(entry);
        let organization = match &remote.place.organization {
            None if is_root => remote.id(),
            organization => organization.as_deref(),
        };
        self.selection.has(entry)
            && (self.selection.organizations.is_empty()
                || organization.is_some_and(|id| self.asked.contains(id)))
    }
}

fn is_same(a: &Remote, b: &Remote) -> bool {
    (&a.place, &a.subject) == (&b.place, &b.subject)
}
