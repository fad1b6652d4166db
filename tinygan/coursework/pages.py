"""The pages that ``tinygan coursework grade`` writes: one a student, one for the class."""

from __future__ import annotations

from collections import Counter
from html import escape
from urllib.parse import quote

__all__ = ["class_page", "student_page"]

STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:64em;margin:2em auto;padding:0 1em;color:#222}
h1{font-size:1.6em;margin:.2em 0}h2{font-size:1.15em;margin:1.8em 0 .4em}
table{border-collapse:collapse;width:100%}
td,th{border-bottom:1px solid #ddd;padding:.35em .6em;text-align:left;vertical-align:top}
th{font-weight:600;border-bottom:2px solid #bbb}
.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
pre{white-space:pre-wrap;overflow-wrap:anywhere;background:#f6f6f6;padding:.6em;margin:.4em 0;
font:13px/1.45 ui-monospace,monospace;border-left:3px solid #c9455a}
pre.full{border-color:#1a7f37}
.no{color:#b00020}.some{color:#8a5a00}.yes{color:#1a7f37}.note{background:#fff6dc;padding:.6em}
.wide{overflow-x:auto}.matrix td,.matrix th{padding:.25em .4em;text-align:center}
.matrix td:first-child,.matrix th:first-child{text-align:left;position:sticky;left:0;
background:#fff}
td.f{background:#d9f0de}td.p{background:#fdf0cf}td.z{background:#f7d9dd}
.bar{background:#eee;height:.6em;border-radius:.3em;overflow:hidden;max-width:24em}
.bar i{display:block;height:100%;background:#1a7f37}small{color:#666}
"""


def student_page(student) -> str:
    """Return a student's page: points by exercise, and what was found where points are missing.

    Parameters
    ----------
    student : dict
        ``name``, and what ``results.json`` holds.
    """
    total = sum(test["max_score"] for test in student["tests"])
    body = [f"<h1>{escape(student['name'])}</h1>", _bar(student["score"], total)]
    if student.get("output"):
        body.append(f"<p class=note>{escape(student['output'])}</p>")
    exercises = _exercises(student["tests"])
    sums = {title: _sum(tests) for title, tests in exercises.items()}
    lost = [f"{title} ({got} of {most})" for title, (got, most) in sums.items() if got < most]
    if lost:
        body.append(f"<p>Points are missing in {escape(', '.join(lost))}.</p>")
    for title, tests in exercises.items():
        got, most = sums[title]
        body.append(f"<h2>{escape(title)} <small>{got} of {most}</small></h2><table>")
        before = ""
        for test in tests:
            full = " class=full" if test["score"] >= test["max_score"] else ""
            output = f"<pre{full}>{escape(test['output'])}</pre>" if test["output"] else ""
            if output and test["output"] == before:
                output = "<br><small>the same</small>"
            before = test["output"]
            kind = _kind(test["score"], test["max_score"], ("yes", "some", "no"))
            body.append(
                f"<tr><td>{escape(_title(test))}{_hidden(test)}{output}</td>"
                f"<td class='n {kind}'>{test['score']} / {test['max_score']}</td></tr>"
            )
        body.append("</table>")
    return _document(student["name"], "".join(body))


def class_page(students) -> str:
    """Return the class's page: everyone's points by exercise, and what went wrong, by cause."""
    exercises: dict[str, float] = {}
    for student in students:
        for title, tests in _exercises(student["tests"]).items():
            exercises[title] = max(exercises.get(title, 0), _sum(tests)[1])
    total = sum(exercises.values())
    scores = sorted(student["score"] for student in students)
    middle = (scores[(len(scores) - 1) // 2] + scores[len(scores) // 2]) / 2
    body = [
        "<h1>The class</h1>",
        f"<p>{len(students)} students, {total:g} points; median {middle:g}, lowest {scores[0]:g}, "
        f"highest {scores[-1]:g}.</p>",
    ]
    for note in dict.fromkeys(s["output"] for s in students if s.get("output")):
        body.append(f"<p class=note>{escape(note)}</p>")
    heads = "".join(f"<th title='{escape(t, quote=True)}'>{_short(t)}</th>" for t in exercises)
    most = "".join(f"<td><small>{points:g}</small></td>" for points in exercises.values())
    body.append(
        f"<div class=wide><table class=matrix><tr><th>Student</th><th>Score</th>{heads}</tr>"
        f"<tr><td><small>most</small></td><td><small>{total:g}</small></td>{most}</tr>"
    )
    for student in students:
        tests = _exercises(student["tests"])
        cells = []
        for title in exercises:
            got, _ = _sum(tests.get(title, []))
            cells.append(f"<td class={_kind(got, exercises[title], 'fpz')}>{got:g}</td>")
        name = escape(student["name"])
        link = escape(quote(student["page"]), quote=True)
        body.append(
            f"<tr><td><a href='{link}'>{name}</a></td><td><b>{student['score']:g}</b></td>"
            f"{''.join(cells)}</tr>"
        )
    body.append("</table></div><h2>What went wrong</h2>")
    rows, names = [], list(dict.fromkeys(t["name"] for s in students for t in s["tests"]))
    for name in names:
        tests = [t for s in students for t in s["tests"] if t["name"] == name]
        causes = Counter(cause(t["output"]) for t in tests if t["score"] < t["max_score"])
        if causes:
            text = ", ".join(f"{escape(c)} ({n})" for c, n in causes.most_common(5))
            rows.append(
                f"<tr><td>{_short(_exercise(tests[0]))} {escape(_title(tests[0]))}"
                f"{_hidden(tests[0])}<br><small>{text}</small></td>"
                f"<td class=n>{len(tests) - causes.total()} of {len(tests)}</td></tr>"
            )
    if rows:
        body += ["<table><tr><th>Test</th><th class=n>Full points</th></tr>", *rows, "</table>"]
    body.append(f"<p>In {len(names) - len(rows)} of {len(names)} tests nobody lost a point.</p>")
    return _document("The class", "".join(body))


def cause(output) -> str:
    """Return a few words for what a test's output says."""
    if "likely cause: " in output:
        return output.partition("likely cause: ")[2].partition(" [")[0]
    for words, short in (
        ("points withheld", "forbidden"),
        ("may not be used here", "forbidden"),
        ("wrong output", "wrong output"),
        ("not written yet", "not written yet"),
        ("does not exist", "not handed in"),
        ("cannot be imported", "cannot be imported"),
        ("does not define", "renamed or deleted"),
        ("processor time", "too slow, or an endless loop"),
        ("did nothing", "waits"),
        ("MB of memory", "too much memory"),
        ("crashed", "crashed"),
        ("ended before", "ended the program"),
        ("disagree", "wrong gradient, cause unknown"),
        ("WRONG", "wrong gradient, cause unknown"),
    ):
        if words in output:
            return short
    return output.partition("\n")[0].partition(":")[0][:40] or "no message"


def _exercises(tests):
    found: dict[str, list] = {}
    for test in tests:
        found.setdefault(_exercise(test), []).append(test)
    return dict(sorted(found.items()))


def _exercise(test):
    return test["name"].partition(": ")[0].removesuffix("_hidden").replace("_", " ")


def _title(test):
    return test["name"].partition(": ")[2] or test["name"]


def _hidden(test):
    return "" if test["visibility"] == "visible" else " <small>(hidden test)</small>"


def _short(title):
    number, _, rest = title.partition(" ")
    return escape(number if number.isdigit() and rest else title)


def _sum(tests):
    sums = (sum(t["score"] for t in tests), sum(t["max_score"] for t in tests))
    return tuple(round(s, 2) if s % 1 else int(s) for s in sums)


def _kind(got, most, names):
    return names[0] if got >= most else names[1] if got else names[2]


def _bar(got, most):
    share = 100 * got / most if most else 0
    bar = f"<div class=bar><i style='width:{share:.1f}%'></i></div>"
    return f"<p><b>{got:g} of {most:g} points</b></p>{bar}"


def _document(title, body):
    return (
        "<!doctype html><html lang=en><meta charset=utf-8>"
        "<meta name=viewport content='width=device-width,initial-scale=1'>"
        f"<title>{escape(title)}</title><style>{STYLE}</style>{body}</html>\n"
    )
