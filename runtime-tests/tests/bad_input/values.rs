//! "Runtimes MUST generate an error when invalid or unsupported values are encountered."

use serde_json::{Value, json};

use crate::refused::broken;

const CHAPTER: &str = "config.md: Valid values";

fn rule(rules: Value) -> Value {
    json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": rules})
}

broken! {
    version_two: ["ociVersion", "2.0.0"] c => c.set("/ociVersion", json!("2.0.0"));
    version_absent: ["ociVersion"] c => c.remove("", "ociVersion");
    version_no_version: ["ociVersion", "latest"] c => c.set("/ociVersion", json!("latest"));
    version_number: ["ociVersion"] c => c.set("/ociVersion", json!(1));

    root_absent: ["root"] c => c.remove("", "root");
    root_path_absent: ["root.path"] c => c.set("/root", json!({}));
    root_path_empty: ["root.path"] c => c.set("/root/path", json!(""));
    root_path_missing: ["root.path", "nowhere", "no such file or directory"] c => c.set("/root/path", json!("nowhere"));
    root_path_is_a_file: ["root.path", "not a directory"] c => c.set("/root/path", json!("config.json"));
    root_path_with_nul: ["root.path"] c => c.set("/root/path", json!("root\u{0}fs"));
    root_readonly_text: ["root.readonly", "yes"] c => c.set("/root/readonly", json!("yes"));

    process_absent: ["process"] c => c.remove("", "process");
    process_a_text: ["process"] c => c.set("/process", json!("sh"));
    args_empty: ["process.args"] c => c.set("/process/args", json!([]));
    args_absent: ["process.args"] c => c.remove("/process", "args");
    args_not_a_list: ["process.args"] c => c.set("/process/args", json!("sh"));
    args_number: ["process.args"] c => c.set("/process/args", json!(["sh", 1]));
    args_with_nul: ["process.args[1]"] c => c.set("/process/args", json!(["/bin/true", "a\u{0}b"]));
    args_missing_program: ["process.args[0]", "no-such", "executable file not found in $PATH"] c => c.args(&["no-such"]);
    cwd_relative: ["process.cwd", "relative"] c => c.set("/process/cwd", json!("relative"));
    cwd_absent: ["process.cwd"] c => c.remove("/process", "cwd");
    cwd_empty: ["process.cwd"] c => c.set("/process/cwd", json!(""));
    cwd_is_a_file: ["process.cwd", "not a directory"] c => c.set("/process/cwd", json!("/etc/passwd"));
    env_without_equals: ["process.env[1]", "HOSTVAR"] c => c.push("/process/env", json!("HOSTVAR"));
    env_with_nul: ["process.env[1]"] c => c.push("/process/env", json!("A=b\u{0}c"));
    uid_negative: ["process.user.uid", "-1"] c => c.set("/process/user/uid", json!(-1));
    uid_too_large: ["process.user.uid", "4294967296"] c => c.set("/process/user/uid", json!(4_294_967_296_u64));
    uid_text: ["process.user.uid"] c => c.set("/process/user/uid", json!("0"));
    gid_fraction: ["process.user.gid", "1.5"] c => c.set("/process/user/gid", json!(1.5));
    additional_gids_text: ["process.user.additionalGids"] c => c.set("/process/user/additionalGids", json!(["wheel"]));
    umask_too_large: ["process.user.umask"] c => c.set("/process/user/umask", json!(0o1777));
    no_new_privileges_text: ["process.noNewPrivileges"] c => c.set("/process/noNewPrivileges", json!("true"));
    capabilities_not_a_list: ["process.capabilities.bounding"] c => c.set("/process/capabilities/bounding", json!("CAP_KILL"));
    oom_score_adj_too_large: ["process.oomScoreAdj", "2000"] c => c.set("/process/oomScoreAdj", json!(2000));
    rlimit_soft_above_hard: ["process.rlimits[0]", "10"] c => c.set("/process/rlimits", json!([{"type": "RLIMIT_NOFILE", "soft": 10, "hard": 1}]));
    rlimit_unknown: ["process.rlimits[0].type", "RLIMIT_BOGUS"] c => c.set("/process/rlimits", json!([{"type": "RLIMIT_BOGUS", "soft": 1, "hard": 1}]));
    rlimit_twice: ["process.rlimits[1]", "RLIMIT_CORE"] c => c.set("/process/rlimits", json!([
        {"type": "RLIMIT_CORE", "soft": 1, "hard": 1}, {"type": "RLIMIT_CORE", "soft": 2, "hard": 2}]));
    rlimit_without_hard: ["process.rlimits[0].hard"] c => c.set("/process/rlimits", json!([{"type": "RLIMIT_CORE", "soft": 0}]));
    rlimit_negative: ["process.rlimits[0]"] c => c.set("/process/rlimits", json!([{"type": "RLIMIT_CORE", "soft": -1, "hard": 1}]));
    terminal_without_a_socket: ["process.terminal", "console-socket"] c => c.set("/process/terminal", json!(true));
    hostname_with_nul: ["hostname"] c => c.set("/hostname", json!("a\u{0}b"));
    hostname_too_long: ["hostname"] c => c.set("/hostname", json!("x".repeat(65)));
    hostname_without_uts: ["hostname", "uts"] c => c.without_namespace("uts");
    domainname_without_uts: ["domainname", "uts"] c => c.without_namespace("uts").remove("", "hostname").set("/domainname", json!("x"));

    namespace_unknown: ["linux.namespaces[1].type", "pidd"] c => c.set("/linux/namespaces", json!([{"type": "mount"}, {"type": "pidd"}]));
    namespace_twice: ["linux.namespaces[6]", "ipc"] c => c.push("/linux/namespaces", json!({"type": "ipc"}));
    namespace_path_missing: ["linux.namespaces", "/no/such/ns", "no such file or directory"] c => c.join_namespace("network", "/no/such/ns");
    namespace_path_of_another_kind: ["linux.namespaces[5].path", "/proc/self/ns/ipc", "type ipc, wanted net"] c => c.join_namespace("network", "/proc/self/ns/ipc");
    namespace_path_for_children: ["linux.namespaces", "/proc/self/ns/time"] c => c.join_namespace("network", "/proc/self/ns/time_for_children");
    namespace_path_of_our_own_user_namespace: ["linux.namespaces[6].path", "nothing to join"] c => c.join_namespace("user", &format!("/proc/{}/ns/user", std::process::id()));
    namespace_path_is_a_file: ["linux.namespaces[5].path", "/etc/passwd", "not the file of a namespace"] c => c.join_namespace("network", "/etc/passwd");
    namespace_type_absent: ["linux.namespaces[6]"] c => c.push("/linux/namespaces", json!({}));
    user_namespace_without_mappings: ["linux.uidMappings"] c => c.push("/linux/namespaces", json!({"type": "user"}));
    mappings_without_user_namespace: ["linux.uidMappings"] c => c.set("/linux/uidMappings", json!([{"containerID": 0, "hostID": 1, "size": 1}]));
    mappings_overlap: ["linux.uidMappings"] c => c.user_namespace(100_000).push("/linux/uidMappings", json!({"containerID": 5, "hostID": 300_000, "size": 1}));
    mapping_without_host_id: ["linux.uidMappings[0].hostID"] c => c.user_namespace(100_000).remove("/linux/uidMappings/0", "hostID");
    mapping_of_size_zero: ["linux.uidMappings[0].size"] c => c.user_namespace(100_000).set("/linux/uidMappings/0/size", json!(0));
    time_offsets_without_namespace: ["linux.timeOffsets", "time"] c => c.set("/linux/timeOffsets", json!({"boottime": {"secs": 1}}));

    device_type: ["linux.devices[0].type", "z"] c => c.push("/linux/devices", json!({"path": "/dev/x", "type": "z", "major": 1, "minor": 3}));
    device_without_number: ["linux.devices[0]"] c => c.push("/linux/devices", json!({"path": "/dev/x", "type": "c"}));
    device_path_relative: ["linux.devices[0].path"] c => c.push("/linux/devices", json!({"path": "dev/x", "type": "c", "major": 1, "minor": 3}));
    device_path_absent: ["linux.devices[0].path"] c => c.push("/linux/devices", json!({"type": "c", "major": 1, "minor": 3}));
    device_in_the_place_of_a_file: ["linux.devices[0]", "/etc/passwd"] c => c.push("/linux/devices", json!({"path": "/etc/passwd", "type": "c", "major": 1, "minor": 3}));
    propagation_unknown: ["linux.rootfsPropagation", "sharedd"] c => c.set("/linux/rootfsPropagation", json!("sharedd"));
    masked_path_not_a_list: ["linux.maskedPaths"] c => c.set("/linux/maskedPaths", json!("/proc"));
    masked_paths_without_mount_namespace: ["mount"] c => c.without_namespace("mount");
    sysctl_missing: ["linux.sysctl[\"net.ipv4.nope\"]"] c => c.set("/linux/sysctl", json!({"net.ipv4.nope": "1"}));
    sysctl_of_the_host: ["linux.sysctl[\"kernel.panic\"]"] c => c.set("/linux/sysctl", json!({"kernel.panic": "1"}));
    sysctl_without_its_namespace: ["linux.sysctl[\"net.ipv4.ip_forward\"]", "network"] c => c.without_namespace("network").set("/linux/sysctl", json!({"net.ipv4.ip_forward": "1"}));
    sysctl_climbs: ["linux.sysctl"] c => c.set("/linux/sysctl", json!({"net/../kernel/core_pattern": "x"}));
    sysctl_bad_value: ["linux.sysctl[\"net.ipv4.ip_forward\"]", "invalid argument"] c => c.set("/linux/sysctl", json!({"net.ipv4.ip_forward": "maybe"}));
    sysctl_number: ["linux.sysctl"] c => c.set("/linux/sysctl", json!({"net.ipv4.ip_forward": 1}));
    personality_unknown: ["linux.personality.domain", "BSD"] c => c.set("/linux/personality", json!({"domain": "BSD"}));

    seccomp_default_action_unknown: ["linux.seccomp.defaultAction", "SCMP_ACT_NOPE"] c => c.set("/linux/seccomp", json!({"defaultAction": "SCMP_ACT_NOPE"}));
    seccomp_default_action_absent: ["linux.seccomp.defaultAction"] c => c.set("/linux/seccomp", json!({"syscalls": []}));
    seccomp_action_unknown: ["linux.seccomp.syscalls[0].action"] c => c.set("/linux/seccomp", rule(json!([{"names": ["read"], "action": "DENY"}])));
    seccomp_architecture_unknown: ["linux.seccomp.architectures[0]"] c => c.set("/linux/seccomp", json!({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_Z80"]}));
    seccomp_operator_unknown: ["linux.seccomp.syscalls[0].args[0].op"] c => c.set("/linux/seccomp", rule(json!([
        {"names": ["read"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_NEAR"}]}])));
    seccomp_argument_index: ["linux.seccomp.syscalls[0].args[0].index", "6"] c => c.set("/linux/seccomp", rule(json!([
        {"names": ["read"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 6, "value": 1, "op": "SCMP_CMP_EQ"}]}])));
    seccomp_notify_without_an_agent: ["linux.seccomp.listenerPath"] c => c.set("/linux/seccomp", rule(json!([{"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}])));
    seccomp_notify_and_nobody_listens: ["linux.seccomp.listenerPath", "/no/such/agent", "no such file or directory"] c => c.set("/linux/seccomp", rule(json!([{"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}]))).set("/linux/seccomp/listenerPath", json!("/no/such/agent"));
    seccomp_notify_write: ["linux.seccomp.syscalls[0].names[0]", "write"] c => c.set("/linux/seccomp", rule(json!([{"names": ["write"], "action": "SCMP_ACT_NOTIFY"}]))).set("/linux/seccomp/listenerPath", json!("/no/such/agent"));
    seccomp_metadata_without_an_agent: ["linux.seccomp.listenerMetadata"] c => c.set("/linux/seccomp", json!({"defaultAction": "SCMP_ACT_ALLOW", "listenerMetadata": "x"}));
    seccomp_flag_unknown: ["linux.seccomp.flags[0]"] c => c.set("/linux/seccomp", json!({"defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_NOPE"]}));

    hook_path_relative: ["hooks.createRuntime[0].path", "bin/true"] c => c.push("/hooks/createRuntime", json!({"path": "bin/true"}));
    hook_path_missing: ["hooks.createRuntime[0]", "/no/such/hook", "no such file or directory"] c => c.push("/hooks/createRuntime", json!({"path": "/no/such/hook"}));
    hook_timeout_zero: ["hooks.poststop[0].timeout"] c => c.push("/hooks/poststop", json!({"path": "/bin/true", "timeout": 0}));
    hook_timeout_negative: ["hooks.prestart[0].timeout"] c => c.push("/hooks/prestart", json!({"path": "/bin/true", "timeout": -1}));
    hook_env_without_equals_in_the_container: ["hooks.startContainer[0].env[1]", "X"] c => c.push("/hooks/startContainer", json!({"path": "/bin/true", "env": ["A=b", "X"]}));
    hook_env_without_equals: ["hooks.poststart[0].env[0]"] c => c.push("/hooks/poststart", json!({"path": "/bin/true", "env": ["X"]}));
    hook_fails: ["hooks.createRuntime[0]", "3", "boo"] c => c.hook("createRuntime", "echo boo >&2; exit 3");
    hook_killed: ["hooks.createRuntime[0]", "SIGKILL"] c => c.hook("createRuntime", "kill -9 $$");
    hook_ran_too_long: ["hooks.createRuntime[0]"] c => c.push("/hooks/createRuntime", json!({"path": "/bin/sleep", "args": ["sleep", "1000"], "timeout": 1}));
    hook_in_the_container_fails: ["hooks.createContainer[0]", "4"] c => c.hook("createContainer", "exit 4");

    mounts_not_a_list: ["mounts"] c => c.set("/mounts", json!({}));
    mount_destination_absent: ["mounts[7].destination"] c => c.push("/mounts", json!({"type": "tmpfs", "source": "x"}));
    mount_destination_empty: ["mounts[7].destination"] c => c.mount("", "tmpfs", "x", &[]);
    mount_destination_with_nul: ["mounts[7].destination"] c => c.mount("/a\u{0}b", "tmpfs", "x", &[]);
    mount_on_the_root: ["mounts[7].destination"] c => c.mount("/", "tmpfs", "x", &[]);
    mount_source_missing: ["mounts[7].source", "/no/src", "no such file or directory"] c => c.mount("/mnt", "bind", "/no/src", &["bind"]);
    mount_source_absent: ["mounts[7].source"] c => c.push("/mounts", json!({"destination": "/mnt", "options": ["bind"]}));
    mount_type_unknown: ["mounts[7].type", "nofs"] c => c.mount("/mnt", "nofs", "x", &[]);
    mount_option_unknown: ["mounts[7].options[0]", "sizee"] c => c.mount("/mnt", "tmpfs", "x", &["sizee=1"]);
    mount_option_bad_value: ["mounts[7].options[1]", "size"] c => c.mount("/mnt", "tmpfs", "x", &["nosuid", "size=bogus"]);
    mount_option_unknown_on_a_bind: ["mounts[7].options[1]", "size=1m"] c => c.mount("/mnt", "bind", "/tmp", &["bind", "size=1m"]);
    mount_options_not_a_list: ["mounts[7].options"] c => c.push("/mounts", json!({"destination": "/mnt", "type": "tmpfs", "options": "ro"}));
    mount_of_a_directory_on_a_file: ["mounts[7].destination", "/etc/passwd", "directory"] c => c.mount("/etc/passwd", "bind", "/tmp", &["bind"]);
    mount_over_proc: ["mounts[7].destination", "/proc"] c => c.mount("/proc", "tmpfs", "x", &[]);
    mount_below_proc: ["mounts[7].destination", "/proc/sys"] c => c.mount("/proc/sys/kernel", "bind", "/tmp", &["bind"]);
    mount_idmap_without_mappings: ["mounts[7]"] c => c.mount("/mnt", "bind", "/tmp", &["bind", "idmap"]);
    scheduler_policy_unknown: ["process.scheduler.policy"] c => c.set("/process/scheduler", json!({"policy": "SCHED_BOGUS"}));
    io_priority_class_unknown: ["process.ioPriority.class"] c => c.set("/process/ioPriority", json!({"class": "IOPRIO_CLASS_NOPE", "priority": 1}));
    io_priority_level: ["process.ioPriority.priority", "8"] c => c.set("/process/ioPriority", json!({"class": "IOPRIO_CLASS_BE", "priority": 8}));
    scheduler_nice: ["process.scheduler.nice", "20"] c => c.set("/process/scheduler", json!({"policy": "SCHED_OTHER", "nice": 20}));
    scheduler_priority_of_another_policy: ["process.scheduler.priority"] c => c.set("/process/scheduler", json!({"policy": "SCHED_BATCH", "priority": 1}));
    scheduler_flag_unknown: ["process.scheduler.flags[0]", "SCHED_FLAG_NOPE"] c => c.set("/process/scheduler", json!({"policy": "SCHED_OTHER", "flags": ["SCHED_FLAG_NOPE"]}));
    scheduler_refused_by_the_kernel: ["process.scheduler", "sched"] c => c.set("/process/scheduler", json!({"policy": "SCHED_OTHER", "flags": ["SCHED_FLAG_DL_OVERRUN", "SCHED_FLAG_RECLAIM", "SCHED_FLAG_UTIL_CLAMP_MIN"]}));
    apparmor_profile_unknown: ["process.apparmorProfile", "no-such-profile"] c => c.set("/process/apparmorProfile", json!("no-such-profile"));
    apparmor_profile_number: ["process.apparmorProfile"] c => c.set("/process/apparmorProfile", json!(1));
    apparmor_profile_of_two_lines: ["process.apparmorProfile"] c => c.set("/process/apparmorProfile", json!("a\nb"));
    selinux_label_unknown: ["process.selinuxLabel", "u:r:no_such_type_t:s0"] c => c.set("/process/selinuxLabel", json!("u:r:no_such_type_t:s0"));
    selinux_label_of_one_word: ["process.selinuxLabel", "container_t"] c => c.set("/process/selinuxLabel", json!("container_t"));
    mount_label_unknown: ["linux.mountLabel"] c => c.set("/linux/mountLabel", json!("u:r:no_such_type_t:s0"));
    intel_rdt_class: ["linux.intelRdt.closID", "a/b"] c => c.set("/linux/intelRdt", json!({"closID": "a/b"}));
    intel_rdt_bandwidth: ["linux.intelRdt.memBwSchema"] c => c.set("/linux/intelRdt", json!({"memBwSchema": "L3:0=f"}));
    intel_rdt_cache: ["linux.intelRdt.l3CacheSchema"] c => c.set("/linux/intelRdt", json!({"l3CacheSchema": "all"}));
    intel_rdt_schemata: ["linux.intelRdt.schemata[0]"] c => c.set("/linux/intelRdt", json!({"schemata": ["L3"]}));
    intel_rdt_monitoring_text: ["linux.intelRdt.enableMonitoring"] c => c.set("/linux/intelRdt", json!({"enableMonitoring": "yes"}));
    intel_rdt_class_that_is_not_there: ["linux.intelRdt"] c => c.set("/linux/intelRdt", json!({"closID": "no-such-class"}));
    annotation_of_groups: ["annotations[\"run.oci.keep_original_groups\"]", "maybe"] c => c.set("/annotations", json!({"run.oci.keep_original_groups": "maybe"}));
    annotation_of_a_pidfd: ["annotations[\"run.oci.pidfd_receiver\"]"] c => c.set("/annotations", json!({"run.oci.pidfd_receiver": "here"}));
    annotation_of_a_pidfd_that_nobody_wants: ["annotations[\"run.oci.pidfd_receiver\"]", "/no/such/socket"] c => c.set("/annotations", json!({"run.oci.pidfd_receiver": "/no/such/socket"}));
    annotation_of_a_cgroup: ["annotations[\"run.oci.delegate-cgroup\"]"] c => c.set("/annotations", json!({"run.oci.delegate-cgroup": "a/../.."}));
    annotation_of_a_filter: ["annotations[\"run.oci.seccomp_bpf_data\"]", "base64"] c => c.set("/annotations", json!({"run.oci.seccomp_bpf_data": "BgAA"}));
    annotation_of_a_filter_that_is_unsound: ["annotations[\"run.oci.seccomp_bpf_data\"]", "invalid argument"] c => c.set("/annotations", json!({"run.oci.seccomp_bpf_data": "//8AAAAAAAA="}));
    annotation_of_hooks: ["annotations[\"run.oci.hooks.stdout\"]"] c => c.set("/annotations", json!({"run.oci.hooks.stdout": "hooks.log"}));
    annotation_of_hooks_into_nowhere: ["hooks.prestart[0]", "/no/such/directory/log"] c => c.hook("prestart", "true").set("/annotations", json!({"run.oci.hooks.stderr": "/no/such/directory/log"}));
    annotation_of_hooks_inside_into_nowhere: ["annotations[\"run.oci.hooks.stderr\"]", "/no/such/directory/log"] c => c.hook("startContainer", "true").set("/annotations", json!({"run.oci.hooks.stderr": "/no/such/directory/log"}));
    annotation_of_clocks: ["annotations[\"run.oci.timens_offset\"]", "realtime"] c => c.push("/linux/namespaces", json!({"type": "time"})).set("/annotations", json!({"run.oci.timens_offset": "realtime 1 0"}));
    annotation_of_clocks_without_their_namespace: ["annotations[\"run.oci.timens_offset\"]", "time namespace"] c => c.set("/annotations", json!({"run.oci.timens_offset": "monotonic 1 0"}));
    annotation_of_labels: ["annotations[\"run.oci.mount_context_type\"]"] c => c.set("/annotations", json!({"run.oci.mount_context_type": "labels"}));
    seccomp_syscall_unknown_and_wanted: ["linux.seccomp.syscalls[0].names[0]", "no_such_call"] c => c.set("/annotations", json!({"run.oci.seccomp_fail_unknown_syscall": "1"})).set("/linux/seccomp", rule(json!([{"names": ["no_such_call"], "action": "SCMP_ACT_ERRNO"}])));
    console_size_text: ["process.consoleSize.height"] c => c.set("/process/consoleSize", json!({"height": "tall", "width": 80}));
    additional_gid_too_large: ["process.user.additionalGids[1]", "4294967296"] c => c.set("/process/user/additionalGids", json!([1, 4_294_967_296_u64]));
    capability_number: ["process.capabilities.effective"] c => c.set("/process/capabilities/effective", json!([1]));
    affinity_of_exec_at_last: ["process.execCPUAffinity.final"] c => c.set("/process/execCPUAffinity", json!({"final": "x"}));
    scheduler_runtime_of_another_policy: ["process.scheduler.runtime"] c => c.set("/process/scheduler", json!({"policy": "SCHED_OTHER", "runtime": 100}));
    device_major_text: ["linux.devices[0].major"] c => c.push("/linux/devices", json!({"path": "/dev/x", "type": "c", "major": "1", "minor": 3}));
    device_minor_too_large: ["linux.devices[0].minor"] c => c.push("/linux/devices", json!({"path": "/dev/x", "type": "c", "major": 1, "minor": 1_048_576}));
    device_file_mode: ["linux.devices[0].fileMode"] c => c.push("/linux/devices", json!({"path": "/dev/x", "type": "c", "major": 1, "minor": 3, "fileMode": -1}));
    device_uid: ["linux.devices[0].uid"] c => c.push("/linux/devices", json!({"path": "/dev/x", "type": "c", "major": 1, "minor": 3, "uid": -1}));
    time_offset_of_two_seconds: ["linux.timeOffsets", "nanosecs"] c => c.push("/linux/namespaces", json!({"type": "time"})).set("/linux/timeOffsets", json!({"boottime": {"secs": 1, "nanosecs": 2_000_000_000}}));
    seccomp_no_names: ["linux.seccomp.syscalls[0].names"] c => c.set("/linux/seccomp", rule(json!([{"names": [], "action": "SCMP_ACT_ERRNO"}])));
    seccomp_errno_too_large: ["linux.seccomp.syscalls[0].errnoRet"] c => c.set("/linux/seccomp", rule(json!([{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO", "errnoRet": 5000}])));
    seccomp_errno_of_an_action_without: ["linux.seccomp.syscalls[0].errnoRet"] c => c.set("/linux/seccomp", rule(json!([{"names": ["mkdir"], "action": "SCMP_ACT_KILL", "errnoRet": 1}])));
    cgroups_path_number: ["linux.cgroupsPath"] c => c.set("/linux/cgroupsPath", json!(1));
    cgroups_path_climbs: ["linux.cgroupsPath"] c => c.set("/linux/cgroupsPath", json!("/a/../../b"));
    readonly_path_relative: ["linux.readonlyPaths[0]"] c => c.set("/linux/readonlyPaths", json!(["proc/sys"]));
    domainname_too_long: ["domainname"] c => c.set("/domainname", json!("x".repeat(65)));
    memory_policy_mode_unknown: ["linux.memoryPolicy.mode", "MPOL_NOPE"] c => c.set("/linux/memoryPolicy", json!({"mode": "MPOL_NOPE"}));
    memory_policy_nodes: ["linux.memoryPolicy.nodes", "0-"] c => c.set("/linux/memoryPolicy", json!({"mode": "MPOL_BIND", "nodes": "0-"}));
    memory_policy_of_a_node_that_is_not_there: ["linux.memoryPolicy", "invalid argument"] c => c.set("/linux/memoryPolicy", json!({"mode": "MPOL_BIND", "nodes": "1000"}));
    affinity_of_exec: ["process.execCPUAffinity.initial"] c => c.set("/process/execCPUAffinity", json!({"initial": "3-"}));
    mount_idmap_of_half_a_mapping: ["mounts[7].gidMappings"] c => c.push("/mounts", json!({"destination": "/mnt", "source": "/tmp", "options": ["bind"], "uidMappings": [{"containerID": 0, "hostID": 1, "size": 1}]}));
    mount_idmap_with_an_odd_mapping: ["mounts[7].options[1]", "idmap=uids=1"] c => c.mount("/mnt", "bind", "/tmp", &["bind", "idmap=uids=1"]);
    mount_idmap_of_a_file_system_without: ["mounts[7].options[1]", "invalid argument", "idmapped"] c => c.mount("/mnt", "bind", "/sys", &["bind", "idmap=uids=0-1-1;gids=0-1-1"]);
    net_device_name: ["linux.netDevices[\"a/b\"]"] c => c.set("/linux/netDevices", json!({"a/b": {}}));
    net_device_name_inside: ["linux.netDevices[\"nosuchdev0\"].name", "sixteen"] c => c.set("/linux/netDevices", json!({"nosuchdev0": {"name": "sixteen-letters!"}}));
    net_device_missing: ["linux.netDevices[\"nosuchdev0\"]", "no such device"] c => c.set("/linux/netDevices", json!({"nosuchdev0": {}}));
    net_device_without_network: ["linux.netDevices", "network namespace"] c => c.without_namespace("network").set("/linux/netDevices", json!({"nosuchdev0": {}}));
    annotation_without_a_key: ["annotations"] c => c.set("/annotations", json!({"": "x"}));
    annotation_number: ["annotations"] c => c.set("/annotations", json!({"a": 1}));
    namespace_path_relative: ["linux.namespaces[5].path", "absolute"] c => c.join_namespace("network", "proc/self/ns/net");
    time_offset_of_another_clock: ["linux.timeOffsets", "realtime"] c => c.push("/linux/namespaces", json!({"type": "time"})).set("/linux/timeOffsets", json!({"realtime": {"secs": 1}}));
    masked_path_relative: ["linux.maskedPaths[0]"] c => c.set("/linux/maskedPaths", json!(["proc/kcore"]));
    personality_flag: ["linux.personality.flags[0]", "ADDR_NO_RANDOMIZE"] c => c.set("/linux/personality", json!({"domain": "LINUX", "flags": ["ADDR_NO_RANDOMIZE"]}));
    memory_policy_flag_unknown: ["linux.memoryPolicy.flags[0]", "MPOL_F_NOPE"] c => c.set("/linux/memoryPolicy", json!({"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_NOPE"]}));
    seccomp_default_errno_of_an_action_without: ["linux.seccomp.defaultErrnoRet"] c => c.set("/linux/seccomp", json!({"defaultAction": "SCMP_ACT_ALLOW", "defaultErrnoRet": 1}));
    seccomp_listener_relative: ["linux.seccomp.listenerPath"] c => c.set("/linux/seccomp", rule(json!([{"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}]))).set("/linux/seccomp/listenerPath", json!("agent"));
    scheduler_deadline_before_the_runtime: ["process.scheduler.deadline", "50000000"] c => c.set("/process/scheduler", json!({"policy": "SCHED_DEADLINE", "runtime": 50_000_000, "deadline": 10_000_000, "period": 100_000_000}));
    console_size_negative: ["process.consoleSize.width", "-1"] c => c.set("/process/consoleSize", json!({"height": 24, "width": -1}));
    mount_type_of_a_bind_without_the_option: ["mounts[7]"] c => c.mount("/mnt", "bind", "/tmp", &[]);
    propagation_twice: ["linux.rootfsPropagation"] c => c.set("/linux/rootfsPropagation", json!("shared,slave"));
}
