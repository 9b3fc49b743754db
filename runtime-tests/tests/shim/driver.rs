//! A client of one shim.

use std::fs::{self, File, OpenOptions};
use std::io::Seek;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use containerd_shim_protos::api::{
    CheckpointTaskRequest, CloseIORequest, ConnectRequest, ConnectResponse, CreateTaskRequest,
    CreateTaskResponse, DeleteRequest, DeleteResponse, ExecProcessRequest, KillRequest,
    PauseRequest, PidsRequest, PidsResponse, ResizePtyRequest, ResumeRequest, ShutdownRequest,
    StartRequest, StartResponse, StateRequest, StateResponse, StatsRequest, StatsResponse,
    UpdateTaskRequest, WaitRequest, WaitResponse,
};
use containerd_shim_protos::protobuf::well_known_types::any::Any;
use containerd_shim_protos::protobuf::well_known_types::empty::Empty;
use containerd_shim_protos::protobuf::{Message, MessageField};
use containerd_shim_protos::shim::oci::Options;
use containerd_shim_protos::shim_sync::Client;
use containerd_shim_protos::ttrpc::proto::Request;
use containerd_shim_protos::ttrpc::{Code, Error};
use runtime_tests::{Program, Running};
use serde_json::Value;

/// containerd 1.x's name of the service; the shim of Debian 12 knows no other.
const SERVICE: &str = "containerd.task.v2.Task";
/// Nothing takes longer, but for a wait.
const LIMIT_NANOSECONDS: i64 = 60_000_000_000;

/// An answer that is an error.
#[derive(Debug, Clone)]
pub struct Refusal {
    pub code: Code,
    pub message: String,
}

pub type Answer<T> = Result<T, Refusal>;

/// What containerd's client says of a process' streams; empty: nowhere.
#[derive(Debug, Clone, Default)]
pub struct Stdio3 {
    pub stdin: String,
    pub stdout: String,
    pub stderr: String,
    pub terminal: bool,
}

/// How a shim is called.
#[derive(Debug, Clone)]
pub struct Call {
    pub shim: PathBuf,
    pub namespace: String,
    pub events: String,
    pub environment: Vec<(String, String)>,
}

/// What `start` or `delete` ended with.
pub struct Called {
    pub success: bool,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl Call {
    /// Runs an action in the bundle, as containerd does.
    pub fn action(&self, bundle: &Path, id: &str, options: &Any, action: &[&str]) -> Called {
        let mut input = tempfile::tempfile().expect("a temporary file");
        std::io::Write::write_all(&mut input, &options.write_to_bytes().expect("options"))
            .expect("a temporary file");
        input.rewind().expect("a temporary file");
        let output = Command::new(&self.shim)
            .args(["-namespace", &self.namespace, "-id", id])
            .args(["-address", "/run/nobody.sock", "-publish-binary", "true"])
            .args(action)
            .current_dir(bundle)
            .env("TTRPC_ADDRESS", &self.events)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(input)
            .stderr(Stdio::piped())
            .output()
            .expect("the shim");
        Called {
            success: output.status.success(),
            stdout: output.stdout,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// `delete`, for a shim that is gone. The processes that it had are ours now, and are
    /// buried, as PID 1 does it: a pid namespace does not end before.
    pub fn delete(&self, bundle: &Path, id: &str) -> Result<DeleteResponse, String> {
        let keep = tempfile::tempdir().expect("a directory");
        let answer = keep.path().join("answer");
        // What it prints is no text.
        let shell = ["-c", "exec \"$@\" >\"$0\""];
        let program = Program::new(keep.path(), "sh").args(shell);
        let (path, shim) = (bundle.to_string_lossy(), self.shim.to_string_lossy());
        let program = program
            .args([&*answer.to_string_lossy(), &*shim])
            .args(["-namespace", &self.namespace, "-id", id])
            .args(["-address", "/run/nobody.sock", "-bundle", &*path, "delete"])
            .env("TTRPC_ADDRESS", &self.events)
            .directory(bundle);
        let mut finished = Running::finish_as_reaper(vec![program.spawn()]);
        let finished = finished.remove(0);
        match finished.code() {
            Some(0) => {
                let answer = fs::read(answer).expect("the answer");
                DeleteResponse::parse_from_bytes(&answer).map_err(|error| error.to_string())
            }
            _ => Err(finished.stderr),
        }
    }
}

/// A task of a shim, as containerd knows it.
#[derive(Clone)]
pub struct Task {
    client: Client,
    pub address: String,
    pub id: String,
    pub bundle: PathBuf,
    pub options: Any,
    /// The shim of Go waits for a reader of its log, and goes when there is none any more.
    log: Arc<File>,
}

/// Options as containerd sends them to the shim of runc.
pub fn options(change: impl FnOnce(&mut Options)) -> Any {
    let mut options = Options::default();
    change(&mut options);
    Any {
        type_url: "containerd.runc.v1.Options".to_owned(),
        value: options.write_to_bytes().expect("options"),
        ..Any::default()
    }
}

impl Task {
    /// Starts a shim for `id`, or finds the one of its group.
    pub fn start_shim(call: &Call, bundle: &Path, id: &str, options: Any) -> Result<Self, String> {
        let log = bundle.join("log");
        if !log.exists() {
            let mode = rustix::fs::Mode::from_raw_mode(0o600);
            let kind = rustix::fs::FileType::Fifo;
            rustix::fs::mknodat(rustix::fs::CWD, &log, kind, mode, 0).expect("mkfifo");
        }
        let reader = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(0o4000)
            .open(&log)
            .expect("log");
        let called = call.action(bundle, id, &options, &["start"]);
        if !called.success {
            return Err(called.stderr);
        }
        let address = String::from_utf8_lossy(&called.stdout).trim().to_owned();
        let client = Client::connect(&address).map_err(|error| format!("{address}: {error}"))?;
        Ok(Self {
            client,
            address,
            id: id.to_owned(),
            bundle: bundle.to_owned(),
            options,
            log: Arc::new(reader),
        })
    }

    /// Another connection to the same shim.
    pub fn reconnect(&self) -> Self {
        let client = Client::connect(&self.address).expect("the shim's socket");
        Self {
            client,
            ..self.clone()
        }
    }

    /// Any method.
    pub fn call<Q: Message, R: Message>(&self, method: &str, request: &Q) -> Answer<R> {
        self.call_within(method, request, LIMIT_NANOSECONDS)
    }

    fn call_within<Q: Message, R: Message>(
        &self,
        method: &str,
        request: &Q,
        limit: i64,
    ) -> Answer<R> {
        let request = Request {
            service: SERVICE.to_owned(),
            method: method.to_owned(),
            timeout_nano: limit,
            payload: request.write_to_bytes().expect("a message"),
            ..Request::default()
        };
        match self.client.request(request) {
            Ok(response) => Ok(R::parse_from_bytes(&response.payload).expect("a message")),
            Err(Error::RpcStatus(status)) => Err(Refusal {
                code: status.code(),
                message: status.message,
            }),
            Err(error) => panic!("{method}: {error}"),
        }
    }

    pub fn create_with(&self, change: impl FnOnce(&mut CreateTaskRequest)) -> Answer<u32> {
        let mut request = CreateTaskRequest {
            id: self.id.clone(),
            bundle: self.bundle.to_string_lossy().into_owned(),
            options: MessageField::some(self.options.clone()),
            ..CreateTaskRequest::default()
        };
        change(&mut request);
        let response: CreateTaskResponse = self.call("Create", &request)?;
        Ok(response.pid)
    }

    pub fn create(&self, streams: &Stdio3) -> Answer<u32> {
        self.create_with(|request| {
            request.stdin.clone_from(&streams.stdin);
            request.stdout.clone_from(&streams.stdout);
            request.stderr.clone_from(&streams.stderr);
            request.terminal = streams.terminal;
        })
    }

    pub fn start(&self, exec_id: &str) -> Answer<u32> {
        let request = StartRequest {
            id: self.id.clone(),
            exec_id: exec_id.to_owned(),
            ..StartRequest::default()
        };
        let response: StartResponse = self.call("Start", &request)?;
        Ok(response.pid)
    }

    /// `process` is what config.json has under that name.
    pub fn exec(&self, exec_id: &str, process: &Value, streams: &Stdio3) -> Answer<()> {
        self.exec_raw(exec_id, process.to_string().into_bytes(), streams)
    }

    pub fn exec_raw(&self, exec_id: &str, process: Vec<u8>, streams: &Stdio3) -> Answer<()> {
        let request = ExecProcessRequest {
            id: self.id.clone(),
            exec_id: exec_id.to_owned(),
            terminal: streams.terminal,
            stdin: streams.stdin.clone(),
            stdout: streams.stdout.clone(),
            stderr: streams.stderr.clone(),
            spec: MessageField::some(Any {
                type_url: "types.containerd.io/opencontainers/runtime-spec/1/Process".to_owned(),
                value: process,
                ..Any::default()
            }),
            ..ExecProcessRequest::default()
        };
        self.call::<_, Empty>("Exec", &request).map(drop)
    }

    pub fn state(&self, exec_id: &str) -> Answer<StateResponse> {
        let request = StateRequest {
            id: self.id.clone(),
            exec_id: exec_id.to_owned(),
            ..StateRequest::default()
        };
        self.call("State", &request)
    }

    pub fn kill(&self, exec_id: &str, signal: u32) -> Answer<()> {
        let request = KillRequest {
            id: self.id.clone(),
            exec_id: exec_id.to_owned(),
            signal,
            ..KillRequest::default()
        };
        self.call::<_, Empty>("Kill", &request).map(drop)
    }

    pub fn kill_all(&self, signal: u32) -> Answer<()> {
        let request = KillRequest {
            id: self.id.clone(),
            signal,
            all: true,
            ..KillRequest::default()
        };
        self.call::<_, Empty>("Kill", &request).map(drop)
    }

    pub fn wait(&self, exec_id: &str) -> Answer<WaitResponse> {
        let request = WaitRequest {
            id: self.id.clone(),
            exec_id: exec_id.to_owned(),
            ..WaitRequest::default()
        };
        self.call("Wait", &request)
    }

    pub fn delete(&self, exec_id: &str) -> Answer<DeleteResponse> {
        let request = DeleteRequest {
            id: self.id.clone(),
            exec_id: exec_id.to_owned(),
            ..DeleteRequest::default()
        };
        self.call("Delete", &request)
    }

    pub fn pids(&self) -> Answer<PidsResponse> {
        let request = PidsRequest {
            id: self.id.clone(),
            ..PidsRequest::default()
        };
        self.call("Pids", &request)
    }

    pub fn pause(&self) -> Answer<()> {
        let request = PauseRequest {
            id: self.id.clone(),
            ..PauseRequest::default()
        };
        self.call::<_, Empty>("Pause", &request).map(drop)
    }

    pub fn resume(&self) -> Answer<()> {
        let request = ResumeRequest {
            id: self.id.clone(),
            ..ResumeRequest::default()
        };
        self.call::<_, Empty>("Resume", &request).map(drop)
    }

    pub fn resize(&self, exec_id: &str, width: u32, height: u32) -> Answer<()> {
        let request = ResizePtyRequest {
            id: self.id.clone(),
            exec_id: exec_id.to_owned(),
            width,
            height,
            ..ResizePtyRequest::default()
        };
        self.call::<_, Empty>("ResizePty", &request).map(drop)
    }

    pub fn close_stdin(&self, exec_id: &str) -> Answer<()> {
        let request = CloseIORequest {
            id: self.id.clone(),
            exec_id: exec_id.to_owned(),
            stdin: true,
            ..CloseIORequest::default()
        };
        self.call::<_, Empty>("CloseIO", &request).map(drop)
    }

    pub fn update(&self, resources: &[u8]) -> Answer<()> {
        let request = UpdateTaskRequest {
            id: self.id.clone(),
            resources: MessageField::some(Any {
                type_url: "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources"
                    .to_owned(),
                value: resources.to_owned(),
                ..Any::default()
            }),
            ..UpdateTaskRequest::default()
        };
        self.call::<_, Empty>("Update", &request).map(drop)
    }

    pub fn stats(&self) -> Answer<StatsResponse> {
        let request = StatsRequest {
            id: self.id.clone(),
            ..StatsRequest::default()
        };
        self.call("Stats", &request)
    }

    pub fn checkpoint(&self, path: &str, options: Any) -> Answer<()> {
        let request = CheckpointTaskRequest {
            id: self.id.clone(),
            path: path.to_owned(),
            options: MessageField::some(options),
            ..CheckpointTaskRequest::default()
        };
        self.call::<_, Empty>("Checkpoint", &request).map(drop)
    }

    pub fn connect(&self) -> Answer<ConnectResponse> {
        let request = ConnectRequest {
            id: self.id.clone(),
            ..ConnectRequest::default()
        };
        self.call("Connect", &request)
    }

    /// The shim goes unless it still has containers; it may go without an answer.
    pub fn shutdown(&self) {
        let request = Request {
            service: SERVICE.to_owned(),
            method: "Shutdown".to_owned(),
            timeout_nano: LIMIT_NANOSECONDS,
            payload: ShutdownRequest {
                id: self.id.clone(),
                ..ShutdownRequest::default()
            }
            .write_to_bytes()
            .expect("a message"),
            ..Request::default()
        };
        let _ = self.client.request(request);
    }

    /// What the shim said in its log so far.
    pub fn log(&self) -> String {
        let mut text = vec![0; 64 << 10];
        let count = std::io::Read::read(&mut &*self.log, &mut text).unwrap_or(0);
        String::from_utf8_lossy(&text[..count]).into_owned()
    }
}

/// Names of the open descriptors of a process.
pub fn descriptors(pid: i32) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(format!("/proc/{pid}/fd"))
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| fs::read_link(entry.path()).ok())
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}
