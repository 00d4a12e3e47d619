"""What runs notebooks without a page: nbclient, nbconvert, jupyter execute, papermill and nbval make the same of one."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import nbformat
import pytest

pytestmark = pytest.mark.kernel

PARAMETERS = {"city": "上海", "t": 0.7, "words": ["turn", "轮"]}
VOLATILE = ("id", "created", "seconds")
CELLS = [
    "%load_ext qfmagic\n%qf set model=ernie-5.1",
    'city, t, words = "北京", 0.2, []',
    "%%qianfan temperature={{ t }} into=first expect='/{{ city }}/'\nWhat is {{ city }} known for?",
    "%%qianfan expect='any(word in answer.text for word in words)'\nAnd by {{ len(words) }} words, {{ first.model }}?",
    "_.usage.total_tokens, [message['content'] for message in _.request['messages']]",
    "%qianfan once stop={{ words }} What was {{ city }}?",
    "%qf history",
    "%%qianfan dry\nOnce more",
    "first",
]
TAGS = {1: ["parameters"]}
KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}


def notebook(parameters=None):
    """The notebook; with the cell that papermill puts in, for those that put in none."""
    cells = [nbformat.v4.new_code_cell(source, id=f"cell-{number}") for number, source in enumerate(CELLS)]
    for number, tags in TAGS.items():
        cells[number].metadata["tags"] = tags
    if parameters:
        source = "# Parameters\n" + "".join(f"{name} = {json.dumps(value)}\n" for name, value in parameters.items())
        cells.insert(2, nbformat.v4.new_code_cell(source, id="injected"))
    return nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": KERNEL})


def run(*command):
    done = subprocess.run(
        [sys.executable, "-m", *map(str, command)], check=False, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def nbclient(source, target):
    target.write_bytes(source.read_bytes())
    run("qfmagic.testing.save", target)


def nbconvert(source, target):
    run("nbconvert", "--to", "notebook", "--execute", source, "--output", target, "--log-level=ERROR")


def jupyter_execute(source, target):
    target.write_bytes(source.read_bytes())
    run("jupyter", "execute", "--inplace", target)


def papermill(source, target):
    run("papermill", source, target, "-y", json.dumps(PARAMETERS), "--no-progress-bar")


SURROUNDINGS = {
    "QFMAGIC_TRANSPORT": "stub",
    "QFMAGIC_LANG": "en",
    "QFMAGIC_JOURNAL": "false",
    "QFMAGIC_FOOTER": "false",
}
RUNNERS = [nbclient, nbconvert, jupyter_execute, papermill]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """What each made of the notebook, by name."""
    folder = tmp_path_factory.mktemp("runners")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SURROUNDINGS.items():
            patch.setenv(name, value)

        def make(runner):
            source = folder / f"{runner.__name__}-source.ipynb"
            nbformat.write(notebook(None if runner is papermill else PARAMETERS), source)
            runner(source, folder / f"{runner.__name__}.ipynb")

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(make, RUNNERS))
    return {runner.__name__: folder / f"{runner.__name__}.ipynb" for runner in RUNNERS}


def outputs(path):
    """Every cell's source, number and outputs, without what differs from run to run."""
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    for cell in cells:
        for output in cell.outputs:
            for name in VOLATILE:
                output.get("metadata", {}).get("qfmagic", {}).pop(name, None)
    return [(cell.source.strip(), cell.execution_count, cell.outputs) for cell in cells]


def test_runners_give_equal_outputs(made):
    first, *others = ((name, outputs(path)) for name, path in made.items())
    for name, cells in others:
        assert cells == first[1], (name, first[0])


def test_papermill_parameters_reach_prompts_options_and_expect(made):
    cells = outputs(made["papermill"])
    assert [count for _, count, _ in cells] == list(range(1, len(CELLS) + 2))
    answers = [output for *_, found in cells for output in found if "qfmagic" in output.get("metadata", {})]
    first, second, aside = (answer.metadata.qfmagic for answer in answers[:3])
    assert "What is 上海 known for?" in answers[0].data["text/plain"]
    assert first.parameters == {"temperature": 0.7}
    assert (first.turn, second.turn, aside.turn) == (1, 2, None)
    assert "And by 2 words, ernie-5.1?" in answers[1].data["text/plain"]
    assert aside.parameters == {"stop": ["turn", "轮"]}


def test_nbval_finds_no_difference(made, monkeypatch):
    for name, value in SURROUNDINGS.items():
        monkeypatch.setenv(name, value)
    said = run("pytest", "--nbval", made["papermill"], "-q", "-p", "no:cacheprovider", "-c", "/dev/null")
    assert f"{len(CELLS) + 1} passed" in said
