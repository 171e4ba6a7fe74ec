from __future__ import annotations

from typing import TYPE_CHECKING

from tfmagic import frames
from tfmagic.files import protos
from tfmagic.graphs import metagraphs
from tfmagic.models import graph_tables

if TYPE_CHECKING:
    from pathlib import Path

ESCAPES = (
    "../secret.txt",
    "/etc/passwd",
    "../../etc/passwd",
    "link.txt",
    "nul\0.txt",
    "x" * 5000,
    "a/" * 3000,
    "loop",
    "",
    ".",
)


def with_assets(*names: str) -> metagraphs.MetaGraph:
    message = protos.message("MetaGraphDef")()
    message.meta_info_def.tags.append("serve")
    for name in names:
        message.asset_file_def.add(filename=name).tensor_info.name = "asset:0"
    return metagraphs.MetaGraph.of_message(message)


def test_the_size_of_an_asset_is_that_of_a_file_in_its_folder(tmp_path: Path) -> None:
    (tmp_path / "assets" / "inner").mkdir(parents=True)
    (tmp_path / "assets" / "vocab.txt").write_bytes(b"12345")
    (tmp_path / "assets" / "inner" / "more.txt").write_bytes(b"123")
    (tmp_path / "secret.txt").write_bytes(b"1234567")
    (tmp_path / "assets" / "link.txt").symlink_to(tmp_path / "secret.txt")
    (tmp_path / "assets" / "loop").symlink_to("loop")
    names = ("vocab.txt", "inner/more.txt", "missing.txt", *ESCAPES)
    found = frames.from_rows("assets", graph_tables.assets((with_assets(*names),), tmp_path))
    assert found["filename"].tolist() == list(names)
    assert found["bytes"].tolist()[:2] == [5, 3]
    assert found["bytes"].isna().tolist() == [False, False] + [True] * (1 + len(ESCAPES))


def test_assets_without_a_directory_have_no_size() -> None:
    found = frames.from_rows("assets", graph_tables.assets((with_assets("a.txt"), with_assets("b.txt")), None))
    assert found[["tags", "filename", "tensor"]].to_numpy().tolist() == [
        ["serve", "a.txt", "asset:0"],
        ["serve", "b.txt", "asset:0"],
    ]
    assert found["bytes"].isna().all()
