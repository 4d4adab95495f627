"""The machine profiles that are available by name, and a list of them."""

from __future__ import annotations

from pathlib import Path

from pipeline.errors import unknown_name
from pipeline.io.files import readable_file
from pipeline.io.tables import align_columns
from pipeline.io.toml import read_toml


def shipped_profiles() -> dict[str, Path]:
    """Paths of the shipped profiles by name."""
    return {path.stem: path for path in sorted((Path(__file__).parent / "profiles").glob("*.toml"))}


def profile_path(name: str) -> Path:
    """Path of a profile given by name, or by a path ending in `.toml`. Raises UsageError or InputError."""
    if name.endswith(".toml"):
        return readable_file(Path(name), "a machine profile (TOML)")
    shipped = shipped_profiles()
    if name not in shipped:
        raise unknown_name("machine", name, shipped, "or give the path of your own .toml profile", (".toml",))
    return shipped[name]


def list_profiles() -> str:
    """List every shipped profile with its CPUs and summary, as text."""
    profiles = [read_toml(path, "a machine profile (TOML)") for path in shipped_profiles().values()]
    return align_columns((p["name"], f"{p['cpus']:>2} CPUs", p["summary"]) for p in profiles)
