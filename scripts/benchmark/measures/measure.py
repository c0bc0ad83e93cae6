"""A measure: something that is done with each arm in turn, and the figures that it gives."""
from processes import Clock


class Measure:
    key = ""      #: on the command line
    title = ""    #: of its table
    note = ""     #: what the figures are, below the title
    #: (figure's key, column's title, format); what `run` yields and no column names is only in the JSON
    columns = []
    ratios = ()   #: the figures that are also given as multiples of the reference's
    reference = "nginx"

    def __init__(self, options, tools):
        self.options = options
        self.tools = tools
        self.seconds = 2 if options.quick else 3

    def seconds_for(self, arm):
        """Where making the connections alone takes a second, more of them."""
        return self.seconds * 3 if arm.slow else self.seconds

    def suits(self, arm):
        """Whether this arm takes part."""
        return (arm.only is None or self.key in arm.only) and self.can(arm)

    def can(self, arm):
        return arm.intercepts or arm.key == "direct"

    def why_not(self, arm):
        """For the report, of an arm that cannot what others are measured for."""
        return None

    def run(self, arm):
        """Yields figures by key, as they come. Raises Failure."""
        raise NotImplementedError

    def tool(self, *arguments):
        return [self.tools / "bench_connections", *arguments]


def per_thousand(clock, count, thousands):
    """CPU seconds of the proxy for so many thousands."""
    return clock.cpu * thousands * 1000 / count if count else None


__all__ = ["Clock", "Measure", "per_thousand"]
