"""The results as Markdown."""
from goals import goals

_FORMATS = {
    "count": "{:,.0f}",
    "seconds": "{:.3f}",
    "percent": "{:.0f} %",
    "microseconds": "{:,.0f}",
    "milliseconds": "{:,.0f}",
    "nanoseconds": "{:,.0f}",
    "megabytes": "{:.1f}",
    "kilobytes": "{:.1f}",
    "times": "{:.2f} x",
}


def _row(cells):
    return "| " + " | ".join(cells) + " |"


def _cell(results, measure, arm, figure, form):
    if form == "text":  # two figures: p50 and p99 of one point
        point = figure.partition("@")[2]
        pair = [results.median(measure.key, arm, f"{name}@{point}") for name in ("p50", "p99")]
        return "-" if None in pair else " / ".join(f"{value:,.0f}" for value in pair)
    value = results.median(measure.key, arm, figure)
    if value is None:
        return "-"
    text = _FORMATS[form].format(value)
    ratio = results.ratio(measure.key, arm, figure, measure.reference) if figure in measure.ratios else None
    return text if ratio is None else f"{text} ({ratio:.2f})"


def _table(results, measure, arms):
    present = [arm for arm in arms if arm.key in results.arms(measure.key)]
    if not present:
        return []
    return [f"### {measure.title}", "", measure.note, "",
            _row([""] + [title for _, title, _ in measure.columns]),
            _row(["---"] + ["---:"] * len(measure.columns)),
            *(_row([arm.title] + [_cell(results, measure, arm.key, figure, form) for figure, _, form in measure.columns])
              for arm in present), ""]


def _goals(results):
    lines = ["### Goals", "", _row(["Goal", "Measured", ""]), _row(["---", "---:", "---"])]
    words = {True: "met", False: "**missed**", None: "not measured"}
    return lines + [_row([goal.text, goal.measured, words[goal.met]]) for goal in goals(results)] + [""]


def _missing(results, measures, arms):
    titles = {measure.key: measure.title.lower() for measure in measures} | {"": "everything"}
    names = {arm.key: arm.title.strip("*") for arm in arms}
    lines = [f"- {names.get(arm, arm)}, {titles.get(measure, measure)}: {why}"
             for measure, arms_missing in results.missing.items() for arm, why in arms_missing.items()]
    return ["### Not measured", ""] + (lines or ["- nothing was left out"]) + [""]


def markdown(results, measures, arms):
    lines = ["## Benchmark", ""] + [f"- {line}" for line in results.about.values()]
    lines += [f"- {results.rounds} round(s), all arms one after another in each; medians, and in brackets the median of "
              "the rounds' ratios to nginx, unless it says otherwise", ""]
    lines += _goals(results)
    for measure in measures:
        lines += _table(results, measure, arms)
    return "\n".join(lines + _missing(results, measures, arms))
