"""A crate in a BagIt bag (RFC 8493). The one door to `bagit`."""

from __future__ import annotations

from pathlib import Path

import bagit

from provenance.record import Record


def make_bag(folder: Path, record: Record) -> None:
    """Turn a folder into a bag around its files, with sha256 manifests."""
    said = {
        "Bagging-Date": f"{record.ended:%Y-%m-%d}",
        "Bag-Software-Agent": f"Thaw {record.software.get('thaw', '')}".strip(),
        "External-Identifier": record.digest,
        "External-Description": f"Run {record.run} of {record.recipe}, as an RO-Crate",
    }
    bagit.make_bag(str(folder), said, checksums=["sha256"])
