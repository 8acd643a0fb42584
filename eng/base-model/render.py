"""Renders the manual pages and documentation of unpacked Debian packages to plain text, one JSON object a document.

    python3 eng/base-model/render.py UNPACKED DOCUMENTS.jsonl [--jobs N]

UNPACKED holds one folder per package. A document is {"package", "title", "text"}: pure ASCII, paragraphs on one line
each and apart by a blank line, headings as lines that start with "# ". Manual pages go through groff with a line
length that nothing reaches, so that no word is split and no paragraph wrapped; HTML, Info and plain text are unwrapped
here. Change logs, copyright files, translations and pages that only point to another page are left out. Needs groff
(Debian: groff-base) and the standard library.
"""

import argparse
import gzip
import html.parser
import json
import multiprocessing
import pathlib
import re
import subprocess
import unicodedata

GROFF = ["groff", "-mandoc", "-t", "-k", "-Tutf8", "-P-c", "-P-b", "-P-o", "-P-u", "-rLL=1200n", "-rHY=0", "-dAD=l"]

# Typography that ASCII writes in another way; what is left after decomposition becomes a space.
ASCII = str.maketrans({
    "\u2018": "'", "\u2019": "'", "\u201a": "'", "\u201c": '"', "\u201d": '"', "\u201e": '"', "\u00ab": '"',
    "\u00bb": '"', "\u2010": "-", "\u2011": "-", "\u2012": "-", "\u2013": "-", "\u2014": "-", "\u2015": "-",
    "\u2212": "-", "\u2022": "*", "\u00b7": "*", "\u25e6": "*", "\u25aa": "*", "\u2026": "...", "\u00a0": " ",
    "\u2192": "->", "\u2190": "<-", "\u21d2": "=>", "\u00d7": "x", "\u00a9": "(C)", "\u00ae": "(R)", "\u2502": "|",
    "\u2500": "-", "\u2514": "+", "\u251c": "+", "\u2264": "<=", "\u2265": ">=", "\u2260": "!=", "\u27e8": "<",
    "\u27e9": ">", "\u00b4": "'", "\u02c6": "^", "\u02dc": "~", "\u2217": "*", "\u00b1": "+-", "\t": "    ",
})
SKIPPED_NAMES = re.compile(
    r"(?i)^(changelog|changes|copyright|news|authors|thanks|credits|contributors|todo|buildinfo|copying|license|install"
    r"|version\d|genes\w*|test|genindex|search|py-modindex|index-all|bookindex|theindex|.*[-_.](cs|da|de|el|es|fi|fr"
    r"|hu|id|it|ja|ko|nl|pl|pt|pt_br|ro|ru|sk|sl|sr|sv|tr|uk|vi|zh_cn|zh_tw|zh))(\b|[-_.])")
SKIPPED_FOLDERS = {
    "_sources", "_static", "test", "tests", "changelog", "doxygen", "licenses", "javascript", "api", "genes"}
SCRIPTS = {".sh", ".bash", ".awk", ".sed", ".zsh"}


def to_ascii(text: str) -> str:
    text = unicodedata.normalize("NFKD", text.translate(ASCII)).replace("\r", "")
    text = "".join(c for c in text if not unicodedata.combining(c))
    return re.sub(r"[^\n\x20-\x7e]", " ", text)


def tidy(lines: list[str], shift: int) -> str:
    """Takes `shift` columns off, caps what is left of the indentation, and narrows gaps within a line."""
    out = []
    for line in lines:
        line = line.rstrip()
        depth = len(line) - len(line.lstrip())
        body = re.sub(r"(?<=\S) {2,}", "  ", line.lstrip())
        out.append(" " * min(4, max(0, depth - shift)) + body)
    return "\n".join(out)


def read(path: pathlib.Path) -> str:
    data = path.read_bytes()
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    return data.decode("utf-8", "replace")


def manual(path: pathlib.Path) -> tuple[str, str] | None:
    source = read(path)
    if len(source) < 200 or len(source) > 3_000_000 or re.match(r"\s*(\.\\\".*\n)*\.so ", source):
        return None
    name = re.sub(r"\.gz$", "", path.name)
    stem, _, section = name.rpartition(".")
    run = subprocess.run(GROFF, input=source.encode(), capture_output=True, timeout=60, check=False)
    lines = to_ascii(run.stdout.decode("utf-8", "replace")).split("\n")
    filled = [i for i, line in enumerate(lines) if line.strip()]
    if len(filled) < 4:
        return None
    paragraphs, block = [], []
    # The first and last line of a page are its running head and foot.
    for line in lines[filled[0] + 1:filled[-1]] + [""]:
        if line.strip():
            block.append(line)
            continue
        while block and not block[0].startswith(" " * 2):
            paragraphs.append("# " + block.pop(0).strip())
        if block:
            paragraphs.append(tidy(block, 7))
        block = []
    return f"{stem}({section})", "\n\n".join(paragraphs)


class Page(html.parser.HTMLParser):
    """Text of an HTML page: blocks become paragraphs, list items start with "* ", pre keeps its lines."""

    BLOCKS = {"p", "div", "section", "ul", "ol", "dl", "dt", "dd", "li", "table", "tr", "pre", "blockquote", "h1", "h2",
              "h3", "h4", "h5", "h6", "body", "article", "hr", "br"}
    HIDDEN = {"script", "style", "head", "nav", "header", "footer", "button", "form"}

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.paragraphs, self.parts, self.hidden, self.pre, self.mark = [], [], 0, 0, ""
        self.title, self.in_title = "", False

    def flush(self) -> None:
        text = "".join(self.parts)
        self.parts = []
        if self.pre:
            text = "\n".join(line.rstrip() for line in text.split("\n")).strip("\n")
            text = "\n".join("  " + line for line in text.split("\n")) if text.strip() else ""
        else:
            text = re.sub(r"\s+", " ", text).strip()
        if text:
            self.paragraphs.append(self.mark + text)
            self.mark = ""

    def handle_starttag(self, tag, attrs):
        if tag == "title":
            self.in_title = True
        if tag in self.HIDDEN:
            self.hidden += 1
        if tag in self.BLOCKS:
            self.flush()
            self.mark = "# " if re.fullmatch("h[1-6]", tag) else "* " if tag == "li" else self.mark
        if tag == "pre":
            self.pre, self.mark = self.pre + 1, ""
        if tag in ("td", "th"):
            self.parts.append(" ")

    def handle_endtag(self, tag):
        if tag == "title":
            self.in_title = False
        if tag in self.HIDDEN:
            self.hidden = max(0, self.hidden - 1)
        if tag in self.BLOCKS:
            self.flush()
            self.mark = ""
        if tag == "pre":
            self.pre = max(0, self.pre - 1)

    def handle_data(self, data):
        if self.in_title:
            self.title += data
        elif not self.hidden:
            self.parts.append(data)


def web(path: pathlib.Path) -> tuple[str, str] | None:
    source = read(path)
    if len(source) > 3_000_000 or re.search(r'<html[^>]*\blang="(?!en)', source):
        return None
    page = Page()
    page.feed(source)
    page.flush()
    title = re.sub(r"\s+", " ", to_ascii(page.title)).strip()
    kept = []
    for paragraph in page.paragraphs:
        words = paragraph.split()
        if len(words) < 12 and re.search(r"\b(Prev(ious)?|Next|Up|Home|Index|Contents|Top)\b"
                                         r".*\b(Prev|Next|Up|Home|Index|Contents|Top)", paragraph):
            continue
        kept.append(to_ascii(paragraph))
    return title or path.stem, "\n\n".join(kept)


def unwrap(block: list[str]) -> str:
    """Joins lines that are filled text; leaves lists, tables and code as they are."""
    depths = [len(line) - len(line.lstrip()) for line in block]
    marked = [line.lstrip()[:2] in ("- ", "* ", "o ", "+ ") for line in block]
    filled = all(len(line) >= 48 for line in block[:-1]) and max(depths) < 8
    even = max(depths[1:], default=0) == min(depths[1:], default=0)
    if len(block) > 1 and filled and even and not any(marked[1:]):
        return " " * min(4, depths[0] if marked[0] else 0) + " ".join(line.strip() for line in block)
    return tidy(block, min(depths) if min(depths) >= 5 else 0)


def plain(path: pathlib.Path) -> tuple[str, str] | None:
    source = read(path)
    if len(source) < 400 or len(source) > 3_000_000 or "\x00" in source:
        return None
    is_info = "/share/info/" in str(path)
    text = to_ascii(re.sub(r"\x1f\nFile: [^\n]*|\x1f", "", source) if is_info else source)
    if path.suffix in SCRIPTS:
        return path.name, re.sub(r"\n{3,}", "\n\n", text).strip()
    paragraphs, block = [], []
    for line in text.split("\n") + [""]:
        if line.strip():
            if is_info and re.fullmatch(r"[*=\-.]{3,}", line.strip()) and len(block) == 1:
                block = ["# " + block[0].strip()]
            elif not re.fullmatch(r"[=\-~*_.+ ]{3,}", line.strip()):
                block.append(line)
            continue
        if block:
            paragraphs.append(block[0] if block[0].startswith("# ") and len(block) == 1 else unwrap(block))
        block = []
    return re.sub(r"\.(gz|txt|info|md)\b", "", path.name), "\n\n".join(paragraphs)


def render(item: tuple[str, str]) -> dict | None:
    package, name = item
    path = pathlib.Path(name)
    try:
        bare = re.sub(r"\.gz$", "", path.name)
        if re.search(r"/share/man/man\d[^/]*/", name):
            found = manual(path)
        elif bare.endswith((".html", ".htm")):
            found = web(path)
        else:
            found = plain(path)
    except (OSError, EOFError, subprocess.TimeoutExpired):
        return None
    return {"package": package, "title": found[0], "text": found[1]} if found and len(found[1]) > 200 else None


def is_locale(folder: str) -> bool:
    return bool(re.fullmatch(r"[a-z]{2}[-_][a-z]{2}|[a-z]{2}", folder)) and not folder.startswith("en")


def wanted(path: pathlib.Path, root: pathlib.Path) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    inner = path.relative_to(root).parts
    bare = re.sub(r"\.gz$", "", path.name)
    if inner[:3] == ("usr", "share", "man"):
        return bool(re.fullmatch(r"man[15678]\w*", inner[3]))
    folders = {part.lower() for part in inner[4:-1]}
    if SKIPPED_NAMES.match(bare) or SKIPPED_FOLDERS & folders or any(map(is_locale, folders)):
        return False
    suffix = pathlib.Path(bare).suffix.lower()
    if inner[:3] == ("usr", "share", "info"):
        return ".info" in bare
    return suffix in {".html", ".htm", ".txt", ".md", ".rst"} | SCRIPTS or bool(
        re.match(r"(README|FAQ|HOWTO|TIPS|USAGE|INTRO|MANUAL|BUGS|examples?)", bare))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("unpacked", type=pathlib.Path)
    parser.add_argument("documents", type=pathlib.Path)
    parser.add_argument("--jobs", type=int, default=multiprocessing.cpu_count())
    options = parser.parse_args()
    items = []
    for package in sorted(options.unpacked.iterdir()):
        items += [(package.name, str(path)) for path in sorted(package.rglob("*")) if wanted(path, package)]
    count = size = 0
    with multiprocessing.Pool(options.jobs) as pool, open(options.documents, "w", encoding="ascii") as output:
        for document in pool.imap(render, items, chunksize=16):
            if document is not None:
                output.write(json.dumps(document) + "\n")
                count, size = count + 1, size + len(document["text"])
    print(f"{count} documents of {len(items)} files, {size / 1e6:.1f} MB of text")


if __name__ == "__main__":
    main()
