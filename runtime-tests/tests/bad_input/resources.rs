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
    memory_limit_below_unlimited: ["linux.resources.memory.limit", "-2"] c => c.set("/linux/resources/memory", json!({"limit": -2}));
    memory_reservation_below_unlimited: ["linux.resources.memory.reservation", "-2"] c => c.set("/linux/resources/memory", json!({"reservation": -2}));
    memory_kernel_tcp_below_unlimited: ["linux.resources.memory.kernelTCP", "-2"] c => c.set("/linux/resources/memory", json!({"kernelTCP": -2}));
    cpu_burst_above_the_quota: ["linux.resources.cpu.burst"] c => c.set("/linux/resources/cpu", json!({"quota": 10_000, "period": 100_000, "burst": 20_000}));
    cpu_idle_two: ["linux.resources.cpu.idle", "2"] c => c.set("/linux/resources/cpu", json!({"idle": 2}));
    cpu_realtime_above_the_period: ["linux.resources.cpu.realtime"] c => c.set("/linux/resources/cpu", json!({"realtimeRuntime": 20_000, "realtimePeriod": 10_000}));
    cpuset_no_such_node: ["linux.resources.cpu.mems"] c => c.set("/linux/resources/cpu", json!({"mems": "1000"}));
    block_weight_of_a_device: ["linux.resources.blockIO.weightDevice[0]"] c => c.set("/linux/resources/blockIO", json!({"weightDevice": [{"major": 8, "minor": 0, "weight": 5000}]}));
    block_device_without_a_weight: ["linux.resources.blockIO.weightDevice[0]"] c => c.set("/linux/resources/blockIO", json!({"weightDevice": [{"major": 8, "minor": 0}]}));
    block_rate_of_no_device: ["linux.resources.blockIO.throttleReadBpsDevice[0]"] c => c.set("/linux/resources/blockIO", json!({"throttleReadBpsDevice": [{"major": 4000, "minor": 77, "rate": 1}]}));
    network_class_too_large: ["linux.resources.network.classID", "4294967296"] c => c.set("/linux/resources/network", json!({"classID": 4_294_967_296_u64}));
    network_class_without_the_controller: ["linux.resources.network.classID", "cgroup"] c => c.set("/linux/resources/network", json!({"classID": 1}));
    network_priority_without_the_controller: ["linux.resources.network.priorities", "cgroup"] c => c.set("/linux/resources/network", json!({"priorities": [{"name": "lo", "priority": 1}]}));
    rdma_without_the_controller: ["linux.resources.rdma", "rdma"] c => c.set("/linux/resources/rdma", json!({"mlx5_1": {"hcaHandles": 1}}));
    device_rule_number: ["linux.resources.devices[1].major", "-2"] c => c.push("/linux/resources/devices", json!({"allow": true, "type": "c", "major": -2, "minor": 3, "access": "r"}));
}
