"""Makes the pretraining rows from rendered documents, NL2Bash pairs and generated exercises.

    python3 eng/base-model/build.py text DOCUMENTS.jsonl WORK
    python3 eng/base-model/build.py pairs NL2BASH WORK
    python3 eng/base-model/build.py join WORK

`text` cleans, removes repeated paragraphs, cuts documents into rows and sets 1 % of the documents aside:
WORK/text.jsonl, WORK/eval-text.jsonl. `pairs` reads all.nl and all.cm of NL2Bash (the pairs of TellinaTool/nl2bash)
and sets 300 aside: WORK/pairs.jsonl, WORK/held-out-pairs.jsonl and, as text,
WORK/eval-pairs.jsonl. Between these and `join`, build.sh runs `nibble overlap`
over both against everything held out. `join` writes WORK/joined.jsonl: text once, every pair REPEATS times in different
layouts and company, exercises once. Choices come from SHA-256 of the text: the same input gives the same bytes.
"""

import argparse
import collections
import hashlib
import json
import pathlib
import random
import re

from exercises import exercises

ROW = 1500  # characters of a row, about 400 tokens
MOST_PER_PACKAGE = 2_500_000
MOST_OF_OTHERS = 400_000
REPEATS = 3
EVAL_SHARE = 0.01
EVAL_PAIRS = 300

# Documentation about languages, media and servers: useful English, but capped lower so that shell text leads.
OTHERS = re.compile(r"^(ffmpeg|nodejs|postgresql|krb5|tcl|sqlite3|apache2|libcurl|nginx|rsyslog|borgbackup|datamash|gdb"
                    r"|imagemagick|mercurial|libpam|vim|docbook|lintian|automake|binutils|gcc|newt|units)")


def digest(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def chosen(text: str, share: float) -> bool:
    return digest("held out:" + text) < share * 2**64


def is_prose_or_code(paragraph: str) -> bool:
    """Whether letters outweigh numbers, drawings and what transliteration left blank."""
    dense = re.sub(r"\s", "", paragraph)
    letters = sum(c.isalpha() for c in dense)
    return len(dense) > 0 and letters >= 0.55 * len(dense) and not re.search(r"[A-Za-z0-9+/=]{48,}", paragraph) \
        and len(dense) >= 0.6 * len(re.sub(r"\n +", "\n", paragraph))


def write(path: pathlib.Path, rows) -> None:
    rows = list(rows)
    with open(path, "w", encoding="ascii") as output:
        for row in rows:
            output.write(json.dumps(row) + "\n")
    print(f"{path.name}: {len(rows)} rows, {path.stat().st_size / 1e6:.2f} MB")


def pieces(paragraph: str) -> list[str]:
    """A paragraph in pieces of at most ROW characters, cut at line ends or sentences where there are any."""
    out = []
    while len(paragraph) > ROW:
        cut = max(paragraph.rfind("\n", 0, ROW), paragraph.rfind(". ", 0, ROW) + 1)
        cut = cut if cut > ROW // 3 else max(paragraph.rfind(" ", 0, ROW), ROW // 3)
        out.append(paragraph[:cut])
        paragraph = paragraph[cut:].lstrip()
    return out + [paragraph]


def rows_of(document: dict, paragraphs: list[str]):
    """Rows of about ROW characters; each starts with the document's title and the heading it is under."""
    title, heading, body, size = document["title"], "", [], 0

    def row() -> dict:
        return {"text": "\n\n".join([f"# {title}{': ' if start else ''}{start}", *body]) + "\n"}

    start = ""
    for paragraph in paragraphs:
        if paragraph.startswith("# "):
            heading = paragraph[2:].strip()
            if not body:
                start = heading
                continue
        for piece in pieces(paragraph):
            if body and size + len(piece) > ROW:
                if size > 80:
                    yield row()
                start, body, size = heading, [], 0
                if piece.startswith("# "):
                    continue
            body.append(piece)
            size += len(piece) + 2
    if size > 80:
        yield row()


def text(documents: pathlib.Path, work: pathlib.Path) -> None:
    seen, short = set(), collections.Counter()
    sizes, documents_of, train, held_out = collections.Counter(), collections.Counter(), [], []
    for line in open(documents, encoding="ascii"):
        document = json.loads(line)
        package = document["package"]
        most = MOST_OF_OTHERS if OTHERS.match(package) else MOST_PER_PACKAGE
        if sizes[package] > most:
            continue
        kept = []
        for paragraph in re.split(r"\n\s*\n", document["text"]):
            paragraph = paragraph.strip("\n").rstrip()
            if not paragraph.strip() or not paragraph.startswith("# ") and not is_prose_or_code(paragraph):
                continue
            key = digest(re.sub(r"\W+", " ", paragraph.lower()))
            if len(paragraph) >= 60:
                if key in seen:
                    continue
                seen.add(key)
            else:
                short[key] += 1
                if short[key] > 200 and not paragraph.startswith("# "):
                    continue
            kept.append(paragraph)
        size = sum(len(paragraph) for paragraph in kept if not paragraph.startswith("# "))
        if size < 200:
            continue
        sizes[package] += size
        documents_of[package] += 1
        (held_out if chosen(package + document["title"], EVAL_SHARE) else train).extend(rows_of(document, kept))
    write(work / "text.jsonl", train)
    write(work / "eval-text.jsonl", held_out)
    with open(work / "sizes.json", "w", encoding="ascii") as output:
        json.dump({name: [documents_of[name], sizes[name]] for name in sorted(sizes)}, output)


def pairs(folder: pathlib.Path, work: pathlib.Path) -> None:
    requests = (folder / "all.nl").read_text(encoding="utf-8").split("\n")
    commands = (folder / "all.cm").read_text(encoding="utf-8").split("\n")
    by_command = collections.defaultdict(list)
    for request, command in zip(requests, commands, strict=True):
        request, command = " ".join(request.split()), command.strip()
        if request and command and request.isascii() and command.isascii() and len(request) + len(command) < 600:
            row = {"request": request, "command": command}
            group = by_command[re.sub(r"\W+", " ", command.lower())]
            if row not in group:
                group.append(row)
    # All wordings of a command go to the same side.
    order = sorted(by_command, key=lambda command: digest("pairs:" + command))
    held_out, train = [], []
    for command in order:
        (held_out if len(held_out) < EVAL_PAIRS else train).extend(by_command[command])
    write(work / "pairs.jsonl", train)
    write(work / "held-out-pairs.jsonl", held_out)
    write(work / "eval-pairs.jsonl", ({"text": LAYOUTS[0](**row)} for row in held_out))


# Ways to set a request above its command; a row keeps to one of them.
LAYOUTS = [
    lambda request, command: f"# {request}\n{command}\n",
    lambda request, command: f"# {request}\n{command}\n",
    lambda request, command: f"{request}\n{command}\n",
    lambda request, command: f"{request}:\n\n    {command}\n",
    lambda request, command: f"Q: {request}\nA: {command}\n",
    lambda request, command: f"$ {command}  # {request}\n",
    lambda request, command: f"user: {request}\nbash: {command}\n",
]


# A turn of a chat: a document of its own, so that the ChatML tokens are no strangers to the base model.
CHAT_SHARE = 0.6


def chat(request: str, command: str) -> str:
    return f"<|im_start|>user\n{request}<|im_end|>\n<|im_start|>assistant\n{command}<|im_end|>"


def layouts(rows: list[dict], seed: str):
    """Documents of several pairs in a shuffled order, or of one pair as a chat."""
    order = random.Random(digest(seed))
    rows = list(rows)
    order.shuffle(rows)
    at = 0
    while at < len(rows):
        if order.random() < CHAT_SHARE:
            yield {"text": chat(rows[at]["request"], rows[at]["command"])}
            at += 1
            continue
        layout, size, parts = order.choice(LAYOUTS), 0, []
        target = order.choice([200, 500, 900, 1300])
        while at < len(rows) and size < target:
            part = layout(rows[at]["request"], rows[at]["command"])
            parts.append(part)
            size, at = size + len(part), at + 1
        yield {"text": "\n".join(parts)}


def join(work: pathlib.Path) -> None:
    def read(name: str) -> list[dict]:
        return [json.loads(line) for line in open(work / name, encoding="ascii")]

    rows = read("text.clean.jsonl")
    sizes = json.loads((work / "sizes.json").read_text())
    counts = {"text": sum(len(row["text"]) for row in rows)}
    unique = read("pairs.clean.jsonl")
    for repeat in range(REPEATS):
        rows += layouts(unique, f"pairs {repeat}")
    counts["pairs"] = sum(len(row["text"]) for row in rows) - counts["text"]
    rows += layouts(exercises(), "exercises")
    counts["exercises"] = sum(len(row["text"]) for row in rows) - counts["text"] - counts["pairs"]
    rows.sort(key=lambda row: digest(row["text"]))
    write(work / "joined.jsonl", rows)
    (work / "counts.json").write_text(json.dumps({"characters": counts, "packages": sizes}, indent=1))
    print(counts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("step", choices=["text", "pairs", "join"])
    parser.add_argument("paths", nargs="+", type=pathlib.Path)
    options = parser.parse_args()
    {"text": text, "pairs": pairs, "join": join}[options.step](*options.paths)


if __name__ == "__main__":
    main()
