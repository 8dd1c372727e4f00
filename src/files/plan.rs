//! What is to be done for the objects of a folder. Reads ZITADEL; writes nothing.

use std::{collections::BTreeSet, sync::Arc};

use futures::{StreamExt, stream};

use super::{
    order,
    session::{Session, is_connection},
    step::{Failure, Need, Planned, Step},
};
use crate::{
    api::{
        spec::{is_suspended, only_observes},
        status::{Drift, Reason},
    },
    contract::{Cut, Entry, Key, Object},
    engine::{
        Error,
        error::Waiting,
        plan::{self, Preview},
        report,
        resolve::PlannedIds,
    },
    kinds::REGISTRY,
};

/// Objects that are worked on at once. Calls are limited by the connection; many in flight let one
/// list show many writes.
pub(super) const AT_ONCE: usize = 512;

impl Session {
    /// What is to be done for every object, in the order of references. Reads only.
    pub async fn plan(&self) -> Vec<Planned> {
        let mut all = Vec::new();
        let mut ids = PlannedIds::new();
        for level in order::levels(&self.host, &self.host.objects()) {
            for (planned, known) in self.preview_level(&level, &ids, true).await {
                self.inform_dependants(&planned.object, &planned.step, known, &mut ids);
                all.push(planned);
            }
        }
        all
    }

    /// Others refer to an object by its status: in a plan too it says what is known.
    fn inform_dependants(&self, object: &Object, step: &Step, known: Known, ids: &mut PlannedIds) {
        let status = match (step, known) {
            (Step::Do(_), Known { planned: Some(planned), .. }) => {
                ids.insert(object.key.clone(), planned);
                return;
            }
            (Step::Do(_) | Step::Observe(_), Known { status: Some(status), .. }) => status,
            (Step::Do(_) | Step::Observe(_), _) => return,
            (Step::Suspended, _) => report::as_failed(object, Reason::Suspended, "it is suspended"),
            (Step::Fail(f), _) => report::as_failed(object, f.reason, &f.message),
        };
        self.host.put(Object { status, ..object.clone() });
    }

    pub(super) async fn plan_level(&self, level: &[Arc<Object>], ids: &PlannedIds) -> Vec<Planned> {
        self.preview_level(level, ids, false)
            .await
            .into_iter()
            .map(|(planned, _)| planned)
            .collect()
    }

    /// `counts`: what the changes take from others is asked for too.
    async fn preview_level(
        &self,
        level: &[Arc<Object>],
        ids: &PlannedIds,
        counts: bool,
    ) -> Vec<(Planned, Known)> {
        let level: Vec<&Arc<Object>> = level.iter().filter(|o| !is_connection(o)).collect();
        let mut planned: Vec<(Planned, Known)> = Vec::new();
        let mut again: BTreeSet<Key> = BTreeSet::new();
        let previews = stream::iter(level)
            .map(|o| async move {
                let preview = self.preview(o, ids).await;
                let cuts = match (&preview, REGISTRY.find(o.key.kind)) {
                    (Some(preview), Some(entry)) if counts => {
                        preview.cuts(&self.engine, entry).await
                    }
                    _ => Vec::new(),
                };
                (o.clone(), preview, cuts)
            })
            .buffered(AT_ONCE);
        let mut previews = std::pin::pin!(previews);
        while let Some((object, preview, cuts)) = previews.next().await {
            let Some(preview) = preview else {
                let step = Step::Suspended;
                planned.push((Planned { object, step, place: None, cuts }, Known::default()));
                continue;
            };
            again.extend(preview.wake.iter().cloned());
            planned.push(read(object, preview, cuts));
        }
        // The plan of an object that lost a claim to a later one has changed.
        for p in planned.iter_mut().filter(|(p, _)| again.contains(&p.object.key)) {
            if let Some(preview) = self.preview(&p.0.object, ids).await {
                *p = read(p.0.object.clone(), preview, std::mem::take(&mut p.0.cuts));
            }
        }
        planned
    }

    pub(super) async fn preview(&self, object: &Object, ids: &PlannedIds) -> Option<Preview> {
        if is_suspended(&object.spec) {
            return None;
        }
        Some(plan::plan(&self.engine, &self.host, object, ids).await)
    }
}

/// What a plan tells of an object to those that refer to it.
#[derive(Default)]
struct Known {
    planned: Option<(crate::contract::Place, String)>,
    status: Option<crate::api::status::Status>,
}

fn read(object: Arc<Object>, preview: Preview, cuts: Vec<Cut>) -> (Planned, Known) {
    let known = Known { planned: preview.planned(), status: preview.status };
    let step = match preview.plan {
        Ok(plan) if only_observes(&object.spec) => Step::Observe(Box::new(plan)),
        Ok(plan) => Step::Do(Box::new(plan)),
        Err(e) => Step::Fail(refused(REGISTRY.find(object.key.kind), &e, preview.drift)),
    };
    (Planned { object, step, place: preview.place, cuts }, known)
}

fn refused(entry: Option<Entry>, e: &Error, drift: Vec<Drift>) -> Failure {
    Failure {
        reason: e.reason(),
        message: entry.map_or_else(String::new, |entry| report::sentence(e, entry)),
        drift,
        need: match e {
            Error::NotConnected { .. } => Need::Connection,
            Error::Waiting(Waiting::Value { kind: "Secret", .. }) => Need::Secret,
            _ => Need::Object,
        },
    }
}
