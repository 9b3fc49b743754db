#!/usr/bin/env python3
"""A bill of materials of the binaries, CycloneDX 1.5: sbom.py > corten.cdx.json

Only what is linked into corten and its shim, as `cargo metadata` resolves it for this
machine; what tests and build scripts use is not in it. The same sources give the same
file, to the byte.
"""

import json
import subprocess
import sys
import uuid

PROGRAMS = ("corten", "containerd-shim-corten")


def run(*words):
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def checksums():
    """(name, version) -> SHA-256 of the crate, from Cargo.lock."""
    found, entry = {}, {}
    for line in open("Cargo.lock", encoding="utf-8"):
        key, _, value = line.strip().partition(" = ")
        if line.startswith("[[package]]"):
            entry = {}
        entry[key] = value.strip('"')
        if key == "checksum":
            found[entry["name"], entry["version"]] = entry[key]
    return found


def linked(metadata):
    """Ids of what is reached by ordinary dependencies, and their edges."""
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    names = {package["id"]: package["name"] for package in metadata["packages"]}
    macros = {
        package["id"]
        for package in metadata["packages"]
        if any("proc-macro" in target["kind"] for target in package["targets"])
    }
    waiting = [identity for identity in nodes if names[identity] in PROGRAMS]
    edges = {}
    while waiting:
        identity = waiting.pop()
        if identity in edges:
            continue
        edges[identity] = sorted(
            dependency["pkg"]
            for dependency in nodes[identity]["deps"]
            if dependency["pkg"] not in macros
            and any(kind["kind"] is None for kind in dependency["dep_kinds"])
        )
        waiting += edges[identity]
    return edges


def main():
    tuple_ = run("rustc", "--print", "host-tuple").strip()
    metadata = json.loads(
        run("cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", tuple_)
    )
    packages = {package["id"]: package for package in metadata["packages"]}
    edges, sums = linked(metadata), checksums()

    def reference(identity):
        package = packages[identity]
        return f"pkg:cargo/{package['name']}@{package['version']}"

    components = []
    for identity in sorted(edges, key=reference):
        package = packages[identity]
        component = {
            "type": "application" if package["name"] in PROGRAMS else "library",
            "bom-ref": reference(identity),
            "name": package["name"],
            "version": package["version"],
            "purl": reference(identity),
        }
        if package.get("license"):
            component["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
        digest = sums.get((package["name"], package["version"]))
        if digest:
            component["hashes"] = [{"alg": "SHA-256", "content": digest}]
        components.append(component)
    bill = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": "corten",
                "name": "corten",
                "version": next(p["version"] for p in packages.values() if p["name"] == "corten"),
                "licenses": [{"license": {"id": "Apache-2.0"}}],
            },
        },
        "components": components,
        "dependencies": [
            {"ref": reference(identity), "dependsOn": [reference(pkg) for pkg in edges[identity]]}
            for identity in sorted(edges, key=reference)
        ],
    }
    name = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(bill, sort_keys=True))
    bill = {"bomFormat": bill["bomFormat"], "specVersion": "1.5", "serialNumber": f"urn:uuid:{name}", **bill}
    json.dump(bill, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
