from pathlib import Path

import pytest

from pipeline.errors import InputError
from pipeline.studies.lockmeter.lockmeter_data import COLUMNS, ROWS_OF_2002, read_rows

HEAD = ",".join(COLUMNS)
LINE = 'X,2.4.18,false,1,1024,all,1.6,2.7,0.5,4208,28,3885,0.14,716044,26.5,16,"somebody"'


def rows_file(tmp_path: Path, *lines: str, head: str = HEAD) -> Path:
    path = tmp_path / "rows.csv"
    path.write_text("\n".join([head, *lines]) + "\n")
    return path


def test_the_rows_of_2002_are_two_configurations_of_three_sites() -> None:
    a, d = read_rows()
    assert (a.name, a.series, a.slots_per_series, a.page_tables_in_highmem, a.cpus) == (
        "A",
        2,
        1024,
        True,
        16,
    )
    assert (d.name, d.series, d.slots_per_series, d.page_tables_in_highmem, d.cpus) == (
        "D",
        1,
        1024,
        False,
        16,
    )
    assert list(a.sites) == list(d.sites) == ["all", "map", "unmap"]
    assert a.maps == 1_275_907
    assert d.maps == 358_022
    assert a.sites["unmap"].hold_max_us == 982
    assert d.wall_s is None


def test_the_wall_time_that_row_d_does_not_give_follows_from_its_own_figures() -> None:
    wall_s = read_rows()[1].wall()
    assert wall_s is not None
    # The narrowest ends: 358,022 x 0.85 us / 1.25 %, and 716,044 x 0.55 us / 1.55 %.
    assert wall_s.low == pytest.approx(358_022 * 0.85e-6 / 0.0125)
    assert wall_s.high == pytest.approx(716_044 * 0.55e-6 / 0.0155)


def test_figures_that_contradict_each_other_give_no_wall_time(tmp_path: Path) -> None:
    path = rows_file(tmp_path, LINE.replace("0.14", "1.40"))
    assert read_rows(path)[0].wall() is None


def test_empty_cells_are_unknown_and_not_zero(tmp_path: Path) -> None:
    path = rows_file(tmp_path, "X,,true,2,512,map,,64.9,,,,,,,,8,")
    (row,) = read_rows(path)
    figures = row.sites["map"]
    assert (figures.util_pct, figures.contended_pct, figures.acquisitions) == (None, 64.9, None)
    assert row.maps is None
    assert row.wall() is None


def test_the_shipped_file_can_be_given_by_path() -> None:
    assert read_rows(ROWS_OF_2002) == read_rows()


@pytest.mark.parametrize(
    ("lines", "head", "message"),
    [
        ([LINE], HEAD.replace(",cpus", ""), r"rows\.csv:1: missing column cpus"),
        ([], HEAD, "no rows"),
        ([LINE.replace("716044", "many")], HEAD, r"rows\.csv:2: column acquisitions: .*found 'many'"),
        ([LINE.replace(",16,", ",,")], HEAD, r"rows\.csv:2: column cpus: .*an empty cell"),
        ([LINE.replace(",16,", ",65,")], HEAD, r"column cpus: .*64.*'65'"),
        ([LINE.replace("all", "both")], HEAD, r"column site: .*'both'"),
        ([LINE.replace("0.5,", "-0.5,")], HEAD, r"column hold_mean_us: .*'-0.5'"),
        ([LINE + ",more"], HEAD, r"rows\.csv:2: expected as many cells"),
        ([LINE, LINE], HEAD, r"rows\.csv:3: row X has the site 'all' twice"),
        ([LINE, LINE.replace("all", "map").replace("1024", "512")], HEAD, r"is '512' here but '1024'"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_file_is_named_with_its_line_and_column(
    tmp_path: Path, lines: list[str], head: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        read_rows(rows_file(tmp_path, *lines, head=head))


def test_a_file_that_is_not_there_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_rows(tmp_path / "none.csv")


def test_a_file_need_not_say_what_ran_and_a_row_has_one_workload(tmp_path: Path) -> None:
    assert [row.workload for row in read_rows()] == ["kernel_build", "kernel_build"]
    assert read_rows(rows_file(tmp_path, LINE))[0].workload == ""
    head = HEAD + ",workload"
    (row,) = read_rows(rows_file(tmp_path, LINE + ",8-way database", head=head))
    assert row.workload == "8-way database"
    lines = (LINE + ",one", LINE.replace(",all,", ",map,") + ",two")
    with pytest.raises(InputError, match="row X: workload is 'two' here but 'one' in line 2"):
        read_rows(rows_file(tmp_path, *lines, head=head))
