"""``{{ name }}`` in a function, a comprehension or a class is the name Python would see there."""

import pytest

from qfmagic.testing.harness import NotebookHarness

ASK = "get_ipython().run_line_magic('qianfan', 'once about {{ q }}')"
CELL = "get_ipython().run_cell_magic('qianfan', 'once', 'about {{ q }}')"
MAP = "get_ipython().run_cell_magic('qf', 'map [1] into=rows', 'about {{ q }} {{ item }}')"
CASES = {
    "magic in a function": ("def f(q):\n    answer = %qianfan once about {{ q }}\n    return answer\nf('L')", "L"),
    "other name": ("def f(word):\n    answer = %qianfan once about {{ word }}\n    return answer\nf('L')", "L"),
    "cell magic in a function": (f"def f(q):\n    return {CELL}\nf('L')", "L"),
    "map in a function": (f"def f(q):\n    {MAP}\nf('L')", "L 1"),
    "nested function": (f"def f(q):\n    def g():\n        return {CELL}\n    return g()\nf('L')", "L"),
    "lambda": (f"def f(q):\n    return (lambda: {ASK})()\nf('L')", "L"),
    "comprehension": (f"[{ASK} for q in ['L']]", "L"),
    "comprehension in a function": (f"def f(q):\n    return [{ASK} for _ in [1]]\nf('L')", "L"),
    "generator in a function": (f"def f(q):\n    return list({ASK} for _ in [1])\nf('L')", "L"),
    "loop in a cell": (f"for q in ['L']:\n    {ASK}", "L"),
    "class body": (f"class A:\n    q = 'L'\n    {ASK}", "L"),
    "coroutine": (f"async def f(q):\n    {ASK}\nawait f('L')", "L"),
    "innermost": (f"def f(q):\n    def g(q):\n        return {ASK}\n    return g('L')\nf('outer')", "L"),
    # Not the caller's name, and not a class' in its methods: Python doesn't see them either.
    "caller": (f"def g():\n    return {ASK}\ndef f(q):\n    return g()\nf('caller')", "GLOBAL"),
    "method": (f"class A:\n    q = 'class'\n    def f(self):\n        {ASK}\nA().f()", "GLOBAL"),
    "after a function": (f"def f(q):\n    {ASK}\nf('before')\n{ASK}", "GLOBAL"),
}


@pytest.fixture(scope="module")
def notebook():
    with NotebookHarness() as notebook:
        yield notebook


@pytest.mark.parametrize("case", CASES)
def test_name_in_prompt_is_the_one_python_sees(notebook, case):
    code, value = CASES[case]
    notebook.shell.user_ns["q"] = "GLOBAL"
    notebook.run(code)
    assert notebook.bodies[-1]["messages"][-1]["content"] == f"about {value}"


def test_each_thread_has_its_own_names(notebook):
    code = f"""
import threading
def f(q, first, then):
    first.wait()
    answer = {ASK}
    then.set()
    found.append(answer.request["messages"][-1]["content"])
found, one, two = [], threading.Event(), threading.Event()
threads = [threading.Thread(target=f, args=args) for args in (("A", one, two), ("B", two, one))]
for thread in threads: thread.start()
one.set()
for thread in threads: thread.join()
sorted(found)
"""
    assert notebook.run(code).value == ["about A", "about B"]
