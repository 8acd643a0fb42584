"""Writes examples/nl2bash/train.jsonl and val.jsonl: natural language -> Bash.

    python3 eng/examples/make_nl2bash_rows.py

Every template is a command with four ways to ask for it; slots such as ~dir~ are filled from pools of values. For each
template some values of every pool, and for templates with one slot or an odd number one way to ask, are kept for the
validation rows: no training row of the template has them. Choices come from SHA-256, not from a random generator: the
same script writes the same bytes everywhere. Only the standard library is used.
"""

import hashlib
import json
import pathlib
import re

from nl2bash_pools import POOLS
from nl2bash_templates_files import FILES
from nl2bash_templates_system import SYSTEM

TEMPLATES = FILES + SYSTEM
TRAIN_PER_TEMPLATE = 18
VALIDATION_PER_TEMPLATE = 3
# A command stands under at most this many wordings.
MOST_PER_COMMAND = 2
ATTEMPTS = 600
SLOT = re.compile(r"~([a-z]+)(\d?)~")


def pick(key: str, choices: list):
    return choices[int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") % len(choices)]


def values(template: int, kind: str) -> tuple[list[int], list[int]]:
    """Numbers of the pool's values for training rows of a template, and of those for its validation rows."""
    # A replacement belongs to what it replaces.
    kind = "old" if kind == "new" else kind
    order = sorted(range(len(POOLS[kind])),
                   key=lambda value: hashlib.sha256(f"{template}/{kind}/{value}".encode()).digest())
    kept = max(2, len(order) // 5)
    return order[kept:], order[:kept]


def fill(text: str, indices: dict[tuple[str, str], int], side: int) -> str:
    def replace(match: re.Match) -> str:
        value = POOLS[match[1]][indices[match[1], match[2]]]
        return value if isinstance(value, str) else value[side]
    return SLOT.sub(replace, text)


def make_row(template: int, phrasings: list[int], held_out: bool, key: str) -> tuple[str, str] | None:
    command, *wordings = TEMPLATES[template]
    indices = {}
    for slot in dict.fromkeys(SLOT.findall(command)):
        if slot[0] == "new":
            indices[slot] = indices["old", ""]
            continue
        indices[slot] = pick(f"{key}/{slot}", values(template, slot[0])[held_out])
        if any(other[0] == slot[0] and other != slot and indices[other] == indices[slot] for other in indices):
            return None
    request = fill(wordings[pick(f"{key}/wording", phrasings)], indices, 0)
    for number, suffix in (("2th", "2nd"), ("3th", "3rd"), ("22th", "22nd"), ("a equals", "an equals"),
                           ("a underscore", "an underscore")):
        request = re.sub(rf"\b{number}\b", suffix, request)
    return request, fill(command, indices, 1)


def make_rows(
        template: int, phrasings: list[int], held_out: bool, count: int, taken: str = "") -> list[tuple[str, str]]:
    """Rows of a template; `taken` is text that must not contain their commands."""
    rows, commands = [], {}
    for attempt in range(ATTEMPTS):
        if len(rows) == count:
            break
        row = make_row(template, phrasings, held_out, f"{template}/{held_out}/{attempt}")
        if row is None or row in rows or row[1] in taken:
            continue
        if commands.get(row[1], 0) == (1 if held_out else MOST_PER_COMMAND):
            continue
        commands[row[1]] = commands.get(row[1], 0) + 1
        rows.append(row)
    return rows


def write(path: pathlib.Path, rows: list[tuple[str, str]]) -> None:
    rows = sorted(rows, key=lambda pair: hashlib.sha256("\n".join(pair).encode()).hexdigest())
    lines = [json.dumps({"messages": [{"role": "user", "content": request},
                                      {"role": "assistant", "content": command}]})
             for request, command in rows]
    path.write_bytes(("\n".join(lines) + "\n").encode("ascii"))
    print(f"{path}: {len(rows)} rows")


def main() -> None:
    train, asks = [], []
    for template, (command, *_) in enumerate(TEMPLATES):
        asked = template % 4
        phrasings, asking = [0, 1, 2, 3], [0, 1, 2, 3]
        if len(set(SLOT.findall(command))) == 1 or template % 2 == 1:
            # With one slot, the same wording with another value would be nearly the same row.
            phrasings.remove(asked)
            asking = [asked]
        train += make_rows(template, phrasings, False, TRAIN_PER_TEMPLATE)
        asks.append(asking)
    commands = "\n".join(command for _, command in train)
    validation = []
    for template, asking in enumerate(asks):
        count = VALIDATION_PER_TEMPLATE if len(asking) == 1 else VALIDATION_PER_TEMPLATE - 1
        validation += make_rows(template, asking, True, count, commands)
    folder = pathlib.Path(__file__).resolve().parents[2] / "examples" / "nl2bash"
    folder.mkdir(parents=True, exist_ok=True)
    write(folder / "train.jsonl", train)
    write(folder / "val.jsonl", validation)
    print(f"{len(TEMPLATES)} templates")


if __name__ == "__main__":
    main()
