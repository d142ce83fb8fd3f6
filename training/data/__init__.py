"""Data sources, and the split of one into unlabelled, labelled, held-out and test inputs."""

from training.data.dataset import Dataset, label_ids, load_dataset
from training.data.examples import NO_LABEL, Examples
from training.data.idx import read_idx
from training.data.load import load_source
from training.data.scaling import fit_scaling, raw_range
from training.data.shipped import SHIPPED
from training.data.source import Source
from training.data.split import Split, labelled_classes, split_source

__all__ = [
    "NO_LABEL",
    "SHIPPED",
    "Dataset",
    "Examples",
    "Source",
    "Split",
    "fit_scaling",
    "label_ids",
    "labelled_classes",
    "load_dataset",
    "load_source",
    "raw_range",
    "read_idx",
    "split_source",
]
