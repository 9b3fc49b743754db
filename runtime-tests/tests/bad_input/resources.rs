//! `linux.resources` and `linux.cgroupsPath` that cannot be carried out.

use serde_json::json;

use crate::refused::broken;

const CHAPTER: &str = "config-linux.md: Valid resources";

broken! {
    memory_limit_text: ["linux.resources.memory.limit", "lots"] c => c.set("/linux/resources/memory", json!({"limit": "lots"}));
    memory_limit_fraction: ["linux.resources.memory.limit", "1.5"] c => c.set("/linux/resources/memory", json!({"limit": 1.5}));
    memory_limit_one_byte: ["linux.resources.memory.limit"] c => c.set("/linux/resources/memory", json!({"limit": 1}));
    memory_swap_below_limit: ["linux.resources.memory.swap"] c => c.set("/linux/resources/memory", json!({"limit": 104_857_600, "swap": 52_428_800}));
    memory_swap_without_limit: ["linux.resources.memory"] c => c.set("/linux/resources/memory", json!({"swap": 52_428_800}));
    memory_swappiness: ["linux.resources.memory.swappiness"] c => c.set("/linux/resources/memory", json!({"swappiness": 101}));
    cpu_shares_negative: ["linux.resources.cpu.shares", "-1"] c => c.set("/linux/resources/cpu", json!({"shares": -1}));
    cpu_quota_too_small: ["linux.resources.cpu.quota"] c => c.set("/linux/resources/cpu", json!({"quota": 1, "period": 100_000}));
    cpu_period_too_large: ["linux.resources.cpu.period"] c => c.set("/linux/resources/cpu", json!({"quota": 10_000, "period": 100_000_000}));
    cpuset_no_such_cpu: ["linux.resources.cpu.cpus"] c => c.set("/linux/resources/cpu", json!({"cpus": "4000"}));
    cpuset_not_a_list: ["linux.resources.cpu.cpus"] c => c.set("/linux/resources/cpu", json!({"cpus": "first"}));
    pids_limit_text: ["linux.resources.pids.limit", "many"] c => c.set("/linux/resources/pids", json!({"limit": "many"}));
    hugepage_size_unknown: ["linux.resources.hugepageLimits[0]", "3MB"] c => c.set("/linux/resources/hugepageLimits", json!([{"pageSize": "3MB", "limit": 0}]));
    block_weight_too_small: ["linux.resources.blockIO.weight", "5"] c => c.set("/linux/resources/blockIO", json!({"weight": 5}));
    device_rule_type: ["linux.resources.devices[1].type", "z"] c => c.push("/linux/resources/devices", json!({"allow": true, "type": "z", "access": "r"}));
    device_rule_access: ["linux.resources.devices[1].access", "q"] c => c.push("/linux/resources/devices", json!({"allow": true, "type": "c", "access": "q"}));
    device_rule_without_allow: ["linux.resources.devices[1].allow"] c => c.push("/linux/resources/devices", json!({"type": "c", "access": "r"}));
    unified_no_controller: ["linux.resources.unified[\"bogus.max\"]"] c => c.set("/linux/resources/unified", json!({"bogus.max": "1"}));
    unified_climbs: ["linux.resources.unified"] c => c.set("/linux/resources/unified", json!({"../other/cgroup.max.depth": "7"}));
    unified_number: ["linux.resources.unified"] c => c.set("/linux/resources/unified", json!({"cgroup.max.depth": 7}));
    cgroups_path_climbs: ["linux.cgroupsPath", ".."] c => c.set("/linux/cgroupsPath", json!("/../../etc"));
    cgroups_path_with_nul: ["linux.cgroupsPath"] c => c.set("/linux/cgroupsPath", json!("/a\u{0}b"));
    cgroups_path_number: ["linux.cgroupsPath"] c => c.set("/linux/cgroupsPath", json!(5));
    resources_a_list: ["linux.resources"] c => c.set("/linux/resources", json!(["memory"]));
}
