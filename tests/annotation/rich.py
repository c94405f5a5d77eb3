"""Tasks that show every kind of field, and a question that is easy to answer."""

import itertools
from typing import Any

from annotation.filing import open_slots
from annotation.models import Candidate, Schema, Task
from annotation.router import Router, main_queue
from tests.factories import make_completion, make_prompt

_count = itertools.count(1)
QUESTION = {
    "name": "good",
    "kind": "labels",
    "text": "Is it good?",
    "options": [{"value": "yes", "text": "Yes"}, {"value": "no", "text": "No"}],
}
PAIR = {"name": "preference", "kind": "pairwise", "text": "Which answer helps more?", "strength": True, "reason": True}
TALK = [
    {"role": "system", "content": "You are a **careful** clerk.\nAnswer briefly."},
    {"role": "user", "content": "What does a kettle weigh in $kg$?"},
    {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"name": "look_up", "arguments": {"item": "kettle", "units": ["kg", "lb"]}}],
    },
    {"role": "tool", "name": "look_up", "content": '{"kg": 1.2, "note": "<b>empty</b>"}'},
    {"role": "assistant", "content": "About 1.2 kg."},
]
MARKDOWN = r"""# How to descale

1. Boil **two cups** of vinegar, $\frac{1}{2}$ h.
2. It costs $5 and $10, no more.

| step | minutes |
|------|---------|
| boil | 10      |

```python
def boil(cups: int) -> str:
    # never dry
    return f"{cups} cups"
```

$$\sum_{i=1}^{n} x_i = \frac{n(n+1)}{2}$$

![the hob](https://example.org/hob.png)
"""
CODE = "def main():\n\treturn 'caf\u00e9 \U0001f468‍\U0001f469‍\U0001f467'  # \u202e tricky\n"
PASSAGES = [
    {"id": "p1", "title": "Kettles", "text": "Kettles scale in hard water.", "url": "https://example.org/kettles"},
    {"id": "p2", "text": "Vinegar dissolves lime."},
]
EVERY = [
    {"name": "note", "text": "Note", "kind": "text", "hint": "Read this first."},
    {"name": "doc", "text": "Guide", "kind": "markdown"},
    {"name": "program", "text": "Program", "kind": "code", "language": "python"},
    {"name": "talk", "text": "Conversation so far", "kind": "chat"},
    {"name": "found", "text": "Sources", "kind": "passages"},
]
DATA = {"note": "  two  spaces\tand a tab\u200b", "doc": MARKDOWN, "program": CODE, "talk": TALK, "found": PASSAGES}


def make_task(
    project: Any, fields: Any = EVERY, data: Any = DATA, *, questions: Any = (QUESTION,), count: int = 1, **more: Any
) -> list[Task]:
    body = {"schema_version": 1, "fields": list(fields), "questions": list(questions), **more}
    number = Schema.objects.filter(project=project).count() + 1
    schema = Schema.objects.create(project=project, name=f"rich-{number}", version=1, body=body)
    made = [
        Task.objects.create(
            project=project, queue=main_queue(project), schema=schema, data={"schema_version": 1, **data}
        )
        for _ in range(count)
    ]
    open_slots(Router(project), made)
    return made


def make_pair(project: Any, first: str, second: str, *, prompt: str = "", **more: Any) -> Task:
    body = {"schema_version": 1, "questions": [PAIR], **more}
    number = Schema.objects.filter(project=project).count() + 1
    schema = Schema.objects.create(project=project, name=f"pair-{number}", version=1, body=body)
    row = make_prompt(project, prompt or f"Which is right, number {next(_count)}?")
    task = Task.objects.create(
        project=project, queue=main_queue(project), schema=schema, prompt=row, data={"schema_version": 1}
    )
    for ordinal, text in enumerate((first, second)):
        Candidate.objects.create(task=task, completion=make_completion(row, text), ordinal=ordinal)
    open_slots(Router(project), [task])
    return task
