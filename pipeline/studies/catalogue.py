"""Find studies: shipped ones by name or collection, and a user's own by path."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from pipeline.errors import UsageError, unknown_name
from pipeline.io.resources import shipped_files
from pipeline.studies.definition import STUDIES, Study, read_study


def shipped_studies() -> dict[str, Path]:
    """Files of the shipped studies by name."""
    return shipped_files(STUDIES, ".toml")


def is_study(name: str) -> bool:
    """Whether a name is that of a shipped study, a collection or a .toml file."""
    return name.endswith(".toml") or name in shipped_studies() or name in collections()


def collect(collection: str) -> list[Study]:
    """Studies of a collection, ordered by label and then by the designs that they are about."""
    studies = [read_study(path) for path in shipped_studies().values()]
    chosen = [study for study in studies if study.collection == collection]
    return sorted(chosen, key=lambda study: (study.label, *study.about[:1], study.name))


def find_about(designs: Collection[str]) -> list[Study]:
    """Studies that judge one of these designs, by design."""
    studies = [read_study(path) for path in shipped_studies().values()]
    chosen = [study for study in studies if set(study.about) & set(designs)]
    return sorted(chosen, key=lambda study: (study.about[0], study.name))


def collections() -> list[str]:
    """Names of the collections."""
    found = {read_study(path).collection for path in shipped_studies().values()}
    return sorted(found - {""})


def find_studies(names: Sequence[str]) -> list[Study]:
    """Find studies by name, path or collection; each is returned once.

    Raises UsageError for an unknown name and for two files with the same name, InputError for a file that is
    not a study.
    """
    shipped = shipped_studies()
    found: dict[str, Study] = {}
    for name in names:
        if name in shipped:
            some = [read_study(shipped[name])]
        elif name.endswith(".toml"):
            some = [read_study(Path(name))]
        elif name in (groups := collections()):
            some = collect(name)
        else:
            raise unknown_name("study", name, [*groups, *shipped], "'pipeline study' lists them")
        for study in some:
            known = found.setdefault(study.name, study)
            if known.source_file.path.resolve() != study.source_file.path.resolve():
                raise UsageError(
                    f"{known.source_file.path} and {study.source_file.path} have the same name; "
                    f"rename one of the files"
                )
    return list(found.values())
