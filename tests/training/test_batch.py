"""One batch: which terms it has, and that every choice trains every parameter it brings."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save

from tests.training.tiny import tiny_config, tiny_dataset
from training.batch import Batch, Tensors, compute_terms, first_of, see, update_usage
from training.checkpoint import read_checkpoint
from training.config import RunConfig
from training.curriculum import CLOSED
from training.fit import fit
from training.objective import batch_usage, moved_usage
from training.state import EpochRecord, FitState, new_state
from training.terms.term import Term, combine

CORE = (
    "reconstruction",
    "kl",
    "supervised",
    "usage_entropy",
    "channel_agreement",
    "label_agreement",
)
OPTIONS = (
    "channel_kl",
    "repulsion",
    "peakiness",
    "contrastive",
    "variance",
    "discrepancy",
)
CHOICES = (
    ("model.layout=shared",),
    ("model.prior=mixture",),
    ("model.prior=vamp",),
    ("model.prior=geometric",),
    ("model.prior=geometric", "model.centres=grid", "model.layout=shared"),
    ("model.channel_prior=learnable", "objective.options.channel_kl=0.1"),
    ("model.encoder=mlp",),
    ("model.decoder=conv",),
    ("model.decoder=conv", "model.conditioning=cin"),
    ("model.decoder=conv", "model.conditioning=concat", "model.likelihood=gaussian"),
    ("model.conditioning=concat",),
    ("model.likelihood=gaussian", "model.sigma=image"),
    ("model.likelihood=gaussian", "model.sigma=pixel", "model.decoder=conv"),
    ("objective.routing=gumbel",),
    ("objective.routing=gumbel_st",),
    ("objective.kl_form=all",),
    ("objective.usage_momentum=0.9",),
    ("objective.second_view=target",),
    ("objective.second_view=target", "objective.pseudo_label=1", "objective.decoded=0.25"),
    ("augment.elastic=0.05",),
    ("objective.options.sparsity=0.5",),
    ("objective.options.soft_embedding=0.5",),
    *((f"objective.options.{name}=0.1",) for name in OPTIONS),
)


def batch_of(count: int, progress: float = 0.5) -> Batch:
    dataset = tiny_dataset()
    tensors = Tensors(
        torch.from_numpy(dataset.unlabelled),
        torch.from_numpy(dataset.labelled.x),
        torch.from_numpy(dataset.labelled.y),
    )
    return Batch(tensors.unlabelled[:count], tensors, progress)


def terms_of(config: RunConfig, batch: Batch) -> tuple[FitState, dict[str, Term]]:
    state = new_state(tiny_dataset(), config)
    torch.manual_seed(0)
    return state, {term.name: term for term in compute_terms(state, batch, config)}


def test_by_default_only_the_core_is_computed() -> None:
    _, terms = terms_of(tiny_config(), batch_of(8))
    assert tuple(terms) == CORE


def test_usage_and_agreements_are_rewards_and_the_rest_is_paid_for() -> None:
    _, terms = terms_of(tiny_config(), batch_of(8))
    assert [t.weight > 0 for t in terms.values()] == [True, True, True, False, False, False]


def test_the_sparsity_penalty_turns_the_usage_reward_around() -> None:
    config = tiny_config("objective.options.sparsity=0.5")
    weights = [
        terms_of(config, batch_of(8, at))[1]["usage_entropy"].weight for at in (0.0, 0.7, 0.999)
    ]
    assert weights == pytest.approx([-1.0, 0.0, 0.5], abs=0.01)


@pytest.mark.parametrize("name", OPTIONS)
def test_an_option_adds_its_term_and_changes_no_other(name: str) -> None:
    _, plain = terms_of(tiny_config(), batch_of(8))
    _, terms = terms_of(tiny_config(f"objective.options.{name}=0.25"), batch_of(8))
    assert tuple(terms) == (*CORE, name)
    assert terms[name].weight == 0.25
    assert terms[name].value.isfinite()
    for core in CORE:
        assert torch.equal(terms[core].value, plain[core].value)


@pytest.mark.parametrize("choice", CHOICES, ids=" ".join)
def test_every_choice_reaches_every_parameter(choice: tuple[str, ...]) -> None:
    state, terms = terms_of(tiny_config(*choice), batch_of(16))
    combine(list(terms.values())).backward()  # type: ignore[no-untyped-call]
    for name, parameter in state.network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


def test_the_unweighted_kl_sums_over_all_channels() -> None:
    _, routed = terms_of(tiny_config("objective.top_channels=30"), batch_of(8))
    _, every = terms_of(tiny_config("objective.kl_form=all"), batch_of(8))
    # At the start all channels are about equally far from the prior.
    ratio = every["kl"].value / routed["kl"].value
    assert ratio.item() == pytest.approx(30.0, rel=0.3)


def test_a_target_view_gets_no_gradient_and_is_weaker() -> None:
    config = tiny_config("objective.second_view=target", "augment.target=0.0")
    dataset, batch = tiny_dataset(), batch_of(8)
    state = new_state(dataset, config)
    seen = see(state, batch, config)
    assert seen.r_first.requires_grad
    assert not seen.r_second.requires_grad
    plain = state.network.encode(batch.x).logits.softmax(dim=1)
    torch.testing.assert_close(seen.r_second, plain, atol=1e-5, rtol=0)
    assert not torch.allclose(seen.r_first, plain, atol=1e-5)
    assert seen.r_labelled.shape == (config.fit.labelled_batch, 30)


def test_only_a_share_is_decoded_and_the_rest_of_the_terms_see_all() -> None:
    _, whole = terms_of(tiny_config(), batch_of(16))
    _, share = terms_of(tiny_config("objective.decoded=0.25"), batch_of(16))
    for name in CORE[2:]:
        assert torch.equal(share[name].value, whole[name].value), name
    config = tiny_config()
    seen = see(new_state(tiny_dataset(), config), batch_of(16), config)
    part = first_of(seen, 4)
    assert [len(value) for value in (part.x, part.r_first, part.features, part.logits)] == [4] * 4
    assert share["reconstruction"].value.item() == pytest.approx(
        whole["reconstruction"].value.item(), rel=0.2
    )


def test_pseudo_labels_are_a_term_once_their_weight_is_there() -> None:
    _, terms = terms_of(tiny_config("objective.pseudo_label=2"), batch_of(8, 0.2))
    assert tuple(terms) == (*CORE, "pseudo_label")
    assert terms["pseudo_label"].weight == pytest.approx(1.0)


def test_graph_labels_are_a_term_where_the_batch_has_them() -> None:
    batch = replace(batch_of(8, 0.0), graph_label=torch.zeros(8, 9))
    config = tiny_config("objective.graph_label=2", "objective.graph_label_fade=[0.5, 1]")
    _, terms = terms_of(config, batch)
    assert tuple(terms) == (*CORE, "graph_label")
    assert terms["graph_label"].weight == pytest.approx(2.0)
    assert terms["graph_label"].value.item() == 0.0


def test_a_closed_channel_takes_no_part() -> None:
    batch = batch_of(8)
    bias = torch.zeros(30)
    bias[2:] = CLOSED
    closed = Batch(batch.x, batch.tensors, batch.progress, bias)
    state, terms = terms_of(tiny_config("objective.options.peakiness=0.1"), closed)
    assert terms["usage_entropy"].value.item() <= 0.6932
    assert terms["peakiness"].value.item() < 1e3, "the bias is not part of the density"
    combine(list(terms.values())).backward()  # type: ignore[no-untyped-call]
    gradient = state.network.decoder.channel_embedding.weight.grad
    assert gradient is not None
    assert gradient[:2].any(dim=1).all()
    assert not gradient[2:].any()


def test_the_moving_usage_is_kept_from_batch_to_batch() -> None:
    state = new_state(tiny_dataset(), tiny_config())
    one, other = torch.eye(30)[:1], torch.eye(30)[1:2]
    torch.testing.assert_close(update_usage(state, one, 0.5), one[0], msg="the start has no say")
    usage = update_usage(state, other, 0.5)
    assert usage[:2].tolist() == pytest.approx([1 / 3, 2 / 3])
    torch.testing.assert_close(update_usage(state, one, 0.0), one[0])


CURRICULUM = (
    "fit.epochs=6",
    "fit.checkpoint_epochs=3",
    "objective.curriculum.start=4",
    "objective.curriculum.patience=1",
    "objective.curriculum.tolerance=0.9",
    "objective.curriculum.kick_epochs=1",
    "objective.usage_momentum=0.9",
)


def test_a_resumed_curriculum_opens_the_same_channels(
    tmp_path: Path,
) -> None:
    config = tiny_config(*CURRICULUM)
    unbroken = fit(tiny_dataset(), config, quiet=True)
    path = tmp_path / "checkpoint"
    left = [3]

    def stop(_: FitState) -> None:
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(tiny_dataset(), config, path, on_epoch=stop, quiet=True)
    continued = fit(tiny_dataset(), config, path, quiet=True)
    assert continued.history == unbroken.history
    assert torch.equal(continued.usage, unbroken.usage)
    effective = [record.effective_channels for record in unbroken.history]
    assert effective[0] <= 4.01 < effective[-1], "more channels opened"
    # With a moving average, the usage is still that of the epoch's own batches.
    first, last = unbroken.history[0].usage, unbroken.history[-1].usage
    assert sum(share > 1e-3 for share in first) == 4
    assert sum(last) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_the_usage_of_a_batch_is_won_back_from_the_moving_sum(momentum: float) -> None:
    generator = torch.Generator().manual_seed(0)
    past, r = torch.rand(5, generator=generator), torch.rand(7, 5, generator=generator)
    moved = moved_usage(past, r, momentum)
    torch.testing.assert_close(batch_usage(moved, past, momentum), r.mean(dim=0))


def test_a_history_of_before_the_usage_is_read() -> None:
    config = tiny_config("fit.epochs=1")
    (record,) = fit(tiny_dataset(), config, quiet=True).history
    assert len(record.usage) > 9
    assert sum(record.usage) == pytest.approx(1.0, abs=1e-5)
    assert record.seconds > 0
    values = asdict(record)
    assert EpochRecord.from_json(json.loads(json.dumps(values))) == record
    del values["usage"], values["seconds"]
    assert EpochRecord.from_json(values) == replace(record, usage=())


def test_a_checkpoint_of_before_the_moving_usage_is_read(tmp_path: Path) -> None:
    config, path = tiny_config("fit.epochs=1"), tmp_path / "checkpoint"
    fit(tiny_dataset(), config, path, quiet=True)
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
        tensors = {n: file.get_tensor(n) for n in file.keys() if n != "usage"}  # noqa: SIM118
    path.write_bytes(save(tensors, metadata=metadata))
    state = new_state(tiny_dataset(), config)
    read_checkpoint(path, state)
    assert state.epoch == 1
    assert not state.usage.any()


def test_a_term_that_is_on_is_in_the_history() -> None:
    config = tiny_config("fit.epochs=1", "objective.options.repulsion=0.1")
    (record,) = fit(tiny_dataset(), config, quiet=True).history
    assert 0.0 < record.repulsion < 1.0
    assert record.discrepancy == 0.0
