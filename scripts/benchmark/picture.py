"""A picture of the main figures: bars, readable on light and on dark ground."""
import html

_PANELS = [
    ("h1", "rate@128", "Requests/s", "HTTP/1.1, 128 connections; more is better", "{:,.0f}"),
    ("tls", "rate", "New TLS connections/s", "a full handshake and a request each; more is better", "{:,.0f}"),
    ("h1", "cpu@128", "CPU seconds for 10,000 requests", "of the proxy; less is better", "{:.2f}"),
]
_ARMS = [("sallyport", "sallyport"), ("nginx", "nginx"), ("haproxy", "haproxy"), ("squid", "squid"), ("mitmproxy", "mitmproxy")]
_WIDTH, _LEFT, _BAR, _GAP, _HEAD, _VALUE = 760, 96, 16, 6, 44, 90
_STYLE = """
text { font: 13px system-ui, sans-serif; fill: #57606a }
.title { font-weight: 600; fill: #24292f }
.other { fill: #8c959f }
.ours { fill: #1f883d }
@media (prefers-color-scheme: dark) {
  text { fill: #9198a1 }
  .title { fill: #e6edf3 }
  .other { fill: #656c76 }
  .ours { fill: #3fb950 }
}
"""


def _bars(results, measure, figure, form, top):
    values = [(key, name, results.median(measure, key, figure)) for key, name in _ARMS]
    values = [entry for entry in values if entry[2] is not None]
    longest = max((value for _, _, value in values), default=1)
    for number, (key, name, value) in enumerate(values):
        y = top + number * (_BAR + _GAP)
        length = max(1, (_WIDTH - _LEFT - _VALUE) * value / longest)
        kind = "ours" if key == "sallyport" else "other"
        yield f'<text x="{_LEFT - 8}" y="{y + 13}" text-anchor="end">{name}</text>'
        yield f'<rect class="{kind}" x="{_LEFT}" y="{y}" width="{length:.1f}" height="{_BAR}" rx="2"/>'
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
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {top + 4}" width="{_WIDTH}" height="{top + 4}" '
            f'role="img" aria-label="Sallyport beside other proxies">\n<style>{_STYLE}</style>\n' + "\n".join(parts) + "\n</svg>\n")
