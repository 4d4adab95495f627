from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from pipeline.cli.generate import generate
from pipeline.cli.workloads import workloads
from pipeline.errors import InputError, UsageError
from pipeline.workload.read_spec import shipped_workloads
from tests.workload.specs import SPEC, named


def _app() -> typer.Typer:
    app = typer.Typer()
    app.command()(generate)
    app.command()(workloads)
    return app


def test_generate_says_what_it_wrote(tmp_path: Path) -> None:
    output = tmp_path / "trace.parquet"
    ran = CliRunner().invoke(
        _app(), ["generate", "laptop", "-o", str(output), "--ops", "1234", "--seed", "5"]
    )
    assert ran.exit_code == 0
    assert f"{output}: 1,234 operations of 6 tasks in 6 processes" in ran.stdout
    assert "workload laptop (sha256 " in ran.stdout
    assert "seed 5" in ran.stdout
    assert output.is_file()


def test_workloads_lists_every_shipped_spec_with_its_description() -> None:
    lines = CliRunner().invoke(_app(), ["workloads"]).stdout.splitlines()
    assert [line.split()[0] for line in lines] == list(shipped_workloads())
    assert all(len(line.split()) > 5 for line in lines)


def test_workloads_prints_a_spec_as_it_is() -> None:
    printed = CliRunner().invoke(_app(), ["workloads", "laptop"]).stdout
    assert printed == shipped_workloads()["laptop"].read_text(encoding="utf-8")


def test_generate_changes_single_values_of_a_workload(tmp_path: Path) -> None:
    output = tmp_path / "trace.parquet"
    settings = ["tasks=3", "page_sets.highmem.pages=5", "page_sets.highmem.sharing=task"]
    words = [word for setting in settings for word in ("--set", setting)]
    ran = CliRunner().invoke(_app(), ["generate", "laptop", "-o", str(output), "--ops", "500", *words])
    assert ran.exit_code == 0, ran.output
    assert "500 operations of 3 tasks" in ran.stdout
    assert "workload laptop (sha256 " in ran.stdout
    # Five pages for each task, numbered one after another.
    assert "pages 0 to 14," in ran.stdout


@pytest.mark.parametrize("in_file", ["pools", "page_sets"])
@pytest.mark.parametrize("in_setting", ["pools", "page_sets"])
def test_the_old_keys_of_page_sets_are_still_read(tmp_path: Path, in_file: str, in_setting: str) -> None:
    old = SPEC.replace("page_sets", "pools").replace("page_set", "pool")
    assert named(tmp_path, old).workload == named(tmp_path).workload
    spec, output = tmp_path / "test.toml", tmp_path / "trace.parquet"
    spec.write_text(old if in_file == "pools" else SPEC)
    settings = [f"{in_setting}.cache.pages=1", f"kinds.page_fault.{in_setting[:-1]}=cache"]
    words = [word for setting in settings for word in ("--set", setting)]
    ran = CliRunner().invoke(_app(), ["generate", str(spec), "-o", str(output), "--ops", "500", *words])
    assert ran.exit_code == 0, ran.output
    assert "pages 0 to 0," in ran.stdout


def test_a_page_set_under_both_its_keys_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"found unknown key 'pools'"):
        named(tmp_path, SPEC + "[pools.more]\npages = 3\n")


@pytest.mark.parametrize(
    ("setting", "error", "said"),
    [
        ("taks=3", InputError, "did you mean 'tasks'"),
        ("tasks=many", InputError, "tasks: expected a valid integer"),
        ("tasks.x=3", UsageError, "'tasks' in laptop.toml is 6, not a table; set 'tasks' itself"),
        ("tasks", UsageError, "--set expects KEY=VALUE, found 'tasks'"),
    ],
)
def test_generate_says_what_is_wrong_with_a_setting(
    tmp_path: Path, setting: str, error: type[Exception], said: str
) -> None:
    output = tmp_path / "trace.parquet"
    ran = CliRunner().invoke(_app(), ["generate", "laptop", "-o", str(output), "--set", setting])
    assert isinstance(ran.exception, error)
    assert said in str(ran.exception)
    assert not output.exists()
