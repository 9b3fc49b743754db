//! `cri SOCKET METHOD [REQUEST]` calls one method of the Kubernetes container runtime
//! interface and prints the answer; request and answer are JSON, with the names and
//! numbers of its protobuf definition.
//!
//! `cri stream URL [COLUMNSxROWS]` is a client of the address that `Exec` and `Attach`
//! answer: standard streams are the process' own, and so is the exit code.
//! `cri forward URL PORT` is one of the address that `PortForward` answers.

mod call;
mod partial;
mod stream;

use std::process::ExitCode;

const USAGE: &str =
    "cri SOCKET METHOD [REQUEST] | cri stream URL [COLUMNSxROWS] | cri forward URL PORT";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let ended = runtime.block_on(async {
        match arguments[..] {
            ["stream", url] => stream::stream(url, None).await,
            ["stream", url, size] => stream::stream(url, Some(size)).await,
            ["forward", url, port] => stream::forward(url, port).await,
            [socket, method] => call::call(socket, method, "{}").await,
            [socket, method, request] => call::call(socket, method, request).await,
            _ => Err(USAGE.to_owned()),
        }
    });
    // A read of standard input that nobody waits for any more.
    runtime.shutdown_background();
    match ended {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("cri: {error}");
            ExitCode::FAILURE
        }
    }
}
