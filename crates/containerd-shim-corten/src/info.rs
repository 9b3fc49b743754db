//! `-info`: what containerd 2 asks before it uses a runtime for the first time.

use containerd_shim_protos::protobuf::well_known_types::any::Any;
use containerd_shim_protos::protobuf::{Message, MessageField};
use containerd_shim_protos::types::introspection::{RuntimeInfo, RuntimeVersion};

/// Name of the features document among containerd's types.
const FEATURES_TYPE: &str = "types.containerd.io/opencontainers/runtime-spec/1/features/Features";

/// The reply: name, version, and the features of `corten features`.
///
/// # Errors
/// One line.
pub fn info() -> Result<Vec<u8>, String> {
    let features = serde_json::to_vec(&plan::features()).map_err(|error| error.to_string())?;
    let info = RuntimeInfo {
        name: "io.containerd.corten.v2".to_owned(),
        version: MessageField::some(RuntimeVersion {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..RuntimeVersion::default()
        }),
        features: MessageField::some(Any {
            type_url: FEATURES_TYPE.to_owned(),
            value: features,
            ..Any::default()
        }),
        ..RuntimeInfo::default()
    };
    info.write_to_bytes().map_err(|error| error.to_string())
}
