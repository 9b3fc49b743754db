//! The client without a server. With this test beside it, the program is built whenever
//! the workspace is tested, and the engine tests find it.

use std::process::Command;

fn says(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_cri"))
        .args(arguments)
        .output();
    let output = output.expect("the client runs");
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn no_arguments_show_the_usage() {
    assert!(says(&[]).contains("cri SOCKET METHOD"));
}

#[test]
fn a_socket_that_is_not_there_is_named() {
    let said = says(&["/nonexistent/socket", "Version"]);
    assert!(said.contains("/nonexistent/socket"), "{said}");
}
