import tomllib

from pipeline.machine.profile import COST_KINDS
from pipeline.studies.lockmeter.ablation import ablations
from pipeline.studies.lockmeter.prediction import Model, configured
from pipeline.workload.read_spec import read_workload


def test_each_ablation_changes_something_that_exists_and_nothing_twice() -> None:
    first, *others = ablations()
    assert (first.machine, first.workload) == ({}, {})
    assert len({ablation.name for ablation in others}) == len(others)
    for ablation in others:
        assert bool(ablation.machine) != bool(ablation.workload), ablation.name
        for key in ablation.machine:
            assert key == "arbitration" or key.split(".")[1] in COST_KINDS, key


def test_every_ablation_leaves_files_that_load_and_differ() -> None:
    with configured(Model()) as (machine, workload):
        whole = tomllib.loads(machine.read_text()), tomllib.loads(workload.read_text())
    for ablation in ablations()[1:]:
        with configured(Model(machine_changes=ablation.machine, workload_changes=ablation.workload)) as paths:
            read_workload(paths[1])
            assert (tomllib.loads(paths[0].read_text()), tomllib.loads(paths[1].read_text())) != whole


def test_without_bursts_a_task_computes_as_long_on_the_mean() -> None:
    (steady,) = (a for a in ablations() if "exponential" in a.name)
    spec = read_workload("kernel_build").workload
    for name, kind in spec.kinds.items():
        think = kind.think
        mean_ns = think.share * think.first.mean_ns + (1 - think.share) * think.rest.mean_ns
        assert steady.workload[f"kinds.{name}.think"] == {"dist": "exponential", "mean_ns": round(mean_ns)}
