"""What is aimed at, as ratios and bounds within one run."""
import dataclasses


@dataclasses.dataclass
class Goal:
    text: str
    measured: str
    met: bool | None  #: None: it could not be measured


def _at_least(text, value, bound, form="{:.2f} x"):
    return Goal(text, form.format(value) if value is not None else "-", value >= bound if value is not None else None)


def _below(text, value, bound, form):
    return Goal(text, form.format(value) if value is not None else "-", value < bound if value is not None else None)


def _added(results, arm):
    """What an arm adds to the median time of one request on an otherwise idle connection."""
    times = [results.median("h1", name, "p50@1") for name in (arm, "direct")]
    return times[0] - times[1] if None not in times else None


def _latency(results):
    ours, theirs = _added(results, "sallyport"), _added(results, "nginx")
    text = "added p50 latency: no more than nginx adds"
    if ours is None or theirs is None:
        return Goal(text, "-", None)
    return Goal(text, f"{ours:.0f} µs, nginx {theirs:.0f} µs", ours <= theirs)


def _rates(results):
    def ratio(measure, figure, reference):
        return results.ratio(measure, "sallyport", figure, reference)

    goals = [_at_least(f"requests/s, HTTP/1.1, {n} connections: at least nginx's", ratio("h1", f"rate@{n}", "nginx"), 1)
             for n in (1, 16, 128)]
    goals += [_at_least(f"requests/s, HTTP/2, {point} streams: at least nginx's", ratio("h2", f"rate@{point}", "nginx"), 1)
              for point in ("16x100", "128x32")]
    goals += [
        _at_least("new TLS connections/s: at least nginx's", ratio("tls", "rate", "nginx"), 1),
        _at_least("requests/s, 128 connections: at least 10 times mitmproxy's", ratio("h1", "rate@128", "mitmproxy"), 10),
        _at_least("new TLS connections/s: at least 10 times mitmproxy's", ratio("tls", "rate", "mitmproxy"), 10),
        _at_least("requests/s, 128 connections: well above squid's (1.5 times)", ratio("h1", "rate@128", "squid"), 1.5),
        _at_least("new TLS connections/s: well above squid's (1.5 times)", ratio("tls", "rate", "squid"), 1.5),
    ]
    return goals


def goals(results):
    sse = [results.median("sse", arm, "median") for arm in ("sallyport", "direct")]
    added = sse[0] - sse[1] if None not in sse else None
    passed = [results.ratio(f"pass-{way}", "sallyport", "rate", "haproxy-tcp") for way in ("download", "upload")]
    own = lambda measure, figure: results.median(measure, "sallyport", figure)  # noqa: E731
    return _rates(results) + [
        _latency(results),
        _at_least("passed through, down: at least 95 % of haproxy's splice()", passed[0], 0.95),
        _at_least("passed through, up: at least 95 % of haproxy's splice()", passed[1], 0.95),
        _below("resident when idle: under 15 MB", own("memory", "idle"), 15, "{:.1f} MB"),
        _below("each idle intercepted connection: under 40 KB", own("memory", "each"), 40, "{:.1f} KB"),
        _below("first answer: within 50 ms of the start", own("start", "first"), 50, "{:.0f} ms"),
        _below("added to a server-sent event: under 1 ms", added, 1000, "{:.0f} µs"),
        _below("a decision over 10,000 rules: under 1 µs", own("decision", "10,000, ten for each host"), 1000,
               "{:.0f} ns"),
    ]
