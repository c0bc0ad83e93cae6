"""A picture of the main figures: bars, readable on light and on dark ground."""
import html
import statistics

_PANELS = [
    ("h1", "rate@128", "Requests/s", "HTTP/1.1, 128 connections; more is better", "{:,.0f}"),
    ("tls", "rate", "New TLS connections/s", "a full handshake and a request each; more is better", "{:,.0f}"),
    ("h1", "cpu@128", "CPU seconds for 10,000 requests", "of the proxy; less is better", "{:.2f}"),
]
_ARMS = ["sallyport", "nginx", "haproxy", "squid", "mitmproxy"]
_WIDTH, _LEFT, _BAR, _GAP, _HEAD, _VALUE = 760, 96, 16, 6, 44, 90
# Colours that can be read on white and on black: which of them a page has, a picture cannot know.
_STYLE = """
text { font: 13px system-ui, sans-serif; fill: #7d8590 }
.title { font-weight: 600 }
.other { fill: #8c959f }
.ours { fill: #2da44e }
"""
_CUT = 5  # a bar that is so many times the median is cut, or the others could not be told apart


def _bars(results, measure, figure, form, top):
    values = [(arm, results.median(measure, arm, figure)) for arm in _ARMS]
    values = [entry for entry in values if entry[1] is not None]
    if not values:
        return
    numbers = [value for _, value in values]
    longest = min(max(numbers), _CUT * statistics.median(numbers))
    for number, (arm, value) in enumerate(values):
        y = top + number * (_BAR + _GAP)
        full = _WIDTH - _LEFT - _VALUE
        length = max(1, full * min(value / longest, 1))
        kind = "ours" if arm == "sallyport" else "other"
        yield f'<text x="{_LEFT - 8}" y="{y + 13}" text-anchor="end">{arm}</text>'
        shape = f"M{_LEFT} {y}h{length:.1f}v{_BAR}h-{length:.1f}z"
        if value > longest:
            shape = (f"M{_LEFT} {y}h{full - 28}l-8 {_BAR}h-{full - 36}z"
                     f"M{_LEFT + full - 20} {y}h20v{_BAR}h-28z")
        yield f'<path class="{kind}" d="{shape}"/>'
        yield f'<text x="{_LEFT + length + 6:.1f}" y="{y + 13}">{form.format(value)}</text>'


def svg(results):
    parts, top = [], 0
    for measure, figure, title, subtitle, form in _PANELS:
        bars = list(_bars(results, measure, figure, form, top + _HEAD))
        if not bars:
            continue
        parts.append(f'<text x="{_LEFT}" y="{top + 28}"><tspan class="title">{html.escape(title)}</tspan> '
                     f'<tspan dx="6">{html.escape(subtitle)}</tspan></text>')
        parts += bars
        top += _HEAD + len(bars) // 3 * (_BAR + _GAP) + 8
    size = f'viewBox="0 0 {_WIDTH} {top + 4}" width="{_WIDTH}" height="{top + 4}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="Sallyport beside other proxies">'
    return "\n".join([head, f"<style>{_STYLE}</style>", *parts, "</svg>", ""])
