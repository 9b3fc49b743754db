//! Stands in for libcontainer until it lands: its signatures, and nothing behind them.
#![allow(dead_code)]

use std::collections::BTreeMap;

use plan::{Errors, HostFacts, Plan};
use serde::Serialize;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Config(#[from] Errors),
    #[error("container {0:?} does not exist")]
    NotFound(String),
}
pub type Result<T> = std::result::Result<T, Error>;

pub struct Store;
impl Store {
    pub fn open(_: &str) -> Result<Option<Self>> {
        Ok(None)
    }
    pub fn open_or_make(_: &str) -> Result<Self> {
        Ok(Self)
    }
}
#[derive(Debug, Default, Clone)]
pub struct CreateOptions {
    pub config: Vec<u8>,
    pub pid_file: Option<String>,
    pub console_socket: Option<String>,
}
#[derive(Debug, Default, Clone, Copy)]
pub struct RunOptions {
    pub detach: bool,
    pub keep: bool,
    pub no_subreaper: bool,
}
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StateReport {
    pub oci_version: String,
    pub id: String,
    pub pid: i32,
    pub status: String,
    pub bundle: String,
    pub rootfs: String,
    pub created: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    pub owner: String,
}
#[derive(Debug)]
pub enum Entry {
    Container(StateReport),
    Broken { id: String, problem: String },
}
pub struct State {
    pub bundle: String,
}
pub mod host {
    pub fn probe() -> super::Result<super::HostFacts> {
        Ok(super::HostFacts::v2_root())
    }
}
fn none<T>(id: &str) -> Result<T> {
    Err(Error::NotFound(id.to_owned()))
}
pub fn create(_: &Store, plan: &Plan, _: &CreateOptions) -> Result<()> {
    none(&plan.id)
}
pub fn run(_: &Store, plan: &Plan, _: &CreateOptions, _: RunOptions) -> Result<i32> {
    none(&plan.id)
}
pub fn start(_: &Store, id: &str) -> Result<()> {
    none(id)
}
pub fn state(_: &Store, id: &str) -> Result<StateReport> {
    none(id)
}
pub fn kill(_: &Store, id: &str, _: i32, _: bool) -> Result<()> {
    none(id)
}
pub fn delete(_: &Store, id: &str, _: bool) -> Result<Option<Error>> {
    none(id)
}
pub fn list(_: &Store) -> Result<Vec<Entry>> {
    Ok(Vec::new())
}
pub fn saved(_: &Store, id: &str) -> Result<(Vec<u8>, State)> {
    none(id)
}
pub fn signal_number(_: &str) -> Option<i32> {
    Some(15)
}
pub fn seal_descriptors(_: u32) -> Result<()> {
    Ok(())
}
pub fn resolve_bundle(bundle: &str) -> Result<String> {
    Ok(bundle.to_owned())
}
pub fn read_config(bundle: &str, file: &str) -> Result<Vec<u8>> {
    Ok(std::fs::read(format!("{bundle}/{file}")).unwrap_or_default())
}
pub fn default_root(_: Option<&str>, _: Option<&str>) -> String {
    "/run/corten".to_owned()
}
pub fn template(_: bool) -> String {
    "{}".to_owned()
}
pub fn features() -> serde_json::Value {
    serde_json::json!({})
}
