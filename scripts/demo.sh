#!/bin/sh
# The story of a container under the hood (`make demo`). Nothing below is told
# from memory: every value is read from the kernel while the story runs, and
# every "yes" is a comparison of two values.
#
# Needs root, busybox-static and the runtime's binary in $RUNTIME. Everything it
# makes lies in a mount namespace and a directory of its own and is gone at the end.

set -eu

RUNTIME=${RUNTIME:?the binary of the runtime}
case $RUNTIME in */*) RUNTIME=$(cd "$(dirname "$RUNTIME")" && pwd)/$(basename "$RUNTIME") ;; esac

[ "$(id -u)" = 0 ] || { echo "demo: needs root" >&2; exit 1; }
if [ "${DEMO_UNSHARED:-}" != yes ]; then
    # Mounts made here end with the last process in here.
    DEMO_UNSHARED=yes RUNTIME=$RUNTIME exec unshare --mount --propagation private sh "$0"
fi

name=$(basename "$RUNTIME")
work=$(mktemp -d /tmp/corten-demo.XXXXXX)
state=$work/state
segment=

if [ -t 1 ]; then bold=$(printf '\033[1m') dim=$(printf '\033[2m') plain=$(printf '\033[0m'); else bold='' dim='' plain=''; fi

runtime() { "$RUNTIME" --root "$state" "$@"; }

clean() {
    for one in story overlay default privileged wrong; do
        runtime delete --force "$one" >/dev/null 2>&1 || true
    done
    [ -z "$segment" ] || ipcrm -m "$segment" 2>/dev/null || true
    umount "$work/image" 2>/dev/null || true
    rm -rf "$work"
}
trap 'status=$?; trap - EXIT; clean; exit $status' EXIT
trap 'exit 130' INT TERM HUP

# -- telling ------------------------------------------------------------------

chapter() { number=$((${number:-0} + 1)); printf '\n%s%d. %s%s\n' "$bold" "$number" "$1" "$plain"; }
say() { printf '   %-30s %s\n' "$1" "$2"; }
note() { printf '   %s%s%s\n' "$dim" "$1" "$plain"; }
same() { if [ "$1" = "$2" ]; then echo yes; else echo no; fi; }
# A line that must hold, or the demo has failed.
holds() { # WHAT FOUND WANTED
    if [ "$2" = "$3" ]; then say "$1" "$2"; else say "$1" "$2 - expected $3"; failed=yes; fi
}
failed=no
milliseconds() { echo $(($(date +%s%N) / 1000000)); }

# -- bundles ------------------------------------------------------------------

# What engines grant an ordinary container.
default_capabilities='"CAP_AUDIT_WRITE","CAP_CHOWN","CAP_DAC_OVERRIDE","CAP_FOWNER","CAP_FSETID","CAP_KILL","CAP_MKNOD","CAP_NET_BIND_SERVICE","CAP_NET_RAW","CAP_SETFCAP","CAP_SETGID","CAP_SETPCAP","CAP_SETUID","CAP_SYS_CHROOT"'
capability_names='CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE'
masked='"/proc/acpi","/proc/kcore","/proc/keys","/proc/latency_stats","/proc/timer_list","/proc/timer_stats","/proc/sched_debug","/proc/scsi","/sys/firmware"'
readonly='"/proc/bus","/proc/fs","/proc/irq","/proc/sys","/proc/sysrq-trigger"'

# Makes the bundle $1 with the program $2 (JSON) and the limits $3 (JSON members).
make_bundle() {
    mkdir -p "$work/$1/rootfs"
    set_config "$1" "$2" "$3" "$default_capabilities" "$masked" "$readonly" false
}

set_config() { # BUNDLE ARGS RESOURCES CAPABILITIES MASKED READONLY DEVICES_ALLOWED
    cat > "$work/$1/config.json" <<JSON
{
  "ociVersion": "1.2.0",
  "process": {
    "terminal": false,
    "user": { "uid": 0, "gid": 0 },
    "args": $2,
    "env": ["PATH=/bin", "TERM=dumb"],
    "cwd": "/",
    "capabilities": { "bounding": [$4], "effective": [$4], "permitted": [$4] },
    "noNewPrivileges": true
  },
  "root": { "path": "rootfs" },
  "hostname": "inside",
  "mounts": [
    { "destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"] },
    { "destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "strictatime", "mode=755", "size=65536k"] },
    { "destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"] },
    { "destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"] },
    { "destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": ["nosuid", "noexec", "nodev"] },
    { "destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"] }
  ],
  "linux": {
    "namespaces": [{ "type": "pid" }, { "type": "network" }, { "type": "ipc" }, { "type": "uts" }, { "type": "mount" }],
    "resources": { "devices": [{ "allow": $7, "access": "rwm" }]$3 },
    "maskedPaths": [$5],
    "readonlyPaths": [$6]
  }
}
JSON
}

fill_root() { # DIRECTORY
    mkdir -p "$1/bin" "$1/etc" "$1/proc" "$1/sys" "$1/dev" "$1/tmp"
    cp "$busybox" "$1/bin/busybox"
    for program in sh cat echo free hostname ls mkdir mount nproc rm sleep true umount uname; do
        ln -sf busybox "$1/bin/$program"
    done
    echo "written when the image was made" > "$1/etc/motd"
}

# What the container sees, one fact a line. Only builtins where processes are
# counted: a helper would count itself.
facts='
set -- /proc/[0-9]*; echo "processes $#"
echo "pid $$"
echo "kernel $(uname -r)"
echo "hostname $(hostname)"
n=0; while read -r line; do n=$((n + 1)); done < /proc/self/mounts; echo "mounts $n"
n=-1; while read -r line; do n=$((n + 1)); done < /proc/sysvipc/shm; echo "segments $n"
names=; while read -r name rest; do case $name in *:) names="$names ${name%:}";; esac; done < /proc/net/dev; echo "interfaces$names"
set -- $(free -k); echo "memory ${8}"
echo "cpus $(nproc)"
echo end
exec sleep 1000'

fact() { sed -n "s/^$1 *//p" "$work/facts"; }
field() { runtime state "$1" | sed -n "s/^ *\"$2\": \"\{0,1\}\([^\",]*\)\"\{0,1\},\{0,1\}\$/\1/p"; }
pid_of() { field "$1" pid; }

# -- where the kernel keeps control groups ------------------------------------

# Path of the file that holds a limit of process $1: $2 is the controller, $3 the
# file on v1, $4 the file on v2. Empty when this host has no such controller.
limit_file() {
    path=$(sed -n "s/^[0-9]*:\([^:]*,\)\{0,1\}$2\(,[^:]*\)\{0,1\}:\(.*\)/\3/p" "/proc/$1/cgroup")
    if [ -n "$path" ]; then
        mount=$(awk -v want="$2" '$3 == "cgroup" && ("," $4 ",") ~ ("," want ",") { print $2; exit }' /proc/self/mounts)
        file=$mount$path/$3
    else
        path=$(sed -n 's/^0:://p' "/proc/$1/cgroup")
        mount=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/self/mounts)
        file=$mount$path/$4
    fi
    [ -z "$mount" ] || [ ! -e "$file" ] || echo "$file"
}

# A limit that the host has no controller for would be an error, as it should be.
has_controller() {
    awk -v want="$1" '$3 == "cgroup" && ("," $4 ",") ~ ("," want ",") { found = 1 } END { exit !found }' /proc/self/mounts && return
    mount=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/self/mounts)
    [ -n "$mount" ] && grep -qw "$1" "$mount/cgroup.controllers"
}

cgroup_mode() {
    v1=$(awk '$3 == "cgroup" { n++ } END { print n + 0 }' /proc/self/mounts)
    v2=$(awk '$3 == "cgroup2" { n++ } END { print n + 0 }' /proc/self/mounts)
    case $((v1 > 0))$((v2 > 0)) in
        00) echo "none" ;; 10) echo "v1 ($v1 hierarchies)" ;;
        01) echo "v2" ;; 11) echo "hybrid ($v1 hierarchies of v1, one of v2)" ;;
    esac
}

# -- capability masks ---------------------------------------------------------

# Names in the mask $1 (hex), with $2 before each and $3 between two.
names_in() {
    bit=0 text=
    for one in $capability_names; do
        [ $((0x$1 >> bit & 1)) = 0 ] || text="${text:+$text$3}$2$one"
        bit=$((bit + 1))
    done
    echo "$text"
}
count_in() { set -- "$(names_in "$1" '' ' ')"; echo "$1" | wc -w; }

# == the story ================================================================

chapter "A bundle: a directory and a config.json"
busybox=$(command -v busybox) || { echo "demo: busybox is missing (apt-get install busybox-static)" >&2; exit 1; }
mkdir -m 700 "$state"
# An overlay cannot lie on an overlay, and /tmp may be one: the image is a tmpfs.
mkdir "$work/image"
mount -t tmpfs -o mode=755 demo "$work/image"
fill_root "$work/image/base"
say "runtime" "$("$RUNTIME" --version | head -n 1) ($(stat -L -c %s "$RUNTIME") bytes)"
say "control groups of this host" "$(cgroup_mode)"
say "root file system" "$(find "$work/image/base" -type f | wc -l) files, $(find "$work/image/base" -type l | wc -l) links, $(du -sk "$work/image/base" | cut -f1) KiB"
limits=
if has_controller memory; then limits="$limits, \"memory\": { \"limit\": 536870912 }"; fi
if has_controller cpu; then limits="$limits, \"cpu\": { \"quota\": 100000, \"period\": 100000 }"; fi
make_bundle story '["sh", "/facts"]' "$limits"
rmdir "$work/story/rootfs"
cp -a "$work/image/base" "$work/story/rootfs"
printf '%s\n' "$facts" > "$work/story/rootfs/facts"
if "$RUNTIME" explain --help >/dev/null 2>&1; then
    "$RUNTIME" explain --bundle "$work/story" > "$work/explained"
    say "lines in its explanation" "$(wc -l < "$work/explained") ($name explain --bundle DIR), such as:"
    grep -e 'linux.resources.[mc]' -e '<- hostname' -e '<- mounts\[0\]' "$work/explained" | sed 's/^  [a-z-]*\( [a-z-]\{1,\}\)*   */   /; s/   *<- /  <- /'
fi

chapter "Create, then start"
if command -v ipcmk >/dev/null; then segment=$(ipcmk -M 4096 | sed 's/.*: //'); fi
began=$(milliseconds)
runtime create --bundle "$work/story" story </dev/null > "$work/facts" 2>&1 || { cat "$work/facts" >&2; exit 1; }
ended=$(milliseconds)
pid=$(pid_of story)
say "create took" "$((ended - began)) ms"
holds "state" "$(field story status)" created
say "what waits at the gate" "process $pid, executing $(readlink "/proc/$pid/exe" | sed 's/ (deleted)//')"
say "memory it holds" "$(sed -n 's/^VmRSS:[[:space:]]*//p' "/proc/$pid/status")"
holds "lines the program has written" "$(wc -l < "$work/facts")" 0
runtime start story
holds "state after start" "$(field story status)" running
tries=0
until grep -qx end "$work/facts"; do
    tries=$((tries + 1))
    [ "$tries" -lt 100 ] || { echo "demo: the container does not speak:" >&2; cat "$work/facts" >&2; exit 1; }
    sleep 0.05
done

chapter "The same kernel"
say "kernel outside" "$(uname -r)"
say "kernel inside" "$(fact kernel)"
holds "the same" "$(same "$(uname -r)" "$(fact kernel)")" yes
note "No second kernel was booted: a container is a process of this one."

chapter "One process with two numbers"
say "its pid outside" "$pid"
say "its pid inside" "$(fact pid)"
say "in the kernel's own words" "$(tr -s '\t' ' ' < "/proc/$pid/status" | grep '^NSpid')"
set -- /proc/[0-9]*
say "processes outside" "$#"
say "processes inside" "$(fact processes)"

chapter "Its own hostname, mounts, network, IPC"
for kind in uts mnt net ipc pid user; do
    ours=$(readlink "/proc/self/ns/$kind") theirs=$(readlink "/proc/$pid/ns/$kind")
    if [ "$ours" = "$theirs" ]; then whose="the host's"; else whose="its own"; fi
    say "$kind namespace" "$theirs, $whose"
done
say "hostname" "outside $(uname -n), inside $(fact hostname)"
say "mounts" "outside $(wc -l < /proc/self/mounts), inside $(fact mounts)"
say "network interfaces" "outside$(sed -n 's/^ *\([^ :]*\):.*/ \1/p' /proc/net/dev | tr -d '\n'), inside $(fact interfaces)"
say "shared memory segments" "outside $(($(wc -l < /proc/sysvipc/shm) - 1)), inside $(fact segments)"

chapter "512 MiB of memory"
file=$(limit_file "$pid" memory memory.limit_in_bytes memory.max)
if [ -n "$file" ]; then
    say "the kernel keeps the limit in" "$file"
    holds "the limit" "$(cat "$file")" 536870912
else
    note "This host has no memory controller for containers: no limit was set."
fi
total=$(sed -n 's/^MemTotal: *\([0-9]*\) kB/\1/p' /proc/meminfo)
say "free inside still says" "$(fact memory) KiB"
say "MemTotal of the host" "$total KiB"
note "/proc/meminfo is not part of any namespace: free(1) shows the machine, the"
note "control group decides."

chapter "One CPU"
file=$(limit_file "$pid" cpu cpu.cfs_quota_us cpu.max)
case $file in
    '') note "This host has no cpu controller for containers: no limit was set." ;;
    */cpu.max)
        say "the kernel keeps the limit in" "$file"
        holds "microseconds of each period" "$(cat "$file")" "100000 100000" ;;
    *)
        say "the kernel keeps the limit in" "$file"
        holds "microseconds of each period" "$(cat "$file") $(cat "${file%/*}/cpu.cfs_period_us")" "100000 100000" ;;
esac
say "CPUs that nproc counts" "outside $(nproc), inside $(fact cpus)"
note "A quota is time, not a number of processors."

chapter "PID 1 does not hear SIGTERM"
caught=$(sed -n 's/^SigCgt:[[:space:]]*//p' "/proc/$pid/status")
say "signals it has handlers for" "mask $caught, SIGTERM $([ $((0x$caught >> 14 & 1)) = 1 ] && echo "among them" || echo "not among them")"
runtime kill story TERM
sleep 0.3
holds "after SIGTERM from outside" "$(field story status)" running
began=$(milliseconds)
runtime kill story KILL
tries=0
while [ "$(field story status)" != stopped ] && [ "$tries" -lt 100 ]; do tries=$((tries + 1)); sleep 0.02; done
ended=$(milliseconds)
holds "after SIGKILL from outside" "$(field story status)" stopped
say "it took" "$((ended - began)) ms"
note "The kernel drops what PID 1 of a namespace has no handler for; only an outer"
note "namespace can force it."
runtime delete story

chapter "An overlay root: the lower layer stays as it was"
make_bundle overlay '["sh", "-c", "echo changed inside > /etc/motd; rm /bin/nproc; echo new > /etc/new"]' ''
rmdir "$work/overlay/rootfs"
mkdir "$work/image/upper" "$work/image/work" "$work/image/merged"
sed -i "s|\"path\": \"rootfs\"|\"path\": \"$work/image/merged\"|" "$work/overlay/config.json"
fingerprint() { (cd "$work/image/base" && find . -type f -exec sha256sum {} + -o -type l -printf '%p -> %l\n' | sort | sha256sum | cut -c1-16); }
before=$(fingerprint)
if mount -t overlay -o "lowerdir=$work/image/base,upperdir=$work/image/upper,workdir=$work/image/work" demo "$work/image/merged" 2>/dev/null; then
    runtime run --bundle "$work/overlay" overlay </dev/null
    after=$(fingerprint)
    say "/etc/motd in the lower layer" "$(cat "$work/image/base/etc/motd")"
    say "/etc/motd in the upper layer" "$(cat "$work/image/upper/etc/motd")"
    say "the upper layer holds" "$(cd "$work/image/upper" && find . -mindepth 1 ! -type d -printf '%P (%y) ')"
    note "A character device there is a whiteout: the file below is hidden, not deleted."
    say "the lower layer, before" "$before"
    say "the lower layer, after" "$after"
    holds "untouched" "$(same "$before" "$after")" yes
    umount "$work/image/merged"
else
    note "This kernel does not mount an overlay here."
fi

chapter "Privileged against default, by capability masks"
everything=$(sed -n 's/^CapBnd:[[:space:]]*//p' /proc/self/status)
look='["sh", "-c", "while read -r k v; do [ $k != CapEff: ] || echo mask $v; done < /proc/self/status; mount -t tmpfs t /tmp 2>/dev/null && echo mount done || echo mount refused; (echo 0 > /proc/sys/net/ipv4/ip_forward) 2>/dev/null && echo sysctl done || echo sysctl refused"]'
for kind in default privileged; do
    make_bundle $kind "$look" ''
    rmdir "$work/$kind/rootfs"
    cp -a "$work/image/base" "$work/$kind/rootfs"
done
set_config privileged "$look" '' "\"$(names_in "$everything" CAP_ '","')\"" '' '' true
for kind in default privileged; do
    runtime run --bundle "$work/$kind" $kind </dev/null > "$work/$kind/out"
    mask=$(sed -n 's/^mask //p' "$work/$kind/out")
    eval "mask_$kind=$mask"
    say "$kind" "mask $mask, $(count_in "$mask") capabilities"
    say "  mount a tmpfs inside" "$(sed -n 's/^mount //p' "$work/$kind/out")"
    say "  write below /proc/sys" "$(sed -n 's/^sysctl //p' "$work/$kind/out")"
done
say "this shell" "mask $everything, $(count_in "$everything") capabilities"
# shellcheck disable=SC2154
difference=$(printf %x $((0x$mask_privileged & ~0x$mask_default)))
say "only the privileged one has" "$(names_in "$difference" '' ' ' | fold -s -w 60 | sed '2,$s/^/                                  /')"

chapter "A mistake in the configuration"
mkdir -p "$work/wrong"
sed 's/"resources": {/"resources": { "pids": { "limit": "lots" },/' "$work/story/config.json" > "$work/wrong/config.json"
cp -a "$work/story/rootfs" "$work/wrong/rootfs"
if runtime run --bundle "$work/wrong" wrong </dev/null > "$work/wrong/out" 2>&1; then code=0; else code=$?; fi
say "exit status" "$code"
fold -s -w 76 "$work/wrong/out" | sed 's/^/   /'

chapter "How long it takes"
set_config default '["true"]' '' "$default_capabilities" "$masked" "$readonly" false
began=$(milliseconds)
count=0
while [ $count -lt 10 ]; do runtime run --bundle "$work/default" default </dev/null; count=$((count + 1)); done
ended=$(milliseconds)
say "create, run true, delete" "$(((ended - began) / count)) ms each, $count times in a row"

chapter "What is left"
holds "containers" "$(runtime list -q | wc -l)" 0
holds "state directories" "$(find "$state" -mindepth 1 -maxdepth 1 | wc -l)" 0
holds "control groups" "$(find /sys/fs/cgroup -type d \( -path '*/corten/story' -o -path '*/corten/overlay' -o -path '*/corten/default' -o -path '*/corten/privileged' -o -path '*/corten/wrong' \) 2>/dev/null | wc -l)" 0
holds "mounts below the demo's root" "$(grep -c " $work/[^i]" /proc/self/mounts || true)" 0
echo
[ "$failed" = no ] || { echo "demo: something did not hold, see above" >&2; exit 1; }
