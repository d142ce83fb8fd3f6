"""Bundles: one directory, one version, immutable. The format is in models/README.md."""

from rcmvae.bundle.archive import Bundle, load_bundle, manifest_digest, read_manifest
from rcmvae.bundle.check import Check
from rcmvae.bundle.gate_report import GateCheck, GateOutcome, GateReport
from rcmvae.bundle.manifest import FileEntry, InputSignature, Lineage, Manifest
from rcmvae.bundle.pointer import (
    load_current,
    move_pointer,
    name_shadow,
    read_pointer,
    read_shadow,
)
from rcmvae.bundle.publish import BundleDraft, as_bundle, publish_bundle, stage_bundle
from rcmvae.bundle.retention import list_versions, prune
from rcmvae.bundle.tensors import read_arrays, read_metadata, require_tensor, write_tensors
from rcmvae.bundle.version import is_version, new_version

__all__ = [
    "Bundle",
    "BundleDraft",
    "Check",
    "FileEntry",
    "GateCheck",
    "GateOutcome",
    "GateReport",
    "InputSignature",
    "Lineage",
    "Manifest",
    "as_bundle",
    "is_version",
    "list_versions",
    "load_bundle",
    "load_current",
    "manifest_digest",
    "move_pointer",
    "name_shadow",
    "new_version",
    "prune",
    "publish_bundle",
    "read_arrays",
    "read_manifest",
    "read_metadata",
    "read_pointer",
    "read_shadow",
    "require_tensor",
    "stage_bundle",
    "write_tensors",
]
