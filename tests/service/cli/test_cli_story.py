from rich.console import Console

from evals.sandbox.episode import Episode, Event
from evals.sandbox.scenarios import SCENARIOS
from service.cli.story import TIMES, Story


def printed(tell, width=80):
    console = Console(width=width, record=True, force_terminal=False)
    tell(Story(console))
    return console.export_text().splitlines()


def test_the_closing_table_fits_80_columns_with_all_of_its_words():
    seconds = dict.fromkeys(TIMES.values(), 123.4)
    episodes = [Episode(one.name, "", one.ending, incident="INC-99", seconds=seconds) for one in SCENARIOS.values()]
    lines = printed(lambda story: story.finish(episodes))
    assert max(map(len, lines)) <= 80
    [heading] = [line for line in lines if line.startswith("scenario")]
    words = ["scenario", "incident", "detect", "recommend", "mitigate", "end", "result"]
    assert heading.split() == words
    ended = [(line.split()[0], line.split()[-1]) for line in lines if "INC-99" in line]
    assert ended == [(one.name, "over" if one.hand_over else "resolved") for one in SCENARIOS.values()]


def test_a_stage_is_wrapped_under_its_text_and_markup_from_outside_is_printed_as_it_is():
    event = Event("seen", 12.34, "word " * 30, ("[bold]detail[/bold] " * 10,))
    lines = [line for line in printed(lambda story: story.show(event)) if line.strip()]
    assert lines[0].startswith("   12.3 s  seen     word")
    assert lines[1].startswith(" " * 20 + "word")
    assert any("[bold]detail[/bold]" in line for line in lines)
    assert max(map(len, lines)) <= 80


def test_a_demo_of_an_unknown_fault_is_refused_before_anything_starts(suture, tmp_path):
    done = suture("demo", "--fault", "flood", "--folder", str(tmp_path / "demo"))
    assert done.exit_code == 2
    assert "there is no scenario 'flood': choose one of exhaust_connections" in done.stderr
    assert not (tmp_path / "demo").exists()


def test_a_simulation_without_a_runbook_that_acts_is_refused_before_anything_starts(suture, tmp_path):
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "notes.md").write_text("# Notes\n\nCall the vendor.\n")
    options = ["--runbooks", str(tmp_path / "own"), "--folder", str(tmp_path / "sim")]
    done = suture("simulate", "--scenario", "all", *options)
    assert done.exit_code == 2
    assert "holds no runbook with an action" in done.stderr
    done = suture("simulate", "--scenario", "flood", *options)
    assert done.exit_code == 2
    assert "there is no scenario 'flood'" in done.stderr
    assert not (tmp_path / "sim").exists()
