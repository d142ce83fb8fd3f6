"""The model card: what a bundle is, for a person who holds nothing but the bundle."""

from rcmvae.bundle import BundleDraft
from rcmvae.calibration import Calibration
from rcmvae.label_map import LabelMap, free_channels

_TEMPLATE = """# {version}

A mixture VAE with {channels} channels that classifies through a channel-to-label map. Made by
`{method}`{parent} on {created}.

| | |
|---|---|
| input | {shape}, {dtype} in [{low:g}, {high:g}] |
| labels | {labels} |
| labelled examples | {examples} |
| free channels | {free} of {channels} |
| calibration | {fused} held-out inputs; {owned} of known labels ({source}) |
| probabilities | temperature {temperature:.3g}, alpha0 {alpha0:.3g}, by {chosen} labels |
| smallest alpha | {smallest:.4f} |

## Figures

| figure | value |
|---|---|
{metrics}

## Limits

False alarms stay at or below alpha for traffic that is exchangeable with the held-out inputs, and
for no other. Classes that are common in the unlabelled data are familiar even without a label:
they are answered `unknown_class`, not `out_of_distribution`. Entropy is not a measure of
strangeness: where every channel is confidently wrong it is near zero.
"""


def write_model_card(draft: BundleDraft, calibration: Calibration, label_map: LabelMap) -> str:
    """The card of a draft, Markdown."""
    parent = draft.lineage.parent_version
    return _TEMPLATE.format(
        version=draft.bundle_version,
        channels=draft.num_channels,
        method=draft.lineage.method,
        parent=f" from {parent}" if parent else "",
        created=draft.created.date().isoformat(),
        shape=" x ".join(str(side) for side in draft.input.shape),
        dtype=draft.input.dtype,
        low=draft.input.low,
        high=draft.input.high,
        labels=", ".join(draft.labels),
        examples=len(label_map.ids),
        free=int(free_channels(label_map, calibration.free_mass).sum()),
        fused=len(calibration.fused),
        owned=len(calibration.owned),
        source=calibration.owned_source.replace("_", " "),
        temperature=calibration.temperature,
        alpha0=calibration.alpha0,
        chosen=calibration.probability_source.replace("_", "-"),
        smallest=calibration.smallest_alpha,
        metrics="\n".join(f"| {name} | {value:.4g} |" for name, value in draft.metrics.items()),
    )
