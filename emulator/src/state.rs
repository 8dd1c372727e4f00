//! The state of one emulated instance: the log, the two models of it, and the tokens.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    ops::Range,
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use tokio::time::Instant;

use crate::{
    api::{assets::Stored, credentials},
    clock::Clock,
    errors::ApiError,
    model::{Model, Side, policy, web_key::WebKey},
    roles,
    signing::Signer,
    store::{Aggregate, Draft, Editor, Position, Store},
};

mod standstill;

use standstill::Standstill;

/// How long tokens of the token endpoint are good.
pub(crate) const TOKEN_LIFETIME: Duration = Duration::from_hours(12);

/// How the read side misbehaves.
#[derive(Default)]
pub(crate) struct Projection {
    /// How long after its write an event reaches the read side.
    pub(crate) lag: Duration,
    /// Every how many-th event never reaches it.
    pub(crate) lose_every: Option<u64>,
    /// Types of events of which the next never reaches it.
    pub(crate) lose_next: Vec<String>,
    /// How much later than its date an event may show up in the feed.
    pub(crate) late_commits: Duration,
    counted: u64,
}

impl Projection {
    /// Whether this event is lost on the way to the read side.
    fn loses(&mut self, event_type: &str) -> bool {
        if let Some(index) = self.lose_next.iter().position(|lost| lost == event_type) {
            self.lose_next.remove(index);
            return true;
        }
        self.counted += 1;
        self.lose_every.is_some_and(|every| every > 0 && self.counted.is_multiple_of(every))
    }
}

/// What a bearer token stands for.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) user: String,
    pub(crate) id: String,
    /// Whether it is a personal access token, and not one from the token endpoint.
    pub(crate) personal: bool,
    pub(crate) issued: Timestamp,
    pub(crate) expires: Option<Timestamp>,
    /// The web key that it is signed with, if it is signed.
    pub(crate) key: Option<String>,
    /// Behind how many events it was made, for one from the token endpoint.
    pub(crate) made: Position,
    /// Whether it may be used on ZITADEL's own interfaces.
    pub(crate) for_zitadel: bool,
    pub(crate) scopes: Vec<String>,
}

/// Everything. It lives behind one lock.
pub(crate) struct State {
    pub(crate) clock: Clock,
    pub(crate) store: Store,
    /// What commands check.
    pub(crate) write: Model,
    /// What queries answer.
    pub(crate) read: Model,
    pub(crate) projection: Projection,
    pending: VecDeque<(Instant, Position)>,
    standstill: Standstill,
    pub(crate) tokens: HashMap<String, Token>,
    pub(crate) token_lifetime: Duration,
    pub(crate) instance_id: String,
    pub(crate) domain: String,
    /// The account that the first personal access token belongs to.
    pub(crate) admin: String,
    /// Organizations that calls are told not to exist.
    pub(crate) refused_organizations: HashSet<String>,
    /// What can be found elsewhere: texts by the names of TXT records and the addresses of files.
    pub(crate) published: BTreeMap<String, String>,
    /// What roles permit that were given other permissions.
    pub(crate) changed_roles: BTreeMap<String, Vec<String>>,
    /// The files that policies name: by their owner, and by their name in the storage.
    pub(crate) assets: HashMap<(String, String), Stored>,
    /// Keys that sign what is sent to webhooks, by what events hold of them.
    signing_keys: HashMap<String, String>,
    /// The halves of web keys that were needed so far, by the ids of the keys.
    signers: HashMap<String, Arc<Signer>>,
}

impl State {
    pub(crate) fn new(domain: &str) -> Self {
        let mut clock = Clock::new();
        Self {
            instance_id: clock.id(),
            clock,
            store: Store::default(),
            write: Model::new(Side::Write),
            read: Model::new(Side::Read),
            projection: Projection::default(),
            pending: VecDeque::new(),
            standstill: Standstill::default(),
            tokens: HashMap::new(),
            token_lifetime: TOKEN_LIFETIME,
            domain: domain.to_owned(),
            admin: String::new(),
            refused_organizations: HashSet::new(),
            published: BTreeMap::new(),
            changed_roles: BTreeMap::new(),
            assets: HashMap::new(),
            signing_keys: HashMap::new(),
            signers: HashMap::new(),
        }
    }

    /// What a role permits.
    pub(crate) fn permissions<'a>(&'a self, role: &'a str) -> impl Iterator<Item = &'a str> {
        let changed = self.changed_roles.get(role);
        let default = changed.is_none().then(|| roles::permissions(role)).into_iter().flatten();
        let changed = changed.into_iter().flatten().map(String::as_str);
        changed.chain(default.map(|permission: &str| permission))
    }

    /// A new key for a webhook.
    pub(crate) fn new_signing_key(&mut self) -> String {
        let key = credentials::random_text(36);
        self.signing_keys.insert(credentials::hash(&key), key.clone());
        key
    }

    /// The key that an event holds encrypted.
    pub(crate) fn signing_key(&self, encrypted: Option<&serde_json::Value>) -> Option<&str> {
        let crypted = encrypted?.get("Crypted")?.as_str()?;
        self.signing_keys.get(crypted).map(String::as_str)
    }

    /// What signs with a web key, made when it is first asked for.
    pub(crate) fn signer(&mut self, key: &WebKey) -> Option<Arc<Signer>> {
        if let Some(signer) = self.signers.get(&key.id) {
            return Some(Arc::clone(signer));
        }
        let signer = Arc::new(Signer::new(&key.id, key.config(), self.signers.len())?);
        self.signers.insert(key.id.clone(), Arc::clone(&signer));
        Some(signer)
    }

    /// The instance as an aggregate.
    pub(crate) fn instance(&self) -> Aggregate {
        Aggregate::instance(&self.instance_id)
    }

    /// Appends a transaction. The write side sees it at once, the read side when it should.
    ///
    /// # Errors
    /// 409 when a unique name is taken.
    pub(crate) fn push(
        &mut self,
        editor: &Editor,
        drafts: Vec<Draft>,
    ) -> Result<Range<Position>, ApiError> {
        let date = self.clock.date();
        let visible = (!self.projection.late_commits.is_zero())
            .then(|| Instant::now() + self.projection.late_commits.mul_f64(rand::random::<f64>()));
        let range = self.store.append(editor, date, drafts, visible)?;
        let mut written = range.clone().filter_map(|position| self.store.get(position));
        if written.any(standstill::concerns) && self.standstill.tries_again() {
            self.resume(false);
        }
        let due = Instant::now() + self.projection.lag;
        for position in range.clone() {
            let Some(event) = self.store.get(position) else {
                continue;
            };
            self.write.apply(position, event);
            if !self.projection.loses(event.event_type) {
                self.pending.push_back((due, position));
            }
        }
        self.catch_up();
        Ok(range)
    }

    /// Lets the read side apply what is due.
    pub(crate) fn catch_up(&mut self) {
        let now = Instant::now();
        if self.standstill.is_over(now) {
            self.resume(true);
        }
        while let Some((due, position)) = self.pending.front().copied()
            && due <= now
        {
            self.pending.pop_front();
            if let Some(event) = self.store.get(position)
                && !self.standstill.holds(position, event, &self.read)
            {
                self.read.apply(position, event);
            }
        }
    }

    /// Gives up the event at which the tables of applications stand still, and goes on to the next
    /// such, or beyond all of them.
    fn resume(&mut self, beyond_all: bool) {
        while let Some(position) = self.standstill.next(beyond_all, &self.read, &self.store) {
            if let Some(event) = self.store.get(position) {
                self.read.apply(position, event);
            }
        }
    }

    /// How a user signs its events.
    pub(crate) fn editor(&self, user: &str) -> Editor {
        Editor {
            user_id: user.to_owned(),
            display_name: self
                .write
                .users
                .get(user)
                .map(|user| user.display_name().to_owned())
                .unwrap_or_default(),
            service: "zitadel".to_owned(),
        }
    }

    /// Whether login names in an organization carry its domain.
    pub(crate) fn login_must_be_domain(model: &Model, instance: &str, organization: &str) -> bool {
        model
            .policy(organization, &policy::DOMAIN)
            .or_else(|| model.policy(instance, &policy::DOMAIN))
            .is_some_and(|policy| policy.fields.flag("userLoginMustBeDomain"))
    }

    /// Whether the domains of an organization have to be proved.
    pub(crate) fn must_validate_domains(model: &Model, instance: &str, organization: &str) -> bool {
        model
            .policy(organization, &policy::DOMAIN)
            .or_else(|| model.policy(instance, &policy::DOMAIN))
            .is_some_and(|policy| policy.fields.flag("validateOrgDomains"))
    }

    /// The same instance under another id, as after a restore: everything the instance owns moves.
    pub(crate) fn rename_instance(&mut self) {
        let former = std::mem::replace(&mut self.instance_id, self.clock.id());
        self.store.rename(&former, &self.instance_id);
        self.replay();
    }

    /// Goes back to what it knew then.
    pub(crate) fn restore(&mut self, store: Store) {
        self.store = store;
        self.replay();
    }

    fn replay(&mut self) {
        self.write = Model::new(Side::Write);
        self.read = Model::new(Side::Read);
        self.pending.clear();
        self.standstill = Standstill::default();
        for (position, event) in self.store.all().iter().enumerate() {
            self.write.apply(position, event);
            self.read.apply(position, event);
        }
    }
}
