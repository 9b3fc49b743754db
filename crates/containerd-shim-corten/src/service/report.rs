//! `State`, `Pids` and `Stats`.

use containerd_shim_protos::api::{
    PidsRequest, PidsResponse, ProcessInfo, StateRequest, StateResponse, StatsRequest,
    StatsResponse,
};
use containerd_shim_protos::protobuf::well_known_types::any::Any;
use containerd_shim_protos::protobuf::{EnumOrUnknown, Message, MessageField};
use containerd_shim_protos::shim::oci::ProcessDetails;
use containerd_shim_protos::ttrpc::Result;

use super::Shim;
use super::metrics::metrics;
use crate::events::timestamp;
use crate::grpc;
use crate::process::{Phase, message_pid};

impl Shim {
    pub(super) fn state(&self, request: &StateRequest) -> Result<StateResponse> {
        let (container, process) = self.process(&request.id, &request.exec_id)?;
        let status = match process.exec_id.as_str() {
            "" => container.status(),
            _ => process.status(),
        };
        let mut response = StateResponse {
            // As the Go shim has it: an exec is known by its own id.
            id: match process.exec_id.as_str() {
                "" => container.id.clone(),
                exec_id => exec_id.to_owned(),
            },
            bundle: container.corten.bundle.clone(),
            pid: process.message_pid(),
            status: EnumOrUnknown::new(status),
            stdin: process.wanted.stdin.clone(),
            stdout: process.wanted.stdout.clone(),
            stderr: process.wanted.stderr.clone(),
            terminal: process.wanted.terminal,
            ..StateResponse::default()
        };
        if let Phase::Stopped(exit) = process.phase() {
            response.exit_status = exit.status;
            response.exited_at = MessageField::some(timestamp(exit.at));
        }
        Ok(response)
    }

    pub(super) fn pids(&self, request: &PidsRequest) -> Result<PidsResponse> {
        let container = self.container(&request.id)?;
        let store = container
            .store()
            .map_err(|error| grpc::from_libcontainer(&error))?;
        let pids = libcontainer::processes(&store, &container.id)
            .map_err(|error| grpc::from_libcontainer(&error))?;
        let mut response = PidsResponse::new();
        for pid in pids {
            let mut info = ProcessInfo {
                pid: message_pid(pid),
                ..ProcessInfo::default()
            };
            if let Some(exec_id) = container.exec_of(pid) {
                info.info = MessageField::some(details(exec_id)?);
            }
            response.processes.push(info);
        }
        Ok(response)
    }

    pub(super) fn stats(&self, request: &StatsRequest) -> Result<StatsResponse> {
        let container = self.container(&request.id)?;
        let usage = container
            .store()
            .and_then(|store| libcontainer::usage(&store, &container.id))
            .map_err(|error| grpc::from_libcontainer(&error))?;
        let metrics = metrics(&usage).map_err(|error| grpc::unknown(error.to_string()))?;
        Ok(StatsResponse {
            stats: MessageField::some(metrics),
            ..StatsResponse::default()
        })
    }
}

fn details(exec_id: String) -> Result<Any> {
    let details = ProcessDetails {
        exec_id,
        ..ProcessDetails::default()
    };
    Ok(Any {
        type_url: "containerd.runc.v1.ProcessDetails".to_owned(),
        value: details
            .write_to_bytes()
            .map_err(|error| grpc::unknown(error.to_string()))?,
        ..Any::default()
    })
}
