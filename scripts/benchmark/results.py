"""What was measured: figures by measure, arm and round; and what could not be."""
import json
import statistics


class Results:
    def __init__(self, about=None):
        self.about = about or {}    #: lines about the machine and the run
        self.samples = {}           #: measure -> arm -> round -> figures
        self.missing = {}           #: measure, or "" for all -> arm -> why
        self.rounds = 0             #: complete ones

    def add(self, measure, arm, round_number, figures):
        self.samples.setdefault(measure, {}).setdefault(arm, {}).setdefault(str(round_number), {}).update(figures)

    def miss(self, measure, arm, why):
        self.missing.setdefault(measure, {})[arm] = why

    def arms(self, measure):
        return self.samples.get(measure, {}).keys()

    def values(self, measure, arm, figure):
        """By round."""
        rounds = self.samples.get(measure, {}).get(arm, {})
        return {number: figures[figure] for number, figures in rounds.items() if figures.get(figure) is not None}

    def median(self, measure, arm, figure):
        values = self.values(measure, arm, figure).values()
        return statistics.median(values) if values else None

    def ratio(self, measure, arm, figure, reference):
        """The median of the rounds' ratios: what was measured minutes apart is not compared."""
        ours, theirs = self.values(measure, arm, figure), self.values(measure, reference, figure)
        ratios = [ours[number] / theirs[number] for number in ours if theirs.get(number)]
        return statistics.median(ratios) if ratios else None

    def save(self, file):
        with open(file, "w") as out:
            json.dump(vars(self), out, indent=1)
            out.write("\n")

    @staticmethod
    def load(file):
        results = Results()
        with open(file) as text:
            vars(results).update(json.load(text))
        return results
