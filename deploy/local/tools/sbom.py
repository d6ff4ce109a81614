"""Makes one bill of materials exact and checks it against the schema of CycloneDX 1.5.

Usage: sbom.py RAW PACKAGES FILE. RAW is what cargo-cyclonedx wrote. It knows every package's licence and hash, but
works from `cargo metadata`, which takes features together that only tests and build scripts switch on; so it lists
packages that no binary has. PACKAGES is what `cargo tree` says, one "name version" a line, the binary included.
"""

import json
import sys
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator


def exact(bill: dict, packages: set[str]) -> dict:
    """The bill with these packages, in the order of their names, and no others."""
    parts = [part for part in bill["components"] if key(part) in packages]
    kept = {part["bom-ref"] for part in [bill["metadata"]["component"], *parts]}
    edges = [
        {**edge, "dependsOn": [ref for ref in edge.get("dependsOn", []) if ref in kept]}
        for edge in bill["dependencies"]
        if edge["ref"] in kept
    ]
    return {**bill, "components": sorted(parts, key=key), "dependencies": edges}


def key(part: dict) -> str:
    """A package as `cargo tree` names it."""
    return f"{part['name']} {part['version']}"


def faults(bill: dict, packages: set[str]) -> list[str]:
    """What is wrong with a bill, one line each."""
    error = JsonStrictValidator(SchemaVersion.V1_5).validate_str(json.dumps(bill))
    if error is not None:
        return [f"does not follow the schema: {error}"]
    listed = {key(part) for part in [bill["metadata"]["component"], *bill["components"]]}
    return [
        *(f"does not list {package}" for package in sorted(packages - listed)),
        *(f"has no licence for {key(part)}" for part in bill["components"] if not part.get("licenses")),
    ]


def main(raw: str, packages: str, file: str) -> int:
    """Writes FILE, or says what is wrong; then the exit code is 1."""
    known = set(Path(packages).read_text().splitlines())
    bill = exact(json.loads(Path(raw).read_text()), known)
    wrong = faults(bill, known)
    for fault in wrong:
        print(f"{file}: {fault}", file=sys.stderr)
    if wrong:
        return 1
    Path(file).write_text(json.dumps(bill, indent=2) + "\n")
    print(f"{file}: {len(known)} packages")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
