//! One method.

use std::time::Duration;

use k8s_cri::v1::image_service_client::ImageServiceClient;
use k8s_cri::v1::runtime_service_client::RuntimeServiceClient;
use serde::Serialize;
use serde_json::Value;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status};

use crate::partial::from_value;

/// Longer than any call of the tests should take.
const LIMIT: Duration = Duration::from_secs(100);

/// Which client has which method.
macro_rules! methods {
    ($channel:ident, $method:ident, $request:ident:
        $($client:ident { $($name:literal $call:ident),* $(,)? })*) => {
        match $method {
            $($($name => {
                let request = from_value($request).map_err(|error| error.to_string())?;
                answer($client::new($channel).$call(Request::new(request)).await)
            })*)*
            _ => Err(format!("there is no method {}", $method)),
        }
    };
}

/// Calls it and prints the answer.
///
/// # Errors
/// One line: what was wrong with the request, or the status that came back.
pub async fn call(socket: &str, method: &str, request: &str) -> Result<u8, String> {
    let request: Value = serde_json::from_str(request).map_err(|error| error.to_string())?;
    let endpoint = Endpoint::from_shared(format!("unix://{socket}"));
    let endpoint = endpoint.map_err(|error| error.to_string())?.timeout(LIMIT);
    let channel: Channel = endpoint
        .connect()
        .await
        .map_err(|error| format!("{socket}: {error}"))?;
    let mut answer = methods! { channel, method, request:
        RuntimeServiceClient {
            "Version" version,
            "Status" status,
            "RunPodSandbox" run_pod_sandbox,
            "StopPodSandbox" stop_pod_sandbox,
            "RemovePodSandbox" remove_pod_sandbox,
            "PodSandboxStatus" pod_sandbox_status,
            "ListPodSandbox" list_pod_sandbox,
            "CreateContainer" create_container,
            "StartContainer" start_container,
            "StopContainer" stop_container,
            "RemoveContainer" remove_container,
            "ListContainers" list_containers,
            "ContainerStatus" container_status,
            "UpdateContainerResources" update_container_resources,
            "ReopenContainerLog" reopen_container_log,
            "ExecSync" exec_sync,
            "Exec" exec,
            "Attach" attach,
            "PortForward" port_forward,
            "ContainerStats" container_stats,
            "ListContainerStats" list_container_stats,
            "PodSandboxStats" pod_sandbox_stats,
            "ListPodSandboxStats" list_pod_sandbox_stats,
            "UpdateRuntimeConfig" update_runtime_config,
            "CheckpointContainer" checkpoint_container,
            "RuntimeConfig" runtime_config,
        }
        ImageServiceClient {
            "ListImages" list_images,
            "ImageStatus" image_status,
            "PullImage" pull_image,
            "RemoveImage" remove_image,
            "ImageFsInfo" image_fs_info,
        }
    }?;
    for stream in ["stdout", "stderr"] {
        if let Some(bytes) = answer.get_mut(stream) {
            *bytes = text(bytes);
        }
    }
    println!("{answer}");
    Ok(0)
}

fn answer<T: Serialize>(answered: Result<Response<T>, Status>) -> Result<Value, String> {
    let message =
        answered.map_err(|status| format!("{:?}: {}", status.code(), status.message()))?;
    serde_json::to_value(message.into_inner()).map_err(|error| error.to_string())
}

/// Output, which is bytes, so that a person can read it.
fn text(bytes: &Value) -> Value {
    let bytes = bytes.as_array().into_iter().flatten();
    let bytes: Vec<u8> = bytes
        .filter_map(|byte| u8::try_from(byte.as_u64()?).ok())
        .collect();
    Value::from(String::from_utf8_lossy(&bytes))
}
