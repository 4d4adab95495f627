from pathlib import Path

from pipeline.io.toml_overrides import apply_overrides
from pipeline.machine.catalogue import profile_path
from pipeline.machine.profile import COST_KINDS, load_profile
from pipeline.studies.lockmeter.lockmeter_page import ablations
from pipeline.studies.lockmeter.prediction import MODEL
from pipeline.workload.read_spec import read_workload, workload_path


def test_each_ablation_changes_something_that_exists_and_nothing_twice() -> None:
    first, *others = ablations().values()
    assert first == MODEL
    for ablation in others:
        assert bool(ablation.machine_changes) != bool(ablation.changes)
        for key in ablation.machine_changes:
            assert key == "arbitration" or key.split(".")[1] in COST_KINDS, key


def test_every_ablation_leaves_files_that_load_and_differ(tmp_path: Path) -> None:
    sources = profile_path(MODEL.machine), workload_path(MODEL.workload)
    whole = load_profile(MODEL.machine), read_workload(MODEL.workload).workload
    for name, ablation in list(ablations().items())[1:]:
        profile, spec = (
            apply_overrides(path, changes, tmp_path)
            for path, changes in zip(sources, (ablation.machine_changes, ablation.changes), strict=True)
        )
        assert (load_profile(str(profile)), read_workload(spec).workload) != whole, name


def test_without_bursts_a_task_computes_as_long_on_the_mean() -> None:
    (steady,) = (ablation for name, ablation in ablations().items() if "exponential" in name)
    spec = read_workload("kernel_build").workload
    for name, kind in spec.kinds.items():
        think = kind.think
        mean_ns = think.share * think.first.mean_ns + (1 - think.share) * think.rest.mean_ns
        assert steady.changes[f"kinds.{name}.think"] == {"dist": "exponential", "mean_ns": round(mean_ns)}
