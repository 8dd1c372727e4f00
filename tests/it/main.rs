//! Kastellan as a whole, against a real Kubernetes API server and the emulated ZITADEL. One API
//! server for all tests, a namespace, an emulator and an operator for each; they run side by side.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test that meets what it does not expect has failed"
)]

mod admission;
mod apiserver;
mod applications;
mod attacks;
mod bad_input;
mod binding;
mod branding;
mod calls;
mod chart;
mod cli;
mod conflicts;
mod contract;
mod crash;
mod crashes;
mod deletion;
mod documented;
mod domains;
mod endpoints;
mod examples;
mod faults;
mod feed;
mod flux;
mod fuzz;
mod gate;
mod generated;
mod gitops;
mod inprocess;
mod inputs;
mod instance;
mod intercept;
mod laws;
mod layers;
mod line;
mod lock_out;
mod login;
mod lost;
mod matrix;
mod metadata;
mod metrics;
mod modes;
mod moved;
mod older;
mod onboarding;
mod operator;
#[cfg(feature = "otel")]
mod otel;
mod past;
mod people;
mod permissions;
mod prometheus;
mod promises;
mod remote;
mod rest;
mod samples;
mod scripts;
mod secrets;
mod tenancy;
mod versions;
mod web_keys;
mod world;
