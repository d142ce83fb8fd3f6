"""The narrow decoder that is served: what it leaves alone, and when the fit's own stays."""

import onnx
import pytest
import torch

from rcmvae.bundle import Lineage
from rcmvae.bundle.manifest import DECODER, WEIGHTS
from tests.training.tiny import tiny_config, tiny_dataset
from training.assemble import assemble, write_weights
from training.config import RunConfig
from training.data import label_ids
from training.encode import Encoded
from training.model.network import RcmVae
from training.served_decoder import Routed, decoding_error, with_served_decoder

NARROW = "model.served_decoder_hidden=8"


def untrained(config: RunConfig) -> RcmVae:
    torch.manual_seed(0)
    return RcmVae(tiny_dataset().shape, config.model, 30).eval()


def encoded(network: RcmVae, x: torch.Tensor) -> Encoded:
    with torch.no_grad():
        encoding, texture = network.encoder.encode_with_texture(x)
    return Encoded(*(part.numpy() for part in (*encoding, texture)))


def served(network: RcmVae, config: RunConfig) -> RcmVae:
    dataset = tiny_dataset()
    stream, held_out = (
        encoded(network, torch.from_numpy(x)) for x in (dataset.unlabelled, dataset.density.x)
    )
    return with_served_decoder(network, dataset, config, stream, held_out)


def error(network: RcmVae) -> float:
    x = tiny_dataset().density.x
    return decoding_error(network, Routed.of(x, encoded(network, torch.from_numpy(x))))


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_it_is_narrow_decodes_held_out_inputs_better_and_changes_nothing_else(
    likelihood: str,
) -> None:
    config = tiny_config(NARROW, f"model.likelihood={likelihood}")
    network = untrained(config)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    random_state = torch.get_rng_state()
    narrow = served(network, config)
    assert narrow.decoder.out.weight.shape == (64, 8)
    assert error(narrow) < error(network)
    for name, value in before.items():
        assert torch.equal(network.state_dict()[name], value)
        if not name.startswith("decoder."):
            assert torch.equal(narrow.state_dict()[name], value)
    assert torch.equal(torch.get_rng_state(), random_state)
    again = served(network, config).state_dict()
    assert all(torch.equal(again[name], value) for name, value in narrow.state_dict().items())


def test_one_that_decodes_held_out_inputs_worse_is_not_served() -> None:
    config = tiny_config(NARROW)
    better = served(untrained(config), config)
    narrower = tiny_config("model.decoder_hidden=8", "model.served_decoder_hidden=1")
    assert served(better, narrower) is better


@pytest.mark.parametrize(
    "settings",
    [
        ("model.served_decoder_hidden=0",),
        ("model.served_decoder_hidden=32",),
        ("model.served_decoder_hidden=8", "model.decoder=conv"),
    ],
)
def test_the_fits_own_is_served_where_no_narrower_one_is_asked_for(
    settings: tuple[str, ...],
) -> None:
    config = tiny_config(*settings)
    network = untrained(config)
    assert served(network, config) is network


def test_a_bundle_holds_the_narrow_decoder_and_the_weights_of_the_fit() -> None:
    dataset, config = tiny_dataset(), tiny_config(NARROW)
    network = untrained(config)
    draft = assemble(network, dataset, config, Lineage(method="fit"), label_ids(dataset))
    decoder = onnx.load_from_string(draft.contents[DECODER]).graph
    widths = {tuple(each.dims) for each in decoder.initializer if len(each.dims) == 2}
    assert (64, 8) in widths
    assert (64, 32) not in widths
    assert draft.contents[WEIGHTS] == write_weights(network)
