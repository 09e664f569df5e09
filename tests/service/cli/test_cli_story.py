from rich.console import Console

from evals.sandbox.episode import Episode, Event
from evals.sandbox.faults import FAULTS
from service.cli.story import TIMES, Story


def printed(tell, width=80):
    console = Console(width=width, record=True, force_terminal=False)
    tell(Story(console))
    return console.export_text().splitlines()


def test_the_closing_table_fits_80_columns_with_all_of_its_words():
    seconds = dict.fromkeys(TIMES.values(), 123.4)
    episodes = [Episode(name, "", incident="INC-99", seconds=seconds) for name in FAULTS]
    lines = printed(lambda story: story.finish(episodes))
    assert max(map(len, lines)) <= 80
    [heading] = [line for line in lines if line.startswith("fault")]
    assert heading.split() == ["fault", "incident", "detect", "recommend", "mitigate", "verify", "result"]
    assert [line.split()[0] for line in lines if "resolved" in line] == list(FAULTS)


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
    assert "there is no fault 'flood': choose one of kill_service" in done.stderr
    assert not (tmp_path / "demo").exists()
