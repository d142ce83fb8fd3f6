"""The peers learn from the same split, by its seed alone, and from what they may see."""

import argparse
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pyro
import pytest
import torch
from pyro.infer import TraceEnum_ELBO, config_enumerate
from torch import nn

from benchmarks.peers.choice import FAST, NAMES, add_peer_options, choose_peers, peer_names
from benchmarks.peers.label_spreading import LabelSpreadingPeer
from benchmarks.peers.peer import Peer, known_test, share_right
from benchmarks.peers.pyro_ssvae import Perceptron, PyroSsvae, Ssvae
from benchmarks.peers.supervised_cnn import SupervisedCnn, build_classifier
from tests.benchmarks.small import small_config, small_dataset, without_held_out
from training.data import Examples
from training.model.network import RcmVae

RUN = small_config()


def quick_peers() -> dict[str, Peer]:
    return {
        "label_spreading": LabelSpreadingPeer(unlabelled=300),
        "cnn": SupervisedCnn(steps=60),
        "pyro": PyroSsvae(
            epochs=5, hidden=64, latent_dim=8, learning_rate=0.008, batch=50, initial_scale=0.05
        ),
    }


@pytest.mark.parametrize(
    ("name", "least"), [("label_spreading", 0.85), ("cnn", 0.6), ("pyro", 0.6)]
)
def test_a_peer_beats_chance_clearly_and_repeats_itself(name: str, least: float) -> None:
    peer = quick_peers()[name]
    first = peer.accuracy(small_dataset(), RUN)
    assert least < first <= 1.0
    torch.manual_seed(12345)  # whatever came in between has no say
    assert peer.accuracy(without_held_out(small_dataset()), RUN) == first


@pytest.mark.parametrize("name", ["cnn", "pyro"])
def test_another_seed_is_another_run(name: str) -> None:
    peer = quick_peers()[name]
    accuracies = {peer.accuracy(small_dataset(), replace(RUN, seed=seed)) for seed in (1, 2)}
    assert len(accuracies) > 1


def test_label_spreading_draws_its_inputs_by_the_seed() -> None:
    peer = LabelSpreadingPeer(unlabelled=60)
    runs = [replace(RUN, seed=seed) for seed in range(4)]
    assert len({peer.accuracy(small_dataset(), run) for run in runs}) > 1


def test_the_supervised_network_sees_labelled_inputs_alone() -> None:
    dataset, peer = small_dataset(), SupervisedCnn(steps=20)
    blind = replace(dataset, unlabelled=np.full_like(dataset.unlabelled, np.nan))
    assert peer.accuracy(blind, RUN) == peer.accuracy(dataset, RUN)


def test_the_supervised_network_is_as_large_as_our_trunk() -> None:
    dataset = small_dataset()
    ours = RcmVae(dataset.shape, RUN.model, num_channels=30).encoder.trunk
    head = 64 * 10 + 10
    expected = sum(weight.numel() for weight in ours.parameters()) + head
    found = build_classifier(dataset, RUN).parameters()
    assert sum(weight.numel() for weight in found) == expected


def test_label_spreading_takes_no_more_unlabelled_inputs_than_it_may() -> None:
    dataset = small_dataset()
    few, all_of_them = (LabelSpreadingPeer(unlabelled=n) for n in (0, 10_000))
    assert few.accuracy(dataset, RUN) < all_of_them.accuracy(dataset, RUN)


def test_known_test_inputs_leave_the_unlabelled_class_out() -> None:
    dataset = small_dataset('data.unlabelled_classes=["3"]', "data.labels=90")
    test = known_test(dataset)
    digits = dataset.test.y[dataset.test.y != 3]
    assert np.array_equal(test.x, dataset.test.x[dataset.test.y != 3])
    assert [int(dataset.labels[y]) for y in test.y] == digits.tolist()


def test_the_share_of_right_answers() -> None:
    test = Examples(np.zeros((4, 1), dtype=np.float32), np.array([0, 1, 2, 2]))
    assert share_right(np.array([0, 1, 0, 2]), test) == 0.75


def choose(*arguments: str) -> dict[str, Peer]:
    parser = argparse.ArgumentParser()
    add_peer_options(parser)
    return choose_peers(parser.parse_args(arguments))


def test_peers_are_chosen_by_name() -> None:
    assert tuple(choose()) == FAST == ("label_spreading", "cnn")
    assert choose("--peers", "none") == {}
    assert peer_names("all") == NAMES
    assert choose("--peers", "cnn", "--cnn-steps", "7") == {"cnn": SupervisedCnn(steps=7)}
    (pyro,) = choose("--peers", "pyro", "--pyro-epochs", "3").values()
    assert getattr(pyro, "epochs", None) == 3
    with pytest.raises(argparse.ArgumentTypeError, match=r"expected some of .*, got \['svm'\]"):
        peer_names("cnn,svm")


def test_pyro_is_imported_only_when_asked_for() -> None:
    program = (
        "import sys, benchmarks.learning, benchmarks.training_speed; print('pyro' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert found.stdout.strip() == "False", found.stderr


def test_parts_side_by_side_are_one_product_of_their_concatenation() -> None:
    torch.manual_seed(0)
    network = Perceptron((5, 3), 7, 2)
    x, y = torch.randn(4, 5), torch.eye(3)[:, None]  # every label under every input
    joined = torch.cat([x.expand(3, 4, 5), y.expand(3, 4, 3)], dim=-1)
    expected = network.second(nn.functional.softplus(network.first(joined)))
    torch.testing.assert_close(network(x, y), expected)


def test_the_loss_of_unlabelled_inputs_sums_the_label_out() -> None:
    """Against the ELBO of M2: sum_y q(y|x) (E_z log p(x|y, z) - KL_z - log C - log q(y|x))."""
    pyro.clear_param_store()
    pyro.set_rng_seed(0)
    vae = Ssvae(6, 3, PyroSsvae(hidden=5, latent_dim=2, initial_scale=0.7))
    x, draws = torch.rand(4, 6), 4000
    elbo = TraceEnum_ELBO(
        max_plate_nesting=1,
        num_particles=draws,
        vectorize_particles=True,
        strict_enumeration_warning=False,
    )
    found = elbo.loss(vae.model, config_enumerate(vae.guide, "parallel"), x)
    pyro.clear_param_store()
    assert found == pytest.approx(-_elbo_by_hand(vae, x, draws), rel=0.01)


def _elbo_by_hand(vae: Ssvae, x: torch.Tensor, draws: int) -> float:
    total = torch.zeros(())
    with torch.no_grad():
        log_q = vae.label_net(x).log_softmax(dim=1)
        for label in range(3):
            y = torch.eye(3)[label].expand(len(x), 3)
            mean, log_scale = vae.style_net(x, y).chunk(2, dim=1)
            z = mean + log_scale.exp() * torch.randn(draws, *mean.shape)
            logits = vae.decoder(z, y)
            log_p = (x * logits - nn.functional.softplus(logits)).sum(dim=2).mean(dim=0)
            kl = 0.5 * (mean**2 + (2 * log_scale).exp() - 1 - 2 * log_scale).sum(dim=1)
            value = log_p - kl - np.log(3) - log_q[:, label]
            total += (log_q[:, label].exp() * value).sum()
    return float(total)
