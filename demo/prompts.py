"""The prompts: subjects times settings. Held-out prompts are about subjects that no training prompt names."""

from typing import Any

SUBJECTS = (
    *("a lighthouse", "an orchard", "a violin", "a train station", "a loaf of bread", "a mountain path", "a library"),
    *(
        "a fishing boat",
        "a kitchen garden",
        "a chess game",
        "a bicycle",
        "a thunderstorm",
        "a school play",
        "a beehive",
    ),
    *("a letter", "a market square", "a river ferry", "a telescope", "a wool sweater", "a choir", "a bridge"),
    *("a snowman", "a bus driver", "a painter", "a rooftop", "a campfire", "a football match", "a bakery"),
    *("a clockmaker", "a waterfall", "a museum", "a nurse", "a vineyard", "a puppy", "a desert", "a window"),
    *("a farmer", "a carousel", "a harbour", "a sunrise", "a grandmother", "a street musician"),
)
SETTINGS = ("", " in winter", " early in the morning", " seen by a child")


def prompts(training: int, held_out: int) -> list[dict[str, Any]]:
    """Rows for the import, training prompts first. Errors: ValueError when the subjects do not suffice."""
    about = [f"{subject}{setting}" for subject in SUBJECTS for setting in SETTINGS]
    rounded = -(-training // len(SETTINGS)) * len(SETTINGS)
    if rounded + held_out > len(about):
        raise ValueError(f"There are {len(about)} prompts, not {rounded + held_out}.")
    chosen = about[:training] + about[rounded : rounded + held_out]
    return [
        {"external_id": f"demo-{at:03}", "prompt": f"Write one sentence about {text}.", "held_out": at >= training}
        for at, text in enumerate(chosen)
    ]
