//! The streams of `Exec`, `Attach` and `PortForward`: WebSocket messages, each of which
//! begins with the number of its channel.

use std::io::{Read, Write};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{Bytes, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// The protocol that all versions of Kubernetes' servers know.
const PROTOCOL: &str = "v4.channel.k8s.io";

/// Channels of a process.
const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
/// How it ended, as a `Status` of Kubernetes.
const RESULT: u8 = 3;
const RESIZE: u8 = 4;

/// Channels of a port.
const DATA: u8 = 0;
const ERROR: u8 = 1;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

fn line(error: impl ToString) -> String {
    error.to_string()
}

async fn connect(url: &str) -> Result<Socket, String> {
    let url = url.replacen("http", "ws", 1);
    let mut request = url.into_client_request().map_err(line)?;
    request
        .headers_mut()
        .insert("Sec-WebSocket-Protocol", HeaderValue::from_static(PROTOCOL));
    let (socket, _) = connect_async(request).await.map_err(line)?;
    Ok(socket)
}

async fn send(socket: &mut Socket, channel: u8, bytes: &[u8]) -> Result<(), String> {
    let message: Bytes = [&[channel], bytes].concat().into();
    socket.send(Message::Binary(message)).await.map_err(line)
}

/// The next message's channel and content; nothing when the server has ended.
async fn receive(socket: &mut Socket) -> Result<Option<(u8, Vec<u8>)>, String> {
    loop {
        let bytes = match socket.next().await {
            None | Some(Ok(Message::Close(_))) => return Ok(None),
            Some(Err(error)) => return Err(line(error)),
            Some(Ok(Message::Binary(bytes))) => bytes.to_vec(),
            Some(Ok(Message::Text(text))) => text.as_bytes().to_vec(),
            Some(Ok(_)) => continue,
        };
        if let Some((channel, content)) = bytes.split_first() {
            return Ok(Some((*channel, content.to_vec())));
        }
    }
}

fn input() -> Result<Vec<u8>, String> {
    let mut input = Vec::new();
    std::io::stdin().read_to_end(&mut input).map_err(line)?;
    Ok(input)
}

/// Sends standard input, prints both outputs, and returns the code that the process
/// ended with.
///
/// # Errors
/// One line.
pub async fn stream(url: &str, size: Option<&str>) -> Result<u8, String> {
    let mut socket = connect(url).await?;
    if let Some((columns, rows)) = size.and_then(|size| size.split_once('x')) {
        let number = |text: &str| text.parse::<u16>().map_err(line);
        let size = json!({"Width": number(columns)?, "Height": number(rows)?});
        send(&mut socket, RESIZE, size.to_string().as_bytes()).await?;
    }
    let input = input()?;
    if !input.is_empty() {
        send(&mut socket, STDIN, &input).await?;
    }
    let mut code = None;
    while let Some((channel, content)) = receive(&mut socket).await? {
        match channel {
            STDOUT => std::io::stdout().write_all(&content).map_err(line)?,
            STDERR => std::io::stderr().write_all(&content).map_err(line)?,
            RESULT if !content.is_empty() => code = Some(exit_code(&content)?),
            _ => {}
        }
    }
    code.ok_or_else(|| "the server told no result".to_owned())
}

fn exit_code(status: &[u8]) -> Result<u8, String> {
    let status: Value = serde_json::from_slice(status).map_err(line)?;
    if status["status"] == "Success" {
        return Ok(0);
    }
    let code = status["details"]["causes"][0]["message"].as_str();
    let code = code.and_then(|code| code.parse().ok());
    code.ok_or_else(|| status["message"].to_string())
}

/// Sends standard input to a port and prints what comes back until it is closed.
///
/// # Errors
/// One line.
pub async fn forward(url: &str, port: &str) -> Result<u8, String> {
    let mut socket = connect(&format!("{url}?port={port}")).await?;
    send(&mut socket, DATA, &input()?).await?;
    // The first message of each channel is the number of the port.
    let mut begun = [false; 2];
    while let Some((channel, content)) = receive(&mut socket).await? {
        let begun = begun.get_mut(usize::from(channel));
        if !begun.is_none_or(|begun| std::mem::replace(begun, true)) {
            continue;
        }
        match channel {
            DATA => std::io::stdout().write_all(&content).map_err(line)?,
            ERROR => return Err(String::from_utf8_lossy(&content).into_owned()),
            _ => {}
        }
    }
    Ok(0)
}
