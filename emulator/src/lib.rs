//! A ZITADEL that fits in a test.
//!
//! It speaks the part of ZITADEL's interfaces that an operator of projects, organizations and
//! settings calls, from memory and at once, and it is event-sourced like the real one: commands
//! append events to a log, two models follow it, and what a query answers comes from the second.
//! That is why it can do what real servers do to their clients: reads that lag behind writes, an
//! event that never reaches the read side, an organization that is recreated and inherits what it
//! forgot.
//!
//! Its truth is what a real server answered, exchange by exchange: the recordings in `recordings/`.
//! `cargo test -p zitadel-emulator` replays them.
//!
//! # In a test
//! In process, as a tower service:
//!
//! ```
//! use axum::{body::Body, http::Request};
//! use tower::ServiceExt as _;
//! use zitadel_emulator::{Action, Emulator, Options, Rule};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let zitadel = Emulator::new(Options::default())?;
//! zitadel.faults().add(Rule::new(Action::Unavailable).path("/admin/v1/restrictions").times(1));
//! let call = || {
//!     Request::get("/admin/v1/restrictions")
//!         .header("authorization", format!("Bearer {}", zitadel.pat()))
//!         .body(Body::empty())
//! };
//! assert_eq!(zitadel.router().oneshot(call()?).await?.status(), 503);
//! assert_eq!(zitadel.router().oneshot(call()?).await?.status(), 200);
//! assert_eq!(zitadel.calls().len(), 2);
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! Over a socket: [`Emulator::start`] gives a [`Running`] with its URL.
//!
//! # As a program
//! ```text
//! cargo run -p zitadel-emulator -- --pat-file admin.pat --key-file admin.json
//! ```
//!
//! # Faults
//! [`Faults`] lists them all; [`Rule`] and [`Action`] are those that strike single calls.
//! Everything is a switch over HTTP as well, on every host and without a token (times in
//! milliseconds, bodies in JSON with `content-type: application/json`):
//!
//! | call | body | does |
//! | --- | --- | --- |
//! | `GET /_emulator` | | instance id, number of events, calls and writes |
//! | `POST /_emulator/reset` | | [`Emulator::reset`]: a fresh instance, the same credentials |
//! | `GET /_emulator/events` | | all events; `?aggregateType=`, `?aggregateId=` |
//! | `GET`, `DELETE /_emulator/calls` | | the calls, and how often each route was called; forgets them |
//! | `POST /_emulator/users` | `{"userName", "displayName", "roles": ["ORG_OWNER"]}` | [`Emulator::add_user`] |
//! | `PUT /_emulator/users/{id}/roles` | `{"roles": []}` | [`Emulator::set_roles`]: lists hide what an account without a role may not see |
//! | `POST /_emulator/faults` | a [`Rule`]: `{"action": {"type": "tooManyRequests", "retryAfter": 1}, "method": "POST", "path": "/management/v1/*", "skip": 0, "times": 1}` | [`Faults::add`] |
//! | `GET`, `DELETE /_emulator/faults` | | the rules that are left; ends all faults |
//! | `POST /_emulator/conditions` | any of `{"latency": {"read": 20, "write": 40}, "lag": 500, "loseEvery": 100, "lateCommits": 50, "oneDate": 100, "tokenLifetime": 60000, "expiresIn": 18446744073709551615}` | [`Faults::latency`], [`Faults::lag`], [`Faults::lose_every`], [`Faults::late_commits`], [`Faults::one_date`], [`Faults::token_lifetime`], [`Faults::expires_in`] |
//! | `POST /_emulator/lose-next` | `{"eventType": "project.added"}` | [`Faults::lose_next`] |
//! | `POST /_emulator/missing` | `{"path": "/zitadel.project.v2", "status": 404}` | [`Faults::missing`] |
//! | `POST /_emulator/expire-tokens` | | [`Faults::expire_tokens`] |
//! | `POST /_emulator/refuse-tokens` | `{"status": 400, "error": "invalid_grant", "times": 1}` | [`Faults::refuse_tokens`] |
//! | `POST /_emulator/refuse-organization` | `{"id": "..."}` | [`Faults::refuse_organization`] |
//! | `POST /_emulator/report-instance` | `{"id": "..."}` | [`Faults::report_instance_id`] |
//! | `POST /_emulator/advance` | `{"milliseconds": 60000}` | [`Faults::advance`] |
//! | `POST /_emulator/new-instance` | | [`Faults::new_instance`] |
//! | `POST /_emulator/down` | `{"outage": "reset"}` or `{"outage": "unavailable"}` | [`Faults::down`] |
//! | `POST /_emulator/up` | | [`Faults::up`] |
//!
//! The actions of a rule:
//!
//! | action | does |
//! | --- | --- |
//! | `{"type": "tooManyRequests", "retryAfter": 1}`, `{"type": "unavailable"}`, `{"type": "expiredToken"}` | 429, 503, 401 in ZITADEL's own form |
//! | `{"type": "status", "status": 502}` | a status with a plain body, as a proxy answers |
//! | `{"type": "answer", "status": 500, "body": "{\"events\": ["}` | any status and body: JSON, or a text that is none; with `"path": "/admin/v1/events/_search"` only the feed fails |
//! | `{"type": "alter", "pointer": "/projects/0/state", "value": "PROJECT_STATE_FROZEN"}` | one value of the answer is another; without `value` it is missing: one odd row in a list |
//! | `{"type": "firstPage"}` | a list whose pages never end |
//! | `{"type": "inflate", "bytes": 100000000}`, `{"type": "endless"}` | a huge body, and one that never ends |
//! | `{"type": "reset"}`, `{"type": "truncate"}` | the connection is reset at once, or after half of the answer |
//! | `{"type": "loseAnswer"}`, `{"type": "loseAnswerWith", "status": 504}` | the call takes effect, its answer is lost |
//! | `{"type": "delay", "milliseconds": 50}`, `{"type": "delayAnswer", "milliseconds": 50}` | waits before it is handled, or before it is answered |
//!
//! # Another kind of thing
//! A file in `api/` with its table of routes, and, where the thing has a life of its own, one in
//! `model/` that says what its events add up to. The order of checks, the reading and checking of
//! requests, permissions, errors, pages and the feed are there.
//!
//! # Not there
//! Login, metadata, features, and most of what people have: the interfaces of these answer 404 as
//! unknown paths do. Metadata of SAML that are to be fetched count as missing.

mod api;
mod auth;
mod calls;
mod clock;
mod connection;
mod control;
mod emulator;
mod errors;
mod faults;
mod json;
mod keys;
mod message;
mod model;
mod parsers;
mod proto;
mod roles;
mod running;
mod server;
mod setup;
mod signing;
mod state;
mod store;
mod strike;

pub use calls::Call;
pub use emulator::{Emulator, Error, NewUser, Options};
pub use faults::{Action, Backup, Faults, Outage, Rule};
pub use roles::{DefaultRole, Level, default_roles};
pub use running::Running;
pub use server::Reset;
pub use store::{Editor, Event};
