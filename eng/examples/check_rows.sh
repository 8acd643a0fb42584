#!/usr/bin/env bash
# Checks the rows of examples/nl2bash: every command parses, both files are plain ASCII with one well-formed row per
# line, no request, command or near duplicate of a whole row (as `nibble overlap` defines it) is in both files, and
# nothing that wrecks a system is taught.
#
#     bash eng/examples/check_rows.sh
#
# Needs bash, python3 (standard library only) and the .NET SDK. Exit code 1 when anything is wrong.
set -euo pipefail
cd "$(dirname "$0")/../../examples/nl2bash"
dotnet run -c Release --project ../../src/Nibble.Cli -- overlap train.jsonl --held-out val.jsonl
exec python3 - train.jsonl val.jsonl <<'PYTHON'
import json
import re
import subprocess
import sys

DANGEROUS = [r"\brm\s+-\w*r\w*f?\s+/", r"\bmkfs", r"\bdd\s.*of=/dev/", r":\(\)\s*\{", r">\s*/dev/sd",
             r"\bchmod\s+-R\s+777\b", r"\bfind\s+/\s.*-delete", r"\|\s*(ba)?sh\b", r"\bsudo\b"]

problems = []


def read(path):
    rows = []
    data = open(path, "rb").read()
    if not data.isascii() or b"\r" in data or not data.endswith(b"\n"):
        problems.append(f"{path}: expected ASCII with LF line ends and a final newline")
    for number, line in enumerate(data.decode("ascii", "replace").splitlines(), 1):
        messages = json.loads(line)["messages"]
        roles = [message["role"] for message in messages]
        if roles != ["user", "assistant"] or not all(message["content"].strip() for message in messages):
            problems.append(f"{path}:{number}: expected one user and one assistant message with text, found {roles}")
            continue
        rows.append((number, messages[0]["content"], messages[1]["content"]))
    return rows


def duplicates(path, rows):
    seen = {}
    for number, instruction, command in rows:
        first = seen.setdefault(instruction.lower(), number)
        if first != number:
            problems.append(f"{path}:{number}: the request of line {first} again: {instruction}")
        if len(command) > 120:
            problems.append(f"{path}:{number}: command of {len(command)} characters")
        for pattern in DANGEROUS:
            if re.search(pattern, command):
                problems.append(f"{path}:{number}: dangerous command ({pattern}): {command}")
        parse = subprocess.run(["bash", "-n", "-c", command], capture_output=True, text=True)
        if parse.returncode != 0:
            problems.append(f"{path}:{number}: bash -n: {parse.stderr.strip()}: {command}")


train, validation = read(sys.argv[1]), read(sys.argv[2])
duplicates(sys.argv[1], train)
duplicates(sys.argv[2], validation)
requests = {row[1].lower(): row[0] for row in train}
commands = {row[2]: row[0] for row in train}
for row in validation:
    if row[1].lower() in requests:
        problems.append(f"val:{row[0]}: request of train:{requests[row[1].lower()]}: {row[1]}")
    if row[2] in commands:
        problems.append(f"val:{row[0]}: command of train:{commands[row[2]]}: {row[2]}")
print("\n".join(problems) if problems else "no problem found")
print(f"{len(train)} training and {len(validation)} validation rows")
sys.exit(1 if problems else 0)
PYTHON
