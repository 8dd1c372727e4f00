//! The emulator as a library: options and the handle.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::Value;
use tokio::net::TcpListener;

use crate::{
    api::{credentials, users},
    calls::{Call, Calls},
    faults::Faults,
    keys::{BadKey, KeyFile, Pair},
    model::provider::Provider,
    proto::Request,
    running::Running,
    server,
    setup::{FAR, fresh, memberships},
    state::State,
    store::{Aggregate, Editor, Event},
};

/// How an emulator starts.
#[derive(Clone, Debug)]
pub struct Options {
    /// The host name of the instance; calls of another host are answered 404.
    pub domain: String,
    /// The personal access token of the first machine user; a random one if nothing is said.
    pub pat: Option<String>,
    /// The key file (JSON) of the first machine user. Without one, a key is made when
    /// [`Emulator::key_file`] first asks for it.
    pub key_file: Option<String>,
    /// How long reads take.
    pub delay_read: Duration,
    /// How long writes take.
    pub delay_write: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            domain: "localhost".to_owned(),
            pat: None,
            key_file: None,
            delay_read: Duration::ZERO,
            delay_write: Duration::ZERO,
        }
    }
}

/// Why an emulator did not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The key file is no JSON of the form that ZITADEL makes.
    #[error("the key file is not readable: {0}")]
    KeyFile(#[from] serde_json::Error),
    /// The key in the key file is none.
    #[error("the key file holds no RSA key in PEM")]
    Key,
}

impl From<BadKey> for Error {
    fn from(_: BadKey) -> Self {
        Self::Key
    }
}

/// A user that was added by [`Emulator::add_user`].
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct NewUser {
    /// Its id.
    pub id: String,
    /// Its personal access token.
    pub pat: String,
}

/// A handle on an emulated instance. Cheap to clone; all clones are the same instance.
#[derive(Clone)]
pub struct Emulator {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) options: Options,
    state: Arc<Mutex<State>>,
    pub(crate) faults: Faults,
    pub(crate) calls: Calls,
    credentials: Mutex<Credentials>,
}

struct Credentials {
    pat: String,
    key_file: Option<String>,
}

impl Emulator {
    /// Makes a fresh instance: one organization `ZITADEL`, one machine user `admin-sa` that owns
    /// instance and organization.
    ///
    /// # Errors
    /// When the options hold a key file that is none.
    pub fn new(options: Options) -> Result<Self, Error> {
        let pat = options.pat.clone().unwrap_or_else(credentials::new_token);
        let (state, key_file) = fresh(&options, &pat)?;
        let state = Arc::new(Mutex::new(state));
        let faults = Faults::new(Arc::clone(&state));
        faults.latency(options.delay_read, options.delay_write);
        Ok(Self {
            shared: Arc::new(Shared {
                options,
                state,
                faults,
                calls: Calls::default(),
                credentials: Mutex::new(Credentials { pat, key_file }),
            }),
        })
    }

    /// The instance as an axum router: a tower service to call in process, without a socket. Calls
    /// without a `Host` are meant for the instance. A reset connection is, in process, an answer
    /// with the extension [`crate::Reset`] whose body fails.
    pub fn router(&self) -> axum::Router {
        server::router(self)
    }

    /// Serves on a listener until the future is dropped.
    ///
    /// # Errors
    /// Those of the listener.
    pub async fn serve(&self, listener: TcpListener) -> std::io::Result<()> {
        server::serve(self, listener).await
    }

    /// Makes a fresh instance and serves it on a free port of the loopback.
    ///
    /// # Errors
    /// When the options are bad, or no port is free.
    pub async fn start(options: Options) -> std::io::Result<Running> {
        let emulator = Self::new(options).map_err(std::io::Error::other)?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        Running::on(emulator, listener)
    }

    /// The personal access token of the first machine user.
    pub fn pat(&self) -> String {
        self.credentials().pat.clone()
    }

    /// The key file of the first machine user, as JSON. The first call makes the key, if none was
    /// given.
    pub fn key_file(&self) -> String {
        let mut credentials = self.credentials();
        if let Some(file) = &credentials.key_file {
            return file.clone();
        }
        let file = self.add_admin_key().unwrap_or_default();
        credentials.key_file = Some(file.clone());
        file
    }

    fn add_admin_key(&self) -> Result<String, Error> {
        let pair = Pair::shared()?;
        let mut state = self.state();
        let key = state.clock.id();
        let user = state.write.users.get(&state.admin);
        let owner = user.map(|user| user.stamp.owner.clone()).unwrap_or_default();
        let user = Aggregate::new("user", &*state.admin, owner);
        let file = KeyFile {
            r#type: "serviceaccount".to_owned(),
            key_id: key.clone(),
            key: pair.private.clone(),
            expiration_date: FAR.to_owned(),
            user_id: user.id.clone(),
        };
        let draft = credentials::key_added(&user, &key, FAR, &pair.public);
        let _ = state.push(&Editor::server(), vec![draft]);
        Ok(serde_json::to_string(&file)?)
    }

    /// The instance's id.
    pub fn instance_id(&self) -> String {
        self.state().instance_id.clone()
    }

    /// The id of the first machine user.
    pub fn admin_id(&self) -> String {
        self.state().admin.clone()
    }

    /// Everything that happened so far.
    pub fn events(&self) -> Vec<Event> {
        self.state().store.all().to_vec()
    }

    /// Whether what sends e-mails, or SMS, or logs people in by another provider, has this secret:
    /// what counts is what the read side knows.
    pub fn has_secret(&self, id: &str, secret: &str) -> bool {
        let state = self.state();
        let providers = [&state.read.emails, &state.read.texts];
        let sent = providers.into_iter().filter_map(|all| all.get(id)?.secret());
        let mut sent = sent.chain(state.read.providers.get(id).and_then(Provider::secret));
        let is_it = |kept: &Value| {
            kept.get("Crypted").and_then(Value::as_str) == Some(&*credentials::hash(secret))
        };
        sent.any(is_it)
    }

    /// Somebody publishes a text: in the TXT record of a name, or at an address.
    pub fn publish(&self, location: &str, text: &str) {
        self.state().published.insert(location.to_owned(), text.to_owned());
    }

    /// Time passes for the keys that sign tokens: what was done to them was done so much earlier.
    pub fn age_web_keys(&self, by: Duration) {
        let mut state = self.state();
        state.write.web_keys.age(by);
        state.read.web_keys.age(by);
    }

    /// How much happened so far.
    pub fn event_count(&self) -> usize {
        self.state().store.len()
    }

    /// The calls since the start or [`Self::reset_calls`], oldest first (the last 100,000). Calls
    /// of `/_emulator` do not count.
    pub fn calls(&self) -> Vec<Call> {
        self.shared.calls.all()
    }

    /// Forgets the calls.
    pub fn reset_calls(&self) {
        self.shared.calls.reset();
    }

    /// The switches of faults and latency.
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// Starts afresh: another instance, with the same credentials. Faults and calls are forgotten.
    ///
    /// # Errors
    /// None after a start that went well.
    pub fn reset(&self) -> Result<(), Error> {
        let credentials = self.credentials();
        let options =
            Options { key_file: credentials.key_file.clone(), ..self.shared.options.clone() };
        let (state, _) = fresh(&options, &credentials.pat)?;
        *self.state() = state;
        self.faults().clear();
        self.faults().latency(options.delay_read, options.delay_write);
        self.reset_calls();
        Ok(())
    }

    /// Adds a machine user in the first organization, with roles in the instance (`IAM_OWNER`,
    /// `IAM_OWNER_VIEWER`, ...) or in that organization (`ORG_OWNER`, ...), to make changes as
    /// somebody else. A user name that is taken gets a number behind it.
    pub fn add_user(&self, user_name: &str, display_name: &str, roles: &[&str]) -> NewUser {
        let mut state = self.state();
        let id = state.clock.id();
        let token = state.clock.id();
        let organization = state.write.instance.default_organization().to_owned();
        let pat = credentials::new_token();
        let mut name = user_name.to_owned();
        let mut number = 1;
        while !state.store.is_free("usernames", &name) {
            number += 1;
            name = format!("{user_name}-{number}");
        }
        let mut request = Request::default();
        request.0.insert("userName".to_owned(), name.into());
        request.0.insert("name".to_owned(), display_name.into());
        let user = Aggregate::new("user", &*id, &*organization);
        let mut drafts = vec![
            users::creation(&state, &id, &organization, &request),
            credentials::token_added(&user, &token, FAR),
        ];
        drafts.extend(memberships(&state, &id, &organization, roles));
        let _ = state.push(&Editor::server(), drafts);
        credentials::register_token(&mut state, &pat, &id, &token, &credentials::TOKEN_SCOPES);
        NewUser { id, pat }
    }

    /// Gives a user these roles in the instance and in the first organization, and takes all others
    /// from it; none, and its lists are empty.
    pub fn set_roles(&self, user_id: &str, roles: &[&str]) {
        let mut state = self.state();
        let organization = state.write.instance.default_organization().to_owned();
        let mut drafts = users::cascade(&state, user_id);
        drafts.extend(memberships(&state, user_id, &organization, roles));
        let _ = state.push(&Editor::server(), drafts);
    }

    /// From now on, until [`Self::reset`], a role permits exactly this, whatever ZITADEL's role of
    /// that name does.
    pub fn set_permissions(&self, role: &str, permissions: &[&str]) {
        let permissions = permissions.iter().map(|permission| (*permission).to_owned()).collect();
        self.state().changed_roles.insert(role.to_owned(), permissions);
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn credentials(&self) -> MutexGuard<'_, Credentials> {
        self.shared.credentials.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
