//! Errors as containerd reads them: a status code, and one line.

use containerd_shim_protos::ttrpc::{self, Code, get_status};
use libcontainer::Error;

fn status(code: Code, message: impl Into<String>) -> ttrpc::Error {
    ttrpc::Error::RpcStatus(get_status(code, message.into()))
}

/// No such container, exec or running process.
pub fn not_found(message: impl Into<String>) -> ttrpc::Error {
    status(Code::NOT_FOUND, message)
}

/// The id is taken.
pub fn already_exists(message: impl Into<String>) -> ttrpc::Error {
    status(Code::ALREADY_EXISTS, message)
}

/// Not in this state.
pub fn failed_precondition(message: impl Into<String>) -> ttrpc::Error {
    status(Code::FAILED_PRECONDITION, message)
}

/// The request is not understood.
pub fn invalid_argument(message: impl Into<String>) -> ttrpc::Error {
    status(Code::INVALID_ARGUMENT, message)
}

/// Everything else, in the words of whoever failed.
pub fn unknown(message: impl Into<String>) -> ttrpc::Error {
    status(Code::UNKNOWN, message)
}

/// What a verb of the lifecycle said.
pub fn from_libcontainer(error: &Error) -> ttrpc::Error {
    match error {
        Error::NotFound(_) => not_found(error.to_string()),
        // containerd takes this for "it has just ended", which kill may ignore.
        Error::NotRunning => not_found("process already finished"),
        _ => unknown(error.to_string()),
    }
}
