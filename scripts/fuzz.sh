#!/bin/sh
# Coverage-guided fuzzing: `make fuzz`. Each target runs for FUZZ_SECONDS (60) from the
# corpus in fuzz/corpus; what it finds beside crashes is put there when it reaches code
# that nothing there reached, with FUZZ_KEEP=yes. A crash ends it with its input's path.
set -eu
cd "$(dirname "$0")/../fuzz"
seconds=${FUZZ_SECONDS:-60}
targets=${FUZZ_TARGETS:-"config exec update mounts seccomp state message mount_options proc_stat"}

# What libFuzzer counts: every edge, every comparison. The flags are LLVM's own, which the
# stable compiler passes on. They take the place of the repository's: libFuzzer finds the
# C library's memcmp at run time, so the program cannot be a static one.
coverage="-Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters"
coverage="$coverage -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares"
export RUSTFLAGS="-Cpasses=sancov-module $coverage"
cargo build --locked --release
binary=target/$(rustc --print host-tuple)/release/fuzz

mkdir -p found
total=0
for target in $targets; do
    export FUZZ_TARGET="$target"
    new=found/$target
    mkdir -p "$new"
    log=found/$target.log
    # A minute is long for one input, 1 GiB is much for a configuration.
    if ! "$binary" -max_total_time="$seconds" -timeout=60 -rss_limit_mb=1024 -max_len=16384 \
        -reduce_inputs=1 -print_final_stats=1 -artifact_prefix="found/$target-" \
        "$new" "corpus/$target" > "$log" 2>&1; then
        tail -n 30 "$log"
        echo "fuzz: $target: crashed; the input lies in fuzz/found" >&2
        exit 1
    fi
    inputs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    edges=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -n 1)
    printf '%-14s %10s inputs, %5s edges\n' "$target" "$inputs" "$edges"
    total=$((total + inputs))
    if [ "${FUZZ_KEEP:-no}" = yes ]; then
        merged=found/$target.merged
        rm -rf "$merged" && mkdir "$merged"
        "$binary" -merge=1 -max_len=2048 "$merged" "corpus/$target" "$new" > /dev/null 2>&1
        # Named by their content; a file there keeps its name.
        cp -n "$merged"/* "corpus/$target/" 2> /dev/null || true
    fi
done
echo "fuzz inputs: $total, crashes: 0"
