"""Inspect 200 MB of weights over HTTP: bytes and requests of ours, and of h5py over fsspec's default cache.

Both are counted by the server, on the loopback. Nothing is timed: over a network, bytes and requests are the time.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import fsspec
import h5py

import tfmagic
from tests.address_servers import Served, serving
from tests.files.addresses.test_http_faults import weights_file

SIZE, DATASETS = 200_000_000, 100
#: A quarter of the bytes at least, and at most two requests a dataset.
GOAL = 4.0


def ours(url: str) -> int:
    """Return how many variables there are."""
    return len(tfmagic.inspect(url).variables)


def stock(url: str) -> int:
    """Return the same by h5py and fsspec, as they come."""
    shapes = []
    with fsspec.open(url, "rb") as remote, h5py.File(remote, "r") as file:
        file.visititems(lambda _, item: shapes.append(item.shape) if isinstance(item, h5py.Dataset) else None)
    return len(shapes)


def counted(served: Served, name: str) -> tuple[int, int]:
    """Return the bytes and requests of one side."""
    served.sent.clear()
    served.requests.clear()
    count = {"ours": ours, "stock": stock}[name](f"{served.url}/model.weights.h5")
    assert count == DATASETS
    print(f"  {name}: {served.bytes / 1e6:,.1f} MB in {len(served.requests):,} requests")
    return served.bytes, len(served.requests)


def main() -> None:
    """Print both sides."""
    with tempfile.TemporaryDirectory() as root:
        path = weights_file(Path(root) / "model.weights.h5", DATASETS, SIZE // DATASETS)
        print(f"inspecting an .h5 of {path.stat().st_size / 1e6:,.0f} MB and {DATASETS} datasets over HTTP:")
        with serving(Path(root)) as served:
            (own, asked), (others, _) = counted(served, "ours"), counted(served, "stock")
    print(f"  {others / own:.1f} times the bytes (goal {GOAL}); {asked / DATASETS:.1f} requests a dataset (goal 2)")


if __name__ == "__main__":
    main()
