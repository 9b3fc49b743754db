#!/usr/bin/env python3
"""Pictures of a terminal for the documentation: screenshots.py CORTEN OUT

Runs the commands at a real terminal (a pty), takes what they write, colours included,
and draws it as SVG. Needs root and a static busybox.
"""

import html
import os
import pty
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time

COLOURS = {"31": "#e06c75", "32": "#98c379", "33": "#e5c07b"}
WIDTH, HEIGHT = 8.4, 19


def at_terminal(words, seconds, cwd):
    """What a program writes to a terminal until it ends, or for some seconds."""
    pid, fd = pty.fork()
    if pid == 0:
        os.chdir(cwd)
        os.environ.update(TERM="xterm-256color", COLUMNS="120", LINES="40")
        os.environ.pop("NO_COLOR", None)
        os.execvp(words[0], words)
    output, end = b"", time.monotonic() + seconds
    while time.monotonic() < end:
        if select.select([fd], [], [], 0.1)[0]:
            try:
                part = os.read(fd, 65536)
            except OSError:
                break
            if not part:
                break
            output += part
    os.kill(pid, 15)
    os.waitpid(pid, 0)
    os.close(fd)
    return output.decode(errors="replace").replace("\r\n", "\n")


def spans(line):
    """A line as pieces of text with their attributes."""
    style, position = "", 0
    for match in re.finditer(r"\x1b\[([0-9;?]*)([a-zA-Z])", line):
        if match.start() > position:
            yield style, line[position : match.start()]
        position = match.end()
        if match[2] == "m":
            style = match[1]
    if position < len(line):
        yield style, line[position:]


def visible(text):
    """Blanks that no viewer collapses."""
    return html.escape(text).replace(" ", "\u00a0")


def draw(prompt, output, limit):
    # A screen that was redrawn: the last one.
    screen = output.split("\x1b[H")[-1]
    lines = [("$ " + prompt)] + screen.rstrip("\n").split("\n")
    plain = [re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", line) for line in lines]
    columns = min(max(map(len, plain)), limit)
    width, height = int(columns * WIDTH + 40), len(lines) * HEIGHT + 52
    picture = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img" aria-label="{html.escape(prompt)}">',
        f'<rect width="{width}" height="{height}" rx="8" fill="#1e2127"/>',
        "".join(
            f'<circle cx="{20 + 18 * n}" cy="18" r="6" fill="{colour}"/>'
            for n, colour in enumerate(("#e06c75", "#e5c07b", "#98c379"))
        ),
        '<g font-family="ui-monospace, DejaVu Sans Mono, Menlo, monospace" font-size="14" '
        'fill="#d7dae0">',
    ]
    for number, line in enumerate(lines):
        column, y = 0, 52 + number * HEIGHT
        for style, text in spans(line):
            text = text[: max(limit - column, 0)]
            if not text.strip():
                column += len(text)
                continue
            codes = style.split(";")
            look = "".join(f' fill="{COLOURS[code]}"' for code in codes if code in COLOURS)
            look += ' font-weight="bold"' if "1" in codes else ""
            look += ' opacity="0.55"' if "2" in codes else ""
            x, length = 20 + column * WIDTH, len(text) * WIDTH
            picture.append(
                f'<text x="{x:.1f}" y="{y}" textLength="{length:.1f}"{look}>{visible(text)}</text>'
            )
            column += len(text)
    return "\n".join(picture + ["</g>", "</svg>", ""])


def elsewhere(output, work):
    """The same from /srv, columns where they were."""
    lost = " " * (len(work) - len("/srv"))
    place = re.compile(re.escape(work) + r"([^\s\x1b]*)(  +)?")
    return place.sub(lambda found: "/srv" + found[1] + (found[2] + lost if found[2] else ""), output)


def main():
    corten, out = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
    work = tempfile.mkdtemp(prefix="corten-screenshots-")
    state = ["--root", os.path.join(work, "state")]

    def run(*words):
        subprocess.run([corten, *state, *words], check=True, cwd=work, stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def show(name, prompt, words, seconds=10, limit=132):
        output = at_terminal([corten, *state, *words], seconds, work)
        output = elsewhere(output, work).replace(os.path.dirname(corten), "/usr/sbin")
        with open(os.path.join(out, name + ".svg"), "w", encoding="utf-8") as file:
            file.write(draw(prompt, output, limit))

    names = []
    try:
        os.makedirs(os.path.join(work, "b/rootfs/bin"))
        shutil.copy("/bin/busybox", os.path.join(work, "b/rootfs/bin/busybox"))
        for link in ("sh", "sleep", "head", "tail"):
            os.symlink("busybox", os.path.join(work, "b/rootfs/bin", link))
        show("doctor", "corten doctor", ["doctor"])
        run("spec", "--bundle", "b", "--memory", "512M", "--cpus", "0.5", "--privileged", "--network", "host",
            "--mount", "/:/host", "--mount", "/run/docker.sock:/run/docker.sock", "--args", "sh")
        show("explain", "corten explain --bundle b", ["explain", "--bundle", "b"])
        for name, limits, script in (
            ("web", ["--memory", "512M", "--cpus", "0.3", "--pids", "100"], "while :; do :; done"),
            ("database", ["--memory", "64M", "--pids", "20"], "head -c 56623104 /dev/zero > /dev/shm/table; sleep 60"),
            ("idle", ["--pids", "10"], "sleep 60"),
        ):
            run("spec", "--bundle", "b", "--file", name + ".json", *limits, "--args", "sh", "-c", script)
            run("run", "--bundle", "b", "--config", name + ".json", "--overlay", "--detach", name)
            names.append(name)
        time.sleep(2)
        show("stats", "corten stats", ["stats"], seconds=3.8)
    finally:
        for name in names:
            run("delete", "--force", name)
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
