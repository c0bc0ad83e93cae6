"""What a decision of the policy costs, by the number of rules; the rate of requests under them is an arm of its own."""
import json

import processes
from measures.measure import Measure
from processes import run


class Decision(Measure):
    key = "decision"
    title = "A decision of the policy"
    note = ("The function alone that judges a request, in nanoseconds, in a process of its own. What it costs among "
            "everything else shows in the requests of Sallyport with 10 and with 10,000 rules above.")
    columns = [("10", "10 rules", "nanoseconds"),
               ("10,000, ten for each host", "10,000 rules, ten for each host", "nanoseconds"),
               ("10,000, all for one host", "10,000 rules, all for one host", "nanoseconds")]

    def suits(self, arm):
        return arm.key == "sallyport"

    def run(self, arm):
        yield json.loads(run([self.tools / "bench_decide"], core=processes.proxy_core()))
