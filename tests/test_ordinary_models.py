"""What people use runs without trust, and a scan of it is clean: every sample, and each family of keras.applications.

Exceptions stand in a list, each with its reason. A family is judged by the message that an export of it would hold, of
a member as small as its builder allows: what its layers do does not depend on how many there are.
"""

from __future__ import annotations

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


FAMILIES: dict[str, Callable[[Any], Any]] = {
    "ConvNeXt": lambda a: a.ConvNeXtTiny(**SMALL),
    "DenseNet": lambda a: a.DenseNet121(**SMALL),
    "EfficientNet": lambda a: a.EfficientNetB0(**SMALL),
    "EfficientNetV2": lambda a: a.EfficientNetV2B0(**SMALL),
    "InceptionV3": lambda a: a.InceptionV3(**{**SMALL, "input_shape": (75, 75, 3)}),
    "InceptionResNetV2": lambda a: a.InceptionResNetV2(**{**SMALL, "input_shape": (75, 75, 3)}),
    "MobileNet": lambda a: a.MobileNet(alpha=0.25, **SMALL),
    "MobileNetV2": lambda a: a.MobileNetV2(alpha=0.35, **SMALL),
    "MobileNetV3": lambda a: a.MobileNetV3Small(alpha=0.75, **SMALL),
    "NASNet": lambda a: a.NASNetMobile(**SMALL),
    "ResNet": lambda a: a.ResNet50(**SMALL),
    "ResNetV2": lambda a: a.ResNet50V2(**SMALL),
    "VGG": lambda a: a.VGG16(**SMALL),
    "Xception": lambda a: a.Xception(**{**SMALL, "input_shape": (71, 71, 3)}),
}
#: Their layers are those of the others, and it takes seconds each to build them.
_SLOW = {
    "ConvNeXt",
    "DenseNet",
    "EfficientNetV2",
    "InceptionV3",
    "InceptionResNetV2",
    "MobileNetV2",
    "NASNet",
    "ResNetV2",
    "Xception",
}


@pytest.mark.parametrize(
    "family", [pytest.param(name, marks=pytest.mark.slow if name in _SLOW else ()) for name in FAMILIES]
)
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
