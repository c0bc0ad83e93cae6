"""The benchmark's main program. scripts/bench calls it, in namespaces that end with it."""
import argparse
import os
import pathlib
import random
import re
import resource
import signal
import subprocess
import sys

import picture
import processes
import report
from arms import ARMS
from measures import MEASURES, TRANSFERS
from processes import Failure
from results import Results

_PEERS = ["nginx", "haproxy", "squid-openssl", "mitmproxy", "wrk", "nghttp2-client", "curl", "libssl3"]


def _options():
    known = {"arms": [arm.key for arm in ARMS], "measures": [measure.key for measure in MEASURES]}
    parser = argparse.ArgumentParser(prog="scripts/bench",
                                     description="Measures the gateway beside what people use instead.",
                                     epilog="; ".join(f"{what}: {', '.join(keys)}" for what, keys in known.items()))
    names = lambda text: text.split(",")  # noqa: E731
    parser.add_argument("--rounds", type=int, metavar="N", help="default: 5")
    parser.add_argument("--quick", action="store_true", help="one round of short measures: whether all of it works")
    parser.add_argument("--arms", type=names, metavar="A,B", default=known["arms"])
    parser.add_argument("--measures", type=names, metavar="X,Y", default=known["measures"])
    parser.add_argument("--against", metavar="PROGRAM", help="another build of sallyport as an arm, other-build")
    parser.add_argument("--out", metavar="FILE", help="the tables, in Markdown (default: standard output)")
    parser.add_argument("--svg", metavar="FILE", help="the picture")
    parser.add_argument("--json", metavar="FILE", help="every figure of every round")
    parser.add_argument("--render", metavar="FILE", help="measure nothing: tables and picture of an earlier run's JSON")
    parser.add_argument("--program", help=argparse.SUPPRESS)
    parser.add_argument("--tools", type=pathlib.Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    unknown = set(options.arms) - set(known["arms"]) | set(options.measures) - set(known["measures"])
    if unknown:
        parser.error("unknown: " + ", ".join(sorted(unknown)))
    options.rounds = options.rounds or (1 if options.quick else 5)
    if options.against:
        options.against = os.path.abspath(options.against)
    else:
        options.arms = [key for key in options.arms if key != "other-build"]
    return options


def _say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def _about():
    model = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    versions = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${Version}\n", *_PEERS], capture_output=True,
                              text=True)
    cores, load = processes.ALL_CORES, os.getloadavg()[0]
    placed = ("client and origin on one, the proxy on the other" if len(cores) > 1 else
              "shared by client, origin and proxy, since there is no other")
    machine = f"{model.group(1) if model else 'unknown CPU'}, Linux {os.uname().release}, {len(cores)} core(s)"
    return {"machine": f"{machine}: {placed}",
            "load": f"load average before the start: {load:.2f}" + (
                " - **others were at work: these figures say little**" if load > 0.5 else ""),
            "versions": ", ".join(versions.stdout.splitlines())}


def _start_arms(ground, options, results):
    arms = []
    for kind in ARMS:
        if kind.key not in options.arms:
            continue
        _say(f"starting {kind.key}")
        arm = kind(ground, options)
        try:
            arm.prepare()
            arm.launch()
            arm.wait()
            arms.append(arm)
        except (Failure, OSError, subprocess.SubprocessError) as failure:
            _say(f"{arm.key} could not be started: {failure}")
            results.miss("", arm.key, f"could not be started: {failure}")
            arm.stop()
    return arms


def _measure(measure, arm, number, results):
    if not measure.suits(arm):
        why = measure.why_not(arm) if arm.only is None else None
        if why:
            results.miss(measure.key, arm.key, why)
        return
    try:
        if arm.process and arm.process.poll() is not None:
            arm.launch()
            arm.wait()
        for figures in measure.run(arm):
            results.add(measure.key, arm.key, number, figures)
    except (Failure, OSError, ValueError, subprocess.SubprocessError) as failure:
        _say(f"{measure.key}, {arm.key}: {failure}")
        results.miss(measure.key, arm.key, f"could not be measured in round {number}: {failure}")
    arm.empty_logs()


def _run(options, results):
    from ground import Ground  # they change the namespaces that --render has not got
    from origin import Origin
    descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))
    os.sched_setaffinity(0, [processes.load_core()])
    ground = Ground()
    origin = Origin(ground)
    arms = _start_arms(ground, options, results)
    measures = [kind(options, options.tools, origin) if kind in TRANSFERS else kind(options, options.tools)
                for kind in MEASURES if kind.key in options.measures]
    for number in range(1, options.rounds + 1):
        for measure in measures:
            _say(f"round {number} of {options.rounds}: {measure.key}")
            # None comes always after the same one, whose traces may still be warm.
            for arm in random.Random(f"{number}{measure.key}").sample(arms, len(arms)):
                _measure(measure, arm, number, results)
        results.rounds = number


def _write(options, results):
    measures = [kind for kind in MEASURES if kind.key in options.measures]
    text = report.markdown(results, measures, ARMS)
    if options.json:
        results.save(options.json)
    if options.svg:
        pathlib.Path(options.svg).write_text(picture.svg(results))
    if options.out:
        pathlib.Path(options.out).write_text(text)
    else:
        print(text)


def main():
    options = _options()
    if options.render:
        return _write(options, Results.load(options.render))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    results = Results(_about())
    try:
        _run(options, results)
    except KeyboardInterrupt:
        _say(f"interrupted; what follows is of {results.rounds} complete rounds")
    _write(options, results)


if __name__ == "__main__":
    main()
