"""Writes the list of what the pretraining text holds: package, version, licences, documents, characters.

    python3 eng/base-model/manifest.py WORK > eng/base-model/manifest.tsv

Licences are the short names of the package's own copyright file where that is machine-readable (DEP-5); otherwise the
licences whose titles it mentions, marked with "mentions:". A copyright file speaks of the whole source package, code
and tests included, so the list is wider than what the documentation is under.
"""

import json
import pathlib
import re
import sys

TITLES = [
    ("GPL-3", r"GPL-3|GNU General Public License[^.]{0,60}version 3"),
    ("GPL-2", r"GPL-2|General Public License[^.]{0,80}(version|Version) 2"),
    ("GPL", r"common-licenses/GPL\b|General Public License"),
    ("LGPL", r"Lesser General Public|Library General Public|LGPL"),
    ("GFDL", r"Free Documentation License|GFDL"),
    ("Apache-2.0", r"Apache License"),
    ("Artistic", r"Artistic"),
    ("BSD", r"Redistribution and use in source and binary forms"),
    ("MIT", r"Permission is hereby granted, free of charge"),
    ("ISC", r"Permission to use, copy, modify, and(/or)? distribute"),
    ("MPL", r"Mozilla Public License"),
    ("PSF", r"PYTHON SOFTWARE FOUNDATION|Python Software Foundation License"),
    ("PostgreSQL", r"PostgreSQL Global Development Group"),
    ("CC-BY-SA", r"Attribution-ShareAlike"),
    ("Info-ZIP (BSD-like)", r"Info-ZIP"),
    ("BSD", r"common-licenses/BSD|University of California"),
    ("verbatim-copying notice", r"Permission is granted to make and distribute verbatim copies"),
    ("free without restriction", r"freely distribut|may be freely|redistributed freely"),
    ("public domain", r"(?i)public domain"),
]


def licences(package: str, unpacked: pathlib.Path) -> str:
    folder = unpacked / package / "usr/share/doc" / package
    if folder.is_symlink():
        # Packages of one source share the folder of one of them.
        owner = folder.readlink().name
        return licences(owner, unpacked) if (unpacked / owner).is_dir() else f"those of {owner}"
    path = folder / "copyright"
    if not path.is_file():
        return "see its source package"
    text = path.read_text(encoding="utf-8", errors="replace")
    if re.search(r"(?m)^Format:.*copyright-format", text):
        names = re.findall(r"(?m)^License:[ \t]*(\S[^\n]*)", text)
        unique = sorted({re.sub(r"\s+", " ", name).strip() for name in names}, key=str.lower)
        return "; ".join(name for name in unique if len(name) < 60) or "see its copyright file"
    flat = re.sub(r"\s+", " ", text)
    found = [name for name, pattern in TITLES if re.search(pattern, flat)]
    if len(found) > 1 and "GPL" in found and ("GPL-2" in found or "GPL-3" in found):
        found.remove("GPL")
    return "mentions: " + "; ".join(found) if found else "see its copyright file"


def main() -> None:
    work, here = pathlib.Path(sys.argv[1]), pathlib.Path(__file__).resolve().parent
    sizes = json.loads((work / "sizes.json").read_text())
    print("package\tversion\tdocuments\tcharacters\tlicences")
    for line in (here / "packages.txt").read_text().splitlines():
        if line.startswith("#"):
            continue
        package, version = line.split()
        documents, characters = sizes.get(package, (0, 0))
        if documents:
            text = licences(package, work / "unpacked").encode("ascii", "replace").decode()
            print(f"{package}\t{version}\t{documents}\t{characters}\t{text}")


if __name__ == "__main__":
    main()
