"""External tensor data is found wherever a graph can hold a tensor."""

from collections.abc import Callable

import onnx
import pytest

from rcmvae.bundle import Check
from rcmvae.bundle.graph import check_graph
from rcmvae.errors import BundleDamaged
from tests.rcmvae.bundle_factory import DECODER_TEXT, ENCODER_TEXT, SCORES_TEXT, TAU_TEXT, graph


def external(name: str) -> onnx.TensorProto:
    tensor = onnx.TensorProto(name=name, data_type=onnx.TensorProto.FLOAT, dims=[1])
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/hostname")
    return tensor


def in_initializer(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(external("evil"))


def in_sparse_initializer_values(model: onnx.ModelProto) -> None:
    model.graph.sparse_initializer.add().values.CopyFrom(external("evil"))


def in_sparse_initializer_indices(model: onnx.ModelProto) -> None:
    model.graph.sparse_initializer.add().indices.CopyFrom(external("evil"))


def in_constant(model: onnx.ModelProto) -> None:
    node = model.graph.node.add(op_type="Constant", output=["evil"])
    node.attribute.append(onnx.helper.make_attribute("value", external("evil")))


def in_tensor_list_attribute(model: onnx.ModelProto) -> None:
    attribute = model.graph.node[0].attribute.add(name="many")
    attribute.tensors.append(external("evil"))


def in_sparse_attribute(model: onnx.ModelProto) -> None:
    attribute = model.graph.node[0].attribute.add(name="sparse")
    attribute.sparse_tensor.values.CopyFrom(external("evil"))


def in_subgraph_of_subgraph(model: onnx.ModelProto) -> None:
    outer = model.graph.node.add(op_type="If").attribute.add(name="then_branch")
    inner = outer.g.node.add(op_type="Loop").attribute.add(name="body")
    inner.g.initializer.append(external("evil"))


def in_function(model: onnx.ModelProto) -> None:
    node = model.functions.add(name="f").node.add(op_type="Constant")
    node.attribute.append(onnx.helper.make_attribute("value", external("evil")))


def in_function_default(model: onnx.ModelProto) -> None:
    default = onnx.helper.make_attribute("value", external("evil"))
    model.functions.add(name="f").attribute_proto.append(default)


def in_training_graph(model: onnx.ModelProto) -> None:
    model.training_info.add().initialization.initializer.append(external("evil"))


def only_the_reference_without_the_flag(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].name = "evil"
    model.graph.initializer[0].external_data.add(key="location", value="x")


@pytest.mark.parametrize("text", [ENCODER_TEXT, TAU_TEXT, DECODER_TEXT, SCORES_TEXT])
def test_self_contained_graph_passes(text: str) -> None:
    check_graph("some.onnx", graph(text).SerializeToString())


@pytest.mark.parametrize(
    "hide",
    [
        in_initializer,
        in_sparse_initializer_values,
        in_sparse_initializer_indices,
        in_constant,
        in_tensor_list_attribute,
        in_sparse_attribute,
        in_subgraph_of_subgraph,
        in_function,
        in_function_default,
        in_training_graph,
        only_the_reference_without_the_flag,
    ],
)
def test_external_data_is_refused_anywhere(hide: Callable[[onnx.ModelProto], None]) -> None:
    model = graph(DECODER_TEXT)
    hide(model)
    with pytest.raises(BundleDamaged, match="'evil'") as caught:
        check_graph("decoder.onnx", model.SerializeToString())
    assert (caught.value.check, caught.value.file) == (Check.EXTERNAL_DATA, "decoder.onnx")


@pytest.mark.parametrize("field", ["node", "output"])
def test_graph_that_computes_nothing_is_refused(field: str) -> None:
    model = graph(DECODER_TEXT)
    model.graph.ClearField(field)
    with pytest.raises(BundleDamaged, match="expected opset, nodes and outputs"):
        check_graph("decoder.onnx", model.SerializeToString())
