"""The memory that verbs add, beside TensorFlow itself: from disk, of live models, and what verifying adds.

Models of ten variables of 60 MB; each verb runs in a process of its own, into which TensorFlow was imported and the
verb's own modules by a small model.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.benchmarks.jobs import compare
from tests.benchmarks.processes import measure

VARIABLES, ROWS = 10, 3_840
#: Bytes of one of them, and of all.
LARGEST = ROWS * ROWS * 4
WEIGHTS = VARIABLES * LARGEST
#: What issue 20 asks for: from disk; of what is alive; and verified.
FROM_DISK, ROOM = 1.2, 150e6

_MODELS = """
import sys
import tensorflow as tf
v1 = tf.compat.v1
def module_of(count, rows):
    module = tf.Module()
    module.kernels = [tf.Variable(tf.random.normal([rows, rows]) / rows ** 0.5) for _ in range(count)]
    def call(x):
        for kernel in module.kernels:
            x = tf.nn.relu(x @ kernel)
        return {"y": x}
    module.call = tf.function(call, input_signature=[tf.TensorSpec([None, rows], name="x")], autograph=False)
    return module
def session_of(count, rows):
    session = v1.Session(graph=tf.Graph())
    with session.graph.as_default():
        x = y = v1.placeholder(tf.float32, [None, rows], name="x")
        for number in range(count):
            y = tf.nn.relu(tf.matmul(y, v1.get_variable(f"kernel_{number}", [rows, rows])))
        tf.identity(y, name="y")
        session.run(v1.global_variables_initializer())
    return session
"""
_WRITE = (
    _MODELS
    + """
for place, count, rows in ((sys.argv[1], int(sys.argv[3]), int(sys.argv[4])), (sys.argv[2], 1, 4)):
    module = module_of(count, rows)
    tf.saved_model.save(module, place, signatures=module.call)
"""
)
_VERBS = """
import tfmagic
large, small, place = sys.argv[1:4]
"""
_LIVE = """
module, tiny = module_of(int(sys.argv[4]), int(sys.argv[5])), module_of(1, 4)
"""
_SESSION = """
session, tiny = session_of(int(sys.argv[4]), int(sys.argv[5])), session_of(1, 4)
"""
#: Each with the source that is measured and the one that goes before.
_FROM_DISK = {
    "freeze": "tfmagic.freeze({}, output=place + '/{}.pb', verify=False)",
    "export to .pb": "tfmagic.export({}, place + '/{}.e.pb', verify=False)",
    "export to SavedModel": "tfmagic.export({}, place + '/{}_model', verify=False)",
    "export to checkpoint": "tfmagic.export({}, place + '/{}.ckpt', verify=False)",
    "sign a copy": "tfmagic.sign({}, place + '/{}_signed', rename={{'serving_default': 'predict'}}, verify=False)",
    "merge": "tfmagic.merge({0}, {0}, output=place + '/{1}_merged', verify=False)",
}
#: Two models make one.
_MERGE_VERIFIED = "tfmagic.merge({0}, {0}, output=place + '/{1}_checked')"


def main() -> None:
    """Print what each adds, and the bound."""
    with tempfile.TemporaryDirectory() as directory:
        large, small = (str(Path(directory) / name) for name in ("large", "small"))
        measure(_WRITE, large, small, str(VARIABLES), str(ROWS))
        arguments = (large, small, directory, str(VARIABLES), str(ROWS))
        print(f"memory that a model of {WEIGHTS / 1e6:.0f} MB adds, its largest variable {LARGEST / 1e6:.0f} MB:")
        bound = FROM_DISK * LARGEST + ROOM
        for title, code in _FROM_DISK.items():
            first, second = code.format("small", "first"), code.format("large", "second")
            job = compare(1, _MODELS + _VERBS + first, *arguments, job=second)["job"]
            _row(f"{title} from disk", job.added, bound)
        first, second = (_MERGE_VERIFIED.format(*names) for names in (("small", "first"), ("large", "second")))
        job = compare(1, _MODELS + _VERBS + first, *arguments, job=second)["job"]
        _row("merge from disk, verified", job.added, bound + 2 * WEIGHTS)
        for kind, prepare, source, ends in (
            ("function", _LIVE, "module.call", ""),
            ("session", _SESSION, "session", ", outputs=['y']"),
        ):
            tiny = "tiny.call" if kind == "function" else "tiny"
            for title, verb in (
                ("freeze", "freeze({}, output=place + '/{}.pb'"),
                ("export", "export({}, place + '/{}'"),
            ):
                for check, most in (("False", bound), ("None", bound + WEIGHTS)):
                    code = f"tfmagic.{verb}{ends}, verify={check}, overwrite=True)"
                    first, second = code.format(tiny, "first"), code.format(source, "second")
                    job = compare(1, _MODELS + _VERBS + prepare + first, *arguments, job=second)["job"]
                    _row(f"{title} a live {kind}{'' if check == 'False' else ', verified'}", job.added, most)


def _row(title: str, added: int, bound: float) -> None:
    wrong = " (over)" if added > bound else ""
    print(f"  {title:<36} {added / 1e6:6.0f} MB, at most {bound / 1e6:.0f}{wrong}", flush=True)


if __name__ == "__main__":
    main()
