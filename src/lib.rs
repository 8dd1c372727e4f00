//! *Kastellan keeps a ZITADEL instance in the state that Git declares.*
//!
//! One binary: as a Kubernetes operator it watches custom resources, as a command line tool it
//! reads a folder of manifests. Both compare what is declared with the live ZITADEL and issue the
//! calls that make the two agree. It is the same engine.
//!
//! # Two informers and one diff
//! ```text
//! Kubernetes / folder of manifests              ZITADEL
//!         list + watch                    list + event feed
//!              │                                │
//!              ▼                                ▼
//!        Desired store  ──►   diff   ◄──   Live store
//!                               │
//!                    the smallest set of writes
//!                               │
//!                               ▼
//!                    ZITADEL ──► read again ──► equal? ──► status Ready
//! ```
//! The live store is filled by lists, never by one request per object, and kept by ZITADEL's event
//! feed: one or two small requests every few seconds tell of every change, and of who made it.
//! After an own write nothing older than the write is believed.
//!
//! # Rules of behaviour
//! 1. A field that is omitted is not managed: a write is the live value, overlaid with the declared
//!    fields.
//! 2. Compare first, write only a difference. Errors are told apart by code and id, never by their
//!    text.
//! 3. A name is not an identity: an object is bound to an id, through one Instance object. A rename
//!    renames; a repeated create creates nothing twice.
//! 4. What exists already is adopted only as the policy says. What a setting held before is
//!    remembered.
//! 5. What was created here is deleted, what was adopted is kept. Deletion always comes to an end.
//! 6. One owner for each remote thing: the older object wins, and hands over when it goes.
//! 7. Nothing is invented: an organization must have been seen before anything is written to it.
//! 8. A bad object is its own problem.
//! 9. Secrets are read when needed, and never shown.
//!
//! # Layers
//! From the bottom to the top; imports point down only:
//!
//! | Module | What it is |
//! |---|---|
//! | [`api`] | fields of specs and statuses that kinds share, conditions, reasons |
//! | [`zitadel`] | HTTP, tokens, allowed addresses, errors, pages, retries; knows no kinds |
//! | [`contract`] | what a kind is: data and traits |
//! | [`kinds`] | the registry: one line per kind, one file per kind |
//! | [`live`] | the informer on ZITADEL: collections, event feed, write permits |
//! | [`engine`] | a reconcile in five stages: resolve, observe, decide, apply, report |
//! | [`files`] | the engine's host for a folder of manifests |
//! | [`validate`], [`export`] | manifests checked offline; a live instance as manifests |
//! | [`terraform`] | terraform's state as manifests |
//! | [`operator`] | the engine's host in a cluster: watches, finalizers, statuses, Events |
//! | [`cli`] | commands; only its `output` prints |
//!
//! `live` and `engine` get the registry as a value and name no kind. `operator` and `files`
//! implement [`engine::host::Host`]. Only `operator` and `cli` use a Kubernetes client; `contract`
//! uses the types of CRDs. A test holds the layers.
//!
//! To add a kind, begin with [`kinds`] and [`contract`].

pub mod api;
pub mod cli;
pub mod contract;
pub mod engine;
pub mod export;
pub mod files;
pub mod kinds;
pub mod live;
pub mod operator;
pub mod terraform;
pub mod validate;
pub mod zitadel;
