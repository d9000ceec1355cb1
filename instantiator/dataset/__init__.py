"""Datasets: named, hashed, read-only sets of files, and how a run gets at them.

A *kept* dataset has its bytes in the vault and is served from there, whatever becomes of the original. A
*reference* stays where it is, for data too large to have twice: a run can be repeated as long as it is there.
"""

from instantiator.dataset.add import add_dataset
from instantiator.dataset.check import DatasetCheck, check_dataset
from instantiator.dataset.errors import (
    DatasetChanged,
    DatasetNameInvalid,
    DatasetUnknown,
    DatasetUnreadable,
)
from instantiator.dataset.names import derive_name, find_dataset
from instantiator.dataset.open import OpenDataset, open_dataset
from provenance.store import Dataset

__all__ = [
    "Dataset",
    "DatasetChanged",
    "DatasetCheck",
    "DatasetNameInvalid",
    "DatasetUnknown",
    "DatasetUnreadable",
    "OpenDataset",
    "add_dataset",
    "check_dataset",
    "derive_name",
    "find_dataset",
    "open_dataset",
]
