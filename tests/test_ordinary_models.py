"""What people use runs without trust, and a scan of it is clean: every sample, and each family of keras.applications.

Exceptions stand in a list, each with its reason. A family is judged by the message that an export of it would hold, of
a member as small as its builder allows: what its layers do does not depend on how many there are.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import tfmagic
from tests.samples import SAMPLES
from tfmagic import functions
from tfmagic.findings import graph_scan, hazards, scan
from tfmagic.graphs.metagraphs import MetaGraph
from tfmagic.readers import saved_model
from tfmagic.runtime import keras as keras_runtime

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.samples import Built

pytestmark = pytest.mark.tensorflow

#: Samples and families that ask for trust, or are above low in a scan, and why.
EXCEPTIONS: dict[str, str] = {}
SMALL = {"weights": None, "include_top": False, "input_shape": (32, 32, 3)}


def general(family: str, name: str) -> Any:
    """Return the builder that those of a family's members call with numbers of theirs, which Keras does not list."""
    return getattr(importlib.import_module(f"keras.src.applications.{family}"), name)


def residual(version: int) -> Any:
    stack = general("resnet", f"stack_residual_blocks_v{version}")
    build = general("resnet", "ResNet")
    return build(lambda x: stack(x, 8, 2, name="stack"), preact=version == 2, use_bias=True, **SMALL)


def inception_residual() -> Any:
    """Build the only member of its family, with one block of ten or twenty that are alike."""
    module = importlib.import_module("keras.src.applications.inception_resnet_v2")
    block = module.inception_resnet_block

    def first(x: Any, block_idx: int, **options: Any) -> Any:
        return block(x, block_idx=block_idx, **options) if block_idx == 1 else x

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "inception_resnet_block", first)
        return module.InceptionResNetV2(**{**SMALL, "input_shape": (75, 75, 3)})


FAMILIES: dict[str, Callable[[Any], Any]] = {
    "ConvNeXt": lambda _: general("convnext", "ConvNeXt")((1, 1, 1, 1), (8, 16, 24, 32), **SMALL),
    "DenseNet": lambda _: general("densenet", "DenseNet")((2, 2, 2, 2), **SMALL),
    "EfficientNet": lambda _: general("efficientnet", "EfficientNet")(0.5, 0.1, 32, **SMALL),
    "EfficientNetV2": lambda _: general("efficientnet_v2", "EfficientNetV2")(
        0.5, 0.1, 32, name="efficientnetv2-b0", **SMALL
    ),
    "InceptionV3": lambda a: a.InceptionV3(**{**SMALL, "input_shape": (75, 75, 3)}),
    "InceptionResNetV2": lambda _: inception_residual(),
    "MobileNet": lambda a: a.MobileNet(alpha=0.25, **SMALL),
    "MobileNetV2": lambda a: a.MobileNetV2(alpha=0.35, **SMALL),
    "MobileNetV3": lambda a: a.MobileNetV3Small(alpha=0.75, **SMALL),
    "NASNet": lambda _: general("nasnet", "NASNet")(
        penultimate_filters=96, num_blocks=1, stem_block_filters=8, skip_reduction=False, **SMALL
    ),
    "ResNet": lambda _: residual(1),
    "ResNetV2": lambda _: residual(2),
    "VGG": lambda a: a.VGG16(**SMALL),
    "Xception": lambda a: a.Xception(**{**SMALL, "input_shape": (71, 71, 3)}),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_of_keras_applications_is_free(family: str) -> None:
    model = FAMILIES[family](keras_runtime.keras().applications)
    message = functions.meta_graphs.meta_graph_def([functions.trace_keras_model(model)])
    assert hazards.of_saved_model(message, list(message.signature_def)) == ()
    rows = scan.arranged(graph_scan.findings([MetaGraph.of_message(message)]), everything=False)
    assert scan.severity(rows) in {"clean", "low"}, rows
    # Nobody has trained it, which is to be seen where it normalises batches.
    has_norms = any("moving_mean" in variable.path for variable in model.variables)
    assert {each.code for each in tfmagic.inspect(model).cautions} == ({"untrained"} if has_norms else set())


@pytest.mark.parametrize("name", SAMPLES)
def test_every_sample_is_free(name: str, samples: Built) -> None:
    found = tfmagic.scan(samples[name])
    assert (found.severity in {"clean", "low"}) == (name not in EXCEPTIONS), found
    if SAMPLES[name].form == "saved_model":
        assert saved_model.loading_hazards(Path(found.origin)) == ()
